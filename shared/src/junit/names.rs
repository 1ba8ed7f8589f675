//! What a test of a report is called where it fails in a log.
//!
//! Each tool fills `classname`, `name` and `file` in its own way, and writes other names to its log; [`crate::facts`] reads
//! those. A tool is told by what only its reports have. Where a report lacks a part of the log's name, the nearest is made of
//! what is there, and docs/tests.md says so: Playwright's lines, and the deeper of Jest's nested suites.

/// The attributes of an element that tell a test or its tool. What is not there is empty.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) classname: String,
    pub(super) class: String,
    pub(super) file: String,
    pub(super) hostname: String,
    pub(super) status: String,
    pub(super) result: String,
    pub(super) seconds: f64,
    pub(super) has_id: bool,
    pub(super) is_nextest: bool,
    pub(super) is_surefire: bool,
    pub(super) is_go: bool,
}

/// Whether the attributes of a test case say that it did not run: Google Test and CTest have no element for it.
pub(super) fn did_not_run(case: &Element) -> bool {
    matches!(case.status.as_str(), "notrun" | "disabled" | "skipped")
        || matches!(case.result.as_str(), "suppressed" | "skipped")
}

/// The name of a test, and whether it is one of Go's.
pub(super) fn name(root: &Element, suite: &Element, case: &Element) -> (String, bool) {
    let Element { name, classname, .. } = case;
    let joined = |with: &str| match (classname.is_empty(), name.is_empty()) {
        (true, _) => name.clone(),
        (false, true) => classname.clone(),
        (false, false) => format!("{classname}{with}{name}"),
    };
    let is_go = suite.is_go || is_of_go(suite, case);
    let told = match root.name.as_str() {
        // https://docs.pytest.org/en/stable/how-to/output.html#creating-junitxml-format-files
        _ if is_of_pytest(root, suite, case) => pytest(case),
        // https://vitest.dev/guide/reporters.html#junit-reporter
        "vitest tests" => joined(" > "),
        // https://github.com/jest-community/jest-junit
        "jest tests" => jest(suite, case),
        // https://github.com/michaelleeallen/mocha-junit-reporter, which Cypress uses too
        "Mocha Tests" => mocha(suite, case),
        // https://bun.com/docs/test/reporters
        "bun test" if classname == &case.file => name.clone(),
        "bun test" => joined(" > "),
        // https://nexte.st/docs/machine-readable/junit
        "nextest-run" => joined(" "),
        _ if root.is_nextest => joined(" "),
        // https://playwright.dev/docs/test-reporters#junit-reporter
        "" if root.has_id && is_script(classname) => playwright(suite, case),
        // https://maven.apache.org/surefire/maven-surefire-plugin/
        _ if suite.is_surefire => joined("."),
        // https://docs.phpunit.de/en/12.0/textui.html, and Pest, whose file has the test behind it
        _ if case.class.contains('\\') || case.file.contains(".php") => php(case),
        // https://github.com/sj26/rspec_junit_formatter
        _ if suite.name.starts_with("rspec") => name.clone(),
        // https://github.com/minitest-reporters/minitest-reporters
        _ if case.file.ends_with(".rb") => joined("#"),
        // https://github.com/victorolinasc/junit-formatter
        _ if classname.starts_with("Elixir.") => format!("{name} ({})", &classname["Elixir.".len()..]),
        // https://github.com/jstemmer/go-junit-report, and gotestsum
        _ if is_go => name.clone(),
        // Rust's libtest: https://doc.rust-lang.org/rustc/tests/index.html
        _ if suite.name == "test" => match classname.as_str() {
            "crate" | "integration" | "unknown" => name.clone(),
            _ => joined("::"),
        },
        // node:test: https://nodejs.org/api/test.html#test-reporters
        _ if classname == "test" || classname == name => name.clone(),
        // https://docs.gradle.org/current/userguide/java_testing.html
        _ if is_of_gradle(suite, case) => gradle(case),
        _ if name.starts_with(classname.as_str()) => name.clone(),
        // Google Test, dotnet's logger, unittest-xml-reporting, Swift's, and whatever else there is.
        _ => joined("."),
    };
    (told, is_go)
}

fn is_of_pytest(root: &Element, suite: &Element, case: &Element) -> bool {
    // unittest-xml-reporting names the file too, and its suites after their class.
    let is_python = case.file.ends_with(".py") && !suite.name.starts_with(case.classname.as_str());
    suite.name == "pytest" || root.name == "pytest tests" || is_python
}

/// The id of a test: `tests/test_a.py::TestX::test_y`. Only the form `xunit1` has the file. Without it, the file ends where
/// the dotted name has a module of tests, else before the first class.
fn pytest(case: &Element) -> String {
    let Element { name, classname, .. } = case;
    if classname.is_empty() {
        // A file that can't be collected.
        return format!("{}.py", name.replace('.', "/"));
    }
    let file = case.file.replace('\\', "/");
    let of_file =
        file.strip_suffix(".py").and_then(|module| classname.strip_prefix(&module.replace('/', ".")));
    let (file, classes) = match of_file {
        Some(classes) => (file, classes),
        None => {
            let end = module_end(classname);
            (format!("{}.py", classname[..end].replace('.', "/")), &classname[end..])
        }
    };
    format!("{file}{}::{name}", classes.replace('.', "::"))
}

/// Where the dotted name of a class of pytest ends to name a module.
fn module_end(classname: &str) -> usize {
    let mut end = None;
    let mut at = 0;
    for part in classname.split('.') {
        let after = at + part.len();
        if part.starts_with("test_") || part.ends_with("_test") {
            end = Some(after);
        } else if part.starts_with(|first: char| first.is_ascii_uppercase()) {
            end = end.or(Some(at.saturating_sub(1)));
        }
        at = after + 1;
    }
    end.unwrap_or(classname.len())
}

/// `suite › nested › name`. By default jest-junit writes all of them with blanks between, in `classname` and in `name`; the
/// suite is named after the outermost.
fn jest(suite: &Element, case: &Element) -> String {
    let Element { name, classname, .. } = case;
    if classname == "Test suite failed to run" {
        return name.clone();
    }
    let with_suite = || {
        let rest = name.strip_prefix(suite.name.as_str()).filter(|_| !suite.name.is_empty())?;
        rest.strip_prefix(' ').map(|rest| format!("{} › {rest}", suite.name))
    };
    match classname == name {
        _ if classname.is_empty() || name.contains(" › ") => name.clone(),
        true => with_suite().unwrap_or_else(|| name.clone()),
        false if name.starts_with(classname.as_str()) => with_suite().unwrap_or_else(|| name.clone()),
        false => format!("{classname} › {name}"),
    }
}

/// `outer › inner › title`. The name is all titles with blanks between, the class the last; the suite is the one before.
fn mocha(suite: &Element, case: &Element) -> String {
    let (full, title) = match case.name.len() >= case.classname.len() {
        true => (&case.name, &case.classname),
        false => (&case.classname, &case.name),
    };
    let parents = full.strip_suffix(title.as_str()).map(str::trim_end).filter(|parents| !parents.is_empty());
    let Some(parents) = parents.filter(|_| !title.is_empty()) else { return full.clone() };
    match parents.strip_suffix(suite.name.as_str()).map(str::trim_end) {
        Some(outer) if !outer.is_empty() && !suite.name.is_empty() => {
            format!("{outer} › {} › {title}", suite.name)
        }
        _ => format!("{parents} › {title}"),
    }
}

/// `[chromium] › a.spec.ts › suite › name`: the log has the line as well.
fn playwright(suite: &Element, case: &Element) -> String {
    let Element { name, classname, .. } = case;
    match suite.hostname.as_str() {
        "" => format!("{classname} › {name}"),
        project => format!("[{project}] › {classname} › {name}"),
    }
}

/// `App\Tests\AppTest::testName`, and with Pest `Tests\Unit\AppTest > it works`.
fn php(case: &Element) -> String {
    let class = if case.class.is_empty() { case.classname.replace('.', "\\") } else { case.class.clone() };
    let with = if case.file.contains("::") { " > " } else { "::" };
    if class.is_empty() { case.name.clone() } else { format!("{class}{with}{}", case.name) }
}

/// Whether the names are those of Go's tests, in a suite named after their package.
fn is_of_go(suite: &Element, case: &Element) -> bool {
    let is_test = ["Test", "Example", "Fuzz", "Benchmark"].iter().any(|kind| {
        case.name.strip_prefix(kind).is_some_and(|rest| !rest.starts_with(|first: char| first.is_lowercase()))
    });
    let package = case.classname.as_str();
    let is_package =
        !package.is_empty() && (suite.name == package || suite.name.ends_with(&format!("/{package}")));
    is_test && is_package && !case.name.contains([' ', '(']) && suite.name.contains('/')
}

fn is_of_gradle(suite: &Element, case: &Element) -> bool {
    let class = case.classname.as_str();
    let simple = class.rsplit('.').next().unwrap_or(class);
    !suite.hostname.is_empty() && class.contains('.') && (suite.name == class || suite.name == simple)
}

/// `AppTest > name()` with JUnit 5, which nests classes so too, and `org.example.AppTest > name` before it.
fn gradle(case: &Element) -> String {
    let Element { name, classname, .. } = case;
    if !name.ends_with([')', ']']) {
        return format!("{classname} > {name}");
    }
    let simple = classname.rsplit('.').next().unwrap_or(classname);
    format!("{} > {name}", simple.replace('$', " > "))
}

fn is_script(file: &str) -> bool {
    [".ts", ".tsx", ".js", ".mjs", ".jsx", ".feature"].iter().any(|ending| file.ends_with(ending))
}
