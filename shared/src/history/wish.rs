//! Whether a failed run may be tried again without anybody asking.

use super::fault::Fault;
use super::retry::retry;
use super::standing::Seen;
use crate::failure::{Conclusion, FailureClass, Subject};
use crate::kind::FailureKind;

/// After so many seconds, six hours, nobody waits for a run any longer: it is not tried again.
const WISH_SECONDS: i64 = 6 * 3600;

/// What is known of a failed run when its verdict is there. Its past is asked of the database.
#[derive(Debug, Clone, Copy)]
pub struct Fallen<'a> {
    /// What the delivery is about.
    pub subject: &'a Subject,
    /// How GitHub says the run ended.
    pub conclusion: Conclusion,
    /// Whether the job that the run is told by lost its runner.
    pub lost_runner: bool,
    /// The seconds since the delivery arrived.
    pub age_seconds: i64,
    /// The class of the job that the run is told by.
    pub class: FailureClass,
    /// What that failure is called.
    pub kind: Option<FailureKind>,
    /// Who should act, for each failed job; first that by which the run is told.
    pub faults: &'a [Fault],
    /// How many failed jobs were not looked into.
    pub unread: usize,
    /// Whether the cause says only that something failed.
    pub vague: bool,
    /// Whether it is a known issue that is to be tried again.
    pub known: bool,
    /// Whether the team wants flaky causes tried again.
    pub on_flaky: bool,
    /// Whether the team wants failures of the platform tried again.
    pub on_infra: bool,
}

/// What would be a reason to try a run again, if its past agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryWish {
    /// It is a known issue that is to be tried again.
    pub known: bool,
    /// It is tried again if its cause is flaky.
    pub flaky: bool,
    /// It is tried again if the platform failed and trying again is likely to help.
    pub infra: bool,
    /// Whether it is, by its kind.
    pub passing: bool,
    /// Whether its past says nothing, because its cause is vague.
    pub vague: bool,
}

/// The wish to try a run again; None if there is no reason, or if there must be none.
///
/// Only the first attempt of a whole run, and none that was cancelled, unless its runner was lost: somebody or something
/// wanted it to end. For a failure of the platform every failed job is known, and none is the fault of the code.
#[must_use]
pub fn retry_wish(fallen: &Fallen<'_>) -> Option<RetryWish> {
    let Fallen { subject, conclusion, class, kind, faults, vague, .. } = *fallen;
    let is_first = matches!(subject, Subject::Run { run_attempt: 1, .. });
    let was_wanted = conclusion == Conclusion::Cancelled && !fallen.lost_runner;
    if !is_first || was_wanted || fallen.age_seconds > WISH_SECONDS {
        return None;
    }
    let fault = faults.first().copied().unwrap_or(Fault::Unknown);
    let is_platforms = fault == Fault::Platform && fallen.unread == 0 && !faults.contains(&Fault::Code);
    let wish = RetryWish {
        known: fallen.known,
        flaky: fallen.on_flaky,
        infra: fallen.on_infra && is_platforms,
        passing: retry(class, kind, fault, &Seen::default()).is_some_and(|advice| advice.helps),
        vague,
    };
    (wish.known || wish.flaky || wish.infra).then_some(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Subject = Subject::Run { run_id: 1, run_attempt: 1 };

    fn fallen() -> Fallen<'static> {
        Fallen {
            subject: &RUN,
            conclusion: Conclusion::Failure,
            lost_runner: false,
            age_seconds: 5,
            class: FailureClass::Network,
            kind: Some(FailureKind::Dns),
            faults: &[Fault::Platform],
            unread: 0,
            vague: false,
            known: false,
            on_flaky: false,
            on_infra: true,
        }
    }

    fn is_wished(fallen: Fallen<'_>) -> bool {
        retry_wish(&fallen).is_some()
    }

    #[test]
    fn nothing_is_tried_again_unless_a_team_wants_it() {
        assert!(is_wished(fallen()));
        assert!(!is_wished(Fallen { on_infra: false, ..fallen() }));
        assert!(is_wished(Fallen { on_infra: false, on_flaky: true, ..fallen() }));
        assert!(is_wished(Fallen { on_infra: false, known: true, ..fallen() }));
    }

    #[test]
    fn only_the_first_attempt_of_a_whole_run_is_tried_again_and_only_while_somebody_waits() {
        let second = Subject::Run { run_id: 1, run_attempt: 2 };
        let job = Subject::Job { job_id: 1, run_id: Some(1), run_attempt: 1 };
        assert!(!is_wished(Fallen { subject: &second, known: true, ..fallen() }));
        assert!(!is_wished(Fallen { subject: &job, known: true, ..fallen() }));
        assert!(!is_wished(Fallen { age_seconds: 7 * 3600, ..fallen() }));
    }

    #[test]
    fn what_a_person_cancelled_is_not_tried_again_and_what_lost_its_runner_is() {
        let cancelled = Fallen { conclusion: Conclusion::Cancelled, known: true, on_flaky: true, ..fallen() };
        assert!(!is_wished(cancelled));
        assert!(is_wished(Fallen { lost_runner: true, ..cancelled }));
    }

    #[test]
    fn a_failed_job_of_the_code_or_one_that_nobody_looked_into_speaks_against_the_platform() {
        for faults in [&[Fault::Platform, Fault::Code][..], &[Fault::Code], &[Fault::Unknown], &[]] {
            assert!(!is_wished(Fallen { faults, ..fallen() }), "{faults:?}");
            assert!(is_wished(Fallen { faults, on_flaky: true, ..fallen() }), "flaky: {faults:?}");
        }
        assert!(is_wished(Fallen { faults: &[Fault::Platform, Fault::Unknown], ..fallen() }));
        assert!(!is_wished(Fallen { unread: 1, ..fallen() }));
    }

    #[test]
    fn the_kind_says_whether_trying_again_is_likely_to_help() {
        let passing = |kind: FailureKind| {
            retry_wish(&Fallen { class: kind.class(), kind: Some(kind), ..fallen() })
                .is_some_and(|wish| wish.passing)
        };
        assert!(passing(FailureKind::RunnerLost) && passing(FailureKind::Dns));
        assert!(!passing(FailureKind::OutOfMemory));
    }
}
