//! The memory of failures: causes, runs and tests.

use crate::failure::FailureClass;
use crate::history::{
    Fault, NewKnown, RetryAdvice, Seen, Standing, StandingLine, Telling, Trial, first_line, retry,
    standing_beside,
};
use crate::kind::FailureKind;
use crate::store::history::causes::{CauseBranch, CauseRow};
use crate::store::history::known::KnownRow;
use crate::store::history::retries::RetryRow;
use crate::store::history::runs::{FailureRow, Recovery, RedBranch, RunRow};
use crate::store::history::tests::TestRow;
use serde::{Deserialize, Serialize};

/// The answer of `GET /api/causes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Causes {
    /// The causes, the last seen first.
    pub causes: Vec<CauseRow>,
    /// The value of `before` that continues the list; None at its end.
    pub next: Option<i64>,
}

/// What is said of a failure before its details.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The few sentences to read first: what broke, what its past says, and what to do. Names stand between backticks. Empty
    /// if there is no failure.
    pub told: String,
    /// What was known of it from before, the most useful first.
    pub standing: Vec<StandingLine>,
    /// Whether running it again is likely to help; None if nothing tells, or if it passed on retry.
    pub retry_advice: Option<RetryAdvice>,
}

/// The answer of `GET /api/cause`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CauseDetail {
    /// The cause.
    pub cause: CauseRow,
    /// What is said of its last failure.
    #[serde(flatten)]
    pub about: Told,
    /// Where it occurs, the default branch first.
    pub branches: Vec<CauseBranch>,
    /// Its last failures, the newest first.
    pub failures: Vec<FailureRow>,
}

/// The answer of `GET /api/run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    /// The run; None if only deliveries about its jobs arrived.
    pub run: Option<RunRow>,
    /// What is said of the headline.
    #[serde(flatten)]
    pub about: Told,
    /// The failed jobs, the headline first.
    pub failures: Vec<FailureRow>,
    /// That it was tried again without anybody asking; None if it was not.
    pub retry: Option<RetryRow>,
}

/// The answer of `GET /api/failure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureDetail {
    /// The failed job.
    pub failure: FailureRow,
    /// What is said of it.
    #[serde(flatten)]
    pub about: Told,
    /// That its run was tried again without anybody asking; None if it was not.
    pub retry: Option<RetryRow>,
}

/// The answer of `GET /api/tests`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tests {
    /// The tests, those first that passed most often when they were tried again.
    pub tests: Vec<TestRow>,
}

/// The answer of `GET /api/red`: what needs somebody now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Red {
    /// What is red on default branches, the latest first.
    pub branches: Vec<RedBranch>,
    /// How long default branches stayed red of late.
    pub recovery: Recovery,
    /// The tests that are called flaky, at most ten.
    pub flaky_tests: Vec<TestRow>,
}

/// The answer of `GET /api/known`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownList {
    /// The known issues of a repository that were made from causes' pages, the oldest first: in this order they win. Those of
    /// the policy file come before them.
    pub known: Vec<KnownRow>,
}

/// The request of `POST /api/known`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KnownRequest {
    /// The repository as `owner/name`.
    pub repository: String,
    /// Whether the pattern is only tried, and not kept.
    #[serde(default)]
    pub dry_run: bool,
    /// The known issue.
    pub issue: NewKnown,
}

/// The answer of `POST /api/known`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAnswer {
    /// How many causes of the last 30 days the pattern claims.
    pub trial: Trial,
    /// Why it is too wide to be kept; None if it is not.
    pub too_wide: Option<String>,
    /// What was kept; None after a dry run.
    pub known: Option<KnownRow>,
}

// === impl Told ===

impl Told {
    /// What is said at `now`, in Unix seconds, of a failure whose past is `seen`.
    #[must_use]
    pub fn of(failure: &FailureRow, seen: Option<&Seen>, now: i64) -> Self {
        let change = failure.change.as_ref();
        let past = seen.map(|seen| Standing::of(seen, now)).unwrap_or_default();
        let standing = standing_beside(past.clone(), change);
        let likeliest = || FailureClass::parse(failure.top[0]["class"].as_str()?);
        let named = failure.corrected.as_deref().and_then(FailureClass::parse);
        let certain = named.or_else(|| FailureClass::parse(&failure.prediction));
        let Some(class) = certain.or_else(likeliest) else { return Self { standing, ..Self::default() } };
        // The kind is one of the class that the model named.
        let kind = failure.kind.as_deref().and_then(FailureKind::parse).filter(|kind| kind.class() == class);
        let fault = Fault::parse(&failure.fault).unwrap_or(Fault::Unknown);
        let advice = match &failure.known {
            Some(known) => format!("A known issue: {}", known.advice),
            None => failure.advice.clone().unwrap_or_default(),
        };
        let told = first_line(&Telling {
            class,
            is_probable: certain.is_none(),
            kind,
            line: failure.log_line.as_ref().map_or("", |line| &line.text),
            facts: &failure.facts,
            advice: &advice,
            fault,
            change,
            standing: &past,
        });
        let seen = seen.filter(|_| failure.passed_at.is_none());
        let retry_advice = seen.and_then(|seen| retry(class, kind, fault, seen));
        Self { told, standing, retry_advice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn failure(changes: &Json) -> FailureRow {
        let mut row = json!({
            "id": 1, "repository": "o/r", "is_headline": true, "run_id": 1, "run_attempt": 1, "job_id": 1, "workflow": "CI",
            "job": "unit", "step": null, "branch": "main", "head_sha": "1a2b3c4d5e", "trigger": "push", "author": "ann",
            "pull": null, "failed_at": "2026-01-31T00:00:00Z", "passed_at": null, "prediction": "Network Error",
            "confidence": 0.9, "top": [{ "class": "Network Error", "confidence": 0.9 }],
            "log_line": { "number": 7, "text": "getaddrinfo EAI_AGAIN host" }, "html_url": null, "cause_id": 1, "cause_times": 1,
            "kind": "dns", "fault": "platform", "advice": "Run it again.", "docs": "", "facts": {}, "around": [],
            "corrected": null, "known": null, "remarks": [],
        });
        let fields = row.as_object_mut().unwrap();
        fields.extend(changes.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    fn told(changes: &Json) -> Told {
        Told::of(&failure(changes), Some(&Seen { times: 1, ..Seen::default() }), 0)
    }

    #[test]
    fn a_failure_is_told_by_its_kind_its_line_and_what_to_do() {
        let said = told(&json!({}));
        assert_eq!(
            said.told,
            "DNS: `getaddrinfo EAI_AGAIN host`. Not your code: what it runs on failed. Run it again."
        );
        assert!(said.retry_advice.is_some_and(|advice| advice.helps));
    }

    #[test]
    fn an_uncertain_class_is_told_as_probable_and_a_persons_class_as_it_is() {
        let unsure = told(&json!({ "prediction": "Unknown", "kind": null }));
        assert!(unsure.told.starts_with("Probably Network Error: "), "{}", unsure.told);
        let corrected = told(&json!({ "prediction": "Unknown", "corrected": "Timeout" }));
        assert!(corrected.told.starts_with("Timeout: "), "{}", corrected.told);
    }

    #[test]
    fn a_known_issue_says_what_to_do_and_what_passed_needs_no_other_try() {
        let known = json!({ "text": "EAI_AGAIN", "advice": "Wait for the resolver.", "link": null });
        let said = told(&json!({ "known": known, "passed_at": "2026-01-31T00:00:01Z" }));
        assert!(said.told.ends_with("A known issue: Wait for the resolver."), "{}", said.told);
        assert_eq!(said.retry_advice, None);
    }
}
