//! Scores the review model on labelled hunks, with the tokenizer and runtime that serve, next to the controls.
//!
//! A hunk is as urgent as its most urgent piece and gets that piece's severity, category and line, as in a review.

use super::controls::{Controls, bag};
use super::measures::{
    average_precision, bootstrap, calibration, macro_f1, mean, precision_of_top, roc_auc, share,
};
use crate::learn::labelled_hunks::{LabelledHunk, Repair};
use crate::review::backend::{Backend, Batch, Sequence};
use crate::review::model::{ReviewCalibration, ReviewManifest};
use crate::review::tokenizer::Encoder;
use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use sentinel_shared::diff::Place;
use sentinel_shared::review::policy::Policy;
use sentinel_shared::review::{Category, Score, Severity};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The number of tokens in one batch, padding included.
const BATCH_TOKENS: usize = 8192;
/// The number of resamples for an interval.
const ROUNDS: usize = 200;
/// The number of hunks below which a language or repository gets no figures of its own.
const FEW: usize = 100;
/// In a hunk with more added lines than this, pointing at the right line is a real choice.
const CHOICE: usize = 4;

/// The result of one record.
#[derive(Debug, Serialize)]
pub struct Judged {
    /// The place of the record in the file, counted from 0.
    pub record: usize,
    #[serde(skip)]
    repo: String,
    #[serde(skip)]
    language: &'static str,
    #[serde(skip)]
    repair: Option<Repair>,
    /// Whether a later commit repaired the hunk.
    pub positive: bool,
    /// The logit of the most urgent piece.
    pub logit: f32,
    /// The calibrated probability that the hunk needs a comment.
    pub probability: f32,
    /// The most likely severity of the hunk.
    pub severity: Severity,
    /// The most likely category of the hunk.
    pub category: Category,
    /// Whether each added line was repaired, the most likely line first.
    pub lines: Vec<bool>,
    /// The most likely line, counted from 0 after the `@@` line.
    pub line: usize,
    /// The share of the hunk's added lines that were repaired.
    pub chance: f64,
    /// The number of added lines in the hunk.
    pub added: usize,
    #[serde(skip)]
    by_size: f64,
    #[serde(skip)]
    by_words: f64,
    #[serde(skip)]
    by_more_words: Option<f64>,
}

/// The figures of one model on one set.
#[derive(Debug, Serialize)]
pub struct ReviewReport {
    /// The version of the model that was scored.
    pub model_version: String,
    /// The number of hunks that were scored.
    pub n: usize,
    /// The share of hunks that were repaired later.
    pub base_rate: f64,
    /// The number of hunks in a language that the model has not learned. It abstains on them.
    pub abstained: usize,
    needs_comment: NeedsComment,
    severity: Classes<Severity>,
    category: Classes<Category>,
    lines: LineScores,
    calibration: Reliability,
    controls: BTreeMap<&'static str, Control>,
    per_language: BTreeMap<String, Part>,
    per_repository: BTreeMap<String, Part>,
}

#[derive(Debug, Serialize)]
struct NeedsComment {
    roc_auc: f64,
    /// The 95 % interval, by bootstrap.
    roc_auc_interval: [f64; 2],
    pr_auc: f64,
    pr_auc_interval: [f64; 2],
    /// The F1 of what would be shown at the shipped thresholds.
    f1: f64,
    shown: usize,
    shown_precision: f64,
    /// The precision of the most confident hunks, with one (three) per 1,000 added lines.
    precision_at_1: f64,
    precision_at_3: f64,
}

/// Scores of a classification, on hunks that were repaired.
#[derive(Debug, Serialize)]
struct Classes<T: Ord> {
    n: usize,
    macro_f1: f64,
    /// The score of always naming the most frequent class.
    majority_macro_f1: f64,
    #[serde(rename = "confusion")]
    /// The confusion matrix: label → prediction → count.
    confusion: BTreeMap<T, BTreeMap<T, usize>>,
}

/// How often the lines that the model points at were repaired, on hunks that were repaired.
#[derive(Debug, Serialize)]
struct LineScores {
    n: usize,
    hit1: f64,
    hit3: f64,
    /// The score of a random added line of the same hunk.
    random_hit1: f64,
    /// The same on hunks with more than [`CHOICE`] added lines.
    choice: Choice,
}

#[derive(Debug, Serialize)]
struct Choice {
    n: usize,
    hit1: f64,
    hit3: f64,
    random_hit1: f64,
}

#[derive(Debug, Serialize)]
struct Reliability {
    ece: f64,
    brier: f64,
    /// `[mean probability, share repaired, count]` of each tenth.
    bins: Vec<(f64, f64, usize)>,
}

#[derive(Debug, Serialize)]
struct Control {
    roc_auc: f64,
    pr_auc: f64,
}

#[derive(Debug, Serialize)]
struct Part {
    n: usize,
    base_rate: f64,
    roc_auc: f64,
    hit1: f64,
}

/// Runs the model over `records`. Also returns how many are in a language that it has not learned.
///
/// # Errors
/// A line is not a record, or the runtime failed.
pub fn judge(
    encoder: &Encoder,
    calibration: ReviewCalibration,
    sessions: &mut [Box<dyn Backend>],
    controls: &Controls,
    records: impl Iterator<Item = Result<LabelledHunk>>,
) -> Result<(Vec<Judged>, usize)> {
    let mut judged = Vec::new();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut mended: Vec<Vec<usize>> = Vec::new();
    let mut abstained = 0;
    for (at, record) in records.enumerate() {
        let record = record?;
        let place = || format!("record {}", at + 1);
        let Some(input) = record.input().with_context(place)? else {
            abstained += 1;
            continue;
        };
        let repair = record.repair().with_context(place)?;
        let mut first = 0;
        let mut added = 0;
        for (piece, encoded) in encoder.pieces(input.path, input.language, &input.hunk) {
            let lines = piece.lines.iter().enumerate();
            let lines: Vec<_> = lines
                .filter(|(_, line)| matches!(line.place, Place::Added { .. }))
                .map(|(index, _)| first + index)
                .collect();
            first += piece.lines.len();
            added += lines.len();
            if !lines.is_empty() {
                pieces.push((judged.len(), encoded.into(), lines));
            }
        }
        if added == 0 {
            abstained += 1;
            continue;
        }
        let words = bag(&input);
        judged.push(Judged {
            record: at,
            repo: record.repo.clone(),
            language: input.language.name(),
            repair,
            positive: repair.is_some(),
            logit: f32::MIN,
            probability: 0.0,
            severity: Severity::Nit,
            category: Category::Other,
            lines: Vec::new(),
            line: 0,
            chance: record.lines.len() as f64 / added as f64,
            added,
            by_size: controls.by_size(&input),
            by_words: controls.by_words(&words),
            by_more_words: controls.by_more_words(&words),
        });
        mended.push(record.lines);
    }
    for (place, score, logit, lines) in run(sessions, calibration, pieces)? {
        let (record, mended) = (&mut judged[place], &mended[place]);
        if logit > record.logit {
            let mut order: Vec<usize> = (0..lines.len()).collect();
            // Of equals the first, as a review does it.
            order.sort_by(|a, b| score.lines[*b].total_cmp(&score.lines[*a]));
            (record.severity, record.category) = score.judgement();
            record.logit = logit;
            record.probability = score.needs_comment;
            record.line = lines[order[0]];
            record.lines = order.iter().map(|at| mended.contains(&lines[*at])).collect();
        }
    }
    Ok((judged, abstained))
}

/// A piece: its place among the results, its sequence, and the index of each added line in its hunk.
type Piece = (usize, Arc<Sequence>, Vec<usize>);
type Scored = (usize, Score, f32, Vec<usize>);

/// Runs every piece through the sessions, with pieces of similar length together.
fn run(
    sessions: &mut [Box<dyn Backend>],
    calibration: ReviewCalibration,
    mut pieces: Vec<Piece>,
) -> Result<Vec<Scored>> {
    ensure!(!sessions.is_empty(), "no session of the runtime");
    pieces.sort_by_key(|(_, encoded, _)| encoded.ids.len());
    let mut batches: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces {
        // Ascending: this piece is the longest so far.
        let fits = |batch: &Vec<Piece>| piece.1.ids.len() * (batch.len() + 1) <= BATCH_TOKENS;
        match batches.last_mut().filter(|batch| fits(batch)) {
            Some(batch) => batch.push(piece),
            None => batches.push(vec![piece]),
        }
    }
    let share = batches.len().div_ceil(sessions.len()).max(1);
    let one = |session: &mut Box<dyn Backend>, batches: &[Vec<Piece>]| {
        let mut scored = Vec::new();
        for batch in batches {
            let rows = batch.iter().map(|(_, encoded, _)| Arc::clone(encoded)).collect();
            let logits = session.run(&Batch { rows })?;
            scored.extend(batch.iter().zip(logits).map(|((place, _, lines), logits)| {
                (*place, logits.score(calibration), logits.needs_comment, lines.clone())
            }));
        }
        anyhow::Ok(scored)
    };
    let results: Vec<Result<Vec<Scored>>> = std::thread::scope(|scope| {
        let work = sessions.iter_mut().zip(batches.chunks(share));
        let threads: Vec<_> =
            work.map(|(session, batches)| scope.spawn(move || one(session, batches))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the runtime does not panic")).collect()
    });
    Ok(results.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

// === impl Report ===

impl ReviewReport {
    /// The figures of `judged`, at the model's own thresholds.
    #[must_use]
    pub fn of(manifest: &ReviewManifest, judged: &[Judged], abstained: usize) -> Self {
        let by = |score: fn(&Judged) -> f64| -> Vec<(f64, bool)> {
            judged.iter().map(|record| (score(record), record.positive)).collect()
        };
        let scored = by(|record| f64::from(record.probability));
        let mended: Vec<(&Judged, Repair)> =
            judged.iter().filter_map(|record| Some((record, record.repair?))).collect();
        let mut shuffled: Vec<bool> = judged.iter().map(|record| record.positive).collect();
        shuffled.shuffle(&mut StdRng::seed_from_u64(42));
        let shuffled: Vec<_> = scored.iter().map(|(score, _)| *score).zip(shuffled).collect();
        let by_more_words: Option<Vec<_>> =
            judged.iter().map(|record| Some((record.by_more_words?, record.positive))).collect();
        let mut controls = BTreeMap::from([
            ("majority", Control::of(&by(|_| 0.0))),
            ("size", Control::of(&by(|record| record.by_size))),
            ("bag_of_words", Control::of(&by(|record| record.by_words))),
            ("shuffled", Control::of(&shuffled)),
        ]);
        controls.extend(by_more_words.map(|scored| ("bag_of_more_words", Control::of(&scored))));
        Self {
            model_version: manifest.model_version.clone(),
            n: judged.len(),
            base_rate: share(judged.iter().map(|record| record.positive)),
            abstained,
            needs_comment: NeedsComment::of(manifest, judged, &scored),
            severity: Classes::of(mended.iter().map(|(record, repair)| (repair.severity, record.severity))),
            category: Classes::of(mended.iter().map(|(record, repair)| (repair.category, record.category))),
            lines: LineScores::of(&mended),
            calibration: Reliability::of(&scored),
            controls,
            per_language: parts(judged, |record| record.language),
            per_repository: parts(judged, |record| &record.repo),
        }
    }

    /// Writes a table for people.
    #[must_use]
    pub fn table(&self) -> String {
        use std::fmt::Write;
        let needs = &self.needs_comment;
        let mut text = format!(
            "{} on {} hunks, {:.1} % of them mended later ({} in no language it has learned)\n\n{:<24}{:>9}{:>9}\n",
            self.model_version,
            self.n,
            self.base_rate * 100.0,
            self.abstained,
            "needs a comment",
            "ROC-AUC",
            "PR-AUC"
        );
        let _ = writeln!(
            text,
            "{:<24}{:>9.3}{:>9.3}   95 %: {:.3} to {:.3}, {:.3} to {:.3}",
            "model",
            needs.roc_auc,
            needs.pr_auc,
            needs.roc_auc_interval[0],
            needs.roc_auc_interval[1],
            needs.pr_auc_interval[0],
            needs.pr_auc_interval[1]
        );
        for (name, control) in &self.controls {
            let name = format!("control: {}", name.replace('_', " "));
            let _ = writeln!(text, "{name:<24}{:>9.3}{:>9.3}", control.roc_auc, control.pr_auc);
        }
        let _ = writeln!(
            text,
            "\nprecision at 1 (3) comments in 1,000 added lines: {:.3} ({:.3})\nat the shipped thresholds: {} comments, {:.3} of them right, F1 {:.3}",
            needs.precision_at_1, needs.precision_at_3, needs.shown, needs.shown_precision, needs.f1
        );
        let _ = writeln!(
            text,
            "severity macro-F1 {:.3} (always the commonest: {:.3}), category {:.3} ({:.3}), on {} mended hunks",
            self.severity.macro_f1,
            self.severity.majority_macro_f1,
            self.category.macro_f1,
            self.category.majority_macro_f1,
            self.severity.n
        );
        for (what, n, hit1, hit3, random) in [
            ("line", self.lines.n, self.lines.hit1, self.lines.hit3, self.lines.random_hit1),
            (
                "line of more than four",
                self.lines.choice.n,
                self.lines.choice.hit1,
                self.lines.choice.hit3,
                self.lines.choice.random_hit1,
            ),
        ] {
            let _ = writeln!(
                text,
                "{what}: hit at 1 {hit1:.3}, at 3 {hit3:.3}, a random line {random:.3} ({n} hunks)"
            );
        }
        let _ = writeln!(
            text,
            "expected calibration error {:.3}, Brier score {:.3}\n",
            self.calibration.ece, self.calibration.brier
        );
        for (name, part) in self.per_language.iter().chain(&self.per_repository) {
            let _ = writeln!(
                text,
                "{name:<36}{:>7}{:>8.3}{:>8.3}{:>8.3}",
                part.n, part.base_rate, part.roc_auc, part.hit1
            );
        }
        text + "(hunks, share mended, ROC-AUC, line hit at 1)\n"
    }
}

impl NeedsComment {
    fn of(manifest: &ReviewManifest, judged: &[Judged], scored: &[(f64, bool)]) -> Self {
        let policy = Policy::default();
        let shown: Vec<&Judged> = judged
            .iter()
            .filter(|record| policy.admits(record.severity, record.probability, &manifest.thresholds))
            .collect();
        let right = shown.iter().filter(|record| record.positive).count();
        let positives = judged.iter().filter(|record| record.positive).count();
        let added: usize = judged.iter().map(|record| record.added).sum();
        let volume = |comments: usize| (added * comments).div_ceil(1000);
        Self {
            roc_auc: roc_auc(scored),
            roc_auc_interval: bootstrap(scored, ROUNDS, roc_auc),
            pr_auc: average_precision(scored),
            pr_auc_interval: bootstrap(scored, ROUNDS, average_precision),
            f1: 2.0 * right as f64 / (shown.len() + positives).max(1) as f64,
            shown: shown.len(),
            shown_precision: right as f64 / shown.len().max(1) as f64,
            precision_at_1: precision_of_top(scored, volume(1)),
            precision_at_3: precision_of_top(scored, volume(3)),
        }
    }
}

impl<T: Ord + Copy> Classes<T> {
    fn of(pairs: impl Iterator<Item = (T, T)>) -> Self {
        let pairs: Vec<_> = pairs.collect();
        let mut confusion: BTreeMap<T, BTreeMap<T, usize>> = BTreeMap::new();
        for (label, predicted) in &pairs {
            *confusion.entry(*label).or_default().entry(*predicted).or_default() += 1;
        }
        let commonest = confusion.iter().max_by_key(|(_, row)| row.values().sum::<usize>());
        let always = |class: T| pairs.iter().map(|(label, _)| (*label, class)).collect::<Vec<_>>();
        Self {
            n: pairs.len(),
            macro_f1: macro_f1(&pairs),
            majority_macro_f1: commonest.map_or(0.0, |(class, _)| macro_f1(&always(*class))),
            confusion,
        }
    }
}

impl LineScores {
    fn of(mended: &[(&Judged, Repair)]) -> Self {
        let hit = |record: &Judged, within: usize| record.lines.iter().take(within).any(|hit| *hit);
        let of = |records: &[&Judged]| Choice {
            n: records.len(),
            hit1: share(records.iter().map(|record| hit(record, 1))),
            hit3: share(records.iter().map(|record| hit(record, 3))),
            random_hit1: mean(records.iter().map(|record| record.chance)),
        };
        let all: Vec<_> = mended.iter().map(|(record, _)| *record).collect();
        let choice: Vec<_> = all.iter().filter(|record| record.added > CHOICE).copied().collect();
        let Choice { n, hit1, hit3, random_hit1 } = of(&all);
        Self { n, hit1, hit3, random_hit1, choice: of(&choice) }
    }
}

impl Reliability {
    fn of(scored: &[(f64, bool)]) -> Self {
        let (ece, bins) = calibration(scored);
        let brier =
            mean(scored.iter().map(|(probability, positive)| (probability - f64::from(*positive)).powi(2)));
        Self { ece, brier, bins }
    }
}

impl Control {
    fn of(scored: &[(f64, bool)]) -> Self {
        Self { roc_auc: roc_auc(scored), pr_auc: average_precision(scored) }
    }
}

fn parts(judged: &[Judged], key: impl Fn(&Judged) -> &str) -> BTreeMap<String, Part> {
    let mut groups: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for record in judged {
        groups.entry(key(record)).or_default().push(record);
    }
    let part = |records: &[&Judged]| {
        let scored: Vec<_> =
            records.iter().map(|record| (f64::from(record.probability), record.positive)).collect();
        let mended = records.iter().filter(|record| record.positive);
        Part {
            n: records.len(),
            base_rate: share(records.iter().map(|record| record.positive)),
            roc_auc: roc_auc(&scored),
            hit1: share(mended.map(|record| record.lines.first() == Some(&true))),
        }
    };
    let large = groups.into_iter().filter(|(_, records)| records.len() >= FEW);
    large.map(|(name, records)| (name.to_owned(), part(&records))).collect()
}
