//! GitHub's REST API, as far as a review needs it.
//!
//! Here: calls ([`client`]), who we are to GitHub ([`auth`]), what an answer means for a job ([`error`]), and what is read
//! and written ([`pulls`], [`comments`], [`checks`]), each write in its turn ([`writes`]). Not here: what is said; that is
//! `sentinel_shared::review::render`'s, and in which order; that is [`crate::review::reviewer`]'s.

mod auth;
mod checks;
mod client;
mod comments;
mod deliveries;
mod error;
mod graphql;
mod jwt;
mod pages;
mod pulls;
mod writes;

pub use auth::Credentials;
pub use checks::{CheckConclusion, CheckReport};
pub use client::{Access, DEADLINE, Github};
pub use comments::{Author, Reaction, Reactions, Said};
pub use error::JobError;
pub use jwt::AppKey;
pub use pulls::PullFile;
pub use writes::Turn;

use client::{Answered, parse};
