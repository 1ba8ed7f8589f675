//! The settings of `sentinel serve`. They are read once, and an error names every bad setting.

use crate::operate::hidden::Hidden;
use crate::review::backend::ort::{self, Provider};
use crate::review::batcher::Limits;
use crate::review::github::{AppKey, Credentials};
use crate::review::reviewer::Verdicts;
use anyhow::{Result, bail};
use clap::Args;
use sentinel_shared::artifact::signed::PublicKeys;
use sentinel_shared::signature::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Every setting is a flag and an environment variable. Give secrets as variables.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// The address to listen on. gRPC, gRPC-web, /healthz, /readyz and /metrics share one port.
    #[arg(long, env = "SENTINEL_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
    /// The bearer token that callers must send.
    #[arg(long, env = "SENTINEL_NODE_TOKEN", hide_env_values = true)]
    token: Option<Hidden>,
    /// The database that the worker uses: libsql://… at Turso, or the address of a `sentinel db`.
    #[arg(long, env = "TURSO_DATABASE_URL")]
    database_url: Option<String>,
    /// The token for the database.
    #[arg(long, env = "TURSO_AUTH_TOKEN", hide_env_values = true)]
    database_token: Option<Hidden>,
    /// A personal access token, if there is no App.
    #[arg(long, env = "GITHUB_TOKEN", hide_env_values = true)]
    github_token: Option<Hidden>,
    /// The id of the GitHub App.
    #[arg(long, env = "GITHUB_APP_ID")]
    github_app_id: Option<String>,
    /// The App's private key: PEM text, or the path of a PEM file.
    #[arg(long, env = "GITHUB_APP_PRIVATE_KEY", hide_env_values = true)]
    github_app_private_key: Option<Hidden>,
    /// The address of GitHub's API; set it for GitHub Enterprise Server.
    #[arg(long, env = "GITHUB_API_URL", default_value = "https://api.github.com")]
    pub github_api_url: String,
    /// Poll the database for jobs. The node then needs no inbound port and can be behind NAT.
    #[arg(long, env = "SENTINEL_PULL")]
    pub pull: bool,
    /// The number of jobs that run at once.
    #[arg(long, env = "SENTINEL_JOBS", default_value_t = 2)]
    pub jobs: usize,
    /// The hardware that runs the model.
    #[arg(long, env = "SENTINEL_PROVIDER", value_enum, default_value_t = Provider::Auto)]
    provider: Provider,
    /// The number of model sessions; by default one per core on a CPU, two on a GPU.
    #[arg(long, env = "SENTINEL_SESSIONS")]
    sessions: Option<usize>,
    /// The folder of another review model.
    #[arg(long, env = "SENTINEL_REVIEW_MODEL")]
    pub model: Option<PathBuf>,
    /// The public keys that may sign that model (`sentinel model keygen`, `sign`), comma-separated. Without them, the
    /// model is loaded unsigned.
    #[arg(long, env = "SENTINEL_MODEL_PUBLIC_KEYS")]
    pub model_keys: Option<String>,
    /// The path of libonnxruntime, if it is not in one of the usual places.
    #[arg(long, env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,
    /// The largest number of tokens in one batch; by default 1024 on a CPU, where batches gain little, and 16384 on a
    /// GPU.
    #[arg(long, env = "SENTINEL_BATCH_TOKENS")]
    batch_tokens: Option<usize>,
    /// The milliseconds that a batch waits to fill up; by default 0 on a CPU and 5 on a GPU.
    #[arg(long, env = "SENTINEL_BATCH_WAIT_MS")]
    batch_wait_ms: Option<u64>,
    /// The largest number of tokens that may wait for the model. Callers beyond that are refused at once.
    #[arg(long, env = "SENTINEL_QUEUE_TOKENS", default_value_t = 65_536)]
    queue_tokens: usize,
    /// The TLS certificate as PEM. Together with --tls-key it makes the port speak TLS.
    #[arg(long, env = "SENTINEL_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The private key of the TLS certificate as PEM.
    #[arg(long, env = "SENTINEL_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// How verdicts on failed runs are published, if the worker asks for it.
    #[arg(long, env = "SENTINEL_VERDICTS", value_enum, default_value_t = Verdicts::CheckRun)]
    pub verdicts: Verdicts,
    /// The address of the dashboard, for the links with which people correct a verdict.
    #[arg(long, env = "SENTINEL_DASHBOARD_URL")]
    pub dashboard_url: Option<String>,
    /// An OpenAI-compatible API that adds an explanation to each finding, e.g. http://127.0.0.1:11434/v1. Without it
    /// there are no such explanations.
    #[arg(long, env = "SENTINEL_EXPLAIN_URL")]
    pub explain_url: Option<String>,
    /// The name of the model that writes explanations.
    #[arg(long, env = "SENTINEL_EXPLAIN_MODEL")]
    pub explain_model: Option<String>,
    /// The key for the API that writes explanations.
    #[arg(long, env = "SENTINEL_EXPLAIN_KEY", hide_env_values = true)]
    explain_key: Option<Hidden>,
    /// The seconds before a job that failed through its own fault is tried again; doubles with each try.
    #[arg(long, env = "SENTINEL_RETRY_SECONDS", default_value_t = 30)]
    pub retry_seconds: u64,
    /// The seconds that running jobs have to finish when the node is told to stop.
    #[arg(long, env = "SENTINEL_DRAIN_SECONDS", default_value_t = 25)]
    pub drain_seconds: u64,
}

/// The settings after all checks.
pub struct Config {
    /// The settings as they were given.
    pub settings: Settings,
    /// The bearer token that callers must send.
    pub token: Secret,
    /// The address of the database, as HTTP.
    pub database_url: String,
    /// The token for the database.
    pub database_token: Option<Secret>,
    /// Our identity at GitHub. The client takes it out when it is created.
    pub credentials: Option<Credentials>,
    /// The certificate and its private key, both PEM.
    pub tls: Option<(Vec<u8>, Vec<u8>)>,
    /// The key for the API that writes explanations.
    pub explain_key: Option<Secret>,
    /// The keys that may sign another review model; empty if any model is loaded.
    pub model_keys: PublicKeys,
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// Names each setting that is missing or wrong, and what it should be.
    pub fn new(mut settings: Settings) -> Result<Self> {
        let mut wrong = Vec::new();
        let secret = |value: &mut Option<Hidden>| value.take().as_ref().and_then(Hidden::secret);
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

    /// The options for running the model.
    #[must_use]
    pub fn backend(&self) -> ort::BackendOptions {
        let Settings { provider, sessions, onnxruntime, .. } = &self.settings;
        ort::BackendOptions { provider: *provider, sessions: *sessions, library: onnxruntime.clone() }
    }

    /// The limits of the queue and of batches on `provider`.
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
    let key = settings.github_app_private_key.take().filter(|key| !key.expose().is_empty());
    match (token, id, key) {
        (Some(token), None, None) => Some(Credentials::Token(token)),
        (None, Some(id), Some(key)) => {
            let key = key.expose();
            let pem = if key.contains("-----BEGIN") {
                Ok(key.replace("\\n", "\n").into_bytes())
            } else {
                std::fs::read(key)
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
