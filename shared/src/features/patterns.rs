//! The knowledge base: signatures people already know, each a regular expression and what it suggests.
//!
//! A match adds pseudo-terms to the text (`sig_<id>` and `cue_<class>`), so known signatures and learned words
//! share one vocabulary and one model; a pattern is a feature and never a verdict.

use crate::failure::FailureClass;
use crate::{Error, Result};
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// One signature.
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

/// All signatures, compiled one by one: a common automaton of a hundred unanchored patterns has more states
/// than its cache holds, and would fall back to simulation.
#[derive(Debug, Clone)]
pub struct Patterns {
    patterns: Vec<Pattern>,
    regexes: Vec<Regex>,
}

/// Text as patterns read it: lower-cased, so that no pattern pays for ignoring case.
pub struct Haystack(Vec<u8>);

// === impl Haystack ===

impl Haystack {
    /// `text`, ready to be searched.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into_bytes())
    }
}

// === impl Patterns ===

impl Patterns {
    /// Compiles `patterns`.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] naming the first pattern that is a duplicate, misnamed or not a regular expression.
    pub fn compile(patterns: Vec<Pattern>) -> Result<Self> {
        let mut regexes = Vec::with_capacity(patterns.len());
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
            let regex = RegexBuilder::new(&pattern.regex).unicode(false).multi_line(true).build();
            regexes.push(
                regex.map_err(|_| Error::ModelInvalid(format!("pattern {} does not compile", pattern.id)))?,
            );
        }
        Ok(Self { patterns, regexes })
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

    /// The signatures, in file order.
    #[must_use]
    pub fn all(&self) -> &[Pattern] {
        &self.patterns
    }

    /// The signatures that occur in `haystack`, in file order.
    pub fn matches(&self, haystack: &Haystack) -> impl Iterator<Item = (&Pattern, &Regex)> {
        self.patterns.iter().zip(&self.regexes).filter(|(_, regex)| regex.is_match(&haystack.0))
    }

    /// Appends the pseudo-terms of every signature in `text` to `terms`.
    pub fn push_terms(&self, text: &str, terms: &mut String) {
        for (pattern, _) in self.matches(&Haystack::of(text)) {
            pattern.push_terms(terms);
        }
    }
}

// === impl Pattern ===

impl Pattern {
    /// Appends `sig_<id> cue_<class>`.
    pub fn push_terms(&self, terms: &mut String) {
        terms.push_str("sig_");
        terms.push_str(&self.id);
        terms.push_str(" cue_");
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

    fn pattern(id: &str, regex: &str) -> Pattern {
        Pattern { id: id.into(), regex: regex.into(), suggests: FailureClass::Network, source: "test".into() }
    }

    #[test]
    fn a_match_adds_its_own_term_and_its_class_cue() {
        let patterns = Patterns::compile(vec![pattern("dns", "could not resolve host")]).unwrap();
        let mut terms = String::new();
        patterns.push_terms("curl: (6) Could not resolve host: x", &mut terms);
        assert_eq!(terms, "sig_dns cue_network_error\n");
    }

    #[test]
    fn a_broken_duplicate_or_misnamed_pattern_is_named() {
        let broken = Patterns::compile(vec![pattern("ok", "a"), pattern("bad", "(")]).unwrap_err();
        assert!(broken.to_string().contains("bad"));
        let twice = Patterns::compile(vec![pattern("one", "a"), pattern("one", "b")]).unwrap_err();
        assert!(twice.to_string().contains("one"));
        assert!(Patterns::compile(vec![pattern("Not OK", "a")]).is_err());
    }
}
