// Everything that a site serves, found as a visitor and a search engine find it: from the first page, robots.txt and
// the sitemap on, by every address in pages, style sheets and feeds.

import { parse } from "parse5";

/** Where a crawl begins beside the first page; a site need not have them all. */
const BEGINNINGS = ["/", "/robots.txt", "/sitemap.xml", "/404.html"];

/** How many requests are under way at once. */
const LANES = 8;

/**
 * @typedef {{name: string, origin: string, base: string, documents: Map<string, Document>}} Site
 * @typedef {{path: string, url: string, status: number, type: string, headers: Headers, body: Buffer, text: string,
 *   tree: object | undefined, references: Reference[], from: string | undefined}} Document
 *   `tree` is that of parse5, of HTML alone; `from` is the first place where the path stood
 * @typedef {{to: URL, element: string, attribute: string}} Reference `to` is resolved against the document
 */

/** Reads all of `site`. @returns {Promise<Site>} */
export async function crawl(site) {
  const documents = new Map();
  const waiting = BEGINNINGS.map((path) => ({ path, from: undefined }));
  const seen = new Set(BEGINNINGS);
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const document = await read(site, next.path, next.from);
      if (document.status === 404 && next.from === undefined) {
        continue;
      }
      documents.set(next.path, document);
      for (const { to } of document.references) {
        const path = pathWithin(site, to);
        if (path !== undefined && !seen.has(path)) {
          seen.add(path);
          waiting.push({ path, from: document.path });
        }
      }
    }
  };
  // A lane that finds nothing to do ends, and the next round picks up what others found meanwhile.
  while (waiting.length > 0) {
    await Promise.all(Array.from({ length: LANES }, lane));
  }
  return { ...site, documents };
}

/** The pages of a site: its HTML documents that were found. */
export function pages(site) {
  return [...site.documents.values()].filter((document) => document.tree && document.status === 200);
}

/** The path with query under which `site` serves `url`; undefined where the address is not its own. */
export function pathWithin(site, url) {
  return url.origin === site.origin || url.origin === new URL(site.base).origin ? url.pathname + url.search : undefined;
}

/** Every element of a parse5 tree or node. */
export function* elements(node) {
  for (const child of node.childNodes ?? []) {
    if (child.tagName) {
      yield child;
    }
    yield* elements(child);
    if (child.content) {
      yield* elements(child.content);
    }
  }
}

/** An attribute's value; undefined where the element does not have it. */
export function attribute(element, name) {
  return element.attrs.find((candidate) => candidate.name === name)?.value;
}

/** All text below a node. */
export function textOf(node) {
  return node.value ?? (node.childNodes ?? []).map(textOf).join("");
}

async function read(site, path, from) {
  const url = site.origin + path;
  const response = await fetch(url, { redirect: "manual" });
  const body = Buffer.from(await response.arrayBuffer());
  const type = (response.headers.get("content-type") ?? "").split(";")[0];
  const text = /^(text|application\/(.*\+)?(xml|json|javascript))/.test(type) || type === "image/svg+xml" ? body.toString() : "";
  const tree = type === "text/html" ? parse(text, { sourceCodeLocationInfo: true }) : undefined;
  const document = { path, url, status: response.status, type, headers: response.headers, body, text, tree, from };
  const location = response.headers.get("location");
  const found = location ? [["redirect", "location", location]] : references(document);
  return { ...document, references: [...resolved(found, url)] };
}

function* resolved(found, base) {
  for (const [element, attribute, value] of found) {
    const to = URL.parse ? URL.parse(value, base) : tryParse(value, base);
    if (to) {
      yield { to, element, attribute };
    }
  }
}

function tryParse(value, base) {
  try {
    return new URL(value, base);
  } catch {
    return undefined;
  }
}

function references({ type, text, tree }) {
  if (tree) {
    return [...elements(tree)].flatMap(ofElement);
  }
  if (type === "text/css") {
    return matches(text, /url\(\s*["']?([^"')]+)/g, "url");
  }
  if (type.endsWith("xml") && type !== "image/svg+xml") {
    return [...matches(text, /<(?:image:)?loc>([^<]+)</g, "loc"), ...matches(text, /<link[^>]*href="([^"]+)"/g, "href"),
      ...matches(text, /<link>([^<]+)</g, "link"), ...matches(text, /xml-stylesheet[^>]*href="([^"]+)"/g, "href")];
  }
  return type === "text/plain" ? matches(text, /^sitemap:\s*(\S+)/gim, "sitemap") : [];
}

function matches(text, pattern, name) {
  return [...text.matchAll(pattern)].map(([, value]) => ["text", name, value.replaceAll("&amp;", "&").trim()]);
}

/** The addresses in one element. */
function ofElement(element) {
  const one = (name) => {
    const value = attribute(element, name);
    return value === undefined ? [] : [[element.tagName, name, value]];
  };
  const sources = (attribute(element, "srcset") ?? attribute(element, "imagesrcset") ?? "").split(",");
  const sets = sources.map((source) => source.trim().split(/\s+/)[0]).filter(Boolean);
  const found = ["href", "src", "poster", "data"].flatMap(one).concat(sets.map((value) => [element.tagName, "srcset", value]));
  const property = attribute(element, "property") ?? attribute(element, "name") ?? "";
  if (element.tagName === "meta" && /^(og:(url|image)|twitter:image)$/.test(property)) {
    found.push(["meta", property, attribute(element, "content") ?? ""]);
  }
  if (element.tagName === "form" && (attribute(element, "method") ?? "get").toLowerCase() === "get") {
    found.push(...one("action"));
  }
  return found;
}
