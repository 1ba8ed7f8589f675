//! A team's settings for reviews: the section `review:` of its policy file ([`crate::policy`]).

use super::{Category, Severity};
use crate::{Error, Result};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The largest `max_comments` that a policy may set.
pub const COMMENTS_MAX: usize = 20;
/// The largest number of patterns in one list.
const GLOBS_MAX: usize = 200;

/// The section `review:`. Every key has a default.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReviewSection {
    enabled: bool,
    drafts: bool,
    max_comments: usize,
    min_severity: Severity,
    thresholds: BTreeMap<Severity, f32>,
    categories: Option<Vec<Category>>,
    ignore: Vec<String>,
    only: Vec<String>,
    language: Speech,
}

/// The language comments are written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speech {
    /// Comments are written in English.
    #[default]
    En,
    /// Comments are written in German.
    De,
}

/// A policy that was checked.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether pull requests are reviewed at all.
    pub enabled: bool,
    /// Whether drafts are reviewed too.
    pub drafts: bool,
    /// The largest number of comments in one review.
    pub max_comments: usize,
    /// Findings below it are not shown.
    pub min_severity: Severity,
    /// The language in which comments are written.
    pub speech: Speech,
    thresholds: BTreeMap<Severity, f32>,
    categories: Option<Vec<Category>>,
    ignore: GlobSet,
    only: Option<GlobSet>,
}

/// Paths that are always left out, because nobody writes these files by hand.
const IGNORED: [&str; 22] = [
    "**/vendor/**",
    "**/third_party/**",
    "**/node_modules/**",
    "**/dist/**",
    "**/__snapshots__/**",
    "**/testdata/**",
    "**/fixtures/**",
    "**/*.lock",
    "**/package-lock.json",
    "**/pnpm-lock.yaml",
    "**/go.sum",
    "**/*.min.js",
    "**/*.min.css",
    "**/*.map",
    "**/*.snap",
    "**/*.pb.go",
    "**/*_pb2.py",
    "**/*_pb2_grpc.py",
    "**/*.g.cs",
    "**/*.designer.cs",
    "**/*.generated.*",
    "**/*_generated.*",
];

// === impl Policy ===

impl Policy {
    /// The defaults without any ignored path, for a caller who names the file.
    #[must_use]
    pub fn all() -> Self {
        Self { ignore: GlobSet::empty(), ..Self::default() }
    }

    /// Whether a finding of this severity and confidence, by a model with these thresholds, is worth a comment.
    #[must_use]
    pub fn admits(&self, severity: Severity, confidence: f32, model: &BTreeMap<Severity, f32>) -> bool {
        let threshold = self.thresholds.get(&severity).or_else(|| model.get(&severity)).copied();
        // A severity without a threshold has not earned any trust.
        severity >= self.min_severity && threshold.is_some_and(|threshold| confidence >= threshold)
    }

    /// Whether the policy wants findings of this category.
    #[must_use]
    pub fn wants(&self, category: Category) -> bool {
        self.categories.as_ref().is_none_or(|wanted| wanted.contains(&category))
    }

    /// Whether files of this path are left out.
    #[must_use]
    pub fn ignores(&self, path: &str) -> bool {
        self.ignore.is_match(path) || self.only.as_ref().is_some_and(|only| !only.is_match(path))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::try_from(ReviewSection::default()).expect("the defaults are valid")
    }
}

impl TryFrom<ReviewSection> for Policy {
    type Error = Error;

    fn try_from(section: ReviewSection) -> Result<Self> {
        let invalid = |what: String| Err(Error::PolicyInvalid(what));
        if section.max_comments > COMMENTS_MAX {
            return invalid(format!("review.max_comments is at most {COMMENTS_MAX}"));
        }
        if let Some((severity, _)) = section.thresholds.iter().find(|(_, at)| !(0.0..=1.0).contains(*at)) {
            return invalid(format!("review.thresholds.{} is a probability from 0 to 1", severity.label()));
        }
        let ignored: Vec<&str> =
            IGNORED.into_iter().chain(section.ignore.iter().map(String::as_str)).collect();
        let only: Vec<&str> = section.only.iter().map(String::as_str).collect();
        Ok(Self {
            enabled: section.enabled,
            drafts: section.drafts,
            max_comments: section.max_comments,
            min_severity: section.min_severity,
            speech: section.language,
            thresholds: section.thresholds,
            categories: section.categories,
            ignore: globs("review.ignore", &ignored)?,
            only: if only.is_empty() { None } else { Some(globs("review.only", &only)?) },
        })
    }
}

impl Default for ReviewSection {
    fn default() -> Self {
        Self {
            enabled: true,
            drafts: false,
            max_comments: 3,
            min_severity: Severity::Nit,
            thresholds: BTreeMap::new(),
            categories: None,
            ignore: Vec::new(),
            only: Vec::new(),
            language: Speech::En,
        }
    }
}

fn globs(key: &str, patterns: &[&str]) -> Result<GlobSet> {
    let invalid = |what: String| Error::PolicyInvalid(format!("{key}: {what}"));
    if patterns.len() > GLOBS_MAX {
        return Err(invalid(format!("at most {GLOBS_MAX} patterns")));
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.map_err(|error| invalid(error.to_string()))?);
    }
    set.build().map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> Result<Policy> {
        crate::policy::review(json)
    }

    #[test]
    fn without_a_file_nothing_written_by_a_program_is_reviewed() {
        let policy = Policy::default();
        for path in ["Cargo.lock", "web/package-lock.json", "vendor/x/y.go", "a/x.min.js", "api/x.pb.go"] {
            assert!(policy.ignores(path), "{path}");
        }
        assert!(!policy.ignores("src/vendor.rs"));
        assert_eq!((policy.enabled, policy.drafts, policy.max_comments), (true, false, 3));
    }

    #[test]
    fn a_team_narrows_what_it_wants_to_hear() {
        let policy = policy(
            r#"{"review":{"only":["src/**"],"ignore":["src/old/*.rs"],"categories":["logic"],"min_severity":"bug",
                "thresholds":{"bug":0.7}}}"#,
        )
        .unwrap();
        assert!(policy.ignores("docs/a.rs") && policy.ignores("src/old/a.rs") && !policy.ignores("src/a.rs"));
        assert!(policy.wants(Category::Logic) && !policy.wants(Category::Style));
        let model =
            BTreeMap::from([(Severity::Suggestion, 0.1), (Severity::Bug, 0.9), (Severity::Critical, 0.8)]);
        assert!(policy.admits(Severity::Bug, 0.75, &model), "the team's threshold goes before the model's");
        assert!(!policy.admits(Severity::Suggestion, 0.99, &model), "below the least severity");
        assert!(!policy.admits(Severity::Critical, 0.75, &model));
        assert!(!Policy::default().admits(Severity::Nit, 1.0, &BTreeMap::new()), "no threshold, no trust");
    }

    #[test]
    fn a_mistake_is_named() {
        let mistakes = [
            (r#"{"review":{"max_coments":3}}"#, "max_coments"),
            (r#"{"review":{"max_comments":21}}"#, "at most 20"),
            (r#"{"review":{"thresholds":{"bug":7}}}"#, "thresholds.bug"),
            (r#"{"review":{"ignore":["a[" ]}}"#, "review.ignore"),
        ];
        for (json, named) in mistakes {
            let error = policy(json).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
