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
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
/// How quickly the estimate of the pace follows what is measured.
const PACE_SMOOTHING: f64 = 0.1;
/// A wait is estimated from the average: who is let in on it should have this many times as long.
const WAIT_MARGIN: u32 = 2;
/// Refusing somebody who could not wait even this long says nothing about the queue.
const NOTABLE_WAIT: Duration = Duration::from_millis(250);

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
    /// Seconds a token that is waited for, as measured from the door to the answer; 0 before the first.
    pace: AtomicU64,
    /// When somebody was last refused because of what waits.
    refused_at: Mutex<Option<Instant>>,
}

struct Item {
    encoded: Arc<Encoded>,
    deadline: Option<Instant>,
    since: Instant,
    reply: oneshot::Sender<Result<Logits>>,
    /// Given back when the last item that shares it is gone, however it goes.
    _room: Arc<Room>,
}

/// Room in the queue for what a caller brings.
pub struct Room {
    load: Arc<Load>,
    metrics: Arc<Metrics>,
    count: usize,
    /// Tokens that were to be done when it was given, its own among them.
    ahead: usize,
    since: Instant,
    deadline: Option<Instant>,
}

/// Why there is no room.
struct Refusal {
    reason: &'static str,
    error: Error,
}

struct Owner {
    pending: VecDeque<Item>,
    idle: Vec<Box<dyn Backend>>,
    done: mpsc::UnboundedSender<Box<dyn Backend>>,
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
        let load = Arc::new(Load {
            tokens: AtomicUsize::new(0),
            pace: AtomicU64::new(0),
            refused_at: Mutex::new(None),
        });
        let owner =
            Owner { pending: VecDeque::new(), idle: sessions, done, limits, metrics: Arc::clone(&metrics) };
        tokio::spawn(owner.run(received, returned));
        Self { items, load, limits, metrics }
    }

    /// Takes room for about `tokens`, before any work is done for them.
    ///
    /// # Errors
    /// [`Error::Overloaded`] at once where they can't be done in time and the caller does not want to wait,
    /// [`Error::DeadlineExceeded`] where it waited for nothing.
    pub async fn reserve(&self, tokens: usize, manners: Manners, deadline: Option<Instant>) -> Result<Room> {
        loop {
            match (self.admit(tokens, deadline), manners) {
                (Ok(room), _) => return Ok(room),
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
        }
    }

    /// Runs one sequence, in whatever batch it fits, in the room that was taken for it and others.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`] where it was not done in time, [`Error::BackendFailed`].
    pub async fn run(&self, encoded: Arc<Encoded>, room: &Arc<Room>) -> Result<Logits> {
        let (reply, answer) = oneshot::channel();
        let item =
            Item { encoded, deadline: room.deadline, since: Instant::now(), reply, _room: Arc::clone(room) };
        self.metrics.queue_depth.inc();
        self.items.send(item).map_err(|_| Error::BackendFailed)?;
        // The owner answers or drops every item it has.
        let logits = answer.await.unwrap_or(Err(Error::DeadlineExceeded))?;
        self.load.measured(room.ahead, room.since.elapsed());
        Ok(logits)
    }

    /// Whether somebody was refused this lately because of what waits, not because of an impossible deadline.
    #[must_use]
    pub fn refused_within(&self, time: Duration) -> bool {
        let at = self.load.refused_at.lock().unwrap_or_else(PoisonError::into_inner);
        at.is_some_and(|at| at.elapsed() < time)
    }

    /// The share of the queue that is taken, 0 to 1.
    #[must_use]
    pub fn pressure(&self) -> f64 {
        self.load.tokens.load(Ordering::Relaxed) as f64 / self.limits.queue_tokens as f64
    }

    fn admit(&self, count: usize, deadline: Option<Instant>) -> std::result::Result<Room, Refusal> {
        let ahead = self.load.tokens.fetch_add(count, Ordering::Relaxed) + count;
        self.metrics.queue_tokens.add(count as i64);
        let (load, metrics) = (Arc::clone(&self.load), Arc::clone(&self.metrics));
        // From here on, dropping it gives the tokens back.
        let room = Room { load, metrics, count, ahead, since: Instant::now(), deadline };
        let wait = self.load.time_for(ahead);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let reason = if ahead > self.limits.queue_tokens {
            "queue_full"
        } else if left.is_some_and(|left| wait * WAIT_MARGIN > left) {
            "would_miss_deadline"
        } else {
            return Ok(room);
        };
        if wait > NOTABLE_WAIT || reason == "queue_full" {
            *self.load.refused_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        let retry_after_seconds = wait.as_secs().clamp(1, 60) as u32;
        Err(Refusal { reason, error: Error::Overloaded { retry_after_seconds } })
    }
}

impl Load {
    /// How long this many tokens take, by the pace measured so far.
    fn time_for(&self, tokens: usize) -> Duration {
        Duration::from_secs_f64(tokens as f64 * f64::from_bits(self.pace.load(Ordering::Relaxed)))
    }

    /// Learns from one that is done: so many tokens were before it and its own, and so long it took, with all that
    /// it waited for.
    fn measured(&self, ahead: usize, took: Duration) {
        let now = took.as_secs_f64() / ahead.max(1) as f64;
        let before = f64::from_bits(self.pace.load(Ordering::Relaxed));
        let pace = if before > 0.0 { before + PACE_SMOOTHING * (now - before) } else { now };
        self.pace.store(pace.to_bits(), Ordering::Relaxed);
    }
}

impl Drop for Room {
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
        let (metrics, done) = (Arc::clone(&self.metrics), self.done.clone());
        tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let answer = session.run(&batch);
            metrics.inference_latency.observe(started.elapsed().as_secs_f64());
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
        #[expect(clippy::disallowed_methods, reason = "a session blocks its thread")]
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

    impl Rig {
        async fn run(&self, encoded: Arc<Encoded>, deadline: Option<Instant>) -> Result<Logits> {
            run(&self.batcher, encoded, deadline).await
        }
    }

    async fn run(batcher: &Batcher, encoded: Arc<Encoded>, deadline: Option<Instant>) -> Result<Logits> {
        let room = batcher.reserve(encoded.ids.len(), Manners::Refuse, deadline).await?;
        batcher.run(encoded, &Arc::new(room)).await
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
        let run = |first, length| rig.run(sequence(first, length), None);
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
        let rig = rig(Duration::from_millis(500), Limits { queue_tokens: 300, ..LIMITS });
        let first = tokio::spawn({
            let batcher = rig.batcher.clone();
            async move { run(&batcher, sequence(1, 250), None).await }
        });
        tokio::task::yield_now().await;
        let refused = tokio::time::timeout(Duration::from_millis(100), rig.run(sequence(2, 100), None)).await;
        assert!(matches!(refused.unwrap(), Err(Error::Overloaded { .. })));
        assert!(first.await.unwrap().is_ok());
        // The session's thread gives the room back after it has answered.
        let recovered = async {
            while rig.batcher.pressure() > 0.0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), recovered).await.expect("the queue is empty again");
        assert!(rig.run(sequence(3, 100), None).await.is_ok());
        assert_eq!(rig.metrics.shed.with_label_values(&["queue_full"]).get(), 1);
    }

    #[tokio::test]
    async fn what_would_miss_its_deadline_is_refused_at_the_door() {
        let rig = rig(Duration::from_millis(100), LIMITS);
        rig.run(sequence(1, 100), None).await.unwrap();
        let soon = Some(Instant::now() + Duration::from_millis(20));
        assert!(matches!(rig.run(sequence(2, 100), soon).await, Err(Error::Overloaded { .. })));
        assert_eq!(rig.metrics.shed.with_label_values(&["would_miss_deadline"]).get(), 1);
    }

    #[tokio::test]
    async fn work_whose_caller_is_gone_or_whose_time_is_over_never_reaches_the_model() {
        let rig = rig(Duration::from_millis(500), Limits { max_wait: Duration::ZERO, ..LIMITS });
        let busy = tokio::spawn({
            let batcher = rig.batcher.clone();
            async move { run(&batcher, sequence(1, 10), None).await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        let gone = tokio::time::timeout(Duration::from_millis(5), rig.run(sequence(2, 20), None)).await;
        assert!(gone.is_err());
        let late = rig.run(sequence(3, 30), Some(Instant::now() + Duration::from_millis(5))).await;
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
        assert_eq!(rig.run(sequence(666, 10), None).await, Err(Error::BackendFailed));
        assert!(rig.run(sequence(1, 10), None).await.is_ok());
    }
}
