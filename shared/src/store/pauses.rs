//! The statements of trouble that no job caused: GitHub is down, limits us, or refuses our token.
//!
//! Such a job is put back and pauses for as long as its trouble is old: five seconds at first, an hour at most. After
//! three days it is given up with a reason of its own. No try and no failure is counted.
//!
//! The account that met the trouble gets a *breaker*, a row that all nodes share. While it is open, the account's jobs
//! are not taken. Whenever its pause is over, one job is let through. If that one succeeds, the breaker is closed and
//! everything that it paused is due at once.

use super::jobs::{self, JobStatus};
use super::query::{Query, Value};
use super::{DAY_SECONDS, optional, scope_param, statement, text};
use crate::access::Scope;
use crate::github::rfc3339;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The shortest pause in seconds. Short failures of GitHub are over by then.
pub const PAUSE_AT_LEAST: i64 = 5;
/// The longest pause that we choose, in seconds. An outage costs at most an hour more than it lasts.
pub const PAUSE_AT_MOST: i64 = 3600;
/// The seconds after which a paused job is given up. Nobody waits for a review of last week.
pub const GIVE_UP_AFTER: i64 = 3 * DAY_SECONDS;
/// Seconds for which a job that was let through keeps others from trying: as long as its first call takes, and more.
const PROBE_SECONDS: i64 = 60;
/// Seconds over which jobs that are due again are spread, so that they do not all call at once.
const SPREAD_SECONDS: i64 = 10;
/// Seconds after which a breaker is forgotten that nobody waits for: whether its trouble goes on is not known then.
const FORGET_AFTER: i64 = 60;

/// The identity of a node at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The one account of a personal token.
    Token,
    /// An App: an account for each installation.
    App,
}

/// The reason why an account is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// GitHub can't be reached, or answers 5xx.
    GithubAway,
    /// GitHub limits our calls or writes.
    Limited,
    /// GitHub does not accept the token: 401.
    TokenRefused,
    /// GitHub does not accept what the App's key signs: 401.
    KeyRefused,
}

/// What GitHub did to an account.
#[derive(Debug, Clone, Copy)]
pub struct Outage<'a> {
    /// The account, as [`account_of`] names it.
    pub account: &'a str,
    /// The kind of trouble.
    pub reason: Reason,
    /// What GitHub answered, in words.
    pub what: &'a str,
    /// Seconds that GitHub asks to wait; 0 where it does not.
    pub after: i64,
    /// The key of the job that met it; empty where none did.
    pub job: &'a str,
}

/// An account that is paused, as people and programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// An installation's id, `other`, `app` or `token`.
    pub account: String,
    /// The reason why the account is paused.
    pub reason: Reason,
    /// The meaning of the reason, in a sentence.
    pub meaning: Cow<'static, str>,
    /// What a person has to do; None where time does it.
    pub to_do: Option<Cow<'static, str>>,
    /// What GitHub answered last; only for who sees this account.
    pub what: Option<String>,
    /// Since when, as RFC 3339.
    pub since: String,
    /// When one job may try again, as RFC 3339.
    pub retry_at: String,
    /// The number of jobs that met the trouble.
    pub tries: i64,
    /// The number of jobs that wait.
    pub waiting: i64,
    /// Unix seconds of `since`.
    #[serde(skip)]
    pub since_seconds: i64,
}

/// The account of the job in a row of review_jobs, for nodes of the identity `$identity`.
macro_rules! account_of_job {
    ($identity:literal, $job:literal) => {
        concat!(
            "CASE WHEN ",
            $identity,
            " = 'token' THEN 'token' ELSE COALESCE(CAST(",
            $job,
            ".installation_id AS TEXT), 'other') END"
        )
    };
}

/// For [`super::leases::claim`]: no breaker is open for the job `free`, at ?2, for a node of the identity ?4.
macro_rules! is_let_through {
    () => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM breakers WHERE retry_at > ?2 AND account IN (?4, ",
            account_of_job!("?4", "free"),
            "))"
        )
    };
}
pub(super) use {account_of_job, is_let_through};

const PROBE: &str = concat!(
    "-- probe_breaker
UPDATE breakers SET retry_at = ?2 + ?5 WHERE retry_at <= ?2 AND EXISTS (SELECT 1 FROM review_jobs
  WHERE status = 'running' AND lease_owner = ?1 AND lease_until = ?3 AND breakers.account IN (?4, ",
    account_of_job!("?4", "review_jobs"),
    "))"
);

// The breaker must be one that was tried lately: after days without any node, GitHub is asked first.
const EXPIRE: &str = concat!(
    "-- expire_jobs
UPDATE review_jobs SET status = 'dead', finished_at = ?1, error = 'given up after waiting three days: ' || (
  SELECT what FROM breakers WHERE account IN (?2, ",
    account_of_job!("?2", "review_jobs"),
    ") LIMIT 1)
WHERE status = 'queued' AND not_before < ?1 - ?3 AND EXISTS (SELECT 1 FROM breakers
  WHERE since < ?1 - ?3 AND retry_at > ?1 - ?4 AND account IN (?2, ",
    account_of_job!("?2", "review_jobs"),
    "))"
);

// A token that is refused stays known until one is accepted, whether jobs wait or not. A job in a pause of its own does
// not wait for the breaker.
const FORGET_BREAKERS: &str = concat!(
    "-- forget_breakers
DELETE FROM breakers WHERE retry_at < ?1 - ?3 AND NOT (account = ?2 AND reason IN ('token_refused', 'key_refused'))
  AND NOT EXISTS (SELECT 1 FROM review_jobs WHERE (status = 'running' OR status = 'queued' AND not_before <= ?1)
    AND breakers.account IN (?2, ",
    account_of_job!("?2", "review_jobs"),
    "))"
);

const FORGET_PAUSES: &str = "-- forget_pauses
DELETE FROM job_pauses WHERE NOT EXISTS
  (SELECT 1 FROM review_jobs WHERE key = job_key AND status IN ('queued', 'running'))";

const END_PAUSE: &str = "-- end_pause
DELETE FROM job_pauses WHERE job_key = (SELECT key FROM review_jobs WHERE id = ?1)";

const KEEP_PAUSE: &str = "-- keep_pause
INSERT INTO job_pauses (job_key, since) SELECT key, ?3 FROM review_jobs
WHERE id = ?1 AND lease_owner = ?2 AND status = 'running' ON CONFLICT (job_key) DO NOTHING";

const PAUSE: &str = "-- pause_job
UPDATE review_jobs SET lease_owner = NULL, attempts = MAX(attempts - 1, 0),
  status = CASE WHEN job_pauses.since > ?4 - ?8 THEN 'queued' ELSE 'dead' END,
  finished_at = CASE WHEN job_pauses.since > ?4 - ?8 THEN NULL ELSE ?4 END,
  error = CASE WHEN job_pauses.since > ?4 - ?8 THEN ?3 ELSE 'given up after three days: ' || ?3 END,
  not_before = ?4 + MAX(?5, MIN(?7, MAX(?6, ?4 - job_pauses.since)))
FROM job_pauses WHERE job_key = key AND id = ?1 AND lease_owner = ?2 AND status = 'running' RETURNING status";

// A limit that GitHub gave a time for is not cut short by an older call that failed in another way. What only one job met
// since the breaker was opened may be that job's: who comes next is soon let through.
const OPEN: &str = concat!(
    "-- open_breaker
INSERT INTO breakers (account, reason, what, since, retry_at, tries) VALUES (?1, ?2, ?3, ?4, ?4 + MAX(?5, ?6), 1)
ON CONFLICT (account) DO UPDATE SET reason = excluded.reason, what = excluded.what, tries = tries + 1,
  retry_at = MAX(CASE WHEN reason = 'limited' THEN retry_at ELSE 0 END, ?4 + MAX(?5, CASE
    WHEN excluded.reason <> 'github_away' OR EXISTS (SELECT 1 FROM review_jobs LEFT JOIN job_pauses ON job_key = key
      WHERE status = 'queued' AND key <> ?8 AND (not_before <= ?4 OR job_pauses.since >= breakers.since)
        AND breakers.account IN (?9, ",
    account_of_job!("?9", "review_jobs"),
    ")) THEN MIN(?7, MAX(?6, ?4 - breakers.since)) ELSE ?6 END))"
);

// A job whose trouble is older than the breaker met it again after others had succeeded: it keeps its own pause, or it
// would open the breaker for all of them over and over.
const RELEASE: &str = concat!(
    "-- release_paused
UPDATE review_jobs SET not_before = ?3 + id % ?4
WHERE status = 'queued' AND not_before > ?3 + ?4 AND EXISTS (SELECT 1 FROM breakers, job_pauses
  WHERE job_key = review_jobs.key AND job_pauses.since >= breakers.since
    AND (account = ?1 OR (account = ?2 AND ?2 = ",
    account_of_job!("?1", "review_jobs"),
    ")))"
);

// The errors are those of versions that ended a job for what was not its own.
const REVIVE: &str = concat!(
    "-- revive_outage
UPDATE review_jobs SET status = 'queued', attempts = 0, failures = 0, not_before = ?3 + id % ?4, finished_at = NULL
WHERE status IN ('dead', 'failed') AND finished_at > ?3 - ?5
  AND (error GLOB '5[0-9][0-9] for /*' OR error GLOB '401 for /*' OR error GLOB '408 for /*' OR error GLOB '429 for /*'
    OR error GLOB '403 for /*' AND (error LIKE '%rate limit%' OR error LIKE '%abuse detection%')
    OR error LIKE 'GitHub can''t be reached%' OR error LIKE 'GitHub''s limit on writes%'
    OR error = 'an answer of GitHub broke off' OR error LIKE 'the store is unavailable%')
  AND NOT EXISTS (SELECT 1 FROM muted_pulls WHERE muted_pulls.repository = review_jobs.repository
    AND muted_pulls.number = review_jobs.number AND kind = 'review')
  AND (?2 IS NULL OR EXISTS (SELECT 1 FROM breakers WHERE account = ?1 OR (account = ?2 AND ?2 = ",
    account_of_job!("?1", "review_jobs"),
    ")))"
);

// A breaker that was opened meanwhile has another time, and keeps it.
const END_PROBE: &str = "-- end_probe
UPDATE breakers SET retry_at = ?3 WHERE account IN (?1, ?2) AND retry_at = ?4";

const CLOSE: &str = "-- close_breakers
DELETE FROM breakers WHERE account IN (?1, ?2)";

const CLOSE_REFUSED: &str = "-- close_refused
DELETE FROM breakers WHERE account = ?1 AND reason IN ('token_refused', 'key_refused')";

const BREAKERS: &str = "-- breakers
SELECT account, reason, CASE WHEN ?1 IS NULL OR account = CAST(?1 AS TEXT) THEN what END AS what, since, retry_at, tries,
  (SELECT COUNT(*) FROM review_jobs WHERE status = 'queued' AND (?1 IS NULL OR installation_id = ?1)
    AND account IN ('token', 'app', COALESCE(CAST(installation_id AS TEXT), 'other'))) AS waiting
FROM breakers WHERE ?1 IS NULL OR account IN ('token', 'app', CAST(?1 AS TEXT)) ORDER BY since, account LIMIT 1000";

/// The account of a job, for a node of this identity.
#[must_use]
pub fn account_of(identity: Identity, installation: Option<u64>) -> String {
    match (identity, installation) {
        (Identity::Token, _) => identity.label().to_owned(),
        (Identity::App, Some(id)) => id.to_string(),
        (Identity::App, None) => "other".to_owned(),
    }
}

/// What goes before a job is taken: who waited for three days is given up, and what nobody waits for is forgotten.
pub(super) fn before_claim(identity: Identity, now: i64) -> Query<()> {
    let who = || text(identity.label());
    let expire = [Value::Integer(now), who(), Value::Integer(GIVE_UP_AFTER), Value::Integer(PAUSE_AT_MOST)];
    let forget_breakers = [Value::Integer(now), who(), Value::Integer(FORGET_AFTER)];
    Query::writing(statement(EXPIRE, expire))
        .done()
        .with(Query::writing(statement(FORGET_BREAKERS, forget_breakers)).done())
        .with(forget())
}

/// What goes after a job was taken: while it tries, no other job of a paused account does.
pub(super) fn after_claim(owner: &str, identity: Identity, lease_until: i64, now: i64) -> Query<()> {
    let [now, lease_until, probe] = [now, lease_until, PROBE_SECONDS].map(Value::Integer);
    Query::writing(statement(PROBE, [text(owner), now, lease_until, text(identity.label()), probe])).done()
}

/// Forgets since when jobs had trouble that have ended.
pub(super) fn forget() -> Query<()> {
    Query::writing(statement(FORGET_PAUSES, [])).done()
}

/// The job's trouble is over: it got as far as to fail by itself.
pub(super) fn end(id: i64) -> Query<()> {
    Query::writing(statement(END_PAUSE, [Value::Integer(id)])).done()
}

/// Puts a job back that is not to blame, for at least `after` seconds, or gives it up after [`GIVE_UP_AFTER`]. Answers
/// which; None where another node has the job.
pub fn pause(id: i64, owner: &str, what: &str, after: i64, now: i64) -> Query<Option<JobStatus>> {
    let keep = statement(KEEP_PAUSE, [Value::Integer(id), text(owner), Value::Integer(now)]);
    let args = [
        Value::Integer(id),
        text(owner),
        text(what),
        Value::Integer(now),
        Value::Integer(after),
        Value::Integer(PAUSE_AT_LEAST),
        Value::Integer(PAUSE_AT_MOST),
        Value::Integer(GIVE_UP_AFTER),
    ];
    let pause = jobs::status(Query::writing(statement(PAUSE, args)));
    Query::writing(keep).done().then(pause).with(forget())
}

/// Opens the account's breaker, or keeps it open: for as long as GitHub asks, and for as long as the trouble is old, or
/// for [`PAUSE_AT_LEAST`] where GitHub is away for this job alone.
pub fn open(identity: Identity, outage: &Outage<'_>, now: i64) -> Query<()> {
    let row = [
        text(outage.account),
        text(outage.reason.label()),
        text(outage.what),
        Value::Integer(now),
        Value::Integer(outage.after),
        Value::Integer(PAUSE_AT_LEAST),
        Value::Integer(PAUSE_AT_MOST),
        text(outage.job),
        text(identity.label()),
    ];
    Query::writing(statement(OPEN, row)).done()
}

/// GitHub did what a job of `account` asked for: closes its breaker, and makes due what it paused or, in an earlier
/// version, ended. Answers how many breakers were open.
pub fn close(identity: Identity, account: &str, now: i64) -> Query<u64> {
    let of = || [text(identity.label()), text(account)];
    release(of(), now)
        .with(revive(identity, Some(account), now).map(drop))
        .then(Query::writing(statement(CLOSE, of())).affected())
}

/// The job of `account` that was taken at `taken_at` ended without showing whether GitHub is well: where it was let through
/// to try that, the next is let through now.
pub fn end_probe(identity: Identity, account: &str, taken_at: i64, now: i64) -> Query<()> {
    let [now, until] = [now, taken_at + PROBE_SECONDS].map(Value::Integer);
    Query::writing(statement(END_PROBE, [text(identity.label()), text(account), now, until])).done()
}

/// GitHub accepts our token or key again: closes the breaker that was open for all jobs of this identity, if that was
/// its reason.
pub fn close_refused(identity: Identity, now: i64) -> Query<()> {
    let who = || text(identity.label());
    release([who(), who()], now).with(Query::writing(statement(CLOSE_REFUSED, [who()])).done())
}

/// Queues what an earlier version ended because of an outage in the last three days: of an account whose breaker is
/// open, or of all. Answers how many jobs.
pub fn revive(identity: Identity, account: Option<&str>, now: i64) -> Query<u64> {
    let [now, spread, young] = [now, SPREAD_SECONDS, GIVE_UP_AFTER].map(Value::Integer);
    let args = [text(identity.label()), optional(account), now, spread, young];
    Query::writing(statement(REVIVE, args)).affected()
}

/// The accounts that are paused, the oldest trouble first.
pub fn breakers(scope: Scope) -> Query<Vec<Breaker>> {
    let rows = Query::reading(statement(BREAKERS, [scope_param(scope)])).rows::<BreakerRow>();
    rows.map(|rows| rows.into_iter().map(Breaker::from).collect())
}

fn release([identity, account]: [Value; 2], now: i64) -> Query<()> {
    let args = [identity, account, Value::Integer(now), Value::Integer(SPREAD_SECONDS)];
    Query::writing(statement(RELEASE, args)).done()
}

// === impl Identity, Reason ===

impl Identity {
    /// Its name in the table, and of the account that stands for all of its jobs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::App => "app",
        }
    }
}

impl Reason {
    /// Every reason for a pause.
    pub const ALL: [Self; 4] = [Self::GithubAway, Self::Limited, Self::TokenRefused, Self::KeyRefused];

    /// The name in the table, on the wire and on a metric.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::GithubAway => "github_away",
            Self::Limited => "limited",
            Self::TokenRefused => "token_refused",
            Self::KeyRefused => "key_refused",
        }
    }

    /// The meaning of the reason, in a sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::GithubAway => "GitHub is away",
            Self::Limited => "GitHub limits our calls",
            Self::TokenRefused => "GitHub refuses the token",
            Self::KeyRefused => "GitHub refuses the App's key",
        }
    }

    /// What a person has to do; None where time does it.
    #[must_use]
    pub fn to_do(self) -> Option<&'static str> {
        match self {
            Self::GithubAway | Self::Limited => None,
            Self::TokenRefused => Some("give the node a new GITHUB_TOKEN and restart it"),
            Self::KeyRefused => Some(
                "make a new private key on the App's page, set GITHUB_APP_PRIVATE_KEY and restart the node",
            ),
        }
    }
}

#[derive(Deserialize)]
struct BreakerRow {
    account: String,
    reason: Reason,
    what: Option<String>,
    since: i64,
    retry_at: i64,
    tries: i64,
    waiting: i64,
}

impl From<BreakerRow> for Breaker {
    fn from(row: BreakerRow) -> Self {
        // An installation's token is made anew by itself: there, the App is not let in.
        let is_installation = row.account.parse::<u64>().is_ok();
        let to_do = match row.reason {
            Reason::TokenRefused if is_installation => Some("look at the App's installation on GitHub"),
            reason => reason.to_do(),
        };
        Self {
            account: row.account,
            reason: row.reason,
            meaning: row.reason.meaning().into(),
            to_do: to_do.map(Cow::Borrowed),
            what: row.what,
            since: rfc3339(row.since),
            retry_at: rfc3339(row.retry_at),
            tries: row.tries,
            waiting: row.waiting,
            since_seconds: row.since,
        }
    }
}
