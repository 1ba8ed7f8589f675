import { ask, post, withQuery } from "./ask.js";
import { action, at, element, link, percent, replaceKeepingOpen, tell } from "./page.js";

// What ended without a review can be tried again.
const REPLAYABLE = ["dead", "failed", "skipped", "superseded"];
let who;

export function prepare() {
  for (const id of ["review-kind", "review-status"]) {
    at(id).addEventListener("change", () => refresh(who).catch((error) => (at("problem").textContent = error.message)));
  }
}

export async function refresh(principal) {
  who = principal;
  const [jobs, breakers] = await Promise.all([
    ask(withQuery("/api/jobs", { limit: 50, kind: at("review-kind").value, status: at("review-status").value })),
    ask("/api/breakers"),
  ]);
  at("breakers").hidden = breakers.length === 0;
  at("breakers").replaceChildren(...breakers.map(paused));
  const meaning = new Map(breakers.map(({ reason, meaning }) => [reason, meaning]));
  const ofVerdicts = at("review-kind").value === "verdict";
  at("no-reviews").hidden = ofVerdicts || jobs.length > 0;
  at("no-verdicts").hidden = !ofVerdicts || jobs.length > 0;
  replaceKeepingOpen(at("review-list"), jobs.map((job) => entry(job, meaning)));
}

/** An account on GitHub whose jobs wait: why, since when, until when, and what a person has to do. */
function paused(breaker) {
  const account = { app: "the App", token: "the token", other: "repositories without an installation" }[breaker.account] ?? `installation ${breaker.account}`;
  const time = (timestamp) => {
    const made = element("time");
    tell(made, timestamp);
    return made;
  };
  const item = element("li", `${breaker.meaning} (${account}), since `);
  item.append(time(breaker.since), `. ${breaker.waiting} waiting; the next try is at `, time(breaker.retry_at), ".");
  if (breaker.to_do) item.append(` To do: ${breaker.to_do}.`);
  if (breaker.what) item.append(` GitHub said: ${breaker.what}`);
  return item;
}

/** What a job is about. The number of a verdict's is an inference's, and what follows the `!` of its key the run. */
function about(job) {
  if (job.kind === "verdict") return `${job.repository} · ${job.key.split("!").at(-1)}`;
  return `${job.repository} #${job.number}${job.kind === "review" ? "" : ` · ${job.kind}`}`;
}

/** What became of a job, and what was found. */
function entry(job, meaning) {
  const item = at("review").content.cloneNode(true);
  const fill = (selector, text) => (item.querySelector(selector).textContent = text);
  const found = job.result?.findings ?? [];
  item.querySelector("details").dataset.id = job.key;
  fill(".verdict", job.status);
  item.querySelector(".verdict").dataset.status = job.status;
  fill(".confidence", found.length ? `${found.length} found` : "");
  fill(".where", about(job));
  tell(item.querySelector("time"), job.created_at);
  const findings = item.querySelector(".findings");
  if (job.kind === "verdict") {
    fill(".about", "Told");
    const told = element("a", `verdict ${job.number}`);
    told.href = `/?inference=${job.number}`;
    findings.append(told, job.error ? `: ${job.error}` : "");
    for (const each of item.querySelectorAll(".of-review")) each.remove();
  } else {
    findings.append(...found.flatMap(finding));
    if (!found.length) findings.textContent = job.error ?? (job.status === "done" ? "Nothing to remark." : "–");
    const receipt = job.result?.receipt;
    fill(".receipt", receipt ? `${receipt.files_reviewed} of ${receipt.files_seen} files, ${receipt.hunks_reviewed} of ${receipt.hunks_seen} hunks, by ${job.result.model_version}` : "not yet");
  }
  fill(".head", job.head_sha ?? "–");
  fill(".tries", `${job.attempts}, of which ${job.failures} failed`);
  fill(".waits", "–");
  if (job.wait?.reason || (job.wait && job.error)) {
    const until = element("time");
    tell(until, job.wait.until);
    const why = meaning.get(job.wait.reason) ?? job.wait.reason ?? "paused";
    item.querySelector(".waits").replaceChildren(`${why}, until `, until);
  }
  link(item.querySelector(".run"), job.review_url, "not posted");
  if (who?.role === "admin" && REPLAYABLE.includes(job.status)) {
    const said = element("span", "", "said");
    said.setAttribute("role", "status");
    const replay = action("Replay", said, async () => {
      const { status } = await post("/api/jobs/replay", { key: job.key });
      return status === "queued" ? "Queued again." : "It is being worked on already.";
    });
    item.querySelector(".actions").replaceChildren(replay, " ", said);
  }
  return item;
}

/** One finding and the lines around it. */
export function finding(each) {
  const told = document.createElement("p");
  told.append(
    element("strong", `${each.path}:${each.line}`),
    ` ${each.severity} ${each.category.replaceAll("_", " ")} (${percent(each.confidence)})`,
  );
  const hunk = element("pre", "", "hunk");
  hunk.append(
    ...(each.hunk || `+${each.text}`).split("\n").map((line) => {
      const tone = { "+": "added", "-": "removed" }[line[0]] ?? "context";
      return element("span", `${line}\n`, tone);
    }),
  );
  return [told, hunk];
}
