//! Counts webhooks with a wrong signature, an operator's first sign of a wrong secret or a stranger.
//!
//! A stranger must not be able to make the worker write without bound. So an isolate counts in memory and stores its
//! count at most every [`EVERY`] seconds. What it counted since then is lost with it.

use crate::clock::now;
use crate::database::Database;
use sentinel_shared::store::counters;
use std::sync::atomic::{AtomicI64, Ordering};
use worker::{Context, console_error};

/// Seconds between two writes of one isolate.
const EVERY: i64 = 10;

#[derive(Default)]
pub(crate) struct Refusals {
    counted: AtomicI64,
    written_at: AtomicI64,
}

impl Refusals {
    /// Counts one, and writes the count down when it is time.
    pub(crate) fn count(&self, database: &'static Database, context: &Context) {
        let counted = self.counted.fetch_add(1, Ordering::Relaxed) + 1;
        if now() - self.written_at.load(Ordering::Relaxed) < EVERY {
            return;
        }
        self.written_at.store(now(), Ordering::Relaxed);
        self.counted.store(0, Ordering::Relaxed);
        context.wait_until(async move {
            if let Err(error) = database.ask(counters::refused_signatures(counted)).await {
                console_error!("refusals.not_counted: {error}");
            }
        });
    }
}
