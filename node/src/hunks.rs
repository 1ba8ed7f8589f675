//! Labelled hunks, one JSON object per line. The review model is trained and scored on them.

use anyhow::{Context, Result};
use sentinel_shared::diff::{Hunk, parse_patch};
use sentinel_shared::review::language::Language;
use sentinel_shared::review::{Category, Severity};
use serde::{Deserialize, Serialize};

/// One hunk, and what hindsight says of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// `owner/name`; for reporting and splitting only.
    pub repo: String,
    /// In the new tree.
    pub path: String,
    /// Unified, its `@@` line first.
    pub hunk: String,
    /// `none` where nothing was mended.
    pub severity: String,
    /// `other` where nothing was mended.
    pub category: String,
    /// Which lines were mended: from 0, after the `@@` line.
    #[serde(default)]
    pub lines: Vec<usize>,
    /// How sure the label is, 1 to 3.
    #[serde(default)]
    pub conf: u32,
}

/// What a model may see of a record: nothing that hindsight knows.
#[derive(Debug)]
pub struct Input<'a> {
    /// In the new tree.
    pub path: &'a str,
    /// The language, chosen by the file's path.
    pub language: Language,
    /// The hunk that is labelled.
    pub hunk: Hunk<'a>,
}

/// What was mended, and how much it mattered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair {
    /// The severity of the repair that followed.
    pub severity: Severity,
    /// The aspect that the repair was about.
    pub category: Category,
}

impl Record {
    /// The model's view, or None where it has learned no such language.
    ///
    /// # Errors
    /// A hunk that is none.
    pub fn input(&self) -> Result<Option<Input<'_>>> {
        let Some(language) = Language::of_path(&self.path) else { return Ok(None) };
        let mut hunks = parse_patch(&self.hunk).context("the field hunk")?.into_iter();
        let hunk = hunks.next().context("the field hunk is empty")?;
        anyhow::ensure!(hunks.next().is_none(), "the field hunk holds more than one");
        Ok(Some(Input { path: &self.path, language, hunk }))
    }

    /// What hindsight says; None where nothing was mended.
    ///
    /// # Errors
    /// Names that are not ours.
    pub fn repair(&self) -> Result<Option<Repair>> {
        if self.severity == "none" {
            return Ok(None);
        }
        let severity =
            Severity::parse(&self.severity).with_context(|| format!("severity {}", self.severity))?;
        let category =
            Category::parse(&self.category).with_context(|| format!("category {}", self.category))?;
        Ok(Some(Repair { severity, category }))
    }
}
