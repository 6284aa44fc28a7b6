//! Makes walks, one after the other, in memory that is its own.
//!
//! Invariant: a walk is a function of the Program, the initial state, the scheduler's parameters and the walk's number. So nothing
//! of a walk is kept but its number, and [`Runner::retrace`] makes it again when its schedule is wanted.

use super::dice::Dice;
use super::scheduler::{Scheduler, Slots};
use super::tally::{Tally, Walk};
use crate::labelled::machine::{Machine, Transition};
use crate::labelled::schedule;
use crate::labelled::state::LabelledState;
use crate::limits::{Reason, Watch};
use crate::program::{Failure, Program};

/// Steps between two looks at the clock.
const STEPS_BETWEEN_LOOKS: u64 = 4096;

/// What is known of a walk while it is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Which {
    pub(super) seed: u64,
    pub(super) number: u64,
    /// Steps after which it is cut.
    pub(super) most: u32,
    /// The horizon of its scheduler.
    pub(super) horizon: u32,
}

/// Makes walks of one Program.
#[derive(Debug)]
pub(super) struct Runner<'p> {
    program: &'p Program,
    initial: &'p LabelledState,
    machine: Machine<'p>,
    slots: Slots,
    now: LabelledState,
    next: LabelledState,
    enabled: Vec<Transition>,
    /// The slot of each enabled transition.
    acting: Vec<usize>,
    /// What this walk has met already, by number in the Program.
    violated: Vec<bool>,
    met: Vec<bool>,
    until_look: u64,
}

impl<'p> Runner<'p> {
    pub(super) fn new(program: &'p Program, initial: &'p LabelledState) -> Self {
        Self {
            program,
            initial,
            machine: Machine::new(program),
            slots: Self::slots(program, initial),
            now: initial.clone(),
            next: initial.clone(),
            enabled: Vec::new(),
            acting: Vec::new(),
            violated: vec![false; program.invariants.len()],
            met: vec![false; program.expectations.len()],
            until_look: STEPS_BETWEEN_LOOKS,
        }
    }

    pub(super) fn slots(program: &Program, initial: &LabelledState) -> Slots {
        Slots::new(program.actors.len(), initial.packages.len(), initial.cpu_count())
    }

    /// Makes a walk and adds it to the tally; fails if time is up, and then the tally is of no use.
    pub(super) fn walk<S: Scheduler>(
        &mut self,
        scheduler: &mut S,
        which: Which,
        tally: &mut Tally,
        watch: &Watch<'_>,
    ) -> Result<(), Reason> {
        self.begin(scheduler, which);
        let mut steps = 0;
        loop {
            let walk = Walk { steps, number: which.number, horizon: which.horizon };
            self.look(walk, tally);
            if let Some(failure) = self.failure() {
                tally.fail(walk, failure);
                break;
            }
            if self.enabled.is_empty() {
                match self.machine.outcome_here() {
                    Some(outcome) => tally.outcomes[outcome].add(walk),
                    None => tally.fail(walk, Failure::NoOutcome),
                }
                break;
            }
            if steps == which.most {
                tally.cut += 1;
                break;
            }
            for slot in &self.acting {
                tally.actors[*slot] = true;
            }
            steps += 1;
            self.step(scheduler, steps);
            self.until_look -= 1;
            if self.until_look == 0 {
                self.until_look = STEPS_BETWEEN_LOOKS;
                watch.check()?;
            }
        }
        tally.finish(steps);
        Ok(())
    }

    /// The schedule of the first steps of a walk that was made before.
    pub(super) fn retrace<S: Scheduler>(&mut self, scheduler: &mut S, which: Which, steps: u32) -> String {
        self.begin(scheduler, which);
        let mut schedule = String::new();
        for step in 1..=steps {
            self.see();
            let canonical = self.machine.transitions(&self.now);
            let taken = self.step(scheduler, step);
            let index = canonical.iter().position(|transition| *transition == taken);
            let Some(index) = index else { unreachable!("what is enabled does not depend on the order") };
            schedule::push_step(&mut schedule, index);
        }
        schedule
    }

    fn begin<S: Scheduler>(&mut self, scheduler: &mut S, which: Which) {
        scheduler.begin(Dice::of(which.seed, which.number));
        self.now.copy_words(self.initial);
        self.violated.fill(false);
        self.met.fill(false);
    }

    /// Finds out what is enabled, and for whom.
    fn see(&mut self) {
        self.machine.load(&self.now);
        self.machine.enabled_here(&mut self.enabled);
        self.acting.clear();
        let of = |transition: &Transition| self.slots.of(self.program.rule(transition.rule).actor, *transition);
        self.acting.extend(self.enabled.iter().map(of));
    }

    /// The same, and which invariants are violated and which expectations met, each once for a walk.
    fn look(&mut self, walk: Walk, tally: &mut Tally) {
        self.see();
        let Self { program, machine, violated, met, .. } = self;
        let invariants = program.invariants.iter().map(|invariant| &invariant.violated_when);
        for ((guards, before), seen) in invariants.zip(violated).zip(&mut tally.invariants) {
            if !*before && machine.holds_here(guards) {
                *before = true;
                seen.add(walk);
            }
        }
        let expectations = program.expectations.iter().map(|expectation| &expectation.when);
        for ((guards, before), seen) in expectations.zip(met).zip(&mut tally.expectations) {
            if !*before && machine.holds_here(guards) {
                *before = true;
                seen.add(walk);
            }
        }
    }

    /// A trap that is enabled, if there is one; the first in the order of declaration.
    fn failure(&self) -> Option<Failure> {
        let traps = self.enabled.iter().filter(|transition| self.program.rule(transition.rule).trap.is_some());
        traps.map(|transition| transition.rule).min().map(Failure::Trap)
    }

    /// Takes one of the enabled transitions.
    fn step<S: Scheduler>(&mut self, scheduler: &mut S, number: u32) -> Transition {
        let taken = self.enabled[scheduler.choose(number, &self.enabled, &self.acting)];
        self.machine.fire_into(&self.now, taken, &mut self.next);
        std::mem::swap(&mut self.now, &mut self.next);
        taken
    }
}
