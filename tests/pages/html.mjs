// Every page through html-validate; every page, style sheet and picture through the Nu Html Checker as well.

import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { HtmlValidate } from "html-validate";
import { pages } from "./harness/crawl.mjs";

export const looks = "html-validate and the Nu Html Checker: pages, style sheets, SVG";
export const needs = ["java"];

/** The rules of html-validate that are turned off, each with its reason. */
const TURNED_OFF = {
  "doctype-style": "the standard reads it in any case; the sites write it as the minifier does",
  "void-style": "Markdown's own pictures end in a slash, which means nothing",
};

/** What the Nu Html Checker says that is no fault here, each with its reason. */
const NO_FAULT = [
  { says: /^Trailing slash on void elements/, because: "Markdown's own pictures end in a slash, which means nothing" },
];

const KINDS = { "text/html": "html", "text/css": "css", "image/svg+xml": "svg" };

export async function check(world) {
  return [...(await htmlValidate(world.sites)), ...(await nu(world))];
}

async function htmlValidate(sites) {
  const rules = Object.fromEntries(Object.keys(TURNED_OFF).map((rule) => [rule, "off"]));
  const validator = new HtmlValidate({ extends: ["html-validate:recommended", "html-validate:document"], rules });
  const faults = [];
  for (const site of sites) {
    for (const page of pages(site)) {
      const { results } = await validator.validateString(page.text, page.path);
      for (const { line, column, message, ruleId } of results.flatMap((result) => result.messages)) {
        faults.push({ where: `${site.name} ${page.path}:${line}:${column}`, what: `${message} [${ruleId}]` });
      }
    }
  }
  return faults;
}

/** One run over all files: the checker's start takes longer than a hundred pages. */
async function nu(world) {
  const folder = join(await world.folder(), "html");
  await mkdir(folder);
  const written = new Map();
  for (const site of world.sites) {
    for (const { type, path, status, body } of site.documents.values()) {
      if (status === 200 && KINDS[type]) {
        const file = join(folder, `${written.size}.${KINDS[type]}`);
        await writeFile(file, body);
        written.set(file, `${site.name} ${path}`);
      }
    }
  }
  const jar = createRequire(import.meta.url)("vnu-jar");
  const flags = ["-jar", jar, "--format", "json", "--exit-zero-always", "--stdout", "--also-check-css", "--also-check-svg"];
  const { stdout } = await promisify(execFile)("java", [...flags, folder], { maxBuffer: 1 << 28 });
  const said = JSON.parse(stdout).messages.filter(({ message }) => !NO_FAULT.some(({ says }) => says.test(message)));
  return said.map(({ url, lastLine, firstColumn, type, message }) => {
    const where = `${written.get(new URL(url).pathname)}:${lastLine}:${firstColumn ?? 1}`;
    return { where, what: `${type}: ${message} [nu]` };
  });
}
