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

/// Alternatives of one pattern that are found together: one expression, or all plain words.
///
/// It is serialised as a tuple, because the worker's bundle holds more than a thousand of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Branch {
    /// Index of its pattern.
    pub(super) pattern: u32,
    /// Words of which one occurs wherever the alternative matches; empty if no such word is known.
    pub(super) words: Vec<String>,
    /// The regular expression that must match too; None if each word is a whole alternative.
    pub(super) regex: Option<String>,
}

/// `pattern`, `words`, `regex`.
type Stored = (u32, Vec<String>, Option<String>);

/// The alternatives of pattern number `pattern`. Those that are plain words share one branch.
///
/// # Errors
/// [`Error::ModelInvalid`] for what is not a regular expression.
pub(super) fn branches(pattern: u32, regex: &str) -> Result<Vec<Branch>> {
    parse(regex)?;
    let mut plain = Branch { pattern, words: Vec::new(), regex: None };
    let mut branches = Vec::new();
    for alternative in alternatives(regex) {
        let parsed = parse(alternative)?;
        let words = required(&parsed).filter(|words| worth(words) >= WORD_MIN).unwrap_or_default();
        if matches!(parsed.kind(), HirKind::Literal(_)) && !words.is_empty() {
            plain.words.extend(words);
        } else {
            branches.push(Branch { pattern, words, regex: Some(alternative.to_owned()) });
        }
    }
    if !plain.words.is_empty() {
        branches.push(plain);
    }
    Ok(branches)
}

fn parse(regex: &str) -> Result<Hir> {
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).multi_line(true).build();
    parser.parse(regex).map_err(|error| Error::ModelInvalid(error.to_string()))
}

/// Splits a regular expression at each `|` that is in no group and no class. The parts keep how they were written: the
/// parser's own print of them is three times as long, and the worker's bundle holds them. An expression with flags or
/// names stays whole, because a flag holds for what follows it, too.
fn alternatives(regex: &str) -> Vec<&str> {
    if regex.replace("(?:", "").contains("(?") {
        return vec![regex];
    }
    let (mut parts, mut start, mut groups, mut classes, mut escaped) = (Vec::new(), 0, 0_u32, 0_u32, false);
    for (at, byte) in regex.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'[' => classes += 1,
            b']' => classes = classes.saturating_sub(1),
            _ if classes > 0 => {}
            b'(' => groups += 1,
            b')' => groups = groups.saturating_sub(1),
            b'|' if groups == 0 => {
                parts.push(&regex[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&regex[start..]);
    parts
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

// === impl Branch ===

impl From<Stored> for Branch {
    fn from((pattern, words, regex): Stored) -> Self {
        Self { pattern, words, regex }
    }
}

impl From<Branch> for Stored {
    fn from(branch: Branch) -> Self {
        (branch.pattern, branch.words, branch.regex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(regex: &str) -> Vec<(Vec<String>, bool)> {
        branches(0, regex).unwrap().into_iter().map(|branch| (branch.words, branch.regex.is_some())).collect()
    }

    #[test]
    fn an_expression_is_split_where_no_group_class_or_escape_is_open() {
        assert_eq!(alternatives(r"a|b(c|d)|[x|[y|z]|]|e\|f|"), ["a", "b(c|d)", "[x|[y|z]|]", r"e\|f", ""]);
        assert_eq!(alternatives("(?i)a|b"), ["(?i)a|b"]);
        assert_eq!(alternatives("(?:a|b)|c"), ["(?:a|b)", "c"]);
    }

    #[test]
    fn plain_alternatives_share_a_branch() {
        assert_eq!(
            words("one|two|th?ree"),
            [(vec!["ree".into()], true), (vec!["one".into(), "two".into()], false)]
        );
    }

    #[test]
    fn a_literal_needs_no_regex_and_an_expression_is_found_by_its_longest_word() {
        let found = words("no space left|exit(ed)? code 1\\d+|(read|write) timed? ?out|[a-z]+");
        let expected =
            [(vec![" code 1"], true), (vec![" time"], true), (vec![], true), (vec!["no space left"], false)];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(w, r)| (w.into_iter().map(str::to_owned).collect::<Vec<_>>(), r))
            .collect();
        assert_eq!(found, expected);
    }
}
