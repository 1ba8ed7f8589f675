//! The worker's HTTP API: a struct for every JSON body that it takes or answers.
//!
//! The worker serializes these structs, and the `sentinel` command, its tools and the tests deserialize them, so a field
//! that is renamed on one side fails to compile on the other. `docs/openapi.yaml` describes the same bodies; a test
//! compares the two, field by field.
//!
//! Many answers are rows of [`crate::store`] as they are stored. They are not repeated here: [`Inference`],
//! [`StoredTelemetry`], [`FeedbackRecord`], [`FeedbackStats`], [`JobRow`], [`Breaker`], [`DeliveryRow`] and [`KeyRow`].
//! [`NewKey`] and [`FeedbackRequest`] are requests that are read in other modules, and [`DriftReport`] and [`Heatmap`] are
//! answers that [`crate::drift`] makes.
//!
//! A reader ignores fields that it does not know. A field that is added later gets `#[serde(default)]`, so that a newer
//! command can read an older worker's answer.
//!
//! [`Inference`]: crate::store::inferences::Inference
//! [`StoredTelemetry`]: crate::store::telemetry::StoredTelemetry
//! [`FeedbackRecord`]: crate::feedback::FeedbackRecord
//! [`FeedbackStats`]: crate::feedback::FeedbackStats
//! [`FeedbackRequest`]: crate::feedback::FeedbackRequest
//! [`JobRow`]: crate::store::queue::JobRow
//! [`Breaker`]: crate::store::pauses::Breaker
//! [`DeliveryRow`]: crate::store::deliveries::DeliveryRow
//! [`KeyRow`]: crate::store::access::KeyRow
//! [`NewKey`]: crate::access::NewKey
//! [`DriftReport`]: crate::drift::DriftReport
//! [`Heatmap`]: crate::drift::Heatmap

pub mod access;
pub mod dashboard;
pub mod deliveries;
pub mod failures;
pub mod feedback;
pub mod health;
pub mod models;
pub mod problem;
pub mod reports;
pub mod reviews;
pub mod verdict;
pub mod verdicts;
pub mod webhook;
