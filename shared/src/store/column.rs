//! How columns are read that SQLite has no type for, for `#[serde(deserialize_with = "column::…")]`. Each function also
//! reads what the JSON of the same struct has in that place, so that one struct is both a row and a wire type.

use crate::github;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Seconds(i64),
    Rfc3339(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Json<T> {
    Text(String),
    Here(T),
}

/// Reads Unix seconds as RFC 3339.
pub(crate) fn time<'de, D: Deserializer<'de>>(column: D) -> Result<String, D::Error> {
    Time::deserialize(column).map(Time::rfc3339)
}

/// Reads Unix seconds as RFC 3339, or NULL.
pub(crate) fn optional_time<'de, D: Deserializer<'de>>(column: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Time>::deserialize(column)?.map(Time::rfc3339))
}

/// Reads the JSON in a TEXT column.
pub(crate) fn json<'de, T: DeserializeOwned, D: Deserializer<'de>>(column: D) -> Result<T, D::Error> {
    match Json::deserialize(column)? {
        Json::Text(text) => serde_json::from_str(&text).map_err(D::Error::custom),
        Json::Here(value) => Ok(value),
    }
}

/// Reads the JSON in a TEXT column. Returns the default if there is none, or if another version stored it in another
/// shape.
pub(crate) fn json_or_default<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    column: D,
) -> Result<T, D::Error> {
    Ok(match Option::<Json<T>>::deserialize(column)? {
        None => T::default(),
        Some(Json::Text(text)) => serde_json::from_str(&text).unwrap_or_default(),
        Some(Json::Here(value)) => value,
    })
}

impl Time {
    fn rfc3339(self) -> String {
        match self {
            Self::Seconds(seconds) => github::rfc3339(seconds),
            Self::Rfc3339(text) => text,
        }
    }
}
