//! Explores all states that a Program can reach.
//!
//! This is the entry. It chooses the space, searches on threads of its own, and turns what was found into an
//! [`Exploration`]: measures, tables and schedules.
//!
//! There are two searches. The one of this folder ([`breadth_first`]) stores each state with the state that it was first
//! reached from, in the orbit space or in the concrete one. The other, in [`bits`], stores a bit for each concrete state.

mod answer;
mod bits;
mod breadth_first;
mod chunk;
mod divergence;
pub(crate) mod frontier;
mod predicates;
mod tally;
pub(crate) mod trace;

use self::answer::Answer;
use self::breadth_first::{BreadthFirst, Found};
use self::predicates::Predicates;
use crate::error::Error;
use crate::exploration::Exploration;
use crate::labelled::state::LabelledState;
use crate::limits::Watch;
use crate::measure::{self, Measures, Subject};
use crate::options::{Measuring, Options};
use crate::program::Program;
use crate::progress::{Monitor, Plan};
use crate::search::trace::Tracer;
use crate::space::{Concrete, InConcrete, Orbit, Space, SpaceKind, with_concrete};
use crate::store::memory;
use crate::store::states::Store;
use crate::store::visited::Shard;

/// Explores all states reachable from `initial`.
pub fn explore(
    program: &Program,
    initial: &LabelledState,
    options: &Options,
    monitor: &Monitor,
) -> Result<Exploration, Error> {
    options.check()?;
    memory::give_large_pieces_back();
    let watch = Watch::start(monitor, &options.limits);
    let search = Search { program, initial, options: *options, watch: &watch };
    // A pool of its own: a search never competes for, nor waits on, the threads of anyone else in the process.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
    let pool = pool.map_err(|error| Error::options(format!("threads: {error}")))?;
    pool.install(|| match options.space {
        SpaceKind::Orbit => search.explore(&Orbit::new(program, initial, options.symmetry)),
        SpaceKind::Concrete => with_concrete(program, initial, search)?,
        SpaceKind::Bits => bits::explore(search),
    })
}

/// A search that stores every state with its parent.
#[derive(Debug, Clone, Copy)]
struct Search<'a> {
    program: &'a Program,
    initial: &'a LabelledState,
    options: Options,
    watch: &'a Watch<'a>,
}

impl InConcrete for Search<'_> {
    type Answer = Result<Exploration, Error>;

    fn run<const W: usize>(self, space: Concrete<W>) -> Self::Answer {
        self.explore(&space)
    }
}

impl Search<'_> {
    /// Searches, measures what was found and writes it up.
    fn explore<S: Space>(&self, space: &S) -> Result<Exploration, Error> {
        let Self { program, options, watch, .. } = *self;
        let keeps_graph = options.measuring == Measuring::On;
        let mut found = self.search(space, keeps_graph)?;
        let mut measures = None;
        if keeps_graph && found.reason.is_none() {
            let Self { initial, .. } = *self;
            let tracer = Tracer { program, initial, space, store: &found.store };
            let subject = Subject {
                program,
                space,
                store: &found.store,
                graph: &found.graph,
                watch,
                diverges: program.diverges.is_some_and(|outcome| found.tally.outcomes[outcome].first.is_some()),
                prices: options.prices,
                max_memory: options.limits.max_memory,
                trace: &|state| found.trace(&tracer, state),
            };
            let mut account = subject.account();
            match measure::measure(&subject, &mut account) {
                Ok(all) => {
                    found.reason = all.left_out;
                    measures = Some(all);
                }
                Err(reason) => found.reason = Some(reason),
            }
            found.peak_bytes = found.peak_bytes.max(account.peak());
        }
        let exploration = self.answer(space, &found, measures.as_ref());
        Ok(Exploration { elapsed: watch.elapsed(), ..exploration })
    }

    /// Finds everything that can be reached, or why the Program is wrong.
    fn search<S: Space>(&self, space: &S, keeps_graph: bool) -> Result<Found, Error> {
        let Self { program, initial, options, watch } = *self;
        let predicates = Predicates::new(program, space);
        let bytes_per_state = Store::bytes_per_state(space.stride()) + Shard::BYTES_PER_STATE;
        watch.monitor.plan(Plan { state_bits: space.state_bits(), bytes_per_state, expected_states: None });
        let mut found = BreadthFirst::new(program, space, &predicates, keeps_graph, options.limits, watch).run(initial);
        if let Some((state, failure)) = found.failure {
            let tracer = Tracer { program, initial, space, store: &found.store };
            return Err(failure.error(program, tracer.schedule(state)));
        }
        if let (Some(outcome), None) = (program.diverges, found.reason) {
            let max_memory = options.limits.max_memory;
            found.reason = divergence::settle(outcome, space, &mut found, max_memory, watch).err();
        }
        found.visited = Vec::new();
        Ok(found)
    }

    /// The tables and traces of what was found.
    fn answer<S: Space>(&self, space: &S, found: &Found, measures: Option<&Measures>) -> Exploration {
        let Self { program, initial, options, .. } = *self;
        let tracer = Tracer { program, initial, space, store: &found.store };
        let exploration = Answer { found, measures, tracer }.exploration();
        Exploration { state_bits: space.state_bits(), threads: options.threads, ..exploration }
    }
}
