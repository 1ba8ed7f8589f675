// A cause at its own address, `#cause/12`.
import { Problem, ask, withQuery } from "./ask.js";
import { commit, compared, known, lead, log, onGithub, standing, stated, terms } from "./evidence.js";
import { badges, spark } from "./failures.js";
import { ago, anchor, at, counted, dotted, element, plain, redraw, route } from "./page.js";

let shown;

export async function refresh() {
  const [id] = route().args;
  if (id !== shown) {
    shown = id;
    redraw(at("cause-body"), id, () => []);
    at("cause-said").textContent = "Loading…";
  }
  try {
    const detail = await ask(withQuery("/api/cause", { id }));
    if (id !== shown) return;
    at("cause-said").textContent = "";
    redraw(at("cause-body"), detail, () => drawn(detail));
  } catch (error) {
    if (!(error instanceof Problem && [400, 404].includes(error.status)) || id !== shown) throw error;
    at("cause-said").textContent = "There is no such cause, or this key may not see it.";
  }
}

function drawn({ cause, told, standing: past, retry_advice: advice, branches, failures }) {
  const [last] = failures;
  const since = element("span", `${counted(cause.times, "failure")}, first `);
  since.append(ago(cause.first_at), ", last ", ago(cause.last_at));
  const top = card(plain(cause.line) || cause.class, "cause-title");
  const repository = anchor(cause.repository, `#failures?${new URLSearchParams({ repository: cause.repository })}`);
  const passed = cause.passed ? `${cause.passed} passed on retry` : "";
  const days = element("figure");
  days.append(spark(cause), element("figcaption", `failures a day, ${cause.days.length} days`));
  if (last) top.append(lead(told), known(last));
  top.append(days, badges(cause), dotted(repository, since, passed), standing(past));
  if (!last) return [top];
  if (advice) top.append(element("p", advice.sentence, "retry-advice"));
  top.append(log(last));
  const what = card("What is known");
  what.append(stated(last));
  const where = card("Where it occurs");
  where.append(...branches.map((branch) => occurrence(branch, last)));
  const runs = card("Its failures");
  const list = element("ol", "", "causes");
  list.id = "cause-runs";
  list.append(...failures.map(failed));
  runs.append(list);
  if (failures.length < cause.times) runs.append(element("p", `The last ${failures.length} of ${cause.times}.`, "soft"));
  return [top, what, where, runs];
}

function card(title, id) {
  const made = element("section");
  const heading = element("h2", title);
  if (id) heading.id = id;
  made.append(heading);
  return made;
}

/** A branch: since when it fails there, what changed then, and what fixed it. */
function occurrence(branch, failure) {
  const made = element("article", "", "branch");
  const title = element("h3");
  title.append(element("code", branch.branch || "no branch"), ` ${branch.workflow}`);
  if (branch.on_default) title.append(" ", element("span", "default branch", "tag"));
  const often = element("span", `${counted(branch.times, "failure")}, last `);
  often.append(ago(branch.last_at));
  const fixed = element("span");
  if (branch.fixed_sha) fixed.append("by ", commit(failure, branch.fixed_sha), ", ", ago(branch.fixed_at));
  const began = element("span");
  if (branch.red_sha) began.append("at ", commit(failure, branch.red_sha), ", ", ago(branch.red_at));
  made.append(title, terms(
    ["Seen", often],
    branch.red_sha && ["Began", began],
    branch.green_sha && branch.red_sha && ["Changes", compared(failure, branch.green_sha, branch.red_sha), branch.authors.length ? ` by ${branch.authors.join(", ")}` : ""],
    ["Fixed", branch.fixed_sha ? fixed : "not yet"],
  ));
  return made;
}

/** A failed job in the list of a cause. */
function failed(failure) {
  const item = element("li", "", "cause");
  const text = element("div");
  const run = failure.run_id ? `#run/${failure.repository}/${failure.run_id}/${failure.run_attempt}` : `#run/${failure.id}`;
  const title = [failure.workflow, failure.job].filter(Boolean).join(" · ");
  const pull = failure.pull && anchor(`#${failure.pull}`, onGithub(failure, `pull/${failure.pull}`));
  const branch = failure.branch && element("code", failure.branch);
  const sha = failure.head_sha && commit(failure, failure.head_sha);
  text.append(
    anchor(title || "A failed job", run, "cause-line words"),
    dotted(branch, sha, pull, failure.author && `by ${failure.author}`, ago(failure.failed_at), attempt(failure)),
  );
  item.append(text);
  if (failure.passed_at) item.append(element("span", "passed on retry", "tag"));
  return item;
}

const attempt = ({ run_id: run, run_attempt: nth }) => run && `run ${run}${nth > 1 ? `, attempt ${nth}` : ""}`;
