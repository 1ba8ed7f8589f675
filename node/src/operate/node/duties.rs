//! What a node does again and again beside answering calls: reviewing, reading reactions, asking for lost deliveries, and
//! watching the queue. Each is one endless loop around a step that is tested by itself.

use crate::database::now;
use crate::operate::readiness::Readiness;
use crate::review::reviewer::{Once, Reviewer};
use sentinel_shared::access::Scope;
use sentinel_shared::store::jobs::JobStatus;
use sentinel_shared::store::pauses::{self, Reason};
use sentinel_shared::store::queue;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// How often a node that pulls asks for jobs.
pub(super) const PULL_EVERY: Duration = Duration::from_secs(5);
/// How often a node that is notified looks for jobs all the same. A lease of another node may have ended.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The pause after the database was away.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// The pause of a worker while the model has no session: a new one is made in less.
const MODEL_PAUSE: Duration = Duration::from_secs(1);
/// How often the queue's state is read for `/metrics`.
const STATE_EVERY: Duration = Duration::from_secs(5);
/// The time between two reviews whose reactions are read. At most 60 are read per hour, of the 5,000 calls that GitHub
/// allows.
const HEAR_PAUSE: Duration = Duration::from_secs(60);
/// The time between two looks for deliveries that the worker missed.
const MISSED_EVERY: Duration = Duration::from_secs(300);

/// Runs one worker: job after job, with a rest when there is none.
pub(super) async fn work(
    reviewer: Arc<Reviewer>,
    wake: Arc<Notify>,
    readiness: Arc<Readiness>,
    every: Duration,
) {
    while !readiness.is_draining() {
        // A job that can't be scored here is left to nodes that can.
        if !reviewer.engine.batcher.has_session() {
            tokio::time::sleep(MODEL_PAUSE).await;
            continue;
        }
        let rest = match reviewer.review_once().await {
            Ok(Once::Worked { .. }) => continue,
            Ok(Once::Idle) => {
                readiness.set_store_away(false);
                every
            }
            Err(error) => {
                warn!("worker.waiting: {error}");
                readiness.set_store_away(true);
                STORE_PAUSE
            }
        };
        let mut woken = pin!(wake.notified());
        // From here on a call wakes this worker, and an earlier one that told of draining is seen below.
        woken.as_mut().enable();
        if readiness.is_draining() {
            break;
        }
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Reads reactions, one review after the other, so that reviewing always comes first.
pub(super) async fn hear(reviewer: Arc<Reviewer>) {
    loop {
        if let Err(error) = reviewer.poll_reactions_once().await {
            warn!("reactions.waiting: {error}");
        }
        tokio::time::sleep(HEAR_PAUSE).await;
    }
}

/// Has GitHub send again what the worker missed, while it can be stored.
pub(super) async fn ask_for_missed(reviewer: Arc<Reviewer>) {
    while reviewer.github.is_app() {
        // While the database is away, the worker could not take them either.
        if reviewer.store.ask(pauses::breakers(Scope::All)).await.is_ok() {
            match reviewer.github.redeliver_missed(now()).await {
                Ok(0) => {}
                Ok(deliveries) => info!(deliveries, "deliveries.asked_for_again"),
                Err(error) => warn!("deliveries.not_asked_for: {}", error.what()),
            }
        }
        tokio::time::sleep(MISSED_EVERY).await;
    }
}

/// Keeps the gauges of the queue fresh, and wakes a worker where a pause is over. Before that, once, asks GitHub whether
/// it accepts us.
pub(super) async fn watch_queue(reviewer: Arc<Reviewer>, readiness: Arc<Readiness>, wake: Arc<Notify>) {
    let metrics = &reviewer.metrics;
    while let Err(error) = reviewer.introduce_once().await {
        warn!("github.not_met: {error}");
        readiness.set_store_away(true);
        tokio::time::sleep(STATE_EVERY).await;
    }
    let identity = reviewer.github.identity().label();
    loop {
        let state = reviewer.store.ask(queue::state(now())).await;
        readiness.set_store_away(state.is_err());
        if let Ok(state) = state {
            // Every status, so that an alert on one clears when its last job is gone.
            for status in JobStatus::ALL {
                let jobs =
                    state.by_status.iter().find(|(known, _)| *known == status).map_or(0, |(_, jobs)| *jobs);
                metrics
                    .jobs
                    .with_label_values(&[status.label()])
                    .set(i64::try_from(jobs).unwrap_or(i64::MAX));
            }
            metrics.lease_age.set(state.oldest_lease_seconds);
            metrics.queued_age.set(state.oldest_queued_seconds);
            metrics.github_writes.set(state.writes_of_an_hour);
            for reason in Reason::ALL {
                let open = state.breakers.iter().filter(|breaker| breaker.reason == reason).count();
                metrics
                    .breakers
                    .with_label_values(&[reason.label()])
                    .set(i64::try_from(open).unwrap_or(i64::MAX));
            }
            let oldest = state.breakers.first().map_or(0, |breaker| now() - breaker.since_seconds);
            metrics.breaker_age.set(oldest);
            let is_refused =
                state.breakers.iter().any(|breaker| breaker.account == identity && breaker.to_do.is_some());
            readiness.set_token_refused(is_refused);
            if state.oldest_queued_seconds > 0 {
                wake.notify_one();
            }
        }
        let _ = readiness.reason();
        tokio::time::sleep(STATE_EVERY).await;
    }
}
