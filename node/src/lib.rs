//! The native side of Sentinel.
//!
//! Here: the command line ([`cli`]), the model it embeds ([`model`]), labelled data and how well a model does
//! on it ([`dataset`], [`hunks`], [`mine`], [`evaluation`]), and the embedded database server ([`hrana`]). Decisions are
//! `sentinel_shared`'s; the edge is never imported.

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
