//! What Sentinel decides, with nothing of how it is carried out.
//!
//! # In scope
//! Bytes to types ([`signature`], [`webhook`]), a job log to the lines that matter ([`excerpt`]; what
//! is missing of it is waited for as [`evidence`] says), those lines
//! to 884 numbers ([`features`]), the numbers to a verdict ([`classifier`]), a verdict to SQL ([`store`]) and
//! to what the dashboard reads ([`dashboard`]), and many verdicts to whether the world has moved ([`drift`]). A diff
//! to hunks ([`diff`]), and a model's scores of those to a review ([`review`]). Who may see which of it ([`access`]).
//!
//! # Out of scope
//! I/O, clocks, environment, randomness, threads and async. Time is an argument called `now`, in Unix seconds.
//! The shells that act on these decisions are `edge` (a Cloudflare Worker) and `node` (a native binary).

pub mod access;
pub mod artifact;
pub mod classifier;
pub mod dashboard;
pub mod diff;
pub mod drift;
pub mod error;
pub mod evidence;
pub mod excerpt;
pub mod failure;
pub mod features;
pub mod feedback;
pub mod github;
pub mod hex;
pub mod redact;
pub mod review;
pub mod signature;
pub mod store;
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod wasm;
pub mod webhook;

pub use error::{Code, Error, Result};
