//! Reads failures: of a run, of a cause, and what is red now.

use super::super::query::{Query, Value};
use super::super::{DAY_SECONDS, column, number, scope_param, statement, text};
use crate::access::Scope;
use crate::excerpt::Line;
use crate::facts::Facts;
use crate::history::{Change, KnownIssue};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The number of failures that a list shows.
const FAILURES_SHOWN: i64 = 50;
/// The number of branches that are shown red at once.
const RED_SHOWN: i64 = 50;
/// The days over which the time to green and the lost time are told.
pub const RECENT_DAYS: i64 = 30;
/// The largest number of red times that their median is made from.
const GREEN_TIMES: i64 = 200;

/// One failed job of a run, with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureRow {
    /// The id, which is that of its verdict.
    pub id: i64,
    /// The repository as `owner/name`.
    pub repository: String,
    /// Whether its run is told by it.
    pub is_headline: bool,
    /// GitHub's id of the run.
    pub run_id: Option<u64>,
    /// The attempt of the run.
    pub run_attempt: u32,
    /// GitHub's id of the job.
    pub job_id: Option<u64>,
    /// The name of the workflow.
    pub workflow: String,
    /// The name of the job; empty if it is not known.
    pub job: String,
    /// The name of the failed step.
    pub step: Option<String>,
    /// The name of the branch; empty if it is not known.
    pub branch: String,
    /// The SHA of the commit; empty if it is not known.
    pub head_sha: String,
    /// The event that started the run.
    pub trigger: Option<String>,
    /// The login of the person who started the run.
    pub author: Option<String>,
    /// The number of the pull request.
    pub pull: Option<u64>,
    /// When the job ended, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub failed_at: String,
    /// When the job passed on the same commit, as RFC 3339.
    #[serde(deserialize_with = "column::optional_time")]
    pub passed_at: Option<String>,
    /// The class, or `Unknown`.
    pub prediction: String,
    /// The confidence of the most likely class, from 0 to 1.
    pub confidence: f64,
    /// The three likeliest classes.
    #[serde(deserialize_with = "column::json_or_default")]
    pub top: Json,
    /// The deciding line.
    #[serde(deserialize_with = "column::json_or_default")]
    pub log_line: Option<Line>,
    /// The address of the run's page on GitHub.
    pub html_url: Option<String>,
    /// The id of its cause.
    pub cause_id: Option<i64>,
    /// The number of failures of that cause.
    pub cause_times: Option<u64>,
    /// What it is called within its class.
    pub kind: Option<String>,
    /// Who should act: `code`, `platform` or `unknown`.
    pub fault: String,
    /// What to do, in one or two sentences.
    pub advice: Option<String>,
    /// The page that says more.
    pub docs: Option<String>,
    /// What the log states.
    #[serde(deserialize_with = "column::json_or_default")]
    pub facts: Facts,
    /// The deciding line and the lines around it.
    #[serde(deserialize_with = "column::json_or_default")]
    pub around: Vec<Line>,
    /// The class that a person named last.
    pub corrected: Option<String>,
    /// The known issue of its team that it has.
    #[serde(deserialize_with = "column::json_or_default")]
    pub known: Option<KnownIssue>,
    /// Sentences about what of the team's policy did not count.
    #[serde(deserialize_with = "column::json_or_default")]
    pub remarks: Vec<String>,
    /// How it is related to the change of its pull request.
    #[serde(default, deserialize_with = "column::json_or_default")]
    pub change: Option<Change>,
    /// Who owns its places, as `@login` or `@org/team`.
    #[serde(default, deserialize_with = "column::json_or_default")]
    pub owners: Vec<String>,
}

/// A completed attempt of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// The repository as `owner/name`.
    pub repository: String,
    /// GitHub's id of the run.
    pub run_id: u64,
    /// The attempt.
    pub run_attempt: u32,
    /// The name of the workflow.
    pub workflow: String,
    /// The name of the branch; empty if it is not known.
    pub branch: String,
    /// The SHA of the commit; empty if it is not known.
    pub head_sha: String,
    /// The login of the person who started it.
    pub author: Option<String>,
    /// The number of the pull request.
    pub pull: Option<u64>,
    /// `success` or `failure`.
    pub conclusion: String,
    /// When it ended, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub ended_at: String,
    /// How many jobs failed.
    pub jobs_failed: u64,
    /// How many of them were not looked into.
    pub jobs_unread: u64,
}

/// What is red now on a default branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedBranch {
    /// The repository as `owner/name`.
    pub repository: String,
    /// The name of the workflow.
    pub workflow: String,
    /// The name of the branch.
    pub branch: String,
    /// The id of the cause.
    pub cause_id: i64,
    /// The class of the cause.
    pub class: String,
    /// The deciding line of the cause.
    pub line: String,
    /// Since when, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub since: String,
    /// When it failed last, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub last_at: String,
    /// The number of failures there.
    pub times: u64,
}

/// How long default branches stayed red, and how long failed jobs ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The median of the seconds from the first failure of a cause to the green run that ended it; None without one.
    pub median_seconds: Option<u64>,
    /// The same at the 90th percentile.
    pub p90_seconds: Option<u64>,
    /// The seconds that failed jobs ran.
    pub lost_seconds: u64,
}

/// The columns of a [`FailureRow`].
macro_rules! select_failures {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT failures.id, failures.repository, headline_id IS NULL AS is_headline, run_id, run_attempt, job_id, failures.workflow,
  failures.job, step, branch, failures.head_sha, trigger, author, pull, failed_at, passed_at, prediction, confidence, top,
  log_line, html_url, cause_id, (SELECT times FROM causes WHERE causes.id = cause_id) AS cause_times, kind, fault, advice,
  docs, facts, around, known, remarks, change, owners,
  (SELECT corrected FROM feedback WHERE inference_id = failures.id ORDER BY feedback.id DESC LIMIT 1) AS corrected
FROM failures JOIN inferences ON inferences.id = failures.id ",
            $rest
        )
    };
}

const OF_RUN: &str = select_failures!(
    "failures_of_run",
    "WHERE failures.repository = ?1 AND run_id = ?2 AND run_attempt = ?3
  AND (?4 IS NULL OR failures.installation_id = ?4) ORDER BY headline_id IS NOT NULL, failed_at, failures.id"
);
const OF_CAUSE: &str = select_failures!(
    "failures_of_cause",
    "WHERE cause_id = ?1 AND (?2 IS NULL OR failures.installation_id = ?2) ORDER BY failed_at DESC, failures.id DESC LIMIT ?3"
);
const BY_ID: &str = select_failures!(
    "failure_by_id",
    "WHERE failures.id = ?1 AND (?2 IS NULL OR failures.installation_id = ?2)"
);

const RUN: &str = "-- run
SELECT repository, run_id, run_attempt, workflow, branch, head_sha, author, pull, conclusion, ended_at, jobs_failed,
  jobs_unread FROM runs WHERE repository = ?1 AND run_id = ?2 AND run_attempt = ?3 AND (?4 IS NULL OR installation_id = ?4)";

/// When a row of `cause_branches` failed first after the last green run before its last failure.
macro_rules! red_since {
    () => {
        concat!(
            "COALESCE((SELECT failed_at FROM failures WHERE failures.cause_id = cause_branches.cause_id
    AND failures.workflow = cause_branches.workflow AND failures.branch = cause_branches.branch
    AND failures.run_id > COALESCE(",
            super::green_before!(),
            ", 0) ORDER BY run_id, run_attempt LIMIT 1), cause_branches.first_at)"
        )
    };
}

const RED: &str = concat!(
    "-- red_branches
SELECT cause_branches.repository, workflow, branch, cause_id, class, line, cause_branches.last_at, cause_branches.times,
  ",
    red_since!(),
    " AS since
FROM cause_branches JOIN causes ON causes.id = cause_id
WHERE on_default = 1 AND fixed_run_id IS NULL AND cause_branches.last_at >= ?1 AND (?2 IS NULL OR installation_id = ?2)
ORDER BY cause_branches.last_at DESC LIMIT ?3"
);

const GREEN_AGAIN: &str = concat!(
    "-- times_to_green
SELECT fixed_at - ",
    red_since!(),
    " AS seconds
FROM cause_branches JOIN causes ON causes.id = cause_id
WHERE on_default = 1 AND fixed_run_id IS NOT NULL AND fixed_at >= ?1 AND (?2 IS NULL OR installation_id = ?2)
ORDER BY fixed_at DESC LIMIT ?3"
);

const LOST: &str = "-- lost_seconds
SELECT COALESCE(SUM(seconds), 0) AS seconds FROM failures
WHERE failed_at >= ?1 AND (?2 IS NULL OR installation_id = ?2)";

#[derive(Deserialize)]
struct Seconds {
    seconds: i64,
}

/// The failures of one attempt of a run, the headline first.
pub fn of_run(scope: Scope, repository: &str, run_id: u64, run_attempt: u32) -> Query<Vec<FailureRow>> {
    Query::reading(statement(OF_RUN, run_of(scope, repository, run_id, run_attempt))).rows()
}

/// One attempt of a run, if it is known. Runs of single jobs are not.
pub fn run(scope: Scope, repository: &str, run_id: u64, run_attempt: u32) -> Query<Option<RunRow>> {
    Query::reading(statement(RUN, run_of(scope, repository, run_id, run_attempt))).first()
}

/// The last failures of a cause, the newest first.
pub fn of_cause(scope: Scope, cause: i64) -> Query<Vec<FailureRow>> {
    let args = [Value::Integer(cause), scope_param(scope), Value::Integer(FAILURES_SHOWN)];
    Query::reading(statement(OF_CAUSE, args)).rows()
}

/// One failure, by the id of its verdict. [`crate::Error::NotFound`] if there is none.
pub fn by_id(scope: Scope, id: i64) -> Query<FailureRow> {
    Query::reading(statement(BY_ID, [Value::Integer(id), scope_param(scope)])).found()
}

/// What is red now on default branches, the latest first.
pub fn red(scope: Scope, now: i64) -> Query<Vec<RedBranch>> {
    let args = [since(now), scope_param(scope), Value::Integer(RED_SHOWN)];
    Query::reading(statement(RED, args)).rows()
}

/// How long default branches stayed red and failed jobs ran, over the last [`RECENT_DAYS`] days.
pub fn recovery(scope: Scope, now: i64) -> Query<Recovery> {
    let lost = statement(LOST, [since(now), scope_param(scope)]);
    let both = times_to_green(scope, now).and(Query::reading(lost).only());
    both.map(|(times, lost): (_, Seconds)| Recovery {
        median_seconds: percentile(&times, 50),
        p90_seconds: percentile(&times, 90),
        lost_seconds: lost.whole(),
    })
}

/// The median of the seconds that default branches stayed red, over the last [`RECENT_DAYS`] days; None if none went green.
pub(super) fn median_to_green(scope: Scope, now: i64) -> Query<Option<u64>> {
    times_to_green(scope, now).map(|times| percentile(&times, 50))
}

/// The seconds that default branches stayed red, the shortest first.
fn times_to_green(scope: Scope, now: i64) -> Query<Vec<u64>> {
    let times = statement(GREEN_AGAIN, [since(now), scope_param(scope), Value::Integer(GREEN_TIMES)]);
    Query::reading(times).rows().map(|times: Vec<Seconds>| {
        let mut seconds: Vec<u64> = times.iter().map(Seconds::whole).collect();
        seconds.sort_unstable();
        seconds
    })
}

/// The nearest rank of sorted values: <https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method>.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The beginning of the last [`RECENT_DAYS`] days.
fn since(now: i64) -> Value {
    Value::Integer(now - RECENT_DAYS * DAY_SECONDS)
}

impl Seconds {
    fn whole(&self) -> u64 {
        u64::try_from(self.seconds).unwrap_or(0)
    }
}

fn run_of(scope: Scope, repository: &str, run_id: u64, run_attempt: u32) -> [Value; 4] {
    [text(repository), number(run_id), Value::Integer(i64::from(run_attempt)), scope_param(scope)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_green_is_told_at_the_median_and_the_90th_percentile() {
        let of = |seconds: &[u64]| {
            let mut seconds = seconds.to_vec();
            seconds.sort_unstable();
            (percentile(&seconds, 50), percentile(&seconds, 90))
        };
        assert_eq!(of(&[]), (None, None));
        assert_eq!(of(&[60]), (Some(60), Some(60)));
        assert_eq!(of(&[30, 10, 20, 40, 50, 60, 70, 80, 90, 100]), (Some(50), Some(90)));
    }
}
