//! The package states that have occurred: each is stored once, and known by an id.
//!
//! Where there are several packages, far fewer package states occur than states: a state combines them. So what a package
//! becomes by a move is remembered: it is worked out when the move is first made, and is a look-up after that.
//!
//! Where a topology has a single package, nearly each package state belongs to one state, and to remember what it becomes
//! would take memory for nothing.
//!
//! Rejected: remembering nothing; a successor would have to be put together and looked up by its words every time.

use std::borrow::Cow;

use super::format::{class_of, key, key_and_count, run};
use super::rules::Action;
use super::shape::{Move, Shape, Shapes};
use crate::number::binomial::Binomials;
use crate::number::count::Weight;
use crate::program::{Bulk, Update};
use crate::store::interner::{Interner, Keyed, Lazy};

/// All package states that have occurred.
#[derive(Debug)]
pub(super) struct Packages {
    shapes: Shapes,
    binomials: Binomials,
    states: Interner<PackageState>,
    /// Whether package states occur again and again.
    memoises: bool,
}

/// A package with its CPUs, as words in the [`Format`](super::format::Format).
#[derive(Debug)]
pub(super) struct PackageState {
    words: Box<[u64]>,
    pub(super) shape: u32,
    memo: Option<Box<Memo>>,
}

/// Results that are remembered for a package state.
#[derive(Debug)]
struct Memo {
    /// The ways to deal out the CPUs.
    weight: Weight,
    /// The package after each of its shape's moves.
    after_move: Box<[Lazy]>,
    /// The package after another one acted, by [`Actions::bystanding`](super::rules::Actions::bystanding).
    after_bystanding: Box<[Lazy]>,
}

/// A package's part in a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Bystander,
    Acts,
    /// A CPU of this kind acts.
    CpuActs(usize),
}

impl Keyed for PackageState {
    type Key = [u64];

    fn key(&self) -> &[u64] {
        &self.words
    }

    fn heap_bytes(&self) -> usize {
        let memo =
            |memo: &Memo| size_of_val(memo) + size_of_val(&*memo.after_move) + size_of_val(&*memo.after_bystanding);
        size_of_val(&*self.words) + self.memo.as_deref().map_or(0, memo)
    }
}

impl PackageState {
    /// The words, which order package states.
    #[inline]
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }
}

impl Packages {
    /// For topologies with this number of packages and no more CPUs in one of them.
    pub(super) fn new(shapes: Shapes, packages: usize, most_cpus: usize) -> Self {
        let (binomials, states) = (Binomials::new(most_cpus), Interner::new());
        Self { shapes, binomials, states, memoises: packages > 1 }
    }

    pub(super) fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    #[inline]
    pub(super) fn get(&self, id: u32) -> &PackageState {
        self.states.get(id)
    }

    #[inline]
    pub(super) fn shape(&self, id: u32) -> &Shape {
        self.shapes.get(id)
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.shapes.bytes() + self.states.bytes()
    }

    /// The id of a package given by its class and word, and the classes and words of its CPUs.
    pub(super) fn id(&self, class: u64, word: u64, cpus: impl Iterator<Item = (u64, u64)>) -> u32 {
        let runs = cpus.map(|(class, word)| run(key(class, word), 1));
        self.intern(&self.shapes.format().pack(class, word, runs))
    }

    fn intern(&self, words: &[u64]) -> u32 {
        self.states.intern(words, || {
            let shape = self.shapes.id_of(words);
            let lazies = |count: usize| (0..count).map(|_| Lazy::new()).collect();
            let memo = || Memo {
                weight: self.multinomial(words),
                after_move: lazies(self.shapes.get(shape).move_count()),
                after_bystanding: lazies(self.shapes.actions.bystanding.len()),
            };
            PackageState { words: words.into(), shape, memo: self.memoises.then(|| Box::new(memo())) }
        })
    }

    /// The ways to deal out the CPUs of each class.
    #[inline]
    pub(super) fn weight<'c>(&self, package: &'c PackageState) -> Cow<'c, Weight> {
        match &package.memo {
            Some(memo) => Cow::Borrowed(&memo.weight),
            None => Cow::Owned(self.multinomial(&package.words)),
        }
    }

    /// The product of the multinomial coefficients of the classes: `n! / (c1! c2! ...)` for a class of `n` CPUs with
    /// `c1, c2, ...` of each kind, as a product of binomial coefficients.
    fn multinomial(&self, words: &[u64]) -> Weight {
        let (_, _, runs) = self.shapes.format().unpack(words);
        let (mut weight, mut class, mut dealt) = (Weight::Small(1), u64::MAX, 0);
        for (key, count) in runs.iter().map(|run| key_and_count(*run)) {
            dealt = if class_of(key) == class { dealt } else { 0 } + count;
            class = class_of(key);
            if dealt > count {
                weight = weight.times(self.binomials.choose(dealt, count));
            }
        }
        weight
    }

    /// The number of transitions that a move stands for.
    #[inline]
    pub(super) fn multiplicity(&self, package: &PackageState, step: Move) -> u32 {
        step.kind().map_or(1, |kind| key_and_count(self.shapes.format().run(&package.words, kind)).1)
    }

    /// The package after a move.
    #[inline]
    pub(super) fn after_move(&self, package: &PackageState, step: Move) -> u32 {
        let find = || {
            let Action { package_update, cpu_update, bulk, .. } = &self.shapes.actions.acting[step.action];
            let part = step.kind().map_or(Part::Acts, Part::CpuActs);
            self.after(package, part, package_update, cpu_update, bulk)
        };
        package.memo.as_ref().map_or_else(find, |memo| memo.after_move[step.at].get_or(find))
    }

    /// The package after another one, or nobody, acted; `bystander` as in [`OrbitRule`](super::rules::OrbitRule).
    #[inline]
    pub(super) fn after_bystanding(&self, package: &PackageState, bystander: usize) -> u32 {
        let find = || {
            let nothing = Update::default();
            self.after(package, Part::Bystander, &nothing, &nothing, &self.shapes.actions.bystanding[bystander])
        };
        package.memo.as_ref().map_or_else(find, |memo| memo.after_bystanding[bystander].get_or(find))
    }

    fn after(
        &self,
        package: &PackageState,
        part: Part,
        package_update: &Update<u64>,
        cpu_update: &Update<u64>,
        bulk: &[Bulk],
    ) -> u32 {
        let format = self.shapes.format();
        let (class, word, runs) = format.unpack(&package.words);
        let acted =
            if let Part::CpuActs(at) = part { Some(run(cpu_update.apply(key_and_count(runs[at]).0), 1)) } else { None };
        let others = runs.iter().map(|run| key_and_count(*run)).enumerate().filter_map(|(at, (key, count))| {
            let count = count - u32::from(part == Part::CpuActs(at));
            (count > 0).then(|| run(key_after_bulk(bulk, key, word, part), count))
        });
        let after = if part == Part::Bystander { word_after_bulk(bulk, word) } else { package_update.apply(word) };
        self.intern(&format.pack(class, after, others.chain(acted)))
    }
}

#[cfg(test)]
impl Packages {
    /// The word of a package.
    pub(super) fn word(&self, id: u32) -> u64 {
        self.shapes.format().unpack(&self.get(id).words).1
    }

    /// The kinds of CPUs of a package, as the word and the number of each.
    pub(super) fn cpus(&self, id: u32) -> impl Iterator<Item = (u64, u32)> + '_ {
        let (_, _, runs) = self.shapes.format().unpack(&self.get(id).words);
        runs.iter().map(|run| key_and_count(*run)).map(|(key, count)| (super::format::word_of(key), count))
    }
}

/// The word of a package that does not act. The conditions look at the word before the step.
fn word_after_bulk(bulk: &[Bulk], word: u64) -> u64 {
    bulk.iter().fold(word, |after, bulk| match bulk {
        Bulk::Packages { package, clear, set } if package.matches(word) => (after & !clear) | set,
        _ => after,
    })
}

/// The key of a CPU that does not act. The conditions look at the words before the step.
fn key_after_bulk(bulk: &[Bulk], key: u64, package_word: u64, part: Part) -> u64 {
    bulk.iter().fold(key, |after, bulk| match bulk {
        Bulk::Cpus { cpu, package, clear, set } if cpu.matches(key) && package.matches(package_word) => {
            (after & !clear) | set
        }
        Bulk::PackageCpus { cpu, clear, set } if part != Part::Bystander && cpu.matches(key) => (after & !clear) | set,
        _ => after,
    })
}
