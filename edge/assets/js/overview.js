import { ask } from "./ask.js";
import { stackedBars } from "./charts.js";
import { CLASSES, ago, anchor, at, counted, dotted, element, lasting, percent, plain, redraw } from "./page.js";

/** What to do while GitHub gives the worker nothing; deliveries wait meanwhile, and are worked on by themselves. */
const TROUBLES = {
  token_refused: (since) =>
    `GitHub has refused the worker’s token since ${since}, so no log is read. Put a new one: npx wrangler secret put GITHUB_TOKEN. ` +
    "Verdicts without a log are made again when it works.",
  limited: (since) => `GitHub has limited the worker’s calls since ${since}. Verdicts without a log are made again when that is over.`,
  away: (since) => `GitHub has not been well since ${since}. Verdicts without a log are made again when it is.`,
};

/** The badge, the banner and the footer, which every page shows. */
export async function health() {
  // Without a model that loads, /health is a problem of its own, and the badge says so.
  const standing = ask("/health").catch(() => ({ github: { state: "unknown" } }));
  const [overview, { github }] = await Promise.all([ask("/api/dashboard"), standing]);
  const { health } = overview;
  const trouble = TROUBLES[github.state]?.(new Date(github.since).toLocaleString()) ?? "";
  // A status is read out again whenever it is written.
  if (at("github").textContent !== trouble) at("github").textContent = trouble;
  at("github").hidden = !trouble;
  at("badge").textContent = health.label;
  at("badge").dataset.health = health.label;
  at("model-version").textContent = overview.model_version;
  at("inference-count").textContent = overview.inference_count;
  at("features-drifted").textContent = `${health.features_drifted} / ${health.total_features}`;
  at("retrain-suggested").textContent = health.retrain_suggested ? "Yes" : "No";
  at("feedback-count").textContent = overview.feedback_count;
  at("deliveries-waiting").textContent =
    overview.deliveries_queued + (overview.deliveries_failed ? ` (+${overview.deliveries_failed} failed)` : "");
  at("footer").textContent =
    `${overview.model_version} answers from ${percent(overview.calibration.abstain_below)} confidence, else says Unknown. ` +
    `Last drift check: ${health.last_drift_check ? new Date(health.last_drift_check).toLocaleString() : "none yet"}.`;
}

export async function refresh() {
  const [timeline, red] = await Promise.all([ask("/api/timeline?days=14"), ask("/api/red")]);
  showRed(red);
  const totals = new Map();
  const byDay = new Map();
  for (const { day, prediction, count } of timeline.counts) {
    totals.set(prediction, (totals.get(prediction) ?? 0) + count);
    byDay.set(day, [...(byDay.get(day) ?? []), { name: prediction, count, tone: tone(prediction) }]);
  }
  const first = Date.parse(timeline.since);
  const days = Array.from({ length: timeline.days }, (_, index) => {
    const label = new Date(first + index * 86_400_000).toISOString().slice(0, 10);
    return { label, parts: (byDay.get(label) ?? []).toSorted((a, b) => a.tone - b.tone) };
  });
  const sum = [...totals.values()].reduce((all, count) => all + count, 0);
  at("timeline").replaceChildren(stackedBars(days, `${sum} failed runs in ${timeline.days} days, by class and day`));
  const rows = [...totals].sort((a, b) => b[1] - a[1]).map(([name, count]) => {
    const row = document.createElement("li");
    const meter = element("meter", `${count}`);
    meter.max = sum;
    meter.value = count;
    meter.setAttribute("aria-label", name);
    const key = element("span", "", `key tone-${tone(name)}`);
    key.setAttribute("aria-hidden", "true");
    const label = element("span", name);
    label.prepend(key);
    row.append(label, meter, element("span", `${count}`, "count"));
    return row;
  });
  at("no-classes").hidden = rows.length > 0;
  at("classes").replaceChildren(...rows);
}

/** What needs somebody now, how long that lasts as a rule, and which tests cannot be trusted. */
function showRed({ branches, recovery, flaky_tests: flaky }) {
  const or = (seconds) => (seconds == null ? "–" : lasting(seconds));
  at("red-count").toggleAttribute("data-red", branches.length > 0);
  at("red-count").textContent = new Set(branches.map(({ repository, workflow, branch }) => `${repository} ${workflow} ${branch}`)).size;
  at("green-median").textContent = or(recovery.median_seconds);
  at("green-p90").textContent = or(recovery.p90_seconds);
  at("hours-lost").textContent = `${(recovery.lost_seconds / 3600).toFixed(1)} h`;
  at("all-green").hidden = branches.length > 0;
  redraw(at("red"), branches, () => branches.map(redBranch));
  at("no-flaky").hidden = flaky.length > 0;
  redraw(at("flaky"), flaky, () => flaky.map(flakyTest));
}

function redBranch(red) {
  const item = element("li", "", "cause");
  const text = element("div");
  const title = element("p", "", "meta");
  title.append(element("strong", red.repository), " ", red.workflow, " on ", element("code", red.branch));
  text.append(title, anchor(plain(red.line) || red.class, `#cause/${red.cause_id}`, "cause-line"), dotted(red.class, counted(red.times, "failure"), ago(red.last_at)));
  const since = element("p", `red for ${lasting((Date.now() - new Date(red.since)) / 1000)}`, "often poor");
  since.title = new Date(red.since).toLocaleString();
  item.append(text, since);
  return item;
}

function flakyTest(test) {
  const item = element("li", "", "cause");
  const text = element("div");
  const causes = `#failures?${new URLSearchParams({ q: test.name, repository: test.repository })}`;
  // A test that only reports know has no cause: no job failed because of it.
  text.append(
    anchor(test.name, test.failures ? causes : null, "cause-line"),
    dotted(test.repository, ago(test.last_at), test.rate ? "from reports" : "from webhooks"),
  );
  item.append(text, howOften(test));
  return item;
}

/** How often a test fails, if reports tell how often it runs, or else how often it passed on retry. */
function howOften(test) {
  if (!test.rate) return element("p", `passed on retry ${test.passed} of ${counted(test.failures, "time")}`, "often");
  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
  const told = element("p", `failed ${test.failed_runs} of ${counted(test.runs, "run")} (${percent(test.rate.share)})`, "often");
  told.title = `Of the last 30 days. The true rate is between ${percent(test.rate.low)} and ${percent(test.rate.high)}. It passed on retry ${counted(test.passed + test.retried, "time")}.`;
  return told;
}

/** Which colour a class has; the last is Unknown's. */
function tone(prediction) {
  const index = CLASSES.indexOf(prediction);
  return index < 0 ? CLASSES.length : index;
}
