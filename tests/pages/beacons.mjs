// Beacons of tie-up pages in a real browser: each of main's pages at a partner asks main for its beacon, once, without a
// cookie and without saying more than its origin, and its policy lets that through; no other page does.

import { setTimeout } from "node:timers/promises";
import { Demo } from "./harness/demo.mjs";

export const looks = "beacons: a browser asks main for the beacon of each tie-up page, and tells it the origin alone";
export const needs = ["chromium"];

/** How long a page may take to load: a busy machine is no fault of the page. */
const MOST_MILLISECONDS = 120_000;

/** Pages of the partner's, and whether they are main's. */
const PAGES = { "/": true, "/products/": true, "/company/repair/": true, "/local/": false };

export async function check(world) {
  const demo = await Demo.start(world.program("tieup-examples", "demo"), ["--beacons"]);
  const context = await (await world.browser()).newContext();
  try {
    const [main, shop] = ["nationwide", "harbor-shop"].map((name) => demo.sites.find((site) => site.name === name));
    // A cookie that main's site may have set some day is none of the beacon's business.
    await context.addCookies([{ name: "other", value: "x", url: main.origin }]);
    await known(`${main.origin}/tieup-beacon/`, shop.origin);
    const faults = [];
    for (const [path, isMains] of Object.entries(PAGES)) {
      const found = await look(context, main.origin, shop.origin + path);
      const expected = isMains ? [`${main.origin}/tieup-beacon${path}`] : [];
      const told = (what) => faults.push({ where: `harbor-shop ${path}`, what });
      if (found.beacons.map((beacon) => beacon.url).join() !== expected.join()) {
        told(`asks for ${found.beacons.map((beacon) => beacon.url).join() || "no beacon"}`);
      }
      found.forbidden.forEach(told);
      for (const { status, headers } of found.beacons) {
        if (status !== 204) told(`its beacon is answered by ${status}`);
        if (headers.origin !== shop.origin) told(`its beacon tells the origin ${headers.origin}`);
        if (headers.referer || headers.cookie) told(`its beacon tells ${headers.referer ?? headers.cookie}`);
      }
    }
    return faults;
  } finally {
    await context.close();
    await demo.stop();
  }
}

/** Waits until main has taken up that the partner's pages have beacons, which it does within seconds. */
async function known(beacon, origin) {
  const late = Date.now() + MOST_MILLISECONDS;
  while ((await fetch(beacon, { headers: { origin, "user-agent": "Mozilla/5.0" } })).status !== 204) {
    if (Date.now() > late) throw new Error(`main does not know ${beacon} of ${origin}`);
    await setTimeout(200);
  }
}

/** What a page asks main for, and what its policy forbids. */
async function look(context, main, url) {
  const tab = await context.newPage();
  tab.setDefaultTimeout(MOST_MILLISECONDS);
  await tab.addInitScript(() => {
    globalThis.forbidden = [];
    document.addEventListener("securitypolicyviolation", (violation) => {
      globalThis.forbidden.push(`${violation.effectiveDirective} forbids ${violation.blockedURI}`);
    });
  });
  const asked = [];
  tab.on("response", (response) => {
    if (response.url().startsWith(main)) {
      asked.push(response);
    }
  });
  await tab.goto(url, { waitUntil: "networkidle" });
  const forbidden = await tab.evaluate(() => globalThis.forbidden);
  const beacons = await Promise.all(
    asked.map(async (response) => ({
      url: response.url(),
      status: response.status(),
      headers: await response.request().allHeaders(),
    })),
  );
  await tab.close();
  return { beacons, forbidden };
}
