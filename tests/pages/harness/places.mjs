// One page of each template on each site: where a look costs seconds, it is taken here.

/** Paths by site. A page that is no longer there is a fault of the check that uses the list. */
export const PLACES = {
  nationwide: [
    "/", // index.html
    "/products/", // products.html
    "/products/clay-rice-pot/", // product.html
    "/kinds/", // kinds.html
    "/kinds/kitchen/", // kind.html
    "/recommendation/", // recommendation.html
    "/news/", // news.html
    "/news/new-rice-iga/", // article.html, with a footnote
    "/help/", // section.html
    "/help/payment/", // page.html, with a table and an alert
    "/ja/", // index.html in Japanese
  ],
  "harbor-shop": [
    "/", // a tie-up page with the shop's slots
    "/products/clay-rice-pot/", // a tie-up page whose canonical address is main's
    "/local/", // the shop's own section in main's theme
    "/local/opening-hours/", // the shop's own page, with an alert
  ],
  sapporo: [
    "/", // index.html of the region theme
    "/news/", // news.html
    "/news/white-illumination/", // article.html
    "/guide/", // section.html
    "/guide/from-the-airport/", // guide.html, with stops
    "/guide/winter/", // guide.html, with a list of tasks, definitions and an alert
    "/products/", // products.html
    "/about/ordering/", // page.html
  ],
};

/** The pages of the list: `{site, page}`. */
export function places(sites) {
  return sites.flatMap((site) => {
    return PLACES[site.name].map((path) => {
      const page = site.documents.get(path);
      if (page?.status !== 200) {
        throw new Error(`${site.name} has no page ${path} any more: harness/places.mjs`);
      }
      return { site, page };
    });
  });
}
