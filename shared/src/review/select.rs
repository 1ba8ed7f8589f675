//! Chooses the findings that are worth a person's time.
//!
//! Precision comes first, because noise is the most common complaint about review bots. Every finding that is not shown
//! is counted with its reason.

use super::policy::Policy;
use super::{Finding, Origin, Said, Score, Severity};
use crate::diff::Hunk;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The findings that are shown, and counts of those that are not.
#[derive(Debug, Default, PartialEq)]
pub struct Selection {
    /// The findings to show, the most urgent first.
    pub shown: Vec<Finding>,
    /// The number of other findings, by reason.
    pub withheld: BTreeMap<Withheld, u32>,
}

/// Why a finding is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// The confidence is too low for the severity, or the severity is below the policy's minimum.
    BelowThreshold,
    /// The policy does not want this category.
    Category,
    /// Another finding points at the same line, or says the same about the same text.
    SameLine,
    /// An earlier review of this pull request has this finding.
    AlreadySaid,
    /// The review has its largest number of comments already.
    OverCap,
}

/// The model's finding in one piece of a hunk, on the most likely added line.
#[must_use]
pub fn finding_of(path: &str, piece: &Hunk<'_>, score: &Score) -> Option<Finding> {
    let (severity, category) = score.judgement();
    let scored = piece.added().zip(&score.lines);
    // Of equals the first; a line without letters or digits is never what someone should look at.
    let says_something = |text: &str| text.chars().any(char::is_alphanumeric);
    let ((line, added), _) = scored
        .filter(|((_, added), _)| says_something(added.text))
        .reduce(|best, other| if other.1 > best.1 { other } else { best })?;
    let confidence = score.needs_comment;
    let said = Said { severity, category, confidence, origin: Origin::Model, suggestion: None };
    Some(Finding::new(path, piece, line, added.text, said))
}

/// Chooses what is shown. `thresholds` are the model's own, per severity. `said` holds the fingerprints of the findings
/// that earlier reviews of the pull request show.
#[must_use]
pub fn select(
    mut findings: Vec<Finding>,
    policy: &Policy,
    thresholds: &BTreeMap<Severity, f32>,
    said: &BTreeSet<String>,
) -> Selection {
    findings.sort_by(|a, b| {
        urgency(b).total_cmp(&urgency(a)).then_with(|| (&a.path, a.line).cmp(&(&b.path, b.line)))
    });
    let mut selection = Selection::default();
    let (mut lines, mut prints) = (BTreeSet::new(), BTreeSet::new());
    for finding in findings {
        let print = finding.fingerprint();
        let is_certain_enough = match finding.origin {
            Origin::Check(_) => finding.severity >= policy.min_severity,
            Origin::Model => policy.admits(finding.severity, finding.confidence, thresholds),
        };
        let reason = if !is_certain_enough {
            Some(Withheld::BelowThreshold)
        } else if !policy.wants(finding.category) {
            Some(Withheld::Category)
        } else if said.contains(&print) {
            Some(Withheld::AlreadySaid)
        } else if prints.contains(&print) || lines.contains(&(finding.path.clone(), finding.line)) {
            Some(Withheld::SameLine)
        } else if selection.shown.len() >= policy.max_comments {
            Some(Withheld::OverCap)
        } else {
            None
        };
        if reason.is_none() || reason == Some(Withheld::AlreadySaid) {
            // A line that is commented on already is not commented on in other words.
            lines.insert((finding.path.clone(), finding.line));
        }
        if let Some(reason) = reason {
            *selection.withheld.entry(reason).or_default() += 1;
            continue;
        }
        prints.insert(print);
        selection.shown.push(finding);
    }
    selection
}

/// Estimates in one number what missing the finding would cost.
fn urgency(finding: &Finding) -> f32 {
    let weight = match finding.severity {
        Severity::Nit => 1.0,
        Severity::Suggestion => 2.0,
        Severity::Bug => 3.0,
        Severity::Critical => 4.0,
    };
    weight * finding.confidence
}

impl Withheld {
    /// The name in a receipt and on a metric.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::BelowThreshold => "below_threshold",
            Self::Category => "category",
            Self::SameLine => "same_line",
            Self::AlreadySaid => "already_said",
            Self::OverCap => "over_cap",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Category;
    use super::*;
    use crate::diff::parse_patch;

    fn finding(path: &str, line: u32, severity: Severity, confidence: f32) -> Finding {
        Finding {
            path: path.to_owned(),
            line,
            severity,
            category: Category::Logic,
            confidence,
            text: format!("line {line}"),
            hunk: String::new(),
            origin: Origin::Model,
            suggestion: None,
        }
    }

    #[test]
    fn the_likeliest_line_that_says_something_is_pointed_at() {
        let piece = parse_patch("@@ -1 +1,4 @@\n a\n+b\n+}\n+c\n").unwrap().remove(0);
        let score = Score {
            needs_comment: 0.7,
            severity: [0.0, 0.0, 1.0, 0.0],
            category: [0.0; 12],
            lines: vec![0.2, 0.9, 0.5],
        };
        let finding = finding_of("x.rs", &piece, &score).unwrap();
        assert_eq!((finding.line, finding.text.as_str(), finding.severity), (4, "c", Severity::Bug));
    }

    #[test]
    fn the_urgent_are_shown_up_to_the_cap_and_each_other_one_is_counted() {
        let findings = vec![
            finding("a", 1, Severity::Suggestion, 0.9),
            finding("a", 1, Severity::Bug, 0.8),
            finding("b", 2, Severity::Critical, 0.7),
            finding("c", 3, Severity::Bug, 0.7),
            finding("d", 4, Severity::Bug, 0.65),
            finding("e", 5, Severity::Bug, 0.1),
            finding("f", 6, Severity::Bug, 0.9),
        ];
        let said = BTreeSet::from([finding("f", 60, Severity::Nit, 0.0)].map(|mut old| {
            old.text = "line 6".into();
            old.fingerprint()
        }));
        let thresholds = Severity::ALL.map(|severity| (severity, 0.6)).into();
        let selection = select(findings, &Policy::default(), &thresholds, &said);
        let shown: Vec<&str> = selection.shown.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(shown, ["b", "a", "c"]);
        let withheld: Vec<(&str, u32)> =
            selection.withheld.iter().map(|(why, n)| (why.label(), *n)).collect();
        assert_eq!(
            withheld,
            [("below_threshold", 1), ("same_line", 1), ("already_said", 1), ("over_cap", 1)]
        );
    }
}
