//! Both spaces on labelled states: packing loses nothing, states of the orbit space are equal exactly on orbits, and bytes
//! are accounted for.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Concrete, Layout, Orbit, Space, Symmetry};
use crate::labelled::state::{LabelledPackage, LabelledState};
use crate::number::count::Weight;
use crate::program::Program;

fn program(global: u32, package: u32, cpu: u32) -> Program {
    let text = format!(
        r#"{{"format": 1, "name": "", "widths": {{"global": {global}, "package": {package}, "cpu": {cpu}}},
            "fields": [], "actors": [], "rules": []}}"#
    );
    Program::from_json(&text).unwrap()
}

fn state(global: u128, packages: &[(u64, &[u64])]) -> LabelledState {
    let packages = packages.iter().map(|(word, cpus)| LabelledPackage { word: *word, cpus: cpus.to_vec() }).collect();
    LabelledState { global, packages }
}

fn encoded(space: &impl Space, state: &LabelledState) -> Vec<u64> {
    let mut packed = Vec::new();
    space.encode(state, &mut packed);
    packed
}

/// One of the states of an orbit.
fn representative(space: &Orbit<'_>, packed: &[u64]) -> LabelledState {
    let mut workspace = space.workspace();
    space.load(packed, &mut workspace);
    space.representative(&workspace)
}

/// States of a topology; words of few values, so that CPUs are often equal.
fn states_of(sizes: Vec<usize>, global: u32, package: u32, cpu: u32) -> impl Strategy<Value = LabelledState> {
    let top = |width: u32| if width == 0 { 0 } else { 1_u64 << (width - 1) };
    let words = |width: u32| prop_oneof![Just(0), Just(top(width)), 0..=crate::program::low_bits(width) as u64];
    let packages: Vec<_> = sizes
        .into_iter()
        .map(|size| {
            (words(package), prop::collection::vec(words(cpu), size))
                .prop_map(|(word, cpus)| LabelledPackage { word, cpus })
        })
        .collect();
    let global = any::<u128>().prop_map(move |word| word & crate::program::low_bits(global));
    (global, packages).prop_map(|(global, packages)| LabelledState { global, packages })
}

/// A state, and the same one after CPUs of a package and packages of a size have changed places.
fn permuted(sizes: Vec<usize>) -> impl Strategy<Value = (LabelledState, LabelledState)> {
    states_of(sizes, 70, 3, 3).prop_flat_map(|state| {
        let shuffled: Vec<_> = state
            .packages
            .iter()
            .map(|package| {
                let word = package.word;
                Just(package.cpus.clone()).prop_shuffle().prop_map(move |cpus| LabelledPackage { word, cpus })
            })
            .collect();
        let global = state.global;
        let other = shuffled.prop_shuffle().prop_map(move |mut packages| {
            packages.sort_by_key(|package| package.cpus.len());
            LabelledState { global, packages }
        });
        (Just(state), other)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn unpacking_a_concrete_state_gives_it_back(state in states_of(vec![1, 3, 2], 70, 5, 48)) {
        let program = program(70, 5, 48);
        let space = Concrete::<8>::new(&program, &state, Layout::new(&program, &state).unwrap());
        let mut workspace = space.workspace();
        space.load(&encoded(&space, &state), &mut workspace);
        prop_assert_eq!(space.labelled(&workspace), state);
    }

    #[test]
    fn unpacking_an_orbit_gives_one_of_its_states(state in states_of(vec![1, 3, 3], 70, 64, 48)) {
        let program = program(70, 64, 48);
        let space = Orbit::new(&program, &state, Symmetry::Start);
        let packed = encoded(&space, &state);
        let representative = representative(&space, &packed);
        prop_assert_eq!(representative.global, state.global);
        let multiset = |state: &LabelledState| {
            let mut packages = state.packages.clone();
            for package in &mut packages {
                package.cpus.sort_unstable();
            }
            packages.sort_by(|a, b| (a.word, &a.cpus).cmp(&(b.word, &b.cpus)));
            packages
        };
        prop_assert_eq!(multiset(&representative), multiset(&state));
    }

    #[test]
    fn canonicalising_is_constant_on_orbits_and_idempotent((state, other) in permuted(vec![2, 2, 4])) {
        let program = program(70, 3, 3);
        let uniform = state_of_zeros(&state);
        let space = Orbit::new(&program, &uniform, Symmetry::Start);
        let packed = encoded(&space, &state);
        prop_assert_eq!(&packed, &encoded(&space, &other));
        let mut sorted = representative(&space, &packed);
        sorted.packages.sort_by_key(|package| package.cpus.len());
        prop_assert_eq!(packed, encoded(&space, &sorted));
    }
}

fn state_of_zeros(state: &LabelledState) -> LabelledState {
    let mut zeros = state.clone();
    for package in &mut zeros.packages {
        package.word = 0;
        package.cpus.fill(0);
    }
    zeros
}

/// All states of a topology with one bit for each package and each CPU.
fn all_states(sizes: &[usize]) -> Vec<LabelledState> {
    let bits = sizes.len() + sizes.iter().sum::<usize>();
    let state = |mut word: u64| {
        let mut next = || {
            let bit = word & 1;
            word >>= 1;
            bit
        };
        let mut package = |size: usize| LabelledPackage { word: next(), cpus: (0..size).map(|_| next()).collect() };
        LabelledState { global: 0, packages: sizes.iter().map(|size| package(*size)).collect() }
    };
    (0..1 << bits).map(state).collect()
}

/// The states that permutations which fix `initial` make of a state, found by closing under transpositions.
fn orbit_of(state: &LabelledState, initial: &LabelledState) -> Vec<LabelledState> {
    let pair = |state: &LabelledState, a: (usize, usize), b: (usize, usize)| {
        let mut swapped = state.clone();
        let (left, right) = (state.packages[a.0].cpus[a.1], state.packages[b.0].cpus[b.1]);
        swapped.packages[a.0].cpus[a.1] = right;
        swapped.packages[b.0].cpus[b.1] = left;
        swapped
    };
    let cpus = |package: usize| (0..initial.packages[package].cpus.len()).map(move |cpu| (package, cpu));
    let mut found = vec![state.clone()];
    let mut next = 0;
    while next < found.len() {
        let state = found[next].clone();
        let mut others = Vec::new();
        for a in 0..initial.packages.len() {
            for (left, right) in cpus(a).flat_map(|left| cpus(a).map(move |right| (left, right))) {
                if pair(initial, left, right) == *initial {
                    others.push(pair(&state, left, right));
                }
            }
            for b in 0..a {
                // Equal packages change places as they are; unequal orders are covered by swapping CPUs as well.
                if initial.packages[a] == initial.packages[b] {
                    let mut swapped = state.clone();
                    swapped.packages.swap(a, b);
                    others.push(swapped);
                }
            }
        }
        for other in others {
            if !found.contains(&other) {
                found.push(other);
            }
        }
        next += 1;
    }
    found
}

#[test]
fn packed_states_are_equal_exactly_on_orbits_and_orbit_sizes_are_exact() {
    let initials = [
        state(0, &[(0, &[0, 0]), (0, &[0, 0])]),
        state(0, &[(0, &[0, 0, 0]), (0, &[0])]),
        state(0, &[(0, &[0, 1]), (0, &[0, 1])]),
        state(0, &[(1, &[0, 0]), (0, &[0, 0])]),
        state(0, &[(0, &[0, 0, 1, 1])]),
        state(0, &[(0, &[0]), (0, &[0]), (0, &[1])]),
    ];
    let program = program(0, 1, 1);
    for initial in &initials {
        let space = Orbit::new(&program, initial, Symmetry::Start);
        let sizes: Vec<usize> = initial.packages.iter().map(|package| package.cpus.len()).collect();
        let mut by_packed: BTreeMap<Vec<u64>, Vec<LabelledState>> = BTreeMap::new();
        let all = all_states(&sizes);
        for state in &all {
            by_packed.entry(encoded(&space, state)).or_default().push(state.clone());
        }
        let mut total = 0;
        for (packed, members) in &by_packed {
            let orbit = orbit_of(&members[0], initial);
            let key = |states: &[LabelledState]| states.iter().map(|it| format!("{it:?}")).collect::<BTreeSet<_>>();
            assert_eq!(key(&orbit), key(members), "initial state {initial:?}");
            let mut workspace = space.workspace();
            space.load(packed, &mut workspace);
            let size = space.orbit_size(&workspace);
            assert!(matches!(size, Weight::Small(size) if size == members.len() as u64));
            total += members.len();
        }
        assert_eq!(total, all.len());
        assert!(by_packed.len() < all.len());
    }
}

/// Two orbit spaces hold as many packages, of 2 and of 34 CPUs that are all different. The accounts differ by the words of 32
/// more CPUs in each package state and in its shape.
#[test]
fn bytes_of_the_orbit_space_include_the_words_of_packages() {
    const PACKAGES: u64 = 1000;
    let program = program(0, 48, 48);
    let bytes = |cpus: u64| {
        let words: Vec<u64> = (0..cpus).collect();
        let space = Orbit::new(&program, &state(0, &[(0, &words)]), Symmetry::All);
        for word in 0..PACKAGES {
            encoded(&space, &state(0, &[(word, &words)]));
        }
        space.bytes()
    };
    let difference = bytes(34) - bytes(2);
    assert!(difference >= PACKAGES as usize * 2 * 32 * size_of::<u64>(), "{difference}");
}

#[test]
fn planes_never_cross_a_word_and_never_overlap() {
    for (global, package, cpu, sizes) in [(0, 0, 0, vec![1]), (70, 5, 20, vec![9, 9, 9]), (3, 64, 7, vec![30, 34])] {
        let program = program(global, package, cpu);
        let cpus: Vec<Vec<u64>> = sizes.iter().map(|size| vec![0; *size]).collect();
        let packages: Vec<(u64, &[u64])> = cpus.iter().map(|cpus| (0, cpus.as_slice())).collect();
        let layout = Layout::new(&program, &state(0, &packages)).unwrap();
        let mut used = vec![0_u64; layout.words];
        for bit in 0..global {
            used[(bit / u64::BITS) as usize] |= 1 << (bit % u64::BITS);
        }
        let all: u32 = sizes.iter().map(|size| *size as u32).sum();
        let planes = layout.cpu_planes.iter().map(|plane| (plane, all));
        let mut count = 0;
        let of_packages = layout.package_planes.iter().map(|plane| (plane, sizes.len() as u32));
        for (plane, width) in planes.chain(of_packages) {
            assert!(plane.shift + width <= u64::BITS);
            let mask = (crate::program::low_bits(width) as u64) << plane.shift;
            assert_eq!(used[plane.word] & mask, 0);
            used[plane.word] |= mask;
            count += 1;
        }
        assert_eq!(count, cpu + package);
    }
}
