//! The `sentinel` command.

use clap::Parser;
use sentinel_node::cli::Cli;
use sentinel_shared::text::printed_lines;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // A cause may quote a file's name or what a server said.
            eprintln!("{}", printed_lines(&format!("error: {error:#}")));
            ExitCode::from(2)
        }
    }
}
