//! The histograms of recent inferences, for measuring drift. A window holds the last inferences of one model.

use super::query::{Query, Value};
use super::{scope_param, statement, text};
use crate::access::Scope;
use crate::drift::{BLOCK, WINDOW_BLOCKS, Window};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The feature whose histogram counts each inference once.
const PREDICTION: &str = "prediction";

const DRIFT_WINDOW: &str = "-- drift_window
SELECT ((SELECT MAX(id) FROM inferences) / ?2 - block) / ?3 AS ago, feature, bin, SUM(count) AS count FROM drift_cells
WHERE model_version = ?1 AND block > (SELECT MAX(id) FROM inferences) / ?2 - ?3 * ?4
  AND (?5 IS NULL OR installation_id = ?5) GROUP BY ago, feature, bin";

const WINDOW_STARTS: &str = "-- window_starts
SELECT ((SELECT MAX(id) FROM inferences) / ?1 - id / ?1) / ?2 AS ago,
  MIN(timestamp) AS first, MAX(timestamp) AS last FROM inferences
WHERE id / ?1 > (SELECT MAX(id) FROM inferences) / ?1 - ?2 * ?3 AND (?4 IS NULL OR installation_id = ?4) GROUP BY ago";

#[derive(Deserialize)]
struct CellRow {
    ago: u32,
    feature: String,
    bin: u32,
    count: u64,
}

#[derive(Deserialize)]
struct TimesRow {
    ago: u32,
    first: i64,
    last: i64,
}

/// The histograms of the last inferences of `model_version`.
pub fn window(scope: Scope, model_version: &str) -> Query<Window> {
    windows(scope, model_version, 1).map(|mut windows| windows.remove(&0).unwrap_or_default())
}

/// The histograms of the last `count` windows, by how many windows ago they were. Every inference has a prediction, so the
/// sum of those is a window's size.
pub fn windows(scope: Scope, model_version: &str, count: u32) -> Query<BTreeMap<u32, Window>> {
    let args = [
        text(model_version),
        Value::Integer(BLOCK),
        Value::Integer(WINDOW_BLOCKS),
        Value::Integer(i64::from(count)),
        scope_param(scope),
    ];
    Query::reading(statement(DRIFT_WINDOW, args)).rows().map(|cells: Vec<CellRow>| {
        let mut windows: BTreeMap<u32, Window> = BTreeMap::new();
        for CellRow { ago, feature, bin, count } in cells {
            let window = windows.entry(ago).or_default();
            if feature == PREDICTION {
                window.n += count;
            }
            window.count(feature, bin, count);
        }
        windows
    })
}

/// The Unix seconds of the first and the last inference of each of the last `count` windows, by how many windows ago.
pub fn window_times(scope: Scope, count: u32) -> Query<BTreeMap<u32, (i64, i64)>> {
    let args = [
        Value::Integer(BLOCK),
        Value::Integer(WINDOW_BLOCKS),
        Value::Integer(i64::from(count)),
        scope_param(scope),
    ];
    let times = Query::reading(statement(WINDOW_STARTS, args)).rows::<TimesRow>();
    times.map(|times| times.into_iter().map(|row| (row.ago, (row.first, row.last))).collect())
}
