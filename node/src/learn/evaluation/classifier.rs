//! Scores a failure model on labelled records, next to the baselines that it must beat.
//!
//! Strict accuracy accepts only the label; lenient accuracy also accepts the second label that some records have. The
//! baselines read the same excerpt: the majority class, the first pattern that matches (in the order of the labelling
//! rules), and 600 plain words with logistic regression, fitted on the same training split.

use crate::learn::labelled_runs::LabelledRun;
use anyhow::{Context, Result};
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::classifier::{Explanation, Prediction};
use sentinel_shared::excerpt::{Excerpt, mask_line};
use sentinel_shared::failure::FailureClass;
use sentinel_shared::features::{FeatureVector, Patterns, Telemetry, Tfidf, VOCABULARY_WIDTH};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The number of bins of the expected calibration error (Guo et al. 2017).
const ECE_BINS: usize = 10;

/// How frequent the classes are among failed jobs in life, in the order of [`FailureClass::ALL`]: 375 random failed jobs of
/// 260 Java projects, labelled by six people elsewhere and roughly mapped. Used to weigh accuracy by class.
const BASE_RATES: [f64; 10] = [0.22, 0.14, 0.21, 0.015, 0.025, 0.025, 0.015, 0.03, 0.31, 0.01];
/// The number of lines of another log of which the harmless ones are put around a log.
const NOISE_LINES: usize = 300;
/// The characters of the labelled line that must stand in a line for it to be the same; longer ones are cut.
const SAME_CHARS: usize = 60;

/// The figures of one model on one set.
#[derive(Debug, Serialize)]
pub struct ClassifierReport {
    /// The version of the model that was scored.
    pub model_version: String,
    #[serde(flatten)]
    scores: Scores,
    /// The scores of each class, by name.
    per_class: BTreeMap<&'static str, ClassScores>,
    /// The answers above the shipped threshold.
    selective: Selective,
    /// The most confident 70 % of the answers.
    selective_70: Selective,
    /// The same as `selective`: the share that is answered, and how often that is right.
    answered: Answered,
    /// Accuracy if the classes were as frequent as in random failed jobs; see [`BASE_RATES`].
    weighted: Weighted,
    /// How often the line that a reader would point at is the first, or one of the first three.
    cause_line: CauseLine,
    /// What harmless lines around the failure change.
    noise: Noise,
    /// Expected calibration error of the top probability.
    ece: f64,
    /// The results for the same records inside whole job logs.
    whole_log: WholeLog,
    /// How many of the verdicts that name terms score their class lower without the first three terms.
    attribution: Attribution,
    /// Rows are labels, columns predictions, in class order.
    confusion: Vec<Vec<usize>>,
    /// The scores of parts of the set, by origin.
    subsets: BTreeMap<&'static str, Scores>,
    /// The scores of simpler methods on the same records.
    baselines: BTreeMap<&'static str, Scores>,
}

#[derive(Debug, Clone, Serialize)]
struct Scores {
    n: usize,
    strict_accuracy: f64,
    lenient_accuracy: f64,
    macro_f1: f64,
}

#[derive(Debug, Serialize)]
struct ClassScores {
    precision: f64,
    recall: f64,
    f1: f64,
    support: usize,
}

#[derive(Debug, Serialize)]
struct Selective {
    threshold: f32,
    coverage: f64,
    accuracy: f64,
    lenient_accuracy: f64,
}

/// The quality of the excerpt: each record is put between steps made of harmless lines of other records, in the layout
/// of a GitHub Actions job.
#[derive(Debug, Serialize)]
struct WholeLog {
    n: usize,
    /// The number of lines in the longest log.
    lines_max: usize,
    /// The mean share of a record's own error lines that the excerpt contains.
    error_lines_kept: f64,
    /// The share of records with the same predicted class as without the surrounding log.
    verdict_kept: f64,
    strict_accuracy: f64,
}

#[derive(Debug, Serialize)]
struct Answered {
    coverage: f64,
    accuracy: f64,
    lenient: f64,
}

#[derive(Debug, Serialize)]
struct Weighted {
    strict_accuracy: f64,
    lenient_accuracy: f64,
}

#[derive(Debug, Default, Serialize)]
struct CauseLine {
    /// The number of records with a labelled line.
    n: usize,
    hit1: f64,
    hit3: f64,
}

/// Each record's log, alone and with harmless lines of other logs in steps before and after it.
#[derive(Debug, Default, Serialize)]
struct Noise {
    n: usize,
    same_class: f64,
    same_line: f64,
}

#[derive(Debug, Default, Serialize)]
struct Attribution {
    n: usize,
    lowered: f64,
}

/// The word baseline: logistic regression over words, fitted on the model's own training split.
#[derive(Deserialize)]
pub struct WordBaseline {
    majority: FailureClass,
    tfidf: Tfidf,
    /// The coefficients: ten rows, one column for each word.
    coefficients: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
}

// === impl Report ===

impl ClassifierReport {
    /// Evaluates `bundle` and the baselines on `records`.
    ///
    /// # Errors
    /// As [`ModelBundle::classify`].
    pub fn of(bundle: &ModelBundle, baseline: &WordBaseline, records: &[LabelledRun]) -> Result<Self> {
        let mut predictions = Vec::with_capacity(records.len());
        let mut by_words = Vec::with_capacity(records.len());
        let mut by_patterns = Vec::with_capacity(records.len());
        let mut lowered = Vec::new();
        for record in records {
            let telemetry = record.telemetry(&bundle.patterns);
            let features = bundle.pipeline.transform(&telemetry);
            let prediction = bundle.classifier.predict(&features)?;
            lowered.extend(lowers(bundle, &prediction, &features, &record.lines()));
            predictions.push(prediction);
            by_words.push(baseline.predict(&telemetry));
            by_patterns.push(first_match(&bundle.patterns, record).unwrap_or(baseline.majority));
        }
        let by_model: Vec<_> = predictions.iter().map(|prediction| prediction.class).collect();
        let selective =
            Selective::of(bundle.classifier.calibration().abstain_below, records, &predictions, |p| {
                !p.abstained
            });
        let confusion = confusion(records, &by_model);
        // Logs may be large, and each is laid around several others.
        let texts: Vec<Vec<String>> = records.iter().map(LabelledRun::job_text).collect();
        Ok(Self {
            model_version: bundle.manifest.model_version.clone(),
            scores: Scores::of(records, &by_model, |_| true),
            per_class: FailureClass::ALL
                .iter()
                .map(|class| (class.name(), ClassScores::of(*class, &confusion)))
                .collect(),
            answered: Answered {
                coverage: selective.coverage,
                accuracy: selective.accuracy,
                lenient: selective.lenient_accuracy,
            },
            selective,
            weighted: Weighted::of(records, &by_model),
            cause_line: CauseLine::of(records),
            noise: Noise::of(bundle, records, &texts)?,
            selective_70: Selective::surest(0.7, records, &predictions),
            ece: ece(records, &predictions),
            whole_log: WholeLog::of(bundle, records, &texts, &by_model)?,
            attribution: Attribution {
                n: lowered.len(),
                lowered: lowered.iter().filter(|lowered| **lowered).count() as f64
                    / lowered.len().max(1) as f64,
            },
            confusion,
            subsets: subsets(records, &by_model),
            baselines: BTreeMap::from([
                ("majority", Scores::of(records, &vec![baseline.majority; records.len()], |_| true)),
                ("regex_first_match", Scores::of(records, &by_patterns, |_| true)),
                ("tfidf_logistic_regression", Scores::of(records, &by_words, |_| true)),
            ]),
        })
    }

    /// Writes a table for people.
    #[must_use]
    pub fn table(&self) -> String {
        use std::fmt::Write;
        let mut text = format!(
            "{}\n\n{:<34}{:>6}{:>9}{:>9}{:>10}\n",
            self.model_version, "", "n", "strict", "lenient", "macro-F1"
        );
        let mut row = |name: &str, scores: &Scores| {
            let _ = writeln!(
                text,
                "{name:<34}{:>6}{:>9.3}{:>9.3}{:>10.3}",
                scores.n, scores.strict_accuracy, scores.lenient_accuracy, scores.macro_f1
            );
        };
        row("model", &self.scores);
        self.subsets.iter().for_each(|(name, scores)| row(&format!("  {name}"), scores));
        self.baselines.iter().for_each(|(name, scores)| row(&format!("baseline: {name}"), scores));
        let _ = writeln!(text, "\n{:<34}{:>10}{:>9}{:>9}{:>6}", "class", "precision", "recall", "F1", "n");
        for (name, class) in &self.per_class {
            let _ = writeln!(
                text,
                "{name:<34}{:>10.3}{:>9.3}{:>9.3}{:>6}",
                class.precision, class.recall, class.f1, class.support
            );
        }
        for (name, selective) in
            [("sure enough to answer", &self.selective), ("surest 70 %", &self.selective_70)]
        {
            let _ = writeln!(
                text,
                "\n{name}: {:.0} % of the records, {:.3} right (lenient {:.3}), confidence from {:.2}",
                selective.coverage * 100.0,
                selective.accuracy,
                selective.lenient_accuracy,
                selective.threshold
            );
        }
        let _ = writeln!(text, "expected calibration error: {:.3}", self.ece);
        let _ = writeln!(
            text,
            "weighted by the classes' base rates: strict {:.3}, lenient {:.3}",
            self.weighted.strict_accuracy, self.weighted.lenient_accuracy
        );
        let CauseLine { n, hit1, hit3 } = self.cause_line;
        let _ = writeln!(text, "cause line of {n} logs: first {hit1:.3}, one of the first three {hit3:.3}");
        let Noise { n, same_class, same_line } = self.noise;
        let _ = writeln!(
            text,
            "with harmless steps around {n} logs: the same class {same_class:.3}, the same line {same_line:.3}"
        );
        let _ = writeln!(
            text,
            "in whole job logs of up to {} lines: {:.1} % of the error lines found, {:.1} % of the classes kept, {:.3} right",
            self.whole_log.lines_max,
            self.whole_log.error_lines_kept * 100.0,
            self.whole_log.verdict_kept * 100.0,
            self.whole_log.strict_accuracy
        );
        let _ = writeln!(
            text,
            "without the three terms named first: {:.1} % of {} verdicts score lower",
            self.attribution.lowered * 100.0,
            self.attribution.n
        );
        text
    }
}

// === impl Weighted ===

impl Weighted {
    /// Each class counts by its base rate, over the classes that the records have.
    fn of(records: &[LabelledRun], predicted: &[FailureClass]) -> Self {
        let share = |right: fn(&LabelledRun, FailureClass) -> bool| {
            let (mut sum, mut weights) = (0.0, 0.0);
            for class in FailureClass::ALL {
                let of_class = || records.iter().zip(predicted).filter(|(record, _)| record.label == class);
                let (all, hits) =
                    (of_class().count(), of_class().filter(|(record, p)| right(record, **p)).count());
                if all > 0 {
                    sum += BASE_RATES[class.index()] * hits as f64 / all as f64;
                    weights += BASE_RATES[class.index()];
                }
            }
            if weights > 0.0 { sum / weights } else { 0.0 }
        };
        Self {
            strict_accuracy: share(|record, answer| record.label == answer),
            lenient_accuracy: share(is_defensible),
        }
    }
}

// === impl CauseLine ===

impl CauseLine {
    fn of(records: &[LabelledRun]) -> Self {
        let (mut n, mut first, mut in_three) = (0usize, 0usize, 0usize);
        for record in records {
            let labelled: Vec<String> =
                record.cause_line.iter().chain(&record.also_cause_lines).map(|line| plain(line)).collect();
            if labelled.is_empty() {
                continue;
            }
            let excerpt = record.lines();
            let mut pointed: Vec<String> = Vec::new();
            for line in excerpt.likeliest() {
                let text = plain(&line.text);
                if !pointed.contains(&text) {
                    pointed.push(text);
                }
            }
            let is_labelled = |text: &String| labelled.iter().any(|line| is_same(text, line));
            n += 1;
            first += usize::from(pointed.first().is_some_and(is_labelled));
            in_three += usize::from(pointed.iter().take(3).any(is_labelled));
        }
        let share = |hits: usize| hits as f64 / n.max(1) as f64;
        Self { n, hit1: share(first), hit3: share(in_three) }
    }
}

/// A line without what `gh` and the runner put before it, and with single spaces.
fn plain(line: &str) -> String {
    let excerpt = Excerpt::of(line.as_bytes());
    let text = excerpt.lines.first().map_or(line, |line| line.text.as_str());
    let text = text.trim();
    let text = text.strip_prefix("##[error]").or_else(|| text.strip_prefix("##[warning]")).unwrap_or(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_same(text: &str, labelled: &str) -> bool {
    let start: String = labelled.chars().take(SAME_CHARS).collect();
    !start.is_empty() && text.contains(&start)
}

// === impl Noise ===

impl Noise {
    fn of(bundle: &ModelBundle, records: &[LabelledRun], texts: &[Vec<String>]) -> Result<Self> {
        let (mut n, mut same_class, mut same_line) = (0usize, 0usize, 0usize);
        for (at, record) in records.iter().enumerate() {
            let own = &texts[at];
            let harmless: Vec<String> = (1..=3)
                .flat_map(|by| harmless(&texts[(at + by) % texts.len()]))
                .filter(|line| !line.starts_with("##["))
                .collect();
            let verdict = |noise: &[String]| -> Result<(FailureClass, Option<String>)> {
                let mut lines = vec!["##[group]Run setup".to_owned(), "##[endgroup]".to_owned()];
                lines.extend_from_slice(noise);
                if !own.first().is_some_and(|line| line.starts_with("##[group]Run ")) {
                    lines.extend(["##[group]Run it".to_owned(), "##[endgroup]".to_owned()]);
                }
                lines.extend_from_slice(own);
                lines.push("Post job cleanup.".to_owned());
                lines.extend_from_slice(noise);
                let excerpt = Excerpt::of(lines.join("\n").as_bytes());
                let (step, job) = (record.step_name.as_deref(), record.job_name.as_deref());
                let verdict = bundle.classify_log(&excerpt, step, job)?;
                Ok((verdict.prediction.class, verdict.explanation.line.map(|line| line.text)))
            };
            let (alone, inside) = (verdict(&[])?, verdict(&harmless)?);
            n += 1;
            same_class += usize::from(alone.0 == inside.0);
            same_line += usize::from(alone.1 == inside.1);
        }
        let share = |same: usize| same as f64 / n.max(1) as f64;
        Ok(Self { n, same_class: share(same_class), same_line: share(same_line) })
    }
}

// === impl WholeLog ===

impl WholeLog {
    fn of(
        bundle: &ModelBundle,
        records: &[LabelledRun],
        texts: &[Vec<String>],
        by_model: &[FailureClass],
    ) -> Result<Self> {
        let (mut lines_max, mut kept, mut with_errors, mut same, mut right) =
            (0, 0.0, 0usize, 0usize, 0usize);
        for (at, record) in records.iter().enumerate() {
            let log = job_log(texts, at);
            lines_max = lines_max.max(log.lines().count());
            let inside = LabelledRun { excerpt: log, full_log: None, ..record.clone() };
            let found = inside.lines();
            let own: Vec<_> =
                record.lines().lines.into_iter().filter(|line| reports_error(&line.text)).collect();
            if !own.is_empty() {
                let hits =
                    own.iter().filter(|line| found.lines.iter().any(|kept| kept.text == line.text)).count();
                kept += hits as f64 / own.len() as f64;
                with_errors += 1;
            }
            let features = bundle.pipeline.transform(&inside.telemetry(&bundle.patterns));
            let class = bundle.classifier.predict(&features)?.class;
            same += usize::from(class == by_model[at]);
            right += usize::from(class == record.label);
        }
        let n = records.len();
        Ok(Self {
            n,
            lines_max,
            error_lines_kept: kept / with_errors.max(1) as f64,
            verdict_kept: same as f64 / n.max(1) as f64,
            strict_accuracy: right as f64 / n.max(1) as f64,
        })
    }
}

/// Writes a job log: steps made from the following logs, then the log's own step, then a clean-up step.
fn job_log(texts: &[Vec<String>], at: usize) -> String {
    const STEPS_BEFORE: usize = 6;
    let mut lines = Vec::new();
    for step in 1..=STEPS_BEFORE {
        lines.push(format!("##[group]Run step {step}"));
        lines.push("##[endgroup]".to_owned());
        lines.extend(harmless(&texts[(at + step) % texts.len()]));
    }
    lines.push("##[group]Run the failing step".to_owned());
    lines.push("##[endgroup]".to_owned());
    lines.extend_from_slice(&texts[at]);
    lines.push("##[error]Process completed with exit code 1.".to_owned());
    lines.push("Post job cleanup.".to_owned());
    lines.extend(harmless(&texts[(at + STEPS_BEFORE + 1) % texts.len()]));
    lines.join("\n")
}

/// Of the first [`NOISE_LINES`] lines of a log, those that report no error.
fn harmless(text: &[String]) -> impl Iterator<Item = String> {
    text.iter().take(NOISE_LINES).filter(|line| !reports_error(line)).cloned()
}

fn reports_error(line: &str) -> bool {
    mask_line(line, &mut String::new())
}

// === impl WordBaseline ===

impl WordBaseline {
    /// Parses `models/failure/baseline.json`.
    ///
    /// # Errors
    /// The file is not in the format that training writes.
    pub fn parse(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).context("the word baseline (models/failure/baseline.json)")
    }

    fn predict(&self, telemetry: &Telemetry) -> FailureClass {
        let mut row = [0f32; VOCABULARY_WIDTH];
        self.tfidf.transform(&telemetry.text, &mut row);
        let score = |class: usize| {
            let weights = &self.coefficients[class];
            self.intercepts[class]
                + weights.iter().zip(row).map(|(weight, x)| weight * f64::from(x)).sum::<f64>()
        };
        let best = (0..10).rev().max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0);
        FailureClass::ALL[best]
    }
}

// === impl Scores ===

impl Scores {
    fn of(
        records: &[LabelledRun],
        predicted: &[FailureClass],
        belongs: impl Fn(&LabelledRun) -> bool,
    ) -> Self {
        let (chosen, answers): (Vec<&LabelledRun>, Vec<FailureClass>) =
            records.iter().zip(predicted).filter(|(record, _)| belongs(record)).unzip();
        let share = |right: usize| right as f64 / chosen.len().max(1) as f64;
        let strict = chosen.iter().zip(&answers).filter(|(record, answer)| record.label == **answer).count();
        let lenient =
            chosen.iter().zip(&answers).filter(|(record, answer)| is_defensible(record, **answer)).count();
        let confusion = confusion(chosen.iter().copied(), &answers);
        // Classes that are neither a label nor an answer have no F1, as in scikit-learn.
        let f1s: Vec<f64> = FailureClass::ALL
            .iter()
            .filter(|class| chosen.iter().any(|record| record.label == **class) || answers.contains(class))
            .map(|class| ClassScores::of(*class, &confusion).f1)
            .collect();
        Self {
            n: chosen.len(),
            strict_accuracy: share(strict),
            lenient_accuracy: share(lenient),
            macro_f1: f1s.iter().sum::<f64>() / f1s.len().max(1) as f64,
        }
    }
}

// === impl ClassScores ===

impl ClassScores {
    fn of(class: FailureClass, confusion: &[Vec<usize>]) -> Self {
        let at = class.index();
        let hits = confusion[at][at] as f64;
        let support: usize = confusion[at].iter().sum();
        let predicted: usize = confusion.iter().map(|row| row[at]).sum();
        let share = |of: usize| if of == 0 { 0.0 } else { hits / of as f64 };
        let (precision, recall) = (share(predicted), share(support));
        let f1 = if hits == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
        Self { precision, recall, f1, support }
    }
}

// === impl Selective ===

impl Selective {
    fn of(
        threshold: f32,
        records: &[LabelledRun],
        predictions: &[Prediction],
        answers: impl Fn(&Prediction) -> bool,
    ) -> Self {
        let answered: Vec<_> = records.iter().zip(predictions).filter(|(_, p)| answers(p)).collect();
        let share = |right: usize| right as f64 / answered.len().max(1) as f64;
        Self {
            threshold,
            coverage: answered.len() as f64 / records.len().max(1) as f64,
            accuracy: share(answered.iter().filter(|(record, p)| record.label == p.class).count()),
            lenient_accuracy: share(
                answered.iter().filter(|(record, p)| is_defensible(record, p.class)).count(),
            ),
        }
    }

    fn surest(coverage: f64, records: &[LabelledRun], predictions: &[Prediction]) -> Self {
        let mut confidences: Vec<f32> = predictions.iter().map(|prediction| prediction.confidence).collect();
        confidences.sort_by(|a, b| b.total_cmp(a));
        let last = ((coverage * confidences.len() as f64).round() as usize).clamp(1, confidences.len()) - 1;
        let threshold = confidences[last];
        Self::of(threshold, records, predictions, |p| p.confidence >= threshold)
    }
}

/// Whether the predicted class scores lower without the first three terms; None if no term is named.
fn lowers(
    bundle: &ModelBundle,
    prediction: &Prediction,
    features: &FeatureVector,
    lines: &Excerpt,
) -> Option<bool> {
    let (classifier, pipeline) = (&bundle.classifier, &bundle.pipeline);
    let explanation = Explanation::of(prediction, features, lines, classifier, pipeline, &bundle.patterns);
    let named: Vec<&str> = explanation.terms.iter().take(3).map(|term| term.term.as_str()).collect();
    let class = prediction.class.index();
    let mut row = features.values().to_vec();
    let score = classifier.forest().class_score(&row, class);
    for (column, value) in row.iter_mut().enumerate() {
        if named.contains(&pipeline.name(column).as_str()) {
            *value = 0.0;
        }
    }
    (!named.is_empty()).then(|| classifier.forest().class_score(&row, class) < score)
}

fn is_defensible(record: &LabelledRun, answer: FailureClass) -> bool {
    record.label == answer || record.alt_label == Some(answer)
}

fn confusion<'a>(
    records: impl IntoIterator<Item = &'a LabelledRun>,
    predicted: &[FailureClass],
) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; FailureClass::ALL.len()]; FailureClass::ALL.len()];
    for (record, answer) in records.into_iter().zip(predicted) {
        counts[record.label.index()][answer.index()] += 1;
    }
    counts
}

fn subsets(records: &[LabelledRun], predicted: &[FailureClass]) -> BTreeMap<&'static str, Scores> {
    let origin = |record: &LabelledRun| record.origin.clone().unwrap_or_default();
    let retyped =
        |record: &LabelledRun| matches!(origin(record).as_str(), "quoted-in-file" | "scanner-fixture");
    let actions = |record: &LabelledRun| {
        matches!(origin(record).as_str(), "gha-committed-log" | "cidiff" | "deploy-log")
    };
    let all = [
        ("without_quoted", Scores::of(records, predicted, |record| !retyped(record))),
        ("github_actions_like", Scores::of(records, predicted, actions)),
    ];
    all.into_iter().filter(|(_, scores)| scores.n > 0).collect()
}

fn first_match(patterns: &Patterns, record: &LabelledRun) -> Option<FailureClass> {
    patterns.matches(&record.lines().text()).first().map(|pattern| pattern.suggests)
}

fn ece(records: &[LabelledRun], predictions: &[Prediction]) -> f64 {
    let mut bins = [(0usize, 0f64, 0usize); ECE_BINS];
    for (record, prediction) in records.iter().zip(predictions) {
        let confidence = f64::from(prediction.confidence);
        let bin = ((confidence * ECE_BINS as f64) as usize).min(ECE_BINS - 1);
        bins[bin].0 += 1;
        bins[bin].1 += confidence;
        bins[bin].2 += usize::from(record.label == prediction.class);
    }
    bins.iter().map(|(_, confidence, right)| (confidence - *right as f64).abs()).sum::<f64>()
        / records.len().max(1) as f64
}
