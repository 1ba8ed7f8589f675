//! Two node processes, a database process and a fake GitHub under constant faults.
//!
//! Nodes are killed and frozen, the database dies, and GitHub limits, lies, refuses the token and goes away for half an
//! hour. At the end every pull request has one review, and no job was given up.
//!
//! Each run is made from a seed, which is printed; `SENTINEL_CHAOS_SEED` repeats it. `cargo xtask test chaos` queues
//! 300 jobs; every test run queues a few. Time is compressed: during the run, the pauses in the database run
//! [`COMPRESSION`] times as fast, so an outage of half an hour takes half a minute.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sentinel_node::database::{Store, now};
use sentinel_shared::access::Scope;
use sentinel_shared::review::render::fingerprint_in;
use sentinel_shared::signature::Secret;
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::queue::{self, JobRow};
use sentinel_shared::store::{Value, outbox};
use sentinel_tests::github::{APP_ID, FakeGithub, Fault, Pull, app_key};
use sentinel_tests::node::{OUTSPOKEN, RUNTIME, change, job};
use sentinel_tests::stack::{Programs, Server, free_port, work_folder};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PATCH: &str = "@@ -1,2 +1,5 @@\n export function load() {\n+  debugger;\n+  const rows = read();\n+  return rows;\n }\n";
const DATABASE_TOKEN: &str = "token of the database";
const NODES: usize = 2;
/// Installations the jobs are spread over: each may write once a second.
const INSTALLATIONS: u64 = 12;
/// How much faster the pauses in the database run.
const COMPRESSION: i64 = 60;
/// How often they are moved.
const TICK: Duration = Duration::from_millis(500);
/// How long the jobs that are left may take after the last blow.
const CALM: Duration = Duration::from_secs(120);

/// What happens to the system at one moment.
#[derive(Debug, Clone)]
enum Blow {
    /// A node dies and is started again.
    KillNode(usize),
    /// A node stops for so long, well under its lease, and goes on.
    FreezeNode(usize, Duration),
    /// The database dies and is started again.
    KillDatabase,
    /// One call to GitHub fails.
    FailOneCall(&'static str, Fault),
    /// Every call to GitHub fails, for so long as GitHub tells time.
    Outage(Fault, Duration),
}

struct World {
    programs: Programs,
    folder: PathBuf,
    github: FakeGithub,
    database: Option<Server>,
    database_port: u16,
    nodes: Vec<Option<Server>>,
}

#[test]
fn under_kills_freezes_and_outages_no_job_is_lost_given_up_or_done_twice() {
    let Some(programs) = Programs::or_skip() else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = number("SENTINEL_CHAOS_SEED").unwrap_or(clock);
    let jobs = number("SENTINEL_CHAOS_JOBS").unwrap_or(24);
    println!("SENTINEL_CHAOS_SEED={seed} SENTINEL_CHAOS_JOBS={jobs}");
    RUNTIME.block_on(async {
        let mut world = World::start(programs).await;
        let started = Instant::now();
        let blows = schedule(&mut StdRng::seed_from_u64(seed), jobs);
        let counts = world.strike(&blows, jobs).await;
        let rows = world.settled(jobs).await;
        println!("{jobs} jobs, {:.0} s", started.elapsed().as_secs_f32());
        counts.iter().for_each(|(what, times)| println!("  {times:>4} {what}"));
        let wrong = world.wrongs(&rows);
        let logs = || world.nodes.iter().flatten().map(Server::log).collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty(), "seed {seed}:\n{}\n{}", wrong.join("\n"), logs());
    });
}

/// What happens, in order: a blow for every four jobs and one of each kind, and the outages that killed waiting jobs once.
fn schedule(random: &mut StdRng, jobs: u64) -> Vec<Blow> {
    let calls = ["GET /repos", "POST /repos", "check-runs", "POST /app", "/reviews", "/files"];
    let faults = [
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(401),
        Fault::Limited(90),
        Fault::OutOfCalls(600),
        Fault::LimitedWordlessly,
        Fault::Html,
        Fault::LostAnswer,
        Fault::Silence(Duration::from_secs(3)),
    ];
    let any = (0..jobs / 4).map(|_| match random.random_range(0..10) {
        0..3 => Blow::KillNode(random.random_range(0..NODES)),
        3..5 => {
            let time = Duration::from_millis(random.random_range(500..5000));
            Blow::FreezeNode(random.random_range(0..NODES), time)
        }
        5 => Blow::KillDatabase,
        _ => {
            let call = calls.choose(random).expect("there are calls");
            Blow::FailOneCall(call, faults.choose(random).expect("there are faults").clone())
        }
    });
    // One of each, however short the run is.
    let mut blows = vec![Blow::KillNode(0), Blow::FreezeNode(1, Duration::from_secs(3)), Blow::KillDatabase];
    blows.extend(any);
    let outages = [
        Blow::Outage(Fault::Status(503), Duration::from_secs(97)),
        Blow::Outage(Fault::Status(502), Duration::from_secs(30 * 60)),
        Blow::Outage(Fault::OutOfCalls(900), Duration::from_secs(15 * 60)),
        Blow::Outage(Fault::LimitedWordlessly, Duration::from_secs(5 * 60)),
        Blow::Outage(Fault::Status(401), Duration::from_secs(10 * 60)),
    ];
    for outage in outages {
        blows.insert(random.random_range(0..=blows.len()), outage);
    }
    blows
}

fn repository(at: u64) -> String {
    format!("chaos/{at}")
}

impl World {
    async fn start(programs: Programs) -> Self {
        let folder = work_folder("chaos").expect("a folder");
        let database_port = free_port().expect("a free port");
        let mut world = Self {
            programs,
            folder,
            github: FakeGithub::start(),
            database: None,
            database_port,
            nodes: (0..NODES).map(|_| None).collect(),
        };
        world.start_database();
        for node in 0..NODES {
            world.start_node(node);
        }
        world
    }

    fn start_database(&mut self) {
        let file = self.folder.join("sentinel.db");
        let database = self.programs.start_database(&file, self.database_port, DATABASE_TOKEN);
        self.database = Some(database.expect("the database starts"));
    }

    fn start_node(&mut self, node: usize) {
        let vars = [
            ("SENTINEL_NODE_TOKEN", "token".to_owned()),
            ("TURSO_DATABASE_URL", format!("http://127.0.0.1:{}", self.database_port)),
            ("TURSO_AUTH_TOKEN", DATABASE_TOKEN.to_owned()),
            ("GITHUB_API_URL", self.github.api_url()),
            ("GITHUB_APP_ID", APP_ID.to_owned()),
            ("GITHUB_APP_PRIVATE_KEY", app_key()),
            ("GITHUB_TOKEN", String::new()),
            ("SENTINEL_PULL", "true".to_owned()),
            ("SENTINEL_SESSIONS", "1".to_owned()),
            ("SENTINEL_JOBS", "4".to_owned()),
        ];
        let folder = self.folder.join(format!("node{node}"));
        self.nodes[node] = Some(self.programs.start_node(&folder, 0, &vars).expect("the node starts"));
    }

    /// Queues the jobs and strikes between them; how often what was done.
    async fn strike(&mut self, blows: &[Blow], jobs: u64) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        let (store, mut queued) = (self.store(), 0);
        for (at, blow) in (1u64..).zip(blows) {
            // The last jobs come with the last blow.
            let until = jobs * at / blows.len() as u64;
            while queued < until {
                self.queue(&store, queued).await;
                queued += 1;
            }
            *counts.entry(blow.name()).or_default() += 1;
            self.take(blow).await;
            self.let_time_pass(Duration::from_millis(500)).await;
        }
        counts
    }

    async fn queue(&self, store: &Store, at: u64) {
        let repository = repository(at);
        self.github.put_file(&repository, ".github/sentinel.yml", OUTSPOKEN);
        self.github.open(Pull::new(&repository, 7, &format!("head{at}"), &[("src/load.ts", PATCH)]));
        let job = job(&repository, 7, &format!("head{at}"), Some(1 + at % INSTALLATIONS));
        store.ask(outbox::enqueue(JobKind::Review, &job, now())).await.expect("the database is there");
    }

    async fn take(&mut self, blow: &Blow) {
        match blow {
            Blow::KillNode(node) => {
                let dead = self.nodes[*node].take().expect("it was started");
                let process = dead.group();
                dead.kill();
                self.end_leases_of(process).await;
                self.start_node(*node);
            }
            Blow::FreezeNode(node, time) => {
                self.signal(*node, "-STOP");
                self.let_time_pass(*time).await;
                self.signal(*node, "-CONT");
            }
            Blow::KillDatabase => {
                self.database.take().expect("it was started").kill();
                tokio::time::sleep(Duration::from_millis(700)).await;
                self.start_database();
            }
            Blow::FailOneCall(call, fault) => self.github.fail_next(call, fault.clone()),
            Blow::Outage(fault, time) => {
                self.github.set_weather(Some(fault.clone()));
                self.let_time_pass(*time / COMPRESSION as u32).await;
                self.github.set_weather(None);
            }
        }
    }

    fn signal(&self, node: usize, signal: &str) {
        let group = format!("-{}", self.nodes[node].as_ref().expect("it was started").group());
        let status = Command::new("kill").args([signal, "--", &group]).status().expect("kill is there");
        assert!(status.success(), "{signal} to a node");
    }

    /// A lease of a process that was killed would end within a minute.
    async fn end_leases_of(&self, process: u32) {
        let args = vec![Value::Text(format!("%-{process}-%"))];
        let sql = "-- test_leases\nUPDATE review_jobs SET lease_until = 0 WHERE status = 'running' AND lease_owner LIKE ?1";
        let _ = self.store().ask(change(sql, args)).await;
    }

    /// Lets so much time pass, and with it [`COMPRESSION`] times as much for whoever waits for GitHub.
    async fn let_time_pass(&self, time: Duration) {
        let (store, until) = (self.store(), Instant::now() + time);
        loop {
            tokio::time::sleep(TICK.min(until.saturating_duration_since(Instant::now()))).await;
            let seconds = Value::Integer(COMPRESSION * TICK.as_millis() as i64 / 1000);
            let moves = [
                "-- test_pauses\nUPDATE review_jobs SET not_before = not_before - ?1 WHERE status = 'queued'",
                "-- test_breakers\nUPDATE breakers SET retry_at = retry_at - ?1, since = since - ?1",
                "-- test_job_pauses\nUPDATE job_pauses SET since = since - ?1",
            ];
            let moves = moves.into_iter().map(|sql| change(sql, vec![seconds.clone()]));
            // The database may be away.
            let _ = store.ask(moves.collect()).await;
            if Instant::now() >= until {
                return;
            }
        }
    }

    /// The jobs after the last blow, when none waits any more, or when the time for that is over.
    async fn settled(&self, jobs: u64) -> Vec<JobRow> {
        self.github.clear_faults();
        let (store, until) = (self.store(), Instant::now() + CALM);
        loop {
            let rows = store.ask(queue::list(Scope::All, None, &[], 1000)).await.expect("it is there");
            assert_eq!(rows.len() as u64, jobs, "a job is lost");
            let waiting =
                rows.iter().filter(|row| matches!(row.status, JobStatus::Queued | JobStatus::Running));
            if waiting.count() == 0 || Instant::now() > until {
                return rows;
            }
            self.let_time_pass(TICK).await;
        }
    }

    /// What is not as it should be.
    fn wrongs(&self, rows: &[JobRow]) -> Vec<String> {
        let mut wrongs: Vec<String> = rows
            .iter()
            .filter(|row| row.status != JobStatus::Done)
            .map(|row| {
                format!("{} is {:?} after {} tries: {:?}", row.key, row.status, row.attempts, row.error)
            })
            .collect();
        for at in 0..rows.len() as u64 {
            let pull = self.github.pull(&repository(at), 7);
            let prints: BTreeSet<_> =
                pull.comments.iter().filter_map(|comment| fingerprint_in(&comment.body)).collect();
            let checks = self.github.checks(&format!("head{at}")).len();
            if pull.reviews.len() != 1 || checks != 1 || prints.len() != pull.comments.len() {
                let (reviews, comments) = (pull.reviews.len(), pull.comments.len());
                wrongs.push(format!(
                    "{}: {reviews} reviews, {comments} comments ({} different), {checks} check runs",
                    pull.repository,
                    prints.len()
                ));
            }
        }
        wrongs
    }

    fn store(&self) -> Store {
        let http =
            sentinel_node::operate::http::client().pool_max_idle_per_host(0).build().expect("a client");
        Store::new(http, &format!("http://127.0.0.1:{}", self.database_port), Secret::new(DATABASE_TOKEN))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.nodes.clear();
        self.database = None;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Blow {
    fn name(&self) -> String {
        match self {
            Self::KillNode(_) => "a node was killed".to_owned(),
            Self::FreezeNode(..) => "a node was frozen".to_owned(),
            Self::KillDatabase => "the database was killed".to_owned(),
            Self::FailOneCall(..) => "a call to GitHub failed".to_owned(),
            Self::Outage(fault, time) => format!("{} s of {fault:?}", time.as_secs()),
        }
    }
}
