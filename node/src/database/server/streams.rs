//! Decides which request may run now, and keeps the streams that clients hold between requests.

use super::Refusal;
use super::connection::{self, Access, Watch};
use super::limits::{IDLE, IDLE_IN_TRANSACTION, Limits, MIGRATION_TIME, TRANSACTION_TIME, TURN_TIME};
use super::stream::Stream;
use anyhow::{Context, Result, bail};
use libsql_hrana::proto::{PipelineReqBody, PipelineRespBody};
use rand::distr::{Alphanumeric, SampleString};
use rusqlite::Connection;
use sentinel_shared::store::exchange::{Exchange, Next};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{info, warn};

pub(super) struct Streams {
    path: PathBuf,
    limits: Limits,
    held: Mutex<HashMap<String, Held>>,
    /// The places for held streams.
    places: Arc<Semaphore>,
    /// The turns to run. Clients with a held stream have their own, because they may have the lock that all others wait
    /// for.
    turns: Arc<Semaphore>,
    turns_of_holders: Arc<Semaphore>,
    stopping: Arc<AtomicBool>,
    /// The server's own connection. While it is open, closing a client's connection neither removes the log nor copies
    /// it into the file.
    _own: Mutex<Connection>,
}

struct Held {
    stream: Stream,
    timer: AbortHandle,
}

/// The stream that a request runs on.
pub(super) enum Begin {
    /// The stream of this baton.
    Held(String),
    /// A new stream that the client may continue with.
    New,
    /// A new stream that ends with this request.
    Once,
}

/// Ends the running statement if it is dropped early, which happens when the client is gone.
struct Guard(Option<Arc<Watch>>);

// === impl Streams ===

impl Streams {
    /// Opens (or creates) the file and applies the migrations.
    pub(super) fn open(path: &Path, limits: Limits) -> Result<Self> {
        let own =
            connection::open_own(path).with_context(|| format!("opening the database {}", path.display()))?;
        migrate(path).with_context(|| format!("migrating the database {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            limits,
            held: Mutex::default(),
            places: Arc::new(Semaphore::new(limits.held)),
            turns: Arc::new(Semaphore::new(limits.running)),
            turns_of_holders: Arc::new(Semaphore::new(limits.running)),
            stopping: Arc::default(),
            _own: Mutex::new(own),
        })
    }

    /// Ends everything that runs and refuses new requests.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let held = std::mem::take(&mut *self.held());
        drop(held);
    }

    /// Runs `work` on the stream that `begin` names, then `finish` with the baton under which the stream is kept for
    /// its client. Both run off the runtime's own threads. A request that cannot be served is refused before anything
    /// runs.
    pub(super) async fn run<W, T: Send + 'static>(
        self: &Arc<Self>,
        (begin, access): (Begin, Access),
        work: impl FnOnce(&mut Stream) -> W + Send + 'static,
        finish: impl FnOnce(W, Option<String>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Refusal::busy("the server stops"));
        }
        let turn = self.turn(&begin).await?;
        let (held, place) = match begin {
            Begin::Held(baton) => (Some(self.take(&baton, access)?), None),
            Begin::New => (None, Some(self.place()?)),
            Begin::Once => (None, None),
        };
        let watch = match &held {
            Some(stream) => Arc::clone(stream.watch()),
            None => Arc::new(Watch::new(Arc::clone(&self.stopping))),
        };
        let mut guard = Guard(Some(Arc::clone(&watch)));
        let streams = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut stream = match held {
                Some(stream) => stream,
                None => streams.open_stream(access, watch, place)?,
            };
            let done = work(&mut stream);
            Ok(finish(done, streams.keep(stream)))
        });
        let answer = task.await;
        guard.0 = None;
        answer.map_err(|_| Refusal::broken())?
    }

    /// Waits for a turn to run, at most [`TURN_TIME`].
    async fn turn(&self, begin: &Begin) -> Result<OwnedSemaphorePermit, Refusal> {
        let turns = match begin {
            Begin::Held(_) => &self.turns_of_holders,
            Begin::New | Begin::Once => &self.turns,
        };
        let turn = tokio::time::timeout(TURN_TIME, Arc::clone(turns).acquire_owned()).await;
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Refusal::busy("too many requests run at once")),
        }
    }

    /// Takes a place for a stream that its client may hold.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| {
            Refusal::busy("too many streams are open: close them, or send `close` in the pipeline")
        })
    }

    /// Takes the stream of `baton`. A baton works once.
    fn take(&self, baton: &str, access: Access) -> Result<Stream, Refusal> {
        let mut held = self.held();
        // The token that opened it must be one of the same kind.
        if held.get(baton).is_none_or(|held| held.stream.access() != access) {
            return Err(Refusal::no_stream());
        }
        let taken = held.remove(baton).ok_or_else(Refusal::no_stream)?;
        taken.timer.abort();
        Ok(taken.stream)
    }

    fn open_stream(
        &self,
        access: Access,
        watch: Arc<Watch>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Stream, Refusal> {
        let opened = Stream::open(&self.path, access, watch, self.limits);
        let mut stream = opened.map_err(|cause| {
            warn!("database.not_opened: {cause}");
            Refusal::busy("the database can't be opened now")
        })?;
        stream.place = place;
        Ok(stream)
    }

    /// Keeps a stream for its client until a timer ends it. A stream that is not kept is closed here, which rolls back
    /// its open transaction.
    fn keep(self: &Arc<Self>, mut stream: Stream) -> Option<String> {
        if stream.place.is_none() || !stream.is_open() || stream.watch().is_lost() {
            return None;
        }
        let ends = match stream.transaction_since() {
            None => Instant::now() + IDLE,
            Some(since) => (Instant::now() + IDLE_IN_TRANSACTION).min(since + TRANSACTION_TIME),
        };
        let baton = Alphanumeric.sample_string(&mut rand::rng(), 32);
        let (streams, name) = (Arc::downgrade(self), baton.clone());
        let timer = tokio::spawn(async move {
            tokio::time::sleep_until(ends).await;
            let expired = streams.upgrade().and_then(|streams| streams.held().remove(&name));
            // Closing it rolls back, which may wait for the disk.
            drop(tokio::task::spawn_blocking(move || drop(expired)));
        });
        self.held().insert(baton.clone(), Held { stream, timer: timer.abort_handle() });
        Some(baton)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings the schema up to date as a client does, over a stream that nobody else has and that has more time.
#[expect(clippy::disallowed_methods, reason = "the server migrates before it serves, on a thread of its own")]
fn migrate(path: &Path) -> Result<()> {
    let limits = Limits { statement: MIGRATION_TIME, request: MIGRATION_TIME, ..Limits::default() };
    let mut exchange = Exchange::schema();
    loop {
        let request: PipelineReqBody = serde_json::from_str(exchange.body())?;
        let mut stream = Stream::open(path, Access::Write, Arc::new(Watch::new(Arc::default())), limits)?;
        let results = stream.pipeline(request.requests);
        let answer = serde_json::to_string(&PipelineRespBody { baton: None, base_url: None, results })?;
        match exchange.answered(200, &answer) {
            Next::Send => {}
            Next::Migrate(log) => info!("{log}"),
            Next::Wait(time) => std::thread::sleep(time),
            Next::Done(_) => return Ok(()),
            Next::Failed(failure) => bail!(failure.cause),
        }
    }
}

// === impl Guard ===

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(watch) = &self.0 {
            watch.abandon();
        }
    }
}
