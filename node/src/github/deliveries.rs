//! Deliveries that the worker missed: the App asks GitHub to send them again.
//!
//! GitHub does not repeat a delivery that failed, and keeps its account of them for three days
//! (<https://docs.github.com/webhooks/using-webhooks/automatically-redelivering-failed-deliveries-for-a-github-app-webhook>).
//! Many nodes may ask at once: the worker's ledger takes each delivery once.

use super::{Github, Trouble, parse};
use reqwest::Method;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Deliveries that one look goes through, the newest: what GitHub puts on one page.
const LOOKED_AT: usize = 100;
/// Deliveries that one look asks for again.
const AT_ONCE: usize = 20;
/// How often one delivery is sent, the first time included.
const ATTEMPTS_MAX: usize = 4;

/// One attempt at a delivery (<https://docs.github.com/rest/apps/webhooks#list-deliveries-for-an-app-webhook>).
#[derive(Debug, Deserialize)]
struct Attempt {
    id: u64,
    /// The same for every attempt.
    guid: String,
    /// What the worker answered; 0 or 5xx where it did not.
    status_code: u16,
}

impl Github {
    /// Asks for what was not taken; how many deliveries. Nothing for who is no App.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn redeliver_missed(&self) -> Result<usize, Trouble> {
        if !self.is_app() {
            return Ok(0);
        }
        let jwt = self.auth.jwt()?;
        let path = format!("/app/hook/deliveries?per_page={LOOKED_AT}");
        let attempts: Vec<Attempt> = parse(&self.call(Method::GET, &path, &jwt, None).await?)?;
        let missed = missed(&attempts);
        for id in &missed {
            self.call(Method::POST, &format!("/app/hook/deliveries/{id}/attempts"), &jwt, None).await?;
        }
        Ok(missed.len())
    }
}

/// The newest attempt at each delivery that never arrived and may yet, the oldest delivery first. `attempts` are the
/// newest first.
fn missed(attempts: &[Attempt]) -> Vec<u64> {
    let mut deliveries: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        deliveries.entry(&attempt.guid).or_default().push(attempt);
    }
    // What the worker refused it would refuse again.
    let may_arrive = |status: u16| status == 0 || status == 429 || status >= 500;
    let mut missed: Vec<u64> = deliveries
        .values()
        .filter(|all| all.len() < ATTEMPTS_MAX && all.iter().all(|attempt| may_arrive(attempt.status_code)))
        .filter_map(|all| Some(all.first()?.id))
        .collect();
    missed.sort_unstable();
    missed.truncate(AT_ONCE);
    missed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_arrived_is_asked_for_and_what_was_refused_or_tried_often_is_not() {
        let attempt = |id, guid: &str, status_code| Attempt { id, guid: guid.to_owned(), status_code };
        let attempts = [
            attempt(9, "taken at last", 202),
            attempt(8, "taken at last", 503),
            attempt(7, "lost twice", 0),
            attempt(6, "refused", 401),
            attempt(5, "lost", 504),
            attempt(4, "lost twice", 502),
            attempt(3, "limited", 429),
        ];
        assert_eq!(missed(&attempts), [3, 5, 7]);
        let often: Vec<Attempt> = (1..=4).map(|id| attempt(id, "lost", 500)).collect();
        assert!(missed(&often).is_empty());
    }
}
