// What every part of the page is made with. Text reaches it by textContent only, and links only to https://, so
// nothing stored can act.

export const CLASSES = [
  "Build Failure", "Configuration Error", "Dependency Error", "Deployment Failure", "Network Error",
  "Permission Error", "Resource Exhaustion", "Security Scan Failure", "Test Failure", "Timeout",
];

export const at = (id) => document.getElementById(id);

export function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text ?? "";
  if (className) made.className = className;
  return made;
}

export const percent = (share) => `${Math.round(share * 100)} %`;
export const shade = (confidence) => (confidence > 0.7 ? "good" : confidence > 0.4 ? "fair" : "poor");

/** Fills a <time>. */
export function tell(time, timestamp) {
  time.dateTime = timestamp;
  time.textContent = new Date(timestamp).toLocaleString();
}

/** A link to https://, or words in its place. */
export function link(place, url, otherwise) {
  if (!url?.startsWith("https://")) {
    place.textContent = otherwise;
    return;
  }
  const made = element("a", url);
  made.href = url;
  made.rel = "noopener noreferrer";
  place.replaceChildren(made);
}

/** A link that says `text`, to a page of this dashboard or to https://; else the text alone. */
export function anchor(text, href, className) {
  const outside = href?.startsWith("https://");
  const made = element(outside || href?.startsWith("#") ? "a" : "span", text, className);
  if (made.localName === "a") made.href = href;
  if (outside) made.rel = "noopener noreferrer";
  return made;
}

/** What stands behind the `#` of the address: `#cause/12` is a page and its arguments, `#failures?state=open` has a query. */
export function route() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [page, ...args] = path.split("/");
  return { page, args, query };
}

export const counted = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** Seconds as people say them. */
export function lasting(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Number((seconds / 3600).toFixed(seconds < 36_000 ? 1 : 0))} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** Text whose names stand between backticks. */
export const named = (text) => text.split("`").map((piece, index) => (index % 2 ? element("code", piece) : piece));

/** The text of a line without the mark that makes GitHub show it as an error. */
export const plain = (line) => line?.replace(/^##\[\w+\]/, "");

/** A <time> that says how long ago it was, and on hovering when. */
export function ago(timestamp) {
  const made = element("time");
  tell(made, timestamp);
  const seconds = (Date.now() - new Date(timestamp)) / 1000;
  made.title = made.textContent;
  made.textContent = seconds < 60 ? "just now" : `${lasting(seconds)} ago`;
  return made;
}

/** Pieces one after the other with a dot between them, without those that are empty. */
export function dotted(...pieces) {
  const made = element("p", "", "meta");
  for (const piece of pieces.filter(Boolean)) made.append(...(made.hasChildNodes() ? [" · "] : []), piece);
  return made;
}

const drawn = new WeakMap();
// What a finger or a button of the mouse is down on must be there when it is let go, or nothing is clicked.
let pressed = false;
for (const kind of ["pointerdown", "pointerup", "pointercancel", "keydown", "hashchange"]) {
  addEventListener(kind, () => (pressed = kind === "pointerdown"), { capture: true });
}

/** Draws `data` into a place again if it changed or a minute went by. What is open stays open, what is focused stays
 * focused, and what is being used is left alone. */
export function redraw(place, data, draw) {
  const key = `${JSON.stringify(data)} ${Math.floor(Date.now() / 60_000)}`;
  const used = place.contains(document.activeElement) && document.activeElement;
  if (drawn.get(place) === key || pressed || (used && used.matches("select, input, textarea, .feedback button"))) return;
  drawn.set(place, key);
  const open = new Set([...place.querySelectorAll("details[open]")].map((details) => details.dataset.id));
  const focused = used && used.getAttribute("href");
  const unfolded = used && used.closest("details")?.dataset.id;
  place.replaceChildren(...draw());
  for (const details of place.querySelectorAll("details")) {
    details.open = open.has(details.dataset.id);
    if (!focused && details.dataset.id === unfolded) details.querySelector("summary").focus();
  }
  if (focused) place.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

/** Shows a list again, with what was open left open and what was being used left alone. */
export function replaceKeepingOpen(list, items) {
  if (list.contains(document.activeElement) && document.activeElement.matches("select, input, textarea")) return;
  const open = new Set([...list.querySelectorAll("details")].filter((details) => details.open).map((details) => details.dataset.id));
  const focused = list.contains(document.activeElement) && document.activeElement.closest("details")?.dataset.id;
  list.replaceChildren(...items);
  for (const details of list.querySelectorAll("details")) {
    details.open = open.has(details.dataset.id);
    if (details.dataset.id === focused) details.querySelector("summary").focus();
  }
}

/** A button that says what became of what it asked for. */
export function action(label, said, act) {
  const button = element("button", label);
  button.type = "button";
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = "…";
    try {
      said.textContent = await act();
    } catch (error) {
      said.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

/** Asks a person before something is changed; resolves to whether they agree. */
export function confirmed(question, consequence) {
  const dialog = at("confirm");
  at("confirm-title").textContent = question;
  at("confirm-text").textContent = consequence;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
