//! Breadth-first search that keeps states and nothing else: no ids, no parents, no transitions.
//!
//! For the concrete space when no measures are wanted: its states are many and small, and counting them is all there is
//! to do. A level is cut into blocks; threads take blocks, expand them, and insert the successors into one shared table.
//! Which thread finds a state first is a matter of chance, but the set of states of each level is not, and every figure
//! is a sum over it.
//!
//! A successor waits in a short queue between the prefetch of its slot and its look-up, so that cache misses overlap.
//! Most successors are found again within a short time, from the neighbours of their first source: a small cache of the
//! last ones spares most of the look-ups.
//!
//! The orbit space is explored before. It says how many states there will be, so that the table has the right size from the
//! start and never grows; which words occur, so that a state is short ([`Codebook`]); and how to get to what was found, by
//! traces whose depths are checked here. What it says is never taken for granted: a state that it did not
//! foresee, or a number that differs, is reported as a defect of the engine.
//!
//! Invariant: what is reported is the sum over completed levels. A limit that is hit in the middle of a level drops that
//! level's figures, so that an incomplete answer does not depend on chance either, unless clock or memory decided.
//!
//! Rejected: parents, which double the memory and make every insertion wait for an id.
//!
//! [`Codebook`]: crate::space::Codebook

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use rayon::prelude::*;

use crate::exploration::{Exploration, LevelRow, OutcomeRow, PredicateRow, RuleRow};
use crate::inline_set::{self, InlineSet, hash};
use crate::limits::{Limits, Reason, Watch};
use crate::program::Program;
use crate::progress::{Plan, Progress};
use crate::space::{Coded, CodedWorkspace};

/// Sources that a thread takes at a time.
const BLOCK: usize = 4096;
/// Successors between prefetch and look-up.
const QUEUE: usize = 64;
/// Free slots that a thread takes at a time.
const QUOTA: i64 = 512;
/// Successors that a thread remembers: what its second-level cache holds.
const RECENT: usize = 1 << 14;
/// No state has all bits set.
const NO_STATE: u128 = u128::MAX;

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
    pub(crate) fn new(coded: &Coded, guide: &Exploration, limits: Limits) -> Self {
        let total = u64::try_from(&guide.states).unwrap_or(u64::MAX);
        let mut room = Self { states: usize::try_from(total).unwrap_or(usize::MAX), beyond: guide.incomplete };
        if let Some(limit) = limits.max_states.filter(|limit| *limit < total) {
            room = Self { states: limit as usize, beyond: Some(Reason::MaxStates(limit)) };
        }
        if let Some(limit) = limits.max_memory {
            let left = (limit as usize).saturating_sub(coded.bytes() + frontier_bytes(guide, room.states));
            let fitting = inline_set::states_in(left, words(coded));
            if fitting < room.states {
                room = Self { states: fitting, beyond: Some(Reason::MaxMemory(limit)) };
            }
        }
        room
    }
}

/// What the search will need, frontier included.
pub(crate) fn plan(coded: &Coded, guide: &Exploration, room: Room) -> Plan {
    let bytes = inline_set::bytes_for(room.states, words(coded)) + frontier_bytes(guide, room.states);
    Plan {
        state_bits: u64::from(coded.bits()),
        bytes_per_state: bytes.div_ceil(room.states.max(1)) as u64,
        expected_states: Some(room.states as u64),
    }
}

/// Words of a state in the table.
pub(crate) fn words(coded: &Coded) -> usize {
    (coded.bits() + inline_set::MARKS).div_ceil(u32::BITS) as usize
}

/// Two levels, the largest next to each other, as far as there is room for their states.
fn frontier_bytes(guide: &Exploration, most: usize) -> usize {
    let width = |level: &LevelRow| usize::try_from(&level.states).unwrap_or(usize::MAX).min(most);
    let pairs = guide.levels.windows(2).map(|pair| width(&pair[0]).saturating_add(width(&pair[1])));
    pairs.max().unwrap_or(1).saturating_mul(size_of::<u128>())
}

impl Counted {
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

/// One thread's part.
struct Worker {
    workspace: CodedWorkspace,
    /// The last successors, each in the place that its hash names.
    recent: Vec<u128>,
    successors: Vec<u128>,
    /// Successors that may be new, of which the first `queued` count,
    queue: Vec<(u128, u64)>,
    queued: usize,
    /// and those whose slots have been asked for.
    waiting: Vec<(u128, u64)>,
    /// New states,
    next: Vec<Block>,
    /// and blocks to use again.
    spare: Vec<Block>,
    quota: i64,
    figures: Figures,
    unforeseen: bool,
    full: bool,
}

/// Some states of a level.
type Block = Vec<u128>;

/// One level to be expanded.
struct Level<'s, const K: usize> {
    coded: &'s Coded,
    set: &'s InlineSet<K>,
    free: &'s AtomicI64,
    blocks: Mutex<Vec<Block>>,
    /// Successors are counted, not stored: the limit on depth.
    closing: bool,
    watch: &'s Watch<'s>,
}

/// Counts all states that can be reached from `initial`. A state has at most `32 K - 2` bits.
pub(crate) fn count<const K: usize>(
    program: &Program,
    coded: &Coded,
    initial: u128,
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
    let set = InlineSet::<K>::new(room.states + slack)?;
    set.insert(initial, hash(initial));
    let free = AtomicI64::new((room.states + slack) as i64 - 1);
    let mut workers: Vec<Worker> = (0..rayon::current_num_threads()).map(|_| Worker::new(program, coded)).collect();
    let (mut frontier, mut found, mut stored, mut generated) = (vec![vec![initial]], 1, 1, 0);
    while found > 0 {
        let depth = counted.levels.len() as u32;
        frontier.reverse();
        let closing = limits.max_depth == Some(depth);
        let level = Level { coded, set: &set, free: &free, blocks: Mutex::new(frontier), closing, watch };
        workers.par_iter_mut().for_each(|worker| worker.run(&level));
        let blocks: usize = workers.iter().map(|worker| worker.next.len() + worker.spare.len()).sum();
        let bytes = set.bytes() + coded.bytes() + blocks * BLOCK * size_of::<u128>();
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

impl Worker {
    fn new(program: &Program, coded: &Coded) -> Self {
        Self {
            workspace: coded.workspace(),
            recent: vec![NO_STATE; RECENT],
            successors: Vec::new(),
            queue: vec![(NO_STATE, 0); 2 * QUEUE],
            queued: 0,
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
    fn run<const K: usize>(&mut self, level: &Level<'_, K>) {
        while !self.full && level.watch.interruption().is_none() {
            let block = level.blocks.lock().map(|mut blocks| blocks.pop());
            let Ok(Some(mut block)) = block else { break };
            for source in &block {
                self.expand(level, *source);
            }
            block.clear();
            self.spare.push(block);
        }
        self.ask(level);
        self.look_up(level);
    }

    #[inline]
    fn expand<const K: usize>(&mut self, level: &Level<'_, K>, source: u128) {
        let Self { workspace, successors, figures, .. } = self;
        let Figures { explored, generated, rules, outcomes, invariants, expectations } = figures;
        let coded = level.coded;
        coded.load(source, workspace);
        *explored += 1;
        let fatal = coded.check(workspace, |at| invariants[at].states += 1, |at| expectations[at].states += 1);
        successors.clear();
        let (mut fired, mut known) = (0, true);
        if !fatal {
            known = coded.successors(workspace, successors, |rule| {
                fired += 1;
                rules[rule.index()] += 1;
            });
        }
        *generated += fired;
        if fired == 0 {
            match coded.outcome(workspace) {
                Some(outcome) => outcomes[outcome].states += 1,
                None => known = false,
            }
        }
        if level.closing {
            // The orbit space was closed at the same depth: it cannot know what comes next.
            return;
        }
        self.unforeseen |= !known;
        for at in (0..self.successors.len()).step_by(QUEUE) {
            let end = self.successors.len().min(at + QUEUE);
            for state in &self.successors[at..end] {
                let hash = hash(*state);
                let known = &mut self.recent[hash as usize % RECENT];
                // Which it is cannot be predicted, so there is no branch.
                let is_known = *known == *state;
                *known = *state;
                self.queue[self.queued] = (*state, hash);
                self.queued += usize::from(!is_known);
            }
            if self.queued >= QUEUE {
                self.ask(level);
            }
        }
    }

    /// Asks for the slots of the queue, and looks up those asked for before.
    #[inline]
    fn ask<const K: usize>(&mut self, level: &Level<'_, K>) {
        for (_, hash) in &self.queue[..self.queued] {
            level.set.prefetch(*hash);
        }
        self.look_up(level);
        self.waiting.extend_from_slice(&self.queue[..self.queued]);
        self.queued = 0;
    }

    #[inline]
    fn look_up<const K: usize>(&mut self, level: &Level<'_, K>) {
        for (state, hash) in &self.waiting {
            if self.quota == 0 && !level.has_room(&mut self.quota) {
                self.full = true;
                break;
            }
            if level.set.insert(*state, *hash) {
                self.quota -= 1;
                match self.next.last_mut() {
                    Some(block) if block.len() < BLOCK => block.push(*state),
                    _ => {
                        let mut block = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK));
                        block.push(*state);
                        self.next.push(block);
                    }
                }
            }
        }
        self.waiting.clear();
    }
}

impl<const K: usize> Level<'_, K> {
    /// Takes free slots for a thread.
    fn has_room(&self, quota: &mut i64) -> bool {
        let taken = QUOTA.min(self.free.fetch_sub(QUOTA, Relaxed));
        *quota = taken.max(0);
        taken > 0
    }
}
