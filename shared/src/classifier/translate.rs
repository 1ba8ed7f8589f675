//! Turns an ONNX file into a [`Forest`]: tract parses it, and its tree node is flattened.
//!
//! Native only. The worker ships the result, after [`check`] has compared it with tract's own run of the same file.

use super::forest::{Forest, Tree};
use crate::{Error, Result};
use tract_onnx::prelude::{Framework, InferenceModelExt};
use tract_onnx::tract_core::internal::*;
use tract_onnx_opl::ml::tree_ensemble_classifier::{TreeEnsembleClassifier, TreeEnsembleData};

/// The number of rows that the translation is checked with.
const PROBES: usize = 3;
/// Largest difference of a probability between tract's node and ours.
const TOLERANCE: f32 = 1e-5;

/// tract's node row: feature, true child, false child, threshold bits, flags; or leaf start, leaf end, 0, 0, 0.
const ROW: usize = 5;
const LESS_OR_EQUAL: u32 = 5;
const NAN_IS_TRUE: u32 = 0x100;

/// Translates the bytes of an ONNX file whose one tree ensemble takes `features` columns.
///
/// # Errors
/// [`Error::ModelInvalid`] when the file does not parse, holds no tree ensemble, or holds one that the flat
/// form can't say exactly.
pub fn translate(onnx: &[u8], features: u16) -> Result<Forest> {
    let model = stock(onnx, features).map_err(|error| broken(&error))?;
    let ensemble = model
        .nodes
        .iter()
        .find_map(|node| node.op_as::<TreeEnsembleClassifier>())
        .ok_or_else(|| Error::ModelInvalid("the ONNX file has no TreeEnsembleClassifier".into()))?;
    flatten(&ensemble.ensemble.data, features, ensemble.ensemble.n_classes())
}

/// The model with tract's own operators and the probabilities as the only output.
fn stock(onnx: &[u8], features: u16) -> TractResult<TypedModel> {
    let mut file = std::io::Cursor::new(onnx);
    let mut model = tract_onnx::onnx().model_for_read(&mut file)?;
    let rows = model.symbols.sym("N");
    model.set_input_fact(0, f32::fact(dims!(rows, usize::from(features))).into())?;
    let mut typed = model.into_typed()?;
    let probabilities = *typed.output_outlets()?.last().context("the ONNX file has no output")?;
    typed.select_output_outlets(&[probabilities])?;
    Ok(typed)
}

fn flatten(data: &TreeEnsembleData, features: u16, classes: usize) -> Result<Forest> {
    let slices = Slices { nodes: words(&data.nodes)?, leaves: words(&data.leaves)? };
    let mut trees = Vec::new();
    for root in words(&data.trees)? {
        let mut class = None;
        let tree = slices.tree(*root as usize, &mut class)?;
        trees.push((class.ok_or_else(|| unsayable("a tree without a class"))?, tree));
    }
    Forest::new(features, u16::try_from(classes).map_err(|_| unsayable("too many classes"))?, &trees)
}

struct Slices<'a> {
    nodes: &'a [u32],
    leaves: &'a [u32],
}

impl Slices<'_> {
    fn tree(&self, node: usize, class: &mut Option<u16>) -> Result<Tree> {
        let row = self
            .nodes
            .get(node * ROW..node * ROW + ROW)
            .ok_or_else(|| unsayable("a child outside the table"))?;
        let compare = row[4] & 0xff;
        if compare == 0 {
            return self.leaf(row[0] as usize..row[1] as usize, class);
        }
        if compare != LESS_OR_EQUAL {
            return Err(unsayable("a comparison other than <="));
        }
        Ok(Tree::Split {
            feature: u16::try_from(row[0]).map_err(|_| unsayable("a feature beyond 65,535"))?,
            threshold: f32::from_bits(row[3]),
            missing_left: row[4] & NAN_IS_TRUE != 0,
            left: Box::new(self.tree(row[1] as usize, class)?),
            right: Box::new(self.tree(row[2] as usize, class)?),
        })
    }

    fn leaf(&self, votes: std::ops::Range<usize>, class: &mut Option<u16>) -> Result<Tree> {
        let [vote] = votes.collect::<Vec<_>>()[..] else {
            return Err(unsayable("a leaf without exactly one vote"));
        };
        let row =
            self.leaves.get(vote * 2..vote * 2 + 2).ok_or_else(|| unsayable("a vote outside the table"))?;
        let votes_for = u16::try_from(row[0]).map_err(|_| unsayable("a class beyond 65,535"))?;
        if *class.get_or_insert(votes_for) != votes_for {
            return Err(unsayable("a tree that votes for two classes"));
        }
        Ok(Tree::Leaf(f32::from_bits(row[1])))
    }
}

/// Runs `forest` and tract's own node on the same pseudo-random rows. Slow: tract's node costs trees × leaves.
///
/// # Errors
/// [`Error::ModelInvalid`] when a probability differs by more than 1e-5.
pub fn check(forest: &Forest, onnx: &[u8]) -> Result<()> {
    let width = forest.features();
    let model = stock(onnx, width as u16).map_err(|error| broken(&error))?;
    let plan = model.into_runnable().map_err(|error| broken(&error))?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..PROBES {
        let row: Vec<f32> = (0..width)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // A fifth of the columns present, as in real rows.
                if state >> 61 == 0 { (state >> 40) as f32 / (1u64 << 24) as f32 } else { 0.0 }
            })
            .collect();
        let input = Tensor::from_shape(&[1, width], &row).map_err(|error| broken(&error))?;
        let output = plan.run(tvec!(input.into_tvalue())).map_err(|error| broken(&error))?;
        let expected: Vec<f32> =
            output[0].to_plain_array_view::<f32>().map_err(|error| broken(&error))?.iter().copied().collect();
        let mut scores = Vec::new();
        forest.score(&row, &mut scores);
        let difference = softmax(&scores)
            .iter()
            .zip(&expected)
            .map(|(ours, theirs)| (ours - theirs).abs())
            .fold(0.0, f32::max);
        if difference > TOLERANCE {
            return Err(Error::ModelInvalid(format!("the flat forest differs from tract's by {difference}")));
        }
    }
    Ok(())
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let max = scores.iter().copied().fold(f32::MIN, f32::max);
    let exponentials: Vec<f32> = scores.iter().map(|score| (score - max).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| exponential / sum).collect()
}

fn words(tensor: &Tensor) -> Result<&[u32]> {
    tensor.try_as_plain_ram().and_then(|plain| plain.as_slice::<u32>()).map_err(|error| broken(&error))
}

fn unsayable(what: &str) -> Error {
    Error::ModelInvalid(format!("the tree ensemble has {what}"))
}

fn broken(error: &TractError) -> Error {
    Error::ModelInvalid(format!("ONNX: {error:#}"))
}
