//! Who is to be asked about the places of a failure: the owners that a `CODEOWNERS` file names.
//!
//! The rules are GitHub's
//! (<https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners>):
//! the last pattern that matches a path decides, and it may name nobody. Patterns are those of `.gitignore`
//! (<https://git-scm.com/docs/gitignore#_pattern_format>) without negation, character ranges and an escaped `#`; a pattern
//! that ends with `/*` matches no deeper file. A line that is not valid is skipped.
//!
//! Patterns are compared as they stand. A file may have thousands, each of which would cost a regular expression that is
//! used once.

use super::change::{is_rooted, spots};
use crate::facts::Facts;
use crate::github::pulls::ChangedFiles;
use std::borrow::Cow;

/// The longest file that is read, in bytes. GitHub reads 3 MB; so much would cost a worker more time than it has, and a file
/// of this length has thousands of rules.
pub const CODEOWNERS_BYTES_MAX: usize = 256 * 1024;
/// The folders in which GitHub looks for the file, in its order.
pub const CODEOWNERS_PATHS: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];
/// The largest number of owners that are told. More would be nobody in particular.
pub const OWNERS_MAX: usize = 5;

/// The largest number of paths whose owners are looked up. The first are the likeliest.
const PATHS_MAX: usize = 8;
/// The longest pattern, in bytes. Linux allows paths of 4096 bytes.
const PATTERN_BYTES_MAX: usize = 4096;

/// A `CODEOWNERS` file.
#[derive(Debug, Clone, Default)]
pub struct Owners<'a> {
    rules: Vec<Rule<'a>>,
}

/// One line of the file.
#[derive(Debug, Clone)]
struct Rule<'a> {
    /// The parts of the pattern between slashes. `**` is any number of folders.
    parts: Vec<&'a str>,
    /// The owners, separated by blanks.
    owners: &'a str,
}

// === impl Owners ===

impl<'a> Owners<'a> {
    /// Reads a file. Lines that are not valid are skipped; a file that is too long has no rules.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        if text.len() > CODEOWNERS_BYTES_MAX {
            return Self::default();
        }
        Self { rules: text.lines().filter_map(Rule::parse).collect() }
    }

    /// The owners of a path, from the last rule that matches it. None if no rule does; none of them if the rule names nobody.
    #[must_use]
    pub fn of_path(&self, path: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        let path: Vec<&str> = path.split('/').collect();
        let rule = self.rules.iter().rev().find(|rule| matches(&rule.parts, &path, part_matches))?;
        Some(rule.owners.split_whitespace())
    }

    /// The people and teams who own the places of a failure, as `@login` or `@org/team`, in the order of the places and at most
    /// [`OWNERS_MAX`]. Owners who are named by their e-mail address are left out. `changed` tells the whole path of a place
    /// where the log does not.
    #[must_use]
    pub fn of_failure(&self, facts: &Facts, changed: &ChangedFiles) -> Vec<String> {
        let mut paths: Vec<Cow<'_, str>> = Vec::new();
        for (path, _) in spots(facts) {
            let path = changed.path_of(&path).map_or(path, |whole| Cow::Owned(whole.to_owned()));
            // A bare name may be that of a file in any folder.
            let is_whole = path.contains('/') || changed.files.iter().any(|file| file.filename == path);
            if is_whole && !is_rooted(&path) && paths.len() < PATHS_MAX && !paths.contains(&path) {
                paths.push(path);
            }
        }
        let mut owners: Vec<String> = Vec::new();
        let names = paths.iter().filter_map(|path| self.of_path(path)).flatten();
        for name in names.filter(|name| is_name(name)) {
            if owners.len() < OWNERS_MAX && !owners.iter().any(|known| known == name) {
                owners.push(name.to_owned());
            }
        }
        owners
    }
}

// === impl Rule ===

impl<'a> Rule<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim();
        let (pattern, owners) = pattern_of(line)?;
        let owners = without_comment(owners);
        if !owners.split_whitespace().all(|owner| is_name(owner) || is_address(owner)) {
            return None;
        }
        let path = pattern.strip_prefix('/').unwrap_or(pattern);
        let is_rooted = pattern.strip_suffix('/').unwrap_or(pattern).contains('/');
        let (path, is_folder) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
        if path.is_empty() {
            return None;
        }
        let mut parts = if is_rooted { Vec::new() } else { vec!["**"] };
        parts.extend(path.split('/'));
        match parts.last().copied() {
            // All that is inside, and not a file of the name.
            _ if is_folder => parts.extend(["*", "**"]),
            Some("**") => parts.extend(["*"]),
            Some("*") => {}
            // A file of the name, or all that is inside.
            _ => parts.push("**"),
        }
        Some(Self { parts, owners })
    }
}

/// The pattern that a line begins with, and what follows. None if the line has none that GitHub reads.
fn pattern_of(line: &str) -> Option<(&str, &str)> {
    if line.is_empty() || line.starts_with(['#', '!']) || line.starts_with("\\#") {
        return None;
    }
    let mut is_escaped = false;
    let mut end = line.len();
    for (at, char) in line.char_indices() {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' | ']' => return None,
            char if char.is_whitespace() => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    (!is_escaped && end <= PATTERN_BYTES_MAX).then(|| line.split_at(end))
}

/// The owners of a line, up to a comment.
fn without_comment(owners: &str) -> &str {
    let comment = owners.match_indices('#').find(|(at, _)| owners[..*at].ends_with(char::is_whitespace));
    comment.map_or(owners, |(at, _)| &owners[..at])
}

/// `@login` or `@org/team`.
fn is_name(owner: &str) -> bool {
    let is_word = |word: &str| {
        (1..=100).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let Some(name) = owner.strip_prefix('@') else { return false };
    match name.split_once('/') {
        Some((organisation, team)) => is_word(organisation) && is_word(team),
        None => is_word(name),
    }
}

fn is_address(owner: &str) -> bool {
    owner.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
}

/// Whether `parts` match all of `path`, where the part `**` stands for any number of folders. As with stars in a name, only
/// the last `**` needs to be tried with more, so that this takes at most the product of the two lengths.
fn matches(parts: &[&str], path: &[&str], part_matches: fn(&str, &str) -> bool) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut star = None;
    while at < path.len() {
        match parts.get(part) {
            Some(&"**") => {
                star = Some((part, at));
                part += 1;
            }
            Some(wanted) if part_matches(wanted, path[at]) => (part, at) = (part + 1, at + 1),
            _ => {
                let Some((last, from)) = star else { return false };
                star = Some((last, from + 1));
                (part, at) = (last + 1, from + 1);
            }
        }
    }
    parts[part..].iter().all(|rest| *rest == "**")
}

/// Whether a part of a pattern matches the name of a file or folder: `*` stands for any characters, `?` for one, and a
/// backslash takes the meaning of what follows it.
fn part_matches(pattern: &str, name: &str) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut star: Option<(&str, &str)> = None;
    loop {
        let mut wanted = rest.chars();
        let mut given = left.chars();
        let first = wanted.next();
        let is_next = match (first, given.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                rest = wanted.as_str();
                star = Some((rest, left));
                continue;
            }
            (Some('?'), Some(_)) => true,
            (Some('\\'), Some(char)) => wanted.next() == Some(char),
            (Some(first), Some(char)) => first == char,
            (None | Some(_), _) => false,
        };
        if is_next {
            (rest, left) = (wanted.as_str(), given.as_str());
            continue;
        }
        // The last star takes one character more.
        let Some((after, from)) = star else { return false };
        let mut from = from.chars();
        if from.next().is_none() {
            return false;
        }
        star = Some((after, from.as_str()));
        (rest, left) = (after, from.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{FailingTest, Place, PlaceKind, Tool};
    use crate::github::pulls::ChangedFile;
    use globset::GlobBuilder;
    use proptest::prelude::*;

    /// The example of GitHub's documentation.
    const EXAMPLE: &str = "\
# This is a comment.
*       @global-owner1 @global-owner2
*.js    @js-owner #This is an inline comment.
*.go docs@example.com
*.txt @octo-org/octocats
/build/logs/ @doctocat
docs/*  docs@example.com
apps/ @octocat
/docs/ @doctocat
/scripts/ @doctocat @octocat
**/logs @octocat
/apps/ @octocat
/apps/github
";

    fn owners<'a>(file: &'a str, path: &str) -> Option<Vec<&'a str>> {
        Owners::parse(file).of_path(path).map(Iterator::collect)
    }

    #[test]
    fn the_example_of_githubs_documentation_is_read_as_it_says() {
        for (path, expected) in [
            ("src/main.rs", "@global-owner1 @global-owner2"),
            ("src/a.js", "@js-owner"),
            ("a.go", "docs@example.com"),
            ("x/y/a.txt", "@octo-org/octocats"),
            ("build/logs/deep/a.rs", "@octocat"),
            ("docs/getting-started.md", "@doctocat"),
            ("src/apps/a.rs", "@octocat"),
            ("scripts/a.sh", "@doctocat @octocat"),
            ("deeply/nested/logs/a", "@octocat"),
            ("apps/a.rs", "@octocat"),
            ("apps/github/a.rs", ""),
            ("apps/github", ""),
        ] {
            let expected: Vec<&str> = expected.split_whitespace().collect();
            assert_eq!(owners(EXAMPLE, path), Some(expected), "{path}");
        }
    }

    #[test]
    fn patterns_mean_what_gitignore_says_with_githubs_exceptions() {
        for (pattern, matching, others) in [
            ("*", &["a", "x/a", "x/.a"][..], &[][..]),
            ("/*", &["a"], &["x/a"]),
            ("docs/*", &["docs/a"], &["docs/x/a", "y/docs/a"]),
            ("docs/", &["docs/a", "x/docs/y/a"], &["docs", "x/docs"]),
            ("/docs/", &["docs/a", "docs/x/a"], &["docs", "x/docs/a"]),
            ("docs", &["docs", "docs/a", "x/docs", "x/docs/a"], &["docs2", "x/mydocs/a"]),
            ("/docs", &["docs", "docs/a"], &["x/docs"]),
            ("x/docs", &["x/docs", "x/docs/a"], &["y/x/docs"]),
            ("**/docs", &["docs", "x/y/docs/a"], &["docs2"]),
            ("docs/**", &["docs/a", "docs/x/a"], &["docs", "x/docs/a"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b/c"], &["x/a/b", "a/xb"]),
            ("**", &["a", "x/y/a"], &[]),
            ("*.js", &["a.js", "x/.js", "x/a.js/b"], &["a.jsx", "A.JS"]),
            ("/src/*.c", &["src/a.c"], &["src/x/a.c"]),
            ("a?c", &["abc", "x/aßc"], &["ac", "abbc"]),
            (r"my\ docs/", &["my docs/a"], &["my/a", "docs/a"]),
            ("*a*b*", &["xaxbx", "ab"], &["ba"]),
        ] {
            let file = format!("{pattern} @me");
            for path in matching {
                assert_eq!(owners(&file, path), Some(vec!["@me"]), "{pattern} {path}");
            }
            for path in others {
                assert_eq!(owners(&file, path), None, "{pattern} {path}");
            }
        }
    }

    #[test]
    fn a_line_that_is_not_valid_is_skipped() {
        for line in [
            "!*.js @b",
            "[ab].js @b",
            "*.js @b not-an-owner",
            "*.js @b/c/d",
            "*.js @",
            r"\#a.js @b",
            "/ @b",
            "[Section] @b",
            r"*.js\",
        ] {
            assert_eq!(owners(&format!("*.js @a\n{line}\n"), "a.js"), Some(vec!["@a"]), "{line}");
        }
        let long = format!("*.js @a\n{} @b", "*".repeat(5000));
        assert_eq!(owners(&long, "a.js"), Some(vec!["@a"]));
        let huge = format!("* @a\n{}", "#".repeat(CODEOWNERS_BYTES_MAX));
        assert_eq!(owners(&huge, "a.js"), None);
    }

    #[test]
    fn the_owners_of_a_failure_are_named_once_in_the_order_of_its_places_and_never_by_e_mail() {
        let file = "*.md @docs\n/src/ @org/core mona@example.com @docs\n/tests/ @org/quality\n/src/free/\n/lib/ x@example.com\n";
        let place = |path: &str| Place {
            path: path.to_owned(),
            line: 1,
            column: None,
            message: None,
            kind: PlaceKind::Error,
        };
        let facts = Facts {
            places: ["lib/a.py", "src/free/a.py", "/opt/src/a.py", "a.md", "x/a.md", "src/b.py", "load.py"]
                .map(place)
                .into(),
            failing_tests: vec![FailingTest { name: "tests/test_a.py::x".to_owned(), tool: Tool::Pytest }],
            ..Facts::default()
        };
        let rules = Owners::parse(file);
        assert_eq!(
            rules.of_failure(&facts, &ChangedFiles::default()),
            ["@docs", "@org/core", "@org/quality"]
        );
        let changed = ChangedFile { filename: "tests/load.py".to_owned(), ..ChangedFile::default() };
        let bare = Facts { places: vec![place("load.py")], ..Facts::default() };
        assert_eq!(rules.of_failure(&bare, &ChangedFiles::default()), [""; 0], "it may be in any folder");
        let changed = ChangedFiles { files: vec![changed], is_whole: true };
        assert_eq!(rules.of_failure(&bare, &changed), ["@org/quality"]);
        let many: String = (0..20).map(|owner| format!(" @o{owner}")).collect();
        let many = format!("*{many}");
        assert_eq!(Owners::parse(&many).of_failure(&facts, &ChangedFiles::default()).len(), OWNERS_MAX);
    }

    proptest! {
        #[test]
        fn a_part_matches_what_globset_says(pattern in "[ab*?]{0,8}", name in "[ab]{1,8}") {
            // Two stars mean more than a part to globset.
            prop_assume!(!pattern.contains("**"));
            let glob = GlobBuilder::new(&pattern).literal_separator(true).build().unwrap().compile_matcher();
            prop_assert_eq!(part_matches(&pattern, &name), glob.is_match(&name));
        }

        #[test]
        fn a_rooted_pattern_of_folders_matches_what_globset_says(
            pattern in proptest::collection::vec(prop_oneof!["[ab*]{1,3}".boxed(), Just("**".to_owned()).boxed()], 1..5),
            path in "[ab]{1,2}(/[ab]{1,2}){0,4}",
        ) {
            prop_assume!(!pattern.iter().any(|part| part.len() > 2 && part.contains("**")));
            let text = pattern.join("/");
            let glob = GlobBuilder::new(&text).literal_separator(true).build().unwrap().compile_matcher();
            // A path below what is matched is matched too, unless the pattern ends with a star.
            let mut expected = glob.is_match(&path);
            if !matches!(pattern.last().map(String::as_str), Some("*" | "**")) {
                expected |= path.match_indices('/').any(|(at, _)| glob.is_match(&path[..at]));
            }
            prop_assert_eq!(owners(&format!("/{text} @me"), &path).is_some(), expected, "{} {}", text, path);
        }

        #[test]
        fn whatever_the_file_and_the_path_are_it_ends(file in "(?s).{0,400}", path in ".{0,60}") {
            let rules = Owners::parse(&file);
            let owners = rules.of_path(&path).map(Iterator::count);
            prop_assert!(owners.is_none_or(|count| count <= 400));
        }
    }
}
