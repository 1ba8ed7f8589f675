//! One port: gRPC and gRPC-web, health and reflection, and `/healthz`, `/readyz`, `/metrics` for operators.
//!
//! Liveness says that the process answers, readiness that it should be given work: not while it drains, while its
//! database is away, while no session of the model can run, or while the model's queue is nearly full.

use crate::config::Config;
use crate::engine::Engine;
use crate::github::{DEADLINE, Github};
use crate::grpc::{MESSAGE_LIMIT_BYTES, Service, authorize};
use crate::listener;
use crate::metrics::Metrics;
use crate::review_model::ReviewModel;
use crate::reviewer::{Explainer, Once, Options, Reviewer};
use crate::store::{Store, now};
use anyhow::{Context, Result};
use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use rand::distr::{Alphanumeric, SampleString};
use sentinel_proto::v1::review_service_server::ReviewServiceServer;
use sentinel_shared::access::Scope;
use sentinel_shared::review::policy::Policy;
use sentinel_shared::store::pauses::{self, Reason};
use sentinel_shared::store::reviews::{self, JobStatus};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic_web::GrpcWebLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};
use tracing::{info, warn};

/// How often a node that pulls asks for jobs.
const PULL_EVERY: Duration = Duration::from_secs(5);
/// How often a node that is told of jobs looks all the same: a lease of another node may have ended.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The pause after the database was away.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// The pause of a worker while the model has no session: a new one is made in less.
const MODEL_PAUSE: Duration = Duration::from_secs(1);
/// How often the queue's state is read for `/metrics`.
const STATE_EVERY: Duration = Duration::from_secs(5);
/// Between two reviews whose reactions are read: at most 60 an hour are, of the 5,000 calls GitHub allows.
const HEAR_PAUSE: Duration = Duration::from_secs(60);
/// Between two looks for deliveries that the worker missed.
const MISSED_EVERY: Duration = Duration::from_secs(300);
/// How long an answer may make no progress: twice the longest deadline of a call.
const STALLED: Duration = Duration::from_secs(1200);
/// A queue this full is no place for more; below the second it is one again.
const PRESSURE_HIGH: f64 = 0.8;
const PRESSURE_LOW: f64 = 0.5;
/// A node that refused work this lately is not the one to send more.
const REFUSED_LATELY: Duration = Duration::from_secs(1);

/// Whether this node should be given work, and why not.
pub struct Readiness {
    draining: AtomicBool,
    store_away: AtomicBool,
    pressed: AtomicBool,
    token_refused: AtomicBool,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
}

/// A node that is loaded and listens, not yet serving.
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its worker.
    pub reviewer: Arc<Reviewer>,
    listener: TcpListener,
    config: Config,
    readiness: Arc<Readiness>,
    wake: Arc<Notify>,
}

// === impl Readiness ===

impl Readiness {
    fn new(engine: Arc<Engine>, metrics: Arc<Metrics>) -> Self {
        let no = AtomicBool::default;
        Self { draining: no(), store_away: no(), pressed: no(), token_refused: no(), engine, metrics }
    }

    /// Whether work should come here.
    #[must_use]
    pub fn takes_work(&self) -> bool {
        self.reason().is_none()
    }

    /// Why it should not.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        let pressure = self.engine.batcher.pressure();
        // With two thresholds, readiness does not flap around one.
        let limit = if self.pressed.load(Ordering::Relaxed) { PRESSURE_LOW } else { PRESSURE_HIGH };
        self.pressed.store(pressure > limit, Ordering::Relaxed);
        let reason = if self.draining.load(Ordering::Relaxed) {
            Some("draining")
        } else if !self.engine.batcher.has_session() {
            Some("the model has no session")
        } else if self.store_away.load(Ordering::Relaxed) {
            Some("the database is away")
        } else if self.token_refused.load(Ordering::Relaxed) {
            Some("GitHub refuses the token or the App's key: give the node a new one and restart it")
        } else if pressure > limit {
            Some("the queue is nearly full")
        } else if self.engine.batcher.refused_within(REFUSED_LATELY) {
            Some("work is being refused")
        } else {
            None
        };
        self.metrics.ready.set(i64::from(reason.is_none()));
        reason
    }
}

// === impl Node ===

impl Node {
    /// Loads everything and binds the port.
    ///
    /// # Errors
    /// A model that does not load, or a port that is taken.
    pub async fn start(mut config: Config) -> Result<Self> {
        let metrics = Arc::new(Metrics::default());
        let listener = TcpListener::bind(config.settings.listen)
            .await
            .with_context(|| format!("listening on {}", config.settings.listen))?;
        let model = ReviewModel::load_trusted(config.settings.model.as_deref(), &config.model_keys)?;
        let engine = Engine::start(
            &model,
            &config.backend(),
            |provider| config.limits(provider),
            Arc::clone(&metrics),
        )?;
        let engine = Arc::new(engine);
        let http = crate::http::client().build().context("making the HTTP client")?;
        let store = Arc::new(Store::new(http.clone(), &config.database_url, config.database_token.take()));
        let settings = &config.settings;
        let explainer = settings.explain_url.as_ref().zip(settings.explain_model.as_ref());
        let reviewer = Reviewer {
            owner: owner(),
            github: Github::new(
                http.clone(),
                &settings.github_api_url,
                DEADLINE,
                config.credentials.take().context("the credentials")?,
                Arc::clone(&store),
                Arc::clone(&metrics),
            ),
            explainer: explainer.map(|(url, model)| Explainer {
                http,
                url: url.trim_end_matches('/').to_owned(),
                model: model.clone(),
                key: config.explain_key.take(),
                deadline: Duration::from_secs(10),
            }),
            store,
            engine: Arc::clone(&engine),
            metrics: Arc::clone(&metrics),
            options: Options {
                retry_after: Duration::from_secs(settings.retry_seconds),
                verdicts: settings.verdicts,
                dashboard_url: settings
                    .dashboard_url
                    .as_ref()
                    .map(|url| url.trim_end_matches('/').to_owned()),
            },
            held: Mutex::new(HashSet::new()),
        };
        Ok(Self {
            address: listener.local_addr()?,
            reviewer: Arc::new(reviewer),
            listener,
            readiness: Arc::new(Readiness::new(engine, metrics)),
            wake: Arc::new(Notify::new()),
            config,
        })
    }

    /// Serves until `stop` completes, then drains: takes no more work, finishes what it has within the time it is
    /// given, and gives back the rest.
    ///
    /// # Errors
    /// The server can't go on.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<()> {
        let Self { reviewer, listener: incoming, config, readiness, wake, .. } = self;
        let mut workers = JoinSet::new();
        for _ in 0..config.settings.jobs {
            let every = if config.settings.pull { PULL_EVERY } else { LOOK_EVERY };
            workers.spawn(work(Arc::clone(&reviewer), Arc::clone(&wake), Arc::clone(&readiness), every));
        }
        let state =
            tokio::spawn(watch_queue(Arc::clone(&reviewer), Arc::clone(&readiness), Arc::clone(&wake)));
        let hearing = tokio::spawn(hear(Arc::clone(&reviewer)));
        let missing = tokio::spawn(ask_for_missed(Arc::clone(&reviewer)));
        let service = Service {
            engine: Arc::clone(&reviewer.engine),
            store: Arc::clone(&reviewer.store),
            wake: Arc::clone(&wake),
            readiness: Arc::clone(&readiness),
            metrics: Arc::clone(&reviewer.metrics),
            everything: Policy::all(),
        };
        let token = Arc::new(config.token);
        let router = router(service, token, &readiness, &reviewer.metrics).await?;
        let tls = config.tls.as_ref().map(|(cert, key)| listener::tls(cert, key)).transpose()?;
        let draining = Arc::clone(&readiness);
        let (tell, told) = oneshot::channel();
        let drain = async move {
            stop.await;
            info!("serve.draining");
            draining.draining.store(true, Ordering::Relaxed);
            wake.notify_waiters();
            let _ = tell.send(());
        };
        let time = Duration::from_secs(config.settings.drain_seconds);
        let connections = listener::share(listener::open_files());
        let limits =
            listener::Limits { connections, stalled: Some(STALLED), drain: time + Duration::from_secs(5) };
        let serving = listener::serve(incoming, (router, tls), limits, drain);
        let finished = async {
            serving.await;
            while workers.join_next().await.is_some() {}
            anyhow::Ok(true)
        };
        let cut_off = async {
            match told.await {
                Ok(()) => tokio::time::sleep(time).await,
                // The server ended by itself: `finished` says why.
                Err(_) => std::future::pending().await,
            }
        };
        let finished = tokio::select! { finished = finished => finished?, () = cut_off => false };
        if !finished {
            let seconds = time.as_secs();
            warn!("serve.cut_off: some calls or jobs took over {seconds} s; the jobs go back to the queue");
            workers.shutdown().await;
            reviewer.release_held().await;
        }
        state.abort();
        hearing.abort();
        missing.abort();
        info!("serve.stopped");
        Ok(())
    }
}

/// Every route of the port.
async fn router(
    service: Service,
    token: Arc<sentinel_shared::signature::Secret>,
    readiness: &Arc<Readiness>,
    metrics: &Arc<Metrics>,
) -> Result<Router> {
    let review = ReviewServiceServer::new(service)
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
        .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
    let review = InterceptedService::new(review, move |request| authorize(&token, request));
    let (health_reporter, health) = tonic_health::server::health_reporter();
    health_reporter
        .set_service_status("sentinel.review.v1.ReviewService", tonic_health::ServingStatus::Serving)
        .await;
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(sentinel_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection = described().build_v1().context("the reflection service")?;
    // What Python's and other clients still ask for.
    let reflection_alpha = described().build_v1alpha().context("the older reflection service")?;
    // Pages of any origin may call: what protects a call is its token, which no browser sends by itself.
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::from(Any))
        // A wildcard would leave out the one that matters: authorization.
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods([axum::http::Method::POST])
        .expose_headers(
            ["grpc-status", "grpc-message", "grpc-status-details-bin"].map(HeaderName::from_static),
        );
    let grpc = Routes::new(review)
        .add_service(health)
        .add_service(reflection)
        .add_service(reflection_alpha)
        .into_axum_router()
        .reset_fallback()
        .route_layer(GrpcWebLayer::new())
        .route_layer(cors);
    let (ready, metrics) = (Arc::clone(readiness), Arc::clone(metrics));
    let readyz = move || async move {
        match ready.reason() {
            None => (StatusCode::OK, "ready\n").into_response(),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
        }
    };
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok(grpc
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(move || async move { (text, metrics.text()) })))
}

/// One worker: job after job, and a rest when there is none.
async fn work(reviewer: Arc<Reviewer>, wake: Arc<Notify>, readiness: Arc<Readiness>, every: Duration) {
    while !readiness.draining.load(Ordering::Relaxed) {
        // A job that can't be scored here is left to nodes that can.
        if !reviewer.engine.batcher.has_session() {
            tokio::time::sleep(MODEL_PAUSE).await;
            continue;
        }
        let rest = match reviewer.review_once().await {
            Ok(Once::Worked { .. }) => continue,
            Ok(Once::Idle) => {
                readiness.store_away.store(false, Ordering::Relaxed);
                every
            }
            Err(error) => {
                warn!("worker.waiting: {error}");
                readiness.store_away.store(true, Ordering::Relaxed);
                STORE_PAUSE
            }
        };
        let mut woken = pin!(wake.notified());
        // From here on a call wakes this worker, and an earlier one that told of draining is seen below.
        woken.as_mut().enable();
        if readiness.draining.load(Ordering::Relaxed) {
            break;
        }
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Reads reactions, one review after the other, so that reviewing always goes before.
async fn hear(reviewer: Arc<Reviewer>) {
    loop {
        if let Err(error) = reviewer.hear_once().await {
            warn!("reactions.waiting: {error}");
        }
        tokio::time::sleep(HEAR_PAUSE).await;
    }
}

/// Has GitHub send again what the worker missed, while it can be stored.
async fn ask_for_missed(reviewer: Arc<Reviewer>) {
    while reviewer.github.is_app() {
        // While the database is away, the worker could not take them either.
        if reviewer.store.read(&[pauses::breakers(Scope::All)]).await.is_ok() {
            match reviewer.github.redeliver_missed(now()).await {
                Ok(0) => {}
                Ok(deliveries) => info!(deliveries, "deliveries.asked_for_again"),
                Err(trouble) => warn!("deliveries.not_asked_for: {}", trouble.what()),
            }
        }
        tokio::time::sleep(MISSED_EVERY).await;
    }
}

/// Keeps the gauges of the queue fresh, and wakes a worker where a pause is over. Before that, once, asks GitHub whether
/// it accepts us.
async fn watch_queue(reviewer: Arc<Reviewer>, readiness: Arc<Readiness>, wake: Arc<Notify>) {
    let metrics = &reviewer.metrics;
    while let Err(error) = reviewer.introduce_once().await {
        warn!("github.not_met: {error}");
        readiness.store_away.store(true, Ordering::Relaxed);
        tokio::time::sleep(STATE_EVERY).await;
    }
    let identity = reviewer.github.identity().label();
    loop {
        let answers = reviewer.store.read(&reviews::queue_state(now())).await;
        let state = answers.and_then(|rows| reviews::queue_state_of(&rows));
        readiness.store_away.store(state.is_err(), Ordering::Relaxed);
        if let Ok(state) = state {
            // Every status, so that an alert on one clears when its last job is gone.
            for status in JobStatus::ALL.map(JobStatus::label) {
                let jobs =
                    state.by_status.iter().find(|(known, _)| known == status).map_or(0, |(_, jobs)| *jobs);
                metrics.jobs.with_label_values(&[status]).set(i64::try_from(jobs).unwrap_or(i64::MAX));
            }
            metrics.lease_age.set(state.oldest_lease_seconds);
            metrics.queued_age.set(state.oldest_queued_seconds);
            metrics.github_writes.set(state.writes_of_an_hour);
            for reason in Reason::ALL.map(Reason::label) {
                let open = state.breakers.iter().filter(|breaker| breaker.reason == reason).count();
                metrics.breakers.with_label_values(&[reason]).set(i64::try_from(open).unwrap_or(i64::MAX));
            }
            let oldest = state.breakers.first().map_or(0, |breaker| now() - breaker.since_seconds);
            metrics.breaker_age.set(oldest);
            let is_refused =
                state.breakers.iter().any(|breaker| breaker.account == identity && breaker.to_do.is_some());
            readiness.token_refused.store(is_refused, Ordering::Relaxed);
            if state.oldest_queued_seconds > 0 {
                wake.notify_one();
            }
        }
        let _ = readiness.reason();
        tokio::time::sleep(STATE_EVERY).await;
    }
}

/// A name no other node has: leases are held under it.
fn owner() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "node".to_owned());
    format!("{host}-{}-{}", std::process::id(), Alphanumeric.sample_string(&mut rand::rng(), 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ort::{Pool, Provider};
    use crate::backend::{Backend, Batch, Logits, Sequence};
    use crate::batcher::{Limits, Manners};

    struct Panics;

    impl Backend for Panics {
        fn run(&mut self, _: &Batch) -> Result<Vec<Logits>> {
            panic!("the runtime panicked")
        }
    }

    #[tokio::test]
    async fn a_node_without_a_session_is_not_ready_until_there_is_one_again() {
        let metrics = Arc::new(Metrics::default());
        let (allow, allowed) = std::sync::mpsc::channel();
        let allowed = Mutex::new(allowed);
        let another = Arc::new(move || {
            allowed.lock().unwrap().recv()?;
            Ok(Box::new(Panics) as _)
        });
        let pool = Pool { sessions: vec![Box::new(Panics)], another, provider: Provider::Cpu };
        let limits = Limits { batch_tokens: 1024, max_wait: Duration::ZERO, queue_tokens: 65_536 };
        let model = ReviewModel::embedded().unwrap();
        let engine = Arc::new(Engine::on(&model, pool, |_| limits, Arc::clone(&metrics)).unwrap());
        let readiness = Readiness::new(Arc::clone(&engine), Arc::clone(&metrics));
        assert_eq!(readiness.reason(), None);

        let caller = engine.batcher.enter(2, Manners::Refuse, None).unwrap();
        let row = Arc::new(Sequence { ids: vec![1, 2], added_at: vec![1] });
        assert_eq!(caller.run(row).await, Err(sentinel_shared::Error::BackendFailed));
        assert_eq!(readiness.reason(), Some("the model has no session"));
        assert_eq!((metrics.ready.get(), metrics.sessions.get()), (0, 0));

        allow.send(()).unwrap();
        let ready = async {
            while !readiness.takes_work() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ready).await.expect("ready again");
        assert_eq!((metrics.ready.get(), metrics.sessions.get()), (1, 1));
    }
}
