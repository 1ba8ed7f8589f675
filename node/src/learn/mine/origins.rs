//! Knows for every line of the tree which hunk added it, and which line of that hunk it is.
//!
//! The mainline is replayed diff by diff, so blame is exact and needs one pass. It ignores moves inside a commit,
//! changes of blanks, and commits that only reformat.

use sentinel_shared::diff::{FileDiff, Hunk, Place};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The shortest line that can count as moved. A shorter one occurs everywhere.
const MOVED_MIN_CHARS: usize = 6;

/// A line of a hunk, by the miner's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The number of the hunk in the miner's list.
    pub hunk: usize,
    /// The number of the line in the hunk, counted from 0.
    pub line: usize,
}

/// What is known about one line of a file.
#[derive(Debug, Clone, Copy)]
struct KnownLine {
    origin: Option<Origin>,
    /// The hash of its text without blanks; None for a line that no diff has shown.
    text: Option<u64>,
}

/// The tree as it was before the next commit.
#[derive(Default)]
pub struct Origins {
    files: HashMap<String, Vec<KnownLine>>,
    /// The number of files that did not contain what a diff said, and were forgotten.
    pub lost_step: usize,
}

/// A line that a commit removed.
#[derive(Debug)]
pub struct Removed {
    /// The origin of the line, if it is known.
    pub origin: Option<Origin>,
    /// The text of the line.
    pub text: String,
    /// The path in the tree before the commit.
    pub path: String,
    /// Whether the hunk that removed it also added lines.
    pub rewritten: bool,
    file: usize,
    hunk: usize,
    moved: bool,
}

/// The changes of one commit.
#[derive(Debug, Default)]
pub struct Changes {
    /// The lines that are gone, neither moved nor reindented.
    pub removed: Vec<Removed>,
    /// The new lines of each file and hunk of the diff, counted from 0.
    pub fresh: Vec<Vec<Vec<usize>>>,
    /// Hunks into which something was inserted without removing a line.
    pub entered: Vec<usize>,
}

/// How blame treats a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The lines of the commit belong to it.
    Own,
    /// The commit changes no meaning, so a line that replaces another one keeps its origin.
    Through,
}

impl Removed {
    /// The file and the hunk that removed it.
    fn place(&self) -> (usize, usize) {
        (self.file, self.hunk)
    }
}

impl Origins {
    /// Applies a commit. For a new line, given as (file, hunk, line), `name` returns the followed hunk and the line in
    /// it.
    pub fn apply(
        &mut self,
        files: &[FileDiff<'_>],
        reading: Reading,
        mut name: impl FnMut(&[Vec<Vec<usize>>], (usize, usize, usize)) -> Option<Origin>,
    ) -> Changes {
        let mut changes = self.removed(files);
        let mut inherited = HashMap::new();
        let mut gone = Gone::new(&mut changes.removed);
        changes.fresh = files
            .iter()
            .enumerate()
            .map(|(file, diff)| {
                let hunks = diff.hunks.iter().enumerate();
                hunks.map(|(at, hunk)| fresh(hunk, (file, at), reading, &mut gone, &mut inherited)).collect()
            })
            .collect();
        changes.removed.retain(|removed| !removed.moved);
        for (at, diff) in files.iter().enumerate() {
            let known = diff.old_path.as_ref().and_then(|path| self.files.remove(path.as_ref()));
            let Some(new_path) = &diff.new_path else { continue };
            if diff.binary {
                continue;
            }
            let before = known.unwrap_or_default();
            let mut named = |hunk: usize, line: usize| {
                let place = (at, hunk, line);
                inherited.get(&place).copied().unwrap_or_else(|| name(&changes.fresh, place))
            };
            match after(&before, diff, &mut named) {
                Some(after) => drop(self.files.insert(new_path.to_string(), after)),
                None => self.lost_step += 1,
            }
        }
        changes
    }

    /// Forgets everything, because a commit could not be read.
    pub fn forget(&mut self) {
        self.files.clear();
    }

    /// Finds what the diff removes and the hunks that it enters. Nothing is changed yet.
    fn removed(&self, files: &[FileDiff<'_>]) -> Changes {
        let mut changes = Changes::default();
        for (file, diff) in files.iter().enumerate() {
            let Some(path) = &diff.old_path else { continue };
            let known = self.files.get(path.as_ref()).map_or(&[][..], Vec::as_slice);
            let origin = |old: u32| known.get(old as usize - 1).and_then(|line| line.origin);
            for (at, hunk) in diff.hunks.iter().enumerate() {
                let rewritten = hunk.lines.iter().any(|line| matches!(line.place, Place::Added { .. }));
                for line in &hunk.lines {
                    if let Place::Removed { old } = line.place {
                        changes.removed.push(Removed {
                            origin: origin(old),
                            text: line.text.to_owned(),
                            path: path.to_string(),
                            rewritten,
                            file,
                            hunk: at,
                            moved: false,
                        });
                    }
                }
                // Context, additions only, context.
                let olds: Vec<u32> = hunk
                    .lines
                    .iter()
                    .filter_map(|line| match line.place {
                        Place::Context { old, .. } => Some(old),
                        _ => None,
                    })
                    .collect();
                let only_adds = olds.len() == hunk.lengths().0 as usize;
                if only_adds {
                    let between =
                        hunk.lines.windows(2).filter_map(|pair| match (pair[0].place, pair[1].place) {
                            (Place::Context { old, .. }, Place::Added { .. }) => {
                                Some((origin(old)?, origin(old + 1)?))
                            }
                            _ => None,
                        });
                    changes.entered.extend(between.filter(|(a, b)| a.hunk == b.hunk).map(|(a, _)| a.hunk));
                }
            }
        }
        changes
    }
}

/// The lines that a commit removed, in the order of the diff, searchable by their text.
struct Gone<'a> {
    removed: &'a mut [Removed],
    /// Their numbers by the hash of their text. Blank lines are left out, because they occur everywhere.
    by_text: HashMap<u64, Vec<usize>>,
}

impl<'a> Gone<'a> {
    fn new(removed: &'a mut [Removed]) -> Self {
        let mut by_text: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, line) in removed.iter().enumerate() {
            let text = norm(&line.text);
            if !text.is_empty() {
                by_text.entry(hash(&text)).or_default().push(at);
            }
        }
        Self { removed, by_text }
    }

    /// Takes the line with the text `text`: one of the same hunk, or else a long one of any hunk. Returns its origin.
    fn take(&mut self, text: &str, place: (usize, usize)) -> Option<Option<Origin>> {
        let same = self.by_text.get_mut(&hash(text))?;
        let removed = &mut *self.removed;
        // What was taken is out of the list, but for what `of_hunk` gave away: of hunks before this one.
        let here = same.partition_point(|at| removed[*at].place() < place);
        let here = same.get(here).is_some_and(|at| removed[*at].place() == place).then_some(here);
        let anywhere = || {
            let is_long = text.len() >= MOVED_MIN_CHARS;
            is_long.then(|| same.iter().position(|at| !removed[*at].moved)).flatten()
        };
        let found = here.or_else(anywhere)?;
        let line = &mut removed[same.remove(found)];
        line.moved = true;
        Some(line.origin)
    }

    /// The remaining lines of one hunk.
    fn of_hunk(&mut self, place: (usize, usize)) -> Vec<&mut Removed> {
        let from = self.removed.partition_point(|line| line.place() < place);
        let hunk = self.removed[from..].iter_mut().take_while(|line| line.place() == place);
        hunk.filter(|line| !line.moved).collect()
    }
}

/// The new lines of one hunk. Lines that existed before, in the same hunk or elsewhere, are noted in `inherited`.
fn fresh(
    hunk: &Hunk<'_>,
    (file, at): (usize, usize),
    reading: Reading,
    gone: &mut Gone<'_>,
    inherited: &mut HashMap<(usize, usize, usize), Option<Origin>>,
) -> Vec<usize> {
    let mut fresh = Vec::new();
    for (index, line) in hunk.lines.iter().enumerate() {
        if !matches!(line.place, Place::Added { .. }) {
            continue;
        }
        match gone.take(&norm(line.text), (file, at)) {
            Some(before) => drop(inherited.insert((file, at, index), before)),
            None => fresh.push(index),
        }
    }
    if reading == Reading::Through {
        let mut gone = gone.of_hunk((file, at));
        let (lines, olds) = (fresh.len(), gone.len());
        if olds > 0 {
            for (nth, index) in fresh.drain(..).enumerate() {
                inherited.insert((file, at, index), gone[nth * olds / lines].origin);
            }
            gone.iter_mut().for_each(|line| line.moved = true);
        }
    }
    fresh
}

/// The file after the diff; None if it is not the file that the diff was made from.
fn after(
    before: &[KnownLine],
    diff: &FileDiff<'_>,
    name: &mut impl FnMut(usize, usize) -> Option<Origin>,
) -> Option<Vec<KnownLine>> {
    const UNKNOWN: KnownLine = KnownLine { origin: None, text: None };
    let known = |old: usize| before.get(old).copied().unwrap_or(UNKNOWN);
    let mut after = Vec::with_capacity(before.len());
    let mut next = 0;
    for (at, hunk) in diff.hunks.iter().enumerate() {
        // Without an old line the header names the line before.
        let start = hunk.old_start as usize - usize::from(hunk.lengths().0 > 0);
        if start < next {
            return None;
        }
        after.extend((next..start).map(known));
        next = start;
        for (index, line) in hunk.lines.iter().enumerate() {
            let text = Some(hash(&norm(line.text)));
            if matches!(line.place, Place::Added { .. }) {
                after.push(KnownLine { origin: name(at, index), text });
                continue;
            }
            let old = known(next);
            if old.text.is_some() && old.text != text {
                return None;
            }
            if matches!(line.place, Place::Context { .. }) {
                after.push(KnownLine { text, ..old });
            }
            next += 1;
        }
    }
    after.extend((next..before.len()).map(known));
    Some(after)
}

fn norm(text: &str) -> String {
    text.split_whitespace().collect()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sentinel_shared::diff::parse;

    fn apply(origins: &mut Origins, commit: usize, reading: Reading, diff: &str) -> Changes {
        let files = parse(diff).unwrap();
        origins.apply(&files, reading, |_, (_, hunk, line)| Some(Origin { hunk: commit * 10 + hunk, line }))
    }

    fn diff(body: &str) -> String {
        format!("diff --git a/x.rs b/x.rs\n--- a/x.rs\n+++ b/x.rs\n{body}")
    }

    const CREATED: &str = "diff --git a/x.rs b/x.rs\nnew file mode 100644\n--- /dev/null\n+++ b/x.rs\n\
        @@ -0,0 +1,3 @@\n+let a = first();\n+let b = second();\n+let c = third();\n";

    #[test]
    fn a_line_taken_away_is_traced_to_the_hunk_that_brought_it() {
        let mut origins = Origins::default();
        apply(&mut origins, 1, Reading::Own, CREATED);
        let above = diff("@@ -1,1 +1,2 @@\n+let zero = 0;\n let a = first();\n");
        apply(&mut origins, 2, Reading::Own, &above);
        let changes = apply(
            &mut origins,
            3,
            Reading::Own,
            &diff(
                "@@ -2,3 +2,3 @@\n let a = first();\n-let b = second();\n+let b = fixed();\n let c = third();\n",
            ),
        );
        assert_eq!(changes.removed.len(), 1);
        assert_eq!(changes.removed[0].origin, Some(Origin { hunk: 10, line: 1 }));
        assert!(changes.removed[0].rewritten);
        assert_eq!(origins.lost_step, 0);
    }

    #[test]
    fn blame_looks_through_blanks_moves_and_reformatting() {
        let mut origins = Origins::default();
        apply(&mut origins, 1, Reading::Own, CREATED);
        let indented = diff(
            "@@ -1,3 +1,3 @@\n-let a = first();\n+    let a = first();\n let b = second();\n let c = third();\n",
        );
        assert!(apply(&mut origins, 2, Reading::Own, &indented).removed.is_empty());
        let moved = diff(
            "@@ -1,3 +1,3 @@\n-    let a = first();\n let b = second();\n let c = third();\n+    let a = first();\n",
        );
        assert!(apply(&mut origins, 3, Reading::Own, &moved).removed.is_empty());
        let reformatted = diff("@@ -1,1 +1,1 @@\n-let b = second();\n+let b = second( );;\n");
        assert!(apply(&mut origins, 4, Reading::Through, &reformatted).removed.is_empty());
        let gone = diff("@@ -1,3 +0,0 @@\n-let b = second( );;\n-let c = third();\n-    let a = first();\n");
        let lines: Vec<_> = apply(&mut origins, 5, Reading::Own, &gone)
            .removed
            .into_iter()
            .map(|it| it.origin.unwrap().line)
            .collect();
        assert_eq!(lines, [1, 2, 0]);
    }

    #[test]
    fn a_line_that_moved_is_found_once_and_first_where_it_was() {
        let twice = "let again = twice();";
        let mut origins = Origins::default();
        apply(
            &mut origins,
            1,
            Reading::Own,
            &diff(&format!("@@ -0,0 +1,3 @@\n+{twice}\n+between();\n+{twice}\n")),
        );
        let moved = format!(
            "@@ -1,2 +1,1 @@\n-{twice}\n between();\n@@ -3,1 +2,3 @@\n-{twice}\n+  {twice}\n+{twice}\n+{twice}\n"
        );
        let changes = apply(&mut origins, 2, Reading::Own, &diff(&moved));
        assert!(changes.removed.is_empty());
        assert_eq!(changes.fresh, [[vec![], vec![3]]]);
        let gone = diff(&format!("@@ -1,4 +1,1 @@\n between();\n-  {twice}\n-{twice}\n-{twice}\n"));
        let lines: Vec<_> = apply(&mut origins, 3, Reading::Own, &gone)
            .removed
            .into_iter()
            .map(|it| it.origin.map(|origin| (origin.hunk, origin.line)))
            .collect();
        assert_eq!(lines, [Some((10, 2)), Some((10, 0)), Some((21, 3))]);
    }

    #[test]
    fn a_file_that_is_not_what_the_diff_says_is_forgotten() {
        let mut origins = Origins::default();
        apply(&mut origins, 1, Reading::Own, CREATED);
        apply(&mut origins, 2, Reading::Own, &diff("@@ -1,1 +1,1 @@\n-let other = 1;\n+let other = 2;\n"));
        assert_eq!(origins.lost_step, 1);
        let changes = apply(&mut origins, 3, Reading::Own, &diff("@@ -3,1 +2,0 @@\n-let c = third();\n"));
        assert_eq!(changes.removed[0].origin, None);
    }

    #[test]
    fn lines_put_between_those_of_one_hunk_enter_it() {
        let mut origins = Origins::default();
        apply(&mut origins, 1, Reading::Own, CREATED);
        let inside =
            diff("@@ -1,3 +1,4 @@\n let a = first();\n+check(a);\n let b = second();\n let c = third();\n");
        assert_eq!(apply(&mut origins, 2, Reading::Own, &inside).entered, [10]);
    }
}
