// The content security policy that pages are served with, held against every page of the main site and each page of a
// partner's that is its own: what the policy forbids a page to load or run, and what fails to load.

import { pages } from "./harness/crawl.mjs";

export const looks = "policy: nothing on any page is forbidden by its own policy, and nothing fails to load";
export const needs = ["chromium"];

/** How long a page may take to load: a busy machine is no fault of the page. */
const MOST_MILLISECONDS = 120_000;

/** Pages that are looked at side by side. */
const LANES = 3;

export async function check(world) {
  const browser = await world.browser();
  const waiting = world.sites.flatMap((site) => pages(site).map((page) => ({ site, page })));
  const faults = [];
  const lane = async () => {
    const context = await browser.newContext();
    await context.addInitScript(() => {
      globalThis.forbidden = [];
      document.addEventListener("securitypolicyviolation", (violation) => {
        globalThis.forbidden.push(`${violation.effectiveDirective} forbids ${violation.blockedURI} (${violation.sample})`);
      });
    });
    const tab = await context.newPage();
    tab.setDefaultTimeout(MOST_MILLISECONDS);
    let failed = [];
    tab.on("requestfailed", (request) => {
      // What was still to come when the next page was asked for did not fail.
      if (request.failure()?.errorText !== "net::ERR_ABORTED") {
        failed.push(`${request.url()} fails to load: ${request.failure()?.errorText}`);
      }
    });
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      failed = [];
      const response = await tab.goto(next.page.url, { waitUntil: "load" });
      const where = `${next.site.name} ${next.page.path}`;
      if (!response.headers()["content-security-policy"]?.includes("default-src 'self'")) {
        faults.push({ where, what: "is served without the policy" });
      }
      const found = [...(await tab.evaluate(() => globalThis.forbidden)), ...failed];
      faults.push(...found.map((what) => ({ where, what })));
    }
    await context.close();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return faults;
}
