//! What runs a node, and what its operator sees of it.
//!
//! [`node`] is the process behind `sentinel serve`: it reads its [`config`], answers calls ([`grpc`]) on connections that
//! [`listener`] accepts, and tells its [`readiness`] and [`metrics`]. [`faults`] are the points at which the fault suite stops
//! it. [`http`] is everybody's HTTP client, [`worker_api`] the worker's API as programs of the operator call it, and [`mcp_tools`]
//! are the tools for assistants. `failure_text` tells both what the worker remembers of failures. [`heap`] keeps the process small.

pub mod config;
pub(crate) mod failure_text;
pub mod faults;
pub mod grpc;
pub mod heap;
pub mod hidden;
pub mod http;
pub mod listener;
pub mod mcp_tools;
pub mod metrics;
pub mod node;
pub mod readiness;
pub mod worker_api;
