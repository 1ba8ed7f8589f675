//! Reads bodies, up to a cap.

use futures_util::StreamExt;
use sentinel_shared::{Error, Result};
use worker::{ByteStream, Request};

/// How much of a body over its limit is read and dropped before the answer: the largest payload that GitHub sends. A
/// sender that is cut off in the middle may never see the answer.
const DRAIN_LIMIT_BYTES: usize = 25_000_000;

/// Reads at most `limit_bytes` of body while it streams in, whether or not it says how long it is.
pub(crate) async fn read(request: &mut Request, limit_bytes: usize) -> Result<Vec<u8>> {
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
