//! What keeps a trap shut.
//!
//! A run that is fair to every transition stays in a bottom component in the end. Over all that can be reached from the trap,
//! this looks at the values that the global fields have there. What keeps the trap shut is a smallest set of fields such that
//! no state from which the response can still come has only such values in them: wherever these fields have these values, it
//! can never come, and every fair run from the trap gets there for good, or ends fatally.
//!
//! A field that no rule reads keeps nothing shut, so it is not looked at. Fields that keep one value come first. More than
//! [`MOST_FIELDS`] would explain nothing, and then there is no answer: neither if it takes fields of packages and CPUs. Where
//! the response can come from no state at all, what has changed for good stands for it: the fields that keep one value, other
//! than the one at the start.
//!
//! Rejected: only the values that hold from the trap on. What decides may be written after the last way out is closed.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::Subject;
use crate::limits::{Reason, Watch};
use crate::program::{Cube, Guard, Program, Scope, low_bits};
use crate::space::Space;
use crate::store::states::StateId;

const MOST_FIELDS: usize = 4;

/// The fields, by index, and the values that they keep.
///
/// `bottoms` are the states in which runs that do not end fatally stay, `possible` marks those from which the response can come.
pub(super) fn shut<S: Space>(
    subject: &Subject<'_, S>,
    bottoms: &[StateId],
    possible: &[AtomicBool],
    watch: &Watch<'_>,
) -> Result<Vec<(usize, usize)>, Reason> {
    let Subject { space, store, .. } = *subject;
    let after = After::of(subject, bottoms, watch)?;
    let ways = (0..possible.len()).into_par_iter().filter(|at| possible[*at].load(Relaxed)).fold(
        || (BTreeSet::new(), space.workspace()),
        |(mut ways, mut workspace), at| {
            space.load(store.get(StateId(at as u32)), &mut workspace);
            ways.insert(after.differing(space, &workspace));
            (ways, workspace)
        },
    );
    let ways = ways.map(|(ways, _)| ways).reduce(BTreeSet::new, |mut all, mut ways| {
        all.append(&mut ways);
        all
    });
    watch.check()?;
    let chosen = if ways.is_empty() {
        let mut first = space.workspace();
        space.load(store.get(StateId(0)), &mut first);
        after.differing(space, &first) & after.fixed
    } else {
        smallest_hitting(&ways).unwrap_or(0)
    };
    Ok(after.kept_by(chosen))
}

/// What the global fields come to. A set of fields is a word with a bit for each: the global word has no more.
struct After<P> {
    /// Those that lose a value; those that keep a single one come first.
    fields: Vec<usize>,
    /// Those that keep a single one.
    fixed: u128,
    /// Fields, by index, and values that occur.
    kept: Vec<(usize, usize)>,
    /// Fields, by bit, and values that do not.
    gone: Vec<(u128, P)>,
}

impl<P> After<P> {
    fn of<S: Space<Predicate = P>>(
        subject: &Subject<'_, S>,
        bottoms: &[StateId],
        watch: &Watch<'_>,
    ) -> Result<Self, Reason> {
        let Subject { program, space, store, .. } = *subject;
        let mut gone = values(program, space);
        let mut kept = Vec::new();
        let mut workspace = space.workspace();
        for state in bottoms {
            watch.check()?;
            space.load(store.get(*state), &mut workspace);
            kept.extend(gone.extract_if(.., |(_, holds)| space.holds(holds, &workspace)).map(|(value, _)| value));
        }
        kept.sort_unstable();
        let keeps_one = |field: &usize| kept.iter().filter(|(of, _)| of == field).count() == 1;
        let mut fields: Vec<usize> = gone.iter().map(|((field, _), _)| *field).collect();
        fields.dedup();
        fields.sort_by_key(|field| !keeps_one(field));
        let fixed = fields.iter().take_while(|field| keeps_one(field)).fold(0, |fixed, _| fixed << 1 | 1);
        let gone = gone.into_iter().map(|((field, _), holds)| (bit(&fields, field), holds)).collect();
        Ok(Self { fields, fixed, kept, gone })
    }

    /// The fields that have a value there that does not occur.
    fn differing<S: Space<Predicate = P>>(&self, space: &S, there: &S::Workspace) -> u128 {
        let differing = self.gone.iter().filter(|(_, holds)| space.holds(holds, there));
        differing.fold(0, |fields, (field, _)| fields | field)
    }

    fn kept_by(mut self, chosen: u128) -> Vec<(usize, usize)> {
        self.kept.retain(|(field, _)| bit(&self.fields, *field) & chosen != 0);
        self.kept
    }
}

/// The bit of a field, if it is one of these.
fn bit(fields: &[usize], field: usize) -> u128 {
    fields.iter().position(|of| *of == field).map_or(0, |at| 1 << at)
}

/// Each value of each global field that some rule reads.
fn values<S: Space>(program: &Program, space: &S) -> Vec<((usize, usize), S::Predicate)> {
    let read = program.rules.iter().fold(0, |read, rule| read | rule.guard.global.care);
    let globals = program.fields.iter().enumerate().filter(|(_, field)| field.scope == Scope::Global);
    let read = globals.filter_map(|(at, field)| {
        let care = low_bits(field.width) << (field.offset % u128::BITS);
        (read & care != 0).then_some((at, field, care))
    });
    let values = read.flat_map(|(at, field, care)| {
        (0..field.values.len()).map(move |value| {
            let global = Cube { care, value: (value as u128) << (field.offset % u128::BITS) };
            ((at, value), space.predicate(&Guard { global, ..Guard::default() }))
        })
    });
    values.collect()
}

/// A smallest set of bits that has one in common with each of these words, if there is one that is small.
fn smallest_hitting(words: &BTreeSet<u128>) -> Option<u128> {
    let mut by_size: Vec<u128> = words.iter().copied().collect();
    by_size.sort_by_key(|word| word.count_ones());
    let mut least: Vec<u128> = Vec::new();
    for word in by_size {
        if least.iter().all(|other| other & !word != 0) {
            least.push(word);
        }
    }
    (0..=MOST_FIELDS).find_map(|size| hitting(&least, 0, size))
}

/// `chosen` with at most so many bits more.
fn hitting(words: &[u128], chosen: u128, more: usize) -> Option<u128> {
    let Some(missed) = words.iter().find(|word| *word & chosen == 0) else {
        return Some(chosen);
    };
    let more = more.checked_sub(1)?;
    let bits = (0..u128::BITS).map(|at| 1 << at).filter(|bit| missed & bit != 0);
    bits.into_iter().find_map(|bit| hitting(words, chosen | bit, more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smallest_set_hits_every_word_and_the_first_one_wins() {
        let hitting = |words: &[u128]| smallest_hitting(&words.iter().copied().collect());
        assert_eq!(hitting(&[]), Some(0));
        assert_eq!(hitting(&[0b110, 0b011]), Some(0b010));
        assert_eq!(hitting(&[0b110, 0b111]), Some(0b010));
        assert_eq!(hitting(&[0b001, 0b110, 0b101]), Some(0b011));
        assert_eq!(hitting(&[0b1 << 127, 0b1]), Some(1 << 127 | 1));
    }

    #[test]
    fn what_no_bit_or_only_many_bits_hit_has_no_set() {
        assert_eq!(smallest_hitting(&BTreeSet::from([0, 1])), None);
        let apart = |count: usize| (0..count).map(|at| 1 << at).collect();
        assert_eq!(smallest_hitting(&apart(MOST_FIELDS)), Some(0b1111));
        assert_eq!(smallest_hitting(&apart(MOST_FIELDS + 1)), None);
    }
}
