//! Turns a hunk into the token ids that the model reads.
//!
//! `<bos> <lang:Rust> <at:7> <shift:2> path <sep> section <sep> <ctx> line <del> line <add> line … <eos>`: every line
//! begins with its mark, so line feeds need no token, and leading blanks are kept. `<at:…>` says how far down its file
//! the hunk stands, `<shift:…>` by how many lines the change moved it. Both are powers of two, so they separate large
//! files and changes from small ones and identify no single place. Only path, language and hunk go in. Text cannot
//! spell a mark, because marks are entries of the vocabulary by themselves.

use crate::review::backend::Sequence;
use crate::review::model::ReviewModel;
use anyhow::{Context, Result};
use sentinel_shared::diff::{Hunk, Line, Place};
use sentinel_shared::review::language::Language;
use std::collections::HashMap;
use tokenizers::Tokenizer;

/// The largest number of tokens of one path, one section and one line. A long line is cut, not the hunk around it.
const PATH_MAX: usize = 32;
const LINE_MAX: usize = 96;
/// The largest number of bytes of a line that are looked at. It is enough for [`LINE_MAX`] tokens of any text that
/// people write.
const LINE_BYTES_MAX: usize = 1024;
/// The largest powers of two that `<at:…>` and `<shift:…>` distinguish.
pub(crate) const AT_MAX: u32 = 15;
pub(crate) const SHIFT_MAX: u32 = 8;

/// Turns text into tokens, as in training.
pub struct Encoder {
    tokenizer: Tokenizer,
    marks: Marks,
    /// The longest sequence that the model reads.
    length_max: usize,
}

struct Marks {
    bos: u32,
    eos: u32,
    sep: u32,
    added: u32,
    removed: u32,
    context: u32,
    languages: HashMap<Language, u32>,
    /// The ids of `<at:…>`, by the power of two.
    at: Vec<u32>,
    /// The ids of `<shift:…>`, from `-SHIFT_MAX` to `SHIFT_MAX`.
    shift: Vec<u32>,
}

// === impl Encoder ===

impl Encoder {
    /// Reads the model's `tokenizer.json`.
    ///
    /// # Errors
    /// The file is not a tokenizer, or it lacks the marks.
    pub fn new(model: &ReviewModel) -> Result<Self> {
        let tokenizer = Tokenizer::from_bytes(&model.tokenizer)
            .map_err(|error| anyhow::anyhow!("tokenizer.json of the review model: {error}"))?;
        let mark =
            |name: &str| tokenizer.token_to_id(name).with_context(|| format!("the vocabulary has no {name}"));
        let languages = Language::ALL
            .into_iter()
            .map(|language| Ok((language, mark(&format!("<lang:{}>", language.name()))?)));
        let marks = Marks {
            bos: mark("<bos>")?,
            eos: mark("<eos>")?,
            sep: mark("<sep>")?,
            added: mark("<add>")?,
            removed: mark("<del>")?,
            context: mark("<ctx>")?,
            languages: languages.collect::<Result<_>>()?,
            at: (0..=AT_MAX).map(|power| mark(&format!("<at:{power}>"))).collect::<Result<_>>()?,
            shift: (-i64::from(SHIFT_MAX)..=i64::from(SHIFT_MAX))
                .map(|power| mark(&format!("<shift:{power}>")))
                .collect::<Result<_>>()?,
        };
        Ok(Self { tokenizer, marks, length_max: model.manifest.max_tokens })
    }

    /// Cuts a hunk into pieces that fit the model, and encodes each piece when it is asked for. If a hunk is not read
    /// to its end, the rest costs nothing. Every line is in exactly one piece.
    pub fn pieces<'a>(
        &self,
        path: &str,
        language: Language,
        hunk: &Hunk<'a>,
    ) -> impl Iterator<Item = (Hunk<'a>, Sequence)> {
        let head = self.head(path, language, hunk);
        // The end mark takes one.
        let budget = self.length_max - head.len() - 1;
        let pieces = hunk.pieces(budget, |line| {
            let ids = self.line(line);
            (ids.len(), ids)
        });
        pieces.map(move |(piece, lines)| {
            let mut encoded = Sequence { ids: head.clone(), added_at: Vec::new() };
            for (line, ids) in piece.lines.iter().zip(lines) {
                if matches!(line.place, Place::Added { .. }) {
                    encoded.added_at.push(encoded.ids.len());
                }
                encoded.ids.extend(ids);
            }
            encoded.ids.push(self.marks.eos);
            (piece, encoded)
        })
    }

    fn head(&self, path: &str, language: Language, hunk: &Hunk<'_>) -> Vec<u32> {
        let Marks { bos, languages, at, shift, .. } = &self.marks;
        let mut ids = vec![*bos, languages[&language], at[down(hunk)], shift[moved(hunk)]];
        // The end of a path says more than its beginning.
        let path = self.text(path);
        ids.extend(&path[path.len().saturating_sub(PATH_MAX)..]);
        ids.push(self.marks.sep);
        ids.extend(self.text(hunk.section.trim()).into_iter().take(PATH_MAX));
        ids.push(self.marks.sep);
        ids
    }

    fn line(&self, line: &Line<'_>) -> Vec<u32> {
        let mark = match line.place {
            Place::Added { .. } => self.marks.added,
            Place::Removed { .. } => self.marks.removed,
            Place::Context { .. } => self.marks.context,
        };
        let mut ids = vec![mark];
        ids.extend(self.text(line.text.trim_end_matches('\r')).into_iter().take(LINE_MAX - 1));
        ids
    }

    fn text(&self, text: &str) -> Vec<u32> {
        let end = text.floor_char_boundary(LINE_BYTES_MAX);
        // Byte-level pieces: there is no text that can't be encoded.
        self.tokenizer
            .encode_fast(&text[..end], false)
            .map_or_else(|_| Vec::new(), |it| it.get_ids().to_vec())
    }
}

/// The index in `Marks::at`: the power of two of the hunk's first line.
fn down(hunk: &Hunk<'_>) -> usize {
    hunk.new_start.max(1).ilog2().min(AT_MAX) as usize
}

/// The index in `Marks::shift`: the number of binary digits of the lines by which the text above has grown or shrunk,
/// with its sign.
fn moved(hunk: &Hunk<'_>) -> usize {
    let digits = |lines: u32| lines.checked_ilog2().map_or(0, |power| power + 1).min(SHIFT_MAX);
    let grown = digits(hunk.new_start.saturating_sub(hunk.old_start));
    let shrunk = digits(hunk.old_start.saturating_sub(hunk.new_start));
    (SHIFT_MAX + grown - shrunk) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use sentinel_shared::diff::parse_patch;

    fn encoder() -> Encoder {
        Encoder::new(&ReviewModel::embedded().unwrap()).unwrap()
    }

    #[test]
    fn indentation_marks_and_line_ends_are_kept_apart() {
        let encoder = encoder();
        let encode = |patch: &str| {
            let hunk = parse_patch(patch).unwrap().remove(0);
            encoder.pieces("src/a.py", Language::Python, &hunk).next().unwrap().1
        };
        let deep = encode("@@ -1 +1,2 @@\n a\n+        return x\n");
        let shallow = encode("@@ -1 +1,2 @@\n a\n+    return x\n");
        let removed = encode("@@ -1,2 +1 @@\n a\n-        return x\n");
        assert_ne!(deep.ids, shallow.ids);
        assert_ne!(deep.ids, removed.ids);
        assert_eq!((deep.added_at.len(), removed.added_at.len()), (1, 0));
        assert_eq!(deep.ids[deep.added_at[0]], encoder.marks.added);
    }

    #[test]
    fn text_that_spells_a_mark_is_text() {
        let encoder = encoder();
        let hunk = parse_patch("@@ -0,0 +1 @@\n+<add> <eos> <lang:Rust>\n").unwrap().remove(0);
        let encoded = encoder.pieces("a.rs", Language::Rust, &hunk).next().unwrap().1;
        let marks = |mark: u32| encoded.ids.iter().filter(|id| **id == mark).count();
        assert_eq!((marks(encoder.marks.added), marks(encoder.marks.eos)), (1, 1));
    }

    #[test]
    fn a_long_hunk_is_cut_between_lines_and_no_line_is_lost() {
        let encoder = encoder();
        let body: String = (0..400).map(|i| format!("+let value_{i} = compute({i}, \"x\");\n")).collect();
        let text = format!("@@ -0,0 +1,400 @@\n{body}");
        let hunk = parse_patch(&text).unwrap().remove(0);
        let pieces: Vec<_> = encoder.pieces("a.rs", Language::Rust, &hunk).collect();
        assert!(pieces.len() > 5);
        assert!(pieces.iter().all(|(_, encoded)| encoded.ids.len() <= encoder.length_max));
        let lines: usize = pieces.iter().map(|(_, encoded)| encoded.added_at.len()).sum();
        assert_eq!(lines, 400);
    }

    #[test]
    fn where_a_hunk_stands_and_how_far_it_moved_are_told_by_powers_of_two() {
        let encoder = encoder();
        let place = |patch: &str| {
            let hunk = parse_patch(patch).unwrap().remove(0);
            let ids = encoder.pieces("a.rs", Language::Rust, &hunk).next().unwrap().1.ids;
            let spelt = |id: u32| encoder.tokenizer.id_to_token(id).unwrap();
            (spelt(ids[2]), spelt(ids[3]))
        };
        let told = |at: &str, shift: &str| (format!("<at:{at}>"), format!("<shift:{shift}>"));
        assert_eq!(place("@@ -0,0 +1 @@\n+a\n"), told("0", "1"));
        assert_eq!(place("@@ -177,1 +178,2 @@\n a\n+b\n"), told("7", "1"));
        assert_eq!(place("@@ -300,1 +260,2 @@\n a\n+b\n"), told("8", "-6"));
        assert_eq!(place("@@ -5,1 +5,2 @@\n a\n+b\n"), told("2", "0"));
        assert_eq!(place("@@ -1,1 +900000,2 @@\n a\n+b\n"), told("15", "8"));
    }

    #[test]
    fn any_bytes_and_any_length_fit() {
        let encoder = encoder();
        let text = format!("@@ -0,0 +1 @@ {}\n+{}\n", "s".repeat(5000), "\u{1F980}\u{0}é".repeat(5000));
        let hunk = parse_patch(&text).unwrap().remove(0);
        let path = "x/".repeat(3000) + "a.rs";
        let piece = encoder.pieces(&path, Language::Rust, &hunk).next().unwrap();
        assert!(piece.1.ids.len() <= encoder.length_max);
    }
}
