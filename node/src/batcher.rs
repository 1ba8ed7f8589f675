//! Between many callers and few sessions: a bounded queue, batches by token budget, and no work for the dead.
//!
//! One task owns the queue. A caller is refused at the door, at once and typed, when the queue is full or when
//! what waits would outlast its deadline. What nobody waits for any more is dropped before it costs anything.
//! Sequences of like length go together, so that little is padding.

use crate::backend::{Backend, Batch, Logits};
use crate::metrics::Metrics;
use crate::tokenizer::Encoded;
use sentinel_shared::{Error, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::error;

/// Sequences whose lengths fall into the same step go into one batch.
const LENGTH_STEP: usize = 32;
/// The most sequences of one batch, however short.
const ROWS_MAX: usize = 64;
/// How long work that has time waits before it knocks again at a full queue.
const KNOCK_AGAIN: Duration = Duration::from_millis(50);
/// How quickly the estimate of the speed follows what is measured.
const SPEED_SMOOTHING: f64 = 0.2;

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Tokens of one batch, padding included.
    pub batch_tokens: usize,
    /// How long a batch that is not full waits for more.
    pub max_wait: Duration,
    /// Tokens that may wait, all together.
    pub queue_tokens: usize,
}

/// What a caller wants at a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// To be told at once: a person or program waits for the answer.
    Refuse,
    /// To wait outside, until its deadline: a queued job has time.
    Wait,
}

/// The door to the model.
#[derive(Clone)]
pub struct Batcher {
    items: mpsc::UnboundedSender<Item>,
    load: Arc<Load>,
    limits: Limits,
    metrics: Arc<Metrics>,
}

/// What is known at the door without asking the owner of the queue.
struct Load {
    /// Tokens accepted and not yet done.
    tokens: AtomicUsize,
    /// Tokens a second of all sessions together, as measured; 0 before the first batch.
    speed: AtomicU64,
}

struct Item {
    encoded: Arc<Encoded>,
    deadline: Option<Instant>,
    since: Instant,
    reply: oneshot::Sender<Result<Logits>>,
    /// Given back when the item is gone, however it goes.
    _tokens: Tokens,
}

struct Tokens {
    load: Arc<Load>,
    metrics: Arc<Metrics>,
    count: usize,
}

/// Why there is no room.
struct Refusal {
    reason: &'static str,
    error: Error,
}

struct Owner {
    pending: VecDeque<Item>,
    idle: Vec<Box<dyn Backend>>,
    sessions: usize,
    done: mpsc::UnboundedSender<Box<dyn Backend>>,
    load: Arc<Load>,
    limits: Limits,
    metrics: Arc<Metrics>,
}

// === impl Batcher ===

impl Batcher {
    /// Starts the owner of `sessions`. It ends when the last handle is gone.
    #[must_use]
    pub fn start(sessions: Vec<Box<dyn Backend>>, limits: Limits, metrics: Arc<Metrics>) -> Self {
        // Bounded by the tokens that are let in.
        let (items, received) = mpsc::unbounded_channel();
        let (done, returned) = mpsc::unbounded_channel();
        let load = Arc::new(Load { tokens: AtomicUsize::new(0), speed: AtomicU64::new(0) });
        let owner = Owner {
            pending: VecDeque::new(),
            sessions: sessions.len(),
            idle: sessions,
            done,
            load: Arc::clone(&load),
            limits,
            metrics: Arc::clone(&metrics),
        };
        tokio::spawn(owner.run(received, returned));
        Self { items, load, limits, metrics }
    }

    /// Runs one sequence, in whatever batch it fits.
    ///
    /// # Errors
    /// [`Error::Overloaded`] at once where it can't be done in time and the caller does not want to wait,
    /// [`Error::DeadlineExceeded`] where it was not done in time, [`Error::BackendFailed`].
    pub async fn run(
        &self,
        encoded: Arc<Encoded>,
        manners: Manners,
        deadline: Option<Instant>,
    ) -> Result<Logits> {
        let tokens = loop {
            match (self.admit(encoded.ids.len(), deadline), manners) {
                (Ok(tokens), _) => break tokens,
                (Err(refusal), Manners::Refuse) => {
                    self.metrics.shed.with_label_values(&[refusal.reason]).inc();
                    return Err(refusal.error);
                }
                (Err(_), Manners::Wait) => {
                    if deadline.is_some_and(|deadline| deadline <= Instant::now() + KNOCK_AGAIN) {
                        return Err(Error::DeadlineExceeded);
                    }
                    tokio::time::sleep(KNOCK_AGAIN).await;
                }
            }
        };
        let (reply, answer) = oneshot::channel();
        let item = Item { encoded, deadline, since: Instant::now(), reply, _tokens: tokens };
        self.metrics.queue_depth.inc();
        self.items.send(item).map_err(|_| Error::BackendFailed)?;
        // The owner answers or drops every item it has.
        answer.await.unwrap_or(Err(Error::DeadlineExceeded))
    }

    /// The share of the queue that is taken, 0 to 1.
    #[must_use]
    pub fn pressure(&self) -> f64 {
        self.load.tokens.load(Ordering::Relaxed) as f64 / self.limits.queue_tokens as f64
    }

    /// Takes room in the queue, or refuses.
    fn admit(&self, count: usize, deadline: Option<Instant>) -> std::result::Result<Tokens, Refusal> {
        let waiting = self.load.tokens.fetch_add(count, Ordering::Relaxed);
        let tokens = Tokens { load: Arc::clone(&self.load), metrics: Arc::clone(&self.metrics), count };
        self.metrics.queue_tokens.add(count as i64);
        let wait = self.load.time_for(waiting + count);
        let refuse = |reason| {
            let retry_after_seconds = wait.as_secs().clamp(1, 60) as u32;
            Err(Refusal { reason, error: Error::Overloaded { retry_after_seconds } })
        };
        if waiting + count > self.limits.queue_tokens {
            return refuse("queue_full");
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| wait > left) {
            return refuse("would_miss_deadline");
        }
        Ok(tokens)
    }
}

impl Load {
    /// How long this many tokens take, by the speed measured so far.
    fn time_for(&self, tokens: usize) -> Duration {
        let speed = f64::from_bits(self.speed.load(Ordering::Relaxed));
        if speed > 0.0 { Duration::from_secs_f64(tokens as f64 / speed) } else { Duration::ZERO }
    }

    fn measured(&self, tokens: usize, took: Duration, sessions: usize) {
        let now = tokens as f64 / took.as_secs_f64().max(1e-6) * sessions as f64;
        let before = f64::from_bits(self.speed.load(Ordering::Relaxed));
        let speed = if before > 0.0 { before + SPEED_SMOOTHING * (now - before) } else { now };
        self.speed.store(speed.to_bits(), Ordering::Relaxed);
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.load.tokens.fetch_sub(self.count, Ordering::Relaxed);
        self.metrics.queue_tokens.sub(self.count as i64);
    }
}

// === impl Owner ===

impl Owner {
    async fn run(
        mut self,
        mut received: mpsc::UnboundedReceiver<Item>,
        mut returned: mpsc::UnboundedReceiver<Box<dyn Backend>>,
    ) {
        loop {
            let wake = self.dispatch();
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                item = received.recv() => match item {
                    Some(item) => self.pending.push_back(item),
                    None => return,
                },
                Some(session) = returned.recv() => self.idle.push(session),
                () = timer => {}
            }
        }
    }

    /// Starts batches for as long as there is a session and something to run. When something waits for company,
    /// says until when.
    fn dispatch(&mut self) -> Option<Instant> {
        while !self.idle.is_empty() {
            self.drop_the_dead();
            let full_at = self.pending.front()?.since + self.limits.max_wait;
            let chosen = self.choose();
            if chosen.tokens < self.limits.batch_tokens && chosen.has_room && Instant::now() < full_at {
                return Some(full_at);
            }
            self.start(&chosen.at);
        }
        None
    }

    /// Which of the waiting go into the next batch: the oldest, and those of like length, in their order.
    fn choose(&self) -> Chosen {
        let step = |item: &Item| item.encoded.ids.len().div_ceil(LENGTH_STEP);
        let mut chosen = Chosen { at: Vec::new(), tokens: 0, has_room: true };
        let Some(oldest) = self.pending.front() else { return chosen };
        let length = step(oldest) * LENGTH_STEP;
        for (at, item) in self.pending.iter().enumerate() {
            if step(item) != step(oldest) {
                continue;
            }
            if !chosen.at.is_empty() && chosen.tokens + length > self.limits.batch_tokens
                || chosen.at.len() == ROWS_MAX
            {
                chosen.has_room = false;
                break;
            }
            chosen.at.push(at);
            chosen.tokens += length;
        }
        chosen
    }

    fn start(&mut self, at: &[usize]) {
        let Some(mut session) = self.idle.pop() else { return };
        let mut items = Vec::with_capacity(at.len());
        for at in at.iter().rev() {
            items.extend(self.pending.remove(*at));
        }
        items.reverse();
        let batch = Batch { rows: items.iter().map(|item| Arc::clone(&item.encoded)).collect() };
        let size = batch.rows.len() * batch.length();
        self.metrics.queue_depth.sub(items.len() as i64);
        self.metrics.batch_size.observe(items.len() as f64);
        self.metrics.batch_tokens.observe(size as f64);
        self.metrics.padding_tokens.inc_by((size - batch.tokens()) as u64);
        items.iter().for_each(|item| self.metrics.queue_wait.observe(item.since.elapsed().as_secs_f64()));
        let (metrics, load) = (Arc::clone(&self.metrics), Arc::clone(&self.load));
        let (done, sessions) = (self.done.clone(), self.sessions);
        tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let answer = session.run(&batch);
            let took = started.elapsed();
            metrics.inference_latency.observe(took.as_secs_f64());
            load.measured(batch.tokens(), took, sessions);
            let _ = done.send(session);
            match answer {
                Ok(logits) => {
                    for (item, logits) in items.into_iter().zip(logits) {
                        let _ = item.reply.send(Ok(logits));
                    }
                }
                Err(cause) => {
                    error!("batch.failed: {cause:#}");
                    metrics.inference_errors.inc();
                    items.into_iter().for_each(|item| drop(item.reply.send(Err(Error::BackendFailed))));
                }
            }
        });
    }

    /// Drops what nobody waits for any more, and what would be too late.
    fn drop_the_dead(&mut self) {
        let (metrics, now) = (&self.metrics, Instant::now());
        self.pending.retain_mut(|item| {
            let reason = if item.reply.is_closed() {
                "caller_gone"
            } else if item.deadline.is_some_and(|deadline| deadline <= now) {
                "deadline"
            } else {
                return true;
            };
            metrics.dropped.with_label_values(&[reason]).inc();
            metrics.queue_depth.dec();
            false
        });
    }
}

struct Chosen {
    at: Vec<usize>,
    tokens: usize,
    /// Whether another sequence would still fit.
    has_room: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Takes a millisecond a token's thousandth, and remembers the lengths it was given.
    struct Slow {
        batches: Arc<Mutex<Vec<Vec<usize>>>>,
        took: Duration,
    }

    impl Backend for Slow {
        fn run(&mut self, batch: &Batch) -> anyhow::Result<Vec<Logits>> {
            self.batches.lock().unwrap().push(batch.rows.iter().map(|row| row.ids.len()).collect());
            std::thread::sleep(self.took);
            if batch.rows[0].ids[0] == 666 {
                anyhow::bail!("the runtime failed");
            }
            let logits = |row: &Arc<Encoded>| Logits {
                needs_comment: row.ids[0] as f32,
                severity: [0.0; 4],
                category: [0.0; 12],
                lines: Vec::new(),
            };
            Ok(batch.rows.iter().map(logits).collect())
        }
    }

    struct Rig {
        batcher: Batcher,
        batches: Arc<Mutex<Vec<Vec<usize>>>>,
        metrics: Arc<Metrics>,
    }

    fn rig(took: Duration, limits: Limits) -> Rig {
        let (batches, metrics) = (Arc::default(), Arc::new(Metrics::default()));
        let session = Box::new(Slow { batches: Arc::clone(&batches), took });
        Rig { batcher: Batcher::start(vec![session], limits, Arc::clone(&metrics)), batches, metrics }
    }

    fn sequence(first: u32, length: usize) -> Arc<Encoded> {
        let mut ids = vec![0; length];
        ids[0] = first;
        Arc::new(Encoded { ids, added_at: Vec::new() })
    }

    const LIMITS: Limits =
        Limits { batch_tokens: 256, max_wait: Duration::from_millis(30), queue_tokens: 2000 };

    #[tokio::test]
    async fn sequences_of_like_length_share_a_batch_and_each_caller_gets_its_own_answer() {
        let rig = rig(Duration::from_millis(1), LIMITS);
        let run = |first, length| rig.batcher.run(sequence(first, length), Manners::Refuse, None);
        let answers = tokio::join!(run(1, 60), run(2, 200), run(3, 50), run(4, 64), run(5, 61), run(6, 63));
        assert_eq!(answers.0.unwrap().needs_comment, 1.0);
        assert_eq!(answers.1.unwrap().needs_comment, 2.0);
        assert_eq!(answers.5.unwrap().needs_comment, 6.0);
        let batches = rig.batches.lock().unwrap().clone();
        assert!(batches.contains(&vec![60, 50, 64, 61]), "four of 64 fill 256: {batches:?}");
        assert!(batches.contains(&vec![200]) && batches.contains(&vec![63]), "{batches:?}");
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_recovers() {
        let rig = rig(Duration::from_millis(50), Limits { queue_tokens: 300, ..LIMITS });
        let first = tokio::spawn({
            let batcher = rig.batcher.clone();
            async move { batcher.run(sequence(1, 250), Manners::Refuse, None).await }
        });
        tokio::task::yield_now().await;
        let refused = tokio::time::timeout(
            Duration::from_millis(5),
            rig.batcher.run(sequence(2, 100), Manners::Refuse, None),
        )
        .await;
        assert!(matches!(refused.unwrap(), Err(Error::Overloaded { .. })));
        assert!(first.await.unwrap().is_ok());
        assert_eq!(rig.batcher.pressure(), 0.0);
        assert!(rig.batcher.run(sequence(3, 100), Manners::Refuse, None).await.is_ok());
        assert_eq!(rig.metrics.shed.with_label_values(&["queue_full"]).get(), 1);
    }

    #[tokio::test]
    async fn what_would_miss_its_deadline_is_refused_at_the_door() {
        let rig = rig(Duration::from_millis(100), LIMITS);
        rig.batcher.run(sequence(1, 100), Manners::Refuse, None).await.unwrap();
        let soon = Some(Instant::now() + Duration::from_millis(20));
        assert!(matches!(
            rig.batcher.run(sequence(2, 100), Manners::Refuse, soon).await,
            Err(Error::Overloaded { .. })
        ));
        assert_eq!(rig.metrics.shed.with_label_values(&["would_miss_deadline"]).get(), 1);
    }

    #[tokio::test]
    async fn work_whose_caller_is_gone_or_whose_time_is_over_never_reaches_the_model() {
        let rig = rig(Duration::from_millis(60), Limits { max_wait: Duration::ZERO, ..LIMITS });
        let busy = tokio::spawn({
            let batcher = rig.batcher.clone();
            async move { batcher.run(sequence(1, 10), Manners::Refuse, None).await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        let gone = tokio::time::timeout(
            Duration::from_millis(5),
            rig.batcher.run(sequence(2, 20), Manners::Refuse, None),
        )
        .await;
        assert!(gone.is_err());
        let late = rig
            .batcher
            .run(sequence(3, 30), Manners::Refuse, Some(Instant::now() + Duration::from_millis(5)))
            .await;
        assert_eq!(late, Err(Error::DeadlineExceeded));
        busy.await.unwrap().unwrap();
        assert_eq!(*rig.batches.lock().unwrap(), [vec![10]]);
        assert_eq!(rig.metrics.dropped.with_label_values(&["caller_gone"]).get(), 1);
        assert_eq!(rig.metrics.dropped.with_label_values(&["deadline"]).get(), 1);
        assert_eq!(rig.metrics.queue_depth.get(), 0);
    }

    #[tokio::test]
    async fn a_failed_batch_fails_its_callers_and_the_session_goes_on() {
        let rig = rig(Duration::ZERO, LIMITS);
        assert_eq!(
            rig.batcher.run(sequence(666, 10), Manners::Refuse, None).await,
            Err(Error::BackendFailed)
        );
        assert!(rig.batcher.run(sequence(1, 10), Manners::Refuse, None).await.is_ok());
    }
}
