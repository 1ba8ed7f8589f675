//! A gradient-boosted forest in one flat array, walked without pointers and without bounds checks that fail.
//!
//! Nodes are in pre-order: the left child follows its parent, the right child is a stored distance away. A node takes 8
//! bytes, so a thousand trees fit into a second-level cache. [`Forest::from_bytes`] checks every index once, so a walk
//! can neither leave the array nor loop.

use crate::{Error, Result};

/// The value of `feature` in a leaf.
const LEAF: u16 = 0x7fff;
/// Set in `feature` when a missing value goes left.
const MISSING_LEFT: u16 = 0x8000;
/// The largest forest that is read: 16 MB, ten times the size of the shipped one.
const NODES_MAX: u32 = 2 << 20;
const NODE_BYTES: usize = 8;

/// A split or a leaf. Floats are kept as bits, so that the forest can be compared and hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    /// Threshold of a split (`x <= threshold` goes left), value of a leaf.
    bits: u32,
    /// Column and [`MISSING_LEFT`], or [`LEAF`].
    feature: u16,
    /// Distance to the right child.
    right: u16,
}

/// Trees of several classes over one row of features.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forest {
    features: u16,
    classes: u16,
    /// For each class, the nodes at which its trees start.
    roots: Vec<Vec<u32>>,
    nodes: Vec<Node>,
    /// Whether any tree uses a column, for each column.
    used: Vec<bool>,
}

/// A tree in the form in which the reader of a model file builds it.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// `x[feature] <= threshold` goes left; NaN goes left if `missing_left`.
    Split {
        /// The column that the node compares.
        feature: u16,
        /// Inclusive upper bound of the left side.
        threshold: f32,
        /// Whether a missing value goes left.
        missing_left: bool,
        /// The branch for values up to the threshold.
        left: Box<Tree>,
        /// The branch for values above the threshold.
        right: Box<Tree>,
    },
    /// Adds its value to the class's score.
    Leaf(f32),
}

// === impl Forest ===

impl Forest {
    /// Builds a forest from `(class, tree)` pairs over `features` columns.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] for a class or column out of range, or a subtree too large for its index.
    pub fn new(features: u16, classes: u16, trees: &[(u16, Tree)]) -> Result<Self> {
        let roots = vec![Vec::new(); usize::from(classes)];
        let mut forest = Self { features, classes, roots, nodes: Vec::new(), used: Vec::new() };
        for (class, tree) in trees {
            let roots =
                forest.roots.get_mut(usize::from(*class)).ok_or_else(|| broken("a tree of no class"))?;
            roots.push(u32::try_from(forest.nodes.len()).map_err(|_| broken("too many nodes"))?);
            forest.push(tree)?;
        }
        forest.checked()
    }

    fn push(&mut self, tree: &Tree) -> Result<()> {
        match tree {
            Tree::Leaf(value) => self.nodes.push(Node { bits: value.to_bits(), feature: LEAF, right: 0 }),
            Tree::Split { feature, threshold, missing_left, left, right } => {
                let at = self.nodes.len();
                let flag = if *missing_left { MISSING_LEFT } else { 0 };
                self.nodes.push(Node { bits: threshold.to_bits(), feature: feature | flag, right: 0 });
                self.push(left)?;
                self.nodes[at].right = u16::try_from(self.nodes.len() - at)
                    .map_err(|_| broken("a subtree of over 65,535 nodes"))?;
                self.push(right)?;
            }
        }
        Ok(())
    }

    /// The number of columns in a row.
    #[must_use]
    pub fn features(&self) -> usize {
        usize::from(self.features)
    }

    /// The number of scores for a row, one per class.
    #[must_use]
    pub fn classes(&self) -> usize {
        usize::from(self.classes)
    }

    /// The number of trees in the forest.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.roots.iter().map(Vec::len).sum()
    }

    /// Appends the raw score of every class for `row`.
    pub fn score(&self, row: &[f32], scores: &mut Vec<f32>) {
        scores.extend((0..self.classes()).map(|class| self.class_score(row, class) as f32));
    }

    /// The raw score of one class for `row`, summed in double precision as LightGBM does.
    #[must_use]
    pub fn class_score(&self, row: &[f32], class: usize) -> f64 {
        self.roots[class].iter().map(|root| f64::from(self.leaf(*root, row))).sum()
    }

    fn leaf(&self, root: u32, row: &[f32]) -> f32 {
        let mut at = root as usize;
        loop {
            let node = self.nodes[at];
            if node.feature == LEAF {
                return f32::from_bits(node.bits);
            }
            let x = row[usize::from(node.feature & !MISSING_LEFT)];
            let left = x <= f32::from_bits(node.bits) || (x.is_nan() && node.feature & MISSING_LEFT != 0);
            at += if left { 1 } else { usize::from(node.right) };
        }
    }

    /// Whether any tree uses this column.
    #[must_use]
    pub fn uses(&self, column: usize) -> bool {
        self.used.get(column).copied().unwrap_or(false)
    }

    /// The compact form: counts, roots by class, nodes; little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.nodes.len() * NODE_BYTES + self.trees() * 4 + 64);
        bytes.extend(self.features.to_le_bytes());
        bytes.extend(self.classes.to_le_bytes());
        for roots in &self.roots {
            bytes.extend((roots.len() as u32).to_le_bytes());
            bytes.extend(roots.iter().flat_map(|root| root.to_le_bytes()));
        }
        bytes.extend((self.nodes.len() as u32).to_le_bytes());
        for node in &self.nodes {
            bytes.extend(node.bits.to_le_bytes());
            bytes.extend(node.feature.to_le_bytes());
            bytes.extend(node.right.to_le_bytes());
        }
        bytes
    }

    /// Reads and checks the compact form.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] for bytes that end early, go on, or describe a walk that would not end.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let (features, classes) = (reader.u16()?, reader.u16()?);
        let mut roots = Vec::with_capacity(usize::from(classes));
        for _ in 0..classes {
            let count = reader.bounded_count(4)?;
            roots.push((0..count).map(|_| reader.u32()).collect::<Result<_>>()?);
        }
        let count = reader.bounded_count(NODE_BYTES)?;
        let nodes = (0..count)
            .map(|_| Ok(Node { bits: reader.u32()?, feature: reader.u16()?, right: reader.u16()? }))
            .collect::<Result<_>>()?;
        if !reader.0.is_empty() {
            return Err(broken("bytes after the last node"));
        }
        Self { features, classes, roots, nodes, used: Vec::new() }.checked()
    }

    /// Children stand after their parents and inside the array: every walk goes forward and ends at a leaf.
    fn checked(mut self) -> Result<Self> {
        self.used = vec![false; self.features()];
        if self.nodes.last().is_none_or(|node| node.feature != LEAF) {
            return Err(broken("the last node is not a leaf"));
        }
        for (at, node) in self.nodes.iter().enumerate() {
            if f32::from_bits(node.bits).is_nan() {
                return Err(broken("a threshold or leaf is not a number"));
            }
            if node.feature == LEAF {
                continue;
            }
            let right = at + usize::from(node.right);
            if (node.feature & !MISSING_LEFT) >= self.features || node.right < 2 || right >= self.nodes.len()
            {
                return Err(broken("a split points outside the forest"));
            }
            self.used[usize::from(node.feature & !MISSING_LEFT)] = true;
        }
        if self.roots.iter().flatten().any(|root| *root as usize >= self.nodes.len()) {
            return Err(broken("a root points outside the forest"));
        }
        Ok(self)
    }
}

/// Takes little-endian numbers off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| broken("the bytes end early"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn u16(&mut self) -> Result<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// Reads a count of items of `size` bytes, and checks that the remaining bytes can hold them before memory is
    /// reserved.
    fn bounded_count(&mut self, size: usize) -> Result<u32> {
        let count = self.u32()?;
        if count > NODES_MAX || count as usize * size > self.0.len() {
            return Err(broken("a count beyond the bytes"));
        }
        Ok(count)
    }
}

fn broken(what: &str) -> Error {
    Error::ModelInvalid(format!("forest: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = (-4f32..4.0).prop_map(Tree::Leaf);
        leaf.prop_recursive(6, 64, 2, |inner| {
            (0u16..8, -2f32..2.0, any::<bool>(), inner.clone(), inner).prop_map(
                |(feature, threshold, missing_left, left, right)| Tree::Split {
                    feature,
                    threshold,
                    missing_left,
                    left: Box::new(left),
                    right: Box::new(right),
                },
            )
        })
    }

    /// The plain definition of a walk, to compare with.
    fn walk(tree: &Tree, row: &[f32]) -> f32 {
        match tree {
            Tree::Leaf(value) => *value,
            Tree::Split { feature, threshold, missing_left, left, right } => {
                let x = row[usize::from(*feature)];
                let goes_left = if x.is_nan() { *missing_left } else { x <= *threshold };
                walk(if goes_left { left } else { right }, row)
            }
        }
    }

    proptest! {
        #[test]
        fn the_flat_walk_is_the_recursive_walk(
            trees in proptest::collection::vec((0u16..3, tree()), 1..20),
            row in proptest::collection::vec(prop_oneof![9 => -3f32..3.0, 1 => Just(f32::NAN)], 8),
        ) {
            let forest = Forest::new(8, 3, &trees).unwrap();
            for class in 0..3u16 {
                let expected: f64 = trees.iter().filter(|(c, _)| *c == class).map(|(_, t)| f64::from(walk(t, &row))).sum();
                prop_assert_eq!(forest.class_score(&row, usize::from(class)), expected);
            }
            prop_assert_eq!(Forest::from_bytes(&forest.to_bytes()).unwrap(), forest);
        }

        #[test]
        fn changed_bytes_never_panic_and_never_loop(
            trees in proptest::collection::vec((0u16..3, tree()), 1..6),
            at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        ) {
            let mut bytes = Forest::new(8, 3, &trees).unwrap().to_bytes();
            let position = at.index(bytes.len());
            bytes[position] = byte;
            if let Ok(forest) = Forest::from_bytes(&bytes) {
                let row = vec![0.5f32; forest.features()];
                let mut scores = Vec::new();
                forest.score(&row, &mut scores);
            }
            bytes.truncate(cut.index(bytes.len()));
            let _ = Forest::from_bytes(&bytes);
        }
    }
}
