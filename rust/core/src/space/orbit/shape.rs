//! Shapes of packages: who in a package can take which action, and which conditions the package meets.
//!
//! Both depend on the number of CPUs of each kind only as far as it is 0, 1 or at least 2, since a guard asks for at most one
//! other CPU. The *shape* of a package is the package with no more than [`SEVERAL`] CPUs of each kind; all packages of a
//! shape have the same answers, which are worked out once, when the shape first occurs.
//!
//! A *move* is an action with who takes it: the package itself, or a kind of its CPUs. All CPUs of a kind lead to the same
//! orbit, so a move stands for as many transitions as there are CPUs of the kind.

use super::conditions::{Conditions, Set, place};
use super::format::{Format, key_and_count, word_of};
use super::rules::{Action, Actions};
use crate::program::{Cube, Program, Quantified};
use crate::store::interner::{Interner, Keyed};

/// Beyond one, it no longer matters how many CPUs are of a kind.
const SEVERAL: u32 = 2;

/// All shapes that have occurred.
#[derive(Debug)]
pub(super) struct Shapes {
    format: Format,
    pub(super) actions: Actions,
    conditions: Conditions,
    cpu_words: Interner<CpuWord>,
    known: Interner<Shape>,
}

/// A package with no more than [`SEVERAL`] CPUs of each kind, and the answers that it shares with all packages that become
/// equal to it when their counts are cut off.
#[derive(Debug)]
pub(super) struct Shape {
    words: Box<[u64]>,
    pub(super) class: u64,
    set_words: usize,
    /// Sets of conditions, one after the other: those that something in the package meets; those that several of its CPUs
    /// meet; those that the package itself meets; and for each kind of CPU, those that one such CPU or its package meets.
    sets: Box<Set>,
    /// The moves by action: where the moves of each action start in `actors`, and where the last ones end.
    starts: Box<[u32]>,
    /// The actor of each move: 0 for the package, or 1 plus the kind of CPU; ascending within an action.
    actors: Box<[u16]>,
}

/// A word of a CPU.
#[derive(Debug)]
struct CpuWord {
    word: u64,
    /// The actions whose cubes match it.
    actions: Box<[u32]>,
}

/// One of a shape's moves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    pub(super) action: usize,
    /// Its number among the shape's moves.
    pub(super) at: usize,
    /// 0 for the package, or 1 plus the kind of CPU.
    actor: u16,
}

impl Move {
    /// The kind of CPU that acts; none if the package does.
    #[inline]
    pub(super) fn kind(self) -> Option<usize> {
        usize::from(self.actor).checked_sub(1)
    }
}

impl Keyed for CpuWord {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.word
    }

    fn heap_bytes(&self) -> usize {
        size_of_val(&*self.actions)
    }
}

impl Keyed for Shape {
    type Key = [u64];

    fn key(&self) -> &[u64] {
        &self.words
    }

    fn heap_bytes(&self) -> usize {
        size_of_val(&*self.words) + size_of_val(&*self.sets) + size_of_val(&*self.starts) + size_of_val(&*self.actors)
    }
}

impl Shape {
    #[inline]
    fn set(&self, at: usize) -> &Set {
        &self.sets[at * self.set_words..(at + 1) * self.set_words]
    }

    /// The conditions that something in the package meets.
    #[inline]
    pub(super) fn met(&self) -> &Set {
        self.set(0)
    }

    /// The conditions that several CPUs of the package meet.
    #[inline]
    pub(super) fn met_by_several(&self) -> &Set {
        self.set(1)
    }

    /// The conditions that the actor of a move meets itself: the CPU, and its package.
    #[inline]
    pub(super) fn met_by_actor(&self, step: Move) -> &Set {
        self.set(2 + usize::from(step.actor))
    }

    /// The number of moves.
    pub(super) fn move_count(&self) -> usize {
        self.actors.len()
    }

    /// The moves that take an action.
    #[inline]
    pub(super) fn moves(&self, action: usize) -> impl Iterator<Item = Move> + '_ {
        let moves = self.starts[action] as usize..self.starts[action + 1] as usize;
        moves.map(move |at| Move { action, at, actor: self.actors[at] })
    }
}

impl Shapes {
    pub(super) fn new(program: &Program, conditions: Conditions, actions: Actions) -> Self {
        let format = Format::new(program);
        Self { format, actions, conditions, cpu_words: Interner::new(), known: Interner::new() }
    }

    pub(super) fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    #[inline]
    pub(super) fn get(&self, id: u32) -> &Shape {
        self.known.get(id)
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.cpu_words.bytes() + self.known.bytes()
    }

    /// The shape of a package.
    pub(super) fn id_of(&self, package: &[u64]) -> u32 {
        let words = self.format.saturated(package, SEVERAL);
        self.known.intern(&words, || self.analyse(&words))
    }

    fn analyse(&self, words: &[u64]) -> Shape {
        let (class, word, runs) = self.format.unpack(words);
        let cpus: Vec<(u64, u32)> = runs.iter().map(|run| key_and_count(*run)).collect();
        let matching =
            |cube: Cube<u64>| cpus.iter().filter(|(key, _)| cube.matches(*key)).map(|(_, count)| count).sum();
        let (starts, actors) = self.moves(word, &cpus, matching);
        let sets = self.sets(word, &cpus, matching);
        Shape { words: words.into(), class, set_words: self.conditions.set_words(), sets, starts, actors }
    }

    /// [`Shape::starts`] and [`Shape::actors`] of a package with this word and these CPUs; `matching` counts CPUs.
    fn moves(&self, word: u64, cpus: &[(u64, u32)], matching: impl Fn(Cube<u64>) -> u32) -> (Box<[u32]>, Box<[u16]>) {
        let actions = &self.actions.acting;
        let admits = |action: &Action, key: Option<u64>| {
            action.package.matches(word)
                && action.others.iter().all(|(quantifier, cube)| {
                    quantifier.holds(matching(*cube) > u32::from(key.is_some_and(|key| cube.matches(key))))
                })
        };
        let numbered = (0..).zip(actions);
        let of_package = numbered.filter(|(_, action)| !action.of_cpu && admits(action, None));
        let mut moves: Vec<(u32, u16)> = of_package.map(|(at, _)| (at, 0)).collect();
        for (actor, (key, _)) in (1..).zip(cpus) {
            let able = self.actions_of(*key).iter().filter(|at| admits(&actions[**at as usize], Some(*key)));
            moves.extend(able.map(|at| (*at, actor)));
        }
        // A counting sort by action; the moves of one action are in order already.
        let mut starts = vec![0; actions.len() + 1];
        for (action, _) in &moves {
            starts[*action as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let (mut free, mut actors) = (starts.clone(), vec![0; moves.len()]);
        for (action, actor) in moves {
            let place = &mut free[action as usize];
            actors[*place as usize] = actor;
            *place += 1;
        }
        (starts.into(), actors.into())
    }

    /// The actions that a CPU with this key might take, as far as its own word goes.
    fn actions_of(&self, key: u64) -> &[u32] {
        let word = word_of(key);
        let id = self.cpu_words.intern(&word, || {
            let actions = (0..).zip(&self.actions.acting);
            let matching = actions.filter(|(_, action)| action.of_cpu && action.cpu.matches(word));
            CpuWord { word, actions: matching.map(|(at, _)| at).collect() }
        });
        &self.cpu_words.get(id).actions
    }

    /// [`Shape::sets`] of a package with this word and these CPUs; `matching` counts CPUs.
    fn sets(&self, word: u64, cpus: &[(u64, u32)], matching: impl Fn(Cube<u64>) -> u32) -> Box<Set> {
        let width = self.conditions.set_words();
        let mut sets = vec![0_u64; (3 + cpus.len()) * width];
        for (number, condition) in self.conditions.iter().enumerate() {
            let (at, bit) = place(number);
            let mut put = |set: usize| sets[set * width + at] |= bit;
            match condition {
                Quantified::Cpus { cpu, package, .. } if package.matches(word) => {
                    let count = matching(*cpu);
                    (0..2).filter(|set| count > *set).for_each(|set| put(set as usize));
                    let kinds = cpus.iter().enumerate().filter(|(_, (key, _))| cpu.matches(*key));
                    kinds.for_each(|(kind, _)| put(3 + kind));
                }
                Quantified::Packages { package, cpus: conditions, .. }
                    if package.matches(word)
                        && conditions.iter().all(|it| it.quantifier.holds(matching(it.cpu) > 0)) =>
                {
                    put(0);
                    // Whoever acts, its package is not counted.
                    (0..=cpus.len()).for_each(|actor| put(2 + actor));
                }
                _ => {}
            }
        }
        sets.into()
    }
}
