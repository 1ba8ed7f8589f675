//! Stored verdicts: one for each subject, made again if it was made without the log, and read by people and programs.

pub use super::verdict::{EvidenceKind, NewInference};

use super::column;
use super::history::{self, NewFailure, OtherJobs};
use super::query::{Change, Query, Statement, Value};
use super::{
    DAY_SECONDS, HISTORY_LIMIT, deliveries, evidence, installation, json_of, number, optional, scope_param,
    statement, text,
};
use crate::access::Scope;
use crate::drift::BLOCK;
use crate::evidence::{Note, Trouble};
use crate::excerpt::Line;
use crate::failure::Subject;
use crate::github::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// An inference as it is stored, and as `/api/history` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inference {
    /// The row's id; later rows have larger ids.
    pub id: i64,
    /// When it was stored, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub timestamp: String,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The subject as `run:<id>:<attempt>` or `job:<id>`.
    pub subject: String,
    /// The class, or `Unknown`.
    pub prediction: String,
    /// The confidence of the most likely class, from 0 to 1.
    pub confidence: f64,
    /// The same number, by the name that older clients of the API read.
    pub confidence_score: f64,
    /// The three likeliest classes.
    #[serde(deserialize_with = "column::json_or_default")]
    pub top: Json,
    /// The terms that decided, by how far the score drops without each.
    #[serde(deserialize_with = "column::json_or_default")]
    pub top_features: Json,
    /// The log line pointed at.
    #[serde(deserialize_with = "column::json_or_default")]
    pub log_line: Json,
    /// The evidence that the verdict was made from.
    pub evidence: EvidenceKind,
    /// Remarks about the evidence: the labels of [`Note`].
    #[serde(deserialize_with = "column::json_or_default")]
    pub evidence_notes: Json,
    /// The source of the event, `github_webhook`.
    pub event_source: String,
    /// The name of the workflow.
    pub workflow: Option<String>,
    /// The failed job's name.
    pub job: Option<String>,
    /// The failed step's name.
    pub step: Option<String>,
    /// The address of the run's page on GitHub.
    pub html_url: Option<String>,
    /// The SHA of the commit.
    pub head_sha: Option<String>,
    /// The numerics and categories the model saw.
    #[serde(deserialize_with = "column::json_or_default")]
    pub metrics_payload: Json,
    /// The model that made it.
    pub model_version: String,
    /// The class a person named last, if one did.
    pub corrected: Option<String>,
}

/// Selects inferences for the history.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only inferences of this repository.
    pub repository: Option<&'a str>,
    /// Only inferences with this verdict.
    pub prediction: Option<&'a str>,
    /// Only inferences with at least this confidence.
    pub confidence_min: f64,
    /// Only inferences that are older than this one.
    pub before: Option<i64>,
}

/// Totals for the dashboard and the badge.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Totals {
    /// The number of all inferences.
    pub inferences: u64,
    /// The number of inferences in the last window.
    pub recent: u64,
    /// The mean confidence of the last window.
    pub recent_confidence: Option<f64>,
    /// The number of deliveries that wait.
    pub queued: u64,
    /// The number of deliveries that were given up.
    pub failed: u64,
    /// The number of rows of feedback.
    pub feedback: u64,
}

/// One day's verdicts of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// The day in UTC, such as `2026-01-31`.
    pub day: String,
    /// The class, or `Unknown`.
    pub prediction: String,
    /// The number of verdicts.
    pub count: u64,
}

/// Inserts a verdict; what happens where there is one already is `$conflict`.
macro_rules! insert_inference {
    ($name:literal, $($conflict:tt)+) => {
        concat!(
            "-- ",
            $name,
            "
INSERT INTO inferences (repository, subject, installation_id, timestamp, prediction, confidence, top, top_features,
  log_line, evidence, event_source, workflow, job, step, html_url, head_sha, metrics_payload, model_version)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18
-- A job that has a row keeps that one.
WHERE NOT EXISTS (SELECT 1 FROM failures JOIN inferences AS known USING (id)
  WHERE failures.repository = ?1 AND failures.job_id = ?19 AND known.subject <> ?2)
ON CONFLICT (repository, subject) ",
            $($conflict)+
        )
    };
}

/// The new value of a column that says what failed; what a person has corrected keeps the old one.
macro_rules! unless_corrected {
    ($($column:literal),+) => {
        concat!($($column, " = iif(EXISTS (SELECT 1 FROM feedback WHERE inference_id = inferences.id), inferences.", $column,
          ", excluded.", $column, "), "),+)
    };
}

const INSERT_MEANWHILE: &str = insert_inference!("insert_meanwhile", "DO NOTHING");
// A verdict that was made without the log is made again, under its id. Every other stays.
const INSERT_INFERENCE: &str = insert_inference!(
    "insert_inference",
    "DO UPDATE SET ",
    unless_corrected!("prediction", "confidence", "top", "top_features", "log_line", "model_version"),
    "evidence = excluded.evidence, job = excluded.job, step = excluded.step, metrics_payload = excluded.metrics_payload
WHERE EXISTS (SELECT 1 FROM evidence_notes WHERE inference_id = inferences.id AND note = 'log_awaited')"
);

const COUNT_CELLS: &str = "-- count_cells
INSERT INTO drift_cells (model_version, block, installation_id, feature, bin, count)
SELECT ?1, inferences.id / ?4, COALESCE(installation_id, 0), json_extract(cell.value, '$[0]'),
  json_extract(cell.value, '$[1]'), 1 FROM inferences, json_each(?5) AS cell
WHERE changes() > 0 AND repository = ?2 AND subject = ?3
ON CONFLICT (model_version, block, installation_id, feature, bin) DO UPDATE SET count = count + 1";

const KEEP_TELEMETRY: &str = "-- keep_telemetry
INSERT INTO telemetry (inference_id, telemetry, stored_at)
SELECT id, ?3, ?4 FROM inferences WHERE repository = ?1 AND subject = ?2
ON CONFLICT (inference_id) DO UPDATE SET telemetry = excluded.telemetry
WHERE EXISTS (SELECT 1 FROM evidence_notes WHERE inference_id = excluded.inference_id AND note = 'log_awaited')";

const CLASSES_BY_DAY: &str = "-- classes_by_day
SELECT timestamp / 86400 AS day, prediction, COUNT(*) AS count FROM inferences
WHERE timestamp >= ?1 AND (?2 IS NULL OR installation_id = ?2) GROUP BY 1, 2 ORDER BY 1, 2";

/// The columns of an [`Inference`], of the rows that `$rest` says.
macro_rules! select_inferences {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT id, timestamp, repository, subject, prediction, confidence, confidence AS confidence_score, top, top_features,
  log_line, evidence, event_source, workflow, job, step, html_url, head_sha, metrics_payload, model_version,
  (SELECT json_group_array(note) FROM evidence_notes WHERE inference_id = inferences.id) AS evidence_notes,
  (SELECT corrected FROM feedback WHERE inference_id = inferences.id ORDER BY feedback.id DESC LIMIT 1) AS corrected
FROM inferences ",
            $rest
        )
    };
}

const HISTORY: &str = select_inferences!(
    "history",
    "WHERE (?2 IS NULL OR installation_id = ?2) AND (?3 IS NULL OR repository = ?3)
  AND (?4 IS NULL OR prediction = ?4) AND confidence >= ?5 AND (?6 IS NULL OR id < ?6) ORDER BY id DESC LIMIT ?1"
);
// A job may have the row of its run.
const INFERENCE_OF: &str = select_inferences!(
    "inference_of",
    "WHERE id = COALESCE((SELECT id FROM inferences WHERE repository = ?1 AND subject = ?2),
    (SELECT id FROM failures WHERE repository = ?1 AND job_id = ?4)) AND (?3 IS NULL OR installation_id = ?3)"
);
const INFERENCE_BY_ID: &str =
    select_inferences!("inference_by_id", "WHERE id = ?1 AND (?2 IS NULL OR installation_id = ?2)");

const TOTALS: &str = "-- totals
SELECT CASE WHEN ?2 IS NULL THEN (SELECT COALESCE(SUM(value), 0) FROM counters WHERE name = 'inferences')
    ELSE (SELECT COUNT(*) FROM inferences WHERE installation_id = ?2) END AS inferences,
  (SELECT COUNT(*) FROM (SELECT id FROM inferences WHERE ?2 IS NULL OR installation_id = ?2 ORDER BY id DESC LIMIT ?1)) AS recent,
  (SELECT AVG(confidence) FROM (SELECT confidence FROM inferences WHERE ?2 IS NULL OR installation_id = ?2
    ORDER BY id DESC LIMIT ?1)) AS recent_confidence,
  (SELECT COUNT(*) FROM deliveries WHERE status = 'queued' AND (?2 IS NULL OR installation_id = ?2)) AS queued,
  (SELECT COUNT(*) FROM deliveries WHERE status = 'failed' AND (?2 IS NULL OR installation_id = ?2)) AS failed,
  (SELECT COUNT(*) FROM feedback WHERE ?2 IS NULL OR installation_id = ?2) AS feedback";

/// A verdict of a day, by the number of the day since 1970.
#[derive(Deserialize)]
struct DayRow {
    day: i64,
    prediction: String,
    count: u64,
}

/// Stores the verdicts on the failed jobs of one delivery, the headline first, and closes the delivery. Each is stored once
/// for its subject and counted. What is stored then, these verdicts or those of an earlier delivery, is answered by
/// [`of_subject`]. A verdict that was stored without the log is replaced.
pub fn finish(verdicts: &[(NewInference<'_>, NewFailure<'_>)], others: OtherJobs<'_>, now: i64) -> Query<()> {
    let Some((headline, of_headline)) = verdicts.first() else { return Query::nothing() };
    let record = headline.record;
    let begun =
        history::become_headline(record, of_headline.job_id).with(history::failed_run(record, others, now));
    let stored =
        verdicts.iter().map(|(new, failure)| store(*new, now).with(history::failed(new, failure, now)));
    let settled = Query::writing(evidence::settle(record)).done();
    begun
        .with(stored.collect())
        .with(history::gather(record))
        .with(settled)
        .with(deliveries::finish(headline.key, now))
}

fn store(new: NewInference<'_>, now: i64) -> Query<()> {
    let insert = Change::of(statement(INSERT_INFERENCE, row(new, now)))
        .count("inferences", new.verdict.prediction.verdict())
        .count("evidence", new.evidence.label());
    // The cells come last, since a verdict may fall into none.
    let stored = evidence::note(insert, &new, new.notes).then(count_cells(new)).done();
    stored.with(keep_telemetry(&new, now))
}

/// Stores a verdict without the log, to be made again with it, and puts its delivery back until `at`. The verdict is counted
/// when it is made again, and only then told on GitHub.
pub fn keep_meanwhile(new: NewInference<'_>, trouble: Trouble, at: i64, now: i64) -> Query<()> {
    let insert = Change::of(statement(INSERT_MEANWHILE, row(new, now)));
    let awaited = evidence::note(insert, &new, &[Note::LogAwaited]);
    let stored = evidence::note(awaited, &new, new.notes).done();
    stored.with(keep_telemetry(&new, now)).with(evidence::postpone(new.key, trouble, at, now))
}

/// The verdict on one subject. [`crate::Error::NotFound`] where there is none.
pub fn of_subject(scope: Scope, repository: &str, subject: &str) -> Query<Inference> {
    let job_id = match Subject::parse(subject) {
        Some(Subject::Job { job_id, .. }) => number(job_id),
        _ => Value::Null,
    };
    let which = [text(repository), text(subject), scope_param(scope), job_id];
    Query::reading(statement(INFERENCE_OF, which)).found()
}

/// The verdict under this id. [`crate::Error::NotFound`] where there is none.
pub fn by_id(scope: Scope, id: i64) -> Query<Inference> {
    Query::reading(statement(INFERENCE_BY_ID, [Value::Integer(id), scope_param(scope)])).found()
}

/// The latest `limit` inferences that pass `filter`, newest first.
pub fn history(scope: Scope, filter: Filter<'_>, limit: u32) -> Query<Vec<Inference>> {
    let args = [
        Value::Integer(i64::from(limit.min(HISTORY_LIMIT))),
        scope_param(scope),
        optional(filter.repository),
        optional(filter.prediction),
        Value::Real(filter.confidence_min),
        filter.before.map_or(Value::Null, Value::Integer),
    ];
    Query::reading(statement(HISTORY, args)).rows()
}

/// The totals over a window of the last `window` inferences.
pub fn totals(scope: Scope, window: u32) -> Query<Totals> {
    Query::reading(statement(TOTALS, [Value::Integer(i64::from(window)), scope_param(scope)])).only()
}

/// How many verdicts of each class each day since `since` brought, oldest first.
pub fn classes_by_day(scope: Scope, since: i64) -> Query<Vec<DayCount>> {
    let days = Query::reading(statement(CLASSES_BY_DAY, [Value::Integer(since), scope_param(scope)])).rows();
    days.map(|days: Vec<DayRow>| days.into_iter().map(DayRow::day_count).collect())
}

impl DayRow {
    fn day_count(self) -> DayCount {
        let Self { day, prediction, count } = self;
        DayCount { day: rfc3339(day * DAY_SECONDS).chars().take(10).collect(), prediction, count }
    }
}

fn count_cells(new: NewInference<'_>) -> Statement {
    let args = [
        text(new.model_version),
        text(&new.record.repository),
        Value::Text(new.subject.key()),
        Value::Integer(BLOCK),
        Value::Text(json_of(&new.cells)),
    ];
    statement(COUNT_CELLS, args)
}

fn keep_telemetry(new: &NewInference<'_>, now: i64) -> Query<()> {
    let row = [
        text(&new.record.repository),
        Value::Text(new.subject.key()),
        Value::Text(json_of(&new.verdict.telemetry)),
        Value::Integer(now),
    ];
    Query::writing(statement(KEEP_TELEMETRY, row)).done()
}

fn row(new: NewInference<'_>, now: i64) -> [Value; 19] {
    let NewInference { record, verdict, .. } = new;
    let prediction = &verdict.prediction;
    let line = verdict.explanation.line.as_ref().map(json_of::<Line>);
    let mut metrics = json!(verdict.telemetry);
    if let Some(fields) = metrics.as_object_mut() {
        // The text is long; it is kept apart, and for a while only.
        fields.remove("text");
        fields.retain(|_, value| !value.is_null());
    }
    [
        text(&record.repository),
        Value::Text(new.subject.key()),
        installation(record),
        Value::Integer(now),
        text(prediction.verdict()),
        Value::Real(f64::from(prediction.confidence)),
        Value::Text(json!(prediction.top_three()).to_string()),
        Value::Text(json_of(&verdict.explanation.terms)),
        line.map_or(Value::Null, Value::Text),
        text(new.evidence.label()),
        text("github_webhook"),
        optional(record.workflow.as_deref()),
        optional(new.job.or(record.job.as_deref())),
        optional(new.step),
        optional(record.html_url.as_deref()),
        optional(record.head_sha.as_deref()),
        Value::Text(metrics.to_string()),
        text(new.model_version),
        match *new.subject {
            Subject::Job { job_id, .. } => number(job_id),
            Subject::Run { .. } => Value::Null,
        },
    ]
}
