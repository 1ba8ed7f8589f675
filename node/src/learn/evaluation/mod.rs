//! Scores models on labelled data, next to the controls that they must beat.

pub mod classifier;
pub mod controls;
pub mod facts;
pub mod measures;
pub mod review;
