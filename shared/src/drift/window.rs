//! The inferences of a period of time, as counts in the bins of the baseline.

use super::baseline::Reference;
use std::collections::BTreeMap;

/// The number of inferences in one stored block of counts.
pub const BLOCK: i64 = 50;
/// The number of blocks in a window. The last block is still filling.
pub const WINDOW_BLOCKS: i64 = 4;

/// The counts of a window by feature and bin. Windows of different inferences can be added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// The number of inferences in the window.
    pub n: u64,
    counts: BTreeMap<(String, u32), u64>,
}

impl Window {
    /// Counts one inference's cells.
    pub fn add(&mut self, cells: impl IntoIterator<Item = (String, u32)>) {
        self.n += 1;
        for (feature, bin) in cells {
            self.count(feature, bin, 1);
        }
    }

    /// Adds `count` values to one cell, as the database summed them.
    pub fn count(&mut self, feature: String, bin: u32, count: u64) {
        *self.counts.entry((feature, bin)).or_insert(0) += count;
    }

    /// Adds a window of other inferences.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        for ((feature, bin), count) in &other.counts {
            self.count(feature.clone(), *bin, *count);
        }
    }

    pub(super) fn of(&self, reference: &Reference) -> Vec<u64> {
        let count = |bin| self.counts.get(&(reference.feature.clone(), bin)).copied().unwrap_or(0);
        (0..reference.size() as u32).map(count).collect()
    }
}
