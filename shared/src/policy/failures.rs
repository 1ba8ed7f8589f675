//! The section `failures:`: a team's known issues, and which failed runs are tried again by themselves.

use crate::history::{KNOWN_MAX, KnownIssue, NewKnown};
use serde::Deserialize;
use serde_json::Value as Json;

/// The largest number of mistakes that are told.
const MISTAKES_MAX: usize = 20;

/// When a failed run is tried again without anybody asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetryOn {
    /// Its cause is flaky.
    Flaky,
    /// What it runs on failed, and trying again is likely to help.
    Infra,
}

/// What a team wants for its failed runs.
#[derive(Debug, Default)]
pub struct FailurePolicy {
    /// The known issues, in the order of the file.
    pub known: Vec<KnownIssue>,
    /// Sentences about what can't be followed, each with the key of what it is about.
    pub mistakes: Vec<String>,
    retry: Vec<RetryOn>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Section {
    known: Vec<Json>,
    retry: Json,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(RetryOn),
    Several(Vec<RetryOn>),
}

// === impl FailurePolicy ===

impl FailurePolicy {
    /// The defaults, with the reason why the file says nothing.
    #[must_use]
    pub fn unreadable(mistake: String) -> Self {
        Self { mistakes: vec![mistake], ..Self::default() }
    }

    /// Whether runs that fail so are tried again.
    #[must_use]
    pub fn retries(&self, on: RetryOn) -> bool {
        self.retry.contains(&on)
    }

    fn mistake(&mut self, mistake: String) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(mistake);
        }
    }
}

impl From<Section> for FailurePolicy {
    fn from(section: Section) -> Self {
        let mut policy = Self::default();
        match section.retry {
            Json::Null => {}
            retry => match serde_json::from_value(retry) {
                Ok(OneOrSeveral::One(on)) => policy.retry.push(on),
                Ok(OneOrSeveral::Several(on)) => policy.retry = on,
                Err(_) => policy.mistake("failures.retry is flaky, infra, or a list of these".to_owned()),
            },
        }
        if section.known.len() > KNOWN_MAX {
            policy.mistake(format!(
                "failures.known has more than {KNOWN_MAX} entries; those after them are left out"
            ));
        }
        for (at, entry) in section.known.into_iter().take(KNOWN_MAX).enumerate() {
            let name = format!("failures.known[{at}]");
            let read = serde_json::from_value::<NewKnown>(entry).map_err(|error| error.to_string());
            match read.and_then(|new| new.check()) {
                Ok(issue) => policy.known.push(KnownIssue { entry: Some(name), ..issue }),
                Err(mistake) => policy.mistake(format!("{name}: {mistake}")),
            }
        }
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(yaml: &str) -> FailurePolicy {
        crate::policy::failures(yaml)
    }

    #[test]
    fn a_team_names_its_known_issues_and_what_is_tried_again() {
        let yaml = "
failures:
  retry: [flaky, infra]
  known:
    - text: could not reach registry.corp
      advice: The registry restarts at noon. Run again.
      link: https://wiki.corp/registry
      retry: true
    - regex: 'license server .* busy'
      advice: Ask #tools for a seat.
";
        let policy = policy(yaml);
        assert_eq!(policy.mistakes, [""; 0]);
        assert!(policy.retries(RetryOn::Flaky) && policy.retries(RetryOn::Infra));
        let told: Vec<_> = policy
            .known
            .iter()
            .map(|issue| (issue.entry.as_deref(), issue.pattern.as_str(), issue.retry))
            .collect();
        assert_eq!(
            told,
            [
                (Some("failures.known[0]"), "could not reach registry.corp", true),
                (Some("failures.known[1]"), "license server .* busy", false),
            ]
        );
    }

    #[test]
    fn nothing_is_tried_again_unless_a_team_says_so() {
        for yaml in ["", "failures: {}", "failures:\n  known: []\n", "review: {}"] {
            let policy = policy(yaml);
            assert!(!policy.retries(RetryOn::Flaky) && !policy.retries(RetryOn::Infra));
            assert!(policy.known.is_empty() && policy.mistakes.is_empty(), "{yaml}: {:?}", policy.mistakes);
        }
    }

    #[test]
    fn a_bad_entry_closes_only_itself_and_is_named() {
        let yaml = "
failures:
  retry: always
  known:
    - {text: 'a known line', advice: wait}
    - {regex: '(', advice: wait}
    - {text: 'one', regex: 'two', advice: wait}
    - {text: 'no space left', advise: wait}
    - {text: 'no advice at all'}
    - {text: 'a bad link', advice: wait, link: 'http://wiki'}
    - just words
";
        let policy = policy(yaml);
        assert_eq!(policy.known.len(), 1, "{:?}", policy.mistakes);
        let named = [
            "failures.retry is flaky, infra",
            "failures.known[1]: regex",
            "failures.known[2]: either text or regex",
            "failures.known[3]: unknown field `advise`",
            "failures.known[4]: advice",
            "failures.known[5]: link",
            "failures.known[6]: ",
        ];
        assert_eq!(policy.mistakes.len(), named.len(), "{:?}", policy.mistakes);
        for (mistake, named) in policy.mistakes.iter().zip(named) {
            assert!(mistake.starts_with(named), "{mistake} does not name {named}");
        }
    }

    #[test]
    fn more_entries_than_the_limit_are_left_out_and_said_to_be() {
        let entries = "    - {text: 'some text', advice: wait}\n".repeat(KNOWN_MAX + 5);
        let policy = policy(&format!("failures:\n  known:\n{entries}"));
        assert_eq!(policy.known.len(), KNOWN_MAX);
        assert!(policy.mistakes[0].contains("more than"), "{:?}", policy.mistakes);
    }
}
