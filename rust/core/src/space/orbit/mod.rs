//! The orbit space: a state is a multiset of packages, each a multiset of CPUs.
//!
//! The symmetries are the permutations of CPUs within a package and of packages that leave the *initial* state fixed.
//! They are symmetries of every Program, since a Program cannot name a CPU. Packages (and CPUs of a package) that
//! start out different are never exchanged: they belong to different *classes*, and the class travels beside the
//! word. With [`Symmetry::All`] the symmetries are those of a state whose words are all equal: CPUs of a package are all of one
//! class, and so are packages of one size.
//!
//! Global words and package states ([`package`]) are interned: equal ones get equal ids of 32 bits. A packed state is ids, two
//! to a `u64`, the first in the low half:
//!
//! ```text
//! global word, then each package, in ascending order of ids; zero fills the last u64
//! ```
//!
//! Invariant: a package state has one form ([`format`]) and one id, and ids ascend, so two labelled states have the same packed
//! form exactly if a symmetry exchanges them. Ids differ from run to run if there are several threads; so a state that is
//! loaded has its packages sorted by their words, and the order of its successors is the same in every run.
//!
//! A rule fires once for each kind of CPU, and stands for as many labelled transitions as there are CPUs of that kind: its
//! *multiplicity*. All of them lead to the same orbit, and every labelled state of the orbit has the same number of such
//! transitions; hence sums over orbits weighted by orbit size are exact concrete totals.
//!
//! What rules ask of the whole state are numbered [`conditions`]: each package knows those that it meets, and added up over the
//! packages they answer all questions of a rule at once. What rules do is remembered by global word and by package state. A
//! successor is a few look-ups and a sort of its ids.
//!
//! Rejected: the words of all packages in every state, which takes a hundred bytes for two packages, and evaluates
//! the same packages again in state after state. Sorting labelled states (as stateright does), which is canonical only
//! if the sort sees the whole state, costs N log N for each successor and still fires a rule once for each CPU. Sharing
//! the evaluation of conditions with the concrete space: the two would no longer check each other.
//!
//! Source: Ip and Dill, "Better verification through symmetry" (1996), scalarsets; counter abstraction without a
//! cut-off; interned components as in SPIN's COLLAPSE mode, Holzmann, "State compression in SPIN" (1997).

mod conditions;
mod format;
mod package;
mod rules;
mod shape;

use std::{iter, mem};

use self::conditions::{Conditions, Met, Needs};
use self::package::Packages;
use self::rules::{OrbitRule, rules_of};
use self::shape::{Shape, Shapes};
use crate::labelled::state::LabelledState;
use crate::number::binomial::Binomials;
use crate::number::count::Weight;
use crate::program::index::RuleIndex;
use crate::program::{Cube, Guard, Program, RuleId};
use crate::space::{Space, Symmetry};
use crate::store::interner::{Interner, Keyed, Lazy};

/// The orbit space of a Program and an initial state.
#[derive(Debug)]
pub(crate) struct Orbit<'p> {
    program: &'p Program,
    index: RuleIndex,
    /// Class of each package, and of each CPU in it.
    classes: Vec<(u64, Vec<u64>)>,
    binomials: Binomials,
    rules: Vec<OrbitRule>,
    globals: Interner<Global>,
    packages: Packages,
}

/// A global word that has occurred.
#[derive(Debug)]
struct Global {
    word: u128,
    /// The rules whose global cube matches, in the order of declaration, each with the id of the global word after it.
    moves: Box<[(RuleId, Lazy)]>,
}

/// A guard without acting package or CPU.
#[derive(Debug)]
pub(crate) struct Predicate {
    global: Cube<u128>,
    needs: Needs,
}

/// One state, with memory to expand it.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The global word, by id and as it is.
    global: u32,
    word: u128,
    /// The packages, by class and in ascending order of their words.
    kinds: Vec<Kind>,
    met: Met,
    /// Memory for the package ids of a successor, and for its packed form.
    ids: Vec<u32>,
    successor: Vec<u64>,
}

/// Packages that are equal.
#[derive(Debug, Clone, Copy)]
struct Kind {
    id: u32,
    shape: u32,
    copies: u32,
}

impl Keyed for Global {
    type Key = u128;

    fn key(&self) -> &u128 {
        &self.word
    }

    fn heap_bytes(&self) -> usize {
        size_of_val(&*self.moves)
    }
}

impl<'p> Orbit<'p> {
    pub(crate) fn new(program: &'p Program, initial: &LabelledState, symmetry: Symmetry) -> Self {
        let conditions = Conditions::new(program);
        let (rules, actions) = rules_of(program, &conditions);
        let most_cpus = initial.packages.iter().map(|package| package.cpus.len()).max().unwrap_or(0);
        let shapes = Shapes::new(program, conditions, actions);
        Self {
            program,
            index: RuleIndex::new(program),
            classes: classes(initial, symmetry),
            binomials: Binomials::new(initial.packages.len()),
            rules,
            globals: Interner::new(),
            packages: Packages::new(shapes, initial.packages.len(), most_cpus),
        }
    }

    fn global_id(&self, word: u128) -> u32 {
        self.globals.intern(&word, || {
            let mut candidates = Vec::new();
            self.index.candidates(word, &mut candidates);
            Global { word, moves: candidates.into_iter().map(|rule| (rule, Lazy::new())).collect() }
        })
    }

    /// Packs the successor by a rule into `packed`: `actor` is the kind of the acting package and that package afterwards.
    #[inline]
    fn pack_successor(
        &self,
        state: &Workspace,
        (global, bystander): (u32, Option<usize>),
        actor: Option<(usize, u32)>,
        (ids, packed): (&mut Vec<u32>, &mut Vec<u64>),
    ) {
        ids.clear();
        for (at, kind) in state.kinds.iter().enumerate() {
            let acting = actor.filter(|(acting, _)| *acting == at);
            let others = kind.copies - u32::from(acting.is_some());
            if others > 0 {
                let package = |it| self.packages.after_bystanding(self.packages.get(kind.id), it);
                ids.extend(iter::repeat_n(bystander.map_or(kind.id, package), others as usize));
            }
            ids.extend(acting.map(|(_, after)| after));
        }
        ids.sort_unstable();
        pack(global, ids, packed);
    }
}

/// Writes a global id and package ids as a packed state.
#[inline]
fn pack(global: u32, ids: &[u32], packed: &mut Vec<u64>) {
    packed.clear();
    let (first, rest) = ids.split_first().unwrap_or((&0, &[]));
    packed.push(u64::from(global) | u64::from(*first) << u32::BITS);
    packed.extend(rest.chunks(2).map(|pair| pair.iter().rev().fold(0, |word, id| word << u32::BITS | u64::from(*id))));
}

impl Space for Orbit<'_> {
    type Workspace = Workspace;

    type Predicate = Predicate;

    fn stride(&self) -> usize {
        (1 + self.classes.len()).div_ceil(2)
    }

    fn bytes(&self) -> usize {
        self.packages.bytes() + self.globals.bytes()
    }

    fn predicate(&self, guard: &Guard) -> Predicate {
        let conditions = self.packages.shapes().conditions();
        Predicate { global: guard.global, needs: Needs::new(&guard.quantified, conditions) }
    }

    fn workspace(&self) -> Workspace {
        Workspace {
            global: 0,
            word: 0,
            kinds: Vec::new(),
            met: Met::new(self.packages.shapes().conditions()),
            ids: Vec::new(),
            successor: Vec::new(),
        }
    }

    fn encode(&self, state: &LabelledState, packed: &mut Vec<u64>) {
        let packages = state.packages.iter().zip(&self.classes).map(|(package, (class, cpu_classes))| {
            let cpus = cpu_classes.iter().copied().zip(package.cpus.iter().copied());
            self.packages.id(*class, package.word, cpus)
        });
        let mut ids: Vec<u32> = packages.collect();
        ids.sort_unstable();
        pack(self.global_id(state.global), &ids, packed);
    }

    #[inline]
    fn load(&self, packed: &[u64], workspace: &mut Workspace) {
        let Workspace { kinds, met, .. } = workspace;
        let ids = packed.iter().flat_map(|pair| [*pair as u32, (*pair >> u32::BITS) as u32]);
        kinds.clear();
        for id in ids.skip(1).take(self.classes.len()) {
            match kinds.last_mut() {
                Some(kind) if kind.id == id => kind.copies += 1,
                _ => kinds.push(Kind { id, shape: self.packages.get(id).shape, copies: 1 }),
            }
        }
        kinds.sort_unstable_by(|a, b| self.packages.get(a.id).words().cmp(self.packages.get(b.id).words()));
        met.clear();
        for kind in &*kinds {
            let shape = self.packages.shape(kind.shape);
            met.add(shape.met(), shape.met_by_several(), kind.copies);
        }
        workspace.global = packed[0] as u32;
        workspace.word = self.globals.get(workspace.global).word;
    }

    #[inline]
    fn holds(&self, predicate: &Predicate, workspace: &Workspace) -> bool {
        predicate.global.matches(workspace.word) && predicate.needs.hold(&workspace.met)
    }

    /// The ways to deal out the packages of each class, times, in each package, the CPUs of each class.
    fn orbit_size(&self, workspace: &Workspace) -> Weight {
        let mut size = Weight::Small(1);
        let (mut class, mut dealt) = (u64::MAX, 0);
        for kind in &workspace.kinds {
            let package = self.packages.get(kind.id);
            let own_class = self.packages.shape(kind.shape).class;
            dealt = if own_class == class { dealt } else { 0 } + kind.copies;
            class = own_class;
            let weight = self.packages.weight(package);
            for _ in 0..kind.copies {
                size = size.times(&weight);
            }
            if dealt > kind.copies {
                size = size.times(self.binomials.choose(dealt, kind.copies));
            }
        }
        size
    }

    #[inline]
    fn successors(&self, workspace: &mut Workspace, mut emit: impl FnMut(&[u64], RuleId, u32)) {
        let (mut ids, mut successor) = (mem::take(&mut workspace.ids), mem::take(&mut workspace.successor));
        let state = &*workspace;
        let shapes: Vec<&Shape> = state.kinds.iter().map(|kind| self.packages.shape(kind.shape)).collect();
        for (id, next) in &self.globals.get(state.global).moves {
            let OrbitRule { action, bystander, needs } = &self.rules[id.index()];
            let mut fire = |actor: Option<(usize, u32)>, multiplicity: u32| {
                let global = next.get_or(|| self.global_id(self.program.rule(*id).effect.global.apply(state.word)));
                self.pack_successor(state, (global, *bystander), actor, (&mut ids, &mut successor));
                emit(&successor, *id, multiplicity);
            };
            let Some(action) = *action else {
                if needs.hold(&state.met) {
                    fire(None, 1);
                }
                continue;
            };
            if !needs.may_hold(&state.met) {
                continue;
            }
            for (at, (kind, shape)) in state.kinds.iter().zip(&shapes).enumerate() {
                for step in shape.moves(action) {
                    if needs.hold_for(shape.met_by_actor(step), &state.met) {
                        let package = self.packages.get(kind.id);
                        let after = self.packages.after_move(package, step);
                        fire(Some((at, after)), kind.copies * self.packages.multiplicity(package, step));
                    }
                }
            }
        }
        (workspace.ids, workspace.successor) = (ids, successor);
    }
}

#[cfg(test)]
impl Orbit<'_> {
    /// One of the labelled states that the loaded state stands for.
    pub(crate) fn representative(&self, workspace: &Workspace) -> LabelledState {
        let cpus = |(word, count): (u64, u32)| iter::repeat_n(word, count as usize);
        let package = |kind: &Kind| {
            let cpus = self.packages.cpus(kind.id).flat_map(cpus).collect();
            iter::repeat_n(
                crate::labelled::state::LabelledPackage { word: self.packages.word(kind.id), cpus },
                kind.copies as usize,
            )
        };
        LabelledState { global: workspace.word, packages: workspace.kinds.iter().flat_map(package).collect() }
    }
}

/// The class of each package, and of each CPU in it: equal exactly if a symmetry may exchange them.
fn classes(initial: &LabelledState, symmetry: Symmetry) -> Vec<(u64, Vec<u64>)> {
    let mut kinds: Vec<(u64, Vec<u64>)> = Vec::new();
    let mut classes = Vec::new();
    for package in &initial.packages {
        let (word, cpus) = match symmetry {
            Symmetry::Start => (package.word, package.cpus.clone()),
            Symmetry::All => (0, vec![0; package.cpus.len()]),
        };
        let mut sorted = cpus.clone();
        sorted.sort_unstable();
        let kind = (word, sorted.clone());
        let class = kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
            kinds.push(kind);
            kinds.len() - 1
        });
        sorted.dedup();
        let cpu_class = |word: &u64| sorted.partition_point(|known| known < word) as u64;
        classes.push((class as u64, cpus.iter().map(cpu_class).collect()));
    }
    classes
}
