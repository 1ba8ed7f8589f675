//! Whether a failure lies in what a pull request changes.

use super::quote::quoted;
use crate::diff::{Hunk, parse_patch};
use crate::facts::{Facts, PLACES_MAX, TESTS_MAX};
use crate::github::pulls::{ChangedFile, ChangedFiles};
use crate::redact::redact;
use crate::text;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The longest patch that is read, in bytes. GitHub leaves out longer ones.
const PATCH_BYTES_MAX: usize = 1024 * 1024;
/// The longest path that is told, in characters.
const PATH_CHARS: usize = 200;

/// How a failure is related to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// None of its places is in a file that the change touches.
    Elsewhere,
    /// One of its places is in a file that the change touches.
    TouchedFile,
    /// One of its places is a line that the change adds.
    AddedLine,
}

/// How a failure is related to the change of its pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The relation of the place that is nearest to the change.
    pub relation: Relation,
    /// The file that the change touches, if it does.
    pub path: Option<String>,
    /// The line that the change adds, if it does.
    pub line: Option<u32>,
    /// The sentence for people, with names between backticks.
    pub sentence: String,
}

/// A place in the code: a path and, if it is known, a line.
pub(super) type Spot<'a> = (Cow<'a, str>, Option<u32>);

/// Where a path is among the changed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// At this index.
    File(usize),
    /// It may be one of several.
    Unclear,
    Nowhere,
}

// === impl Change ===

impl Change {
    /// How a failure with these facts is related to a change of these files. `commit` is the one that failed. None if the
    /// facts name no place, or if it can't be said.
    ///
    /// A list of another commit tells files and no lines, and neither such a list nor one that was cut tells that a file is
    /// not touched.
    #[must_use]
    pub fn of(facts: &Facts, files: &ChangedFiles, commit: &str) -> Option<Self> {
        let is_of_commit = files.is_of(commit);
        let (mut touched, mut is_unclear, mut is_anywhere) = (None, false, false);
        let mut patches = Patches::default();
        for (path, line) in spots(facts) {
            is_anywhere = true;
            match files.find(&path) {
                Found::Nowhere => {}
                Found::Unclear => is_unclear = true,
                Found::File(at) => {
                    let added = line.filter(|line| is_of_commit && patches.adds(&files.files[at], at, *line));
                    if let Some(line) = added {
                        return Some(Self::added_line(&files.files[at], line));
                    }
                    touched = touched.or(Some(at));
                }
            }
        }
        match touched {
            Some(at) => Some(Self::touched_file(&files.files[at])),
            None if is_anywhere && !is_unclear && files.is_whole && is_of_commit => Some(Self::elsewhere()),
            None => None,
        }
    }

    fn added_line(file: &ChangedFile, line: u32) -> Self {
        let path = shown(file);
        let at = quoted(&format!("{path}:{line}"), PATH_CHARS + 12);
        let sentence = format!("{at} is a line this change adds.");
        Self { relation: Relation::AddedLine, path: Some(path), line: Some(line), sentence }
    }

    fn touched_file(file: &ChangedFile) -> Self {
        let path = shown(file);
        let sentence = format!("{} is a file this change touches.", quoted(&path, PATH_CHARS));
        Self { relation: Relation::TouchedFile, path: Some(path), line: None, sentence }
    }

    fn elsewhere() -> Self {
        let sentence = "None of the places is in a file this change touches.".to_owned();
        Self { relation: Relation::Elsewhere, path: None, line: None, sentence }
    }
}

/// The places that facts name, those of errors first, then the files of failing tests. There are at most
/// [`PLACES_MAX`] and [`TESTS_MAX`].
pub(super) fn spots(facts: &Facts) -> impl Iterator<Item = Spot<'_>> {
    let places = facts.places.iter().take(PLACES_MAX);
    let places = places.map(|place| (Cow::Borrowed(place.path.as_str()), Some(place.line)));
    let tests = facts.failing_tests.iter().take(TESTS_MAX).filter_map(|test| test.file());
    places.chain(tests.map(|path| (Cow::Owned(path), None)))
}

/// Whether a path begins at a root, which is not that of the repository.
pub(super) fn is_rooted(path: &str) -> bool {
    path.starts_with(['/', '~']) || path.as_bytes().get(1) == Some(&b':')
}

fn shown(file: &ChangedFile) -> String {
    let path = redact(&file.filename);
    text::line(&path).chars().take(PATH_CHARS).collect()
}

// === impl ChangedFiles ===

impl ChangedFiles {
    /// The path in the repository of a changed file that a log calls `path`.
    pub(super) fn path_of(&self, path: &str) -> Option<&str> {
        match self.find(path) {
            Found::File(at) => Some(&self.files[at].filename),
            Found::Unclear | Found::Nowhere => None,
        }
    }

    /// The file with this path, or else the only one whose path ends with it. A path that begins at an unknown root may end
    /// with the file's, if that has a folder.
    fn find(&self, path: &str) -> Found {
        let whole =
            |file: &ChangedFile| file.filename == path || file.previous_filename.as_deref() == Some(path);
        if let Some(at) = self.files.iter().position(whole) {
            return Found::File(at);
        }
        let is_rooted = is_rooted(path);
        let by_end = |file: &ChangedFile| {
            let name = file.filename.as_str();
            if is_rooted { name.contains('/') && ends_with(path, name) } else { ends_with(name, path) }
        };
        let mut ends = self.files.iter().enumerate().filter(|(_, file)| by_end(file)).map(|(at, _)| at);
        match (ends.next(), ends.next()) {
            (Some(at), None) => Found::File(at),
            (Some(_), Some(_)) => Found::Unclear,
            (None, _) => Found::Nowhere,
        }
    }
}

/// Whether the last components of `path` are those of `end`.
fn ends_with(path: &str, end: &str) -> bool {
    !end.is_empty() && path.strip_suffix(end).is_some_and(|start| start.ends_with('/'))
}

/// The added lines of the files that were asked about.
#[derive(Default)]
struct Patches(Vec<(usize, Vec<u32>)>);

// === impl Patches ===

impl Patches {
    /// Whether the patch of `file`, which is the one at `at`, adds `line`.
    fn adds(&mut self, file: &ChangedFile, at: usize, line: u32) -> bool {
        if let Some((_, added)) = self.0.iter().find(|(known, _)| *known == at) {
            return added.binary_search(&line).is_ok();
        }
        let added = added_lines(file.patch.as_deref().unwrap_or_default());
        let adds = added.binary_search(&line).is_ok();
        self.0.push((at, added));
        adds
    }
}

/// The numbers of the lines that a patch adds, in order. Of a patch that was cut, its whole hunks are read.
fn added_lines(patch: &str) -> Vec<u32> {
    if patch.len() > PATCH_BYTES_MAX {
        return Vec::new();
    }
    let whole = || patch.rfind("\n@@ ").map(|at| &patch[..at]);
    let hunks = parse_patch(patch).or_else(|_| parse_patch(whole().unwrap_or_default()));
    let mut added: Vec<u32> =
        hunks.unwrap_or_default().iter().flat_map(Hunk::added).map(|(line, _)| line).collect();
    // Hunks come in order; what does not is no patch of GitHub's.
    added.sort_unstable();
    added
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{FailingTest, Place, PlaceKind, Tool};
    use proptest::prelude::*;

    const PATCH: &str = "@@ -40,2 +40,4 @@ fn load()\n a\n+b\n+c\n d\n@@ -80,3 +82,2 @@\n e\n-f\n g";

    fn commit() -> String {
        "a".repeat(40)
    }

    fn file(path: &str, patch: Option<&str>) -> ChangedFile {
        ChangedFile {
            filename: path.to_owned(),
            previous_filename: None,
            patch: patch.map(str::to_owned),
            contents_url: Some(format!("https://api.github.com/repos/o/r/contents/x?ref={}", commit())),
        }
    }

    fn files(files: &[(&str, Option<&str>)]) -> ChangedFiles {
        ChangedFiles { files: files.iter().map(|(path, patch)| file(path, *patch)).collect(), is_whole: true }
    }

    fn at(places: &[(&str, u32)], tests: &[&str]) -> Facts {
        let place = |(path, line): &(&str, u32)| Place {
            path: (*path).to_owned(),
            line: *line,
            column: None,
            message: None,
            kind: PlaceKind::Error,
        };
        let test = |name: &&str| FailingTest { name: (*name).to_owned(), tool: Tool::Pytest };
        Facts {
            places: places.iter().map(place).collect(),
            failing_tests: tests.iter().map(test).collect(),
            ..Facts::default()
        }
    }

    fn said(facts: &Facts, files: &ChangedFiles) -> Option<String> {
        Change::of(facts, files, &commit()).map(|change| change.sentence)
    }

    #[test]
    fn a_place_is_an_added_line_or_in_a_touched_file_or_elsewhere() {
        let change = files(&[("src/load.ts", Some(PATCH)), ("logo.png", None)]);
        let of = |path, line| said(&at(&[(path, line)], &[]), &change).unwrap();
        assert_eq!(of("src/load.ts", 42), "`src/load.ts:42` is a line this change adds.");
        assert_eq!(of("src/load.ts", 40), "`src/load.ts` is a file this change touches.", "a kept line");
        assert_eq!(of("logo.png", 1), "`logo.png` is a file this change touches.");
        assert_eq!(of("src/cart.ts", 42), "None of the places is in a file this change touches.");
        assert_eq!(said(&Facts::default(), &change), None, "there is no place to be said something of");
    }

    #[test]
    fn the_place_that_is_nearest_to_the_change_is_told_wherever_it_stands() {
        let change = files(&[("a.py", Some(PATCH)), ("b.py", Some(PATCH))]);
        let places = [("x.py", 1), ("b.py", 1), ("a.py", 1), ("a.py", 41)];
        assert_eq!(said(&at(&places, &[]), &change).unwrap(), "`a.py:41` is a line this change adds.");
        assert_eq!(said(&at(&places[..3], &[]), &change).unwrap(), "`b.py` is a file this change touches.");
    }

    #[test]
    fn the_files_of_failing_tests_are_places_without_a_line() {
        let change = files(&[("tests/test_a.py", Some(PATCH))]);
        let facts = at(&[], &["tests/test_b.py::x", "tests/test_a.py::TestA::x[41]"]);
        assert_eq!(said(&facts, &change).unwrap(), "`tests/test_a.py` is a file this change touches.");
        assert_eq!(said(&at(&[], &["adds up"]), &change), None);
    }

    #[test]
    fn a_path_from_another_folder_is_found_by_its_end_if_that_is_unique() {
        let change = files(&[
            ("packages/a/src/load.ts", Some(PATCH)),
            ("packages/a/src/index.ts", Some(PATCH)),
            ("packages/b/src/index.ts", Some(PATCH)),
            ("setup.py", Some(PATCH)),
        ]);
        let of = |path| said(&at(&[(path, 41)], &[]), &change);
        let added = "`packages/a/src/load.ts:41` is a line this change adds.";
        for path in ["load.ts", "src/load.ts", "packages/a/src/load.ts", "/mnt/x/packages/a/src/load.ts"] {
            assert_eq!(of(path).as_deref(), Some(added), "{path}");
        }
        assert_eq!(of("src/index.ts"), None, "it may be either, so it is not elsewhere either");
        assert_eq!(
            of("packages/a/src/index.ts").as_deref(),
            Some("`packages/a/src/index.ts:41` is a line this change adds.")
        );
        let elsewhere = Some("None of the places is in a file this change touches.");
        for path in ["oad.ts", "c/src/load.ts", "other/setup.py", "/mnt/x/setup.py"] {
            assert_eq!(of(path).as_deref(), elsewhere, "{path}");
        }
    }

    #[test]
    fn a_renamed_file_is_found_by_both_of_its_names() {
        let mut change = files(&[("src/new.ts", Some(PATCH))]);
        change.files[0].previous_filename = Some("src/old.ts".to_owned());
        let told = said(&at(&[("src/old.ts", 1)], &[]), &change);
        assert_eq!(told.as_deref(), Some("`src/new.ts` is a file this change touches."));
    }

    #[test]
    fn a_list_that_was_cut_or_is_of_another_commit_says_only_what_is_certain() {
        let mut cut = files(&[("a.py", Some(PATCH))]);
        cut.is_whole = false;
        assert_eq!(said(&at(&[("b.py", 1)], &[]), &cut), None);
        assert_eq!(said(&at(&[("a.py", 41)], &[]), &cut).unwrap(), "`a.py:41` is a line this change adds.");
        let later = files(&[("a.py", Some(PATCH))]);
        let of = |path, line| Change::of(&at(&[(path, line)], &[]), &later, &"b".repeat(40));
        assert_eq!(of("b.py", 1), None);
        assert_eq!(of("a.py", 41).map(|change| change.relation), Some(Relation::TouchedFile));
    }

    #[test]
    fn of_a_patch_that_was_cut_its_whole_hunks_count() {
        assert_eq!(added_lines(PATCH), [41, 42]);
        assert_eq!(added_lines(&PATCH[..PATCH.len() - 2]), [41, 42], "the second hunk ends too early");
        assert_eq!(added_lines("@@ -1,2 +1,4 @@\n a\n+b"), [0; 0]);
        assert_eq!(added_lines("no patch"), [0; 0]);
    }

    #[test]
    fn a_path_cannot_leave_its_backticks() {
        let change = files(&[("a`\n# b.py", Some(PATCH))]);
        let told = said(&at(&[("a`\n# b.py", 41)], &[]), &change).unwrap();
        assert_eq!(told.matches('`').count(), 2, "{told}");
        assert!(!told.contains('\n'), "{told}");
    }

    #[test]
    fn a_change_is_stored_and_read_as_it_was() {
        let change =
            Change::of(&at(&[("a.py", 41)], &[]), &files(&[("a.py", Some(PATCH))]), &commit()).unwrap();
        let stored = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&stored).unwrap(), change);
    }

    proptest! {
        #[test]
        fn it_never_claims_a_line_that_the_patch_does_not_add(
            kept in 0u32..4,
            added in proptest::collection::vec(0u8..3, 1..12),
            start in 1u32..50,
            line in 1u32..70,
            cut in 0usize..200,
        ) {
            // Each number is a line: kept, added or removed.
            let (mut text, mut new, mut adds) = (String::new(), start, Vec::new());
            let (mut old_len, mut new_len) = (0, 0);
            for mark in added.iter().copied().chain(std::iter::repeat_n(0, kept as usize)) {
                match mark {
                    0 => { text.push_str("\n k"); new += 1; old_len += 1; new_len += 1; }
                    1 => { text.push_str("\n+a"); adds.push(new); new += 1; new_len += 1; }
                    _ => { text.push_str("\n-r"); old_len += 1; }
                }
            }
            // Where a side has no line, its header names the line before.
            let new_start = if new_len == 0 { start - 1 } else { start };
            let patch = format!("@@ -{start},{old_len} +{new_start},{new_len} @@{text}");
            let cut = &patch[..patch.len().saturating_sub(cut)];
            for patch in [patch.as_str(), cut] {
                let change = Change::of(&at(&[("x/a.py", line)], &[]), &files(&[("x/a.py", Some(patch))]), &commit());
                let change = change.unwrap();
                if change.relation == Relation::AddedLine {
                    prop_assert!(adds.contains(&line), "{} is not added by {}", line, patch);
                    prop_assert_eq!(change.line, Some(line));
                } else if patch.len() > cut.len() {
                    prop_assert!(!adds.contains(&line), "{} is added by {}", line, patch);
                }
            }
        }

        #[test]
        fn whatever_the_patch_and_the_paths_are_it_ends(path in ".{0,40}", patch in "(?s).{0,200}", place in ".{0,40}", line: u32) {
            let change = files(&[(path.as_str(), Some(patch.as_str())), ("b", None)]);
            let told = Change::of(&at(&[(place.as_str(), line)], &[place.as_str()]), &change, &commit());
            if let Some(told) = told {
                prop_assert!(told.sentence.chars().count() < 300);
            }
        }
    }
}
