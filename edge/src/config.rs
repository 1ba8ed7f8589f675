//! The worker's settings, read once per isolate. A missing secret closes what needs it, and `/health` names it.

use sentinel_shared::artifact::signed::PublicKeys;
use sentinel_shared::signature::{Secret, WebhookSecrets};
use sentinel_shared::store::hrana::http_url;
use sentinel_shared::store::retention::RETENTION_DAYS;
use sentinel_shared::{Error, Result};

const GITHUB_API: &str = "https://api.github.com";
/// The hosts that GitHub's job logs redirect to, as suffixes of host names.
const LOG_HOSTS: &str = ".blob.core.windows.net,.actions.githubusercontent.com";

/// The node that the worker notifies.
pub(crate) struct Node {
    /// The origin of the node's URL.
    pub(crate) url: String,
    /// The bearer token that the node requires.
    pub(crate) token: String,
}

pub(crate) struct Config {
    /// `SENTINEL_WEBHOOK_SECRET`, and `SENTINEL_WEBHOOK_SECRET_PREVIOUS` during a rotation: verifies webhooks.
    webhook_secrets: Option<WebhookSecrets>,
    /// `SENTINEL_API_KEY`: the operator's key for the dashboard and the API.
    api_key: Option<Secret>,
    /// `TURSO_DATABASE_URL`: the address of the database, `libsql://…`, `https://…`, or `http://…` of a local `sentinel
    /// db`.
    database_url: Option<String>,
    /// `TURSO_AUTH_TOKEN`: the token for the database.
    pub(crate) database_token: Option<String>,
    /// `GITHUB_TOKEN`: reads jobs and logs. Without it, verdicts use the delivery alone.
    pub(crate) github_token: Option<String>,
    /// `GITHUB_API_URL`: the address of GitHub's API; set it for GitHub Enterprise Server.
    pub(crate) github_api_url: String,
    /// `SENTINEL_MODEL_PUBLIC_KEYS`: the keys that may sign models, comma-separated. `sentinel model keygen` prints
    /// one.
    model_keys: Option<PublicKeys>,
    /// `SENTINEL_NODE_URL` and `SENTINEL_NODE_TOKEN`: the node that is notified of pull requests at once. Without it,
    /// they wait for nodes that pull.
    pub(crate) node: Option<Node>,
    /// `SENTINEL_PUBLISH_VERDICTS`: `on` lets a node publish verdicts on GitHub.
    pub(crate) publishes_verdicts: bool,
    /// `SENTINEL_RETENTION_DAYS`: the days after which verdicts, reviews and the ledger are deleted; 0 is never.
    pub(crate) retention_days: i64,
    /// Whether there is a node's URL without its token.
    node_token_missing: bool,
    /// Settings with a wrong value, and what is wrong; never the values.
    wrong: Vec<(&'static str, &'static str)>,
    /// `GITHUB_LOG_HOSTS`: the hosts that a log may be redirected to, comma-separated; `.suffix` allows subdomains.
    pub(crate) log_hosts: Vec<String>,
}

impl Config {
    /// Reads every key through `lookup`; an empty value counts as absent.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let secret = |name: &str| text(name).as_deref().and_then(Secret::new);
        let hosts = text("GITHUB_LOG_HOSTS").unwrap_or_else(|| LOG_HOSTS.to_owned());
        let (node_url, node_token) = (text("SENTINEL_NODE_URL"), text("SENTINEL_NODE_TOKEN"));
        let mut wrong = Vec::new();
        let mut unusable = |name, problem| wrong.push((name, problem));
        let retention_days = match text("SENTINEL_RETENTION_DAYS").map(|days| days.trim().parse::<i64>()) {
            None => RETENTION_DAYS,
            Some(Ok(days)) if days >= 0 => days,
            Some(_) => {
                unusable(
                    "SENTINEL_RETENTION_DAYS",
                    "it must be a whole number of days; nothing is forgotten",
                );
                // 0 is never: what was deleted by mistake does not come back.
                0
            }
        };
        let publishes = text("SENTINEL_PUBLISH_VERDICTS").map(|text| text.trim().to_ascii_lowercase());
        let publishes_verdicts = match publishes.as_deref() {
            None | Some("off") => false,
            Some("on") => true,
            Some(_) => {
                unusable("SENTINEL_PUBLISH_VERDICTS", "it must be on or off; no verdict is published");
                false
            }
        };
        let keys = text("SENTINEL_MODEL_PUBLIC_KEYS").map(|keys| PublicKeys::parse(&keys));
        if let Some(Err(_)) = keys {
            unusable(
                "SENTINEL_MODEL_PUBLIC_KEYS",
                "it must be Ed25519 public keys of 64 hexadecimal digits, comma-separated; no uploaded model serves",
            );
        }
        Self {
            retention_days,
            publishes_verdicts,
            node_token_missing: node_url.is_some() && node_token.is_none(),
            node: node_url.zip(node_token).map(|(url, token)| Node { url: http_url(&url), token }),
            webhook_secrets: secret("SENTINEL_WEBHOOK_SECRET")
                .map(|current| WebhookSecrets::new(current, secret("SENTINEL_WEBHOOK_SECRET_PREVIOUS"))),
            api_key: secret("SENTINEL_API_KEY"),
            database_url: text("TURSO_DATABASE_URL").map(|url| http_url(&url)),
            database_token: text("TURSO_AUTH_TOKEN"),
            model_keys: keys.and_then(std::result::Result::ok),
            github_token: text("GITHUB_TOKEN"),
            github_api_url: text("GITHUB_API_URL")
                .map_or_else(|| GITHUB_API.to_owned(), |url| http_url(&url)),
            log_hosts: hosts.split(',').map(|host| host.trim().to_ascii_lowercase()).collect(),
            wrong,
        }
    }

    pub(crate) fn webhook_secrets(&self) -> Result<&WebhookSecrets> {
        self.webhook_secrets.as_ref().ok_or(Error::SecretMissing("SENTINEL_WEBHOOK_SECRET"))
    }

    pub(crate) fn api_key(&self) -> Result<&Secret> {
        self.api_key.as_ref().ok_or(Error::SecretMissing("SENTINEL_API_KEY"))
    }

    pub(crate) fn model_keys(&self) -> Result<&PublicKeys> {
        self.model_keys.as_ref().ok_or(Error::SecretMissing("SENTINEL_MODEL_PUBLIC_KEYS"))
    }

    pub(crate) fn database_url(&self) -> Result<&str> {
        self.database_url.as_deref().ok_or(Error::SecretMissing("TURSO_DATABASE_URL"))
    }

    /// Settings with a wrong value, each with what is wrong and what stays closed.
    pub(crate) fn wrong(&self) -> &[(&'static str, &'static str)] {
        &self.wrong
    }

    /// The names of settings without which something stays closed.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let needed = [
            ("SENTINEL_WEBHOOK_SECRET", self.webhook_secrets.is_some()),
            ("SENTINEL_API_KEY", self.api_key.is_some()),
            ("TURSO_DATABASE_URL", self.database_url.is_some()),
            ("SENTINEL_NODE_TOKEN", !self.node_token_missing),
        ];
        needed.into_iter().filter(|(_, present)| !present).map(|(name, _)| name).collect()
    }
}
