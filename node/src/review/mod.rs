//! What a review takes: the review model with all that runs it, and the jobs that come from GitHub and go back there.
//!
//! [`model`] is read, [`tokenizer`] makes the model's input, [`backend`] runs it, [`batcher`] is the queue in
//! front of it, and [`engine`] puts them together. [`reviewer`] does jobs with it, through [`github`].

pub mod backend;
pub mod batcher;
pub mod engine;
pub mod github;
pub mod model;
pub mod reviewer;
pub mod tokenizer;
