//! The parameters of a request: its query, and small JSON bodies.

use crate::body;
use sentinel_shared::store::HISTORY_LIMIT;
use sentinel_shared::{Error, Result};
use std::ops::RangeInclusive;
use std::str::FromStr;
use worker::Request;

/// The rows of a list whose length is not asked for.
const HISTORY_DEFAULT: u32 = 100;
/// The largest small JSON body that is read.
pub(crate) const FORM_LIMIT_BYTES: usize = 16 * 1024;

/// The query of a request's URL, decoded. Of two parameters with one name, the first counts.
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn of(request: &Request) -> Self {
        Self(request.url().map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default())
    }

    /// The text of a parameter, if it is there.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The text of a parameter that must be there.
    pub(crate) fn needed(&self, name: &'static str) -> Result<&str> {
        self.text(name).ok_or(Error::ParameterMissing(name))
    }

    /// The value of a parameter, if it is there, as `read` understands it. `expected` says in the error what it must be.
    pub(crate) fn read<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let read = |text| read(text).ok_or(Error::ParameterInvalid { name, expected });
        self.text(name).map(read).transpose()
    }

    /// A whole number, if it is there.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<i64>> {
        self.read(name, "a whole number", |text| text.parse().ok())
    }

    /// A number within `range`, if it is there.
    pub(crate) fn within<T: FromStr + PartialOrd>(
        &self,
        name: &'static str,
        range: &RangeInclusive<T>,
        expected: &'static str,
    ) -> Result<Option<T>> {
        self.read(name, expected, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    /// The id of a row, which must be there.
    pub(crate) fn id(&self) -> Result<i64> {
        self.number("id")?.ok_or(Error::ParameterMissing("id"))
    }

    /// GitHub's id of a run, which must be there.
    pub(crate) fn run(&self) -> Result<u64> {
        let run = self.within("run", &(1..=i64::MAX.unsigned_abs()), "a positive whole number")?;
        run.ok_or(Error::ParameterMissing("run"))
    }

    /// The attempt of a run, if it is there.
    pub(crate) fn attempt(&self) -> Result<Option<u32>> {
        self.within("attempt", &(1..=u32::MAX), "a whole number from 1")
    }

    /// The number of rows that are asked for.
    pub(crate) fn limit(&self) -> Result<u32> {
        let asked = self.within("limit", &(1..=HISTORY_LIMIT), "a whole number from 1 to 1000")?;
        Ok(asked.unwrap_or(HISTORY_DEFAULT))
    }
}

/// Reads a small JSON body.
pub(crate) async fn form<T: serde::de::DeserializeOwned>(request: &mut Request) -> Result<T> {
    let body = body::read(request, FORM_LIMIT_BYTES).await?;
    serde_json::from_slice(&body).map_err(|error| Error::JsonInvalid(error.to_string()))
}
