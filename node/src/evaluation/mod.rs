//! How well a model does on labelled data, with the controls it must beat beside it.

pub mod classifier;
pub mod controls;
pub mod measures;
pub mod review;
