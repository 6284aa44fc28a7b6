//! How many nanoseconds does the engine take for a successor, a canonical form, an insertion, a concrete
//! transition?
//!
//! On fixed Programs (`benches/programs` at the top of the repository). Each bench asserts the counts that it works on.

use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tdxexplore_core::bench::{Canonical, Visited, labelled, sample};
use tdxexplore_core::{LabelledState, Monitor, Options, Program, SpaceKind, explore};

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
    let key = |at: u64| [at.wrapping_mul(0x9e37_79b9_7f4a_7c15), at];
    let keys: Vec<[u64; 2]> = (0..4 * KEYS).map(|at| key(at % KEYS)).collect();
    assert_eq!(Visited::default().insert(&keys), KEYS as usize);
    group.throughput(Throughput::Elements(keys.len() as u64));
    group.sample_size(10);
    group.bench_function("128 bits", |bencher| {
        bencher.iter_batched_ref(Visited::default, |set| black_box(set.insert(&keys)), BatchSize::PerIteration);
    });
    group.finish();
}

/// Time for the space of bits, the search of the orbits before it included; one element is a transition.
fn bits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bits");
    group.sample_size(10);
    for (name, initial, states, transitions) in
        [("v19", "v19-7", 971_746_u64, 5_822_413_u64), ("two-phase-commit", "two-phase-commit-6", 50_816, 402_305)]
    {
        let (program, start) = load(name, initial);
        let options = Options { space: SpaceKind::Bits, ..Options::default() };
        let search = || explore(&program, &start, &options, &Monitor::default()).unwrap();
        let found = search();
        assert_eq!((found.states, found.transitions), (states.into(), transitions.into()), "{name}");
        group.throughput(Throughput::Elements(transitions));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(search())));
    }
    group.finish();
}

criterion_group!(benches, successors, canonical_forms, visited_set, bits);
criterion_main!(benches);
