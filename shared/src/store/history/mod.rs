//! The memory of failures: what is written about failed and green runs. [`causes`] and [`runs`] read it.
//!
//! Deliveries come late, twice and in any order. Each row is an observation with a key of its own, the triggers of
//! migration 11 keep the counts, and runs are ordered by GitHub's ids. So the tables end the same in every order.

/// Whether `passed` of so many failures is flaky: [`crate::history::is_flaky`] in SQL.
macro_rules! flaky_when {
    ($failures:literal) => {
        concat!(
            "(",
            $failures,
            " >= 3 AND 5 * passed > ",
            $failures,
            " AND (5 * passed - ",
            $failures,
            ") * (5 * passed - ",
            $failures,
            ") * 10000 >= 153664 * ",
            $failures,
            ")"
        )
    };
}
use flaky_when;

pub mod backfill;
pub mod causes;
pub mod gauges;
pub mod runs;
pub mod tests;

use super::query::{Change, Query, Statement, Value};
use super::verdict::NewInference;
use super::{json_of, number, optional, statement, text};
use crate::excerpt::Line;
use crate::facts::Facts;
use crate::failure::{FailureRecord, Subject};
use crate::history::{Cause, Fault};
use crate::kind::NextStep;
use crate::webhook::PassedRun;

/// The largest number of names of passed jobs that a failed run keeps.
pub const PASSED_JOBS_MAX: usize = 100;

/// What a verdict says beyond its class, to be remembered.
#[derive(Clone, Copy)]
pub struct NewFailure<'a> {
    /// GitHub's id of the failed job.
    pub job_id: Option<u64>,
    /// When the job ended, in Unix seconds.
    pub failed_at: Option<i64>,
    /// How many seconds the job ran.
    pub seconds: Option<u64>,
    /// What the failure has in common with others.
    pub cause: &'a Cause,
    /// Who should act.
    pub fault: Fault,
    /// What the failure is called, and what to do.
    pub next: &'a NextStep,
    /// What the log states.
    pub facts: &'a Facts,
    /// The deciding line and the lines around it.
    pub around: &'a [Line],
}

/// What is known of the other jobs of a failed run.
#[derive(Debug, Clone, Copy, Default)]
pub struct OtherJobs<'a> {
    /// How many jobs failed.
    pub failed: usize,
    /// How many of them were not looked into.
    pub unread: usize,
    /// The names of jobs that passed; at most [`PASSED_JOBS_MAX`] are kept.
    pub passed: &'a [String],
}

const INSERT_RUN: &str = "-- insert_run
INSERT INTO runs (repository, run_id, run_attempt, installation_id, workflow, branch, head_sha, trigger, author, pull,
  on_default, conclusion, ended_at, jobs_failed, jobs_unread, passed_jobs)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
ON CONFLICT (repository, run_id, run_attempt) DO NOTHING";

// The earliest green run wins, in whatever order they arrive. A run of another event may have merged other code. The
// delivery of a job does not name its event.
const PASS_FAILURES: &str = "-- pass_failures
UPDATE failures SET passed_run_id = ?5, passed_attempt = ?6, passed_at = ?7
WHERE repository = ?1 AND head_sha = ?2 AND workflow = ?3 AND (trigger IS NULL OR trigger IS ?4)
  AND (run_id, run_attempt) <> (?5, ?6)
  AND (passed_at IS NULL OR (passed_run_id, passed_attempt) > (?5, ?6))";

const FIX_BRANCHES: &str = "-- fix_branches
UPDATE cause_branches SET fixed_run_id = ?4, fixed_attempt = ?5, fixed_sha = ?6, fixed_at = ?7
WHERE repository = ?1 AND workflow = ?2 AND branch = ?3 AND (last_run_id, last_attempt) < (?4, ?5)
  AND (fixed_run_id IS NULL OR fixed_run_id > ?4 OR fixed_run_id = ?4 AND fixed_attempt > ?5)";

// A cause that has no failure yet would stay without one.
const INSERT_CAUSE: &str = "-- insert_cause
INSERT INTO causes (repository, installation_id, key, class, kind, fault, line, tests, first_at, last_at)
SELECT ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10 FROM inferences
WHERE repository = ?1 AND subject = ?2 AND NOT EXISTS (SELECT 1 FROM failures WHERE failures.id = inferences.id)
ON CONFLICT (repository, key) DO NOTHING";

const INSERT_FAILURE: &str = "-- insert_failure
INSERT INTO failures (id, repository, installation_id, run_id, run_attempt, job_id, workflow, job, branch, on_default,
  head_sha, trigger, author, pull, failed_at, seconds, cause_id, kind, fault, advice, docs, facts, around)
SELECT id, ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?23,
  (SELECT causes.id FROM causes WHERE causes.repository = ?1 AND causes.key = ?16), ?17, ?18, ?19, ?20, ?21, ?22
FROM inferences WHERE repository = ?1 AND subject = ?2
ON CONFLICT (id) DO NOTHING";

// Both change a row for each test that failed, and so leave `changes()` as the failure did.
const INSERT_TESTS: &str = "-- insert_tests
INSERT INTO tests (repository, installation_id, name, first_at, last_at)
SELECT ?1, ?2, value, ?4, ?4 FROM json_each(?3) WHERE changes() > 0
ON CONFLICT (repository, name) DO UPDATE SET last_at = MAX(last_at, excluded.last_at)";

const INSERT_FAILED_TESTS: &str = "-- insert_failed_tests
INSERT INTO failed_tests (failure_id, test_id)
SELECT inferences.id, tests.id FROM inferences, json_each(?3) JOIN tests ON tests.repository = ?1 AND tests.name = value
WHERE changes() > 0 AND inferences.repository = ?1 AND inferences.subject = ?2
ON CONFLICT (failure_id, test_id) DO NOTHING";

// The job passed in another attempt or run on the same commit: a green run, or a failed one that names the job.
const PASS_FAILURE: &str = "-- pass_failure
UPDATE failures SET (passed_run_id, passed_attempt, passed_at) = (
  SELECT runs.run_id, runs.run_attempt, runs.ended_at FROM runs
  WHERE runs.repository = failures.repository AND runs.head_sha = failures.head_sha AND runs.workflow = failures.workflow
    AND (failures.trigger IS NULL OR runs.trigger IS failures.trigger)
    AND (runs.run_id, runs.run_attempt) <> (failures.run_id, failures.run_attempt)
    AND (runs.conclusion = 'success'
      OR EXISTS (SELECT 1 FROM json_each(runs.passed_jobs) WHERE value = failures.job))
  ORDER BY runs.run_id, runs.run_attempt LIMIT 1)
WHERE failures.id = (SELECT id FROM inferences WHERE repository = ?1 AND subject = ?2) AND head_sha <> ''";

// The same the other way round: this run passed what failed elsewhere on its commit.
const PASS_JOBS: &str = "-- pass_jobs
UPDATE failures SET passed_run_id = ?5, passed_attempt = ?6, passed_at = ?7
WHERE repository = ?1 AND head_sha = ?2 AND workflow = ?3 AND (trigger IS NULL OR trigger IS ?4)
  AND (run_id, run_attempt) <> (?5, ?6)
  AND job IN (SELECT value FROM json_each(?8))
  AND (passed_at IS NULL OR (passed_run_id, passed_attempt) > (?5, ?6))";

const FIX_BRANCH: &str = "-- fix_branch
UPDATE cause_branches SET (fixed_run_id, fixed_attempt, fixed_sha, fixed_at) = (
  SELECT run_id, run_attempt, head_sha, ended_at FROM runs
  WHERE runs.conclusion = 'success' AND runs.repository = cause_branches.repository
    AND runs.workflow = cause_branches.workflow AND runs.branch = cause_branches.branch
    AND (run_id, run_attempt) > (last_run_id, last_attempt)
  ORDER BY run_id, run_attempt LIMIT 1)
WHERE (cause_id, workflow, branch) IN (SELECT cause_id, workflow, branch FROM failures
  WHERE id = (SELECT id FROM inferences WHERE repository = ?1 AND subject = ?2))";

// A delivery about one of its jobs may have come first: that row becomes the run's.
const BECOME_HEADLINE: &str = "-- become_headline
UPDATE inferences SET subject = ?2 WHERE repository = ?1 AND subject = ?3
  AND NOT EXISTS (SELECT 1 FROM inferences AS run WHERE run.repository = ?1 AND run.subject = ?2)";

const GATHER: &str = "-- gather_failures
UPDATE failures SET headline_id = (SELECT id FROM inferences WHERE repository = ?1 AND subject = ?2)
WHERE repository = ?1 AND run_id = ?3 AND run_attempt = ?4
  AND id <> (SELECT id FROM inferences WHERE repository = ?1 AND subject = ?2)";

/// Remembers a green run: it ends the open causes of its branch, and shows that failures on its commit passed when they
/// were tried again. Telling it twice changes nothing.
pub fn passed(run: &PassedRun, now: i64) -> Query<()> {
    let ended_at = run.ended_at.unwrap_or(now);
    let id = || [number(run.run_id), Value::Integer(i64::from(run.run_attempt))];
    let [run_id, attempt] = id();
    let (workflow, branch) = (run.workflow.as_deref().unwrap_or(""), run.branch.as_deref().unwrap_or(""));
    let sha = run.head_sha.as_deref().unwrap_or("");
    let row = [
        text(&run.repository),
        run_id,
        attempt,
        run.installation_id.map_or(Value::Null, number),
        text(workflow),
        text(branch),
        text(sha),
        optional(run.trigger.as_deref()),
        optional(run.author.as_deref()),
        run.pull.map_or(Value::Null, number),
        Value::Integer(i64::from(is_default(branch, run.default_branch.as_deref(), run.trigger.as_deref()))),
        text("success"),
        Value::Integer(ended_at),
        Value::Integer(0),
        Value::Integer(0),
        Value::Null,
    ];
    let insert = Query::writing(statement(INSERT_RUN, row)).done();
    let [run_id, attempt] = id();
    let fixed = [
        text(&run.repository),
        text(workflow),
        text(branch),
        run_id,
        attempt,
        text(sha),
        Value::Integer(ended_at),
    ];
    let fix = Query::writing(statement(FIX_BRANCHES, fixed)).done();
    if sha.is_empty() {
        return insert.with(fix);
    }
    let [run_id, attempt] = id();
    let passed = [
        text(&run.repository),
        text(sha),
        text(workflow),
        optional(run.trigger.as_deref()),
        run_id,
        attempt,
        Value::Integer(ended_at),
    ];
    insert.with(fix).with(Query::writing(statement(PASS_FAILURES, passed)).done())
}

/// Remembers a failed run, before its failures. A record about a single job is no run.
pub(super) fn failed_run(record: &FailureRecord, jobs: OtherJobs<'_>, now: i64) -> Query<()> {
    let Subject::Run { run_id, run_attempt } = record.subject else { return Query::nothing() };
    let branch = record.branch.as_deref().unwrap_or("");
    let passed = json_of(&jobs.passed.iter().take(PASSED_JOBS_MAX).collect::<Vec<_>>());
    let row = [
        text(&record.repository),
        number(run_id),
        Value::Integer(i64::from(run_attempt)),
        super::installation(record),
        text(record.workflow.as_deref().unwrap_or("")),
        text(branch),
        text(record.head_sha.as_deref().unwrap_or("")),
        optional(record.trigger.as_deref()),
        optional(record.author.as_deref()),
        record.pull.map_or(Value::Null, number),
        Value::Integer(i64::from(is_default(
            branch,
            record.default_branch.as_deref(),
            record.trigger.as_deref(),
        ))),
        text("failure"),
        Value::Integer(record.ended_at.unwrap_or(now)),
        Value::Integer(count(jobs.failed)),
        Value::Integer(count(jobs.unread)),
        Value::Text(passed.clone()),
    ];
    let insert = Query::writing(statement(INSERT_RUN, row)).done();
    let Some(sha) = record.head_sha.as_deref().filter(|_| !jobs.passed.is_empty()) else { return insert };
    let passed = [
        text(&record.repository),
        text(sha),
        text(record.workflow.as_deref().unwrap_or("")),
        optional(record.trigger.as_deref()),
        number(run_id),
        Value::Integer(i64::from(run_attempt)),
        Value::Integer(record.ended_at.unwrap_or(now)),
        Value::Text(passed),
    ];
    insert.with(Query::writing(statement(PASS_JOBS, passed)).done())
}

/// Remembers a failure whose verdict has just been stored. If it is known, or if its job has another row, nothing changes.
pub(super) fn failed(new: &NewInference<'_>, failure: &NewFailure<'_>, now: i64) -> Query<()> {
    let which = || [text(&new.record.repository), Value::Text(new.subject.key())];
    let NewFailure { cause, .. } = failure;
    let at = failure.failed_at.or(new.record.ended_at).unwrap_or(now);
    let [repository, subject] = which();
    let row = [
        repository,
        subject,
        super::installation(new.record),
        text(cause.key.as_str()),
        text(cause.class),
        optional(failure.next.kind.map(|kind| kind.label())),
        text(failure.fault.label()),
        text(&cause.line),
        Value::Text(json_of(&cause.tests)),
        Value::Integer(at),
    ];
    let known_cause = Query::writing(statement(INSERT_CAUSE, row)).done();
    let names = json_of(&cause.tests);
    let tests = [
        text(&new.record.repository),
        super::installation(new.record),
        Value::Text(names.clone()),
        Value::Integer(at),
    ];
    let [repository, subject] = which();
    let inserted = Change::of(insert(new, failure, at))
        .then(statement(INSERT_TESTS, tests))
        .then(statement(INSERT_FAILED_TESTS, [repository, subject, Value::Text(names)]));
    let passed = Query::writing(statement(PASS_FAILURE, which())).done();
    let fixed = Query::writing(statement(FIX_BRANCH, which())).done();
    known_cause.with(inserted.done()).with(passed).with(fixed)
}

/// A row about the headline's job that is there already becomes the row of its run.
pub(super) fn become_headline(record: &FailureRecord, job_id: Option<u64>) -> Query<()> {
    match (&record.subject, job_id) {
        (Subject::Run { .. }, Some(job_id)) => {
            let of_job = format!("job:{job_id}");
            let which = [text(&record.repository), Value::Text(record.subject.key()), Value::Text(of_job)];
            Query::writing(statement(BECOME_HEADLINE, which)).done()
        }
        _ => Query::nothing(),
    }
}

/// Puts the failures of one attempt under the headline of its run, if the run has one.
pub(super) fn gather(record: &FailureRecord) -> Query<()> {
    let (run_id, run_attempt) = match record.subject {
        Subject::Run { run_id, run_attempt } => (run_id, run_attempt),
        Subject::Job { run_id: Some(run_id), run_attempt, .. } => (run_id, run_attempt),
        Subject::Job { run_id: None, .. } => return Query::nothing(),
    };
    let of_run = Subject::Run { run_id, run_attempt }.key();
    let attempt = Value::Integer(i64::from(run_attempt));
    let which = [text(&record.repository), Value::Text(of_run), number(run_id), attempt];
    Query::writing(statement(GATHER, which)).done()
}

fn insert(new: &NewInference<'_>, failure: &NewFailure<'_>, at: i64) -> Statement {
    let NewInference { record, .. } = new;
    let (run_id, run_attempt, of_job) = match record.subject {
        Subject::Run { run_id, run_attempt } => (Some(run_id), run_attempt, None),
        Subject::Job { job_id, run_id, run_attempt } => (run_id, run_attempt, Some(job_id)),
    };
    let branch = record.branch.as_deref().unwrap_or("");
    let row = [
        text(&record.repository),
        Value::Text(new.subject.key()),
        super::installation(record),
        run_id.map_or(Value::Null, number),
        Value::Integer(i64::from(run_attempt)),
        failure.job_id.or(of_job).map_or(Value::Null, number),
        text(record.workflow.as_deref().unwrap_or("")),
        text(new.job.or(record.job.as_deref()).unwrap_or("")),
        text(branch),
        Value::Integer(i64::from(is_default(
            branch,
            record.default_branch.as_deref(),
            record.trigger.as_deref(),
        ))),
        text(record.head_sha.as_deref().unwrap_or("")),
        optional(record.trigger.as_deref()),
        optional(record.author.as_deref()),
        record.pull.map_or(Value::Null, number),
        Value::Integer(at),
        text(failure.cause.key.as_str()),
        optional(failure.next.kind.map(|kind| kind.label())),
        text(failure.fault.label()),
        text(&failure.next.advice),
        text(&failure.next.docs),
        Value::Text(json_of(failure.facts)),
        Value::Text(json_of(&failure.around)),
        failure.seconds.map_or(Value::Null, number),
    ];
    statement(INSERT_FAILURE, row)
}

/// A run of a pull request is never on the default branch, though a fork's branch may have its name.
fn is_default(branch: &str, default_branch: Option<&str>, trigger: Option<&str>) -> bool {
    let of_pull = matches!(trigger, Some("pull_request" | "pull_request_target"));
    !branch.is_empty() && default_branch == Some(branch) && !of_pull
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
