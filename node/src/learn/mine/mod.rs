//! Makes labelled hunks from a team's own history: each hunk with what a later commit repaired in the lines that it
//! added.
//!
//! [`history`] reads the mainline, [`origins`] knows where each line comes from, [`rules`] interprets commit messages,
//! and this file labels the hunks. A hunk is positive if a later small repair removed or rewrote one of its lines
//! within a year. It is negative if no repair did so for as long as histories are given to settle. All labels are weak:
//! an unnecessary repair counts, and a fault that nobody found does not.

pub mod history;
pub mod origins;
pub mod rules;

use crate::learn::labelled_hunks::LabelledHunk;
use anyhow::Result;
use history::{Commit, History};
use origins::{Changes, Origin, Origins, Reading};
use rules::{LineKind, Mending};
use sentinel_shared::diff::{self, FileDiff, Hunk, Place};
use sentinel_shared::review::Category;
use sentinel_shared::review::language::Language;
use std::collections::BTreeMap;
use std::path::Path;

const DAY: i64 = 86_400;
/// The largest change whose hunks are followed. Nobody writes a larger one hunk by hunk.
const OWN_FILES_MAX: usize = 30;
const OWN_LINES_MAX: usize = 1500;
/// The largest repair. A larger one repairs more than one thing.
const REPAIR_FILES_MAX: usize = 5;
const REPAIR_LINES_MAX: usize = 80;
const REPAIR_LINES_WITH_TESTS_MAX: usize = 400;
/// A repair labels at most this many hunks, each with at least this share of what it removed.
const REPAIRED_HUNKS_MAX: usize = 3;
const REPAIRED_SHARE_MIN: f64 = 0.25;
/// A repair after this time does not count, because the code was good for long enough.
const REPAIR_WITHIN_DAYS: i64 = 365;
/// A hunk that lost more than half of its lines by then was replaced, not kept.
const EARLY_DAYS: i64 = 180;
/// A hunk with more lines is cut into pieces; a much longer one is left out.
const HUNK_LINES_MAX: usize = 120;
const PIECE_LINES: usize = 80;
const BLOCK_LINES_MAX: usize = 600;
const HUNK_CHARS_MAX: usize = 6000;
const LINE_CHARS_MAX: usize = 400;
/// The smallest share of new lines. Moved lines are not the work of this commit.
const FRESH_SHARE_MIN: f64 = 0.3;
/// How many harmless hunks are chosen for each repaired one.
const NEGATIVES: f64 = 1.5;

/// The settings of `sentinel mine`.
#[derive(Debug, Clone)]
pub struct MineOptions {
    /// The name of the repository in the records.
    pub name: String,
    /// The number of commits of the mainline that are read, the newest first.
    pub commits: usize,
    /// The days without a repair after which a hunk counts as harmless.
    pub settled_days: i64,
}

/// The labelled hunks, in order of time.
#[derive(Debug, Default)]
pub struct Mined {
    /// Repaired and harmless hunks that can be compared.
    pub records: Vec<(i64, LabelledHunk)>,
    /// Repaired hunks that are too young to have harmless ones beside them.
    pub recent: Vec<(i64, LabelledHunk)>,
    /// The number of commits that were read.
    pub commits: usize,
    /// The number of commits that repair something, according to their message.
    pub repairs: usize,
    /// The number of hunks that were followed.
    pub hunks: usize,
    /// The number of hunks that were left out because they hold something that must not be copied.
    pub secret: usize,
    /// The number of files whose history did not add up.
    pub lost_step: usize,
}

struct Followed {
    time: i64,
    path: String,
    text: String,
    chars: usize,
    added: usize,
    removed: usize,
    test: bool,
    repairs: Vec<Repair>,
    /// The days until a repair first touched the hunk or inserted something into it.
    touched: Option<i64>,
    /// The number of lines that were removed early, by anyone.
    early: usize,
}

struct Repair {
    mending: Mending,
    time: i64,
    lines: Vec<usize>,
    conf: u32,
}

struct Miner {
    origins: Origins,
    hunks: Vec<Followed>,
    mined: Mined,
    end: i64,
}

/// Mines the history of `repository`, and calls `progress` with the number of commits from time to time.
///
/// # Errors
/// There is no repository, or git failed.
pub fn mine(repository: &Path, options: &MineOptions, progress: impl Fn(usize)) -> Result<Mined> {
    let mut history = History::open(repository, options.commits)?;
    let mut miner = Miner { origins: Origins::default(), hunks: Vec::new(), mined: Mined::default(), end: 0 };
    while let Some(commit) = history.advance()? {
        miner.mined.commits += 1;
        if miner.mined.commits.is_multiple_of(500) {
            progress(miner.mined.commits);
        }
        miner.end = miner.end.max(commit.time);
        let files = commit.patch.as_deref().map(diff::parse);
        match files {
            Some(Ok(files)) => miner.commit(&commit, &files),
            // What it did to the lines is unknown, so that nothing is known of them any more.
            _ => miner.origins.forget(),
        }
    }
    Ok(miner.records(options))
}

// === impl Miner ===

impl Miner {
    fn commit(&mut self, commit: &Commit, files: &[FileDiff<'_>]) {
        let changed = |file: &FileDiff<'_>| -> usize {
            let lines = file.hunks.iter().flat_map(|hunk| &hunk.lines);
            lines.filter(|line| !matches!(line.place, Place::Context { .. })).count()
        };
        let all: usize = files.iter().map(changed).sum();
        let reformat = (files.len() > 5 || all > REPAIR_LINES_MAX) && rules::is_reformat(&commit.subject);
        let large = files.len() > OWN_FILES_MAX || all > OWN_LINES_MAX;
        let reading = if reformat { Reading::Through } else { Reading::Own };
        let own = !reformat && !large && !rules::is_bulk(&commit.subject);
        let mending = (!reformat && !large).then(|| rules::mending(&commit.subject, &commit.body)).flatten();
        self.mined.repairs += usize::from(mending.is_some());
        let sources = files.iter().filter(|file| !is_aside(file.path()));
        let (count, lines) = sources.fold((0, 0), |(count, lines), file| (count + 1, lines + changed(file)));
        let small = match mending.map(|mending| mending.category) {
            Some(Category::Testing) => files.len() <= REPAIR_FILES_MAX && all <= REPAIR_LINES_MAX,
            Some(_) => {
                count <= REPAIR_FILES_MAX && lines <= REPAIR_LINES_MAX && all <= REPAIR_LINES_WITH_TESTS_MAX
            }
            None => false,
        };
        let hunks = &mut self.hunks;
        // Which followed hunk each line belongs to, decided once all of the commit is known.
        let mut named: Option<BTreeMap<(usize, usize, usize), Origin>> = None;
        let changes = self.origins.apply(files, reading, |fresh, place| {
            let named = named.get_or_insert_with(|| match own {
                true => follow(commit, files, fresh, hunks),
                false => BTreeMap::new(),
            });
            named.get(&place).copied()
        });
        self.repaired(commit, mending, small, &changes);
    }

    fn repaired(&mut self, commit: &Commit, mending: Option<Mending>, small: bool, changes: &Changes) {
        let (mut meant, mut gone) = (0, 0);
        let mut hits: BTreeMap<usize, (Vec<usize>, bool)> = BTreeMap::new();
        for removed in &changes.removed {
            let tells = mending.is_some_and(|mending| {
                let test = rules::is_test_path(&removed.path)
                    || removed.origin.is_some_and(|origin| self.hunks[origin.hunk].test);
                let either = [Category::Documentation, Category::Style].contains(&mending.category);
                rules::can_be_mended(mending.category, &removed.text)
                    && (either || test == (mending.category == Category::Testing))
            });
            meant += usize::from(tells);
            gone += usize::from(rules::line_kind(&removed.text) != LineKind::Trivial);
            let Some(origin) = removed.origin else { continue };
            let hunk = &mut self.hunks[origin.hunk];
            let days = (commit.time - hunk.time) / DAY;
            hunk.early += usize::from(days < EARLY_DAYS);
            if mending.is_some() {
                hunk.touched = Some(hunk.touched.map_or(days, |before| before.min(days)));
            }
            if tells && small {
                let (lines, rewritten) = hits.entry(origin.hunk).or_default();
                lines.push(origin.line);
                *rewritten |= removed.rewritten;
            }
        }
        let Some(mending) = mending else { return };
        for at in &changes.entered {
            let hunk = &mut self.hunks[*at];
            let days = (commit.time - hunk.time) / DAY;
            hunk.touched = Some(hunk.touched.map_or(days, |before| before.min(days)));
        }
        // A repair of prose must be about prose.
        if mending.category == Category::Documentation && (meant as f64) < 0.6 * gone as f64 {
            return;
        }
        let mut hits: Vec<_> = hits.into_iter().collect();
        hits.sort_by_key(|(hunk, (lines, _))| (std::cmp::Reverse(lines.len()), std::cmp::Reverse(*hunk)));
        let wide = |lines: &[usize]| lines.len() as f64 / meant.max(1) as f64 >= REPAIRED_SHARE_MIN;
        for (at, (mut lines, rewritten)) in
            hits.into_iter().filter(|(_, (lines, _))| wide(lines)).take(REPAIRED_HUNKS_MAX)
        {
            let hunk = &mut self.hunks[at];
            let days = (commit.time - hunk.time) / DAY;
            if !(0..=REPAIR_WITHIN_DAYS).contains(&days) {
                continue;
            }
            let most = lines.len() * 2 >= meant;
            lines.sort_unstable();
            lines.dedup();
            let narrow = lines.len() <= (hunk.added / 3).max(8);
            let conf = 1
                + u32::from(days <= EARLY_DAYS && most)
                + u32::from(mending.explicit && rewritten && narrow);
            hunk.repairs.push(Repair { mending, time: commit.time, lines, conf });
        }
    }

    fn records(mut self, options: &MineOptions) -> Mined {
        let settled = self.end - options.settled_days * DAY;
        let mut positives = Vec::new();
        let mut harmless: BTreeMap<(String, bool), Vec<&Followed>> = BTreeMap::new();
        for hunk in &self.hunks {
            if rules::holds_a_secret(&hunk.text) {
                self.mined.secret += 1;
                continue;
            }
            // The most severe, then the earliest.
            let repair =
                hunk.repairs.iter().min_by_key(|it| (std::cmp::Reverse(it.mending.severity), it.time));
            match repair {
                Some(repair) if hunk.time <= settled => positives.push((hunk, repair)),
                Some(repair) => self.mined.recent.push((hunk.time, hunk.record(options, Some(repair)))),
                None => {
                    let untouched = hunk.touched.is_none_or(|days| days > options.settled_days);
                    if hunk.time <= settled && untouched && hunk.early * 2 <= hunk.added {
                        harmless.entry(hunk.bucket()).or_default().push(hunk);
                    }
                }
            }
        }
        let mut owed = 0.0;
        for (hunk, repair) in positives {
            self.mined.records.push((hunk.time, hunk.record(options, Some(repair))));
            owed += NEGATIVES;
            while owed >= 1.0 {
                owed -= 1.0;
                let bucket = harmless.entry(hunk.bucket()).or_default();
                let nearest = (0..bucket.len())
                    .min_by(|a, b| hunk.distance(bucket[*a]).total_cmp(&hunk.distance(bucket[*b])));
                if let Some(at) = nearest {
                    let other = bucket.swap_remove(at);
                    self.mined.records.push((other.time, other.record(options, None)));
                }
            }
        }
        let Mined { records, recent, .. } = &mut self.mined;
        records.sort_by(|a, b| (a.0, &a.1.path, &a.1.hunk).cmp(&(b.0, &b.1.path, &b.1.hunk)));
        recent.sort_by(|a, b| (a.0, &a.1.path, &a.1.hunk).cmp(&(b.0, &b.1.path, &b.1.hunk)));
        self.mined.hunks = self.hunks.len();
        self.mined.lost_step = self.origins.lost_step;
        self.mined
    }
}

// === impl Followed ===

impl Followed {
    /// The bucket of the hunk. Hunks of one bucket can be compared.
    fn bucket(&self) -> (String, bool) {
        (self.path.rsplit('.').next().unwrap_or_default().to_owned(), self.test)
    }

    /// The distance of two hunks: in years, and in the logarithm of their sizes.
    fn distance(&self, other: &Self) -> f64 {
        let years = (self.time - other.time).abs() as f64 / (365 * DAY) as f64;
        let apart = |a: usize, b: usize| ((a + 1) as f64 / (b + 1) as f64).ln().abs();
        years
            + 4.0 * apart(self.chars, other.chars)
            + 3.0 * apart(self.added, other.added)
            + apart(self.removed, other.removed)
    }

    fn record(&self, options: &MineOptions, repair: Option<&Repair>) -> LabelledHunk {
        let harmless = 1 + u32::from(self.early == 0 && self.touched.is_none());
        LabelledHunk {
            repo: options.name.clone(),
            path: self.path.clone(),
            hunk: rules::without_addresses(&self.text),
            severity: repair.map_or("none", |it| it.mending.severity.label()).to_owned(),
            category: repair.map_or("other", |it| it.mending.category.label()).to_owned(),
            lines: repair.map(|it| it.lines.clone()).unwrap_or_default(),
            conf: repair.map_or(harmless, |it| it.conf),
        }
    }
}

/// Whether a path is vendored or a test. Such files do not decide whether a repair is small.
fn is_aside(path: &str) -> bool {
    rules::is_skipped_path(path) || rules::is_test_path(path)
}

/// Starts to follow the hunks of a commit that are worth it, and names their new lines.
fn follow(
    commit: &Commit,
    files: &[FileDiff<'_>],
    fresh: &[Vec<Vec<usize>>],
    followed: &mut Vec<Followed>,
) -> BTreeMap<(usize, usize, usize), Origin> {
    let mut named = BTreeMap::new();
    for (file_at, file) in files.iter().enumerate() {
        let Some(path) = file.new_path.as_deref() else { continue };
        let generated = |hunk: &Hunk<'_>| {
            hunk.new_start < 12 && hunk.lines.iter().take(12).any(|line| rules::is_generators_mark(line.text))
        };
        if Language::of_path(path).is_none()
            || rules::is_skipped_path(path)
            || file.hunks.iter().any(generated)
        {
            continue;
        }
        for (hunk_at, hunk) in file.hunks.iter().enumerate() {
            let fresh = &fresh[file_at][hunk_at];
            let added = hunk.added().count();
            if fresh.is_empty()
                || (fresh.len() as f64) < FRESH_SHARE_MIN * added as f64
                || hunk.lines.len() > BLOCK_LINES_MAX
            {
                continue;
            }
            let chars: usize = hunk.lines.iter().map(|line| line.text.len() + 2).sum();
            let long = hunk.lines.len() > HUNK_LINES_MAX || chars > HUNK_CHARS_MAX;
            let budget = if long { PIECE_LINES } else { usize::MAX };
            let mut first = 0;
            for mut piece in hunk.split(budget, |_| 1) {
                let lines = first..first + piece.lines.len();
                first = lines.end;
                piece.lines.iter_mut().for_each(|line| line.ends_file = false);
                if let Some(hunk) = Followed::of(commit, path, &piece) {
                    let here = fresh.iter().filter(|line| lines.contains(*line));
                    named.extend(here.map(|line| {
                        let origin = Origin { hunk: followed.len(), line: line - lines.start };
                        ((file_at, hunk_at, *line), origin)
                    }));
                    followed.push(hunk);
                }
            }
        }
    }
    named
}

impl Followed {
    /// Makes a followed hunk; None for a piece that is too small or too large.
    fn of(commit: &Commit, path: &str, piece: &Hunk<'_>) -> Option<Self> {
        let text = piece.to_string();
        let text = text.trim_end_matches('\n').to_owned();
        let added = piece.added().count();
        let says = |text: &str| matches!(rules::line_kind(text), LineKind::Code | LineKind::Comment);
        let fits =
            piece.lines.iter().all(|line| line.text.len() <= LINE_CHARS_MAX) && text.len() <= HUNK_CHARS_MAX;
        if added == 0 || !fits || !piece.added().any(|(_, line)| says(line.text)) {
            return None;
        }
        let rust_test =
            || path.ends_with(".rs") && piece.lines.iter().any(|line| rules::is_rust_test(line.text));
        Some(Self {
            time: commit.time,
            path: path.to_owned(),
            chars: text.len(),
            added,
            removed: piece.lines.iter().filter(|line| matches!(line.place, Place::Removed { .. })).count(),
            test: rules::is_test_path(path) || rust_test(),
            text,
            repairs: Vec::new(),
            touched: None,
            early: 0,
        })
    }
}

/// Splits by time: the oldest records for training, the next for validation, the newest for testing.
#[must_use]
pub fn split(records: &[(i64, LabelledHunk)]) -> [Vec<&LabelledHunk>; 3] {
    let (learn, choose) = (records.len() * 8 / 10, records.len() * 9 / 10);
    [&records[..learn], &records[learn..choose], &records[choose..]]
        .map(|part| part.iter().map(|(_, record)| record).collect())
}
