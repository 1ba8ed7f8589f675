//! What the tests across boundaries stand on: a fake GitHub with state, a signer, and the local stack.
//!
//! [`github`] refuses what GitHub refuses; [`stack`] starts the real database server and the real worker in
//! workerd, on loopback and free ports, and stops them by their own process group; [`deliver`] signs and posts.

pub mod deliver;
pub mod github;
pub mod node;
pub mod stack;

/// The built `sentinel`, as `cargo xtask` names it; None, and a word why, where it does not.
#[must_use]
pub fn sentinel() -> Option<std::process::Command> {
    let program = std::env::var_os("SENTINEL_BIN");
    if program.is_none() {
        eprintln!("skipped: SENTINEL_BIN is not set; run `cargo xtask test`");
    }
    program.map(std::process::Command::new)
}
