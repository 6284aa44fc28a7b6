//! Which of the enabled transitions is taken: one strategy a file, as shuttle has it.

use super::dice::Dice;
use crate::labelled::machine::Transition;

/// Decides a walk, step by step.
pub(super) trait Scheduler {
    /// Begins a walk with random numbers of its own.
    fn begin(&mut self, dice: Dice);

    /// The index of the transition that is taken.
    ///
    /// `step` is its number, from 1; `enabled` is not empty and has the same order whenever the state is the same; `slots` says
    /// for each transition whose it is ([`Slots`]).
    fn choose(&mut self, step: u32, enabled: &[Transition], slots: &[usize]) -> usize;
}

/// Numbers the *instances* of actors: an actor as such, and what it does on each package and on each CPU.
///
/// Whatever two CPUs do in the same region of one actor, as in an IPI, is concurrent, so these are threads to a scheduler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    packages: usize,
    per_actor: usize,
    pub(super) count: usize,
}

impl Slots {
    pub(super) fn new(actors: usize, packages: usize, cpus: usize) -> Self {
        let per_actor = 1 + packages + cpus;
        Self { packages, per_actor, count: actors * per_actor }
    }

    /// The number of the instance of `actor` that takes a transition.
    #[inline]
    pub(super) fn of(self, actor: u32, transition: Transition) -> usize {
        let within = match (transition.package, transition.cpu) {
            (_, Some(cpu)) => 1 + self.packages + cpu,
            (Some(package), None) => 1 + package,
            (None, None) => 0,
        };
        actor as usize * self.per_actor + within
    }
}
