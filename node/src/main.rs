//! The `sentinel` command.

#![warn(clippy::print_stdout, clippy::print_stderr, reason = "they panic where the reader has gone away")]

use clap::Parser;
use sentinel_node::cli::Cli;
use sentinel_node::operate::heap;
use sentinel_shared::text::printed_lines;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    heap::limit();
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // A cause may quote a file's name or what a server said.
            let _ = writeln!(std::io::stderr(), "{}", printed_lines(&format!("error: {error:#}")));
            ExitCode::from(2)
        }
    }
}
