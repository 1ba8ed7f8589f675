//! Names and lines between backticks, which whoever wrote them cannot leave.

/// The beginning of `text` between backticks, at most `chars_max` characters of it.
pub(super) fn quoted(text: &str, chars_max: usize) -> String {
    let mut chars =
        text.chars().filter(|char| !char.is_control()).map(|char| if char == '`' { '\'' } else { char });
    let start: String = chars.by_ref().take(chars_max).collect();
    let rest = if chars.next().is_some() { "…" } else { "" };
    format!("`{}{rest}`", start.trim_end())
}
