//! `cargo xtask bench history`: how long the questions of the dashboard and the transaction of a delivery take in a large
//! memory of failures, over Hrana, as the worker asks them. The database is made first, in bounded batches.

use anyhow::{Context, Result};
use clap::Parser;
use sentinel_node::database::Store;
use sentinel_shared::access::Scope;
use sentinel_shared::failure::{FailureRecord, Subject};
use sentinel_shared::signature::Secret;
use sentinel_shared::store::history::causes::{self, CauseFilter, CauseState};
use sentinel_shared::store::history::tests::{self, TestFilter};
use sentinel_shared::store::history::{self, runs};
use sentinel_shared::store::inferences::{self, Filter};
use sentinel_shared::store::{Query, Statement, Value};
use sentinel_shared::webhook::PassedRun;
use sentinel_tests::history::{FailedRun, Job, green, record};
use sentinel_tests::stack::{Programs, work_folder};
use std::future::Future;
use std::time::Instant;

/// Unix seconds of the first failure.
const BEGIN: i64 = 1_770_000_000;
const TOKEN: &str = "bench database";
const REPOSITORIES: i64 = 200;
const CAUSES: i64 = 20_000;
const TESTS: i64 = 50_000;
/// The number of rows that one statement makes.
const BATCH: i64 = 10_000;
/// The number of times that each question is asked.
const ASKED: usize = 200;

/// How long a question takes in a large memory of failures.
#[derive(Parser)]
struct Options {
    /// How many failures there are.
    #[arg(long, default_value_t = 1_000_000)]
    failures: i64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let programs = Programs::from_env()?;
    let folder = work_folder("bench-history")?;
    let open = |name: &str| -> Result<_> {
        let database = programs.start_database(&folder.join(name), 0, TOKEN)?;
        let client = sentinel_node::operate::http::client().build()?;
        let store = Store::new(client, &database.url, Secret::new(TOKEN));
        Ok((database, store))
    };
    let (_small, small) = open("empty.db")?;
    let empty = delivery(&small, 0).await?;
    let (_database, store) = open("full.db")?;
    let started = Instant::now();
    fill(&store, options.failures).await.context("making the rows")?;
    eprintln!("{} failures made in {:.0} s", options.failures, started.elapsed().as_secs_f64());
    let now = BEGIN + options.failures * 30;
    println!("{:<44}{:>8}{:>8}", format!("{} failures", options.failures), "p50 ms", "p99 ms");
    let repository = |at: usize| format!("acme/r{}", at as i64 % REPOSITORIES);
    let list = |filter: CauseFilter<'_>| causes::causes(Scope::All, filter, 50, now);
    let none = CauseFilter::default();
    measure("failures: all", async |_| drop(store.ask(list(none)).await)).await;
    measure("failures: of a repository", async |at| {
        let repository = repository(at);
        drop(store.ask(list(CauseFilter { repository: Some(&repository), ..none })).await);
    })
    .await;
    measure("failures: open ones", async |_| {
        drop(store.ask(list(CauseFilter { state: Some(CauseState::Open), ..none })).await);
    })
    .await;
    measure("failures: flaky ones", async |_| {
        drop(store.ask(list(CauseFilter { flaky: true, ..none })).await);
    })
    .await;
    measure("failures: of a person", async |at| {
        let author = format!("dev{}", at % 40);
        drop(store.ask(list(CauseFilter { author: Some(&author), ..none })).await);
    })
    .await;
    measure("failures: of nobody", async |_| {
        drop(store.ask(list(CauseFilter { author: Some("nobody"), ..none })).await);
    })
    .await;
    measure("failures: search for a word", async |at| {
        let words = format!("symbol{}", at * 97);
        drop(store.ask(list(CauseFilter { words: Some(&words), ..none })).await);
    })
    .await;
    measure("failures: of an installation", async |at| {
        let scope = Scope::Installation(at as u64 % 20);
        drop(store.ask(causes::causes(scope, none, 50, now)).await);
    })
    .await;
    measure("a cause's page", async |at| {
        let id = (at as i64 * 101) % CAUSES + 1;
        let page =
            causes::cause(Scope::All, id, now).and(causes::branches(id)).and(runs::of_cause(Scope::All, id));
        drop(store.ask(page).await);
    })
    .await;
    measure("the page of the cause that is seen most", async |_| {
        let page =
            causes::cause(Scope::All, 1, now).and(causes::branches(1)).and(runs::of_cause(Scope::All, 1));
        drop(store.ask(page).await);
    })
    .await;
    measure("what was known before of a failure", async |at| {
        drop(store.ask(causes::seen(at as i64 * 4999 + 1)).await);
    })
    .await;
    measure("a run's page", async |at| {
        let run = at as u64 * 4990;
        drop(store.ask(runs::of_run(Scope::All, &repository(at), run * 10, 1)).await);
    })
    .await;
    measure("overview", async |_| {
        let red = runs::red(Scope::All, now).and(runs::recovery(Scope::All, now));
        drop(
            store
                .ask(red.and(tests::tests(
                    Scope::All,
                    TestFilter { flaky: true, ..TestFilter::default() },
                    10,
                    now,
                )))
                .await,
        );
    })
    .await;
    measure("tests", async |_| {
        drop(store.ask(tests::tests(Scope::All, TestFilter::default(), 100, now)).await);
    })
    .await;
    measure("tests of a repository", async |at| {
        let (repository, flaky) = (repository(at), false);
        let filter = TestFilter { repository: Some(&repository), flaky };
        drop(store.ask(tests::tests(Scope::All, filter, 100, now)).await);
    })
    .await;
    measure("all verdicts", async |_| {
        drop(store.ask(inferences::history(Scope::All, Filter::default(), 50)).await);
    })
    .await;
    let full = delivery(&store, options.failures * 10).await?;
    println!("\n{:<44}{:>8}{:>8}", "a delivery's transaction", "p50 ms", "p99 ms");
    for (name, [p50, p99]) in
        [("a failed run, empty database", empty.0), ("a failed run, full database", full.0)]
    {
        println!("{name:<44}{p50:>8.1}{p99:>8.1}");
    }
    for (name, [p50, p99]) in
        [("a green run, empty database", empty.1), ("a green run, full database", full.1)]
    {
        println!("{name:<44}{p50:>8.1}{p99:>8.1}");
    }
    Ok(())
}

/// Asks a question [`ASKED`] times and prints how long it took.
async fn measure<F: Future<Output = ()>>(name: &str, ask: impl Fn(usize) -> F) {
    let mut times = Vec::with_capacity(ASKED);
    for at in 0..ASKED {
        let started = Instant::now();
        ask(at).await;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let [p50, p99] = percentiles(times);
    println!("{name:<44}{p50:>8.1}{p99:>8.1}");
}

/// The median and the 99th percentile.
fn percentiles(mut times: Vec<f64>) -> [f64; 2] {
    times.sort_by(f64::total_cmp);
    [0.5, 0.99].map(|share| times[((times.len() - 1) as f64 * share) as usize])
}

/// How long the transaction of a failed and of a green run takes.
async fn delivery(store: &Store, after: i64) -> Result<([f64; 2], [f64; 2])> {
    let (mut failed, mut passed) = (Vec::new(), Vec::new());
    for at in 0..ASKED as u64 {
        let run_id = u64::try_from(after)? + 1000 + at * 2;
        let repository = format!("acme/r{}", at as i64 % REPOSITORIES);
        let job = Job(run_id * 10, "linux", "error[E0382]: borrow of moved value", &["loads"]);
        let (subject, sha) = (Subject::Run { run_id, run_attempt: 1 }, format!("{run_id:040x}"));
        let record = FailureRecord { repository: repository.clone(), ..record(subject, "main", &sha, BEGIN) };
        let run = FailedRun::of(record, &[job], &[]);
        let started = Instant::now();
        store.ask(run.finish(BEGIN)).await?;
        failed.push(started.elapsed().as_secs_f64() * 1e3);
        let run = PassedRun { repository, ..green(run_id + 1, 1, "main", &sha, BEGIN) };
        let started = Instant::now();
        store.ask(history::passed(&run, BEGIN)).await?;
        passed.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok((percentiles(failed), percentiles(passed)))
}

/// Makes the rows, a batch at a time. One failure in five is of the hundred causes that are seen most.
async fn fill(store: &Store, failures: i64) -> Result<()> {
    let run = async |sql: &'static str, from: i64, to: i64| {
        let args = vec![Value::Integer(from), Value::Integer(to), Value::Integer(BEGIN)];
        store.ask(Query::writing(Statement { sql, args }).done()).await
    };
    for (sql, count) in [(MAKE_CAUSES, CAUSES), (MAKE_TESTS, TESTS)] {
        for from in (0..count).step_by(BATCH as usize) {
            run(sql, from, (from + BATCH).min(count)).await?;
        }
    }
    for from in (0..failures).step_by(BATCH as usize) {
        let to = (from + BATCH).min(failures);
        for sql in [MAKE_RUNS, MAKE_VERDICTS, MAKE_FAILURES, MAKE_FAILED_TESTS] {
            run(sql, from, to).await?;
        }
        if from / BATCH % 10 == 0 {
            eprintln!("{from} of {failures}");
        }
    }
    run(FIX, 0, 0).await?;
    Ok(())
}

/// The numbers from `?1` to `?2`.
macro_rules! each {
    ($name:literal, $sql:literal) => {
        concat!(
            "-- ", $name, "
WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2), told AS (SELECT ?3 AS t)
", $sql
        )
    };
}

const MAKE_CAUSES: &str = each!(
    "make_causes",
    "INSERT INTO causes (repository, installation_id, key, class, fault, line, tests, first_at, last_at)
SELECT 'acme/r' || (i % 200), i % 200 % 20, printf('%016x', i), CASE i % 3 WHEN 0 THEN 'Test Failure' ELSE 'Build Failure' END,
  'code', 'error: cannot find symbol' || i || ' in module m' || (i % 700), '[]', t + 999999999, 0 FROM n, told"
);
const MAKE_TESTS: &str = each!(
    "make_tests",
    "INSERT INTO tests (repository, installation_id, name, first_at, last_at)
SELECT 'acme/r' || (i % 200), i % 200 % 20, 'suite::test_' || i, t, t FROM n, told"
);
const MAKE_RUNS: &str = each!(
    "make_runs",
    "INSERT INTO runs (repository, run_id, run_attempt, installation_id, workflow, branch, head_sha, trigger, author, on_default,
  conclusion, ended_at)
SELECT 'acme/r' || (i % 200), i * 10 + 5, 1, i % 200 % 20, 'CI', CASE i / 200 % 3 WHEN 0 THEN 'main' ELSE 'topic' || (i / 200 % 50) END,
  printf('%040x', i + 7), 'push', 'dev' || (i % 40), i / 200 % 3 = 0, 'success', t + i * 30 FROM n, told WHERE i / 200 % 4 = 0"
);
const MAKE_VERDICTS: &str = each!(
    "make_verdicts",
    "INSERT INTO inferences (repository, subject, installation_id, timestamp, prediction, confidence, top, top_features, log_line,
  evidence, event_source, workflow, job, html_url, head_sha, metrics_payload, model_version)
SELECT 'acme/r' || (i % 200), 'run:' || (i * 10) || ':1', i % 200 % 20, t + i * 30, 'Build Failure', 0.9, '[]', '[]',
  '{\"number\":7,\"text\":\"error\"}', 'log', 'github_webhook', 'CI', 'linux', 'https://github.com/acme/app', printf('%040x', i), '{}',
  'v1' FROM n, told"
);
const MAKE_FAILURES: &str = each!(
    "make_failures",
    "INSERT INTO failures (id, repository, installation_id, run_id, run_attempt, job_id, workflow, job, branch, on_default, head_sha,
  trigger, author, failed_at, seconds, cause_id, fault, facts, around, passed_run_id, passed_attempt, passed_at)
SELECT inferences.id, inferences.repository, inferences.installation_id, i * 10, 1, i * 10 + 1, 'CI', 'linux',
  CASE i / 200 % 3 WHEN 0 THEN 'main' ELSE 'topic' || (i / 200 % 50) END, i / 200 % 3 = 0, printf('%040x', i), 'push',
  'dev' || (i % 40), t + i * 30, 120,
  CASE WHEN i % 5 = 0 THEN i % 100 + 1 ELSE (i * 7919) % 20000 / 200 * 200 + i % 200 + 1 END, 'code',
  '{\"failing_tests\":[],\"failing_tests_total\":0,\"places\":[],\"missing\":[]}', '[]',
  CASE i % 11 WHEN 0 THEN i * 10 END, CASE i % 11 WHEN 0 THEN 2 END, CASE i % 11 WHEN 0 THEN t + i * 30 + 60 END
FROM n, told JOIN inferences ON inferences.repository = 'acme/r' || (i % 200) AND subject = 'run:' || (i * 10) || ':1'"
);
const MAKE_FAILED_TESTS: &str = each!(
    "make_failed_tests",
    "INSERT INTO failed_tests (failure_id, test_id)
SELECT failures.id, (i * 31) % 50000 + 1 FROM n, told JOIN failures ON failures.repository = 'acme/r' || (i % 200)
  AND failures.run_id = i * 10 WHERE i % 3 = 0"
);
/// Branches that were green after their last failure.
const FIX: &str = "-- fix
UPDATE cause_branches SET (fixed_run_id, fixed_attempt, fixed_sha, fixed_at) = (
  SELECT run_id, run_attempt, head_sha, ended_at FROM runs WHERE runs.conclusion = 'success'
    AND runs.repository = cause_branches.repository AND runs.workflow = cause_branches.workflow
    AND runs.branch = cause_branches.branch AND run_id > last_run_id ORDER BY run_id LIMIT 1) WHERE ?1 + ?2 + ?3 > 0";
