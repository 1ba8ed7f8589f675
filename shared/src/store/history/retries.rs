//! Failed runs that were tried again without anybody asking, at most once for each commit of a workflow.
//!
//! The row is written with the verdict, before GitHub is asked. Who finds it there does not ask: a run that was claimed and
//! never asked about, because its worker died, is not tried again.

use super::super::query::{Query, Value};
use super::super::{column, number, optional, scope_param, statement, text};
use crate::access::Scope;
use crate::failure::{FailureRecord, Subject};
use crate::history::{RETRIES_MIN, RetryWish};
use serde::{Deserialize, Serialize};

/// The longest answer of GitHub that is kept, in characters.
const ANSWER_CHARS: usize = 300;

/// What became of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryState {
    /// It is not known whether GitHub was asked. It will not be asked again.
    Claimed,
    /// GitHub runs the failed jobs again.
    Asked,
    /// GitHub refused, or the token may not ask.
    Refused,
    /// The run is gone.
    Gone,
    /// GitHub gave no answer. It will not be asked again.
    Unanswered,
}

/// Why a run was tried again, and what GitHub answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRow {
    /// `known`, `flaky` or `infra`.
    pub reason: String,
    /// How many failures its cause had then.
    pub times: u64,
    /// How many of them had passed on retry.
    pub passed: u64,
    /// What became of it.
    pub state: RetryState,
    /// What GitHub said to a refusal.
    pub answer: Option<String>,
    /// When it was decided, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub claimed_at: String,
    /// The reason and the outcome, in a sentence.
    #[serde(default)]
    pub sentence: String,
}

#[derive(Deserialize)]
struct Claimed {
    reason: String,
}

// The failure is stored in the same transaction, so its cause counts it. ?6 to ?10: the wish.
const CLAIM_RETRY: &str = concat!(
    "-- claim_retry
INSERT INTO retries (repository, workflow, head_sha, run_id, installation_id, reason, times, passed, claimed_at)
SELECT ?1, ?2, ?3, ?4, installation_id, reason, times, passed, ?11 FROM (
  SELECT failures.installation_id, COALESCE(times, 1) AS times, COALESCE(passed, 0) AS passed,
    CASE WHEN ?6 THEN 'known'
      WHEN ?7 AND NOT ?10 AND ",
    super::flaky_when!("times"),
    " THEN 'flaky'
      WHEN ?8 AND NOT ?10 AND ",
    super::flaky_when!("times"),
    " THEN 'infra'
      WHEN ?8 AND ?9 AND (?10 OR COALESCE(passed, 0) > 0 OR COALESCE(times, 1) < ?12) THEN 'infra' END AS reason
  FROM failures LEFT JOIN causes ON causes.id = cause_id
  WHERE failures.id = (SELECT id FROM inferences WHERE repository = ?1 AND subject = ?5) AND passed_at IS NULL)
WHERE reason IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.repository = ?1 AND runs.run_id = ?4 AND runs.run_attempt > 1)
ON CONFLICT (repository, workflow, head_sha) DO NOTHING
RETURNING reason"
);

const ANSWER_RETRY: &str = "-- answer_retry
UPDATE retries SET state = ?4, answer = ?5, answered_at = ?6 WHERE repository = ?1 AND workflow = ?2 AND head_sha = ?3";

const RETRY_OF_RUN: &str = "-- retry_of_run
SELECT reason, times, passed, state, answer, claimed_at FROM retries
WHERE repository = ?1 AND run_id = ?2 AND (?3 IS NULL OR installation_id = ?3) LIMIT 1";

/// Claims the retry of a failed run, after its verdict in the same transaction; true if it is ours to ask for. False if
/// nothing speaks for it, or if the commit had its retry.
pub fn claim(record: &FailureRecord, wish: RetryWish, now: i64) -> Query<bool> {
    let (Some([repository, workflow, sha]), Subject::Run { run_id, .. }) = (key(record), &record.subject)
    else {
        return Query::nothing().map(|()| false);
    };
    let flag = |wanted: bool| Value::Integer(i64::from(wanted));
    let RetryWish { known, flaky, infra, passing, vague } = wish;
    let row = [
        repository,
        workflow,
        sha,
        number(*run_id),
        Value::Text(record.subject.key()),
        flag(known),
        flag(flaky),
        flag(infra),
        flag(passing),
        flag(vague),
        Value::Integer(now),
        number(RETRIES_MIN),
    ];
    let claimed = Query::writing(statement(CLAIM_RETRY, row)).first();
    claimed.map(|claimed: Option<Claimed>| claimed.is_some_and(|claimed| !claimed.reason.is_empty()))
}

/// Stores what GitHub answered to a retry.
pub fn answered(record: &FailureRecord, state: RetryState, answer: Option<&str>, now: i64) -> Query<()> {
    let Some([repository, workflow, sha]) = key(record) else { return Query::nothing() };
    let answer: Option<String> = answer.map(|answer| answer.chars().take(ANSWER_CHARS).collect());
    let row =
        [repository, workflow, sha, text(state.label()), optional(answer.as_deref()), Value::Integer(now)];
    Query::writing(statement(ANSWER_RETRY, row)).done()
}

/// The retry of a run, if there was one.
pub fn of_run(scope: Scope, repository: &str, run_id: u64) -> Query<Option<RetryRow>> {
    let which = [text(repository), number(run_id), scope_param(scope)];
    let row = Query::reading(statement(RETRY_OF_RUN, which)).first();
    row.map(|row: Option<RetryRow>| row.map(RetryRow::told))
}

/// What a retry is known by. A run without a workflow's name or a commit has none.
fn key(record: &FailureRecord) -> Option<[Value; 3]> {
    let workflow = record.workflow.as_deref().filter(|name| !name.is_empty())?;
    let sha = record.head_sha.as_deref().filter(|sha| !sha.is_empty())?;
    Some([text(&record.repository), text(workflow), text(sha)])
}

// === impl RetryState ===

impl RetryState {
    /// The name in the table and on the wire.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Asked => "asked",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::Unanswered => "unanswered",
        }
    }
}

// === impl RetryRow ===

impl RetryRow {
    fn told(mut self) -> Self {
        let Self { times, passed, .. } = self;
        let because = match self.reason.as_str() {
            "known" => "it is a known issue that is to be tried again".to_owned(),
            "flaky" => format!("its cause is flaky: passed on retry {passed} of {times} times"),
            _ => "what it runs on failed, and not the code".to_owned(),
        };
        let outcome = match self.state {
            RetryState::Asked => format!("The failed jobs were run again, because {because}."),
            RetryState::Refused => {
                format!("The failed jobs were to be run again, because {because}. GitHub refused.")
            }
            RetryState::Gone => {
                format!("The failed jobs were to be run again, because {because}. The run is gone.")
            }
            RetryState::Claimed | RetryState::Unanswered => format!(
                "The failed jobs were to be run again, because {because}. It is not known whether GitHub does; it is not asked \
                 twice."
            ),
        };
        self.sentence = outcome;
        self
    }
}
