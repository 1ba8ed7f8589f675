//! Interprets a commit's subject, a line and a path. All of this is weak evidence; `docs/review-labels.md` describes
//! the noise.

use regex::bytes::{Regex, RegexBuilder};
use sentinel_shared::redact;
use sentinel_shared::review::{Category, Severity};
use std::sync::LazyLock;

/// What a commit repairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mending {
    /// The severity of the repair.
    pub severity: Severity,
    /// The category of the repair.
    pub category: Category,
    /// Whether the subject leaves no doubt.
    pub explicit: bool,
}

/// The kind of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// Brackets, `else`, a number.
    Trivial,
    /// A version or a copyright.
    Version,
    /// An import, or a bare name in a list of them.
    Import,
    /// A comment, or prose in a docstring.
    Comment,
    /// Any other line, which counts as code.
    Code,
}

fn rule(pattern: &str) -> Regex {
    // Bytes: subjects and lines need no Unicode classes, and the tables for them are large.
    RegexBuilder::new(pattern).unicode(false).case_insensitive(true).build().expect("the rules are valid")
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $pattern:expr;)*) => {
        $($(#[$doc])* static $name: LazyLock<Regex> = LazyLock::new(|| rule($pattern));)*
    };
}

rules! {
    CONVENTIONAL = r"^(\w{1,12})(?:\(([^)]*)\))?!?:\s*";
    NO_KIND = r"^(feat|feature|build|ci|release|deps|wip|revert|bench|examples?|new|merge|workflow|playground|ui)$";
    NO_REPAIR = r"^(bump|releas|prepar\w* (for )?(v?\d|release|next)|merge|version|v?\d+\.\d|changelog|update (change|dep|version|to v?\d)|upgrade|deps?\b|vendor|backport|sync\b|import\b|add(s|ed|ing)?\b|implement|support|introduc|allow|enable|new\b|creat|expos|initial|wip\b|feature|port\b|start|begin|first|move\b|switch\b|migrat|convert|use\b|make [a-z]+ public|reland|re-?apply|apply suggestion|address (review|comment|feedback)|code review|review (comment|feedback)|update tests?\b|\[?auto)";
    ADD_MISSING = r"^add(s|ed|ing)? missing";
    CHORE = r"\bfix\w*( up)?:? (the |a |some |all |up |broken |failing |ci |failed )*([\w.#+-]+ ){0,2}(builds?|ci|compil\w*|workflows?|pipelines?|merge|rebase|conflicts?|changelog|releases?|versions?|examples?|bench\w*|links?|urls?|imports?|readme|website|makefile|cmake|copyright|licen[cs]e|package\.json|dependenc\w+|deps|cargo\.toml|msrv|coverage|codecov|suggestions?|review|pr comments?|feedback)\b|\brevert";
    BULK = r"^(release|bump|version|v?\d+\.\d+|prepare|changelog|initial (commit|import|revision)|first commit|import |merge |sync|vendor|update (vendor|deps|dependenc|translations))|\b(cherry.?pick|mass rename|codemod|relicens|copyright|licen[cs]e header|regenerat\w*|auto-?generated|bump version|version bump)\b|^revert";
    REFORMAT = r"\b(re-?format\w*|formatting|black(en\w*)?|prettier|gofmt|gofumpt|rustfmt|cargo fmt|clang-?format|isort|autopep8|pyupgrade|ktlint|spotless|php-?cs-?fixer|cs fix\w*|coding standards?|code style|dotnet format|google-java-format|whitespaces?|indent\w*|tabs? to spaces|spaces to tabs|line endings|crlf|trailing|standardrb|rubocop -a|auto-?correct\w*|eslint --fix|ruff format|lint(ing)?|2to3|six|f-?strings?)\b";
    FIX = r"\b(fix(e[sd]|ing)?|bug\w*|hotfix|patch(es|ed)?|resolv\w*|avoid\w*|prevent\w*|handle[sd]?|guard\w*|don'?t|do not|no longer|stop\w*|correct\w*|regress\w*|mitigat\w*|protect\w*|reject\w*|disallow\w*|sanitiz\w*|escap\w*|harden\w*|broken|wrong\w*|incorrect\w*|missing|properly|ensure|never|workaround)\b|\bclose[sd]? #";
    HARD_FIX = r"\b(fix(e[sd]|ing)?|bug(s|fix\w*)?|hotfix|regress\w*|wrong\w*|incorrect\w*|broken|off.by.(one|1)|mistak\w*|properly|correctly|misbehav\w*|erroneous\w*|inverted|oversight|false (positive|negative)s?|should(n'?t| not))\b";
    SOFT_FIX = r"^(ensure|prevent|don'?t|do not|make sure|never|correct\b|account for|respect\b|preserve|restore|always|only)\b";
    SECURITY = r"\b((security|xss|csrf|ssrf|xxe)[ -]+(\w+ )?(fix\w*|issue|vuln\w*|bug|hole|problem|flaw|attack|patch|bypass|risk|hardening|exploit)|insecure|more secure|vulnerab\w*|cve-?\d*|ghsa|(sql|command|shell|header|code|crlf|html|template|log|argument) injection|redos|(path|directory) traversal|(request|response) smuggling|timing (attack|side)|constant.time|(leak\w*|expos\w*|disclos\w*) (of )?(the )?(\w+ )?(secret|token|credential|password|cookie|auth)\w*|(secret|token|credential|password)s? (leak\w*|disclos\w*|expos\w*)|auth\w* bypass|privilege escalation|(buffer|heap)[ -](overflow|overrun|over-?read)|out.of.bounds (read|write|access)|use.after.free|prototype pollution|zip ?slip|zip bomb|open redirect|symlink attack|denial of service|unsafe deseriali[sz]ation|uninitiali[sz]ed memory)\b|security:";
    CRASH = r"\b(crash\w*|segfault\w*|seg(mentation)? fault|sigsegv|panic(s|ed|king|ing)?|dead-?lock\w*|data ?rac(e|es|y)|rac(e|y) condition|(fix|avoid|prevent|potential|possible|a|rare)( \w+)? races?|racy|data loss|los(e|es|ing|t) (data|messages?|writes?)|corrupt(s|ed|ing|ion)?|null ?pointer\w*|npe|nil[- ](pointer|deref\w*|panic)|nullptr|null ?reference\w*|null deref\w*|infinite(ly)? (loop|recurs\w*)|endless loop|stack ?overflow\w*|hang(s|ing)?|hung|double[- ]free|undefined behaviou?r|livelock|freez(e|es|ing)|index out of (range|bounds)|out.of.memory|oom|thread[- ]?safe\w*|concurrent (map|modification)\w*|busy.?loop)\b";
    ERRORS = r"\b(error[- ]handling|exception[- ]handling|handl\w+ (\w+ ){0,4}(errors?|exceptions?|failures?|timeouts?|missing|null|nil|none|undefined|eof|rejections?)|(uncaught|unhandled|swallow\w*|ignor\w*|suppress\w*|mask\w*|lost) (\w+ )?(errors?|exceptions?|rejections?)|catch\w* (\w+ ){0,3}(errors?|exceptions?)|(rais|throw|return|propagat|report|surfac|check|wrap)\w* (\w+ ){0,3}(errors?|exceptions?|errs?)|\w+(error|exception)|unwrap\w*|(nil|null|none|error|err)[- ]check\w*|try.?catch|rescue|error (messages?|reporting|codes?|paths?)|if .* (is )?(nil|null|none|undefined))\b";
    WORDING = r"(error|exception) (messages?|text|output)|message";
    PERFORMANCE = r"\b(perf|performance|optimi[sz](e|es|ed|ing|ations?)|speed(s|ing)? ?up|faster|slow(ness|er|down)?|inefficien\w*|efficien(t|cy|tly)|(reduc\w*|few(er)?|less|avoid\w*|eliminat\w*|sav\w*|remov\w*) (\w+ ){0,3}(alloc\w*|clon(e|es|ing)|memory|cop(y|ies|ying)|overhead|round ?trips?|syscalls?|boxing|lookups?)|quadratic|hot ?path|memory usage|lazily|pre-?allocat\w*|memoiz\w*)\b";
    LEAK = r"\b(memory|handles?|fds?|descriptors?|resource|goroutines?|threads?|sockets?|connections?|buffers?|refs?|reference|listeners?|timers?|context|file|object|tasks?|conn) leak\w*|\bleak(s|ed|ing)? (of )?(the |a )?(memory|\w*handles?|fds?|file|resource|goroutine|thread|socket|connection|buffer|ref|listener|timer|object)\w*|memleak";
    TYPING = r"\b(typings?|typehints?|typecheck\w*|type[- ](hints?|annotations?|definitions?|declarations?|signatures?|inference|errors?|check\w*|narrowing|defs?|params?|parameters?)|mypy|pyright|typescript (error|issue|type|definition|fix)\w*|ts types?|(fix|correct|improve|wrong|incorrect|missing|better|stricter)\w* (\w+ ){0,4}types|(return|argument|parameter|prop|generic) types?|phpdocs?|phpstan|psalm|sorbet|nullab\w+ (annotation|reference)\w*|nullability|generics|flow types?)\b";
    MEDIA_TYPE = r"(content|mime|media)[- ]types?|typescript (project|support)";
    NAMING = r"^(renam(e|es|ed|ing)\b|naming|better (variable )?nam|improve nam|fix (\w+ )?(naming|names? of|variable names?|misnomer)|consistent nam|more descriptive nam|misnam\w+|(use|give) (a )?(better|clearer|more (descriptive|consistent)) nam)|\b(variable|function|method|parameter|argument|naming) (re)?nam(e|es|ing)( consist\w*| typo)?$";
    TYPO = r"\b(typos?|misspell\w*|spelling|grammar)\b";
    DOCS = r"\b(docstrings?|javadocs?|rustdocs?|godocs?|jsdocs?|kdocs?|xml ?docs?|doc[- ]?comments?|docblocks?|docs?|documentation|(fix|updat|correct|improv|clarif|reword|wrong|outdated|stale|incorrect|misleading|tweak|expand|remov|obsolete)\w* (\w+ ){0,4}comments?|comments? (fix|typo|update|tweak|clarif)\w*|wording)\b";
    TESTING = r"\b(flak(y|ey|iness)|flakes? (in|on)|intermittent|(fix|stabili[sz]|correct|improv|repair|unbreak|broken|failing|brittle|harden|simplif|clean)\w* (\w+ ){0,5}(unit ?tests?|tests?|specs?|test ?cases?|test suite|assertions?)|tests?:? (fix|clean|refactor|failure)\w*)\b";
    DUPLICATION = r"\b(de-?dup(e|ed|es|ing)? (code|logic|impl\w*)|de-?duplicat\w+ (the )?(code|logic|impl\w*|function|method|test)\w*|(remov|reduc|eliminat|less|extract|drop|clean)\w* (\w+ ){0,2}(code )?duplicat\w+|avoid\w* (\w+ )?duplication|duplicat\w* (code|logic|function|method|definition|implementation|check|condition|line|call|case|declaration|block|field|test)s?|dry(ing|-up| up)?|re-?us(e|ing) (\w+ ){0,3}(code|logic|function|method|helper|implementation|existing)\w*|consolidat\w*|unify(ing)?|copy.?past\w*|extract (common|shared)|factor out|boilerplate)\b";
    COMPLEXITY = r"\b(simplif\w*|refactor\w*|clean(s|ed|ing)?[- ]?ups?|clean|tidy\w*|tidied|unused|dead code|unnecessar\w*|redundan\w*|unneeded|not needed|no longer (needed|used|necessary)|obsolete|useless|superfluous|unreachable|pointless|needless\w*|extract(s|ed|ing)? (\w+ ){0,3}(method|function|helper|class|module)|inlin(e|ed|ing) (the |a |\w+ )?(function|method|helper|call|variable)\w*|split(ting)? up|decoupl\w*|complexity|streamlin\w*|restructur\w*|polish\w*|over-?engineer\w*|more readable|readability|early return|flatten|legacy code)\b";
    STYLE = r"^(fix(e[sd])? |minor |some |more |code |apply |satisfy |appease |please |make |silence |address |resolve )*(the |all |new |some )*(style|styling|formatt?ing|format|lint\w*|clippy|rustfmt|gofmt|golint|golangci\S*|prettier|eslint|jshint|standard|black|flake8|pep ?8|pylint|rubocop|checkstyle|stylecop|phpcs|cs\b|nits?\b|indent\w*|whitespace|semicolons?|quotes?|ktlint|detekt)\b|\b(lint(er|ing)?|clippy|flake8|pylint|golint|golangci\S*|eslint|rubocop|checkstyle|go vet|vet|staticcheck|sonar\w*|compiler|rustc|gcc|clang|msvc|deprecat\w*|analy[sz]er) (warning|error|issue|complaint|offen[sc]e|violation|hint|fix|finding|lint|rule)\w*|\b((coding|code)[ -](style|standard)s?|pep ?8|style (fix|nit|issue)\w*|nitpick\w*|line (is )?too long|cosmetic\w*|(fix\w*|silenc\w*|suppress\w*|resolv\w*|address\w*|remov\w*|avoid\w*) (\w+ ){0,3}warnings?)\b";
    NOT_STYLE = r"\bfalse (positive|negative)|autocorrect|incorrect";

    IMPORT = r#"^\s*(import\b|from\s+\S+\s+import\b|(pub(\([^)]*\))? )?use\s+[\w:{\\]|#\s*include\b|require(_relative)?[\s(]|using\s+[\w.=\s]+;|package\s|(pub )?mod \w+;|extern crate|(const|let|var) .*=\s*require\(|export \* from|namespace\s|\}?\s*from ['"]|_?"[\w./-]+"$|@import)"#;
    BARE = r"^\s*(type )?[a-z_$][\w$]*(\s+as\s+\w+)?\s*,?\s*$";
    COMMENT = r#"^\s*(//|/\*|\*/|\*([^\w(*]|$)|--\s|<!--|"""|'''|;;|=begin|%)"#;
    HASH_COMMENT = r"^\s*#";
    HASH_CODE = r"^\s*#(\s*(include|define|if|ifdef|ifndef|endif|else|elif|pragma|undef|error)\b|\[|!\[)";
    TRIVIAL = r"^[\W_]*(else|end|endif|fi|done|pass|return|break|continue|try|do|begin|default|finally|ensure|then|esac|nil|null|none|true|false|\d+)?[\W_]*$";
    VERSION = r#"^\s*[\w.\s"'$:]*version[\w\s"'$]*(=>|[:=])\s*v?["']?\d+\.\d|^\s*(@since|@version|\*\s*@(since|version))|copyright \(c\)|\bcopyright\b.*\d{4}"#;
    PROSE = r"(^|[^\w.])[a-z][a-z']+[ ,][a-z']{2,}[ ,][a-z']{2,}";
    CODE_MARKS = r#"[=;{}()<>"']"#;
    LOG = r"^\s*(trace|debug|info|warn|error|debugln|print|println|eprintln|log|printf)!?\s*\(|^\s*[\w.>$-]*\blog(ger|ging)?(\.|->|::)\w+\(|^\s*console\.\w+\(";

    SKIPPED_PATH = r"(^|/)(vendor|vendored|third[_-]?party|3rdparty|thirdparty|node_modules|bower_components|external|extern|deps|dist|_?generated|gen|autogen|fixtures?|testdata|test[_-]data|snapshots?|__snapshots__|golden|testcases|corpus|cassettes|locales?|i18n|l10n|translations|third|docs?|site|website|changelog|examples?|samples?|demos?|benches|benchmarks?|bench|perf|playground|tutorials?|scripts?|tools?|hack|\.github|ci)/|\.min\.|[._-]generated\.|\.g\.(cs|dart)$|\.designer\.cs$|_pb2|\.pb\.|_gen\.go$|zz_generated|bindata|\.snap$|\.d\.ts$|-lock\.|(^|/)(setup|version|_version|__version__|__about__|conf)\.\w+$";
    TEST_PATH = r"^t/|(^|/)(tests?|testsuites?|specs?|__tests__|testing|e2e|integration[_-]tests?)/|(^|/)(test_|conftest)[^/]*$|[_.-](test|spec|tests)\.\w+$|tests?\.(java|kt|cs|php)$|testcase\.\w+$|spec\.\w+$";
    RUST_TEST = r"#\[(\w+::)?test\b|#\[cfg\(test\)|\bmod tests?\b";
    GENERATED = r"do not edit|@generated|auto-?generated|generated by|this file (is|was) generated";

    /// Text that is not a secret by its shape but still belongs to somebody: a certificate, a long literal of base64.
    BLOB = r#"-----BEGIN [A-Z ]*CERTIFICATE|["'][A-Za-z0-9+/]{60,}={0,2}["']"#;
    EMAIL = r"[a-z0-9._%+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}\b";
    CODE_SPAN = r"`[^`]*`";
    TRAILING_NUMBER = r"\s*\((#|gh-)\d+\)\s*$";
}

/// What a commit with this message repairs; None for a feature, a release, a chore.
#[must_use]
pub fn mending(subject: &str, body: &str) -> Option<Mending> {
    use Category::{
        Complexity, Documentation, Duplication, ErrorHandling, Logic, Naming, Performance, Security, Style,
        Testing, Typing,
    };
    use Severity::{Bug, Critical, Nit, Suggestion};
    let subject = TRAILING_NUMBER.replace(subject.trim().as_bytes(), &b""[..]).into_owned();
    let kind = CONVENTIONAL.captures(&subject).map(|found| found[1].to_ascii_lowercase());
    if kind.as_deref().is_some_and(|kind| NO_KIND.is_match(kind)) {
        return None;
    }
    let start = CONVENTIONAL.find(&subject).map_or(0, |found| found.end());
    // Names in code spans say nothing about the kind of change.
    let plain = CODE_SPAN.replace_all(&subject[start..], &b" X "[..]).into_owned();
    let says = |rule: &LazyLock<Regex>| rule.is_match(&plain);
    let is =
        |kinds: &[&str]| kind.as_deref().is_some_and(|kind| kinds.iter().any(|one| one.as_bytes() == kind));
    if (kind.is_none() && says(&NO_REPAIR) && !says(&ADD_MISSING)) || says(&CHORE) {
        return None;
    }
    let told = is(&["fix", "bugfix", "hotfix"]);
    let fix = told || is(&["security"]) || says(&FIX);
    let hard = told || says(&HARD_FIX);
    let soft = says(&SOFT_FIX);
    let of_code =
        !is(&["docs", "doc", "typo", "style", "lint", "test", "tests", "types", "type", "chore", "cleanup"]);
    let leak = says(&LEAK) && fix;
    let mending = |severity, category, explicit| Some(Mending { severity, category, explicit });
    if of_code && fix && says(&SECURITY) {
        mending(Critical, Security, true)
    } else if says(&TESTING) || is(&["test", "tests"]) {
        mending(Suggestion, Testing, fix)
    } else if is(&["docs", "doc", "typo"]) || says(&TYPO) {
        mending(Nit, Documentation, fix || says(&TYPO))
    } else if is(&["style", "lint"]) {
        mending(Nit, Style, true)
    } else if of_code && fix && says(&CRASH) {
        mending(Critical, Logic, true)
    } else if of_code && leak {
        mending(Bug, Performance, true)
    } else if is(&["perf"]) || (of_code && !is(&["fix", "refactor"]) && says(&PERFORMANCE)) {
        mending(Suggestion, Performance, true)
    } else if is(&["types", "type"]) || (says(&TYPING) && !says(&MEDIA_TYPE)) {
        mending(Suggestion, Typing, true)
    } else if says(&NAMING) {
        mending(Nit, Naming, true)
    } else if says(&STYLE) && !says(&NOT_STYLE) {
        mending(Nit, Style, true)
    } else if says(&DOCS) && !is(&["fix", "perf"]) && !soft {
        mending(Nit, Documentation, fix)
    } else if says(&DUPLICATION) && !hard && !soft {
        mending(Suggestion, Duplication, true)
    } else if of_code && (fix || is(&["refactor"])) && says(&ERRORS) {
        mending(if says(&WORDING) { Suggestion } else { Bug }, ErrorHandling, hard)
    } else if is(&["refactor", "refact", "cleanup"]) || (says(&COMPLEXITY) && !hard) {
        mending(Suggestion, Complexity, says(&COMPLEXITY))
    } else if of_code && (hard || soft) {
        let why = body.get(..300).unwrap_or(body).as_bytes();
        let severe = CRASH.is_match(why) || SECURITY.is_match(why);
        mending(if severe { Critical } else { Bug }, Logic, hard && !severe)
    } else {
        None
    }
}

/// Whether a commit changes no meaning, so that blame ignores it.
#[must_use]
pub fn is_reformat(subject: &str) -> bool {
    REFORMAT.is_match(subject.as_bytes())
}

/// Whether a commit is a release, an import or a revert, whose lines nobody wrote by hand.
#[must_use]
pub fn is_bulk(subject: &str) -> bool {
    BULK.is_match(subject.as_bytes())
}

/// The kind of the line.
#[must_use]
pub fn line_kind(text: &str) -> LineKind {
    let bytes = text.as_bytes();
    let is = |rule: &LazyLock<Regex>| rule.is_match(bytes);
    if is(&TRIVIAL) {
        LineKind::Trivial
    } else if is(&VERSION) {
        LineKind::Version
    } else if is(&IMPORT) || is(&BARE) {
        LineKind::Import
    } else if is(&COMMENT) || (is(&HASH_COMMENT) && !is(&HASH_CODE)) || (is(&PROSE) && !is(&CODE_MARKS)) {
        LineKind::Comment
    } else {
        LineKind::Code
    }
}

/// Whether a line with this text can be what such a commit repaired.
#[must_use]
pub fn can_be_mended(category: Category, text: &str) -> bool {
    use Category::{Documentation, ErrorHandling, Logic, Performance, Security, Style};
    let kind = line_kind(text);
    match (category, kind) {
        (_, LineKind::Trivial | LineKind::Version) => false,
        (Documentation, _) => kind == LineKind::Comment || PROSE.is_match(text.as_bytes()),
        (_, LineKind::Comment) => false,
        (_, LineKind::Import) => category == Style,
        (Logic | Security | Performance | ErrorHandling, LineKind::Code) => !LOG.is_match(text.as_bytes()),
        (_, LineKind::Code) => true,
    }
}

/// Whether a path is vendored, generated, documentation, an example or a script, which a team does not write and
/// repair.
#[must_use]
pub fn is_skipped_path(path: &str) -> bool {
    SKIPPED_PATH.is_match(path.as_bytes())
}

/// Whether a path is a test.
#[must_use]
pub fn is_test_path(path: &str) -> bool {
    TEST_PATH.is_match(path.as_bytes())
}

/// Whether a line starts a unit test inside a Rust file.
#[must_use]
pub fn is_rust_test(line: &str) -> bool {
    RUST_TEST.is_match(line.as_bytes())
}

/// Whether generators mark their output with this line.
#[must_use]
pub fn is_generators_mark(line: &str) -> bool {
    GENERATED.is_match(line.as_bytes())
}

/// Whether the text holds something that must not be copied.
#[must_use]
pub fn holds_a_secret(text: &str) -> bool {
    redact::holds_a_secret(text) || BLOB.is_match(text.as_bytes())
}

/// Replaces the e-mail addresses in a hunk. The marks of lines stay: `+@pytest.fixture` is not an address.
#[must_use]
pub fn without_addresses(hunk: &str) -> String {
    let mut out = String::with_capacity(hunk.len());
    for line in hunk.split_inclusive('\n') {
        let (mark, text) = line.split_at(line.chars().next().map_or(0, char::len_utf8));
        out.push_str(mark);
        out.push_str(&String::from_utf8_lossy(&EMAIL.replace_all(text.as_bytes(), &b"user@example.com"[..])));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_say_what_was_mended() {
        use Category::*;
        use Severity::*;
        for (subject, expected) in [
            ("Fix a crash when the list is empty (#12)", Some((Critical, Logic))),
            ("fix: wrong offset in `panic` handler", Some((Bug, Logic))),
            ("perf: avoid cloning the buffer", Some((Suggestion, Performance))),
            ("Fix memory leak in the pool", Some((Bug, Performance))),
            ("Handle missing file errors properly", Some((Bug, ErrorHandling))),
            ("Fix typo in comment", Some((Nit, Documentation))),
            ("Fix clippy warnings", Some((Nit, Style))),
            ("Rename foo to bar", Some((Nit, Naming))),
            ("Fix flaky test on Windows", Some((Suggestion, Testing))),
            ("Fix path traversal in the upload", Some((Critical, Security))),
            ("refactor(core): simplify the loop", Some((Suggestion, Complexity))),
            ("Remove duplicate code in parsers", Some((Suggestion, Duplication))),
            ("Improve type hints", Some((Suggestion, Typing))),
            ("feat: add a fix button", None),
            ("Add support for proxies", None),
            ("Add missing null check", Some((Bug, ErrorHandling))),
            ("Fix CI", None),
            ("Bump version to 1.2", None),
            ("Revert \"Fix the thing\"", None),
        ] {
            let found = mending(subject, "").map(|found| (found.severity, found.category));
            assert_eq!(found, expected, "{subject}");
        }
    }

    #[test]
    fn lines_are_told_apart() {
        for (text, kind) in [
            ("  }", LineKind::Trivial),
            ("} else {", LineKind::Trivial),
            ("use std::fs;", LineKind::Import),
            ("    Alpha,", LineKind::Import),
            ("# a comment", LineKind::Comment),
            ("#include <x.h>", LineKind::Import),
            ("#define X 1", LineKind::Code),
            ("    Returns the number of rows.", LineKind::Comment),
            ("__version__ = '1.2.3'", LineKind::Version),
            ("let x = compute(y);", LineKind::Code),
        ] {
            assert_eq!(line_kind(text), kind, "{text}");
        }
        assert!(!can_be_mended(Category::Logic, "logger.info(\"x\")"));
        assert!(can_be_mended(Category::Style, "use std::fs;"));
    }

    #[test]
    fn secrets_and_addresses_are_found() {
        assert!(holds_a_secret("api_key = \"abcdefghijklmnopqrstuvwxyz\""));
        assert!(!holds_a_secret("let key = name();"));
        let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGH0123456789";
        // Whatever is taken out of a log and a review is left out here.
        for token in [
            format!("glpat-{}", &letters[..20]),
            format!("npm_{}", &letters[..36]),
            format!("pypi-AgEIcHlwaS5vcmc{letters}"),
            format!("hf_{}", &letters[..34]),
            format!("sntl_{}", "0a1b2c3d".repeat(8)),
            "Bearer abcdef0123456789".to_owned(),
            format!("MY_ghp_{}", &letters[..36]),
            r#""line one\nsk_live_aB3aB3aB3aB3aB3aB3""#.to_owned(),
        ] {
            assert!(holds_a_secret(&format!("@@ -1 +1 @@\n+let x = {token};\n")), "{token}");
        }
        let hunk = "@@ -1 +1,2 @@\n+by Jo <jo.x@site.co.uk>\n+@pytest.fixture\n-@app.route\n";
        let left = "@@ -1 +1,2 @@\n+by Jo <user@example.com>\n+@pytest.fixture\n-@app.route\n";
        assert_eq!(without_addresses(hunk), left);
    }
}
