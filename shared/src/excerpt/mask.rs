//! Turns an excerpt into text that a model can compare, by replacing what differs between any two runs.
//!
//! Numbers, hexadecimal ids, paths, URLs, versions, durations and sizes become placeholders. Exit codes, HTTP codes,
//! errno and signal names stay, because they say what happened. Identifiers are split (`ModuleNotFoundError` is four
//! words) and words lose their endings, so that different spellings meet. The result is lower-case ASCII.
//!
//! The words of a line that reports an error appear twice: once as they are and once as `err_<word>`, because the same
//! word means less in a progress line.

use super::Excerpt;
use super::stem::stem;

/// Words after which a number is a code and stays.
const CODE_WORDS: [&str; 10] =
    ["exit", "code", "status", "errno", "signal", "http", "returned", "exited", "with", "error"];

/// Extensions that tell what kind of file a line is about.
const EXTENSIONS: [&str; 40] = [
    "c", "cc", "cpp", "cs", "css", "csproj", "ex", "gradle", "go", "h", "hpp", "hs", "html", "java", "js",
    "json", "jsx", "kt", "lock", "md", "mod", "php", "py", "rb", "rs", "scala", "sh", "so", "sql", "sum",
    "svelte", "swift", "toml", "ts", "tsx", "vue", "xml", "yaml", "yml", "zig",
];

/// Stems that occur in lines that report an error, sorted.
const ERROR_STEMS: [&str; 29] = [
    "abort",
    "cannot",
    "code",
    "deni",
    "error",
    "exce",
    "exceed",
    "exception",
    "fail",
    "failur",
    "fatal",
    "forbidden",
    "illegal",
    "incorrect",
    "invalid",
    "kill",
    "miss",
    "panic",
    "refus",
    "reject",
    "timed",
    "timeout",
    "unable",
    "unauthoriz",
    "unexpect",
    "unknown",
    "unresolv",
    "unsupport",
    "wrong",
];

/// The prefix of the words of a line that reports an error.
pub const ERROR_PREFIX: &str = "err_";
/// The prefix of the words of the lines that are likeliest the cause.
pub const CAUSE_PREFIX: &str = "top_";

/// An excerpt whose volatile parts are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Masked {
    /// One masked line per line. After a line that reports an error, its words follow again, each with
    /// [`ERROR_PREFIX`].
    pub text: String,
    /// The lines that report an error, not masked.
    pub error_lines: String,
}

/// Replaces the volatile parts of an excerpt, so that the model sees words.
#[must_use]
pub fn mask(excerpt: &Excerpt) -> Masked {
    let mut masked = Masked::default();
    for line in excerpt.lines.iter().filter(|line| !says_only_that_it_failed(&line.text)) {
        if mask_line(&line.text, &mut masked.text) {
            masked.error_lines.push_str(&line.text);
            masked.error_lines.push('\n');
        }
    }
    masked
}

/// Whether this is the line that ends every failed step on GitHub. It says only that the log is GitHub's. Lines with
/// other codes stay, because 127 or 137 say what happened.
fn says_only_that_it_failed(line: &str) -> bool {
    matches!(
        line.trim_end(),
        "##[error]Process completed with exit code 1." | "##[error]Process completed with exit code 2."
    )
}

/// Appends one masked line to `masked`, and its words again if it reports an error; returns whether it does.
pub fn mask_line(line: &str, masked: &mut String) -> bool {
    let start = masked.len();
    mask_words_of(line, masked);
    let words = &masked[start..];
    let reports_error = words.split_ascii_whitespace().any(|word| ERROR_STEMS.binary_search(&word).is_ok())
        || words.contains("not found")
        || words.contains("no such");
    let again: String = if reports_error {
        words.split_ascii_whitespace().flat_map(|word| [ERROR_PREFIX, word, " "]).collect()
    } else {
        String::new()
    };
    masked.push('\n');
    if reports_error {
        masked.push_str(&again);
        masked.push('\n');
    }
    reports_error
}

/// Appends the masked words of one line to `masked`, each followed by a space.
pub fn mask_words_of(line: &str, masked: &mut String) {
    let mut after_code_word = false;
    for token in line.split_ascii_whitespace() {
        let core =
            token.trim_matches(|char: char| !char.is_ascii_alphanumeric() && !"/\\.~@#_-".contains(char));
        if !core.is_empty() {
            after_code_word = mask_token(core, after_code_word, masked);
        }
    }
}

/// Masks one token; returns whether a number that follows is a code.
fn mask_token(token: &str, after_code_word: bool, masked: &mut String) -> bool {
    if token.contains("://") {
        masked.push_str("url ");
        return false;
    }
    if token.starts_with("##[") {
        return mask_words(token, after_code_word, masked);
    }
    let name = token.trim_end_matches('.');
    let (path, position) = split_position(name);
    if is_path(path) {
        masked.push_str("path ");
        push_extension(path, masked);
        return false;
    }
    if push_extension(path, masked) && !position.is_empty() {
        return false;
    }
    if let Some(placeholder) = placeholder(name, after_code_word) {
        masked.push_str(placeholder);
        return false;
    }
    mask_words(name, after_code_word, masked)
}

/// `src/a.rs:12:3` and `a.ts(9,6)` to the path and what follows it.
fn split_position(token: &str) -> (&str, &str) {
    let end = token.find(['(', ':', '=']).filter(|at| *at > 1).unwrap_or(token.len());
    token.split_at(end)
}

fn is_path(token: &str) -> bool {
    let separators = token.bytes().filter(|byte| matches!(byte, b'/' | b'\\')).count();
    separators > 0 && token.len() > 3 && token.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Pushes `ext_rs` for `lib.rs`; false when the token does not end in a known extension.
fn push_extension(path: &str, masked: &mut String) -> bool {
    let Some((stem, extension)) = path.rsplit_once('.') else { return false };
    let known = !stem.is_empty() && EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension));
    if known {
        masked.push_str("ext_");
        push_lower(extension, masked);
        masked.push(' ');
    }
    known
}

/// What a token without words stands for; `None` for words and for codes, which stay.
fn placeholder(token: &str, after_code_word: bool) -> Option<&'static str> {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    if digits == token.len() {
        return (!is_code(token, after_code_word)).then_some("num ");
    }
    let number = token.trim_start_matches(['v', '-', '~', '@', '#']);
    let unit =
        number.trim_start_matches(|char: char| char.is_ascii_digit() || matches!(char, '.' | ':' | ','));
    let starts_with_digit = number.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let lower = unit.to_ascii_lowercase();
    match lower.as_str() {
        "" if starts_with_digit && number.matches('.').count() == 3 => Some("address "),
        "" if starts_with_digit && number.contains(':') => Some("duration "),
        "" if starts_with_digit && number.matches('.').count() >= 2 => Some("version "),
        "" if starts_with_digit && token.starts_with('v') => Some("version "),
        "" if starts_with_digit => Some("num "),
        "s" | "ms" | "m" | "h" | "sec" | "secs" | "seconds" | "min" | "mins" | "minutes" | "us" | "ns"
            if starts_with_digit =>
        {
            Some("duration ")
        }
        "b" | "k" | "g" | "kb" | "mb" | "gb" | "kib" | "mib" | "gib" if starts_with_digit => Some("size "),
        _ if is_hex(token) => Some("hex "),
        _ if starts_with_digit && number.matches('.').count() >= 2 => Some("version "),
        _ => None,
    }
}

fn is_code(digits: &str, after_code_word: bool) -> bool {
    let is_http = digits.len() == 3 && matches!(digits.as_bytes()[0], b'4' | b'5');
    is_http || (after_code_word && digits.len() <= 4)
}

fn is_hex(token: &str) -> bool {
    let hex = token.strip_prefix("0x").unwrap_or(token);
    (hex.len() >= 7 || token.len() > hex.len())
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Pushes each word of `token`, split at punctuation, underscores, digits and camelCase.
fn mask_words(token: &str, after_code_word: bool, masked: &mut String) -> bool {
    let bytes = token.as_bytes();
    let mut expects_code = after_code_word;
    let mut at = 0;
    while at < bytes.len() {
        let end = piece_end(bytes, at);
        let piece = &token[at..end];
        if bytes[at].is_ascii_alphabetic() {
            masked.push_str(stem(&piece.to_ascii_lowercase()));
            masked.push(' ');
            expects_code = CODE_WORDS.iter().any(|word| word.eq_ignore_ascii_case(piece));
        } else if bytes[at].is_ascii_digit() {
            let glued = at > 0 && bytes[at - 1].is_ascii_alphabetic();
            if piece.contains('.') {
                masked.push_str("version ");
            } else if is_code(piece, expects_code) && !glued {
                masked.push_str(piece);
                masked.push(' ');
            } else if !glued {
                masked.push_str("num ");
            }
            expects_code = false;
        }
        at = end;
    }
    expects_code
}

/// The end of the piece that starts at `at`: a number or version, a word of one case pattern, or one other character.
fn piece_end(bytes: &[u8], at: usize) -> usize {
    let run =
        |from: usize, test: fn(&u8) -> bool| from + bytes[from..].iter().take_while(|b| test(b)).count();
    match bytes[at] {
        first if first.is_ascii_digit() => {
            let mut end = run(at, u8::is_ascii_digit);
            while bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
                end = run(end + 1, u8::is_ascii_digit);
            }
            end
        }
        first if first.is_ascii_uppercase() => {
            let upper_end = run(at, u8::is_ascii_uppercase);
            let lower_end = run(upper_end, u8::is_ascii_lowercase);
            match (upper_end - at, lower_end > upper_end) {
                (1, _) | (_, false) => lower_end,
                // `HTTPServer`: the last capital belongs to the next word. `TESTs` is one word.
                _ if lower_end - upper_end == 1 => lower_end,
                _ => upper_end - 1,
            }
        }
        first if first.is_ascii_lowercase() => run(at, u8::is_ascii_lowercase),
        // Step over a whole character, which need not be ASCII.
        _ => at + 1 + bytes[at + 1..].iter().take_while(|byte| (0x80..0xc0).contains(*byte)).count(),
    }
}

fn push_lower(text: &str, masked: &mut String) {
    masked.extend(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(line: &str) -> String {
        let mut masked = String::new();
        mask_words_of(line, &mut masked);
        masked.trim_end().to_owned()
    }

    #[test]
    fn codes_stay_and_counts_go() {
        assert_eq!(
            masked("##[error]Process completed with exit code 137."),
            "error process complet with exit code 137"
        );
        assert_eq!(masked("8048 tests completed, 12 failed"), "num test complet num fail");
        assert_eq!(masked("HTTP 503 from server"), "http 503 from server");
        assert_eq!(masked("connect ECONNREFUSED 127.0.0.1:5432"), "connect econnrefus address");
    }

    #[test]
    fn identifiers_become_their_words() {
        assert_eq!(
            masked("ModuleNotFoundError: No module named 'x'"),
            "modul not found error no modul named x"
        );
        assert_eq!(masked("ERR_PNPM_OUTDATED_LOCKFILE"), "err pnpm outdat lockfil");
        assert_eq!(masked("HTTPServer error TS2304:"), "http server error ts");
    }

    #[test]
    fn paths_versions_hashes_and_durations_become_placeholders() {
        assert_eq!(masked("/home/runner/work/a/b.rs:12:3 oops"), "path ext_rs oops");
        assert_eq!(
            masked("left-pad@1.3.0 in 12.5s at 3f786850e387550f"),
            "left pad version in duration at hex"
        );
        assert_eq!(masked("got v1.2.3 from https://example.com/x"), "got version from url");
    }

    #[test]
    fn the_line_that_ends_every_failed_step_is_left_out_unless_its_code_says_something() {
        let log =
            "##[error]Process completed with exit code 1.\n##[error]Process completed with exit code 137.";
        let masked = mask(&Excerpt::of(log.as_bytes()));
        assert_eq!(
            masked.text.lines().next().map(str::trim_end),
            Some("error process complet with exit code 137")
        );
        assert_eq!(masked.error_lines.lines().count(), 1);
    }

    #[test]
    fn the_words_of_an_error_line_are_said_twice() {
        let mut text = String::new();
        assert!(mask_line("npm ERR! Connection refused", &mut text));
        assert!(!mask_line("added 12 packages", &mut text));
        assert_eq!(
            text,
            "npm err connection refus \nerr_npm err_err err_connection err_refus \nadded num packag \n"
        );
        assert!(ERROR_STEMS.is_sorted());
    }

    proptest! {
        #[test]
        fn any_line_masks_to_lower_case_ascii(line: String) {
            let masked = masked(&line);
            prop_assert!(masked.bytes().all(|byte| byte == b' ' || byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{masked}");
        }
    }
}
