// Finds pages and products in the index below /search/<language>/: files that were made with the site, and no server
// behind them. The index and the way words are cut are described in docs/content.md.

const FORMAT = 1;
const MOST_SHARDS = 4; // of terms, for one word that is the beginning of others
const AT_ONCE = 12; // results
const FEW = 12; // in stock

// Words.

const RUN =
  "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3005-\\u31ff\\u3400-\\u9fff\\uac00-\\ud7a3\\uf900-\\ufaff" +
  "\\u{20000}-\\u{3ffff}";
const PIECE = new RegExp(`[${RUN}]+|[^${RUN}]+`, "gu");
const IS_RUN = new RegExp(`^[${RUN}]`, "u");

const isEnglish = (lang) => lang.split("-")[0].toLowerCase() === "en";

function fold(text, lang) {
  const joined = isEnglish(lang) ? text.replace(/['’]/g, "") : text;
  const bare = joined.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  return bare.replace(/ς/g, "σ").normalize("NFC");
}

function stem(word, lang) {
  const cut = [...word].slice(0, 32).join("");
  if (!isEnglish(lang) || !/^[a-z]{4,}$/.test(cut)) return cut;
  const end = /(ss|us|is)$/.test(cut) ? "" : ["es", "s", "e"].find((end) => cut.endsWith(end) && cut.length >= end.length + 3);
  const root = end ? cut.slice(0, -end.length) : cut;
  return root.length >= 4 && root.endsWith("y") ? `${root.slice(0, -1)}i` : root;
}

function* parts(text, lang) {
  for (const [piece] of fold(text, lang).matchAll(/[\p{Alphabetic}\p{N}]+/gu)) {
    for (const [part] of piece.matchAll(PIECE)) {
      if (IS_RUN.test(part)) yield { run: [...part] };
      else yield { word: stem(part, lang) };
    }
  }
}

/** Every term that `text` is found under, as the generator cuts it. */
export function terms(text, lang) {
  const of = ({ word, run }) => (run ? run.map((c, at) => c + (run[at + 1] ?? "")) : [word]);
  return [...parts(text, lang)].flatMap(of);
}

/** What to look up for a question: terms, some of which may be the beginning of others. */
function lookups(text, lang) {
  const of = ({ word, run }) => {
    if (!run) return [{ term: word, begins: word.length >= 3 }];
    if (run.length === 1) return [{ term: run[0], begins: true }];
    return run.slice(1).map((c, at) => ({ term: run[at] + c, begins: false }));
  };
  const wanted = [...parts(text, lang)].flatMap(of);
  const whole = fold(text.trim(), lang);
  // The whole of what was written can be a product's id.
  if (whole && !/\s/u.test(whole)) wanted.push({ term: whole, begins: false, extra: true });
  return wanted;
}

// The index.

/** Terms are in the order of their characters, which is not that of JavaScript's strings. */
const order = (text) => Array.from(text, (c) => c.codePointAt(0).toString(16).padStart(6, "0")).join("");

function* postings(text) {
  let page = -1;
  for (const [, letters, weight] of text.matchAll(/([a-z]+)([1-9])/g)) {
    let gap = 0;
    for (const letter of letters) gap = gap * 26 + letter.charCodeAt(0) - 97;
    page += gap + 1;
    yield [page, Number(weight)];
  }
}

/** The index of one language, of which only what a question needs is fetched. */
export class Index {
  #folder;
  #head;
  #starts;
  #files = new Map();

  /** Opens the index in `folder`, such as `/search/en/`. */
  static async open(folder, cache = "default") {
    const index = new Index();
    index.#folder = folder;
    index.#head = await index.#fetch("index", cache);
    if (index.#head.format !== FORMAT) throw new Error(`the search index has format ${index.#head.format}`);
    index.#starts = index.#head.words.map(([first]) => order(first));
    return index;
  }

  async #fetch(name, cache = "default") {
    const response = await fetch(`${this.#folder}${name}.json`, { cache });
    if (!response.ok) throw new Error(`${response.status} for ${response.url}`);
    return response.json();
  }

  #file(name) {
    if (!this.#files.has(name)) this.#files.set(name, this.#fetch(name));
    return this.#files.get(name);
  }

  /** The terms that are `term`, or begin with it, with their postings. */
  async #matches({ term, begins }) {
    const at = order(term);
    const behind = this.#starts.findIndex((start) => start > at);
    const first = Math.max(0, (behind < 0 ? this.#starts.length : behind) - 1);
    const found = [];
    for (let shard = first; shard < Math.min(this.#starts.length, first + MOST_SHARDS); shard += 1) {
      if (shard > first && !(begins && this.#starts[shard].startsWith(at))) break;
      const words = await this.#file(this.#head.words[shard][1]);
      if (Object.hasOwn(words, term)) found.push({ postings: words[term], whole: true });
      if (!begins) continue;
      for (const [word, text] of Object.entries(words)) {
        if (word !== term && word.startsWith(term)) found.push({ postings: text, whole: false });
      }
    }
    return found;
  }

  /** How well each page answers one term. */
  async #scores(lookup) {
    const scores = new Map();
    for (const { postings: text, whole } of await this.#matches(lookup)) {
      const pages = [...postings(text)];
      const rare = Math.log(1 + this.#head.pages / pages.length) * (whole ? 1 : 0.4);
      for (const [page, weight] of pages) scores.set(page, Math.max(scores.get(page) ?? 0, weight * rare));
    }
    return scores;
  }

  /** The pages that have the words, best first, and whether each has all of them. */
  async #ranked(wanted) {
    const pages = new Map();
    let needed = 0;
    const found = await Promise.all(wanted.map((lookup) => this.#scores(lookup)));
    found.forEach((scores, at) => {
      const counts = !wanted[at].extra && !this.#head.common.includes(wanted[at].term);
      if (counts) needed += 1;
      for (const [page, score] of scores) {
        const before = pages.get(page) ?? { has: 0, score: 0 };
        pages.set(page, { has: before.has + (counts ? 1 : 0), score: before.score + score });
      }
    });
    const most = Math.max(0, ...Array.from(pages.values(), ({ has }) => has));
    const best = [...pages].filter(([, { has, score }]) => (has === most && score > 0) || has >= needed);
    best.sort(([a, one], [b, other]) => other.score - one.score || a - b);
    return { pages: best.map(([page]) => page), all: most >= needed };
  }

  async #products() {
    const products = new Map();
    if (!this.#head.products) return products;
    for (const [kind, list] of Object.entries(await this.#file(this.#head.products))) {
      for (const [page, price] of list) products.set(page, { kind, price: Number(price) });
    }
    return products;
  }

  /**
   * The numbers of the pages that answer a question, best first; `all` says whether they have every word of it.
   * `kind`, `min` and `max` (prices) and `sort` (`price` or `-price`) leave products alone.
   */
  async find({ words = "", lang = "en", kind = "", min = null, max = null, sort = "" }) {
    const wanted = lookups(words, lang);
    const ofProducts = kind !== "" || min !== null || max !== null || sort !== "";
    const ranked = wanted.length > 0 ? await this.#ranked(wanted) : null;
    if (!ofProducts) return ranked ?? { pages: [], all: true };
    const products = await this.#products();
    const fits = (page) => {
      const product = products.get(page);
      return product && (!kind || product.kind === kind) && product.price >= (min ?? -Infinity) && product.price <= (max ?? Infinity);
    };
    const pages = (ranked?.pages ?? [...products.keys()].sort((a, b) => a - b)).filter(fits);
    const price = (page) => products.get(page).price;
    if (sort === "price") pages.sort((a, b) => price(a) - price(b));
    if (sort === "-price") pages.sort((a, b) => price(b) - price(a));
    return { pages, all: ranked?.all ?? true };
  }

  /** What a list of results shows of these pages. */
  async records(pages) {
    const each = this.#head.each;
    const file = (page) => this.#file(this.#head.records[Math.floor(page / each)]);
    return Promise.all(pages.map(async (page) => (await file(page))[page % each]));
  }
}

// The page.

const lang = globalThis.document?.documentElement.lang || "en";

function fill(part, text) {
  if (text) part.textContent = text;
  else part.remove();
}

/** One result, made from the page's template. */
function item(template, record, say) {
  const made = template.content.cloneNode(true);
  const part = (name) => made.querySelector(`[data-found="${name}"]`);
  const { product } = record;
  const link = part("link");
  link.href = record.path;
  if (record.lang) link.hreflang = record.lang;
  fill(part("title"), record.title);
  fill(part("text"), record.text);
  fill(part("price"), product && price(product));
  const left = typeof product?.stock === "boolean" ? (product.stock ? Infinity : 0) : product?.stock;
  fill(part("stock"), left === undefined ? "" : say(left <= 0 ? "none-left" : left <= FEW ? "few-left" : "in-stock", left));
  part("stock")?.classList.toggle("stock-none", left <= 0);
  part("stock")?.classList.toggle("stock-few", left > 0 && left <= FEW);
  if (product?.picture) part("picture").src = product.picture;
  else part("picture").remove();
  return made;
}

function price({ price, currency }) {
  return new Intl.NumberFormat(lang, { style: "currency", currency }).format(price).replace("￥", "¥");
}

/** The search page: a form, a place for results, and what to browse where nothing was asked. */
class SearchPage {
  #form;
  #found;
  #browse;
  #index = null;
  #asked = 0;

  constructor(form, found) {
    this.#form = form;
    this.#found = found;
    this.#browse = document.querySelector("[data-search-browse]");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const asked = [...new FormData(form)].filter(([, value]) => value !== "");
      const query = new URLSearchParams(asked).toString();
      history.pushState(null, "", query ? `?${query}` : location.pathname);
      this.show();
    });
    for (const choice of form.querySelectorAll("select")) choice.addEventListener("change", () => form.requestSubmit());
    addEventListener("popstate", () => this.show());
  }

  #say = (name, count) => (this.#found.dataset[name.replace(/-(.)/g, (_, c) => c.toUpperCase())] ?? "").replace("{n}", count);

  /** Shows what the address asks for. */
  async show() {
    const asked = new URLSearchParams(location.search);
    for (const field of this.#form.elements) if (field.name) field.value = asked.get(field.name) ?? "";
    const number = (name) => (asked.get(name) && Number.isFinite(Number(asked.get(name))) ? Number(asked.get(name)) : null);
    const [words, kind, sort] = ["q", "kind", "sort"].map((name) => asked.get(name) ?? "");
    const question = { words, lang, kind, sort, min: number("min"), max: number("max") };
    const nothing = !Object.entries(question).some(([key, value]) => key !== "lang" && value !== "" && value !== null);
    this.#found.hidden = nothing;
    if (this.#browse) this.#browse.hidden = !nothing;
    this.#asked += 1;
    if (!nothing) await this.#answer(question, this.#asked);
  }

  async #answer(question, turn) {
    const status = this.#found.querySelector("[data-found-count]");
    const list = this.#found.querySelector("[data-found-list]");
    try {
      const { pages, all } = await this.#ask((index) => index.find(question));
      if (turn !== this.#asked) return;
      list.replaceChildren();
      await this.#more(list, pages, turn);
      const count = this.#say(["none", "one"][pages.length] ?? "many", pages.length.toLocaleString(lang));
      status.textContent = pages.length > 0 && !all ? `${count} ${this.#say("some-words")}` : count;
      if (pages.length === 0 && this.#browse) this.#browse.hidden = false;
    } catch (error) {
      console.error(error);
      list.replaceChildren();
      status.textContent = this.#say("failed");
      if (this.#browse) this.#browse.hidden = false;
    }
  }

  /** Asks the index, and once more a fresh one: a site that was just updated has other files. */
  async #ask(question) {
    const folder = this.#found.dataset.searchIndex;
    try {
      this.#index ??= await Index.open(folder);
      return await question(this.#index);
    } catch {
      this.#index = await Index.open(folder, "reload");
      return question(this.#index);
    }
  }

  async #more(list, pages, turn) {
    const button = this.#found.querySelector("[data-found-more]");
    const template = this.#found.querySelector("template");
    const shown = list.children.length;
    const records = await this.#index.records(pages.slice(shown, shown + AT_ONCE));
    if (turn !== this.#asked) return;
    list.append(...records.map((record) => item(template, record, this.#say)));
    button.hidden = list.children.length >= pages.length;
    button.onclick = async () => {
      await this.#more(list, pages, turn);
      list.children[shown + AT_ONCE]?.querySelector("a")?.focus();
    };
  }
}

const found = globalThis.document?.querySelector("[data-search-index]");
const form = globalThis.document?.querySelector("form[data-search-form]");
if (found && form) new SearchPage(form, found).show();
