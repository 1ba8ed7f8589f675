//! The account of a review: hunks seen = hunks reviewed + hunks skipped, each with its reason.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The counts of one review. They always add up: see [`Receipt::is_balanced`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The number of files that the pull request changes.
    pub files_seen: u32,
    /// The number of files of which at least one hunk was reviewed.
    pub files_reviewed: u32,
    /// The number of files of which no hunk was reviewed, by reason.
    pub files_skipped: BTreeMap<Skip, u32>,
    /// The number of hunks in the diffs that could be read.
    pub hunks_seen: u32,
    /// The number of hunks that the model and the checks saw whole.
    pub hunks_reviewed: u32,
    /// The number of the other hunks, by reason.
    pub hunks_skipped: BTreeMap<Skip, u32>,
    /// The number of lines that the reviewed hunks add.
    pub lines_added: u32,
}

/// Why a file or a hunk was not reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// The policy or its defaults exclude it: vendored code, lock files, snapshots.
    Ignored,
    /// A program wrote the file.
    Generated,
    /// The file is not text.
    Binary,
    /// The pull request removes the file.
    Removed,
    /// Only its name or mode changed.
    NoChange,
    /// The model has not learned the language.
    Language,
    /// The hunk adds no line.
    NothingAdded,
    /// GitHub gives no patch for it, because the diff is too large.
    NoPatch,
    /// The patch of the file cannot be parsed.
    Unreadable,
    /// The file comes after the first [`super::plan::FILES_MAX`] files, or after GitHub's 3,000.
    TooManyFiles,
    /// The hunk comes after the first [`super::plan::HUNKS_MAX`] hunks.
    TooManyHunks,
    /// The hunk comes after the first [`super::plan::TOKENS_MAX`] tokens of the review.
    TooMuchText,
    /// The time for one review was over.
    OutOfTime,
}

// === impl Receipt ===

impl Receipt {
    /// Whether every file and hunk is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let sum = |counts: &BTreeMap<Skip, u32>| counts.values().sum::<u32>();
        self.files_seen == self.files_reviewed + sum(&self.files_skipped)
            && self.hunks_seen == self.hunks_reviewed + sum(&self.hunks_skipped)
    }

    /// Whether something was left out that a reader would expect to be reviewed.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.files_skipped.keys().chain(self.hunks_skipped.keys()).any(|reason| reason.is_a_gap())
    }
}

// === impl Skip ===

impl Skip {
    /// The name in a receipt and on a metric.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Generated => "generated",
            Self::Binary => "binary",
            Self::Removed => "removed",
            Self::NoChange => "no_change",
            Self::Language => "language",
            Self::NothingAdded => "nothing_added",
            Self::NoPatch => "no_patch",
            Self::Unreadable => "unreadable",
            Self::TooManyFiles => "too_many_files",
            Self::TooManyHunks => "too_many_hunks",
            Self::TooMuchText => "too_much_text",
            Self::OutOfTime => "out_of_time",
        }
    }

    /// The text for readers of the summary.
    #[must_use]
    pub fn explained(self) -> &'static str {
        match self {
            Self::Ignored => "left out by the policy",
            Self::Generated => "generated",
            Self::Binary => "binary",
            Self::Removed => "removed",
            Self::NoChange => "renamed or mode changed only",
            Self::Language => "in a language the model has not learned",
            Self::NothingAdded => "adding nothing",
            Self::NoPatch => "too large for GitHub to show",
            Self::Unreadable => "with an unreadable patch",
            Self::TooManyFiles => "over the limit of files",
            Self::TooManyHunks => "over the limit of hunks",
            Self::TooMuchText => "over the limit of text that one review reads",
            Self::OutOfTime => "left when the time was over",
        }
    }

    fn is_a_gap(self) -> bool {
        matches!(
            self,
            Self::NoPatch
                | Self::Unreadable
                | Self::TooManyFiles
                | Self::TooManyHunks
                | Self::TooMuchText
                | Self::OutOfTime
        )
    }
}
