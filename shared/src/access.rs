//! Keys, their roles, and the installation that a key may be limited to.
//!
//! This file defines what a key is and what its holder may do. [`crate::store::access`] stores keys. The one key in the
//! configuration (`SENTINEL_API_KEY`) belongs to the operator and is not stored.

use crate::signature::Secret;
use crate::{Error, Result, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What every key begins with, so that it is recognised where it leaked.
const KEY_PREFIX: &str = "sntl_";
/// Random bytes of a key or a session.
pub const TOKEN_BYTES: usize = 32;
/// Random bytes of a session; beside them stand the key's id and a seal, eight bytes each.
pub const SESSION_RANDOM_BYTES: usize = 16;
/// In the place of a key's id, for the operator's: rows count from 1.
const OPERATORS: i64 = 0;
/// How long a browser stays signed in, in seconds.
pub const SESSION_SECONDS: i64 = 12 * 60 * 60;
/// Longest name of a key, in characters.
const NAME_CHARS: usize = 64;

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look, correct verdicts, and try the classifier.
    Read,
    /// Also replay jobs, redeliver, and delete.
    Admin,
}

/// Which rows a key sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of every installation, and those without one.
    All,
    /// Those of one installation of the GitHub App.
    Installation(u64),
}

/// The caller of the API: its name, its role and its scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The key's name, or `operator`.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What they may see.
    pub scope: Scope,
    /// Which key they hold; None is the one of the configuration. Names are not unique, so calls are counted by this.
    pub key_id: Option<i64>,
}

/// A bearer token as its holder has it. It has neither `Debug` nor `Display`, so it can't reach a log.
pub struct Token(String);

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The installation it is held to; every one without.
    pub installation_id: Option<u64>,
}

// === impl Role, Scope, Principal ===

impl Role {
    /// Its name in the table and on the wire.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        [Self::Read, Self::Admin].into_iter().find(|role| role.label() == label)
    }
}

impl Scope {
    /// The installation it is held to, if it is held to one.
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
    /// Who holds the key of the configuration.
    #[must_use]
    pub fn operator() -> Self {
        Self { name: "operator".into(), role: Role::Admin, scope: Scope::All, key_id: None }
    }

    /// # Errors
    /// [`Error::RoleTooLow`] for a key that may only read.
    pub fn may_change(&self) -> Result<()> {
        match self.role {
            Role::Admin => Ok(()),
            Role::Read => Err(Error::RoleTooLow),
        }
    }

    /// # Errors
    /// [`Error::OperatorOnly`] for a key of one installation: what is asked is about all of them.
    pub fn sees_all(&self) -> Result<()> {
        match self.scope {
            Scope::All => Ok(()),
            Scope::Installation(_) => Err(Error::OperatorOnly),
        }
    }
}

// === impl Token, NewKey ===

impl Token {
    /// A new key from random bytes.
    #[must_use]
    pub fn key(random: &[u8; TOKEN_BYTES]) -> Self {
        Self(format!("{KEY_PREFIX}{}", hex::encode(random)))
    }

    /// A new session of the key `key_id`, or of the operator's: random bytes, the key's id, and a seal over both, so that
    /// a made-up one is told without asking the store.
    #[must_use]
    pub fn session(random: &[u8; SESSION_RANDOM_BYTES], key_id: Option<i64>, secret: &Secret) -> Self {
        let signed = [random.as_slice(), &key_id.unwrap_or(OPERATORS).to_be_bytes()].concat();
        Self(hex::encode(&[signed.as_slice(), &secret.seal(&signed)].concat()))
    }

    /// The key a session was opened with, None for the operator's.
    ///
    /// # Errors
    /// [`Error::SessionOver`] for one that was not made with this secret.
    pub fn session_key(&self, secret: &Secret) -> Result<Option<i64>> {
        let bytes: [u8; TOKEN_BYTES] = hex::decode(self.0.as_bytes()).ok_or(Error::SessionOver)?;
        let (signed, seal) = bytes.split_last_chunk().ok_or(Error::SessionOver)?;
        let id = signed.last_chunk().map(|id| i64::from_be_bytes(*id)).ok_or(Error::SessionOver)?;
        if !secret.sealed(signed, seal) {
            return Err(Error::SessionOver);
        }
        Ok((id != OPERATORS).then_some(id))
    }

    /// One that somebody presents; None for what no token looks like, so that nothing is looked up for it.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(KEY_PREFIX).unwrap_or(text);
        let fits = digits.len() == 2 * TOKEN_BYTES && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self(text.to_owned()))
    }

    /// What is stored of it. A plain hash is enough for 256 random bits: there is nothing to guess.
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
    /// What `body` asks for.
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
