//! Who should act on a failure.

use crate::classifier::Verdict;
use crate::failure::FailureClass;
use crate::kind::FailureKind;

/// Whether the repository or what it runs on is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A change of the repository's own files mends it: code, tests, dependencies, workflows.
    Code,
    /// No change of the repository's files is needed: a service, a runner, an account or a setting of the project failed.
    Platform,
    /// It may be either.
    Unknown,
}

/// What a line says of a failure of which no kind is known, and who is at fault then.
const SAYINGS: [(&str, Fault); 14] = [
    ("has received a shutdown signal", Fault::Platform),
    ("lost communication with the server", Fault::Platform),
    ("no space left on device", Fault::Platform),
    ("service unavailable", Fault::Platform),
    ("bad gateway", Fault::Platform),
    ("gateway time-out", Fault::Platform),
    ("gateway timeout", Fault::Platform),
    ("internal server error", Fault::Platform),
    ("econnreset", Fault::Platform),
    ("connection reset by peer", Fault::Platform),
    ("temporary failure in name resolution", Fault::Platform),
    ("tls handshake timeout", Fault::Platform),
    ("rate limit exceeded", Fault::Platform),
    ("too many requests", Fault::Platform),
];

/// Names of the machine that a job runs on. A service that does not answer there was started by the job itself, or was not.
const OWN_HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"];

// === impl Fault ===

impl Fault {
    /// Whose fault a failure of this class and kind is. `line` is the deciding line, or empty.
    ///
    /// A network error on the runner's own address is neither's for certain: the service was not started, or died.
    #[must_use]
    pub fn of(class: FailureClass, kind: Option<FailureKind>, line: &str) -> Self {
        let line = line.to_ascii_lowercase();
        let fault = match kind {
            Some(kind) => Self::of_kind(kind),
            None => Self::said(&line).unwrap_or(Self::of_class(class)),
        };
        let of_own_host = class == FailureClass::Network && OWN_HOSTS.iter().any(|host| line.contains(host));
        if of_own_host { Self::Unknown } else { fault }
    }

    /// Whose fault a failure with this verdict is. Of a verdict under its threshold, only a kind or a plain line tells it.
    #[must_use]
    pub fn of_verdict(verdict: &Verdict, kind: Option<FailureKind>) -> Self {
        let line = verdict.explanation.line.as_ref().map_or("", |line| line.text.as_str());
        if verdict.prediction.abstained && kind.is_none() {
            return Self::said(&line.to_ascii_lowercase()).unwrap_or(Self::Unknown);
        }
        Self::of(verdict.prediction.class, kind, line)
    }

    /// The same after the failed job passed on the same commit: the code is not proven to be at fault any more.
    #[must_use]
    pub fn after_passing(self) -> Self {
        match self {
            Self::Code => Self::Unknown,
            fault => fault,
        }
    }

    /// The name for programs: `code`, `platform` or `unknown`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Platform => "platform",
            Self::Unknown => "unknown",
        }
    }

    /// The fault with exactly this label.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        [Self::Code, Self::Platform, Self::Unknown].into_iter().find(|fault| fault.label() == label)
    }

    fn said(line: &str) -> Option<Self> {
        SAYINGS.iter().find(|(saying, _)| line.contains(saying)).map(|(_, fault)| *fault)
    }

    /// Most failures of a class decide for it; a class in which both are common is unknown.
    fn of_class(class: FailureClass) -> Self {
        match class {
            FailureClass::Build
            | FailureClass::Configuration
            | FailureClass::SecurityScan
            | FailureClass::Test => Self::Code,
            FailureClass::Network => Self::Platform,
            FailureClass::Dependency
            | FailureClass::Deployment
            | FailureClass::Permission
            | FailureClass::Resource
            | FailureClass::Timeout => Self::Unknown,
        }
    }

    /// The match is closed, so that a new kind must be placed.
    fn of_kind(kind: FailureKind) -> Self {
        use FailureKind as Kind;
        match kind {
            Kind::Lint
            | Kind::Format
            | Kind::TypeCheck
            | Kind::Compile
            | Kind::Link
            | Kind::Bundle
            | Kind::GeneratedFiles
            | Kind::Documentation
            | Kind::WorkflowSyntax
            | Kind::ActionNotFound
            | Kind::DeprecatedAction
            | Kind::MissingInput
            | Kind::MissingFile
            | Kind::MissingCommand
            | Kind::UnknownOption
            | Kind::ToolConfiguration
            | Kind::ToolVersion
            | Kind::ShellScript
            | Kind::LockFile
            | Kind::VersionConflict
            | Kind::PeerDependency
            | Kind::ModuleNotFound
            | Kind::PackageBuild
            | Kind::SharedLibrary
            | Kind::AlreadyPublished
            | Kind::FilePermission
            | Kind::VulnerableDependency
            | Kind::LeakedSecret
            | Kind::Licence
            | Kind::StaticAnalysis
            | Kind::UnitTest
            | Kind::EndToEndTest
            | Kind::HungTest
            | Kind::Snapshot
            | Kind::CoverageGate
            | Kind::SegmentationFault
            | Kind::Sanitizer
            | Kind::TestCollection => Self::Code,
            // Secrets, certificates and accounts are kept outside of the repository's files.
            Kind::MissingSecret
            | Kind::CodeSigning
            | Kind::BadCredentials
            | Kind::SshKey
            | Kind::StateLock
            | Kind::Dns
            | Kind::Tls
            | Kind::Connection
            | Kind::RegistryDown
            | Kind::DiskFull
            | Kind::RunnerLost
            | Kind::RateLimit
            | Kind::Quota => Self::Platform,
            // A name that is wrong in the code or gone from the service; a limit that is low or a program that wants
            // too much; an answer of a service that only its own log explains.
            Kind::EnvironmentVariable
            | Kind::GitReference
            | Kind::PackageNotFound
            | Kind::BaseImage
            | Kind::Checksum
            | Kind::HealthCheck
            | Kind::Rollout
            | Kind::Hosting
            | Kind::Release
            | Kind::Infrastructure
            | Kind::MissingPermission
            | Kind::ProtectedBranch
            | Kind::OutOfMemory
            | Kind::OpenFiles
            | Kind::BrokenLink
            | Kind::JobLimit
            | Kind::StepLimit
            | Kind::NoOutput => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_build_test_and_scan_failures_is_the_codes_and_each_of_network_failures_the_platforms() {
        for kind in FailureKind::ALL {
            let fault = Fault::of(kind.class(), Some(*kind), "");
            match kind.class() {
                FailureClass::Build | FailureClass::SecurityScan => {
                    assert_eq!(fault, Fault::Code, "{kind:?}");
                }
                FailureClass::Test => assert_ne!(fault, Fault::Platform, "{kind:?}"),
                FailureClass::Network => assert_eq!(fault, Fault::Platform, "{kind:?}"),
                FailureClass::Timeout => assert_eq!(fault, Fault::Unknown, "{kind:?}"),
                FailureClass::Resource => assert_ne!(fault, Fault::Code, "{kind:?}"),
                _ => {}
            }
        }
        let count = |fault| {
            FailureKind::ALL.iter().filter(|kind| Fault::of(kind.class(), Some(**kind), "") == fault).count()
        };
        assert!(count(Fault::Code) > 0 && count(Fault::Platform) > 0 && count(Fault::Unknown) > 0);
    }

    #[test]
    fn a_lost_runner_is_the_platforms_fault_and_a_failing_test_the_codes() {
        assert_eq!(Fault::of(FailureClass::Resource, Some(FailureKind::RunnerLost), ""), Fault::Platform);
        assert_eq!(Fault::of(FailureClass::Test, Some(FailureKind::UnitTest), ""), Fault::Code);
        assert_eq!(Fault::of(FailureClass::Timeout, None, ""), Fault::Unknown);
    }

    #[test]
    fn where_no_kind_is_known_a_plain_line_tells_it() {
        let line = "Error: The runner has received a shutdown signal.";
        assert_eq!(Fault::of(FailureClass::Build, None, line), Fault::Platform);
        assert_eq!(Fault::of(FailureClass::Build, None, "error: expected `;`"), Fault::Code);
        assert_eq!(Fault::of(FailureClass::Test, Some(FailureKind::UnitTest), line), Fault::Code);
    }

    #[test]
    fn a_connection_to_the_runner_itself_is_not_blamed_on_the_platform() {
        let own = "connect ECONNREFUSED 127.0.0.1:5432";
        assert_eq!(Fault::of(FailureClass::Network, Some(FailureKind::Connection), own), Fault::Unknown);
        let other = "connect ECONNREFUSED registry.example:443";
        assert_eq!(Fault::of(FailureClass::Network, Some(FailureKind::Connection), other), Fault::Platform);
    }

    #[test]
    fn what_passed_on_retry_does_not_prove_the_code_wrong() {
        assert_eq!(Fault::Code.after_passing(), Fault::Unknown);
        assert_eq!(Fault::Platform.after_passing(), Fault::Platform);
        assert_eq!(Fault::Unknown.after_passing(), Fault::Unknown);
    }

    #[test]
    fn labels_round_trip() {
        for fault in [Fault::Code, Fault::Platform, Fault::Unknown] {
            assert_eq!(Fault::parse(fault.label()), Some(fault));
        }
        assert_eq!(Fault::parse("Code"), None);
    }
}
