//! The states in which a response is lost: it is due, and its goal can no longer be reached (violations of
//! AG(when -> EF reach)).
//!
//! Goals are marked, and then every state from which a marked one can be reached ([`crate::graph::backward`]). The response is lost
//! in the other states in which it is due, except where every fair run comes to a fatal outcome: such a run ends, and its
//! outcome is an answer of its own. [`super::cause`] explains the first lost state.

use dashu_int::UBig;
use rayon::prelude::*;

use super::Measure;
use super::cause::cause;
use super::subject::{Acyclic, ShortestTrace, Subject};
use crate::columns::Column;
use crate::graph::backward::mark_backward;
use crate::graph::components::{self, bottoms};
use crate::graph::layers::Layers;
use crate::limits::Reason;
use crate::program::{Guard, Response};
use crate::space::{Space, labelled_states};
use crate::store::account::MemoryAccount;
use crate::store::states::StateId;
use crate::sync::AtomicBool;
use crate::sync::Ordering::Relaxed;

/// Bytes for each state while lost states are looked for: three marks and an id.
const BYTES_PER_STATE: usize = 3 * size_of::<AtomicBool>() + size_of::<StateId>();
/// Bytes for each state while a cause is looked for: two marks and the components.
const BYTES_PER_STATE_CAUSE: usize = 2 * size_of::<AtomicBool>() + components::BYTES_PER_STATE;

/// The states in which a response is lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseRow {
    /// Labelled states.
    pub lost_states: UBig,
    /// Steps of the shortest trace to one.
    pub shortest_steps: Option<u32>,
    /// A shortest trace to one.
    pub schedule: Option<String>,
    /// Why the goal is out of reach after that trace: global fields and the values that they keep in the end, as indices. No state
    /// from which the goal can be reached has only such values in these fields. Empty if no small set of fields explains it.
    pub cause: Vec<(usize, usize)>,
}

impl ResponseRow {
    pub(super) fn columns(rows: &[Self]) -> Vec<Column> {
        let cause = |facts: &[(usize, usize)]| {
            facts.iter().map(|(field, value)| format!("{field}={value}")).collect::<Vec<_>>().join(" ")
        };
        vec![
            Column::index("response", 0..rows.len()),
            Column::decimal("lost_states", rows.iter().map(|row| &row.lost_states)),
            Column::u32_or_none("shortest_steps", rows.iter().map(|row| row.shortest_steps)),
            Column::text_or_none("schedule", rows.iter().map(|row| row.schedule.clone())),
            Column::text("cause", rows.iter().map(|row| cause(&row.cause))),
        ]
    }
}

/// Finds the states in which each response is lost.
pub(super) struct FindLostResponses<'a> {
    /// The graph, if it has no cycle, among diverging states neither: a goal may lie behind these.
    pub(super) acyclic: Option<&'a Acyclic<'a>>,
}

impl<S: Space> Measure<S> for FindLostResponses<'_> {
    const NAME: &'static str = "responses";
    type Answer = Vec<ResponseRow>;

    fn take(&self, subject: &Subject<'_, S>, account: &mut MemoryAccount) -> Result<Option<Vec<ResponseRow>>, Reason> {
        let responses = &subject.program.responses;
        if responses.is_empty() {
            return Ok(None);
        }
        account.request(subject.graph.len() * BYTES_PER_STATE)?;
        let search = Search { subject, layers: self.acyclic.map(|graph| &graph.layers) };
        let avoids_fatal = search.avoids_fatal()?;
        let rows = responses.iter().map(|response| search.lost(response, &avoids_fatal, account));
        rows.collect::<Result<_, _>>().map(Some)
    }
}

struct Search<'s, S> {
    subject: &'s Subject<'s, S>,
    layers: Option<&'s Layers>,
}

impl<S: Space> Search<'_, S> {
    /// Marks the states from which some fair run avoids every fatal outcome: those from which a state can be reached that no
    /// fatal outcome is reachable from.
    fn avoids_fatal(&self) -> Result<Vec<AtomicBool>, Reason> {
        let fatal = self.subject.program.outcomes.iter().filter(|outcome| outcome.fatal);
        let marks = self.matching(fatal.flat_map(|outcome| &outcome.when))?;
        self.mark_backward(&marks)?;
        marks.par_iter().for_each(|mark| {
            mark.fetch_not(Relaxed);
        });
        self.mark_backward(&marks)?;
        Ok(marks)
    }

    fn lost(
        &self,
        response: &Response,
        avoids_fatal: &[AtomicBool],
        account: &mut MemoryAccount,
    ) -> Result<ResponseRow, Reason> {
        let due = self.matching(&response.when)?;
        let possible = self.matching(&response.reach)?;
        self.mark_backward(&possible)?;
        let is_lost =
            |at: &usize| due[*at].load(Relaxed) && avoids_fatal[*at].load(Relaxed) && !possible[*at].load(Relaxed);
        let lost: Vec<StateId> = (0..due.len()).into_par_iter().filter(is_lost).map(|at| StateId(at as u32)).collect();
        let Some(first) = lost.first().copied() else {
            return Ok(ResponseRow::default());
        };
        let Subject { space, store, graph, watch, trace, .. } = *self.subject;
        let lost_states = labelled_states(space, store, &lost).into_exact();
        drop((due, lost));
        account.request(graph.len() * BYTES_PER_STATE_CAUSE)?;
        let mut bottoms = bottoms(graph, first, watch)?;
        bottoms.retain(|state| avoids_fatal[state.index()].load(Relaxed));
        let cause = cause(self.subject, &bottoms, &possible)?;
        let ShortestTrace { steps, schedule } = trace(first);
        Ok(ResponseRow { lost_states, shortest_steps: Some(steps), schedule: Some(schedule), cause })
    }

    fn mark_backward(&self, marks: &[AtomicBool]) -> Result<(), Reason> {
        mark_backward(marks, self.subject.graph, self.layers, self.subject.watch)
    }

    /// Marks the states in which one of the guards holds.
    fn matching<'g>(&self, guards: impl IntoIterator<Item = &'g Guard>) -> Result<Vec<AtomicBool>, Reason> {
        let Subject { space, store, watch, .. } = *self.subject;
        let predicates: Vec<_> = guards.into_iter().map(|guard| space.predicate(guard)).collect();
        let states = (0..store.len() as u32).into_par_iter().map(StateId);
        let marks = states.map_init(
            || space.workspace(),
            |workspace, state| {
                space.load(store.get(state), workspace);
                AtomicBool::new(predicates.iter().any(|predicate| space.holds(predicate, workspace)))
            },
        );
        let marks = marks.collect();
        watch.check()?;
        Ok(marks)
    }
}
