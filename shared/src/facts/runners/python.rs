//! pytest and unittest.

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, between, count_after, count_before};

/// pytest: its short test summary, its progress and its last line
/// (<https://docs.pytest.org/en/stable/how-to/output.html>).
pub(super) fn pytest(line: Line<'_>, tests: &mut Tests) {
    let text = line.trimmed;
    if let Some(rest) = ["FAILED ", "ERROR ", "FAIL "].iter().find_map(|result| text.strip_prefix(result)) {
        if let Some(name) = id(rest).filter(|name| !text.starts_with("FAIL ") || name.contains("::")) {
            tests.add(Tool::Pytest, Source::Report, name);
        }
    } else if text.starts_with("___") {
        let name = text.trim_matches('_').trim();
        let name = name.strip_prefix("ERROR at setup of ").unwrap_or(name);
        let name = name.strip_prefix("ERROR collecting ").unwrap_or(name);
        if !name.contains(' ') || name.ends_with(']') {
            tests.add(Tool::Pytest, Source::Heading, name);
        }
    } else if let Some(failures) = failures(text) {
        tests.summary(Tool::Pytest, failures);
    } else if let Some((before, after)) = text.split_once(" FAILED").or_else(|| text.split_once(" ERROR")) {
        // `path::name FAILED [ 12%]`, and with xdist `[gw0] [ 12%] FAILED path::name`.
        let name = if before.ends_with(']') && !before.contains("::") { after } else { before };
        if let Some(name) = id(name.trim()).filter(|name| name.contains("::")) {
            tests.add(Tool::Pytest, Source::Progress, name);
        }
    }
}

/// The test at the start of a text: `path::name`, where a parameter in brackets may hold anything, or the path of a file
/// that can't be collected.
fn id(text: &str) -> Option<&str> {
    let end = match (text.find('['), text.find(" - "), text.find("] - ")) {
        (Some(open), Some(dash), Some(close)) if open < dash && !text[..open].contains(' ') => close + 1,
        (_, Some(dash), _) => dash,
        _ => text.len(),
    };
    let id = text[..end].trim_end();
    let path = id.split("::").next().unwrap_or(id);
    let is_id = id.contains("::") || path.ends_with(".py");
    (is_id && !path.is_empty() && !path.contains([' ', '\t', ':', '('])).then_some(id)
}

/// `=== 2 failed, 10 passed, 1 error in 0.12s ===`, and without the signs with `-q`.
fn failures(text: &str) -> Option<u32> {
    let text = text.trim_matches('=').trim();
    let (counts, time) = text.rsplit_once(" in ")?;
    let is_time = time.starts_with(|first: char| first.is_ascii_digit()) && time.ends_with(['s', ')']);
    if !is_time || !counts.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let failed = count_before(counts, " failed").unwrap_or(0) + count_before(counts, " error").unwrap_or(0);
    (failed > 0).then_some(failed)
}

/// unittest (<https://docs.python.org/3/library/unittest.html>), which Django and nose write alike.
pub(super) fn unittest(line: Line<'_>, tests: &mut Tests) {
    let text = line.trimmed;
    if let Some(rest) = text.strip_prefix("FAIL: ").or_else(|| text.strip_prefix("ERROR: ")) {
        if let Some(name) = name(rest) {
            tests.add(Tool::Unittest, Source::Report, &name);
        }
    } else if let Some(counts) = text.strip_prefix("FAILED (") {
        let counted = ["failures=", "errors="].iter().filter_map(|label| count_after(counts, label));
        let failed = counted.fold(0, u32::saturating_add);
        if failed > 0 {
            tests.summary(Tool::Unittest, failed);
        }
    } else if let Some(rest) = text.strip_suffix(" ... FAIL").or_else(|| text.strip_suffix(" ... ERROR"))
        && let Some(name) = name(rest)
    {
        tests.add(Tool::Unittest, Source::Progress, &name);
    }
}

/// The dotted name in `test_x (module.Class)`, which newer versions write `test_x (module.Class.test_x)`.
fn name(text: &str) -> Option<String> {
    let (test, _) = text.split_once(" (")?;
    let class = between(text, " (", ")")?;
    let is_dotted = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'<' | b'>'))
    };
    if !is_dotted(test) || !is_dotted(class) || test.contains('.') && test != class {
        return None;
    }
    if let Some(module) = class.strip_prefix("unittest.loader._FailedTest") {
        return Some(module.strip_prefix('.').unwrap_or(test).to_owned());
    }
    let last = class.rsplit('.').next();
    Some(if last == Some(test) { class.to_owned() } else { format!("{class}.{test}") })
}
