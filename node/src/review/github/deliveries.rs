//! Deliveries that the worker missed: the App asks GitHub to send them again.
//!
//! GitHub does not repeat a delivery that failed, and keeps its account of them for three days
//! (<https://docs.github.com/webhooks/using-webhooks/automatically-redelivering-failed-deliveries-for-a-github-app-webhook>).
//! Many nodes may ask at once: the worker's ledger takes each delivery once.

use super::{Answered, Github, JobError, parse};
use reqwest::Method;
use sentinel_shared::github::unix_seconds;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The number of deliveries on one page of GitHub's list.
const PER_PAGE: usize = 100;
/// Pages that one look goes through, the newest first: a look every five minutes takes at most 360 of the 5,000 calls
/// that an App has in an hour.
const PAGES: usize = 30;
/// The largest number of deliveries that one look asks for again.
const AT_ONCE: usize = 20;
/// The ages of a delivery, in seconds, at which it is asked for again: a restart, a mended setting, the next morning,
/// and the last time before GitHub forgets it.
const AGES: [i64; 4] = [5 * 60, 60 * 60, 12 * 60 * 60, 2 * 24 * 60 * 60];
/// The age in seconds after which GitHub has forgotten a delivery.
const KEPT_FOR: i64 = 3 * 24 * 60 * 60;

/// One attempt at a delivery (<https://docs.github.com/rest/apps/webhooks#list-deliveries-for-an-app-webhook>).
#[derive(Debug, Deserialize)]
struct Attempt {
    id: u64,
    /// The delivery's id, the same for every attempt.
    guid: String,
    /// The worker's status; 0 or 5xx if it did not take the delivery.
    status_code: u16,
    /// When this attempt was made, as RFC 3339.
    delivered_at: String,
}

impl Github {
    /// Asks for what was not taken and is due at `now`; how many deliveries. Nothing for who is no App.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn redeliver_missed(&self, now: i64) -> Result<usize, JobError> {
        if !self.is_app() {
            return Ok(0);
        }
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut path = format!("/app/hook/deliveries?per_page={PER_PAGE}");
        for _ in 0..PAGES {
            let Answered { body, next, .. } = self.call_as_app(Method::GET, &path).await?;
            attempts.extend(parse::<Vec<Attempt>>(&body)?);
            let Some(cursor) = next else { break };
            path = format!("/app/hook/deliveries?per_page={PER_PAGE}&cursor={cursor}");
        }
        let missed = missed(&attempts, now);
        for id in &missed {
            self.call_as_app(Method::POST, &format!("/app/hook/deliveries/{id}/attempts")).await?;
        }
        Ok(missed.len())
    }
}

/// The newest attempt at each delivery that never arrived, may yet, and has come of an age since it was tried last; the
/// oldest delivery first. `attempts` are the newest first.
fn missed(attempts: &[Attempt], now: i64) -> Vec<u64> {
    let mut deliveries: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        deliveries.entry(&attempt.guid).or_default().push(attempt);
    }
    // What the worker refused it would refuse again.
    let may_arrive = |attempt: &&Attempt| {
        let status = attempt.status_code;
        status == 0 || status == 429 || status >= 500
    };
    let is_due = |all: &[&Attempt]| {
        let at = |attempt: Option<&&Attempt>| unix_seconds(&attempt?.delivered_at);
        let (Some(last), Some(first)) = (at(all.first()), at(all.last())) else { return false };
        let came_of_age = |age: &i64| last < first + age && first + age <= now;
        now - first < KEPT_FOR && AGES.iter().any(came_of_age)
    };
    let mut missed: Vec<u64> = deliveries
        .values()
        .filter(|all| all.iter().all(may_arrive) && is_due(all))
        .filter_map(|all| Some(all.first()?.id))
        .collect();
    missed.sort_unstable();
    missed.truncate(AT_ONCE);
    missed
}

#[cfg(test)]
mod tests {
    use super::*;
    use sentinel_shared::github::rfc3339;

    const NOW: i64 = 1_800_000_000;
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;

    fn attempt(id: u64, guid: &str, status_code: u16, seconds_ago: i64) -> Attempt {
        Attempt { id, guid: guid.to_owned(), status_code, delivered_at: rfc3339(NOW - seconds_ago) }
    }

    #[test]
    fn what_never_arrived_is_asked_for_and_what_was_refused_or_arrived_is_not() {
        let attempts = [
            attempt(9, "taken at last", 202, 50 * MINUTE),
            attempt(7, "lost twice", 0, 50 * MINUTE),
            attempt(6, "refused", 401, 55 * MINUTE),
            attempt(5, "lost", 504, 55 * MINUTE),
            attempt(8, "taken at last", 503, 61 * MINUTE),
            attempt(4, "lost twice", 502, 61 * MINUTE),
            attempt(3, "limited", 429, 62 * MINUTE),
            attempt(2, "just now", 500, 4 * MINUTE),
        ];
        assert_eq!(missed(&attempts, NOW), [3, 5, 7]);
    }

    #[test]
    fn a_lost_delivery_is_asked_for_at_four_ages_until_github_forgets_it() {
        // A look every five minutes for four days, and each attempt fails.
        let mut attempts = vec![attempt(1, "lost", 503, 0)];
        let mut asked = Vec::new();
        for at in (0..4 * 24 * HOUR).step_by(300) {
            if let [_] = missed(&attempts, NOW + at)[..] {
                asked.push(at);
                attempts.insert(0, attempt(attempts.len() as u64 + 1, "lost", 503, -at));
            }
        }
        assert_eq!(asked, [5 * MINUTE, HOUR, 12 * HOUR, 48 * HOUR]);
        // A node that starts after thirteen hours asks once, not once for each age that it missed.
        let late = [attempt(1, "lost", 503, 13 * HOUR)];
        assert_eq!(missed(&late, NOW), [1]);
        let asked_late = [attempt(2, "lost", 503, 0), attempt(1, "lost", 503, 13 * HOUR)];
        assert_eq!(missed(&asked_late, NOW + 5 * MINUTE), [0_u64; 0]);
        assert_eq!(missed(&[attempt(1, "lost", 503, 72 * HOUR)], NOW), [0_u64; 0], "forgotten");
    }
}
