//! The `sentinel` command.

#![warn(clippy::print_stdout, clippy::print_stderr, reason = "they panic where the reader has gone away")]

use clap::Parser;
use sentinel_node::cli::Cli;
use sentinel_shared::text::printed_lines;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    bound_heaps();
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // A cause may quote a file's name or what a server said.
            let _ = writeln!(std::io::stderr(), "{}", printed_lines(&format!("error: {error:#}")));
            ExitCode::from(2)
        }
    }
}

/// Keeps glibc's allocator from holding on to what it once gave out. It gives each thread that meets another in `malloc` a
/// heap of its own, up to eight a core, and takes ever larger blocks from these heaps, which shrink only at their end:
/// under mixed load `sentinel db` grew to nearly four times its size within five minutes, on two cores. Two heaps are enough,
/// since what allocates most (SQLite, the model's runtime) mostly works in memory that it has. A block of a megabyte is a
/// body or an answer: it goes back to the system when it is let go.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library's function has no safe name")]
fn bound_heaps() {
    const HEAPS: i32 = 2;
    const LARGE_BYTES: i32 = 1 << 20;
    // SAFETY: it sets two numbers of the allocator, and there is no other thread yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
    }
}
