// The classifier in this browser: what is pasted goes nowhere.
import { topOf } from "./verdicts.js";
import { at, element, percent, shade } from "./page.js";
import { finding } from "./reviews.js";

const SAMPLE = `2026-01-05T10:00:00.0Z ##[group]Run npm ci
2026-01-05T10:00:01.0Z npm error code ERESOLVE
2026-01-05T10:00:01.1Z npm error ERESOLVE unable to resolve dependency tree
2026-01-05T10:00:01.2Z npm error Could not resolve dependency: peer react@"^17.0.0" from react-table@7.8.0
2026-01-05T10:00:01.3Z ##[error]Process completed with exit code 1.
`;
let loading;

/** The package and its model, fetched when they are first needed. */
function classifier() {
  loading ??= import("/classifier/browser.js").then(({ load }) => load());
  loading.catch(() => (loading = undefined));
  return loading;
}

export function prepare() {
  const [form, chosen] = [at("playground-form"), at("log-file")];
  at("sample").addEventListener("click", () => (at("log").value = SAMPLE));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = at("log").value;
    const isDiff = /^(diff --git |--- |Index: )/m.test(text) && /^@@ /m.test(text);
    judge(isDiff ? (model) => showFindings(model.checkDiff(text)) : (model) => show(model, model.classify(text)));
  });
  chosen.addEventListener("change", () => chosen.files[0] && judgeFile(chosen.files[0]));
  form.addEventListener("dragover", (event) => event.preventDefault());
  form.addEventListener("drop", (event) => {
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    judgeFile(file);
  });
}

const judgeFile = (file) => judge(async (model) => show(model, await model.classifyFile(file)));

/** Loads the model, and says what `act` made of the log or why it could not. */
async function judge(act) {
  const said = at("playground-said");
  said.textContent = "Loading the model …";
  at("playground-verdicts").replaceChildren();
  at("playground-findings").hidden = true;
  try {
    const model = await classifier();
    const started = performance.now();
    const judged = (await act(model)) ?? "The checks ran";
    said.textContent = `${judged} in this browser, ${(performance.now() - started).toFixed(1)} ms. Nothing was sent.`;
  } catch (error) {
    said.textContent = error.message;
  }
}

function show(model, { jobs, model_version: version }) {
  at("playground-verdicts").replaceChildren(...jobs.map((job) => verdict(model, job)));
  return `${version} judged`;
}

function verdict(model, job) {
  const place = at("job-verdict").content.cloneNode(true);
  const fill = (selector, text) => (place.querySelector(selector).textContent = text);
  fill(".place", [job.job, job.step].filter(Boolean).join(" / "));
  if (!job.found) {
    fill(".verdict", "No failure found");
    place.querySelector(".why").remove();
    return place;
  }
  const [{ class: likeliest }] = job.top;
  fill(".verdict", job.prediction === "Unknown" ? `Probably ${likeliest}` : likeliest);
  fill(".confidence", percent(job.confidence));
  place.querySelector(".confidence").className = `confidence ${shade(job.confidence)}`;
  const around = job.around.map(({ number, text }) => `${number === job.line.number ? ">" : " "} ${number}: ${text}`);
  fill(".line", around.join("\n") || "No line stands out.");
  fill(".next", job.advice);
  const lines = job.around.map(({ text }) => text).join("\n");
  place.querySelector(".terms").replaceChildren(...job.terms.map(({ term }) => element("span", model.words(term, lines), "term")));
  fill(".top", topOf(job.top));
  return place;
}

function showFindings(findings) {
  const place = at("playground-findings");
  place.hidden = false;
  place.replaceChildren(...(findings.length ? findings.flatMap(finding) : [element("p", "The checks find nothing. The model’s review runs on the node: sentinel review.")]));
}
