//! Random walks: for Programs that have too many states to visit.
//!
//! A walk is one run from the initial state to its end, in labelled states; a [scheduler](scheduler::Scheduler) chooses each step.
//! Nothing is stored, so a walk costs time and no memory, and nothing can be said of runs that were not made but a chance:
//! [`Walks`] has the counts for it.
//!
//! Invariant: the answer to the same options is the same for any number of threads, and the answer that a limit cuts short is that
//! of fewer walks. Walks are made in batches; the size of a batch, and the horizon of its priority changes, depend only on the
//! batches before. A batch that time cuts is thrown away.
//!
//! Rejected: walking through orbits. A transition between orbits that is taken with its multiplicity as weight gives the same
//! probabilities, but it expands all successors to take one, and a priority belongs to a CPU that has a name.

mod dice;
mod pct;
mod runner;
mod scheduler;
mod tally;
mod uniform;

use std::time::Duration;

use rayon::prelude::*;
use serde::Deserialize;

use self::pct::Pct;
use self::runner::{Runner, Which};
use self::scheduler::Scheduler;
use self::tally::{Met, Tally};
use self::uniform::Uniform;
use crate::columns::Column;
use crate::error::Error;
use crate::labelled::state::LabelledState;
use crate::limits::{Limits, Reason, Watch};
use crate::options::duration;
use crate::program::{Program, read_json};
use crate::progress::{Monitor, Plan, Progress};

/// Walks of the first batch; later batches have so many that all threads have something to do.
const FIRST_BATCH: u64 = 64;
/// About so many steps are made in a later batch.
const STEPS_OF_A_BATCH: u64 = 1 << 20;
/// Walks that are made first to find the horizon of priority changes; they are not counted.
const PILOTS: u64 = 16;
/// The largest bug depth: beyond, no bound says anything.
const MOST_DEPTH: u32 = 64;

/// Who chooses the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduling {
    /// Each enabled transition is equally likely.
    Uniform,
    /// Random priorities that change at `depth - 1` random steps: probabilistic concurrency testing.
    Pct {
        /// The depth of the bugs that are looked for, at least 1.
        depth: u32,
    },
}

/// How to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkOptions {
    /// Who chooses the next step.
    pub scheduling: Scheduling,
    /// The number of walks, at least 1.
    pub walks: u64,
    /// The same seed makes the same walks.
    pub seed: u64,
    /// Threads, at least 1.
    pub threads: usize,
    /// Steps after which a walk is cut, at least 1.
    pub max_depth: u32,
    /// Time for all walks.
    pub timeout: Option<Duration>,
}

/// The JSON form: one flat object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// A bug depth asks for priorities.
    bug_depth: Option<u32>,
    walks: u64,
    seed: u64,
    threads: usize,
    max_depth: u32,
    /// In seconds.
    timeout: Option<f64>,
}

impl WalkOptions {
    /// Reads the JSON form: an object with the keys `bug_depth` (none for the uniform scheduler), `walks`, `seed`, `threads`,
    /// `max_depth` (steps) and `timeout` (seconds, or none).
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let document: Document = read_json(text).map_err(|reason| Error::options(format!("options: {reason}")))?;
        let Document { bug_depth, walks, seed, threads, max_depth, timeout } = document;
        let scheduling = bug_depth.map_or(Scheduling::Uniform, |depth| Scheduling::Pct { depth });
        Ok(Self { scheduling, walks, seed, threads, max_depth, timeout: timeout.map(duration).transpose()? })
    }

    fn check(&self) -> Result<(), Error> {
        let Self { scheduling, walks, threads, max_depth, .. } = *self;
        if walks == 0 || threads == 0 || max_depth == 0 {
            return Err(Error::options("walks, threads or max_depth is 0, at least 1 is needed"));
        }
        match scheduling {
            Scheduling::Pct { depth } if depth == 0 || depth > MOST_DEPTH => {
                Err(Error::options(format!("bug_depth is {depth}, 1 to {MOST_DEPTH} are allowed")))
            }
            _ => Ok(()),
        }
    }
}

/// What walks have met.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Walks {
    /// Why fewer walks were made than asked for; none if all were.
    pub incomplete: Option<Reason>,
    /// Walks made.
    pub walks: u64,
    /// Walks that were cut after `max_depth` steps, so that they have no outcome.
    pub cut: u64,
    /// Steps of all walks.
    pub steps: u64,
    /// Steps of the longest walk.
    pub longest: u32,
    /// Instances of actors that were ever enabled.
    pub actors: u32,
    /// Walks whose priorities changed within a horizon that no walk was longer than; 0 for the uniform scheduler. Together with
    /// `actors` and `longest` they bound the chance of missing a bug.
    pub bounded: u64,
    /// Time of all walks.
    pub elapsed: Duration,
    /// All outcomes, in the order of the Program: the walks that end so.
    pub outcomes: Vec<MetRow>,
    /// All invariants: the walks in which they fail somewhere.
    pub invariants: Vec<MetRow>,
    /// All expectations: the walks in which they are met somewhere.
    pub expectations: Vec<MetRow>,
}

/// What some walks have met.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetRow {
    /// The walks.
    pub walks: u64,
    /// Steps of the shortest of them, up to where it was met.
    pub shortest_steps: Option<u32>,
    /// The schedule of these steps.
    pub schedule: Option<String>,
}

impl Walks {
    /// A table by its name (`outcomes`, `invariants` or `expectations`); none if there is no such table.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<Vec<Column>> {
        let (key, rows) = match name {
            "outcomes" => ("outcome", &self.outcomes),
            "invariants" => ("invariant", &self.invariants),
            "expectations" => ("expectation", &self.expectations),
            _ => return None,
        };
        Some(vec![
            Column::index(key, 0..rows.len()),
            Column::u64("walks", rows.iter().map(|row| row.walks)),
            Column::u32_or_none("shortest_steps", rows.iter().map(|row| row.shortest_steps)),
            Column::text_or_none("schedule", rows.iter().map(|row| row.schedule.clone())),
        ])
    }
}

/// Makes random walks from `initial`.
pub fn walk(
    program: &Program,
    initial: &LabelledState,
    options: &WalkOptions,
    monitor: &Monitor,
) -> Result<Walks, Error> {
    options.check()?;
    let limits = Limits { timeout: options.timeout, ..Limits::default() };
    let watch = Watch::start(monitor, &limits);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
    let pool = pool.map_err(|error| Error::options(format!("threads: {error}")))?;
    let slots = Runner::slots(program, initial).count;
    let outing = Outing { program, initial, options, watch: &watch };
    pool.install(|| match options.scheduling {
        Scheduling::Uniform => outing.make(|_| Uniform::new(), 1),
        Scheduling::Pct { depth } => {
            let horizon = outing.pilot();
            outing.make(|horizon| Pct::new(depth, horizon, slots), horizon)
        }
    })
}

/// All walks of one question.
#[derive(Clone, Copy)]
struct Outing<'a> {
    program: &'a Program,
    initial: &'a LabelledState,
    options: &'a WalkOptions,
    watch: &'a Watch<'a>,
}

impl Outing<'_> {
    /// Makes the walks, batch by batch. `scheduler` makes one for a horizon.
    fn make<S: Scheduler + Send>(&self, scheduler: impl Fn(u32) -> S + Sync, mut horizon: u32) -> Result<Walks, Error> {
        let Self { program, initial, options, watch } = *self;
        let mut runners: Vec<Runner<'_>> = (0..options.threads).map(|_| Runner::new(program, initial)).collect();
        let mut total = self.tally();
        let (mut made, mut bounded) = (0, 0);
        let mut incomplete = None;
        while made < options.walks {
            let numbers = made..options.walks.min(made + size_of_batch(made, total.steps));
            let threads = runners.len();
            let parts = runners.par_iter_mut().enumerate().map(|(thread, runner)| {
                let (mut tally, mut scheduler) = (self.tally(), scheduler(horizon));
                for number in numbers.clone().skip(thread).step_by(threads) {
                    runner.walk(&mut scheduler, self.which(number, horizon), &mut tally, watch)?;
                }
                Ok(tally)
            });
            let parts: Result<Vec<Tally>, Reason> = parts.collect();
            match parts {
                Ok(parts) => parts.iter().for_each(|part| total.merge(part)),
                Err(reason) => {
                    // Which thread saw it first is chance; the reason is not, as neither kind goes away.
                    incomplete = Some(watch.interruption().unwrap_or(reason));
                    break;
                }
            }
            if let Some((_, walk, failure)) = total.failure {
                let which = self.which(walk.number, walk.horizon);
                let schedule = runners[0].retrace(&mut scheduler(walk.horizon), which, walk.steps);
                return Err(failure.error(program, schedule));
            }
            bounded += numbers.end - made;
            if total.longest > horizon {
                (horizon, bounded) = (total.longest, 0);
            }
            made = numbers.end;
            self.report(made, &total);
        }
        let mut row = |met: &Met| MetRow {
            walks: met.walks,
            shortest_steps: met.shortest.map(|walk| walk.steps),
            schedule: met.shortest.map(|walk| {
                let which = self.which(walk.number, walk.horizon);
                runners[0].retrace(&mut scheduler(walk.horizon), which, walk.steps)
            }),
        };
        Ok(Walks {
            incomplete,
            walks: made,
            cut: total.cut,
            steps: total.steps,
            longest: total.longest,
            actors: total.actors.iter().filter(|seen| **seen).count() as u32,
            bounded: if options.scheduling == Scheduling::Uniform { 0 } else { bounded },
            outcomes: total.outcomes.iter().map(&mut row).collect(),
            invariants: total.invariants.iter().map(&mut row).collect(),
            expectations: total.expectations.iter().map(&mut row).collect(),
            elapsed: watch.elapsed(),
        })
    }

    /// The steps of the longest of some uniform walks, the numbers of which nobody else has.
    fn pilot(&self) -> u32 {
        let mut runner = Runner::new(self.program, self.initial);
        let (mut tally, mut scheduler) = (self.tally(), Uniform::new());
        for pilot in 0..PILOTS {
            if runner.walk(&mut scheduler, self.which(u64::MAX - pilot, 1), &mut tally, self.watch).is_err() {
                break; // the first batch will find out, too
            }
        }
        tally.longest.max(1)
    }

    fn which(&self, number: u64, horizon: u32) -> Which {
        Which { seed: self.options.seed, number, most: self.options.max_depth, horizon }
    }

    fn tally(&self) -> Tally {
        let Program { outcomes, invariants, expectations, .. } = self.program;
        let slots = Runner::slots(self.program, self.initial).count;
        Tally::new(outcomes.len(), invariants.len(), expectations.len(), slots)
    }

    fn report(&self, made: u64, total: &Tally) {
        let elapsed = self.watch.elapsed();
        let plan = Plan { expected_states: Some(self.options.walks), ..Plan::default() };
        let (depth, generated) = (u64::from(total.longest), total.steps);
        let progress = Progress { depth, explored: made, generated, elapsed, plan, ..Progress::default() };
        self.watch.monitor.plan(plan);
        self.watch.monitor.report(progress);
    }
}

/// Walks of the next batch, by what was made before.
fn size_of_batch(made: u64, steps: u64) -> u64 {
    if made == 0 {
        return FIRST_BATCH;
    }
    // A walk may have no steps at all.
    let steps_of_a_walk = (steps / made).max(1);
    (STEPS_OF_A_BATCH / steps_of_a_walk).clamp(FIRST_BATCH, 2 * made.max(FIRST_BATCH))
}
