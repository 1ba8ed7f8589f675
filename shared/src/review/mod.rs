//! Turns the lines of a pull request into a review.
//!
//! [`plan`] chooses what is read, [`policy`] holds the team's rules, [`certain`] has the deterministic checks,
//! [`select`] turns scores into findings and chooses what is shown, [`render`] writes the text, and [`receipt`]
//! accounts for everything that was seen. The model, GitHub and the database belong to the node.

pub mod certain;
pub mod command;
pub mod language;
pub mod plan;
pub mod policy;
pub mod receipt;
pub mod render;
pub mod select;
pub mod text;

use crate::diff::Hunk;
use crate::hex;
use crate::redact::redact;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// A pull request at one commit, to be reviewed once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewJob {
    /// The idempotency key: [`ReviewJob::key_of`], followed by the comment's id if a person asked again.
    pub key: String,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The pull request's number.
    pub number: u64,
    /// The head of the base branch, if the event names it.
    pub base_sha: Option<String>,
    /// The commit to review. None for a request in a comment, which is about the head at that moment.
    pub head_sha: Option<String>,
    /// The App installation the delivery came through.
    pub installation_id: Option<u64>,
}

/// How much a finding matters, in the order of the model's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A matter of taste.
    Nit,
    /// An improvement that is worth considering.
    Suggestion,
    /// The line is likely wrong.
    Bug,
    /// Likely wrong, and costly.
    Critical,
}

/// The aspect that a finding is about, in the order of the model's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Category {
    Style,
    Naming,
    Logic,
    Performance,
    Security,
    ErrorHandling,
    Testing,
    Documentation,
    Complexity,
    Duplication,
    Typing,
    Other,
}

/// What the model says about one piece of a hunk.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The calibrated probability that something here is repaired later.
    pub needs_comment: f32,
    /// A probability for each severity, in the order of [`Severity::ALL`]. They sum to 1.
    pub severity: [f32; 4],
    /// A probability for each category, in the order of [`Category::ALL`]. They sum to 1.
    pub category: [f32; 12],
    /// A score for each added line that was read, in order. A higher score means a more likely line; the scale is
    /// arbitrary.
    pub lines: Vec<f32>,
}

/// A line that needs a second look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The path in the new tree.
    pub path: String,
    /// The line in the new file, counted from 1.
    pub line: u32,
    /// How much the finding matters.
    pub severity: Severity,
    /// The aspect that the finding is about.
    pub category: Category,
    /// The confidence, from 0 to 1.
    pub confidence: f32,
    /// The line itself, without secrets.
    pub text: String,
    /// The lines around it as a diff shows them, without secrets; empty if an older version stored the finding.
    #[serde(default)]
    pub hunk: String,
    /// The model or the check that made the finding.
    pub origin: Origin,
    /// The suggested line, if the repair is certain; empty to remove the line. None if it would hold a secret.
    pub suggestion: Option<String>,
}

/// The origin of a finding: the model or a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The review model made it.
    Model,
    /// A deterministic check made it.
    Check(certain::Check),
}

/// The part of a finding that does not depend on its place.
struct Said {
    severity: Severity,
    category: Category,
    confidence: f32,
    origin: Origin,
    suggestion: Option<String>,
}

// === impl ReviewJob ===

impl ReviewJob {
    /// The key of the first review of a commit.
    #[must_use]
    pub fn key_of(repository: &str, number: u64, head_sha: &str) -> String {
        format!("{repository}#{number}@{head_sha}")
    }

    /// The key of a job that a comment asks for.
    #[must_use]
    pub fn key_of_comment(repository: &str, number: u64, comment_id: u64) -> String {
        format!("{repository}#{number}@comment-{comment_id}")
    }
}

// === impl Severity ===

impl Severity {
    /// Every value, in the order of the model's outputs.
    pub const ALL: [Self; 4] = [Self::Nit, Self::Suggestion, Self::Bug, Self::Critical];

    /// The name on the wire, in a policy and in a comment.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Nit => "nit",
            Self::Suggestion => "suggestion",
            Self::Bug => "bug",
            Self::Critical => "critical",
        }
    }

    /// The severity with this name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.label() == label)
    }
}

// === impl Category ===

impl Category {
    /// In the model's order.
    pub const ALL: [Self; 12] = [
        Self::Style,
        Self::Naming,
        Self::Logic,
        Self::Performance,
        Self::Security,
        Self::ErrorHandling,
        Self::Testing,
        Self::Documentation,
        Self::Complexity,
        Self::Duplication,
        Self::Typing,
        Self::Other,
    ];

    /// Its name on the wire, in a policy and in a comment.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Style => "style",
            Self::Naming => "naming",
            Self::Logic => "logic",
            Self::Performance => "performance",
            Self::Security => "security",
            Self::ErrorHandling => "error_handling",
            Self::Testing => "testing",
            Self::Documentation => "documentation",
            Self::Complexity => "complexity",
            Self::Duplication => "duplication",
            Self::Typing => "typing",
            Self::Other => "other",
        }
    }

    /// The category with this name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.label() == label)
    }
}

// === impl Score ===

impl Score {
    /// The likeliest severity and category.
    #[must_use]
    pub fn judgement(&self) -> (Severity, Category) {
        (Severity::ALL[likeliest(&self.severity)], Category::ALL[likeliest(&self.category)])
    }
}

/// The index of the largest value, the first of equals.
fn likeliest(values: &[f32]) -> usize {
    let best = values.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(index, _)| index)
}

// === impl Finding ===

impl Finding {
    /// Makes a finding about the added line `line` of `hunk`. Secrets are removed from what it quotes.
    fn new(path: &str, hunk: &Hunk<'_>, line: u32, text: &str, said: Said) -> Self {
        let Said { severity, category, confidence, origin, suggestion } = said;
        Self {
            path: path.to_owned(),
            line,
            severity,
            category,
            confidence,
            text: crate::text::line(&redact(text)).into_owned(),
            hunk: text::around(hunk, line),
            origin,
            suggestion: suggestion.filter(|repair| matches!(redact(repair), Cow::Borrowed(_))),
        }
    }

    /// Identifies the finding even if its line moves: a hash of path, category and text, as 16 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let parts = [self.path.as_str(), self.category.label(), self.text.trim()];
        hex::encode(&Sha256::digest(parts.join("\0"))[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        assert!(Severity::ALL.iter().all(|severity| Severity::parse(severity.label()) == Some(*severity)));
        assert!(Category::ALL.iter().all(|category| Category::parse(category.label()) == Some(*category)));
        assert_eq!(serde_json::to_string(&Category::ErrorHandling).unwrap(), "\"error_handling\"");
    }

    #[test]
    fn of_equally_likely_classes_the_first_is_taken() {
        assert_eq!(likeliest(&[0.2, 0.4, 0.4]), 1);
        assert_eq!(likeliest(&[]), 0);
    }
}
