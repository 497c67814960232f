// The search page in Chromium: what it finds at the main site and at partners, by words, id, kind and price, in both
// languages; with the keyboard, at 360 px, without scripts; and that it cuts words as the generator does.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./harness/world.mjs";

export const looks = "search: words, ids, kinds, prices; Japanese; keyboard, 360 px, no scripts";
export const needs = ["chromium"];

/** The table that the generator's own test reads. */
const TABLE = join(root, "generator/src/search/tokens.json");

/**
 * What is asked where: a query string, and the paths that come first. `only` names all that may come; `count` is that
 * of all results.
 */
const QUESTIONS = [
  { site: "nationwide", ask: "q=pans", first: ["/products/iron-frying-pan/", "/products/enamel-milk-pan/"] },
  { site: "nationwide", ask: "q=how long does delivery take", first: ["/help/delivery/"] },
  { site: "nationwide", ask: "q=clay-rice-pot", first: ["/products/clay-rice-pot/"] },
  { site: "nationwide", ask: "q=CLAY-rice-pot", first: ["/products/clay-rice-pot/"] },
  { site: "nationwide", ask: "kind=bath", count: 5 },
  { site: "nationwide", ask: "kind=kitchen&max=6000&sort=price", first: ["/products/cypress-board/"], under: 6000 },
  { site: "nationwide", ask: "min=10000&sort=-price", over: 10000 },
  { site: "nationwide", ask: "q=zzyzx", count: 0 },
  { site: "nationwide", ask: "q=umbrella+zzyzx", first: ["/products/sixteen-rib-umbrella/"] },
  { site: "nationwide", at: "/ja/search/", ask: "q=土鍋", first: ["/ja/recommendation/", "/products/clay-rice-pot/"] },
  { site: "nationwide", at: "/ja/search/", ask: "q=ﾌﾗｲﾊﾟﾝ", first: ["/products/iron-frying-pan/"] },
  { site: "nationwide", at: "/ja/search/", ask: "q=傘", first: ["/products/sixteen-rib-umbrella/"] },
  { site: "harbor-shop", ask: "q=opening hours", first: ["/local/opening-hours/"] },
  { site: "harbor-shop", ask: "q=tea", first: ["/products/sencha-teapot/"] },
  { site: "sapporo", ask: "q=streetcar", first: ["/guide/subway-and-streetcar/"] },
  { site: "sapporo", at: "/ja/search/", ask: "q=昆布", first: ["/products/rishiri-kelp/"] },
];

export async function check(world) {
  const browser = await world.browser();
  const faults = [];
  const told = (where) => (what) => faults.push({ where, what });
  const context = await browser.newContext({ reducedMotion: "reduce", viewport: { width: 1280, height: 900 } });
  const tab = await context.newPage();
  tab.on("console", (message) => message.type() === "error" && told(tab.url())(`the console says ${message.text()}`));
  const origin = (name) => world.sites.find((site) => site.name === name).origin;
  for (const question of QUESTIONS) {
    const address = `${origin(question.site)}${question.at ?? "/search/"}?${question.ask}`;
    (await answers(tab, address, question)).forEach(told(`${question.site} ${question.at ?? "/search/"}?${question.ask}`));
  }
  (await words(tab, origin("nationwide"))).forEach(told("search.js"));
  (await keyboard(tab, origin("nationwide"))).forEach(told("the keyboard"));
  (await narrow(tab, origin("nationwide"))).forEach(told("360 px"));
  (await updated(context, origin("nationwide"))).forEach(told("a site that was just updated"));
  await context.close();
  (await plain(browser, origin("nationwide"))).forEach(told("without scripts"));
  return faults;
}

/** What is wrong with the answer to one question. */
async function answers(tab, address, { first = [], count, under = Infinity, over = -Infinity }) {
  const found = await ask(tab, address);
  const paths = found.items.map((item) => item.path);
  const faults = [];
  const missing = first.filter((path) => !paths.slice(0, first.length).includes(path));
  if (missing.length > 0) {
    faults.push(`${missing.join(", ")} should come first, and what comes is ${paths.slice(0, 4).join(", ") || "nothing"}`);
  }
  if (count !== undefined && paths.length !== count) {
    faults.push(`finds ${paths.length}, not ${count}`);
  }
  const prices = found.items.map((item) => item.price);
  if (!prices.every((price) => Number.isNaN(price) || (price <= under && price >= over))) {
    faults.push(`prices out of range: ${prices.join(", ")}`);
  }
  if (/sort=/.test(address) && prices.some((price, at) => at > 0 && (price - prices[at - 1]) * (/sort=-/.test(address) ? -1 : 1) < 0)) {
    faults.push(`prices not in order: ${prices.join(", ")}`);
  }
  if (found.items.some((item) => item.path.startsWith("/products/") && item.path !== "/products/" && !(item.price > 0 && item.stock && item.picture))) {
    faults.push("a product without picture, price or stock");
  }
  return faults;
}

/** Opens an address, and reads the list when the page says how many results there are. */
async function ask(tab, address) {
  await tab.goto(address, { waitUntil: "load" });
  return listed(tab);
}

async function listed(tab) {
  await tab.waitForFunction(() => document.querySelector("[data-found-count]").textContent !== "");
  return tab.evaluate(() => ({
    says: document.querySelector("[data-found-count]").textContent,
    browse: !document.querySelector("[data-search-browse]").hidden,
    items: [...document.querySelectorAll("[data-found-list] > li")].map((item) => ({
      path: new URL(item.querySelector("a").href).pathname,
      price: Number.parseFloat(item.querySelector(".price")?.textContent.replace(/[^\d.]/g, "")),
      stock: item.querySelector(".stock")?.textContent,
      picture: item.querySelector("img")?.getAttribute("src"),
    })),
  }));
}

/** The words of the table, as the browser cuts them. */
async function words(tab, origin) {
  const table = JSON.parse(await readFile(TABLE, "utf8"));
  await tab.goto(`${origin}/search/`);
  const cut = await tab.evaluate(async (table) => {
    const { terms } = await import("/search.js");
    return table.map(([lang, text]) => terms(text, lang));
  }, table);
  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
  return table.flatMap(([lang, text, expected], at) =>
    same(cut[at], expected) ? [] : [`cuts \`${text}\` (${lang}) into ${JSON.stringify(cut[at])}, not ${JSON.stringify(expected)}`],
  );
}

/** From the box in the masthead to a result, with keys alone; the address can be shared and gone back from. */
async function keyboard(tab, origin) {
  const faults = [];
  await tab.goto(`${origin}/`);
  for (let presses = 0; presses < 40 && (await focused(tab)) !== "finder"; presses += 1) {
    await tab.keyboard.press("Tab");
  }
  await tab.keyboard.type("broom");
  await Promise.all([tab.waitForURL(/\/search\/\?q=broom/), tab.keyboard.press("Enter")]);
  const broom = await listed(tab);
  if (broom.items[0]?.path !== "/products/long-broom/") {
    faults.push(`the box in the masthead leads to ${broom.items[0]?.path}`);
  }
  await tab.focus("#search-kind");
  await tab.keyboard.type("Bath");
  await tab.waitForURL(/kind=bath/);
  await tab.goBack();
  await tab.waitForFunction(() => document.querySelector("#search-kind").value === "");
  await tab.focus("#search-q");
  await tab.keyboard.press("Control+a");
  await tab.keyboard.type("soap");
  await tab.keyboard.press("Enter");
  await tab.waitForURL(/q=soap/);
  await tab.waitForFunction(() => document.querySelector("[data-found-list] a")?.pathname === "/products/laundry-soap/");
  if ((await focused(tab)) !== "search-q") {
    faults.push("the field loses the focus");
  }
  if (!(await tab.locator("[data-found-count][aria-live=polite]").textContent()).match(/\d/)) {
    faults.push("the number of results is not said");
  }
  return faults;
}

const focused = (tab) => tab.evaluate(() => document.activeElement.id);

/** Nothing is wider than a small phone, before and after a question. */
async function narrow(tab, origin) {
  await tab.setViewportSize({ width: 360, height: 740 });
  const faults = [];
  for (const address of ["/search/", "/search/?q=rice", "/ja/search/?q=土鍋&max=20000", "/"]) {
    await tab.goto(origin + address, { waitUntil: "load" });
    if (address.includes("?")) {
      await listed(tab);
    }
    const over = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) {
      faults.push(`${address} is ${over} px wider than the window`);
    }
  }
  await tab.setViewportSize({ width: 1280, height: 900 });
  return faults;
}

/** A browser may keep the list of files of a site that has other files since. */
async function updated(context, origin) {
  const tab = await context.newPage();
  let stale = true;
  await tab.route("**/search/en/index.json", async (route) => {
    const response = await route.fetch();
    const head = await response.json();
    if (stale) {
      stale = false;
      head.words = head.words.map(([first]) => [first, "000000000000"]);
    }
    await route.fulfill({ response, json: head });
  });
  const found = await ask(tab, `${origin}/search/?q=broom`);
  await tab.close();
  return found.items[0]?.path === "/products/long-broom/" ? [] : [`finds ${found.items[0]?.path}: ${found.says}`];
}

/** Without scripts the page still leads to every product. */
async function plain(browser, origin) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const tab = await context.newPage();
  await tab.goto(`${origin}/search/?q=broom`);
  const links = await tab.locator("[data-search-browse] a:visible").count();
  const products = await tab.locator("[data-search-browse] h3:visible").count();
  const results = await tab.locator("[data-search-index]:visible").count();
  await context.close();
  const faults = [];
  if (links !== 40 || products !== 8) {
    faults.push(`shows ${links} products of ${products} kinds`);
  }
  if (results !== 0) {
    faults.push("shows an empty list of results");
  }
  return faults;
}
