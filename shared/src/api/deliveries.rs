//! The ledger of deliveries, and the rows of a repository.

use super::reviews::Requeued;
use crate::store::deliveries::DeliveryRow;
use serde::{Deserialize, Serialize};

/// The answer of `POST /api/deliveries/redeliver`. Its request is a [`crate::webhook::DeliveryKey`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeliverAnswer {
    /// Whether the delivery was queued again.
    pub status: Requeued,
    /// The delivery as it is now.
    pub delivery: DeliveryRow,
}

/// The answer of `DELETE /api/repositories`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// The repository as `owner/name`.
    pub repository: String,
    /// The number of rows that were deleted.
    pub rows: u64,
}
