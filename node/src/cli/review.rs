//! `sentinel review`: reads a diff and prints findings.

use crate::review::backend::ort::{BackendOptions, Provider};
use crate::review::engine::Engine;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use sentinel_shared::diff;
use sentinel_shared::policy;
use sentinel_shared::review::plan::{ChangedFile, Plan};
use sentinel_shared::review::policy::Policy;
use sentinel_shared::review::text::visible;
use sentinel_shared::review::{Finding, Severity, render};
use sentinel_shared::store::jobs::ReviewResult;
use sentinel_shared::text::{printed, printed_json};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// The largest diff that is read.
const DIFF_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// Review a diff: find the added lines that need a second look.
///
/// Reads a unified diff from standard input or a file. Exits with 1 if a finding is as severe as --fail-on, with 0
/// otherwise, and with 2 if the review could not be made.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  git diff main... | sentinel review\n  \
    git diff --cached | sentinel review --json --fail-on critical\n  \
    sentinel review changes.diff --sarif > sentinel.sarif")]
pub(super) struct Review {
    /// The diff file; without it, standard input is read.
    file: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print SARIF 2.1.0, which GitHub's code scanning accepts.
    #[arg(long)]
    sarif: bool,
    /// The policy file; by default .github/sentinel.yml, if it exists.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// The lowest severity that makes the exit code 1.
    #[arg(long, value_enum, default_value_t = FailOn::Bug)]
    fail_on: FailOn,
    /// The folder of another review model.
    #[arg(long, env = "SENTINEL_REVIEW_MODEL")]
    model: Option<PathBuf>,
    /// The hardware that runs the model.
    #[arg(long, value_enum, default_value_t = Provider::Cpu)]
    provider: Provider,
    /// The path of libonnxruntime, if it is not in one of the usual places.
    #[arg(long, env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOn {
    Nit,
    Suggestion,
    Bug,
    Critical,
    Never,
}

impl Review {
    pub(super) fn run(self) -> Result<ExitCode> {
        let text = self.diff()?;
        let files = diff::parse(&text)?;
        ensure!(
            !files.is_empty() || text.trim().is_empty(),
            "this is not a unified diff: pipe `git diff` into it"
        );
        let policy = self.policy()?;
        let plan = Plan::new(files.iter().map(ChangedFile::of_diff).collect(), 0, &policy);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let result = runtime.block_on(self.review(&plan, &policy))?;
        let mut out = super::print::Stdout::lock();
        if self.json {
            writeln!(out, "{}", printed_json(&format!("{:#}", json!(result))))?;
        } else if self.sarif {
            writeln!(out, "{}", printed_json(&format!("{:#}", sarif(&result))))?;
        } else {
            print(&mut out, &result, &policy)?;
        }
        let worst = result.findings.iter().map(|finding| finding.severity).max();
        let fails = self.fail_on.severity().is_some_and(|least| worst >= Some(least));
        Ok(if fails { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    fn diff(&self) -> Result<String> {
        let mut bytes = Vec::new();
        match &self.file {
            Some(path) => std::fs::File::open(path)
                .with_context(|| format!("opening {}", path.display()))?
                .take(DIFF_LIMIT_BYTES + 1)
                .read_to_end(&mut bytes)?,
            None => {
                ensure!(!std::io::stdin().is_terminal(), "pipe a diff into it: git diff | sentinel review");
                std::io::stdin().take(DIFF_LIMIT_BYTES + 1).read_to_end(&mut bytes)?
            }
        };
        ensure!(bytes.len() as u64 <= DIFF_LIMIT_BYTES, "the diff is larger than {DIFF_LIMIT_BYTES} bytes");
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn policy(&self) -> Result<Policy> {
        let usual = PathBuf::from(policy::PATH);
        let Some(path) = self.policy.clone().or_else(|| usual.exists().then_some(usual)) else {
            return Ok(Policy::default());
        };
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        policy::review(&text).with_context(|| path.display().to_string())
    }

    async fn review(&self, plan: &Plan<'_>, policy: &Policy) -> Result<ReviewResult> {
        let options =
            BackendOptions { provider: self.provider, sessions: None, library: self.onnxruntime.clone() };
        let engine = Engine::alone(self.model.as_deref(), &options)?;
        let deadline = Instant::now() + Duration::from_secs(3600);
        Ok(engine.review("", plan, policy, &BTreeSet::new(), deadline).await?)
    }
}

impl FailOn {
    fn severity(self) -> Option<Severity> {
        match self {
            Self::Nit => Some(Severity::Nit),
            Self::Suggestion => Some(Severity::Suggestion),
            Self::Bug => Some(Severity::Bug),
            Self::Critical => Some(Severity::Critical),
            Self::Never => None,
        }
    }
}

/// Prints the findings for a person: place, finding and line, in colour if the terminal supports it.
fn print(out: &mut impl Write, result: &ReviewResult, policy: &Policy) -> Result<()> {
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let paint = |code: &str, text: &str| {
        if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    };
    for finding in &result.findings {
        let colour = match finding.severity {
            Severity::Nit => "2",
            Severity::Suggestion => "36",
            Severity::Bug => "33",
            Severity::Critical => "1;31",
        };
        writeln!(
            out,
            "{}:{}: {} {} ({:.0} %)",
            paint("1", &printed(&finding.path)),
            finding.line,
            paint(colour, finding.severity.label()),
            finding.category.label(),
            finding.confidence * 100.0
        )?;
        writeln!(out, "  {}", paint("32", &format!("+{}", printed(&visible(&finding.text)))))?;
        writeln!(out, "  {}", render::message(finding, policy.speech))?;
        if let Some(suggestion) = &finding.suggestion {
            let repair = if suggestion.is_empty() { "remove the line" } else { suggestion };
            writeln!(out, "  suggested: {}", printed(repair))?;
        }
        writeln!(out)?;
    }
    let receipt = &result.receipt;
    let skipped: Vec<String> =
        receipt.files_skipped.iter().map(|(reason, n)| format!("{n} {}", reason.explained())).collect();
    writeln!(
        out,
        "{} finding(s). {} of {} files and {} of {} hunks reviewed{}. Model {}.",
        result.findings.len(),
        receipt.files_reviewed,
        receipt.files_seen,
        receipt.hunks_reviewed,
        receipt.hunks_seen,
        if skipped.is_empty() { String::new() } else { format!("; skipped: {}", skipped.join(", ")) },
        printed(&result.model_version)
    )?;
    Ok(())
}

/// The result as SARIF (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).
fn sarif(result: &ReviewResult) -> Json {
    let level = |severity| match severity {
        Severity::Nit | Severity::Suggestion => "note",
        Severity::Bug => "warning",
        Severity::Critical => "error",
    };
    let one = |finding: &Finding| {
        json!({
            "ruleId": finding.category.label(),
            "level": level(finding.severity),
            "message": { "text": render::message(finding, sentinel_shared::review::policy::Speech::En) },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": finding.path },
                "region": { "startLine": finding.line, "snippet": { "text": finding.text } },
            } }],
            "partialFingerprints": { "sentinel/v1": finding.fingerprint() },
            "properties": { "confidence": finding.confidence, "severity": finding.severity.label() },
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Sentinel",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "properties": { "model": result.model_version },
            } },
            "results": result.findings.iter().map(one).collect::<Vec<_>>(),
        }],
    })
}
