//! Arrangements: which of the CPUs that could change places has which word.
//!
//! The arrangements of a multiset are numbered in lexicographic order, from 0 on: the rank of an arrangement is the number
//! of those before it. So a set of states that differ in their arrangement only is a row of bits, and a
//! state is looked up without hashing and without being stored.
//!
//! Let one CPU of kind `a` make a step after which it is of kind `b`, and let the CPUs before it in the order be given. Then what
//! they and it have become is the beginning of the successor, and whatever the CPUs after it are, each order of them
//! occurs. All these successors follow one another in rank, and a run of bits is set at once. A [`Walk`] goes through
//! all beginnings, and counts the steps that it takes.
//!
//! Rejected: computing the rank of each successor from its words, which takes ten times as long.
//!
//! Source: D. E. Knuth, The Art of Computer Programming 4A (2011), 7.2.1.2, on permutations of a multiset; perfect hashing of
//! state spaces: S. Edelkamp, D. Sulewski and C. Yücel, "Perfect hashing for state space exploration on the GPU" (2010).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rayon::prelude::*;

/// CPUs of one class at most.
const MOST: usize = 64;
/// Steps below which a walk is not worth sharing with another thread.
const SHARED: u64 = 1 << 15;

/// How many CPUs are of each kind.
type Counts = [u8; MOST];

/// The states of one pattern, a bit each: the arrangements of all classes, the last class fastest.
#[derive(Debug)]
pub(super) struct Bits<'l> {
    pub(super) words: &'l [AtomicU64],
    pub(super) len: u64,
}

/// Bits by the rank of one class: what the other classes are stays free.
#[derive(Debug)]
pub(super) struct Slice<'l> {
    pub(super) bits: Bits<'l>,
    /// Arrangements of the class,
    pub(super) ranks: u64,
    /// and of the classes after it.
    pub(super) inner: u64,
}

impl Bits<'_> {
    /// Sets `count` bits from `first` on.
    #[inline]
    fn set(&self, first: u64, count: u64) {
        const LAST: u64 = u64::BITS as u64 - 1;
        let end = first + count - 1;
        let (from, to) = ((first / 64) as usize, (end / 64) as usize);
        let (head, tail) = (u64::MAX << (first & LAST), u64::MAX >> (LAST - (end & LAST)));
        // Most bits are set already; only a change needs the cache line for itself.
        let put = |at: usize, bits: u64| {
            if self.words[at].load(Relaxed) & bits != bits {
                self.words[at].fetch_or(bits, Relaxed);
            }
        };
        if from == to {
            put(from, head & tail);
        } else {
            put(from, head);
            (from + 1..to).for_each(|at| put(at, u64::MAX));
            put(to, tail);
        }
    }

    /// Sets all.
    pub(super) fn set_all(&self) {
        self.set(0, self.len);
    }

    /// How many are set.
    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.load(Relaxed).count_ones())).sum()
    }
}

impl Slice<'_> {
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

/// Divides numbers that leave no remainder: the powers of two in the divisor, and the inverse of the rest modulo 2^64.
#[derive(Debug, Clone, Copy)]
struct Divisor {
    twos: u32,
    inverse: u64,
}

impl Divisor {
    /// By number of CPUs; the first is never used.
    const ALL: [Self; MOST + 1] = {
        let mut all = [Self { twos: 0, inverse: 0 }; MOST + 1];
        let mut at = 1;
        while at <= MOST {
            let twos = at.trailing_zeros();
            let odd = (at >> twos) as u64;
            let mut inverse = odd;
            // Each round doubles the bits that are right, of which there are three at first.
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

    /// `factor * part` divided.
    #[inline]
    fn share(self, factor: u64, part: u8) -> u64 {
        ((factor * u64::from(part)) >> self.twos).wrapping_mul(self.inverse)
    }
}

/// One step in all arrangements of the class in which it is made.
#[derive(Debug)]
pub(super) struct Walk<'l> {
    /// Kinds of CPUs, and the kind of the successor that each becomes if it does not act, in ascending order of the latter;
    becomes: Vec<(u8, u8)>,
    /// the kind that acts,
    acting: u8,
    /// and what it becomes.
    after: u8,
    slice: Slice<'l>,
}

/// CPUs that are not yet given, by kind: before the step and after it.
#[derive(Debug, Clone, Copy)]
struct Rest {
    before: Counts,
    after: Counts,
}

/// The first CPUs are given, and the acting one is not among them.
#[derive(Debug, Clone, Copy)]
struct Beginning {
    /// How many CPUs are left,
    left: u32,
    /// how many arrangements of them,
    arrangements: u64,
    /// and the ranks of the successors that begin so: the first, and how many.
    first: u64,
    ranks: u64,
}

impl<'l> Walk<'l> {
    /// `becomes` says what each kind becomes if it does not act, `after` what the `acting` one does.
    pub(super) fn new(becomes: &[usize], acting: usize, after: usize, slice: Slice<'l>) -> Self {
        let mut becomes: Vec<(u8, u8)> = becomes.iter().zip(0..).map(|(to, kind)| (kind, *to as u8)).collect();
        becomes.sort_unstable_by_key(|(kind, to)| (*to, *kind));
        Self { becomes, acting: acting as u8, after: after as u8, slice }
    }

    /// Marks the successors of all arrangements; returns the number of steps, each arrangement and each acting CPU being
    /// one. `before` and `after` are the numbers of CPUs of each kind, `arrangements` those of `before`.
    ///
    /// `is_over` is asked now and then whether to leave off.
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
        let mut rest = Rest { before: counts(before), after: counts(after) };
        let all = Beginning { left, arrangements, first: 0, ranks: self.slice.ranks };
        self.walk(&mut rest, all, is_over)
    }

    /// Shares large beginnings with other threads.
    fn walk(&self, rest: &mut Rest, at: Beginning, is_over: &(dyn Fn() -> bool + Sync)) -> u64 {
        if at.arrangements < SHARED {
            return self.walk_alone(rest, at);
        }
        if is_over() {
            return 0;
        }
        let mut longer = Vec::new();
        let steps = self.next(rest, at, |rest, next| {
            longer.push((*rest, next));
            0
        });
        steps + longer.par_iter_mut().map(|(rest, next)| self.walk(rest, *next, is_over)).sum::<u64>()
    }

    fn walk_alone(&self, rest: &mut Rest, at: Beginning) -> u64 {
        self.next(rest, at, |rest, next| self.walk_alone(rest, next))
    }

    /// Marks what comes of a beginning if the next CPU is the one that acts, and calls `longer` with the beginnings in which
    /// it is not; returns the steps of all. `rest` is in the end as it was.
    #[inline]
    fn next(&self, rest: &mut Rest, at: Beginning, mut longer: impl FnMut(&mut Rest, Beginning) -> u64) -> u64 {
        let Beginning { left, arrangements, first, ranks } = at;
        let acting = rest.before[usize::from(self.acting) % MOST];
        if u32::from(acting) == left {
            // Each of them may be the one, and nothing else is open.
            self.slice.set(first, ranks);
            return u64::from(left);
        }
        let divisor = Divisor::ALL[left as usize % Divisor::ALL.len()];
        // Ranks go by kinds: those of smaller ones come before.
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
            let count = rest.before[from];
            if count <= u8::from(*kind == self.acting) {
                continue;
            }
            let next = Beginning {
                left: left - 1,
                arrangements: divisor.share(arrangements, count),
                first: up_to(&rest.after, *becomes),
                ranks: divisor.share(ranks, rest.after[to]),
            };
            rest.before[from] -= 1;
            rest.after[to] -= 1;
            steps += longer(rest, next);
            rest.before[from] += 1;
            rest.after[to] += 1;
        }
        let after = usize::from(self.after) % MOST;
        let smaller: u8 = rest.after[..after].iter().sum();
        self.slice.set(first + divisor.share(ranks, smaller), divisor.share(ranks, rest.after[after]));
        steps + divisor.share(arrangements, acting)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

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
    fn runs_of_bits_begin_and_end_anywhere() {
        for (first, count) in [(0, 1), (0, 64), (63, 2), (5, 190), (64, 64), (127, 1), (199, 1), (0, 200)] {
            let words = bits(200);
            let row = Bits { words: &words, len: 200 };
            row.set(first, count);
            row.set(first, count);
            let set = (0..200).filter(|at| words[at / 64].load(Relaxed) >> (at % 64) & 1 == 1);
            assert!(set.eq(first as usize..(first + count) as usize));
            assert_eq!(row.count(), count);
        }
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
