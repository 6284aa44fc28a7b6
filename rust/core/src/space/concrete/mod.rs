//! The concrete space: every CPU keeps its identity, and guards are evaluated for all CPUs at once on bit planes.
//!
//! A state is `[u64; W]` in the [`Layout`]; `W` is fixed at compile time, so that copying and comparing states are a few
//! instructions. A set of CPUs (or packages) is a `u64`, one bit each ([`planes`]): where the orbit space counts, this
//! one takes ANDs ([`guard`]). The two share no code but the selection of rules by global program counters, so each is the
//! check of the other.
//!
//! Rejected: one word for each CPU. It needs a loop over CPUs in every guard, and four times the memory.

mod effect;
mod guard;
mod layout;
mod planes;
mod rules;

use self::guard::PlaneGuard;
pub(crate) use self::layout::Layout;
use self::layout::Plane;
use self::planes::{Planes, Topology, bits};
use self::rules::PlaneRules;
use crate::error::Error;
use crate::labelled::state::LabelledState;
use crate::number::count::Weight;
use crate::program::{Guard, Program, RuleId};
use crate::space::Space;

/// The concrete space of a Program and a topology, in `W` words.
#[derive(Debug)]
pub(crate) struct Concrete<const W: usize> {
    layout: Layout,
    topology: Topology,
    rules: PlaneRules<W>,
}

/// Work in a concrete space whose number of words is known at run time only.
pub(crate) trait InConcrete {
    type Answer;

    fn run<const W: usize>(self, space: Concrete<W>) -> Self::Answer;
}

/// Makes the concrete space for an initial state and works in it. Fails if its states are too large.
pub(crate) fn with_concrete<T: InConcrete>(
    program: &Program,
    initial: &LabelledState,
    work: T,
) -> Result<T::Answer, Error> {
    let layout = Layout::new(program, initial)?;
    Ok(match layout.words {
        1 => work.run(Concrete::<1>::new(program, initial, layout)),
        2 => work.run(Concrete::<2>::new(program, initial, layout)),
        3..=4 => work.run(Concrete::<4>::new(program, initial, layout)),
        5..=8 => work.run(Concrete::<8>::new(program, initial, layout)),
        words => {
            return Err(Error::initial(format!(
                "concrete space: a state takes {words} words of 64 bits, at most 8 are possible; use the orbit space"
            )));
        }
    })
}

/// One state with its planes taken apart.
#[derive(Debug)]
pub(crate) struct Workspace<const W: usize> {
    words: [u64; W],
    pub(crate) planes: Planes,
}

impl<const W: usize> Concrete<W> {
    /// `layout` must fit in `W` words.
    pub(crate) fn new(program: &Program, initial: &LabelledState, layout: Layout) -> Self {
        let topology = Topology::new(initial.packages.iter().map(|package| package.cpus.len()));
        let rules = PlaneRules::new(program, &layout, &topology);
        Self { layout, topology, rules }
    }

    /// Packs a labelled state.
    pub(crate) fn pack(&self, state: &LabelledState) -> [u64; W] {
        let mut words = [0; W];
        words.iter_mut().zip(self.layout.words_of_global(state.global)).for_each(|(word, part)| *word |= part);
        let mut cpu = 0;
        for (at, package) in state.packages.iter().enumerate() {
            write(&self.layout.package_planes, package.word, at, &mut words);
            for word in &package.cpus {
                write(&self.layout.cpu_planes, *word, cpu, &mut words);
                cpu += 1;
            }
        }
        words
    }

    /// All CPUs.
    pub(crate) fn cpus(&self) -> u64 {
        self.topology.cpus
    }

    /// A state with other words for its CPUs; those of `cpus` beyond the last CPU are ignored.
    pub(crate) fn with_cpu_words(&self, state: &[u64; W], cpus: &[u64]) -> [u64; W] {
        let mut words = *state;
        for plane in &self.layout.cpu_planes {
            words[plane.word] &= !(self.topology.cpus << plane.shift);
        }
        for (cpu, word) in cpus[..self.topology.package_of.len()].iter().enumerate() {
            write(&self.layout.cpu_planes, *word, cpu, &mut words);
        }
        words
    }

    /// Calls `emit` with each successor of the loaded state, its rule, and the CPU that acts if one does.
    #[inline]
    pub(crate) fn steps(&self, workspace: &Workspace<W>, emit: impl FnMut(&[u64; W], RuleId, Option<u32>)) {
        let Workspace { words, planes } = workspace;
        self.rules.successors(words, planes, &self.layout, &self.topology, emit);
    }
}

#[cfg(test)]
impl<const W: usize> Concrete<W> {
    /// The loaded state.
    pub(crate) fn labelled(&self, workspace: &Workspace<W>) -> LabelledState {
        let package = |(at, members): (usize, &u64)| crate::labelled::state::LabelledPackage {
            word: workspace.planes.package_word(at as u32),
            cpus: bits(*members).map(|cpu| workspace.planes.cpu_words()[cpu as usize]).collect(),
        };
        let packages = self.topology.members.iter().enumerate().map(package).collect();
        LabelledState { global: workspace.planes.global, packages }
    }
}

/// Sets the bits of the word of one CPU or package, which must be clear.
fn write<const W: usize>(planes: &[Plane], value: u64, target: usize, words: &mut [u64; W]) {
    for bit in bits(value) {
        let Plane { word, shift } = planes[bit as usize];
        words[word] |= 1 << (shift + target as u32);
    }
}

impl<const W: usize> Space for Concrete<W> {
    type Workspace = Workspace<W>;

    type Predicate = PlaneGuard;

    fn stride(&self) -> usize {
        W
    }

    fn workspace(&self) -> Workspace<W> {
        Workspace { words: [0; W], planes: Planes::default() }
    }

    fn predicate(&self, guard: &Guard) -> PlaneGuard {
        PlaneGuard::new(guard)
    }

    fn encode(&self, state: &LabelledState, packed: &mut Vec<u64>) {
        packed.clear();
        packed.extend_from_slice(&self.pack(state));
    }

    #[inline]
    fn load(&self, packed: &[u64], workspace: &mut Workspace<W>) {
        workspace.words.copy_from_slice(packed);
        workspace.planes.load(packed, &self.layout, &self.topology);
    }

    #[inline]
    fn holds(&self, predicate: &PlaneGuard, workspace: &Workspace<W>) -> bool {
        predicate.holds(&workspace.planes, &self.topology)
    }

    fn orbit_size(&self, _: &Workspace<W>) -> Weight {
        Weight::Small(1)
    }

    #[inline]
    fn successors(&self, workspace: &mut Workspace<W>, mut emit: impl FnMut(&[u64], RuleId, u32)) {
        self.steps(workspace, |next, rule, _| emit(next, rule, 1));
    }
}
