// What pages say of themselves in the words of schema.org: it can be read, is whole, and agrees with what is shown.

import jsonld from "jsonld";
import { attribute, elements, pages, pathWithin, textOf } from "./harness/crawl.mjs";

export const looks = "JSON-LD of every page: parsed, whole, and as the page shows it";

const SCHEMA = "https://schema.org/";

/** The part of schema.org that the sites use: what a search engine needs of each type, and what it may have besides. */
const ORGANIZATION = {
  needs: ["name", "url"],
  may: ["logo", "description", "sameAs", "email", "telephone", "address", "legalName"],
};
const TYPES = {
  Product: { needs: ["name", "image", "description", "offers"], may: ["url", "sku", "gtin", "mpn", "brand"] },
  Offer: { needs: ["price", "priceCurrency", "availability", "url"], may: ["seller"] },
  Article: {
    needs: ["headline", "datePublished", "dateModified", "author", "publisher", "mainEntityOfPage"],
    may: ["description", "image", "inLanguage"],
  },
  BreadcrumbList: { needs: ["itemListElement"], may: [] },
  ListItem: { needs: ["position", "name", "item"], may: [] },
  Organization: ORGANIZATION,
  OnlineStore: ORGANIZATION,
  Store: ORGANIZATION,
  NewsMediaOrganization: ORGANIZATION,
  PostalAddress: {
    needs: ["addressCountry"],
    may: ["streetAddress", "addressLocality", "addressRegion", "postalCode"],
  },
  WebSite: { needs: ["name", "url"], may: ["inLanguage", "publisher", "potentialAction"] },
  Brand: { needs: ["name"], may: [] },
  Person: { needs: ["name"], may: ["url"] },
};

/** How values are written, where schema.org or ISO says so. */
const FORMS = {
  price: /^\d+(\.\d+)?$/,
  priceCurrency: /^[A-Z]{3}$/,
  availability: /^https:\/\/schema\.org\/(InStock|OutOfStock|PreOrder|BackOrder|Discontinued|LimitedAvailability)$/,
  datePublished: /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d))?$/,
  dateModified: /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d))?$/,
  headline: /^.{1,110}$/,
  addressCountry: /^[A-Z]{2}$/,
};

/** Properties whose values are addresses of pages or pictures. */
const ADDRESSES = ["url", "item", "image", "logo", "mainEntityOfPage"];

export async function check({ sites }) {
  const faults = [];
  for (const site of sites) {
    for (const page of pages(site).filter(({ path }) => path !== "/404.html")) {
      const found = await ofPage(sites, site, page).catch((error) => [`${error.name}: ${error.message}`]);
      faults.push(...found.map((what) => ({ where: `${site.name} ${page.path}`, what })));
    }
  }
  return faults;
}

async function ofPage(sites, site, page) {
  const nodes = [];
  for (const script of named(page, "script").filter((script) => attribute(script, "type") === "application/ld+json")) {
    // Read as a machine reads it: what has no meaning is an error and not dropped in silence.
    const expanded = await jsonld.expand(JSON.parse(textOf(script)), { documentLoader, safe: true });
    nodes.push(...expanded.flatMap(typed));
  }
  return [...nodes.flatMap((node) => ofNode(sites, node)), ...ofKind(site, page, nodes)];
}

/** The context of schema.org as far as it matters here, since nothing is fetched. */
async function documentLoader(url) {
  if (!/^https?:\/\/schema\.org\/?$/.test(url)) {
    throw new Error(`the context ${url} is not that of schema.org`);
  }
  const address = { "@type": "@id" };
  const context = { "@vocab": SCHEMA, url: address, item: address, image: address, logo: address, sameAs: address,
    mainEntityOfPage: address, availability: address };
  return { contextUrl: null, documentUrl: url, document: { "@context": context } };
}

/** Every node with a type, with the types and properties by their short names. */
function typed(node) {
  if (node === null || typeof node !== "object") {
    return [];
  }
  const inner = Object.values(node).flat().flatMap(typed);
  const types = (node["@type"] ?? []).filter((type) => typeof type === "string" && type.startsWith(SCHEMA));
  if (types.length === 0 || "@value" in node) {
    return inner;
  }
  const properties = Object.entries(node).filter(([name]) => name.startsWith(SCHEMA));
  const short = Object.fromEntries(properties.map(([name, values]) => [name.slice(SCHEMA.length), values]));
  return [{ type: types[0].slice(SCHEMA.length), properties: short }, ...inner];
}

function ofNode(sites, { type, properties }) {
  const known = TYPES[type];
  if (!known) {
    return [`${type} is not among the types in jsonld.mjs`];
  }
  const lacking = known.needs.filter((name) => !(name in properties)).map((name) => `${type} lacks ${name}`);
  const unknown = Object.keys(properties).filter((name) => !known.needs.includes(name) && !known.may.includes(name));
  const wrong = Object.entries(properties).flatMap(([name, values]) => {
    return values.map(plain).flatMap((value) => misformed(sites, name, value)).map((what) => `${type}: ${what}`);
  });
  return [...lacking, ...unknown.map((name) => `${type} has ${name}, which jsonld.mjs does not know`), ...wrong];
}

/** A value as it was written. */
function plain(value) {
  return value["@value"] ?? value["@id"];
}

function misformed(sites, name, value) {
  if (value === undefined) {
    return [];
  }
  if (FORMS[name] && !FORMS[name].test(String(value))) {
    return [`${name} is ${value}`];
  }
  if (!ADDRESSES.includes(name)) {
    return [];
  }
  if (!URL.canParse(value) || !/^https?:/.test(value)) {
    return [`${name} is no whole address: ${value}`];
  }
  const to = new URL(value);
  const owner = sites.find((site) => pathWithin(site, to) !== undefined);
  // A picture need not be shown on the page at all, so the crawl may not have met it.
  const target = owner?.documents.get(pathWithin(owner, to));
  return owner && target?.status !== 200 ? [`${name} is not served: ${value}`] : [];
}

/** What a page must say because of what it is, and whether it says what it shows. */
function ofKind(site, page, nodes) {
  const of = (type) => nodes.filter((node) => node.type === type || TYPES[type] === TYPES[node.type]);
  const isHome = page.path === "/";
  const isProduct = named(page, "body").some((body) => attribute(body, "class")?.includes("product-page"));
  const isArticle = /^\/news\/[^/]+\/$/.test(page.path);
  const wanted = { Organization: isHome, WebSite: isHome, Product: isProduct, Article: isArticle };
  const faults = Object.keys(wanted).filter((type) => wanted[type] && of(type).length === 0).map((type) => `has no ${type}`);
  const [product] = of("Product");
  if (product) {
    const shown = textOf(all(page, "class", "price")[0]).replace(/[^\d]/g, "");
    const [offer] = of("Offer");
    const price = plain(offer.properties.price?.[0] ?? {});
    faults.push(...(String(price) === shown ? [] : [`shows the price ${shown}, and says ${price}`]));
  }
  return [...faults, ...ofTrail(page, of)];
}

/** The trail that machines read has the steps that people see. */
function ofTrail(page, of) {
  const trail = all(page, "class", "trail wrap")[0];
  if (!trail) {
    return [];
  }
  const shown = [...elements(trail)].filter(({ tagName }) => tagName === "li").length;
  const steps = of("ListItem").map(({ properties }) => plain(properties.position?.[0] ?? {}));
  const right = Array.from({ length: shown }, (_, at) => at + 1);
  return steps.join() === right.join() ? [] : [`shows a trail of ${shown} steps, and says ${steps.join() || "none"}`];
}

function named(page, tagName) {
  return [...elements(page.tree)].filter((element) => element.tagName === tagName);
}

function all(page, name, value) {
  return [...elements(page.tree)].filter((element) => attribute(element, name) === value);
}
