//! Whether trying a failed job again is likely to help.

use super::fault::Fault;
use super::flaky::is_flaky;
use super::standing::Seen;
use crate::failure::FailureClass;
use crate::kind::FailureKind;
use serde::{Deserialize, Serialize};

/// The fewest failures with one cause from which their past decides about trying again.
pub const RETRIES_MIN: u64 = 5;

/// Whether to try again, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryAdvice {
    /// Whether it is likely to help.
    pub helps: bool,
    /// One or two sentences for people, with the share in which it helped before.
    pub sentence: String,
    /// How many failures with this cause passed on retry.
    pub passed: u64,
    /// How many failures have this cause.
    pub times: u64,
}

/// What to say about trying a failed job again; None if neither its past nor its kind tells.
///
/// The past is asked first: a cause whose failures pass on retry will again, whatever its class, and one whose failures
/// never did will not.
#[must_use]
pub fn retry(
    class: FailureClass,
    kind: Option<FailureKind>,
    fault: Fault,
    seen: &Seen,
) -> Option<RetryAdvice> {
    // The failures of a vague cause may have nothing in common.
    let (times, passed) = if seen.vague { (0, 0) } else { (seen.times, seen.passed) };
    let advice = |helps, sentence| Some(RetryAdvice { helps, sentence, passed, times });
    if is_flaky(times, passed) {
        return advice(
            true,
            format!("Running it again is likely to help: it did {passed} of {times} times."),
        );
    }
    if passed == 0 && times >= RETRIES_MIN {
        return advice(
            false,
            format!("Running it again is unlikely to help: none of {times} failures passed on retry."),
        );
    }
    let before = match passed {
        0 => String::new(),
        passed => format!(" It helped {passed} of {times} times."),
    };
    match (passing(class, kind), fault) {
        (Some(reason), Fault::Platform | Fault::Unknown) => {
            advice(true, format!("Running it again is likely to help, because {reason}.{before}"))
        }
        (None, Fault::Code) if passed == 0 => {
            let reason = "the code must change first";
            advice(false, format!("Running it again is unlikely to help, because {reason}."))
        }
        _ => None,
    }
}

/// Why what failed may have gone by itself; None if it is not of that sort.
fn passing(class: FailureClass, kind: Option<FailureKind>) -> Option<&'static str> {
    match (class, kind) {
        (_, Some(FailureKind::RunnerLost)) => Some("the runner was lost"),
        (_, Some(FailureKind::RegistryDown)) => Some("the server on the other side failed"),
        (_, Some(FailureKind::RateLimit)) => Some("the limit ends with time"),
        (_, Some(FailureKind::StateLock)) => Some("the other run gives the lock back"),
        (_, Some(FailureKind::Tls)) => None,
        (FailureClass::Network, _) => Some("the network failed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: FailureKind, times: u64, passed: u64) -> Option<(bool, String)> {
        let seen = Seen { times, passed, ..Seen::default() };
        let fault = Fault::of(kind.class(), Some(kind), "");
        retry(kind.class(), Some(kind), fault, &seen).map(|advice| (advice.helps, advice.sentence))
    }

    #[test]
    fn what_passed_on_retry_before_is_worth_trying_again_whatever_it_is() {
        let told = "Running it again is likely to help: it did 5 of 6 times.";
        assert_eq!(said(FailureKind::UnitTest, 6, 5), Some((true, told.to_owned())));
    }

    #[test]
    fn what_never_passed_on_retry_is_not_worth_it_although_it_is_the_network() {
        let told = "Running it again is unlikely to help: none of 5 failures passed on retry.";
        assert_eq!(said(FailureKind::Dns, 5, 0), Some((false, told.to_owned())));
    }

    #[test]
    fn the_past_of_a_vague_cause_is_not_asked() {
        let seen = Seen { times: 6, passed: 5, vague: true, ..Seen::default() };
        assert_eq!(retry(FailureClass::Test, None, Fault::Unknown, &seen), None);
    }

    #[test]
    fn without_a_past_the_kind_decides() {
        let lost = "Running it again is likely to help, because the runner was lost.";
        assert_eq!(said(FailureKind::RunnerLost, 1, 0), Some((true, lost.to_owned())));
        let once = "Running it again is likely to help, because the network failed. It helped 1 of 2 times.";
        assert_eq!(said(FailureKind::Connection, 2, 1), Some((true, once.to_owned())));
        let code = "Running it again is unlikely to help, because the code must change first.";
        assert_eq!(said(FailureKind::Compile, 1, 0), Some((false, code.to_owned())));
        assert_eq!(said(FailureKind::UnitTest, 2, 1), None, "once is no rule");
        assert_eq!(said(FailureKind::OutOfMemory, 1, 0), None);
    }

    #[test]
    fn a_network_error_on_the_runner_itself_may_be_tried_again() {
        let own = Fault::of(FailureClass::Network, None, "connect ECONNREFUSED 127.0.0.1:5432");
        assert!(retry(FailureClass::Network, None, own, &Seen::default()).is_some_and(|advice| advice.helps));
    }
}
