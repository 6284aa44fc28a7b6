//! Patterns of the concrete space: the number of CPUs of each class that have each word.
//!
//! CPUs of a package that start out equal are of one *class*. A *pattern* is the set of states that agree in all other words and
//! give each class the same multiset of CPU words. Its *representative* is the state in which the words of each class ascend in
//! the order of CPUs; the other states are the [arrangements](super::arrangement) of the same words. A Program names no
//! CPU, so every state of a pattern can take the steps of the representative, with the CPUs renamed.
//!
//! The effect of a step on words is not computed here but observed, by comparing the representative with its successor in
//! [`Concrete`]: the words of CPUs that do not act tell what each word becomes.

use super::arrangement::{Slice, Walk};
use super::row::Bits;
use crate::labelled::state::LabelledState;
use crate::number::binomial::Binomials;
use crate::number::count::Weight;
use crate::program::RuleId;
use crate::space::{Concrete, ConcreteWorkspace as Workspace, Space};

/// The patterns of a concrete space in which the CPUs of a class are neighbours.
#[derive(Debug)]
pub(super) struct Patterns<'c, const W: usize> {
    space: &'c Concrete<W>,
    classes: Vec<Class>,
    binomials: Binomials,
    /// Whether some class has several CPUs.
    arranged: bool,
}

/// A run of CPUs of one package that start out equal.
#[derive(Debug, Clone, Copy)]
struct Class {
    first: u32,
    cpus: u32,
}

/// CPUs of one class with the same word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    word: u64,
    cpus: u32,
}

/// A step of a representative, for all CPUs of the same class and word as the one that acts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<const W: usize> {
    /// The successor.
    next: [u64; W],
    /// The representative of the successor's pattern.
    pub(super) pattern: [u64; W],
    /// The acting CPU, the first of its class with its word; none if no CPU acts.
    actor: Option<u32>,
    /// The number of CPUs that can take the step; 1 if no CPU acts.
    pub(super) cpus: u32,
}

/// A pattern taken apart.
struct Parts {
    /// The words of the representative's CPUs.
    words: [u64; u64::BITS as usize],
    /// For each class its runs, in ascending order of words: the kinds of [`super::arrangement`].
    runs: Vec<Vec<Run>>,
    /// For each class the number of its arrangements.
    sizes: Vec<u64>,
}

/// The initial state with the CPUs of each package sorted by word, so that the CPUs of a class are neighbours.
///
/// It is a renaming of the initial state, so all totals are the same.
pub(super) fn with_equal_cpus_adjacent(initial: &LabelledState) -> LabelledState {
    let mut sorted = initial.clone();
    sorted.packages.iter_mut().for_each(|package| package.cpus.sort_unstable());
    sorted
}

impl<'c, const W: usize> Patterns<'c, W> {
    /// `initial` is one [`with_equal_cpus_adjacent`], and `space` was made for it.
    pub(super) fn new(space: &'c Concrete<W>, initial: &LabelledState) -> Self {
        let mut classes = Vec::new();
        let mut first = 0;
        for package in &initial.packages {
            for equal in package.cpus.chunk_by(|a, b| a == b) {
                let cpus = equal.len() as u32;
                classes.push(Class { first, cpus });
                first += cpus;
            }
        }
        let arranged = classes.iter().any(|class| class.cpus > 1);
        Self { space, classes, binomials: Binomials::new(u64::BITS as usize), arranged }
    }

    /// Calls `fired` with the rule of each step of the loaded representative, once for each CPU that can take it, and `next`
    /// once for all CPUs of the same class and word.
    #[inline]
    pub(super) fn steps(
        &self,
        workspace: &mut Workspace<W>,
        scratch: &mut Workspace<W>,
        mut fired: impl FnMut(RuleId),
        mut next: impl FnMut(Step<W>),
    ) {
        let repeated = self.repeated(workspace);
        let (mut steps, mut represented) = (0, 0);
        self.space.steps(workspace, |successor, rule, actor| {
            fired(rule);
            steps += 1;
            if actor.is_none_or(|cpu| repeated >> cpu & 1 == 0) {
                let cpus = actor.map_or(1, |cpu| 1 + (repeated >> cpu >> 1).trailing_ones());
                let pattern = self.representative(successor, scratch);
                next(Step { next: *successor, pattern, actor, cpus });
                represented += cpus;
            }
        });
        assert_eq!(steps, represented, "equal CPUs can do the same");
    }

    /// The CPUs whose word is that of the CPU before them in their class. In a representative the CPUs of a class with one
    /// word are a run, so these are all but the first of each run.
    fn repeated(&self, workspace: &Workspace<W>) -> u64 {
        let equal = workspace.planes.equal_to_previous() & self.space.cpus();
        self.classes.iter().fold(equal, |repeated, class| repeated & !(1 << class.first))
    }

    /// The representative of the pattern of a state.
    #[inline]
    fn representative(&self, state: &[u64; W], scratch: &mut Workspace<W>) -> [u64; W] {
        if !self.arranged {
            return *state;
        }
        self.space.load(state, scratch);
        let mut words = scratch.planes.cpu_words();
        let mut sorted = true;
        for class in &self.classes {
            let class = &mut words[class.range()];
            if !class.is_sorted() {
                class.sort_unstable();
                sorted = false;
            }
        }
        if sorted { *state } else { self.space.with_cpu_words(state, &words) }
    }

    /// Takes a pattern apart, which is given by its representative.
    fn parts(&self, pattern: &[u64; W], scratch: &mut Workspace<W>) -> Parts {
        self.space.load(pattern, scratch);
        let words = scratch.planes.cpu_words();
        let runs_of = |class: &Class| -> Vec<Run> {
            let equal = words[class.range()].chunk_by(|a, b| a == b);
            equal.map(|equal| Run { word: equal[0], cpus: equal.len() as u32 }).collect()
        };
        let runs: Vec<Vec<Run>> = self.classes.iter().map(runs_of).collect();
        let sizes = runs.iter().map(|runs| self.arrangements(runs).unwrap_or(u64::MAX)).collect();
        Parts { words, runs, sizes }
    }

    /// The arrangements of a class; none if there are too many.
    fn arrangements(&self, runs: &[Run]) -> Option<u64> {
        let mut dealt = 0;
        runs.iter().try_fold(1_u64, |all, run| {
            dealt += run.cpus;
            match self.binomials.choose(dealt, run.cpus) {
                Weight::Small(ways) => all.checked_mul(*ways),
                Weight::Wide(_) | Weight::Large(_) => None,
            }
        })
    }

    /// The number of states of a pattern; none if it is too large to count one by one.
    pub(super) fn size(&self, pattern: &[u64; W], scratch: &mut Workspace<W>) -> Option<u64> {
        /// A walk multiplies sizes by a number of CPUs, which is at most 64.
        const MOST: u64 = u64::MAX >> 8;
        let size = self.parts(pattern, scratch).sizes.iter().try_fold(1_u64, |all, size| all.checked_mul(*size));
        size.filter(|size| *size <= MOST)
    }

    /// Takes a step from every state of the pattern of `source` and sets the bits of the successors. Returns the number of steps
    /// taken, which are not all of them if `is_over` said to stop early.
    pub(super) fn mark(
        &self,
        source: &[u64; W],
        step: &Step<W>,
        bits: Bits<'_>,
        scratch: &mut Workspace<W>,
        is_over: &(dyn Fn() -> bool + Sync),
    ) -> u64 {
        let before = self.parts(source, scratch);
        let Some(actor) = step.actor else {
            // What happens to a CPU depends on its class and word alone, so each state of the target has a source.
            bits.set_all();
            return before.sizes.iter().product();
        };
        let after = self.parts(&step.pattern, scratch);
        self.space.load(&step.next, scratch);
        let next = scratch.planes.cpu_words();
        let at = self.classes.iter().position(|class| class.range().contains(&(actor as usize)));
        let at = at.expect("every CPU is of a class");
        let (runs, becoming) = (&before.runs[at], &after.runs[at]);
        let kind_of = |runs: &[Run], word: u64| runs.iter().position(|run| run.word == word);
        // The kinds that CPUs of the class become when another CPU acts. A kind of which the actor is the only CPU keeps 0,
        // which is never looked at.
        let others = self.classes[at].range().filter(|cpu| *cpu != actor as usize);
        let mut becomes = vec![0; runs.len()];
        for cpu in others {
            let (kind, to) = (kind_of(runs, before.words[cpu]), kind_of(becoming, next[cpu]));
            becomes[kind.expect("a run for each word")] = to.expect("a run for each word");
        }
        let acting = kind_of(runs, before.words[actor as usize]).expect("a run for each word");
        let to = kind_of(becoming, next[actor as usize]).expect("a run for each word");
        let product = |sizes: &[u64]| sizes.iter().product::<u64>();
        let slice = Slice { bits, ranks: after.sizes[at], inner: product(&after.sizes[at + 1..]) };
        let counts = |runs: &[Run]| runs.iter().map(|run| run.cpus).collect::<Vec<u32>>();
        // What happens to a CPU of another class depends on its class and word alone, so each arrangement of the other
        // classes is reached too: the slice marks all of them.
        let walk = Walk::new(&becomes, acting, to, slice);
        let steps = walk.mark(&counts(runs), &counts(becoming), before.sizes[at], is_over);
        steps * product(&before.sizes[..at]) * product(&before.sizes[at + 1..])
    }
}

impl Class {
    fn range(self) -> std::ops::Range<usize> {
        self.first as usize..(self.first + self.cpus) as usize
    }
}
