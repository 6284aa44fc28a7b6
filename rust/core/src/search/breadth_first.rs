//! Level-synchronous breadth-first search, parallel, with the same result for any number of threads.
//!
//! A level is cut into batches, and a batch into chunks: one if there is a single thread, else a few for each. A batch goes
//! through five stages:
//!
//! 1. *expand*, parallel over chunks: generate the successors and hash them;
//! 2. *merge*, parallel over shards of the visited set: look up each successor, in the order of chunks and within a chunk in
//!    the order of generation; a state that is new to the shard gets a provisional id;
//! 3. *number*, parallel over chunks: give the new states their ids, in the order of generation, and look at them: outcomes,
//!    invariants, expectations;
//! 4. *settle*, parallel over shards: write those ids into the visited set;
//! 5. *append*, sequential: copy the new states and the transitions to where they stay.
//!
//! Invariant: ids follow the order of first generation, that is, the order of the sources and, for each source, the
//! order of rules and kinds. How a level is cut into batches and chunks cannot be seen in the result.
//!
//! Rejected: threads that take states from a shared queue and insert them into a shared table. It needs no stages,
//! but ids, parents and traces depend on which thread comes first, and depths are not shortest.

use std::ops::Range;

use rayon::prelude::*;

use super::chunk::{Chunk, Ids, Merge, Setting, observe};
use super::predicates::Predicates;
use super::tally::{LevelTally, Tally};
use crate::graph::Graph;
use crate::labelled::state::LabelledState;
use crate::limits::{Limits, Reason, Watch};
use crate::measure::ShortestTrace;
use crate::program::{Failure, Program};
use crate::progress::Progress;
use crate::search::frontier::Frontier;
use crate::search::trace::Tracer;
use crate::space::Space;
use crate::store::states::{MOST_STATES, StateId, Store};
use crate::store::visited::{Digest, Origin, Shard};

/// Chunks for each thread, so that a thread whose chunk was small takes another one.
const CHUNKS_PER_THREAD: usize = 4;

/// All that a search has found.
pub(crate) struct Found {
    pub(crate) store: Store,
    /// The transitions, if they are kept.
    pub(crate) graph: Graph,
    /// The visited set by shards.
    pub(crate) visited: Vec<Shard>,
    pub(crate) tally: Tally,
    /// Levels by depth; the last one may be incomplete.
    pub(crate) levels: Vec<LevelTally>,
    /// The limit that ended the search, if one did.
    pub(crate) reason: Option<Reason>,
    /// The first state that shows that the Program is wrong.
    pub(crate) failure: Option<(StateId, Failure)>,
    /// Whether some transition led to its own level or to an earlier one. If none did, the graph has no cycle.
    pub(crate) leads_back: bool,
    /// The most bytes held at any time.
    pub(crate) peak_bytes: usize,
}

impl Found {
    /// Bytes held after the search.
    pub(crate) fn bytes(&self) -> usize {
        self.store.bytes() + self.graph.bytes() + self.visited.iter().map(Shard::bytes).sum::<usize>()
    }

    /// A shortest trace to a state.
    pub(crate) fn trace<S: Space>(&self, tracer: &Tracer<'_, S>, state: StateId) -> ShortestTrace {
        ShortestTrace { steps: self.depth(state), schedule: tracer.schedule(state) }
    }

    /// The level of a state: ids are given level by level.
    fn depth(&self, state: StateId) -> u32 {
        let mut end = 0;
        let starts_later = |explored: u64| {
            end += explored;
            end > u64::from(state.0)
        };
        self.levels.iter().map(|level| level.explored).position(starts_later).unwrap_or(0) as u32
    }
}

/// A search under way.
pub(crate) struct BreadthFirst<'s, S: Space> {
    setting: Setting<'s, S>,
    limits: Limits,
    watch: &'s Watch<'s>,
    chunks: Vec<Chunk<S>>,
    merges: Vec<Merge>,
    frontier: Frontier,
    found: Found,
    /// The first id of the level that is being found.
    next_level: u32,
    /// Transitions generated from the levels before this one.
    generated: u64,
    /// Whether the limit on depth kept new states from being stored.
    cut: bool,
}

impl<'s, S: Space> BreadthFirst<'s, S> {
    pub(crate) fn new(
        program: &'s Program,
        space: &'s S,
        predicates: &'s Predicates<S>,
        keeps_graph: bool,
        limits: Limits,
        watch: &'s Watch<'s>,
    ) -> Self {
        let setting = Setting {
            program,
            space,
            predicates,
            has_traps: program.rules.iter().any(|rule| rule.trap.is_some()),
            keeps_graph,
        };
        let threads = rayon::current_num_threads();
        let chunks = if threads == 1 { 1 } else { threads * CHUNKS_PER_THREAD };
        let shards = chunks.next_power_of_two();
        Self {
            chunks: (0..chunks).map(|_| Chunk::new(&setting, shards)).collect(),
            merges: (0..shards).map(|_| Merge::default()).collect(),
            frontier: Frontier::new(),
            found: Found {
                store: Store::new(space.stride()),
                graph: Graph::default(),
                visited: Vec::new(),
                tally: Tally::new(program),
                levels: Vec::new(),
                reason: None,
                failure: None,
                leads_back: false,
                peak_bytes: 0,
            },
            next_level: 0,
            generated: 0,
            cut: false,
            setting,
            limits,
            watch,
        }
    }

    /// Explores from `initial` until nothing new is found, a limit is hit or the Program turns out to be wrong.
    pub(crate) fn run(mut self, initial: &LabelledState) -> Found {
        self.store_initial(initial);
        while !self.frontier.is_empty() {
            self.next_level = self.found.store.len() as u32;
            while !self.frontier.is_empty() && self.may_go_on() {
                let batch = self.frontier.next_batch();
                self.explore_batch(batch);
            }
            self.end_level();
            if self.found.reason.is_some() || self.found.failure.is_some() {
                break;
            }
            self.frontier.advance(self.next_level..self.found.store.len() as u32);
        }
        for chunk in &self.chunks {
            self.found.tally.merge(&chunk.tally);
            self.found.leads_back |= chunk.leads_back;
        }
        self.report();
        self.found.visited = self.merges.into_iter().map(|merge| merge.shard).collect();
        self.found
    }

    fn store_initial(&mut self, initial: &LabelledState) {
        let mut packed = Vec::new();
        self.setting.space.encode(initial, &mut packed);
        let tally = &mut self.found.tally;
        let mut workspace = self.setting.space.workspace();
        let outcome = observe(&self.setting, &packed, StateId(0), &mut workspace, tally);
        self.found.levels.push(std::mem::take(&mut tally.level));
        let digest = Digest::of(&packed);
        let shard = digest.shard(self.merges.len());
        let shard = &mut self.merges[shard].shard;
        let origin = Origin { chunk: 0, successor: 0 };
        shard.find_or_insert(&packed, digest, origin, &self.found.store, 0, |_| &[]);
        shard.settle(0, &[Some(StateId(0))]);
        self.found.store.push(&packed, StateId(0), outcome);
    }

    /// The depth of the level that is being expanded.
    fn depth(&self) -> u32 {
        self.found.levels.len() as u32 - 1
    }

    /// New states get ids below this; those that would get another one are dropped.
    fn id_limit(&self) -> u32 {
        if self.limits.max_depth == Some(self.depth()) {
            return self.found.store.len() as u32;
        }
        self.limits.max_states.map_or(MOST_STATES, |limit| limit.min(MOST_STATES)) as u32
    }

    /// Looks at the clock and at what ended the search, if anything did.
    fn may_go_on(&mut self) -> bool {
        if self.found.reason.is_none() {
            self.found.reason = self.watch.interruption();
        }
        self.found.reason.is_none() && self.found.failure.is_none()
    }

    fn explore_batch(&mut self, batch: Range<u32>) {
        let Self { setting, chunks, found, watch, .. } = self;
        let shares = shares(&batch, chunks.len());
        chunks.par_iter_mut().zip(shares).for_each(|(chunk, share)| {
            if watch.interruption().is_none() {
                chunk.expand(setting, &found.store, share);
            }
        });
        // A batch that was interrupted is dropped, as some of its chunks may not have been expanded.
        if !self.may_go_on() {
            return;
        }
        self.found.failure = self.chunks.iter().find_map(|chunk| chunk.failure);
        if self.found.failure.is_none() {
            self.merge_batch();
            let words = self.chunks.iter().map(Chunk::words_generated).sum();
            self.frontier.adapt(batch.len(), words);
            self.report();
        }
    }

    fn merge_batch(&mut self) {
        let (limit, at_depth_limit) = (self.id_limit(), self.limits.max_depth == Some(self.depth()));
        let next_level = self.next_level;
        let Self { setting, chunks, merges, found, .. } = self;
        let first_free = found.store.len() as u32;
        merges.par_iter_mut().enumerate().for_each(|(shard, merge)| merge.find_or_insert(shard, chunks, &found.store));
        let mut first_ids = vec![first_free];
        for at in 0..chunks.len() {
            let new: u32 = merges.iter().map(|merge| merge.new_states(at)).sum();
            first_ids.push(first_ids[at] + new);
        }
        chunks.par_iter_mut().zip(first_ids.as_slice()).enumerate().for_each(|(at, (chunk, first_id))| {
            chunk.number(setting, at, merges, Ids { first_free, first: *first_id, limit, next_level });
        });
        merges.par_iter_mut().enumerate().for_each(|(shard, merge)| merge.settle(shard, chunks, first_free));
        for chunk in chunks {
            chunk.append_states(&mut found.store);
            for (source, outcome) in &chunk.terminals {
                found.store.set_outcome(*source, *outcome);
            }
            if setting.keeps_graph {
                chunk.append_transitions(merges, first_free, &mut found.graph);
            }
        }
        if (found.store.len() as u32) < first_ids[first_ids.len() - 1] {
            if at_depth_limit {
                self.cut = true;
            } else {
                found.reason = Some(Reason::MaxStates(u64::from(limit)));
            }
        }
    }

    /// Collects the figures of the level from the chunks: of its transitions, and of the states of the next level.
    fn end_level(&mut self) {
        let mut level = LevelTally::default();
        for chunk in &mut self.chunks {
            level.merge(&std::mem::take(&mut chunk.tally.level));
        }
        let depth = self.found.levels.len() - 1;
        self.generated += level.generated;
        self.found.levels[depth].generated = std::mem::take(&mut level.generated);
        if level.explored > 0 {
            self.found.levels.push(level);
        }
        if self.cut && self.found.reason.is_none() {
            self.found.reason = self.limits.max_depth.map(Reason::MaxDepth);
        }
    }

    /// Adds up the memory, looks at its limit and tells the monitor.
    fn report(&mut self) {
        let Self { setting, found, chunks, merges, .. } = self;
        let bytes = found.store.bytes()
            + setting.space.bytes()
            + found.graph.bytes()
            + chunks.iter().map(Chunk::bytes).sum::<usize>()
            + merges.iter().map(Merge::bytes).sum::<usize>();
        found.peak_bytes = found.peak_bytes.max(bytes);
        if let Some(limit) = self.limits.max_memory
            && bytes as u64 > limit
            && found.reason.is_none()
        {
            found.reason = Some(Reason::MaxMemory(limit));
        }
        let generated: u64 = chunks.iter().map(|chunk| chunk.tally.level.generated).sum();
        self.watch.monitor.report(Progress {
            depth: found.levels.len() as u64 - 1,
            explored: found.store.len() as u64,
            generated: self.generated + generated,
            frontier: self.frontier.len() as u64,
            memory_bytes: bytes as u64,
            elapsed: self.watch.elapsed(),
            ..Progress::default()
        });
    }
}

/// Cuts a batch into `count` shares whose sizes differ by at most one.
fn shares(batch: &Range<u32>, count: usize) -> Vec<Range<u32>> {
    let bound = |at: usize| batch.start + (batch.len() * at / count) as u32;
    (0..count).map(|at| bound(at)..bound(at + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Monitor;
    use crate::space::{Orbit, Symmetry};

    /// CPUs count to 3 and back, so that states are found again on earlier levels.
    const PROGRAM: &str = r#"{
        "format": 1, "name": "up and down", "widths": {"global": 0, "package": 0, "cpu": 2},
        "fields": [], "actors": ["cpu"],
        "rules": [
            {"actor": 0, "label": "up", "scope": "cpu", "guard": {"cpu": {"care": "0x2", "value": "0x0"}},
             "effect": {"cpu": {"add": [{"offset": 0, "width": 2, "delta": 1}]}}},
            {"actor": 0, "label": "down", "scope": "cpu", "guard": {"cpu": {"care": "0x3", "value": "0x2"}},
             "effect": {"cpu": {"clear": "0x3"}}}
        ]
    }"#;

    /// What is found, and a labelled state of each orbit: ids of packages may differ from run to run.
    fn found(threads: usize, largest_batch: usize) -> (Found, Vec<LabelledState>) {
        let program = Program::from_json(PROGRAM).unwrap();
        let initial = r#"{"global": "0x0", "packages": [
            {"word": "0x0", "cpus": ["0x0", "0x0", "0x1", "0x1", "0x1"]}, {"word": "0x0", "cpus": ["0x0", "0x0", "0x0"]}
        ]}"#;
        let initial = LabelledState::from_json(&program, initial).unwrap();
        let space = Orbit::new(&program, &initial, Symmetry::Start);
        let (limits, monitor) = (Limits::default(), Monitor::default());
        let watch = Watch::start(&monitor, &limits);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let predicates = Predicates::new(&program, &space);
            let mut search = BreadthFirst::new(&program, &space, &predicates, true, limits, &watch);
            search.frontier = Frontier::with_batches_up_to(largest_batch);
            let found = search.run(&initial);
            let mut workspace = space.workspace();
            let labelled = found.store.states().map(|packed| {
                space.load(packed, &mut workspace);
                space.representative(&workspace)
            });
            let labelled = labelled.collect();
            (found, labelled)
        })
    }

    #[test]
    fn ids_parents_and_transitions_do_not_depend_on_threads_or_batches() {
        let (alone, states) = found(1, usize::MAX);
        assert!(alone.store.len() > 500);
        for (threads, batch) in [(1, 1), (1, 7), (2, 100), (3, 5), (4, usize::MAX)] {
            let (other, other_states) = found(threads, batch);
            assert_eq!(other_states, states);
            for id in (0..alone.store.len() as u32).map(StateId) {
                assert_eq!(other.store.parent(id), alone.store.parent(id));
                assert!(other.graph.row(id).eq(alone.graph.row(id)));
            }
        }
    }
}
