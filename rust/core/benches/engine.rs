//! How many nanoseconds does the engine take for a successor, a canonical form, an insertion?
//!
//! On fixed Programs (`benches/programs` at the top of the repository). Each bench asserts the counts that it works on.

use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tdxexplore_core::bench::{Canonical, Visited, coded, labelled, sample};
use tdxexplore_core::{LabelledState, Program, SpaceKind};

/// Labelled states to canonicalise.
const STATES: usize = 10_000;

/// A Program and an initial state by their file names.
fn load(program: &str, initial: &str) -> (Program, LabelledState) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/programs");
    let read = |name: &str| std::fs::read_to_string(folder.join(name).with_extension("json")).unwrap();
    let program = Program::from_json(&read(program)).unwrap();
    let initial = LabelledState::from_json(&program, &read(initial)).unwrap();
    (program, initial)
}

/// Time for all successors of all states, early and late: they differ in how many rules are enabled of those looked at.
/// A throughput of one element is a successor.
fn successors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("successors");
    for (name, initial, space, states, expected) in [
        ("v19", "v19-6", SpaceKind::Concrete, 174_378, 901_801),
        ("v19", "v19-7", SpaceKind::Orbit, 10_938, 38_971),
        ("two-phase-commit", "two-phase-commit-6", SpaceKind::Concrete, 50_816, 402_305),
        ("two-phase-commit", "two-phase-commit-6", SpaceKind::Orbit, 553, 2_337),
    ] {
        let (program, start) = load(name, initial);
        let mut sample = sample(&program, &start, space, usize::MAX).unwrap();
        assert_eq!((sample.states(), sample.expand().0), (states, expected), "{name} {space:?}");
        group.throughput(Throughput::Elements(expected));
        group.bench_function(format!("{name}/{space:?}"), |bencher| bencher.iter(|| black_box(sample.expand())));
        if space == SpaceKind::Concrete {
            let mut sample = coded(&program, &start).unwrap();
            assert_eq!((sample.states(), sample.expand().0), (states, expected), "{name} in codes");
            group.bench_function(format!("{name}/codes"), |bencher| bencher.iter(|| black_box(sample.expand())));
        }
    }
    group.finish();
}

/// Time to canonicalise the first labelled states; one element is a state.
fn canonical_forms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("canonical forms");
    for (name, initial, expected) in [("v19", "v19-7", 183), ("two-phase-commit", "two-phase-commit-6", 159)] {
        let (program, start) = load(name, initial);
        let states = labelled(&program, &start, STATES);
        let canonical = Canonical::new(&program, &start);
        let mut packed = Vec::new();
        let forms: std::collections::BTreeSet<_> = states
            .iter()
            .map(|state| {
                canonical.form(state, &mut packed);
                packed.clone()
            })
            .collect();
        assert_eq!((states.len(), forms.len()), (STATES, expected), "{name}");
        group.throughput(Throughput::Elements(STATES as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for state in &states {
                    canonical.form(state, &mut packed);
                    black_box(&packed);
                }
            });
        });
    }
    group.finish();
}

/// Time for insert-if-absent, a quarter of it new, into a table larger than the caches whose memory is touched for the
/// first time; one element is an insertion.
fn visited_set(criterion: &mut Criterion) {
    const KEYS: u64 = 1 << 20;
    let mut group = criterion.benchmark_group("visited set");
    for bits in [62, 94] {
        let key = |at: u64| u128::from(at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> (128 - bits);
        let keys: Vec<u128> = (0..4 * KEYS).map(|at| key(at % KEYS)).collect();
        let empty = || Visited::with_room_for(KEYS as usize).unwrap();
        assert_eq!(empty().insert(&keys), KEYS as usize);
        group.throughput(Throughput::Elements(keys.len() as u64));
        group.sample_size(10);
        group.bench_function(format!("{bits} bits"), |bencher| {
            bencher.iter_batched_ref(empty, |set| black_box(set.insert(&keys)), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, successors, canonical_forms, visited_set);
criterion_main!(benches);
