//! The handlers of the JSON API, a file for each subject. `crate::router` has checked the caller's key before it calls one.

pub(crate) mod deliveries;
pub(crate) mod failures;
pub(crate) mod feedback;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod known;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod overview;
pub(crate) mod reports;
pub(crate) mod reviews;
pub(crate) mod session;
pub(crate) mod verdicts;
