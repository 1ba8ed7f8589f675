//! Paths as git writes them: quoted if they hold odd characters, and with `a/` or `b/` in front.

use std::borrow::Cow;

/// The path in a `---`, `+++`, `rename from` or `Binary files` entry; None for `/dev/null`.
pub(super) fn path(text: &str) -> Option<Cow<'_, str>> {
    // A tab ends the name: what follows is a time stamp, or nothing where the name has a blank in it.
    let name = if text.starts_with('"') { unquoted(text) } else { Cow::Borrowed(text.split('\t').next()?) };
    (name != "/dev/null" && !name.is_empty()).then_some(name)
}

/// Removes the side's prefix: `a/` and `b/`, or one letter of `diff.mnemonicPrefix`.
pub(super) fn without_prefix(path: Cow<'_, str>) -> Cow<'_, str> {
    let has_prefix = matches!(path.as_bytes(), [b'a' | b'b' | b'c' | b'i' | b'o' | b'w', b'/', _, ..]);
    match path {
        Cow::Borrowed(path) if has_prefix => Cow::Borrowed(&path[2..]),
        Cow::Owned(path) if has_prefix => Cow::Owned(path[2..].to_owned()),
        path => path,
    }
}

/// Both paths of a `diff --git` line. If neither is quoted, they can be separated only if they are equal. They are
/// equal whenever no other line of the header names them.
pub(super) fn of_header(text: &str) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    if let Some(end) = text.starts_with('"').then(|| closing_quote(text)).flatten() {
        return (path(&text[..=end]), path(text[end + 1..].trim_start()));
    }
    if let Some(start) = text.find(" \"") {
        return (path(&text[..start]), path(&text[start + 1..]));
    }
    let half = text.len() / 2;
    if text.len() % 2 == 1 && text.as_bytes().get(half) == Some(&b' ') {
        let (old, new) = (&text[..half], &text[half + 1..]);
        if without_prefix(Cow::Borrowed(old)) == without_prefix(Cow::Borrowed(new)) {
            return (path(old), path(new));
        }
    }
    (None, None)
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().enumerate().skip(1).find_map(|(at, byte)| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes.then_some(at)
    })
}

/// Undoes the C escapes of <https://git-scm.com/docs/git-config#Documentation/git-config.txt-corequotePath>.
fn unquoted(text: &str) -> Cow<'_, str> {
    let end = closing_quote(text).unwrap_or(text.len());
    let inner = text.get(1..end).unwrap_or_default();
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let octal = rest.get(..3).filter(|digits| digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        if let Some(digits) = octal {
            bytes.push(
                digits.iter().fold(0u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')),
            );
            rest = &rest[3..];
        } else if let Some((&escape, after)) = rest.split_first() {
            rest = after;
            bytes.push(match escape {
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                other => other,
            });
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
