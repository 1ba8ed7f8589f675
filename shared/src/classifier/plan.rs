//! The tract plan: source [N, 884] → flat forest [N, 10] → × 1/temperature → softmax.

use super::Forest;
use super::op::FlatForest;
use crate::features::WIDTH;
use crate::{Error, Result};
use std::sync::Arc;
use tract_core::internal::*;
use tract_core::ops::nn::Softmax;

/// A model that tract is ready to run.
#[derive(Clone)]
pub(super) struct Plan(Arc<TypedSimplePlan>);

impl Plan {
    /// Plans `forest` with a temperature, which must be positive.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] for a graph that tract refuses.
    pub(super) fn new(forest: Arc<Forest>, temperature: f32) -> Result<Self> {
        graph(forest, temperature).and_then(TypedSimplePlan::new).map(Self).map_err(|error| invalid(&error))
    }

    /// `rows` × 884 features to `rows` × 10 probabilities.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] if tract refuses to run, which a planned model does not.
    pub(super) fn run(&self, values: &[f32], rows: usize) -> Result<Vec<f32>> {
        let outputs = Tensor::from_shape(&[rows, WIDTH], values)
            .and_then(|input| self.0.run(tvec!(input.into_tvalue())))
            .map_err(|error| invalid(&error))?;
        let view = outputs[0].to_plain_array_view::<f32>().map_err(|error| invalid(&error))?;
        Ok(view.iter().copied().collect())
    }
}

fn graph(forest: Arc<Forest>, temperature: f32) -> TractResult<TypedModel> {
    let mut model = TypedModel::default();
    let rows = model.symbols.sym("N");
    let source = model.add_source("features", f32::fact(dims!(rows, WIDTH)))?;
    let scores = model.wire_node("forest", FlatForest::new(forest), &[source])?;
    let scale = model.add_const("inverse_temperature", tensor2(&[[1.0 / temperature]]))?;
    let scaled = model.wire_node("calibrated", tract_core::ops::math::mul(), &[scores[0], scale])?;
    let softmax = Softmax { axes: tvec!(1), ..Softmax::default() };
    let probabilities = model.wire_node("probabilities", softmax, &scaled)?;
    model.select_output_outlets(&probabilities)?;
    Ok(model)
}

fn invalid(error: &TractError) -> Error {
    Error::ModelInvalid(format!("{error:#}"))
}
