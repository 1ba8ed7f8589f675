//! The name of a commit. It becomes part of paths to GitHub's API, so only letters and digits may.

use crate::{Error, Result};

/// The longest name of a commit: a SHA-256 in hexadecimal. Most are a SHA-1, of 40 digits.
const SHA_BYTES: usize = 64;

/// The SHA of a commit, checked. Its digits are not counted, because GitHub alone knows which commits there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSha(String);

impl CommitSha {
    /// Reads the SHA of a commit.
    ///
    /// # Errors
    /// [`Error::ParameterInvalid`] for text that is empty or too long, or has other characters than ASCII letters and
    /// digits.
    pub fn parse(text: &str) -> Result<Self> {
        let fits =
            (1..=SHA_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::ParameterInvalid { name: "the commit", expected: "a SHA in hexadecimal" })
        }
    }
}

impl From<CommitSha> for String {
    fn from(sha: CommitSha) -> Self {
        sha.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_lead_elsewhere_in_a_path_is_no_commit() {
        for sha in ["0a1b2c", &"f".repeat(40), &"0".repeat(64)] {
            assert_eq!(String::from(CommitSha::parse(sha).unwrap()), sha);
        }
        let long = "0".repeat(65);
        for other in
            ["", "..", "a/b", "../../user", "a?ref=b", "a#", "%2e", "main branch", "0a\n", "é", &long]
        {
            assert!(CommitSha::parse(other).is_err(), "{other}");
        }
    }
}
