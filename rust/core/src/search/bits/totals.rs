//! The figures of the search, and how they are compared with those of the orbit space and become an [`Exploration`].

use dashu_int::UBig;

use crate::exploration::{Exploration, LevelRow, OutcomeRow, PredicateRow, RuleRow};
use crate::limits::Reason;
use crate::program::Program;

/// Figures of some levels.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) explored: u64,
    pub(super) generated: u64,
    /// Transitions by rule.
    pub(super) rules: Vec<u64>,
    pub(super) outcomes: Vec<StateCount>,
    pub(super) invariants: Vec<StateCount>,
    pub(super) expectations: Vec<StateCount>,
}

/// The states in which something holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StateCount {
    states: u64,
    /// The depth of the first.
    depth: Option<u32>,
}

impl StateCount {
    /// Adds states at a depth that is none of an earlier call's, or the same.
    pub(super) fn add(&mut self, states: u64, depth: u32) {
        self.states += states;
        self.depth = self.depth.or(Some(depth));
    }
}

impl Figures {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            explored: 0,
            generated: 0,
            rules: vec![0; program.rules.len()],
            outcomes: vec![StateCount::default(); program.outcomes.len()],
            invariants: vec![StateCount::default(); program.invariants.len()],
            expectations: vec![StateCount::default(); program.expectations.len()],
        }
    }

    /// Adds the figures of the same level or of a later one.
    pub(super) fn merge(&mut self, other: &Self) {
        self.explored += other.explored;
        self.generated += other.generated;
        self.rules.iter_mut().zip(&other.rules).for_each(|(all, fired)| *all += fired);
        let all = self.outcomes.iter_mut().chain(&mut self.invariants).chain(&mut self.expectations);
        let new = other.outcomes.iter().chain(&other.invariants).chain(&other.expectations);
        for (all, new) in all.zip(new) {
            all.states += new.states;
            all.depth = all.depth.or(new.depth);
        }
    }
}

/// The figures of all completed levels.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) figures: Figures,
    /// States and generated transitions of each level.
    pub(super) levels: Vec<(u64, u64)>,
    pub(super) reason: Option<Reason>,
    /// The index of the outcome of runs that never end.
    diverges: Option<usize>,
    /// The most bytes held at any time.
    pub(super) peak_bytes: usize,
}

impl Totals {
    pub(super) fn new(program: &Program) -> Self {
        let (figures, diverges) = (Figures::new(program), program.diverges);
        Self { figures, levels: Vec::new(), reason: None, diverges, peak_bytes: 0 }
    }

    /// Panics unless the orbit space has as many states and transitions, if both searches are complete.
    pub(super) fn check(&self, orbits: &Exploration) {
        if self.reason.or(orbits.incomplete).is_none() {
            let totals = (UBig::from(self.figures.explored), UBig::from(self.figures.generated));
            assert!(
                totals == (orbits.states.clone(), orbits.transitions.clone()),
                "the two spaces differ in their size"
            );
        }
    }

    /// The answer, without what the caller knows better: options and time. `orbits` is the exploration of the orbit space
    /// under the same limits.
    pub(super) fn exploration(&self, orbits: &Exploration) -> Exploration {
        let Figures { explored, generated, rules, outcomes, invariants, expectations } = &self.figures;
        let outcome = |(at, count): (usize, &StateCount)| match count.depth {
            // No predicate on states decides whether a run ends, so the orbit space is believed.
            None if self.diverges == Some(at) && self.reason.is_none() => row_of(at, orbits).cloned(),
            _ => outcome_row(at, count, orbits),
        };
        let level = |(states, generated): &(u64, u64)| LevelRow {
            explored: *states,
            states: (*states).into(),
            generated: *generated,
        };
        Exploration {
            incomplete: self.reason.or(orbits.incomplete),
            states: (*explored).into(),
            transitions: (*generated).into(),
            explored: *explored,
            generated: *generated,
            depth: (self.levels.len() as u32).saturating_sub(1),
            memory_bytes: (self.peak_bytes as u64).max(orbits.memory_bytes),
            outcomes: outcomes.iter().enumerate().filter_map(outcome).collect(),
            invariants: predicate_rows(invariants, &orbits.invariants),
            expectations: predicate_rows(expectations, &orbits.expectations),
            levels: self.levels.iter().map(level).collect(),
            rules: rules.iter().map(|fired| RuleRow { fired: *fired, transitions: (*fired).into() }).collect(),
            ..Exploration::default()
        }
    }
}

fn row_of(outcome: usize, orbits: &Exploration) -> Option<&OutcomeRow> {
    orbits.outcomes.iter().find(|row| row.outcome == outcome)
}

fn outcome_row(outcome: usize, count: &StateCount, orbits: &Exploration) -> Option<OutcomeRow> {
    let shortest_steps = count.depth?;
    let row = row_of(outcome, orbits);
    Some(OutcomeRow {
        outcome,
        terminal_states: count.states.into(),
        shortest_steps,
        schedule: row.and_then(|row| schedule(shortest_steps, Some(row.shortest_steps), row.schedule.as_ref())),
        ..OutcomeRow::default()
    })
}

fn predicate_rows(counts: &[StateCount], orbits: &[PredicateRow]) -> Vec<PredicateRow> {
    let row = |(count, orbits): (&StateCount, &PredicateRow)| PredicateRow {
        states: count.states.into(),
        shortest_steps: count.depth,
        schedule: count.depth.and_then(|depth| schedule(depth, orbits.shortest_steps, orbits.schedule.as_ref())),
    };
    counts.iter().zip(orbits).map(row).collect()
}

/// The schedule that the orbit space found; none if a limit kept it from finding one. Panics if its length is not `depth`.
fn schedule(depth: u32, of_orbits: Option<u32>, schedule: Option<&String>) -> Option<String> {
    if let Some(steps) = of_orbits {
        assert_eq!(steps, depth, "the two spaces differ in the depth of what they found");
    }
    schedule.cloned()
}
