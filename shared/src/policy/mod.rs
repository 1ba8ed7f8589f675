//! A team's settings: `.github/sentinel.yml` on the base branch.
//!
//! The head's version does not count, because a pull request must not choose how it is judged. The file has a section for
//! reviews and one for failed runs. Who reads one does not look into the other: a mistake there is not theirs.

mod failures;

pub use failures::{FailurePolicy, RetryOn};

use crate::review::policy::{Policy, ReviewSection};
use crate::{Error, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The path of the policy file.
pub const PATH: &str = ".github/sentinel.yml";
/// The largest policy file that is read. Its two lists at their limits are shorter.
pub const LIMIT_BYTES: usize = 64 * 1024;
/// How deep values may stand in each other in the file. Its own are at most five deep, and the parser's time grows with the
/// depth.
const DEPTH_MAX: usize = 64;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OfReviews {
    review: ReviewSection,
    #[serde(rename = "failures")]
    _failures: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OfFailures {
    #[serde(rename = "review")]
    _review: IgnoredAny,
    failures: failures::Section,
}

/// What the file says about reviews. An empty file has the defaults.
///
/// # Errors
/// [`Error::PolicyInvalid`] with the key and its place.
pub fn review(yaml: &str) -> Result<Policy> {
    let file: OfReviews = parse(yaml)?;
    Policy::try_from(file.review)
}

/// What the file says about failed runs. What can't be followed is left out, and named in
/// [`FailurePolicy::mistakes`]: one entry of a list closes only itself.
#[must_use]
pub fn failures(yaml: &str) -> FailurePolicy {
    match parse(yaml) {
        Ok(OfFailures { failures, .. }) => FailurePolicy::from(failures),
        Err(error) => FailurePolicy::unreadable(error.to_string()),
    }
}

fn parse<T: for<'de> Deserialize<'de> + Default>(yaml: &str) -> Result<T> {
    if yaml.len() > LIMIT_BYTES {
        return Err(Error::PolicyInvalid(format!("it is larger than {LIMIT_BYTES} bytes")));
    }
    if deepest_flow(yaml) > DEPTH_MAX {
        return Err(Error::PolicyInvalid(format!("more than {DEPTH_MAX} brackets are open at once")));
    }
    let file: Option<T> =
        serde_yaml_ng::from_str(yaml).map_err(|error| Error::PolicyInvalid(error.to_string()))?;
    Ok(file.unwrap_or_default())
}

/// How many brackets are open at once, at most. Those in texts count too.
fn deepest_flow(yaml: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in yaml.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests bound the time that hostile input takes")]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_team_writes_yaml() {
        let policy =
            review("review:\n  language: de\n  max_comments: 5\n  thresholds: {bug: 0.8}\n").unwrap();
        assert_eq!(policy.max_comments, 5);
        assert!(review("").unwrap().enabled);
        assert!(review("review: {max_coments: 1}").unwrap_err().to_string().contains("max_coments"));
    }

    #[test]
    fn a_mistake_in_one_section_does_not_close_the_other() {
        let yaml = "review: {max_coments: 1}\nfailures: {retry: flaky}\n";
        assert!(review(yaml).is_err());
        let of_failures = failures(yaml);
        assert_eq!((of_failures.mistakes.len(), of_failures.retries(RetryOn::Flaky)), (0, true));
        let yaml = "review: {max_comments: 1}\nfailures: {retries: flaky}\n";
        assert_eq!(review(yaml).unwrap().max_comments, 1);
        assert!(failures(yaml).mistakes[0].contains("retries"), "{:?}", failures(yaml).mistakes);
        for both in ["reviews: {}\n", "[1]", "- - -", "a: b: c"] {
            assert!(review(both).is_err() && failures(both).mistakes.len() == 1, "{both}");
        }
    }

    #[test]
    fn a_file_that_is_made_to_be_slow_is_refused_in_time() {
        let anchors: String =
            (1..60).map(|at| format!("a{at}: &a{at} [{}]\n", format!("*a{},", at - 1).repeat(9))).collect();
        let hostile = [
            "[".repeat(60_000),
            "{a: ".repeat(15_000),
            "- ".repeat(30_000),
            "? ".repeat(30_000),
            format!("failures: &a0 [x]\n{anchors}"),
            "a: ".repeat(20_000),
            "\"".repeat(60_001),
            "x".repeat(LIMIT_BYTES + 1),
        ];
        for yaml in hostile {
            let begun = Instant::now();
            let start: String = yaml.chars().take(20).collect();
            assert!(!failures(&yaml).mistakes.is_empty() && review(&yaml).is_err(), "{start} is no policy");
            assert!(begun.elapsed() < Duration::from_secs(2), "{start}: {:?}", begun.elapsed());
        }
    }
}
