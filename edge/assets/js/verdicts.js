import { ask, post, withQuery } from "./ask.js";
import { CLASSES, anchor, at, element, link, percent, replaceKeepingOpen, shade, tell } from "./page.js";

const ROWS = 50;
// The inference a link points to (`?inference=7`, as a pull request's comment has it).
const linked = new URLSearchParams(location.search).get("inference");
let older = [];

export function prepare() {
  const filter = at("filter");
  filter.elements.class.append(...[...CLASSES, "Unknown"].map((name) => new Option(name, name)));
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", () => {
    older = [];
    at("least").textContent = percent(filter.elements.confidence.value);
    refresh().catch((error) => (at("problem").textContent = error.message));
  });
  at("older").addEventListener("click", async () => {
    const last = [...at("history").querySelectorAll("details")].at(-1)?.dataset.id;
    older.push(...(await page(last)));
    await refresh();
  });
}

function page(before) {
  const { repository, class: wanted, confidence } = at("filter").elements;
  const least = confidence.value === "0" ? "" : confidence.value;
  return ask(withQuery("/api/history", { limit: ROWS, repository: repository.value.trim(), class: wanted.value, confidence_min: least, before }));
}

export async function refresh() {
  const newest = await withLinked(await page());
  const known = new Set(newest.map(({ id }) => id));
  const history = [...newest, ...older.filter(({ id }) => !known.has(id))];
  const isFirst = at("history").children.length === 0;
  at("empty").hidden = history.length > 0;
  at("older").hidden = newest.length < ROWS;
  replaceKeepingOpen(at("history"), history.map(entry));
  const pointed = linked && isFirst && at("history").querySelector(`details[data-id="${CSS.escape(linked)}"]`);
  if (pointed) pointed.open = true;
}

async function withLinked(history) {
  if (!linked || history.some(({ id }) => `${id}` === linked)) return history;
  try {
    return [await ask(`/api/inference?id=${encodeURIComponent(linked)}`), ...history];
  } catch {
    return history;
  }
}

function entry(inference) {
  const item = at("entry").content.cloneNode(true);
  const fill = (selector, text) => (item.querySelector(selector).textContent = text);
  item.querySelector("details").dataset.id = inference.id;
  fill(".verdict", inference.prediction);
  fill(".confidence", percent(inference.confidence));
  item.querySelector(".confidence").classList.add(shade(inference.confidence));
  fill(".where", [inference.repository, inference.workflow, inference.job].filter(Boolean).join(" · "));
  tell(item.querySelector("time"), inference.timestamp);
  fill(".line", lineOf(inference.log_line) ?? "No log line: nothing but the delivery was available.");
  item.querySelector(".terms").append(...termsOf(inference.top_features));
  fill(".top", topOf(inference.top));
  fill(".evidence", madeFrom(inference));
  link(item.querySelector(".run"), inference.html_url, inference.subject);
  item.querySelector(".past").append(anchor("What is known of it", `#run/${inference.id}`));
  addFeedback(item, inference);
  return item;
}

const SOURCES = { log: "delivery, steps and log", job: "delivery and steps", payload: "delivery only" };
const NOTES = {
  log_awaited: "GitHub does not give the log now; the verdict is made again when it does",
  log_given_up: "GitHub did not give the log in three days",
  log_beginning: "the log is too long to be read to its end; its beginning was read",
  jobs_cut: "the run has more than 300 jobs; only the first 300 were looked at",
  later_job: "the first failed job has no log; this is the next one that has",
  jobs_unread: "the run has more than 20 failed jobs; the others were not looked into",
  policy_unread: "the team's policy file could not be read; its known issues and retries did not count",
  policy_invalid: "the team's policy file says something about failed runs that can't be followed",
  change_unread: "what the pull request changes, or who owns its files, could not be read",
};

/** What a verdict was made from, and what should be known of that. */
function madeFrom({ evidence, evidence_notes: notes }) {
  return [SOURCES[evidence], ...notes.map((note) => NOTES[note] ?? note)].join("; ");
}

export const lineOf = (line) => line && `${line.number ? `${line.number}: ` : ""}${line.text}`;
export const topOf = (top) => top.map((guess) => `${guess.class} ${percent(guess.confidence)}`).join(", ");

export function termsOf(terms) {
  const shown = terms.map((term) => {
    const made = element("span", `${term.term} −${term.drop.toFixed(2)}`, "term");
    made.title = "How far the score of this class falls without the term";
    return made;
  });
  return shown.length ? shown : ["none"];
}

/** One click says what it was; the latest word counts. */
export function addFeedback(item, inference) {
  const select = item.querySelector(".feedback select");
  const said = item.querySelector(".said");
  select.append(...CLASSES.filter((name) => name !== inference.prediction).map((name) => new Option(name, name)));
  const show = (name) => (said.textContent = name === inference.prediction ? "Confirmed." : `Corrected to ${name}.`);
  if (inference.corrected) show(inference.corrected);
  const say = async (name) => {
    try {
      await post("/api/feedback", { inference_id: inference.id, corrected_class: name });
      inference.corrected = name;
      show(name);
    } catch (error) {
      said.textContent = error.message;
    }
  };
  const right = item.querySelector(".right");
  // Unknown is no class: there is nothing to confirm.
  right.hidden = !CLASSES.includes(inference.prediction);
  right.addEventListener("click", () => say(inference.prediction));
  select.addEventListener("change", () => select.value && say(select.value));
}
