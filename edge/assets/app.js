// The dashboard. Text reaches the page by textContent only, and links only to https://, so nothing stored can act.
"use strict";

const REFRESH_MS = 15_000;
const HISTORY_ROWS = 50;
const JOB_ROWS = 20;
const at = (id) => document.getElementById(id);
let timer;

const CLASSES = [
  "Build Failure", "Configuration Error", "Dependency Error", "Deployment Failure", "Network Error",
  "Permission Error", "Resource Exhaustion", "Security Scan Failure", "Test Failure", "Timeout",
];
// The inference a link points to (`?inference=7`, as a pull request's comment has it).
const linked = new URLSearchParams(location.search).get("inference");

/** Asks the API with the reader's key. */
async function ask(path, body) {
  const headers = { "X-API-Key": sessionStorage.getItem("key") ?? "" };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail ?? `The server answered ${answer.status}.`);
  return said;
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

const percent = (share) => `${Math.round(share * 100)} %`;
const shade = (confidence) => (confidence > 0.7 ? "good" : confidence > 0.4 ? "fair" : "poor");

function showOverview(overview) {
  const { health } = overview;
  at("badge").textContent = health.label;
  at("badge").dataset.health = health.label;
  at("model-version").textContent = overview.model_version;
  at("inference-count").textContent = overview.inference_count;
  at("features-drifted").textContent = `${health.features_drifted} / ${health.total_features}`;
  at("retrain-suggested").textContent = health.retrain_suggested ? "Yes" : "No";
  at("feedback-count").textContent = overview.feedback_count;
  at("deliveries").textContent =
    overview.deliveries_queued + (overview.deliveries_failed ? ` (+${overview.deliveries_failed} failed)` : "");
  at("footer").textContent =
    `${overview.model_version} answers from ${percent(overview.calibration.abstain_below)} confidence, else says Unknown. ` +
    `Last drift check: ${health.last_drift_check ?? "none yet"}.`;
}

function showDrift(drift) {
  const drifted = drift.features.filter((feature) => feature.is_drifted).length;
  at("drift").textContent =
    drift.status === "insufficient_data"
      ? `Insufficient data: ${drift.sample_size} of the ${drift.required} inferences a comparison needs.`
      : `${drifted || "None"} of ${drift.features.length} features drifted: the last ${drift.sample_size} inferences against the training records.`;
  const order = { severe: 0, moderate: 1, stable: 2, insufficient_data: 3 };
  const rows = drift.features.toSorted((a, b) => order[a.severity] - order[b.severity]).map((feature) => {
    const row = document.createElement("tr");
    const name = element("th", feature.feature.replaceAll("_", " "));
    name.scope = "row";
    const severity = element("td", feature.severity.replace("_", " "));
    severity.dataset.severity = feature.severity;
    const method = feature.method === "psi" ? "PSI" : `χ², p ${feature.p_value.toPrecision(2)}`;
    row.append(name, element("td", method), element("td", feature.score.toFixed(3), "number"), element("td", feature.sample_size, "number"), severity);
    return row;
  });
  at("heatmap").hidden = rows.length === 0;
  at("heatmap").tBodies[0].replaceChildren(...rows);
}

function showClasses(history) {
  const counts = new Map();
  for (const { prediction } of history) counts.set(prediction, (counts.get(prediction) ?? 0) + 1);
  const rows = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => {
    const row = document.createElement("li");
    const meter = element("meter", `${count}`);
    meter.max = history.length;
    meter.value = count;
    meter.setAttribute("aria-label", name);
    row.append(element("span", name), meter, element("span", `${count}`, "count"));
    return row;
  });
  at("classes").replaceChildren(...rows);
}

function entry(inference) {
  const item = at("entry").content.cloneNode(true);
  const fill = (selector, text) => (item.querySelector(selector).textContent = text);
  item.querySelector("details").dataset.id = inference.id;
  fill(".verdict", inference.prediction);
  fill(".confidence", percent(inference.confidence));
  item.querySelector(".confidence").classList.add(shade(inference.confidence));
  fill(".where", [inference.repository, inference.workflow, inference.job].filter(Boolean).join(" · "));
  const time = item.querySelector("time");
  time.dateTime = inference.timestamp;
  time.textContent = new Date(inference.timestamp).toLocaleString();
  const line = inference.log_line;
  fill(".line", line ? `${line.number ? `${line.number}: ` : ""}${line.text}` : "No log line: nothing but the delivery was available.");
  const terms = inference.top_features.map((term) => {
    const shown = element("span", `${term.term} −${term.drop.toFixed(2)}`, "term");
    shown.title = "How far the score of this class falls without the term";
    return shown;
  });
  item.querySelector(".terms").append(...(terms.length ? terms : ["none"]));
  fill(".top", inference.top.map((guess) => `${guess.class} ${percent(guess.confidence)}`).join(", "));
  fill(".evidence", { log: "delivery, steps and log", job: "delivery and steps", payload: "delivery only" }[inference.evidence]);
  link(item.querySelector(".run"), inference.html_url, inference.subject);
  addFeedback(item, inference);
  return item;
}

/** What became of a pull request's job, and what was found. */
function reviewEntry(job) {
  const item = at("review").content.cloneNode(true);
  const fill = (selector, text) => (item.querySelector(selector).textContent = text);
  const found = job.result?.findings ?? [];
  item.querySelector("details").dataset.id = job.key;
  fill(".verdict", job.status);
  item.querySelector(".verdict").dataset.status = job.status;
  fill(".confidence", found.length ? `${found.length} found` : "");
  fill(".where", `${job.repository} #${job.number}${job.kind === "review" ? "" : ` · ${job.kind}`}`);
  const time = item.querySelector("time");
  time.dateTime = job.created_at;
  time.textContent = new Date(job.created_at).toLocaleString();
  const findings = found.map((finding) => {
    const shown = document.createElement("p");
    shown.append(
      element("code", `${finding.path}:${finding.line}`),
      ` ${finding.severity} · ${finding.category.replace("_", " ")} · ${percent(finding.confidence)}`,
      element("pre", finding.text),
    );
    return shown;
  });
  item.querySelector(".findings").append(...(findings.length ? findings : [job.error ?? "none"]));
  const receipt = job.result?.receipt;
  fill(".receipt", receipt ? `${receipt.files_reviewed} of ${receipt.files_seen} files, ${receipt.hunks_reviewed} of ${receipt.hunks_seen} hunks, by ${job.result.model_version}` : "not yet");
  fill(".head", job.head_sha ?? "–");
  link(item.querySelector(".run"), job.review_url, "not posted");
  return item;
}

/** A link to https://, or words in its place. */
function link(place, url, otherwise) {
  if (!url?.startsWith("https://")) {
    place.textContent = otherwise;
    return;
  }
  const made = element("a", url);
  made.href = url;
  made.rel = "noopener noreferrer";
  place.append(made);
}

/** Shows a list again, with what was open left open. */
function replaceKeepingOpen(list, items) {
  const open = new Set([...list.querySelectorAll("details")].filter((details) => details.open).map((details) => details.dataset.id));
  list.replaceChildren(...items);
  for (const details of list.querySelectorAll("details")) details.open = open.has(details.dataset.id);
}

/** One click says what it was; the latest word counts. */
function addFeedback(item, inference) {
  const select = item.querySelector(".feedback select");
  const said = item.querySelector(".said");
  select.append(...CLASSES.filter((name) => name !== inference.prediction).map((name) => new Option(name, name)));
  const show = (name) => (said.textContent = name === inference.prediction ? "Confirmed." : `Corrected to ${name}.`);
  if (inference.corrected) show(inference.corrected);
  const say = async (name) => {
    try {
      const author = sessionStorage.getItem("name") || "dashboard";
      await ask("/api/feedback", { inference_id: inference.id, corrected_class: name, author });
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

async function withLinked(history) {
  if (!linked || history.some(({ id }) => `${id}` === linked)) return history;
  try {
    return [await ask(`/api/inference?id=${encodeURIComponent(linked)}`), ...history];
  } catch {
    return history;
  }
}

function showHistory(history) {
  const isFirst = at("history").children.length === 0;
  at("empty").hidden = history.length > 0;
  replaceKeepingOpen(at("history"), history.map(entry));
  const pointed = linked && isFirst && at("history").querySelector(`details[data-id="${CSS.escape(linked)}"]`);
  if (pointed) pointed.open = true;
}

function showReviews(jobs) {
  at("no-reviews").hidden = jobs.length > 0;
  replaceKeepingOpen(at("reviews"), jobs.map(reviewEntry));
}

async function refresh() {
  clearTimeout(timer);
  try {
    const [overview, drift, history, jobs] = await Promise.all([
      ask("/api/dashboard"),
      ask("/api/drift"),
      ask(`/api/history?limit=${HISTORY_ROWS}`),
      ask(`/api/jobs?limit=${JOB_ROWS}`),
    ]);
    showOverview(overview);
    showDrift(drift);
    showClasses(history);
    showReviews(jobs);
    showHistory(await withLinked(history));
    at("problem").textContent = "";
    signedIn(true);
    timer = setTimeout(refresh, REFRESH_MS);
  } catch (error) {
    at("problem").textContent = error.message;
    signedIn(false);
  }
}

function signedIn(yes) {
  at("dashboard").hidden = !yes;
  at("sign-in").hidden = yes;
  at("sign-out").hidden = !yes;
  if (!yes) {
    at("badge").textContent = "Not signed in";
    delete at("badge").dataset.health;
  }
}

at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", at("key").value);
  sessionStorage.setItem("name", at("name").value.trim());
  refresh();
});
at("sign-out").addEventListener("click", () => {
  clearTimeout(timer);
  sessionStorage.removeItem("key");
  at("key").value = "";
  signedIn(false);
});

// A link may bring the key behind `#key=`, which no server sees.
const brought = new URLSearchParams(location.hash.slice(1)).get("key");
if (brought) {
  sessionStorage.setItem("key", brought);
  history.replaceState(null, "", location.pathname);
}
if (sessionStorage.getItem("key")) refresh();
