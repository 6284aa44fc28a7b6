//! Explores all states that a Program can reach.
//!
//! This is the entry: it chooses the space, runs the search on threads of its own, and turns what was found into an
//! [`Exploration`]: measures, tables and schedules.

mod answer;
mod breadth_first;
mod chunk;
mod counting;
pub(crate) mod frontier;
mod predicates;
mod tally;
pub(crate) mod trace;

use self::answer::Answer;
use self::breadth_first::{BreadthFirst, Found};
use self::chunk::Failure;
use self::counting::{Counting, Patterns, grouped};
use self::predicates::Predicates;
use crate::error::Error;
use crate::exploration::Exploration;
use crate::labelled::state::LabelledState;
use crate::limits::{Limits, Reason, Watch};
use crate::measure::{self, Measures, Subject};
use crate::program::Program;
use crate::progress::{Monitor, Plan};
use crate::search::trace::Tracer;
use crate::space::{Concrete, Layout, Orbit, Space, SpaceKind};
use crate::store::memory;
use crate::store::states::Store;
use crate::store::visited::Shard;

/// How to explore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The representation of states.
    pub space: SpaceKind,
    /// Threads of the search, at least 1.
    pub threads: usize,
    /// Resources.
    pub limits: Limits,
    /// Whether to compute interleavings and probabilities, which needs the transitions in memory.
    pub measuring: Measuring,
    /// Whether to compute what runs cost, if measures are on.
    pub prices: bool,
}

/// Whether interleavings and probabilities are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measuring {
    /// They are, if the search is complete.
    #[default]
    On,
    /// They are not, and transitions are not kept.
    Off,
}

impl Default for Options {
    fn default() -> Self {
        Self { space: SpaceKind::Orbit, threads: 1, limits: Limits::default(), measuring: Measuring::On, prices: false }
    }
}

/// Explores all states reachable from `initial`.
pub fn explore(
    program: &Program,
    initial: &LabelledState,
    options: &Options,
    monitor: &Monitor,
) -> Result<Exploration, Error> {
    if options.threads == 0 {
        return Err(Error::options("threads is 0, at least 1 is needed"));
    }
    memory::give_large_pieces_back();
    with_space(program, initial, options.space, Explore { program, initial, options, monitor })?
}

/// Bits of a state as it is stored.
pub fn state_bits(program: &Program, initial: &LabelledState, space: SpaceKind) -> Result<u64, Error> {
    with_space(program, initial, space, StateBits)
}

/// Something to do in a space whose type is not known yet.
trait InSpace {
    type Answer;
    fn run<S: Space>(self, space: &S) -> Self::Answer;

    /// The same where more is known of the space.
    fn run_concrete<const W: usize>(self, space: &Concrete<W>) -> Self::Answer
    where
        Self: Sized,
    {
        self.run(space)
    }
}

/// Chooses the type of the space: the one place that lists them.
fn with_space<T: InSpace>(
    program: &Program,
    initial: &LabelledState,
    kind: SpaceKind,
    task: T,
) -> Result<T::Answer, Error> {
    match kind {
        SpaceKind::Orbit => return Ok(task.run(&Orbit::new(program, initial))),
        SpaceKind::Unnamed => return Ok(task.run(&Orbit::new(program, &initial.blank()))),
        SpaceKind::Concrete => {}
    }
    let layout = Layout::new(program, initial)?;
    Ok(match layout.words {
        1 => task.run_concrete(&Concrete::<1>::new(program, initial, layout)),
        2 => task.run_concrete(&Concrete::<2>::new(program, initial, layout)),
        3..=4 => task.run_concrete(&Concrete::<4>::new(program, initial, layout)),
        5..=8 => task.run_concrete(&Concrete::<8>::new(program, initial, layout)),
        words => {
            return Err(Error::initial(format!(
                "concrete space: a state takes {words} words of 64 bits, at most 8 are possible; use the orbit space"
            )));
        }
    })
}

struct StateBits;

impl InSpace for StateBits {
    type Answer = u64;

    fn run<S: Space>(self, space: &S) -> u64 {
        space.stride() as u64 * u64::from(u64::BITS)
    }
}

struct Explore<'a> {
    program: &'a Program,
    initial: &'a LabelledState,
    options: &'a Options,
    monitor: &'a Monitor,
}

impl InSpace for Explore<'_> {
    type Answer = Result<Exploration, Error>;

    fn run<S: Space>(self, space: &S) -> Self::Answer {
        self.in_pool(|| self.explore(space))
    }

    fn run_concrete<const W: usize>(self, space: &Concrete<W>) -> Self::Answer {
        self.in_pool(|| match self.options.measuring {
            Measuring::On => self.explore(space),
            Measuring::Off => self.count::<W>(),
        })
    }
}

impl Explore<'_> {
    /// Runs on a pool of its own: a search never competes for, nor waits on, the threads of anyone else in the process.
    fn in_pool(&self, search: impl FnOnce() -> Result<Exploration, Error> + Send) -> Result<Exploration, Error> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.options.threads).build();
        pool.map_err(|error| Error::options(format!("threads: {error}")))?.install(search)
    }

    fn explore<S: Space>(&self, space: &S) -> Result<Exploration, Error> {
        let watch = Watch::start(self.monitor, &self.options.limits);
        let keeps_graph = self.options.measuring == Measuring::On;
        let mut found = self.search(space, keeps_graph, &watch)?;
        let mut measures = None;
        if keeps_graph && found.reason.is_none() {
            let Self { program, initial, options, .. } = *self;
            let tracer = Tracer { program, initial, space, store: &found.store };
            let subject = Subject {
                program,
                space,
                store: &found.store,
                graph: &found.graph,
                watch: &watch,
                prices: options.prices,
                max_memory: options.limits.max_memory,
                trace: &|state| found.trace(&tracer, state),
            };
            match measure::measure(&subject) {
                Ok(all) => {
                    found.reason = all.left_out;
                    measures = Some(all);
                }
                Err(reason) => found.reason = Some(reason),
            }
        }
        let exploration = self.answer(space, &found, measures.as_ref());
        Ok(Exploration { elapsed: watch.elapsed(), ..exploration })
    }

    /// Counts concrete states, without links between them, after a look at the orbit space: see [`counting`].
    fn count<const W: usize>(&self) -> Result<Exploration, Error> {
        let Self { program, initial, options, monitor } = *self;
        let watch = Watch::start(monitor, &options.limits);
        let orbit = Orbit::new(program, initial);
        let guide = self.answer(&orbit, &self.search(&orbit, false, &watch)?, None);
        drop(orbit);
        if matches!(guide.incomplete, Some(Reason::Timeout(_) | Reason::Interrupted | Reason::MaxMemory(_))) {
            return Ok(guide);
        }
        let initial = grouped(initial);
        let space = Concrete::<W>::new(program, &initial, Layout::new(program, &initial)?);
        monitor.plan(counting::plan(&space, &guide));
        let patterns = Patterns::new(&space, &initial);
        let search = Counting::new(program, &space, patterns, options.limits, &watch);
        let counted = search.run(space.pack(&initial), &guide);
        let counted = counted.map_err(|error| Error::options(format!("memory for a level: {error}")))?;
        let state_bits = StateBits.run(&space);
        let (threads, elapsed) = (options.threads, watch.elapsed());
        Ok(Exploration { state_bits, elapsed, threads, ..counted.exploration(&guide) })
    }

    /// Everything that can be reached, or why the Program is wrong.
    fn search<S: Space>(&self, space: &S, keeps_graph: bool, watch: &Watch<'_>) -> Result<Found, Error> {
        let Self { program, initial, options, .. } = *self;
        let predicates = Predicates::new(program, space);
        let state_bits = StateBits.run(space);
        let bytes_per_state = Store::bytes_per_state(space.stride()) + Shard::BYTES_PER_STATE;
        watch.monitor.plan(Plan { state_bits, bytes_per_state, expected_states: None });
        let found = BreadthFirst::new(program, space, &predicates, keeps_graph, options.limits, watch).run(initial)?;
        if let Some((state, failure)) = found.failure {
            let tracer = Tracer { program, initial, space, store: &found.store };
            return Err(self.failure(failure, tracer.schedule(state)));
        }
        Ok(found)
    }

    /// The tables and traces of what was found.
    fn answer<S: Space>(&self, space: &S, found: &Found, measures: Option<&Measures>) -> Exploration {
        let Self { program, initial, options, .. } = *self;
        let tracer = Tracer { program, initial, space, store: &found.store };
        let exploration = Answer { found, measures, tracer }.exploration();
        let state_bits = StateBits.run(space);
        Exploration { state_bits, threads: options.threads, ..exploration }
    }

    fn failure(&self, failure: Failure, schedule: String) -> Error {
        let message = match failure {
            Failure::Trap(rule) => {
                let trap = self.program.rule(rule).trap.as_deref().unwrap_or_default();
                format!("{}: {trap}; reached by schedule \"{schedule}\"", self.program.rule_name(rule))
            }
            Failure::NoOutcome => {
                format!("Program: a terminal state matches no outcome; reached by schedule \"{schedule}\"")
            }
        };
        Error::trap(message, schedule)
    }
}
