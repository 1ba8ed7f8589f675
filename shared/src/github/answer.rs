//! What an answer of GitHub means for the work that asked, from its status, headers and message.
//!
//! The worker and the node both decide with [`Meaning::of`], so both treat a limit as a limit. GitHub limits in two
//! ways, with status 403 as often as with 429
//! (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>). The
//! primary limit comes with `x-ratelimit-remaining: 0` and the time at which it ends. A secondary limit comes with
//! `retry-after`, or with nothing but its message.

use std::time::Duration;

/// The wait if GitHub limits us and names no time. Its documentation asks for at least a minute.
const LIMITED_FOR: Duration = Duration::from_secs(60);
/// The longest wait, so that a wrong clock does not stop work for a day. Primary limits end within an hour.
const LIMITED_AT_MOST: Duration = Duration::from_secs(3600);

/// The parts of an answer that decide what it means.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The `retry-after` header, which GitHub gives in seconds.
    pub retry_after: Option<&'a str>,
    /// The `x-ratelimit-remaining` header of the answer.
    pub remaining: Option<&'a str>,
    /// `x-ratelimit-reset`, in Unix seconds.
    pub reset: Option<&'a str>,
    /// The `message` of the JSON body, or as much of the body as was read.
    pub message: &'a str,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The answer holds what was asked for.
    Done,
    /// The answer is at the address in `location`.
    Moved,
    /// The thing does not exist, or no longer, or we may not see it.
    Absent,
    /// GitHub does not accept our token. Every other call with that token will fail too.
    TokenRefused,
    /// We asked too often. Calls before this time is over make it worse.
    Limited(Duration),
    /// GitHub is down. It may say how long to wait.
    Away(Option<Duration>),
    /// GitHub understood the request and can't do it: a comment on a line that is not in the diff.
    Unprocessable,
    /// GitHub refuses for good, because a permission is missing.
    Refused,
}

// === impl Meaning ===

impl Meaning {
    /// Decides what `answer` means at `now`, in Unix seconds.
    #[must_use]
    pub fn of(answer: &Answer<'_>, now: i64) -> Self {
        match answer.status {
            200..=299 => Self::Done,
            301 | 302 | 307 | 308 => Self::Moved,
            401 => Self::TokenRefused,
            403 | 429 if answer.is_limit(now) => {
                Self::Limited(answer.wait(now).unwrap_or(LIMITED_FOR).min(LIMITED_AT_MOST))
            }
            404 | 410 => Self::Absent,
            408 | 500..=599 => Self::Away(answer.wait(now).map(|wait| wait.min(LIMITED_AT_MOST))),
            422 => Self::Unprocessable,
            _ => Self::Refused,
        }
    }

    /// Decides what `answer` means at `now` if it comes from the storage that logs are redirected to. That storage
    /// knows neither our token nor permissions, so a refusal means that the signature in the address has expired or the
    /// log is gone.
    #[must_use]
    pub fn of_storage(answer: &Answer<'_>, now: i64) -> Self {
        match answer.status {
            429 => Self::Away(answer.wait(now).map(|wait| wait.min(LIMITED_AT_MOST))),
            200..=299 | 408 | 500..=599 => Self::of(answer, now),
            _ => Self::Absent,
        }
    }

    /// Whether the same call may succeed later without anybody changing something.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Limited(_) | Self::Away(_))
    }
}

// === impl Answer ===

impl Answer<'_> {
    fn is_limit(&self, now: i64) -> bool {
        // A secondary limit may come without any header: only its message tells it from a missing permission.
        let message = self.message.to_ascii_lowercase();
        self.status == 429
            || self.wait(now).is_some()
            || ["rate limit", "abuse detection"].iter().any(|words| message.contains(words))
    }

    /// How long GitHub asks to wait.
    fn wait(&self, now: i64) -> Option<Duration> {
        let number = |header: Option<&str>| header?.trim().parse::<u64>().ok();
        number(self.retry_after).map(Duration::from_secs).or_else(|| {
            let reset = number(self.reset).filter(|_| number(self.remaining) == Some(0))?;
            Some(Duration::from_secs(reset.saturating_sub(u64::try_from(now).unwrap_or(0))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_700_000_000;

    fn meaning(answer: Answer<'_>) -> Meaning {
        Meaning::of(&answer, NOW)
    }

    fn status(status: u16) -> Answer<'static> {
        Answer { status, ..Answer::default() }
    }

    #[test]
    fn both_of_githubs_limits_are_waited_for_and_a_missing_permission_is_not() {
        let secondary =
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        let primary = Answer { remaining: Some("0"), reset: Some("1700000090"), ..status(403) };
        for (answer, seconds) in [
            (primary, 90),
            (Answer { status: 429, ..primary }, 90),
            (Answer { retry_after: Some("30"), ..status(403) }, 30),
            (Answer { message: secondary, ..status(403) }, 60),
            (Answer { message: "You have triggered an abuse detection mechanism.", ..status(403) }, 60),
            (status(429), 60),
            (Answer { reset: Some("1700999999"), ..primary }, 3600),
            (Answer { reset: Some("1600000000"), ..primary }, 0),
        ] {
            assert_eq!(meaning(answer), Meaning::Limited(Duration::from_secs(seconds)), "{answer:?}");
        }
        let forbidden = "Resource not accessible by integration";
        assert_eq!(meaning(Answer { message: forbidden, ..status(403) }), Meaning::Refused);
        let calls_left = Answer { remaining: Some("4999"), reset: Some("1700000090"), ..status(403) };
        assert_eq!(meaning(calls_left), Meaning::Refused, "every answer says when the limit is reset");
    }

    #[test]
    fn every_other_status_means_one_thing() {
        for (code, expected) in [
            (200, Meaning::Done),
            (204, Meaning::Done),
            (302, Meaning::Moved),
            (401, Meaning::TokenRefused),
            (404, Meaning::Absent),
            (410, Meaning::Absent),
            (422, Meaning::Unprocessable),
            (451, Meaning::Refused),
            (500, Meaning::Away(None)),
            (503, Meaning::Away(None)),
        ] {
            assert_eq!(meaning(status(code)), expected, "{code}");
        }
        let busy = Answer { retry_after: Some("7"), ..status(503) };
        assert_eq!(meaning(busy), Meaning::Away(Some(Duration::from_secs(7))));
    }

    #[test]
    fn the_storage_of_logs_is_waited_for_when_it_is_not_well_and_its_refusals_are_not_our_tokens() {
        let of = |code| Meaning::of_storage(&status(code), NOW);
        for code in [200, 206] {
            assert_eq!(of(code), Meaning::Done);
        }
        for code in [301, 400, 401, 403, 404, 410, 416, 451] {
            assert_eq!(of(code), Meaning::Absent, "{code}");
        }
        for code in [408, 429, 500, 503] {
            assert_eq!(of(code), Meaning::Away(None), "{code}");
        }
        let busy = Answer { retry_after: Some("7"), ..status(503) };
        assert_eq!(Meaning::of_storage(&busy, NOW), Meaning::Away(Some(Duration::from_secs(7))));
    }

    proptest! {
        #[test]
        fn no_header_makes_a_wait_longer_than_an_hour(
            code in 0u16..1000, retry in "\\PC{0,24}", left in "\\PC{0,8}", reset in "[0-9]{0,24}", now in any::<i64>(),
        ) {
            let answer = Answer {
                status: code, retry_after: Some(&retry), remaining: Some(&left), reset: Some(&reset), message: "",
            };
            if let Meaning::Limited(wait) | Meaning::Away(Some(wait)) = Meaning::of(&answer, now) {
                prop_assert!(wait <= LIMITED_AT_MOST);
            }
        }
    }
}
