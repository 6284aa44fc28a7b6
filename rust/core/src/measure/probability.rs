//! The probability of each outcome when each labelled transition of a state is equally likely to be next.
//!
//! A transition between stored states has the weight of its multiplicity. Without cycles one pass over the layers is enough: the
//! probability of an outcome from a state is the mean of that from its successors. A graph with cycles is an absorbing Markov
//! chain, see [`super::chain`].

use super::Measure;
use super::chain;
use super::lanes::Lanes;
use super::subject::{Acyclic, Subject};
use crate::limits::Reason;
use crate::space::Space;
use crate::store::account::MemoryAccount;
use crate::store::states::StateId;
use crate::sync::Ordering::Relaxed;

/// Computes the probability of each outcome.
pub(super) struct ComputeProbabilities<'a> {
    /// The graph, if it has no cycle.
    pub(super) acyclic: Option<&'a Acyclic<'a>>,
}

impl<S: Space> Measure<S> for ComputeProbabilities<'_> {
    const NAME: &'static str = "probabilities";
    /// By outcome of the Program.
    type Answer = Vec<f64>;

    fn take(&self, subject: &Subject<'_, S>, account: &mut MemoryAccount) -> Result<Option<Vec<f64>>, Reason> {
        let Subject { program, graph, store, watch, .. } = *subject;
        match self.acyclic {
            Some(graph) => graph.probabilities(account).map(Some),
            None => chain::absorbed(graph, store, program.outcomes.len(), account, watch),
        }
    }
}

impl Acyclic<'_> {
    /// The probability of each outcome from the initial state.
    fn probabilities(&self, account: &mut MemoryAccount) -> Result<Vec<f64>, Reason> {
        let mut by_outcome = vec![0.0; self.outcomes];
        let lanes = Lanes::new(self.graph.len(), 1, self.reached.len(), account)?;
        for group in self.reached.chunks(lanes.width()) {
            self.layers.backwards(self.watch, |state| {
                let own = self.store.outcome_of(state);
                let degree = self.graph.out_degree(state) as f64;
                for (at, (cell, outcome)) in lanes.of(state).iter().zip(group).enumerate() {
                    let p = if let Some(own) = own {
                        f64::from(u8::from(own == *outcome))
                    } else {
                        let chance = |(target, times)| f64::from_bits(lanes.get(target, at)) * f64::from(times);
                        self.graph.row(state).map(chance).sum::<f64>() / degree
                    };
                    cell.store(p.to_bits(), Relaxed);
                }
            })?;
            for (at, outcome) in group.iter().enumerate() {
                by_outcome[*outcome] = f64::from_bits(lanes.get(StateId(0), at));
            }
        }
        Ok(by_outcome)
    }
}
