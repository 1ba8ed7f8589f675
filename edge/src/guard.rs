//! The checks before the work: the limit of a body, and the rate limits.

use crate::app::App;
use futures_util::StreamExt;
use sentinel_shared::{Error, Result};
use worker::{ByteStream, Request, console_warn};

/// How much of a body over its limit is read and dropped before the answer: the largest payload that GitHub sends. A
/// sender that is cut off in the middle may never see the answer.
const DRAIN_LIMIT_BYTES: usize = 25_000_000;
/// The rate limiters in `wrangler.toml`.
pub(crate) const LIMITERS: [&str; 2] = ["WEBHOOK_LIMITER", "API_LIMITER"];
/// The window of both limits in `wrangler.toml`.
const LIMIT_WINDOW_SECONDS: u32 = 60;

/// Reads at most `limit_bytes` of body while it streams in, whether or not it says how long it is.
pub(crate) async fn body(request: &mut Request, limit_bytes: usize) -> Result<Vec<u8>> {
    let too_large = Error::BodyTooLarge { limit_bytes };
    let announced =
        request.headers().get("content-length").ok().flatten().and_then(|n| n.parse::<usize>().ok());
    if announced.is_some_and(|length| length <= limit_bytes) {
        // The runtime holds a sender to the length it announced.
        return request.bytes().await.map_err(|_| Error::BodyIncomplete);
    }
    let mut bytes = Vec::new();
    let Ok(mut stream) = request.stream() else { return Ok(bytes) };
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| Error::BodyIncomplete)?;
        if bytes.len() + piece.len() > limit_bytes {
            drop(bytes);
            drain(stream).await;
            return Err(too_large);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

async fn drain(mut stream: ByteStream) {
    let mut drained = 0;
    while let Some(Ok(piece)) = stream.next().await {
        drained += piece.len();
        if drained > DRAIN_LIMIT_BYTES {
            return;
        }
    }
}

/// Counts one call against the key `id`, or against the operator's key. Names are not unique, so they are not used.
pub(crate) async fn call_within_rate(app: &App, id: Option<i64>) -> Result<()> {
    let bucket = id.map_or_else(|| "operator".to_owned(), |id| format!("key {id}"));
    within_rate(app, "API_LIMITER", &bucket).await
}

/// Counts one wrong key or session against its sender's address: [`Error::RateLimited`] for too many, else `error`. A good
/// key never gets here, so that nobody is locked out by what others try.
pub(crate) async fn refused(request: &Request, app: &App, error: Error) -> Error {
    match within_rate(app, "API_LIMITER", &format!("refused {}", address(request))).await {
        Err(limited) => limited,
        Ok(()) => error,
    }
}

/// Counts one delivery against its installation, or its repository if it has none. It is never counted against an
/// address, because GitHub's are shared.
pub(crate) async fn delivery_within_rate(
    app: &App,
    installation: Option<u64>,
    repository: &str,
) -> Result<()> {
    let key = installation.map_or_else(|| repository.to_owned(), |id| id.to_string());
    within_rate(app, "WEBHOOK_LIMITER", &key).await
}

/// Counts a call without a key against the caller's address, so that one caller cannot keep the others out.
pub(crate) async fn stranger_within_rate(request: &Request, app: &App) -> Result<()> {
    within_rate(app, "API_LIMITER", &format!("stranger {}", address(request))).await
}

/// The caller's address. Cloudflare sets it, whatever the caller says
/// (<https://developers.cloudflare.com/fundamentals/reference/http-headers/>).
fn address(request: &Request) -> String {
    request.headers().get("cf-connecting-ip").ok().flatten().unwrap_or_default()
}

/// Counts one event against `key`.
async fn within_rate(app: &App, limiter: &str, key: &str) -> Result<()> {
    // Bindings are the deployment's: without one, nothing is limited, and `/health` says so.
    let Ok(binding) = app.env.rate_limiter(limiter) else { return Ok(()) };
    match binding.limit(key.to_owned()).await {
        Ok(outcome) if !outcome.success => {
            Err(Error::RateLimited { retry_after_seconds: LIMIT_WINDOW_SECONDS })
        }
        Ok(_) => Ok(()),
        Err(error) => {
            // A broken limiter must not lose deliveries.
            console_warn!("guard.limiter_failed: {error}");
            Ok(())
        }
    }
}
