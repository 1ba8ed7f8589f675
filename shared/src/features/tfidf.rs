//! `TfidfVectorizer(vocabulary=…, ngram_range=(1, n), sublinear_tf=True, stop_words=…, lowercase=True,
//! token_pattern="(?u)\b\w\w+\b", norm="l2", smooth_idf=True)` over masked text.
//!
//! Masked text is ASCII, so a token is a run of two or more letters, digits and underscores.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Columns of the text block; a smaller vocabulary leaves the last ones at zero.
pub const VOCABULARY_WIDTH: usize = 600;
/// Longest n-gram, in words.
const NGRAM_MAX: usize = 3;

/// The fitted parameters of the TF-IDF vectorizer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Fitted", into = "Fitted")]
pub struct Tfidf {
    fitted: Fitted,
    columns: HashMap<String, u32>,
    /// The words of all terms.
    words: HashSet<String>,
    stop_words: HashSet<String>,
}

/// The stored result of fitting.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fitted {
    /// Terms in column order.
    vocabulary: Vec<String>,
    /// `idf_`, in column order.
    idf: Vec<f64>,
    /// Words dropped before n-grams are formed.
    stop_words: Vec<String>,
    /// The number of words in the longest n-gram.
    ngram_max: usize,
}

// === impl Tfidf ===

impl From<Fitted> for Tfidf {
    fn from(fitted: Fitted) -> Self {
        let columns = fitted.vocabulary.iter().cloned().zip(0..).collect();
        let stop_words = fitted.stop_words.iter().cloned().collect();
        let words = fitted.vocabulary.iter().flat_map(|term| term.split(' ')).map(str::to_owned).collect();
        Self { fitted, columns, words, stop_words }
    }
}

impl From<Tfidf> for Fitted {
    fn from(tfidf: Tfidf) -> Self {
        tfidf.fitted
    }
}

impl Tfidf {
    pub(super) fn validate(&self) -> Result<()> {
        let terms = self.fitted.vocabulary.len();
        if terms > VOCABULARY_WIDTH || terms != self.fitted.idf.len() || terms != self.columns.len() {
            return Err(Error::ModelInvalid(format!(
                "a vocabulary of {terms} terms that don't fit their weights"
            )));
        }
        if !(1..=NGRAM_MAX).contains(&self.fitted.ngram_max) {
            return Err(Error::ModelInvalid(format!("n-grams of {} words", self.fitted.ngram_max)));
        }
        Ok(())
    }

    /// The term of a column of this block.
    #[must_use]
    pub fn term(&self, column: usize) -> Option<&str> {
        self.fitted.vocabulary.get(column).map(String::as_str)
    }

    /// The columns of the terms in `text`, with how often each occurs.
    #[must_use]
    pub fn counts(&self, text: &str) -> HashMap<u32, u32> {
        let mut counts = HashMap::new();
        let mut window: [&str; NGRAM_MAX] = [""; NGRAM_MAX];
        let mut filled = 0;
        let mut ngram = String::new();
        for word in words(text).filter(|word| !self.stop_words.contains(*word)) {
            window.rotate_left(1);
            window[NGRAM_MAX - 1] = word;
            filled = NGRAM_MAX.min(filled + 1);
            for length in 1..=filled.min(self.fitted.ngram_max) {
                ngram.clear();
                for (at, part) in window[NGRAM_MAX - length..].iter().enumerate() {
                    if at > 0 {
                        ngram.push(' ');
                    }
                    ngram.push_str(part);
                }
                if let Some(column) = self.columns.get(&ngram) {
                    *counts.entry(*column).or_insert(0) += 1;
                }
            }
        }
        counts
    }

    /// How many vocabulary terms `text` has, and which share of its words is in none of them.
    #[must_use]
    pub fn coverage(&self, text: &str) -> (usize, f64) {
        let (mut all, mut unknown) = (0usize, 0usize);
        for word in words(text).filter(|word| !self.stop_words.contains(*word)) {
            all += 1;
            unknown += usize::from(!self.words.contains(word));
        }
        (self.counts(text).len(), unknown as f64 / all.max(1) as f64)
    }

    /// Writes the weights of `text` into `columns`, of which the untouched ones must be zero.
    pub fn transform(&self, text: &str, columns: &mut [f32]) {
        let mut weights: Vec<(usize, f64)> = self
            .counts(text)
            .into_iter()
            .map(|(column, count)| {
                (column as usize, (f64::from(count).ln() + 1.0) * self.fitted.idf[column as usize])
            })
            .collect();
        // In column order, so that the sum below is the same on every machine.
        weights.sort_unstable_by_key(|(column, _)| *column);
        let norm = weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        for (column, weight) in weights {
            columns[column] = (weight / norm) as f32;
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_')).filter(|word| word.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tfidf() -> Tfidf {
        Tfidf::from(Fitted {
            vocabulary: vec!["not found".into(), "disk".into()],
            idf: vec![2.0, 1.0],
            stop_words: vec!["the".into()],
            ngram_max: 2,
        })
    }

    #[test]
    fn stop_words_are_dropped_before_n_grams_are_formed() {
        assert_eq!(tfidf().counts("not the found x"), HashMap::from([(0, 1)]));
    }

    #[test]
    fn weights_are_sublinear_and_of_unit_length() {
        let mut columns = [0f32; VOCABULARY_WIDTH];
        tfidf().transform("disk disk not found", &mut columns);
        let disk = 2f64.ln() + 1.0;
        let norm = (disk * disk + 4.0).sqrt();
        assert!((f64::from(columns[1]) - disk / norm).abs() < 1e-6);
        assert!((f64::from(columns[0]) - 2.0 / norm).abs() < 1e-6);
    }

    #[test]
    fn text_without_a_known_term_is_all_zeros_and_not_nan() {
        let mut columns = [0f32; VOCABULARY_WIDTH];
        tfidf().transform("", &mut columns);
        assert!(columns.iter().all(|x| *x == 0.0));
    }
}
