//! Breadth-first search that keeps states and nothing else: no ids, no parents, no transitions.
//!
//! For the concrete space when no measures are wanted: its states are many and small, and counting them is all there is
//! to do. A level is cut into blocks; threads take blocks, expand them, and insert the successors into one shared table.
//! Which thread finds a state first is a matter of chance, but the set of states of each level is not, and every figure
//! is a sum over it.
//!
//! A successor waits in a short queue between the prefetch of its slot and its look-up, so that cache misses overlap.
//!
//! Invariant: what is reported is the sum over completed levels. A limit that is hit in the middle of a level drops that
//! level's figures, so that an incomplete answer does not depend on chance either, unless clock or memory decided.
//!
//! Traces come from the orbit space, whose levels are as deep (`super::explore` checks that they are). Rejected: parents,
//! which double the memory and make every insertion wait for an id.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rayon::prelude::*;

use super::predicates::Predicates;
use crate::exploration::{Exploration, LevelRow, OutcomeRow, PredicateRow, RuleRow};
use crate::inline_set::{InlineSet, hash};
use crate::limits::{Limits, Reason, Watch};
use crate::program::Program;
use crate::progress::Progress;
use crate::space::Space;

/// Sources that a thread takes at a time.
const BLOCK: usize = 256;
/// Successors between prefetch and look-up.
const QUEUE: usize = 64;
/// Free slots that a thread takes at a time.
const QUOTA: i64 = 512;
/// Slots at the start.
const FIRST_SLOTS: usize = 1 << 16;

/// Figures of some levels.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) explored: u64,
    pub(crate) generated: u64,
    pub(crate) rules: Vec<u64>,
    pub(crate) outcomes: Vec<Seen>,
    pub(crate) invariants: Vec<Seen>,
    pub(crate) expectations: Vec<Seen>,
}

/// How many states, and at what depth the first.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) states: u64,
    pub(crate) depth: Option<u32>,
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

    fn clear(&mut self) {
        self.explored = 0;
        self.generated = 0;
        self.rules.fill(0);
        for seen in self.outcomes.iter_mut().chain(&mut self.invariants).chain(&mut self.expectations) {
            seen.states = 0;
        }
    }

    /// Adds the figures of a worker at one depth.
    fn merge(&mut self, level: &Self, depth: u32) {
        self.explored += level.explored;
        self.generated += level.generated;
        self.rules.iter_mut().zip(&level.rules).for_each(|(all, fired)| *all += fired);
        let all = self.outcomes.iter_mut().chain(&mut self.invariants).chain(&mut self.expectations);
        let new = level.outcomes.iter().chain(&level.invariants).chain(&level.expectations);
        for (all, new) in all.zip(new).filter(|(_, new)| new.states > 0) {
            all.states += new.states;
            all.depth = all.depth.or(Some(depth));
        }
    }
}

impl Figures {
    /// The depth at which the last of what has a trace was found.
    pub(crate) fn deepest(&self) -> Option<u32> {
        let all = self.outcomes.iter().chain(&self.invariants).chain(&self.expectations);
        all.filter_map(|seen| seen.depth).max().or(Some(0))
    }
}

/// What the search found.
pub(crate) struct Counted {
    pub(crate) figures: Figures,
    /// States and generated transitions of each completed level.
    pub(crate) levels: Vec<(u64, u64)>,
    pub(crate) reason: Option<Reason>,
    /// A trap is enabled, or a terminal state has no outcome: a linked search will say where.
    pub(crate) failed: bool,
    pub(crate) peak_bytes: usize,
}

impl Counted {
    /// Everything but what the caller knows better; `guide` explored the orbit space as deep as there are traces.
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
                explored_terminals: seen.states,
                interleavings: None,
                log10_interleavings: None,
                interleaving_share: None,
                probability: None,
                shortest_steps,
                schedule: row.and_then(|row| guided(shortest_steps, Some(row.shortest_steps), row.schedule.as_ref())),
            })
        };
        let level = |(states, generated): &(u64, u64)| LevelRow {
            explored: *states,
            states: (*states).into(),
            generated: *generated,
        };
        Exploration {
            incomplete: self.reason,
            states: (*explored).into(),
            transitions: (*generated).into(),
            explored: *explored,
            generated: *generated,
            depth: (self.levels.len() as u32).saturating_sub(1),
            state_bits: 0,
            memory_bytes: (self.peak_bytes as u64).max(guide.memory_bytes),
            elapsed: Duration::ZERO,
            threads: 0,
            measured: None,
            outcomes: outcomes.iter().enumerate().filter_map(outcome).collect(),
            invariants: predicates(invariants, &guide.invariants),
            expectations: predicates(expectations, &guide.expectations),
            levels: self.levels.iter().map(level).collect(),
            rules: rules.iter().map(|fired| RuleRow { fired: *fired, transitions: (*fired).into() }).collect(),
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

/// One thread's part.
struct Worker<S: Space, const W: usize> {
    workspace: S::Workspace,
    /// Successors that wait for their look-up.
    queue: Vec<([u64; W], u64)>,
    /// New states.
    next: Vec<[u64; W]>,
    quota: i64,
    figures: Figures,
    failed: bool,
}

struct Shared<'s, S: Space, const W: usize> {
    program: &'s Program,
    space: &'s S,
    predicates: &'s Predicates<S>,
    traps: Vec<bool>,
    set: InlineSet<W>,
    free: AtomicI64,
    watch: &'s Watch<'s>,
}

/// Counts all states that can be reached from `initial`. `S::STRIDE` is `W`, and the highest bit of each word is free.
pub(crate) fn count<S: Space, const W: usize>(
    program: &Program,
    space: &S,
    predicates: &Predicates<S>,
    initial: [u64; W],
    limits: Limits,
    watch: &Watch<'_>,
) -> std::io::Result<Counted> {
    let set = InlineSet::new(FIRST_SLOTS)?;
    let free = AtomicI64::new(set.capacity() as i64 - 1);
    let traps = program.rules.iter().map(|rule| rule.trap.is_some()).collect();
    let mut shared = Shared { program, space, predicates, traps, set, free, watch };
    shared.set.insert(&initial, hash(&initial));
    let mut workers: Vec<Worker<S, W>> = (0..rayon::current_num_threads()).map(|_| Worker::new(&shared)).collect();
    let mut counted =
        Counted { figures: Figures::new(program), levels: Vec::new(), reason: None, failed: false, peak_bytes: 0 };
    let mut frontier = vec![vec![initial]];
    let mut stored: u64 = 1;
    while counted.reason.is_none() && frontier.iter().any(|part| !part.is_empty()) {
        let depth = counted.levels.len() as u32;
        counted.reason = level(&mut shared, &mut workers, &frontier, limits, &mut counted.peak_bytes);
        counted.failed |= workers.iter().any(|worker| worker.failed);
        if counted.reason.is_some() || counted.failed {
            break;
        }
        let before = (counted.figures.explored, counted.figures.generated);
        for worker in &mut workers {
            counted.figures.merge(&worker.figures, depth);
            worker.figures.clear();
        }
        counted.levels.push((counted.figures.explored - before.0, counted.figures.generated - before.1));
        // The old parts are used again: a frontier costs its two levels, not more.
        let next = workers.iter_mut().map(|worker| std::mem::take(&mut worker.next)).collect();
        for (worker, mut part) in workers.iter_mut().zip(std::mem::replace(&mut frontier, next)) {
            part.clear();
            worker.next = part;
        }
        let found: u64 = frontier.iter().map(|part| part.len() as u64).sum();
        stored += found;
        watch.monitor.report(Progress {
            depth: u64::from(depth),
            explored: stored,
            generated: counted.figures.generated,
            frontier: found,
            memory_bytes: counted.peak_bytes as u64,
            elapsed: watch.elapsed(),
        });
        if found > 0 && limits.max_depth == Some(depth) {
            counted.reason = Some(Reason::MaxDepth(depth));
        }
        if let Some(limit) = limits.max_states.filter(|limit| stored > *limit) {
            counted.reason = Some(Reason::MaxStates(limit));
        }
    }
    Ok(counted)
}

/// Expands one level; the new states are in the workers afterwards.
fn level<S: Space, const W: usize>(
    shared: &mut Shared<'_, S, W>,
    workers: &mut [Worker<S, W>],
    frontier: &[Vec<[u64; W]>],
    limits: Limits,
    peak_bytes: &mut usize,
) -> Option<Reason> {
    let blocks: Vec<&[[u64; W]]> = frontier.iter().flat_map(|part| part.chunks(BLOCK)).collect();
    let cursor = AtomicUsize::new(0);
    loop {
        workers.par_iter_mut().for_each(|worker| worker.run(shared, &blocks, &cursor));
        let states = |parts: usize| parts * size_of::<[u64; W]>();
        let of_frontier: usize = frontier.iter().map(|part| states(part.capacity())).sum();
        let of_workers: usize = workers.iter().map(|worker| states(worker.next.capacity())).sum();
        let bytes = shared.set.bytes() + of_frontier + of_workers;
        *peak_bytes = (*peak_bytes).max(bytes);
        if let Some(reason) = shared.watch.interruption() {
            return Some(reason);
        }
        let waiting = workers.iter().any(|worker| !worker.queue.is_empty());
        if workers.iter().any(|worker| worker.failed) || (!waiting && cursor.load(Relaxed) >= blocks.len()) {
            return None;
        }
        // The table is full. Growing holds both for a while.
        let larger = shared.set.next_slots() * states(1);
        let too_much = limits.max_memory.filter(|limit| (bytes + larger) as u64 > *limit);
        let before = shared.set.capacity();
        *peak_bytes = (*peak_bytes).max(bytes + larger);
        if too_much.is_some() || shared.set.grow().is_err() {
            return Some(Reason::MaxMemory(limits.max_memory.unwrap_or(*peak_bytes as u64)));
        }
        shared.free.fetch_add((shared.set.capacity() - before) as i64, Relaxed);
    }
}

impl<S: Space, const W: usize> Worker<S, W> {
    fn new(shared: &Shared<'_, S, W>) -> Self {
        Self {
            workspace: shared.space.workspace(),
            queue: Vec::with_capacity(4 * QUEUE),
            next: Vec::new(),
            quota: 0,
            figures: Figures::new(shared.program),
            failed: false,
        }
    }

    /// Takes blocks until there are none, the table is full, or somebody wants the search to end.
    fn run(&mut self, shared: &Shared<'_, S, W>, blocks: &[&[[u64; W]]], cursor: &AtomicUsize) {
        while self.flush(shared) && !self.failed && shared.watch.interruption().is_none() {
            let Some(block) = blocks.get(cursor.fetch_add(1, Relaxed)) else { return };
            for source in *block {
                self.expand(shared, source);
                if self.queue.len() >= QUEUE {
                    // When the table is full, the queue simply gets longer until the end of the block.
                    self.flush(shared);
                }
            }
        }
    }

    fn expand(&mut self, shared: &Shared<'_, S, W>, source: &[u64; W]) {
        let Self { workspace, queue, figures, failed, .. } = self;
        shared.space.load(source, workspace);
        figures.explored += 1;
        let predicates = shared.predicates;
        for (invariant, seen) in predicates.invariants.iter().zip(&mut figures.invariants) {
            seen.states += u64::from(Predicates::any_holds(shared.space, invariant, workspace));
        }
        for (expectation, seen) in predicates.expectations.iter().zip(&mut figures.expectations) {
            seen.states += u64::from(Predicates::any_holds(shared.space, expectation, workspace));
        }
        if let Some(outcome) = predicates.fatal_outcome(shared.space, workspace) {
            figures.outcomes[outcome].states += 1;
            return;
        }
        let before = queue.len();
        shared.space.successors(workspace, |packed, rule, _| {
            let mut state = [0; W];
            state.copy_from_slice(packed);
            let hash = hash(&state);
            shared.set.prefetch(hash);
            *failed |= shared.traps[rule.index()];
            figures.rules[rule.index()] += 1;
            queue.push((state, hash));
        });
        figures.generated += (queue.len() - before) as u64;
        if queue.len() == before {
            match predicates.outcome(shared.space, workspace) {
                Some(outcome) => figures.outcomes[outcome].states += 1,
                None => *failed = true,
            }
        }
    }

    /// Looks up the queue; false when the table is full before the end of it.
    #[inline]
    fn flush(&mut self, shared: &Shared<'_, S, W>) -> bool {
        let mut done = 0;
        while done < self.queue.len() && self.has_room(shared) {
            let (state, hash) = &self.queue[done];
            if shared.set.insert(state, *hash) {
                self.next.push(*state);
                self.quota -= 1;
            }
            done += 1;
        }
        let all = done == self.queue.len();
        self.queue.drain(..done);
        all
    }

    #[inline]
    fn has_room(&mut self, shared: &Shared<'_, S, W>) -> bool {
        if self.quota > 0 {
            return true;
        }
        if shared.free.fetch_sub(QUOTA, Relaxed) >= QUOTA {
            self.quota = QUOTA;
            return true;
        }
        shared.free.fetch_add(QUOTA, Relaxed);
        false
    }
}
