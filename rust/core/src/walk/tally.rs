//! What walks have met, added up. Sums and minima only, so that it does not matter which thread made which walk.

use crate::program::Failure;

/// A walk, up to one of its states: the shortest of these is kept for a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Walk {
    pub(super) steps: u32,
    pub(super) number: u64,
    pub(super) horizon: u32,
}

/// In how many walks something was met, and the shortest of them; of equal ones the first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Met {
    pub(super) walks: u64,
    pub(super) shortest: Option<Walk>,
}

impl Met {
    pub(super) fn add(&mut self, walk: Walk) {
        self.merge(Self { walks: 1, shortest: Some(walk) });
    }

    fn merge(&mut self, other: Self) {
        self.walks += other.walks;
        self.shortest = [self.shortest, other.shortest].into_iter().flatten().min();
    }
}

/// The figures of some walks.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) outcomes: Vec<Met>,
    pub(super) invariants: Vec<Met>,
    pub(super) expectations: Vec<Met>,
    /// Steps of all walks.
    pub(super) steps: u64,
    /// Steps of the longest walk.
    pub(super) longest: u32,
    /// Walks that were cut.
    pub(super) cut: u64,
    /// Whether an instance of an actor was ever enabled, by slot.
    pub(super) actors: Vec<bool>,
    /// The first walk that met a defect of the Program.
    pub(super) failure: Option<(u64, Walk, Failure)>,
}

impl Tally {
    pub(super) fn new(outcomes: usize, invariants: usize, expectations: usize, slots: usize) -> Self {
        Self {
            outcomes: vec![Met::default(); outcomes],
            invariants: vec![Met::default(); invariants],
            expectations: vec![Met::default(); expectations],
            steps: 0,
            longest: 0,
            cut: 0,
            actors: vec![false; slots],
            failure: None,
        }
    }

    pub(super) fn fail(&mut self, walk: Walk, failure: Failure) {
        if self.failure.is_none_or(|(first, ..)| walk.number < first) {
            self.failure = Some((walk.number, walk, failure));
        }
    }

    /// Adds the length of a walk that has come to its end.
    pub(super) fn finish(&mut self, steps: u32) {
        self.steps += u64::from(steps);
        self.longest = self.longest.max(steps);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.outcomes, &other.outcomes),
            (&mut self.invariants, &other.invariants),
            (&mut self.expectations, &other.expectations),
        ];
        for (own, others) in pairs {
            for (met, other) in own.iter_mut().zip(others) {
                met.merge(*other);
            }
        }
        self.steps += other.steps;
        self.longest = self.longest.max(other.longest);
        self.cut += other.cut;
        for (seen, other) in self.actors.iter_mut().zip(&other.actors) {
            *seen |= other;
        }
        if let Some((_, walk, failure)) = other.failure {
            self.fail(walk, failure);
        }
    }
}
