// The dashboard: who is signed in, which page is open, and its refreshing.
import { Problem, ask, post } from "./ask.js";
import * as cause from "./cause.js";
import * as deliveries from "./deliveries.js";
import * as drift from "./drift.js";
import * as failures from "./failures.js";
import * as models from "./models.js";
import * as overview from "./overview.js";
import { at, route } from "./page.js";
import * as playground from "./playground.js";
import * as reviews from "./reviews.js";
import * as run from "./run.js";
import * as verdicts from "./verdicts.js";

const REFRESH_MS = 15_000;
const pages = { overview, failures, verdicts, cause, run, reviews, drift, deliveries, models, playground };
// Pages that the navigation reaches through another.
const WITHIN = { verdicts: "failures", cause: "failures", run: "failures" };
// About every installation: a key of one does not see them.
const OPERATOR_ONLY = ["models"];
let timer;
let who;

/** The page in the address; a link to an inference means the verdicts. */
function current() {
  const named = route().page;
  if (named in pages && !(OPERATOR_ONLY.includes(named) && who?.installation_id)) return named;
  return new URLSearchParams(location.search).has("inference") ? "verdicts" : "overview";
}

function open() {
  const page = current();
  for (const name of Object.keys(pages)) at(name).hidden = name !== page;
  for (const link of document.querySelectorAll("nav a")) {
    const name = link.hash.slice(1);
    link.hidden = OPERATOR_ONLY.includes(name) && Boolean(who?.installation_id);
    if (name === (WITHIN[page] ?? page)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  return page;
}

async function refresh() {
  clearTimeout(timer);
  try {
    signedIn(true);
    const page = open();
    await Promise.all([overview.health(), pages[page].refresh?.(who)]);
    at("problem").textContent = "";
    timer = setTimeout(refresh, REFRESH_MS);
  } catch (error) {
    const over = error instanceof Problem && [401, 403].includes(error.status);
    at("problem").textContent = error.message;
    if (over) {
      who = undefined;
      signedIn(false);
    } else {
      timer = setTimeout(refresh, REFRESH_MS);
    }
  }
}

function signedIn(yes) {
  at("dashboard").hidden = at("nav").hidden = at("sign-out").hidden = at("who").hidden = !yes;
  at("sign-in").hidden = yes;
  if (yes) {
    at("who").textContent = [who.name, who.role === "read" ? "read-only" : "", who.installation_id ? `installation ${who.installation_id}` : ""].filter(Boolean).join(" · ");
  } else {
    at("badge").textContent = "Not signed in";
    delete at("badge").dataset.health;
  }
}

async function signIn(key) {
  try {
    who = await post("/api/session", { key });
    at("key").value = "";
    await refresh();
  } catch (error) {
    at("problem").textContent = error.message;
  }
}

for (const page of Object.values(pages)) page.prepare?.();
at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(at("key").value);
});
at("sign-out").addEventListener("click", async () => {
  clearTimeout(timer);
  await ask("/api/session", { method: "DELETE" });
  location.replace("/");
});
addEventListener("hashchange", () => {
  if (takeKey()) return;
  if (who) {
    refresh();
    at("main").focus();
    scrollTo(0, 0);
  }
});
// Nobody looks at a hidden page.
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : who && refresh()));

/** A link may bring a key behind `#key=`, which no server sees: to this page when it loads, or while it is open. */
function takeKey() {
  const brought = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!brought) return false;
  history.replaceState(null, "", location.pathname + location.search);
  signIn(brought);
  return true;
}

if (!takeKey()) {
  // Whether a session is open only the server knows: the cookie is hidden from scripts.
  ask("/api/session").then((session) => {
    who = session.name ? session : undefined;
    if (who) refresh();
  }, (error) => (at("problem").textContent = error.message));
}
