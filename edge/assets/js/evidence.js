// What is shown of one failed job: the line with those around it, tests, places, what to do, and what a person says.
import { anchor, at, element, named, percent, shade } from "./page.js";
import { addFeedback } from "./verdicts.js";

const FAULTS = {
  code: "The code: whoever changed it",
  platform: "The platform: runners, networks and services, not the change",
  unknown: "Not known",
};

/** The address of the server that has the repository: that of the run, if it is known. */
function server({ html_url: url, repository }) {
  const end = url?.startsWith("https://") ? url.indexOf(`/${repository}/`) : -1;
  return end < 0 ? "https://github.com" : url.slice(0, end);
}

const isCommit = (sha) => /^[0-9a-f]{7,64}$/.test(sha ?? "");

export const onGithub = (failure, path) => `${server(failure)}/${failure.repository}/${path}`;

/** A commit by its first digits. */
export function commit(failure, sha) {
  const made = element("code");
  made.append(anchor((sha ?? "").slice(0, 7), isCommit(sha) ? onGithub(failure, `commit/${sha}`) : undefined));
  return made;
}

/** What changed from a commit to another. */
export function compared(failure, from, to) {
  const href = isCommit(from) && isCommit(to) ? onGithub(failure, `compare/${from}...${to}`) : undefined;
  return anchor(`${from.slice(0, 7)}…${to.slice(0, 7)}`, href);
}

/** The file at the commit. What cannot be a path in the repository is no link. */
function place(failure, { path, line, message }) {
  const inside = !path.startsWith("/") && !path.includes(":") && !path.split("/").includes("..");
  const at = `blob/${failure.head_sha}/${path.split("/").map(encodeURIComponent).join("/")}#L${line}`;
  const item = element("li");
  const code = element("code");
  code.append(anchor(`${path}:${line}`, inside && isCommit(failure.head_sha) ? onGithub(failure, at) : undefined));
  item.append(code, message ? ` ${message}` : "");
  return item;
}

/** The sentences about the past; names of branches stand between backticks. */
export function standing(lines) {
  const list = element("ul", "", "standing");
  list.append(...lines.map(({ standing: kind, sentence }) => {
    const item = element("li");
    item.dataset.standing = kind;
    item.append(...named(sentence));
    return item;
  }));
  return list;
}

/** What broke, what its past says and what to do, in the few sentences that are read first. */
export function lead(told) {
  if (!told) return "";
  const made = element("p", "", "lead");
  made.append(...named(told));
  return made;
}

/** The team's known issue, which is said before everything else. */
export function known({ known: issue }) {
  if (!issue) return "";
  const made = element("p", "", "known");
  made.append(element("strong", "A known issue: "), `${issue.advice} `, issue.link ? anchor("More about it", issue.link) : "");
  return made;
}

/** How it is related to the change of its pull request, and whom to ask. */
export function related({ change, owners }) {
  const said = [];
  if (change) said.push(element("li", ""));
  if (change) said[0].append(...named(change.sentence));
  if (owners.length) said.push(element("li", `Owned by ${owners.join(", ")}.`));
  return said.length ? list(said, "plain-list related") : "";
}

/** What of the team's policy did not count, and why. */
export const remarks = ({ remarks: said }) => (said.length ? list(said.map((each) => element("li", each)), "plain-list remarks") : "");

/** The deciding line between those around it. */
export function log({ log_line: deciding, around }) {
  const pre = element("pre", "", "log");
  const lines = around.length ? around : [deciding].filter(Boolean);
  const cause = lines.find(({ number, text }) => number === deciding?.number && text === deciding?.text);
  pre.append(...lines.map((line) => {
    const row = element(line === cause ? "mark" : "span");
    row.append(element("span", line.number ? `${line.number}` : "", "number"), `${line.text}\n`);
    return row;
  }));
  if (!lines.length) pre.textContent = "No log line: nothing but the delivery was available.";
  return pre;
}

/** A list of terms and what belongs to each, without the pairs that are none. */
export function terms(...pairs) {
  const list = element("dl");
  for (const [term, ...told] of pairs.filter(Boolean)) {
    const detail = element("dd");
    detail.append(...told);
    list.append(element("dt", term), detail);
  }
  return list;
}

function list(items, className) {
  const made = element("ul", "", className);
  made.append(...items);
  return made;
}

/** What the log of a failed job states, what to do about it, and the question whether the class is right. */
export function stated(failure) {
  const { facts, advice, docs, fault } = failure;
  const tests = facts.failing_tests ?? [];
  const more = (facts.failing_tests_total ?? 0) - tests.length;
  const rows = tests.map(({ name }) => {
    const item = element("li");
    item.append(element("code", name));
    return item;
  });
  if (more > 0) rows.push(element("li", `and ${more} more`));
  const places = facts.places ?? [];
  return terms(
    advice && ["What to do", ...named(`${advice} `), docs ? anchor("Documentation", docs) : ""],
    ["Who should act", FAULTS[fault] ?? fault],
    rows.length && ["Failing tests", list(rows, "plain-list")],
    places.length && ["Places", list(places.map((each) => place(failure, each)), "plain-list")],
    facts.exit_code != null && ["Exit code", `${facts.exit_code}`],
    facts.signal && ["Signal", facts.signal],
    facts.http_status && ["HTTP status", `${facts.http_status}`],
    ["Was it right?", feedback(failure)],
  );
}

function feedback(failure) {
  const said = at("feedback").content.cloneNode(true);
  addFeedback(said, failure);
  const confidence = element("span", percent(failure.confidence), `confidence ${shade(failure.confidence)}`);
  said.querySelector(".feedback").prepend(`${failure.prediction}, `, confidence);
  return said;
}
