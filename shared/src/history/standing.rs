//! What the past of a failure says to a developer.

use super::flaky::is_flaky;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The fewest other failures of a repository that must be remembered before one of its failures is called new. On the first
/// day everything is new, and that says nothing.
pub const NEW_KNOWN_MIN: u64 = 5;
/// The fewest failures from which one was seen before: this one and another.
const SEEN_MIN: u64 = 2;
/// The fewest failures on the default branch from which it is said to be failing. One is enough, since the branch has not
/// been green after it.
const MAIN_MIN: u64 = 1;
/// After so many seconds without a failure, 30 days, the default branch is not said to fail, although no green run was seen.
const MAIN_STALE_SECONDS: i64 = 30 * DAY;
/// How the sentence about a failing default branch ends for those who work on another.
pub(super) const NOT_YOURS: &str = ": probably not your change.";
/// The number of digits of a commit that people read.
const SHA_DIGITS: usize = 7;
/// The longest name of a branch that is told, in characters.
const BRANCH_CHARS: usize = 100;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What is stored about the past of one failure. Times are Unix seconds. What is not known is 0, empty or None.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// When this failure happened.
    pub failed_at: i64,
    /// The commit of this failure.
    pub head_sha: String,
    /// The branch of this failure.
    pub branch: String,
    /// Whether that is the default branch of the repository.
    pub on_default: bool,
    /// Whether this failure passed on retry.
    pub this_passed: bool,
    /// Whether its cause says only that something failed ([`is_vague`](super::is_vague)). Then only its own retry is told,
    /// because other failures with this cause may have nothing in common with it.
    pub vague: bool,
    /// How many other failures of the repository are remembered, of whatever cause.
    pub known: u64,
    /// How many failures have this cause, this one included.
    pub times: u64,
    /// How many of them passed on retry.
    pub passed: u64,
    /// The first failure with this cause.
    pub first_at: Option<i64>,
    /// The last other failure with this cause: when, and on which branch.
    pub last_at: Option<i64>,
    /// The branch of the last other failure with this cause.
    pub last_branch: Option<String>,
    /// The name of the default branch.
    pub main_branch: Option<String>,
    /// How many failures with this cause the same workflow had on the default branch since it was last green there; 0 if it
    /// is green.
    pub main_times: u64,
    /// The first of these failures.
    pub main_since_at: Option<i64>,
    /// The commit of the first of these failures.
    pub main_since_sha: Option<String>,
    /// The last of these failures.
    pub main_last_at: Option<i64>,
    /// The first green run of the workflow on this failure's branch after the last failure with this cause there.
    pub fixed_at: Option<i64>,
    /// The commit of that run.
    pub fixed_sha: Option<String>,
}

/// What kind of past a failure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The default branch fails with it too, and did before.
    FailingOnMain,
    /// This failure went away on the same commit.
    PassedOnRetry,
    /// Failures with this cause often pass on retry.
    Flaky,
    /// A later commit ended it.
    Fixed,
    /// Other failures have the same cause.
    SeenBefore,
    /// No other failure has this cause.
    New,
}

/// One sentence about the past of a failure, with the numbers that it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingLine {
    /// What kind of past it tells.
    pub standing: Standing,
    /// The sentence, with names of branches between backticks.
    pub sentence: String,
    /// How many observations it tells: failures with the cause, or those that passed on retry.
    pub count: u64,
    /// Of how many, where it tells a share.
    pub of: Option<u64>,
}

// === impl Standing ===

impl Standing {
    /// All sentences that can be said about a failure, the most useful first. `now` is in Unix seconds.
    #[must_use]
    pub fn of(seen: &Seen, now: i64) -> Vec<StandingLine> {
        if seen.vague {
            return passed_on_retry(seen).into_iter().collect();
        }
        let lines = [
            failing_on_main(seen, now),
            passed_on_retry(seen),
            flaky(seen),
            fixed(seen, now),
            seen_before(seen, now),
            new(seen),
        ];
        lines.into_iter().flatten().collect()
    }

    /// The name for programs, such as `failing_on_main`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::FailingOnMain => "failing_on_main",
            Self::PassedOnRetry => "passed_on_retry",
            Self::Flaky => "flaky",
            Self::Fixed => "fixed",
            Self::SeenBefore => "seen_before",
            Self::New => "new",
        }
    }

    fn line(self, sentence: String, count: u64, of: Option<u64>) -> StandingLine {
        StandingLine { standing: self, sentence, count, of }
    }
}

fn failing_on_main(seen: &Seen, now: i64) -> Option<StandingLine> {
    let since = seen.main_since_at?;
    let last = seen.main_last_at.unwrap_or(since);
    // A branch that fails first takes the failure to the default branch when it is merged.
    let was_there = if seen.on_default { since < seen.failed_at } else { since <= seen.failed_at };
    if seen.main_times < MAIN_MIN || !was_there || now.saturating_sub(last) > MAIN_STALE_SECONDS {
        return None;
    }
    let branch = quoted(seen.main_branch.as_deref().unwrap_or("main"));
    let when = since_commit(seen.main_since_sha.as_deref(), since, now);
    let often = times(seen.main_times);
    let sentence = if seen.on_default {
        format!("{branch} has been failing with this since {when}, {often}.")
    } else {
        format!("Already failing on {branch} since {when}, {often}{NOT_YOURS}")
    };
    Some(Standing::FailingOnMain.line(sentence, seen.main_times, None))
}

fn passed_on_retry(seen: &Seen) -> Option<StandingLine> {
    let sentence = || "Passed on retry, on the same commit.".to_owned();
    seen.this_passed.then(|| Standing::PassedOnRetry.line(sentence(), 1, None))
}

fn flaky(seen: &Seen) -> Option<StandingLine> {
    let sentence = || format!("Flaky: passed on retry {} of {} times.", seen.passed, seen.times);
    is_flaky(seen.times, seen.passed).then(|| Standing::Flaky.line(sentence(), seen.passed, Some(seen.times)))
}

fn fixed(seen: &Seen, now: i64) -> Option<StandingLine> {
    let (at, sha) = (seen.fixed_at?, short(seen.fixed_sha.as_deref()?)?);
    // A green run of the same commit changed nothing.
    let by_change = seen.fixed_sha.as_deref() != Some(seen.head_sha.as_str());
    let sentence = || format!("Fixed by {sha} ({}).", ago(at, now));
    (at >= seen.failed_at && by_change).then(|| Standing::Fixed.line(sentence(), seen.times, None))
}

fn seen_before(seen: &Seen, now: i64) -> Option<StandingLine> {
    if seen.times < SEEN_MIN {
        return None;
    }
    let since = seen.first_at.map_or(String::new(), |first| format!(" since {}", day(first, now)));
    let last = match (seen.last_branch.as_deref().filter(|branch| !branch.is_empty()), seen.last_at) {
        (Some(branch), Some(at)) => format!(", last on {} {}", quoted(branch), ago(at, now)),
        (Some(branch), None) => format!(", last on {}", quoted(branch)),
        (None, Some(at)) => format!(", last {}", ago(at, now)),
        (None, None) => String::new(),
    };
    let was_fixed = seen.fixed_at.filter(|at| *at < seen.failed_at);
    let back = was_fixed.zip(seen.fixed_sha.as_deref().and_then(short));
    let back = back.map_or(String::new(), |(at, sha)| {
        format!(" It was fixed by {sha} on {}, and is back.", day(at, now))
    });
    let sentence = format!("Seen {}{since}{last}.{back}", times(seen.times));
    Some(Standing::SeenBefore.line(sentence, seen.times, None))
}

fn new(seen: &Seen) -> Option<StandingLine> {
    let sentence =
        || format!("New: first seen here, among {} remembered failures.", seen.known.saturating_add(1));
    let is_new = seen.times < SEEN_MIN && seen.known >= NEW_KNOWN_MIN;
    is_new.then(|| Standing::New.line(sentence(), 1, None))
}

/// `1a2b3c4 (2 h ago)`, or the time alone.
fn since_commit(sha: Option<&str>, at: i64, now: i64) -> String {
    match sha.and_then(short) {
        Some(sha) => format!("{sha} ({})", ago(at, now)),
        None => ago(at, now),
    }
}

/// The first digits of a commit; None if it is none.
fn short(sha: &str) -> Option<&str> {
    sha.get(..SHA_DIGITS).filter(|sha| sha.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// The name of a branch between backticks. Whoever names a branch cannot leave them.
fn quoted(branch: &str) -> String {
    let name: String =
        branch.chars().filter(|char| *char != '`' && !char.is_control()).take(BRANCH_CHARS).collect();
    format!("`{name}`")
}

/// How long ago something was, in one unit: `now`, `5 min ago`, `2 h ago`, `3 days ago`.
fn ago(at: i64, now: i64) -> String {
    let seconds = now.saturating_sub(at);
    match seconds {
        ..MINUTE => "just now".to_owned(),
        MINUTE..HOUR => format!("{} min ago", seconds / MINUTE),
        HOUR..DAY => format!("{} h ago", seconds / HOUR),
        _ => match seconds / DAY {
            1 => "1 day ago".to_owned(),
            days => format!("{days} days ago"),
        },
    }
}

/// The date, as in `3 March`, with its year if that is another than now.
fn day(at: i64, now: i64) -> String {
    let date = |at| OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    let (at, now) = (date(at), date(now));
    let year = if at.year() == now.year() { String::new() } else { format!(" {}", at.year()) };
    format!("{} {}{year}", at.day(), at.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-20 12:00:00 UTC.
    const NOW: i64 = 1_774_008_000;

    fn seen() -> Seen {
        Seen {
            failed_at: NOW - 60,
            head_sha: "f".repeat(40),
            branch: "fix/a".into(),
            times: 1,
            ..Seen::default()
        }
    }

    fn said(seen: &Seen) -> Vec<String> {
        Standing::of(seen, NOW).into_iter().map(|line| line.sentence).collect()
    }

    #[test]
    fn a_first_failure_is_new_once_enough_others_are_remembered() {
        assert_eq!(said(&Seen { known: 4, ..seen() }), [""; 0]);
        assert_eq!(
            said(&Seen { known: 5, ..seen() }),
            ["New: first seen here, among 6 remembered failures."]
        );
    }

    #[test]
    fn a_failure_that_was_seen_says_how_often_since_when_and_where_last() {
        let often = Seen {
            times: 14,
            first_at: Some(NOW - 17 * DAY),
            last_at: Some(NOW - 2 * HOUR),
            last_branch: Some("main".into()),
            ..seen()
        };
        assert_eq!(said(&often), ["Seen 14 times since 3 March, last on `main` 2 h ago."]);
        let long_ago = Seen { first_at: Some(NOW - 400 * DAY), times: 2, last_at: None, ..often };
        assert_eq!(said(&long_ago), ["Seen twice since 13 February 2025, last on `main`."]);
    }

    #[test]
    fn what_fails_on_the_default_branch_is_probably_not_the_change_of_another() {
        let red = Seen {
            main_branch: Some("trunk".into()),
            main_times: 3,
            main_since_at: Some(NOW - 2 * HOUR),
            main_since_sha: Some("1a2b3c4d5e6f".into()),
            main_last_at: Some(NOW - HOUR),
            ..seen()
        };
        assert_eq!(
            said(&red),
            ["Already failing on `trunk` since 1a2b3c4 (2 h ago), 3 times: probably not your change."]
        );
        let itself = Seen { on_default: true, ..red.clone() };
        assert_eq!(said(&itself), ["`trunk` has been failing with this since 1a2b3c4 (2 h ago), 3 times."]);
        let later = Seen { main_since_at: Some(NOW), ..red.clone() };
        assert_eq!(said(&later), [""; 0], "the branch failed first");
        let stale =
            Seen { main_since_at: Some(NOW - 90 * DAY), main_last_at: Some(NOW - 40 * DAY), ..red.clone() };
        assert_eq!(said(&stale), [""; 0], "nobody has seen it there for a month");
        let green = Seen { main_times: 0, main_since_at: None, ..red };
        assert_eq!(said(&green), [""; 0]);
    }

    #[test]
    fn the_first_failure_of_the_default_branch_is_not_told_as_its_past() {
        let first = Seen {
            on_default: true,
            main_times: 1,
            main_since_at: Some(NOW - 60),
            main_last_at: Some(NOW - 60),
            ..seen()
        };
        assert_eq!(said(&first), [""; 0]);
    }

    #[test]
    fn what_passes_on_retry_is_called_flaky_with_its_share() {
        let flaky = Seen { times: 6, passed: 5, ..seen() };
        assert_eq!(said(&flaky), ["Flaky: passed on retry 5 of 6 times.", "Seen 6 times."]);
        let line = &Standing::of(&flaky, NOW)[0];
        assert_eq!((line.standing, line.count, line.of), (Standing::Flaky, 5, Some(6)));
        let this = Seen { this_passed: true, passed: 1, ..seen() };
        assert_eq!(said(&this), ["Passed on retry, on the same commit."]);
    }

    #[test]
    fn of_a_vague_cause_nothing_is_said_but_what_became_of_this_failure() {
        let vague =
            Seen { vague: true, times: 6, passed: 5, main_times: 3, main_since_at: Some(1), ..seen() };
        assert_eq!(said(&vague), [""; 0]);
        assert_eq!(said(&Seen { this_passed: true, ..vague }), ["Passed on retry, on the same commit."]);
    }

    #[test]
    fn what_a_later_commit_ended_names_it_and_what_returns_says_so() {
        let fixed = Seen { fixed_at: Some(NOW), fixed_sha: Some("4d5e6f7a".into()), ..seen() };
        assert_eq!(said(&fixed), ["Fixed by 4d5e6f7 (just now)."]);
        let same = Seen { fixed_sha: Some("f".repeat(40)), ..fixed.clone() };
        assert_eq!(said(&same), [""; 0], "the same commit is no fix");
        let back = Seen { times: 3, fixed_at: Some(NOW - 5 * DAY), ..fixed };
        assert_eq!(said(&back), ["Seen 3 times. It was fixed by 4d5e6f7 on 15 March, and is back."]);
    }

    #[test]
    fn a_branch_cannot_leave_its_backticks() {
        let named = Seen { times: 2, last_branch: Some("a`\n# big".into()), ..seen() };
        assert_eq!(said(&named), ["Seen twice, last on `a# big`."]);
    }

    #[test]
    fn extreme_times_are_told_without_a_panic() {
        for at in [i64::MIN, -1, 0, i64::MAX] {
            let extreme = Seen {
                failed_at: at,
                times: u64::MAX,
                passed: u64::MAX,
                known: u64::MAX,
                first_at: Some(at),
                last_at: Some(at),
                main_times: u64::MAX,
                main_since_at: Some(at),
                fixed_at: Some(at),
                fixed_sha: Some("é4d5e6f7".into()),
                ..seen()
            };
            for now in [i64::MIN, 0, i64::MAX] {
                let _ = Standing::of(&extreme, now);
            }
        }
    }

    #[test]
    fn the_label_is_the_name_in_json() {
        for standing in [
            Standing::FailingOnMain,
            Standing::PassedOnRetry,
            Standing::Flaky,
            Standing::Fixed,
            Standing::SeenBefore,
            Standing::New,
        ] {
            assert_eq!(serde_json::to_string(&standing).unwrap(), format!("\"{}\"", standing.label()));
        }
    }
}
