// The classifier in this browser: what is pasted goes nowhere.
import { lineOf, termsOf, topOf } from "./failures.js";
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
  at("sample").addEventListener("click", () => (at("log").value = SAMPLE));
  at("playground-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = at("playground-said");
    said.textContent = "Loading the model …";
    at("playground-verdict").hidden = at("playground-findings").hidden = true;
    try {
      const model = await classifier();
      const text = at("log").value;
      const started = performance.now();
      const isDiff = /^(diff --git |--- |Index: )/m.test(text) && /^@@ /m.test(text);
      const answer = isDiff ? model.checkDiff(text) : model.classify(text);
      const milliseconds = (performance.now() - started).toFixed(1);
      if (isDiff) showFindings(answer);
      else show(answer);
      said.textContent = `${isDiff ? "The checks ran" : `${answer.model_version} judged`} in this browser, ${milliseconds} ms. Nothing was sent.`;
    } catch (error) {
      said.textContent = error.message;
    }
  });
}

function show(verdict) {
  const place = at("playground-verdict");
  const fill = (selector, text) => (place.querySelector(selector).textContent = text);
  fill(".verdict", verdict.prediction);
  fill(".confidence", percent(verdict.confidence));
  place.querySelector(".confidence").className = `confidence ${shade(verdict.confidence)}`;
  fill(".line", lineOf(verdict.line) ?? "No line stands out.");
  place.querySelector(".terms").replaceChildren(...termsOf(verdict.terms));
  fill(".top", topOf(verdict.top));
  place.hidden = false;
}

function showFindings(findings) {
  const place = at("playground-findings");
  place.hidden = false;
  place.replaceChildren(...(findings.length ? findings.flatMap(finding) : [element("p", "The checks find nothing. The model’s review runs on the node: sentinel review.")]));
}
