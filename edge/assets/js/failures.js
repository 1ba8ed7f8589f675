// Causes: what failures have in common, the last seen first.
import { ask, withQuery } from "./ask.js";
import { sparkline } from "./charts.js";
import { CLASSES, ago, anchor, at, counted, dotted, element, plain, redraw, route } from "./page.js";

const ROWS = 25;
const TYPING_MS = 250;
const NO_LINE = "No log line: nothing but the delivery was available.";
let older = [];
let next = null;
let shown;
let typing;

export function prepare() {
  const filter = at("cause-filter");
  filter.elements.class.append(...[...CLASSES, "Unknown"].map((name) => new Option(name, name)));
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const query = asked();
      // The address holds the filter, so that it can be sent to somebody; the way back stays one step.
      history.replaceState(null, "", query ? `#failures?${query}` : "#failures");
      refresh().catch(said);
    }, TYPING_MS);
  });
  at("older-causes").addEventListener("click", async () => {
    try {
      const { causes, next: after } = await page(next);
      older.push(...causes);
      next = after;
      await refresh();
    } catch (error) {
      said(error);
    }
  });
  document.addEventListener("keydown", keys);
}

const said = (error) => (at("problem").textContent = error.message);

/** What the form asks, as a query. */
function asked() {
  const wanted = [...new FormData(at("cause-filter"))].map(([name, value]) => [name, value.trim()]);
  return `${new URLSearchParams(wanted.filter(([, value]) => value))}`;
}

function fillIn(query) {
  const wanted = new URLSearchParams(query);
  for (const field of at("cause-filter").elements) {
    if (field.type === "checkbox") field.checked = wanted.has(field.name);
    else field.value = wanted.get(field.name) ?? "";
  }
}

const page = (before) => ask(withQuery("/api/causes", { ...Object.fromEntries(new URLSearchParams(shown)), limit: ROWS, before }));

export async function refresh() {
  const { query } = route();
  if (query !== shown) {
    if (query !== asked()) fillIn(query);
    [shown, older, next] = [query, [], null];
    at("causes-loading").hidden = false;
  }
  const newest = await page();
  if (shown !== query) return;
  const known = new Set(newest.causes.map(({ id }) => id));
  older = older.filter(({ id }) => !known.has(id));
  if (older.length === 0) next = newest.next;
  const causes = [...newest.causes, ...older];
  at("causes-loading").hidden = true;
  at("no-causes").hidden = Boolean(query) || causes.length > 0;
  at("no-such-causes").hidden = !query || causes.length > 0;
  at("older-causes").hidden = next == null;
  redraw(at("cause-list"), causes, () => causes.map(row));
}

function row(cause) {
  const item = element("li", "", "cause");
  const text = element("div");
  const branch = cause.last.branch && element("code", cause.last.branch);
  text.append(
    anchor(plain(cause.line) || NO_LINE, `#cause/${cause.id}`, "cause-line"),
    badges(cause),
    dotted(cause.repository, branch, cause.last.author && `by ${cause.last.author}`, ago(cause.last_at)),
  );
  const often = element("p", "", "often");
  often.append(element("strong", `${cause.times}`), cause.times === 1 ? " failure" : " failures");
  item.append(text, spark(cause), often);
  return item;
}

/** What a cause is, in words that stand side by side. */
export function badges(cause) {
  const made = element("p", "", "badges");
  const state = element("span", cause.state, "state");
  state.dataset.state = cause.state;
  made.append(state, element("strong", cause.class));
  if (cause.kind) made.append(element("span", cause.kind.replaceAll("_", " ")));
  if (cause.flaky) made.append(element("span", "flaky", "tag fair"));
  if (cause.fault === "platform") made.append(element("span", "not the code: the platform", "tag"));
  if (cause.tests.length) made.append(element("span", counted(cause.tests.length, "test"), "tag"));
  return made;
}

export function spark({ days }) {
  const sum = days.reduce((all, count) => all + count, 0);
  return sparkline(days, `${counted(sum, "failure")} in ${days.length} days, at most ${Math.max(0, ...days)} a day`);
}

/** `/` searches; the arrows, Home and End go over the list; Enter follows a link by itself. */
function keys(event) {
  if (at("failures").hidden || at("dashboard").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  const search = at("cause-filter").elements.q;
  const links = [...at("cause-list").querySelectorAll(".cause-line")];
  const current = links.indexOf(target);
  if (key === "/" && !target.matches("input, select, textarea")) search.focus();
  else if (target.matches("select, textarea") || (target.matches("input") && (target !== search || key !== "ArrowDown"))) return;
  else if (key === "ArrowUp" && current === 0) search.focus();
  else {
    const to = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: links.length - 1 }[key];
    // Without a row that is chosen, only the way into the list is taken; the page scrolls as ever.
    if (to === undefined || !links[to] || (current < 0 && key !== "ArrowDown")) return;
    links[to].focus();
  }
  event.preventDefault();
}
