//! GitHub's limits on content: at most so many writes a minute and an hour, none within a second of another.
//!
//! The account's writes are counted in the database, so all nodes together keep to them.

use super::{Access, Answered, JobError, parse};
use crate::database::now_ms;
use reqwest::Method;
use sentinel_shared::store::writes;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::time::{Duration, Instant};

/// The time between two questions of a writer whether its turn has come.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// The longest wait for a turn. After it the job goes back to the queue.
const WAIT_AT_MOST: Duration = Duration::from_secs(40);

/// The permission to write once.
#[must_use]
pub struct Turn(());

impl Access<'_> {
    /// Waits for this account's turn to write.
    ///
    /// # Errors
    /// [`JobError::Elsewhere`] when it does not come soon, or the store is away.
    pub async fn turn(&self) -> Result<Turn, JobError> {
        let account = self.github.account(self.installation, None);
        let started = Instant::now();
        loop {
            // Others of our own write: that says nothing about GitHub.
            let again = |what: &str| JobError::Elsewhere { reason: None, what: what.to_owned(), after: None };
            let taken = self.github.store.ask(writes::take(&account, now_ms())).await;
            if taken.map_err(|_| again("the store is unavailable"))? {
                return Ok(Turn(()));
            }
            if started.elapsed() > WAIT_AT_MOST {
                return Err(again("GitHub's limit on writes is used up"));
            }
            self.github.metrics.github_waits.inc();
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Makes a call that writes, which uses up a turn.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        turn: Turn,
        method: Method,
        path: &str,
        body: &Json,
    ) -> Result<T, JobError> {
        parse(&self.write_answered(turn, method, path, body).await?.body)
    }

    /// The same, for callers that read the answer in another way.
    pub(super) async fn write_answered(
        &self,
        turn: Turn,
        method: Method,
        path: &str,
        body: &Json,
    ) -> Result<Answered, JobError> {
        let Turn(()) = turn;
        self.call(method, path, Some(body)).await
    }
}
