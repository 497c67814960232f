// `tieup preview` in Chromium: what an editor sees after each save, on a copy of the main site.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "./harness/world.mjs";

export const looks = "tieup preview: reload, styles, mistakes, partners, drafts, the time of a save";
export const needs = ["chromium"];

export async function check(world) {
  const preview = await Preview.start(world);
  const context = await (await world.browser()).newContext({ bypassCSP: true, viewport: { width: 1280, height: 900 } });
  const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
  await context.addInitScript(await readFile(axe, "utf8"));
  const tab = await context.newPage();
  const faults = [];
  try {
    for (const step of [saves, restyles, complains, leadsOn, switches, showsDrafts, isAccessible]) {
      await step(tab, preview).catch((error) => faults.push({ where: `preview ${step.name}`, what: error.message }));
    }
  } finally {
    await context.close();
    await preview.stop();
  }
  return faults;
}

/** A preview of a copy of the main site. */
class Preview {
  said = [];
  #child;
  #folder;

  static async start(world) {
    const preview = new Preview();
    preview.#folder = join(await world.folder(), "preview");
    await mkdir(preview.#folder);
    await cp(join(root, "sites/nationwide"), join(preview.#folder, "site"), { recursive: true });
    await cp(join(root, "themes"), join(preview.#folder, "themes"), { recursive: true });
    preview.#child = spawn(world.program("tieup-hub", "tieup"), ["preview", "--site", "site", "--port", "0"], {
      cwd: preview.#folder,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const lines = createInterface({ input: preview.#child.stdout });
    lines.on("line", (line) => preview.said.push(line));
    const [first] = await once(lines, "line");
    preview.origin = /http:\/\/[^/]+/.exec(first)[0];
    return preview;
  }

  /** Changes a file as an editor does. */
  async edit(file, change) {
    const path = join(this.#folder, file);
    await writeFile(path, change(await readFile(path, "utf8")));
  }

  async write(file, text) {
    await writeFile(join(this.#folder, file), text);
  }

  async stop() {
    if (this.#child.exitCode === null && this.#child.kill("SIGINT")) {
      await once(this.#child, "exit");
    }
  }
}

const DELIVERY = "site/content/help/delivery.md";

async function saves(tab, preview) {
  await tab.goto(`${preview.origin}/help/delivery/`);
  await tab.setViewportSize({ width: 1280, height: 400 });
  // At once: a theme that scrolls smoothly would still be under way when the page comes anew.
  await tab.evaluate(() => scrollTo({ top: 150, behavior: "instant" }));
  await preview.edit(DELIVERY, (text) => `${text}\nBrought by a tortoise.\n`);
  await tab.getByText("Brought by a tortoise.").waitFor();
  await tab.locator("output", { hasText: /^\d+ ms from save to browser$/ }).waitFor();
  assert.equal(await tab.evaluate(() => scrollY), 150, "the page did not stay where it was");
  assert.match(preview.said.at(-1), /^help\/delivery\.md saved: \d+ pages? changed, \d+ ms to the browser$/);
  await tab.setViewportSize({ width: 1280, height: 900 });
}

async function restyles(tab, preview) {
  await tab.evaluate(() => (globalThis.same = true));
  await preview.edit("themes/storefront/static/style.css", (text) => `${text}\nh1 { letter-spacing: 7px }\n`);
  await tab.waitForFunction(() => getComputedStyle(document.querySelector("h1")).letterSpacing === "7px");
  assert.equal(await tab.evaluate(() => globalThis.same), true, "the page was loaded again for its styles alone");
  await tab.waitForFunction(() => document.querySelectorAll("link[rel=stylesheet]").length === 1);
}

async function complains(tab, preview) {
  const overlay = tab.getByRole("alertdialog", { name: "1 mistake" });
  await preview.edit(DELIVERY, (text) => text.replace("title:", "tilte:"));
  await overlay.waitFor();
  assert.match(await overlay.innerText(), /did you mean `title`\?/);
  assert.match(await overlay.innerText(), /delivery\.md:\d+:1/);
  assert.equal(await overlay.evaluate((shown) => shown.matches(":focus")), true, "the overlay has no focus");
  await tab.getByText("Brought by a tortoise.").waitFor();
  await tab.keyboard.press("Escape");
  await overlay.waitFor({ state: "hidden" });
  await tab.reload();
  assert.equal(await overlay.isVisible(), false, "the overlay is back after it was hidden");
  await tab.getByRole("button", { name: "Show mistakes" }).click();
  await overlay.waitFor();
  await preview.edit(DELIVERY, (text) => text.replace("tilte:", "title:"));
  await overlay.waitFor({ state: "detached" });
}

/** A page that opens while it cannot be made comes by itself once it can be. */
async function leadsOn(tab, preview) {
  await preview.write("site/content/help/new.md", "---\ntitle: New\ntemplate: kind.html\n---\n[x](/nowhere/)\n");
  await tab.getByRole("alertdialog").waitFor();
  await tab.goto(`${preview.origin}/help/new/`);
  await preview.write("site/content/help/new.md", "---\ntitle: New\n---\nHere it is.\n");
  await tab.getByText("Here it is.").waitFor();
  await tab.getByRole("alertdialog").waitFor({ state: "detached" });
}

async function switches(tab, preview) {
  await tab.goto(`${preview.origin}/help/returns/`);
  await tab.getByLabel("Seen by").selectOption("harbor-shop");
  await tab.getByRole("link", { name: "Harbor Shop, Yokohama" }).waitFor();
  assert.equal(new URL(tab.url()).pathname, "/help/returns/");
  await tab.getByLabel("Outline slots").check();
  await tab.locator(".slots span", { hasText: "nav: sample" }).waitFor();
  await tab.getByRole("link", { name: "Opening hours" }).click();
  await tab.getByText("sample: the partner writes this page").waitFor();
  await tab.getByLabel("Seen by").selectOption("");
  await tab.getByText("404").waitFor();
}

async function showsDrafts(tab, preview) {
  await preview.write("site/content/help/drafted.md", "---\ntitle: Drafted\ndraft: true\n---\nNot yet.\n");
  await preview.write("site/content/help/later.md", "---\ntitle: Later\npublish: 2999-12-01\n---\nLater on.\n");
  await tab.goto(`${preview.origin}/help/drafted/`);
  await tab.getByText("404").waitFor();
  await tab.getByLabel("Drafts").check();
  await tab.getByText("Not yet.").waitFor();
  await tab.getByText("draft", { exact: true }).waitFor();
  await tab.goto(`${preview.origin}/help/later/`);
  await tab.getByText("404").waitFor();
  await tab.getByLabel("Future pages").check();
  await tab.getByText("live from 1 December 2999").waitFor();
}

/** What axe finds in bar and overlay, wide and narrow, and whether they make the page wider. */
async function isAccessible(tab, preview) {
  await preview.edit(DELIVERY, (text) => text.replace("title:", "tilte:"));
  await tab.getByRole("alertdialog").waitFor();
  for (const width of [1280, 390]) {
    await tab.setViewportSize({ width, height: 800 });
    const found = await tab.evaluate(async () => {
      const { violations } = await globalThis.axe.run("tieup-preview", { resultTypes: ["violations"] });
      const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      return [...violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), ...(over > 0 ? [`${over} px too wide`] : [])];
    });
    assert.deepEqual(found, [], `at ${width} px`);
  }
}
