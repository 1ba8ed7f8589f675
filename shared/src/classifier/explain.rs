//! Explains a verdict by occlusion: how far the predicted class's score falls when one term is absent.
//!
//! Each number is one counterfactual, so the drops of the terms do not add up to the score. Therefore they are named
//! `drop`, not `contribution`.

use super::{Classifier, Prediction};
use crate::excerpt::{ERROR_PREFIX, Excerpt, Line, mask_line};
use crate::features::{BLOCKS, FeatureVector, Patterns, Pipeline};
use crate::redact::redact;
use crate::text;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The largest number of terms in an explanation.
pub const TERMS: usize = 5;

/// A feature that was present, and its effect on the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// The vocabulary term, or `field=level`.
    pub term: String,
    /// How far the predicted class's raw score falls without it; above 0.
    pub drop: f32,
}

/// Why a class was predicted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Explanation {
    /// The strongest terms, strongest first; only terms that raised the score.
    pub terms: Vec<Term>,
    /// The line that is likeliest the cause, without secrets; of lines that were not ranked, the one that holds most of that
    /// strength.
    pub line: Option<Line>,
}

impl Explanation {
    /// Explains `prediction`, made from `features` of `excerpt`.
    #[must_use]
    pub fn of(
        prediction: &Prediction,
        features: &FeatureVector,
        excerpt: &Excerpt,
        classifier: &Classifier,
        pipeline: &Pipeline,
        patterns: &Patterns,
    ) -> Self {
        let drops = drops(prediction, features, classifier);
        let mut ranked: Vec<_> = drops.iter().filter(|(_, drop)| **drop > 0.0).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
        let terms = ranked
            .iter()
            .take(TERMS)
            .map(|(column, drop)| Term { term: pipeline.name(**column), drop: **drop })
            .collect();
        let line = excerpt.likeliest().next().or_else(|| deciding_line(&drops, excerpt, pipeline, patterns));
        // From here on it is shown and stored.
        let line =
            line.map(|line| Line { number: line.number, text: text::line(&redact(&line.text)).into_owned() });
        Self { terms, line }
    }
}

/// The drop of every present column that some tree uses.
fn drops(prediction: &Prediction, features: &FeatureVector, classifier: &Classifier) -> HashMap<usize, f32> {
    let class = prediction.class.index();
    let forest = classifier.forest();
    let mut row = features.values().to_vec();
    let score = forest.class_score(&row, class);
    let mut drops = HashMap::new();
    for column in (0..row.len()).filter(|column| forest.uses(*column)) {
        let present = row[column];
        if present == 0.0 || present.is_nan() {
            continue;
        }
        row[column] = if column < BLOCKS[0].width { f32::NAN } else { 0.0 };
        drops.insert(column, (score - forest.class_score(&row, class)) as f32);
        row[column] = present;
    }
    drops
}

/// The line whose terms lower the score most; the earlier one if two are equal. None if no line has such a term.
fn deciding_line<'a>(
    drops: &HashMap<usize, f32>,
    excerpt: &'a Excerpt,
    pipeline: &Pipeline,
    patterns: &Patterns,
) -> Option<&'a Line> {
    let mut best: Option<(&Line, f32)> = None;
    let mut text = String::new();
    for line in &excerpt.lines {
        text.clear();
        let reports_error = mask_line(&line.text, &mut text);
        let prefixes = if reports_error { &["", ERROR_PREFIX][..] } else { &[""] };
        patterns.push_terms(&line.text, prefixes, &mut text);
        let counts = pipeline.tfidf.counts(&text);
        // In one order, because a sum of floats depends on it, and with it which of two equal lines is named.
        let columns: BTreeSet<_> = counts.keys().collect();
        let strength: f32 = columns
            .into_iter()
            .filter_map(|column| drops.get(&(BLOCKS[2].start + *column as usize)))
            .filter(|drop| **drop > 0.0)
            .sum();
        if strength > best.map_or(0.0, |(_, strength)| strength) {
            best = Some((line, strength));
        }
    }
    best.map(|(line, _)| line)
}
