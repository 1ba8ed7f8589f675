//! The distribution of each feature in training, and the bin that a new value falls into.

use crate::classifier::Verdict;
use crate::features::{NUMERICS, Tfidf};
use serde::{Deserialize, Serialize};

/// The distribution of each feature in training: the `drift.json` of a model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// The features in the order of the report.
    pub features: Vec<Reference>,
}

/// The histogram of one feature in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The name of a numeric or categorical feature, or `text_terms`, `text_unknown_share`, `confidence` or
    /// `prediction`.
    pub feature: String,
    /// The bins that values are sorted into.
    #[serde(flatten)]
    pub bins: Bins,
    /// The number of training records in each bin.
    pub counts: Vec<u64>,
}

/// The bins of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bins {
    /// Inner edges in rising order. A value is in bin `i` if `i` edges are at most as large. Both ends are open.
    Edges(Vec<f64>),
    /// Names of levels. The last bin is for every other level.
    Levels(Vec<String>),
}

// === impl Baseline ===

impl Baseline {
    /// The cell that `verdict` falls into, for each feature that it has a value of.
    #[must_use]
    pub fn cells(&self, verdict: &Verdict, tfidf: &Tfidf) -> Vec<(String, u32)> {
        let (terms, unknown_share) = tfidf.coverage(&verdict.telemetry.text);
        let numerics = verdict.telemetry.numerics();
        let value = |feature: &str| match feature {
            "text_terms" => Some(terms as f64),
            "text_unknown_share" => Some(unknown_share),
            "confidence" => Some(f64::from(verdict.prediction.confidence)),
            name => NUMERICS.iter().position(|numeric| *numeric == name).and_then(|at| numerics[at]),
        };
        let level = |feature: &str| match feature {
            "prediction" => Some(verdict.prediction.verdict()),
            name => verdict.telemetry.categories.level(name).filter(|level| !level.is_empty()),
        };
        let cell = |reference: &Reference| {
            let bin = match &reference.bins {
                Bins::Edges(edges) => bin_of(edges, value(&reference.feature)?),
                Bins::Levels(levels) => level_of(levels, level(&reference.feature)?),
            };
            Some((reference.feature.clone(), bin))
        };
        self.features.iter().filter_map(cell).collect()
    }
}

impl Reference {
    pub(super) fn size(&self) -> usize {
        match &self.bins {
            Bins::Edges(edges) => edges.len() + 1,
            Bins::Levels(levels) => levels.len() + 1,
        }
    }
}

fn bin_of(edges: &[f64], value: f64) -> u32 {
    edges.iter().filter(|edge| **edge <= value).count() as u32
}

fn level_of(levels: &[String], level: &str) -> u32 {
    levels.iter().position(|known| known == level).unwrap_or(levels.len()) as u32
}
