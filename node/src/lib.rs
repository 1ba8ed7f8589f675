//! The native side of Sentinel.
//!
//! Here: the command line ([`cli`]), the model it embeds ([`model`]), labelled data and how well a model does
//! on it ([`dataset`], [`evaluation`]), and the embedded database server ([`hrana`]). Decisions are
//! `sentinel_shared`'s; the edge is never imported.

pub mod cli;
pub mod dataset;
pub mod evaluation;
pub mod hrana;
pub mod model;
pub mod worker_api;
