//! What one isolate keeps between requests: its configuration and, from the first verdict on, its model.

use crate::config::Config;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::{Error, Result};
use std::sync::OnceLock;
use worker::{Date, Env};

/// Translated from `models/failure/model.onnx` at build time; see `sentinel model compile`.
const BUNDLE: &[u8] = include_bytes!("../../models/failure/compiled.bundle");

pub(crate) struct App {
    pub(crate) config: Config,
    /// The bindings (rate limiters), which are the isolate's and not a request's.
    pub(crate) env: Env,
    model: OnceLock<Result<ModelBundle>>,
}

/// The isolate's state, built by its first event. An isolate has one thread, so no race is lost.
pub(crate) fn app(env: &Env) -> &'static App {
    static APP: OnceLock<App> = OnceLock::new();
    APP.get_or_init(|| App {
        config: Config::read(|name| env.var(name).ok().map(|value| value.to_string())),
        env: env.clone(),
        model: OnceLock::new(),
    })
}

impl App {
    /// The model, loaded by the first caller: a cold isolate that only says `pong` does not pay for it.
    pub(crate) fn model(&self) -> Result<&ModelBundle> {
        self.model.get_or_init(|| ModelBundle::from_bytes(BUNDLE)).as_ref().map_err(Error::clone)
    }
}

/// Unix seconds. The runtime's clock stands still between I/O, which is fine for leases and timestamps.
pub(crate) fn now() -> i64 {
    (Date::now().as_millis() / 1000) as i64
}
