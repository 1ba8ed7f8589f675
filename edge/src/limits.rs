//! The rate limits.

use sentinel_shared::{Error, Result};
use worker::{Env, Request, console_warn};

/// The rate limiters in `wrangler.toml`.
const LIMITERS: [&str; 2] = ["WEBHOOK_LIMITER", "API_LIMITER"];
/// The window of both limits in `wrangler.toml`.
const LIMIT_WINDOW_SECONDS: u32 = 60;

/// The rate limiters of the deployment, which are the isolate's and not a request's.
pub(crate) struct RateLimits(Env);

impl RateLimits {
    pub(crate) fn of(env: &Env) -> Self {
        Self(env.clone())
    }

    /// The limiters that the deployment lacks.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        LIMITERS.into_iter().filter(|limiter| self.0.rate_limiter(limiter).is_err()).collect()
    }

    /// Counts one call against the key `id`, or against the operator's key. Names are not unique, so they are not used.
    pub(crate) async fn call(&self, id: Option<i64>) -> Result<()> {
        let bucket = id.map_or_else(|| "operator".to_owned(), |id| format!("key {id}"));
        self.within_rate("API_LIMITER", &bucket).await
    }

    /// Counts one wrong key or session against its sender's address: [`Error::RateLimited`] for too many, else `error`. A good
    /// key never gets here, so that nobody is locked out by what others try.
    pub(crate) async fn refused(&self, request: &Request, error: Error) -> Error {
        match self.within_rate("API_LIMITER", &format!("refused {}", address(request))).await {
            Err(limited) => limited,
            Ok(()) => error,
        }
    }

    /// Counts one delivery against its installation, or its repository if it has none. It is never counted against an
    /// address, because GitHub's are shared.
    pub(crate) async fn delivery(&self, installation: Option<u64>, repository: &str) -> Result<()> {
        let key = installation.map_or_else(|| repository.to_owned(), |id| id.to_string());
        self.within_rate("WEBHOOK_LIMITER", &key).await
    }

    /// Counts a call without a key against the caller's address, so that one caller cannot keep the others out.
    pub(crate) async fn stranger(&self, request: &Request) -> Result<()> {
        self.within_rate("API_LIMITER", &format!("stranger {}", address(request))).await
    }

    /// Counts one event against `key`.
    async fn within_rate(&self, limiter: &str, key: &str) -> Result<()> {
        // Bindings are the deployment's: without one, nothing is limited, and `/health` says so.
        let Ok(binding) = self.0.rate_limiter(limiter) else { return Ok(()) };
        match binding.limit(key.to_owned()).await {
            Ok(outcome) if !outcome.success => {
                Err(Error::RateLimited { retry_after_seconds: LIMIT_WINDOW_SECONDS })
            }
            Ok(_) => Ok(()),
            Err(error) => {
                // A broken limiter must not lose deliveries.
                console_warn!("guard.limiter_failed: {error}");
                Ok(())
            }
        }
    }
}

/// The caller's address. Cloudflare sets it, whatever the caller says
/// (<https://developers.cloudflare.com/fundamentals/reference/http-headers/>).
fn address(request: &Request) -> String {
    request.headers().get("cf-connecting-ip").ok().flatten().unwrap_or_default()
}
