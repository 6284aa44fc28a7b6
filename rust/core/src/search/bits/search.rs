//! Levels, one after the other: see [`super`] for the stages of a level.

use std::collections::TryReserveError;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use rayon::prelude::*;

use super::level::{Level, Pattern};
use super::pattern::{Patterns, Step};
use super::totals::{Figures, Totals};
use crate::exploration::Exploration;
use crate::limits::{Limits, Reason, Watch};
use crate::program::{Program, RuleId};
use crate::progress::Progress;
use crate::search::predicates::Predicates;
use crate::space::{Concrete, ConcreteWorkspace, Space};

/// Patterns that are expanded before their steps are numbered and marked: limits are looked at so often.
const BATCH: usize = 1 << 14;
/// Patterns that a thread takes at a time.
const CHUNK: usize = 64;

/// The figures and steps of some patterns.
struct Expanded<const W: usize> {
    figures: Figures,
    /// Steps by source, counted from the first of the batch.
    steps: Vec<(u32, Step<W>)>,
    /// Whether some state is terminal and has no outcome, or a rule with a trap is enabled.
    wrong: bool,
}

/// A step into the next level, by the place of its source in the batch and of its target in the level.
struct Mark<'e, const W: usize> {
    source: u32,
    step: &'e Step<W>,
    target: u32,
}

/// A search under way.
pub(super) struct BitSearch<'s, const W: usize> {
    program: &'s Program,
    space: &'s Concrete<W>,
    patterns: Patterns<'s, W>,
    predicates: Predicates<Concrete<W>>,
    limits: Limits,
    watch: &'s Watch<'s>,
    /// All patterns by their representatives, numbered in the order in which they were found. The patterns of the next
    /// level have the highest numbers.
    numbers: HashMap<[u64; W], u32, FixedState>,
    totals: Totals,
    /// States found, those of the next level included.
    found: u64,
    /// Bytes of the steps of a batch, and of their marks.
    step_bytes: usize,
}

impl<'s, const W: usize> BitSearch<'s, W> {
    pub(super) fn new(
        program: &'s Program,
        space: &'s Concrete<W>,
        patterns: Patterns<'s, W>,
        limits: Limits,
        watch: &'s Watch<'s>,
    ) -> Self {
        Self {
            program,
            space,
            patterns,
            predicates: Predicates::new(program, space),
            limits,
            watch,
            numbers: HashMap::default(),
            totals: Totals::new(program),
            found: 1,
            step_bytes: 0,
        }
    }

    /// Counts all states that can be reached from `initial`, which is alone in its pattern, since CPUs of a class start out
    /// equal. `orbits` is the exploration of the orbit space under the same limits. Fails if the system has no memory.
    pub(super) fn run(mut self, initial: [u64; W], orbits: &Exploration) -> Result<Totals, TryReserveError> {
        self.numbers.insert(initial, 0);
        let (mut level, mut next) = (Level::new(), Level::new());
        level.open(initial, 1)?;
        while !level.patterns.is_empty() {
            let figures = self.find_next(&level, &mut next, orbits)?;
            if !self.may_go_on() {
                break;
            }
            next.check_all_reached();
            self.totals.levels.push((level.states, figures.generated));
            self.totals.figures.merge(&figures);
            std::mem::swap(&mut level, &mut next);
            next.clear();
        }
        self.totals.check(orbits);
        Ok(self.totals)
    }

    /// Expands a level and marks the next one; returns the figures of the level.
    fn find_next(
        &mut self,
        level: &Level<W>,
        next: &mut Level<W>,
        orbits: &Exploration,
    ) -> Result<Figures, TryReserveError> {
        let depth = self.totals.levels.len() as u32;
        let is_last = self.limits.max_depth == Some(depth);
        let mut figures = Figures::new(self.program);
        for batch in level.patterns.chunks(BATCH) {
            let expanded = self.expand(batch, depth);
            for chunk in &expanded {
                if chunk.wrong {
                    // The orbit space would have reported it, unless a limit ended its search before.
                    self.totals.reason = orbits.incomplete;
                    assert!(orbits.incomplete.is_some(), "the concrete space meets what the orbit space did not");
                }
                figures.merge(&chunk.figures);
            }
            if !is_last && self.may_go_on() {
                let marks = self.number(&expanded, next)?;
                if self.may_go_on() {
                    self.mark(batch, &marks, next);
                }
            }
            self.report(level, next, figures.generated);
        }
        Ok(figures)
    }

    /// Looks at the clock and the limits.
    fn may_go_on(&mut self) -> bool {
        self.totals.reason = self.totals.reason.or_else(|| self.watch.interruption());
        self.totals.reason.is_none()
    }

    /// Stage 1.
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
        let invariants = predicates.invariants.iter().zip(&mut figures.invariants);
        let expectations = predicates.expectations.iter().zip(&mut figures.expectations);
        for (disjuncts, count) in invariants.chain(expectations) {
            if Predicates::any_holds(space, disjuncts, workspace) {
                count.add(size, depth);
            }
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
            figures.outcomes[outcome].add(size, depth);
        }
    }

    /// Stage 2: returns the steps that lead to the next level, with their places in it. Steps to earlier levels have been
    /// counted and need no mark.
    fn number<'e>(
        &mut self,
        expanded: &'e [Expanded<W>],
        next: &mut Level<W>,
    ) -> Result<Vec<Mark<'e, W>>, TryReserveError> {
        let mut scratch = self.space.workspace();
        let mut marks = Vec::new();
        let step_bytes: usize = expanded.iter().map(|chunk| size_of_val(chunk.steps.as_slice())).sum();
        for (source, step) in expanded.iter().flat_map(|chunk| &chunk.steps) {
            let first_of_next = (self.numbers.len() - next.patterns.len()) as u32;
            let number = match self.numbers.entry(step.pattern) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(vacant) => {
                    let size = self.patterns.size(&step.pattern, &mut scratch).unwrap_or(u64::MAX);
                    self.found = self.found.saturating_add(size);
                    self.totals.reason = over_a_limit(&self.limits, self.found, size, next);
                    if self.totals.reason.is_some() {
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
        self.step_bytes = step_bytes + size_of_val(marks.as_slice());
        Ok(marks)
    }

    /// Stage 3.
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
        // hashbrown keeps an eighth of its slots free, and a byte of metadata for each slot.
        let numbers = self.numbers.capacity() * (size_of::<([u64; W], u32)>() + 1) * 8 / 7;
        let bytes = numbers + level.bytes() + next.bytes() + self.step_bytes;
        let totals = &mut self.totals;
        totals.peak_bytes = totals.peak_bytes.max(bytes);
        if let Some(limit) = self.limits.max_memory.filter(|limit| bytes as u64 > *limit) {
            totals.reason = totals.reason.or(Some(Reason::MaxMemory(limit)));
        }
        self.watch.monitor.report(Progress {
            depth: totals.levels.len() as u64,
            explored: self.found,
            generated: totals.figures.generated + generated,
            frontier: next.states,
            memory_bytes: bytes as u64,
            elapsed: self.watch.elapsed(),
            ..Progress::default()
        });
    }
}

/// The limit that a new pattern of `size` states would exceed; `found` includes its states.
fn over_a_limit<const W: usize>(limits: &Limits, found: u64, size: u64, next: &Level<W>) -> Option<Reason> {
    let states = limits.max_states.filter(|limit| found > *limit).map(Reason::MaxStates);
    let bytes = (size / 8).saturating_add(next.bytes() as u64);
    states.or_else(|| limits.max_memory.filter(|limit| bytes > *limit).map(Reason::MaxMemory))
}
