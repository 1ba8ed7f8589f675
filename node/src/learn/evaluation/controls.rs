//! The controls that a review model must beat: no model at all, the size of the hunk, and its words without their
//! order.
//!
//! `python -m sentinel_review controls` fits them on the training split. They ship beside the model, so that any data
//! set can be scored with them.

use crate::learn::labelled_hunks::Input;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sentinel_shared::diff::Place;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The width of the hash in bits. The bag has 2 to this power places.
pub const BAG_BITS: u32 = 16;

/// The controls that the trainer fitted, as `controls.json` holds them.
#[derive(Deserialize)]
pub struct Controls {
    /// Logistic regression on the logarithm of the added lines.
    size: LogisticLine,
    bag_of_words: Bag,
    /// The same, fitted on everything that the model learned from, if that is more than the training split.
    bag_of_more_words: Option<Bag>,
}

#[derive(Deserialize)]
struct LogisticLine {
    slope: f64,
}

/// Logistic regression on a hashed bag of words.
#[derive(Deserialize)]
struct Bag {
    /// The weights: one signed byte for each place, in base64.
    weights: String,
    #[serde(skip)]
    decoded: Vec<i8>,
}

// === impl Controls ===

impl Controls {
    /// Reads `controls.json`.
    ///
    /// # Errors
    /// The file has another format.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let mut controls: Self = serde_json::from_slice(json).context("controls.json")?;
        controls.bag_of_words.decode()?;
        controls.bag_of_more_words.as_mut().map_or(Ok(()), Bag::decode)?;
        Ok(controls)
    }

    /// The score of the size control. The scale is arbitrary.
    #[must_use]
    pub fn by_size(&self, input: &Input<'_>) -> f64 {
        self.size.slope * (1.0 + input.hunk.added().count() as f64).ln()
    }

    /// The score of a [`bag`]. The scale is arbitrary.
    #[must_use]
    pub fn by_words(&self, bag: &BTreeMap<u32, f64>) -> f64 {
        self.bag_of_words.score(bag)
    }

    /// The same with the weights that were fitted on more data, if there are any.
    #[must_use]
    pub fn by_more_words(&self, bag: &BTreeMap<u32, f64>) -> Option<f64> {
        self.bag_of_more_words.as_ref().map(|more| more.score(bag))
    }
}

// === impl Bag ===

impl Bag {
    fn decode(&mut self) -> Result<()> {
        let bytes = BASE64_STANDARD.decode(&self.weights).context("controls.json")?;
        ensure!(bytes.len() == 1 << BAG_BITS, "controls.json holds {} weights", bytes.len());
        self.decoded = bytes.into_iter().map(u8::cast_signed).collect();
        Ok(())
    }

    fn score(&self, bag: &BTreeMap<u32, f64>) -> f64 {
        bag.iter().map(|(place, value)| f64::from(self.decoded[*place as usize]) * value).sum()
    }
}

/// The words of a hunk, each with the mark of its line, and the words of its path. The result has hashed places, each
/// with the logarithm of its count, scaled to length 1.
#[must_use]
pub fn bag(input: &Input<'_>) -> BTreeMap<u32, f64> {
    let mut counts = BTreeMap::new();
    let mut put = |mark: char, word: &str| *counts.entry(place(mark, word)).or_insert(0_u32) += 1;
    words(input.path).for_each(|word| put('P', word));
    put('L', input.language.name());
    for line in &input.hunk.lines {
        let mark = match line.place {
            Place::Added { .. } => '+',
            Place::Removed { .. } => '-',
            Place::Context { .. } => ' ',
        };
        words(line.text).for_each(|word| put(mark, word));
    }
    let logs: BTreeMap<u32, f64> =
        counts.into_iter().map(|(place, count)| (place, f64::from(count).ln_1p())).collect();
    let length = logs.values().map(|value| value * value).sum::<f64>().sqrt();
    logs.into_iter().map(|(place, value)| (place, value / length)).collect()
}

/// Splits text into runs of letters, digits and underscores, and runs of other visible characters.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let kind = |letter: char| match letter {
        _ if letter.is_whitespace() => 0,
        '_' => 1,
        _ if letter.is_alphanumeric() => 1,
        _ => 2,
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = kind(rest.chars().next()?);
        let end = rest.find(|letter| kind(letter) != first).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Hashes a word with FNV-1a, folded to the width of the bag.
fn place(mark: char, word: &str) -> u32 {
    let bytes = std::iter::once(mark as u8).chain(word.bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> BAG_BITS) ^ (hash & ((1 << BAG_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sentinel_shared::diff::parse_patch;
    use sentinel_shared::review::language::Language;

    #[test]
    fn a_word_counts_by_the_line_it_is_in() {
        let words: Vec<_> = words("  if (a_1 != b) {").collect();
        assert_eq!(words, ["if", "(", "a_1", "!=", "b", ")", "{"]);
        let bag_of = |patch: &str| {
            let hunk = parse_patch(patch).unwrap().remove(0);
            bag(&Input { path: "a.rs", language: Language::Rust, hunk })
        };
        let (added, removed) = (bag_of("@@ -0,0 +1 @@\n+x x y\n"), bag_of("@@ -1 +0,0 @@\n-x x y\n"));
        assert_eq!(added.len(), removed.len());
        assert!(!added.keys().eq(removed.keys()));
        assert!((added.values().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
