//! The worker's settings, read once an isolate. What is missing, or says what can't be followed, closes what needs it, and
//! `/health` names it; a value is never told.

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
    pub(crate) token: Secret,
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
    pub(crate) database_token: Option<Secret>,
    /// `GITHUB_TOKEN`: reads jobs and logs. Without it, verdicts use the delivery alone.
    pub(crate) github_token: Option<Secret>,
    /// `GITHUB_API_URL`: the address of GitHub's API; set it for GitHub Enterprise Server.
    github_api_url: Option<String>,
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
        let mut wrong = Vec::new();
        let mut unusable = |name, problem| wrong.push((name, problem));
        let database_url = text("TURSO_DATABASE_URL").and_then(|url| {
            let problem =
                "it must be a libsql://, https:// or http:// URL; what needs the database is closed";
            usable_url(&url).or_else(|| {
                unusable("TURSO_DATABASE_URL", problem);
                None
            })
        });
        let github_api_url = text("GITHUB_API_URL").map_or(Some(GITHUB_API.to_owned()), |url| {
            // Never GitHub's own instead: a token for another server must not go there.
            usable_url(&url).or_else(|| {
                unusable(
                    "GITHUB_API_URL",
                    "it must be an https:// or http:// URL; GitHub is not asked for anything",
                );
                None
            })
        });
        let node_token = secret("SENTINEL_NODE_TOKEN");
        let node_url = text("SENTINEL_NODE_URL").and_then(|url| {
            let problem = "it must be an https:// or http:// URL; pull requests wait for nodes that pull";
            usable_url(&url).or_else(|| {
                unusable("SENTINEL_NODE_URL", problem);
                None
            })
        });
        let hosts = text("GITHUB_LOG_HOSTS").unwrap_or_else(|| LOG_HOSTS.to_owned());
        let hosts =
            hosts.split(',').map(|host| host.trim().to_ascii_lowercase()).filter(|host| !host.is_empty());
        let (log_hosts, no_hosts): (Vec<_>, Vec<_>) = hosts.partition(|host| is_host(host));
        if !no_hosts.is_empty() {
            unusable(
                "GITHUB_LOG_HOSTS",
                "it must be hosts, comma-separated, as logs.example.com or .example.com; what is none is left out",
            );
        }
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
            node: node_url.zip(node_token).map(|(url, token)| Node { url, token }),
            webhook_secrets: secret("SENTINEL_WEBHOOK_SECRET")
                .map(|current| WebhookSecrets::new(current, secret("SENTINEL_WEBHOOK_SECRET_PREVIOUS"))),
            api_key: secret("SENTINEL_API_KEY"),
            database_url,
            database_token: secret("TURSO_AUTH_TOKEN"),
            model_keys: keys.and_then(std::result::Result::ok),
            github_token: secret("GITHUB_TOKEN").filter(|_| github_api_url.is_some()),
            github_api_url,
            log_hosts,
            wrong,
        }
    }

    pub(crate) fn webhook_secrets(&self) -> Result<&WebhookSecrets> {
        self.webhook_secrets.as_ref().ok_or(Error::NotConfigured("SENTINEL_WEBHOOK_SECRET"))
    }

    pub(crate) fn api_key(&self) -> Result<&Secret> {
        self.api_key.as_ref().ok_or(Error::NotConfigured("SENTINEL_API_KEY"))
    }

    pub(crate) fn model_keys(&self) -> Result<&PublicKeys> {
        self.model_keys.as_ref().ok_or(Error::NotConfigured("SENTINEL_MODEL_PUBLIC_KEYS"))
    }

    pub(crate) fn database_url(&self) -> Result<&str> {
        self.database_url.as_deref().ok_or(Error::NotConfigured("TURSO_DATABASE_URL"))
    }

    pub(crate) fn github_api_url(&self) -> Result<&str> {
        self.github_api_url.as_deref().ok_or(Error::NotConfigured("GITHUB_API_URL"))
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
        let is_wrong = |name: &str| self.wrong.iter().any(|(wrong, _)| *wrong == name);
        let missing = needed.into_iter().filter(|(name, present)| !present && !is_wrong(name));
        missing.map(|(name, _)| name).collect()
    }
}

/// The address that a setting names, as fetch takes it.
fn usable_url(text: &str) -> Option<String> {
    let url = http_url(text.trim());
    let is_usable = worker::Url::parse(&url)
        .is_ok_and(|parsed| matches!(parsed.scheme(), "https" | "http") && parsed.has_host());
    is_usable.then_some(url)
}

/// Whether `text` can be a host, with or without a port, or the end of one behind a dot.
fn is_host(text: &str) -> bool {
    let name = text.strip_prefix('.').unwrap_or(text);
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[') && name.bytes().all(is_part)
}
