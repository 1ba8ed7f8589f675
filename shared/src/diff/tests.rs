use super::*;
use crate::Error;
use proptest::prelude::*;

fn one(text: &str) -> FileDiff<'_> {
    let mut files = parse(text).unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn every_line_knows_its_number_in_both_files() {
    let file = one("diff --git a/src/x.rs b/src/x.rs\nindex 1..2 100644\n--- a/src/x.rs\n+++ b/src/x.rs\n\
        @@ -10,3 +10,4 @@ fn main() {\n a\n-b\n+c\n+d\n e\n");
    assert_eq!((file.path(), file.hunks[0].section), ("src/x.rs", " fn main() {"));
    let places: Vec<Place> = file.hunks[0].lines.iter().map(|line| line.place).collect();
    assert_eq!(
        places,
        [
            Place::Context { old: 10, new: 10 },
            Place::Removed { old: 11 },
            Place::Added { new: 11 },
            Place::Added { new: 12 },
            Place::Context { old: 12, new: 13 },
        ]
    );
}

#[test]
fn renames_modes_binaries_and_removed_files_have_their_paths() {
    let diff = "diff --git a/old name b/new name\nsimilarity index 100%\nrename from old name\nrename to new name\n\
        diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n\
        diff --git a/logo.png b/logo.png\nindex 1..2 100644\nBinary files a/logo.png and b/logo.png differ\n\
        diff --git a/gone b/gone\ndeleted file mode 100644\nindex 1..0\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
        diff --git a/empty b/empty\nnew file mode 100644\nindex 0..0\n";
    let files = parse(diff).unwrap();
    let seen: Vec<_> = files
        .iter()
        .map(|file| (file.old_path.as_deref(), file.new_path.as_deref(), file.binary, file.hunks.len()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some("old name"), Some("new name"), false, 0),
            (Some("run.sh"), Some("run.sh"), false, 0),
            (Some("logo.png"), Some("logo.png"), true, 0),
            (Some("gone"), None, false, 1),
            (None, Some("empty"), false, 0),
        ]
    );
}

#[test]
fn a_quoted_path_is_unquoted() {
    let file = one("diff --git \"a/f\\303\\244 \\\"x\\\".txt\" \"b/f\\303\\244 \\\"x\\\".txt\"\n\
        --- \"a/f\\303\\244 \\\"x\\\".txt\"\n+++ \"b/f\\303\\244 \\\"x\\\".txt\"\n@@ -1 +1 @@\n-a\n+b\n");
    assert_eq!(file.path(), "fä \"x\".txt");
}

#[test]
fn a_plain_diff_without_git_headers_is_read() {
    let files = parse("--- x.c\t2026-01-01\n+++ x.c\t2026-01-02\n@@ -1 +1 @@\n-a\n+b\n--- y.c\n+++ y.c\n@@ -0,0 +1 @@\n+b\n").unwrap();
    let paths: Vec<&str> = files.iter().map(FileDiff::path).collect();
    assert_eq!(paths, ["x.c", "y.c"]);
    assert_eq!(files[1].hunks[0].lines[0].place, Place::Added { new: 1 });
}

#[test]
fn a_removed_line_that_looks_like_a_header_stays_a_line() {
    let file = one("--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n--- an old comment\n+++ a new one\n x\n");
    assert_eq!(file.hunks[0].lines[0].text, "-- an old comment");
    assert_eq!(file.hunks[0].lines[1].text, "++ a new one");
}

#[test]
fn a_missing_last_line_feed_belongs_to_its_line_and_carriage_returns_stay() {
    let hunks =
        parse_patch("@@ -1 +1 @@\n-a\r\n\\ No newline at end of file\n+b\n\\ No newline at end of file")
            .unwrap();
    assert_eq!(hunks[0].lines[0].text, "a\r");
    assert!(hunks[0].lines.iter().all(|line| line.ends_file));
}

#[test]
fn what_has_no_exact_lines_is_refused_with_the_line() {
    let refused = [
        ("diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,1 @@@\n  a\n", 1),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n", 4),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n*a\n", 4),
        ("--- a/x\n+++ b/x\n@@ -1,99999999999 +1 @@\n", 3),
        ("@@ -1 +1 @@\n-a\n+b\n", 3),
    ];
    for (text, line) in refused {
        match parse(text) {
            Err(Error::DiffInvalid { line: at, .. }) => assert_eq!(at, line, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

/// A hunk of any lines at any place.
fn hunks() -> impl Strategy<Value = String> {
    let line = ("[ +-]", "[^\n\r]{0,12}\r?");
    (1u32..5000, 1u32..5000, proptest::collection::vec(line, 1..40)).prop_map(|(old, new, lines)| {
        let old_len = lines.iter().filter(|(mark, _)| mark != "+").count();
        let new_len = lines.iter().filter(|(mark, _)| mark != "-").count();
        let body: String = lines.iter().map(|(mark, text)| format!("{mark}{text}\n")).collect();
        format!("@@ -{old},{old_len} +{new},{new_len} @@ section\n{body}")
    })
}

proptest! {
    #[test]
    fn any_hunk_is_printed_as_it_was_read(text in hunks()) {
        let hunks = parse_patch(&text).unwrap();
        prop_assert_eq!(hunks[0].to_string(), text);
    }

    #[test]
    fn pieces_have_every_line_once_with_its_numbers_and_keep_to_the_budget(text in hunks(), budget in 1usize..60) {
        let hunk = parse_patch(&text).unwrap().remove(0);
        let pieces = hunk.split(budget, |line| line.text.len());
        let together: Vec<Line<'_>> = pieces.iter().flat_map(|piece| piece.lines.clone()).collect();
        prop_assert_eq!(&together, &hunk.lines);
        for piece in &pieces {
            let cost: usize = piece.lines.iter().map(|line| line.text.len()).sum();
            prop_assert!(cost <= budget || piece.lines.len() == 1);
            // A piece is a hunk like any other: what it prints is read with the same numbers.
            let printed = piece.to_string();
            prop_assert_eq!(&parse_patch(&printed).unwrap()[0].lines, &piece.lines);
        }
    }

    #[test]
    fn any_text_is_answered_without_panic(text: String, lines in proptest::collection::vec("(diff --git |--- |\\+\\+\\+ |@@ -1 \\+1 @@|[-+ \\\\]|\"a/)[^\n]{0,8}", 0..12)) {
        let _ = parse(&text);
        let _ = parse_patch(&text);
        let _ = parse(&lines.join("\n"));
    }
}
