//! Reads the end of a job's log, in bounded memory and time.

use super::paths;
use crate::github::{Github, Stop, away, dismiss};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use sentinel_shared::evidence::{LOG_END_BYTES, LogEnd, LogPart};
use sentinel_shared::excerpt::{Excerpt, ExcerptFinder};
use std::cell::Cell;
use std::time::Duration;
use worker::{Delay, Response, Url};

/// The longest log that is streamed to its end where only its last part matters. Asking for the end alone costs one more
/// call, and reading this much takes less time than that. The storage of GitHub's logs has no ranges that count from the
/// end: <https://learn.microsoft.com/rest/api/storageservices/specifying-the-range-header-for-blob-service-operations>.
const STREAMED_BYTES: usize = 4 * 1024 * 1024;
/// The largest part of a log without a length or ranges that is streamed to find its end.
const LOG_READ_BYTES: u64 = 64 * 1024 * 1024;
/// The longest time that such a log is streamed. It is well within the deadline, so that what was read is not lost.
const LOG_READ_TIME: Duration = Duration::from_secs(10);
/// The first bytes of every gzip stream (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Calls beyond those that each log needs. The logs that are read at once share them.
#[derive(Debug, Default)]
pub(super) struct Spare(Cell<usize>);

// === impl Spare ===

impl Spare {
    pub(super) fn of(calls: usize) -> Self {
        Self(Cell::new(calls))
    }

    pub(super) fn left(&self) -> usize {
        self.0.get()
    }

    /// Takes `calls`, if there are so many.
    pub(super) fn take(&self, calls: usize) -> bool {
        match self.0.get().checked_sub(calls) {
            Some(left) => {
                self.0.set(left);
                true
            }
            None => false,
        }
    }

    pub(super) fn give_back(&self, calls: usize) {
        self.0.set(self.0.get() + calls);
    }
}

/// The excerpt of a job's log with the lines `told` after it, and the part it is from. None if there is no log, or no longer
/// one.
pub(super) async fn read(
    github: &Github<'_>,
    repository: &str,
    job_id: u64,
    told: &str,
    spare: &Spare,
) -> Result<Option<(Excerpt, LogPart)>, Stop> {
    // The signature in an address does not hold for long: one that is over is asked for anew, once.
    for is_last in [false, true] {
        let Some(url) = github.address(&paths::log(repository, job_id)).await? else {
            spare.give_back(1);
            return Ok(None);
        };
        if let Some((end, part)) = fetch(github, &url, spare).await? {
            let bytes = end.bytes();
            let is_gzip = bytes.starts_with(&GZIP_MAGIC);
            let mut finder = ExcerptFinder::new();
            finder.push(bytes);
            drop(end);
            finder.push(told.as_bytes());
            let excerpt = finder.finish();
            let is_text = !excerpt.binary && !is_gzip;
            return Ok(is_text.then_some((excerpt, part)));
        }
        if is_last || !spare.take(2) {
            break;
        }
    }
    Ok(None)
}

/// Reads the end of the log at `url`. None if it is not there, or no longer there.
async fn fetch(github: &Github<'_>, url: &Url, spare: &Spare) -> Result<Option<(LogEnd, LogPart)>, Stop> {
    let Some(whole) = github.stored(url, None).await? else { return Ok(None) };
    let start = length(&whole).filter(|length| *length > STREAMED_BYTES).map(|length| length - LOG_END_BYTES);
    let Some(start) = start.filter(|_| spare.take(1)) else {
        return stream(whole, LogPart::Whole).await.map(Some);
    };
    dismiss(whole);
    match github.stored(url, Some(start)).await? {
        None => Ok(None),
        Some(end) if end.status_code() == 206 => stream(end, LogPart::End).await.map(Some),
        // A host that ignores ranges.
        Some(whole) => stream(whole, LogPart::Whole).await.map(Some),
    }
}

/// The length of a body. The length of a compressed body is not used, because it is not the text's.
fn length(response: &Response) -> Option<usize> {
    let header = |name: &str| response.headers().get(name).ok().flatten();
    if header("content-encoding").is_some_and(|encoding| encoding != "identity") {
        return None;
    }
    header("content-length")?.parse().ok()
}

/// Streams `part` of a log and keeps its end. Says so if the end was not reached.
async fn stream(mut response: Response, part: LogPart) -> Result<(LogEnd, LogPart), Stop> {
    let mut end = LogEnd::default();
    let mut time = Delay::from(LOG_READ_TIME);
    let mut pieces = response.stream().map_err(|_| away("a log can't be read"))?;
    loop {
        match select(pieces.next(), &mut time).await {
            Either::Left((Some(Ok(piece)), _)) => end.push(&piece),
            Either::Left((Some(Err(_)), _)) => return Err(away("a log broke off")),
            Either::Left((None, _)) => {
                let whole = if end.is_cut() { LogPart::End } else { LogPart::Whole };
                return Ok((end, if part == LogPart::Whole { whole } else { part }));
            }
            Either::Right(_) if part == LogPart::End || end.read_bytes() == 0 => {
                return Err(away("a log did not come in time"));
            }
            Either::Right(_) => break,
        }
        if end.read_bytes() > LOG_READ_BYTES {
            break;
        }
    }
    Ok((end, LogPart::Beginning))
}
