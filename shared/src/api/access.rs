//! Keys, and who is signed in.

use crate::access::{Principal, Role};
use crate::store::access::KeyRow;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The body of `POST /api/session`.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignInRequest {
    /// The key to sign in with.
    pub key: Option<String>,
}

/// The answer of `GET` and `POST /api/session`: who is signed in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHolder {
    /// The name of the key; None if nobody is signed in.
    pub name: Option<String>,
    /// What this key may; None if nobody is signed in.
    #[serde(flatten)]
    pub rights: Option<Rights>,
}

/// What a key may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// What the key allows.
    pub role: Role,
    /// The installation that the key is limited to; None for no limit.
    pub installation_id: Option<u64>,
}

/// The answer of `DELETE /api/session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOut {
    /// Always `signed out`.
    pub status: Cow<'static, str>,
}

/// The answer of `POST /api/keys`. It is the only one that holds a key, so it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyCreated {
    /// The key itself, shown this once.
    pub key: String,
    /// The key's row.
    pub stored: KeyRow,
}

impl From<Principal> for SessionHolder {
    fn from(who: Principal) -> Self {
        let rights = Rights { role: who.role, installation_id: who.scope.installation() };
        Self { name: Some(who.name), rights: Some(rights) }
    }
}
