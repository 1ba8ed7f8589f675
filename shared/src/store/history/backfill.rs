//! Remembers verdicts that were stored before there was a memory of failures: a few in each sweep, the oldest first.
//!
//! Of such a verdict the class, the deciding line and the commit are known, and neither its branch nor what its log stated.

use super::super::query::{Query, Value};
use super::super::{column, json_of, statement};
use crate::classifier::{Explanation, Prediction, Verdict};
use crate::excerpt::Line;
use crate::facts::Facts;
use crate::failure::{FailureClass, Subject};
use crate::features::Telemetry;
use crate::history::{Cause, Fault};
use serde::{Deserialize, Serialize};

/// The verdicts that one sweep remembers. Their rows are written in one transaction, which must not hold up a delivery.
const REMEMBERED: usize = 50;
/// The verdicts that one sweep looks at. Most are remembered already, and reading an id costs little.
const LOOKED_AT: i64 = 500;
/// The verdicts that are looked at again in the next sweep rather than that the place is written down.
const LOOKED_AT_AGAIN: i64 = 250;

/// The verdicts after the place up to which all are remembered.
#[derive(Debug, Default)]
pub struct Unremembered {
    verdicts: Vec<OldVerdict>,
    /// The last verdict that was looked at, and how many were.
    looked_at: LookedAt,
}

/// A verdict without a place in history.
#[derive(Debug, Deserialize)]
struct OldVerdict {
    id: i64,
    subject: String,
    prediction: String,
    #[serde(deserialize_with = "column::json_or_default")]
    top: Vec<Ranked>,
    #[serde(deserialize_with = "column::json_or_default")]
    log_line: Option<Line>,
}

#[derive(Debug, Deserialize)]
struct Ranked {
    class: String,
}

#[derive(Debug, Default, Deserialize)]
struct LookedAt {
    last: Option<i64>,
    count: i64,
}

/// What is written about one verdict, as the statements read it.
#[derive(Serialize)]
struct Remembered {
    id: i64,
    run_id: Option<u64>,
    run_attempt: u32,
    job_id: Option<u64>,
    key: String,
    class: &'static str,
    line: String,
    fault: &'static str,
}

/// The ids after the place, which is kept among the counters.
macro_rules! looked_at {
    () => {
        "SELECT id FROM inferences WHERE id > COALESCE(
    (SELECT value FROM counters WHERE name = 'remembered' AND label = 'last_id'), 0) ORDER BY id LIMIT ?1"
    };
}

const LOOK: &str =
    concat!("-- look_for_unremembered\nSELECT MAX(id) AS last, COUNT(*) AS count FROM (", looked_at!(), ")");

// A verdict that waits for its log is remembered when it is made again.
const UNREMEMBERED: &str = concat!(
    "-- unremembered
SELECT inferences.id, subject, prediction, top, log_line FROM (",
    looked_at!(),
    ") AS looked_at JOIN inferences USING (id)
WHERE NOT EXISTS (SELECT 1 FROM failures WHERE failures.id = looked_at.id)
  AND NOT EXISTS (SELECT 1 FROM evidence_notes WHERE inference_id = looked_at.id AND note = 'log_awaited')
ORDER BY inferences.id LIMIT ?2"
);

// A cause that has no failure yet would stay without one.
const INSERT_CAUSES: &str = "-- remember_causes
INSERT INTO causes (repository, installation_id, key, class, fault, line, tests, first_at, last_at)
SELECT repository, installation_id, json_extract(old.value, '$.key'), json_extract(old.value, '$.class'),
  json_extract(old.value, '$.fault'), json_extract(old.value, '$.line'), '[]', timestamp, timestamp
FROM json_each(?1) AS old JOIN inferences ON inferences.id = json_extract(old.value, '$.id')
WHERE NOT EXISTS (SELECT 1 FROM failures WHERE failures.id = inferences.id)
ON CONFLICT (repository, key) DO NOTHING";

const INSERT_FAILURES: &str = "-- remember_failures
INSERT INTO failures (id, repository, installation_id, run_id, run_attempt, job_id, workflow, job, branch, head_sha,
  failed_at, cause_id, fault, facts, around)
SELECT inferences.id, inferences.repository, inferences.installation_id, json_extract(old.value, '$.run_id'),
  json_extract(old.value, '$.run_attempt'), json_extract(old.value, '$.job_id'), COALESCE(workflow, ''), COALESCE(job, ''),
  '', COALESCE(head_sha, ''), timestamp, causes.id, json_extract(old.value, '$.fault'), '{}', '[]'
FROM json_each(?1) AS old JOIN inferences ON inferences.id = json_extract(old.value, '$.id')
  JOIN causes ON causes.repository = inferences.repository AND causes.key = json_extract(old.value, '$.key')
WHERE true
ON CONFLICT (id) DO NOTHING";

const GO_ON: &str = "-- remember_place
INSERT INTO counters (name, label, value) VALUES ('remembered', 'last_id', ?1)
ON CONFLICT (name, label) DO UPDATE SET value = MAX(value, excluded.value)";

/// The next verdicts without a place in history.
pub fn next() -> Query<Unremembered> {
    let limit = Value::Integer(i64::try_from(REMEMBERED).unwrap_or(i64::MAX));
    let look = Query::reading(statement(LOOK, [Value::Integer(LOOKED_AT)])).only();
    let verdicts = Query::reading(statement(UNREMEMBERED, [Value::Integer(LOOKED_AT), limit])).rows();
    look.and(verdicts).map(|(looked_at, verdicts)| Unremembered { verdicts, looked_at })
}

// === impl Unremembered ===

impl Unremembered {
    /// How many verdicts are to be remembered now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.verdicts.len()
    }

    /// Gives each verdict its place in history, and writes down how far that went; None if there is nothing to write.
    /// Doing it twice changes nothing.
    #[must_use]
    pub fn remember(&self) -> Option<Query<()>> {
        let last = if self.verdicts.len() < REMEMBERED {
            self.looked_at.last
        } else {
            self.verdicts.last().map(|verdict| verdict.id)
        };
        let place = Query::writing(statement(GO_ON, [Value::Integer(last?)])).done();
        if self.verdicts.is_empty() {
            return (self.looked_at.count > LOOKED_AT_AGAIN).then_some(place);
        }
        let rows: Vec<Remembered> = self.verdicts.iter().map(OldVerdict::remembered).collect();
        let rows = json_of(&rows);
        let write = |sql| Query::writing(statement(sql, [Value::Text(rows.clone())])).done();
        Some(write(INSERT_CAUSES).with(write(INSERT_FAILURES)).with(place))
    }
}

// === impl OldVerdict ===

impl OldVerdict {
    fn remembered(&self) -> Remembered {
        let verdict = self.verdict();
        let Cause { key, class, line, .. } = Cause::of(&verdict, &Facts::default());
        let (run_id, run_attempt, job_id) = match Subject::parse(&self.subject) {
            Some(Subject::Run { run_id, run_attempt }) => (Some(run_id), run_attempt, None),
            Some(Subject::Job { job_id, .. }) => (None, 1, Some(job_id)),
            None => (None, 1, None),
        };
        Remembered {
            id: self.id,
            run_id,
            run_attempt,
            job_id,
            key: key.as_str().to_owned(),
            class,
            line,
            fault: Fault::of_verdict(&verdict, None).label(),
        }
    }

    /// The verdict, as far as it tells the cause. The likeliest class is kept also of one that was not confident enough.
    fn verdict(&self) -> Verdict {
        let said = FailureClass::parse(&self.prediction);
        let likeliest = self.top.first().and_then(|ranked| FailureClass::parse(&ranked.class));
        let class = likeliest.or(said).unwrap_or(FailureClass::Build);
        let prediction =
            Prediction { probabilities: [0.0; 10], class, confidence: 0.0, abstained: said.is_none() };
        let explanation = Explanation { terms: Vec::new(), line: self.log_line.clone() };
        Verdict { prediction, explanation, telemetry: Telemetry::default() }
    }
}
