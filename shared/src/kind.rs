//! What a failure is called within its class, such as a lock file that is out of date.
//!
//! The ten classes say who has to act. The kinds under them say what people say, and each has its own advice. The list
//! is closed: a label is stored, counted and compared by programs. A failure whose kind is not certain has none.

use crate::failure::FailureClass;
use serde::{Deserialize, Serialize};

/// Declares [`FailureKind`] and its table from one list, so that no kind lacks a column.
macro_rules! kinds {
    ($($class:ident { $($kind:ident $label:literal $words:literal $advice:literal)* })*) => {
        /// What a failure is called within its class. Serialised as its [`FailureKind::label`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum FailureKind {
            $($(#[doc = concat!("Told as \"", $words, "\".")] $kind,)*)*
        }

        impl FailureKind {
            /// All kinds, by class.
            pub const ALL: &'static [Self] = &[$($(Self::$kind,)*)*];
        }

        /// One row a kind, in the order of the enum.
        const TABLE: &[Row] = &[
            $($(Row { label: $label, words: $words, class: FailureClass::$class, advice: $advice },)*)*
        ];
    };
}

kinds! {
    Build {
        Lint "lint" "lint" "Mend the lines that the linter names."
        Format "format" "formatting" "Run the formatter and commit the result."
        TypeCheck "type_check" "type check" "Mend the types at the place that the message gives."
        Compile "compile" "compile error" "Mend the code at the place that the compiler names first."
        Link "link" "link error" "Link the library or object that defines the symbol."
        Bundle "bundle" "bundling" "Mend the file that the bundler names, and run the production build locally."
        GeneratedFiles "generated_files" "generated files out of date" "Run the generator and commit what it changes."
        Documentation "documentation" "documentation build" "Mend the page or comment that the message names."
    }
    Configuration {
        WorkflowSyntax "workflow_syntax" "workflow syntax" "Mend the workflow file at the line that the message gives."
        ActionNotFound "action_not_found" "action not found" "Correct the name or the version after `uses:`."
        DeprecatedAction "deprecated_action" "withdrawn action or image" "Use the newest major version of the action, or a runner image that is still offered."
        MissingSecret "missing_secret" "missing secret" "Add the secret to the repository or environment, and pass it to the step by its exact name."
        MissingInput "missing_input" "missing input" "Give the input that the message names under `with:` or on the command line."
        EnvironmentVariable "environment_variable" "environment variable" "Set the variable that the message names under `env:` of the step or job."
        MissingFile "missing_file" "missing file" "Check that the file is committed or made by an earlier step, and that its path is right."
        MissingCommand "missing_command" "missing command" "Install the tool in a step before this one, or call the command that exists."
        UnknownOption "unknown_option" "unknown option" "Correct or remove the option that the message names."
        ToolConfiguration "tool_configuration" "tool configuration" "Mend the configuration of the tool at the place that the message gives."
        ToolVersion "tool_version" "tool version" "Ask the setup step for a version that exists and that the project needs."
        GitReference "git_reference" "git reference" "Correct the branch, tag or commit, or fetch it first."
        CodeSigning "code_signing" "code signing" "Import a valid certificate or signing key before the step."
        ShellScript "shell_script" "shell script" "Mend the script at the line that the message gives."
    }
    Dependency {
        LockFile "lock_file" "lock file out of date" "Run the package manager's install and commit the lock file."
        VersionConflict "version_conflict" "version conflict" "Loosen the versions that the message names until one set fits all."
        PeerDependency "peer_dependency" "peer dependency" "Choose versions whose peer dependencies agree."
        PackageNotFound "package_not_found" "package not found" "Correct the package's name or version, or add the source that has it."
        ModuleNotFound "module_not_found" "module not found" "Add the module to the dependencies that this job installs, or mend the import."
        PackageBuild "package_build" "package build" "Install the compiler and the headers that the package needs."
        SharedLibrary "shared_library" "missing system library" "Install the system package that has the library."
        BaseImage "base_image" "base image" "Correct the image's name or tag, and check that it exists for this platform."
        Checksum "checksum" "checksum mismatch" "Clear the cache and run again. If it repeats, find out why the package was changed."
    }
    Deployment {
        HealthCheck "health_check" "health check" "Look at the service's own log and call its health address by hand."
        Rollout "rollout" "rollout" "Look at the new instances: an image, a probe or a limit keeps them from getting ready."
        Hosting "hosting" "hosting platform" "Open the deployment's log on the platform, because the cause stands there."
        AlreadyPublished "already_published" "version already published" "Raise the version before publishing, because registries take a version once."
        Release "release" "release" "Check that the tag, the release and its files are as the platform wants them."
        StateLock "state_lock" "state lock" "Wait for the other run, or release the lock if none is left."
        Infrastructure "infrastructure" "infrastructure change" "Read the provider's answer, and mend the resource that it names."
    }
    Network {
        Dns "dns" "DNS" "Check the host's name. If it is right, run again."
        Tls "tls" "TLS" "Check the server's certificate and the runner's root certificates."
        Connection "connection" "connection" "Run again. If it repeats, check that the address is reachable from the runner."
        RegistryDown "registry_down" "registry down" "Run again later, because the server on the other side failed."
    }
    Permission {
        MissingPermission "missing_permission" "missing permission" "Give the token or account the permission that the message names."
        BadCredentials "bad_credentials" "bad credentials" "Replace the token or password, because it is missing, wrong or expired."
        SshKey "ssh_key" "SSH key" "Add the key to the server, and its host key to known_hosts."
        FilePermission "file_permission" "file permission" "Check owner and mode of the path that the message names."
        ProtectedBranch "protected_branch" "protected branch" "Push to another branch and open a pull request."
    }
    Resource {
        OutOfMemory "out_of_memory" "out of memory" "Lower the memory that the step needs, or use a runner with more memory."
        DiskFull "disk_full" "disk full" "Free disk space before the step, or use a larger runner."
        RunnerLost "runner_lost" "runner lost" "Run the job again. If it repeats, check the step's memory and CPU use."
        RateLimit "rate_limit" "rate limit" "Wait and run again. Call the service less often, or sign in for a higher limit."
        Quota "quota" "quota" "Ask the provider for a higher quota, or remove what is unused."
        OpenFiles "open_files" "too many open files" "Raise the limit of open files, or open fewer at once."
    }
    SecurityScan {
        VulnerableDependency "vulnerable_dependency" "vulnerable dependency" "Update the packages that the scanner names to their fixed versions."
        LeakedSecret "leaked_secret" "leaked secret" "Revoke the secret first, then remove it from the history."
        Licence "licence" "licence" "Replace the package, or allow its licence in the settings of the check."
        StaticAnalysis "static_analysis" "static analysis" "Mend the lines that the analysis names, or mark a false finding with a reason."
    }
    Test {
        UnitTest "unit_test" "unit test" "Run the named test alone and compare what it expected with what it got."
        EndToEndTest "end_to_end_test" "end-to-end test" "Look at the trace or screenshot of the failed test, and run it alone."
        HungTest "hung_test" "hung test" "Find what the test waits for: a promise, a lock, a server."
        Snapshot "snapshot" "snapshot" "Compare the difference with the change. If it is wanted, update the snapshots."
        CoverageGate "coverage_gate" "coverage gate" "Test the lines that the coverage report shows as missed."
        SegmentationFault "segmentation_fault" "segmentation fault" "Run the failing program under a debugger or with AddressSanitizer."
        Sanitizer "sanitizer" "sanitizer report" "Read the first stack of the report and mend the line of yours that it names."
        TestCollection "test_collection" "test collection" "Mend the import or syntax error in the test file, or the path by which tests are found."
        BrokenLink "broken_link" "broken link" "Correct or remove the links that the check names."
    }
    Timeout {
        JobLimit "job_limit" "job time limit" "Find out why the job was slow or hung. If it needs the time, raise its limit."
        StepLimit "step_limit" "step time limit" "Find out why the step was slow or hung. If it needs the time, raise its limit."
        NoOutput "no_output" "no output" "Find out what hung. If the command is only silent, make it print its progress."
    }
}

struct Row {
    label: &'static str,
    words: &'static str,
    class: FailureClass,
    advice: &'static str,
}

/// What a failure is called within its class, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// None if no signature tells it.
    pub kind: Option<FailureKind>,
    /// One or two sentences: the advice of the signature on the deciding line, else that of the class.
    pub advice: String,
    /// The page that says more.
    pub docs: String,
}

/// What is known of a failure whose kind is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Clues<'a> {
    /// The class of the verdict.
    pub class: FailureClass,
    /// The kind of the signature on the deciding line.
    pub signature: Option<FailureKind>,
    /// The name of the tool that failed, or the command that ran it, as in `cargo clippy`.
    pub tool: Option<&'a str>,
    /// The exit code of the failed step.
    pub exit_code: Option<i32>,
    /// The number of the signal that ended the failed step. Source: signal(7) on Linux.
    pub signal: Option<i32>,
    /// The HTTP status that the deciding line tells.
    pub http_status: Option<u16>,
    /// The number of failing tests.
    pub failing_tests: usize,
}

/// The kind of a failure; None if it is not certain.
///
/// The first of these tells it that gives a kind of the failure's own class, so that a kind never contradicts a class:
///
/// 1. The signature on the deciding line. If it says only "compile error" or "unit test", and the tool is a linter, a
///    formatter or a driver of browsers, the tool tells it.
/// 2. The signal, or the exit code that a shell makes of it. Source: bash(1), exit status.
/// 3. The HTTP status. Source: RFC 9110 and RFC 6585.
/// 4. The tool, if it is for one thing.
/// 5. Failing tests: they are unit tests if nothing said otherwise.
#[must_use]
pub fn kind_of(clues: &Clues<'_>) -> Option<FailureKind> {
    let own = |kind: &FailureKind| kind.class() == clues.class;
    let by_tool = clues.tool.and_then(by_tool).filter(own);
    let general = |kind| matches!(kind, FailureKind::Compile | FailureKind::UnitTest);
    let by_signature = match clues.signature.filter(own) {
        Some(kind) if general(kind) => by_tool.or(Some(kind)),
        kind => kind,
    };
    let by_tests = (clues.failing_tests > 0).then_some(FailureKind::UnitTest);
    by_signature
        .or(by_end(clues.signal, clues.exit_code).filter(own))
        .or(clues.http_status.and_then(by_status).filter(own))
        .or(by_tool)
        .or(by_tests.filter(own))
}

fn by_end(signal: Option<i32>, exit_code: Option<i32>) -> Option<FailureKind> {
    // A shell reports a command that a signal ended as 128 and the signal's number.
    let code = match signal {
        Some(signal) => 128_i32.saturating_add(signal),
        None => exit_code?,
    };
    match code {
        124 => Some(FailureKind::StepLimit),
        126 => Some(FailureKind::FilePermission),
        127 => Some(FailureKind::MissingCommand),
        137 => Some(FailureKind::OutOfMemory),
        139 => Some(FailureKind::SegmentationFault),
        _ => None,
    }
}

fn by_status(status: u16) -> Option<FailureKind> {
    match status {
        401 => Some(FailureKind::BadCredentials),
        403 => Some(FailureKind::MissingPermission),
        404 => Some(FailureKind::PackageNotFound),
        409 => Some(FailureKind::AlreadyPublished),
        429 => Some(FailureKind::RateLimit),
        500..=599 => Some(FailureKind::RegistryDown),
        _ => None,
    }
}

/// Tools that are for one thing, by kind.
const TOOLS: &[(FailureKind, &[&str])] = &[
    (
        FailureKind::Lint,
        &[
            "eslint",
            "clippy",
            "flake8",
            "pylint",
            "golangci-lint",
            "clang-tidy",
            "rubocop",
            "shellcheck",
            "stylelint",
            "checkstyle",
            "ktlint",
            "detekt",
            "hadolint",
            "actionlint",
            "yamllint",
            "markdownlint",
        ],
    ),
    (
        FailureKind::Format,
        &["rustfmt", "fmt", "prettier", "black", "isort", "gofmt", "clang-format", "spotless"],
    ),
    (FailureKind::TypeCheck, &["tsc", "vue-tsc", "mypy", "pyright", "svelte-check", "phpstan"]),
    (FailureKind::Documentation, &["sphinx-build", "mkdocs", "rustdoc", "docusaurus", "hugo", "jekyll"]),
    (FailureKind::EndToEndTest, &["playwright", "cypress", "selenium"]),
    (
        FailureKind::VulnerableDependency,
        &["trivy", "grype", "osv-scanner", "pip-audit", "govulncheck", "snyk"],
    ),
    (FailureKind::LeakedSecret, &["gitleaks", "trufflehog", "detect-secrets"]),
    (FailureKind::StaticAnalysis, &["bandit", "semgrep", "gosec", "codeql", "brakeman", "checkov", "zizmor"]),
    (
        FailureKind::Infrastructure,
        &["terraform", "tofu", "pulumi", "cloudformation", "cdk", "ansible-playbook"],
    ),
];

/// The kind that a command's words name; None if they name none or several.
fn by_tool(command: &str) -> Option<FailureKind> {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '-';
    let named = |tools: &[&str]| {
        let mut words = command.split(|char| !is_word(char));
        words.any(|word| tools.iter().any(|tool| tool.eq_ignore_ascii_case(word)))
    };
    let mut kinds = TOOLS.iter().filter(|(_, tools)| named(tools)).map(|(kind, _)| *kind);
    let kind = kinds.next();
    if kinds.next().is_some() { None } else { kind }
}

// === impl FailureKind ===

impl FailureKind {
    /// The name for programs, in snake case. It never changes.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.row().label
    }

    /// The words for people, as in "lock file out of date".
    #[must_use]
    pub fn words(self) -> &'static str {
        self.row().words
    }

    /// The class that it belongs to.
    #[must_use]
    pub fn class(self) -> FailureClass {
        self.row().class
    }

    /// What to do about it, in one or two sentences, where no signature says it better.
    #[must_use]
    pub fn advice(self) -> &'static str {
        self.row().advice
    }

    /// The kind with exactly this label.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.label() == label)
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

impl TryFrom<String> for FailureKind {
    type Error = String;

    fn try_from(label: String) -> Result<Self, String> {
        Self::parse(&label).ok_or_else(|| format!("{label:?} is no kind of failure"))
    }
}

impl From<FailureKind> for &'static str {
    fn from(kind: FailureKind) -> Self {
        kind.label()
    }
}

// === impl Clues ===

impl Clues<'_> {
    /// Nothing is known but the class.
    #[must_use]
    pub fn of(class: FailureClass) -> Self {
        Self {
            class,
            signature: None,
            tool: None,
            exit_code: None,
            signal: None,
            http_status: None,
            failing_tests: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn labels_and_words_are_unique_and_round_trip() {
        let labels: BTreeSet<_> = FailureKind::ALL.iter().map(|kind| kind.label()).collect();
        let words: BTreeSet<_> = FailureKind::ALL.iter().map(|kind| kind.words()).collect();
        assert_eq!((labels.len(), words.len()), (FailureKind::ALL.len(), FailureKind::ALL.len()));
        for kind in FailureKind::ALL {
            assert_eq!(FailureKind::parse(kind.label()), Some(*kind));
            let json = serde_json::to_string(kind).unwrap();
            assert_eq!(json, format!("\"{}\"", kind.label()));
            assert_eq!(serde_json::from_str::<FailureKind>(&json).unwrap(), *kind);
            assert!(kind.label().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        }
        assert!(serde_json::from_str::<FailureKind>("\"flaky\"").is_err());
    }

    #[test]
    fn every_class_has_kinds_and_the_list_is_ordered_by_class() {
        let classes: Vec<_> = FailureKind::ALL.iter().map(|kind| kind.class()).collect();
        assert!(classes.is_sorted());
        assert!(FailureClass::ALL.iter().all(|class| classes.contains(class)));
    }

    #[test]
    fn the_signature_tells_the_kind_and_the_tool_tells_what_a_general_one_leaves_open() {
        let clues = Clues { signature: Some(FailureKind::LockFile), ..Clues::of(FailureClass::Dependency) };
        assert_eq!(kind_of(&clues), Some(FailureKind::LockFile));
        let compile = Clues { signature: Some(FailureKind::Compile), ..Clues::of(FailureClass::Build) };
        assert_eq!(kind_of(&compile), Some(FailureKind::Compile));
        let clippy = Clues { tool: Some("cargo clippy --all-targets"), ..compile };
        assert_eq!(kind_of(&clippy), Some(FailureKind::Lint));
        let both = Clues { tool: Some("eslint . && prettier --check ."), ..Clues::of(FailureClass::Build) };
        assert_eq!(kind_of(&both), None);
    }

    #[test]
    fn codes_and_counts_tell_the_kind_where_no_signature_does() {
        let of = Clues::of;
        let memory = Clues { exit_code: Some(137), ..of(FailureClass::Resource) };
        assert_eq!(kind_of(&memory), Some(FailureKind::OutOfMemory));
        let crash = Clues { signal: Some(11), failing_tests: 1, ..of(FailureClass::Test) };
        assert_eq!(kind_of(&crash), Some(FailureKind::SegmentationFault));
        let refused = Clues { http_status: Some(401), ..of(FailureClass::Permission) };
        assert_eq!(kind_of(&refused), Some(FailureKind::BadCredentials));
        let tests = Clues { exit_code: Some(1), failing_tests: 3, ..of(FailureClass::Test) };
        assert_eq!(kind_of(&tests), Some(FailureKind::UnitTest));
        assert_eq!(kind_of(&of(FailureClass::Timeout)), None);
    }

    proptest! {
        #[test]
        fn a_kind_never_contradicts_the_class(
            class in 0..FailureClass::ALL.len(),
            signature in prop::option::of(0..FailureKind::ALL.len()),
            tool in prop::option::of("(cargo )?(clippy|fmt|trivy|playwright|make)"),
            exit_code in prop::option::of(0..256_i32),
            signal in prop::option::of(any::<i32>()),
            http_status in prop::option::of(100..600_u16),
            failing_tests in 0..3_usize,
        ) {
            let class = FailureClass::ALL[class];
            let signature = signature.map(|at| FailureKind::ALL[at]);
            let tool = tool.as_deref();
            let kind = kind_of(&Clues { class, signature, tool, exit_code, signal, http_status, failing_tests });
            prop_assert!(kind.is_none_or(|kind| kind.class() == class));
        }
    }
}
