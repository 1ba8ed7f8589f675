//! Which migrations there are, and the one request that runs those that a database lacks.
//!
//! Each migration is a transaction of its own. It first inserts its version into `schema_migrations`; where that row
//! exists already, another program has run the migration, and nothing else of it happens. So any number of workers and
//! nodes may migrate at the same time. `shared/migrations/README.md` says how to write one.

use super::hrana::{self, Condition, Refusal, Script};
use super::{Query, statement};
use serde::Deserialize;

/// One file of `shared/migrations`.
#[derive(Debug, PartialEq, Eq)]
pub struct Migration {
    /// Grows from one migration to the next.
    pub version: i64,
    /// Its statements, each as [`Guarded`] reads it.
    pub sql: &'static str,
}

/// Every migration, oldest first. A file that has landed never changes.
pub const MIGRATIONS: [Migration; 14] = [
    Migration { version: 1, sql: include_str!("../../migrations/0001_init.sql") },
    Migration { version: 2, sql: include_str!("../../migrations/0002_drift.sql") },
    Migration { version: 3, sql: include_str!("../../migrations/0003_feedback.sql") },
    Migration { version: 4, sql: include_str!("../../migrations/0004_models.sql") },
    Migration { version: 5, sql: include_str!("../../migrations/0005_reviews.sql") },
    Migration { version: 6, sql: include_str!("../../migrations/0006_access.sql") },
    Migration { version: 7, sql: include_str!("../../migrations/0007_pauses.sql") },
    Migration { version: 8, sql: include_str!("../../migrations/0008_evidence.sql") },
    Migration { version: 9, sql: include_str!("../../migrations/0009_early_databases.sql") },
    Migration { version: 10, sql: include_str!("../../migrations/0010_ids.sql") },
    Migration { version: 11, sql: include_str!("../../migrations/0011_history.sql") },
    Migration { version: 12, sql: include_str!("../../migrations/0012_reports.sql") },
    Migration { version: 13, sql: include_str!("../../migrations/0013_known_issues.sql") },
    Migration { version: 14, sql: include_str!("../../migrations/0014_change.sql") },
];

const VERSIONS: &str = "-- schema_versions
SELECT version FROM schema_migrations";

// The text of 0001: the table is needed before the first migration can be recorded.
const CREATE_VERSIONS: &str = "-- create_schema_migrations
CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)";

const RECORD: &str = "-- record_migration
INSERT INTO schema_migrations (version, applied_at) VALUES (?1, unixepoch())";

/// What SQLite says when a version is recorded twice.
const RECORDED_BEFORE: &str = "UNIQUE constraint failed: schema_migrations.version";

/// A comment that guards the statement below it.
const GUARD: &str = "-- only without: ";

/// The request that runs migrations, and how to read its answer.
pub struct Upgrade {
    /// What is posted.
    pub body: String,
    /// Steps that may fail, since the failure is their answer.
    guards: Vec<usize>,
}

/// One statement of a migration.
#[derive(Debug, PartialEq, Eq)]
struct Guarded {
    sql: &'static str,
    /// The statement runs only where this query fails, because what the query names is missing.
    only_without: Option<&'static str>,
}

/// The versions that a database has.
pub(super) fn versions() -> Query<Vec<i64>> {
    #[derive(Deserialize)]
    struct Row {
        version: i64,
    }
    let rows = Query::reading(statement(VERSIONS, [])).rows();
    rows.map(|rows| rows.into_iter().map(|row: Row| row.version).collect())
}

/// The migrations that a database with these versions lacks. Versions that this program does not know are of a newer
/// program, and change nothing.
pub fn missing(versions: &[i64]) -> impl Iterator<Item = &'static Migration> {
    MIGRATIONS.iter().filter(|migration| !versions.contains(&migration.version))
}

// === impl Upgrade ===

impl Upgrade {
    /// Runs `migrations` in their order, and ends at the first that fails.
    #[must_use]
    pub fn of<'a>(migrations: impl IntoIterator<Item = &'a Migration>) -> Self {
        let mut script = Script::default();
        let mut guards = Vec::new();
        let mut ready = None;
        for migration in migrations {
            let begun = script.step(ready, "BEGIN IMMEDIATE");
            let created = script.step(Some(Condition::ok(begun)), CREATE_VERSIONS);
            let recorded = script.step_with(Some(Condition::ok(created)), RECORD, migration.version);
            let mut so_far = Condition::ok(recorded);
            for Guarded { sql, only_without } in statements(migration.sql) {
                so_far = match only_without {
                    None => Condition::ok(script.step(Some(so_far), sql)),
                    Some(query) => {
                        let guard = script.step(Some(so_far), query);
                        guards.push(guard);
                        let ran = script.step(Some(Condition::error(guard)), sql);
                        Condition::or([Condition::ok(guard), Condition::ok(ran)])
                    }
                };
            }
            let committed = script.step(Some(so_far), "COMMIT");
            let failed = Condition::and([Condition::ok(begun), Condition::not(Condition::ok(committed))]);
            let rolled_back = script.step(Some(failed), "ROLLBACK");
            let by_another = Condition::and([Condition::error(recorded), Condition::ok(rolled_back)]);
            ready = Some(Condition::or([Condition::ok(committed), by_another]));
        }
        Self { body: script.body(), guards }
    }

    /// Whether each migration has been run, by this request or by another program, as the answer `text` says.
    ///
    /// # Errors
    /// A [`Refusal`].
    pub(super) fn ran(&self, text: &str) -> Result<(), Refusal> {
        hrana::ran(text, |step, message| self.guards.contains(&step) || message.contains(RECORDED_BEFORE))
    }
}

/// The statements of a migration's text. Each ends with a line that ends with `;`, a trigger with its line `END;`.
fn statements(text: &'static str) -> Vec<Guarded> {
    let (mut statements, mut from, mut at) = (Vec::new(), 0, 0);
    let (mut only_without, mut in_trigger) = (None, false);
    for line in text.split_inclusive('\n') {
        at += line.len();
        let line = line.trim_end();
        if let Some(query) = line.strip_prefix(GUARD) {
            only_without = Some(query);
        } else if line == "BEGIN" {
            in_trigger = true;
        } else if line == "END;" || line.ends_with(';') && !line.trim_start().starts_with("--") && !in_trigger
        {
            statements.push(Guarded { sql: text[from..at].trim(), only_without: only_without.take() });
            (from, in_trigger) = (at, false);
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// SHA-256 of each file.
    const SUMS: [&str; MIGRATIONS.len()] = [
        "cc96b77cd5f98763f849b8b241067f0f96b5040852547fab3136036bf82cdfbc",
        "955344e797a0056ed1562a3bd5199b1f72296c2c400d434393e74e6d87e29f28",
        "430775bd11932691ef5c50d6d6d0698269b1159963559890acaeb1fa1f8c7d02",
        "c1cd92945365c24a93b1dc284ec92006a0d74c2022c8dfd938cd4520830d12fb",
        "cf87cbc734acad0d63c947f07c4255228822b974053a6e1846c521547aec6e45",
        "50d9dba4c06acc1ad0da88e51e8d10e2250e408f2cf57479f83208e1d3036a52",
        "596224c0d20ebc2eaecb22f91f4cfb6de9f56a04526ca0b6d0b4cf2199d60f24",
        "e252251a27b7271f0b89f46a522e96048154ef162a14de2037b0ec6499af1330",
        "daca249ab3d08d2d3974fbcb0d7bb60949fa89afd19a3a043545ddcaaa6417a5",
        "a42e8067fced6a638adf2ff09695945d35312c7c03f8cc58a22c9a56ac3ad5b9",
        "7157fdc053d9b135fec5730a54f4ad7679f05eee488a3c51aa88c5be949f91f2",
        "19dcb3d9e270df62a126888a1b4935030e7220b93249639b8b14554c4485a05a",
        "badfd68fdc7d846969bda4c06d2bfcca3165536955b6f5cd5854d0815369b7bf",
        "78f5e47e3f988cc3666720bb9359cf4175351b20c7ecd2f7dfb15708d8e37230",
    ];

    #[test]
    fn a_migration_that_has_landed_never_changes() {
        for (Migration { version, sql }, sum) in MIGRATIONS.iter().zip(SUMS) {
            let found: String = Sha256::digest(sql).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(
                found, sum,
                "the text of migration {version} changed. Databases that have run it will never run it again, so undo the \
                 change and write a new migration. Only where {version} is your own new file, which has not landed yet, \
                 put the sum that was found into SUMS."
            );
        }
    }

    #[test]
    fn versions_grow_by_one() {
        let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..).take(MIGRATIONS.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_text_is_split_at_lines_that_end_a_statement() {
        let text = "-- Words; with a semicolon;\nCREATE TABLE a (\n  -- Words;\n  b TEXT\n);\n\n-- only without: SELECT b FROM a\n\
                    CREATE TRIGGER t AFTER INSERT ON a\nBEGIN\n  DELETE FROM a;\nEND;\n";
        let [table, trigger] = <[Guarded; 2]>::try_from(statements(text)).expect("two statements");
        assert_eq!(table.sql, "-- Words; with a semicolon;\nCREATE TABLE a (\n  -- Words;\n  b TEXT\n);");
        assert_eq!(table.only_without, None);
        assert!(trigger.sql.ends_with("BEGIN\n  DELETE FROM a;\nEND;"), "{trigger:?}");
        assert_eq!(trigger.only_without, Some("SELECT b FROM a"));
    }

    #[test]
    fn no_migration_ends_in_the_middle_of_a_statement() {
        for Migration { version, sql } in &MIGRATIONS {
            let last = statements(sql).pop().expect("a statement");
            assert!(sql.trim_end().ends_with(last.sql), "{version}");
            assert_eq!(last.only_without.is_some(), last.sql.contains(GUARD), "{version}");
        }
    }

    #[test]
    fn what_a_database_lacks_is_run_and_what_a_newer_program_added_is_left() {
        let versions = |found: &[i64]| missing(found).map(|migration| migration.version).collect::<Vec<_>>();
        let all: Vec<_> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions(&[]), all);
        let but_one: Vec<_> = all.into_iter().filter(|version| *version != 6).collect();
        assert_eq!(versions(&but_one), [6]);
        assert_eq!(versions(&(1..=99).collect::<Vec<_>>()), [] as [i64; 0]);
    }
}
