//! A job survives every fault: the node dies at every step, the database goes away, GitHub fails before and after it
//! did what was asked.
//!
//! Afterwards no job is lost and nothing is posted twice. Each run is made from a seed, which is printed;
//! `SENTINEL_FAULT_SEED` repeats a series. `cargo xtask test faults` makes 320 runs.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sentinel_node::operate::faults::{Step, interrupted_at, until_killed};
use sentinel_shared::review::render::fingerprint_in;
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_tests::github::{APP_ID, FakeGithub, Fault, Pull, app_key};
use sentinel_tests::node::{Identity, OUTSPOKEN, RUNTIME, Rig, job};
use sentinel_tests::stack::{Programs, work_folder};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PATCH: &str = "@@ -1,2 +1,5 @@\n export function load() {\n+  debugger;\n+  const rows = read();\n+  return rows;\n }\n";
/// Runs at once: each mostly waits for its turn to write.
const LANES: u64 = 8;
/// How often one job may be taken before a run counts as stuck.
const TAKES_MAX: usize = 12;

/// What happens to one take of a job.
#[derive(Debug, Clone)]
enum Trial {
    /// The node dies at this step.
    Kill(Step),
    /// A call to GitHub fails.
    Github(&'static str, Fault),
    /// The database is away from this step on, until the node has given up.
    DatabaseAway(Step),
}

/// What a run came to.
struct Passed {
    trials: Vec<Trial>,
    takes: usize,
}

fn trial(random: &mut StdRng) -> Trial {
    let calls = [
        "GET /repos",
        "POST /repos",
        "check-runs",
        "POST /app",
        "/reviews",
        "/comments",
        "/files",
        "contents",
    ];
    let faults = [
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(429),
        Fault::Limited(1),
        Fault::LostAnswer,
        Fault::Silence(Duration::from_secs(6)),
    ];
    let step = *Step::ALL.choose(random).expect("there are steps");
    match random.random_range(0..10) {
        0..6 => Trial::Kill(step),
        6..9 => {
            let call = calls.choose(random).expect("there are calls");
            Trial::Github(call, faults.choose(random).expect("there are faults").clone())
        }
        _ => Trial::DatabaseAway(step),
    }
}

/// One job through one or two trials, then to its end.
async fn run(seed: u64, github: &FakeGithub) -> Result<Passed, String> {
    let mut random = StdRng::seed_from_u64(seed);
    let trials: Vec<Trial> = (0..random.random_range(1..=2)).map(|_| trial(&mut random)).collect();
    let repository = format!("faults/{seed}");
    github.put_file(&repository, ".github/sentinel.yml", OUTSPOKEN);
    github.open(Pull::new(&repository, 7, "head1", &[("src/load.ts", PATCH)]));
    let rig = Rig::start(github.clone()).await;
    rig.queue(JobKind::Review, &job(&repository, 7, "head1", Some(seed))).await;
    let key = format!("{repository}#7@head1");
    for takes in 1..=TAKES_MAX {
        // Each take is another process's: nothing is remembered from the one before.
        let node = rig.node(&format!("node-{takes}"), Identity::App);
        match trials.get(takes - 1) {
            Some(Trial::Kill(step)) => drop(until_killed(*step, node.review_once()).await),
            Some(Trial::Github(call, fault)) => {
                rig.github.fail_next(call, fault.clone());
                let _ = node.review_once().await;
                rig.github.clear_faults();
            }
            Some(Trial::DatabaseAway(step)) => {
                let _ = interrupted_at(*step, node.review_once(), async { rig.stop_database() }).await;
                rig.stop_database();
                rig.start_database().await;
            }
            None => drop(node.review_once().await),
        }
        rig.let_time_pass().await;
        let row = rig.job(&key).await;
        if row.status == JobStatus::Done && takes >= trials.len() {
            verify(&rig, &repository).map_err(|what| format!("{trials:?}: {what}"))?;
            return Ok(Passed { trials, takes });
        }
        if !matches!(row.status, JobStatus::Queued | JobStatus::Running | JobStatus::Done) {
            return Err(format!("{trials:?}: lost: {row:?}"));
        }
    }
    Err(format!("{trials:?}: stuck: {:?}", rig.job(&key).await))
}

/// One review, each finding once, one check run.
fn verify(rig: &Rig, repository: &str) -> Result<(), String> {
    let pull = rig.github.pull(repository, 7);
    let prints: Vec<&str> =
        pull.comments.iter().filter_map(|comment| fingerprint_in(&comment.body)).collect();
    let different: BTreeSet<&&str> = prints.iter().collect();
    let checks =
        rig.github.checks("head1").into_iter().filter(|check| check.external_id.starts_with(repository));
    let (reviews, checks) = (pull.reviews.len(), checks.count());
    if reviews != 1 || checks != 1 || prints.is_empty() || different.len() != pull.comments.len() {
        return Err(format!(
            "{reviews} reviews, {} comments ({} different), {checks} check runs",
            prints.len(),
            different.len()
        ));
    }
    Ok(())
}

#[test]
fn no_job_is_lost_and_nothing_is_said_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let runs = number("SENTINEL_FAULT_RUNS").unwrap_or(24);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = number("SENTINEL_FAULT_SEED").unwrap_or(clock);
    println!("SENTINEL_FAULT_SEED={seed} SENTINEL_FAULT_RUNS={runs}");
    let started = Instant::now();
    let lanes = (0..LANES).map(|lane| async move {
        let github = FakeGithub::start();
        let mut outcomes = Vec::new();
        for seed in (seed..seed + runs).filter(|seed| seed % LANES == lane) {
            outcomes.push((seed, run(seed, &github).await));
        }
        outcomes
    });
    let outcomes: Vec<_> =
        RUNTIME.block_on(futures_util::future::join_all(lanes)).into_iter().flatten().collect();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let (mut takes, mut failures) = (0, Vec::new());
    for (seed, outcome) in outcomes {
        match outcome {
            Ok(passed) => {
                takes += passed.takes;
                for trial in passed.trials {
                    let name = match trial {
                        Trial::Kill(step) => format!("killed at {step:?}"),
                        Trial::Github(..) => "GitHub failed".to_owned(),
                        Trial::DatabaseAway(_) => "the database was away".to_owned(),
                    };
                    *seen.entry(name).or_default() += 1;
                }
            }
            Err(what) => failures.push(format!("seed {seed}: {what}")),
        }
    }
    println!(
        "{runs} runs, {takes} takes, {} failures, {:.0} s",
        failures.len(),
        started.elapsed().as_secs_f32()
    );
    seen.iter().for_each(|(what, times)| println!("  {times:>4} {what}"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The same with whole processes: one dies at the step, another finishes.
#[test]
fn a_node_process_that_dies_at_any_step_leaves_a_job_that_another_finishes() {
    let Some(programs) = Programs::or_skip() else { return };
    let folder = work_folder("faults").expect("a folder");
    RUNTIME.block_on(async {
        let rig = Rig::start(FakeGithub::start()).await;
        let vars = |crash: Option<Step>| {
            let mut vars = vec![
                ("SENTINEL_NODE_TOKEN", "token".to_owned()),
                ("TURSO_DATABASE_URL", format!("http://{}", rig.address)),
                ("GITHUB_API_URL", rig.github.api_url()),
                ("GITHUB_APP_ID", APP_ID.to_owned()),
                ("GITHUB_APP_PRIVATE_KEY", app_key()),
                ("GITHUB_TOKEN", String::new()),
                ("SENTINEL_PULL", "true".to_owned()),
                ("SENTINEL_SESSIONS", "1".to_owned()),
                ("SENTINEL_JOBS", "1".to_owned()),
            ];
            vars.extend(crash.map(|step| ("SENTINEL_CRASH_AT", format!("{step:?}"))));
            vars
        };
        for (at, step) in (0u64..).zip(Step::ALL) {
            let repository = format!("faults/process{at}");
            rig.github.put_file(&repository, ".github/sentinel.yml", OUTSPOKEN);
            rig.github.open(Pull::new(&repository, 7, "head1", &[("src/load.ts", PATCH)]));
            rig.queue(JobKind::Review, &job(&repository, 7, "head1", Some(at))).await;
            let key = format!("{repository}#7@head1");
            let mut dying = programs
                .start_dying_node(&folder.join(format!("dying{at}")), &vars(Some(step)))
                .expect("it starts");
            let deadline = Instant::now() + Duration::from_secs(20);
            while !dying.has_ended() {
                assert!(Instant::now() < deadline, "it does not die at {step:?}: {}", dying.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            rig.let_time_pass().await;
            let node = rig.node("survivor", Identity::App);
            let _ = node.review_once().await;
            let row = rig.job(&key).await;
            assert_eq!(row.status, JobStatus::Done, "{step:?}: {row:?}");
            verify(&rig, &repository).unwrap_or_else(|what| panic!("{step:?}: {what}"));
        }
    });
    let _ = std::fs::remove_dir_all(folder);
}
