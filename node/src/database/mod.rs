//! The database's two ends: [`client`] asks the database, wherever it is, and [`server`] is the embedded one.

mod client;
pub mod server;

pub use client::{Store, now, now_ms};
