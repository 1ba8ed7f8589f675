//! Counts writes to GitHub. All nodes share the count.

use super::query::{Query, Value};
use super::{statement, text};
use serde::Deserialize;

/// GitHub's limits on writes by one account
/// (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>).
pub const WRITES_A_MINUTE: i64 = 80;
/// The number of writes that GitHub allows one account in an hour.
pub const WRITES_AN_HOUR: i64 = 500;
/// The milliseconds between two writes.
pub const WRITE_SPACING_MS: i64 = 1000;

const WRITES: &str = "-- github_writes
SELECT COUNT(*) AS writes FROM github_writes WHERE at_ms > ?1 * 1000 - 3600000 GROUP BY account ORDER BY 1 DESC LIMIT 1";

const TAKE_WRITE: &str = "-- take_write
INSERT INTO github_writes (account, at_ms) SELECT ?1, ?2
WHERE NOT EXISTS (SELECT 1 FROM github_writes WHERE account = ?1 AND at_ms > ?2 - ?3)
  AND (SELECT COUNT(*) FROM github_writes WHERE account = ?1 AND at_ms > ?2 - 60000) < ?4
  AND (SELECT COUNT(*) FROM github_writes WHERE account = ?1 AND at_ms > ?2 - 3600000) < ?5";

const FORGET_WRITES: &str = "-- forget_writes
DELETE FROM github_writes WHERE at_ms < ?1 - 3600000";

#[derive(Deserialize)]
struct WritesRow {
    writes: i64,
}

/// Asks whether `account` may write to GitHub now. If so, the write is counted.
pub fn take(account: &str, now_ms: i64) -> Query<bool> {
    let args = [
        text(account),
        Value::Integer(now_ms),
        Value::Integer(WRITE_SPACING_MS),
        Value::Integer(WRITES_A_MINUTE),
        Value::Integer(WRITES_AN_HOUR),
    ];
    let take = Query::writing(statement(TAKE_WRITE, args)).affected().map(|taken| taken == 1);
    Query::writing(statement(FORGET_WRITES, [Value::Integer(now_ms)])).done().then(take)
}

/// Writes in the last hour, of the account that wrote most.
pub(super) fn of_an_hour(now: i64) -> Query<i64> {
    let most = Query::reading(statement(WRITES, [Value::Integer(now)])).first::<WritesRow>();
    most.map(|row| row.map_or(0, |row| row.writes))
}
