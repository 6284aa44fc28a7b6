//! What is asked about a Program: how runs end, what holds on the way, and what they cost.
//!
//! Every condition is a disjunction of guards of global scope, so that it means the same for all renamings of a state.

use serde::Deserialize;

use super::rule::Guard;

/// The class of a terminal state. Each terminal state gets the first outcome that holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Unique name.
    pub name: String,
    /// 0 is catastrophic, 4 a nuisance, 5 is fine.
    pub severity: u8,
    /// Whether reaching it ends the run: a state that matches has no transitions.
    pub fatal: bool,
    /// It holds where one of these does.
    pub when: Vec<Guard>,
}

/// A property of every reachable state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invariant {
    /// Unique name.
    pub name: String,
    /// 0 is catastrophic, 4 a nuisance.
    pub severity: u8,
    /// It is violated where one of these holds.
    pub violated_when: Vec<Guard>,
}

/// A property of some reachable state; if there is no such state, the model is vacuous.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Unique name.
    pub name: String,
    /// It is met where one of these holds.
    pub when: Vec<Guard>,
}

/// A goal that must stay possible: from every reachable state in which `when` holds, some state in which `reach` holds can
/// be reached (in CTL: AG (when -> EF reach)).
///
/// Where `reach` is the end of what `when` says is going on, this is termination under strong fairness: in a finite graph a
/// run that is fair to every transition ends with probability 1 exactly if the end can be reached from wherever it gets to.
///
/// A fatal outcome ends a run and is an answer of its own: where a fair run comes to one for sure (AG EF fatal), nothing is due.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Unique name.
    pub name: String,
    /// 0 is catastrophic, 4 a nuisance.
    pub severity: u8,
    /// The goal is due where one of these holds.
    pub when: Vec<Guard>,
    /// The goal is reached where one of these holds.
    pub reach: Vec<Guard>,
}

/// A cost of runs: the sum over the steps of a run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Unique name.
    pub name: String,
    /// Rules by index, each with the cost of one step.
    #[serde(default)]
    pub rules: Vec<(u32, u32)>,
    /// A step from a state in which one of these holds costs 1 more.
    #[serde(default)]
    pub during: Vec<Guard>,
}
