//! Timestamps that the CI system puts before a line. A program's own timestamps stay.

use super::Format;
use super::marker::JENKINS_STARTS;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// The largest number of bytes before a timestamp that a damaged byte order mark can have. `gh` writes the mark of
/// each step's file, and a Windows console of another code page makes up to three other characters of it.
const DAMAGED_MARK_BYTES: usize = 12;
/// `2024-05-01T12:34:56.123456Z`: GitLab counts microseconds, GitHub and Azure seven digits.
const GITLAB_STAMP_BYTES: usize = 27;
/// `_bk;t=` and a time in milliseconds, in an application program command (ECMA-48), before each line of Buildkite.
const BUILDKITE: &[u8] = b"\x1b_bk;t=";

/// The timestamp as it is written, and the text after it.
pub(super) type Stamped<'a> = (Option<&'a [u8]>, &'a [u8]);

/// Takes the timestamp off a line.
pub(super) fn split(line: &[u8], format: Format) -> Stamped<'_> {
    match line.first() {
        Some(b'0'..=b'9') => iso(line).or_else(|| clock(line, format)).unwrap_or((None, line)),
        Some(b'[') if format != Format::Actions => bracketed(line).unwrap_or((None, line)),
        Some(0x1b) => buildkite(line).unwrap_or((None, line)),
        Some(b'?' | 0x80..) => {
            marked(line).unwrap_or_else(|| (None, line.strip_prefix(MARK).unwrap_or(line)))
        }
        _ => (None, line),
    }
}

/// Whether a timestamp of GitHub begins the line, behind a byte order mark or not.
pub(super) fn begins(line: &[u8]) -> bool {
    match line.first() {
        Some(b'0'..=b'9') => iso_end(line).is_some(),
        Some(b'?' | 0x80..) => marked(line).is_some(),
        _ => false,
    }
}

/// `2024-05-01T12:34:56.1234567Z `, as GitHub, Azure and GitLab write it.
fn iso(line: &[u8]) -> Option<Stamped<'_>> {
    let end = iso_end(line)?;
    let text = &line[end..];
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let text = if end == GITLAB_STAMP_BYTES { without_stream(text) } else { text };
    Some((Some(&line[..end]), text))
}

/// The length of the timestamp; its first digit may be another byte.
fn iso_end(line: &[u8]) -> Option<usize> {
    if !is_iso(line) {
        return None;
    }
    // GitHub's seven digits, the most frequent end.
    if line.get(27) == Some(&b'Z') {
        return Some(28);
    }
    line[19..line.len().min(36)].iter().position(|byte| *byte == b'Z').map(|z| 19 + z + 1)
}

fn is_iso(line: &[u8]) -> bool {
    let at = |index| line.get(index).copied();
    line.len() > 20
        && at(4) == Some(b'-')
        && at(7) == Some(b'-')
        && at(10) == Some(b'T')
        && at(13) == Some(b':')
}

/// GitLab writes stream, kind and whether the line goes on, as in `00O ` and `01E+`:
/// <https://docs.gitlab.com/ci/jobs/job_logs/#job-log-timestamps>.
fn without_stream(text: &[u8]) -> &[u8] {
    match text {
        [a, b, b'O' | b'E', b' ' | b'+', rest @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest,
        _ => text,
    }
}

/// A timestamp behind a byte order mark that may have been damaged, together with the digit after it.
fn marked(line: &[u8]) -> Option<Stamped<'_>> {
    let is_mark = |byte: &u8| *byte == b'?' || !byte.is_ascii();
    let mark = line.iter().take(DAMAGED_MARK_BYTES + 1).take_while(|byte| is_mark(byte)).count();
    if mark > DAMAGED_MARK_BYTES {
        return None;
    }
    let rest = &line[mark..];
    match rest.first() {
        Some(b'0'..=b'9') => iso(rest).or_else(|| iso(&line[mark.checked_sub(1)?..])),
        _ => None,
    }
}

/// `[2024-05-01T12:34:56.789Z] `, as Jenkins' timestamper and Buildkite's agent write it:
/// <https://plugins.jenkins.io/timestamper/>.
fn bracketed(line: &[u8]) -> Option<Stamped<'_>> {
    let inner = &line[1..];
    let end = inner.first().filter(|byte| byte.is_ascii_digit()).and_then(|_| iso_end(inner))?;
    let text = inner[end..].strip_prefix(b"]")?;
    Some((Some(&inner[..end]), text.strip_prefix(b" ").unwrap_or(text)))
}

/// `12:34:56  `, the timestamper's other form.
fn clock(line: &[u8], format: Format) -> Option<Stamped<'_>> {
    let is_clock = line.len() > 9
        && line[2] == b':'
        && line[5] == b':'
        && [1, 3, 4, 6, 7].iter().all(|at| line[*at].is_ascii_digit());
    let end = 8 + line.get(8..)?.iter().take_while(|byte| matches!(byte, b'.' | b'0'..=b'9')).count();
    if !is_clock || line.get(end) != Some(&b' ') {
        return None;
    }
    let text = &line[end + 1..];
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let is_jenkins =
        format == Format::Jenkins || (format == Format::Plain && text.starts_with(JENKINS_STARTS));
    is_jenkins.then_some((Some(&line[..end]), text))
}

fn buildkite(line: &[u8]) -> Option<Stamped<'_>> {
    let rest = line.strip_prefix(BUILDKITE)?;
    let end = memchr::memchr(0x07, rest)?;
    Some((Some(&rest[..end]), &rest[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str, format: Format) -> (Option<String>, String) {
        let (stamp, text) = split(line.as_bytes(), format);
        let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (stamp.map(owned), owned(text))
    }

    #[test]
    fn each_systems_timestamp_is_taken_off_and_kept() {
        let cases = [
            ("2026-01-01T00:00:00.1234567Z text", Format::Plain, "2026-01-01T00:00:00.1234567Z"),
            ("2026-01-01T00:00:00.123456Z 00O text", Format::GitLab, "2026-01-01T00:00:00.123456Z"),
            ("2026-01-01T00:00:00.123456Z 01E+text", Format::Plain, "2026-01-01T00:00:00.123456Z"),
            ("[2026-01-01T00:00:00.123Z] text", Format::Plain, "2026-01-01T00:00:00.123Z"),
            ("12:34:56  text", Format::Jenkins, "12:34:56"),
            ("12:34:56.789 text", Format::Jenkins, "12:34:56.789"),
            ("\x1b_bk;t=1767225600000\x07text", Format::Plain, "1767225600000"),
        ];
        for (line, format, stamp) in cases {
            assert_eq!(text(line, format), (Some(stamp.to_owned()), "text".to_owned()), "{line}");
        }
    }

    #[test]
    fn a_byte_order_mark_before_the_timestamp_is_taken_off_however_damaged() {
        for mark in ["\u{feff}", "´╗┐", "∩╗┐", "???", "锘?", "嚜?"] {
            let stamp = if mark.ends_with('?') && mark != "???" { "026-01-01" } else { "2026-01-01" };
            let line = format!("{mark}{stamp}T00:00:00.1234567Z text");
            assert_eq!(text(&line, Format::Plain).1, "text", "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_a_timestamp_stays() {
        for line in ["2026-01-01 00:00:00 INFO x", "12:34:56 INFO x", "[1/3] x", "?", "é", "2026", ""] {
            assert_eq!(text(line, Format::Plain), (None, line.to_owned()));
        }
        let own = "[2026-01-01T00:00:00.123Z] a program's own";
        assert_eq!(text(own, Format::Actions).1, own);
    }
}
