//! Knows whether GitHub accepts the worker's calls, and since when it does not.
//!
//! The state is stored, so every isolate shows the same. An isolate asks the database at most every [`EVERY`] seconds,
//! because `/health` is open to strangers, and at once after it met a change itself.

use crate::clock::now;
use crate::config::Config;
use crate::database::Database;
use sentinel_shared::api::health::GithubState;
use sentinel_shared::evidence::{GithubStanding, Trouble};
use sentinel_shared::store::evidence::{self as stored, GithubTrouble};
use std::sync::{Mutex, PoisonError};

/// The seconds between two queries of the database.
const EVERY: i64 = 10;

/// What one isolate knows about GitHub.
#[derive(Default)]
pub(crate) struct Standing(Mutex<Option<Known>>);

#[derive(Clone)]
struct Known {
    at: i64,
    /// The trouble; None if the database did not answer.
    trouble: Option<Option<GithubTrouble>>,
}

impl Standing {
    /// Remembers what a call has just met and the database has recorded.
    pub(crate) fn learn(&self, trouble: Option<Trouble>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = match known.as_ref().and_then(|known| known.trouble.as_ref()) {
            Some(known) => known.as_ref().map(|known| known.state) != trouble.map(Trouble::standing),
            None => true,
        };
        if is_news {
            *known = None;
        }
    }

    async fn now(&self, database: &Database) -> Option<Option<GithubTrouble>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| now() - known.at < EVERY) {
            return known.trouble;
        }
        let trouble = database.ask(stored::trouble()).await;
        let known = Known { at: now(), trouble: trouble.ok() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        known.trouble
    }
}

/// The state of GitHub, as `/health` and the dashboard show it.
pub(crate) async fn state(config: &Config, database: &Database, standing: &Standing) -> GithubState {
    if config.github_token.is_none() {
        return GithubStanding::NoToken.into();
    }
    match standing.now(database).await {
        Some(Some(trouble)) => trouble.into(),
        Some(None) => GithubStanding::Works.into(),
        None => GithubStanding::Unknown.into(),
    }
}
