//! Writes what the bot posts: a closed set of sentences, and quoted evidence that cannot break out of its quotes.
//!
//! The last line of every post is a hidden marker. It is read from the last line only, and only in posts of the bot
//! itself, so a quoted line cannot forge one.

use super::policy::Speech;
use super::receipt::Receipt;
use super::select::Withheld;
use super::text::{code, fenced, visible};
use super::{Category, Finding, Origin, Severity};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The longest body that GitHub accepts, in characters.
pub const BODY_MAX_CHARS: usize = 65_536;

/// The content of a review's summary.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a> {
    /// The job's key, which becomes the marker.
    pub key: &'a str,
    /// The commit that was reviewed.
    pub head_sha: &'a str,
    /// What was read and what was skipped.
    pub receipt: &'a Receipt,
    /// The number of findings that are inline comments.
    pub shown: usize,
    /// Findings on lines that GitHub does not allow comments on.
    pub unplaced: &'a [Finding],
    /// The number of findings that are not shown, by reason.
    pub withheld: &'a BTreeMap<Withheld, u32>,
    /// The version of the model that made the findings.
    pub model_version: &'a str,
    /// The SHA-256 of the model's input, in hexadecimal.
    pub input_sha256: &'a str,
    /// The language in which the summary is written.
    pub speech: Speech,
}

/// Writes the body of an inline comment. `explanation` is a longer text of another model, if one was asked.
#[must_use]
pub fn comment(finding: &Finding, speech: Speech, explanation: Option<&str>) -> String {
    let mut body = heading(finding);
    let _ = write!(body, "\n\n{}\n\n{}", message(finding, speech), fenced("", &finding.text));
    if let Some(explanation) = explanation {
        let label = match speech {
            Speech::En => "A language model adds, unchecked:",
            Speech::De => "Ein Sprachmodell ergänzt, ungeprüft:",
        };
        let _ = write!(body, "\n\n{label}\n\n{}", quoted(explanation));
    }
    if let Some(suggestion) = &finding.suggestion {
        let fence = if suggestion.contains("```") { "````" } else { "```" };
        let newline = if suggestion.is_empty() { "" } else { "\n" };
        let _ = write!(body, "\n\n{fence}suggestion\n{suggestion}{newline}{fence}");
    }
    let _ = write!(body, "\n\n*Confidence: {:.2} | File: {}*", finding.confidence, code(&finding.path));
    let _ = write!(body, "\n\n{}", finding_marker(&finding.fingerprint()));
    body
}

/// Writes the body of a review: what was read, and what was not.
#[must_use]
pub fn summary(summary: &Summary<'_>) -> String {
    let receipt = summary.receipt;
    let mut body = String::from("### 🛡️ SENTINEL\n\n");
    let found = summary.shown + summary.unplaced.len();
    let _ = match (summary.speech, found) {
        (Speech::En, 0) => write!(body, "Nothing here asks for a second look."),
        (Speech::En, 1) => write!(body, "One place deserves a second look."),
        (Speech::En, n) => write!(body, "{n} places deserve a second look."),
        (Speech::De, 0) => write!(body, "Hier verlangt nichts einen zweiten Blick."),
        (Speech::De, 1) => write!(body, "Eine Stelle verdient einen zweiten Blick."),
        (Speech::De, n) => write!(body, "{n} Stellen verdienen einen zweiten Blick."),
    };
    let _ = write!(
        body,
        "\n\n| | seen | reviewed | skipped |\n|---|---|---|---|\n| files | {} | {} | {} |\n| hunks | {} | {} | {} |\n",
        receipt.files_seen,
        receipt.files_reviewed,
        receipt.files_seen - receipt.files_reviewed,
        receipt.hunks_seen,
        receipt.hunks_reviewed,
        receipt.hunks_seen - receipt.hunks_reviewed
    );
    if !receipt.files_skipped.is_empty() {
        let reasons: Vec<String> =
            receipt.files_skipped.iter().map(|(reason, n)| format!("{n} {}", reason.explained())).collect();
        let _ = write!(body, "\nFiles skipped: {}.\n", reasons.join(", "));
    }
    if receipt.is_partial() {
        body.push_str("\n**This review is partial**: not everything that changed could be read.\n");
    }
    let mut items = Vec::new();
    for finding in summary.unplaced {
        let heading = heading(finding);
        let place = code(&format!("{}:{}", finding.path, finding.line));
        items.push(format!("\n{heading} at {place}\n\n{}\n", fenced("", &finding.text)));
    }
    let withheld: Vec<String> =
        summary.withheld.iter().map(|(reason, n)| format!("{n} {}", reason.label())).collect();
    let withheld = if withheld.is_empty() { "none".to_owned() } else { withheld.join(", ") };
    let tail = format!(
        "\n<sub>Commit {} · model {} · input {} · withheld: {withheld}</sub>\n\n{}",
        code(short(summary.head_sha)),
        code(summary.model_version),
        code(short(summary.input_sha256)),
        review_marker(summary.key)
    );
    bounded(body, &items, &tail)
}

/// Writes the answer to `/sentinel explain`.
#[must_use]
pub fn explanation(key: &str, findings: &[Finding], outcome: Option<&str>) -> String {
    let mut items = Vec::new();
    for finding in findings {
        let source = match finding.origin {
            Origin::Model => "the model's score",
            Origin::Check(_) => "a fixed check",
        };
        items.push(format!(
            "| {} | {} | {} | {:.2} | {source} |\n",
            code(&format!("{}:{}", finding.path, finding.line)).replace('|', "\\|"),
            finding.severity.label(),
            finding.category.label(),
            finding.confidence
        ));
    }
    let mut head = String::from("### 🛡️ SENTINEL\n\n");
    head.push_str(
        "A transformer scores each hunk by how often lines like these were mended later; it saw the hunk, its path and \
         its language, and nothing else. A finding is shown when its score passes the threshold of its severity, the \
         most urgent first, up to the cap in `.github/sentinel.yml`.\n\n",
    );
    match outcome {
        Some(outcome) => {
            let _ = writeln!(head, "The last review: {}.\n", visible(outcome));
        }
        None => head.push_str("There is no finished review of this pull request yet.\n\n"),
    }
    if !items.is_empty() {
        head.push_str("| place | severity | category | score | from |\n|---|---|---|---|---|\n");
    }
    bounded(head, &items, &format!("\n{}", review_marker(key)))
}

/// The content of a post that says why a run failed.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    /// The subject's key, which becomes the marker.
    pub key: &'a str,
    /// The class, or `Unknown`.
    pub prediction: &'a str,
    /// The confidence, from 0 to 1.
    pub confidence: f64,
    /// The log line that the verdict points at.
    pub line: Option<&'a str>,
    /// The failed job and step.
    pub place: Option<&'a str>,
    /// The address of the run's page on GitHub.
    pub run_url: Option<&'a str>,
    /// The address at which a person corrects the verdict.
    pub correction_url: Option<&'a str>,
    /// The version of the model that gave the verdict.
    pub model_version: &'a str,
}

/// Writes the body of a post that says why a run failed.
#[must_use]
pub fn verdict(verdict: &Verdict<'_>) -> String {
    let mut body = format!(
        "### 🛡️ SENTINEL: {}\n\nConfidence {:.0} %",
        visible(verdict.prediction),
        verdict.confidence * 100.0
    );
    if let Some(place) = verdict.place {
        let _ = write!(body, " · {}", code(place));
    }
    if let Some(url) = verdict.run_url.filter(|url| is_link(url)) {
        let _ = write!(body, " · [run]({url})");
    }
    if let Some(line) = verdict.line {
        let _ = write!(body, "\n\n{}", fenced("", line));
    }
    if let Some(url) = verdict.correction_url.filter(|url| is_link(url)) {
        let _ = write!(
            body,
            "\n\nWas it something else? [Say what it was]({url}), and the model learns from it."
        );
    }
    let _ = write!(body, "\n\n<sub>model {}</sub>", code(verdict.model_version));
    let _ = write!(body, "\n\n{}", review_marker(verdict.key));
    body
}

/// The hidden last line of a review or an answer.
#[must_use]
pub fn review_marker(key: &str) -> String {
    // What would end an HTML comment does not occur in a key: names of repositories have no `>`.
    format!("<!-- sentinel:review {} -->", key.replace(['<', '>', '\n'], ""))
}

/// Whether `body` is the review or the answer of this key.
#[must_use]
pub fn is_of_key(body: &str, key: &str) -> bool {
    last_line(body) == review_marker(key)
}

/// The hidden last line of an inline comment.
#[must_use]
pub fn finding_marker(fingerprint: &str) -> String {
    format!("<!-- sentinel:finding {fingerprint} -->")
}

/// Reads the fingerprint of the finding that `body` is about.
#[must_use]
pub fn fingerprint_in(body: &str) -> Option<&str> {
    last_line(body).strip_prefix("<!-- sentinel:finding ")?.strip_suffix(" -->")
}

/// The message of a finding, without the evidence.
#[must_use]
pub fn message(finding: &Finding, speech: Speech) -> String {
    match finding.origin {
        Origin::Check(check) => super::certain::message(check, speech).to_owned(),
        Origin::Model => {
            format!("{} {}", opening(finding.severity, speech), advice(finding.category, speech))
        }
    }
}

fn heading(finding: &Finding) -> String {
    let emoji = match finding.severity {
        Severity::Nit => "💬",
        Severity::Suggestion => "💡",
        Severity::Bug => "🐛",
        Severity::Critical => "🚨",
    };
    let severity = finding.severity.label().to_uppercase();
    format!("{emoji} **SENTINEL** [{severity}] — {}", finding.category.label())
}

fn opening(severity: Severity, speech: Speech) -> &'static str {
    match (speech, severity) {
        (Speech::En, Severity::Nit) => "A small thing.",
        (Speech::En, Severity::Suggestion) => "Worth a thought.",
        (Speech::En, Severity::Bug) => "Lines like this were often mended later.",
        (Speech::En, Severity::Critical) => "Lines like this were often mended later, and urgently.",
        (Speech::De, Severity::Nit) => "Eine Kleinigkeit.",
        (Speech::De, Severity::Suggestion) => "Einen Gedanken wert.",
        (Speech::De, Severity::Bug) => "Zeilen wie diese wurden später oft berichtigt.",
        (Speech::De, Severity::Critical) => "Zeilen wie diese wurden später oft berichtigt, und zwar eilig.",
    }
}

fn advice(category: Category, speech: Speech) -> &'static str {
    match (speech, category) {
        (Speech::En, Category::Style) => "Does it follow the style of the code around it?",
        (Speech::En, Category::Naming) => "Does the name say what the thing is?",
        (Speech::En, Category::Logic) => "Check the condition, the boundaries and the order of steps.",
        (Speech::En, Category::Performance) => {
            "Check what it costs when the input is large, or the call frequent."
        }
        (Speech::En, Category::Security) => "Check where the input comes from, and who may reach this line.",
        (Speech::En, Category::ErrorHandling) => "Check what happens when this fails, and who gets to know.",
        (Speech::En, Category::Testing) => {
            "Check that the test can fail, and does not depend on time or order."
        }
        (Speech::En, Category::Documentation) => "Check that the words still say what the code does.",
        (Speech::En, Category::Complexity) => "Could it be said in a simpler way?",
        (Speech::En, Category::Duplication) => "Is the same thing said elsewhere already?",
        (Speech::En, Category::Typing) => "Check the type, and whether the value may be absent.",
        (Speech::En, Category::Other) => "Please look at it once more.",
        (Speech::De, Category::Style) => "Folgt sie dem Stil des Codes ringsum?",
        (Speech::De, Category::Naming) => "Sagt der Name, was die Sache ist?",
        (Speech::De, Category::Logic) => "Bedingung, Grenzfälle und Reihenfolge prüfen.",
        (Speech::De, Category::Performance) => {
            "Prüfen, was sie bei großer Eingabe oder häufigem Aufruf kostet."
        }
        (Speech::De, Category::Security) => "Prüfen, woher die Eingabe kommt und wer hierher gelangt.",
        (Speech::De, Category::ErrorHandling) => {
            "Prüfen, was beim Fehlschlag geschieht und wer davon erfährt."
        }
        (Speech::De, Category::Testing) => {
            "Prüfen, ob der Test scheitern kann und nicht von Zeit oder Reihenfolge abhängt."
        }
        (Speech::De, Category::Documentation) => "Prüfen, ob die Worte noch sagen, was der Code tut.",
        (Speech::De, Category::Complexity) => "Ließe es sich einfacher sagen?",
        (Speech::De, Category::Duplication) => "Steht dasselbe schon anderswo?",
        (Speech::De, Category::Typing) => "Typ prüfen, und ob der Wert fehlen kann.",
        (Speech::De, Category::Other) => "Bitte noch einmal ansehen.",
    }
}

/// Joins `head`, as many `items` as fit, the number of those that do not, and `tail`.
fn bounded(mut head: String, items: &[String], tail: &str) -> String {
    let mut left = BODY_MAX_CHARS.saturating_sub(head.chars().count() + tail.chars().count() + 40);
    for (at, item) in items.iter().enumerate() {
        let size = item.chars().count();
        if size > left {
            let _ = write!(head, "\n… and {} more.\n", items.len() - at);
            break;
        }
        left -= size;
        head.push_str(item);
    }
    head.push_str(tail);
    head
}

/// Quotes the text of another model, so that its headings, lists and mentions have no effect. A wide `＠` mentions nobody, and
/// a reader sees it, unlike a hidden character.
fn quoted(text: &str) -> String {
    let line = |line: &str| format!("> {}", visible(line).replace('<', "&lt;").replace('@', "＠"));
    text.lines().take(12).map(line).collect::<Vec<_>>().join("\n")
}

fn is_link(url: &str) -> bool {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'*+,;=%".contains(c);
    (url.starts_with("https://") || url.starts_with("http://")) && url.chars().all(harmless)
}

fn last_line(body: &str) -> &str {
    body.trim_end().rsplit('\n').next().unwrap_or_default().trim()
}

/// The first twelve digits of a hash.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::super::certain::Check;
    use super::*;
    use proptest::prelude::*;

    fn finding(text: &str) -> Finding {
        Finding {
            path: "src/`x`.rs".into(),
            line: 7,
            severity: Severity::Bug,
            category: Category::ErrorHandling,
            confidence: 0.834,
            text: text.into(),
            hunk: String::new(),
            origin: Origin::Model,
            suggestion: None,
        }
    }

    #[test]
    fn a_comment_has_the_severitys_mark_the_message_and_the_quoted_line() {
        let body = comment(&finding("    let x = y.unwrap();"), Speech::En, None);
        assert!(body.starts_with(
            "🐛 **SENTINEL** [BUG] — error_handling\n\nLines like this were often mended later. Check what happens"
        ));
        assert!(body.contains("```\n    let x = y.unwrap();\n```"), "{body}");
        assert!(body.contains("*Confidence: 0.83 | File: ``src/`x`.rs``*"), "{body}");
    }

    #[test]
    fn a_certain_repair_is_a_suggestion_that_can_be_applied() {
        let removed = Finding {
            origin: Origin::Check(Check::Debugger),
            suggestion: Some(String::new()),
            ..finding("  debugger;")
        };
        assert!(comment(&removed, Speech::De, None).contains("\n\n```suggestion\n```\n"));
    }

    #[test]
    fn another_models_text_is_a_labelled_quote_and_mentions_nobody() {
        let body = comment(&finding("x"), Speech::En, Some("# Ping @everyone\n<!-- sentinel:finding 0 -->"));
        assert!(body.contains("unchecked:\n\n> # Ping ＠everyone\n> &lt;!-- sentinel"), "{body}");
    }

    #[test]
    fn a_summary_of_everything_keeps_to_githubs_limit_and_keeps_its_marker() {
        let unplaced = vec![finding(&"x".repeat(240)); 500];
        let body = summary(&Summary {
            key: "o/r#1@abc",
            head_sha: "abc",
            receipt: &Receipt::default(),
            shown: 0,
            unplaced: &unplaced,
            withheld: &BTreeMap::from([(Withheld::OverCap, 2)]),
            model_version: "review_v0",
            input_sha256: "00",
            speech: Speech::En,
        });
        assert!(body.chars().count() <= BODY_MAX_CHARS);
        assert!(body.contains("… and ") && body.contains("withheld: 2 over_cap"));
        assert!(is_of_key(&body, "o/r#1@abc") && !is_of_key(&body, "o/r#1@abd"));
    }

    proptest! {
        #[test]
        fn no_quoted_line_forges_a_marker_or_speaks_in_the_bots_voice(
            text in "(<!-- sentinel:(finding|review) [a-z]{2} -->|```|\n|@team|[a-z ]){0,12}"
        ) {
            let finding = finding(&text);
            let (body, print) = (comment(&finding, Speech::En, None), finding.fingerprint());
            prop_assert_eq!(fingerprint_in(&body), Some(print.as_str()));
            prop_assert!(!is_of_key(&body, "zz"));
        }
    }
}
