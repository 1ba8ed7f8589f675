//! Decides which hunks of a pull request are read, and records the reason for each one that is not.

use super::language::Language;
use super::policy::Policy;
use super::receipt::{Receipt, Skip};
use crate::diff::{self, FileDiff, Hunk};

/// The largest number of files in one review. A larger change is reviewed in part, and the review says so.
pub const FILES_MAX: usize = 300;
/// The largest number of hunks in one review.
pub const HUNKS_MAX: usize = 1000;
/// The largest number of tokens in one review, about 9,000 lines of code. Two CPU cores read them in some 4 s, so two
/// pull requests of this size in both workers of a node end after some 8 s, and one that waits behind them has its
/// review within 30 s even where the machine is three times as slow.
pub const TOKENS_MAX: usize = 98_304;
/// The number of lines at the top of a new file in which a generator's mark is searched for.
const GENERATED_WITHIN_LINES: usize = 10;

/// A changed file, from a diff or from GitHub's API.
#[derive(Debug)]
pub struct ChangedFile<'a> {
    /// The path in the new tree, or in the old tree if the file was removed.
    pub path: &'a str,
    /// The readable content of the file.
    pub content: Content<'a>,
}

/// The readable content of a file.
#[derive(Debug)]
pub enum Content<'a> {
    /// The hunks of the file that are reviewed.
    Hunks(Vec<Hunk<'a>>),
    /// The file is not read, for this reason.
    Nothing(Skip),
}

/// The hunks to review, and the reasons why the others are not.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The hunks to review, in the order of the diff.
    pub hunks: Vec<Planned<'a>>,
    /// For every file the reason why it is not reviewed, as far as it is known before the review.
    files: Vec<Option<Skip>>,
    /// Hunks that are not in `hunks`.
    left_out: Receipt,
}

/// One hunk to review.
#[derive(Debug)]
pub struct Planned<'a> {
    /// In the new tree.
    pub path: &'a str,
    /// The language, chosen by the file's path.
    pub language: Language,
    /// The whole hunk. It is cut to the model's length later.
    pub hunk: Hunk<'a>,
    file: usize,
}

// === impl Planned ===

impl Planned<'_> {
    /// Estimates the number of tokens in the hunk: one for every four bytes, and one mark for each line.
    #[must_use]
    pub fn estimated_tokens(&self) -> usize {
        let lines = self.hunk.lines.iter().map(|line| line.text.len().min(1024) / 4 + 1);
        16 + self.path.len().min(128) / 4 + lines.sum::<usize>()
    }
}

// === impl ChangedFile ===

impl<'a> ChangedFile<'a> {
    /// A file of a parsed diff.
    #[must_use]
    pub fn of_diff(file: &'a FileDiff<'a>) -> Self {
        let content = match file {
            FileDiff { binary: true, .. } => Content::Nothing(Skip::Binary),
            FileDiff { new_path: None, .. } => Content::Nothing(Skip::Removed),
            FileDiff { hunks, .. } if hunks.is_empty() => Content::Nothing(Skip::NoChange),
            FileDiff { hunks, .. } => Content::Hunks(hunks.clone()),
        };
        Self { path: file.path(), content }
    }

    /// A file of `GET /repos/{owner}/{repo}/pulls/{number}/files`, where `patch` is missing for a binary file, a
    /// rename without change, and a diff that is too large.
    #[must_use]
    pub fn of_github(path: &'a str, status: &str, changes: u64, patch: Option<&'a str>) -> Self {
        let content = match (status, patch) {
            ("removed", _) => Content::Nothing(Skip::Removed),
            (_, Some(patch)) => match diff::parse_patch(patch) {
                Ok(hunks) if hunks.is_empty() => Content::Nothing(Skip::NoChange),
                Ok(hunks) => Content::Hunks(hunks),
                Err(_) => Content::Nothing(Skip::Unreadable),
            },
            ("renamed" | "unchanged" | "copied", None) if changes == 0 => Content::Nothing(Skip::NoChange),
            // GitHub counts no changed line in a binary file, nor in an empty one.
            (_, None) if changes == 0 => Content::Nothing(Skip::Binary),
            (_, None) => Content::Nothing(Skip::NoPatch),
        };
        Self { path, content }
    }
}

// === impl Plan ===

impl<'a> Plan<'a> {
    /// Decides about every file and hunk. `unlisted` is how many more files the pull request changes than GitHub
    /// lists.
    #[must_use]
    pub fn new(files: Vec<ChangedFile<'a>>, unlisted: usize, policy: &Policy) -> Self {
        let mut plan = Self { hunks: Vec::new(), files: Vec::new(), left_out: Receipt::default() };
        let mut wanted = 0;
        for ChangedFile { path, content } in files {
            let hunks = match content {
                Content::Nothing(reason) => {
                    plan.files.push(Some(reason));
                    continue;
                }
                Content::Hunks(hunks) => hunks,
            };
            let language = Language::of_path(path);
            let reason = if policy.ignores(path) {
                Some(Skip::Ignored)
            } else if is_generated(&hunks) {
                Some(Skip::Generated)
            } else if language.is_none() {
                Some(Skip::Language)
            } else if wanted == FILES_MAX {
                Some(Skip::TooManyFiles)
            } else {
                None
            };
            let file = plan.files.len();
            plan.files.push(reason);
            let Some(language) = language.filter(|_| reason.is_none()) else {
                plan.leave_out(reason.unwrap_or(Skip::Language), hunks.len());
                continue;
            };
            wanted += 1;
            plan.take(path, language, file, hunks);
        }
        plan.files.extend(std::iter::repeat_n(Some(Skip::TooManyFiles), unlisted));
        plan
    }

    /// The order in which hunks are read: the smallest first. If a review cannot read everything, it then leaves out as
    /// few hunks as possible, and rather new files of thousands of lines than changes of existing code.
    #[must_use]
    pub fn reading_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.hunks.len()).collect();
        order.sort_by_cached_key(|at| self.hunks[*at].estimated_tokens());
        order
    }

    /// Estimates the number of tokens in all hunks.
    #[must_use]
    pub fn estimated_tokens(&self) -> usize {
        self.hunks.iter().map(Planned::estimated_tokens).sum()
    }

    /// The receipt of the review. `outcomes` holds for each of [`Plan::hunks`] the reason why it was not reviewed after
    /// all, if there is one.
    #[must_use]
    pub fn receipt(&self, outcomes: &[Option<Skip>]) -> Receipt {
        let mut receipt = self.left_out.clone();
        let mut files = self.files.clone();
        let mut reviewed = vec![false; files.len()];
        for (planned, outcome) in self.hunks.iter().zip(outcomes) {
            receipt.hunks_seen += 1;
            match outcome {
                None => {
                    receipt.hunks_reviewed += 1;
                    receipt.lines_added += u32::try_from(planned.hunk.added().count()).unwrap_or(u32::MAX);
                    reviewed[planned.file] = true;
                }
                Some(reason) => {
                    *receipt.hunks_skipped.entry(*reason).or_default() += 1;
                    files[planned.file].get_or_insert(*reason);
                }
            }
        }
        for (reason, reviewed) in files.into_iter().zip(reviewed) {
            receipt.files_seen += 1;
            if reviewed {
                receipt.files_reviewed += 1;
            } else {
                // A file whose hunks all add nothing has no reason of its own.
                *receipt.files_skipped.entry(reason.unwrap_or(Skip::NothingAdded)).or_default() += 1;
            }
        }
        receipt
    }

    fn take(&mut self, path: &'a str, language: Language, file: usize, hunks: Vec<Hunk<'a>>) {
        for hunk in hunks {
            if hunk.added().next().is_none() {
                self.leave_out(Skip::NothingAdded, 1);
            } else if self.hunks.len() == HUNKS_MAX {
                self.leave_out(Skip::TooManyHunks, 1);
                self.files[file] = Some(Skip::TooManyHunks);
            } else {
                self.hunks.push(Planned { path, language, hunk, file });
            }
        }
    }

    fn leave_out(&mut self, reason: Skip, hunks: usize) {
        let hunks = u32::try_from(hunks).unwrap_or(u32::MAX);
        self.left_out.hunks_seen += hunks;
        if hunks > 0 {
            *self.left_out.hunks_skipped.entry(reason).or_default() += hunks;
        }
    }
}

/// Whether the top of a new file says that a program wrote it
/// (<https://go.dev/s/generatedcode>, and `@generated` as many other tools write it).
fn is_generated(hunks: &[Hunk<'_>]) -> bool {
    let Some(first) = hunks.first().filter(|hunk| hunk.new_start == 1) else { return false };
    first.lines.iter().take(GENERATED_WITHIN_LINES).any(|line| {
        let text = line.text;
        text.contains("@generated")
            || text.contains("DO NOT EDIT")
            || text.contains("<auto-generated")
            || text.contains("Generated by the protocol buffer compiler")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_file_is_planned_or_has_its_reason() {
        let text = "@@ -0,0 +1 @@\n+x\n";
        let files = vec![
            ChangedFile::of_github("src/a.rs", "added", 1, Some(text)),
            ChangedFile::of_github("Cargo.lock", "modified", 1, Some(text)),
            ChangedFile::of_github("notes.txt", "modified", 1, Some(text)),
            ChangedFile::of_github("src/big.rs", "modified", 90_000, None),
            ChangedFile::of_github("logo.png", "modified", 0, None),
            ChangedFile::of_github("src/b.rs", "renamed", 0, None),
            ChangedFile::of_github("src/c.rs", "removed", 3, Some("@@ -1 +0,0 @@\n-x\n")),
            ChangedFile::of_github("src/d.rs", "modified", 1, Some("not a patch")),
            ChangedFile::of_github(
                "src/e.go",
                "added",
                1,
                Some("@@ -0,0 +1 @@\n+// Code generated by x. DO NOT EDIT.\n"),
            ),
            ChangedFile::of_github("src/f.rs", "modified", 1, Some("@@ -1,2 +1 @@\n-x\n y\n")),
        ];
        let plan = Plan::new(files, 2, &Policy::default());
        let receipt = plan.receipt(&[None]);
        assert!(receipt.is_balanced() && receipt.is_partial());
        assert_eq!((receipt.files_seen, receipt.files_reviewed, receipt.hunks_reviewed), (12, 1, 1));
        let reasons: Vec<(&str, u32)> =
            receipt.files_skipped.iter().map(|(skip, n)| (skip.label(), *n)).collect();
        assert_eq!(
            reasons,
            [
                ("ignored", 1),
                ("generated", 1),
                ("binary", 1),
                ("removed", 1),
                ("no_change", 1),
                ("language", 1),
                ("nothing_added", 1),
                ("no_patch", 1),
                ("unreadable", 1),
                ("too_many_files", 2),
            ]
        );
    }

    #[test]
    fn the_smallest_hunks_are_read_first_and_of_equals_the_first_of_the_diff() {
        let new_file = |lines: usize| format!("@@ -0,0 +1,{lines} @@\n{}", "+let x = 1;\n".repeat(lines));
        let patches = [new_file(8000), new_file(3), new_file(20), new_file(3)];
        let names = ["a.rs", "b.rs", "c.rs", "d.rs"];
        let files = names.iter().zip(&patches);
        let files = files.map(|(name, patch)| ChangedFile::of_github(name, "added", 1, Some(patch)));
        let plan = Plan::new(files.collect(), 0, &Policy::default());
        assert_eq!(plan.reading_order(), [1, 3, 2, 0]);
        // What was not read has its reason, and the review is partial.
        let receipt = plan.receipt(&[Some(Skip::TooMuchText), None, None, None]);
        assert!(receipt.is_balanced() && receipt.is_partial());
        assert_eq!(receipt.hunks_skipped.get(&Skip::TooMuchText), Some(&1));
    }

    proptest! {
        #[test]
        fn what_is_seen_is_what_is_reviewed_and_what_is_skipped(
            files in proptest::collection::vec((0usize..6, 0usize..4), 0..400),
            failed in proptest::collection::vec(any::<bool>(), 1600),
            unlisted in 0usize..5,
        ) {
            let paths = ["a.rs", "b.py", "Cargo.lock", "x.txt", "vendor/y.go", "z.ts"];
            let hunk = "@@ -1 +1,2 @@\n x\n+y\n";
            let removing = "@@ -1,2 +1 @@\n x\n-y\n";
            let patches: Vec<String> = files.iter().map(|(_, hunks)| match hunks {
                0 => removing.to_owned(),
                n => hunk.repeat(*n),
            }).collect();
            let changed = files.iter().zip(&patches).map(|((path, _), patch)| {
                ChangedFile::of_github(paths[*path], "modified", 1, Some(patch))
            });
            let plan = Plan::new(changed.collect(), unlisted, &Policy::default());
            let outcomes: Vec<Option<Skip>> =
                plan.hunks.iter().zip(failed).map(|(_, failed)| failed.then_some(Skip::OutOfTime)).collect();
            let receipt = plan.receipt(&outcomes);
            prop_assert!(receipt.is_balanced(), "{receipt:?}");
            prop_assert_eq!(receipt.files_seen as usize, files.len() + unlisted);
        }
    }
}
