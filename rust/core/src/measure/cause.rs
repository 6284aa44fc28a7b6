//! The cause of a lost response: field values that rule its goal out.
//!
//! A run that is fair to every transition and never ends stays in a bottom component. Consider the bottom components that can be
//! reached from the first lost state, without those that are fatal. A field *loses* a value if the value occurs in none of them.
//! The cause is a smallest set F of global fields such that every state from which the goal can still be reached has, in some
//! field of F, a lost value. So the goal is out of reach wherever the fields of F have only values that they keep, and every fair
//! run from the lost state stays in such states, or ends fatally.
//!
//! A field that no rule reads rules nothing out, so it is not considered. Among sets of one size, those with fields that keep a
//! single value come first. A set of more than [`MOST_FIELDS`] fields would explain nothing, and fields of packages and CPUs
//! are not considered; in both cases no cause is given. If the goal can be reached from no state at all, the fields that have
//! changed for good stand in: those that keep a single value, other than the initial one.
//!
//! Rejected: only the values that hold in every state after the lost one. The value that decides may be written later, when
//! the last way to the goal is closed already.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::Subject;
use crate::limits::Reason;
use crate::program::{Cube, Guard, Program, Scope, low_bits};
use crate::space::Space;
use crate::store::states::StateId;
use crate::sync::AtomicBool;
use crate::sync::Ordering::Relaxed;

/// The most fields of a cause.
const MOST_FIELDS: usize = 4;

/// Fields and the values that they keep, both as indices.
///
/// `bottoms` are the states of the bottom components that are not fatal; `possible` marks the states from which the goal can be
/// reached.
pub(super) fn cause<S: Space>(
    subject: &Subject<'_, S>,
    bottoms: &[StateId],
    possible: &[AtomicBool],
) -> Result<Vec<(usize, usize)>, Reason> {
    let Subject { space, store, watch, .. } = *subject;
    let end = End::of(subject, bottoms)?;
    // For each state from which the goal can be reached: the fields that have a lost value there. A cause hits each of these sets.
    let sets = (0..possible.len()).into_par_iter().filter(|at| possible[*at].load(Relaxed)).fold(
        || (BTreeSet::new(), space.workspace()),
        |(mut sets, mut workspace), at| {
            space.load(store.get(StateId(at as u32)), &mut workspace);
            sets.insert(end.fields_with_lost_value(space, &workspace));
            (sets, workspace)
        },
    );
    let sets = sets.map(|(sets, _)| sets).reduce(BTreeSet::new, |mut all, mut sets| {
        all.append(&mut sets);
        all
    });
    watch.check()?;
    let chosen = if sets.is_empty() {
        let mut initial = space.workspace();
        space.load(store.get(StateId(0)), &mut initial);
        end.fields_with_lost_value(space, &initial) & end.single
    } else {
        smallest_hitting(&sets).unwrap_or(0)
    };
    Ok(end.kept_by(chosen))
}

/// The values of global fields in the bottom components. A set of fields is a word with a bit for each: the global word has no
/// more bits than that.
struct End<P> {
    /// The fields that lose a value; those that keep a single one come first.
    fields: Vec<usize>,
    /// The set of the fields that keep a single value.
    single: u128,
    /// The kept values: field and value as indices.
    kept: Vec<(usize, usize)>,
    /// The lost values: the field's bit, and the predicate that it has the value.
    lost: Vec<(u128, P)>,
}

impl<P> End<P> {
    fn of<S: Space<Predicate = P>>(subject: &Subject<'_, S>, bottoms: &[StateId]) -> Result<Self, Reason> {
        let Subject { program, space, store, watch, .. } = *subject;
        let mut lost = values(program, space);
        let mut kept = Vec::new();
        let mut workspace = space.workspace();
        for state in bottoms {
            watch.check()?;
            space.load(store.get(*state), &mut workspace);
            kept.extend(lost.extract_if(.., |(_, holds)| space.holds(holds, &workspace)).map(|(value, _)| value));
        }
        kept.sort_unstable();
        let keeps_one = |field: &usize| kept.iter().filter(|(of, _)| of == field).count() == 1;
        let mut fields: Vec<usize> = lost.iter().map(|((field, _), _)| *field).collect();
        fields.dedup();
        fields.sort_by_key(|field| !keeps_one(field));
        let single = fields.iter().take_while(|field| keeps_one(field)).fold(0, |single, _| single << 1 | 1);
        let lost = lost.into_iter().map(|((field, _), holds)| (bit(&fields, field), holds)).collect();
        Ok(Self { fields, single, kept, lost })
    }

    /// The set of fields that have a lost value in the loaded state.
    fn fields_with_lost_value<S: Space<Predicate = P>>(&self, space: &S, workspace: &S::Workspace) -> u128 {
        let there = self.lost.iter().filter(|(_, holds)| space.holds(holds, workspace));
        there.fold(0, |fields, (field, _)| fields | field)
    }

    fn kept_by(mut self, chosen: u128) -> Vec<(usize, usize)> {
        self.kept.retain(|(field, _)| bit(&self.fields, *field) & chosen != 0);
        self.kept
    }
}

/// The bit of a field in a set, or 0 if it is not among `fields`.
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

/// A smallest set that has an element in common with each of these sets; none if it has more than [`MOST_FIELDS`] elements.
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

/// `chosen` with at most `more` further elements, such that every set is hit.
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
