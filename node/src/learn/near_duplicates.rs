//! Finds hunks that are nearly the same, to keep them out of training when they are in the evaluation set.
//!
//! MinHash with banding (Broder 1997; Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, 3.4) finds candidates
//! over shingles of four words of the changed lines. The share of shingles that they really have in common decides.

use sentinel_shared::diff::{Hunk, Place};
use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::Hasher;

/// The Jaccard similarity from which two hunks count as nearly the same.
const NEAR: f64 = 0.8;
/// The number of words in one shingle.
const SHINGLE: usize = 4;
/// The bands of the hash. A pair of similarity 0.8 shares a band with probability 0.9999, one of 0.5 with 0.55.
const BANDS: usize = 25;
const ROWS: usize = 5;

/// The hunks that others are compared with.
#[derive(Debug, Default)]
pub struct Seen {
    shingles: Vec<Vec<u64>>,
    bands: HashMap<(usize, u64), Vec<usize>>,
}

impl Seen {
    /// Remembers `hunk`, unless it changes too few words to be distinguished from others.
    pub fn insert(&mut self, hunk: &Hunk<'_>) {
        let shingles = shingles(hunk);
        for band in bands(&shingles) {
            self.bands.entry(band).or_default().push(self.shingles.len());
        }
        self.shingles.push(shingles);
    }

    /// Whether a hunk is remembered that is nearly the same.
    #[must_use]
    pub fn has_near(&self, hunk: &Hunk<'_>) -> bool {
        if self.shingles.is_empty() {
            return false;
        }
        let shingles = shingles(hunk);
        bands(&shingles)
            .filter_map(|band| self.bands.get(&band))
            .flatten()
            .any(|at| similarity(&shingles, &self.shingles[*at]) >= NEAR)
    }
}

/// The hashes of all runs of words in added and removed lines, in order, each once.
fn shingles(hunk: &Hunk<'_>) -> Vec<u64> {
    let changed = hunk.lines.iter().filter(|line| !matches!(line.place, Place::Context { .. }));
    let words: Vec<&str> = changed
        .flat_map(|line| line.text.split(|at: char| !at.is_alphanumeric() && at != '_'))
        .filter(|word| !word.is_empty())
        .collect();
    let mut shingles: Vec<u64> = words.windows(SHINGLE).map(hash_of_words).collect();
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

fn bands(shingles: &[u64]) -> impl Iterator<Item = (usize, u64)> + '_ {
    let some = if shingles.is_empty() { 0 } else { BANDS };
    (0..some).map(|band| {
        let least = |row: usize| shingles.iter().map(|each| mixed(*each, band * ROWS + row)).min();
        (band, hash_of_numbers((0..ROWS).filter_map(least)))
    })
}

/// The `nth` permutation of all hashes (the finisher of SplitMix64, Steele et al. 2014).
fn mixed(hash: u64, nth: usize) -> u64 {
    let mut bits = hash.wrapping_add((nth as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The Jaccard similarity of two sorted lists: the share of all elements that both have.
fn similarity(one: &[u64], other: &[u64]) -> f64 {
    let both = one.iter().filter(|each| other.binary_search(each).is_ok()).count();
    both as f64 / (one.len() + other.len() - both).max(1) as f64
}

/// The same on every machine, in every run and with every compiler, so that a set of records can be made again: the
/// function has a name, and the bytes it reads are written out. What `std` hashes with is promised nowhere.
fn hash_of_words(words: &[&str]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&(words.len() as u64).to_le_bytes());
    for word in words {
        hasher.write(word.as_bytes());
        // A byte of no UTF-8 text: `ab c` and `a bc` differ.
        hasher.write(&[0xff]);
    }
    hasher.finish()
}

/// See [`hash_of_words`].
fn hash_of_numbers(numbers: impl Iterator<Item = u64>) -> u64 {
    let mut hasher = SipHasher13::new();
    numbers.for_each(|number| hasher.write(&number.to_le_bytes()));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sentinel_shared::diff::parse_patch;

    fn patch(words: impl Iterator<Item = usize>) -> String {
        let lines: Vec<String> =
            words.collect::<Vec<_>>().chunks(6).map(|line| format!("+w{line:?};")).collect();
        format!("@@ -1,0 +1,{} @@\n{}\n", lines.len(), lines.join("\n"))
    }

    fn is_near(one: &str, other: &str) -> bool {
        let mut seen = Seen::default();
        seen.insert(&parse_patch(one).unwrap()[0]);
        seen.has_near(&parse_patch(other).unwrap()[0])
    }

    #[test]
    fn a_hash_is_the_same_everywhere_and_always() {
        assert_eq!(hash_of_words(&["let", "total", "prices", "iter"]), 0xde24_49c9_43ce_af05);
        assert_eq!(hash_of_numbers([1, 2, 3].into_iter()), 0x8acb_6513_5d8f_2da1);
        assert_ne!(hash_of_words(&["ab", "c"]), hash_of_words(&["a", "bc"]));
    }

    #[test]
    fn a_copy_with_a_word_changed_is_near_and_half_a_copy_is_not() {
        let whole = patch(0..120);
        assert!(is_near(&whole, &whole));
        assert!(is_near(&whole, &patch((0..120).map(|word| if word == 60 { 999 } else { word }))));
        assert!(!is_near(&whole, &patch(60..180)));
        assert!(!is_near(&whole, &patch(500..620)));
    }

    #[test]
    fn where_the_lines_stand_and_what_is_around_them_does_not_matter() {
        let here = "@@ -1,2 +1,3 @@\n before\n+let total = prices.iter().sum();\n after\n";
        let there = "@@ -90,1 +91,2 @@ fn other() {\n+    let total = prices.iter().sum();\n }\n";
        assert!(is_near(here, there));
    }

    #[test]
    fn a_hunk_of_few_words_is_near_to_nothing() {
        let brace = "@@ -1,1 +1,2 @@\n a\n+}\n";
        assert!(!is_near(brace, brace));
    }
}
