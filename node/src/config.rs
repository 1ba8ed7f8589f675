//! What `sentinel serve` is told, read once and refused whole: every bad key is named at once.

use crate::backend::ort::{self, Provider};
use crate::batcher::Limits;
use crate::github::{AppKey, Credentials};
use crate::reviewer::Verdicts;
use anyhow::{Result, bail};
use clap::Args;
use sentinel_shared::artifact::signed::PublicKeys;
use sentinel_shared::signature::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Every setting is a flag and a variable; secrets are better given as variables.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where to listen: gRPC, gRPC-web, /healthz, /readyz and /metrics on one port.
    #[arg(long, env = "SENTINEL_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
    /// What callers must send as a bearer token.
    #[arg(long, env = "SENTINEL_NODE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The database the edge writes to: libsql://… of Turso, or the address of a `sentinel db`.
    #[arg(long, env = "TURSO_DATABASE_URL")]
    database_url: Option<String>,
    /// Its token.
    #[arg(long, env = "TURSO_AUTH_TOKEN", hide_env_values = true)]
    database_token: Option<String>,
    /// A personal access token; or give an App.
    #[arg(long, env = "GITHUB_TOKEN", hide_env_values = true)]
    github_token: Option<String>,
    /// The App's id.
    #[arg(long, env = "GITHUB_APP_ID")]
    github_app_id: Option<String>,
    /// The App's private key: PEM, or the path of a PEM file.
    #[arg(long, env = "GITHUB_APP_PRIVATE_KEY", hide_env_values = true)]
    github_app_private_key: Option<String>,
    /// GitHub's API; another one for GitHub Enterprise Server.
    #[arg(long, env = "GITHUB_API_URL", default_value = "https://api.github.com")]
    pub github_api_url: String,
    /// Ask the database for jobs, so that nobody need reach this node: for one behind NAT.
    #[arg(long, env = "SENTINEL_PULL")]
    pub pull: bool,
    /// Jobs worked on at once.
    #[arg(long, env = "SENTINEL_JOBS", default_value_t = 2)]
    pub jobs: usize,
    /// What runs the model.
    #[arg(long, env = "SENTINEL_PROVIDER", value_enum, default_value_t = Provider::Auto)]
    provider: Provider,
    /// Sessions of the model; one a core on a CPU, two on a GPU.
    #[arg(long, env = "SENTINEL_SESSIONS")]
    sessions: Option<usize>,
    /// A folder with another review model.
    #[arg(long, env = "SENTINEL_REVIEW_MODEL")]
    pub model: Option<PathBuf>,
    /// Who may sign that model (`sentinel model keygen`, `sign`), comma-separated; without it, it is loaded unsigned.
    #[arg(long, env = "SENTINEL_MODEL_PUBLIC_KEYS")]
    pub model_keys: Option<String>,
    /// Where libonnxruntime is, if not where it is looked for.
    #[arg(long, env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,
    /// Tokens of one batch; 1024 on a CPU, where a batch gains little, 16384 on a GPU.
    #[arg(long, env = "SENTINEL_BATCH_TOKENS")]
    batch_tokens: Option<usize>,
    /// Milliseconds a batch that is not full waits for more; 0 on a CPU, 5 on a GPU.
    #[arg(long, env = "SENTINEL_BATCH_WAIT_MS")]
    batch_wait_ms: Option<u64>,
    /// Tokens that may wait for the model; beyond, callers are refused at once.
    #[arg(long, env = "SENTINEL_QUEUE_TOKENS", default_value_t = 65_536)]
    queue_tokens: usize,
    /// The certificate, PEM; with --tls-key makes the port speak TLS.
    #[arg(long, env = "SENTINEL_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "SENTINEL_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// How verdicts on failed runs are told, where the edge asks for it.
    #[arg(long, env = "SENTINEL_VERDICTS", value_enum, default_value_t = Verdicts::CheckRun)]
    pub verdicts: Verdicts,
    /// The dashboard's address, for links by which people correct a verdict.
    #[arg(long, env = "SENTINEL_DASHBOARD_URL")]
    pub dashboard_url: Option<String>,
    /// An OpenAI-compatible API that adds an explanation to each finding, e.g. http://127.0.0.1:11434/v1. Off without.
    #[arg(long, env = "SENTINEL_EXPLAIN_URL")]
    pub explain_url: Option<String>,
    /// Its model.
    #[arg(long, env = "SENTINEL_EXPLAIN_MODEL")]
    pub explain_model: Option<String>,
    /// Its key.
    #[arg(long, env = "SENTINEL_EXPLAIN_KEY", hide_env_values = true)]
    explain_key: Option<String>,
    /// Seconds before the second try of a job that failed by itself; doubles with each.
    #[arg(long, env = "SENTINEL_RETRY_SECONDS", default_value_t = 30)]
    pub retry_seconds: u64,
    /// Seconds that running jobs are given when the node is told to stop.
    #[arg(long, env = "SENTINEL_DRAIN_SECONDS", default_value_t = 25)]
    pub drain_seconds: u64,
}

/// Settings that were checked.
pub struct Config {
    /// As given.
    pub settings: Settings,
    /// What callers must send.
    pub token: Secret,
    /// The database.
    pub database_url: String,
    /// Its token.
    pub database_token: Option<Secret>,
    /// Who we are to GitHub; taken when the client is made.
    pub credentials: Option<Credentials>,
    /// (certificate, key), PEM.
    pub tls: Option<(Vec<u8>, Vec<u8>)>,
    /// The explainer's key.
    pub explain_key: Option<Secret>,
    /// Who may sign another review model; empty where any is taken.
    pub model_keys: PublicKeys,
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// Names each that is missing or wrong, and what it should be.
    pub fn new(mut settings: Settings) -> Result<Self> {
        let mut wrong = Vec::new();
        let secret = |value: &mut Option<String>| value.take().as_deref().and_then(Secret::new);
        let token = secret(&mut settings.token);
        let database_token = secret(&mut settings.database_token);
        let github_token = secret(&mut settings.github_token);
        let explain_key = secret(&mut settings.explain_key);
        if token.is_none() {
            wrong.push(
                "SENTINEL_NODE_TOKEN is not set: any long random text, the same at the edge".to_owned(),
            );
        }
        let database_url = settings.database_url.clone().filter(|url| !url.is_empty());
        match &database_url {
            None => wrong.push("TURSO_DATABASE_URL is not set: the database the edge writes to".to_owned()),
            Some(url) if !is_url(url, &["libsql://", "https://", "http://"]) => {
                wrong.push("TURSO_DATABASE_URL is no libsql://, https:// or http:// URL".to_owned());
            }
            Some(_) => {}
        }
        let credentials = credentials(&mut settings, github_token, &mut wrong);
        let urls = [
            ("GITHUB_API_URL", Some(&settings.github_api_url)),
            ("SENTINEL_DASHBOARD_URL", settings.dashboard_url.as_ref()),
            ("SENTINEL_EXPLAIN_URL", settings.explain_url.as_ref()),
        ];
        for (name, url) in urls {
            if url.is_some_and(|url| !is_url(url, &["https://", "http://"])) {
                wrong.push(format!("{name} is no https:// or http:// URL"));
            }
        }
        if settings.explain_url.is_some() && settings.explain_model.is_none() {
            wrong.push(
                "SENTINEL_EXPLAIN_MODEL is not set: which model SENTINEL_EXPLAIN_URL should run".to_owned(),
            );
        }
        if !(1..=64).contains(&settings.jobs) {
            wrong.push("SENTINEL_JOBS must be from 1 to 64".to_owned());
        }
        if settings.queue_tokens < 2048 {
            wrong.push("SENTINEL_QUEUE_TOKENS must be at least 2048".to_owned());
        }
        if settings.batch_tokens.is_some_and(|tokens| tokens < 64) {
            wrong.push("SENTINEL_BATCH_TOKENS must be at least 64".to_owned());
        }
        let model_keys = PublicKeys::parse(settings.model_keys.as_deref().unwrap_or_default())
            .unwrap_or_else(|error| {
                wrong.push(format!("SENTINEL_MODEL_PUBLIC_KEYS: {error}"));
                PublicKeys::default()
            });
        let tls = tls(&settings, &mut wrong);
        match (token, database_url, credentials) {
            (Some(token), Some(database_url), credentials @ Some(_)) if wrong.is_empty() => Ok(Self {
                settings,
                token,
                database_url,
                database_token,
                credentials,
                tls,
                explain_key,
                model_keys,
            }),
            _ => bail!("the node can't start:\n  {}", wrong.join("\n  ")),
        }
    }

    /// How the model is run.
    #[must_use]
    pub fn backend(&self) -> ort::Options {
        let Settings { provider, sessions, onnxruntime, .. } = &self.settings;
        ort::Options { provider: *provider, sessions: *sessions, library: onnxruntime.clone() }
    }

    /// How batches are made on `provider`.
    #[must_use]
    pub fn limits(&self, provider: Provider) -> Limits {
        let (tokens, wait) = if provider == Provider::Cpu { (1024, 0) } else { (16_384, 5) };
        Limits {
            batch_tokens: self.settings.batch_tokens.unwrap_or(tokens),
            max_wait: Duration::from_millis(self.settings.batch_wait_ms.unwrap_or(wait)),
            queue_tokens: self.settings.queue_tokens,
        }
    }
}

fn credentials(
    settings: &mut Settings,
    token: Option<Secret>,
    wrong: &mut Vec<String>,
) -> Option<Credentials> {
    let id = settings.github_app_id.clone().filter(|id| !id.is_empty());
    let key = settings.github_app_private_key.take().filter(|key| !key.is_empty());
    match (token, id, key) {
        (Some(token), None, None) => Some(Credentials::Token(token)),
        (None, Some(id), Some(key)) => {
            let pem = if key.contains("-----BEGIN") {
                Ok(key.replace("\\n", "\n").into_bytes())
            } else {
                std::fs::read(&key)
            };
            let key = pem.ok().and_then(|pem| AppKey::from_pem(&pem));
            if key.is_none() {
                wrong.push(
                    "GITHUB_APP_PRIVATE_KEY is neither an RSA key in PEM nor the path of one".to_owned(),
                );
            }
            Some(Credentials::App { id, key: key? })
        }
        (None, None, None) => {
            wrong
                .push("neither GITHUB_TOKEN nor GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY is set".to_owned());
            None
        }
        (Some(_), ..) => {
            wrong.push("GITHUB_TOKEN and an App are both set: give one of them".to_owned());
            None
        }
        (None, id, _) => {
            let missing = if id.is_some() { "GITHUB_APP_PRIVATE_KEY" } else { "GITHUB_APP_ID" };
            wrong.push(format!("{missing} is not set: an App needs its id and its key"));
            None
        }
    }
}

fn tls(settings: &Settings, wrong: &mut Vec<String>) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut read = |name: &str, path: &PathBuf| match std::fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            wrong.push(format!("{name}: {}: {error}", path.display()));
            None
        }
    };
    match (&settings.tls_cert, &settings.tls_key) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (read("SENTINEL_TLS_CERT", cert), read("SENTINEL_TLS_KEY", key));
            cert.zip(key)
        }
        (None, None) => {
            if !settings.listen.ip().is_loopback() {
                tracing::warn!(
                    "serve.no_tls: {} is reachable from other machines without TLS",
                    settings.listen
                );
            }
            None
        }
        _ => {
            wrong.push("SENTINEL_TLS_CERT and SENTINEL_TLS_KEY belong together".to_owned());
            None
        }
    }
}

fn is_url(url: &str, schemes: &[&str]) -> bool {
    schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        settings: Settings,
    }

    fn config(args: &[&str]) -> Result<Config> {
        let args = ["serve"].iter().chain(args);
        Config::new(Command::try_parse_from(args).expect("the flags exist").settings)
    }

    #[test]
    fn every_bad_key_is_named_at_once() {
        let error = config(&[
            "--database-url",
            "ftp://x",
            "--github-app-id",
            "7",
            "--explain-url",
            "x",
            "--jobs",
            "0",
        ])
        .err()
        .expect("refused")
        .to_string();
        for key in [
            "SENTINEL_NODE_TOKEN",
            "TURSO_DATABASE_URL",
            "GITHUB_APP_PRIVATE_KEY",
            "SENTINEL_EXPLAIN_URL",
            "SENTINEL_EXPLAIN_MODEL",
            "SENTINEL_JOBS",
        ] {
            assert!(error.contains(key), "{key} is missing in: {error}");
        }
    }

    #[test]
    fn a_token_a_database_and_a_github_token_are_enough() {
        let config = config(&["--token", "t", "--database-url", "libsql://x", "--github-token", "g"]);
        assert!(config.is_ok(), "{:?}", config.err());
    }
}
