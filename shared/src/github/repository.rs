//! The name of a repository, checked by GitHub's rules. It becomes part of paths to GitHub's API, so no other text may.

use crate::{Error, Result};
use std::fmt;

/// The longest name of an owner (<https://docs.github.com/admin/managing-iam/understanding-iam-for-enterprises/username-considerations-for-external-authentication>).
const OWNER_BYTES: usize = 39;
/// The longest name of a repository, according to GitHub's form.
const NAME_BYTES: usize = 100;

/// A repository's name, `owner/name`, that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// Reads `owner/name`.
    ///
    /// # Errors
    /// [`Error::ParameterInvalid`] for what GitHub would not allow: other characters than ASCII letters, digits, `-`, `_`
    /// and `.`, a part that is empty or too long, and `.` and `..`, which lead elsewhere in a path.
    pub fn parse(text: &str) -> Result<Self> {
        let fits = |part: &str, limit: usize| {
            (1..=limit).contains(&part.len())
                && !matches!(part, "." | "..")
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match text.split_once('/') {
            Some((owner, name)) if fits(owner, OWNER_BYTES) && fits(name, NAME_BYTES) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Error::ParameterInvalid {
                name: "the repository",
                expected: "owner/name, as GitHub allows it",
            }),
        }
    }

    /// The name as `owner/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RepositoryName> for String {
    fn from(name: RepositoryName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_lead_elsewhere_in_a_path_is_no_repository() {
        for name in ["acme/app", "a/b.github.io", "An-Org/some_repo-2.0", "acme/.github", "mona_corp/x"] {
            assert_eq!(RepositoryName::parse(name).unwrap().as_str(), name);
        }
        let long = format!("o/{}", "r".repeat(101));
        for other in [
            "../../user",
            "..",
            "o/..",
            "./r",
            "o/r/x",
            "o",
            "/r",
            "o/",
            "",
            "o/r?x=1",
            "o/r#1",
            "o/%2e%2e",
            "o/r\n",
            "o\\r",
            "ö/r",
            "o/r\u{202e}",
            &long,
        ] {
            assert!(RepositoryName::parse(other).is_err(), "{other}");
        }
    }
}
