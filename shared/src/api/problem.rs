//! The answer to every request that failed: a problem document (RFC 9457).

use crate::Error;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A problem document (RFC 9457, section 3.1). Its media type is `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Always `about:blank`: the status and the title say what kind of problem it is.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The label of the [`crate::Code`].
    pub title: Cow<'static, str>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What went wrong, in a sentence for the caller.
    pub detail: String,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let code = error.code();
        Self {
            kind: "about:blank".into(),
            title: code.label().into(),
            status: code.http_status(),
            detail: error.to_string(),
        }
    }
}
