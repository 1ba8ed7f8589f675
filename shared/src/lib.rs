//! Every decision that Sentinel makes, without carrying any of them out.
//!
//! # In scope
//!
//! * Failed runs: [`signature`] and [`webhook`] turn bytes into an action, [`excerpt`] finds the lines of a log that
//!   matter, [`evidence`] says how long to wait for a missing log, [`features`] turns those lines into 884 numbers, and
//!   [`classifier`] turns the numbers into a verdict, [`kind`] names what is under its class. [`drift`] compares many verdicts with the training data.
//! * Pull requests: [`diff`] parses hunks, and [`review`] turns a model's scores into a review.
//! * Both: [`policy`] reads a team's settings, [`store`] has the SQL, [`api`] the JSON of the worker's HTTP API, and [`access`] says who may see what.
//!
//! # Out of scope
//!
//! I/O, clocks, environment, randomness, threads and async. Time is an argument called `now`, in Unix seconds. The
//! shells that act on the decisions are `edge` (a Cloudflare Worker) and `node` (a native binary).

pub mod access;
pub mod api;
pub mod artifact;
pub mod cause;
pub mod classifier;
pub mod diff;
pub mod drift;
pub mod error;
pub mod evidence;
pub mod excerpt;
pub mod facts;
pub mod failure;
pub mod features;
pub mod feedback;
pub mod github;
pub mod hex;
pub mod history;
pub mod junit;
pub mod kind;
pub mod log;
pub mod policy;
pub mod redact;
pub mod review;
pub mod signature;
pub mod store;
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod wasm;
pub mod webhook;

pub use error::{Code, Error, Result};
