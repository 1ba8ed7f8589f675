//! A question to the database and what its answer means, in one value.
//!
//! A [`Query`] is one round trip that happens whole or not at all. It holds its statements and how their answers are
//! read, so that no answer can be read with another question's decoder. The shells carry the statements to the
//! database and hand the rows back to [`Query::read`].
//!
//! Rows are read by column name, with serde. A statement begins with its name, so that a slow one can be found in a
//! server's log; [`Error::StoreShape`] names it too.

use super::row;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use std::vec::IntoIter;

/// A value of SQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The value NULL.
    Null,
    /// A value of type INTEGER.
    Integer(i64),
    /// A value of type REAL.
    Real(f64),
    /// A value of type TEXT.
    Text(String),
}

/// One statement with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Starts with `-- name`.
    pub sql: &'static str,
    /// The values of `?1`, `?2` and so on.
    pub args: Vec<Value>,
}

/// What one statement answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Each row has a value for each column.
    pub rows: Vec<Vec<Value>>,
    /// How many rows were inserted, changed or removed.
    pub affected: u64,
}

/// The lock that a transaction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// No write lock: a snapshot to read from.
    Read,
    /// The write lock, from the start. A transaction that asked for it later could meet another writer half way.
    Write,
}

/// Statements that run in one transaction, and how their answers are read as a `T`.
#[must_use = "a query does nothing until it is asked"]
pub struct Query<T> {
    lock: Lock,
    statements: Vec<Statement>,
    read: Read<T>,
}

/// Takes the answers of a query's own statements, in their order, and leaves those of the next query.
type Read<T> = Box<dyn FnOnce(&mut IntoIter<Rows>) -> Result<T> + Send>;

/// A statement that changes rows, and statements that run only if it changed some.
///
/// SQLite has no `IF`. Each statement that follows looks at `changes()`, which the statement before it has set, so each
/// must change a row itself whenever it runs. The one that may change none comes last.
pub(super) struct Change(Query<u64>);

// === impl Query ===

impl Query<Rows> {
    /// Makes a query of one statement that reads.
    pub fn reading(statement: Statement) -> Self {
        Self::of(Lock::Read, statement)
    }

    /// Makes a query of one statement that writes.
    pub fn writing(statement: Statement) -> Self {
        Self::of(Lock::Write, statement)
    }

    /// Reads every row of the answer.
    pub fn rows<R: DeserializeOwned + 'static>(self) -> Query<Vec<R>> {
        let name = self.name();
        self.try_map(move |answer| {
            let Rows { columns, rows, .. } = answer;
            rows.into_iter()
                .map(|row| row::decode(&columns, row).map_err(|_| Error::StoreShape(name)))
                .collect()
        })
    }

    /// Reads the first row of the answer, if there is one.
    pub fn first<R: DeserializeOwned + 'static>(self) -> Query<Option<R>> {
        self.rows().map(|rows| rows.into_iter().next())
    }

    /// The first row of the answer. [`Error::NotFound`] where there is none.
    pub fn found<R: DeserializeOwned + 'static>(self) -> Query<R> {
        self.first().try_map(|row| row.ok_or(Error::NotFound))
    }

    /// Reads the only row of an answer that always has one.
    pub fn only<R: DeserializeOwned + 'static>(self) -> Query<R> {
        let name = self.name();
        self.first().try_map(move |row| row.ok_or(Error::StoreShape(name)))
    }

    /// Reads how many rows the statement changed.
    pub fn affected(self) -> Query<u64> {
        self.map(|answer| answer.affected)
    }

    /// Reads nothing. It is enough that the statement ran.
    pub fn done(self) -> Query<()> {
        self.map(drop)
    }

    fn of(lock: Lock, statement: Statement) -> Self {
        let name = name_of(statement.sql);
        Self {
            lock,
            statements: vec![statement],
            read: Box::new(move |answers| answers.next().ok_or(Error::StoreShape(name))),
        }
    }

    fn name(&self) -> &'static str {
        self.statements.first().map_or("", |statement| name_of(statement.sql))
    }
}

impl Query<()> {
    /// A query without any statement.
    pub fn nothing() -> Self {
        Self { lock: Lock::Read, statements: Vec::new(), read: Box::new(|_| Ok(())) }
    }

    /// Runs `next` after this, in the same transaction.
    pub fn then<T: 'static>(self, next: Query<T>) -> Query<T> {
        self.and(next).map(|((), answer)| answer)
    }
}

impl<T: 'static> Query<T> {
    /// Asks both in one round trip.
    pub fn and<U: 'static>(self, other: Query<U>) -> Query<(T, U)> {
        let (first, second) = (self.read, other.read);
        Query {
            lock: self.lock.max(other.lock),
            statements: [self.statements, other.statements].concat(),
            read: Box::new(move |answers| Ok((first(answers)?, second(answers)?))),
        }
    }

    /// Runs `other` after this, in the same transaction.
    pub fn with(self, other: Query<()>) -> Self {
        self.and(other).map(|(answer, ())| answer)
    }

    /// Turns the answer into something else.
    pub fn map<U: 'static>(self, turn: impl FnOnce(T) -> U + Send + 'static) -> Query<U> {
        self.try_map(|answer| Ok(turn(answer)))
    }

    /// Turns the answer into something else, or into an error.
    pub fn try_map<U: 'static>(self, turn: impl FnOnce(T) -> Result<U> + Send + 'static) -> Query<U> {
        let Self { lock, statements, read } = self;
        Query { lock, statements, read: Box::new(move |answers| turn(read(answers)?)) }
    }

    /// The statements that the shell sends.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The lock that the transaction takes.
    #[must_use]
    pub fn lock(&self) -> Lock {
        self.lock
    }

    /// The answer in what the database sent, one [`Rows`] for each statement.
    ///
    /// # Errors
    /// [`Error::StoreShape`] for rows of another shape, and whatever the answer means by itself, such as
    /// [`Error::NotFound`].
    pub fn read(self, answers: Vec<Rows>) -> Result<T> {
        let mut answers = answers.into_iter();
        let answer = (self.read)(&mut answers)?;
        if answers.next().is_some() {
            return Err(Error::StoreShape("more answers than statements"));
        }
        Ok(answer)
    }
}

impl FromIterator<Self> for Query<()> {
    fn from_iter<I: IntoIterator<Item = Self>>(queries: I) -> Self {
        queries.into_iter().fold(Self::nothing(), Query::with)
    }
}

// === impl Change ===

impl Change {
    pub(super) fn of(statement: Statement) -> Self {
        Self(Query::writing(statement).affected())
    }

    /// Runs `statement`, which looks at `changes()`, after the ones before it.
    pub(super) fn then(self, statement: Statement) -> Self {
        Self(self.0.with(Query::writing(statement).done()))
    }

    /// How many rows the first statement changed.
    pub(super) fn affected(self) -> Query<u64> {
        self.0
    }

    /// Nothing: it is enough that the statements ran.
    pub(super) fn done(self) -> Query<()> {
        self.0.map(drop)
    }
}

/// `-- name`, at the start of a statement.
fn name_of(sql: &'static str) -> &'static str {
    sql.lines().next().and_then(|line| line.strip_prefix("-- ")).unwrap_or("a statement without a name")
}

#[cfg(test)]
mod tests {
    use super::super::column;
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum State {
        Queued,
        Done,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Job {
        key: String,
        number: u64,
        state: State,
        error: Option<String>,
        is_old: bool,
        score: f64,
        #[serde(deserialize_with = "column::json_or_default")]
        result: Vec<u32>,
        #[serde(deserialize_with = "column::time")]
        at: String,
    }

    fn jobs() -> Query<Vec<Job>> {
        Query::reading(Statement { sql: "-- jobs\nSELECT", args: Vec::new() }).rows()
    }

    fn revive() -> Query<u64> {
        Query::writing(Statement { sql: "-- revive\nUPDATE", args: Vec::new() }).affected()
    }

    fn job(number: i64) -> Rows {
        // In another order than the struct's, as SQL may have it.
        let columns = ["number", "key", "state", "error", "result", "is_old", "score", "at"];
        let text = |text: &str| Value::Text(text.to_owned());
        Rows {
            columns: columns.map(str::to_owned).into(),
            rows: vec![vec![
                Value::Integer(number),
                text("o/r#7@a"),
                text("queued"),
                Value::Null,
                text("[1]"),
                Value::Integer(1),
                Value::Integer(1),
                Value::Integer(0),
            ]],
            affected: 0,
        }
    }

    #[test]
    fn rows_are_read_by_the_names_of_their_columns_and_two_questions_share_a_round_trip() {
        let both = jobs().and(revive());
        assert_eq!((both.statements().len(), both.lock()), (2, Lock::Write));
        let (jobs, revived) = both.read(vec![job(7), Rows { affected: 2, ..Rows::default() }]).unwrap();
        let expected = Job {
            key: "o/r#7@a".into(),
            number: 7,
            state: State::Queued,
            error: None,
            is_old: true,
            score: 1.0,
            result: vec![1],
            at: "1970-01-01T00:00:00Z".into(),
        };
        assert_eq!((jobs, revived), (vec![expected], 2));
    }

    #[test]
    fn a_question_that_only_reads_takes_no_write_lock() {
        assert_eq!(jobs().and(jobs()).lock(), Lock::Read);
        assert_eq!(jobs().with(revive().map(drop)).lock(), Lock::Write);
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error_that_names_the_statement() {
        assert_eq!(jobs().read(Vec::new()), Err(Error::StoreShape("jobs")));
        assert_eq!(jobs().read(vec![job(-7)]), Err(Error::StoreShape("jobs")));
        let too_many = vec![Rows::default(), Rows::default()];
        assert_eq!(revive().read(too_many), Err(Error::StoreShape("more answers than statements")));
        let mut unnamed = job(7);
        unnamed.columns.clear();
        assert_eq!(jobs().read(vec![unnamed]), Err(Error::StoreShape("jobs")));
    }

    #[test]
    fn a_change_answers_for_its_first_statement() {
        let statement = |sql| Statement { sql, args: Vec::new() };
        let change = Change::of(statement("-- change")).then(statement("-- count"));
        let query = change.affected();
        assert_eq!(query.statements().len(), 2);
        let answers = [5, 1].map(|affected| Rows { affected, ..Rows::default() });
        assert_eq!(query.read(answers.into()), Ok(5));
    }
}
