//! The command line: one file a command. `--json` prints one JSON document for programs; errors go to stderr.

mod bench;
mod classify;
mod db;
mod eval;
mod features;
mod model;
mod replay;
mod retrain;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
    Features(features::Features),
    Eval(eval::Eval),
    Model(model::Model),
    Replay(replay::Replay),
    Retrain(retrain::Retrain),
    Db(db::Db),
    Bench(bench::Bench),
}

impl Cli {
    /// Runs the chosen command to its end.
    ///
    /// # Errors
    /// Whatever the command could not do, with what to do about it.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Classify(command) => command.run(),
            Command::Features(command) => command.run(),
            Command::Eval(command) => command.run(),
            Command::Model(command) => command.run(),
            Command::Replay(command) => command.run(),
            Command::Retrain(command) => command.run(),
            Command::Db(command) => command.run(),
            Command::Bench(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
