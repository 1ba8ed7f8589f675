//! What the tests across boundaries stand on: a fake GitHub with state, a signer, and the local stack.
//!
//! [`github`] refuses what GitHub refuses; [`stack`] starts the real database server and the real worker in
//! workerd, on loopback and free ports, and stops them by their own process group; [`deliver`] signs and posts.

pub mod deliver;
pub mod github;
pub mod node;
pub mod stack;
