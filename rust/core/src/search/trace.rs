//! A shortest path to a state, as a schedule of labelled transitions.
//!
//! The search keeps the parent of each state, and neither the rule nor the actor of the step between them. The rule is found
//! again by expanding the parent. The actor is found by trying: the trace starts from the labelled initial state and takes, at
//! each step, the first labelled transition in canonical order that fires this rule and leads into the orbit of the next
//! state. There is one, since the labelled state reached so far is in the orbit of the parent, and all states of an orbit
//! have transitions into the same orbits. So CPU 2 is CPU 2 for the whole trace, and no permutation has to be undone.
//!
//! Rejected: keeping the permutation of each step. It costs memory for each state, and a reader needs it for one path
//! only.

use crate::labelled::machine::Machine;
use crate::labelled::schedule;
use crate::labelled::state::LabelledState;
use crate::program::{Program, RuleId};
use crate::space::Space;
use crate::store::states::{StateId, Store};

/// Writes schedules to the states of one search.
#[derive(Debug)]
pub(crate) struct Tracer<'t, S> {
    pub(crate) program: &'t Program,
    pub(crate) initial: &'t LabelledState,
    pub(crate) space: &'t S,
    pub(crate) store: &'t Store,
}

impl<S: Space> Tracer<'_, S> {
    /// The schedule of a shortest trace to the state.
    pub(crate) fn schedule(&self, target: StateId) -> String {
        let mut path = Vec::new();
        let mut state = target;
        while state != StateId(0) {
            path.push(state);
            state = self.store.parent(state);
        }
        let mut machine = Machine::new(self.program);
        let mut workspace = self.space.workspace();
        let mut labelled = self.initial.clone();
        let mut schedule = String::new();
        for next in path.into_iter().rev() {
            let rule = self.rule(state, next, &mut workspace);
            let (step, successor) = self.step(&mut machine, &labelled, rule, next);
            schedule::push_step(&mut schedule, step);
            labelled = successor;
            state = next;
        }
        schedule
    }

    /// The first rule that leads from a state to the next.
    fn rule(&self, state: StateId, next: StateId, workspace: &mut S::Workspace) -> RuleId {
        self.space.load(self.store.get(state), workspace);
        let mut found = None;
        self.space.successors(workspace, |packed, rule, _| {
            if found.is_none() && packed == self.store.get(next) {
                found = Some(rule);
            }
        });
        let Some(rule) = found else { unreachable!("a state is a successor of its parent") };
        rule
    }

    /// The first labelled transition that fires the rule and leads into the orbit of the next state.
    fn step(
        &self,
        machine: &mut Machine<'_>,
        state: &LabelledState,
        rule: RuleId,
        next: StateId,
    ) -> (usize, LabelledState) {
        let mut packed = Vec::new();
        for (step, transition) in machine.transitions(state).into_iter().enumerate() {
            if transition.rule == rule {
                let successor = machine.fire(state, transition);
                self.space.encode(&successor, &mut packed);
                if packed == self.store.get(next) {
                    return (step, successor);
                }
            }
        }
        unreachable!("each transition between orbits stands for a labelled one")
    }
}
