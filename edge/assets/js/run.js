// A run at its own address, `#run/owner/name/ID/ATTEMPT`: the failed job that tells it first, then the others. One failed
// job alone is at `#run/7`, by the id of its verdict.
import { Problem, ask, withQuery } from "./ask.js";
import { commit, known, lead, log, onGithub, related, remarks, standing, stated } from "./evidence.js";
import { ago, anchor, at, counted, dotted, element, redraw, route } from "./page.js";

let shown;

export async function refresh() {
  const { args } = route();
  const wanted = args.join("/");
  if (wanted !== shown) {
    shown = wanted;
    redraw(at("run-body"), wanted, () => []);
    at("run-said").textContent = "Loading…";
  }
  try {
    const detail = await asked(args);
    if (wanted !== shown) return;
    at("run-said").textContent = "";
    redraw(at("run-body"), detail, () => drawn(detail));
  } catch (error) {
    if (!(error instanceof Problem && [400, 404].includes(error.status)) || wanted !== shown) throw error;
    at("run-said").textContent = "Nothing is known of this run, or this key may not see it.";
  }
}

async function asked([owner, name, run, attempt = 1]) {
  if (name) return ask(withQuery("/api/run", { repository: `${owner}/${name}`, run, attempt }));
  const { failure, ...said } = await ask(withQuery("/api/failure", { id: owner }));
  return { run: null, failures: [failure], ...said };
}

function drawn({ run, told, standing: past, retry_advice: advice, failures, retry }) {
  const [headline, ...others] = failures;
  const about = { ...headline, ...run };
  const top = element("section");
  const title = element("h2", `${about.workflow || "Run"} of ${about.repository}`);
  const url = headline?.html_url ?? onGithub(about, `actions/runs/${about.run_id}/attempts/${about.run_attempt}`);
  top.append(
    title,
    lead(told),
    dotted(
      about.run_id && anchor(`run ${about.run_id}, attempt ${about.run_attempt}`, url),
      about.branch && element("code", about.branch),
      about.head_sha && commit(about, about.head_sha),
      about.pull && anchor(`#${about.pull}`, onGithub(about, `pull/${about.pull}`)),
      about.author && `by ${about.author}`,
      ago(about.ended_at ?? about.failed_at),
    ),
    element("p", summed(run, failures)),
  );
  if (retry) top.append(element("p", retry.answer ? `${retry.sentence} (${retry.answer})` : retry.sentence, "retry"));
  if (advice) top.append(element("p", advice.sentence, "retry-advice"));
  if (!headline) return [top];
  const first = element("section");
  first.id = "headline";
  first.append(named(headline, "h2"), known(headline), dotted(...ofJob(headline)), related(headline), standing(past), remarks(headline), log(headline), stated(headline));
  if (!others.length) return [top, first];
  const rest = element("section");
  const list = element("ol", "", "history");
  list.id = "other-jobs";
  list.append(...others.map(other));
  rest.append(element("h2", "Other failed jobs"), list);
  return [top, first, rest];
}

function summed(run, failures) {
  if (run?.conclusion === "success") return "This attempt was green.";
  const failed = Math.max(run?.jobs_failed ?? 0, failures.length);
  const unread = run?.jobs_unread ?? 0;
  return `${counted(failed, "job")} failed${unread ? `; ${unread} of them ${unread === 1 ? "was" : "were"} not looked into` : ""}.`;
}

function named(failure, tag) {
  const made = element(tag, failure.job || failure.workflow || "A failed job");
  if (failure.step) made.append(element("span", ` ${failure.step}`, "soft"));
  return made;
}

const ofJob = (failure) => [
  element("strong", failure.prediction),
  failure.kind?.replaceAll("_", " "),
  failure.cause_id && anchor(failure.cause_times > 1 ? `${failure.cause_times} failures with this cause` : "its cause", `#cause/${failure.cause_id}`),
  failure.passed_at && "passed on retry",
];

function other(failure) {
  const item = element("li");
  const details = element("details");
  details.dataset.id = failure.id;
  const summary = element("summary", "", "job");
  summary.append(element("span", failure.job || "A failed job", "verdict"), element("span", failure.log_line?.text ?? "", "where"), element("span", failure.prediction));
  details.append(summary, known(failure), dotted(...ofJob(failure)), related(failure), log(failure), stated(failure));
  item.append(details);
  return item;
}
