//! Explores all states that a Program can reach.
//!
//! This is the entry: it chooses the space, runs the search on threads of its own, and turns what was found into an
//! [`Exploration`]: measures, tables and schedules.

mod answer;
mod breadth_first;
mod chunk;
mod predicates;
mod tally;
mod unlinked;

use self::answer::Answer;
use self::breadth_first::BreadthFirst;
use self::chunk::Failure;
use self::predicates::Predicates;
use crate::error::Error;
use crate::exploration::Exploration;
use crate::limits::{Limits, Watch};
use crate::measure;
use crate::program::Program;
use crate::progress::Monitor;
use crate::space::{Concrete, Layout, Orbit, Space, SpaceKind};
use crate::state::LabelledState;
use crate::trace::Tracer;

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
        Self { space: SpaceKind::Orbit, threads: 1, limits: Limits::default(), measuring: Measuring::On }
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
    with_space(program, initial, options.space, Explore { program, initial, options, monitor })?
}

/// Bits of a state as it is stored: of the initial state, since in the orbit space sizes differ.
pub fn state_bits(program: &Program, initial: &LabelledState, space: SpaceKind) -> Result<u64, Error> {
    with_space(program, initial, space, StateBits { initial })
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
    if kind == SpaceKind::Orbit {
        return Ok(task.run(&Orbit::new(program, initial)));
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

struct StateBits<'a> {
    initial: &'a LabelledState,
}

impl InSpace for StateBits<'_> {
    type Answer = u64;

    fn run<S: Space>(self, space: &S) -> u64 {
        let mut packed = Vec::new();
        space.encode(self.initial, &mut packed);
        packed.len() as u64 * u64::from(u64::BITS)
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
        let unlinked = self.options.measuring == Measuring::Off && space.layout().has_free_bits();
        self.in_pool(|| if unlinked { self.count(space) } else { self.explore(space) })
    }
}

impl Explore<'_> {
    /// Runs on a pool of its own: a search never competes for, nor waits on, the threads of anyone else in the process.
    fn in_pool(&self, search: impl FnOnce() -> Result<Exploration, Error> + Send) -> Result<Exploration, Error> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.options.threads).build();
        pool.map_err(|error| Error::options(format!("threads: {error}")))?.install(search)
    }

    /// Counts concrete states, without links between them; schedules come from the orbit space.
    fn count<const W: usize>(&self, space: &Concrete<W>) -> Result<Exploration, Error> {
        let Self { program, initial, options, monitor } = *self;
        let watch = Watch::start(monitor, &options.limits);
        let predicates = Predicates::new(program, space);
        let counted = unlinked::count(program, space, &predicates, space.pack(initial), options.limits, &watch)
            .map_err(|error| Error::options(format!("memory for the visited set: {error}")))?;
        if counted.failed {
            // Where a Program is wrong, the search with links says how to get there.
            return self.explore(space);
        }
        let limits = Limits { max_depth: counted.figures.deepest(), max_states: None, ..options.limits };
        let guide = Options { space: SpaceKind::Orbit, limits, measuring: Measuring::Off, ..*options };
        let guide = Explore { options: &guide, ..*self }.explore(&Orbit::new(program, initial))?;
        let mut exploration = counted.exploration(&guide);
        exploration.state_bits = u64::from(space.layout().bits);
        exploration.threads = options.threads;
        exploration.elapsed = watch.elapsed();
        Ok(exploration)
    }

    fn explore<S: Space>(&self, space: &S) -> Result<Exploration, Error> {
        let Self { program, initial, options, monitor } = *self;
        let watch = Watch::start(monitor, &options.limits);
        let keeps_graph = options.measuring == Measuring::On;
        let predicates = Predicates::new(program, space);
        let mut found =
            BreadthFirst::new(program, space, &predicates, keeps_graph, options.limits, &watch).run(initial)?;
        if let Some((state, failure)) = found.failure {
            let tracer = Tracer { program, initial, space, store: &found.store };
            return Err(self.failure(failure, tracer.schedule(state)));
        }
        let mut measures = None;
        if keeps_graph && found.reason.is_none() {
            match measure::measure(&found.graph, &found.store, program.outcomes.len(), &watch) {
                Ok(all) => measures = Some(all),
                Err(reason) => found.reason = Some(reason),
            }
        }
        let tracer = Tracer { program, initial, space, store: &found.store };
        let answer = Answer { found: &found, measures: measures.as_ref(), tracer };
        let mut exploration = answer.exploration();
        exploration.state_bits = StateBits { initial }.run(space);
        exploration.threads = options.threads;
        exploration.elapsed = watch.elapsed();
        Ok(exploration)
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
