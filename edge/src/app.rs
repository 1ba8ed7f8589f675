//! The state that one isolate keeps between requests: its configuration and, from the first verdict on, its models.

use crate::config::Config;
use crate::keys::KnownKeys;
use crate::models::Models;
use crate::refusals::Refusals;
use crate::standing::Standing;
use std::sync::OnceLock;
use worker::{Date, Env};

pub(crate) struct App {
    pub(crate) config: Config,
    /// The bindings (rate limiters), which are the isolate's and not a request's.
    pub(crate) env: Env,
    pub(crate) github: Standing,
    pub(crate) models: Models,
    pub(crate) refusals: Refusals,
    pub(crate) known_keys: KnownKeys,
}

/// The isolate's state, built by its first event. An isolate has one thread, so there is no race.
pub(crate) fn app(env: &Env) -> &'static App {
    static APP: OnceLock<App> = OnceLock::new();
    APP.get_or_init(|| App {
        config: Config::read(|name| env.var(name).ok().map(|value| value.to_string())),
        env: env.clone(),
        github: Standing::default(),
        models: Models::default(),
        refusals: Refusals::default(),
        known_keys: KnownKeys::default(),
    })
}

/// The current time in Unix seconds. The runtime's clock stands still between I/O, which is fine for leases and
/// timestamps.
pub(crate) fn now() -> i64 {
    (Date::now().as_millis() / 1000) as i64
}
