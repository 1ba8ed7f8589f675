//! What a command says. The standard library's own macros panic where the reader has gone away, as `head` does after
//! its lines; other Unix tools end quietly then.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, StdoutLock, Write};

/// The exit code that a shell shows for a program which SIGPIPE (13) ended.
const READER_GONE: i32 = 128 + 13;
/// Standard output took nothing: a full disk.
const NOT_WRITTEN: i32 = 2;

/// Standard output. Where it takes nothing any more the program ends, so that no write to it fails.
pub(super) struct Stdout(StdoutLock<'static>);

/// A line on standard output.
macro_rules! stdout {
    ($($args:tt)*) => { $crate::cli::print::line(format_args!($($args)*)) };
}

/// A line on standard error. Where nobody reads it, nothing happens.
macro_rules! stderr {
    ($($args:tt)*) => { $crate::cli::print::aside(format_args!($($args)*)) };
}

pub(super) fn line(text: Arguments<'_>) {
    let mut out = Stdout::lock();
    // It does not fail.
    let _ = writeln!(out, "{text}");
}

pub(super) fn aside(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says where a server listens, which serves all the same where nobody reads that.
pub(super) fn announce(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

// === impl Stdout ===

impl Stdout {
    pub(super) fn lock() -> Self {
        Self(io::stdout().lock())
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_end(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_end(self.0.flush())
    }
}

fn or_end<T>(outcome: io::Result<T>) -> io::Result<T> {
    outcome.inspect_err(|error| match error.kind() {
        // Writing goes on.
        ErrorKind::Interrupted => {}
        ErrorKind::BrokenPipe => std::process::exit(READER_GONE),
        _ => {
            aside(format_args!("error: standard output takes nothing: {error}"));
            std::process::exit(NOT_WRITTEN)
        }
    })
}
