//! The search behind [`SpaceKind::Bits`](crate::SpaceKind::Bits): every concrete state is one bit.
//!
//! # Why a bit a state is enough
//!
//! CPUs of one package that start out equal form a *class*. A Program names no CPU, so it treats the CPUs of a class alike.
//! The states that give each class the same multiset of CPU words (and agree in all other words) form a *pattern*
//! ([`pattern`]). Within a pattern a state is determined by its *arrangement*: which CPU of each class has which word. The
//! arrangements of a multiset are numbered without gaps ([`arrangement`]), so the set of states found in a pattern is a row
//! of bits, and finding a state again needs neither its words nor a hash.
//!
//! A level has three stages:
//!
//! 1. *expand*, parallel over patterns: find the steps of the representative, the state of the pattern whose words ascend in
//!    each class;
//! 2. *number*, sequential: look up the patterns that these steps lead to; a new one belongs to the next level and gets its
//!    row of bits;
//! 3. *mark*, parallel over steps, and within a large step over its arrangements: take the step from every state of its
//!    source and set the bit of each successor.
//!
//! At the end of a level all bits of the next one must be set. Its rows are then finished and only their patterns are kept.
//!
//! # Proved here, and believed
//!
//! Proved, by counting every state and every step on its own:
//!
//! - each state of a pattern is reached by a step from a state of the level before, so all states of a pattern have the same
//!   depth and none of the counted states is unreachable ([`level::Level::check_all_reached`]);
//! - the number of steps taken from the states of a pattern is its size times the steps of its representative;
//! - the totals of states and transitions equal those of the orbit space, which computes them from orbit sizes and
//!   multiplicities and shares no code with this search.
//!
//! Believed: that a state can take the steps of the representative, with the CPUs renamed. It holds because a Program
//! names no CPU, and the other searches are tested to agree. From a search of the orbit space, made first under the same
//! limits, come the schedules of the outcomes (their lengths are compared with the depths found here), and errors of the
//! Program, as an enabled trap. A figure that differs is a defect of the engine and panics.
//!
//! # Cost and limits
//!
//! Memory is one bit for each state of the two widest neighbouring levels, and the representative (up to 64 bytes) with its
//! number for each pattern. Time is some nanoseconds for a transition, as a run of successors has consecutive bits. There
//! are no ids, parents or transitions, so there are no measures, and no traces but those of the orbit space. A state has
//! at most 64 CPUs and 512 bits, and a pattern at most 2^56 states.
//!
//! A limit that is hit within a level drops the figures of that level, so that an incomplete answer does not depend on the
//! number of threads, unless the clock or a request to stop decided.
//!
//! Rejected: a hash table of single states. It takes 8 bytes for each beside the state's words, and every transition
//! waits for a random access to memory; the search that stores states with their parents is such a table already.

mod arrangement;
mod level;
mod pattern;
mod row;
mod search;
mod totals;

use self::pattern::{Patterns, with_equal_cpus_adjacent};
use self::search::BitSearch;
use super::Search;
use crate::error::Error;
use crate::exploration::Exploration;
use crate::labelled::state::LabelledState;
use crate::limits::Reason;
use crate::options::{Measuring, Options};
use crate::progress::Plan;
use crate::space::{Concrete, InConcrete, Orbit, Space, Symmetry, with_concrete};

/// Explores with a bit for each concrete state.
pub(super) fn explore(search: Search<'_>) -> Result<Exploration, Error> {
    let initial = with_equal_cpus_adjacent(search.initial);
    with_concrete(search.program, &initial, Bits { search, initial: &initial })?
}

struct Bits<'a> {
    search: Search<'a>,
    /// The initial state [`with_equal_cpus_adjacent`].
    initial: &'a LabelledState,
}

impl InConcrete for Bits<'_> {
    type Answer = Result<Exploration, Error>;

    fn run<const W: usize>(self, space: Concrete<W>) -> Result<Exploration, Error> {
        let Self { search, initial } = self;
        let Search { program, options, watch, .. } = search;
        let of_orbits = Search { options: Options { measuring: Measuring::Off, ..options }, ..search };
        let orbits = of_orbits.explore(&Orbit::new(program, search.initial, Symmetry::Start))?;
        if matches!(orbits.incomplete, Some(Reason::Timeout(_) | Reason::Interrupted | Reason::MaxMemory(_))) {
            return Ok(orbits);
        }
        watch.monitor.plan(plan(&space, &orbits));
        let patterns = Patterns::new(&space, initial);
        let bits = BitSearch::new(program, &space, patterns, options.limits, watch);
        let totals = bits.run(space.pack(initial), &orbits);
        let totals = totals.map_err(|error| Error::options(format!("memory for a level: {error}")))?;
        let (state_bits, elapsed, threads) = (space.state_bits(), watch.elapsed(), options.threads);
        Ok(Exploration { state_bits, elapsed, threads, ..totals.exploration(&orbits) })
    }
}

/// The resources that the search will need. There are as many patterns as orbits, or more if packages are interchangeable;
/// one level's bits are held while the next one is found.
fn plan<const W: usize>(space: &Concrete<W>, orbits: &Exploration) -> Plan {
    let states = u64::try_from(&orbits.states).unwrap_or(u64::MAX);
    let widest = orbits.levels.iter().map(|level| u64::try_from(&level.states).unwrap_or(u64::MAX)).max().unwrap_or(1);
    let bytes = (orbits.explored * size_of::<([u64; W], u32)>() as u64).saturating_add(widest / 8);
    Plan {
        state_bits: space.state_bits(),
        bytes_per_state: bytes.div_ceil(states.max(1)),
        expected_states: Some(states),
    }
}
