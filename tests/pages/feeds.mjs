// Feeds, sitemaps and robots.txt: against their schemas, and against the site that serves them.

import { readFile } from "node:fs/promises";
import { DOMParser } from "@xmldom/xmldom";
import Ajv from "ajv";
import robotsParser from "robots-parser";
import { validateXML } from "xmllint-wasm";
import { attribute, elements, pages, pathWithin } from "./harness/crawl.mjs";

export const looks = "Atom, RSS, JSON Feed and sitemaps against their schemas; robots.txt";

const ATOM = "http://www.w3.org/2005/Atom";

/** What each media type is checked by. */
const KINDS = {
  "application/atom+xml": { schema: "atom.rng", also: ofAtom },
  "application/rss+xml": { schema: "rss.rng", also: ofRss },
  "application/feed+json": { also: ofJson },
  "application/xml": { schema: "sitemap.rng", also: () => [] },
};

export async function check({ sites }) {
  const faults = [];
  const met = new Set();
  for (const site of sites) {
    for (const document of site.documents.values()) {
      const kind = document.status === 200 && KINDS[document.type];
      if (kind) {
        met.add(document.type);
        const found = kind.schema ? await bySchema(document, kind.schema) : [];
        // A document that is no such thing at all is not asked further.
        found.push(...(found.length > 0 ? [] : await kind.also(document, site)));
        faults.push(...found.map((what) => ({ where: `${site.name} ${document.path}`, what })));
      }
    }
    faults.push(...ofSitemap(site), ...ofRobots(site).map((what) => ({ where: site.name, what })));
  }
  const unmet = Object.keys(KINDS).filter((type) => !met.has(type));
  return [...faults, ...unmet.map((type) => ({ where: "all sites", what: `nothing of type ${type} is served anywhere` }))];
}

async function bySchema(document, name) {
  const schema = await readFile(new URL(`schemas/${name}`, import.meta.url), "utf8");
  const { errors } = await validateXML({ xml: document.text, schema, extension: "relaxng" });
  return errors.map(({ loc, message }) => `line ${loc?.lineNumber ?? "?"}: ${message} [${name}]`);
}

/** What RFC 4287 says in words: 4.1.1, 4.1.2 and 4.2.6. */
function ofAtom(document, site) {
  const feed = new DOMParser().parseFromString(document.text, "text/xml").documentElement;
  const entries = children(feed, ATOM, "entry");
  const ids = entries.map((entry) => textOf(entry, ATOM, "id"));
  const faults = repeated(ids).map((id) => `two entries have the id ${id}`);
  if (children(feed, ATOM, "author").length === 0 && entries.some((entry) => children(entry, ATOM, "author").length === 0)) {
    faults.push("an entry has no author, and neither has the feed");
  }
  for (const entry of entries) {
    const linked = links(entry).filter(({ rel }) => rel === "alternate");
    if (linked.length !== 1 && children(entry, ATOM, "content").length === 0) {
      faults.push(`entry ${textOf(entry, ATOM, "id")} has neither content nor one alternate link`);
    }
  }
  return [...faults, ...itself(links(feed), document, site)];
}

function ofRss(document, site) {
  const channel = new DOMParser().parseFromString(document.text, "text/xml").getElementsByTagName("channel")[0];
  const guids = children(channel, null, "item").map((item) => textOf(item, null, "guid"));
  return [...repeated(guids).map((guid) => `two items have the guid ${guid}`), ...itself(links(channel), document, site)];
}

async function ofJson(document, site) {
  const schema = JSON.parse(await readFile(new URL("schemas/feed.json", import.meta.url), "utf8"));
  const valid = new Ajv({ allErrors: true }).compile(schema);
  const feed = JSON.parse(document.text);
  if (!valid(feed)) {
    return valid.errors.map(({ instancePath, message }) => `${instancePath || "the feed"} ${message} [feed.json]`);
  }
  const faults = repeated(feed.items.map(({ id }) => id)).map((id) => `two items have the id ${id}`);
  return [...faults, ...itself([{ rel: "self", href: feed.feed_url }], document, site)];
}

/** A feed names the address that it is served at. */
function itself(found, document, site) {
  const self = found.find(({ rel }) => rel === "self");
  const right = self && URL.canParse(self.href) && pathWithin(site, new URL(self.href)) === document.path;
  return right ? [] : [`its link to itself is ${self?.href}`];
}

/** Every page that a search engine may list stands in the sitemap, and nothing else does. */
function ofSitemap(site) {
  const listed = new Set();
  for (const document of site.documents.values()) {
    if (document.type === "application/xml" && document.status === 200) {
      const found = document.references.filter((reference) => reference.attribute === "loc");
      found.map(({ to }) => pathWithin(site, to)).filter((path) => path?.endsWith(".xml") === false).forEach((path) => listed.add(path));
    }
  }
  const wanted = new Set(pages(site).filter((page) => isListable(site, page)).map(({ path }) => path));
  const isPicture = (path) => site.documents.get(path)?.type.startsWith("image/");
  const fault = (what) => (path) => ({ where: `${site.name} ${path}`, what });
  return [
    ...[...wanted].filter((path) => !listed.has(path)).map(fault("is missing in the sitemap")),
    ...[...listed].filter((path) => !wanted.has(path) && !isPicture(path))
      .map(fault("is in the sitemap, but names another address as its own or asks not to be indexed")),
  ];
}

/** A page that says it may be listed under the address at which it was found. */
function isListable(site, page) {
  const all = [...elements(page.tree)];
  const canonical = all.find((element) => element.tagName === "link" && attribute(element, "rel") === "canonical");
  const robots = all.find((element) => element.tagName === "meta" && attribute(element, "name") === "robots");
  const refused = robots && /noindex|none/.test(attribute(robots, "content"));
  return canonical && attribute(canonical, "href") === site.base + page.path && !refused;
}

/** RFC 9309: it can be read, lets every page be read, and leads to the sitemap. */
function ofRobots(site) {
  const robots = site.documents.get("/robots.txt");
  if (robots?.status !== 200) {
    return ["there is no robots.txt"];
  }
  const odd = robots.text.split(/\r?\n/).filter((line) => !/^\s*(#.*)?$|^\s*[A-Za-z-]+\s*:/.test(line));
  const rules = robotsParser(`${site.base}/robots.txt`, robots.text);
  const shut = pages(site).filter(({ path }) => rules.isDisallowed(site.base + path, "Googlebot"));
  const maps = rules.getSitemaps();
  return [
    ...odd.map((line) => `robots.txt has a line that is no rule: ${line}`),
    ...shut.map(({ path }) => `robots.txt shuts ${path}`),
    ...(maps.includes(`${site.base}/sitemap.xml`) ? [] : [`robots.txt names ${maps.join(", ") || "no sitemap"}`]),
  ];
}

function children(parent, namespace, name) {
  return [...parent.childNodes].filter((node) => node.localName === name && (node.namespaceURI ?? null) === namespace);
}

function textOf(parent, namespace, name) {
  return children(parent, namespace, name)[0]?.textContent;
}

function links(parent) {
  return children(parent, ATOM, "link").map((link) => ({ rel: link.getAttribute("rel") || "alternate", href: link.getAttribute("href") }));
}

function repeated(values) {
  return values.filter((value, at) => value !== undefined && values.indexOf(value) < at);
}
