//! Runs a schedule step by step on labelled states.
//!
//! A schedule that does not fit is answered with the position of the step and the transitions that were enabled there.

use crate::error::Error;
use crate::labelled::machine::{Machine, Transition};
use crate::labelled::schedule;
use crate::labelled::state::LabelledState;
use crate::program::Program;

/// The run that a schedule describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The transition of each step.
    pub steps: Vec<Transition>,
    /// The initial state and the state after each step.
    pub states: Vec<LabelledState>,
    /// The transitions of the last state, in canonical order; none if it is terminal.
    pub enabled: Vec<Transition>,
    /// The outcome of the last state, if it is terminal and has one.
    pub outcome: Option<usize>,
}

impl Replay {
    /// Whether the last state has no transitions.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.enabled.is_empty()
    }
}

/// Runs `schedule` from `initial`.
pub fn replay(program: &Program, initial: &LabelledState, schedule: &str) -> Result<Replay, Error> {
    let mut machine = Machine::new(program);
    let mut states = vec![initial.clone()];
    let mut steps = Vec::new();
    let mut enabled = machine.transitions(initial);
    for (position, token) in schedule::parse(schedule)?.into_iter().enumerate() {
        let Some(&transition) = enabled.get(token.index) else {
            return Err(Error::schedule(format!(
                "schedule: step {}: `{}` selects transition {}, {}",
                position + 1,
                token.text,
                token.index,
                describe(program, &enabled)
            )));
        };
        let next = machine.fire(&states[position], transition);
        enabled = machine.transitions(&next);
        steps.push(transition);
        states.push(next);
    }
    let outcome = if enabled.is_empty() { machine.outcome(&states[steps.len()]) } else { None };
    Ok(Replay { steps, states, enabled, outcome })
}

/// The enabled transitions, for a message.
fn describe(program: &Program, enabled: &[Transition]) -> String {
    if enabled.is_empty() {
        return "none is enabled there: the state is terminal".to_owned();
    }
    let listed: Vec<String> = enabled
        .iter()
        .enumerate()
        .map(|(index, transition)| {
            let rule = program.rule(transition.rule);
            let package = transition.package.map(|package| format!(" package {package}")).unwrap_or_default();
            let cpu = transition.cpu.map(|cpu| format!(" cpu {cpu}")).unwrap_or_default();
            format!("{index}: {} `{}`{package}{cpu}", program.actors[rule.actor as usize], rule.label)
        })
        .collect();
    format!("{} are enabled there: {}", enabled.len(), listed.join(", "))
}
