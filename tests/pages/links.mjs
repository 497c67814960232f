// Every address in every page, style sheet, feed and sitemap is answered, and every anchor is there.

import { attribute, elements, pathWithin } from "./harness/crawl.mjs";

export const looks = "every internal link, anchor, image and style sheet answers 200";

export async function check({ sites }) {
  return sites.flatMap((site) => [...site.documents.values()].flatMap((document) => ofDocument(sites, site, document)));
}

function ofDocument(sites, site, document) {
  const faults = [];
  if (document.status >= 500) {
    faults.push({ where: `${site.name} ${document.path}`, what: `answers ${document.status}` });
  }
  for (const reference of document.references) {
    // A page may name a sister site, as a canonical address does; that must be there too.
    const owner = sites.find((candidate) => pathWithin(candidate, reference.to) !== undefined);
    const wrong = owner && fault(owner, reference);
    if (wrong) {
      const what = `<${reference.element} ${reference.attribute}> ${reference.to} ${wrong}`;
      faults.push({ where: `${site.name} ${document.path}`, what });
    }
  }
  return faults;
}

/** What is wrong with a reference to a page of `owner`. */
function fault(owner, { to, element }) {
  const target = owner.documents.get(pathWithin(owner, to));
  if (!target) {
    return "is not served";
  }
  // An old address may lead on, but no page of ours should still use it.
  if (target.status !== 200) {
    return `answers ${target.status}`;
  }
  if (to.hash && target.tree && element === "a" && !anchors(target).has(decodeURIComponent(to.hash.slice(1)))) {
    return "has no such anchor";
  }
  return undefined;
}

function anchors(document) {
  document.anchors ??= new Set([...elements(document.tree)].flatMap((element) => attribute(element, "id") ?? []));
  return document.anchors;
}
