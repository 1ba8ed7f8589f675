//! The queue between many callers and few model sessions.
//!
//! One task owns the queue. Each caller (one review or one call) has its own line in it, and the lines take turns, so
//! nobody waits behind everything that another caller brought. Sequences of similar length are batched together, to
//! keep padding small.
//!
//! Admission control uses estimated wait time as well as queue length. A caller with a deadline is rejected immediately
//! if the queue is full or if the work ahead of it would outlast its deadline; once admitted, it has its room. A caller
//! that can wait reserves room sequence by sequence, and all such callers together leave part of the queue to the
//! others. Work whose caller went away leaves the queue at once.
//!
//! A session that panics is dropped and replaced. Its callers get an error.

mod lines;

use crate::operate::metrics::Metrics;
use crate::review::backend::{Backend, Batch, Logits, MakeSession, Sequence};
use lines::{Chosen, Lines};
use sentinel_shared::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info};

/// How quickly the estimated pace follows the measured one.
const PACE_SMOOTHING: f64 = 0.1;
/// A wait is estimated from the average pace, so an admitted caller must have this many times the estimate.
const WAIT_MARGIN: u32 = 2;
/// A refusal does not count as pressure if the work of others would have taken less than this.
const NOTABLE_WAIT: Duration = Duration::from_millis(250);
/// A caller with a deadline holds at most one part in this many of the queue. Beside a large caller there is room for
/// seven others.
const HURRIED_PART: usize = 8;
/// All callers that can wait hold at most this share of the queue, in percent. It is less than the half below which a
/// node that was under pressure is ready again, so large reviews alone never make it unready.
const PATIENT_PERCENT: usize = 40;
/// The pause before a session is replaced again that failed right after it was made. It doubles each time.
const REMAKE_AFTER: Duration = Duration::from_secs(1);
/// The longest such pause. A GPU that was reset is back within it.
const REMAKE_AT_MOST: Duration = Duration::from_secs(60);

/// The limits of batches and of the queue.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest number of tokens in one batch, padding included.
    pub batch_tokens: usize,
    /// How long a batch that is not full waits for more sequences.
    pub max_wait: Duration,
    /// The largest number of tokens that may wait together.
    pub queue_tokens: usize,
}

/// What a caller wants when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// To be rejected at once, because a person or program waits for the answer.
    Refuse,
    /// To wait for room until its deadline, because a queued job has time.
    Wait,
}

/// A handle to the queue in front of the model.
#[derive(Clone)]
pub struct Batcher {
    items: mpsc::UnboundedSender<Item>,
    door: Arc<Door>,
}

/// One review or one call that was admitted. Its sequences have room and take turns in the queue.
pub struct Caller {
    items: mpsc::UnboundedSender<Item>,
    door: Arc<Door>,
    id: u64,
    deadline: Option<Instant>,
    /// The caller's own room, or the room that all waiting callers share.
    room: Arc<Semaphore>,
    /// The size of `room` in tokens. A longer sequence takes all of it.
    room_tokens: usize,
    place: CallerKind,
}

/// How a caller is counted by admission control.
enum CallerKind {
    /// A caller with a deadline, with about this many tokens in the queue at once.
    Hurried(usize),
    Patient,
}

/// The state that callers read without asking the queue's task.
struct Door {
    limits: Limits,
    /// The room for the sequences of all waiting callers, first come, first served.
    patient_room: Arc<Semaphore>,
    patient_tokens: usize,
    inside: Mutex<Inside>,
    next_caller: AtomicU64,
    /// The measured seconds of one session for one token; 0 before the first batch.
    pace: AtomicU64,
    /// The number of sessions that can run.
    sessions: AtomicUsize,
    /// Signals that a caller left whose sequences may still be in the queue.
    left: Notify,
    metrics: Arc<Metrics>,
}

/// The callers that are admitted.
#[derive(Default)]
struct Inside {
    /// About how many tokens the callers with a deadline have in the queue.
    hurried_tokens: usize,
    patient_callers: usize,
    /// When a caller was last rejected because of the work of others.
    refused_at: Option<Instant>,
}

struct Item {
    encoded: Arc<Sequence>,
    caller: u64,
    deadline: Option<Instant>,
    since: Instant,
    reply: oneshot::Sender<Result<Logits>>,
    /// Returned when the item is dropped, for whatever reason.
    _room: OwnedSemaphorePermit,
    _counted: CountedTokens,
}

/// Counts tokens in the queue or in the model on the metric.
struct CountedTokens {
    metrics: Arc<Metrics>,
    tokens: usize,
}

/// Tells the queue's task when a caller goes away without its answer.
struct Waiting<'a> {
    door: &'a Door,
    is_answered: bool,
}

/// The reason why a caller is rejected.
struct Rejection {
    reason: &'static str,
    error: Error,
}

struct Owner {
    lines: Lines,
    idle: Vec<Session>,
    done: mpsc::UnboundedSender<Returned>,
    make: MakeSession,
    door: Arc<Door>,
}

struct Session {
    backend: Box<dyn Backend>,
    /// The panics in a row of this session and of the sessions that it replaces.
    panics: u32,
}

/// What a session's thread returns.
enum Returned {
    Idle(Session),
    /// The session panicked and is dropped. The number counts panics in a row.
    Lost(u32),
}

// === impl Batcher ===

impl Batcher {
    /// Starts the task that owns `sessions`. `make` replaces a lost session. The task ends when the last handle is
    /// dropped.
    #[must_use]
    pub fn start(
        sessions: Vec<Box<dyn Backend>>,
        make: MakeSession,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> Self {
        // Bounded by the room that callers are given.
        let (items, received) = mpsc::unbounded_channel();
        let (done, returned) = mpsc::unbounded_channel();
        let patient_tokens = (limits.queue_tokens * PATIENT_PERCENT / 100).max(1);
        metrics.sessions.set(sessions.len() as i64);
        let door = Arc::new(Door {
            limits,
            patient_room: Arc::new(Semaphore::new(patient_tokens)),
            patient_tokens,
            inside: Mutex::default(),
            next_caller: AtomicU64::new(0),
            pace: AtomicU64::new(0),
            sessions: AtomicUsize::new(sessions.len()),
            left: Notify::new(),
            metrics,
        });
        let idle = sessions.into_iter().map(|backend| Session { backend, panics: 0 }).collect();
        let owner = Owner { lines: Lines::default(), idle, done, make, door: Arc::clone(&door) };
        tokio::spawn(owner.run(received, returned));
        Self { items, door }
    }

    /// Admits a caller with about `tokens`, before any work is done for it.
    ///
    /// # Errors
    /// For a caller with [`WhenFull::Refuse`]: [`Error::Overloaded`] if the tokens cannot be done in time, and
    /// [`Error::BackendFailed`] if no session can run.
    pub fn enter(&self, tokens: usize, when_full: WhenFull, deadline: Option<Instant>) -> Result<Caller> {
        let door = &self.door;
        let (room, room_tokens, place) = match when_full {
            WhenFull::Wait => {
                door.inside().patient_callers += 1;
                (Arc::clone(&door.patient_room), door.patient_tokens, CallerKind::Patient)
            }
            WhenFull::Refuse => match door.admit(tokens, deadline) {
                Ok(counted) => {
                    // All its part allows: what was counted is an estimate.
                    let part = door.hurried_part();
                    (Arc::new(Semaphore::new(part)), part, CallerKind::Hurried(counted))
                }
                Err(refusal) => {
                    door.metrics.shed.with_label_values(&[refusal.reason]).inc();
                    return Err(refusal.error);
                }
            },
        };
        let id = door.next_caller.fetch_add(1, Ordering::Relaxed);
        let (items, door) = (self.items.clone(), Arc::clone(door));
        Ok(Caller { items, door, id, deadline, room, room_tokens, place })
    }

    /// Whether a caller was rejected within `time` because of the work of others, and not because of its own.
    #[must_use]
    pub fn refused_within(&self, time: Duration) -> bool {
        self.door.inside().refused_at.is_some_and(|at| at.elapsed() < time)
    }

    /// The share of the queue that is taken, from 0 to 1.
    #[must_use]
    pub fn pressure(&self) -> f64 {
        let hurried = self.door.inside().hurried_tokens;
        (hurried + self.door.patient_taken()) as f64 / self.door.limits.queue_tokens as f64
    }

    /// Whether any session can run.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.door.sessions() > 0
    }
}

// === impl Caller ===

impl Caller {
    /// Runs one sequence in a batch with others. Dropping the future removes the sequence from the queue.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`] if it was not done in time, [`Error::BackendFailed`].
    pub async fn run(&self, encoded: Arc<Sequence>) -> Result<Logits> {
        match self.deadline {
            None => self.answer(encoded).await,
            Some(deadline) => {
                timeout_at(deadline, self.answer(encoded)).await.unwrap_or_else(|_| Err(self.too_late()))
            }
        }
    }

    /// Whether the caller's deadline has passed.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    async fn answer(&self, encoded: Arc<Sequence>) -> Result<Logits> {
        let tokens = encoded.ids.len();
        let permits = tokens.clamp(1, self.room_tokens) as u32;
        // Nobody closes a room.
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await;
        let room = room.map_err(|_| Error::BackendFailed)?;
        let (reply, answer) = oneshot::channel();
        let item = Item {
            encoded,
            caller: self.id,
            deadline: self.deadline,
            since: Instant::now(),
            reply,
            _room: room,
            _counted: CountedTokens::new(&self.door.metrics, tokens),
        };
        self.door.metrics.queue_depth.inc();
        let mut waiting = Waiting { door: &self.door, is_answered: false };
        self.items.send(item).map_err(|_| Error::BackendFailed)?;
        // The owner answers every item, or drops it when its time is over.
        let answer = answer.await.unwrap_or_else(|_| Err(self.too_late()));
        waiting.is_answered = true;
        answer
    }

    /// The error for a caller without an answer in time.
    fn too_late(&self) -> Error {
        if self.door.sessions() == 0 { Error::BackendFailed } else { Error::DeadlineExceeded }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        match self.place {
            CallerKind::Hurried(counted) => inside.hurried_tokens -= counted,
            CallerKind::Patient => inside.patient_callers -= 1,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.door.left.notify_one();
        }
    }
}

// === impl Door ===

impl Door {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    fn patient_taken(&self) -> usize {
        self.patient_tokens - self.patient_room.available_permits().min(self.patient_tokens)
    }

    /// The largest number of tokens that one caller with a deadline may have in the queue.
    fn hurried_part(&self) -> usize {
        (self.limits.queue_tokens / HURRIED_PART).max(1)
    }

    /// Admits a caller with a deadline and counts the tokens that it will have in the queue at once, or returns the
    /// reason for rejecting it.
    fn admit(&self, tokens: usize, deadline: Option<Instant>) -> std::result::Result<usize, Rejection> {
        if self.sessions() == 0 {
            return Err(Rejection { reason: "no_session", error: Error::BackendFailed });
        }
        let counted = tokens.clamp(1, self.hurried_part());
        let mut inside = self.inside();
        let patient = self.patient_taken();
        // The lines take turns: of a line, no more is done before this caller's last sequence than the caller brings
        // itself. What is in the sessions already is done before its first.
        let turns = inside.patient_callers * tokens + self.sessions() * self.limits.batch_tokens;
        let others = self.time_for(inside.hurried_tokens + patient.min(turns));
        let wait = others + self.time_of(tokens);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let is_full = inside.hurried_tokens + patient + counted > self.limits.queue_tokens;
        let reason = if is_full {
            "queue_full"
        } else if left.is_some_and(|left| wait * WAIT_MARGIN > left) {
            "would_miss_deadline"
        } else {
            inside.hurried_tokens += counted;
            return Ok(counted);
        };
        // Who wants more than its own deadline allows would be refused by an idle node too.
        if is_full || others > NOTABLE_WAIT {
            inside.refused_at = Some(Instant::now());
        }
        let retry_after_seconds = wait.as_secs().clamp(1, 60) as u32;
        Err(Rejection { reason, error: Error::Overloaded { retry_after_seconds } })
    }

    /// The time that all sessions together need for this many tokens, at the measured pace.
    fn time_for(&self, tokens: usize) -> Duration {
        let pace = f64::from_bits(self.pace.load(Ordering::Relaxed));
        Duration::from_secs_f64(tokens as f64 * pace / self.sessions().max(1) as f64)
    }

    /// The time that the tokens of one caller need. One batch runs on one session.
    fn time_of(&self, tokens: usize) -> Duration {
        let pace = f64::from_bits(self.pace.load(Ordering::Relaxed));
        let batch = Duration::from_secs_f64(tokens.min(self.limits.batch_tokens) as f64 * pace);
        self.time_for(tokens).max(batch)
    }

    /// Updates the pace after a batch of this many tokens.
    fn measured(&self, tokens: usize, took: Duration) {
        let now = took.as_secs_f64() / tokens.max(1) as f64;
        let before = f64::from_bits(self.pace.load(Ordering::Relaxed));
        let pace = if before > 0.0 { before + PACE_SMOOTHING * (now - before) } else { now };
        self.pace.store(pace.to_bits(), Ordering::Relaxed);
    }

    fn lost_session(&self) {
        let before = self.sessions.fetch_sub(1, Ordering::Relaxed);
        self.metrics.sessions.set(before as i64 - 1);
        self.metrics.session_panics.inc();
    }

    fn made_session(&self) {
        let before = self.sessions.fetch_add(1, Ordering::Relaxed);
        self.metrics.sessions.set(before as i64 + 1);
    }
}

// === impl Counted ===

impl CountedTokens {
    fn new(metrics: &Arc<Metrics>, tokens: usize) -> Self {
        metrics.queue_tokens.add(tokens as i64);
        Self { metrics: Arc::clone(metrics), tokens }
    }
}

impl Drop for CountedTokens {
    fn drop(&mut self) {
        self.metrics.queue_tokens.sub(self.tokens as i64);
    }
}

// === impl Owner ===

impl Owner {
    async fn run(
        mut self,
        mut received: mpsc::UnboundedReceiver<Item>,
        mut returned: mpsc::UnboundedReceiver<Returned>,
    ) {
        let door = Arc::clone(&self.door);
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
                    Some(item) => self.lines.push(item),
                    None => return,
                },
                Some(returned) = returned.recv() => match returned {
                    Returned::Idle(session) => self.idle.push(session),
                    Returned::Lost(panics) => self.make_another(panics),
                },
                () = door.left.notified() => self.evict_expired(),
                () = timer => {}
            }
        }
    }

    /// Starts batches while there is a session and something to run. If a batch waits to fill up, returns the time
    /// until which it waits.
    fn dispatch(&mut self) -> Option<Instant> {
        while !self.idle.is_empty() {
            self.evict_expired();
            let Limits { batch_tokens, max_wait, .. } = self.door.limits;
            let full_at = self.lines.first()?.since + max_wait;
            let chosen = self.lines.choose(batch_tokens);
            if chosen.tokens < batch_tokens && chosen.has_room && Instant::now() < full_at {
                return Some(full_at);
            }
            self.start(&chosen);
        }
        None
    }

    fn start(&mut self, chosen: &Chosen) {
        let Some(session) = self.idle.pop() else { return };
        let items = self.lines.take(&chosen.at);
        let batch = Batch { rows: items.iter().map(|item| Arc::clone(&item.encoded)).collect() };
        let size = batch.rows.len() * batch.length();
        let metrics = &self.door.metrics;
        metrics.queue_depth.sub(items.len() as i64);
        metrics.batch_size.observe(items.len() as f64);
        metrics.batch_tokens.observe(size as f64);
        metrics.padding_tokens.inc_by((size - batch.tokens()) as u64);
        items.iter().for_each(|item| metrics.queue_wait.observe(item.since.elapsed().as_secs_f64()));
        let (door, done) = (Arc::clone(&self.door), self.done.clone());
        tokio::task::spawn_blocking(move || {
            let (answer, returned) = session.run(&batch, &door);
            let _ = done.send(returned);
            match answer {
                Ok(logits) => {
                    for (item, logits) in items.into_iter().zip(logits) {
                        let _ = item.reply.send(Ok(logits));
                    }
                }
                Err(cause) => {
                    error!("batch.failed: {cause:#}");
                    door.metrics.inference_errors.inc();
                    items.into_iter().for_each(|item| drop(item.reply.send(Err(Error::BackendFailed))));
                }
            }
        });
    }

    /// Replaces a lost session in the background: the first time at once, and with longer and longer pauses if sessions
    /// keep failing.
    fn make_another(&self, mut panics: u32) {
        let (door, make, done) = (Arc::clone(&self.door), Arc::clone(&self.make), self.done.clone());
        tokio::spawn(async move {
            while !done.is_closed() {
                tokio::time::sleep(remake_after(panics)).await;
                let make = Arc::clone(&make);
                match tokio::task::spawn_blocking(move || make()).await {
                    Ok(Ok(backend)) => {
                        info!("session.made_anew");
                        door.made_session();
                        let _ = done.send(Returned::Idle(Session { backend, panics }));
                        return;
                    }
                    Ok(Err(cause)) => error!("session.not_made: {cause:#}"),
                    Err(panic) => error!("session.not_made: {panic}"),
                }
                panics = panics.saturating_add(1);
            }
        });
    }

    /// Drops sequences whose caller went away, and sequences that would be too late.
    fn evict_expired(&mut self) {
        let (metrics, now) = (&self.door.metrics, Instant::now());
        self.lines.retain(|item| {
            let reason = if item.deadline.is_some_and(|deadline| deadline <= now) {
                "deadline"
            } else if item.reply.is_closed() {
                "caller_gone"
            } else {
                return true;
            };
            metrics.dropped.with_label_values(&[reason]).inc();
            metrics.queue_depth.dec();
            false
        });
    }
}

fn remake_after(panics: u32) -> Duration {
    match panics.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => REMAKE_AFTER.saturating_mul(1 << doublings.min(16)).min(REMAKE_AT_MOST),
    }
}

// === impl Session ===

impl Session {
    /// Runs a batch. A session that panicked is not returned, because its state is unknown.
    fn run(mut self, batch: &Batch, door: &Door) -> (anyhow::Result<Vec<Logits>>, Returned) {
        let started = Instant::now();
        // What a panic leaves half done is dropped with the session.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.backend.run(batch)));
        let took = started.elapsed();
        door.metrics.inference_latency.observe(took.as_secs_f64());
        match outcome {
            Ok(answer) => {
                if answer.is_ok() {
                    self.panics = 0;
                    door.measured(batch.tokens(), took);
                }
                (answer, Returned::Idle(self))
            }
            Err(_) => {
                let panics = self.panics.saturating_add(1);
                door.lost_session();
                // Its end may panic as well.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(self)));
                (Err(anyhow::anyhow!("the session panicked")), Returned::Lost(panics))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::sync::Mutex;
    use tokio::time::timeout;

    /// A backend that takes a given time and records the lengths that it was given.
    struct Slow {
        batches: Arc<Mutex<Vec<Vec<usize>>>>,
        took: Duration,
    }

    /// A backend that runs until the other end of its channel is dropped, and then fails.
    struct Held(std::sync::mpsc::Receiver<()>);

    impl Backend for Held {
        fn run(&mut self, _: &Batch) -> anyhow::Result<Vec<Logits>> {
            anyhow::bail!("{:?}", self.0.recv())
        }
    }

    const FAILS: u32 = 666;
    const PANICS: u32 = 667;

    impl Backend for Slow {
        #[expect(clippy::disallowed_methods, reason = "a session blocks its thread")]
        fn run(&mut self, batch: &Batch) -> anyhow::Result<Vec<Logits>> {
            self.batches.lock().unwrap().push(batch.rows.iter().map(|row| row.ids.len()).collect());
            std::thread::sleep(self.took);
            match batch.rows[0].ids[0] {
                FAILS => anyhow::bail!("the runtime failed"),
                PANICS => panic!("the runtime panicked"),
                _ => {}
            }
            let logits = |row: &Arc<Sequence>| Logits {
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

    /// A rig with one session that cannot be replaced.
    fn rig(took: Duration, limits: Limits) -> Rig {
        rig_that_makes(took, limits, |_| anyhow::bail!("no other session"))
    }

    fn rig_that_makes(
        took: Duration,
        limits: Limits,
        make: impl Fn(Slow) -> anyhow::Result<Box<dyn Backend>> + Send + Sync + 'static,
    ) -> Rig {
        let (batches, metrics) = (Arc::default(), Arc::new(Metrics::default()));
        let slow = {
            let batches = Arc::clone(&batches);
            move || Slow { batches: Arc::clone(&batches), took }
        };
        let first = Box::new(slow());
        let batcher =
            Batcher::start(vec![first], Arc::new(move || make(slow())), limits, Arc::clone(&metrics));
        Rig { batcher, batches, metrics }
    }

    impl Rig {
        async fn run(&self, encoded: Arc<Sequence>, deadline: Option<Instant>) -> Result<Logits> {
            run(&self.batcher, encoded, deadline).await
        }

        /// A caller that can wait, with this many sequences of this length at once.
        fn large(&self, sequences: usize, length: usize) -> tokio::task::JoinHandle<Vec<Result<Logits>>> {
            let caller = self.batcher.enter(sequences * length, WhenFull::Wait, None).unwrap();
            tokio::spawn(
                async move { join_all((0..sequences).map(|_| caller.run(sequence(9, length)))).await },
            )
        }
    }

    async fn run(batcher: &Batcher, encoded: Arc<Sequence>, deadline: Option<Instant>) -> Result<Logits> {
        batcher.enter(encoded.ids.len(), WhenFull::Refuse, deadline)?.run(encoded).await
    }

    fn sequence(first: u32, length: usize) -> Arc<Sequence> {
        let mut ids = vec![0; length];
        ids[0] = first;
        Arc::new(Sequence { ids, added_at: Vec::new() })
    }

    /// Waits until a condition holds, also on a busy machine.
    async fn soon(what: &str, is_so: impl Fn() -> bool) {
        let until = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), until).await.unwrap_or_else(|_| panic!("not soon: {what}"));
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
        let rig = rig(Duration::from_millis(500), Limits { queue_tokens: 800, ..LIMITS });
        let inside: Vec<_> = (0..8)
            .map(|_| {
                let caller = rig.batcher.enter(5000, WhenFull::Refuse, None).unwrap();
                tokio::spawn(async move { caller.run(sequence(1, 250)).await })
            })
            .collect();
        let refused = timeout(Duration::from_millis(100), rig.run(sequence(2, 100), None)).await;
        assert!(matches!(refused.unwrap(), Err(Error::Overloaded { .. })));
        assert!(rig.batcher.refused_within(Duration::from_secs(5)));
        inside.iter().for_each(tokio::task::JoinHandle::abort);
        soon("the queue is empty again", || rig.batcher.pressure() == 0.0).await;
        assert!(rig.run(sequence(3, 100), None).await.is_ok());
        assert_eq!(rig.metrics.shed.with_label_values(&["queue_full"]).get(), 1);
    }

    #[tokio::test]
    async fn what_would_miss_its_deadline_is_refused_at_the_door() {
        let rig = rig(Duration::from_millis(400), LIMITS);
        rig.run(sequence(1, 100), None).await.unwrap();
        let soon = Some(Instant::now() + Duration::from_millis(20));
        assert!(matches!(rig.run(sequence(2, 100), soon).await, Err(Error::Overloaded { .. })));
        assert_eq!(rig.metrics.shed.with_label_values(&["would_miss_deadline"]).get(), 1);
        assert!(
            !rig.batcher.refused_within(Duration::from_secs(60)),
            "nobody else was there: it says nothing about the queue"
        );
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_is_done_sequence_by_sequence_and_is_no_pressure() {
        let rig = rig(Duration::from_millis(1), LIMITS);
        let answers = rig.large(40, 200).await.unwrap();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 40);
        assert!(!rig.batcher.refused_within(Duration::from_secs(60)));
        assert_eq!((rig.batcher.pressure(), rig.metrics.queue_tokens.get()), (0.0, 0));
        // A sequence that is longer than all there is takes it all, and runs.
        let alone = rig.batcher.enter(5000, WhenFull::Wait, None).unwrap();
        assert!(alone.run(sequence(1, 5000)).await.is_ok());
    }

    #[tokio::test]
    async fn those_who_wait_leave_room_to_those_in_a_hurry() {
        let rig = rig(Duration::from_millis(20), LIMITS);
        let large = [rig.large(40, 200), rig.large(40, 200)];
        soon("both wait for room", || rig.metrics.queue_tokens.get() >= 600).await;
        assert!(rig.batcher.pressure() <= 0.4, "{}", rig.batcher.pressure());
        let deadline = Some(Instant::now() + Duration::from_secs(5));
        assert!(rig.run(sequence(1, 100), deadline).await.is_ok());
        large.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_small_caller_has_its_turn_before_all_that_a_large_one_brought() {
        let rig = rig(Duration::from_millis(5), Limits { queue_tokens: 1 << 20, ..LIMITS });
        let large = rig.large(500, 200);
        soon("they are in the queue", || rig.metrics.queue_depth.get() > 400).await;
        let before = rig.batches.lock().unwrap().len();
        // Of like length, and of another.
        for length in [199, 30] {
            rig.run(sequence(1, length), None).await.unwrap();
        }
        let between = rig.batches.lock().unwrap().len() - before;
        assert!(between <= 20, "{between} batches were run for two sequences of a small caller");
        assert!(large.await.unwrap().iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn an_endless_row_of_small_callers_does_not_keep_a_large_one_from_its_turn() {
        let rig = Arc::new(rig(Duration::from_millis(1), Limits { max_wait: Duration::ZERO, ..LIMITS }));
        let lanes: Vec<_> = (0..8)
            .map(|_| {
                let rig = Arc::clone(&rig);
                tokio::spawn(async move {
                    loop {
                        let _ = rig.run(sequence(1, 30), None).await;
                    }
                })
            })
            .collect();
        let large = timeout(Duration::from_secs(20), rig.large(50, 200)).await;
        lanes.iter().for_each(tokio::task::JoinHandle::abort);
        assert!(large.expect("in time").unwrap().iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn work_whose_caller_is_gone_or_whose_time_is_over_never_reaches_the_model() {
        let rig = rig(Duration::from_millis(500), Limits { max_wait: Duration::ZERO, ..LIMITS });
        let busy = tokio::spawn({
            let batcher = rig.batcher.clone();
            async move { run(&batcher, sequence(1, 10), None).await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        let gone = timeout(Duration::from_millis(5), rig.run(sequence(2, 20), None)).await;
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
    async fn a_caller_that_leaves_takes_its_sequences_and_its_room_with_it_while_the_session_is_busy() {
        let (held, gate) = std::sync::mpsc::channel();
        let limits = Limits { max_wait: Duration::ZERO, ..LIMITS };
        let (metrics, none) = (Arc::new(Metrics::default()), || anyhow::bail!("no other session"));
        let batcher =
            Batcher::start(vec![Box::new(Held(gate))], Arc::new(none), limits, Arc::clone(&metrics));
        let large = |sequences: usize| {
            let caller = batcher.enter(sequences * 200, WhenFull::Wait, None).unwrap();
            tokio::spawn(async move { join_all((0..sequences).map(|_| caller.run(sequence(9, 200)))).await })
        };
        let busy = large(1);
        soon("the session is busy", || metrics.batch_size.get_sample_count() == 1).await;
        let others = [large(40), large(40)];
        soon("they wait", || metrics.queue_depth.get() == 3).await;
        others.iter().for_each(tokio::task::JoinHandle::abort);
        soon("they are gone", || metrics.queue_depth.get() == 0 && metrics.queue_tokens.get() == 200).await;
        assert!((batcher.pressure() - 0.1).abs() < 1e-9, "{}", batcher.pressure());
        // What comes next has the room at once.
        let next = large(2);
        soon("it is in the queue", || metrics.queue_depth.get() == 2).await;
        drop(held);
        assert!(busy.await.unwrap()[0].is_err() && next.await.unwrap().len() == 2);
    }

    #[tokio::test]
    async fn a_failed_batch_fails_its_callers_and_the_session_goes_on() {
        let rig = rig(Duration::ZERO, LIMITS);
        assert_eq!(rig.run(sequence(FAILS, 10), None).await, Err(Error::BackendFailed));
        assert!(rig.run(sequence(1, 10), None).await.is_ok());
        assert_eq!(rig.metrics.session_panics.get(), 0);
    }

    #[tokio::test]
    async fn a_session_that_panics_is_made_anew_and_its_caller_gets_an_error() {
        let rig = rig_that_makes(Duration::ZERO, LIMITS, |slow| Ok(Box::new(slow)));
        let hour = Instant::now() + Duration::from_secs(3600);
        let failed = timeout(Duration::from_secs(10), rig.run(sequence(PANICS, 10), Some(hour))).await;
        assert_eq!(failed.expect("an answer at once"), Err(Error::BackendFailed));
        soon("there is another", || rig.batcher.has_session()).await;
        assert!(rig.run(sequence(1, 10), None).await.is_ok());
        assert_eq!((rig.metrics.session_panics.get(), rig.metrics.sessions.get()), (1, 1));
    }

    #[tokio::test]
    async fn without_any_session_callers_in_a_hurry_are_told_so_and_others_wait_until_their_deadline() {
        let rig = rig(Duration::ZERO, LIMITS);
        assert_eq!(rig.run(sequence(PANICS, 10), None).await, Err(Error::BackendFailed));
        assert!(!rig.batcher.has_session());
        assert_eq!(rig.run(sequence(1, 10), None).await, Err(Error::BackendFailed));
        let soon = Some(Instant::now() + Duration::from_millis(50));
        let patient = rig.batcher.enter(10, WhenFull::Wait, soon).unwrap();
        let waited = timeout(Duration::from_secs(10), patient.run(sequence(1, 10))).await;
        assert_eq!(waited.expect("it has a time of its own"), Err(Error::BackendFailed));
        assert_eq!(rig.metrics.sessions.get(), 0);
    }

    #[test]
    fn sessions_that_go_on_failing_are_made_with_longer_and_longer_pauses() {
        let seconds: Vec<u64> = (1..10).map(|panics| remake_after(panics).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(remake_after(u32::MAX), REMAKE_AT_MOST);
    }
}
