//! What people say about a verdict ([`Feedback`]) or a finding ([`Opinion`]). [`crate::store::feedback`] stores it.

use crate::failure::FailureClass;
use crate::store::column;
use crate::text;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest name of an author, in characters.
pub const AUTHOR_CHARS: usize = 64;

/// One correction, or a confirmation when the class is the verdict's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The id of the inference that is corrected.
    pub inference_id: i64,
    /// The class that the person says is right.
    pub corrected: FailureClass,
    /// The author for the audit log: the name of the key that the request came with.
    pub author: String,
}

/// What a person thinks of a finding that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Opinion {
    /// A thumbs-up on the comment.
    Useful,
    /// The person gave a thumbs-down.
    NotUseful,
    /// `/sentinel ignore`: the whole review was not wanted.
    Dismissed,
}

impl Opinion {
    /// The name under which it is stored.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Useful => "useful",
            Self::NotUseful => "not_useful",
            Self::Dismissed => "dismissed",
        }
    }

    /// What a reaction to a comment says about it, if anything
    /// (<https://docs.github.com/rest/reactions/reactions#about-reactions>).
    #[must_use]
    pub fn of_reaction(content: &str) -> Option<Self> {
        match content {
            "+1" => Some(Self::Useful),
            "-1" => Some(Self::NotUseful),
            _ => None,
        }
    }
}

/// The body of `POST /api/feedback`. The aliases are the names of the first API, which its clients still send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackRequest {
    /// The id of the inference that is corrected.
    #[serde(alias = "log_id")]
    pub inference_id: Option<i64>,
    /// The full name of the class that is right.
    #[serde(alias = "corrected_label")]
    pub corrected_class: Option<String>,
}

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackRecord {
    /// The row's id; later rows have larger ids.
    pub id: i64,
    /// When it was stored, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub timestamp: String,
    /// The inference, if the feedback is about a verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_id: Option<i64>,
    /// The key of the review's job, if the feedback is about a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_key: Option<String>,
    /// The fingerprint of the finding; `*` if the whole review was dismissed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// The verdict at that time; for a finding `severity/category`.
    pub original_pred: String,
    /// The class that the author says is right; for a finding an [`Opinion`].
    pub corrected_label: String,
    /// The name of the key or the GitHub login that gave the feedback.
    pub author_id: String,
}

/// The answer of `GET /api/feedback/stats`. The names are those of the first API, which its clients still read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FeedbackStats {
    /// Rows about verdicts, confirmations included.
    pub total_records: u64,
    /// The number of different authors.
    pub unique_authors: u64,
    /// Share of rows that name another class than the verdict; 0 without rows.
    pub correction_rate: f64,
    /// Rows by the class they name.
    pub label_distribution: BTreeMap<String, u64>,
    /// Rows about findings, by [`Opinion`].
    pub findings: BTreeMap<String, u64>,
}

impl Feedback {
    /// Parses and checks a request body. `author` is the name of the caller's key. A name in the body would prove
    /// nothing and is not read.
    ///
    /// # Errors
    /// [`Error::JsonInvalid`], [`Error::FieldMissing`], or [`Error::ParameterInvalid`] for a class that is not one of
    /// the ten.
    pub fn parse(body: &[u8], author: &str) -> Result<Self> {
        let body: FeedbackRequest = serde_json::from_slice(body).map_err(|error| {
            Error::JsonInvalid(format!("line {}, column {}", error.line(), error.column()))
        })?;
        let class = body.corrected_class.ok_or(Error::FieldMissing("corrected_class"))?;
        Ok(Self {
            inference_id: body.inference_id.ok_or(Error::FieldMissing("inference_id"))?,
            corrected: FailureClass::parse(&class).ok_or(Error::ParameterInvalid {
                name: "corrected_class",
                expected: "one of the ten classes, by its full name",
            })?,
            author: author.to_owned(),
        })
    }
}

/// Checks a name for the audit log: it must be given, not empty, not too long, and printable.
///
/// # Errors
/// [`Error::FieldMissing`], [`Error::ParameterInvalid`].
pub fn author(name: Option<&str>) -> Result<String> {
    let name = name.ok_or(Error::FieldMissing("author"))?.trim();
    if name.is_empty() || name.chars().count() > AUTHOR_CHARS || text::line(name) != name {
        return Err(Error::ParameterInvalid { name: "author", expected: "1 to 64 printable characters" });
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sets_of_names_are_read() {
        let ours = br#"{"inference_id":7,"corrected_class":"Network Error"}"#;
        let theirs =
            br#"{"log_id":7,"original_pred":"x","corrected_label":"Network Error","author_id":"somebody else"}"#;
        assert_eq!(Feedback::parse(ours, "mona").unwrap(), Feedback::parse(theirs, "mona").unwrap());
        assert_eq!(Feedback::parse(theirs, "mona").unwrap().author, "mona");
        for name in ["", " ", "a\nb", "a\u{202e}b", &"x".repeat(65)] {
            assert!(author(Some(name)).is_err(), "{name:?}");
        }
    }

    #[test]
    fn what_can_not_be_learned_from_is_refused() {
        for (body, expected) in [
            (r#"{"#, "not the JSON"),
            (r#"{"corrected_class":"Timeout","author":"a"}"#, "inference_id"),
            (r#"{"inference_id":1,"author":"a"}"#, "corrected_class"),
            (r#"{"inference_id":1,"corrected_class":"Unknown","author":"a"}"#, "one of the ten"),
        ] {
            let error = Feedback::parse(body.as_bytes(), "mona").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
