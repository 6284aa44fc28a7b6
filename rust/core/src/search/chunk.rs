//! The share of a batch that one thread works on, with all the memory for it.
//!
//! [`super::breadth_first`] describes the stages. A chunk's successors stay in the order of generation throughout, and
//! each shard visits the chunks in their order. So the successors of a batch have one order, that of generation, whatever
//! the number of chunks; ids, and thus traces, depend on it alone.

use std::ops::Range;

use super::predicates::Predicates;
use super::tally::Tally;
use crate::graph::Graph;
use crate::program::{Failure, Program};
use crate::search::frontier;
use crate::space::Space;
use crate::store::states::{NO_OUTCOME, StateId, Store};
use crate::store::visited::{Digest, Origin, Shard};

/// Successors whose places in the visited set are prefetched together, so that their cache misses overlap.
const LOOK_AHEAD: usize = 32;

/// A generated successor.
#[derive(Debug, Clone, Copy)]
struct Successor {
    digest: Digest,
    multiplicity: u16,
}

/// The question and its options, the same for all chunks.
pub(crate) struct Setting<'s, S: Space> {
    pub(crate) program: &'s Program,
    pub(crate) space: &'s S,
    pub(crate) predicates: &'s Predicates<S>,
    /// Whether any rule has a trap: if none has, they need not be looked for.
    pub(crate) has_traps: bool,
    /// Whether transitions are kept for the measures.
    pub(crate) keeps_graph: bool,
}

/// Ids for the new states of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    /// The first id that was free before the batch: provisional ids start here.
    pub(crate) first_free: u32,
    /// The id of the chunk's first new state.
    pub(crate) first: u32,
    /// States that would get this id or a higher one are dropped.
    pub(crate) limit: u32,
    /// The first id of the level that is being found.
    pub(crate) next_level: u32,
}

/// A share of a batch.
pub(crate) struct Chunk<S: Space> {
    workspace: S::Workspace,
    pub(crate) tally: Tally,
    /// The states to expand.
    sources: Range<u32>,
    /// For each source the index after its last successor.
    row_ends: Vec<u32>,
    stride: usize,
    /// The words of all successors, `stride` for each.
    words: Vec<u64>,
    successors: Vec<Successor>,
    /// For each shard the indices of the successors that belong to it.
    by_shard: Vec<Vec<u32>>,
    /// Outcomes of sources that turned out to be terminal.
    pub(crate) terminals: Vec<(StateId, u8)>,
    pub(crate) failure: Option<(StateId, Failure)>,
    /// Whether some transition led to its own level or to an earlier one.
    pub(crate) leads_back: bool,
    /// The id of each successor; a provisional one, as the shard gave it, if the state is new in this batch.
    targets: Vec<u32>,
    /// The successors that are new: the index, the source, and the outcome if it is fatal.
    new: Vec<(u32, StateId, u8)>,
    /// For each shard the ids of the new states, in the order of their ordinals.
    settled: Vec<Vec<Option<StateId>>>,
}

/// The ids that a shard gave to its successors of a batch, chunk by chunk.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    pub(crate) shard: Shard,
    /// For each chunk the ids of the shard's successors, provisional ones included.
    ids: Vec<Vec<u32>>,
    /// For each chunk the ordinal of the first state that is new in it, and at the end the number of new states.
    first_new: Vec<u32>,
    /// The ids of the new states by ordinal; none for a state that was dropped.
    settled: Vec<Option<StateId>>,
}

impl<S: Space> Chunk<S> {
    pub(crate) fn new(setting: &Setting<'_, S>, shards: usize) -> Self {
        Self {
            workspace: setting.space.workspace(),
            tally: Tally::new(setting.program),
            sources: 0..0,
            row_ends: Vec::new(),
            stride: setting.space.stride(),
            words: Vec::new(),
            successors: Vec::new(),
            by_shard: vec![Vec::new(); shards],
            terminals: Vec::new(),
            failure: None,
            leads_back: false,
            targets: Vec::new(),
            new: Vec::new(),
            settled: vec![Vec::new(); shards],
        }
    }

    /// The number of words of all successors.
    pub(crate) fn words_generated(&self) -> usize {
        self.words.len()
    }

    /// Bytes allocated for the batch.
    pub(crate) fn bytes(&self) -> usize {
        held(&self.words)
            + held(&self.successors)
            + held(&self.row_ends)
            + held(&self.targets)
            + held(&self.new)
            + self.by_shard.iter().map(held).sum::<usize>()
            + self.settled.iter().map(held).sum::<usize>()
    }

    /// Stage 1: generates the successors of `sources`.
    pub(crate) fn expand(&mut self, setting: &Setting<'_, S>, store: &Store, sources: Range<u32>) {
        self.row_ends.clear();
        self.words.clear();
        self.successors.clear();
        self.by_shard.iter_mut().for_each(Vec::clear);
        self.terminals.clear();
        self.failure = None;
        self.sources = sources.clone();
        for source in frontier::ids(sources) {
            // A fatal outcome, known since the state was found, ends the run.
            if store.outcome(source) == NO_OUTCOME {
                self.expand_one(setting, source, store.get(source));
            }
            self.row_ends.push(self.successors.len() as u32);
            if self.failure.is_some() {
                return;
            }
        }
    }

    fn expand_one(&mut self, setting: &Setting<'_, S>, source: StateId, packed: &[u64]) {
        let Setting { program, space, .. } = setting;
        space.load(packed, &mut self.workspace);
        let weight = space.orbit_size(&self.workspace);
        let shards = self.by_shard.len();
        let Self { workspace, words, successors, by_shard, tally, failure, .. } = self;
        let before = successors.len();
        space.successors(workspace, |packed, rule, multiplicity| {
            if setting.has_traps && failure.is_none() && program.rule(rule).trap.is_some() {
                *failure = Some((source, Failure::Trap(rule)));
            }
            let digest = Digest::of(packed);
            by_shard[digest.shard(shards)].push(successors.len() as u32);
            words.extend_from_slice(packed);
            successors.push(Successor { digest, multiplicity: multiplicity as u16 });
            let rule = &mut tally.rules[rule.index()];
            rule.fired += 1;
            rule.transitions.add(&weight, multiplicity);
        });
        tally.level.generated += (successors.len() - before) as u64;
        if successors.len() == before {
            let outcome = setting.predicates.outcome(*space, workspace);
            match outcome {
                Some(outcome) => {
                    tally.outcomes[outcome].add(source, &weight);
                    self.terminals.push((source, outcome as u8));
                }
                None => self.failure = Some((source, Failure::NoOutcome)),
            }
        }
    }

    #[inline]
    fn successor_words(&self, successor: u32) -> &[u64] {
        &self.words[span(self.stride, successor)]
    }

    /// Stage 3: gives ids to the new states of this chunk, which is number `at`, and looks at each of them once.
    pub(crate) fn number(&mut self, setting: &Setting<'_, S>, at: usize, merges: &[Merge], ids: Ids) {
        self.targets.clear();
        self.new.clear();
        self.settled.iter_mut().for_each(Vec::clear);
        let shards = merges.len();
        // The successors of this chunk that have been taken from each shard.
        let mut taken = vec![0_usize; shards];
        let mut next_id = ids.first;
        let mut rows = frontier::ids(self.sources.clone()).zip(&self.row_ends);
        let (mut source, mut row_end) = (StateId(0), 0);
        for successor in 0..self.successors.len() as u32 {
            while successor >= row_end {
                (source, row_end) = rows.next().map_or((source, u32::MAX), |(source, end)| (source, *end));
            }
            let shard = self.successors[successor as usize].digest.shard(shards);
            let merge = &merges[shard];
            let target = merge.ids[at][taken[shard]];
            taken[shard] += 1;
            self.targets.push(target);
            self.leads_back |= target < ids.next_level;
            // Ordinals are given in order, so the first occurrence of a new state is the one whose turn it is.
            let turn = ids.first_free + merge.first_new[at] + self.settled[shard].len() as u32;
            if target == turn {
                if next_id < ids.limit {
                    self.settled[shard].push(Some(StateId(next_id)));
                    self.new.push((successor, source, NO_OUTCOME));
                    next_id += 1;
                } else {
                    self.settled[shard].push(None);
                }
            }
        }
        self.observe(setting, ids.first);
    }

    /// Looks at each new state: orbit size, fatal outcomes, invariants, expectations.
    fn observe(&mut self, setting: &Setting<'_, S>, first_id: u32) {
        let mut new = std::mem::take(&mut self.new);
        for (id, (successor, _, outcome)) in (first_id..).zip(&mut new) {
            let packed = &self.words[span(self.stride, *successor)];
            *outcome = observe(setting, packed, StateId(id), &mut self.workspace, &mut self.tally);
        }
        self.new = new;
    }

    /// Stage 5, in the order of chunks: appends the new states to the store.
    pub(crate) fn append_states(&self, store: &mut Store) {
        for (successor, parent, outcome) in &self.new {
            store.push(self.successor_words(*successor), *parent, *outcome);
        }
    }

    /// Stage 5: appends the transitions of each source to the graph.
    pub(crate) fn append_transitions(&self, merges: &[Merge], first_free: u32, graph: &mut Graph) {
        let mut start = 0;
        for end in &self.row_ends {
            for at in start..*end as usize {
                let successor = &self.successors[at];
                let target = match self.targets[at].checked_sub(first_free) {
                    None => Some(StateId(self.targets[at])),
                    Some(ordinal) => merges[successor.digest.shard(merges.len())].settled[ordinal as usize],
                };
                // A state without id was dropped at a limit, and nobody looks at the graph any more.
                graph.push(target.unwrap_or(StateId(0)), successor.multiplicity);
            }
            start = *end as usize;
            graph.end_row();
        }
    }
}

/// Bytes allocated.
fn held<T>(items: &Vec<T>) -> usize {
    items.capacity() * size_of::<T>()
}

/// Where the words of a successor are.
#[inline]
fn span(stride: usize, at: u32) -> Range<usize> {
    at as usize * stride..(at as usize + 1) * stride
}

/// Looks at a state that has just been found; returns its outcome if that is fatal.
pub(crate) fn observe<S: Space>(
    setting: &Setting<'_, S>,
    packed: &[u64],
    id: StateId,
    workspace: &mut S::Workspace,
    tally: &mut Tally,
) -> u8 {
    let Setting { space, predicates, .. } = setting;
    space.load(packed, workspace);
    let weight = space.orbit_size(workspace);
    tally.level.explored += 1;
    tally.level.states.add(&weight, 1);
    for (invariant, tally) in predicates.invariants.iter().zip(&mut tally.invariants) {
        if Predicates::any_holds(*space, invariant, workspace) {
            tally.add(id, &weight);
        }
    }
    for (expectation, tally) in predicates.expectations.iter().zip(&mut tally.expectations) {
        if Predicates::any_holds(*space, expectation, workspace) {
            tally.add(id, &weight);
        }
    }
    let Some(outcome) = predicates.fatal_outcome(space, workspace) else {
        return NO_OUTCOME;
    };
    tally.outcomes[outcome].add(id, &weight);
    outcome as u8
}

impl Merge {
    /// Stage 2: looks up the shard's successors of all chunks, in order.
    pub(crate) fn find_or_insert<S: Space>(&mut self, shard: usize, chunks: &[Chunk<S>], store: &Store) {
        let first_free = store.len() as u32;
        let words = |origin: Origin| chunks[origin.chunk as usize].successor_words(origin.successor);
        self.ids.resize_with(chunks.len(), Vec::new);
        self.first_new.clear();
        for (at, chunk) in chunks.iter().enumerate() {
            self.first_new.push(self.shard.new_states() as u32);
            let ids = &mut self.ids[at];
            ids.clear();
            let digest = |successor: &u32| chunk.successors[*successor as usize].digest;
            for group in chunk.by_shard[shard].chunks(LOOK_AHEAD) {
                for it in group {
                    self.shard.prefetch(digest(it));
                }
                for it in group {
                    self.shard.prefetch_state(digest(it), store);
                }
                for it in group {
                    let origin = Origin { chunk: at as u32, successor: *it };
                    ids.push(self.shard.find_or_insert(words(origin), digest(it), origin, store, first_free, words));
                }
            }
        }
        self.first_new.push(self.shard.new_states() as u32);
    }

    /// Bytes allocated, for the shard and for the batch.
    pub(crate) fn bytes(&self) -> usize {
        self.shard.bytes() + self.ids.iter().map(held).sum::<usize>() + held(&self.settled)
    }

    /// The number of states that are new in a chunk.
    pub(crate) fn new_states(&self, chunk: usize) -> u32 {
        self.first_new[chunk + 1] - self.first_new[chunk]
    }

    /// Stage 4: replaces provisional ids.
    pub(crate) fn settle<S: Space>(&mut self, shard: usize, chunks: &[Chunk<S>], first_free: u32) {
        self.settled.clear();
        for chunk in chunks {
            self.settled.extend_from_slice(&chunk.settled[shard]);
        }
        self.shard.settle(first_free, &self.settled);
    }
}
