//! Ranks of arrangements: a state of a pattern as a number, and a step taken from all states of a pattern at once.
//!
//! A class of `n` CPUs with `c[k]` CPUs of kind `k` has `n! / (c[0]! c[1]! ...)` *arrangements*, which are the permutations of
//! the multiset of kinds. They are numbered in lexicographic order: the rank of an arrangement is the number of those before
//! it. So a set of states that differ in their arrangement only is a row of bits.
//!
//! A step of one CPU is taken from all arrangements of its source as follows. Let the acting CPU be of kind `a` and become
//! kind `b'`; every other CPU of kind `k` becomes kind `becomes[k]`. Fix the kinds of the CPUs *before* the acting one in the
//! order of CPUs. They and the acting CPU, after the step, form a prefix of the successor. The CPUs after it stand in any
//! order before the step, hence in any order after it. So the successors are all arrangements with this prefix: their
//! ranks are consecutive, and they are marked as one run of bits. A [`Walk`] goes through all prefixes.
//!
//! Ranks need no factorials. Of the arrangements with a given prefix and `left` CPUs to come, the share `after[k] / left` goes
//! on with kind `k`, as each of the CPUs to come is equally often the next one. This division leaves no remainder ([`Divisor`]).
//!
//! Rejected: computing the rank of each successor from its words, which takes ten times as long.
//!
//! Source: D. E. Knuth, The Art of Computer Programming 4A (2011), 7.2.1.2, on permutations of a multiset; perfect hashing of
//! state spaces: S. Edelkamp, D. Sulewski and C. Yücel, "Perfect hashing for state space exploration on the GPU" (2010).

use rayon::prelude::*;

use super::row::Bits;

/// CPUs of one class at most.
const MOST: usize = 64;
/// A prefix with fewer arrangements is not shared with other threads: handing it over would take longer.
const SHARED: u64 = 1 << 15;

/// The number of CPUs of each kind.
type Counts = [u8; MOST];

/// The bits of one pattern, addressed by the rank of one class, for all arrangements of the other classes.
#[derive(Debug)]
pub(super) struct Slice<'l> {
    pub(super) bits: Bits<'l>,
    /// Arrangements of the class.
    pub(super) ranks: u64,
    /// Arrangements of all classes after it.
    pub(super) inner: u64,
}

impl Slice<'_> {
    /// Sets the bits of `count` ranks from `first` on.
    #[inline]
    fn set(&self, first: u64, count: u64) {
        let stride = self.ranks * self.inner;
        let mut at = first * self.inner;
        while at < self.bits.len {
            self.bits.set(at, count * self.inner);
            at += stride;
        }
    }
}

/// Divides where there is no remainder: by the powers of two in the divisor with a shift, and by the odd rest with a
/// multiplication by its inverse modulo 2^64. A walk divides for each prefix, and a division takes ten times as long.
#[derive(Debug, Clone, Copy)]
struct Divisor {
    twos: u32,
    inverse: u64,
}

impl Divisor {
    /// By divisor; the first is never used.
    const ALL: [Self; MOST + 1] = {
        let mut all = [Self { twos: 0, inverse: 0 }; MOST + 1];
        let mut at = 1;
        while at <= MOST {
            let twos = at.trailing_zeros();
            let odd = (at >> twos) as u64;
            let mut inverse = odd;
            // Newton's iteration: an odd number is its own inverse modulo 8, and each round doubles the right bits.
            let mut round = 0;
            while round < 5 {
                inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
                round += 1;
            }
            all[at] = Self { twos, inverse };
            at += 1;
        }
        all
    };

    /// `factor * part` divided. Both the product and the quotient fit 64 bits: sizes of patterns are below 2^56.
    #[inline]
    fn share(self, factor: u64, part: u8) -> u64 {
        ((factor * u64::from(part)) >> self.twos).wrapping_mul(self.inverse)
    }
}

/// One step, to be taken from all arrangements of the acting CPU's class.
#[derive(Debug)]
pub(super) struct Walk<'l> {
    /// Kinds before the step, each with the kind that it becomes if it does not act; in ascending order of the latter, since
    /// ranks go by the kinds of the successor.
    becomes: Vec<(u8, u8)>,
    /// The kind that acts.
    acting: u8,
    /// The kind that the acting CPU becomes.
    after: u8,
    slice: Slice<'l>,
}

/// The CPUs that are not in the prefix, by kind: before the step, and in the successor.
#[derive(Debug, Clone, Copy)]
struct Remaining {
    before: Counts,
    after: Counts,
}

/// The kinds of the first CPUs, none of which acts.
#[derive(Debug, Clone, Copy)]
struct Prefix {
    /// CPUs that are not in it.
    left: u32,
    /// Arrangements of the source that begin with it.
    arrangements: u64,
    /// The lowest rank of a successor that begins with it.
    first: u64,
    /// The number of arrangements, after the step, that begin with it.
    ranks: u64,
}

impl<'l> Walk<'l> {
    /// `becomes[k]` is the kind that kind `k` becomes if it does not act; the CPU of kind `acting` becomes `after`.
    pub(super) fn new(becomes: &[usize], acting: usize, after: usize, slice: Slice<'l>) -> Self {
        let mut becomes: Vec<(u8, u8)> = becomes.iter().zip(0..).map(|(to, kind)| (kind, *to as u8)).collect();
        becomes.sort_unstable_by_key(|(kind, to)| (*to, *kind));
        Self { becomes, acting: acting as u8, after: after as u8, slice }
    }

    /// Marks the successors of all arrangements. Returns the number of steps taken, one for each arrangement and each CPU of
    /// the acting kind in it. `before` and `after` are the numbers of CPUs of each kind, `arrangements` the number of
    /// arrangements of `before`.
    ///
    /// `is_over` is asked now and then whether to stop early.
    pub(super) fn mark(
        &self,
        before: &[u32],
        after: &[u32],
        arrangements: u64,
        is_over: &(dyn Fn() -> bool + Sync),
    ) -> u64 {
        let counts = |kinds: &[u32]| {
            let mut counts = [0; MOST];
            counts.iter_mut().zip(kinds).for_each(|(count, kind)| *count = *kind as u8);
            counts
        };
        let left = before.iter().sum();
        let mut remaining = Remaining { before: counts(before), after: counts(after) };
        let empty = Prefix { left, arrangements, first: 0, ranks: self.slice.ranks };
        self.walk(&mut remaining, empty, is_over)
    }

    /// Walks through everything that begins with a prefix; shares large prefixes with other threads.
    fn walk(&self, remaining: &mut Remaining, at: Prefix, is_over: &(dyn Fn() -> bool + Sync)) -> u64 {
        if at.arrangements < SHARED {
            return self.walk_alone(remaining, at);
        }
        if is_over() {
            return 0;
        }
        let mut longer = Vec::new();
        let steps = self.extend(remaining, at, |remaining, next| {
            longer.push((*remaining, next));
            0
        });
        steps + longer.par_iter_mut().map(|(remaining, next)| self.walk(remaining, *next, is_over)).sum::<u64>()
    }

    fn walk_alone(&self, remaining: &mut Remaining, at: Prefix) -> u64 {
        self.extend(remaining, at, |remaining, next| self.walk_alone(remaining, next))
    }

    /// Marks the successors in which the CPU after the prefix acts, and calls `longer` with each prefix that is longer by one
    /// CPU that does not. Returns the steps of all of these. `remaining` is in the end as it was.
    #[inline]
    fn extend(
        &self,
        remaining: &mut Remaining,
        at: Prefix,
        mut longer: impl FnMut(&mut Remaining, Prefix) -> u64,
    ) -> u64 {
        let Prefix { left, arrangements, first, ranks } = at;
        let acting = remaining.before[usize::from(self.acting) % MOST];
        if u32::from(acting) == left {
            // All CPUs to come are of the acting kind: there is one arrangement, and each of them may be the one that acts.
            self.slice.set(first, ranks);
            return u64::from(left);
        }
        let divisor = Divisor::ALL[left as usize % Divisor::ALL.len()];
        // The lowest rank that goes on with this kind: arrangements that go on with a smaller one come before.
        let (mut smaller, mut reached) = (0, 0);
        let mut up_to = |after: &Counts, kind: u8| {
            while reached < kind {
                smaller += after[usize::from(reached) % MOST];
                reached += 1;
            }
            first + divisor.share(ranks, smaller)
        };
        let mut steps = 0;
        for (kind, becomes) in &self.becomes {
            let (from, to) = (usize::from(*kind) % MOST, usize::from(*becomes) % MOST);
            let count = remaining.before[from];
            // One CPU of the acting kind must stay, to act later.
            if count <= u8::from(*kind == self.acting) {
                continue;
            }
            let next = Prefix {
                left: left - 1,
                arrangements: divisor.share(arrangements, count),
                first: up_to(&remaining.after, *becomes),
                ranks: divisor.share(ranks, remaining.after[to]),
            };
            remaining.before[from] -= 1;
            remaining.after[to] -= 1;
            steps += longer(remaining, next);
            remaining.before[from] += 1;
            remaining.after[to] += 1;
        }
        let after = usize::from(self.after) % MOST;
        let smaller: u8 = remaining.after[..after].iter().sum();
        self.slice.set(first + divisor.share(ranks, smaller), divisor.share(ranks, remaining.after[after]));
        steps + divisor.share(arrangements, acting)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::sync::{AtomicU64, Ordering::Relaxed};

    /// All arrangements of a multiset in lexicographic order.
    fn arrangements(counts: &[u32]) -> Vec<Vec<usize>> {
        let left: u32 = counts.iter().sum();
        if left == 0 {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for kind in (0..counts.len()).filter(|kind| counts[*kind] > 0) {
            let mut rest = counts.to_vec();
            rest[kind] -= 1;
            all.extend(arrangements(&rest).into_iter().map(|tail| [vec![kind], tail].concat()));
        }
        all
    }

    /// The ranks of all successors, found one by one, and how many steps there are.
    fn expected(before: &[u32], after: &[u32], becomes: &[usize], acting: usize, to: usize) -> (BTreeSet<u64>, u64) {
        let ranks: BTreeMap<Vec<usize>, u64> = arrangements(after).into_iter().zip(0..).collect();
        let (mut reached, mut steps) = (BTreeSet::new(), 0);
        for arrangement in arrangements(before) {
            for who in (0..arrangement.len()).filter(|who| arrangement[*who] == acting) {
                let mut next: Vec<usize> = arrangement.iter().map(|kind| becomes[*kind]).collect();
                next[who] = to;
                reached.insert(ranks[&next]);
                steps += 1;
            }
        }
        (reached, steps)
    }

    fn bits(len: u64) -> Vec<AtomicU64> {
        (0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect()
    }

    /// Compares a walk with single steps, for a class between others with `outer` and `inner` arrangements.
    fn compare(before: &[u32], becomes: &[usize], acting: usize, to: usize, outer: u64, inner: u64) {
        let mut after = vec![0; becomes.iter().chain([&to]).max().unwrap() + 1];
        for (kind, count) in before.iter().enumerate() {
            after[becomes[kind]] += count - u32::from(kind == acting);
        }
        after[to] += 1;
        let (reached, steps) = expected(before, &after, becomes, acting, to);
        let (sources, ranks) = (arrangements(before).len() as u64, arrangements(&after).len() as u64);
        let len = outer * ranks * inner;
        let words = bits(len);
        let slice = Slice { bits: Bits { words: &words, len }, ranks, inner };
        let walk = Walk::new(becomes, acting, to, slice);
        assert_eq!(walk.mark(before, &after, sources, &|| false), steps);
        let set = |at: u64| words[(at / 64) as usize].load(Relaxed) >> (at % 64) & 1 == 1;
        for at in 0..len {
            assert_eq!(set(at), reached.contains(&(at / inner % ranks)), "{before:?} {becomes:?} {at}");
        }
        assert_eq!(walk.slice.bits.count(), reached.len() as u64 * outer * inner);
    }

    #[test]
    fn a_walk_reaches_what_single_steps_reach_and_counts_them() {
        let cases: [(&[u32], &[usize], usize, usize); 8] = [
            (&[1], &[0], 0, 0),
            (&[5], &[0], 0, 1),
            (&[2, 3], &[0, 1], 0, 1),
            (&[2, 2, 2], &[0, 1, 3], 2, 2),
            // Kinds change places, and kinds become one.
            (&[2, 1, 3], &[2, 1, 0], 1, 3),
            (&[3, 2, 1], &[1, 1, 0], 0, 0),
            (&[1, 1, 1, 1, 1, 1], &[0, 1, 2, 3, 4, 5], 3, 5),
            (&[4, 1, 2], &[0, 0, 0], 2, 1),
        ];
        for (before, becomes, acting, to) in cases {
            for (outer, inner) in [(1, 1), (3, 1), (1, 7), (2, 5)] {
                compare(before, becomes, acting, to, outer, inner);
            }
        }
    }

    #[test]
    fn a_walk_that_threads_share_is_the_same() {
        let before = [1; 9];
        let becomes: Vec<usize> = (0..9).collect();
        assert!((1..=9).product::<u64>() > SHARED);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        pool.install(|| compare(&before, &becomes, 4, 9, 1, 1));
    }

    #[test]
    fn division_is_exact() {
        for divisor in 1..=MOST as u8 {
            for quotient in [0, 1, 77, 1 << 40, u64::MAX >> 7] {
                assert_eq!(Divisor::ALL[usize::from(divisor)].share(quotient, divisor), quotient);
            }
        }
    }
}
