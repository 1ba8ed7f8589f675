//! The keys that an isolate knows of, so that a made-up one costs no question of its own.

use crate::clock::now;
use crate::database::Database;
use sentinel_shared::Result;
use sentinel_shared::access::Token;
use sentinel_shared::store::access;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The longest time for which an isolate does not know a key that another one created, in seconds.
const REREAD_SECONDS: i64 = 2;

/// The keys an isolate has seen in the store. A key that is not among them is looked for in the store again, and that at
/// most every [`REREAD_SECONDS`], however many are made up.
#[derive(Default)]
pub(crate) struct KnownKeys {
    ids: Mutex<BTreeMap<String, i64>>,
    read_at: AtomicI64,
}

impl KnownKeys {
    /// The id of `key`, if it is known. Whether it still opens anything is asked of the store by who uses it.
    pub(crate) async fn id_of(&self, database: &Database, key: &Token) -> Result<Option<i64>> {
        let digest = key.digest();
        let known =
            |digest: &str| self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied();
        if let Some(id) = known(&digest) {
            return Ok(Some(id));
        }
        if now() - self.read_at.load(Ordering::Relaxed) < REREAD_SECONDS {
            return Ok(None);
        }
        self.read_at.store(now(), Ordering::Relaxed);
        let read = database.ask(access::known_keys()).await?;
        *self.ids.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(known(&digest))
    }

    /// Adds a key that this isolate has just created.
    pub(crate) fn insert(&self, key: &Token, id: i64) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(key.digest(), id);
    }
}
