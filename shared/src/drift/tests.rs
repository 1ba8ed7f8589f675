use super::*;
use proptest::prelude::*;
use serde::Deserialize;

fn counts() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(0u64..200, 6)
}

/// A small deterministic generator (Knuth's MMIX constants), so that a failure repeats.
struct Lcg(u64);

impl Lcg {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn draw(&mut self, counts: &[u64]) -> u32 {
        let mut left = self.share() * counts.iter().sum::<u64>() as f64;
        for (bin, count) in (0u32..).zip(counts) {
            left -= *count as f64;
            if left < 0.0 {
                return bin;
            }
        }
        counts.len() as u32 - 1
    }
}

/// The baseline of the shipped model.
fn shipped() -> Baseline {
    serde_json::from_str(include_str!("../../../models/failure/drift.json")).unwrap()
}

/// `n` inferences drawn from the baseline, with `shift` bins added to the feature called `moved`.
fn window(baseline: &Baseline, random: &mut Lcg, n: u64, moved: &str, shift: u32) -> Window {
    let mut window = Window::default();
    for _ in 0..n {
        window.add(baseline.features.iter().map(|reference| {
            let added = if reference.feature == moved { shift } else { 0 };
            let bin = (random.draw(&reference.counts) + added).min(reference.size() as u32 - 1);
            (reference.feature.clone(), bin)
        }));
    }
    window
}

#[test]
fn twenty_unshifted_windows_raise_no_flag_and_a_shift_is_seen_within_two_hundred() {
    let (baseline, mut random) = (shipped(), Lcg(42));
    for _ in 0..20 {
        let report = DriftReport::of(&baseline, &window(&baseline, &mut random, 200, "", 0));
        assert_eq!((report.status.as_ref(), report.drifted()), ("Healthy", 0), "{report:?}");
    }
    for reference in &baseline.features {
        let report = DriftReport::of(&baseline, &window(&baseline, &mut random, 200, &reference.feature, 2));
        let row = report.features.iter().find(|row| row.feature == reference.feature).unwrap();
        assert!(row.is_drifted, "{row:?}");
        assert_eq!(report.status, "Drift Detected");
    }
}

#[test]
fn a_short_window_says_nothing() {
    let baseline = shipped();
    let report = DriftReport::of(&baseline, &window(&baseline, &mut Lcg(1), WINDOW_MIN - 1, "confidence", 3));
    assert_eq!((report.status.as_ref(), report.features.len()), ("insufficient_data", 0));
}

#[test]
fn the_statistics_are_the_references() {
    #[derive(Deserialize)]
    struct Case {
        reference: Vec<u64>,
        counts: Vec<u64>,
        psi: f64,
        chi_square: f64,
        p: f64,
    }
    let cases = include_str!("../../../tests/fixtures/golden/drift.jsonl");
    for line in cases.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let (statistic, p) = chi_square(&case.reference, &case.counts);
        assert!((psi(&case.reference, &case.counts) - case.psi).abs() < 1e-9, "{line}");
        assert!((statistic - case.chi_square).abs() < 1e-9 * case.chi_square.max(1.0), "{line}");
        assert!((p - case.p).abs() < 1e-9, "{p} {line}");
    }
    assert!(cases.lines().count() >= 20);
}

proptest! {
    #[test]
    fn the_index_is_never_negative_and_zero_between_equals(a in counts(), b in counts()) {
        prop_assert!(psi(&a, &b) >= 0.0);
        prop_assert!(psi(&a, &a).abs() < 1e-12);
        let (statistic, p) = chi_square(&a, &b);
        prop_assert!(statistic >= 0.0 && (0.0..=1.0).contains(&p));
        prop_assert!(chi_square(&a, &a).0.abs() < 1e-9);
    }

    #[test]
    fn windows_add_up_in_any_order(n in 1u64..60, m in 1u64..60, seed: u64) {
        let (baseline, mut random) = (shipped(), Lcg(seed));
        let (a, b) = (window(&baseline, &mut random, n, "", 0), window(&baseline, &mut random, m, "", 0));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        prop_assert_eq!(&ab, &ba);
        prop_assert_eq!(ab.n, n + m);
    }
}
