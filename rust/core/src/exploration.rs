//! What a search answers.
//!
//! Totals are of *labelled* states and transitions unless the name says `explored` or `generated`, which count what the
//! search really stored and made.

use std::time::Duration;

use dashu_int::UBig;

use crate::limits::Reason;

/// The answer of one search.
#[derive(Debug, Clone, PartialEq)]
pub struct Exploration {
    /// Why the search did not see everything; none if it did.
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
    /// The most bytes held at any time, by accounting.
    pub memory_bytes: u64,
    /// Time taken, measures and traces included.
    pub elapsed: Duration,
    /// Threads used.
    pub threads: usize,
    /// Facts about the whole state graph; none if the search is incomplete or measures are off.
    pub measured: Option<Measured>,
    /// The outcomes that were reached, in the order of the Program.
    pub outcomes: Vec<OutcomeRow>,
    /// All invariants, in the order of the Program.
    pub invariants: Vec<PredicateRow>,
    /// All expectations, in the order of the Program.
    pub expectations: Vec<PredicateRow>,
    /// All responses, in the order of the Program; none if they were not looked at.
    pub responses: Vec<ResponseRow>,
    /// For each outcome that was reached, all prices in the order of the Program; none if they were not asked for.
    pub prices: Vec<PriceRow>,
    /// Levels by depth.
    pub levels: Vec<LevelRow>,
    /// All rules, in the order of the Program.
    pub rules: Vec<RuleRow>,
}

/// Facts about the whole state graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Whether some state can be reached again from itself.
    pub cyclic: bool,
    /// The probability of never ending; none if it could not be computed.
    pub diverging: Option<f64>,
    /// How far [`OutcomeRow::log10_interleavings`] may be off where interleavings are too large for exact integers; none
    /// where they are exact.
    pub log10_error: Option<f64>,
}

/// An outcome that was reached.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeRow {
    /// Its index in the Program.
    pub outcome: usize,
    /// Labelled terminal states that have it.
    pub terminal_states: UBig,
    /// Stored terminal states that have it.
    pub explored_terminals: u64,
    /// Labelled paths from the initial state to them; none in a graph with cycles, and if it takes more than 1024 words of 64
    /// bits (19,700 digits), or more than `2^34` of words times transitions over all outcomes.
    pub interleavings: Option<UBig>,
    /// Their decimal logarithm.
    pub log10_interleavings: Option<f64>,
    /// Their share in the interleavings of all outcomes.
    pub interleaving_share: Option<f64>,
    /// The probability of the outcome if each labelled transition of a state is equally likely.
    pub probability: Option<f64>,
    /// Steps of the shortest trace.
    pub shortest_steps: u32,
    /// A shortest trace.
    pub schedule: Option<String>,
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

/// The states in which a response is due and no longer possible, but for those that lead to a fatal outcome for sure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRow {
    /// Labelled states.
    pub states: UBig,
    /// Steps of the shortest trace to one.
    pub shortest_steps: Option<u32>,
    /// A shortest trace to one.
    pub schedule: Option<String>,
    /// What keeps it impossible: global fields and the values that they keep after that trace in the end, as indices. No
    /// state from which the response can come has only such values in these fields. Empty if no few fields say it.
    pub shut: Vec<(usize, usize)>,
}

/// What the runs to one outcome cost.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceRow {
    /// Index of the outcome in the Program.
    pub outcome: usize,
    /// Index of the price in the Program.
    pub price: usize,
    /// The sum over all interleavings; none if that is too large, as for interleavings.
    pub total: Option<UBig>,
    /// The mean over all interleavings.
    pub mean: f64,
    /// The cheapest interleaving.
    pub least: u64,
    /// The dearest interleaving.
    pub most: u64,
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

/// How often a rule fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow {
    /// Transitions between stored states.
    pub fired: u64,
    /// Labelled transitions.
    pub transitions: UBig,
}
