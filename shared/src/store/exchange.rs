//! One question to the database, from its first request to its rows: what each answer means, and what is sent next.
//!
//! The worker and the node carry [`Exchange::body`] there and the answer back, and do what [`Next`] says. Here is no
//! I/O and no clock. What is decided here:
//!
//! * An answer other than 200 means that the database is away. It is not asked again: it may have done what was asked.
//! * Another writer is waited for, [`BUSY_RETRIES`] times. Nothing was done then, so asking again is safe.
//! * A missing table or column means that the schema is old. Its versions are read, the migrations that it lacks are
//!   run, and the question is asked once more. Where nothing is missing, somebody else may have migrated just now; where
//!   the second answer is the same, it is an error.
//!
//! Where all goes well, an exchange is one request.

use super::hrana::{self, Refusal};
use super::migrations::{Upgrade, missing, versions};
use super::{Lock, Rows, Statement};
use crate::Error;
use std::time::Duration;

/// How often another writer is waited for, beyond the database's own patience.
pub const BUSY_RETRIES: u32 = 3;
/// The first of these waits, which then double: 1.4 s in all, since GitHub waits 10 s for the worker's whole answer.
const BUSY_WAIT: Duration = Duration::from_millis(200);
/// The status of an answer that is read.
const OK: u16 = 200;

/// What to do with the database's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Send the body. It is another one now.
    Send,
    /// Log this text and send the body, which changes the schema.
    Migrate(String),
    /// Wait so long, then send the body again.
    Wait(Duration),
    /// These are the rows, one [`Rows`] a statement.
    Done(Vec<Rows>),
    /// There are none.
    Failed(Failure),
}

/// Why there are no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What a caller may know.
    pub error: Error,
    /// What an operator needs, for the log.
    pub cause: String,
}

/// A question that is being asked.
pub struct Exchange {
    /// None where only the schema is brought up to date.
    question: Option<String>,
    stage: Stage,
    /// Whether the schema's versions were read.
    schema_checked: bool,
    busy: u32,
}

/// What the next answer answers.
enum Stage {
    Question,
    Versions(String),
    Upgrade(Upgrade),
}

// === impl Exchange ===

impl Exchange {
    /// Runs `statements` under this lock, whole or not at all.
    #[must_use]
    pub fn of(lock: Lock, statements: &[Statement]) -> Self {
        let question = Some(hrana::batch(lock, statements));
        Self { question, stage: Stage::Question, schema_checked: false, busy: 0 }
    }

    /// Brings the schema up to date and asks nothing; has no rows.
    #[must_use]
    pub fn schema() -> Self {
        Self { question: None, stage: Stage::versions(), schema_checked: true, busy: 0 }
    }

    /// Brings the schema up to date first, where it is not, at the price of one more request. A program does so once:
    /// what an old schema lacks is not always named by a statement.
    #[must_use]
    pub fn after_schema(self) -> Self {
        Self { stage: Stage::versions(), schema_checked: true, ..self }
    }

    /// What is posted to [`hrana::PATH`].
    #[must_use]
    pub fn body(&self) -> &str {
        match &self.stage {
            Stage::Question => self.question.as_deref().unwrap_or_default(),
            Stage::Versions(body) => body,
            Stage::Upgrade(upgrade) => &upgrade.body,
        }
    }

    /// What to do after the database answered the body with `status` and `text`.
    pub fn answered(&mut self, status: u16, text: &str) -> Next {
        if status != OK {
            let cause = format!("store.unavailable: the database answered {status}");
            return Next::Failed(Failure { error: Error::StoreUnavailable, cause });
        }
        match &self.stage {
            Stage::Question => match hrana::answer(text) {
                Ok(rows) => Next::Done(rows),
                Err(Refusal::Schema(_)) if !self.schema_checked => {
                    self.schema_checked = true;
                    self.stage = Stage::versions();
                    Next::Send
                }
                Err(refusal) => self.refused(refusal),
            },
            Stage::Versions(_) => match hrana::answer(text) {
                Ok(rows) => match versions().read(rows) {
                    Ok(versions) => self.upgrade(&versions),
                    Err(_) => self.refused(Refusal::Misunderstood),
                },
                // The table itself is missing: the database was never used.
                Err(Refusal::Schema(_)) => self.upgrade(&[]),
                Err(refusal) => self.refused(refusal),
            },
            Stage::Upgrade(upgrade) => match upgrade.ran(text) {
                Ok(()) => self.ask(),
                Err(refusal) => self.refused(refusal),
            },
        }
    }

    /// Runs what a database with these versions lacks.
    fn upgrade(&mut self, versions: &[i64]) -> Next {
        let mut lacking = missing(versions).peekable();
        let Some(first) = lacking.peek() else { return self.ask() };
        let log =
            format!("store.migrate: the schema lacks migration {} and is brought up to date", first.version);
        self.stage = Stage::Upgrade(Upgrade::of(lacking));
        Next::Migrate(log)
    }

    /// Asks what there is to ask, now that the schema is up to date.
    fn ask(&mut self) -> Next {
        self.stage = Stage::Question;
        if self.question.is_some() { Next::Send } else { Next::Done(Vec::new()) }
    }

    fn refused(&mut self, refusal: Refusal) -> Next {
        if refusal == Refusal::Busy && self.busy < BUSY_RETRIES {
            self.busy += 1;
            return Next::Wait(BUSY_WAIT * 2_u32.pow(self.busy - 1));
        }
        let (error, cause) = match refusal {
            Refusal::Busy => {
                (Error::StoreUnavailable, "store.unavailable: another writer holds the database".to_owned())
            }
            Refusal::Misunderstood => (
                Error::StoreShape("pipeline"),
                "store.misunderstood: the database's answer is not of the protocol".to_owned(),
            ),
            Refusal::Schema(message) | Refusal::Rejected(message) => {
                (Error::StoreRejected, format!("store.refused: {message}"))
            }
        };
        Next::Failed(Failure { error, cause })
    }
}

// === impl Stage ===

impl Stage {
    fn versions() -> Self {
        let query = versions();
        Self::Versions(hrana::batch(query.lock(), query.statements()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::super::migrations::MIGRATIONS;
    use super::*;
    use serde_json::{Value as Json, json};

    const OLD: [&str; 3] = ["no such table: a", "no such column: b", "table a has no column named b"];

    fn question() -> Exchange {
        Exchange::of(Lock::Write, &[Statement { sql: "-- count\nSELECT ?1", args: vec![Value::Integer(7)] }])
    }

    fn pipeline(results: &[Json], errors: &[Json]) -> String {
        let result = json!({ "step_results": results, "step_errors": errors });
        json!({ "results": [{ "type": "ok", "response": { "type": "batch", "result": result } }] })
            .to_string()
    }

    /// The answer to a question of one statement: these integers, one a row.
    fn answer(integers: &[i64]) -> String {
        let row = |integer: &i64| json!([{ "type": "integer", "value": integer.to_string() }]);
        let rows: Vec<_> = integers.iter().map(row).collect();
        let cols = json!([{ "name": "version" }]);
        let step = |rows: Json| json!({ "cols": cols, "rows": rows, "affected_row_count": 0 });
        pipeline(
            &[step(json!([])), step(json!(rows)), step(json!([])), Json::Null],
            &[const { Json::Null }; 4],
        )
    }

    fn error(message: &str) -> String {
        pipeline(
            &[const { Json::Null }; 4],
            &[Json::Null, json!({ "message": message }), Json::Null, Json::Null],
        )
    }

    fn newest() -> Vec<i64> {
        MIGRATIONS.iter().map(|migration| migration.version).collect()
    }

    /// Whether the body is the one that asks for the versions, runs migrations, or is the question.
    fn kind(exchange: &Exchange) -> &'static str {
        match exchange.body() {
            body if body.contains("record_migration") => "upgrade",
            body if body.contains("schema_versions") => "versions",
            body if body.contains("-- count") => "question",
            _ => "other",
        }
    }

    fn failed(next: &Next) -> Option<&Error> {
        match next {
            Next::Failed(failure) => Some(&failure.error),
            _ => None,
        }
    }

    #[test]
    fn where_all_goes_well_a_question_is_one_request() {
        let mut exchange = question();
        assert_eq!(kind(&exchange), "question");
        let Next::Done(rows) = exchange.answered(200, &answer(&[4])) else { panic!("no rows") };
        assert_eq!(rows[0].rows, [[Value::Integer(4)]]);
    }

    #[test]
    fn an_old_schema_is_brought_up_to_date_and_the_question_asked_again() {
        for message in OLD {
            let mut exchange = question();
            assert_eq!(exchange.answered(200, &error(message)), Next::Send);
            assert_eq!(kind(&exchange), "versions");
            let Next::Migrate(log) = exchange.answered(200, &answer(&[1, 2])) else { panic!("{message}") };
            assert!(log.contains("migration 3"), "{log}");
            assert_eq!(kind(&exchange), "upgrade");
            assert!(
                !exchange.body().contains("CREATE TABLE IF NOT EXISTS drift_cells"),
                "2 is not run again"
            );
            assert_eq!(exchange.answered(200, &pipeline(&[], &[])), Next::Send);
            assert_eq!(kind(&exchange), "question");
            assert!(matches!(exchange.answered(200, &answer(&[4])), Next::Done(_)));
        }
    }

    #[test]
    fn a_database_that_was_never_used_gets_every_migration() {
        let mut exchange = question();
        exchange.answered(200, &error("no such table: deliveries"));
        let next = exchange.answered(200, &error("no such table: schema_migrations"));
        assert!(matches!(next, Next::Migrate(_)), "{next:?}");
        assert_eq!(exchange.body().matches("BEGIN IMMEDIATE").count(), MIGRATIONS.len());
    }

    #[test]
    fn what_is_still_missing_in_the_newest_schema_is_an_error_and_no_loop() {
        for versions in [newest(), (1..=99).collect()] {
            let mut exchange = question();
            assert_eq!(exchange.answered(200, &error("no such column: b")), Next::Send);
            // Another program may have migrated between the question and the versions.
            assert_eq!(exchange.answered(200, &answer(&versions)), Next::Send);
            assert_eq!(kind(&exchange), "question");
            let next = exchange.answered(200, &error("no such column: b"));
            let cause = "store.refused: no such column: b".to_owned();
            assert_eq!(next, Next::Failed(Failure { error: Error::StoreRejected, cause }));
        }
    }

    #[test]
    fn another_writer_is_waited_for_three_times_over_the_whole_exchange() {
        let (busy, mut exchange) = (error("database is locked"), question());
        let mut waited = Vec::new();
        let mut wait = |next: Next| match next {
            Next::Wait(time) => waited.push(time.as_millis()),
            other => panic!("{other:?}"),
        };
        wait(exchange.answered(200, &busy));
        assert_eq!(kind(&exchange), "question");
        exchange.answered(200, &error("no such column: b"));
        wait(exchange.answered(200, &busy));
        assert_eq!(kind(&exchange), "versions");
        exchange.answered(200, &answer(&[1]));
        wait(exchange.answered(200, &busy));
        assert_eq!(kind(&exchange), "upgrade");
        assert_eq!(waited, [200, 400, 800]);
        assert_eq!(failed(&exchange.answered(200, &busy)), Some(&Error::StoreUnavailable));
    }

    #[test]
    fn a_refused_statement_an_unknown_answer_and_an_absent_database_end_it() {
        let cases = [
            (200, error("UNIQUE constraint failed: a.b"), Error::StoreRejected),
            (200, "<html>".to_owned(), Error::StoreShape("pipeline")),
            (200, json!({ "results": [] }).to_string(), Error::StoreShape("pipeline")),
            (503, answer(&[4]), Error::StoreUnavailable),
        ];
        for (status, text, expected) in cases {
            assert_eq!(failed(&question().answered(status, &text)), Some(&expected), "{text}");
        }
    }

    #[test]
    fn a_migration_that_another_program_ran_and_a_guard_that_fails_are_no_failures() {
        let upgrading = || {
            let mut exchange = Exchange::schema();
            exchange.answered(200, &answer(&[1, 2, 3, 4, 5, 6, 7, 8]));
            exchange
        };
        let body: Json = serde_json::from_str(upgrading().body()).expect("JSON");
        let steps = body["requests"][0]["batch"]["steps"].as_array().expect("steps").clone();
        let at = |part: &str| {
            let found = steps
                .iter()
                .position(|step| step["stmt"]["sql"].as_str().is_some_and(|sql| sql.contains(part)));
            found.expect(part)
        };
        let answer = |failed: usize, message: &str| {
            let mut errors = vec![Json::Null; steps.len()];
            errors[failed] = json!({ "message": message });
            upgrading().answered(200, &pipeline(&vec![Json::Null; steps.len()], &errors))
        };
        let (guard, recorded) = (at("SELECT installation_id FROM drift_cells"), at("record_migration"));
        assert_eq!(answer(guard, "no such column: installation_id"), Next::Done(Vec::new()));
        let by_another = "SQLite error: UNIQUE constraint failed: schema_migrations.version";
        assert_eq!(answer(recorded, by_another), Next::Done(Vec::new()));
        assert_eq!(failed(&answer(recorded, "database or disk is full")), Some(&Error::StoreRejected));
        assert_eq!(failed(&answer(guard + 1, "no such column: x")), Some(&Error::StoreRejected));
    }

    #[test]
    fn a_schema_that_is_up_to_date_needs_no_lock_and_one_request() {
        let mut exchange = Exchange::schema();
        assert!(!exchange.body().contains("IMMEDIATE"), "{}", exchange.body());
        assert_eq!(exchange.answered(200, &answer(&newest())), Next::Done(Vec::new()));
    }

    #[test]
    fn a_program_that_looks_at_the_schema_first_asks_afterwards() {
        let mut exchange = question().after_schema();
        assert_eq!(kind(&exchange), "versions");
        assert_eq!(exchange.answered(200, &answer(&newest())), Next::Send);
        assert!(matches!(exchange.answered(200, &answer(&[4])), Next::Done(_)));
    }
}
