//! `sentinel tables`: the names and orders that training shares with this program.

use crate::learn::evaluation::controls::BAG_BITS;
use crate::review::tokenizer::{AT_MAX, SHIFT_MAX};
use anyhow::Result;
use clap::Args;
use sentinel_shared::failure::FailureClass;
use sentinel_shared::features::{BLOCKS, FLAGS, LAYOUT_VERSION, NUMERICS, ONE_HOT_COLUMNS, WIDTH};
use sentinel_shared::review::language::Language;
use sentinel_shared::review::{Category, Severity};
use serde_json::{Value, json};

/// Print the columns, classes, severities, categories and languages that a model is trained for, as JSON.
///
/// `training/` reads them from its copy of this output, so that no table is typed twice.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sentinel tables > training/sentinel_shared/tables.json")]
pub(super) struct Tables {}

impl Tables {
    pub(super) fn run(self) -> Result<()> {
        stdout!("{}", text()?.trim_end());
        Ok(())
    }
}

fn text() -> Result<String> {
    Ok(serde_json::to_string_pretty(&tables())? + "\n")
}

fn tables() -> Value {
    let blocks =
        BLOCKS.map(|block| json!({ "name": block.name, "start": block.start, "width": block.width }));
    json!({
        "failure": {
            "layout_version": LAYOUT_VERSION,
            "width": WIDTH,
            "blocks": blocks,
            "numerics": NUMERICS,
            // The field and the level of each column.
            "categories": ONE_HOT_COLUMNS,
            "flags": FLAGS,
            "classes": FailureClass::ALL.map(FailureClass::name),
        },
        "review": {
            "severities": Severity::ALL.map(Severity::label),
            "categories": Category::ALL.map(Category::label),
            "languages": Language::ALL.map(Language::name),
            // The largest powers of two of the marks `<at:…>` and `<shift:…>`.
            "at_max": AT_MAX,
            "shift_max": SHIFT_MAX,
            "bag_bits": BAG_BITS,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_reads_the_tables_of_this_build() {
        let copy = include_str!("../../../training/sentinel_shared/tables.json");
        let update = "run `sentinel tables > training/sentinel_shared/tables.json`";
        assert!(copy == text().unwrap(), "training/ has a copy of other tables: {update}");
    }
}
