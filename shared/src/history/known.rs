//! A team's known issues: a text or a regular expression, and what to do when a failure has it.
//!
//! A pattern is matched with the deciding line, the lines around it and the names of the failing tests, each by itself. Case
//! counts. Regular expressions are those of the crate `regex`, without Unicode classes: their time is linear in the text
//! (<https://docs.rs/regex/latest/regex/#untrusted-input>), and their size is bounded here.

use super::key::Cause;
use crate::excerpt::Line;
use crate::facts::Facts;
use crate::redact::redact;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// The largest number of known issues of a repository in its policy file, and as many that were made from a cause's page.
/// More than people keep in mind, and all are matched within a worker's CPU time.
pub const KNOWN_MAX: usize = 50;
/// The shortest text, in bytes: what is shorter stands in every log.
const TEXT_MIN_BYTES: usize = 4;
/// The longest text or regular expression, in bytes.
const PATTERN_MAX_BYTES: usize = 400;
/// The longest advice, in characters: a few sentences.
const ADVICE_MAX_CHARS: usize = 500;
/// The longest link, in bytes.
const LINK_MAX_BYTES: usize = 500;
/// The largest compiled regular expression, in bytes. What people write needs a hundredth of it; `(a{999}){999}` does not fit.
const REGEX_MAX_BYTES: usize = 128 * 1024;
/// The largest cache of a regular expression's automaton, in bytes. It is slower beyond, and never wrong.
const REGEX_CACHE_BYTES: usize = 256 * 1024;
/// How deep groups may stand in each other.
const REGEX_DEPTH: u32 = 30;

/// The fewest causes of a repository from which a pattern is called too wide. A few say nothing.
const WIDE_CAUSES_MIN: usize = 8;
/// A pattern that claims more than one of so many causes, of several classes, is too wide.
const WIDE_PART: usize = 4;
/// The fewest classes that are several.
const WIDE_CLASSES_MIN: usize = 2;
/// A pattern that claims more than one of so many causes is too wide, whatever their classes.
const WIDE_PART_OF_ONE_CLASS: usize = 2;

/// A known issue as people write it, in the policy file or from a cause's page. It has either a text or a regular expression.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewKnown {
    /// A text that a line or a test's name contains.
    pub text: Option<String>,
    /// A regular expression that occurs in a line or a test's name.
    pub regex: Option<String>,
    /// What to do.
    pub advice: Option<String>,
    /// A page that says more, over `https`.
    pub link: Option<String>,
    /// Whether a run that fails with it is tried again, once for each commit.
    pub retry: bool,
}

/// The pattern of a known issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// A text that is contained.
    Text(String),
    /// A regular expression that occurs.
    Regex(String),
}

/// A known issue that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownIssue {
    /// Its id; None for one of the policy file.
    #[serde(default)]
    pub id: Option<i64>,
    /// Its place in the policy file, such as `failures.known[0]`; None for one that was made from a cause's page.
    #[serde(default)]
    pub entry: Option<String>,
    /// What it is recognized by.
    #[serde(flatten)]
    pub pattern: Pattern,
    /// What to do.
    pub advice: String,
    /// A page that says more.
    pub link: Option<String>,
    /// Whether a run that fails with it is tried again, once for each commit.
    #[serde(default)]
    pub retry: bool,
}

/// What a failure says that a pattern is matched with.
#[derive(Debug, Clone, Default)]
pub struct Said {
    texts: Vec<String>,
}

/// A cause with its stored lines, to try a pattern on.
#[derive(Debug, Clone, Default)]
pub struct TriedCause {
    /// Its class.
    pub class: String,
    /// What it says.
    pub said: Said,
}

/// How many of the causes of the last 30 days a pattern claims.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// How many causes it claims.
    pub claims: usize,
    /// Of how many classes these are.
    pub classes: usize,
    /// How many causes it was tried on.
    pub of: usize,
}

/// A pattern that is ready to be matched.
pub struct Matcher(Find);

/// The known issues of a repository, ready to be matched, in the order in which they win.
pub struct KnownIssues {
    issues: Vec<(Matcher, KnownIssue)>,
}

enum Find {
    Text(String),
    Regex(Box<Regex>),
}

// === impl NewKnown ===

impl NewKnown {
    /// The issue, without an id and an entry.
    ///
    /// # Errors
    /// A sentence that names the field and what it must be.
    pub fn check(self) -> Result<KnownIssue, String> {
        let pattern = match (self.text, self.regex) {
            (Some(text), None) => Pattern::Text(text),
            (None, Some(regex)) => Pattern::Regex(regex),
            _ => return Err("either text or regex must be given, and not both".to_owned()),
        };
        pattern.matcher()?;
        let advice = self.advice.unwrap_or_default().trim().to_owned();
        if advice.is_empty() || advice.chars().count() > ADVICE_MAX_CHARS {
            return Err(format!("advice must say what to do, in at most {ADVICE_MAX_CHARS} characters"));
        }
        if let Some(link) = &self.link
            && !is_link(link)
        {
            return Err(format!("link must be an https:// address of at most {LINK_MAX_BYTES} bytes"));
        }
        Ok(KnownIssue { id: None, entry: None, pattern, advice, link: self.link, retry: self.retry })
    }
}

/// Whether `link` is an address that a page may link to.
fn is_link(link: &str) -> bool {
    let host = link.strip_prefix("https://").unwrap_or_default();
    let begins = host.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let plain = link
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'\\'));
    begins && plain && link.len() <= LINK_MAX_BYTES
}

// === impl Pattern ===

impl Pattern {
    /// The text or the regular expression.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Regex(text) => text,
        }
    }

    /// Whether it is a regular expression.
    #[must_use]
    pub fn is_regex(&self) -> bool {
        matches!(self, Self::Regex(_))
    }

    /// The pattern, ready to be matched.
    ///
    /// # Errors
    /// A sentence that says why it can't be: it is too short, too long or too large, no regular expression, or one that
    /// occurs in every line.
    pub fn matcher(&self) -> Result<Matcher, String> {
        let (name, pattern) = match self {
            Self::Text(text) => ("text", text),
            Self::Regex(regex) => ("regex", regex),
        };
        if pattern.trim().len() < TEXT_MIN_BYTES || pattern.len() > PATTERN_MAX_BYTES {
            return Err(format!("{name} must have {TEXT_MIN_BYTES} to {PATTERN_MAX_BYTES} bytes"));
        }
        if pattern.chars().any(char::is_control) {
            return Err(format!("{name} must be one line"));
        }
        let Self::Regex(regex) = self else { return Ok(Matcher(Find::Text(pattern.clone()))) };
        let built = RegexBuilder::new(regex)
            .unicode(false)
            .size_limit(REGEX_MAX_BYTES)
            .dfa_size_limit(REGEX_CACHE_BYTES)
            .nest_limit(REGEX_DEPTH)
            .build();
        let built = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "regex is too large when it is compiled: repeat less in it".to_owned()
            }
            // The last line says what is wrong; those before it draw where.
            error => format!("regex can't be read: {}", last_line(&error.to_string())),
        })?;
        if built.is_match(b"") {
            return Err("regex must not match an empty line, because it would match every line".to_owned());
        }
        Ok(Matcher(Find::Regex(Box::new(built))))
    }
}

fn last_line(text: &str) -> &str {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or(text);
    line.strip_prefix("error: ").unwrap_or(line)
}

// === impl Matcher ===

impl Matcher {
    /// Whether a line or a test's name of the failure has the pattern.
    #[must_use]
    pub fn matches(&self, said: &Said) -> bool {
        said.texts.iter().any(|text| match &self.0 {
            Find::Text(wanted) => text.contains(wanted.as_str()),
            Find::Regex(regex) => regex.is_match(text.as_bytes()),
        })
    }

    /// How many of `causes` the pattern claims.
    #[must_use]
    pub fn try_on(&self, causes: &[TriedCause]) -> Trial {
        let claimed: Vec<&str> = causes
            .iter()
            .filter(|cause| self.matches(&cause.said))
            .map(|cause| cause.class.as_str())
            .collect();
        let mut classes = claimed.clone();
        classes.sort_unstable();
        classes.dedup();
        Trial { claims: claimed.len(), classes: classes.len(), of: causes.len() }
    }
}

// === impl Trial ===

impl Trial {
    /// Why the pattern is too wide to be kept; None if it is not.
    #[must_use]
    pub fn too_wide(self) -> Option<String> {
        let Self { claims, classes, of } = self;
        let several = claims * WIDE_PART > of && classes >= WIDE_CLASSES_MIN;
        let is_wide = of >= WIDE_CAUSES_MIN && (several || claims * WIDE_PART_OF_ONE_CLASS > of);
        is_wide.then(|| {
            let named = if classes == 1 { "one class".to_owned() } else { format!("{classes} classes") };
            format!(
                "too wide: it claims {claims} of the {of} causes of the last 30 days, of {named}. Name more of the line."
            )
        })
    }
}

// === impl Said ===

impl Said {
    /// What a failure says: its deciding line, the lines around it and the names of its failing tests.
    #[must_use]
    pub fn of(line: Option<&Line>, around: &[Line], facts: &Facts, cause: &Cause) -> Self {
        let tests = facts.failing_tests.iter().map(|test| test.name.clone());
        // What is stored has no secrets, and a trial must see what a failure said.
        let lines = line.into_iter().chain(around).map(|line| redact(&line.text).into_owned());
        let mut texts: Vec<String> = lines.chain(tests).chain(cause.tests.iter().cloned()).collect();
        texts.sort_unstable();
        texts.dedup();
        Self { texts }
    }

    /// What a stored cause says.
    #[must_use]
    pub fn stored(line: String, around: Vec<Line>, tests: Vec<String>) -> Self {
        Self {
            texts: std::iter::once(line)
                .chain(around.into_iter().map(|line| line.text))
                .chain(tests)
                .collect(),
        }
    }
}

// === impl KnownIssues ===

impl KnownIssues {
    /// The issues of the policy file, and after them those that were made from causes' pages. One that can't be read is
    /// passed over.
    #[must_use]
    pub fn of(file: Vec<KnownIssue>, stored: Vec<KnownIssue>) -> Self {
        let ready = |issue: KnownIssue| Some((issue.pattern.matcher().ok()?, issue));
        Self { issues: file.into_iter().chain(stored).filter_map(ready).collect() }
    }

    /// The first issue that a failure has.
    #[must_use]
    pub fn first(&self, said: &Said) -> Option<&KnownIssue> {
        self.issues.iter().find(|(matcher, _)| matcher.matches(said)).map(|(_, issue)| issue)
    }

    /// Whether one of these failures has an issue of the policy file, which must be tried before it counts. The others were
    /// tried when they were made.
    #[must_use]
    pub fn needs_trial(&self, failures: &[Said]) -> bool {
        self.issues.iter().any(|(matcher, issue)| is_untried(matcher, issue, failures))
    }

    /// Tries the issues of the policy file that these failures have on stored causes, and leaves out those that are too wide.
    /// Answers a sentence about each of them.
    pub fn try_on(&mut self, causes: &[TriedCause], failures: &[Said]) -> Vec<String> {
        let mut refused = Vec::new();
        self.issues.retain(|(matcher, issue)| {
            let is_tried = is_untried(matcher, issue, failures);
            let too_wide = is_tried.then(|| matcher.try_on(causes).too_wide()).flatten();
            refused.extend(
                too_wide
                    .as_ref()
                    .map(|why| format!("{} is {why}", issue.entry.as_deref().unwrap_or("an entry"))),
            );
            too_wide.is_none()
        });
        refused
    }
}

fn is_untried(matcher: &Matcher, issue: &KnownIssue, failures: &[Said]) -> bool {
    issue.entry.is_some() && failures.iter().any(|said| matcher.matches(said))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests bound the time that hostile input takes")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    fn said(texts: &[&str]) -> Said {
        Said { texts: texts.iter().map(|text| (*text).to_owned()).collect() }
    }

    fn regex(pattern: &str) -> Pattern {
        Pattern::Regex(pattern.to_owned())
    }

    fn issue(pattern: Pattern, advice: &str) -> KnownIssue {
        KnownIssue { id: None, entry: None, pattern, advice: advice.to_owned(), link: None, retry: false }
    }

    fn matches(pattern: &str, text: &str) -> bool {
        regex(pattern).matcher().unwrap().matches(&said(&[text]))
    }

    #[test]
    fn the_first_entry_that_matches_wins() {
        let issues = vec![
            issue(Pattern::Text("registry.corp".into()), "one"),
            issue(regex(r"dial tcp .*:443"), "two"),
            issue(Pattern::Text("dial tcp".into()), "three"),
        ];
        let issues = KnownIssues::of(issues, Vec::new());
        let first = |text| issues.first(&said(&["building", text])).map(|issue| issue.advice.as_str());
        assert_eq!(first("dial tcp 10.0.0.1:443: i/o timeout"), Some("two"));
        assert_eq!(first("dial tcp registry.corp:443"), Some("one"));
        assert_eq!(first("DIAL TCP 10.0.0.1"), None, "case counts");
        assert_eq!(first("dial udp"), None);
    }

    #[test]
    fn a_pattern_is_matched_with_each_line_by_itself() {
        assert!(matches(r"^error: .* failed$", "error: it failed"));
        let both = said(&["error: it", "failed"]);
        assert!(!regex(r"^error: .* failed$").matcher().unwrap().matches(&both));
        assert!(matches(r"(?i)TIMED\s+out", "timed  OUT"));
        assert!(matches("größer als", "ist größer als"), "text that is not ASCII is matched as it is");
    }

    #[test]
    fn what_cannot_be_a_pattern_says_why() {
        let wrong = |pattern: Pattern| pattern.matcher().err().unwrap();
        assert!(wrong(Pattern::Text("abc".into())).contains("4 to 400 bytes"));
        assert!(wrong(Pattern::Text("    a   ".into())).contains("4 to 400 bytes"));
        assert!(wrong(regex(&"a".repeat(401))).contains("4 to 400 bytes"));
        assert!(wrong(Pattern::Text("two\nlines".into())).contains("one line"));
        assert!(wrong(regex("(unclosed")).contains("regex can't be read: unclosed group"));
        assert!(wrong(regex(r"a(?=look)")).contains("look-around"));
        assert!(wrong(regex(r"(a)\1bc")).contains("backreferences"));
        assert!(wrong(regex(".*anything|")).contains("empty line"));
        assert!(wrong(regex("(a{999}){999}")).contains("too large"));
        assert!(
            wrong(regex(&format!("{}a{}", "(".repeat(100), ")".repeat(100)))).contains("regex can't be read")
        );
    }

    #[test]
    fn a_link_is_an_address_that_a_page_may_link_to() {
        let check = |link: &str| {
            let new = NewKnown {
                text: Some("some text".into()),
                advice: Some("wait".into()),
                link: Some(link.into()),
                ..NewKnown::default()
            };
            new.check().is_ok()
        };
        assert!(check("https://wiki.corp/a?b=c#d"));
        for wrong in
            ["http://wiki", "javascript:alert(1)", "https://", "https:// a", "https://a\"b", "https://a\nb"]
        {
            assert!(!check(wrong), "{wrong}");
        }
        assert!(!check(&format!("https://{}", "a".repeat(LINK_MAX_BYTES))));
    }

    #[test]
    fn a_pattern_that_claims_too_much_is_called_too_wide_and_one_that_was_hardly_tried_is_not() {
        let wide = |claims, classes, of| Trial { claims, classes, of }.too_wide().is_some();
        assert!(wide(3, 2, 8) && !wide(2, 2, 8), "over a quarter of several classes");
        assert!(!wide(4, 1, 8) && wide(5, 1, 8), "over a half of one class");
        assert!(!wide(7, 7, 7), "too few causes to tell");
        let causes: Vec<TriedCause> = ["Build Failure", "Test Failure", "Network Error", "Timeout"]
            .iter()
            .cycle()
            .take(12)
            .map(|class| TriedCause { class: (*class).to_owned(), said: said(&["error: something"]) })
            .collect();
        let trial = regex("error.*").matcher().unwrap().try_on(&causes);
        assert_eq!(trial, Trial { claims: 12, classes: 4, of: 12 });
        let sentence = trial.too_wide().unwrap();
        assert!(sentence.contains("12 of the 12 causes of the last 30 days, of 4 classes"), "{sentence}");
    }

    #[test]
    fn an_entry_of_the_file_that_is_too_wide_does_not_count_and_is_named() {
        let of_file = |at, text: &str| KnownIssue {
            entry: Some(format!("failures.known[{at}]")),
            ..issue(Pattern::Text(text.into()), "wait")
        };
        let stored = KnownIssue { id: Some(7), ..issue(Pattern::Text("error".into()), "stored") };
        let mut issues = KnownIssues::of(
            vec![of_file(0, "nowhere"), of_file(1, "error"), of_file(2, "mirror")],
            vec![stored],
        );
        let failure = [said(&["error: the mirror is gone"])];
        assert!(issues.needs_trial(&failure) && !issues.needs_trial(&[said(&["all is well"])]));
        let causes: Vec<TriedCause> = ["Build Failure", "Test Failure"]
            .iter()
            .cycle()
            .take(10)
            .map(|class| TriedCause { class: (*class).to_owned(), said: said(&["error: something"]) })
            .collect();
        let refused = issues.try_on(&causes, &failure);
        assert_eq!(refused.len(), 1);
        assert!(
            refused[0].starts_with("failures.known[1] is too wide: it claims 10 of the 10"),
            "{refused:?}"
        );
        assert_eq!(
            issues.first(&failure[0]).and_then(|issue| issue.entry.as_deref()),
            Some("failures.known[2]")
        );
        let other = issues.first(&said(&["error: else"]));
        assert_eq!(other.and_then(|issue| issue.id), Some(7), "one that was kept was tried then");
    }

    #[test]
    fn an_issue_is_stored_as_it_is_told() {
        let told =
            KnownIssue { id: Some(3), link: Some("https://wiki".into()), ..issue(regex("a b+"), "wait") };
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["regex"], "a b+");
        assert_eq!(serde_json::from_value::<KnownIssue>(json).unwrap(), told);
        let row = r#"{"id":3,"text":"some text","advice":"wait","link":null,"retry":true}"#;
        assert!(serde_json::from_str::<KnownIssue>(row).unwrap().retry);
    }

    #[test]
    fn a_hostile_pattern_takes_bounded_time() {
        let line = format!("{}!", "a".repeat(4000));
        let texts: Vec<&str> = vec![&line; 20];
        let hostile = [
            "(a+)+$",
            "(a|aa)+$",
            "(a|a?)+$x",
            "(.*a){20}b",
            "(a*)*b",
            "([a-z]+)*[0-9]",
            "(?:a?){99}a{99}$",
            r"(\w+\s?)+$",
        ];
        let begun = Instant::now();
        for pattern in hostile {
            if let Ok(matcher) = regex(pattern).matcher() {
                let _ = matcher.matches(&said(&texts));
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_says_why_not(pattern in r"[(){}\[\]|*+?.\\a-c0-9^$-]{0,60}", line in "[ -~]{0,200}") {
            let begun = Instant::now();
            match regex(&pattern).matcher() {
                Ok(matcher) => { let _ = matcher.matches(&said(&[&line])); }
                Err(why) => prop_assert!(!why.is_empty()),
            }
            prop_assert!(begun.elapsed() < Duration::from_secs(2), "{} took {:?}", pattern, begun.elapsed());
        }

        #[test]
        fn a_text_is_found_wherever_it_stands(before in "[ -~]{0,40}", text in "[!-~]{4,40}", after in "[ -~]{0,40}") {
            let matcher = Pattern::Text(text.clone()).matcher().unwrap();
            let line = format!("{before}{text}{after}");
            prop_assert!(matcher.matches(&said(&[&line])));
            prop_assert!(matches(&regex_of(&text), &line));
        }
    }

    /// The regular expression of a text.
    fn regex_of(text: &str) -> String {
        regex::escape(text)
    }
}
