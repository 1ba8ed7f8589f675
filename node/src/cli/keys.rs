//! `sentinel keys`: creates, lists and revokes keys for the dashboard and the API.

use crate::operate::worker_api::Worker;
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use sentinel_shared::access::{NewKey, Role};
use sentinel_shared::api::access::KeyCreated;
use sentinel_shared::store::access::KeyRow;
use sentinel_shared::text::{printed, printed_json};
use serde::Serialize;

/// Create, list and revoke keys for the dashboard and the API.
///
/// Requires the operator's key (SENTINEL_API_KEY), or an admin key that is not limited to one installation.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sentinel keys create --name dashboard --role read\n  \
    sentinel keys create --name acme --role admin --installation 4711\n  sentinel keys list\n  sentinel keys revoke 3")]
pub(super) struct Keys {
    #[command(subcommand)]
    action: KeysAction,
    #[command(flatten)]
    worker: Worker,
    /// Print one JSON document.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum KeysAction {
    /// Create a key and print it. Only its hash is stored, so it cannot be shown again.
    Create {
        /// A name that says what the key is for.
        #[arg(long)]
        name: String,
        /// What the key allows.
        #[arg(long, value_enum, default_value_t = RoleName::Read)]
        role: RoleName,
        /// Limit the key to the rows of this App installation.
        #[arg(long)]
        installation: Option<u64>,
    },
    /// List all keys, with the revoked ones.
    List,
    /// Revoke a key, and end every browser session that was opened with it.
    Revoke {
        /// The number of the key in `sentinel keys list`.
        id: i64,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    /// The key allows reading, correcting verdicts and classifying logs.
    Read,
    /// The key also allows replaying and redelivering; without --installation also promoting models and creating keys.
    Admin,
}

impl Keys {
    pub(super) fn run(self) -> Result<()> {
        match &self.action {
            KeysAction::Create { name, role, installation } => {
                let new = NewKey { name: name.clone(), role: (*role).into(), installation_id: *installation };
                let made: KeyCreated = self.worker.post("/api/keys", &new)?;
                self.print(&made, |made| stdout!("{}", printed(&made.key)))
            }
            KeysAction::List => {
                let keys: Vec<KeyRow> = self.worker.get("/api/keys")?;
                self.print(&keys, |keys| keys.iter().for_each(print_row))
            }
            KeysAction::Revoke { id } => {
                let revoked: KeyRow = self.worker.delete(&format!("/api/keys?id={id}"))?;
                self.print(&revoked, print_row)
            }
        }
    }

    fn print<T: Serialize>(&self, answer: &T, readable: impl FnOnce(&T)) -> Result<()> {
        if self.json {
            stdout!("{}", printed_json(&serde_json::to_string_pretty(answer)?));
        } else {
            readable(answer);
        }
        Ok(())
    }
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Read => Self::Read,
            RoleName::Admin => Self::Admin,
        }
    }
}

fn print_row(key: &KeyRow) {
    let installation = key.installation_id.map_or_else(|| "all".to_owned(), |id| id.to_string());
    let revoked = if key.revoked_at.is_some() { "  revoked" } else { "" };
    stdout!(
        "{:>4}  {:<20} {:<6} installation {installation:<10} since {}{revoked}",
        key.id,
        printed(&key.name),
        key.role.label(),
        printed(&key.created_at),
    );
}
