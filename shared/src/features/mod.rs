//! Turns what is known about a failed run into 884 numbers in one fixed order.
//!
//! [`BLOCKS`] is the order. A change of it changes [`LAYOUT_VERSION`], and a bundle of another version does not load.
//! Each block computes what the scikit-learn transformer of its name computes (golden vectors in
//! `tests/fixtures/golden`), so the Python side never computes a feature.

mod branches;
mod hasher;
mod one_hot;
mod patterns;
mod scaler;
#[cfg(test)]
mod signatures;
mod telemetry;
mod tfidf;

pub use branches::Branch;
pub use hasher::{HASH_WIDTH, murmur3_32};
pub use one_hot::{COLUMNS as ONE_HOT_COLUMNS, Categories};
pub use patterns::{ADVICE_MAX, Pattern, Patterns};
pub use scaler::{NUMERICS, Scaler};
pub use telemetry::{FLAGS, JobEvidence, Telemetry, ci_tool_of_log, language_of_text};
pub use tfidf::{Tfidf, VOCABULARY_WIDTH};

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The number of features in a [`FeatureVector`].
pub const WIDTH: usize = 884;
/// The version of the order of the columns. Every `features.json` holds it.
pub const LAYOUT_VERSION: u32 = 1;

/// A run of columns made by one transformer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The name of the block.
    pub name: &'static str,
    /// The index of the first column.
    pub start: usize,
    /// The number of columns in the block.
    pub width: usize,
}

/// The order of the columns. The model is trained on it, so another order needs another model.
pub const BLOCKS: [Block; 5] = [
    Block { name: "numerics", start: 0, width: NUMERICS.len() },
    Block { name: "identity", start: 6, width: HASH_WIDTH },
    Block { name: "text", start: 262, width: VOCABULARY_WIDTH },
    Block { name: "categories", start: 862, width: ONE_HOT_COLUMNS.len() },
    Block { name: "flags", start: 881, width: 3 },
];

const _: () = {
    let mut column = 0;
    let mut block = 0;
    while block < BLOCKS.len() {
        assert!(BLOCKS[block].start == column, "blocks follow each other without a gap");
        column += BLOCKS[block].width;
        block += 1;
    }
    assert!(column == WIDTH, "blocks fill the vector");
};

/// 884 features; a missing measurement is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureVector(Box<[f32]>);

/// The fitted transformers: everything between [`Telemetry`] and a [`FeatureVector`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pipeline {
    /// [`LAYOUT_VERSION`] at the time of fitting.
    pub layout_version: u32,
    /// Scales the numeric features.
    pub scaler: Scaler,
    /// Weighs the words of the text.
    pub tfidf: Tfidf,
}

// === impl FeatureVector ===

impl FeatureVector {
    /// Makes a vector from exactly [`WIDTH`] numbers.
    ///
    /// # Errors
    /// [`Error::ParameterInvalid`] for any other length.
    pub fn new(values: Vec<f32>) -> Result<Self> {
        if values.len() == WIDTH {
            Ok(Self(values.into_boxed_slice()))
        } else {
            Err(Error::ParameterInvalid { name: "features", expected: "884 numbers" })
        }
    }

    /// The numbers, in layout order.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

// === impl Pipeline ===

impl Pipeline {
    /// Checks what serde can't: that this was fitted for the layout compiled in.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`].
    pub fn validate(&self) -> Result<()> {
        if self.layout_version != LAYOUT_VERSION {
            let found = self.layout_version;
            return Err(Error::ModelInvalid(format!(
                "feature layout {found}, this build has {LAYOUT_VERSION}"
            )));
        }
        self.tfidf.validate()
    }

    /// Computes the feature vector of `telemetry`.
    #[must_use]
    pub fn transform(&self, telemetry: &Telemetry) -> FeatureVector {
        let mut values = vec![0f32; WIDTH];
        let (numerics, rest) = values.split_at_mut(BLOCKS[1].start);
        let (identity, rest) = rest.split_at_mut(BLOCKS[1].width);
        let (text, rest) = rest.split_at_mut(BLOCKS[2].width);
        let (categories, flags) = rest.split_at_mut(BLOCKS[3].width);
        self.scaler.transform(&telemetry.numerics(), numerics);
        hasher::transform(&telemetry.repository, &telemetry.author, identity);
        self.tfidf.transform(&telemetry.text, text);
        one_hot::transform(&telemetry.categories, categories);
        for (column, flag) in flags.iter_mut().zip(telemetry.flags()) {
            *column = f32::from(u8::from(flag));
        }
        FeatureVector(values.into_boxed_slice())
    }

    /// What a column means, for people.
    #[must_use]
    pub fn name(&self, column: usize) -> String {
        let block = BLOCKS.iter().rev().find(|block| column >= block.start).unwrap_or(&BLOCKS[0]);
        let within = column - block.start;
        match block.name {
            "numerics" => NUMERICS[within].to_owned(),
            "identity" => format!("repository/author hash {within}"),
            "text" => self.tfidf.term(within).unwrap_or("unused").to_owned(),
            "categories" => {
                let (field, level) = ONE_HOT_COLUMNS[within];
                format!("{field}={level}")
            }
            _ => telemetry::FLAGS[within].to_owned(),
        }
    }
}
