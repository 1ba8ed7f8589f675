//! Known error messages: regular expressions, each with the class that it suggests.
//!
//! A match adds pseudo-terms to the text (`sig_<id>` and `cue_<class>`), so known messages and learned words share one
//! vocabulary and one model. A pattern is a feature and never a verdict. On the line that decided a verdict, a pattern
//! also tells the kind of the failure, what to do about it and where to read on ([`Patterns::told`]).

use super::branches::{self, Branch};
use crate::failure::FailureClass;
use crate::kind::FailureKind;
use crate::{Error, Result};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// The longest advice, in bytes. Two sentences fit, and so does a check run's annotation with a line beside them.
pub const ADVICE_MAX: usize = 240;

/// A known error message: a named regular expression, the class that it suggests, and what to do about it.
///
/// A compiled bundle holds what a verdict needs. The expression is in its [`Branch`]es, and what is for people who edit
/// patterns (`example`, `also_on`) stays out: both are empty there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Lower-case letters, digits and underscores; unique.
    pub id: String,
    /// Rust `regex` syntax over lower-cased bytes; `^` and `$` are a line's ends, `\\w` and `\\d` are ASCII.
    #[serde(default, skip_serializing)]
    pub regex: String,
    /// The class it suggests.
    pub suggests: FailureClass,
    /// The kind of failure it tells, of the suggested class; None if it names no one cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FailureKind>,
    /// What to do about it: one or two sentences, at most [`ADVICE_MAX`] bytes.
    pub advice: String,
    /// Where to read on: an https address of the tool's maker.
    pub docs: String,
    /// A line as the tool prints it, on which the pattern is found.
    #[serde(default, skip_serializing)]
    pub example: String,
    /// The number of labelled logs of other classes on which it was found, when it was last measured.
    #[serde(default, skip_serializing)]
    pub also_on: u32,
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
    /// The branches without a word, which each text is searched for.
    wordless: Vec<u32>,
}

// === impl Patterns ===

impl Patterns {
    /// Checks `patterns` and splits them into alternatives.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] naming the first pattern that is a duplicate, misnamed, without an expression or advice, or
    /// whose kind is of another class.
    pub fn compile(patterns: Vec<Pattern>) -> Result<Self> {
        let mut branches = Vec::new();
        for (at, pattern) in patterns.iter().enumerate() {
            pattern.validate()?;
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
    /// [`Error::ModelInvalid`] for branches of no pattern, or in another order than the patterns.
    pub fn assemble(patterns: Vec<Pattern>, branches: Vec<Branch>) -> Result<Self> {
        if branches.iter().any(|branch| branch.pattern as usize >= patterns.len()) {
            return Err(Error::ModelInvalid("a branch of no pattern".into()));
        }
        if !branches.is_sorted_by_key(|branch| branch.pattern) {
            return Err(Error::ModelInvalid("the branches are not in the order of the patterns".into()));
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
        let wordless = branches.iter().zip(0..).filter(|(branch, _)| branch.words.is_empty());
        let wordless = wordless.map(|(_, at)| at).collect();
        Ok(Self { patterns, branches, regexes, words, owners, wordless })
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
    #[cfg(any(test, feature = "onnx"))]
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

    /// The patterns that occur in a line of `text`, in the order of the file. Case does not matter.
    ///
    /// An alternative is verified on the lines that hold one of its words, not on the whole text.
    #[must_use]
    pub fn matches(&self, text: &str) -> Vec<&Pattern> {
        let text = text.to_ascii_lowercase();
        let mut found: Vec<u32> = Vec::new();
        for (branch, line) in self.candidates(text.as_bytes()) {
            let pattern = self.branches[branch as usize].pattern;
            if found.last() != Some(&pattern)
                && self.verifies(branch as usize, line_at(text.as_bytes(), line))
            {
                found.push(pattern);
            }
        }
        found.into_iter().map(|pattern| &self.patterns[pattern as usize]).collect()
    }

    /// Each alternative with the starts of the lines it may be in, by alternative.
    fn candidates(&self, text: &[u8]) -> Vec<(u32, usize)> {
        let words = self.words.find_overlapping_iter(text);
        let mut candidates: Vec<_> = words
            .map(|word| (self.owners[word.pattern().as_usize()], line_start(text, word.start())))
            .collect();
        for branch in &self.wordless {
            candidates.push((*branch, 0));
            candidates.extend(memchr::memchr_iter(b'\n', text).map(|end| (*branch, end + 1)));
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    /// The pattern that tells what `line` is about: the first in the order of the file that has a kind, else the first.
    ///
    /// The file's order is the precedence, so the person who adds a pattern decides it: what is narrow stands before what
    /// is broad.
    #[must_use]
    pub fn told(&self, line: &str) -> Option<&Pattern> {
        let found = self.matches(line);
        found.iter().find(|pattern| pattern.kind.is_some()).or(found.first()).copied()
    }

    fn verifies(&self, at: usize, line: &[u8]) -> bool {
        let Some(source) = &self.branches[at].regex else { return true };
        let compile = || RegexBuilder::new(source).unicode(false).multi_line(true).build().ok();
        // What was printed from a parsed expression compiles; if not, it is a signature that is never seen.
        self.regexes[at].get_or_init(compile).as_ref().is_some_and(|regex| regex.is_match(line))
    }

    /// Appends the pseudo-terms of every signature in `text` to `terms`, once with each of `prefixes`.
    pub fn push_terms(&self, text: &str, prefixes: &[&str], terms: &mut String) {
        let found = self.matches(text);
        for prefix in prefixes {
            found.iter().for_each(|pattern| pattern.push_terms(prefix, terms));
        }
    }
}

fn line_start(text: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1)
}

fn line_at(text: &[u8], start: usize) -> &[u8] {
    let rest = &text[start..];
    memchr::memchr(b'\n', rest).map_or(rest, |end| &rest[..end])
}

// === impl Pattern ===

impl Pattern {
    fn validate(&self) -> Result<()> {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let problem = if self.id.is_empty() || !self.id.bytes().all(is_word) {
            "its id is not lower_snake_case"
        } else if self.regex.is_empty() {
            "it has no regex"
        } else if self.kind.is_some_and(|kind| kind.class() != self.suggests) {
            "its kind is of another class than it suggests"
        } else if self.advice.is_empty() || self.advice.len() > ADVICE_MAX {
            "its advice is empty or too long"
        } else if !self.docs.starts_with("https://") {
            "its docs are no https address"
        } else {
            return Ok(());
        };
        Err(Error::ModelInvalid(format!("pattern {:?}: {problem}", self.id)))
    }

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
        Pattern {
            id: id.into(),
            regex: regex.into(),
            suggests: FailureClass::Network,
            kind: None,
            advice: "Run again.".into(),
            docs: "https://example.org/".into(),
            example: String::new(),
            also_on: 0,
        }
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
        assert!(Patterns::compile(vec![pattern("empty", "")]).is_err());
    }

    #[test]
    fn a_pattern_with_a_kind_of_another_class_or_without_advice_is_refused() {
        let of = |kind| Pattern { kind: Some(kind), ..pattern("p", "a") };
        assert!(Patterns::compile(vec![of(FailureKind::Dns)]).is_ok());
        assert!(Patterns::compile(vec![of(FailureKind::Lint)]).is_err());
        let long = "a".repeat(ADVICE_MAX + 1);
        assert!(Patterns::compile(vec![Pattern { advice: String::new(), ..pattern("p", "a") }]).is_err());
        assert!(Patterns::compile(vec![Pattern { advice: long, ..pattern("p", "a") }]).is_err());
        assert!(Patterns::compile(vec![Pattern { docs: "http://a".into(), ..pattern("p", "a") }]).is_err());
    }

    #[test]
    fn a_line_is_told_by_the_first_pattern_with_a_kind_else_by_the_first() {
        let cue = pattern("cue", "timed out");
        let dns = Pattern { kind: Some(FailureKind::Dns), ..pattern("dns", "resolving .* timed out") };
        let late = Pattern { kind: Some(FailureKind::Connection), ..pattern("late", "timed out") };
        let patterns = Patterns::compile(vec![cue, dns, late]).unwrap();
        assert_eq!(patterns.told("Resolving a timed out").unwrap().id, "dns");
        assert_eq!(patterns.told("It timed out").unwrap().id, "late");
        assert_eq!(patterns.told("It is well"), None);
        let cues = Patterns::compile(vec![pattern("one", "out"), pattern("two", "timed")]).unwrap();
        assert_eq!(cues.told("It timed out").unwrap().id, "one");
    }

    #[test]
    fn the_compiled_form_has_what_a_verdict_tells_and_no_more() {
        let dns = Pattern { kind: Some(FailureKind::Dns), example: "a".into(), ..pattern("dns", "a") };
        let stored = serde_json::to_value(&dns).unwrap();
        let expected = serde_json::json!({
            "id": "dns", "suggests": "Network Error", "kind": "dns", "advice": "Run again.",
            "docs": "https://example.org/",
        });
        assert_eq!(stored, expected);
        let back: Pattern = serde_json::from_value(stored).unwrap();
        assert_eq!(back, Pattern { regex: String::new(), example: String::new(), ..dns });
    }

    proptest! {
        #[test]
        fn words_first_finds_exactly_what_the_whole_expression_finds(
            text in "([a-d]| |\n|err|foo|code 1|[0-9]){0,60}",
            regex in "((foo|err|[a-c]+ ?)(d|err)?|code \\d+|\\^a|b\\$|(foo){1,2}c|[|a-c]d|e(r|x)r){1,3}(\\|(foo|c+d|err ?code|[ab|]c))?",
        ) {
            let patterns = Patterns::compile(vec![pattern("p", &regex)]).unwrap();
            let whole = RegexBuilder::new(&regex).unicode(false).multi_line(true).build().unwrap();
            let expected = text.split('\n').any(|line| whole.is_match(line.as_bytes()));
            prop_assert_eq!(!patterns.matches(&text).is_empty(), expected, "{}", regex);
        }
    }
}
