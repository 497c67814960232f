// The preview's part in the browser: takes up changes as they are told, tells when they are here, and tends bar and
// overlay. Everything works without it but that the page changes by itself.

const LEFT = "tieup-preview-left";
const FOLDED = "tieup-preview-folded";
const HIDDEN = "tieup-preview-hidden";

const host = document.querySelector("tieup-preview");
const root = host.shadowRoot;
let state = host.dataset.state;
let events;

comeBack();
dress();
follow();
// A page that nobody looks at listens to nothing: browsers allow only some connections to one server.
document.addEventListener("visibilitychange", follow);
addEventListener("pagehide", () => events?.close());
addEventListener("pageshow", (shown) => shown.persisted && follow());
addEventListener("keydown", (key) => key.key === "Escape" && hide());
addEventListener("load", outline);
addEventListener("resize", outline);
root.addEventListener("click", (click) => {
  if (click.target.closest("[data-hide]")) hide();
  if (click.target.closest("[data-show]")) show();
});
root.addEventListener("change", (change) => change.target.form?.requestSubmit());
root.addEventListener("toggle", (toggle) => keep(localStorage, FOLDED, toggle.target.open ? "" : "yes"), true);

/** Listens while the page is seen. */
function follow() {
  events?.close();
  if (document.visibilityState === "hidden") return;
  events = new EventSource(`/.preview/events?state=${encodeURIComponent(state)}`);
  events.addEventListener("change", (change) => take(JSON.parse(change.data)));
}

async function take(change) {
  if (change.effect === "page") {
    const left = { path: location.pathname, x: scrollX, y: scrollY };
    keep(sessionStorage, LEFT, JSON.stringify(left));
    location.reload();
    return;
  }
  const ago = change.effect === "styles" ? await restyle() : await refresh();
  state = change.state;
  await tell(ago);
}

/** Goes back to where the page was before it changed, and tells when its bytes were here. */
function comeBack() {
  const left = JSON.parse(sessionStorage.getItem(LEFT) ?? "null");
  if (left === null) return;
  sessionStorage.removeItem(LEFT);
  if (left.path === location.pathname) scrollTo({ left: left.x, top: left.y, behavior: "instant" });
  const [navigation] = performance.getEntriesByType("navigation");
  tell(performance.now() - navigation.responseEnd);
}

/** Tells how many milliseconds ago the bytes of this state were here. */
async function tell(ago) {
  const body = JSON.stringify({ state, ago });
  const headers = { "content-type": "application/json" };
  const answer = await fetch("/.preview/received", { method: "POST", headers, body, keepalive: true });
  const { text } = await answer.json();
  if (text) root.querySelector("output").textContent = text;
}

/** Puts the style sheets of the newest page in place of those of this one; gives how long ago they were here. */
async function restyle() {
  const text = await (await fetch(location.href, { cache: "no-store" })).text();
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelectorAll("link[rel~=stylesheet]");
  const worn = document.querySelectorAll("link[rel~=stylesheet]");
  const loaded = [...fresh].map((sheet) => {
    const link = document.importNode(sheet);
    // Under its old address the browser would take the sheet that it has.
    const address = new URL(link.getAttribute("href"), location.href);
    address.searchParams.set("preview", state);
    link.href = address;
    const done = new Promise((resolve) => link.addEventListener("load", resolve) ?? link.addEventListener("error", resolve));
    worn[worn.length - 1].after(link);
    return done;
  });
  await Promise.all(loaded);
  const received = performance.now();
  worn.forEach((sheet) => sheet.remove());
  await refresh();
  return performance.now() - received;
}

/** Fetches bar and overlay anew. */
async function refresh() {
  const answer = await fetch(`/.preview/panel?path=${encodeURIComponent(location.pathname)}`, { cache: "no-store" });
  const content = await answer.text();
  const received = performance.now();
  root.innerHTML = content;
  dress();
  return performance.now() - received;
}

/** Makes what the server sent into what this browser had folded and hidden. */
function dress() {
  root.querySelector(".apply")?.setAttribute("hidden", "");
  if (localStorage.getItem(FOLDED)) root.querySelector("details")?.removeAttribute("open");
  const overlay = root.querySelector(".overlay");
  if (!overlay) return;
  overlay.hidden = sessionStorage.getItem(HIDDEN) === overlay.dataset.report;
  if (!overlay.hidden) overlay.focus({ preventScroll: true });
}

function hide() {
  const overlay = root.querySelector(".overlay");
  if (!overlay) return;
  overlay.hidden = true;
  keep(sessionStorage, HIDDEN, overlay.dataset.report);
}

function show() {
  const overlay = root.querySelector(".overlay");
  sessionStorage.removeItem(HIDDEN);
  overlay.hidden = false;
  overlay.focus();
}

/** Draws a labelled box around everything that stands between the marks of a slot. */
function outline() {
  root.querySelector(".slots")?.remove();
  const layer = document.createElement("div");
  layer.className = "slots";
  const comments = document.createTreeWalker(document.body, NodeFilter.SHOW_COMMENT);
  let start;
  while (comments.nextNode()) {
    const comment = comments.currentNode;
    const [, name, what] = /^slot (\S+) (\S+)$/.exec(comment.data) ?? [];
    if (name) start = { comment, name, what };
    if (comment.data === "/slot" && start) layer.append(box(start, comment));
  }
  if (layer.childElementCount > 0) root.append(layer);
}

function box({ comment, name, what }, end) {
  const range = document.createRange();
  range.setStartAfter(comment);
  range.setEndBefore(end);
  let area = range.getBoundingClientRect();
  const empty = area.width === 0;
  if (empty) {
    // Where nothing is to be seen, a line below what stands around it says so.
    let around = comment.parentElement;
    while (around.getBoundingClientRect().width === 0 && around !== document.body) around = around.parentElement;
    const { left, bottom, width } = around.getBoundingClientRect();
    area = { left, top: bottom, width, height: 0 };
  }
  const drawn = document.createElement("div");
  drawn.dataset.what = what;
  Object.assign(drawn.style, {
    left: `${area.left + scrollX}px`,
    top: `${area.top + scrollY}px`,
    width: `${area.width}px`,
    height: `${area.height}px`,
  });
  const label = document.createElement("span");
  label.textContent = `${name}: ${what === "sample" ? "sample" : empty ? "empty" : "the theme's own"}`;
  drawn.append(label);
  return drawn;
}

function keep(storage, key, value) {
  if (value) storage.setItem(key, value);
  else storage.removeItem(key);
}
