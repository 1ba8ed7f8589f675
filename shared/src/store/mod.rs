//! Every SQL text of the product, what goes into it and what comes out. The shells only carry it to a libSQL
//! server and back.
//!
//! A [`Transaction`] is one round trip that happens whole or not at all. Each statement begins with its name,
//! so that a slow one can be found in a server's log.

pub mod access;
pub mod deliveries;
pub mod evidence;
pub mod feedback;
pub mod hrana;
pub mod models;
pub mod pauses;
pub mod retention;
pub mod reviews;
pub mod telemetry;

use crate::access::Scope;
use crate::classifier::Verdict;
use crate::drift::{BLOCK, WINDOW_BLOCKS, Window};
use crate::evidence::Note;
use crate::excerpt::Line;
use crate::failure::FailureRecord;
use crate::github::rfc3339;
use crate::webhook::DeliveryKey;
use crate::{Error, Result};
use models::ActiveModel;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// (version, SQL) of every migration, oldest first. They only add, so old code runs on the new schema.
pub const MIGRATIONS: [(i64, &str); 8] = [
    (1, include_str!("../../migrations/0001_init.sql")),
    (2, include_str!("../../migrations/0002_drift.sql")),
    (3, include_str!("../../migrations/0003_feedback.sql")),
    (4, include_str!("../../migrations/0004_models.sql")),
    (5, include_str!("../../migrations/0005_reviews.sql")),
    (6, include_str!("../../migrations/0006_access.sql")),
    (7, include_str!("../../migrations/0007_pauses.sql")),
    (8, include_str!("../../migrations/0008_evidence.sql")),
];

/// Seconds of a day.
pub const DAY_SECONDS: i64 = 86_400;
/// How long a worker may take over one delivery before the sweep takes it up again, in seconds.
pub const LEASE_SECONDS: i64 = 60;
/// Tries before a delivery is given up as failed. Waiting for GitHub is none.
pub const ATTEMPTS_MAX: i64 = 3;
/// Most rows of history that one request reads.
pub const HISTORY_LIMIT: u32 = 1000;

/// A SQL value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT.
    Text(String),
}

/// One statement with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Starts with `-- name`.
    pub sql: &'static str,
    /// Positional.
    pub args: Vec<Value>,
}

/// Statements that happen together or not at all, in one round trip.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction(pub Vec<Statement>);

/// What one statement answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// In column order.
    pub rows: Vec<Vec<Value>>,
    /// Rows that were inserted, changed or removed.
    pub affected: u64,
}

/// What [`accept`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Seen for the first time: ours to work on.
    New,
    /// Seen before and worked on right now, or waiting for the sweep.
    Queued,
    /// Seen before and done.
    Done,
}

/// A delivery that the sweep took up.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Which.
    pub key: DeliveryKey,
    /// What to classify.
    pub record: FailureRecord,
    /// Unix seconds.
    pub received_at: i64,
}

/// What a verdict was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceKind {
    /// The delivery alone.
    Payload,
    /// The delivery and the failed job's steps.
    Job,
    /// The delivery, the failed job's steps and its log.
    Log,
}

/// An inference as it is stored, and as `/api/history` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Inference {
    /// Row id; grows.
    pub id: i64,
    /// RFC 3339.
    pub timestamp: String,
    /// `owner/name`.
    pub repository: String,
    /// `run:<id>:<attempt>` or `job:<id>`.
    pub subject: String,
    /// The class, or `Unknown`.
    pub prediction: String,
    /// Of the likeliest class, 0 to 1.
    pub confidence: f64,
    /// The predecessor's second name for `confidence`.
    pub confidence_score: f64,
    /// The three likeliest classes.
    pub top: Json,
    /// The terms that decided, by how far the score drops without each.
    pub top_features: Json,
    /// The log line pointed at.
    pub log_line: Json,
    /// `payload`, `job` or `log`.
    pub evidence: String,
    /// What should be known of it: the labels of [`Note`].
    pub evidence_notes: Json,
    /// `github_webhook`.
    pub event_source: String,
    /// The workflow's name.
    pub workflow: Option<String>,
    /// The failed job's name.
    pub job: Option<String>,
    /// The failed step's name.
    pub step: Option<String>,
    /// Where a person reads the run.
    pub html_url: Option<String>,
    /// The commit.
    pub head_sha: Option<String>,
    /// The numerics and categories the model saw.
    pub metrics_payload: Json,
    /// Which model.
    pub model_version: String,
    /// The class a person named last, if one did.
    pub corrected: Option<String>,
}

/// Totals for the dashboard and the badge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// All inferences.
    pub inferences: u64,
    /// Those of the last window.
    pub recent: u64,
    /// Mean confidence of the last window.
    pub recent_confidence: Option<f64>,
    /// Deliveries waiting.
    pub queued: u64,
    /// Deliveries given up.
    pub failed: u64,
    /// What people said, in rows.
    pub feedback: u64,
}

const BEGIN_DELIVERY: &str = "-- begin_delivery
INSERT INTO deliveries (hook, id, event, repository, installation_id, status, record, lease_until, received_at)
VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?8)
-- One that was given up and comes again is worked on again.
ON CONFLICT (hook, id) DO UPDATE SET status = 'queued', record = excluded.record, attempts = 1,
  lease_until = excluded.lease_until, received_at = excluded.received_at, finished_at = NULL WHERE status = 'failed'";

const COUNT_IF_CHANGED: &str = "-- count_if_changed
INSERT INTO counters (name, label, value) SELECT ?1, ?2, ?3 WHERE changes() > 0
ON CONFLICT (name, label) DO UPDATE SET value = value + ?3";

const COUNT: &str = "-- count
INSERT INTO counters (name, label, value) VALUES (?1, ?2, ?3)
ON CONFLICT (name, label) DO UPDATE SET value = value + ?3";

const DELIVERY_STATUS: &str = "-- delivery_status
SELECT status FROM deliveries WHERE hook = ?1 AND id = ?2";

/// Inserts a verdict; what happens where there is one already is `$conflict`.
macro_rules! insert_inference {
    ($name:literal, $($conflict:tt)+) => {
        concat!(
            "-- ",
            $name,
            "
INSERT INTO inferences (repository, subject, installation_id, timestamp, prediction, confidence, top, top_features,
  log_line, evidence, event_source, workflow, job, step, html_url, head_sha, metrics_payload, model_version)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
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

const DRIFT_WINDOW: &str = "-- drift_window
SELECT ((SELECT MAX(id) FROM inferences) / ?2 - block) / ?3 AS ago, feature, bin, SUM(count) FROM drift_cells
WHERE model_version = ?1 AND block > (SELECT MAX(id) FROM inferences) / ?2 - ?3 * ?4
  AND (?5 IS NULL OR installation_id = ?5) GROUP BY ago, feature, bin";

const WINDOW_STARTS: &str = "-- window_starts
SELECT ((SELECT MAX(id) FROM inferences) / ?1 - id / ?1) / ?2 AS ago, MIN(timestamp), MAX(timestamp) FROM inferences
WHERE id / ?1 > (SELECT MAX(id) FROM inferences) / ?1 - ?2 * ?3 AND (?4 IS NULL OR installation_id = ?4) GROUP BY ago";

const CLASSES_BY_DAY: &str = "-- classes_by_day
SELECT timestamp / 86400, prediction, COUNT(*) FROM inferences
WHERE timestamp >= ?1 AND (?2 IS NULL OR installation_id = ?2) GROUP BY 1, 2 ORDER BY 1, 2";

const FINISH_DELIVERY: &str = "-- finish_delivery
UPDATE deliveries SET status = 'done', record = NULL, finished_at = ?3 WHERE hook = ?1 AND id = ?2";

const GIVE_UP: &str = "-- give_up
UPDATE deliveries SET status = 'failed', finished_at = ?1
WHERE status = 'queued' AND lease_until < ?1 AND attempts >= ?2";

const CLAIM_DELIVERIES: &str = "-- claim_deliveries
UPDATE deliveries SET lease_until = ?2, attempts = attempts + 1
WHERE (hook, id) IN (SELECT hook, id FROM deliveries WHERE status = 'queued' AND lease_until < ?1
  ORDER BY lease_until LIMIT ?3)
RETURNING hook, id, record, received_at";

/// The columns [`inference`] reads, of the rows that `$rest` says.
macro_rules! select_inferences {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT id, timestamp, repository, subject, prediction, confidence, top, top_features, log_line, evidence,
  (SELECT json_group_array(note) FROM evidence_notes WHERE inference_id = inferences.id), event_source, workflow, job, step, html_url, head_sha, metrics_payload, model_version,
  (SELECT corrected FROM feedback WHERE inference_id = inferences.id ORDER BY feedback.id DESC LIMIT 1)
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
const INFERENCE_OF: &str = select_inferences!(
    "inference_of",
    "WHERE repository = ?1 AND subject = ?2 AND (?3 IS NULL OR installation_id = ?3)"
);
const INFERENCE_BY_ID: &str =
    select_inferences!("inference_by_id", "WHERE id = ?1 AND (?2 IS NULL OR installation_id = ?2)");

const TOTALS: &str = "-- totals
SELECT CASE WHEN ?2 IS NULL THEN (SELECT COALESCE(SUM(value), 0) FROM counters WHERE name = 'inferences')
    ELSE (SELECT COUNT(*) FROM inferences WHERE installation_id = ?2) END,
  (SELECT COUNT(*) FROM (SELECT id FROM inferences WHERE ?2 IS NULL OR installation_id = ?2 ORDER BY id DESC LIMIT ?1)),
  (SELECT AVG(confidence) FROM (SELECT confidence FROM inferences WHERE ?2 IS NULL OR installation_id = ?2
    ORDER BY id DESC LIMIT ?1)),
  (SELECT COUNT(*) FROM deliveries WHERE status = 'queued' AND (?2 IS NULL OR installation_id = ?2)),
  (SELECT COUNT(*) FROM deliveries WHERE status = 'failed' AND (?2 IS NULL OR installation_id = ?2)),
  (SELECT COUNT(*) FROM feedback WHERE ?2 IS NULL OR installation_id = ?2)";

const COUNTERS: &str = "-- counters
SELECT name, label, value FROM counters ORDER BY name, label";

// === impl Transaction ===

/// Records a delivery under its key, before it is acknowledged. Read the answer with [`accepted`].
#[must_use]
pub fn accept(key: &DeliveryKey, event: &str, record: &FailureRecord, now: i64) -> Transaction {
    let stored = serde_json::to_string(record).expect("a record has string keys and finite numbers");
    Transaction(vec![
        statement(
            BEGIN_DELIVERY,
            [
                text(&key.hook),
                text(&key.id),
                text(event),
                text(&record.repository),
                installation(record),
                Value::Text(stored),
                Value::Integer(now + LEASE_SECONDS),
                Value::Integer(now),
            ],
        ),
        count_if_changed("deliveries", event, 1),
        statement(DELIVERY_STATUS, [text(&key.hook), text(&key.id)]),
        models::active(),
    ])
}

/// Counts `count` deliveries whose signature was none of ours. Nothing else of them is kept.
#[must_use]
pub fn refused_signatures(count: i64) -> Transaction {
    Transaction(vec![statement(COUNT, [text("refused"), text("signature"), Value::Integer(count)])])
}

/// What [`accept`]'s answer means, and which model should judge.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn accepted(answers: &[Rows]) -> Result<(Accepted, Option<ActiveModel>)> {
    let [inserted, _, status, active] = answers else { return Err(Error::StoreShape("accept")) };
    let active = models::active_of(active)?;
    if inserted.affected > 0 {
        return Ok((Accepted::New, active));
    }
    let accepted = match status.rows.first().and_then(|row| row.first()) {
        Some(Value::Text(status)) if status == "queued" => Accepted::Queued,
        Some(Value::Text(_)) => Accepted::Done,
        _ => return Err(Error::StoreShape("delivery_status")),
    };
    Ok((accepted, active))
}

/// A verdict about a delivered record, as it is stored.
#[derive(Clone, Copy)]
pub struct Finding<'a> {
    /// The delivery it answers.
    pub key: &'a DeliveryKey,
    /// What failed.
    pub record: &'a FailureRecord,
    /// Why.
    pub verdict: &'a Verdict,
    /// From what.
    pub evidence: EvidenceKind,
    /// What should be known of it.
    pub notes: &'a [Note],
    /// The failed job's name, where the API told it.
    pub job: Option<&'a str>,
    /// The failed step's name, where the API told it.
    pub step: Option<&'a str>,
    /// By which model.
    pub model_version: &'a str,
    /// Where the verdict falls in the model's drift histograms.
    pub cells: &'a [(String, u32)],
}

/// Stores a verdict once for its subject, counts it, and closes its delivery. What is stored then, this verdict
/// or that of an earlier delivery, is read with [`inference_of`]. A verdict that was stored without the log is replaced.
#[must_use]
pub fn finish(finding: Finding<'_>, now: i64) -> Transaction {
    let Finding { key, verdict, .. } = finding;
    let prediction = verdict.prediction.verdict();
    let mut statements = vec![insert_inference(finding, now)];
    statements.extend(evidence::notes(&finding, finding.notes));
    statements.extend([
        statement(
            COUNT_CELLS,
            [
                text(finding.model_version),
                text(&finding.record.repository),
                Value::Text(finding.record.subject.key()),
                Value::Integer(BLOCK),
                Value::Text(json_of(&finding.cells)),
            ],
        ),
        count_if_changed("inferences", prediction, 1),
        count_if_changed("evidence", finding.evidence.label(), 1),
        keep_telemetry(&finding, now),
        evidence::settle(&finding),
        statement(FINISH_DELIVERY, [text(&key.hook), text(&key.id), Value::Integer(now)]),
    ]);
    Transaction(statements)
}

/// The verdict on one subject, if there is one. Read the answer with [`first_inference`].
#[must_use]
pub fn inference_of(scope: Scope, repository: &str, subject: &str) -> Statement {
    statement(INFERENCE_OF, [text(repository), text(subject), held_to(scope)])
}

/// The verdict under this id, if there is one. Read the answer with [`first_inference`].
#[must_use]
pub fn inference_by_id(scope: Scope, id: i64) -> Statement {
    statement(INFERENCE_BY_ID, [Value::Integer(id), held_to(scope)])
}

/// The verdict in the answer to [`inference_of`] or [`inference_by_id`].
///
/// # Errors
/// [`Error::NotFound`] where there is none, [`Error::StoreShape`] for an answer of another shape.
pub fn first_inference(answers: &[Rows]) -> Result<Inference> {
    history_rows(answers.first().ok_or(Error::StoreShape("inference_of"))?)?.pop().ok_or(Error::NotFound)
}

fn insert_inference(finding: Finding<'_>, now: i64) -> Statement {
    statement(INSERT_INFERENCE, inference_row(finding, now))
}

fn insert_meanwhile(finding: Finding<'_>, now: i64) -> Statement {
    statement(INSERT_MEANWHILE, inference_row(finding, now))
}

fn keep_telemetry(finding: &Finding<'_>, now: i64) -> Statement {
    let row = [
        text(&finding.record.repository),
        Value::Text(finding.record.subject.key()),
        Value::Text(json_of(&finding.verdict.telemetry)),
        Value::Integer(now),
    ];
    statement(KEEP_TELEMETRY, row)
}

fn inference_row(finding: Finding<'_>, now: i64) -> [Value; 18] {
    let Finding { record, verdict, .. } = finding;
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
        Value::Text(record.subject.key()),
        installation(record),
        Value::Integer(now),
        text(prediction.verdict()),
        Value::Real(f64::from(prediction.confidence)),
        Value::Text(json!(prediction.top_three()).to_string()),
        Value::Text(json_of(&verdict.explanation.terms)),
        line.map_or(Value::Null, Value::Text),
        text(finding.evidence.label()),
        text("github_webhook"),
        optional(record.workflow.as_deref()),
        optional(finding.job.or(record.job.as_deref())),
        optional(finding.step),
        optional(record.html_url.as_deref()),
        optional(record.head_sha.as_deref()),
        Value::Text(metrics.to_string()),
        text(finding.model_version),
    ]
}

/// Takes up at most `limit` deliveries whose worker is gone or whose wait is over, and gives up those that were tried
/// often enough. Read the answer with [`claimed`].
#[must_use]
pub fn take_up(limit: usize, now: i64) -> Transaction {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Transaction(vec![
        statement(GIVE_UP, [Value::Integer(now), Value::Integer(ATTEMPTS_MAX)]),
        statement(
            CLAIM_DELIVERIES,
            [Value::Integer(now), Value::Integer(now + LEASE_SECONDS), Value::Integer(limit)],
        ),
        models::active(),
    ])
}

/// As [`take_up`], and forgets what is older than it may be.
#[must_use]
pub fn sweep(limit: usize, now: i64, retention_days: i64) -> Transaction {
    let mut sweep = take_up(limit, now);
    sweep.0.push(feedback::forget_telemetry(now));
    sweep.0.extend(retention::old(now, retention_days));
    sweep
}

/// The deliveries in [`take_up`]'s or [`sweep`]'s answer, and which model should judge them. One that can't be read is left out, and given up by a later sweep.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn claimed(answers: &[Rows]) -> Result<(Vec<Claimed>, Option<ActiveModel>)> {
    let [_, rows, active, ..] = answers else { return Err(Error::StoreShape("sweep")) };
    let claimed = rows
        .rows
        .iter()
        .filter_map(|row| match row.as_slice() {
            [Value::Text(hook), Value::Text(id), Value::Text(record), Value::Integer(received_at)] => {
                Some(Claimed {
                    key: DeliveryKey { hook: hook.clone(), id: id.clone() },
                    record: serde_json::from_str(record).ok()?,
                    received_at: *received_at,
                })
            }
            _ => None,
        })
        .collect();
    Ok((claimed, models::active_of(active)?))
}

/// Which inferences are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Of this repository.
    pub repository: Option<&'a str>,
    /// With this verdict.
    pub prediction: Option<&'a str>,
    /// Of at least this confidence.
    pub confidence_min: f64,
    /// Older than this one.
    pub before: Option<i64>,
}

/// The latest `limit` inferences that pass `filter`, newest first. Read the answer with [`history_rows`].
#[must_use]
pub fn history(scope: Scope, filter: Filter<'_>, limit: u32) -> Statement {
    let args = [
        Value::Integer(i64::from(limit.min(HISTORY_LIMIT))),
        held_to(scope),
        optional(filter.repository),
        optional(filter.prediction),
        Value::Real(filter.confidence_min),
        filter.before.map_or(Value::Null, Value::Integer),
    ];
    statement(HISTORY, args)
}

/// The inferences in [`history`]'s answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn history_rows(rows: &Rows) -> Result<Vec<Inference>> {
    rows.rows.iter().map(|row| inference(row).ok_or(Error::StoreShape("history"))).collect()
}

/// The totals over a window of the last `window` inferences. Read the answer with [`totals_of`].
#[must_use]
pub fn totals(scope: Scope, window: u32) -> Statement {
    statement(TOTALS, [Value::Integer(i64::from(window)), held_to(scope)])
}

/// The totals in [`totals`]'s answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn totals_of(rows: &Rows) -> Result<Totals> {
    let Some(
        [
            Value::Integer(inferences),
            Value::Integer(recent),
            confidence,
            Value::Integer(queued),
            Value::Integer(failed),
            Value::Integer(feedback),
        ],
    ) = rows.rows.first().map(Vec::as_slice)
    else {
        return Err(Error::StoreShape("totals"));
    };
    let count = |n: &i64| u64::try_from(*n).unwrap_or(0);
    Ok(Totals {
        inferences: count(inferences),
        recent: count(recent),
        recent_confidence: real(confidence),
        queued: count(queued),
        failed: count(failed),
        feedback: count(feedback),
    })
}

/// The histograms of the last inferences of `model_version`. Read the answer with [`window_of`].
#[must_use]
pub fn drift_window(scope: Scope, model_version: &str) -> Statement {
    drift_windows(scope, model_version, 1)
}

/// The window in [`drift_window`]'s answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn window_of(rows: &Rows) -> Result<Window> {
    Ok(windows_of(rows)?.remove(&0).unwrap_or_default())
}

/// The histograms of the last `windows` windows. Read the answer with [`windows_of`].
#[must_use]
pub fn drift_windows(scope: Scope, model_version: &str, windows: u32) -> Statement {
    let args = [
        text(model_version),
        Value::Integer(BLOCK),
        Value::Integer(WINDOW_BLOCKS),
        Value::Integer(i64::from(windows)),
        held_to(scope),
    ];
    statement(DRIFT_WINDOW, args)
}

/// The windows in [`drift_windows`]' answer, by how many windows ago. Every inference has a prediction, so the sum of
/// those is a window's size.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn windows_of(rows: &Rows) -> Result<BTreeMap<u32, Window>> {
    let mut windows: BTreeMap<u32, Window> = BTreeMap::new();
    for row in &rows.rows {
        let [Value::Integer(ago), Value::Text(feature), Value::Integer(bin), Value::Integer(count)] =
            row.as_slice()
        else {
            return Err(Error::StoreShape("drift_window"));
        };
        let (bin, count) = (u32::try_from(*bin).unwrap_or(u32::MAX), u64::try_from(*count).unwrap_or(0));
        let window = windows.entry(u32::try_from(*ago).unwrap_or(0)).or_default();
        if feature == "prediction" {
            window.n += count;
        }
        window.count(feature.clone(), bin, count);
    }
    Ok(windows)
}

/// When the inferences of each of the last `windows` windows were made. Read the answer with [`window_times_of`].
#[must_use]
pub fn window_times(scope: Scope, windows: u32) -> Statement {
    let args = [
        Value::Integer(BLOCK),
        Value::Integer(WINDOW_BLOCKS),
        Value::Integer(i64::from(windows)),
        held_to(scope),
    ];
    statement(WINDOW_STARTS, args)
}

/// First and last Unix second of each window in [`window_times`]' answer, by how many windows ago.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn window_times_of(rows: &Rows) -> Result<BTreeMap<u32, (i64, i64)>> {
    let window = |row: &Vec<Value>| match row.as_slice() {
        [Value::Integer(ago), Value::Integer(first), Value::Integer(last)] => {
            Ok((u32::try_from(*ago).unwrap_or(0), (*first, *last)))
        }
        _ => Err(Error::StoreShape("window_starts")),
    };
    rows.rows.iter().map(window).collect()
}

/// How many verdicts of each class each day since `since` brought. Read the answer with [`classes_by_day_of`].
#[must_use]
pub fn classes_by_day(scope: Scope, since: i64) -> Statement {
    statement(CLASSES_BY_DAY, [Value::Integer(since), held_to(scope)])
}

/// One day's verdicts of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayCount {
    /// `2026-01-31`, in UTC.
    pub day: String,
    /// The class, or `Unknown`.
    pub prediction: String,
    /// Verdicts.
    pub count: u64,
}

/// The counts in [`classes_by_day`]'s answer, oldest first.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn classes_by_day_of(rows: &Rows) -> Result<Vec<DayCount>> {
    let day = |row: &Vec<Value>| match row.as_slice() {
        [Value::Integer(day), Value::Text(prediction), Value::Integer(count)] => Ok(DayCount {
            day: rfc3339(day * DAY_SECONDS).chars().take(10).collect(),
            prediction: prediction.clone(),
            count: u64::try_from(*count).unwrap_or(0),
        }),
        _ => Err(Error::StoreShape("classes_by_day")),
    };
    rows.rows.iter().map(day).collect()
}

/// All counters. Read the answer with [`counter_rows`].
#[must_use]
pub fn counters() -> Statement {
    statement(COUNTERS, [])
}

/// (name, label, value) of each counter in [`counters`]' answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn counter_rows(rows: &Rows) -> Result<Vec<(String, String, u64)>> {
    let counter = |row: &Vec<Value>| match row.as_slice() {
        [Value::Text(name), Value::Text(label), Value::Integer(value)] => {
            Ok((name.clone(), label.clone(), u64::try_from(*value).unwrap_or(0)))
        }
        _ => Err(Error::StoreShape("counters")),
    };
    rows.rows.iter().map(counter).collect()
}

// === impl EvidenceKind ===

impl EvidenceKind {
    /// A short, stable name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Job => "job",
            Self::Log => "log",
        }
    }
}

fn inference(row: &[Value]) -> Option<Inference> {
    let [
        Value::Integer(id),
        Value::Integer(timestamp),
        Value::Text(repository),
        Value::Text(subject),
        Value::Text(prediction),
        confidence,
        top,
        top_features,
        log_line,
        Value::Text(evidence),
        evidence_notes,
        Value::Text(event_source),
        workflow,
        job,
        step,
        html_url,
        head_sha,
        metrics_payload,
        Value::Text(model_version),
        corrected,
    ] = row
    else {
        return None;
    };
    let confidence = real(confidence)?;
    Some(Inference {
        id: *id,
        timestamp: rfc3339(*timestamp),
        repository: repository.clone(),
        subject: subject.clone(),
        prediction: prediction.clone(),
        confidence,
        confidence_score: confidence,
        top: json_in(top),
        top_features: json_in(top_features),
        log_line: json_in(log_line),
        evidence: evidence.clone(),
        evidence_notes: json_in(evidence_notes),
        event_source: event_source.clone(),
        workflow: text_in(workflow),
        job: text_in(job),
        step: text_in(step),
        html_url: text_in(html_url),
        head_sha: text_in(head_sha),
        metrics_payload: json_in(metrics_payload),
        model_version: model_version.clone(),
        corrected: text_in(corrected),
    })
}

/// Counts what the statement before changed, if it changed anything.
fn count_if_changed(name: &str, label: &str, by: i64) -> Statement {
    statement(COUNT_IF_CHANGED, [text(name), text(label), Value::Integer(by)])
}

fn statement<const N: usize>(sql: &'static str, args: [Value; N]) -> Statement {
    Statement { sql, args: args.into() }
}

/// Whatever hides in a name is stored spelt out. JSON and digests, which are ours, go past this.
fn text(value: &str) -> Value {
    Value::Text(crate::text::line(value).into_owned())
}

fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

fn installation(record: &FailureRecord) -> Value {
    record.installation_id.and_then(|id| i64::try_from(id).ok()).map_or(Value::Null, Value::Integer)
}

/// The installation whose rows alone are read; NULL for all.
fn held_to(scope: Scope) -> Value {
    scope.installation().map_or(Value::Null, number)
}

fn number(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn json_of<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("what is stored has string keys and finite numbers")
}

fn json_in(value: &Value) -> Json {
    match value {
        Value::Text(text) => serde_json::from_str(text).unwrap_or(Json::Null),
        _ => Json::Null,
    }
}

fn text_in(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Real(real) => Some(*real),
        Value::Integer(integer) => Some(*integer as f64),
        _ => None,
    }
}
