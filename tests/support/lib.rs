//! Support for tests across boundaries: a fake GitHub with state, a signer, and the local stack.
//!
//! [`github`] refuses what GitHub refuses. [`stack`] starts the real database server and the real worker in workerd, on
//! loopback and free ports, and stops them by their own process group. [`deliver`] signs and posts.

pub mod database;
pub mod deliver;
pub mod github;
pub mod history;
pub mod node;
pub mod routes;
pub mod stack;

/// The program's command and all below it, as it was declared.
#[must_use]
pub fn commands() -> Vec<clap::Command> {
    let mut commands = vec![<sentinel_node::cli::Cli as clap::CommandFactory>::command()];
    let mut at = 0;
    while let Some(command) = commands.get(at) {
        let below: Vec<_> = command.get_subcommands().cloned().collect();
        commands.extend(below);
        at += 1;
    }
    commands
}

/// The built `sentinel`, as `cargo xtask` names it; None, and a word why, where it does not.
#[must_use]
pub fn sentinel() -> Option<std::process::Command> {
    let program = std::env::var_os("SENTINEL_BIN");
    if program.is_none() {
        eprintln!("skipped: SENTINEL_BIN is not set; run `cargo xtask test`");
    }
    program.map(std::process::Command::new)
}
