//! The answer of one search.
//!
//! Totals count *labelled* states and transitions, unless the name contains `explored` or `generated`: those count the states
//! that the search stored and the transitions that it made between them.

use std::time::Duration;

use dashu_int::UBig;

use crate::columns::Column;
use crate::limits::Reason;
use crate::measure::Measured;

/// The answer of one search.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exploration {
    /// Why the search did not visit everything; none if it did.
    pub incomplete: Option<Reason>,
    /// Labelled states.
    pub states: UBig,
    /// Labelled transitions.
    pub transitions: UBig,
    /// States stored.
    pub explored: u64,
    /// Transitions generated between stored states.
    pub generated: u64,
    /// The depth of the deepest state.
    pub depth: u32,
    /// Bits of the initial state as stored.
    pub state_bits: u64,
    /// The most bytes held at any time, as accounted by the search itself.
    pub memory_bytes: u64,
    /// Time of search, measures and traces.
    pub elapsed: Duration,
    /// Threads used.
    pub threads: usize,
    /// The figures that need all transitions in memory; none if the search is incomplete or measures are off.
    pub measured: Option<Measured>,
    /// The outcomes that were reached, in the order of the Program.
    pub outcomes: Vec<OutcomeRow>,
    /// All invariants, in the order of the Program.
    pub invariants: Vec<PredicateRow>,
    /// All expectations, in the order of the Program.
    pub expectations: Vec<PredicateRow>,
    /// Levels by depth.
    pub levels: Vec<LevelRow>,
    /// All rules, in the order of the Program.
    pub rules: Vec<RuleRow>,
}

impl Exploration {
    /// A table by its name; none if there is no such table.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<Vec<Column>> {
        match name {
            "outcomes" => Some(OutcomeRow::columns(&self.outcomes)),
            "invariants" => Some(PredicateRow::columns("invariant", "violating_states", &self.invariants)),
            "expectations" => Some(PredicateRow::columns("expectation", "states", &self.expectations)),
            "levels" => Some(LevelRow::columns(&self.levels)),
            "rules" => Some(RuleRow::columns(&self.rules)),
            _ => match &self.measured {
                Some(measured) => measured.table(name),
                None => Measured::default().table(name),
            },
        }
    }
}

/// An outcome that was reached.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutcomeRow {
    /// Its index in the Program.
    pub outcome: usize,
    /// Labelled terminal states that have it. Of the outcome of runs that never end: the labelled states from which no terminal
    /// state can be reached.
    pub terminal_states: UBig,
    /// Labelled paths from the initial state to them; a run that never ends is counted up to the first state from which no
    /// terminal state can be reached. None if a run can pass through a cycle and still end, and where the number takes more than
    /// 1024 words of 64 bits (19,700 digits), or all numbers together take more than `2^34` words times transitions.
    pub interleavings: Option<UBig>,
    /// The decimal logarithm of the interleavings.
    pub log10_interleavings: Option<f64>,
    /// The share of the interleavings of all outcomes.
    pub interleaving_share: Option<f64>,
    /// The probability of the outcome when each labelled transition of a state is equally likely to be next.
    pub probability: Option<f64>,
    /// Steps of the shortest trace.
    pub shortest_steps: u32,
    /// A shortest trace.
    pub schedule: Option<String>,
}

impl OutcomeRow {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let rows = rows.iter();
        vec![
            Column::index("outcome", rows.clone().map(|row| row.outcome)),
            Column::decimal("terminal_states", rows.clone().map(|row| &row.terminal_states)),
            Column::decimal_or_none("interleavings", rows.clone().map(|row| row.interleavings.as_ref())),
            Column::f64_or_none("log10_interleavings", rows.clone().map(|row| row.log10_interleavings)),
            Column::f64_or_none("interleaving_share", rows.clone().map(|row| row.interleaving_share)),
            Column::f64_or_none("probability", rows.clone().map(|row| row.probability)),
            Column::u32("shortest_steps", rows.clone().map(|row| row.shortest_steps)),
            Column::text_or_none("schedule", rows.map(|row| row.schedule.clone())),
        ]
    }
}

/// The states in which an invariant is violated, or an expectation met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredicateRow {
    /// Labelled states.
    pub states: UBig,
    /// Steps of the shortest trace to one.
    pub shortest_steps: Option<u32>,
    /// A shortest trace to one.
    pub schedule: Option<String>,
}

impl PredicateRow {
    /// `key` names the column of indices into the Program, `states` the column of labelled states.
    fn columns(key: &'static str, states: &'static str, rows: &[Self]) -> Vec<Column> {
        vec![
            Column::index(key, 0..rows.len()),
            Column::decimal(states, rows.iter().map(|row| &row.states)),
            Column::u32_or_none("shortest_steps", rows.iter().map(|row| row.shortest_steps)),
            Column::text_or_none("schedule", rows.iter().map(|row| row.schedule.clone())),
        ]
    }
}

/// One level of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelRow {
    /// States stored at this depth.
    pub explored: u64,
    /// Labelled states at this depth.
    pub states: UBig,
    /// Transitions generated from the states of this depth.
    pub generated: u64,
}

impl LevelRow {
    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            Column::index("depth", 0..rows.len()),
            Column::u64("explored", rows.iter().map(|row| row.explored)),
            Column::decimal("states", rows.iter().map(|row| &row.states)),
            Column::u64("generated", rows.iter().map(|row| row.generated)),
        ]
    }
}

/// How often a rule fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow {
    /// Transitions between stored states.
    pub fired: u64,
    /// Labelled transitions.
    pub transitions: UBig,
}

impl RuleRow {
    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            Column::index("rule", 0..rows.len()),
            Column::u64("fired", rows.iter().map(|row| row.fired)),
            Column::decimal("transitions", rows.iter().map(|row| &row.transitions)),
        ]
    }
}
