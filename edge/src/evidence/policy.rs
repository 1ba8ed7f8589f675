//! Reads what a team wants for its failed runs, from the policy file of the base branch.

use super::log::Spare;
use super::paths;
use crate::github::Github;
use futures_util::future::{Either, select};
use sentinel_shared::failure::FailureRecord;
use sentinel_shared::policy::{self, FailurePolicy, LIMIT_BYTES};
use std::pin::pin;
use std::time::Duration;
use worker::Delay;

/// The calls that a policy file may cost: reading it, and later trying one of its patterns on the stored lines.
const POLICY_CALLS: usize = 2;
/// How long the file is waited for. A verdict does not depend on it.
const POLICY_TIME: Duration = Duration::from_secs(5);

/// What the file says; the defaults if there is none. `Err` if it could not be read now, whatever the reason.
pub(super) async fn read(
    github: &Github<'_>,
    record: &FailureRecord,
    spare: &Spare,
) -> Result<FailurePolicy, ()> {
    if !spare.take(POLICY_CALLS) {
        return Err(());
    }
    let path = paths::file(&record.repository, policy::PATH, record.base.as_deref());
    let file = github.file(&path, LIMIT_BYTES);
    match select(pin!(file), Delay::from(POLICY_TIME)).await {
        Either::Left((Ok(None), _)) => Ok(FailurePolicy::default()),
        Either::Left((Ok(Some(bytes)), _)) => Ok(match String::from_utf8(bytes) {
            Ok(yaml) => policy::failures(&yaml),
            Err(_) => FailurePolicy::unreadable("the policy is no text".to_owned()),
        }),
        Either::Left((Err(_), _)) | Either::Right(_) => Err(()),
    }
}
