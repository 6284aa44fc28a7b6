//! Probabilistic concurrency testing: strict random priorities that change at a few random steps.
//!
//! Each instance of an actor has a random priority, and the highest that is enabled takes the next step. At each of `d - 1`
//! steps, drawn from the first `k`, the instance whose turn it is falls below all others, the later-drawn ones above the earlier.
//! A bug has depth `d` if `d` constraints on the order of two steps each make it happen. With `n` instances and runs of
//! at most `k` steps, a walk meets such a bug with a chance of at least `1 / (n * k^(d - 1))`.
//!
//! Where one instance may take several transitions (a choice, a fault), each is equally likely. The paper has no such choices:
//! a bug that needs one of `c` has the bound divided by `c`.
//!
//! Source: Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding
//! bugs", ASPLOS 2010.

use super::dice::Dice;
use super::scheduler::Scheduler;
use crate::labelled::machine::Transition;

/// Priorities that a change sets are below this one.
const INITIAL: u64 = 1 << 63;

/// The scheduler of one bug depth.
#[derive(Debug)]
pub(super) struct Pct {
    dice: Dice,
    /// The `k` from which steps are drawn.
    horizon: u32,
    /// By slot.
    priorities: Vec<u64>,
    /// The steps at which a priority changes; 0 for one that is over.
    changes: Vec<u32>,
}

impl Pct {
    pub(super) fn new(depth: u32, horizon: u32, slots: usize) -> Self {
        Self { dice: Dice::of(0, 0), horizon, priorities: vec![0; slots], changes: vec![0; depth as usize - 1] }
    }

    /// The slot of the highest priority; the first one of equal priorities.
    fn highest(&self, slots: &[usize]) -> usize {
        let mut best = slots[0];
        for &slot in slots {
            let better = self.priorities[slot] > self.priorities[best];
            if better || (self.priorities[slot] == self.priorities[best] && slot < best) {
                best = slot;
            }
        }
        best
    }
}

impl Scheduler for Pct {
    fn begin(&mut self, dice: Dice) {
        self.dice = dice;
        for priority in &mut self.priorities {
            *priority = INITIAL | self.dice.bits();
        }
        for change in &mut self.changes {
            *change = 1 + self.dice.below(u64::from(self.horizon)) as u32;
        }
    }

    fn choose(&mut self, step: u32, enabled: &[Transition], slots: &[usize]) -> usize {
        let mut best = self.highest(slots);
        for at in 0..self.changes.len() {
            if self.changes[at] == step {
                self.changes[at] = 0;
                self.priorities[best] = at as u64;
                best = self.highest(slots);
            }
        }
        let own = slots.iter().filter(|slot| **slot == best).count() as u64;
        let taken = if own == 1 { 0 } else { self.dice.below(own) };
        let mut own = (0..enabled.len()).filter(|at| slots[*at] == best);
        own.nth(taken as usize).unwrap_or(0)
    }
}
