//! XCTest and Swift Testing.

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, between, count_before};

/// XCTest (<https://developer.apple.com/documentation/xctest>): `Test Case '-[Module.Class testName]' failed (0.1
/// seconds).`, on Linux `Test Case 'Class.testName' failed`, and `Executed 3 tests, with 1 failure`. Swift Testing
/// (<https://developer.apple.com/documentation/testing>): `✘ Test "name" failed after 0.1 seconds with 1 issue.`
pub(super) fn read(line: Line<'_>, tests: &mut Tests) {
    let text = line.trimmed;
    if text.starts_with("Test Case '") && text.contains("' failed (") {
        if let Some(name) = between(text, "Test Case '", "' failed") {
            let name = name.trim_start_matches("-[").trim_end_matches(']').replace(' ', ".");
            tests.add(Tool::Xctest, Source::Report, &name);
        }
    } else if let Some((name, _)) = text.strip_prefix("✗ ").and_then(|rest| rest.split_once(", ")) {
        // xcpretty: `✗ testName, message`
        if name.starts_with("test") && !name.contains(' ') {
            tests.add(Tool::Xctest, Source::Progress, name);
        }
    } else if text.starts_with("Executed ") {
        // Each suite repeats the number of those in it.
        if let Some(failed) = count_before(text, " failure") {
            tests.summary_of_level(Tool::Xctest, failed);
        }
    } else if let Some(name) = text.strip_prefix("✘ Test ").or_else(|| text.strip_prefix("✗ Test "))
        && !name.starts_with("run with ")
        && !name.starts_with("case ")
        && let Some((name, _)) = name.split_once(" failed after ")
    {
        tests.add(Tool::SwiftTesting, Source::Report, name.trim_matches('"'));
    }
}
