//! A node inside the test's process: a real database server, the fake GitHub, the real model, and a reviewer that a
//! test runs step by step.

use crate::github::{APP_ID, FakeGithub, TOKEN, app_key};
use sentinel_node::database::server::Server;
use sentinel_node::database::{Store, now};
use sentinel_node::operate::metrics::Metrics;
use sentinel_node::review::backend::ort::{BackendOptions, Provider};
use sentinel_node::review::batcher::Limits;
use sentinel_node::review::engine::Engine;
use sentinel_node::review::github::{AppKey, Credentials, Github};
use sentinel_node::review::model::ReviewModel;
use sentinel_node::review::reviewer::{Leases, Reviewer, ReviewerOptions, Verdicts};
use sentinel_shared::access::Scope;
use sentinel_shared::feedback::FeedbackRecord;
use sentinel_shared::review::ReviewJob;
use sentinel_shared::signature::Secret;
use sentinel_shared::store::feedback;
use sentinel_shared::store::jobs::JobKind;
use sentinel_shared::store::pauses::{self, Breaker};
use sentinel_shared::store::queue::{self, JobRow};
use sentinel_shared::store::{Query, Statement, Value, outbox};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

/// A policy under which the model says everything it finds.
pub const OUTSPOKEN: &str =
    "review:\n  max_comments: 10\n  thresholds: {nit: 0, suggestion: 0, bug: 0, critical: 0}\n";

/// All tests of a process share it, and the model's queue on it.
pub static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime"));

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| {
    let _inside = RUNTIME.enter();
    let options = BackendOptions { provider: Provider::Cpu, sessions: Some(2), library: None };
    let limits = Limits { batch_tokens: 1024, max_wait: Duration::ZERO, queue_tokens: 1 << 20 };
    let model = ReviewModel::embedded().expect("the embedded model");
    Arc::new(
        Engine::start(&model, &options, |_| limits, Arc::new(Metrics::default())).expect("the model loads"),
    )
});

/// What time does to each table of the queue.
const ADVANCE: [&str; 4] = [
    "-- test_advance_jobs
UPDATE review_jobs SET lease_until = lease_until - ?1, not_before = not_before - ?1, created_at = created_at - ?1,
  finished_at = finished_at - ?1",
    "-- test_advance_writes
UPDATE github_writes SET at_ms = at_ms - ?1 * 1000",
    "-- test_advance_breakers
UPDATE breakers SET since = since - ?1, retry_at = retry_at - ?1",
    "-- test_advance_pauses
UPDATE job_pauses SET since = since - ?1",
];

const VERDICT: &str = "-- test_inference
INSERT INTO inferences (id, repository, subject, timestamp, prediction, confidence, top, top_features, log_line, evidence,
  event_source, head_sha, metrics_payload, model_version)
VALUES (?1, ?2, 'run:1:1', 0, 'Timeout', 0.91, '[]', '[]', '{\"number\":4,\"text\":\"it took too long\"}', 'log',
  'github_webhook', ?3, '{}', 'lgbm_v3.2')";

/// Who a reviewer is to GitHub.
#[derive(Clone, Copy, PartialEq)]
pub enum Identity {
    /// The node uses a personal access token.
    Person,
    /// An App: may make check runs.
    App,
}

/// One database and one GitHub.
pub struct Rig {
    /// The GitHub that the node talks to.
    pub github: FakeGithub,
    /// The database's address stays when it goes away and comes back.
    pub address: SocketAddr,
    folder: PathBuf,
    serving: Mutex<Option<AbortHandle>>,
}

impl Rig {
    /// A fresh database in a folder of its own, and a GitHub shared or fresh.
    pub async fn start(github: FakeGithub) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("sentinel-rig-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let (address, serving) = serve_database(&folder, None).await;
        Self { github, address, folder, serving: Mutex::new(Some(serving)) }
    }

    /// A client of the database.
    #[must_use]
    pub fn store(&self) -> Store {
        // No connection outlives an outage.
        let http =
            sentinel_node::operate::http::client().pool_max_idle_per_host(0).build().expect("a client");
        Store::new(http, &format!("http://{}", self.address), None)
    }

    /// Another node on this database.
    #[must_use]
    pub fn node(&self, name: &str, identity: Identity) -> Reviewer {
        let metrics = Arc::new(Metrics::default());
        let store = Arc::new(self.store());
        let credentials = match identity {
            Identity::Person => Credentials::Token(Secret::new(TOKEN).expect("not empty")),
            Identity::App => Credentials::App {
                id: APP_ID.to_owned(),
                key: AppKey::from_pem(app_key().as_bytes()).expect("a key"),
            },
        };
        let http = sentinel_node::operate::http::client().build().expect("a client");
        let deadline = Duration::from_secs(4);
        Reviewer {
            leases: Leases::of(name.to_owned()),
            github: Github::new(
                http,
                &self.github.api_url(),
                deadline,
                credentials,
                Arc::clone(&store),
                Arc::clone(&metrics),
            ),
            store,
            engine: Arc::clone(&ENGINE),
            explainer: None,
            metrics,
            options: ReviewerOptions {
                retry_after: Duration::ZERO,
                verdicts: Verdicts::CheckRun,
                dashboard_url: Some("https://sentinel.example".to_owned()),
            },
        }
    }

    /// Asks the database, which is there.
    pub async fn ask<T: 'static>(&self, query: Query<T>) -> T {
        self.store().ask(query).await.expect("the database is there")
    }

    /// Queues a job, as the edge does.
    pub async fn queue(&self, kind: JobKind, job: &ReviewJob) {
        self.ask(outbox::enqueue(kind, job, now())).await;
    }

    /// The job of this key.
    pub async fn job(&self, key: &str) -> JobRow {
        self.ask(queue::by_key(Scope::All, key)).await
    }

    /// A verdict on a failed run of this commit.
    pub async fn verdict(&self, id: i64, repository: &str, head_sha: Option<&str>) {
        let args = vec![
            Value::Integer(id),
            Value::Text(repository.to_owned()),
            head_sha.map_or(Value::Null, |sha| Value::Text(sha.to_owned())),
        ];
        self.ask(change(VERDICT, args)).await;
    }

    /// The accounts that are paused.
    pub async fn breakers(&self) -> Vec<Breaker> {
        self.ask(pauses::breakers(Scope::All)).await
    }

    /// Lets every lease and every pause end, as time would.
    pub async fn let_time_pass(&self) {
        self.pretend("-- test_time\nUPDATE review_jobs SET lease_until = 0, not_before = 0").await;
        self.pretend("-- test_retry\nUPDATE breakers SET retry_at = 0").await;
    }

    /// Lets so many seconds pass for everything that waits: all times of the queue move back by them.
    pub async fn advance(&self, seconds: i64) {
        let shift = |sql| change(sql, vec![Value::Integer(seconds)]);
        self.ask(ADVANCE.into_iter().map(shift).collect()).await;
    }

    /// Changes the database as nothing but time or another program would.
    pub async fn pretend(&self, sql: &'static str) {
        self.ask(change(sql, Vec::new())).await;
    }

    /// What people said, the newest first.
    pub async fn feedback(&self) -> Vec<FeedbackRecord> {
        self.ask(feedback::feedback(Scope::All, 100)).await
    }

    /// The database goes away.
    pub fn stop_database(&self) {
        if let Some(serving) = self.serving.lock().expect("no test panics inside").take() {
            serving.abort();
        }
    }

    /// It comes back, with what it had.
    pub async fn start_database(&self) {
        let (_, serving) = serve_database(&self.folder, Some(self.address)).await;
        *self.serving.lock().expect("no test panics inside") = Some(serving);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop_database();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A job about the head of a pull request.
#[must_use]
pub fn job(repository: &str, number: u64, head_sha: &str, installation: Option<u64>) -> ReviewJob {
    ReviewJob {
        key: ReviewJob::key_of(repository, number, head_sha),
        repository: repository.to_owned(),
        number,
        base_sha: None,
        head_sha: Some(head_sha.to_owned()),
        installation_id: installation,
    }
}

/// Below the ports that outgoing connections are given: one that goes away can have its own again.
static NEXT_PORT: AtomicU16 = AtomicU16::new(20_000);

async fn serve_database(folder: &Path, address: Option<SocketAddr>) -> (SocketAddr, AbortHandle) {
    let server = Server::open(&folder.join("sentinel.db"), None).await.expect("the database opens");
    let listener = loop {
        let any = || SocketAddr::from(([127, 0, 0, 1], NEXT_PORT.fetch_add(1, Ordering::Relaxed)));
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an address may be used again");
        if socket.bind(address.unwrap_or_else(any)).is_ok() {
            break socket.listen(256).expect("it listens");
        }
        // Its own, which the server before has not let go of yet; or somebody else's, and the next is tried.
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let address = listener.local_addr().expect("bound");
    let serving = tokio::spawn(async move {
        let _ = axum::serve(listener, server.router()).await;
    });
    (address, serving.abort_handle())
}

/// A change that only a test makes.
pub fn change(sql: &'static str, args: Vec<Value>) -> Query<()> {
    Query::writing(Statement { sql, args }).done()
}
