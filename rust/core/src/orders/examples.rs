//! Runs as examples: which conditions each of them meets, on which CPUs.
//!
//! A table has a column for each candidate and a row for each run and each choice of CPUs. Columns are bits, and are filled as far
//! as somebody asks for them. What a run with the outcome meets counts only as far as it has come to pass by the step that
//! decides, so that no consequence of the outcome is given for its cause.
//!
//! Invariant: nothing that is returned depends on which columns were filled before.

use std::collections::HashSet;

use super::beam::{Columns, Star, grown};
use super::condition::{Condition, NONE, Names, Place, Times};
use crate::progress::Monitor;

/// A run: what happens in it, and by which step it is decided.
#[derive(Debug)]
pub(super) struct Example {
    pub(super) times: Times,
    pub(super) by: u16,
}

/// Examples of runs with an outcome and without it, and candidates for conditions that tell them apart.
#[derive(Debug)]
pub struct Table {
    cpus: u32,
    /// Each choice of "a CPU" and "another CPU"; those with the same first one are neighbours.
    names: Vec<Names>,
    /// Words of a run: a bit for each choice of CPUs.
    words: usize,
    candidates: Vec<Candidate>,
    bad: Vec<Example>,
    good: Vec<Example>,
}

/// A candidate and its columns, as far as they are filled.
#[derive(Debug)]
struct Candidate {
    condition: Condition,
    cost: [u32; 3],
    bad: Vec<u64>,
    good: Vec<u64>,
    /// Some run with the outcome does not meet it.
    fails: bool,
}

/// The most causes of an outcome.
const MOST_CAUSES: usize = 6;

impl Table {
    /// An empty table.
    ///
    /// Candidates come in the order in which they are preferred; of those that say the same of all examples, the first is used.
    pub(super) fn new(cpus: u32, speaks_of: u32, candidates: impl Iterator<Item = (Condition, [u32; 3])>) -> Self {
        let names = choices(cpus, speaks_of);
        let candidate = |(condition, cost)| Candidate { condition, cost, bad: vec![], good: vec![], fails: false };
        Self {
            cpus,
            words: names.len().div_ceil(64),
            names,
            candidates: candidates.map(candidate).collect(),
            bad: vec![],
            good: vec![],
        }
    }

    /// Takes a run; `bad` if it has the outcome.
    pub(super) fn add(&mut self, example: Example, bad: bool) {
        if bad { &mut self.bad } else { &mut self.good }.push(example);
    }

    /// Candidates that all runs with the outcome meet, and not all others, each by itself: at most so many, the first ones.
    ///
    /// If the monitor asks to stop, this and the other searches return something at once.
    pub fn shared(&mut self, most: usize, monitor: &Monitor) -> Vec<usize> {
        let mut found = self.met_by_all(monitor);
        found.truncate(most);
        found
    }

    /// A smallest set of at most so many candidates that all runs with the outcome meet and no other one, if one was found.
    pub fn single(&mut self, most: usize, monitor: &Monitor) -> Option<Vec<usize>> {
        let usable = self.met_by_all(monitor);
        let open = vec![true; self.bad.len()];
        self.star(&usable, &open, most, true, monitor).map(|star| star.which)
    }

    /// Some sets of candidates, each of which no run without the outcome meets; and how many runs with it meet none of them.
    pub fn several(&mut self, most: usize, monitor: &Monitor) -> (usize, Vec<Vec<usize>>) {
        let (mut missed, mut causes) = (0, vec![]);
        let mut open = vec![true; self.bad.len()];
        self.fill_all(false, monitor);
        while let Some(seed) = open.iter().position(|open| *open)
            && !monitor.is_cancelled()
            && causes.len() < MOST_CAUSES
        {
            let sets = self.met_at(seed);
            let stars = sets.into_iter().filter_map(|usable| {
                let usable = self.distinct(usable);
                self.star(&usable, &open, most, false, monitor)
            });
            let best = stars.min_by(|one, other| one.score.cmp(&other.score));
            open[seed] = false;
            if let Some(best) = best {
                for (open, covered) in open.iter_mut().zip(&best.covered) {
                    *open &= !covered;
                }
                causes.push(best.which);
            } else {
                missed += 1;
            }
        }
        (missed + open.iter().filter(|open| **open).count(), causes)
    }

    fn star(&self, usable: &[usize], open: &[bool], most: usize, whole: bool, monitor: &Monitor) -> Option<Star> {
        let column = |candidate: &usize| {
            let Candidate { cost, bad, good, .. } = &self.candidates[*candidate];
            Columns { candidate: *candidate, cost: *cost, bad, good }
        };
        let columns: Vec<Columns<'_>> = usable.iter().map(column).collect();
        grown(&columns, self.names.len(), open, most, whole, monitor)
    }

    /// Candidates that every run with the outcome meets, and some other run does not, without repetitions.
    fn met_by_all(&mut self, monitor: &Monitor) -> Vec<usize> {
        self.fill_all(true, monitor);
        let met = (0..self.candidates.len()).filter(|candidate| !self.candidates[*candidate].fails).collect();
        self.distinct(met)
    }

    /// For each choice of CPUs, the candidates that a run with the outcome meets with it: those sets that are part of no other
    /// one, each once. CPUs that take no part allow nothing that others do not.
    fn met_at(&self, run: usize) -> Vec<Vec<usize>> {
        let met = |choice: usize| {
            let bit = |candidate: &usize| {
                self.candidates[*candidate].bad[run * self.words + choice / 64] >> (choice % 64) & 1
            };
            (0..self.candidates.len()).filter(|candidate| bit(candidate) == 1).collect::<Vec<_>>()
        };
        let mut sets: Vec<Vec<usize>> = vec![];
        for choice in 0..self.names.len() {
            let set = met(choice);
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        let parts: Vec<bool> =
            sets.iter().map(|set| sets.iter().any(|other| other.len() > set.len() && is_part(set, other))).collect();
        let kept = sets.into_iter().zip(parts).filter(|(set, part)| !part && !set.is_empty());
        kept.map(|(set, _)| set).collect()
    }

    /// Of candidates that say the same of all examples the first; and none that says nothing, as all runs without the outcome
    /// meet it with all CPUs.
    fn distinct(&mut self, candidates: Vec<usize>) -> Vec<usize> {
        for candidate in &candidates {
            self.fill_good(*candidate);
        }
        let all = self.all_choices();
        let mut known: HashSet<(&[u64], &[u64])> = HashSet::new();
        let useful =
            |Candidate { good, .. }: &Candidate| good.is_empty() || good.chunks(self.words).any(|run| run != all);
        let first = candidates.into_iter().filter(|candidate| {
            let column = &self.candidates[*candidate];
            useful(column) && known.insert((&column.bad, &column.good))
        });
        first.collect()
    }

    fn all_choices(&self) -> Vec<u64> {
        let mut all = vec![0; self.words];
        for choice in 0..self.names.len() {
            all[choice / 64] |= 1 << (choice % 64);
        }
        all
    }

    fn fill_all(&mut self, enough: bool, monitor: &Monitor) {
        for candidate in 0..self.candidates.len() {
            if monitor.is_cancelled() {
                return self.candidates.clear();
            }
            self.fill_bad(candidate, enough);
        }
    }

    /// Fills a column for the runs with the outcome; until one does not meet it, if that is enough.
    fn fill_bad(&mut self, candidate: usize, enough: bool) {
        let Candidate { condition, bad, fails, .. } = &mut self.candidates[candidate];
        while bad.len() < self.bad.len() * self.words && !(enough && *fails) {
            let run = &self.bad[bad.len() / self.words];
            *fails |= !fill(condition, run, &self.names, self.cpus, self.words, bad);
        }
    }

    fn fill_good(&mut self, candidate: usize) {
        let Candidate { condition, good, .. } = &mut self.candidates[candidate];
        while good.len() < self.good.len() * self.words {
            let run = &self.good[good.len() / self.words];
            fill(condition, run, &self.names, self.cpus, self.words, good);
        }
    }
}

/// Whether a sorted list is part of another one.
fn is_part(part: &[usize], whole: &[usize]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|one| rest.any(|other| other == one))
}

/// Appends the words of a run, and says whether it meets the condition with any CPUs.
fn fill(condition: &Condition, run: &Example, names: &[Names], cpus: u32, words: usize, column: &mut Vec<u64>) -> bool {
    let start = column.len();
    column.resize(start + words, 0);
    let speaks_of = |place: Place| condition.at == place || (condition.place == place && condition.has_other());
    let other = speaks_of(Place::Other);
    let one = other || speaks_of(Place::One) || speaks_of(Place::Near);
    let mut known: Option<bool> = None;
    for (choice, now) in names.iter().enumerate() {
        let again = choice > 0 && !other && (!one || names[choice - 1].one == now.one);
        let met = match known {
            Some(met) if again => met,
            _ => condition.bind(*now, cpus).holds(&run.times, run.by),
        };
        known = Some(met);
        column[start + choice / 64] |= u64::from(met) << (choice % 64);
    }
    column[start..].iter().any(|word| *word != 0)
}

/// Each choice of as many CPUs as are named.
fn choices(cpus: u32, named: u32) -> Vec<Names> {
    match named {
        0 => vec![Names { one: NONE, other: NONE }],
        1 => (0..cpus).map(|one| Names { one, other: NONE }).collect(),
        _ => pairs(cpus),
    }
}

/// Each choice of two CPUs.
pub(super) fn pairs(cpus: u32) -> Vec<Names> {
    if cpus == 1 {
        return vec![Names { one: 0, other: NONE }];
    }
    let others = |one| (0..cpus).filter(move |other| *other != one).map(move |other| Names { one, other });
    (0..cpus).flat_map(others).collect()
}
