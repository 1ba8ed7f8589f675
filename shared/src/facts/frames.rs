//! Stack frames that lie in the repository.
//!
//! | form | written by |
//! |---|---|
//! | `File "path", line 12, in name` | Python (<https://docs.python.org/3/library/traceback.html>) |
//! | `path:12: in name` | pytest |
//! | `at name (path:12:3)`, `at path:12:3` | V8 (<https://v8.dev/docs/stack-trace-api>), Rust's backtraces |
//! | `❯ name path:12:3` | Vitest |
//! | `at org.example.App.name(App.java:12)` | Java, Kotlin, Scala |
//! | `at App.Name() in path:line 12` | .NET |
//! | `path.go:12 +0x1d` | Go |
//! | `path.rb:12:in 'name'`, `# path.rb:12:in` | Ruby, RSpec |
//! | `#0 path.php(12): name()`, `path.php:12` | PHP, PHPUnit |
//! | `(app 0.1.0) lib/app.ex:12: App.name/1` | Elixir |
//! | `test/app_test.dart 12:3  main` | Dart |

use super::found::{Place, PlaceKind, Places};
use super::line::{Line, number};
use super::paths;
use super::places::{Compilers, Spot};

/// The packages of the JVM's languages, of test frameworks and of build tools, by how their names begin.
const JVM_LIBRARIES: [&str; 39] = [
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "groovy.",
    "org.junit.",
    "junit.",
    "org.gradle.",
    "worker.org.gradle.",
    "org.apache.",
    "org.testng.",
    "org.mockito.",
    "org.assertj.",
    "org.hamcrest.",
    "org.springframework.",
    "org.hibernate.",
    "com.fasterxml.",
    "com.google.",
    "io.netty.",
    "io.mockk.",
    "net.bytebuddy.",
    "org.scalatest.",
    "org.codehaus.",
    "org.eclipse.",
    "android.",
    "androidx.",
    "io.ktor.",
    "reactor.",
    "io.kotest.",
    "org.robolectric.",
    "org.jetbrains.",
    "com.android.",
    "com.intellij.",
    "org.xml.",
    "org.slf4j.",
];

/// The applications of Erlang, Elixir and its best-known libraries, whose paths look like those of the repository.
const BEAM_LIBRARIES: [&str; 14] = [
    "elixir ",
    "ex_unit ",
    "stdlib ",
    "kernel ",
    "mix ",
    "logger ",
    "iex ",
    "eex ",
    "ecto",
    "phoenix",
    "plug",
    "db_connection ",
    "postgrex ",
    "absinthe ",
];

pub(super) fn read(line: Line<'_>, compilers: &mut Compilers, places: &mut Places) {
    let text = line.trimmed;
    if let Some(rest) = text.strip_prefix("File \"") {
        if let Some(place) = python(rest) {
            compilers.innermost = Some(place.clone());
            places.add(place);
        }
        return;
    }
    let frame = if let Some(rest) = text.strip_prefix("at ") {
        dotnet(rest).or_else(|| if is_jvm(rest) { jvm(rest) } else { called(rest) })
    } else if let Some(rest) = text.strip_prefix("❯ ") {
        called(rest)
    } else if let Some(rest) = text.strip_prefix('#') {
        // PHP's `#0 `, Dart's and the sanitizers' alike, and RSpec's `# `.
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        own(rest, "").or_else(|| called(rest))
    } else {
        plain(line)
    };
    if let Some(mut place) = frame {
        if place.path.ends_with(".py") {
            // pytest: `path:12: in name`, and the exception behind the frames.
            compilers.innermost = line.trimmed.contains(": in ").then(|| place.clone());
            places.add(place);
            return;
        }
        place.message = compilers.exception.take();
        places.add(place);
    }
}

fn place(path: &str, line: u32, column: Option<u32>) -> Option<Place> {
    Some(Place { path: paths::of_frame(path)?, line, column, message: None, kind: PlaceKind::Frame })
}

/// `path", line 12, in name`
fn python(rest: &str) -> Option<Place> {
    let (path, rest) = rest.split_once("\", line ")?;
    place(path, number(rest)?.0, None)
}

/// `App.Name() in path:line 12`
fn dotnet(rest: &str) -> Option<Place> {
    let (before, row) = rest.rsplit_once(":line ")?;
    let (_, path) = before.split_once(" in ")?;
    place(path, number(row)?.0, None)
}

fn is_jvm(rest: &str) -> bool {
    [".java:", ".kt:", ".scala:", ".groovy:"].iter().any(|ending| rest.contains(ending))
        && !rest.contains('/')
        || rest.contains(".java:")
}

/// `org.example.App.name(App.java:12)`. The folder of the sources is not told; that of the package is.
fn jvm(rest: &str) -> Option<Place> {
    let (method, file) = rest.split_once('(')?;
    let (file, row) = file.strip_suffix(')')?.split_once(':')?;
    // The name of a module may stand first: `app//org.example.App`, `java.base/java.util`.
    let method = method.rsplit('/').next().unwrap_or(method);
    if JVM_LIBRARIES.iter().any(|library| method.starts_with(library)) || rest.starts_with("java.base/") {
        return None;
    }
    let mut package: Vec<&str> = method.split('.').collect();
    // The class and the method.
    package.truncate(package.len().saturating_sub(2));
    package.push(file);
    place(&package.join("/"), number(row)?.0, None)
}

/// `name (path:12:3)`, `name path:12:3` or `path:12:3`
fn called(rest: &str) -> Option<Place> {
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let at = match rest.rsplit_once('(') {
        Some((_, inside)) if inside.ends_with(')') && inside.contains(':') => &inside[..inside.len() - 1],
        _ => rest,
    };
    own(at, "").or_else(|| {
        // What stands before the path has no blanks inside the path's own words.
        let last = at.rsplit(' ').next()?;
        own(last, "")
    })
}

/// The position at the start, if nothing but `rest` follows it.
fn own(text: &str, rest: &str) -> Option<Place> {
    let spot = Spot::leading(text)?;
    let is_all =
        spot.rest.trim().is_empty() || !rest.is_empty() && spot.rest.starts_with(rest) || is_call(spot.rest);
    if is_all { place(spot.path, spot.line, spot.column) } else { None }
}

/// What follows a position in Ruby, PHP and pytest: "in `name'", `in name`, ` name()`.
fn is_call(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.starts_with("in ") || rest.ends_with(')') && !rest.contains(' ')
}

/// A frame without a word before it.
fn plain(line: Line<'_>) -> Option<Place> {
    // Ruby: `from path.rb:12:in 'name'`
    let text = line.trimmed.strip_prefix("from ").unwrap_or(line.trimmed);
    if let Some((path, rest)) = text.split_once(".dart ") {
        // Dart: `test/app_test.dart 12:3  main.<fn>`
        let (row, rest) = number(rest)?;
        let (column, _) = number(rest.strip_prefix(':')?)?;
        return place(&format!("{path}.dart"), row, Some(column));
    }
    if text.starts_with('(') {
        // Elixir: `(app 0.1.0) lib/app.ex:12: App.name/1`, where the application of the repository and its libraries
        // look alike, but libraries lie under `deps/`.
        let (_, rest) = text.split_once(") ")?;
        let spot =
            Spot::leading(rest).filter(|spot| spot.path.ends_with(".ex") || spot.path.ends_with(".exs"))?;
        let is_library = BEAM_LIBRARIES.iter().any(|library| text[1..].starts_with(library));
        return if is_library { None } else { place(spot.path, spot.line, None) };
    }
    if let Some((exception, file)) = text.split_once(" at ")
        && is_jvm(file)
        && !exception.contains(' ')
    {
        // Gradle: `org.example.AppException at App.java:12`
        let spot = Spot::leading(file)?;
        return place(spot.path, spot.line, None);
    }
    let spot = Spot::leading(text)?;
    let ending = spot.path.rsplit('.').next().unwrap_or_default();
    let rest = spot.rest.trim();
    let is_frame = match ending {
        "go" => rest.starts_with("+0x"),
        "py" => rest.starts_with("in ") || rest.is_empty() && text.ends_with(':'),
        "rb" | "rake" => rest.starts_with("in ") || rest.is_empty() && line.indent() > 0,
        "php" => rest.is_empty(),
        "ex" | "exs" => line.indent() > 0 && (rest.is_empty() || rest.starts_with('(') || rest.contains('/')),
        "js" | "mjs" | "cjs" | "ts" | "tsx" | "jsx" => rest.is_empty() && spot.path.starts_with(['/', 'f']),
        _ => false,
    };
    if is_frame { place(spot.path, spot.line, spot.column.filter(|_| ending != "rb")) } else { None }
}
