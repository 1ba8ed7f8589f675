//! The forest as a tract operator, which replaces `TreeEnsembleClassifier`.
//!
//! tract 0.23.9 walks its leaf table from the start for every tree, so a row costs trees × leaves. This operator costs
//! trees × depth.

use super::Forest;
use std::sync::Arc;
use tract_core::internal::*;

/// `[N, features] → [N, classes]` raw scores, summed over the trees of each class.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FlatForest {
    forest: Arc<Forest>,
}

impl FlatForest {
    pub(super) fn new(forest: Arc<Forest>) -> Self {
        Self { forest }
    }
}

impl Op for FlatForest {
    fn name(&self) -> StaticName {
        "FlatForest".into()
    }

    op_as_typed_op!();
}

impl EvalOp for FlatForest {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let plain = input.try_as_plain_ram()?;
        let values = plain.as_slice::<f32>()?;
        let width = self.forest.features();
        let mut scores = Vec::with_capacity(values.len() / width * self.forest.classes());
        for row in values.chunks_exact(width) {
            self.forest.score(row, &mut scores);
        }
        let rows = scores.len() / self.forest.classes();
        Ok(tvec!(Tensor::from_shape(&[rows, self.forest.classes()], &scores)?.into_tvalue()))
    }
}

impl TypedOp for FlatForest {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let input = inputs[0];
        ensure!(
            input.datum_type == f32::datum_type() && input.rank() == 2,
            "the forest takes [N, features] of f32"
        );
        ensure!(
            input.shape[1] == self.forest.features().to_dim(),
            "the forest takes {} features",
            self.forest.features()
        );
        Ok(tvec!(f32::fact([input.shape[0].clone(), self.forest.classes().to_dim()])))
    }

    as_op!();
}
