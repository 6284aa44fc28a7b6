//! Breadth-first search of the concrete space that keeps a bit for each state: no ids, no parents, no transitions.
//!
//! For the concrete space when no measures are wanted. States that differ only in which of the CPUs that started out equal
//! has which word are one *pattern* ([`Patterns`]): the pattern is stored once, and its states are bits, numbered by
//! arrangement. A level goes through three stages:
//!
//! 1. *expand*, parallel over patterns: what the representative can do, all its states can;
//! 2. *number*, sequential: look up the patterns that are reached; a new one gets its bits;
//! 3. *mark*, parallel over steps, and within large ones: take each step in every state of its source, and set the bit of
//!    the state that it leads to.
//!
//! When a level ends, every bit of each of its patterns must be set: each single state has been reached by a step from a state
//! of the level before. Then nothing is left to be found in the pattern, and its bits are dropped. Steps into patterns of
//! finished levels are counted and need no mark. That all states of a pattern have the same depth is what the symmetry
//! of Programs says; it is checked here, state by state, rather than believed.
//!
//! The orbit space is explored before. It says how many states there will be, and how to get to what was found, by traces
//! whose depths are checked here. What it says is never taken for granted: a number that differs is reported as a defect of
//! the engine.
//!
//! Invariant: what is reported is the sum over completed levels. A limit that is hit in the middle of a level drops that
//! level's figures, so that an incomplete answer does not depend on chance, unless the clock decided.
//!
//! Rejected: a hash table of single states, which takes 8 bytes for each and a random access to memory for each transition.

mod arrangement;
mod pattern;

use std::collections::TryReserveError;
use std::sync::atomic::AtomicU64;

use dashu_int::UBig;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use rayon::prelude::*;

use self::arrangement::Bits;
use self::pattern::Step;
pub(crate) use self::pattern::{Patterns, grouped};
use crate::exploration::{Exploration, LevelRow, OutcomeRow, PredicateRow, RuleRow};
use crate::limits::{Limits, Reason, Watch};
use crate::program::{Program, RuleId};
use crate::progress::{Plan, Progress};
use crate::search::predicates::Predicates;
use crate::space::{Concrete, ConcreteWorkspace, Space};

/// Patterns that are expanded before their steps are numbered and marked.
const BATCH: usize = 1 << 14;
/// Patterns that a thread takes at a time.
const CHUNK: usize = 64;

/// Figures of some levels.
#[derive(Debug, Clone)]
struct Figures {
    explored: u64,
    generated: u64,
    rules: Vec<u64>,
    outcomes: Vec<Seen>,
    invariants: Vec<Seen>,
    expectations: Vec<Seen>,
}

/// How many states, and at what depth the first.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    states: u64,
    depth: Option<u32>,
}

impl Figures {
    fn new(program: &Program) -> Self {
        Self {
            explored: 0,
            generated: 0,
            rules: vec![0; program.rules.len()],
            outcomes: vec![Seen::default(); program.outcomes.len()],
            invariants: vec![Seen::default(); program.invariants.len()],
            expectations: vec![Seen::default(); program.expectations.len()],
        }
    }

    fn merge(&mut self, other: &Self) {
        self.explored += other.explored;
        self.generated += other.generated;
        self.rules.iter_mut().zip(&other.rules).for_each(|(all, fired)| *all += fired);
        let all = self.outcomes.iter_mut().chain(&mut self.invariants).chain(&mut self.expectations);
        let new = other.outcomes.iter().chain(&other.invariants).chain(&other.expectations);
        for (all, new) in all.zip(new) {
            all.states += new.states;
            all.depth = all.depth.or(new.depth);
        }
    }
}

/// What the search found.
#[derive(Debug)]
pub(crate) struct Counted {
    figures: Figures,
    /// States and generated transitions of each completed level.
    levels: Vec<(u64, u64)>,
    reason: Option<Reason>,
    peak_bytes: usize,
}

/// What the search will need: patterns as the orbit space has states, and bits of the largest level.
pub(crate) fn plan<const W: usize>(space: &Concrete<W>, guide: &Exploration) -> Plan {
    let states = u64::try_from(&guide.states).unwrap_or(u64::MAX);
    let widest = guide.levels.iter().map(|level| u64::try_from(&level.states).unwrap_or(u64::MAX)).max().unwrap_or(1);
    let bytes = (guide.explored * size_of::<([u64; W], u32)>() as u64).saturating_add(widest / 8);
    Plan {
        state_bits: space.stride() as u64 * u64::from(u64::BITS),
        bytes_per_state: bytes.div_ceil(states.max(1)),
        expected_states: Some(states),
    }
}

/// A pattern of a level.
#[derive(Debug, Clone, Copy)]
struct Pattern<const W: usize> {
    representative: [u64; W],
    /// How many states.
    size: u64,
    /// Where its bits begin.
    first_word: usize,
}

/// A level as far as it is found, and its bits.
#[derive(Debug)]
struct Level<const W: usize> {
    patterns: Vec<Pattern<W>>,
    bits: Vec<AtomicU64>,
    states: u64,
}

impl<const W: usize> Level<W> {
    fn new() -> Self {
        Self { patterns: Vec::new(), bits: Vec::new(), states: 0 }
    }

    fn bits_of(&self, pattern: &Pattern<W>) -> Bits<'_> {
        let words = pattern.first_word..pattern.first_word + words_for(pattern.size);
        Bits { words: &self.bits[words], len: pattern.size }
    }

    /// Adds a pattern none of whose states is reached yet.
    fn open(&mut self, representative: [u64; W], size: u64) -> Result<(), TryReserveError> {
        let first_word = self.bits.len();
        self.bits.try_reserve(words_for(size))?;
        self.bits.resize_with(first_word + words_for(size), || AtomicU64::new(0));
        self.patterns.push(Pattern { representative, size, first_word });
        self.states += size;
        Ok(())
    }

    /// Every state must have been reached, or symmetry is not what it is taken for.
    fn check_all_reached(&self) {
        self.patterns.par_iter().for_each(|pattern| {
            let reached = self.bits_of(pattern).count();
            assert_eq!(reached, pattern.size, "states that differ in the names of CPUs only differ in their depth");
        });
    }

    fn bytes(&self) -> usize {
        self.patterns.capacity() * size_of::<Pattern<W>>() + self.bits.capacity() * size_of::<AtomicU64>()
    }
}

fn words_for(size: u64) -> usize {
    size.div_ceil(u64::from(u64::BITS)) as usize
}

/// What a thread finds out about some patterns.
struct Expanded<const W: usize> {
    figures: Figures,
    /// Steps by source, counted from the first of the batch.
    steps: Vec<(u32, Step<W>)>,
    /// Whether some state is terminal and has no outcome, or a step is one that must never be possible.
    wrong: bool,
}

/// A search under way.
pub(crate) struct Counting<'s, const W: usize> {
    program: &'s Program,
    space: &'s Concrete<W>,
    patterns: Patterns<'s, W>,
    predicates: Predicates<Concrete<W>>,
    limits: Limits,
    watch: &'s Watch<'s>,
    /// All patterns found, in the order in which they were.
    numbers: HashMap<[u64; W], u32, FixedState>,
    counted: Counted,
    /// States found, and bytes of the steps of a batch.
    found: u64,
    step_bytes: usize,
}

impl<'s, const W: usize> Counting<'s, W> {
    pub(crate) fn new(
        program: &'s Program,
        space: &'s Concrete<W>,
        patterns: Patterns<'s, W>,
        limits: Limits,
        watch: &'s Watch<'s>,
    ) -> Self {
        let figures = Figures::new(program);
        Self {
            program,
            space,
            patterns,
            predicates: Predicates::new(program, space),
            limits,
            watch,
            numbers: HashMap::default(),
            counted: Counted { figures, levels: Vec::new(), reason: None, peak_bytes: 0 },
            found: 1,
            step_bytes: 0,
        }
    }

    /// Counts all states that can be reached from `initial`, which is alone in its pattern. `guide` explored the orbit space
    /// under the same limits. Fails if the system has no memory.
    pub(crate) fn run(mut self, initial: [u64; W], guide: &Exploration) -> Result<Counted, TryReserveError> {
        self.numbers.insert(initial, 0);
        let (mut level, mut next) = (Level::new(), Level::new());
        level.open(initial, 1)?;
        while !level.patterns.is_empty() {
            let depth = self.counted.levels.len() as u32;
            let closing = self.limits.max_depth == Some(depth);
            let mut figures = Figures::new(self.program);
            for batch in level.patterns.chunks(BATCH) {
                let expanded = self.expand(batch, depth);
                for chunk in &expanded {
                    if chunk.wrong {
                        // The orbit space would have said so, unless a limit ended it before.
                        self.counted.reason = guide.incomplete;
                        assert!(guide.incomplete.is_some(), "the concrete space meets what the orbit space did not");
                    }
                    figures.merge(&chunk.figures);
                }
                if !closing && self.may_go_on() {
                    let marks = self.number(&expanded, &mut next)?;
                    if self.may_go_on() {
                        self.mark(batch, &marks, &next);
                    }
                }
                self.report(&level, &next, figures.generated);
            }
            if !self.may_go_on() {
                break;
            }
            next.check_all_reached();
            self.counted.levels.push((level.states, figures.generated));
            self.counted.figures.merge(&figures);
            std::mem::swap(&mut level, &mut next);
            next.patterns.clear();
            next.bits.clear();
            next.states = 0;
        }
        self.counted.check_totals(guide);
        Ok(self.counted)
    }

    /// Looks at the clock and the limits.
    fn may_go_on(&mut self) -> bool {
        self.counted.reason = self.counted.reason.or_else(|| self.watch.interruption());
        self.counted.reason.is_none()
    }

    fn expand(&self, batch: &[Pattern<W>], depth: u32) -> Vec<Expanded<W>> {
        let workspaces = || (self.space.workspace(), self.space.workspace());
        let chunks = batch.par_chunks(CHUNK).enumerate();
        let expanded = chunks.map_init(workspaces, |(workspace, scratch), (at, chunk)| {
            let mut expanded = Expanded { figures: Figures::new(self.program), steps: Vec::new(), wrong: false };
            for (pattern, source) in chunk.iter().zip((at * CHUNK) as u32..) {
                self.expand_one(pattern, source, depth, &mut expanded, workspace, scratch);
            }
            expanded
        });
        expanded.collect()
    }

    #[inline]
    fn expand_one(
        &self,
        pattern: &Pattern<W>,
        source: u32,
        depth: u32,
        expanded: &mut Expanded<W>,
        workspace: &mut ConcreteWorkspace<W>,
        scratch: &mut ConcreteWorkspace<W>,
    ) {
        let Expanded { figures, steps, wrong } = expanded;
        let (space, predicates, size) = (self.space, &self.predicates, pattern.size);
        space.load(&pattern.representative, workspace);
        let see = |seen: &mut Seen| *seen = Seen { states: seen.states + size, depth: Some(depth) };
        for (disjuncts, seen) in predicates.invariants.iter().zip(&mut figures.invariants) {
            Predicates::any_holds(space, disjuncts, workspace).then(|| see(seen));
        }
        for (disjuncts, seen) in predicates.expectations.iter().zip(&mut figures.expectations) {
            Predicates::any_holds(space, disjuncts, workspace).then(|| see(seen));
        }
        figures.explored += size;
        let mut outcome = predicates.fatal_outcome(space, workspace);
        let mut fired = 0;
        if outcome.is_none() {
            let fire = |rule: RuleId| {
                figures.rules[rule.index()] += size;
                fired += 1;
                *wrong |= self.program.rule(rule).trap.is_some();
            };
            self.patterns.steps(workspace, scratch, fire, |step| steps.push((source, step)));
            if fired == 0 {
                outcome = predicates.outcome(space, workspace);
                *wrong |= outcome.is_none();
            }
        }
        figures.generated += fired * size;
        if let Some(outcome) = outcome {
            see(&mut figures.outcomes[outcome]);
        }
    }

    /// Looks up what the steps lead to; returns those that lead to the next level, with their places in it.
    fn number<'e>(
        &mut self,
        expanded: &'e [Expanded<W>],
        next: &mut Level<W>,
    ) -> Result<Vec<Mark<'e, W>>, TryReserveError> {
        let mut scratch = self.space.workspace();
        let mut marks = Vec::new();
        self.step_bytes = expanded.iter().map(|chunk| chunk.steps.capacity() * size_of::<(u32, Step<W>)>()).sum();
        for (source, step) in expanded.iter().flat_map(|chunk| &chunk.steps) {
            let first_of_next = (self.numbers.len() - next.patterns.len()) as u32;
            let number = match self.numbers.entry(step.pattern) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(vacant) => {
                    let size = self.patterns.size(&step.pattern, &mut scratch).unwrap_or(u64::MAX);
                    self.found = self.found.saturating_add(size);
                    if let Some(limit) = self.limits.max_states.filter(|limit| self.found > *limit) {
                        self.counted.reason = Some(Reason::MaxStates(limit));
                        break;
                    }
                    let bytes = (size / 8).saturating_add(next.bytes() as u64);
                    if let Some(limit) = self.limits.max_memory.filter(|limit| bytes > *limit) {
                        self.counted.reason = Some(Reason::MaxMemory(limit));
                        break;
                    }
                    next.open(step.pattern, size)?;
                    *vacant.insert(first_of_next + next.patterns.len() as u32 - 1)
                }
            };
            if let Some(target) = number.checked_sub(first_of_next) {
                marks.push(Mark { source: *source, step, target });
            }
        }
        Ok(marks)
    }

    fn mark(&self, batch: &[Pattern<W>], marks: &[Mark<'_, W>], next: &Level<W>) {
        let is_over = || self.watch.interruption().is_some();
        marks.par_iter().for_each_init(
            || self.space.workspace(),
            |scratch, Mark { source, step, target }| {
                if is_over() {
                    return;
                }
                let source = &batch[*source as usize];
                let bits = next.bits_of(&next.patterns[*target as usize]);
                let taken = self.patterns.mark(&source.representative, step, bits, scratch, &is_over);
                assert!(is_over() || taken == source.size * u64::from(step.cpus), "a step for each state and CPU");
            },
        );
    }

    /// Adds up the memory, looks at its limit and tells the monitor.
    fn report(&mut self, level: &Level<W>, next: &Level<W>, generated: u64) {
        let numbers = self.numbers.capacity() * (size_of::<([u64; W], u32)>() + 1) * 8 / 7;
        let bytes = numbers + level.bytes() + next.bytes() + self.step_bytes;
        let counted = &mut self.counted;
        counted.peak_bytes = counted.peak_bytes.max(bytes);
        if let Some(limit) = self.limits.max_memory.filter(|limit| bytes as u64 > *limit) {
            counted.reason = counted.reason.or(Some(Reason::MaxMemory(limit)));
        }
        self.watch.monitor.report(Progress {
            depth: counted.levels.len() as u64,
            explored: self.found,
            generated: counted.figures.generated + generated,
            frontier: next.states,
            memory_bytes: bytes as u64,
            elapsed: self.watch.elapsed(),
            ..Progress::default()
        });
    }
}

/// A step into the next level, by the place of its source in the batch and of its target in the level.
struct Mark<'e, const W: usize> {
    source: u32,
    step: &'e Step<W>,
    target: u32,
}

impl Counted {
    fn check_totals(&self, guide: &Exploration) {
        if self.reason.or(guide.incomplete).is_none() {
            let totals = (UBig::from(self.figures.explored), UBig::from(self.figures.generated));
            assert!(totals == (guide.states.clone(), guide.transitions.clone()), "the two spaces differ in their size");
        }
    }

    /// Everything but what the caller knows better; `guide` explored the orbit space under the same limits.
    pub(crate) fn exploration(&self, guide: &Exploration) -> Exploration {
        let Figures { explored, generated, rules, outcomes, invariants, expectations } = &self.figures;
        let predicates = |seen: &[Seen], rows: &[PredicateRow]| {
            let row = |(seen, guide): (&Seen, &PredicateRow)| PredicateRow {
                states: seen.states.into(),
                shortest_steps: seen.depth,
                schedule: seen.depth.and_then(|depth| guided(depth, guide.shortest_steps, guide.schedule.as_ref())),
            };
            seen.iter().zip(rows).map(row).collect()
        };
        let outcome = |(at, seen): (usize, &Seen)| {
            let shortest_steps = seen.depth?;
            let row = guide.outcomes.iter().find(|row| row.outcome == at);
            Some(OutcomeRow {
                outcome: at,
                terminal_states: seen.states.into(),
                shortest_steps,
                schedule: row.and_then(|row| guided(shortest_steps, Some(row.shortest_steps), row.schedule.as_ref())),
                ..OutcomeRow::default()
            })
        };
        let level = |(states, generated): &(u64, u64)| LevelRow {
            explored: *states,
            states: (*states).into(),
            generated: *generated,
        };
        Exploration {
            incomplete: self.reason.or(guide.incomplete),
            states: (*explored).into(),
            transitions: (*generated).into(),
            explored: *explored,
            generated: *generated,
            depth: (self.levels.len() as u32).saturating_sub(1),
            memory_bytes: (self.peak_bytes as u64).max(guide.memory_bytes),
            outcomes: outcomes.iter().enumerate().filter_map(outcome).collect(),
            invariants: predicates(invariants, &guide.invariants),
            expectations: predicates(expectations, &guide.expectations),
            levels: self.levels.iter().map(level).collect(),
            rules: rules.iter().map(|fired| RuleRow { fired: *fired, transitions: (*fired).into() }).collect(),
            ..Exploration::default()
        }
    }
}

/// The schedule of the orbit space, which must be as short; none if a limit kept it from being found.
fn guided(depth: u32, guide: Option<u32>, schedule: Option<&String>) -> Option<String> {
    if let Some(guide) = guide {
        assert_eq!(guide, depth, "the two spaces differ in the depth of what they found");
    }
    schedule.cloned()
}
