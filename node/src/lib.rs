//! The native side of Sentinel: the `sentinel` command and everything that it runs.
//!
//! Reviews: [`server`] puts one port together, [`reviewer`] takes jobs, [`engine`] turns a plan into findings,
//! [`batcher`] queues work for the [`backend`], and [`github`] posts. Models: [`model`] and [`review_model`] are the
//! embedded ones, [`dataset`], [`hunks`] and [`mine`] are labelled data, [`evaluation`] scores models. [`hrana`] is the
//! embedded database server. Decisions belong to `sentinel_shared`; this crate never imports the edge.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic where the reader has gone away: `stdout!` and `stderr!` of `cli::print` do not"
)]

pub mod backend;
pub mod batcher;
pub mod cli;
pub mod config;
pub mod dataset;
pub mod engine;
pub mod evaluation;
pub mod faults;
pub mod github;
pub mod grpc;
pub mod heap;
pub mod hrana;
pub mod http;
pub mod hunks;
pub mod listener;
pub mod mcp;
pub mod metrics;
pub mod mine;
pub mod model;
pub mod near;
pub mod policy;
pub mod readiness;
pub mod review_model;
pub mod reviewer;
pub mod server;
pub mod store;
pub mod tokenizer;
pub mod worker_api;
