//! Beam search for a small set of conditions that no run without the outcome meets.
//!
//! Sets grow by one condition at a time. Of each size, those that leave the fewest runs without the outcome are looked at, and the
//! best of them grow further. So the set that is found is small, but nothing proves that no smaller one exists.
//!
//! Rejected: an exact search by integer programming. The examples are only some of the runs, so that its proof would be of them.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::progress::Monitor;

/// The columns of a candidate, which are as long as there are runs: the choices of CPUs with which each run meets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) candidate: usize,
    pub(super) cost: [u32; 3],
    pub(super) bad: &'a [u64],
    pub(super) good: &'a [u64],
}

/// Conditions that no run without the outcome meets.
#[derive(Debug)]
pub(super) struct Star {
    /// Less is better: more runs covered, fewer conditions, cheaper ones, earlier ones.
    pub(super) score: (Reverse<usize>, usize, [u32; 3], Vec<usize>),
    pub(super) which: Vec<usize>,
    /// The runs with the outcome that meet them.
    pub(super) covered: Vec<bool>,
}

/// Sets that are grown further.
const BEAM: usize = 30;
/// Sets of each size that are looked at.
const WIDE: usize = 2000;

/// A set of columns, by index in order, and the rows that meet all of them.
#[derive(Debug, Clone)]
struct Partial {
    which: Vec<usize>,
    bad: Vec<u64>,
    good: Vec<u64>,
    cost: [u32; 3],
}

/// A smallest set of columns that no run without the outcome meets.
///
/// Each run has as many rows as there are `choices` of CPUs. It covers as many as it can of the open runs with the outcome, or all of them if the `whole` is asked for.
pub(super) fn grown(
    columns: &[Columns<'_>],
    choices: usize,
    open: &[bool],
    most: usize,
    whole: bool,
    monitor: &Monitor,
) -> Option<Star> {
    let words = choices.div_ceil(64);
    let first = columns.first()?;
    let wanted = open.iter().filter(|open| **open).count();
    let enough = |count: usize| if whole { count == wanted } else { count > 0 };
    let rows = (first.good.len() / words * choices).max(1) as f64;
    let all = |like: &[u64]| vec![u64::MAX; like.len()];
    let mut beam = vec![Partial { which: vec![], bad: all(first.bad), good: all(first.good), cost: [0; 3] }];
    let mut best: Option<Star> = None;
    for size in 1..=most {
        let mut going: Vec<(f64, Partial)> = vec![];
        let mut done: Vec<(usize, Partial)> = vec![];
        for (left, set) in closest(columns, &beam, monitor) {
            let count = covers(&set.bad, words).zip(open).filter(|(covered, open)| *covered && **open).count();
            if !enough(count) {
                continue;
            }
            if left == 0 {
                done.push((count, set));
            } else {
                let share = if whole { 0.0 } else { count as f64 / wanted as f64 };
                going.push((f64::from(left) / rows - share, set));
            }
        }
        let found = done.into_iter().map(|(count, set)| star(columns, words, count, &set));
        best = best.into_iter().chain(found).min_by(|one, other| one.score.cmp(&other.score));
        if best.as_ref().is_some_and(|best| best.score.0.0 == wanted && best.score.1 <= size) {
            return best;
        }
        going.sort_by(|(one, a), (other, b)| {
            one.total_cmp(other).then_with(|| (a.cost, &a.which).cmp(&(b.cost, &b.which)))
        });
        beam = going.into_iter().take(BEAM).map(|(_, set)| set).collect();
    }
    best
}

fn star(columns: &[Columns<'_>], words: usize, count: usize, set: &Partial) -> Star {
    let which: Vec<usize> = set.which.iter().map(|at| columns[*at].candidate).collect();
    let covered = covers(&set.bad, words).collect();
    Star { score: (Reverse(count), which.len(), set.cost, which.clone()), which, covered }
}

/// Which runs have a choice of CPUs left.
fn covers(rows: &[u64], words: usize) -> impl Iterator<Item = bool> {
    rows.chunks(words).map(|run| run.iter().any(|word| *word != 0))
}

/// Sets with one column more, with how many rows without the outcome still meet them: those with the fewest, each once.
fn closest(columns: &[Columns<'_>], beam: &[Partial], monitor: &Monitor) -> Vec<(u32, Partial)> {
    let mut options: Vec<(u32, u32, u32)> = vec![];
    for (from, partial) in beam.iter().enumerate().take_while(|_| !monitor.is_cancelled()) {
        for (new, column) in columns.iter().enumerate() {
            if !partial.which.contains(&new) {
                let left = partial.good.iter().zip(column.good).map(|(one, other)| (one & other).count_ones()).sum();
                options.push((left, from as u32, new as u32));
            }
        }
    }
    if options.len() > WIDE {
        options.select_nth_unstable(WIDE);
        options.truncate(WIDE);
    }
    options.sort_unstable();
    let mut known = HashSet::new();
    let mut sets = vec![];
    for (left, from, new) in options {
        let (partial, new) = (&beam[from as usize], new as usize);
        let mut which = partial.which.clone();
        which.insert(which.partition_point(|at| *at < new), new);
        if known.insert(which.clone()) {
            let both = |rows: &[u64], more: &[u64]| rows.iter().zip(more).map(|(one, other)| one & other).collect();
            let column = &columns[new];
            let cost = std::array::from_fn(|at| partial.cost[at] + column.cost[at]);
            sets.push((
                left,
                Partial { which, bad: both(&partial.bad, column.bad), good: both(&partial.good, column.good), cost },
            ));
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of runs with one choice of CPUs, from their bits: those with the outcome, then the others.
    fn found(columns: &[(u32, &[u64], &[u64])], open: &[bool], most: usize, whole: bool) -> Option<Star> {
        let columns = columns.iter().enumerate();
        let columns: Vec<Columns<'_>> = columns
            .map(|(at, (cost, bad, good))| Columns { candidate: 10 + at, cost: [0, 0, *cost], bad, good })
            .collect();
        grown(&columns, 1, open, most, whole, &Monitor::default())
    }

    const ONLY_BOTH: [(u32, &[u64], &[u64]); 3] =
        [(1, &[1, 1], &[1, 0, 1]), (1, &[1, 1], &[0, 1, 1]), (0, &[1, 1], &[1, 1, 0])];

    #[test]
    fn a_set_is_as_small_as_it_can_be() {
        assert!(found(&ONLY_BOTH, &[true, true], 2, true).is_none());
        assert_eq!(found(&ONLY_BOTH, &[true, true], 3, true).unwrap().which, [10, 11, 12]);
        let mut columns = ONLY_BOTH.to_vec();
        columns.push((5, &[1, 1], &[0, 0, 1]));
        assert_eq!(found(&columns, &[true, true], 3, true).unwrap().which, [12, 13]);
    }

    #[test]
    fn the_cheapest_of_the_smallest_sets_is_taken() {
        let columns: [(u32, &[u64], &[u64]); 3] = [(2, &[1], &[0]), (1, &[1], &[0]), (3, &[1], &[0])];
        assert_eq!(found(&columns, &[true], 4, true).unwrap().which, [11]);
    }

    #[test]
    fn where_no_set_covers_all_the_one_that_covers_most_is_taken() {
        let columns: [(u32, &[u64], &[u64]); 2] = [(0, &[1, 0, 0], &[0]), (9, &[0, 1, 1], &[0])];
        assert!(found(&columns, &[true, true, true], 4, true).is_none());
        let star = found(&columns, &[true, true, true], 4, false).unwrap();
        assert_eq!((star.which, star.covered), (vec![11], vec![false, true, true]));
        // Of the runs that are open.
        assert_eq!(found(&columns, &[true, false, false], 4, false).unwrap().which, [10]);
    }
}
