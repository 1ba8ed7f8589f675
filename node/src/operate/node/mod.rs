//! A node from its start to its end: it loads everything, serves one port, and drains.
//!
//! What the port answers is in [`port`], what the node does beside it in [`duties`], and whether it should be given work in
//! [`crate::operate::readiness`].

mod duties;
mod port;

use crate::database::Store;
use crate::operate::config::Config;
use crate::operate::grpc::Service;
use crate::operate::listener;
use crate::operate::metrics::Metrics;
use crate::operate::readiness::Readiness;
use crate::review::engine::Engine;
use crate::review::github::{DEADLINE, Github};
use crate::review::model::ReviewModel;
use crate::review::reviewer::{Explainer, Leases, Reviewer, ReviewerOptions};
use anyhow::{Context, Result};
use duties::{LOOK_EVERY, PULL_EVERY, ask_for_missed, hear, watch_queue, work};
use port::router;
use rand::distr::{Alphanumeric, SampleString};
use sentinel_shared::review::policy::Policy;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tracing::{info, warn};

/// How long an answer may make no progress: twice the longest deadline of a call.
const STALLED: Duration = Duration::from_secs(1200);
/// A node that is loaded and listens, but does not serve yet.
pub struct Node {
    /// The address that the node listens on.
    pub address: SocketAddr,
    /// The reviewer that works on jobs.
    pub reviewer: Arc<Reviewer>,
    listener: TcpListener,
    config: Config,
    readiness: Arc<Readiness>,
    wake: Arc<Notify>,
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
        let http = crate::operate::http::client().build().context("making the HTTP client")?;
        let store = Arc::new(Store::new(http.clone(), &config.database_url, config.database_token.take()));
        let settings = &config.settings;
        let explainer = settings.explain_url.as_ref().zip(settings.explain_model.as_ref());
        let reviewer = Reviewer {
            leases: Leases::of(owner()),
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
            options: ReviewerOptions {
                retry_after: Duration::from_secs(settings.retry_seconds),
                verdicts: settings.verdicts,
                dashboard_url: settings
                    .dashboard_url
                    .as_ref()
                    .map(|url| url.trim_end_matches('/').to_owned()),
            },
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

    /// Serves until `stop` completes, then drains: takes no more work, finishes running work within its time, and gives
    /// back the rest.
    ///
    /// # Errors
    /// The server cannot continue.
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
            draining.drain();
            wake.notify_waiters();
            let _ = tell.send(());
        };
        let time = Duration::from_secs(config.settings.drain_seconds);
        let connections = listener::share(listener::open_files());
        let limits = listener::Limits {
            connections,
            stalled: Some(STALLED),
            unread: listener::UNREAD,
            drain: time + Duration::from_secs(5),
        };
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

/// A name that no other node has. Leases are held under it.
fn owner() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "node".to_owned());
    format!("{host}-{}-{}", std::process::id(), Alphanumeric.sample_string(&mut rand::rng(), 8))
}
