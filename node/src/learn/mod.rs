//! What models are trained and judged on.
//!
//! For failed runs: the model of this binary ([`failure_model`]) and labelled runs ([`labelled_runs`]). For reviews: labelled
//! hunks ([`labelled_hunks`]), which [`mine`] takes from a team's own history and [`near_duplicates`] keeps apart. How well
//! either model does: [`evaluation`].

pub mod evaluation;
pub mod failure_model;
pub mod labelled_hunks;
pub mod labelled_runs;
pub mod mine;
pub mod near_duplicates;
