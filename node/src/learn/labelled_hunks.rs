//! Labelled hunks, one JSON object per line. The review model is trained and scored on them.

use anyhow::{Context, Result};
use sentinel_shared::diff::{Hunk, parse_patch};
use sentinel_shared::review::language::Language;
use sentinel_shared::review::{Category, Severity};
use serde::{Deserialize, Serialize};

/// One hunk with its label in hindsight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabelledHunk {
    /// The repository as `owner/name`; used for reports and splits only.
    pub repo: String,
    /// The path in the new tree.
    pub path: String,
    /// The unified hunk, with its `@@` line first.
    pub hunk: String,
    /// The severity of the repair; `none` if nothing was repaired.
    pub severity: String,
    /// The category of the repair; `other` if nothing was repaired.
    pub category: String,
    /// The repaired lines, counted from 0 after the `@@` line.
    #[serde(default)]
    pub lines: Vec<usize>,
    /// How certain the label is, from 1 to 3.
    #[serde(default)]
    pub conf: u32,
}

/// The part of a record that a model may see. It contains nothing from hindsight.
#[derive(Debug)]
pub struct Input<'a> {
    /// In the new tree.
    pub path: &'a str,
    /// The language, chosen by the file's path.
    pub language: Language,
    /// The hunk that is labelled.
    pub hunk: Hunk<'a>,
}

/// The category and severity of a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair {
    /// The severity of the repair that followed.
    pub severity: Severity,
    /// The aspect that the repair was about.
    pub category: Category,
}

impl LabelledHunk {
    /// The model's input; None if the model has not learned the language.
    ///
    /// # Errors
    /// The hunk cannot be parsed.
    pub fn input(&self) -> Result<Option<Input<'_>>> {
        let Some(language) = Language::of_path(&self.path) else { return Ok(None) };
        let mut hunks = parse_patch(&self.hunk).context("the field hunk")?.into_iter();
        let hunk = hunks.next().context("the field hunk is empty")?;
        anyhow::ensure!(hunks.next().is_none(), "the field hunk holds more than one");
        Ok(Some(Input { path: &self.path, language, hunk }))
    }

    /// The repair; None if nothing was repaired.
    ///
    /// # Errors
    /// An unknown severity or category.
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
