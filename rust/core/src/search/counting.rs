//! Breadth-first search that keeps states and nothing else: no ids, no parents, no transitions.
//!
//! For the concrete space when no measures are wanted: its states are many and small, and counting them is all there is
//! to do. A level is cut into blocks; threads take blocks, expand them, and insert the successors into one shared table.
//! Which thread finds a state first is a matter of chance, but the set of states of each level is not, and every figure
//! is a sum over it.
//!
//! Every transition is counted, few are taken: a step that commutes with the one before it sleeps ([`Coded`] says when), so
//! that most states are found once. A successor waits in a short queue between the prefetch of its slot and its look-up,
//! so that cache misses overlap. Many of those that are found again are so within a short time, from the neighbours of
//! their first source: a small cache of the last ones spares their look-ups.
//!
//! The orbit space is explored before. It says how many states there will be, so that the table has the right size from the
//! start and never grows; which words occur, so that a state is short ([`Codebook`]); and how to get to what was found, by
//! traces whose depths are checked here. What it says is never taken for granted: a state that it did not
//! foresee, or a number that differs, is reported as a defect of the engine.
//!
//! Invariant: what is reported is the sum over completed levels. A limit that is hit in the middle of a level drops that
//! level's figures, so that an incomplete answer does not depend on chance either, unless clock or memory decided.
//!
//! Rejected: parents, which double the memory and make every insertion wait for an id; asking for the slots of a whole queue
//! at once, which keeps the look-ups before it waiting.
//!
//! [`Codebook`]: crate::space::Codebook

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use dashu_int::UBig;
use rayon::prelude::*;

use crate::compact_set::{self, CompactSet, Mixed};
use crate::exploration::{Exploration, LevelRow, OutcomeRow, PredicateRow, RuleRow};
use crate::limits::{Limits, Reason, Watch};
use crate::program::Program;
use crate::progress::{Plan, Progress};
use crate::space::{Coded, CodedWorkspace, Last, Packed};

/// Sources that a thread takes at a time.
const BLOCK: usize = 4096;
/// Successors between prefetch and look-up, at least.
const QUEUE: usize = 32;
/// Free slots that a thread takes at a time.
const QUOTA: i64 = 512;
/// Successors that a thread remembers: what its second-level cache holds.
const RECENT: usize = 1 << 13;

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

/// What the search found.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) figures: Figures,
    /// States and generated transitions of each completed level.
    pub(crate) levels: Vec<(u64, u64)>,
    pub(crate) reason: Option<Reason>,
    pub(crate) peak_bytes: usize,
}

/// How many states the table will hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) states: usize,
    /// What to say if there are more; none if there cannot be.
    pub(crate) beyond: Option<Reason>,
}

impl Room {
    /// Room for all states that the orbit space stands for, as far as the limits allow.
    pub(crate) fn new<S: Packed>(coded: &Coded<S>, guide: &Exploration, limits: Limits) -> Self {
        let total = u64::try_from(&guide.states).unwrap_or(u64::MAX);
        let mut room = Self { states: usize::try_from(total).unwrap_or(usize::MAX), beyond: guide.incomplete };
        if let Some(limit) = limits.max_states.filter(|limit| *limit < total) {
            room = Self { states: limit as usize, beyond: Some(Reason::MaxStates(limit)) };
        }
        if let Some(limit) = limits.max_memory {
            let left = (limit as usize).saturating_sub(coded.bytes() + frontier_bytes::<S>(guide, room.states));
            let fitting = compact_set::states_in(left, coded.bits());
            if fitting < room.states {
                room = Self { states: fitting, beyond: Some(Reason::MaxMemory(limit)) };
            }
        }
        room
    }
}

/// What the search will need, frontier included.
pub(crate) fn plan<S: Packed>(coded: &Coded<S>, guide: &Exploration, room: Room) -> Plan {
    let bytes = compact_set::bytes_for(room.states, coded.bits()) + frontier_bytes::<S>(guide, room.states);
    Plan {
        state_bits: u64::from(coded.bits()),
        bytes_per_state: bytes.div_ceil(room.states.max(1)) as u64,
        expected_states: Some(room.states as u64),
    }
}

/// Two levels, the largest next to each other, as far as there is room for their states.
fn frontier_bytes<S: Packed>(guide: &Exploration, most: usize) -> usize {
    let width = |level: &LevelRow| usize::try_from(&level.states).unwrap_or(usize::MAX).min(most);
    let pairs = guide.levels.windows(2).map(|pair| width(&pair[0]).saturating_add(width(&pair[1])));
    pairs.max().unwrap_or(1).saturating_mul(size_of::<(S, Last)>())
}

impl Counted {
    /// Everything but what the caller knows better; `guide` explored the orbit space under the same limits.
    pub(crate) fn exploration(&self, guide: &Exploration) -> Exploration {
        let Figures { explored, generated, rules, outcomes, invariants, expectations } = &self.figures;
        if self.reason.or(guide.incomplete).is_none() {
            let totals = (UBig::from(*explored), UBig::from(*generated));
            assert!(totals == (guide.states.clone(), guide.transitions.clone()), "the two spaces differ in their size");
        }
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
            incomplete: self.reason.or(guide.incomplete),
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
            responses: Vec::new(),
            prices: Vec::new(),
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

/// One thread's part, which shares no cache line, nor the next that comes with it, with another's.
#[repr(align(128))]
struct Worker<S> {
    workspace: CodedWorkspace<S>,
    /// The last successors, each in the place that its mixed form names.
    recent: Vec<S>,
    /// Successors that may be new, whose slots have been asked for,
    queue: Vec<Successor<S>>,
    /// and those before them.
    waiting: Vec<Successor<S>>,
    /// New states,
    next: Vec<Block<S>>,
    /// and blocks to use again.
    spare: Vec<Block<S>>,
    quota: i64,
    figures: Figures,
    unforeseen: bool,
    full: bool,
}

#[derive(Debug, Clone, Copy)]
struct Successor<S> {
    state: S,
    mixed: Mixed,
    last: Last,
}

/// Some states of a level, and the step that each was found by.
type Block<S> = Vec<(S, Last)>;

/// One level to be expanded.
struct Level<'s, S, const M: usize> {
    coded: &'s Coded<S>,
    set: &'s CompactSet<M>,
    free: &'s AtomicI64,
    blocks: Mutex<Vec<Block<S>>>,
    /// Successors are counted, not stored: the limit on depth.
    closing: bool,
    watch: &'s Watch<'s>,
}

/// Counts all states that can be reached from `initial`.
pub(crate) fn count<S: Packed>(
    program: &Program,
    coded: &Coded<S>,
    initial: S,
    room: Room,
    limits: Limits,
    watch: &Watch<'_>,
) -> std::io::Result<Counted> {
    let count = match compact_set::words(room.states, coded.bits()) {
        0 => count_in::<S, 0>,
        1 => count_in::<S, 1>,
        _ => count_in::<S, 2>,
    };
    count(program, coded, initial, room, limits, watch)
}

/// Counts all states that can be reached from `initial`, in a table with `M` words beside the cell.
fn count_in<S: Packed, const M: usize>(
    program: &Program,
    coded: &Coded<S>,
    initial: S,
    room: Room,
    limits: Limits,
    watch: &Watch<'_>,
) -> std::io::Result<Counted> {
    let mut counted = Counted { figures: Figures::new(program), levels: Vec::new(), reason: None, peak_bytes: 0 };
    if room.states == 0 {
        counted.reason = room.beyond;
        return Ok(counted);
    }
    // Each thread may leave some of its slots unused.
    let slack = rayon::current_num_threads() * QUOTA as usize;
    let set = CompactSet::<M>::new(room.states + slack)?;
    set.insert(Mixed::new(initial));
    let free = AtomicI64::new((room.states + slack) as i64 - 1);
    let mut workers: Vec<Worker<S>> = (0..rayon::current_num_threads()).map(|_| Worker::new(program, coded)).collect();
    let (mut frontier, mut found, mut stored, mut generated) = (vec![vec![(initial, Last::default())]], 1, 1, 0);
    while found > 0 {
        let depth = counted.levels.len() as u32;
        frontier.reverse();
        let closing = limits.max_depth == Some(depth);
        let level = Level { coded, set: &set, free: &free, blocks: Mutex::new(frontier), closing, watch };
        workers.par_iter_mut().for_each(|worker| worker.run(&level));
        let blocks: usize = workers.iter().map(|worker| worker.next.len() + worker.spare.len()).sum();
        let bytes = set.bytes() + coded.bytes() + blocks * BLOCK * size_of::<(S, Last)>();
        counted.peak_bytes = counted.peak_bytes.max(bytes);
        let next: u64 = workers.iter().flat_map(|worker| &worker.next).map(|block| block.len() as u64).sum();
        // Beyond a limit, what comes is more than there is room for, or than the orbit space has seen.
        let beyond =
            stored + next > room.states as u64 || workers.iter().any(|worker| worker.full || worker.unforeseen);
        assert!(!beyond || room.beyond.is_some(), "a concrete state that the orbit space did not foresee");
        counted.reason = watch.interruption().or(room.beyond.filter(|_| beyond));
        if counted.reason.is_some() {
            break;
        }
        for worker in &mut workers {
            counted.figures.merge(&worker.figures, depth);
            worker.figures.clear();
        }
        counted.levels.push((found, counted.figures.generated - generated));
        generated = counted.figures.generated;
        frontier = workers.iter_mut().flat_map(|worker| std::mem::take(&mut worker.next)).collect();
        found = next;
        stored += found;
        watch.monitor.report(Progress {
            depth: u64::from(depth),
            explored: stored,
            generated: counted.figures.generated,
            frontier: found,
            memory_bytes: counted.peak_bytes as u64,
            elapsed: watch.elapsed(),
            ..Progress::default()
        });
    }
    Ok(counted)
}

impl<S: Packed> Worker<S> {
    fn new(program: &Program, coded: &Coded<S>) -> Self {
        Self {
            workspace: coded.workspace(),
            recent: vec![S::NONE; RECENT],
            queue: Vec::with_capacity(2 * QUEUE),
            waiting: Vec::with_capacity(2 * QUEUE),
            next: Vec::new(),
            spare: Vec::new(),
            quota: 0,
            figures: Figures::new(program),
            unforeseen: false,
            full: false,
        }
    }

    /// Takes blocks until there are none, the table is full, or somebody wants the search to end.
    fn run<const M: usize>(&mut self, level: &Level<'_, S, M>) {
        while !self.full && level.watch.interruption().is_none() {
            let block = level.blocks.lock().map(|mut blocks| blocks.pop());
            let Ok(Some(mut block)) = block else { break };
            for (source, last) in &block {
                self.expand(level, *source, *last);
            }
            block.clear();
            self.spare.push(block);
        }
        self.take_turns(level);
        self.look_up(level);
    }

    #[inline]
    fn expand<const M: usize>(&mut self, level: &Level<'_, S, M>, source: S, last: Last) {
        let Self { workspace, recent, queue, figures, .. } = self;
        let Figures { explored, generated, rules, outcomes, invariants, expectations } = figures;
        let coded = level.coded;
        coded.load(source, workspace);
        *explored += 1;
        let fatal = coded.check(workspace, |at| invariants[at].states += 1, |at| expectations[at].states += 1);
        let (mut all_fired, mut known) = (0, true);
        if !fatal {
            let fired = |rule: usize, actors: u32| {
                all_fired += u64::from(actors);
                rules[rule] += u64::from(actors);
            };
            let next = |state: S, last: Last| {
                let mixed = Mixed::new(state);
                let known = &mut recent[(mixed.lead >> (u64::BITS - RECENT.ilog2())) as usize];
                // Which it is cannot be predicted, so there is no branch.
                let is_known = *known == state;
                *known = state;
                level.set.prefetch(if is_known { Mixed::default() } else { mixed });
                queue.push(Successor { state, mixed, last });
                queue.truncate(queue.len() - usize::from(is_known));
            };
            known = coded.successors(workspace, last, fired, next);
        }
        *generated += all_fired;
        if all_fired == 0 {
            match coded.outcome(workspace) {
                Some(outcome) => outcomes[outcome].states += 1,
                None => known = false,
            }
        }
        if level.closing {
            // The orbit space was closed at the same depth: it cannot know what comes next.
            queue.clear();
            return;
        }
        self.unforeseen |= !known;
        if self.queue.len() >= QUEUE {
            self.take_turns(level);
        }
    }

    /// Looks up the successors that have waited, and lets the queue wait.
    #[inline]
    fn take_turns<const M: usize>(&mut self, level: &Level<'_, S, M>) {
        self.look_up(level);
        std::mem::swap(&mut self.queue, &mut self.waiting);
    }

    #[inline]
    fn look_up<const M: usize>(&mut self, level: &Level<'_, S, M>) {
        for Successor { state, mixed, last } in &self.waiting {
            if self.quota == 0 && !level.has_room(&mut self.quota) {
                self.full = true;
                break;
            }
            if level.set.insert(*mixed) {
                self.quota -= 1;
                match self.next.last_mut() {
                    Some(block) if block.len() < BLOCK => block.push((*state, *last)),
                    _ => {
                        let mut block = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK));
                        block.push((*state, *last));
                        self.next.push(block);
                    }
                }
            }
        }
        self.waiting.clear();
    }
}

impl<S, const M: usize> Level<'_, S, M> {
    /// Takes free slots for a thread.
    fn has_room(&self, quota: &mut i64) -> bool {
        let taken = QUOTA.min(self.free.fetch_sub(QUOTA, Relaxed));
        *quota = taken.max(0);
        taken > 0
    }
}
