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
/// Whether a test of the table `tests` is flaky: by its failures, or because it passed on retry in a report.
macro_rules! flaky_test_when {
    () => {
        concat!("(tests.retried > 0 OR ", super::flaky_when!("tests.failures"), ")")
    };
}
/// Whether a cause of the table `causes` is open at `?1`, in Unix seconds. One that was not seen for 30 days is not, since
/// nobody may ever run its branch again.
macro_rules! open_when {
    () => {
        "(open_branches > 0 AND last_at >= ?1 - 2592000)"
    };
}
/// The last green run before the last failure of a row of `cause_branches`, or NULL.
macro_rules! green_before {
    () => {
        "(SELECT run_id FROM runs WHERE runs.conclusion = 'success' AND runs.repository = cause_branches.repository
    AND runs.workflow = cause_branches.workflow AND runs.branch = cause_branches.branch
    AND runs.run_id < cause_branches.last_run_id ORDER BY run_id DESC LIMIT 1)"
    };
}
use {flaky_test_when, flaky_when, green_before, open_when};

pub mod backfill;
pub mod causes;
pub mod gauges;
pub mod known;
pub mod reports;
pub mod retries;
pub mod runs;
pub mod tests;

use super::query::{Change, Query, Statement, Value};
use super::verdict::NewInference;
use super::{json_of, number, optional, statement, text};
use crate::excerpt::Line;
use crate::facts::Facts;
use crate::failure::{FailureRecord, Subject, is_of_pull};
use crate::history::{self, Cause, Fault, KnownIssue};
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
    /// The known issue that it has.
    pub known: Option<&'a KnownIssue>,
    /// Sentences about what of the team's policy did not count.
    pub remarks: &'a [String],
    /// The pull request whose head failed, where the delivery does not name it.
    pub pull: Option<u64>,
    /// How it is related to the change of its pull request.
    pub change: Option<&'a history::Change>,
    /// Who owns its places.
    pub owners: &'a [String],
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

/// An attempt of a run that ended. What is not known is empty.
struct EndedRun<'a> {
    repository: &'a str,
    run_id: u64,
    run_attempt: u32,
    installation_id: Option<u64>,
    workflow: &'a str,
    branch: &'a str,
    on_default: bool,
    head_sha: &'a str,
    trigger: Option<&'a str>,
    author: Option<&'a str>,
    pull: Option<u64>,
    conclusion: &'static str,
    ended_at: i64,
    jobs_failed: usize,
    jobs_unread: usize,
    /// JSON: the names of the jobs that passed although the run failed.
    passed_jobs: Option<String>,
}

const INSERT_RUN: &str = "-- insert_run
INSERT INTO runs (repository, run_id, run_attempt, installation_id, workflow, branch, head_sha, trigger, author, pull,
  on_default, conclusion, ended_at, jobs_failed, jobs_unread, passed_jobs)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
ON CONFLICT (repository, run_id, run_attempt) DO NOTHING";

// What failed elsewhere on the commit of a run that passed: all its jobs (?8 is NULL), or those of these names. The earliest
// such run wins, in whatever order they arrive. A run of another event may have merged other code. The delivery of a job
// does not name its event.
const PASS_FAILURES: &str = "-- pass_failures
UPDATE failures SET passed_run_id = ?5, passed_attempt = ?6, passed_at = ?7
WHERE repository = ?1 AND head_sha = ?2 AND workflow = ?3 AND (trigger IS NULL OR trigger IS ?4)
  AND (run_id, run_attempt) <> (?5, ?6) AND (?8 IS NULL OR job IN (SELECT value FROM json_each(?8)))
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
  head_sha, trigger, author, pull, failed_at, seconds, cause_id, kind, fault, advice, docs, facts, around, known, remarks)
SELECT id, ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?23,
  (SELECT causes.id FROM causes WHERE causes.repository = ?1 AND causes.key = ?16), ?17, ?18, ?19, ?20, ?21, ?22, ?24, ?25
FROM inferences WHERE repository = ?1 AND subject = ?2
ON CONFLICT (id) DO NOTHING";

// It may be told after the failure, by a delivery about its run or its job.
const RELATE_FAILURE: &str = "-- relate_failure
UPDATE failures SET pull = COALESCE(pull, ?3), change = COALESCE(?4, change), owners = COALESCE(?5, owners)
WHERE id = (SELECT id FROM inferences WHERE repository = ?1 AND subject = ?2)";

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

// The same the other way round: the job passed in a green run on its commit, or in a failed one that names it.
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
    let branch = run.branch.as_deref().unwrap_or("");
    let run = EndedRun {
        repository: &run.repository,
        run_id: run.run_id,
        run_attempt: run.run_attempt,
        installation_id: run.installation_id,
        workflow: run.workflow.as_deref().unwrap_or(""),
        branch,
        on_default: is_default(branch, run.default_branch.as_deref(), run.trigger.as_deref()),
        head_sha: run.head_sha.as_deref().unwrap_or(""),
        trigger: run.trigger.as_deref(),
        author: run.author.as_deref(),
        pull: run.pull,
        conclusion: "success",
        ended_at: run.ended_at.unwrap_or(now),
        jobs_failed: 0,
        jobs_unread: 0,
        passed_jobs: None,
    };
    run.insert().with(run.fix()).with(run.pass())
}

/// Remembers a failed run, before its failures. A record about a single job is no run.
pub(super) fn failed_run(record: &FailureRecord, jobs: OtherJobs<'_>, now: i64) -> Query<()> {
    let Subject::Run { run_id, run_attempt } = record.subject else { return Query::nothing() };
    let branch = record.branch.as_deref().unwrap_or("");
    let run = EndedRun {
        repository: &record.repository,
        run_id,
        run_attempt,
        installation_id: record.installation_id,
        workflow: record.workflow.as_deref().unwrap_or(""),
        branch,
        on_default: is_default(branch, record.default_branch.as_deref(), record.trigger.as_deref()),
        head_sha: record.head_sha.as_deref().unwrap_or(""),
        trigger: record.trigger.as_deref(),
        author: record.author.as_deref(),
        pull: record.pull,
        conclusion: "failure",
        ended_at: record.ended_at.unwrap_or(now),
        jobs_failed: jobs.failed,
        jobs_unread: jobs.unread,
        passed_jobs: Some(json_of(&jobs.passed.iter().take(PASSED_JOBS_MAX).collect::<Vec<_>>())),
    };
    let passed = if jobs.passed.is_empty() { Query::nothing() } else { run.pass() };
    run.insert().with(passed)
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
    known_cause.with(inserted.done()).with(relate(new, failure)).with(passed).with(fixed)
}

/// Remembers how a failure is related to a change and to people, if that is known.
fn relate(new: &NewInference<'_>, failure: &NewFailure<'_>) -> Query<()> {
    if failure.pull.is_none() && failure.change.is_none() && failure.owners.is_empty() {
        return Query::nothing();
    }
    let row = [
        text(&new.record.repository),
        Value::Text(new.subject.key()),
        failure.pull.map_or(Value::Null, number),
        failure.change.map_or(Value::Null, |change| Value::Text(json_of(change))),
        if failure.owners.is_empty() { Value::Null } else { Value::Text(json_of(&failure.owners)) },
    ];
    Query::writing(statement(RELATE_FAILURE, row)).done()
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

// === impl EndedRun ===

impl EndedRun<'_> {
    fn insert(&self) -> Query<()> {
        let [run_id, attempt] = self.id();
        let row = [
            text(self.repository),
            run_id,
            attempt,
            self.installation_id.map_or(Value::Null, number),
            text(self.workflow),
            text(self.branch),
            text(self.head_sha),
            optional(self.trigger),
            optional(self.author),
            self.pull.map_or(Value::Null, number),
            Value::Integer(i64::from(self.on_default)),
            text(self.conclusion),
            Value::Integer(self.ended_at),
            Value::Integer(count(self.jobs_failed)),
            Value::Integer(count(self.jobs_unread)),
            self.passed_jobs(),
        ];
        Query::writing(statement(INSERT_RUN, row)).done()
    }

    /// Ends the open causes of the branch.
    fn fix(&self) -> Query<()> {
        let [run_id, attempt] = self.id();
        let row = [
            text(self.repository),
            text(self.workflow),
            text(self.branch),
            run_id,
            attempt,
            text(self.head_sha),
            Value::Integer(self.ended_at),
        ];
        Query::writing(statement(FIX_BRANCHES, row)).done()
    }

    /// Marks what failed elsewhere on the commit and passed here.
    fn pass(&self) -> Query<()> {
        if self.head_sha.is_empty() {
            return Query::nothing();
        }
        let [run_id, attempt] = self.id();
        let row = [
            text(self.repository),
            text(self.head_sha),
            text(self.workflow),
            optional(self.trigger),
            run_id,
            attempt,
            Value::Integer(self.ended_at),
            self.passed_jobs(),
        ];
        Query::writing(statement(PASS_FAILURES, row)).done()
    }

    fn id(&self) -> [Value; 2] {
        [number(self.run_id), Value::Integer(i64::from(self.run_attempt))]
    }

    fn passed_jobs(&self) -> Value {
        self.passed_jobs.clone().map_or(Value::Null, Value::Text)
    }
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
        failure.known.map_or(Value::Null, |known| Value::Text(json_of(known))),
        if failure.remarks.is_empty() { Value::Null } else { Value::Text(json_of(&failure.remarks)) },
    ];
    statement(INSERT_FAILURE, row)
}

/// A run of a pull request is never on the default branch, though a fork's branch may have its name.
fn is_default(branch: &str, default_branch: Option<&str>, trigger: Option<&str>) -> bool {
    !branch.is_empty() && default_branch == Some(branch) && !is_of_pull(trigger)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
