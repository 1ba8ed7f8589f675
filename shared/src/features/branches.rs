//! Splits a pattern into alternatives, each with words of which one must occur wherever the alternative matches.
//!
//! One automaton over all these words reads a text once and leaves a handful of alternatives to verify. Compiling every
//! pattern took most of a cold start, and most patterns are never needed.

use crate::{Error, Result};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};
use serde::{Deserialize, Serialize};

/// The shortest word that is searched for. Shorter ones occur everywhere.
const WORD_MIN: usize = 2;
/// The largest number of words for one alternative.
const WORDS_MAX: usize = 64;

/// One alternative of one pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Index of its pattern.
    pub(super) pattern: u32,
    /// Words of which one occurs wherever the alternative matches; empty if no such word is known.
    pub(super) words: Vec<String>,
    /// The regular expression that must match too; None if the word is the whole alternative.
    pub(super) regex: Option<String>,
}

/// The alternatives of pattern number `pattern`.
///
/// # Errors
/// [`Error::ModelInvalid`] for what is not a regular expression.
pub(super) fn branches(pattern: u32, regex: &str) -> Result<Vec<Branch>> {
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).multi_line(true).build();
    let parsed = parser.parse(regex).map_err(|error| Error::ModelInvalid(error.to_string()))?;
    let alternatives = match parsed.kind() {
        HirKind::Alternation(alternatives) => alternatives.clone(),
        _ => vec![parsed],
    };
    Ok(alternatives.iter().map(|alternative| branch(pattern, alternative)).collect())
}

fn branch(pattern: u32, alternative: &Hir) -> Branch {
    let words = required(alternative).filter(|words| worth(words) >= WORD_MIN).unwrap_or_default();
    let is_word = matches!(alternative.kind(), HirKind::Literal(_)) && !words.is_empty();
    Branch { pattern, words, regex: (!is_word).then(|| alternative.to_string()) }
}

/// Words of which every match of `hir` contains at least one.
fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![String::from_utf8(literal.0.to_vec()).ok()?]),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        // Any part will do: the one that is rarest in a text, which is the longest.
        HirKind::Concat(parts) => parts.iter().filter_map(required).max_by_key(|words| worth(words)),
        HirKind::Alternation(alternatives) => {
            let words: Vec<String> = alternatives
                .iter()
                .map(required)
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect();
            (words.len() <= WORDS_MAX).then_some(words)
        }
        _ => None,
    }
}

/// The length of the shortest word.
fn worth(words: &[String]) -> usize {
    words.iter().map(String::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(regex: &str) -> Vec<(Vec<String>, bool)> {
        branches(0, regex).unwrap().into_iter().map(|branch| (branch.words, branch.regex.is_some())).collect()
    }

    #[test]
    fn a_literal_needs_no_regex_and_an_expression_is_found_by_its_longest_word() {
        let found = words("no space left|exit(ed)? code 1\\d+|(read|write) timed? ?out|[a-z]+");
        let expected =
            [(vec!["no space left"], false), (vec![" code 1"], true), (vec![" time"], true), (vec![], true)];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(w, r)| (w.into_iter().map(str::to_owned).collect::<Vec<_>>(), r))
            .collect();
        assert_eq!(found, expected);
    }
}
