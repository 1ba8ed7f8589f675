//! Readiness: whether this node should be given work, and why not.
//!
//! It should not while it drains, while its database is away, while GitHub refuses its token, while no session of the model
//! can run, or while the model's queue is nearly full. Liveness is another thing: it says that the process answers.

use crate::operate::metrics::Metrics;
use crate::review::engine::Engine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The share of the queue from which the node is not ready, and the share below which it is ready again.
const PRESSURE_HIGH: f64 = 0.8;
const PRESSURE_LOW: f64 = 0.5;
/// A node that rejected work within this time is not ready for more.
const REFUSED_LATELY: Duration = Duration::from_secs(1);

/// Decides whether this node takes work, and why not.
pub struct Readiness {
    draining: AtomicBool,
    store_away: AtomicBool,
    pressed: AtomicBool,
    token_refused: AtomicBool,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
}

impl Readiness {
    /// Starts ready, until something is in the way.
    #[must_use]
    pub fn new(engine: Arc<Engine>, metrics: Arc<Metrics>) -> Self {
        let no = AtomicBool::default;
        Self { draining: no(), store_away: no(), pressed: no(), token_refused: no(), engine, metrics }
    }

    /// Whether the node takes work.
    #[must_use]
    pub fn takes_work(&self) -> bool {
        self.reason().is_none()
    }

    /// The reason why the node takes no work.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        let pressure = self.engine.batcher.pressure();
        // With two thresholds, readiness does not flap around one.
        let limit = if self.pressed.load(Ordering::Relaxed) { PRESSURE_LOW } else { PRESSURE_HIGH };
        self.pressed.store(pressure > limit, Ordering::Relaxed);
        let reason = if self.is_draining() {
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

    /// Takes no more work, because the node stops.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether the database could not be reached when it was asked last.
    pub(crate) fn set_store_away(&self, is_away: bool) {
        self.store_away.store(is_away, Ordering::Relaxed);
    }

    /// Whether GitHub refuses our token or key.
    pub(crate) fn set_token_refused(&self, is_refused: bool) {
        self.token_refused.store(is_refused, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::backend::ort::{Pool, Provider};
    use crate::review::backend::{Backend, Batch, Logits, Sequence};
    use crate::review::batcher::{Limits, WhenFull};
    use crate::review::model::ReviewModel;
    use std::sync::Mutex;

    struct Panics;

    impl Backend for Panics {
        fn run(&mut self, _: &Batch) -> anyhow::Result<Vec<Logits>> {
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

        let caller = engine.batcher.enter(2, WhenFull::Refuse, None).unwrap();
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
