//! Known error messages: regular expressions, each with the class that it suggests.
//!
//! A match adds pseudo-terms to the text (`sig_<id>` and `cue_<class>`), so known messages and learned words share one
//! vocabulary and one model. A pattern is a feature and never a verdict.

use super::branches::{self, Branch};
use crate::failure::FailureClass;
use crate::{Error, Result};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// A known error message: a named regular expression and the class that it suggests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Lower-case letters, digits and underscores; unique.
    pub id: String,
    /// Rust `regex` syntax over lower-cased bytes; `^` and `$` are a line's ends, `\\w` and `\\d` are ASCII.
    pub regex: String,
    /// The class it suggests.
    pub suggests: FailureClass,
    /// Where the knowledge comes from: a tool's manual, its source, an error reference.
    pub source: String,
}

/// All patterns, ready to be searched for.
pub struct Patterns {
    patterns: Vec<Pattern>,
    branches: Vec<Branch>,
    /// Each branch's regular expression, compiled when one of its words first occurs.
    regexes: Vec<OnceLock<Option<Regex>>>,
    words: AhoCorasick,
    /// The branch each word belongs to, by the automaton's numbering.
    owners: Vec<u32>,
}

// === impl Patterns ===

impl Patterns {
    /// Checks `patterns` and splits them into alternatives.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] naming the first pattern that is a duplicate, misnamed or not a regular expression.
    pub fn compile(patterns: Vec<Pattern>) -> Result<Self> {
        let mut branches = Vec::new();
        for (at, pattern) in patterns.iter().enumerate() {
            let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if pattern.id.is_empty() || !pattern.id.bytes().all(is_word) {
                return Err(Error::ModelInvalid(format!(
                    "pattern id {:?} is not lower_snake_case",
                    pattern.id
                )));
            }
            if patterns[..at].iter().any(|earlier| earlier.id == pattern.id) {
                return Err(Error::ModelInvalid(format!("two patterns are called {}", pattern.id)));
            }
            let parts = branches::branches(at as u32, &pattern.regex);
            branches.extend(
                parts.map_err(|error| Error::ModelInvalid(format!("pattern {}: {error}", pattern.id)))?,
            );
        }
        Self::assemble(patterns, branches)
    }

    /// Puts patterns together that were split before, as a compiled bundle stores them.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] for branches of no pattern.
    pub fn assemble(patterns: Vec<Pattern>, branches: Vec<Branch>) -> Result<Self> {
        if branches.iter().any(|branch| branch.pattern as usize >= patterns.len()) {
            return Err(Error::ModelInvalid("a branch of no pattern".into()));
        }
        let owned = || {
            branches
                .iter()
                .zip(0u32..)
                .flat_map(|(branch, at)| branch.words.iter().map(move |word| (word, at)))
        };
        let words = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(owned().map(|(word, _)| word));
        let words = words.map_err(|error| Error::ModelInvalid(format!("the patterns' words: {error}")))?;
        let owners = owned().map(|(_, at)| at).collect();
        let regexes = branches.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { patterns, branches, regexes, words, owners })
    }

    /// The parts [`Patterns::assemble`] takes.
    #[must_use]
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// Parses the `[[pattern]]` tables of `patterns.toml` and compiles them.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`], with the line where TOML itself is wrong.
    #[cfg(feature = "onnx")]
    pub fn parse_toml(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            pattern: Vec<Pattern>,
        }
        let file: File =
            toml::from_str(text).map_err(|e| Error::ModelInvalid(format!("patterns.toml: {e}")))?;
        Self::compile(file.pattern)
    }

    /// The patterns in the order of the file.
    #[must_use]
    pub fn all(&self) -> &[Pattern] {
        &self.patterns
    }

    /// The patterns that occur in `text`, in the order of the file. Case does not matter.
    #[must_use]
    pub fn matches(&self, text: &str) -> Vec<&Pattern> {
        let text = text.to_ascii_lowercase();
        let mut candidates: Vec<bool> = self.branches.iter().map(|branch| branch.words.is_empty()).collect();
        for word in self.words.find_overlapping_iter(&text) {
            candidates[self.owners[word.pattern().as_usize()] as usize] = true;
        }
        let mut found = vec![false; self.patterns.len()];
        for (at, branch) in self.branches.iter().enumerate().filter(|(at, _)| candidates[*at]) {
            let pattern = branch.pattern as usize;
            found[pattern] = found[pattern] || self.verifies(at, branch, text.as_bytes());
        }
        self.patterns.iter().zip(found).filter(|(_, found)| *found).map(|(pattern, _)| pattern).collect()
    }

    fn verifies(&self, at: usize, branch: &Branch, text: &[u8]) -> bool {
        let Some(source) = &branch.regex else { return true };
        let compile = || RegexBuilder::new(source).unicode(false).multi_line(true).build().ok();
        // What was printed from a parsed expression compiles; if not, it is a signature that is never seen.
        self.regexes[at].get_or_init(compile).as_ref().is_some_and(|regex| regex.is_match(text))
    }

    /// Appends the pseudo-terms of every signature in `text` to `terms`, once with each of `prefixes`.
    pub fn push_terms(&self, text: &str, prefixes: &[&str], terms: &mut String) {
        let found = self.matches(text);
        for prefix in prefixes {
            found.iter().for_each(|pattern| pattern.push_terms(prefix, terms));
        }
    }
}

// === impl Pattern ===

impl Pattern {
    /// Appends `sig_<id> cue_<class>`, each with `prefix`.
    fn push_terms(&self, prefix: &str, terms: &mut String) {
        terms.extend([prefix, "sig_", &self.id, " ", prefix, "cue_"]);
        terms.extend(self.suggests.name().chars().map(|char| match char {
            ' ' => '_',
            char => char.to_ascii_lowercase(),
        }));
        terms.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(id: &str, regex: &str) -> Pattern {
        Pattern { id: id.into(), regex: regex.into(), suggests: FailureClass::Network, source: "test".into() }
    }

    #[test]
    fn a_match_adds_its_own_term_and_its_class_cue() {
        let patterns = Patterns::compile(vec![pattern("dns", "could not resolve host")]).unwrap();
        let mut terms = String::new();
        patterns.push_terms("curl: (6) Could not resolve host: x", &["err_"], &mut terms);
        assert_eq!(terms, "err_sig_dns err_cue_network_error\n");
    }

    #[test]
    fn a_broken_duplicate_or_misnamed_pattern_is_named() {
        let broken = Patterns::compile(vec![pattern("ok", "a"), pattern("bad", "(")]).err().unwrap();
        assert!(broken.to_string().contains("bad"));
        let twice = Patterns::compile(vec![pattern("one", "a"), pattern("one", "b")]).err().unwrap();
        assert!(twice.to_string().contains("one"));
        assert!(Patterns::compile(vec![pattern("Not OK", "a")]).is_err());
    }

    proptest! {
        #[test]
        fn words_first_finds_exactly_what_the_whole_expression_finds(
            text in "([a-d]| |\n|err|foo|code 1|[0-9]){0,60}",
            regex in "((foo|err|[a-c]+ ?)(d|err)?|code \\d+|\\^a|b\\$|(foo){1,2}c|e(r|x)r){1,3}(\\|(foo|c+d|err ?code))?",
        ) {
            let patterns = Patterns::compile(vec![pattern("p", &regex)]).unwrap();
            let whole = RegexBuilder::new(&regex).unicode(false).multi_line(true).build().unwrap();
            prop_assert_eq!(!patterns.matches(&text).is_empty(), whole.is_match(text.as_bytes()), "{}", regex);
        }
    }
}
