//! pandas' `get_dummies(drop_first=True)` with the levels of the training data. The base level and unknown levels are
//! all zeros.

use serde::{Deserialize, Serialize};

/// (field, level) of each column. Base levels: CircleCI, C++, Linux, AWS, build, CRITICAL.
pub const COLUMNS: [(&str, &str); 19] = [
    ("ci_tool", "GitHub Actions"),
    ("ci_tool", "GitLab CI"),
    ("ci_tool", "Jenkins"),
    ("ci_tool", "Travis CI"),
    ("language", "Go"),
    ("language", "Java"),
    ("language", "JavaScript"),
    ("language", "Python"),
    ("language", "Rust"),
    ("os", "Windows"),
    ("os", "macOS"),
    ("cloud_provider", "Azure"),
    ("cloud_provider", "GCP"),
    ("cloud_provider", "On-Premise"),
    ("failure_stage", "deploy"),
    ("failure_stage", "test"),
    ("severity", "HIGH"),
    ("severity", "LOW"),
    ("severity", "MEDIUM"),
];

/// The six categoricals; an empty or unlisted level is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Categories {
    /// The CI system that ran the job.
    pub ci_tool: String,
    /// The main language of the project.
    pub language: String,
    /// The operating system of the runner.
    pub os: String,
    /// The cloud that the run used.
    pub cloud_provider: String,
    /// `build`, `test` or `deploy`.
    pub failure_stage: String,
    /// `CRITICAL`, `HIGH`, `MEDIUM` or `LOW`.
    pub severity: String,
}

impl Categories {
    /// The level of the field called `field`, if there is such a field.
    #[must_use]
    pub fn level(&self, field: &str) -> Option<&str> {
        Some(match field {
            "ci_tool" => &self.ci_tool,
            "language" => &self.language,
            "os" => &self.os,
            "cloud_provider" => &self.cloud_provider,
            "failure_stage" => &self.failure_stage,
            "severity" => &self.severity,
            _ => return None,
        })
    }
}

pub(super) fn transform(categories: &Categories, columns: &mut [f32]) {
    for (column, (field, level)) in columns.iter_mut().zip(COLUMNS) {
        *column = f32::from(u8::from(categories.level(field) == Some(level)));
    }
}
