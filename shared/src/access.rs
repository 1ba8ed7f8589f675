//! Keys, their roles, and the installation that a key may be limited to.
//!
//! This file defines what a key is and what its holder may do. [`crate::store::access`] stores keys. The one key in the
//! configuration (`SENTINEL_API_KEY`) belongs to the operator and is not stored.

use crate::signature::Secret;
use crate::{Error, Result, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The first characters of every key, so that a leaked key is recognised.
const KEY_PREFIX: &str = "sntl_";
/// The number of random bytes in a key or a session.
pub const TOKEN_BYTES: usize = 32;
/// The number of random bytes in a session. The key's id and a seal follow them, with eight bytes each.
pub const SESSION_RANDOM_BYTES: usize = 16;
/// The id that stands for the operator's key. Rows count from 1, so no stored key has it.
const OPERATORS: i64 = 0;
/// The time for which a browser stays signed in, in seconds.
pub const SESSION_SECONDS: i64 = 12 * 60 * 60;
/// Longest name of a key, in characters.
const NAME_CHARS: usize = 64;

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May read, correct verdicts, classify logs, and send reports of tests.
    Read,
    /// May also replay jobs, redeliver, and delete.
    Admin,
}

/// The rows that a key sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The rows of every installation, and the rows without one.
    All,
    /// Only the rows of one installation of the GitHub App.
    Installation(u64),
}

/// The caller of the API: its name, its role and its scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The key's name, or `operator`.
    pub name: String,
    /// What the caller may do.
    pub role: Role,
    /// The rows that the caller sees.
    pub scope: Scope,
    /// The id of the caller's key; None for the key in the configuration. Calls are counted by it, because names are
    /// not unique.
    pub key_id: Option<i64>,
}

/// A bearer token as its holder has it. It has neither `Debug` nor `Display`, so it can't reach a log.
pub struct Token(String);

/// A key that is to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// The name, which says what the key is for.
    pub name: String,
    /// What the key allows.
    pub role: Role,
    /// The installation that the key is limited to; None for no limit.
    pub installation_id: Option<u64>,
}

// === impl Role, Scope, Principal ===

impl Role {
    /// The name in the table and on the wire.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        [Self::Read, Self::Admin].into_iter().find(|role| role.label() == label)
    }
}

impl Scope {
    /// The installation that the scope is limited to, if it is.
    #[must_use]
    pub fn installation(self) -> Option<u64> {
        match self {
            Self::All => None,
            Self::Installation(id) => Some(id),
        }
    }
}

impl From<Option<u64>> for Scope {
    fn from(installation: Option<u64>) -> Self {
        installation.map_or(Self::All, Self::Installation)
    }
}

impl Principal {
    /// The caller who holds the key in the configuration.
    #[must_use]
    pub fn operator() -> Self {
        Self { name: "operator".into(), role: Role::Admin, scope: Scope::All, key_id: None }
    }

    /// Checks that the caller may change something.
    ///
    /// # Errors
    /// [`Error::RoleTooLow`] for a key that may only read.
    pub fn may_change(&self) -> Result<()> {
        match self.role {
            Role::Admin => Ok(()),
            Role::Read => Err(Error::RoleTooLow),
        }
    }

    /// Checks that the caller sees the rows of all installations.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`] for a key that is limited to one installation.
    pub fn sees_all(&self) -> Result<()> {
        match self.scope {
            Scope::All => Ok(()),
            Scope::Installation(_) => Err(Error::OperatorOnly),
        }
    }
}

// === impl Token, NewKey ===

impl Token {
    /// Makes a key from random bytes.
    #[must_use]
    pub fn key(random: &[u8; TOKEN_BYTES]) -> Self {
        Self(format!("{KEY_PREFIX}{}", hex::encode(random)))
    }

    /// Makes a session of the key `key_id`, or of the operator's key. It holds random bytes, the key's id and a seal
    /// over both, so an invented session is recognised without asking the database.
    #[must_use]
    pub fn session(random: &[u8; SESSION_RANDOM_BYTES], key_id: Option<i64>, secret: &Secret) -> Self {
        let signed = [random.as_slice(), &key_id.unwrap_or(OPERATORS).to_be_bytes()].concat();
        Self(hex::encode(&[signed.as_slice(), &secret.seal(&signed)].concat()))
    }

    /// The key that the session was opened with; None for the operator's key.
    ///
    /// # Errors
    /// [`Error::SessionOver`] for a session that was not made with this secret.
    pub fn session_key(&self, secret: &Secret) -> Result<Option<i64>> {
        let bytes: [u8; TOKEN_BYTES] = hex::decode(self.0.as_bytes()).ok_or(Error::SessionOver)?;
        let (signed, seal) = bytes.split_last_chunk().ok_or(Error::SessionOver)?;
        let id = signed.last_chunk().map(|id| i64::from_be_bytes(*id)).ok_or(Error::SessionOver)?;
        if !secret.sealed(signed, seal) {
            return Err(Error::SessionOver);
        }
        Ok((id != OPERATORS).then_some(id))
    }

    /// Reads a token that a caller sent. None if no token looks like this, so that the database is not asked.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(KEY_PREFIX).unwrap_or(text);
        let fits = digits.len() == 2 * TOKEN_BYTES && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self(text.to_owned()))
    }

    /// The hash that is stored. A plain hash is enough, because 256 random bits cannot be guessed.
    #[must_use]
    pub fn digest(&self) -> String {
        hex::encode(&Sha256::digest(self.0.as_bytes()))
    }

    /// The token itself, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl NewKey {
    /// Reads the request for a new key from `body`.
    ///
    /// # Errors
    /// [`Error::JsonInvalid`], or [`Error::ParameterInvalid`] for a name that is empty or long.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let key: Self =
            serde_json::from_slice(body).map_err(|error| Error::JsonInvalid(error.to_string()))?;
        if key.name.trim().is_empty() || key.name.chars().count() > NAME_CHARS {
            return Err(Error::ParameterInvalid { name: "name", expected: "1 to 64 characters" });
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_and_only_its_hash_is_kept() {
        let key = Token::key(&[7; TOKEN_BYTES]);
        assert!(key.expose().starts_with("sntl_0707"));
        let presented = Token::presented(key.expose()).unwrap();
        assert_eq!(presented.digest(), key.digest());
        assert!(!key.digest().contains("0707"));
        assert_ne!(key.digest(), Token::presented(&"07".repeat(32)).unwrap().digest());
        for other in ["", "sntl_", "sntl_07", "key", &"g".repeat(64), &format!("{}0", key.expose())] {
            assert!(Token::presented(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_reader_changes_nothing_and_a_key_of_one_installation_is_no_operators() {
        let reader = Principal { name: "ci".into(), role: Role::Read, scope: Scope::All, key_id: Some(1) };
        assert_eq!(reader.may_change(), Err(Error::RoleTooLow));
        let tenant = Principal { scope: Scope::Installation(1), role: Role::Admin, ..reader };
        assert_eq!((tenant.may_change(), tenant.sees_all()), (Ok(()), Err(Error::OperatorOnly)));
        assert_eq!(Principal::operator().sees_all(), Ok(()));
    }

    #[test]
    fn a_session_tells_its_key_and_a_made_up_one_is_told_without_the_store() {
        let (ours, other) = (Secret::new("ours").unwrap(), Secret::new("other").unwrap());
        let session = Token::session(&[7; SESSION_RANDOM_BYTES], Some(4711), &ours);
        let presented = Token::presented(session.expose()).unwrap();
        assert_eq!(presented.session_key(&ours), Ok(Some(4711)));
        assert_eq!(presented.session_key(&other), Err(Error::SessionOver));
        assert_eq!(Token::session(&[7; SESSION_RANDOM_BYTES], None, &ours).session_key(&ours), Ok(None));
        let mut changed = session.expose().to_owned();
        changed.replace_range(47..48, if changed.as_bytes()[47] == b'0' { "1" } else { "0" });
        for made_up in [changed, "07".repeat(32), format!("sntl_{}", "07".repeat(32))] {
            assert_eq!(Token::presented(&made_up).unwrap().session_key(&ours), Err(Error::SessionOver));
        }
    }

    #[test]
    fn a_new_key_has_a_name_and_a_known_role() {
        let parsed = NewKey::parse(br#"{"name":"ci","role":"read","installation_id":7}"#).unwrap();
        assert_eq!(parsed, NewKey { name: "ci".into(), role: Role::Read, installation_id: Some(7) });
        for wrong in [r#"{"name":" ","role":"read"}"#, r#"{"name":"x","role":"root"}"#, "{}", "["] {
            assert!(NewKey::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
