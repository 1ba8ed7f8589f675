//! The bearer tokens that clients send. Each allows reading and writing, or only reading.

use super::connection::Access;
use crate::operate::hidden::Hidden;
use axum::http::{HeaderMap, header};
use sentinel_shared::signature::Secret;

/// The tokens of one server. If there are none, everyone who reaches it may read and write.
#[derive(Default)]
pub struct Tokens {
    /// The tokens that may read and write. There can be several, so that they can be rotated.
    pub write: Vec<Secret>,
    /// The tokens that may only read.
    pub read: Vec<Secret>,
}

impl Tokens {
    /// Takes the tokens that were given; empty ones are left out.
    #[must_use]
    pub fn new(write: &[Hidden], read: &[Hidden]) -> Self {
        let secrets = |given: &[Hidden]| given.iter().filter_map(Hidden::secret).collect();
        Self { write: secrets(write), read: secrets(read) }
    }

    /// Whether there is no token, so that anyone may use the server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.write.is_empty() && self.read.is_empty()
    }

    /// What the token of this request allows.
    pub(super) fn access(&self, headers: &HeaderMap) -> Option<Access> {
        if self.is_empty() {
            return Some(Access::Write);
        }
        let header = headers.get(header::AUTHORIZATION)?;
        let bearer = header.as_bytes().strip_prefix(b"Bearer ")?;
        // Every token is compared: the time an answer takes does not say which one came close.
        let any = |secrets: &[Secret]| secrets.iter().fold(false, |any, secret| secret.matches(bearer) | any);
        match (any(&self.write), any(&self.read)) {
            (true, _) => Some(Access::Write),
            (false, true) => Some(Access::Read),
            (false, false) => None,
        }
    }
}

impl From<Option<Secret>> for Tokens {
    fn from(token: Option<Secret>) -> Self {
        Self { write: token.into_iter().collect(), read: Vec::new() }
    }
}
