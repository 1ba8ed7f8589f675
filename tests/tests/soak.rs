//! A node process and a database process under everything that callers do at once: reviews that are read, read slowly
//! and cancelled, jobs, made-up tokens, connections that say nothing or a byte a second, transactions that are finished
//! and left. Both must be ready in every second of it, no honest call may fail, and their memory must stay flat.
//!
//! `cargo xtask test soak` takes ten minutes; every test run takes [`SHORT`]. The load is bounded: each kind of call has
//! so many callers, who pause between two calls.
//!
//! Flat means that the median of the last third is not above that of the first by more than [`ALLOWED_KIB`]; what comes
//! before is left out, since heaps and pools grow to the size of the load. Over ten minutes the node is asked for more than
//! 20,000 things between the middles of these two thirds, and the database for more than 40,000: 1 KiB lost a request
//! would show as 20 and 40 MiB. The test counts them, and fails where they are too few to tell. Twenty seconds show no more
//! than a flood: they hold the rest, that both are ready and that no honest call fails.

use anyhow::{Context as _, Result, ensure};
use rand::Rng;
use sentinel_proto::v1::review_service_client::ReviewServiceClient;
use sentinel_proto::v1::{ChunkRequest, DiffRequest, GetReviewRequest, ReviewJob, SubmitReviewRequest};
use sentinel_tests::deliver;
use sentinel_tests::github::{APP_ID, FakeGithub, Pull, app_key};
use sentinel_tests::node::{OUTSPOKEN, RUNTIME};
use sentinel_tests::stack::{Programs, Server, work_folder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Request};

const NODE_TOKEN: &str = "token of the node";
const DATABASE_TOKEN: &str = "token of the database";
/// How long every test run takes.
const SHORT: Duration = Duration::from_secs(20);
/// Between two looks at both processes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an honest call may take: a busy machine is no defect.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any listener keeps a connection on which nothing moves, the 90 s for answers that nobody fetches included.
const KEPT_AT_MOST: Duration = Duration::from_secs(150);
/// Installations the jobs are spread over: each may write once a second.
const INSTALLATIONS: u64 = 12;
/// How much memory may grow where it is told from noise: heaps keep what an unlucky moment took.
const ALLOWED_KIB: u64 = 8 * 1024;
/// How much in a shorter run, in which they still grow to their size.
const ALLOWED_KIB_SHORT: u64 = 64 * 1024;
/// From here on a run is long enough to tell.
const LONG: Duration = Duration::from_secs(300);
/// What is left out at the beginning: the longest a run's connections stay, but a third at most.
const WARM_UP: Duration = Duration::from_secs(60);
/// How many more files may be open: connections come and go.
const ALLOWED_FILES: u64 = 24;
/// Rows of the printed table.
const ROWS_PRINTED: usize = 20;
/// Rows of the table that is written and read: what is written replaces what was there, so that no growth is data.
const ROWS: u64 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Node,
    Database,
}

type Outcome = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// One kind of call: who is called, by how many at once, and how long each pauses between two calls.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    of: Of,
    callers: u32,
    pause_ms: u64,
    call: fn(Arc<Load>, u64) -> Outcome,
}

const KINDS: [Kind; 19] = [
    kind("ReviewDiff, read to its end", Of::Node, 1, 100, |load, n| Box::pin(load.diff(n))),
    kind("ReviewDiff, read after 3 s", Of::Node, 2, 500, |load, n| Box::pin(load.slow_diff(n))),
    kind("ReviewDiff, cancelled", Of::Node, 2, 100, |load, n| Box::pin(load.cancelled_diff(n))),
    kind("ReviewChunk", Of::Node, 1, 100, |load, n| Box::pin(load.chunk(n))),
    kind("ReviewChunk, cancelled", Of::Node, 1, 100, |load, n| Box::pin(load.cancelled_chunk(n))),
    kind("pull request jobs", Of::Node, 1, 1000, |load, n| Box::pin(load.submit(n))),
    kind("GetReview", Of::Node, 1, 50, |load, n| Box::pin(load.look_up(n))),
    kind("made-up tokens to the node", Of::Node, 1, 50, |load, n| Box::pin(load.stranger_at_node(n))),
    kind("silent connections to the node", Of::Node, 20, 0, |load, _| Box::pin(silent(load.node))),
    kind("heads of a byte a second to the node", Of::Node, 5, 0, |load, _| Box::pin(slow_head(load.node))),
    kind("bodies of a byte a second to the node", Of::Node, 5, 0, |load, _| {
        Box::pin(load.slow_body_to_node())
    }),
    kind("pipelines that write", Of::Database, 1, 20, |load, n| Box::pin(load.write(n))),
    kind("pipelines that read", Of::Database, 2, 20, |load, n| Box::pin(load.read(n))),
    kind("transactions of three requests", Of::Database, 1, 100, |load, n| Box::pin(load.transaction(n))),
    kind("transactions that are left", Of::Database, 1, 200, |load, n| Box::pin(load.left_transaction(n))),
    kind("pipelines, cancelled", Of::Database, 1, 50, |load, n| Box::pin(load.cancelled_read(n))),
    kind("silent connections to the database", Of::Database, 20, 0, |load, _| {
        Box::pin(silent(load.database))
    }),
    kind("bodies of a byte a second to the database", Of::Database, 5, 0, |load, _| {
        Box::pin(load.slow_body_to_database())
    }),
    kind("answers fetched a byte a second", Of::Database, 3, 0, |load, _| Box::pin(load.slow_reader())),
];

const fn kind(
    name: &'static str,
    of: Of,
    callers: u32,
    pause_ms: u64,
    call: fn(Arc<Load>, u64) -> Outcome,
) -> Kind {
    Kind { name, of, callers, pause_ms, call }
}

/// What all callers share.
struct Load {
    github: FakeGithub,
    node: SocketAddr,
    database: SocketAddr,
    /// An HTTP/2 connection of those who keep theirs.
    channel: Channel,
    http: reqwest::Client,
    /// Calls that were begun, by the place of their kind.
    begun: Vec<AtomicU64>,
    /// What an honest caller was not to meet.
    wrongs: Mutex<Vec<String>>,
}

/// Both processes at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    node: Process,
    database: Process,
}

#[derive(Debug, Clone, Copy)]
struct Process {
    /// Memory that is resident.
    kib: u64,
    open_files: u64,
    /// What it was asked so far.
    requests: u64,
}

/// What was seen of one process in the last third of a run, against the first.
#[derive(Debug, PartialEq)]
struct Growth {
    kib: i64,
    files: i64,
    /// Between the middles of the two.
    requests: u64,
    allowed_kib: u64,
    is_long: bool,
}

struct World {
    folder: PathBuf,
    database: Server,
    node: Server,
    load: Arc<Load>,
}

#[test]
fn under_mixed_load_node_and_database_stay_ready_and_their_memory_flat() {
    let Some(programs) = Programs::or_skip() else { return };
    if !std::path::Path::new("/proc/self/status").exists() {
        eprintln!("skipped: how much memory a process has is read from /proc");
        return;
    }
    let seconds = std::env::var("SENTINEL_SOAK_SECONDS").ok().and_then(|value| value.parse().ok());
    let time = seconds.map_or(SHORT, Duration::from_secs);
    RUNTIME.block_on(async {
        let world = World::start(&programs).await.expect("both start");
        let callers = world.load.begin();
        let (samples, not_ready) = world.watch(time).await;
        drop(callers);
        let unfinished = world.unfinished_jobs().await;
        world.print(&samples, &not_ready);
        let grown = [
            ("the node", Growth::of(&samples, |sample| sample.node)),
            ("the database", Growth::of(&samples, |sample| sample.database)),
        ];
        grown.iter().for_each(|(who, growth)| println!("{who}: {}", growth.told()));
        let logs = || format!("{}\n{}", world.node.log(), world.database.log());
        let wrongs = world.load.wrongs.lock().expect("no caller panics").clone();
        assert!(not_ready.is_empty(), "not ready: {not_ready:?}\n{}", logs());
        assert!(wrongs.is_empty(), "{}\n{}", wrongs.join("\n"), logs());
        assert!(unfinished.is_empty(), "jobs that are not done: {unfinished:?}\n{}", logs());
        for (who, growth) in grown {
            assert!(growth.is_flat(), "{who} grows: {}", growth.told());
            assert!(growth.can_tell(), "{who} was asked for too little: {}", growth.told());
        }
    });
}

#[test]
fn a_kibibyte_lost_a_request_is_told_from_noise_and_a_warm_up_is_none() {
    let run = |seconds: u64, kib: &dyn Fn(u64) -> u64| {
        let sample = |second: u64| {
            let process = Process { kib: kib(second), open_files: 50, requests: second * 60 };
            Sample { at: Duration::from_secs(second), node: process, database: process }
        };
        Growth::of(&(0..=seconds).map(sample).collect::<Vec<_>>(), |sample| sample.node)
    };
    // Up and down by 16 MiB, and once by 80.
    let noise = |second: u64| 150_000 + second * 7919 % 16_384 + if second == 400 { 80_000 } else { 0 };
    let flat = run(600, &noise);
    assert!(flat.is_flat() && flat.can_tell(), "{flat:?}");
    let warm = run(600, &|second| noise(second) - 60_000_u64.saturating_sub(second * 1000));
    assert!(warm.is_flat(), "{warm:?}");
    let leak = run(600, &|second| noise(second) + second * 60);
    assert!(!leak.is_flat(), "{leak:?}");
    let files = Growth { files: 40, ..run(600, &noise) };
    assert!(!files.is_flat());
    let idle = Growth { requests: 5_000, ..run(600, &noise) };
    assert!(!idle.can_tell());
    let flood = run(20, &|second| 150_000 + second * 10_000);
    assert!(!flood.is_flat() && run(20, &noise).is_flat(), "{flood:?}");
}

// === impl Growth ===

impl Growth {
    fn of(samples: &[Sample], process: impl Fn(&Sample) -> Process) -> Self {
        let time = samples.last().map_or(Duration::ZERO, |sample| sample.at);
        let warm = samples.iter().filter(|sample| sample.at >= WARM_UP.min(time / 3)).map(process);
        let warm: Vec<Process> = warm.collect();
        let third = (warm.len() / 3).max(1);
        let (first, last) = (&warm[..third.min(warm.len())], &warm[warm.len().saturating_sub(third)..]);
        let grown = |of: fn(&Process) -> u64| median(last, of) as i64 - median(first, of) as i64;
        let is_long = time >= LONG;
        Self {
            kib: grown(|process| process.kib),
            files: grown(|process| process.open_files),
            requests: grown(|process| process.requests).unsigned_abs(),
            allowed_kib: if is_long { ALLOWED_KIB } else { ALLOWED_KIB_SHORT },
            is_long,
        }
    }

    fn is_flat(&self) -> bool {
        self.kib <= self.allowed_kib as i64 && self.files <= ALLOWED_FILES as i64
    }

    /// Whether a KiB lost a request would have been seen.
    fn can_tell(&self) -> bool {
        !self.is_long || self.requests > self.allowed_kib
    }

    fn told(&self) -> String {
        format!(
            "{:+.1} MiB and {:+} files over {} requests; 1 KiB a request would be {:+.1} MiB, and {:.0} are allowed",
            self.kib as f64 / 1024.0,
            self.files,
            self.requests,
            self.requests as f64 / 1024.0,
            self.allowed_kib as f64 / 1024.0,
        )
    }
}

fn median(processes: &[Process], of: fn(&Process) -> u64) -> u64 {
    let mut values: Vec<u64> = processes.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

// === impl World ===

impl World {
    async fn start(programs: &Programs) -> Result<Self> {
        let folder = work_folder("soak")?;
        let github = FakeGithub::start();
        let database = programs.start_database(&folder.join("sentinel.db"), 0, DATABASE_TOKEN)?;
        let vars = [
            ("SENTINEL_NODE_TOKEN", NODE_TOKEN.to_owned()),
            ("TURSO_DATABASE_URL", database.url.clone()),
            ("TURSO_AUTH_TOKEN", DATABASE_TOKEN.to_owned()),
            ("GITHUB_API_URL", github.api_url()),
            ("GITHUB_APP_ID", APP_ID.to_owned()),
            ("GITHUB_APP_PRIVATE_KEY", app_key()),
            ("GITHUB_TOKEN", String::new()),
            ("SENTINEL_PROVIDER", "cpu".to_owned()),
            ("SENTINEL_PULL", "true".to_owned()),
        ];
        let node = programs.start_node(&folder.join("node"), 0, &vars)?;
        let load = Arc::new(Load {
            github,
            node: address(&node)?,
            database: address(&database)?,
            channel: Channel::from_shared(node.url.clone())?.connect().await?,
            http: sentinel_node::operate::http::client().timeout(PATIENCE).build()?,
            begun: KINDS.iter().map(|_| AtomicU64::new(0)).collect(),
            wrongs: Mutex::default(),
        });
        let table = "CREATE TABLE soak (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
        load.pipeline(None, &[table], true).await?;
        let world = Self { folder, database, node, load };
        // It has looked for its database and GitHub once.
        while !is_ready(&world.node.url, "/readyz").await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(world)
    }

    /// Looks at both once a second; what was seen, and each time one of them was not ready.
    async fn watch(&self, time: Duration) -> (Vec<Sample>, Vec<String>) {
        let (started, mut samples, mut not_ready) = (Instant::now(), Vec::new(), Vec::new());
        let mut next = tokio::time::interval(LOOK_EVERY);
        next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while started.elapsed() < time {
            next.tick().await;
            for (url, path) in [(&self.node.url, "/readyz"), (&self.database.url, "/health")] {
                match is_ready(url, path).await {
                    Ok(true) => {}
                    other => not_ready.push(format!("{path} after {:?}: {other:?}", started.elapsed())),
                }
            }
            samples.push(Sample {
                at: started.elapsed(),
                node: self.process(&self.node, Of::Node),
                database: self.process(&self.database, Of::Database),
            });
        }
        (samples, not_ready)
    }

    fn process(&self, server: &Server, of: Of) -> Process {
        let folder = format!("/proc/{}", server.group());
        let status = std::fs::read_to_string(format!("{folder}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is a process");
        let kib = line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number");
        let open_files = std::fs::read_dir(format!("{folder}/fd")).expect("it runs").count() as u64;
        let begun = KINDS.iter().zip(&self.load.begun).filter(|(kind, _)| kind.of == of);
        Process { kib, open_files, requests: begun.map(|(_, begun)| begun.load(Ordering::Relaxed)).sum() }
    }

    /// The jobs that are not done some time after the last was submitted, and how they stand.
    async fn unfinished_jobs(&self) -> BTreeMap<String, String> {
        let (until, mut left) = (Instant::now() + 2 * PATIENCE, BTreeMap::new());
        let jobs = self.load.begun[JOBS].load(Ordering::Relaxed);
        for n in 0..jobs {
            loop {
                let status = self.load.status(n).await.unwrap_or_else(|status| status.to_string());
                if status == "done" {
                    break;
                }
                if Instant::now() > until {
                    left.insert(job_key(n), status);
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        left
    }

    fn print(&self, samples: &[Sample], not_ready: &[String]) {
        let Some(last) = samples.last() else { return };
        println!("{:.0} s, not ready {} times", last.at.as_secs_f32(), not_ready.len());
        for (kind, begun) in KINDS.iter().zip(&self.load.begun) {
            println!("{:>8} {}", begun.load(Ordering::Relaxed), kind.name);
        }
        println!("{:>8} {:>12} {:>12} {:>12} {:>12}", "s", "node MiB", "files", "database MiB", "files");
        let every = samples.len().div_ceil(ROWS_PRINTED);
        for sample in samples.iter().step_by(every) {
            println!(
                "{:>8.0} {:>12.1} {:>12} {:>12.1} {:>12}",
                sample.at.as_secs_f32(),
                sample.node.kib as f64 / 1024.0,
                sample.node.open_files,
                sample.database.kib as f64 / 1024.0,
                sample.database.open_files,
            );
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn is_ready(url: &str, path: &'static str) -> Result<bool> {
    let url = url.to_owned();
    Ok(tokio::task::spawn_blocking(move || deliver::get(&url, path, None)).await??.status == 200)
}

fn address(server: &Server) -> Result<SocketAddr> {
    Ok(server.url.trim_start_matches("http://").parse()?)
}

// === impl Load: the callers ===

/// The place of the jobs among [`KINDS`].
const JOBS: usize = 5;

impl Load {
    /// Starts all callers; they end when this is dropped.
    fn begin(self: &Arc<Self>) -> JoinSet<()> {
        let mut callers = JoinSet::new();
        for (at, kind) in KINDS.iter().enumerate() {
            for _ in 0..kind.callers {
                callers.spawn(Arc::clone(self).call_again_and_again(at, *kind));
            }
        }
        callers
    }

    async fn call_again_and_again(self: Arc<Self>, at: usize, kind: Kind) {
        loop {
            let n = self.begun[at].fetch_add(1, Ordering::Relaxed);
            if let Err(error) = (kind.call)(Arc::clone(&self), n).await {
                let mut wrongs = self.wrongs.lock().expect("no caller panics");
                wrongs.push(format!("{}, number {n}: {error:#}", kind.name));
            }
            tokio::time::sleep(Duration::from_millis(kind.pause_ms)).await;
        }
    }
}

// === impl Load: what the node is asked ===

impl Load {
    async fn diff(self: Arc<Self>, n: u64) -> Result<()> {
        let request = diff_request(n, 1 + n % 4);
        read_to_its_end(ReviewServiceClient::new(self.channel.clone()), request, Duration::ZERO).await
    }

    async fn slow_diff(self: Arc<Self>, n: u64) -> Result<()> {
        let client = ReviewServiceClient::new(self.another_channel().await?);
        read_to_its_end(client, diff_request(n, 2), Duration::from_secs(3)).await
    }

    /// On a connection of its own, at whatever moment: before it was read, while it is scored, when it is answered.
    async fn cancelled_diff(self: Arc<Self>, n: u64) -> Result<()> {
        let client = ReviewServiceClient::new(self.another_channel().await?);
        let call = read_to_its_end(client, diff_request(n, 20), Duration::ZERO);
        cancelled_within(Duration::from_millis(300), call).await
    }

    async fn chunk(self: Arc<Self>, n: u64) -> Result<()> {
        let mut client = ReviewServiceClient::new(self.another_channel().await?);
        let answer = client.review_chunk(authorized(chunk_request(n))).await?.into_inner();
        ensure!(answer.idempotency_key == n.to_string(), "the answer to another: {}", answer.idempotency_key);
        Ok(())
    }

    async fn cancelled_chunk(self: Arc<Self>, n: u64) -> Result<()> {
        let mut client = ReviewServiceClient::new(self.channel.clone());
        let call = async {
            client.review_chunk(authorized(chunk_request(n))).await?;
            Ok(())
        };
        cancelled_within(Duration::from_millis(20), call).await
    }

    /// Each of another repository, so that what is kept of one would add up.
    async fn submit(self: Arc<Self>, n: u64) -> Result<()> {
        let (repository, head_sha) = (repository(n), format!("head{n}"));
        self.github.put_file(&repository, ".github/sentinel.yml", OUTSPOKEN);
        self.github.open(Pull::new(&repository, 7, &head_sha, &[("src/load.ts", &patch(n))]));
        let job = ReviewJob {
            id: job_key(n),
            repository,
            number: 7,
            head_sha,
            installation_id: 1 + n % INSTALLATIONS,
            ..ReviewJob::default()
        };
        let mut client = ReviewServiceClient::new(self.channel.clone());
        let request = authorized(SubmitReviewRequest { job: Some(job) });
        let outcome = client.submit_review(request).await?.into_inner().outcome();
        ensure!(outcome.as_str_name() == "OUTCOME_ACCEPTED", "{outcome:?}");
        Ok(())
    }

    async fn look_up(self: Arc<Self>, n: u64) -> Result<()> {
        let jobs = self.begun[JOBS].load(Ordering::Relaxed);
        match self.status(n % (jobs + 1)).await {
            Ok(_) => Ok(()),
            // The last one may be on its way.
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) => Err(status.into()),
        }
    }

    async fn status(&self, job: u64) -> Result<String, tonic::Status> {
        let mut client = ReviewServiceClient::new(self.channel.clone());
        let request = authorized(GetReviewRequest { id: job_key(job) });
        Ok(client.get_review(request).await?.into_inner().status)
    }

    async fn stranger_at_node(self: Arc<Self>, n: u64) -> Result<()> {
        let mut request = Request::new(chunk_request(n));
        request.metadata_mut().insert("authorization", format!("Bearer made up {n}").parse()?);
        let answer = ReviewServiceClient::new(self.channel.clone()).review_chunk(request).await;
        let code = answer.err().map(|status| status.code());
        ensure!(code == Some(Code::Unauthenticated), "{code:?}");
        Ok(())
    }

    async fn slow_body_to_node(self: Arc<Self>) -> Result<()> {
        let head = format!(
            "POST /sentinel.review.v1.ReviewService/ReviewChunk HTTP/1.1\r\nhost: node\r\n\
             content-type: application/grpc-web+proto\r\nauthorization: Bearer {NODE_TOKEN}\r\n\
             content-length: 1000\r\n\r\n"
        );
        trickle(self.node, &head).await
    }

    async fn another_channel(&self) -> Result<Channel> {
        Ok(Channel::from_shared(format!("http://{}", self.node))?.connect().await?)
    }
}

/// Reads all, and the receipt at last.
async fn read_to_its_end(
    mut client: ReviewServiceClient<Channel>,
    request: DiffRequest,
    pause: Duration,
) -> Result<()> {
    let mut stream = client.review_diff(authorized(request)).await?.into_inner();
    tokio::time::sleep(pause).await;
    let mut last = None;
    while let Some(message) = stream.message().await? {
        last = message.item;
    }
    ensure!(last.is_some(), "a stream without a receipt");
    Ok(())
}

/// Drops a call after a while, however far it has come.
async fn cancelled_within(longest: Duration, call: impl Future<Output = Result<()>>) -> Result<()> {
    let time = rand::rng().random_range(Duration::ZERO..longest);
    tokio::time::timeout(time, call).await.unwrap_or(Ok(()))
}

fn authorized<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {NODE_TOKEN}").parse().expect("ASCII"));
    request.set_timeout(PATIENCE);
    request
}

/// A patch that no other call sends.
fn patch(n: u64) -> String {
    format!(
        "@@ -1,2 +1,5 @@\n export function load{n}() {{\n+  debugger;\n+  const rows{n} = read({n});\n+  return rows;\n }}\n"
    )
}

fn diff_request(n: u64, files: u64) -> DiffRequest {
    let file = |at: u64| {
        let (path, patch) = (format!("src/{n}/{at}.ts"), patch(n));
        format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n{patch}")
    };
    DiffRequest { diff: (0..files).map(file).collect(), policy: OUTSPOKEN.to_owned() }
}

fn chunk_request(n: u64) -> ChunkRequest {
    ChunkRequest {
        repo: repository(n),
        filename: "src/load.ts".to_owned(),
        patch: patch(n),
        idempotency_key: n.to_string(),
        ..ChunkRequest::default()
    }
}

fn repository(n: u64) -> String {
    format!("soak/{n}")
}

fn job_key(n: u64) -> String {
    format!("soak/{n}#7@head{n}")
}

// === impl Load: what the database is asked ===

impl Load {
    async fn write(self: Arc<Self>, n: u64) -> Result<()> {
        self.pipeline(None, &[&replace(n)], true).await.map(drop)
    }

    async fn read(self: Arc<Self>, n: u64) -> Result<()> {
        let sql = format!("SELECT id, text FROM soak WHERE id > {} LIMIT 50", n % ROWS);
        self.pipeline(None, &[&sql], true).await.map(drop)
    }

    async fn transaction(self: Arc<Self>, n: u64) -> Result<()> {
        let baton = self.pipeline(None, &["BEGIN"], false).await?;
        let baton = self.pipeline(baton, &["SELECT count(*) FROM soak"], false).await?;
        self.pipeline(baton, &["SELECT max(id) FROM soak", "COMMIT"], true).await?;
        self.pipeline(None, &["BEGIN IMMEDIATE", &replace(n), "COMMIT"], true).await.map(drop)
    }

    /// Its stream is held for its client, who never comes back.
    async fn left_transaction(self: Arc<Self>, n: u64) -> Result<()> {
        let temporary = format!("CREATE TEMP TABLE own{n} (a)");
        self.pipeline(None, &["BEGIN", "SELECT count(*) FROM soak", &temporary], false).await.map(drop)
    }

    async fn cancelled_read(self: Arc<Self>, n: u64) -> Result<()> {
        let sql = format!("SELECT count(*) + {n} FROM soak a, soak b");
        let call = async { self.pipeline(None, &[&sql], true).await.map(drop) };
        cancelled_within(Duration::from_millis(20), call).await
    }

    async fn slow_body_to_database(self: Arc<Self>) -> Result<()> {
        trickle(self.database, &head_of_pipeline(1000)).await
    }

    /// Gives up after a while: what is on its way already would take a day.
    async fn slow_reader(self: Arc<Self>) -> Result<()> {
        let socket = TcpSocket::new_v4()?;
        // Otherwise the system takes the whole answer.
        socket.set_recv_buffer_size(4096)?;
        let mut stream = socket.connect(self.database).await?;
        let statement = json!({ "sql": "SELECT hex(zeroblob(1000000))" });
        let requests = json!([{ "type": "execute", "stmt": statement }, { "type": "close" }]);
        let body = json!({ "requests": requests }).to_string();
        stream.write_all(format!("{}{body}", head_of_pipeline(body.len())).as_bytes()).await?;
        for _ in 0..20 {
            if stream.read(&mut [0]).await.is_ok_and(|read| read == 0) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// Runs these statements on the stream of `baton` or a new one; the baton to go on with.
    async fn pipeline(
        &self,
        baton: Option<String>,
        statements: &[&str],
        closes: bool,
    ) -> Result<Option<String>> {
        let execute = |sql: &&str| json!({ "type": "execute", "stmt": { "sql": sql } });
        let mut requests: Vec<_> = statements.iter().map(execute).collect();
        if closes {
            requests.push(json!({ "type": "close" }));
        }
        let url = format!("http://{}/v2/pipeline", self.database);
        let body = json!({ "baton": baton, "requests": requests });
        let answer = self.http.post(url).bearer_auth(DATABASE_TOKEN).json(&body).send().await?;
        let (status, answer) = (answer.status(), answer.text().await?);
        ensure!(status == 200 && !answer.contains("\"error\""), "{statements:?}: {status} {answer}");
        let answer: Value = serde_json::from_str(&answer)?;
        Ok(answer["baton"].as_str().map(str::to_owned))
    }
}

fn replace(n: u64) -> String {
    format!("INSERT OR REPLACE INTO soak VALUES ({}, '{n}' || hex(randomblob(500)))", n % ROWS)
}

fn head_of_pipeline(length: usize) -> String {
    format!(
        "POST /v2/pipeline HTTP/1.1\r\nhost: db\r\nauthorization: Bearer {DATABASE_TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

// === connections that say little ===

async fn silent(to: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    let closed = tokio::time::timeout(KEPT_AT_MOST, stream.read(&mut [0; 64])).await;
    closed.context("a silent connection was kept")?.map(drop).or(Ok(()))
}

async fn slow_head(to: SocketAddr) -> Result<()> {
    trickle(to, "GET /health HTTP/1.1\r\nx: ").await
}

/// Sends `first`, then a byte a second, until the server has had enough.
async fn trickle(to: SocketAddr, first: &str) -> Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(first.as_bytes()).await?;
    let refused = async {
        loop {
            match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0; 1024])).await {
                Ok(Ok(0) | Err(_)) => return,
                // What is said before the connection is closed.
                Ok(Ok(_)) => {}
                Err(_) if stream.write_all(b"x").await.is_err() => return,
                Err(_) => {}
            }
        }
    };
    tokio::time::timeout(KEPT_AT_MOST, refused).await.context("it was listened to without end")
}
