//! Reads causes: what failures have in common, where they occur, and what became of them.

use super::super::query::{Query, Value};
use super::super::{column, optional, scope_param, statement};
use crate::access::Scope;
use crate::history::{NEW_KNOWN_MIN, Seen, is_vague};
use serde::{Deserialize, Serialize};

/// The largest number of causes on one page.
pub const CAUSES_LIMIT: u32 = 100;
/// The days of a sparkline.
pub const DAYS: usize = 14;
/// The largest number of words of one search.
const WORDS_MAX: usize = 8;

/// Whether a cause still occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseState {
    /// A branch has not been green since its last failure, which was in the last 30 days.
    Open,
    /// Every branch has been green since, or nobody has seen it for 30 days.
    Fixed,
}

impl CauseState {
    /// Reads `open` or `fixed`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "open" => Some(Self::Open),
            "fixed" => Some(Self::Fixed),
            _ => None,
        }
    }
}

/// Selects causes.
#[derive(Debug, Clone, Copy, Default)]
pub struct CauseFilter<'a> {
    /// Only causes of this repository.
    pub repository: Option<&'a str>,
    /// Only causes that occurred on this branch.
    pub branch: Option<&'a str>,
    /// Only causes of this class.
    pub class: Option<&'a str>,
    /// Only causes in this state.
    pub state: Option<CauseState>,
    /// Only causes whose failures pass when they are tried again.
    pub flaky: bool,
    /// Only causes of a failure of this person's run.
    pub author: Option<&'a str>,
    /// Only causes whose line or tests have all of these words, or words that begin with them.
    pub words: Option<&'a str>,
    /// Only causes that come after this one in the order of the list.
    pub before: Option<i64>,
}

/// What failures of one repository have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CauseRow {
    /// The id, which is never given twice.
    pub id: i64,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The class.
    pub class: String,
    /// What it is called within the class: a label of [`crate::kind::FailureKind`].
    pub kind: Option<String>,
    /// Who should act: a label of [`crate::history::Fault`].
    pub fault: String,
    /// The deciding line of its first failure.
    pub line: String,
    /// The tests that fail.
    #[serde(deserialize_with = "column::json_or_default")]
    pub tests: Vec<String>,
    /// Its first failure, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub first_at: String,
    /// Its last failure, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub last_at: String,
    /// The number of failures.
    pub times: u64,
    /// How many of them passed when they were tried again on the same commit.
    pub passed: u64,
    /// Whether it still occurs.
    pub state: CauseState,
    /// Whether its failures pass so often when they are tried again that it is called flaky.
    pub flaky: bool,
    /// Its first failure.
    #[serde(deserialize_with = "column::json_or_default")]
    pub first: Occurrence,
    /// Its last failure.
    #[serde(deserialize_with = "column::json_or_default")]
    pub last: Occurrence,
    /// The number of failures of each day, the oldest first and today last; of [`DAYS`] days.
    #[serde(deserialize_with = "column::json_or_default")]
    pub days: Vec<u64>,
}

/// One failure of a cause, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// The id of the failure, which is that of its verdict.
    pub id: i64,
    /// The name of the branch; empty if it is not known.
    pub branch: String,
    /// The SHA of the commit; empty if it is not known.
    pub head_sha: String,
    /// The login of the person who started the run.
    pub author: Option<String>,
    /// GitHub's id of the run.
    pub run_id: Option<u64>,
    /// The attempt of the run.
    pub run_attempt: u32,
}

/// A branch on which a cause occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseBranch {
    /// The name of the workflow.
    pub workflow: String,
    /// The name of the branch.
    pub branch: String,
    /// Whether it is the repository's default branch.
    pub on_default: bool,
    /// The number of failures there.
    pub times: u64,
    /// Its first failure there, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub first_at: String,
    /// Its last failure there, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub last_at: String,
    /// The commit of the first green run after it.
    pub fixed_sha: Option<String>,
    /// When that run ended, as RFC 3339.
    #[serde(deserialize_with = "column::optional_time")]
    pub fixed_at: Option<String>,
    /// The last green commit before the cause began to fail there.
    pub green_sha: Option<String>,
    /// The first commit after it that failed.
    pub red_sha: Option<String>,
    /// When that failed, as RFC 3339.
    #[serde(deserialize_with = "column::optional_time")]
    pub red_at: Option<String>,
    /// The logins of the people who started runs from the one to the other, at most ten.
    #[serde(deserialize_with = "column::json_or_default")]
    pub authors: Vec<String>,
}

/// The failure of a cause that comes first in this order, as an [`Occurrence`].
macro_rules! occurrence {
    ($order:literal) => {
        concat!(
            "(SELECT json_object('id', failures.id, 'branch', branch, 'head_sha', head_sha, 'author', author, 'run_id', run_id,
    'run_attempt', run_attempt) FROM failures WHERE cause_id = causes.id ORDER BY ",
            $order,
            " LIMIT 1)"
        )
    };
}

/// The columns of a [`CauseRow`]. `?1` is now in Unix seconds.
macro_rules! select_causes {
    ($name:literal, $($rest:tt)+) => {
        concat!(
            "-- ", $name, "
SELECT id, repository, class, kind, fault, line, tests, first_at, last_at, times, passed,
  iif(", super::open_when!(), ", 'open', 'fixed') AS state, ", super::flaky_when!("times"), " AS flaky,
  ", occurrence!("failed_at, failures.id"), " AS first,
  ", occurrence!("failed_at DESC, failures.id DESC"), "
    AS last,
  (WITH RECURSIVE day (at) AS (SELECT ?1 / 86400 - 13 UNION ALL SELECT at + 1 FROM day WHERE at < ?1 / 86400)
    SELECT json_group_array((SELECT COUNT(*) FROM failures WHERE cause_id = causes.id
      AND failed_at >= day.at * 86400 AND failed_at < (day.at + 1) * 86400)) FROM day) AS days
FROM causes ",
            $($rest)+
        )
    };
}

/// What a [`CauseFilter`] asks, after the condition that an index serves.
macro_rules! filtered {
    () => {
        concat!(
            "AND (?11 = 0 OR ",
            super::flaky_when!("times"),
            ") AND (?4 IS NULL OR class = ?4) AND (?5 IS NULL OR ?5 = ",
            super::open_when!(),
            ")
  AND (?6 IS NULL OR EXISTS (SELECT 1 FROM cause_branches WHERE cause_id = causes.id AND branch = ?6))
  AND (?7 IS NULL OR id IN (SELECT cause_id FROM failures WHERE author = ?7))
  AND (?8 IS NULL OR id IN (SELECT rowid FROM causes_words WHERE causes_words MATCH ?8))
  AND (?9 IS NULL OR (last_at, id) < (SELECT last_at, id FROM causes WHERE id = ?9))
ORDER BY last_at DESC, id DESC LIMIT ?10"
        )
    };
}

const CAUSES: &str = select_causes!("causes", "WHERE ?2 IS NULL AND ?3 IS NULL ", filtered!());
const CAUSES_OF_INSTALLATION: &str =
    select_causes!("causes_of_installation", "WHERE installation_id = ?2 AND ?3 IS NULL ", filtered!());
const CAUSES_OF_REPOSITORY: &str = select_causes!(
    "causes_of_repository",
    "WHERE repository = ?3 AND (?2 IS NULL OR installation_id = ?2) ",
    filtered!()
);
const CAUSE: &str = select_causes!("cause", "WHERE id = ?3 AND (?2 IS NULL OR installation_id = ?2)");

// The green run before it began, the first red one after that, and who started the runs between them.
const CAUSE_BRANCHES: &str = concat!(
    "-- cause_branches
WITH places AS (
  SELECT cause_branches.*, ",
    super::green_before!(),
    " AS green_run
  FROM cause_branches WHERE cause_id = ?1 ORDER BY on_default DESC, last_at DESC LIMIT ?2),
begun AS (
  SELECT places.*, (SELECT id FROM failures WHERE failures.cause_id = places.cause_id AND failures.workflow = places.workflow
    AND failures.branch = places.branch AND run_id > COALESCE(green_run, 0) ORDER BY run_id, run_attempt LIMIT 1) AS red
  FROM places)
SELECT begun.workflow, begun.branch, begun.on_default, times, first_at, last_at, fixed_sha, fixed_at,
  (SELECT head_sha FROM runs WHERE repository = begun.repository AND run_id = green_run AND conclusion = 'success') AS green_sha,
  failures.head_sha AS red_sha, failures.failed_at AS red_at,
  (SELECT json_group_array(author) FROM (SELECT DISTINCT author FROM runs
    WHERE runs.repository = begun.repository AND runs.run_id > green_run AND runs.run_id <= failures.run_id
      AND runs.workflow = begun.workflow AND runs.branch = begun.branch AND author IS NOT NULL ORDER BY author LIMIT 10)) AS authors
FROM begun LEFT JOIN failures ON failures.id = red ORDER BY begun.on_default DESC, last_at DESC"
);

// `main` is the default branch where the workflow of the failure still fails with its cause; `red` is the first of these
// failures.
const SEEN: &str = concat!(
    "-- seen
WITH failure AS (SELECT * FROM failures WHERE id = ?1),
main AS (
  SELECT cause_branches.*, COALESCE(",
    super::green_before!(),
    ", 0) AS green_run
  FROM failure CROSS JOIN cause_branches WHERE cause_branches.cause_id = failure.cause_id
    AND cause_branches.workflow = failure.workflow AND cause_branches.on_default = 1 AND fixed_run_id IS NULL LIMIT 1),
red AS (
  SELECT failures.failed_at, failures.head_sha FROM main CROSS JOIN failures WHERE failures.cause_id = main.cause_id
    AND failures.workflow = main.workflow AND failures.branch = main.branch AND failures.run_id > green_run
  ORDER BY failures.run_id, failures.run_attempt, failures.id LIMIT 1),
other AS (
  SELECT failures.failed_at, failures.branch FROM failure CROSS JOIN failures WHERE failures.cause_id = failure.cause_id
    AND failures.id <> failure.id ORDER BY failures.failed_at DESC, failures.id DESC LIMIT 1)
SELECT failure.failed_at, failure.head_sha, failure.branch, failure.on_default, failure.passed_at IS NOT NULL AS this_passed,
  (SELECT COUNT(*) FROM (SELECT 1 FROM failures WHERE failures.repository = failure.repository LIMIT ?2 + 1)) - 1 AS known,
  COALESCE(times, 1) AS times, COALESCE(passed, 0) AS passed, first_at,
  (SELECT failed_at FROM other) AS last_at, (SELECT branch FROM other) AS last_branch,
  (SELECT branch FROM main) AS main_branch, (SELECT failed_at FROM red) AS main_since_at,
  (SELECT head_sha FROM red) AS main_since_sha, (SELECT last_at FROM main) AS main_last_at,
  (SELECT COUNT(*) FROM main CROSS JOIN failures WHERE failures.cause_id = main.cause_id AND failures.workflow = main.workflow
    AND failures.branch = main.branch AND failures.run_id > green_run) AS main_times,
  (SELECT fixed_at FROM cause_branches WHERE cause_branches.cause_id = failure.cause_id
    AND cause_branches.workflow = failure.workflow AND cause_branches.branch = failure.branch) AS fixed_at,
  (SELECT fixed_sha FROM cause_branches WHERE cause_branches.cause_id = failure.cause_id
    AND cause_branches.workflow = failure.workflow AND cause_branches.branch = failure.branch) AS fixed_sha
FROM failure LEFT JOIN causes ON causes.id = failure.cause_id"
);

const TOLD_BY: &str = "-- told_by
SELECT line, tests FROM causes WHERE id = (SELECT cause_id FROM failures WHERE id = ?1)";

/// The number of branches that are shown of a cause.
const BRANCHES_SHOWN: i64 = 20;

/// The causes that pass `filter`, the last seen first, at most `limit`.
pub fn causes(scope: Scope, filter: CauseFilter<'_>, limit: u32, now: i64) -> Query<Vec<CauseRow>> {
    let sql = match (filter.repository, scope.installation()) {
        (Some(_), _) => CAUSES_OF_REPOSITORY,
        (None, Some(_)) => CAUSES_OF_INSTALLATION,
        (None, None) => CAUSES,
    };
    let args = [
        Value::Integer(now),
        scope_param(scope),
        optional(filter.repository),
        optional(filter.class),
        filter.state.map_or(Value::Null, |state| Value::Integer(i64::from(state == CauseState::Open))),
        optional(filter.branch),
        optional(filter.author),
        filter.words.and_then(words).map_or(Value::Null, Value::Text),
        filter.before.map_or(Value::Null, Value::Integer),
        Value::Integer(i64::from(limit.min(CAUSES_LIMIT))),
        Value::Integer(i64::from(filter.flaky)),
    ];
    Query::reading(statement(sql, args)).rows()
}

/// One cause. [`crate::Error::NotFound`] if there is none under this id.
pub fn cause(scope: Scope, id: i64, now: i64) -> Query<CauseRow> {
    Query::reading(statement(CAUSE, [Value::Integer(now), scope_param(scope), Value::Integer(id)])).found()
}

/// The branches on which a cause occurs, the default branch first. Ask it with [`cause`], which checks the scope.
pub fn branches(id: i64) -> Query<Vec<CauseBranch>> {
    Query::reading(statement(CAUSE_BRANCHES, [Value::Integer(id), Value::Integer(BRANCHES_SHOWN)])).rows()
}

/// What was known before of a failure, by the id of its verdict. Ask it with a question that checks the scope.
pub fn seen(failure: i64) -> Query<Option<Seen>> {
    #[derive(Deserialize)]
    struct Told {
        line: String,
        #[serde(deserialize_with = "column::json_or_default")]
        tests: Vec<String>,
    }
    let known = Value::Integer(i64::try_from(NEW_KNOWN_MIN).unwrap_or(i64::MAX));
    let seen = Query::reading(statement(SEEN, [Value::Integer(failure), known])).first();
    let told = Query::reading(statement(TOLD_BY, [Value::Integer(failure)])).first();
    seen.and(told).map(|(seen, told): (Option<Seen>, Option<Told>)| {
        let vague = told.is_none_or(|told| is_vague(&told.line, &told.tests));
        seen.map(|seen| Seen { vague, ..seen })
    })
}

/// The words of a search as FTS5 reads them: each must occur, or begin a word that does.
/// <https://www.sqlite.org/fts5.html#full_text_query_syntax>
fn words(text: &str) -> Option<String> {
    let word = |word: &str| format!("\"{}\"*", word.replace('"', "\"\""));
    // FTS5 reads up to the first NUL.
    let words: Vec<String> = text
        .split(|character: char| character.is_whitespace() || character == '\0')
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .take(WORDS_MAX)
        .map(word)
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_is_words_and_never_syntax() {
        assert_eq!(words("cannot find").as_deref(), Some("\"cannot\"* \"find\"*"));
        assert_eq!(words("a\" OR line:*").as_deref(), Some("\"a\"\"\"* \"OR\"* \"line:*\"*"));
        assert_eq!(words(" - \" "), None);
        assert_eq!(words("a\0b").as_deref(), Some("\"a\"* \"b\"*"));
    }
}
