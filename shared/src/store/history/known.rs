//! Known issues that were made from causes' pages, and the stored lines that a pattern is tried on.

use super::super::query::{Query, Value};
use super::super::{DAY_SECONDS, column, optional, scope_param, statement, text};
use crate::Error;
use crate::access::Scope;
use crate::excerpt::Line;
use crate::history::{KNOWN_MAX, KnownIssue, Said, TriedCause};
use serde::{Deserialize, Serialize};

/// The days of whose causes a pattern is tried on.
const TRIED_DAYS: i64 = 30;
/// The largest number of causes that a pattern is tried on, the last seen. Their lines are about 400 KB.
pub const TRIED_MAX: u32 = 300;
/// The same while a delivery waits: enough to see that a pattern is too wide.
pub const TRIED_IN_DELIVERY_MAX: u32 = 100;

/// A known issue that was made from a cause's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRow {
    /// The id, which is never given twice.
    pub id: i64,
    /// The repository as `owner/name`.
    pub repository: String,
    /// A text that a line or a test's name contains, or a regular expression that occurs in it.
    pub pattern: String,
    /// Whether it is a regular expression.
    pub is_regex: bool,
    /// What to do.
    pub advice: String,
    /// A page that says more.
    pub link: Option<String>,
    /// Whether a run that fails with it is tried again.
    pub retry: bool,
    /// The name of the key of whoever made it.
    pub made_by: String,
    /// When it was made, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub made_at: String,
}

/// The known issues of a row of `deliveries`, as JSON that [`KnownIssue`] reads. They cost no round trip of their own.
macro_rules! known_of_delivery {
    () => {
        "(SELECT json_group_array(json_object('id', known_issues.id, iif(is_regex, 'regex', 'text'), pattern, 'advice', advice,
    'link', link, 'retry', json(iif(retry, 'true', 'false'))) ORDER BY known_issues.id) FROM known_issues
  WHERE known_issues.repository = deliveries.repository AND known_issues.installation_id IS deliveries.installation_id)"
    };
}
pub(in crate::store) use known_of_delivery;

/// Columns of a [`KnownRow`].
macro_rules! columns {
    () => {
        "id, repository, pattern, is_regex, advice, link, retry, made_by, made_at"
    };
}

const KNOWN_ISSUES: &str = concat!(
    "-- known_issues
SELECT ",
    columns!(),
    " FROM known_issues WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2) ORDER BY id LIMIT ?3"
);

// A key of one installation makes them only for repositories of which it sees a cause, and whose failures they will meet.
const KEEP_KNOWN: &str = concat!(
    "-- keep_known
INSERT INTO known_issues (repository, installation_id, pattern, is_regex, advice, link, retry, made_by, made_at)
SELECT ?1, installation_id, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM causes
WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2)
  AND (SELECT COUNT(*) FROM known_issues WHERE known_issues.repository = ?1) < ?10
ORDER BY last_at DESC, id DESC LIMIT 1
RETURNING ",
    columns!()
);

const REMOVE_KNOWN: &str = concat!(
    "-- remove_known
DELETE FROM known_issues WHERE id = ?1 AND (?2 IS NULL OR installation_id = ?2) RETURNING ",
    columns!()
);

// A cause is told by its deciding line, its tests, and the lines around in its last failure.
const TRIED: &str = "-- tried_causes
SELECT class, line, tests, (SELECT around FROM failures WHERE cause_id = causes.id ORDER BY failed_at DESC, failures.id DESC LIMIT 1)
  AS around FROM causes
WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2) AND last_at >= ?3 ORDER BY last_at DESC, id DESC LIMIT ?4";

#[derive(Deserialize)]
struct TriedRow {
    class: String,
    line: String,
    #[serde(deserialize_with = "column::json_or_default")]
    tests: Vec<String>,
    #[serde(deserialize_with = "column::json_or_default")]
    around: Vec<Line>,
}

/// The known issues of a repository that were made from causes' pages, the oldest first: in this order they win.
pub fn of_repository(scope: Scope, repository: &str) -> Query<Vec<KnownRow>> {
    Query::reading(statement(KNOWN_ISSUES, [text(repository), scope_param(scope), limit()])).rows()
}

/// Keeps a known issue. [`Error::KnownRefused`] if the repository has no cause that `scope` sees, or has too many known issues.
pub fn keep(scope: Scope, repository: &str, issue: &KnownIssue, by: &str, now: i64) -> Query<KnownRow> {
    let row = [
        text(repository),
        scope_param(scope),
        text(issue.pattern.as_str()),
        Value::Integer(i64::from(issue.pattern.is_regex())),
        text(&issue.advice),
        optional(issue.link.as_deref()),
        Value::Integer(i64::from(issue.retry)),
        text(by),
        Value::Integer(now),
        limit(),
    ];
    let kept = Query::writing(statement(KEEP_KNOWN, row)).first();
    kept.try_map(|row| {
        let why =
            format!("the repository has no failure that this key sees, or {KNOWN_MAX} known issues already");
        row.ok_or(Error::KnownRefused(why))
    })
}

/// Removes a known issue, and answers it. [`Error::NotFound`] if there is none under this id.
pub fn remove(scope: Scope, id: i64) -> Query<KnownRow> {
    Query::writing(statement(REMOVE_KNOWN, [Value::Integer(id), scope_param(scope)])).found()
}

/// The causes of a repository in the last 30 days, the last seen first, at most `limit`, to try a pattern on.
pub fn tried_on(scope: Scope, repository: &str, limit: u32, now: i64) -> Query<Vec<TriedCause>> {
    let since = Value::Integer(now - TRIED_DAYS * DAY_SECONDS);
    let args = [text(repository), scope_param(scope), since, Value::Integer(i64::from(limit))];
    let rows = Query::reading(statement(TRIED, args)).rows();
    rows.map(|rows: Vec<TriedRow>| rows.into_iter().map(TriedRow::cause).collect())
}

impl TriedRow {
    fn cause(self) -> TriedCause {
        let Self { class, line, tests, around } = self;
        TriedCause { class, said: Said::stored(line, around, tests) }
    }
}

fn limit() -> Value {
    Value::Integer(i64::try_from(KNOWN_MAX).unwrap_or(i64::MAX))
}
