//! The node as a process, as programs and operators use it: gRPC, gRPC-web, TLS, health, reflection, metrics, and
//! overload.

use anyhow::Context as _;
use libtest_mimic::{Arguments, Failed, Trial};
use sentinel_proto::v1::diff_response::Item;
use sentinel_proto::v1::review_service_client::ReviewServiceClient;
use sentinel_proto::v1::{ChunkRequest, DiffRequest, GetReviewRequest, ReviewJob, SubmitReviewRequest};
use sentinel_tests::deliver;
use sentinel_tests::github::{FakeGithub, Fault, Pull, TOKEN};
use sentinel_tests::stack::{Programs, Server, free_port, work_folder};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};

const NODE_TOKEN: &str = "node token of the tests";
const PATCH: &str =
    "@@ -1,2 +1,4 @@ export class Loader {\n   load() {\n+    debugger;\n+    const rows = read();\n   }\n";
/// Calls answered in this time are the overload test's successes.
const DEADLINE: Duration = Duration::from_millis(1000);

type Outcome = Result<(), Failed>;
type Test = fn(&World) -> Outcome;

struct World {
    programs: Programs,
    folder: PathBuf,
    _database: Server,
    database_url: String,
    github: FakeGithub,
    node: Server,
    runtime: Runtime,
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let no_browser = std::env::var_os("CHROMIUM").is_none() && std::env::var_os("CI").is_none();
    let trials: Vec<(&str, Test)> = vec![
        ("a_chunk_is_answered_with_its_strongest_finding", chunk),
        ("a_diff_is_answered_finding_by_finding_with_its_receipt_at_last", diff),
        ("a_diff_gets_no_more_comments_than_the_policy_allows_one_review", diff_cap),
        ("callers_without_the_token_learn_nothing", token),
        ("what_cannot_be_reviewed_is_refused_with_a_code_that_says_why", refusals),
        ("a_job_can_be_submitted_once_and_looked_up", submit),
        ("a_python_client_finds_the_service_by_reflection_and_gets_findings", python_client),
        ("a_browser_gets_findings_over_grpc_web", browser_client),
        ("with_a_certificate_the_port_speaks_tls", tls),
        ("the_metrics_pass_promtools_check_and_every_family_is_there", metrics),
        ("at_four_times_its_rate_it_refuses_at_once_and_serves_what_it_took", overload),
        ("streams_that_were_cancelled_leave_the_model_to_others_at_once", cancelled),
        (
            "with_the_largest_pull_requests_in_every_worker_a_small_one_is_reviewed_within_thirty_seconds",
            fairness,
        ),
        ("told_to_stop_it_finishes_and_goes", drain),
        ("no_open_call_keeps_a_stopped_node_beyond_its_time", drain_in_time),
        ("two_hundred_silent_connections_keep_nobody_out", silent),
        ("while_github_refuses_its_token_it_is_not_ready_says_why_and_takes_no_job", refused_token),
        ("with_bad_settings_it_names_each_and_does_not_start", bad_settings),
    ];
    if arguments.list {
        let listed = trials.into_iter().map(|(name, _)| Trial::test(name, || Ok(()))).collect();
        libtest_mimic::run(&arguments, listed).exit();
    }
    let world = Arc::new(World::start().unwrap_or_else(|error| panic!("the node did not start: {error:#}")));
    let trials = trials.into_iter().map(|(name, trial)| {
        let world = Arc::clone(&world);
        Trial::test(name, move || trial(&world)).with_ignored_flag(no_browser && name.contains("browser"))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if conclusion.has_failed() {
        eprintln!("the node said:\n{}", world.node.log());
    }
    // Dropped before the exit, so that the servers stop.
    drop(world);
    conclusion.exit();
}

// === impl World ===

impl World {
    fn start() -> anyhow::Result<Self> {
        let programs = Programs::from_env()?;
        let folder = work_folder("node-test")?;
        let database = programs.start_database(&folder.join("sentinel.db"), 0, NODE_TOKEN)?;
        let database_url = database.url.clone();
        let github = FakeGithub::start();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let vars = vars(&database_url, &github);
        let node = programs.start_node(&folder.join("node"), 0, &vars)?;
        Ok(Self { programs, folder, _database: database, database_url, github, node, runtime })
    }

    fn another(&self, name: &str, more: &[(&'static str, String)]) -> anyhow::Result<Server> {
        let vars: Vec<_> =
            vars(&self.database_url, &self.github).into_iter().chain(more.iter().cloned()).collect();
        self.programs.start_node(&self.folder.join(name), 0, &vars)
    }
}

fn vars(database: &str, github: &FakeGithub) -> Vec<(&'static str, String)> {
    vec![
        ("SENTINEL_NODE_TOKEN", NODE_TOKEN.to_owned()),
        ("TURSO_DATABASE_URL", database.to_owned()),
        ("TURSO_AUTH_TOKEN", NODE_TOKEN.to_owned()),
        ("GITHUB_TOKEN", TOKEN.to_owned()),
        ("GITHUB_API_URL", github.api_url()),
        ("SENTINEL_PROVIDER", "cpu".to_owned()),
    ]
}

async fn channel(url: &str) -> anyhow::Result<Channel> {
    Ok(Channel::from_shared(url.to_owned())?.connect().await?)
}

fn authorized<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {NODE_TOKEN}").parse().expect("ASCII"));
    request
}

fn chunk_request(patch: &str) -> ChunkRequest {
    ChunkRequest {
        repo: "o/r".into(),
        commit: "abc".into(),
        filename: "src/load.ts".into(),
        patch: patch.into(),
        idempotency_key: "key 1".into(),
        received_at: 1.5,
        chunk_index: 0,
    }
}

// === programs ===

fn chunk(world: &World) -> Outcome {
    world.runtime.block_on(async {
        let mut client = ReviewServiceClient::new(channel(&world.node.url).await?);
        let answer = client.review_chunk(authorized(chunk_request(PATCH))).await?.into_inner();
        same(&(answer.line, answer.severity.as_str(), answer.severity_id), &(2, "bug", 2))?;
        same(&(answer.filename.as_str(), answer.idempotency_key.as_str()), &("src/load.ts", "key 1"))?;
        same(&(answer.received_at, answer.confidence), &(1.5, 1.0))
    })
}

fn diff(world: &World) -> Outcome {
    world.runtime.block_on(async {
        let file = |path: &str| format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n{PATCH}");
        let diff: String = ["a.ts", "b.ts", "c.lock", "d.txt"].map(file).concat();
        let mut client = ReviewServiceClient::new(channel(&world.node.url).await?);
        let request = authorized(DiffRequest { diff, policy: String::new() });
        let mut stream = client.review_diff(request).await?.into_inner();
        let (mut found, mut receipt) = (Vec::new(), None);
        while let Some(message) = stream.message().await? {
            match message.item {
                Some(Item::Finding(finding)) => found.push((finding.path, finding.line)),
                Some(Item::Receipt(last)) => receipt = Some(last),
                None => return Err("an empty message".into()),
            }
        }
        same(&found, &vec![("a.ts".to_owned(), 2), ("b.ts".to_owned(), 2)])?;
        let receipt = receipt.ok_or("the receipt is missing")?;
        same(&(receipt.files_seen, receipt.files_reviewed), &(4, 2))?;
        same(&(receipt.files_skipped["ignored"], receipt.files_skipped["language"]), &(1, 1))?;
        same(&receipt.input_sha256.len(), &64)
    })
}

/// Ten files with one certain finding each, of which the policy wants three.
fn diff_cap(world: &World) -> Outcome {
    world.runtime.block_on(async {
        let file = |at: u32| format!("diff --git a/{at}.ts b/{at}.ts\n--- a/{at}.ts\n+++ b/{at}.ts\n{PATCH}");
        let diff: String = (0..10).map(file).collect();
        let mut client = ReviewServiceClient::new(channel(&world.node.url).await?);
        let policy = "review: {max_comments: 3}".to_owned();
        let mut stream = client.review_diff(authorized(DiffRequest { diff, policy })).await?.into_inner();
        let (mut found, mut withheld) = (0, None);
        while let Some(message) = stream.message().await? {
            match message.item {
                Some(Item::Receipt(receipt)) => withheld = receipt.withheld.get("over_cap").copied(),
                _ => found += 1,
            }
        }
        same(&(found, withheld), &(3, Some(7)))
    })
}

fn token(world: &World) -> Outcome {
    world.runtime.block_on(async {
        let mut client = ReviewServiceClient::new(channel(&world.node.url).await?);
        let refused = client.review_chunk(chunk_request(PATCH)).await.err().ok_or("answered a stranger")?;
        same(&refused.code(), &Code::Unauthenticated)?;
        let mut wrong = Request::new(GetReviewRequest { id: "x".into() });
        wrong.metadata_mut().insert("authorization", "Bearer x".parse().expect("ASCII"));
        same(&client.get_review(wrong).await.err().map(|status| status.code()), &Some(Code::Unauthenticated))
    })
}

fn refusals(world: &World) -> Outcome {
    world.runtime.block_on(async {
        let client = ReviewServiceClient::new(channel(&world.node.url).await?);
        let code = |request: Request<ChunkRequest>| {
            let mut client = client.clone();
            async move { client.review_chunk(request).await.err().map(|status| status.code()) }
        };
        for patch in ["", "no patch", "@@ -1,9 +1,9 @@\n x\n", "@@ -1,2 +1 @@\n x\n-y\n"] {
            same(&code(authorized(chunk_request(patch))).await, &Some(Code::InvalidArgument))?;
        }
        let huge = format!("@@ -0,0 +1 @@\n+{}\n", "x".repeat(9 << 20));
        same(&code(authorized(chunk_request(&huge))).await, &Some(Code::OutOfRange))?;
        let mut late = authorized(chunk_request(PATCH));
        late.set_timeout(Duration::from_nanos(1));
        let late = code(late).await;
        same(
            &matches!(late, Some(Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted)),
            &true,
        )?;
        let mut combined = client.clone();
        let diff = "diff --cc x\n@@@ -1,1 -1,1 +1,1 @@@\n".to_owned();
        let refused = combined.review_diff(authorized(DiffRequest { diff, policy: String::new() })).await;
        same(&refused.err().map(|status| status.code()), &Some(Code::InvalidArgument))
    })
}

fn submit(world: &World) -> Outcome {
    world.runtime.block_on(async {
        let mut client = ReviewServiceClient::new(channel(&world.node.url).await?);
        let job = ReviewJob {
            id: "o/gone#1@abc".into(),
            repository: "o/gone".into(),
            number: 1,
            head_sha: "abc".into(),
            ..ReviewJob::default()
        };
        let submit = || authorized(SubmitReviewRequest { job: Some(job.clone()) });
        let first = client.submit_review(submit()).await?.into_inner();
        same(&first.outcome().as_str_name(), &"OUTCOME_ACCEPTED")?;
        let deadline = Instant::now() + Duration::from_secs(10);
        let review = loop {
            let review =
                client.get_review(authorized(GetReviewRequest { id: job.id.clone() })).await?.into_inner();
            if review.status == "failed" {
                break review;
            }
            same(&(Instant::now() < deadline), &true)?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        same(&review.error.starts_with("404"), &true)?;
        let again = client.submit_review(submit()).await?.into_inner();
        same(&(again.outcome().as_str_name(), again.status.as_str()), &("OUTCOME_DUPLICATE", "failed"))?;
        let unknown = client.get_review(authorized(GetReviewRequest { id: "?".into() })).await;
        same(&unknown.err().map(|status| status.code()), &Some(Code::NotFound))
    })
}

fn python_client(world: &World) -> Outcome {
    let python = std::env::var("SENTINEL_TEST_PYTHON").map_err(|_| "SENTINEL_TEST_PYTHON is not set")?;
    let script = format!("{}/py/client.py", env!("CARGO_MANIFEST_DIR"));
    let address = world.node.url.trim_start_matches("http://");
    let output = Command::new(python).args([&script, address, NODE_TOKEN]).output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(said.into()) }
}

fn browser_client(world: &World) -> Outcome {
    let chromium = std::env::var("CHROMIUM").map_err(|_| "no Chromium found: set CHROMIUM to its path")?;
    let script = format!("{}/js/grpc_web.mjs", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("node")
        .args([&script, &world.node.url, NODE_TOKEN, &chromium])
        .arg(&world.programs.tools)
        .output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(said.into()) }
}

fn tls(world: &World) -> Outcome {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let (cert, key) = (world.folder.join("cert.pem"), world.folder.join("key.pem"));
    std::fs::write(&cert, signed.cert.pem())?;
    std::fs::write(&key, signed.signing_key.serialize_pem())?;
    let port = sentinel_tests::stack::free_port()?;
    let vars: Vec<_> = vars(&world.database_url, &world.github)
        .into_iter()
        .chain([
            ("SENTINEL_TLS_CERT", cert.display().to_string()),
            ("SENTINEL_TLS_KEY", key.display().to_string()),
        ])
        .collect();
    let mut command = Command::new(&world.programs.sentinel);
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]).envs(vars);
    let _server = Server::listening(command, port, &world.folder.join("tls.log"))?;
    world.runtime.block_on(async {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(signed.cert.pem()));
        let endpoint = Endpoint::from_shared(format!("https://localhost:{port}"))?.tls_config(tls)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        let channel = loop {
            match endpoint.connect().await {
                Ok(channel) => break channel,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let mut client = ReviewServiceClient::new(channel);
        let answer = client.review_chunk(authorized(chunk_request(PATCH))).await?.into_inner();
        same(&answer.line, &2)
    })
}

// === operators ===

fn metrics(world: &World) -> Outcome {
    let text = deliver::get(&world.node.url, "/metrics", None)?.body;
    let text = text.as_str().unwrap_or_default();
    for family in [
        "sentinel_inference_latency_seconds_bucket{le=\"0.01\"}",
        "sentinel_batch_size_bucket{le=\"32\"}",
        "sentinel_batch_tokens_count",
        "sentinel_e2e_latency_seconds_bucket{le=\"0.25\"}",
        "sentinel_active_workers 0",
        "sentinel_queue_depth 0",
        "sentinel_oldest_lease_seconds",
        "sentinel_job_outcomes_total{outcome=\"failed\"} 1",
        "sentinel_grpc_calls_total{code=\"ok\",method=\"ReviewChunk\"}",
        "sentinel_review_model_info{provider=\"cpu\",version=\"review_v",
        "sentinel_ready 1",
    ] {
        if !text.contains(family) {
            return Err(format!("{family} is missing in:\n{text}").into());
        }
    }
    let Ok(promtool) = std::env::var("PROMTOOL") else { return Ok(()) };
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    std::io::Write::write_all(&mut check.stdin.take().ok_or("its input")?, text.as_bytes())?;
    let checked = check.wait_with_output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    if checked.status.success() { Ok(()) } else { Err(said.into()) }
}

/// First as fast as it goes, to learn the rate; then four times that, whether or not answers come.
fn overload(world: &World) -> Outcome {
    let seconds =
        std::env::var("SENTINEL_OVERLOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    // One session: the other core is for the callers, who are on this machine too.
    let more = [("SENTINEL_SESSIONS", "1".to_owned()), ("SENTINEL_LOG", "error".to_owned())];
    let node = world.another("overloaded", &more)?;
    let body: String =
        (0..36).map(|at| format!("+    const value{at} = await read(rows[{at}]);\n")).collect();
    let request = chunk_request(&format!("@@ -0,0 +1,36 @@\n{body}"));
    world.runtime.block_on(async {
        let channel = channel(&node.url).await?;
        let call = |channel: Channel, request: ChunkRequest| async move {
            let mut request = authorized(request);
            request.set_timeout(DEADLINE);
            let asked = Instant::now();
            let code = ReviewServiceClient::new(channel).review_chunk(request).await.err().map(|status| status.code());
            (code, asked.elapsed())
        };
        // The rate it sustains: eight callers, each waiting for its answer.
        let (answered, given_up) = (AtomicU64::new(0), AtomicU64::new(0));
        let started = Instant::now();
        let lane = || async {
            while started.elapsed() < Duration::from_secs(2) {
                let is_answered = call(channel.clone(), request.clone()).await.0.is_none();
                if is_answered { &answered } else { &given_up }.fetch_add(1, Ordering::Relaxed);
            }
        };
        futures_util::future::join_all((0..8).map(|_| lane())).await;
        let sustained = answered.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
        // Four times as many, at even distances.
        let pause = Duration::from_secs_f64(1.0 / (4.0 * sustained));
        let mut calls = tokio::task::JoinSet::new();
        let started = Instant::now();
        let mut never_ready = false;
        let mut next = started;
        // Full batches make the runtime take and return what they need: from the middle on, no more than before.
        let mut peak_before = None;
        while started.elapsed() < Duration::from_secs(seconds) {
            if peak_before.is_none() && started.elapsed() > Duration::from_secs(seconds) / 2 {
                peak_before = Some(peak_kb(&node)?);
            }
            calls.spawn(call(channel.clone(), request.clone()));
            next += pause;
            tokio::time::sleep_until(next.into()).await;
        }
        let url = node.url.clone();
        let ready = tokio::task::spawn_blocking(move || deliver::get(&url, "/readyz", None).map(|it| it.status)).await??;
        never_ready |= ready != 200;
        let (mut served, mut refused, mut late) = (Vec::new(), Vec::new(), 0);
        while let Some(outcome) = calls.join_next().await {
            match outcome? {
                (None, took) => served.push(took),
                (Some(Code::ResourceExhausted), took) => refused.push(took),
                (Some(Code::DeadlineExceeded | Code::Cancelled), _) => late += 1,
                (Some(other), _) => return Err(format!("an answer of another kind: {other:?}").into()),
            }
        }
        served.sort_unstable();
        refused.sort_unstable();
        let p99 = |times: &[Duration]| times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        let text = {
            let url = node.url.clone();
            let answer = tokio::task::spawn_blocking(move || deliver::get(&url, "/metrics", None)).await??;
            answer.body.as_str().unwrap_or_default().to_owned()
        };
        let rows: f64 = value(&text, "sentinel_batch_size_sum");
        let (peak_before, peak_after) = (peak_before.unwrap_or_default(), peak_kb(&node)?);
        println!(
            "sustained {sustained:.0}/s, offered {:.0}/s for {seconds} s: {} served (p99 {:.0} ms), {} refused (p99 {:.0} ms), \
             {late} late, ready under pressure: {}, peak memory {} -> {} MB",
            4.0 * sustained, served.len(), p99(&served).as_secs_f64() * 1e3, refused.len(),
            p99(&refused).as_secs_f64() * 1e3, !never_ready, peak_before / 1024, peak_after / 1024
        );
        let total = served.len() + refused.len() + late;
        if p99(&served) > DEADLINE + Duration::from_millis(50) {
            return Err("what was accepted took longer than its deadline".into());
        }
        // In a short run, learning the pace is much of it; and a machine may be busy with other things.
        let (least, slowest, late_of) = if seconds >= 60 { (0.6, 250, 20) } else { (0.3, 700, 5) };
        if (served.len() as f64) < least * sustained * seconds as f64 {
            return Err("under overload it serves much less than it can".into());
        }
        if late * late_of > total || p99(&refused) > Duration::from_millis(slowest) {
            return Err("refusals are late or untyped".into());
        }
        // Every sequence that reached the model had a caller: its answer came, or came too late by a moment.
        let answered = answered.load(Ordering::Relaxed) + served.len() as u64;
        let late = late as u64 + given_up.load(Ordering::Relaxed);
        if rows as u64 > answered + late {
            return Err(format!("{rows} sequences were run for {answered} answers and {late} late ones").into());
        }
        // The runtime's arena grows by doubling; in a short run its last step may still be to come.
        let steps_mb = if seconds >= 60 { 40 } else { 128 };
        if peak_after > peak_before + steps_mb * 1024 {
            return Err("memory grew under overload".into());
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let url = node.url.clone();
            let ready = tokio::task::spawn_blocking(move || deliver::get(&url, "/readyz", None).map(|it| it.status)).await??;
            if ready == 200 {
                return Ok(());
            }
            same(&(Instant::now() < deadline), &true)?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}

/// A new file of so many lines, as one hunk.
fn new_file(lines: usize) -> String {
    let body: String =
        (0..lines).map(|at| format!("+    const value{at} = await read(rows[{at}]);\n")).collect();
    format!("@@ -0,0 +1,{lines} @@\n{body}")
}

/// Eight callers ask for large diffs and go away; who comes next is answered as if they had never been there.
fn cancelled(world: &World) -> Outcome {
    let node = world.another("cancelled", &[])?;
    world.runtime.block_on(async {
        let file = |path: String, patch: &str| {
            format!("diff --git a/{path} b/{path}\n--- /dev/null\n+++ b/{path}\n{patch}")
        };
        let patch = new_file(600);
        let diff: String = (0..60).map(|at| file(format!("{at}.ts"), &patch)).collect();
        let mut streams = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (url, request) =
                (node.url.clone(), DiffRequest { diff: diff.clone(), policy: String::new() });
            streams.spawn(async move {
                // A connection each, so that none waits for another's bytes.
                let mut request = authorized(request);
                request.set_timeout(Duration::from_secs(120));
                let mut client =
                    ReviewServiceClient::new(channel(&url).await?).max_encoding_message_size(16 << 20);
                let mut stream = client.review_diff(request).await?.into_inner();
                while stream.message().await?.is_some() {}
                anyhow::Ok(())
            });
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while value(&metrics_of(&node).await?, "sentinel_queue_tokens") < 4000.0 {
            same(&(Instant::now() < deadline), &true)?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        streams.shutdown().await;
        let gone = Instant::now();
        let mut client = ReviewServiceClient::new(channel(&node.url).await?);
        let mut request = authorized(chunk_request(PATCH));
        request.set_timeout(Duration::from_secs(5));
        let line = client.review_chunk(request).await?.into_inner().line;
        let answered = gone.elapsed();
        while value(&metrics_of(&node).await?, "sentinel_queue_tokens") > 0.0 {
            same(&(gone.elapsed() < Duration::from_secs(10)), &true)?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!(
            "after eight cancelled streams: answered after {:.2} s, nothing left in the queue after {:.2} s",
            answered.as_secs_f64(),
            gone.elapsed().as_secs_f64()
        );
        same(&line, &2)
    })
}

/// Two pull requests as large as GitHub shows them hold both workers, and a small one comes third. The node stays ready
/// all the time, and each of the large ones gets a review that says what it did not read.
fn fairness(world: &World) -> Outcome {
    const LIMIT: Duration = Duration::from_secs(30);
    let folder = world.folder.join("fairness");
    std::fs::create_dir_all(&folder)?;
    let database = world.programs.start_database(&folder.join("sentinel.db"), 0, NODE_TOKEN)?;
    let node = world.programs.start_node(&folder, 0, &vars(&database.url, &world.github))?;
    let open = |name: &str, files: Vec<(String, Option<String>)>| {
        let mut pull = Pull::new(&format!("team/{name}"), 7, "head1", &[]);
        pull.files = files;
        world.github.open(pull);
    };
    // As many files as GitHub lists, and more text than it shows in one.
    let patch = new_file(200);
    open("many-files", (0..3000).map(|at| (format!("src/{at}.ts"), Some(patch.clone()))).collect());
    let patch = new_file(8000);
    open("long-files", (0..20).map(|at| (format!("src/{at}.ts"), Some(patch.clone()))).collect());
    open("small", vec![("src/load.ts".into(), Some(PATCH.into()))]);
    world.runtime.block_on(async {
        let client = ReviewServiceClient::new(channel(&node.url).await?);
        let status = async |name: &str| {
            let id = format!("team/{name}#7@head1");
            let review = client.clone().get_review(authorized(GetReviewRequest { id })).await?.into_inner();
            Ok::<_, anyhow::Error>(review.status)
        };
        let is_ready = async || {
            let url = node.url.clone();
            anyhow::Ok(
                tokio::task::spawn_blocking(move || deliver::get(&url, "/readyz", None)).await??.status
                    == 200,
            )
        };
        let submit = async |name: &str| {
            let job = ReviewJob {
                id: format!("team/{name}#7@head1"),
                repository: format!("team/{name}"),
                number: 7,
                head_sha: "head1".into(),
                ..ReviewJob::default()
            };
            let request = authorized(SubmitReviewRequest { job: Some(job) });
            let outcome = client.clone().submit_review(request).await?.into_inner().outcome();
            anyhow::ensure!(outcome.as_str_name() == "OUTCOME_ACCEPTED", "{name}: {outcome:?}");
            Ok(())
        };
        for name in ["many-files", "long-files"] {
            submit(name).await?;
            while status(name).await? != "running" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        // Until both are being scored.
        while value(&metrics_of(&node).await?, "sentinel_queue_tokens") == 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let asked = Instant::now();
        submit("small").await?;
        let (mut done, mut unready) = (BTreeMap::new(), 0);
        while done.len() < 3 {
            for name in ["small", "many-files", "long-files"] {
                if !done.contains_key(name) && status(name).await? == "done" {
                    done.insert(name, asked.elapsed());
                }
            }
            unready += u32::from(!is_ready().await?);
            if asked.elapsed() > LIMIT && !done.contains_key("small") || asked.elapsed() > 4 * LIMIT {
                return Err(
                    format!("after {:?}: {done:?}, not ready {unready} times", asked.elapsed()).into()
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("reviewed after {done:?}, not ready {unready} times");
        same(&unready, &0)?;
        for name in ["many-files", "long-files"] {
            let told = world.github.pull(&format!("team/{name}"), 7).reviews.remove(0).body;
            if !told.contains("over the limit of text") || !told.contains("**This review is partial**") {
                return Err(told.into());
            }
        }
        same(&world.github.pull("team/small", 7).comments.len(), &1)
    })
}

async fn metrics_of(node: &Server) -> anyhow::Result<String> {
    let url = node.url.clone();
    let answer = tokio::task::spawn_blocking(move || deliver::get(&url, "/metrics", None)).await??;
    Ok(answer.body.as_str().unwrap_or_default().to_owned())
}

fn drain(world: &World) -> Outcome {
    // At rest, and while it looks for work in a database that takes its time.
    for (name, database) in [("draining", None), ("draining-looking", Some(slow(&world.database_url)?))] {
        let database = database.map(|url| ("TURSO_DATABASE_URL", url));
        let mut node = world.another(name, database.as_slice())?;
        std::thread::sleep(SLOW / 2);
        told_to_stop(&mut node)?;
        same(&node.log().contains("serve.cut_off"), &false)?;
    }
    Ok(())
}

/// A client that holds a call open and reads nothing does not hold the node.
fn drain_in_time(world: &World) -> Outcome {
    let mut node = world.another("draining-in-time", &[("SENTINEL_DRAIN_SECONDS", "1".to_owned())])?;
    let address = node.url.strip_prefix("http://").ok_or("an address")?;
    let mut client = TcpStream::connect(address)?;
    client.write_all(b"POST /sentinel.review.v1.ReviewService/ReviewDiff HTTP/1.1\r\nhost: node\r\n")?;
    std::thread::sleep(Duration::from_millis(100));
    told_to_stop(&mut node)
}

fn told_to_stop(node: &mut Server) -> Outcome {
    Command::new("kill").args(["-TERM", &node.group().to_string()]).status()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !node.has_ended() {
        if Instant::now() > deadline {
            return Err(format!("it is still there and said:\n{}", node.log()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    same(&node.log().contains("serve.stopped"), &true)
}

/// How long [`slow`] keeps a first caller waiting.
const SLOW: Duration = Duration::from_millis(600);

/// A way to `url` whose connections take [`SLOW`] to begin.
fn slow(url: &str) -> anyhow::Result<String> {
    let upstream = url.strip_prefix("http://").context("a plain URL")?.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let upstream = upstream.clone();
            std::thread::spawn(move || -> std::io::Result<()> {
                std::thread::sleep(SLOW);
                let server = TcpStream::connect(upstream)?;
                let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                std::io::copy(&mut &server, &mut &client)?;
                client.shutdown(Shutdown::Both)
            });
        }
    });
    Ok(format!("http://{address}"))
}

/// Under a limit of open files that they would use up.
fn silent(world: &World) -> Outcome {
    let port = free_port()?;
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 128; exec \"$0\" \"$@\""]).arg(&world.programs.sentinel);
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
    command.envs(vars(&world.database_url, &world.github));
    let node = Server::listening(command, port, &world.folder.join("silent.log"))?;
    let address = format!("127.0.0.1:{port}");
    let silent = (0..200).map(|_| TcpStream::connect(&address)).collect::<Result<Vec<_>, _>>()?;
    let started = Instant::now();
    same(&deliver::get(&node.url, "/healthz", None)?.status, &200)?;
    world.runtime.block_on(async {
        let mut client = ReviewServiceClient::new(channel(&node.url).await?);
        let answer = client.review_chunk(authorized(chunk_request(PATCH))).await?.into_inner();
        same(&answer.severity.as_str(), &"bug")
    })?;
    if started.elapsed() > Duration::from_secs(8) {
        return Err(
            format!("a caller waited {:?} behind {} silent ones", started.elapsed(), silent.len()).into()
        );
    }
    Ok(())
}

fn refused_token(world: &World) -> Outcome {
    let github = FakeGithub::start();
    let folder = world.folder.join("refused-token");
    std::fs::create_dir_all(&folder)?;
    let database = world.programs.start_database(&folder.join("sentinel.db"), 0, NODE_TOKEN)?;
    let start = || world.programs.start_node(&folder, 0, &vars(&database.url, &github));
    let submitted = |node: &Server, repository: &str| {
        world.runtime.block_on(async {
            let job = ReviewJob {
                id: format!("{repository}#7@head1"),
                repository: repository.into(),
                number: 7,
                head_sha: "head1".into(),
                ..ReviewJob::default()
            };
            let mut client = ReviewServiceClient::new(channel(&node.url).await?);
            let request = authorized(SubmitReviewRequest { job: Some(job) });
            anyhow::Ok(client.submit_review(request).await?.into_inner().outcome().as_str_name())
        })
    };
    let until = |node: &Server, status: u16, metric: &str| -> Result<String, Failed> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = deliver::get(&node.url, "/readyz", None)?;
            let metrics = deliver::get(&node.url, "/metrics", None)?.body;
            let metrics = metrics.as_str().unwrap_or_default();
            if answer.status == status && metrics.contains(metric) {
                return Ok(answer.body.as_str().unwrap_or_default().to_owned());
            }
            if Instant::now() > deadline {
                return Err(
                    format!("{answer:?} is not {status}, or there is no {metric} in {metrics}").into()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    github.set_weather(Some(Fault::Status(401)));
    let node = start()?;
    // It has asked who it is to GitHub, before any job comes.
    let reason = until(&node, 503, "sentinel_breakers_open{reason=\"token_refused\"} 1")?;
    if !reason.contains("GitHub refuses the token") || !reason.contains("restart") {
        return Err(format!("{reason:?} does not say what to do").into());
    }
    same(&deliver::get(&node.url, "/healthz", None)?.status, &200)?;
    same(&submitted(&node, "team/app")?, &"OUTCOME_OVERLOADED")?;
    drop(node);
    // Another token, and a restart, as it said.
    github.set_weather(None);
    github.open(Pull::new("team/app", 7, "head1", &[("src/load.ts", PATCH)]));
    let node = start()?;
    until(&node, 200, "sentinel_jobs{status=\"queued\"} 0")?;
    same(&submitted(&node, "team/app")?, &"OUTCOME_ACCEPTED")?;
    until(&node, 200, "sentinel_jobs{status=\"done\"} 1")?;
    // GitHub that is only away is no reason to send jobs elsewhere: no node could do them.
    github.set_weather(Some(Fault::Status(503)));
    same(&submitted(&node, "team/other")?, &"OUTCOME_ACCEPTED")?;
    until(&node, 200, "sentinel_breakers_open{reason=\"github_away\"} 1").map(drop)
}

fn bad_settings(world: &World) -> Outcome {
    let output = Command::new(&world.programs.sentinel)
        .args(["serve", "--jobs", "0", "--tls-cert", "/nowhere"])
        .env_remove("GITHUB_TOKEN")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    same(&output.status.success(), &false)?;
    for key in
        ["SENTINEL_NODE_TOKEN", "TURSO_DATABASE_URL", "GITHUB_APP_ID", "SENTINEL_JOBS", "SENTINEL_TLS_KEY"]
    {
        if !said.contains(key) {
            return Err(format!("{key} is not named in: {said}").into());
        }
    }
    Ok(())
}

fn value(metrics: &str, family: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(family));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

/// The most memory it has held so far.
fn peak_kb(server: &Server) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.group()))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    Ok(line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0))
}

fn same<T: PartialEq + std::fmt::Debug>(left: &T, right: &T) -> Outcome {
    if left == right { Ok(()) } else { Err(format!("{left:?} is not {right:?}").into()) }
}
