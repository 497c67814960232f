// axe-core in Chromium: every page once, and one page of each template in light and dark, wide and narrow. A tie-up
// page, which differs from main's by its slots alone, is looked at on main's site.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { attribute, elements, pages } from "./harness/crawl.mjs";
import { places } from "./harness/places.mjs";

export const looks = "axe: every page once; each template in light and dark at 1280 and 360 px";
export const needs = ["chromium"];

const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 360, height: 740 };

/** How a page is shown; the first alone to most pages. */
const FACES = [
  { name: "light 1280", colorScheme: "light", viewport: WIDE },
  { name: "dark 1280", colorScheme: "dark", viewport: WIDE },
  { name: "dark 360", colorScheme: "dark", viewport: NARROW },
  { name: "light 360", colorScheme: "light", viewport: NARROW },
];

/** How long a page may take to load: a busy machine is no fault of the page. */
const MOST_MILLISECONDS = 120_000;

/** Pages that are looked at side by side. */
const LANES = 3;

export async function check(world) {
  const browser = await world.browser();
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  const chosen = new Set(places(world.sites).map(({ page }) => page));
  const [main] = world.sites;
  const own = (site) => pages(site).filter((page) => site === main || chosen.has(page) || !isTieUp(main, page));
  const waiting = world.sites.flatMap((site) => own(site).map((page) => ({ site, page })));
  const faults = [];
  const lane = async () => {
    // The pages' own policy lets no script in, so axe is put there past it.
    const context = await browser.newContext({ bypassCSP: true, reducedMotion: "reduce" });
    await context.addInitScript(axe);
    const tab = await context.newPage();
    tab.setDefaultTimeout(MOST_MILLISECONDS);
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const faces = chosen.has(next.page) ? FACES : FACES.slice(0, 1);
      await tab.goto(next.page.url, { waitUntil: "load" });
      for (const face of faces) {
        faults.push(...(await look(tab, face)).map((what) => ({ where: `${next.site.name} ${next.page.path} ${face.name}`, what })));
      }
    }
    await context.close();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return faults;
}

/** Whether a page names main's as the one that it is a copy of. */
function isTieUp(main, page) {
  const link = [...elements(page.tree)].find((element) => attribute(element, "rel") === "canonical");
  return link !== undefined && attribute(link, "href") === main.base + page.path;
}

/** What axe finds in the page as it shows itself so, and whether it can be read without scrolling sideways. */
async function look(tab, { colorScheme, viewport }) {
  await tab.emulateMedia({ colorScheme });
  await tab.setViewportSize(viewport);
  return tab.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    const found = violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${help} [${id}]: ${node.html.slice(0, 160)}`));
    const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    return over > 0 ? [...found, `is ${over} px wider than the window`] : found;
  });
}
