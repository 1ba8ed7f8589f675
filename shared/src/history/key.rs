//! What failures have in common.

use super::masked::{masked, masked_name, says_only_that_it_failed};
use crate::classifier::Verdict;
use crate::facts::{Facts, PlaceKind};
use crate::failure::FailureClass;
use crate::hex;
use sha2::{Digest, Sha256};

/// The largest number of failing tests that a cause is told by. More than these seldom fail each for a reason of its own:
/// a service was not up, or a fixture broke. Which of them fail then varies, so that 40 and 41 failing tests with one
/// deciding line are one cause. Up to this many, one more or one less is another cause.
pub const TESTS_IN_KEY_MAX: usize = 10;

/// The number of bytes of a digest that a key shows: enough that no two causes of a repository meet by chance.
const KEY_BYTES: usize = 8;

/// What failures have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What failures with this cause share.
    pub key: CauseKey,
    /// The most likely class, whether or not the verdict was confident enough to say it: a verdict a little under its
    /// threshold does not part what belongs together.
    pub class: &'static str,
    /// The tool that reported the failing tests, if there are any.
    pub tool: Option<String>,
    /// The deciding line, as the log has it, without GitHub's marker; empty if there is none.
    pub line: String,
    /// The names of the failing tests, sorted; at most as many as [`Facts`] holds.
    pub tests: Vec<String>,
}

/// The name of a cause, 16 digits of a SHA-256. The same in every run, on every branch and runner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CauseKey(String);

// === impl Cause ===

impl Cause {
    /// The cause of a failure.
    #[must_use]
    pub fn of(verdict: &Verdict, facts: &Facts) -> Self {
        let class = verdict.prediction.class;
        let line = verdict.explanation.line.as_ref().map_or("", |line| line.text.as_str());
        let line = line.strip_prefix("##[error]").unwrap_or(line).trim();
        let mut tests: Vec<String> = facts.failing_tests.iter().map(|test| test.name.clone()).collect();
        tests.sort_unstable();
        tests.dedup();
        let tool = facts.failing_tests.first().map(|test| format!("{:?}", test.tool).to_lowercase());
        let parts = told_by(class, line, &tests, facts);
        let key = CauseKey::of(class.name(), tool.as_deref().unwrap_or_default(), &parts);
        Self { key, class: class.name(), tool, line: line.to_owned(), tests }
    }
}

/// What tells this cause from others of its class.
fn told_by(_class: FailureClass, line: &str, tests: &[String], facts: &Facts) -> Vec<String> {
    let total = usize::try_from(facts.failing_tests_total).unwrap_or(usize::MAX).max(tests.len());
    if !tests.is_empty() && total <= TESTS_IN_KEY_MAX {
        return tests.iter().map(|name| masked_name(name)).collect();
    }
    let line = tests.iter().fold(line.to_owned(), |line, name| line.replace(name.as_str(), " "));
    if !says_only_that_it_failed(&line) {
        return vec![masked(&line)];
    }
    let place = facts.places.iter().find(|place| place.kind == PlaceKind::Error);
    let place = place
        .map(|place| masked(&format!("{} {}", place.path, place.message.as_deref().unwrap_or_default())));
    let missing = facts.missing.first().map(|missing| masked(&missing.name));
    std::iter::once(masked(&line)).chain(place.or(missing)).collect()
}

// === impl CauseKey ===

impl CauseKey {
    fn of(class: &str, tool: &str, parts: &[String]) -> Self {
        let mut digest = Sha256::new();
        for part in [class, tool].into_iter().chain(parts.iter().map(String::as_str)) {
            digest.update(part.as_bytes());
            // No masked text holds it, so that two parts never read as one.
            digest.update([0]);
        }
        Self(hex::encode(&digest.finalize()[..KEY_BYTES]))
    }

    /// The 16 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key with these 16 lower-case digits; None for anything else.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == 2 * KEY_BYTES && digits.bytes().all(is_digit)).then(|| Self(digits.to_owned()))
    }
}
