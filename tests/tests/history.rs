//! The memory of failures in a real database: deliveries that come late, twice and in any order end in the same tables,
//! and every count equals a recount.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sentinel_node::database::Store;
use sentinel_shared::Error;
use sentinel_shared::access::Scope;
use sentinel_shared::failure::{FailureRecord, Subject};
use sentinel_shared::history::{KnownIssue, NewKnown, Pattern, RetryWish, Standing, Trial};
use sentinel_shared::junit::{CASES_MAX, Outcome, Report};
use sentinel_shared::store::history::causes::{self, CauseFilter, CauseState};
use sentinel_shared::store::history::reports::{self, FAILED_MAX, NewReport, RATE_DAYS, Stored};
use sentinel_shared::store::history::retries::RetryState;
use sentinel_shared::store::history::tests::{self, RateSource, TestFilter, TestRow};
use sentinel_shared::store::history::{self, backfill, gauges, known, retries, runs};
use sentinel_shared::store::{DAY_SECONDS, Query, Statement, deliveries, inferences, retention};
use sentinel_shared::webhook::DeliveryKey;
use sentinel_tests::database::{client, served};
use sentinel_tests::history::{DAY, FailedRun, Job, REPOSITORY, green, record};
use sentinel_tests::node::RUNTIME;
use sentinel_tests::stack;
use serde::Deserialize;

/// An hour of the day that the tests tell.
const HOUR: i64 = 3600;
const NOW: i64 = DAY + 24 * HOUR;

// === what happened ===

#[derive(Debug, Clone, Copy)]
enum Event {
    /// A run that failed: its id, attempt, branch and commit, the jobs that failed, and those that passed.
    Failed(u64, u32, &'static str, &'static str, &'static [Job], &'static [&'static str]),
    /// A run that passed.
    Passed(u64, u32, &'static str, &'static str),
    /// The delivery of one failed job of such a run.
    JobFailed(u64, u32, &'static str, &'static str, Job),
}
use Event::{Failed, JobFailed, Passed};

const COMPILE: &str = "error[E0382]: borrow of moved value: `config`";
const DISK: &str = "fatal: no space left on device";
const LOAD: &str = "FAILED tests/test_load.py::test_load";

/// A day of one repository.
const DAY_OF_EVENTS: &[Event] = &[
    Passed(100, 1, "main", "a0"),
    // Main is red with a compile error, in two jobs.
    Failed(
        110,
        1,
        "main",
        "a1",
        &[Job(1101, "linux", COMPILE, &[]), Job(1102, "mac", COMPILE, &[])],
        &["lint"],
    ),
    // A pull request has it too, and a flaky test.
    Failed(
        120,
        1,
        "topic",
        "b1",
        &[Job(1201, "linux", COMPILE, &[]), Job(1202, "slow", LOAD, &["test_load"])],
        &[],
    ),
    JobFailed(120, 1, "topic", "b1", Job(1202, "slow", LOAD, &["test_load"])),
    // Tried again, the slow job passes.
    Failed(120, 2, "topic", "b1", &[Job(1203, "linux", COMPILE, &[])], &["slow"]),
    // Fixed on main.
    Passed(130, 1, "main", "a2"),
    // A run of an older commit ends later, and fixes nothing newer.
    Failed(140, 1, "main", "a3", &[Job(1401, "linux", DISK, &[])], &[]),
    Passed(135, 1, "main", "a2b"),
    // The same commit passes when it is tried again.
    Passed(140, 2, "main", "a3"),
    Failed(150, 1, "topic", "b2", &[Job(1501, "slow", LOAD, &["test_load", "test_store"])], &[]),
];

// === the rig ===

struct Rig {
    store: Store,
}

impl Rig {
    fn new(test: &str) -> Self {
        let file = stack::work_folder(&format!("history-{test}")).unwrap().join("test.db");
        Self { store: client(&served(&file)) }
    }

    fn ask<T: Send + 'static>(&self, query: Query<T>) -> T {
        self.try_ask(query).unwrap()
    }

    fn try_ask<T: Send + 'static>(&self, query: Query<T>) -> Result<T, Error> {
        RUNTIME.block_on(self.store.ask(query))
    }

    fn tell(&self, event: &Event) {
        match *event {
            Passed(run_id, attempt, branch, sha) => {
                let run = green(run_id, attempt, branch, &sha_of(sha), at(run_id) + 30);
                self.ask(history::passed(&run, NOW));
            }
            Failed(run_id, run_attempt, branch, sha, jobs, passed) => {
                let subject = Subject::Run { run_id, run_attempt };
                let record = record(subject, branch, &sha_of(sha), at(run_id));
                self.ask(FailedRun::of(record, jobs, passed).finish(NOW));
            }
            JobFailed(run_id, run_attempt, branch, sha, job) => {
                let subject = Subject::Job { job_id: job.0, run_id: Some(run_id), run_attempt };
                let of_run = record(subject, branch, &sha_of(sha), at(run_id));
                // The delivery of a job names no event.
                let record = FailureRecord { trigger: None, ..of_run };
                self.ask(FailedRun::of(record, &[job], &[]).finish(NOW));
            }
        }
    }

    /// Everything that people are told, without the ids, which depend on the order of arrival.
    fn told(&self) -> Vec<String> {
        #[derive(Deserialize)]
        struct Row {
            told: String,
        }
        let rows = |sql| self.ask(Query::reading(Statement { sql, args: Vec::new() }).rows::<Row>());
        TOLD.iter().flat_map(|sql| rows(sql)).map(|row| row.told).collect()
    }

    fn count(&self, sql: &'static str) -> i64 {
        #[derive(Deserialize)]
        struct Row {
            n: i64,
        }
        let row: Row = self.ask(Query::reading(Statement { sql, args: Vec::new() }).only());
        row.n
    }
}

const TOLD: &[&str] = &[
    "-- causes
SELECT 'cause ' || json_array(key, class, times, passed, open_branches, first_at, last_at) AS told FROM causes ORDER BY key",
    "-- branches
SELECT 'branch ' || json_array(key, workflow, branch, on_default, cause_branches.times, cause_branches.last_at, last_run_id,
  last_attempt, fixed_run_id, fixed_attempt, fixed_sha) AS told
FROM cause_branches JOIN causes ON causes.id = cause_id ORDER BY key, workflow, branch",
    "-- failures
SELECT 'failure ' || json_array(failures.job_id, subject, run_id, run_attempt, key, failed_at, passed_run_id, passed_attempt,
  (SELECT subject FROM inferences AS headline WHERE headline.id = headline_id)) AS told
FROM failures JOIN inferences USING (id) JOIN causes ON causes.id = cause_id ORDER BY failures.job_id",
    "-- tests
SELECT 'test ' || json_array(name, failures, passed, first_at, last_at) AS told FROM tests ORDER BY name",
    "-- runs
SELECT 'run ' || json_array(run_id, run_attempt, conclusion, jobs_failed, passed_jobs) AS told FROM runs ORDER BY run_id, run_attempt",
];

/// Counts that differ from a recount.
const WRONG_COUNTS: &[&str] = &[
    "-- causes_recounted
SELECT COUNT(*) AS n FROM causes WHERE times <> (SELECT COUNT(*) FROM failures WHERE cause_id = causes.id)
  OR passed <> (SELECT COUNT(passed_at) FROM failures WHERE cause_id = causes.id)
  OR first_at <> (SELECT MIN(failed_at) FROM failures WHERE cause_id = causes.id)
  OR open_branches <> (SELECT COUNT(*) FROM cause_branches WHERE cause_id = causes.id AND fixed_run_id IS NULL)",
    "-- branches_recounted
SELECT COUNT(*) AS n FROM cause_branches WHERE times <> (SELECT COUNT(*) FROM failures
  WHERE failures.cause_id = cause_branches.cause_id AND failures.workflow = cause_branches.workflow
    AND failures.branch = cause_branches.branch)",
    "-- tests_recounted
SELECT COUNT(*) AS n FROM tests WHERE failures <> (SELECT COUNT(*) FROM failed_tests WHERE test_id = tests.id)
  OR passed <> (SELECT COUNT(passed_at) FROM failed_tests JOIN failures ON failures.id = failure_id WHERE test_id = tests.id)",
    "-- reported_recounted
SELECT COUNT(*) AS n FROM tests
WHERE reported <> (SELECT COUNT(*) FROM report_tests WHERE test_id = tests.id)
  OR retried <> (SELECT COUNT(*) FROM report_tests WHERE test_id = tests.id AND outcome IN (1, 3))",
    "-- left_of_reports
SELECT (SELECT COUNT(*) FROM report_tests WHERE outcome = 0 OR report_id NOT IN (SELECT id FROM reports)
    OR test_id NOT IN (SELECT id FROM tests))
  + (SELECT COUNT(*) FROM test_days WHERE test_id NOT IN (SELECT id FROM tests))
  + (SELECT COUNT(*) FROM reports WHERE counted = 0) AS n",
    "-- left_over
SELECT (SELECT COUNT(*) FROM failed_tests WHERE failure_id NOT IN (SELECT id FROM failures))
  + (SELECT COUNT(*) FROM cause_branches WHERE cause_id NOT IN (SELECT id FROM causes))
  + (SELECT COUNT(*) FROM failures WHERE id NOT IN (SELECT id FROM inferences)) AS n",
];

fn at(run_id: u64) -> i64 {
    DAY + i64::try_from(run_id).unwrap() * 60
}

fn sha_of(short: &str) -> String {
    short.repeat(20)
}

// === the tests ===

#[test]
fn a_day_ends_in_the_tables_that_were_written_down_beforehand() {
    let rig = Rig::new("day");
    DAY_OF_EVENTS.iter().for_each(|event| rig.tell(event));
    let all = rig.ask(causes::causes(Scope::All, CauseFilter::default(), 10, NOW));
    let told: Vec<_> =
        all.iter().map(|cause| (cause.line.as_str(), cause.times, cause.passed, cause.state)).collect();
    assert_eq!(
        told,
        [
            (LOAD, 1, 0, CauseState::Open),
            // Its commit passed when it was tried again, so it is over on main.
            (DISK, 1, 1, CauseState::Fixed),
            // On its commit the slow job passed. No run of the branch was green since.
            (LOAD, 1, 1, CauseState::Open),
            // Fixed on main, and the topic branch still has it.
            (COMPILE, 4, 0, CauseState::Open),
        ]
    );
    let compile = rig.ask(causes::branches(all[3].id));
    let [main, topic] = compile.try_into().unwrap();
    assert_eq!(
        (main.branch.as_str(), main.times, main.fixed_sha.as_deref()),
        ("main", 2, Some(&*sha_of("a2")))
    );
    assert_eq!(
        (main.green_sha.as_deref(), main.red_sha.as_deref()),
        (Some(&*sha_of("a0")), Some(&*sha_of("a1")))
    );
    assert_eq!((topic.branch.as_str(), topic.times, topic.fixed_sha), ("topic", 2, None));
    let topic_run = rig.ask(runs::of_run(Scope::All, REPOSITORY, 120, 1));
    let standing = |id| {
        let seen = rig.ask(causes::seen(id)).unwrap();
        Standing::of(&seen, NOW).into_iter().map(|line| line.standing).collect::<Vec<_>>()
    };
    assert_eq!(standing(topic_run[0].id), [Standing::SeenBefore]);
    assert_eq!(standing(topic_run[1].id)[0], Standing::PassedOnRetry);
    let failures = rig.ask(runs::of_run(Scope::All, REPOSITORY, 110, 1));
    assert_eq!(standing(failures[0].id), [Standing::Fixed, Standing::SeenBefore]);
    let jobs: Vec<_> = failures.iter().map(|failure| (failure.job.as_str(), failure.is_headline)).collect();
    assert_eq!(jobs, [("linux", true), ("mac", false)]);
    let tests = rig.ask(tests::tests(Scope::All, TestFilter::default(), 10, NOW));
    let tests: Vec<_> = tests.iter().map(|test| (test.name.as_str(), test.failures, test.passed)).collect();
    assert_eq!(tests, [("t.py::test_load", 2, 1), ("t.py::test_store", 1, 0)]);
    for sql in WRONG_COUNTS {
        assert_eq!(rig.count(sql), 0, "{sql}");
    }
}

#[test]
fn deliveries_that_come_twice_late_and_in_any_order_end_in_the_same_tables() {
    let straight = Rig::new("straight");
    DAY_OF_EVENTS.iter().for_each(|event| straight.tell(event));
    let expected = straight.told();
    let orders = Just(DAY_OF_EVENTS.to_vec()).prop_shuffle();
    let repeated = prop::collection::vec(prop::sample::select(DAY_OF_EVENTS.to_vec()), 0..6);
    let case = std::cell::Cell::new(0);
    TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() })
        .run(&(orders, repeated), |(order, repeated)| {
            case.set(case.get() + 1);
            let rig = Rig::new(&format!("order-{}", case.get()));
            order.iter().chain(&repeated).for_each(|event| rig.tell(event));
            prop_assert_eq!(&rig.told(), &expected, "{:?}", order);
            for sql in WRONG_COUNTS {
                prop_assert_eq!(rig.count(sql), 0, "{}", sql);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_delivery_of_a_job_and_that_of_its_run_meet_one_row() {
    let job = Job(1101, "linux", COMPILE, &[]);
    let of_run = Failed(110, 1, "main", "a1", &[Job(1101, "linux", COMPILE, &[])], &[]);
    let of_job = JobFailed(110, 1, "main", "a1", job);
    for (name, events) in [("run-first", [of_run, of_job]), ("job-first", [of_job, of_run])] {
        let rig = Rig::new(name);
        events.iter().for_each(|event| rig.tell(event));
        assert_eq!(rig.count("-- rows\nSELECT COUNT(*) AS n FROM inferences"), 1, "{name}");
        for subject in ["run:110:1", "job:1101"] {
            let row = rig.ask(inferences::of_subject(Scope::All, REPOSITORY, subject));
            assert_eq!((row.id, row.subject.as_str()), (1, "run:110:1"), "{name}");
        }
    }
}

#[test]
fn a_failure_that_main_has_too_is_told_as_such_until_main_is_green() {
    let rig = Rig::new("main-red");
    DAY_OF_EVENTS[..3].iter().for_each(|event| rig.tell(event));
    let standing = || {
        let failures = rig.ask(runs::of_run(Scope::All, REPOSITORY, 120, 1));
        let seen = rig.ask(causes::seen(failures[0].id)).unwrap();
        Standing::of(&seen, NOW).into_iter().map(|line| line.sentence).collect::<Vec<_>>().join(" ")
    };
    assert!(standing().starts_with("Already failing on `main` since a1a1a1a (22 h ago)"), "{}", standing());
    rig.tell(&DAY_OF_EVENTS[5]);
    assert!(!standing().contains("probably not your change"), "{}", standing());
}

#[test]
fn forgetting_leaves_no_row_and_no_count_behind() {
    let rig = Rig::new("forget");
    DAY_OF_EVENTS.iter().for_each(|event| rig.tell(event));
    rig.ask(retention::repository(Scope::All, REPOSITORY));
    let left = "-- left
SELECT (SELECT COUNT(*) FROM failures) + (SELECT COUNT(*) FROM causes) + (SELECT COUNT(*) FROM cause_branches)
  + (SELECT COUNT(*) FROM runs) + (SELECT COUNT(*) FROM tests) + (SELECT COUNT(*) FROM failed_tests)
  + (SELECT COUNT(*) FROM causes_words WHERE causes_words MATCH 'error') AS n";
    assert_eq!(rig.count(left), 0);
}

#[test]
fn the_oldest_failures_go_first_and_the_counts_follow() {
    let rig = Rig::new("retention");
    DAY_OF_EVENTS.iter().for_each(|event| rig.tell(event));
    rig.ask(
        Query::writing(Statement {
            sql: "-- age\nUPDATE inferences SET timestamp = 5 WHERE subject IN ('run:110:1', 'job:1202')",
            args: Vec::new(),
        })
        .done(),
    );
    rig.ask(retention::old(NOW, 30));
    for sql in WRONG_COUNTS {
        assert_eq!(rig.count(sql), 0, "{sql}");
    }
    assert_eq!(rig.count("-- gone\nSELECT COUNT(*) AS n FROM failures WHERE job_id IN (1101, 1202)"), 0);
}

// === known issues and retries ===

fn issue(text: &str) -> KnownIssue {
    let new = NewKnown { text: Some(text.into()), advice: Some("wait".into()), ..NewKnown::default() };
    new.check().unwrap()
}

#[test]
fn a_known_issue_is_kept_for_its_own_repository_and_installation_and_goes_with_them() {
    let rig = Rig::new("known");
    DAY_OF_EVENTS.iter().for_each(|event| rig.tell(event));
    let keep =
        |scope, repository| rig.try_ask(known::keep(scope, repository, &issue("no space"), "ops", NOW));
    assert!(keep(Scope::Installation(8), REPOSITORY).is_err(), "another installation's repository");
    assert!(keep(Scope::All, "no/where").is_err());
    let kept = keep(Scope::Installation(7), REPOSITORY).unwrap();
    assert_eq!((kept.pattern.as_str(), kept.made_by.as_str()), ("no space", "ops"));
    let of = |scope| rig.ask(known::of_repository(scope, REPOSITORY)).len();
    assert_eq!((of(Scope::All), of(Scope::Installation(7)), of(Scope::Installation(8))), (1, 1, 0));
    assert_eq!(rig.try_ask(known::remove(Scope::Installation(8), kept.id)), Err(Error::NotFound));
    // The next delivery of the repository brings it along, and that of another installation does not.
    let delivered = |id: &str, installation_id| {
        let key = DeliveryKey { hook: "1".into(), id: id.into() };
        let of = record(Subject::Run { run_id: 900, run_attempt: 1 }, "main", "a1", DAY);
        let of = FailureRecord { installation_id, ..of };
        rig.ask(deliveries::accept(&key, "workflow_run", &of, NOW)).0.known
    };
    assert_eq!(delivered("d1", Some(7))[0].pattern, Pattern::Text("no space".into()));
    assert_eq!(delivered("d2", Some(8)), []);
    let (taken, _) = rig.ask(deliveries::take_up(5, NOW + 3600));
    let mut brought: Vec<usize> = taken.iter().map(|delivery| delivery.known.len()).collect();
    brought.sort_unstable();
    assert_eq!(brought, [0, 1]);
    (1..50).for_each(|_| {
        keep(Scope::All, REPOSITORY).unwrap();
    });
    assert!(matches!(keep(Scope::All, REPOSITORY), Err(Error::KnownRefused(_))), "fifty are enough");
    rig.ask(retention::repository(Scope::Installation(7), REPOSITORY));
    assert_eq!(of(Scope::All), 0);
}

#[test]
fn a_pattern_is_tried_on_the_lines_of_the_last_thirty_days_of_the_callers_own_causes() {
    let rig = Rig::new("tried");
    DAY_OF_EVENTS.iter().for_each(|event| rig.tell(event));
    let tried = |scope, now| rig.ask(known::tried_on(scope, REPOSITORY, known::TRIED_MAX, now));
    let claims = |text: &str| issue(text).pattern.matcher().unwrap().try_on(&tried(Scope::All, NOW));
    assert_eq!(claims("no space left"), Trial { claims: 1, classes: 1, of: 4 });
    assert_eq!(claims("test_store").claims, 1, "a test's name");
    assert_eq!(tried(Scope::Installation(8), NOW).len(), 0);
    assert_eq!(tried(Scope::All, NOW + 40 * 24 * HOUR).len(), 0);
}

const FLAKY_WISH: RetryWish =
    RetryWish { known: false, flaky: true, infra: false, passing: false, vague: false };

/// Stores a failed run with the test that fails in [`LOAD`], and says whether its retry is ours to ask for.
fn claims_retry(rig: &Rig, run_id: u64, sha: &str, wish: RetryWish) -> bool {
    let record = record(Subject::Run { run_id, run_attempt: 1 }, "topic", sha, at(run_id));
    let job = [Job(run_id * 10, "slow", LOAD, &["test_load"])];
    let stored = FailedRun::of(record.clone(), &job, &[]).finish(NOW);
    rig.ask(stored.then(retries::claim(&record, wish, NOW)))
}

#[test]
fn a_run_is_tried_again_once_for_each_commit_and_only_if_its_cause_is_flaky() {
    let rig = Rig::new("retries");
    let sha = |at: u64| format!("{at:040x}");
    assert!(!claims_retry(&rig, 200, &sha(0), FLAKY_WISH), "nothing is known of it yet");
    for run in 201..207 {
        claims_retry(&rig, run, &sha(run), RetryWish { flaky: false, ..FLAKY_WISH });
        rig.ask(history::passed(&green(run, 2, "topic", &sha(run), at(run) + 30), NOW));
    }
    assert!(!claims_retry(&rig, 206, &sha(206), FLAKY_WISH), "it passed already");
    assert!(!claims_retry(&rig, 300, &sha(300), RetryWish { vague: true, ..FLAKY_WISH }));
    let asked: Vec<bool> = (0..5).map(|_| claims_retry(&rig, 300, &sha(300), FLAKY_WISH)).collect();
    assert_eq!(asked, [true, false, false, false, false]);
    assert!(!claims_retry(&rig, 301, &sha(300), FLAKY_WISH), "another run of the commit");
    let of_run = |scope| rig.ask(retries::of_run(scope, REPOSITORY, 300));
    let claimed = of_run(Scope::Installation(7)).unwrap();
    assert_eq!((claimed.state, claimed.reason.as_str()), (RetryState::Claimed, "flaky"));
    assert!(claimed.sentence.contains("it is not asked twice"), "{}", claimed.sentence);
    assert_eq!(of_run(Scope::Installation(8)), None);
    let of = record(Subject::Run { run_id: 300, run_attempt: 1 }, "topic", &sha(300), DAY);
    rig.ask(retries::answered(&of, RetryState::Refused, Some("403: no right"), NOW));
    let refused = of_run(Scope::All).unwrap();
    assert_eq!((refused.state, refused.answer.as_deref()), (RetryState::Refused, Some("403: no right")));
    rig.ask(retention::old(NOW + 400 * 24 * HOUR, 365));
    assert_eq!(of_run(Scope::All), None);
}

#[test]
fn what_the_platform_failed_is_tried_again_unless_that_never_helped() {
    let rig = Rig::new("retries-infra");
    let infra = RetryWish { known: false, flaky: false, infra: true, passing: true, vague: false };
    let sha = |at: u64| format!("{at:040x}");
    assert!(!claims_retry(&rig, 400, &sha(400), RetryWish { passing: false, ..infra }));
    assert!(claims_retry(&rig, 401, &sha(401), infra));
    let tried: Vec<bool> = (402..408).map(|run| claims_retry(&rig, run, &sha(run), infra)).collect();
    assert_eq!(tried, [true, true, false, false, false, false], "five failures, and none passed on retry");
    assert!(claims_retry(&rig, 409, &sha(409), RetryWish { known: true, ..infra }), "a team knows better");
}

#[test]
fn no_question_about_known_issues_and_retries_reads_a_whole_table() {
    let rig = Rig::new("known-plans");
    let run = record(Subject::Run { run_id: 1, run_attempt: 1 }, "main", "a1", DAY);
    let key = DeliveryKey { hook: "1".into(), id: "d".into() };
    let steps = [
        plan(&rig, &known::of_repository(Scope::All, REPOSITORY)),
        plan(&rig, &known::keep(Scope::All, REPOSITORY, &issue("some text"), "ops", NOW)),
        plan(&rig, &known::tried_on(Scope::Installation(7), REPOSITORY, 10, NOW)),
        plan(&rig, &retries::claim(&run, FLAKY_WISH, NOW)),
        plan(&rig, &retries::of_run(Scope::All, REPOSITORY, 1)),
        plan(&rig, &deliveries::accept(&key, "workflow_run", &run, NOW)),
    ]
    .concat();
    for table in ["known_issues", "retries", "causes", "failures", "runs", "inferences"] {
        assert!(!steps.iter().any(|step| step.starts_with(&format!("SCAN {table}"))), "{steps:#?}");
    }
}

#[test]
fn causes_are_found_by_words_of_their_lines_and_tests() {
    let rig = Rig::new("words");
    DAY_OF_EVENTS.iter().for_each(|event| rig.tell(event));
    let found = |words| {
        let filter = CauseFilter { words: Some(words), ..CauseFilter::default() };
        rig.ask(causes::causes(Scope::All, filter, 10, NOW)).len()
    };
    assert_eq!(["borrow moved", "test_sto", "space", "nothing", "\" OR 1 *"].map(found), [1, 1, 1, 0, 0]);
}

/// The plan of a question's statements, a line for each step.
fn plan<T: 'static>(rig: &Rig, query: &Query<T>) -> Vec<String> {
    #[derive(Deserialize)]
    struct Step {
        detail: String,
    }
    let explain = |statement: &Statement| {
        let sql: &'static str =
            Box::leak(format!("-- explain\nEXPLAIN QUERY PLAN {}", statement.sql).into_boxed_str());
        rig.ask(Query::reading(Statement { sql, args: statement.args.clone() }).rows::<Step>())
    };
    query.statements().iter().flat_map(explain).map(|step| step.detail).collect()
}

#[test]
fn no_question_reads_a_whole_table() {
    let rig = Rig::new("plans");
    let none = CauseFilter::default();
    let repository =
        CauseFilter { repository: Some(REPOSITORY), author: Some("ann"), branch: Some("main"), ..none };
    let words = CauseFilter {
        words: Some("error"),
        state: Some(CauseState::Open),
        flaky: true,
        before: Some(1),
        ..none
    };
    let list = |scope, filter| causes::causes(scope, filter, 50, NOW);
    let none_ran = Report::default();
    let report = report_of(1, 1, "aa", b"", &none_ran);
    let plans = [
        ("causes", plan(&rig, &list(Scope::All, none))),
        ("of a repository", plan(&rig, &list(Scope::All, repository))),
        ("of an installation", plan(&rig, &list(Scope::Installation(7), words))),
        ("cause", plan(&rig, &causes::cause(Scope::All, 1, NOW))),
        ("branches", plan(&rig, &causes::branches(1))),
        ("of a cause", plan(&rig, &runs::of_cause(Scope::All, 1))),
        ("seen", plan(&rig, &causes::seen(1))),
        ("of a run", plan(&rig, &runs::of_run(Scope::All, REPOSITORY, 1, 1))),
        ("run", plan(&rig, &runs::run(Scope::All, REPOSITORY, 1, 1))),
        ("by id", plan(&rig, &runs::by_id(Scope::All, 1))),
        ("red", plan(&rig, &runs::red(Scope::All, NOW))),
        ("recovery", plan(&rig, &runs::recovery(Scope::All, NOW))),
        (
            "tests",
            plan(&rig, &tests::tests(Scope::All, TestFilter { repository: None, flaky: true }, 50, NOW)),
        ),
        (
            "tests of a repository",
            plan(
                &rig,
                &tests::tests(Scope::All, TestFilter { repository: Some(REPOSITORY), flaky: false }, 50, NOW),
            ),
        ),
        ("gauges", plan(&rig, &gauges::gauges(NOW))),
        ("old reports", plan(&rig, &reports::forget(NOW))),
        ("report", plan(&rig, &reports::record(Scope::Installation(7), &report, NOW))),
        ("green run", plan(&rig, &history::passed(&green(1, 1, "main", &sha_of("aa"), NOW), NOW))),
    ];
    const TABLES: [&str; 11] = [
        "inferences",
        "failures",
        "causes",
        "cause_branches",
        "runs",
        "tests",
        "failed_tests",
        "feedback",
        "reports",
        "report_tests",
        "test_days",
    ];
    for (name, steps) in plans {
        let scans = |step: &&String| {
            let table =
                step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            // In the order of an index, a list ends at its limit.
            TABLES.contains(&table) && !step.contains("USING INDEX")
        };
        assert_eq!(steps.iter().find(scans), None, "{name}: {steps:#?}");
        assert!(
            !steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY") && name == "causes"),
            "{steps:#?}"
        );
    }
}

// === reports ===

fn report_of<'a>(
    run_id: u64,
    attempt: u32,
    sha: &'a str,
    body: &'a [u8],
    report: &'a Report,
) -> NewReport<'a> {
    NewReport {
        repository: REPOSITORY,
        run_id,
        run_attempt: attempt,
        job: "test",
        branch: "main",
        head_sha: sha,
        body,
        report,
    }
}

/// A report of these tests: `+name` passed, `-name` failed, `~name` passed on retry, `/name` did not run.
fn xml(tests: &str) -> String {
    let case = |test: &str| {
        let inside = match &test[..1] {
            "-" => "<failure/>",
            "~" => "<flakyFailure/>",
            "/" => "<skipped/>",
            _ => "",
        };
        format!(r#"<testcase classname="t" name="{}" time="0.5">{inside}</testcase>"#, &test[1..])
    };
    format!(r#"<testsuite name="pytest">{}</testsuite>"#, tests.split(' ').map(case).collect::<String>())
}

impl Rig {
    fn report_at(&self, run_id: u64, attempt: u32, sha: &str, tests: &str, now: i64) -> Stored {
        let xml = xml(tests);
        let report = Report::parse(xml.as_bytes()).unwrap();
        self.ask(reports::record(Scope::All, &report_of(run_id, attempt, sha, xml.as_bytes(), &report), now))
    }

    fn report(&self, run_id: u64, attempt: u32, sha: &str, tests: &str) -> Stored {
        self.report_at(run_id, attempt, sha, tests, NOW)
    }

    fn tests(&self) -> Vec<TestRow> {
        self.ask(tests::tests(Scope::All, TestFilter::default(), 100, NOW))
    }

    /// Of each test the reports in which it ran, failed, and passed on retry, by name.
    fn rates(&self) -> Vec<(String, u64, u64, u64)> {
        let mut rates: Vec<_> = self
            .tests()
            .into_iter()
            .map(|test| (test.name, test.runs, test.failed_runs, test.retried))
            .collect();
        rates.sort_unstable();
        rates
    }

    fn recount(&self) {
        for sql in WRONG_COUNTS {
            assert_eq!(self.count(sql), 0, "{sql}");
        }
    }
}

fn rate_of(name: &str, runs: u64, failed: u64, retried: u64) -> (String, u64, u64, u64) {
    (format!("t.py::{name}"), runs, failed, retried)
}

#[test]
fn reports_tell_how_often_a_test_ran_and_failed_from_its_first_failure_on() {
    let rig = Rig::new("reports");
    rig.report(1, 1, "a1", "+a +b +c");
    assert_eq!(rig.rates(), [], "a test that never failed has no row");
    let stored = rig.report(2, 1, "a2", "-a +b /c");
    assert!(stored.is_new);
    let told: Vec<_> =
        stored.tests.iter().map(|test| (test.name.as_str(), test.outcome, test.flaky)).collect();
    assert_eq!(told, [("t.py::a", Outcome::Failed, false)]);
    rig.report(3, 1, "a3", "+a +b -c");
    rig.report(4, 1, "a4", "-a ~b /c");
    assert_eq!(rig.rates(), [rate_of("a", 3, 2, 0), rate_of("b", 1, 1, 1), rate_of("c", 1, 1, 0)]);
    let tests = rig.tests();
    let flaky: Vec<_> = tests.iter().filter(|test| test.flaky).map(|test| test.name.as_str()).collect();
    assert_eq!((flaky, tests[0].name.as_str()), (vec!["t.py::b"], "t.py::b"));
    assert_eq!(rig.ask(gauges::gauges(NOW)).flaky_tests, 1);
    let a = tests.iter().find(|test| test.name == "t.py::a").unwrap();
    let rate = a.rate.unwrap();
    assert_eq!((a.from, a.failures), (RateSource::Reports, 0));
    assert!((rate.share - 2.0 / 3.0).abs() < 1e-9 && rate.low > 0.2 && rate.high < 0.94, "{rate:?}");
    rig.recount();
}

#[test]
fn a_report_that_comes_again_changes_nothing() {
    let rig = Rig::new("again");
    let dump = || {
        let tables = [
            "-- t\nSELECT json_array(id, name, failures, passed, reported, retried, first_at, last_at) AS told FROM tests ORDER BY id",
            "-- d\nSELECT json_array(test_id, day, runs, failures) AS told FROM test_days ORDER BY test_id, day",
            "-- r\nSELECT json_array(id, run_id, digest, counted, received_at) AS told FROM reports ORDER BY id",
            "-- o\nSELECT json_array(report_id, test_id, outcome) AS told FROM report_tests ORDER BY report_id, test_id",
        ];
        #[derive(Deserialize)]
        struct Row {
            told: String,
        }
        let rows = |sql| rig.ask(Query::reading(Statement { sql, args: Vec::new() }).rows::<Row>());
        tables.into_iter().flat_map(rows).map(|row| row.told).collect::<Vec<_>>()
    };
    let first = rig.report(1, 1, "a1", "-a ~b +c");
    let before = dump();
    let again = rig.report_at(1, 1, "a1", "-a ~b +c", NOW + DAY_SECONDS);
    assert_eq!((again.is_new, &again.tests), (false, &first.tests));
    assert_eq!(dump(), before);
    // The job of another part of the same attempt has a report of its own.
    assert!(rig.report(1, 1, "a1", "-a").is_new);
}

#[test]
fn a_test_that_fails_and_passes_in_another_attempt_on_its_commit_is_flaky() {
    let rig = Rig::new("attempts");
    rig.report(1, 1, "a1", "-a -b");
    rig.report(1, 2, "a1", "+a -b");
    rig.report(2, 1, "b1", "+b");
    assert_eq!(rig.rates(), [rate_of("a", 2, 1, 1), rate_of("b", 3, 2, 0)]);
    let stored = rig.report(3, 1, "c1", "-a -b");
    let told: Vec<_> = stored.tests.iter().map(|test| (test.name.as_str(), test.flaky)).collect();
    assert_eq!(told, [("t.py::a", true), ("t.py::b", false)]);
    // No commit is known, so that nothing is known of another attempt.
    rig.report(4, 1, "", "-b");
    rig.report(5, 1, "", "+b");
    assert_eq!(rig.rates()[1], rate_of("b", 6, 4, 0));
    rig.recount();
}

#[test]
fn the_failure_in_a_log_and_in_a_report_are_one_test() {
    let rig = Rig::new("one-row");
    DAY_OF_EVENTS.iter().for_each(|event| rig.tell(event));
    let xml = r#"<testsuite name="pytest"><testcase classname="t" name="test_load"><failure/></testcase><testcase classname="t" name="test_store"/></testsuite>"#;
    let report = Report::parse(xml.as_bytes()).unwrap();
    rig.ask(reports::record(Scope::All, &report_of(150, 1, &sha_of("b2"), xml.as_bytes(), &report), NOW));
    let told: Vec<_> =
        rig.tests().into_iter().map(|test| (test.name, test.failures, test.runs, test.failed_runs)).collect();
    assert_eq!(told, [("t.py::test_load".to_owned(), 2, 1, 1), ("t.py::test_store".to_owned(), 1, 1, 0)]);
    rig.recount();
}

#[test]
fn a_key_of_another_installation_writes_no_report() {
    let rig = Rig::new("tenants");
    let report = Report::default();
    let send = |scope| rig.try_ask(reports::record(scope, &report_of(1, 1, "a", b"", &report), NOW));
    assert_eq!(
        send(Scope::Installation(7)),
        Err(Error::RepositoryUnknown),
        "nothing is known of the repository"
    );
    DAY_OF_EVENTS.iter().for_each(|event| rig.tell(event));
    let installation = rig.count("-- i\nSELECT installation_id AS n FROM runs LIMIT 1");
    let ours = Scope::Installation(installation.unsigned_abs());
    assert_eq!(send(Scope::Installation(ours.installation().unwrap() + 1)), Err(Error::RepositoryUnknown));
    assert_eq!(rig.count("-- r\nSELECT COUNT(*) AS n FROM reports"), 0);
    assert!(send(ours).unwrap().is_new);
    assert_eq!(
        rig.count("-- i\nSELECT installation_id AS n FROM reports"),
        installation,
        "the rows are those of the installation"
    );
}

#[test]
fn a_report_of_twenty_thousand_tests_writes_a_row_for_each_that_ever_failed() {
    let rig = Rig::new("large");
    let of = |failed: usize| {
        let case = |n: usize| format!("{}case_{n}", if n < failed { '-' } else { '+' });
        (0..CASES_MAX).map(case).collect::<Vec<_>>().join(" ")
    };
    rig.report(1, 1, "a1", &of(0));
    assert_eq!(rig.count("-- t\nSELECT COUNT(*) AS n FROM tests"), 0);
    rig.report(2, 1, "a2", &of(3));
    rig.report(3, 1, "a3", &of(0));
    assert_eq!(rig.rates()[0], rate_of("case_0", 2, 1, 0));
    rig.report(4, 1, "a4", &of(FAILED_MAX + 10));
    let rows = "-- n\nSELECT (SELECT COUNT(*) FROM tests) + (SELECT COUNT(*) FROM report_tests) + (SELECT COUNT(*) FROM test_days) AS n";
    let limit = i64::try_from(FAILED_MAX).unwrap();
    assert_eq!(rig.count(rows), 3 * limit + 3);
    rig.recount();
}

#[test]
fn the_rate_is_of_the_last_thirty_days_and_older_days_go() {
    let rig = Rig::new("window");
    let day = |days: i64| NOW - days * DAY_SECONDS;
    rig.report_at(1, 1, "a1", "-a", day(RATE_DAYS + 5));
    rig.report_at(2, 1, "a2", "+a", day(RATE_DAYS - 1));
    assert_eq!(rig.rates(), [rate_of("a", 1, 0, 0)], "what is older is not told");
    rig.report_at(3, 1, "a3", "-a", NOW);
    assert_eq!(rig.rates(), [rate_of("a", 2, 1, 0)]);
    assert_eq!(rig.count("-- d\nSELECT COUNT(*) AS n FROM test_days"), 2, "what is older is gone");
    rig.report_at(4, 1, "a4", "~b", day(RATE_DAYS + 1));
    let flaky = |rig: &Rig| rig.tests().into_iter().filter(|test| test.flaky).count();
    assert_eq!(flaky(&rig), 1);
    rig.ask(reports::forget(NOW));
    assert_eq!((flaky(&rig), rig.tests().len()), (0, 1), "what was flaky a month ago is forgotten");
    assert_eq!(rig.count("-- r\nSELECT COUNT(*) AS n FROM reports"), 2);
    rig.recount();
}

#[test]
fn forgetting_reports_and_failures_leaves_what_the_other_knows() {
    let rig = Rig::new("forget-reports");
    DAY_OF_EVENTS.iter().for_each(|event| rig.tell(event));
    rig.report_at(9, 1, "c1", "-test_load ~only_reported", NOW - 40 * DAY_SECONDS);
    rig.report(10, 1, "c2", "-test_load");
    // The failures of the logs go; the test stays, for reports know it.
    rig.ask(Query::writing(Statement { sql: "-- age\nDELETE FROM failures", args: Vec::new() }).done());
    rig.recount();
    let names =
        |rig: &Rig| rig.tests().into_iter().map(|test| (test.name, test.failures)).collect::<Vec<_>>();
    assert_eq!(names(&rig), [("t.py::only_reported".to_owned(), 0), ("t.py::test_load".to_owned(), 0)]);
    rig.ask(retention::old(NOW, 30));
    rig.recount();
    assert_eq!(names(&rig), [("t.py::test_load".to_owned(), 0)]);
    rig.ask(retention::repository(Scope::All, REPOSITORY));
    let left = "-- left\nSELECT (SELECT COUNT(*) FROM reports) + (SELECT COUNT(*) FROM report_tests) + (SELECT COUNT(*) FROM tests)
  + (SELECT COUNT(*) FROM test_days) AS n";
    assert_eq!(rig.count(left), 0);
}

#[test]
fn reports_and_deliveries_in_any_order_keep_their_counts() {
    #[derive(Debug, Clone, Copy)]
    enum Told {
        Delivery(Event),
        Report(u64, u32, &'static str, &'static str),
    }
    let reports = [
        (120, 1, "b1", "-test_load +x"),
        (120, 2, "b1", "+test_load -x"),
        (150, 1, "b2", "-test_load ~x -test_store"),
    ];
    let all: Vec<Told> = DAY_OF_EVENTS
        .iter()
        .map(|event| Told::Delivery(*event))
        .chain(reports.map(|(run, attempt, sha, tests)| Told::Report(run, attempt, sha, tests)))
        .collect();
    let repeated = prop::collection::vec(prop::sample::select(all.clone()), 0..6);
    let case = std::cell::Cell::new(0);
    TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() })
        .run(&(Just(all).prop_shuffle(), repeated), |(order, repeated)| {
            case.set(case.get() + 1);
            let rig = Rig::new(&format!("reports-{}", case.get()));
            for told in order.iter().chain(&repeated) {
                match told {
                    Told::Delivery(event) => rig.tell(event),
                    Told::Report(run, attempt, sha, tests) => drop(rig.report(*run, *attempt, sha, tests)),
                }
            }
            for sql in WRONG_COUNTS {
                prop_assert_eq!(rig.count(sql), 0, "{}", sql);
            }
            let failed: Vec<_> = rig.tests().into_iter().map(|test| (test.name, test.failures)).collect();
            prop_assert!(failed.contains(&("t.py::test_load".to_owned(), 2)), "{:?}", failed);
            Ok(())
        })
        .unwrap();
}

// === verdicts from before ===

/// Makes the database what it was before there was a memory of failures.
fn forget_history(rig: &Rig) {
    for sql in [
        "-- f\nDELETE FROM failures",
        "-- r\nDELETE FROM runs",
        "-- c\nDELETE FROM counters WHERE name = 'remembered'",
    ] {
        rig.ask(Query::writing(Statement { sql, args: Vec::new() }).done());
    }
    assert_eq!(rig.count("-- none\nSELECT COUNT(*) AS n FROM causes"), 0);
}

/// One sweep; how many verdicts it remembered.
fn sweep(rig: &Rig) -> usize {
    let unremembered = rig.ask(backfill::next());
    if let Some(write) = unremembered.remember() {
        rig.ask(write);
    }
    unremembered.count()
}

#[test]
fn verdicts_from_before_get_their_place_in_history_in_small_parts_and_once() {
    const OLD: u64 = 120;
    let rig = Rig::new("backfill");
    for run in 0..OLD {
        let line = if run % 3 == 0 { DISK } else { COMPILE };
        let record = record(Subject::Run { run_id: 1000 + run, run_attempt: 2 }, "main", "a1", DAY);
        rig.ask(FailedRun::of(record, &[Job(9000 + run, "linux", line, &[])], &[]).finish(NOW));
    }
    let keys = "-- keys\nSELECT COUNT(DISTINCT key) AS n FROM causes";
    assert_eq!(rig.count(keys), 2);
    forget_history(&rig);
    // One waits for its log, and gets its place with it.
    let note = "-- waits\nINSERT INTO evidence_notes (inference_id, note) VALUES (7, 'log_awaited')";
    rig.ask(Query::writing(Statement { sql: note, args: Vec::new() }).done());
    // One is new, and has its place.
    let new = record(Subject::Run { run_id: 5000, run_attempt: 1 }, "main", "a9", DAY);
    rig.ask(FailedRun::of(new, &[Job(50000, "linux", COMPILE, &[])], &[]).finish(NOW));

    assert_eq!([sweep(&rig), sweep(&rig), sweep(&rig), sweep(&rig)], [50, 50, 19, 0]);
    assert_eq!(rig.count("-- verdicts\nSELECT COUNT(*) AS n FROM inferences"), 121, "no verdict is lost");
    assert_eq!(rig.count("-- failures\nSELECT COUNT(*) AS n FROM failures"), 120);
    assert_eq!(rig.count(keys), 2, "a new failure has the cause of the old ones");
    let all = rig.ask(causes::causes(Scope::All, CauseFilter::default(), 10, NOW));
    let mut counts: Vec<_> = all.iter().map(|cause| (cause.line.as_str(), cause.times)).collect();
    counts.sort_unstable();
    // Without the one that waits, and with the new one.
    assert_eq!(counts, [(COMPILE, 81), (DISK, 39)]);
    let (before, told) = (rig.ask(runs::of_run(Scope::All, REPOSITORY, 1001, 2)), rig.told());
    assert_eq!((before[0].job.as_str(), before[0].fault.as_str()), ("linux", "code"));
    for sql in WRONG_COUNTS {
        assert_eq!(rig.count(sql), 0, "{sql}");
    }
    // From the beginning again: nothing changes.
    let again = "-- again\nDELETE FROM counters WHERE name = 'remembered'";
    rig.ask(Query::writing(Statement { sql: again, args: Vec::new() }).done());
    assert_eq!([sweep(&rig), sweep(&rig)], [0, 0]);
    assert_eq!(rig.told(), told);
}

#[test]
fn looking_for_verdicts_from_before_reads_no_table_from_its_beginning() {
    #[derive(Deserialize)]
    struct Step {
        detail: String,
    }
    let rig = Rig::new("backfill-plan");
    for statement in backfill::next().statements() {
        let sql: &'static str = format!("-- plan\nEXPLAIN QUERY PLAN {}", statement.sql).leak();
        let plan = Query::reading(Statement { sql, args: statement.args.clone() }).rows::<Step>();
        let plan: Vec<String> = rig.ask(plan).into_iter().map(|step| step.detail).collect();
        let scans = plan.iter().filter(|step| step.starts_with("SCAN") && !step.contains("looked_at"));
        let scans: Vec<_> = scans.filter(|step| !step.contains("subquery")).collect();
        assert!(scans.is_empty(), "{plan:?}");
        assert!(
            plan.iter().any(|step| step.contains("SEARCH inferences") && step.contains("rowid>?")),
            "{plan:?}"
        );
    }
}
