//! What a verdict needs beyond its delivery, and how long the worker waits for what is missing.
//!
//! This file defines which part of a log was read, what a reader should know about it, and what to do while GitHub
//! gives nothing. The worker asks GitHub.

use crate::github::answer::Meaning;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much of a log is read, from its end. The failed step is there, and a worker has little CPU time.
pub const LOG_END_BYTES: usize = 1024 * 1024;
/// The largest number of pages of jobs that are read, with 100 jobs each.
pub const JOB_PAGES: u32 = 3;
/// The largest number of failed jobs of a run whose logs are read, one verdict each. More would not fit into the calls that
/// a free account's worker may make, and a person reads the first few.
pub const LOGS_MAX: usize = 20;

/// After this wait a verdict is stored without the log; it is made again when the log is there. Most outages of GitHub
/// are shorter, and a verdict that changes after a moment would confuse people.
pub const PATIENCE_SECONDS: i64 = 300;
/// After this time nobody waits for a log any longer. GitHub redelivers a delivery for three days.
pub const WAIT_AT_MOST_SECONDS: i64 = 3 * 24 * 3600;
/// The shortest wait if GitHub names none. The sweep runs every minute.
const WAIT_SHORTEST_SECONDS: i64 = 15;
/// The longest wait if GitHub names none.
const WAIT_LONGEST_SECONDS: i64 = 3600;
/// The longest wait for a token. A person who sets a new token wants to see that it works.
const TOKEN_WAIT_SECONDS: i64 = 300;

/// Which part of a log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPart {
    /// The whole log was read.
    Whole,
    /// The last [`LOG_END_BYTES`] were read, so the numbers of the lines are not known.
    End,
    /// The beginning was read, because the log has neither a length nor ranges and is longer than what is read.
    Beginning,
}

/// A remark for readers about what a verdict was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// GitHub does not give the log now. The verdict is made again when it does.
    LogAwaited,
    /// GitHub did not give the log in three days.
    LogGivenUp,
    /// The log is too long to be read to its end: its beginning was read.
    LogBeginning,
    /// The run has more than 300 jobs, and only the first 300 were looked at.
    JobsCut,
    /// The first failed job has no log, so the verdict is about the next one that has one.
    LaterJob,
    /// The run has more failed jobs than are looked into, and some were not.
    JobsUnread,
    /// The team's policy file could not be read, so neither its known issues nor its wish for retries counted.
    PolicyUnread,
    /// The team's policy file says something about failed runs that can't be followed.
    PolicyInvalid,
    /// What the pull request changes, or who owns its files, could not be read.
    ChangeUnread,
}

/// Why GitHub gives nothing now and may give it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// GitHub does not accept our token.
    TokenRefused,
    /// We asked too often, and GitHub says how long to wait.
    Limited(Duration),
    /// GitHub or its log storage is down. It may say how long to wait.
    Away(Option<Duration>),
}

/// Whether GitHub gives what it is asked for, as the API says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GithubStanding {
    /// GitHub gives what it is asked for.
    Works,
    /// There is no token to ask with.
    NoToken,
    /// GitHub does not accept the token.
    TokenRefused,
    /// GitHub limits our calls.
    Limited,
    /// GitHub or its log storage is down.
    Away,
    /// The token is accepted, but there is no run yet to try it on.
    Untried,
    /// The token does not see the run. It belongs to another repository, or it was deleted.
    Absent,
    /// The token lacks a permission.
    Refused,
    /// It is not known, or is a word of a later version.
    #[serde(other)]
    Unknown,
}

/// What to do with a delivery if GitHub gives nothing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Try again at `at`, in Unix seconds.
    Wait {
        /// When to try again, in Unix seconds.
        at: i64,
        /// Whether a verdict is stored in the meantime.
        tells: bool,
    },
    /// Use what there is and stop waiting.
    GiveUp,
}

/// The end of a log that streams by, in bounded memory.
#[derive(Default)]
pub struct LogEnd {
    bytes: Vec<u8>,
    read_bytes: u64,
}

// === impl Note ===

impl Note {
    /// Every kind of note.
    pub const ALL: [Self; 9] = [
        Self::LogAwaited,
        Self::LogGivenUp,
        Self::LogBeginning,
        Self::JobsCut,
        Self::LaterJob,
        Self::JobsUnread,
        Self::PolicyUnread,
        Self::PolicyInvalid,
        Self::ChangeUnread,
    ];

    /// A short, stable name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::LogAwaited => "log_awaited",
            Self::LogGivenUp => "log_given_up",
            Self::LogBeginning => "log_beginning",
            Self::JobsCut => "jobs_cut",
            Self::LaterJob => "later_job",
            Self::JobsUnread => "jobs_unread",
            Self::PolicyUnread => "policy_unread",
            Self::PolicyInvalid => "policy_invalid",
            Self::ChangeUnread => "change_unread",
        }
    }
}

// === impl Trouble ===

impl Trouble {
    /// The trouble that an answer means, if a later try may succeed.
    #[must_use]
    pub fn of(meaning: Meaning) -> Option<Self> {
        match meaning {
            Meaning::TokenRefused => Some(Self::TokenRefused),
            Meaning::Limited(wait) => Some(Self::Limited(wait)),
            Meaning::Away(wait) => Some(Self::Away(wait)),
            Meaning::Done | Meaning::Moved | Meaning::Absent | Meaning::Unprocessable | Meaning::Refused => {
                None
            }
        }
    }

    /// A short, stable name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::TokenRefused => "token_refused",
            Self::Limited(_) => "limited",
            Self::Away(_) => "away",
        }
    }

    /// The trouble without its times, as the API says it.
    #[must_use]
    pub fn standing(self) -> GithubStanding {
        match self {
            Self::TokenRefused => GithubStanding::TokenRefused,
            Self::Limited(_) => GithubStanding::Limited,
            Self::Away(_) => GithubStanding::Away,
        }
    }

    /// What to do with a delivery that was received at `received_at`. If GitHub names no wait, waits grow with the age
    /// of the delivery.
    #[must_use]
    pub fn plan(self, received_at: i64, now: i64) -> Plan {
        let age = now.saturating_sub(received_at).max(0);
        if age >= WAIT_AT_MOST_SECONDS {
            return Plan::GiveUp;
        }
        let by_age = age.clamp(WAIT_SHORTEST_SECONDS, WAIT_LONGEST_SECONDS);
        let wait = match self {
            Self::TokenRefused => by_age.min(TOKEN_WAIT_SECONDS),
            Self::Limited(wait) | Self::Away(Some(wait)) => {
                i64::try_from(wait.as_secs()).unwrap_or(WAIT_LONGEST_SECONDS).max(WAIT_SHORTEST_SECONDS)
            }
            Self::Away(None) => by_age,
        };
        // The last try comes when the time is over, not an hour later.
        let at = (now + wait).min(received_at + WAIT_AT_MOST_SECONDS);
        Plan::Wait { at, tells: age >= PATIENCE_SECONDS }
    }
}

// === impl LogEnd ===

impl LogEnd {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.read_bytes += piece.len() as u64;
        self.bytes.extend_from_slice(&piece[piece.len().saturating_sub(LOG_END_BYTES)..]);
        // Dropping only every second time moves each byte once.
        if self.bytes.len() > 2 * LOG_END_BYTES {
            self.bytes.drain(..self.bytes.len() - LOG_END_BYTES);
        }
    }

    /// The number of bytes that were pushed.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Whether more was pushed than is kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.read_bytes > LOG_END_BYTES as u64
    }

    /// The last [`LOG_END_BYTES`] that were pushed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(LOG_END_BYTES)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000;

    fn wait(trouble: Trouble, age: i64) -> i64 {
        match trouble.plan(NOW - age, NOW) {
            Plan::Wait { at, .. } => at - NOW,
            Plan::GiveUp => panic!("gave up at the age of {age} s"),
        }
    }

    #[test]
    fn githubs_own_time_is_waited_for_and_else_by_age_from_seconds_to_an_hour() {
        assert_eq!(wait(Trouble::Limited(Duration::from_secs(1234)), 0), 1234);
        assert_eq!(wait(Trouble::Away(Some(Duration::from_secs(90))), 9000), 90);
        assert_eq!([0, 20, 600, 7200].map(|age| wait(Trouble::Away(None), age)), [15, 20, 600, 3600]);
        assert_eq!([0, 7200].map(|age| wait(Trouble::TokenRefused, age)), [15, 300]);
    }

    #[test]
    fn after_five_minutes_a_verdict_is_told_and_after_three_days_the_log_is_given_up() {
        let tells = |age: i64| match Trouble::Away(None).plan(NOW - age, NOW) {
            Plan::Wait { tells, .. } => Some(tells),
            Plan::GiveUp => None,
        };
        assert_eq!(
            [0, 299, 300, 259_199, 259_200].map(tells),
            [Some(false), Some(false), Some(true), Some(true), None]
        );
        // The last try is at three days, not an hour after them.
        assert_eq!(wait(Trouble::Away(None), 259_100), 100);
    }

    #[test]
    fn only_what_may_pass_is_waited_for() {
        assert_eq!(Trouble::of(Meaning::TokenRefused), Some(Trouble::TokenRefused));
        for meaning in
            [Meaning::Done, Meaning::Moved, Meaning::Absent, Meaning::Unprocessable, Meaning::Refused]
        {
            assert_eq!(Trouble::of(meaning), None);
        }
    }

    #[test]
    fn a_note_is_stored_under_the_name_it_is_told_by() {
        for note in Note::ALL {
            assert_eq!(serde_json::to_value(note).unwrap(), note.label());
        }
    }

    proptest! {
        #[test]
        fn the_end_of_a_stream_is_kept_whatever_its_pieces(sizes in proptest::collection::vec(0usize..900_000, 0..8)) {
            let mut end = LogEnd::default();
            let mut all = Vec::new();
            for (index, size) in sizes.into_iter().enumerate() {
                let piece: Vec<u8> = (0..size).map(|at| (at * (index + 3)) as u8).collect();
                end.push(&piece);
                all.extend_from_slice(&piece);
            }
            prop_assert_eq!(end.bytes(), &all[all.len().saturating_sub(LOG_END_BYTES)..]);
            prop_assert_eq!(end.is_cut(), all.len() > LOG_END_BYTES);
        }
    }
}
