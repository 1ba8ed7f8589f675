//! The command line, with one file per command. `--json` prints one JSON document for programs. Errors go to stderr.

#[macro_use]
mod print;

mod bench;
mod classify;
mod db;
mod doctor;
mod encode;
mod eval;
mod explain_run;
mod failures;
mod features;
mod forget;
mod jobs;
mod keys;
mod known;
mod mcp;
mod mine;
mod model;
mod replay;
mod reports;
mod retrain;
mod review;
mod serve;
mod stop;
mod tables;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Why did this run fail, and what in this pull request deserves a second look?
#[derive(Debug, Parser)]
#[command(name = "sentinel", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Classify(classify::Classify),
    ExplainRun(explain_run::ExplainRun),
    Review(review::Review),
    Features(features::Features),
    Encode(encode::Encode),
    Eval(eval::Eval),
    Mine(mine::Mine),
    Model(model::Model),
    Replay(replay::Replay),
    Retrain(retrain::Retrain),
    Serve(Box<serve::Serve>),
    Failures(Box<failures::Failures>),
    Reports(reports::Reports),
    Jobs(jobs::Jobs),
    Keys(keys::Keys),
    Forget(forget::Forget),
    Doctor(doctor::Doctor),
    Mcp(mcp::Mcp),
    Db(db::Db),
    Tables(tables::Tables),
    Bench(bench::Bench),
}

impl Cli {
    /// Runs the chosen command to its end.
    ///
    /// # Errors
    /// What the command could not do, and what to do about it.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Classify(command) => return command.run(),
            Command::Review(command) => return command.run(),
            Command::Doctor(command) => return command.run(),
            Command::ExplainRun(command) => command.run(),
            Command::Features(command) => command.run(),
            Command::Encode(command) => command.run(),
            Command::Eval(command) => command.run(),
            Command::Mine(command) => command.run(),
            Command::Model(command) => command.run(),
            Command::Replay(command) => command.run(),
            Command::Retrain(command) => command.run(),
            Command::Serve(command) => command.run(),
            Command::Failures(command) => command.run(),
            Command::Reports(command) => command.run(),
            Command::Jobs(command) => command.run(),
            Command::Keys(command) => command.run(),
            Command::Forget(command) => command.run(),
            Command::Mcp(command) => command.run(),
            Command::Db(command) => command.run(),
            Command::Tables(command) => command.run(),
            Command::Bench(command) => command.run(),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

/// Starts the log. SENTINEL_LOG sets the level (default: info), and SENTINEL_LOG_FORMAT=json writes JSON.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SENTINEL_LOG")
        .unwrap_or_else(|_| "info,ort=warn".into());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // It would tell by `eprintln!`, which panics, that nobody reads standard error any more.
    let lines = lines.log_internal_errors(false);
    // A second subscriber in one process is refused; the first goes on.
    let _ = if std::env::var("SENTINEL_LOG_FORMAT").is_ok_and(|format| format == "json") {
        lines.json().try_init()
    } else {
        lines.try_init()
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::hidden::Hidden;
    use clap::CommandFactory;
    use std::any::TypeId;

    /// The arguments of a command and of all commands below it.
    fn arguments(command: &clap::Command) -> Vec<clap::Arg> {
        let below = command.get_subcommands().flat_map(arguments);
        command.get_arguments().cloned().chain(below).collect()
    }

    #[test]
    fn every_secret_on_the_command_line_is_of_a_type_that_shows_nothing() {
        let mut secrets = 0;
        for argument in arguments(&Cli::command()) {
            let variable =
                argument.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let names_a_secret = ["_TOKEN", "_API_KEY", "_PRIVATE_KEY", "EXPLAIN_KEY"]
                .iter()
                .any(|end| variable.ends_with(end));
            assert_eq!(argument.is_hide_env_values_set(), names_a_secret, "{argument:?}");
            if names_a_secret {
                assert!(argument.get_value_parser().type_id() == TypeId::of::<Hidden>(), "{argument:?}");
                secrets += 1;
            }
        }
        assert!(secrets > 10, "{secrets}");
        assert_eq!(format!("{:?}", Hidden::from("s3cret")), "(hidden)");
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
