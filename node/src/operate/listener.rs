//! Accepts connections, and limits how many there are, how long each may be silent, and how much memory one may hold.
//!
//! The node, `sentinel db` and the MCP server over HTTP all use [`serve`]: HTTP/1 and HTTP/2, with or without TLS.
//! Routes, tokens and the size of bodies are not decided here.

use anyhow::{Context as _, Result};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use axum::{BoxError, Router};
use http_body::{Frame, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

/// The time that a new connection has until its first request head is complete, TLS included.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// The time that a connection may be idle between requests. Clients keep one open for about this long.
const IDLE: Duration = Duration::from_secs(60);
/// The time in which a request's body must arrive. Four megabytes need 1 Mbit/s.
const BODY: Duration = Duration::from_secs(30);
/// How long a client may take nothing of an answer that waits for it. What TCP sends again after a lost packet arrives in
/// less.
pub const UNREAD: Duration = Duration::from_secs(20);
/// The time that a closing connection has to tell its client.
const CLOSING: Duration = Duration::from_secs(1);
/// The pause after the system has no more files to open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The largest number of connections of one listener. Above it, memory would be the next limit.
const CONNECTIONS_MAX: usize = 1024;
/// The files that the process needs for itself: standard streams, the runtime, models, its own clients.
const FILES_RESERVED: usize = 48;
/// The number of open files that the process asks the system for. It is enough for everything here.
#[cfg(unix)]
const FILES_WANTED: u64 = 8_192;

/// The largest head of a request that is held in memory.
const HEAD_BYTES: u32 = 16 * 1024;
const HEADERS_MAX: usize = 100;
/// The size of a connection's buffers for reading and for writing.
const BUFFER_BYTES: usize = 64 * 1024;
/// The largest number of calls at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// How often an HTTP/2 peer is pinged.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_ANSWER: Duration = Duration::from_secs(10);

/// The settings in which listeners differ.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest number of connections at once.
    pub connections: usize,
    /// How long an answer may make no progress; None if answers are streams that stay open.
    pub stalled: Option<Duration>,
    /// How long a client may take nothing of what waits for it; [`UNREAD`] but in tests.
    pub unread: Duration,
    /// The time that open requests have when the listener stops.
    pub drain: Duration,
}

/// The state of one connection.
struct Activity {
    opened: Instant,
    in_flight: AtomicUsize,
    requests: AtomicU64,
    /// Milliseconds after `opened` at which the last request began or ended.
    last_ms: AtomicU64,
    /// Milliseconds after `opened` since which the client takes nothing of what waits for it; [`TAKES`] while it does.
    unread_ms: AtomicU64,
    /// It has begun to take nothing.
    unread: Notify,
    /// Signals that the connection must make room for a new one.
    evicted: Notify,
}

/// No moment.
const TAKES: u64 = u64::MAX;

/// A connection that notes when the client takes nothing of what is written to it.
struct Watched<T> {
    inner: T,
    activity: Arc<Activity>,
}

/// The connections that are open.
#[derive(Default)]
struct Open(Mutex<HashMap<u64, Arc<Activity>>>);

/// Takes a connection off the list when its task ends, however that is.
struct Listed(Arc<Open>, u64);

/// A request that is being answered.
struct OpenRequest(Arc<Activity>);

/// The routes of one connection, which count its requests.
#[derive(Clone)]
struct CountedRoutes {
    router: Router,
    activity: Arc<Activity>,
}

/// A request's body that must arrive in time.
struct Timed {
    inner: Body,
    late: Pin<Box<Sleep>>,
}

/// The body of an answer. The request ends with it.
struct Answer {
    inner: Body,
    _turn: OpenRequest,
}

/// The state that all connections of a listener share.
#[derive(Clone)]
struct ListenerState {
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    stopping: watch::Receiver<bool>,
}

/// The number of files that this process may open, after asking for [`FILES_WANTED`].
#[cfg(unix)]
#[must_use]
pub fn open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES_WANTED, |most| most.min(FILES_WANTED));
    let now = limit.current.unwrap_or(FILES_WANTED);
    let raised = now < wanted
        && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).is_ok();
    usize::try_from(if raised { wanted } else { now.min(FILES_WANTED) }).unwrap_or(FILES_RESERVED)
}

/// The number of files that this process may open. Nothing limits it on this system.
#[cfg(not(unix))]
#[must_use]
pub fn open_files() -> usize {
    8_192
}

/// The share of `files` that a listener may take; the rest is for what it serves.
#[must_use]
pub fn share(files: usize) -> usize {
    (files.saturating_sub(FILES_RESERVED) / 2).max(8)
}

/// The server's side of TLS, from PEM.
///
/// # Errors
/// The certificate or the key cannot be read, or they do not belong together.
pub fn tls(certificate: &[u8], key: &[u8]) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.context("the TLS certificate is not PEM")?;
    let key = PrivateKeyDer::from_pem_slice(key).context("the TLS key is not PEM")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the TLS certificate or key")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `stop` completes, then finishes open requests within [`Limits::drain`].
///
/// When all connections are taken, the one that has been silent longest makes room for a new one. Silent connections
/// therefore never keep a caller out.
pub async fn serve(
    listener: TcpListener,
    (router, tls): (Router, Option<TlsAcceptor>),
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let (tell, stopping) = watch::channel(false);
    let room = Arc::new(Semaphore::new(limits.connections.clamp(1, CONNECTIONS_MAX)));
    let open = Arc::new(Open::default());
    let shared = ListenerState { router, tls, limits, stopping };
    let mut tasks = JoinSet::new();
    for id in 0.. {
        let next = next(&listener, &room, &open);
        let (stream, permit) = tokio::select! { next = next => next, () = &mut stop => break };
        while tasks.try_join_next().is_some() {}
        let activity = Arc::new(Activity::new());
        let listed = open.list(id, &activity);
        let shared = shared.clone();
        tasks.spawn(async move {
            shared.serve(stream, activity).await;
            drop((listed, permit));
        });
    }
    // Who connects now is refused by the system, not left waiting.
    drop(listener);
    let _ = tell.send(true);
    let drained = timeout(limits.drain, async { while tasks.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        debug!("listener.cut_off");
        tasks.shutdown().await;
    }
}

/// Waits for the next connection and a place for it.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    open: &Open,
) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // A peer that went away, or no more files: then a silent connection gives up its own.
                if error.raw_os_error().is_some_and(|code| [23, 24].contains(&code)) {
                    warn!("listener.no_files: {error}");
                    open.evict();
                    sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        if room.available_permits() == 0 {
            open.evict();
        }
        // Where every connection is busy, the new one waits for the first that ends.
        if let Ok(permit) = Arc::clone(room).acquire_owned().await {
            return (stream, permit);
        }
    }
}

// === impl Shared ===

impl ListenerState {
    async fn serve(mut self, stream: TcpStream, activity: Arc<Activity>) {
        let served = async {
            match self.tls.take() {
                None => self.serve_http(stream, &activity).await,
                Some(tls) => match timeout(FIRST_REQUEST, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.serve_http(stream, &activity).await,
                    _ => debug!("listener.no_tls"),
                },
            }
        };
        tokio::select! { () = served => {}, () = activity.evicted.notified() => debug!("listener.evicted") }
    }

    async fn serve_http(
        &mut self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        activity: &Arc<Activity>,
    ) {
        let builder = http();
        let service = CountedRoutes { router: self.router.clone(), activity: Arc::clone(activity) };
        let service = TowerToHyperService::new(service);
        let io = Watched { inner: io, activity: Arc::clone(activity) };
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        loop {
            let ends = activity.ends(&self.limits);
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended { debug!("listener.connection: {error}"); }
                    return;
                }
                () = sleep_until(ends) => if activity.ends(&self.limits) <= Instant::now() { break },
                // It may have to end sooner.
                () = activity.unread.notified() => {}
                () = stopped(&mut self.stopping) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.as_mut().await;
                    return;
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(CLOSING, connection).await;
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The sender is gone only with the listener.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

fn http() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES)
        .max_send_buf_size(BUFFER_BYTES);
    builder
}

// === impl Open, Activity ===

impl Open {
    fn list(self: &Arc<Self>, id: u64, activity: &Arc<Activity>) -> Listed {
        self.all().insert(id, Arc::clone(activity));
        Listed(Arc::clone(self), id)
    }

    /// Closes the connection that has been silent longest. Connections that never sent a request go first.
    fn evict(&self) {
        let all = self.all();
        let silent = all.values().filter(|activity| activity.in_flight.load(Ordering::Relaxed) == 0);
        let longest =
            silent.min_by_key(|activity| (activity.requests.load(Ordering::Relaxed) > 0, activity.last()));
        if let Some(activity) = longest {
            activity.evicted.notify_one();
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Activity>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.all().remove(&self.1);
    }
}

impl Activity {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
            unread_ms: AtomicU64::new(TAKES),
            unread: Notify::new(),
            evicted: Notify::new(),
        }
    }

    fn last(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    fn note(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(TAKES - 1)
    }

    /// Notes whether the system took what was written: it takes nothing while the client reads nothing.
    fn wrote<T>(&self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_ready() {
            self.unread_ms.store(TAKES, Ordering::Relaxed);
        } else if self.unread_ms.load(Ordering::Relaxed) == TAKES {
            self.unread_ms.store(self.now_ms(), Ordering::Relaxed);
            self.unread.notify_one();
        }
        outcome
    }

    fn begin(self: &Arc<Self>) -> OpenRequest {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.note();
        OpenRequest(Arc::clone(self))
    }

    /// The time at which the connection ends if nothing happens on it.
    fn ends(&self, limits: &Limits) -> Instant {
        // A year: tokio has no instant that never comes.
        let never = Duration::from_secs(365 * 24 * 3600);
        let ends = if self.in_flight.load(Ordering::Relaxed) > 0 {
            self.last() + limits.stalled.unwrap_or(never)
        } else if self.requests.load(Ordering::Relaxed) == 0 {
            self.opened + FIRST_REQUEST
        } else {
            self.last() + IDLE
        };
        match self.unread_ms.load(Ordering::Relaxed) {
            TAKES => ends,
            since => ends.min(self.opened + Duration::from_millis(since) + limits.unread),
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.note();
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Watched ===

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.activity.wrote(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.activity.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        self.activity.wrote(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

// === requests and answers ===

impl<B> tower::Service<Request<B>> for CountedRoutes
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let turn = self.activity.begin();
        let request =
            request.map(|body| Body::new(Timed { inner: Body::new(body), late: Box::pin(sleep(BODY)) }));
        let answer = tower::Service::call(&mut self.router, request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|inner| Body::new(Answer { inner, _turn: turn })))
        })
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.late.as_mut().poll(context));
        Poll::Ready(Some(Err("the body took too long".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
