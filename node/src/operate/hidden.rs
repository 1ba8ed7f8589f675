//! Secrets as the command line and the environment give them.

use sentinel_shared::signature::Secret;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A secret as it was given. Settings can be printed, and this shows nothing then. It may be empty, which counts as not
/// given: an environment file sets what it does not use to nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// The secret; None where it is empty.
    #[must_use]
    pub fn secret(&self) -> Option<Secret> {
        Secret::new(self.0.trim())
    }

    /// Its text, for the last call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl FromStr for Hidden {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}
