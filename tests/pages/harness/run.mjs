// Runs the checks and prints one table. A check is a module beside package.json that exports
//
//   export const looks = "what it looks at, in a few words";
//   export const needs = ["chromium"];               // optional: programs beyond node
//   export async function check(world) { ... }       // what is wrong, as {where, what}: an empty list passes
//
// `world` is described in world.mjs. `run NAME ...` runs the checks of these names alone.

import { readdir } from "node:fs/promises";
import { basename } from "node:path";
import { pages } from "./crawl.mjs";
import { World, here } from "./world.mjs";

/** The most places that are listed of one fault. */
const MOST_PLACES = 3;

const required = process.env.CI === "true";
const asked = process.argv.slice(2);
const all = (await readdir(here)).filter((file) => file.endsWith(".mjs")).map((file) => basename(file, ".mjs")).sort();
const unknown = asked.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`error: there is no check \`${unknown[0]}\`\nhint: there are ${all.join(", ")}`);
  process.exit(2);
}

const world = new World();
// A run that is told to end still ends the servers it started.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => world.close().finally(() => process.exit(1)));
}
const counts = { passed: 0, failed: 0, skipped: 0 };
const faulty = [];
try {
  for (const name of asked.length > 0 ? asked : all) {
    const module = await import(new URL(`../${name}.mjs`, import.meta.url));
    const { verdict, faults, seconds } = await judge(module);
    counts[verdict] += 1;
    if (verdict === "failed") {
      faulty.push([name, faults]);
    }
    console.log(`  ${name.padEnd(12)} ${told(verdict, faults).padEnd(28)} ${seconds.toFixed(1).padStart(6)} s   ${module.looks}`);
  }
  faulty.forEach(([name, faults]) => list(name, faults));
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
} finally {
  await world.close();
}
// Said outright, for a program that does not end keeps node waiting.
process.exit(counts.failed > 0 ? 1 : 0);

/** Brings the sites up, and says what there is to look at. */
async function meet() {
  if (world.sites.length === 0) {
    await world.ready();
    for (const site of world.sites) {
      console.log(`  ${site.name}: ${pages(site).length} pages, ${site.documents.size} documents`);
    }
  }
}

/** What came of one check. */
async function judge(module) {
  const missing = (module.needs ?? []).filter((program) => !world.has(program));
  if (missing.length > 0) {
    const faults = [{ where: "this machine", what: `${missing.join(" and ")} not found` }];
    return { verdict: required ? "failed" : "skipped", faults, seconds: 0 };
  }
  await meet();
  const start = performance.now();
  const faults = await module.check(world).catch((error) => [{ where: "the check itself", what: error.stack ?? String(error) }]);
  return { verdict: faults.length > 0 ? "failed" : "passed", faults, seconds: (performance.now() - start) / 1000 };
}

function told(verdict, faults) {
  if (verdict === "skipped") {
    return `skipped: ${faults[0].what}`;
  }
  return verdict === "passed" ? "passed" : `FAILED: ${faults.length} faults`;
}

/** What is wrong, and where. */
function list(name, faults) {
  console.log(`\n${name}:`);
  for (const [what, places] of byFault(faults)) {
    const more = places.length > MOST_PLACES ? [`and ${places.length - MOST_PLACES} more places`] : [];
    console.log(`  ${what}\n${[...places.slice(0, MOST_PLACES), ...more].map((place) => `    ${place}\n`).join("")}`);
  }
}

/** The places of each fault: one mistake in a template is one mistake. */
function byFault(faults) {
  const places = new Map();
  for (const { where, what } of faults) {
    places.set(what, [...(places.get(what) ?? []), where]);
  }
  return places;
}
