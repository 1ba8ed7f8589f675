//! Makes strangers' text (names, paths, log lines) visible before it goes to the database, a page or a terminal.
//!
//! [`line`] and [`lines`] decide which characters are spelled out: control characters, characters that change the
//! direction of writing (CVE-2021-42574), and invisible characters. [`printed`] and [`printed_lines`] also keep text
//! from giving commands to a CI runner that reads the output.

use serde_json::Value as Json;
use std::borrow::Cow;
use std::fmt::Write;

/// Characters without a picture of their own, in order: Unicode's control and format characters (general categories Cc
/// and Cf), its line and paragraph separators, and what it calls default ignorable
/// (<https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>). Signs of the category Cf that are drawn, such
/// as the Arabic number sign, are not among them.
const HIDDEN: [(char, char); 20] = [
    ('\u{0}', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{13430}', '\u{13455}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Selects the coloured picture of an emoji. After an emoji it hides nothing; it only changes how `⚠️` looks.
const EMOJI_STYLE: char = '\u{fe0f}';

/// One line as a reader sees it. Every hidden character is written out, as in `\u{202e}`, and so is a line break inside
/// it. Line breaks at the end are dropped, and a tab stays.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    spelt_out(text.trim_end_matches(['\r', '\n']), |character| character == '\t')
}

/// The same for text of several lines. Line breaks stay.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    spelt_out(text, |character| matches!(character, '\t' | '\n'))
}

/// One line for a terminal or a log. It is like [`line`], and a CI runner takes no command from it. GitHub's runner
/// takes `::error::` at the start of a line and `##[error]` anywhere in it
/// (<https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>).
#[must_use]
pub fn printed(text: &str) -> Cow<'_, str> {
    let text = line(text);
    if !text.contains(V1_COMMAND) && !text.trim_start().starts_with(V2_COMMAND) {
        return text;
    }
    let mut printed = text.replace(V1_COMMAND, "##\\[");
    let start = printed.len() - printed.trim_start().len();
    if printed[start..].starts_with(V2_COMMAND) {
        printed.insert(start, '\\');
    }
    Cow::Owned(printed)
}

/// The same for text of several lines.
#[must_use]
pub fn printed_lines(text: &str) -> String {
    text.lines().map(printed).collect::<Vec<_>>().join("\n")
}

/// Makes every string in `value` visible, except for line breaks. For answers that people read through a program.
pub fn make_visible(value: &mut Json) {
    match value {
        Json::String(text) => {
            if let Cow::Owned(visible) = lines(text) {
                *text = visible;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(make_visible),
        Json::Object(fields) => fields.values_mut().for_each(make_visible),
        _ => {}
    }
}

/// The same for a document. A document that hides nothing stays as it is, to the last digit.
#[must_use]
pub fn visible_document(document: String) -> String {
    // A control character stands in it as `\u00…`, every other hidden one as itself.
    if matches!(line(&document), Cow::Borrowed(_)) && !document.contains("\\u00") {
        return document;
    }
    match serde_json::from_str(&document) {
        Ok(mut value) => {
            make_visible(&mut value);
            value.to_string()
        }
        Err(_) => document,
    }
}

/// A JSON document for a terminal or a log. Its meaning does not change: hidden characters and commands for a CI runner
/// become JSON's own `\u` escapes.
#[must_use]
pub fn printed_json(document: &str) -> String {
    let mut printed = String::with_capacity(document.len());
    for character in document.chars() {
        match character {
            // The document's own; inside a string it is escaped already.
            '\n' => printed.push('\n'),
            // Outside strings JSON has no such sign, so `##[` can't be written any more.
            '#' => printed.push_str("\\u0023"),
            character if is_hidden(character) => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(printed, "\\u{unit:04x}");
                }
            }
            character => printed.push(character),
        }
    }
    printed
}

/// The start of a command that GitHub's runner obeys anywhere in a line.
const V1_COMMAND: &str = "##[";
/// The start of a command that it obeys at the start of a line.
const V2_COMMAND: &str = "::";

fn is_hidden(character: char) -> bool {
    HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

fn spelt_out(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    // What most text is.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut before = '\0';
    let mut hides = |character: char| {
        let styles_a_picture = character == EMOJI_STYLE && !before.is_ascii() && !is_hidden(before);
        before = character;
        is_hidden(character) && !stays(character) && !styles_a_picture
    };
    let Some(first) = text.char_indices().find(|(_, character)| hides(*character)).map(|(at, _)| at) else {
        return Cow::Borrowed(text);
    };
    let mut visible = String::with_capacity(text.len() + 8);
    visible.push_str(&text[..first]);
    let mut rest = text[first..].chars();
    visible.extend(rest.next().into_iter().flat_map(spelling));
    for character in rest {
        if hides(character) {
            visible.extend(spelling(character));
        } else {
            visible.push(character);
        }
    }
    Cow::Owned(visible)
}

/// `\n`, `\r`, or the number in hexadecimal.
fn spelling(character: char) -> impl Iterator<Item = char> {
    let short = matches!(character, '\n' | '\r' | '\t').then(|| character.escape_default());
    let long = short.is_none().then(|| character.escape_unicode());
    short.into_iter().flatten().chain(long.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_hides_is_spelt_out_and_what_is_seen_stays() {
        for (text, shown) in [
            ("a\u{202e}b\u{0}c\r", r"a\u{202e}b\u{0}c"),
            ("x\n::error ::y", r"x\n::error ::y"),
            ("\u{1b}[31mred\u{9b}2J", r"\u{1b}[31mred\u{9b}2J"),
            ("zero\u{200b}width\u{200d}\u{feff}", r"zero\u{200b}width\u{200d}\u{feff}"),
            ("smuggled\u{e0041}\u{e0100}\u{fe0f}", r"smuggled\u{e0041}\u{e0100}\u{fe0f}"),
            ("a\u{fe0f}", r"a\u{fe0f}"),
            ("a tab\tand ⚠\u{fe0f} stay, Größe, 東京, שלום", "a tab\tand ⚠\u{fe0f} stay, Größe, 東京, שלום"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(lines("a\nb\tc\r\n"), "a\nb\tc\\r\n");
        assert!(matches!(line("src/main.rs"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_printed_line_gives_a_runner_no_order() {
        for (text, shown) in [
            ("::error file=x::boo", r"\::error file=x::boo"),
            ("  ::add-mask::x", r"  \::add-mask::x"),
            ("\u{a0}::error::x", "\u{a0}\\::error::x"),
            ("9: ##[error]exit", r"9: ##\[error]exit"),
            ("###[x]##[y]", r"###\[x]##\[y]"),
            ("std::fs", "std::fs"),
        ] {
            assert_eq!(printed(text), shown);
        }
        assert_eq!(printed_lines("no such file: x\n::error ::y\n"), "no such file: x\n\\::error ::y");
    }

    #[test]
    fn a_printed_document_means_the_same_and_hides_nothing() {
        let value = json!({ "line": "##[error]\u{202e}\u{9b}\u{e0041}\n::x" });
        let printed = printed_json(&format!("{value:#}"));
        assert!(printed.is_ascii() && !printed.contains("##["), "{printed}");
        assert_eq!(serde_json::from_str::<Json>(&printed).unwrap(), value);
        let mut answer = json!([{ "path": "a\u{202e}b", "count": 1 }]);
        make_visible(&mut answer);
        assert_eq!(answer, json!([{ "path": r"a\u{202e}b", "count": 1 }]));
        assert_eq!(visible_document(r#"["\u0007",1]"#.to_owned()), r#"["\\u{7}",1]"#);
        assert_eq!(visible_document("[0.10]".to_owned()), "[0.10]");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_and_a_second_time_changes_nothing(text in "(\\PC|[\u{0}-\u{1f}\u{7f}-\u{9f}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}\u{feff}\u{e0020}-\u{e007f}:#\\[]){0,40}") {
            let once = printed(&text).into_owned();
            prop_assert!(once.chars().all(|character| !is_hidden(character) || matches!(character, '\t' | EMOJI_STYLE)));
            prop_assert!(!once.trim_start().starts_with("::") && !once.contains("##["));
            prop_assert_eq!(printed(&once), once.as_str());
            prop_assert_eq!(printed_lines(&text).lines().count() <= text.lines().count().max(1), true);
        }
    }
}
