//! `dart test` and `flutter test` (<https://pub.dev/packages/test>, its expanded and its GitHub reporter).

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, count_before, number};
use crate::facts::paths;

pub(super) fn read(line: Line<'_>, tests: &mut Tests) {
    let text = line.trimmed;
    if let Some(name) = text.strip_prefix("❌ ").and_then(|rest| rest.strip_suffix(" (failed)")) {
        add(name, tests);
    } else if let Some((_, status)) = text.split_once(" +").filter(|(time, _)| is_time(time)) {
        // `00:01 +12 -1: path: name [E]`
        let Some((counts, name)) = status.split_once(": ") else { return };
        if let Some(name) = name.strip_suffix(" [E]") {
            add(name, tests);
        } else if name == "Some tests failed."
            && let Some((_, failed)) = counts.rsplit_once('-')
            && let Some((failed, _)) = number(failed)
        {
            tests.summary(Tool::Dart, failed);
        }
    } else if text.contains(" tests passed, ") || text.contains(" test passed, ") {
        // The GitHub reporter: `12 tests passed, 1 failed.`
        if let Some(failed) = count_before(text, " failed").filter(|_| text.ends_with('.')) {
            tests.summary(Tool::Dart, failed);
        }
    }
}

fn is_time(text: &str) -> bool {
    text.split_once(':').is_some_and(|(minutes, seconds)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number(minutes) && is_number(seconds)
    })
}

/// A name begins with the path of its file if there are several.
fn add(name: &str, tests: &mut Tests) {
    let name = name.strip_prefix("loading ").unwrap_or(name);
    match name.split_once(".dart: ") {
        Some((file, test)) => {
            let file = format!("{file}.dart");
            let file = paths::of_error(&file).unwrap_or(file);
            tests.add(Tool::Dart, Source::Report, &format!("{file}: {test}"));
        }
        None => tests.add(Tool::Dart, Source::Report, name),
    }
}
