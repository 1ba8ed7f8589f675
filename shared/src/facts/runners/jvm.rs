//! Surefire and Failsafe (JUnit and TestNG under Maven), Gradle, and ScalaTest.

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, count_after, count_before};

/// What earlier lines said.
#[derive(Debug, Default)]
pub(super) struct Jvm {
    /// The class of Surefire's last `Tests run: … <<< FAILURE! - in Class`.
    class: String,
    /// Below `Failed tests:` or `Tests in error:`.
    is_in_results: bool,
}

impl Jvm {
    /// Whether the next line may be one of Surefire's results.
    pub(super) fn is_open(&self) -> bool {
        self.is_in_results
    }

    pub(super) fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        let plain = ["[ERROR] ", "[error] ", "[info] ", "[INFO] ", "[WARNING] ", "[junit] "]
            .iter()
            .find_map(|level| text.strip_prefix(level))
            .unwrap_or(text)
            .trim_start();
        if let Some(head) = before_mark(plain) {
            self.surefire(plain, head, tests);
        } else if plain.starts_with("Tests run:") {
            self.is_in_results = false;
            let counted = ["Failures: ", "Errors: "].iter().filter_map(|label| count_after(plain, label));
            let failed = counted.fold(0, u32::saturating_add);
            if failed > 0 && !plain.contains("Time elapsed") {
                tests.summary(Tool::Surefire, failed);
            }
        } else if let Some(rest) =
            plain.strip_prefix("Failed tests:").or_else(|| plain.strip_prefix("Tests in error:"))
        {
            self.is_in_results = true;
            old_result(rest.trim_start(), tests);
        } else if self.is_in_results && line.indent() > 0 {
            old_result(plain, tests);
        } else if let Some(name) = plain.strip_suffix(" FAILED") {
            match name.strip_prefix("Test ") {
                // Ant: `[junit] Test org.example.AppTest FAILED`
                Some(class) if class.contains('.') => tests.add(Tool::Surefire, Source::Heading, class),
                _ => gradle(name, tests),
            }
        } else if let Some((name, _)) = plain.split_once(" *** FAILED ***") {
            tests.add(Tool::Scalatest, Source::Report, name.trim_start_matches("- "));
        } else if plain.starts_with("Failed: Total ") {
            let counted = [", Failed ", ", Errors "].iter().filter_map(|label| count_after(plain, label));
            tests.summary(Tool::Scalatest, counted.fold(0, u32::saturating_add));
        } else if let Some(failed) = count_before(plain, " failed").filter(|failed| *failed > 0)
            && plain.contains(" tests completed, ") | plain.contains(" test completed, ")
        {
            tests.summary(Tool::Gradle, failed);
        } else if text.starts_with("[ERROR]   ") || text.starts_with("[ERROR] \t") {
            result(plain, tests);
        }
    }

    /// Surefire's reporters (<https://maven.apache.org/surefire/maven-surefire-plugin/>):
    /// `org.example.AppTest.name -- Time elapsed: 0.01 s <<< FAILURE!`, before version 3 `name  Time elapsed: …` or
    /// `name(org.example.AppTest)  Time elapsed: …`.
    fn surefire(&mut self, plain: &str, head: &str, tests: &mut Tests) {
        if plain.starts_with("Tests run:") {
            let class = plain.rsplit_once(" in ").map_or("", |(_, class)| class);
            class.trim().clone_into(&mut self.class);
            return;
        }
        let head = head.split("Time elapsed").next().unwrap_or(head).trim_end_matches(['-', ' ']);
        let name = match head.rsplit_once('(') {
            Some((test, class)) if class.ends_with(')') && class.contains('.') => {
                format!("{}.{test}", class.trim_end_matches(')'))
            }
            _ if self.class.is_empty() || head.starts_with(self.class.as_str()) => head.to_owned(),
            _ if head
                .split(['(', '['])
                .next()
                .is_some_and(|name| name.contains('.') && !name.contains(' ')) =>
            {
                head.to_owned()
            }
            _ => format!("{}.{head}", self.class),
        };
        tests.add(Tool::Surefire, Source::Report, &name);
    }
}

fn before_mark(text: &str) -> Option<&str> {
    let (head, mark) = text.split_at(memchr::memmem::find(text.as_bytes(), b" <<< ")?);
    (mark.starts_with(" <<< FAILURE!") || mark.starts_with(" <<< ERROR!")).then_some(head)
}

/// A line of Surefire's results before version 2.13: `name(org.example.AppTest): message`.
fn old_result(plain: &str, tests: &mut Tests) {
    let Some((test, rest)) = plain.split_once('(') else { return };
    let Some((class, _)) = rest.split_once(')') else { return };
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$'))
    };
    if is_name(test) && is_name(class) && class.contains('.') {
        tests.add(Tool::Surefire, Source::Heading, &format!("{class}.{test}"));
    }
}

/// A line of Surefire's results: `AppTest.name:12 expected: …` or `AppTest.name » NullPointer …`.
fn result(plain: &str, tests: &mut Tests) {
    let end = plain.find([':', ' ', '»']).unwrap_or(plain.len());
    let (name, rest) = plain.split_at(end);
    let is_name = name.split_once('.').is_some_and(|(class, test)| {
        class.starts_with(|first: char| first.is_ascii_uppercase())
            && !test.is_empty()
            && !name.contains(['/', '$', '@'])
    });
    let is_result = rest.strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        || rest.trim_start().starts_with('»')
        || rest.contains("->");
    if is_name && is_result {
        tests.add(Tool::Surefire, Source::Heading, name);
    }
}

/// Gradle (<https://docs.gradle.org/current/userguide/java_testing.html>): `AppTest > name() FAILED`. Tasks are written
/// `> Task :test FAILED`.
fn gradle(name: &str, tests: &mut Tests) {
    let Some((class, test)) = name.split_once(" > ") else { return };
    let is_class = class.split('$').next().is_some_and(|class| {
        class.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
            || class
                .rsplit('.')
                .next()
                .is_some_and(|name| name.starts_with(|first: char| first.is_uppercase()))
    });
    if is_class && !class.is_empty() && !test.starts_with("Task ") && !test.contains(" ... ") {
        tests.add(Tool::Gradle, Source::Report, name);
    }
}
