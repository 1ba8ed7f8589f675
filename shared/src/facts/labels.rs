//! Many texts looked for in one pass over a line.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// The largest number of hits in a line that are looked at. A line that says more than this says nothing in particular.
const HITS_MAX: usize = 16;

/// Texts that stand before or after what is of interest.
pub(super) struct Labels(Option<AhoCorasick>);

/// Where a text was found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hit {
    /// Its place in the table.
    pub(super) label: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Labels {
    pub(super) fn new<'a>(labels: impl Iterator<Item = &'a str>) -> Self {
        let labels: Vec<&str> = labels.collect();
        Self(AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(labels).ok())
    }

    /// The hits in a line, those of earlier labels first.
    pub(super) fn hits(&self, text: &str) -> impl Iterator<Item = Hit> {
        let mut hits = [Hit::default(); HITS_MAX];
        let mut count = 0;
        for found in self.0.iter().flat_map(|labels| labels.find_overlapping_iter(text)).take(HITS_MAX) {
            hits[count] = Hit { label: found.pattern().as_usize(), start: found.start(), end: found.end() };
            count += 1;
        }
        hits[..count].sort_unstable_by_key(|hit| (hit.label, hit.start));
        hits.into_iter().take(count)
    }
}
