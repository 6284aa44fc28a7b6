//! The outcomes, invariants and expectations of a Program, prepared for one space.
//!
//! Each is a disjunction of guards. An outcome that is *fatal* is looked for in every state, since it ends the run there; the
//! others only in states without transitions. Either way a state gets the *first* outcome of the Program that holds.

use crate::program::{Guard, Program};
use crate::space::Space;

/// Disjunctions, as the space evaluates them; by number in the Program.
pub(crate) struct Predicates<S: Space> {
    outcomes: Vec<Vec<S::Predicate>>,
    /// Whether each outcome is fatal.
    fatal: Vec<bool>,
    /// They hold where the invariant is violated.
    pub(crate) invariants: Vec<Vec<S::Predicate>>,
    /// They hold where the expectation is met.
    pub(crate) expectations: Vec<Vec<S::Predicate>>,
}

impl<S: Space> Predicates<S> {
    pub(crate) fn new(program: &Program, space: &S) -> Self {
        let prepared = |guards: &[Guard]| guards.iter().map(|guard| space.predicate(guard)).collect();
        Self {
            outcomes: program.outcomes.iter().map(|outcome| prepared(&outcome.when)).collect(),
            fatal: program.outcomes.iter().map(|outcome| outcome.fatal).collect(),
            invariants: program.invariants.iter().map(|invariant| prepared(&invariant.violated_when)).collect(),
            expectations: program.expectations.iter().map(|expectation| prepared(&expectation.when)).collect(),
        }
    }

    /// Whether one of `disjuncts` holds in the loaded state.
    #[inline]
    pub(crate) fn any_holds(space: &S, disjuncts: &[S::Predicate], workspace: &S::Workspace) -> bool {
        disjuncts.iter().any(|predicate| space.holds(predicate, workspace))
    }

    /// The first outcome that holds in the loaded state.
    pub(crate) fn outcome(&self, space: &S, workspace: &S::Workspace) -> Option<usize> {
        self.outcomes.iter().position(|when| Self::any_holds(space, when, workspace))
    }

    /// The first outcome that holds in the loaded state, if any fatal outcome holds there.
    #[inline]
    pub(crate) fn fatal_outcome(&self, space: &S, workspace: &S::Workspace) -> Option<usize> {
        let mut fatal = self.outcomes.iter().zip(&self.fatal).filter(|(_, fatal)| **fatal);
        fatal.any(|(when, _)| Self::any_holds(space, when, workspace)).then(|| self.outcome(space, workspace)).flatten()
    }
}
