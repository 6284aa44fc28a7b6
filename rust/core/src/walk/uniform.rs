//! Takes each enabled transition with equal chances: the walk whose outcomes have the probabilities of
//! [`OutcomeRow::probability`](crate::OutcomeRow::probability).

use super::dice::Dice;
use super::scheduler::Scheduler;
use crate::labelled::machine::Transition;

/// The uniform scheduler.
#[derive(Debug)]
pub(super) struct Uniform(Dice);

impl Uniform {
    pub(super) fn new() -> Self {
        Self(Dice::of(0, 0))
    }
}

impl Scheduler for Uniform {
    fn begin(&mut self, dice: Dice) {
        self.0 = dice;
    }

    #[inline]
    fn choose(&mut self, _step: u32, enabled: &[Transition], _slots: &[usize]) -> usize {
        self.0.below(enabled.len() as u64) as usize
    }
}
