//! The native side of Sentinel: the `sentinel` command and everything that it runs.
//!
//! The modules stand in families: what a review takes ([`review`]), what models are trained and judged on ([`learn`]), what
//! runs a node ([`operate`]), the database's two ends ([`database`]), and the command line ([`cli`]). Decisions belong to
//! `sentinel_shared`; this crate never imports the edge.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic where the reader has gone away: `stdout!` and `stderr!` of `cli::print` do not"
)]

pub mod cli;
pub mod database;
pub mod learn;
pub mod operate;
pub mod review;
