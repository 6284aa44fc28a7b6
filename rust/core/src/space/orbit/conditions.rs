//! Quantified conditions over the whole state, numbered, and the sets of those that are met.
//!
//! A rule asks that some (or no) CPU, or package, matches. All rules of a Program ask about few different matches, so these
//! are numbered once, "some" and "none" of the same match being one condition, and a set of conditions is a few words of
//! bits. For a state two sets are kept: the conditions that something meets, and those that several CPUs (or packages)
//! meet. The acting CPU or package is not counted, so for an actor that itself meets the conditions `own` the
//! conditions met by the others are
//!
//! ```text
//! met by others = met by several | (met & !own)
//! ```
//!
//! which answers all questions of a rule with a few operations on words.
//!
//! Conditions on the CPUs of the acting package are not among these: what they ask depends on one package only, see
//! [`super::shape`].

use crate::program::{Program, Quantified, Quantifier};

/// A set of conditions, in words of bits.
pub(super) type Set = [u64];

/// All conditions of a Program. Their quantifiers mean nothing.
#[derive(Debug)]
pub(super) struct Conditions(Vec<Quantified>);

/// The conditions that a guard needs.
#[derive(Debug)]
pub(super) struct Needs(Box<[Need]>);

/// The needed conditions in one word of a set.
#[derive(Debug, Clone, Copy)]
struct Need {
    /// Which word.
    at: usize,
    /// Conditions that something must meet.
    some: u64,
    /// Conditions that nothing may meet.
    none: u64,
}

/// The conditions that the parts of a state meet.
#[derive(Debug)]
pub(super) struct Met {
    /// Those that at least one CPU or package meets.
    once: Vec<u64>,
    /// Those that at least two meet.
    several: Vec<u64>,
}

impl Conditions {
    pub(super) fn new(program: &Program) -> Self {
        let mut conditions = Vec::new();
        for condition in program.guards().flat_map(|guard| &guard.quantified).filter_map(without_quantifier) {
            if !conditions.contains(&condition) {
                conditions.push(condition);
            }
        }
        Self(conditions)
    }

    /// All conditions, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Quantified> {
        self.0.iter()
    }

    /// Words of a set.
    pub(super) fn set_words(&self) -> usize {
        self.0.len().div_ceil(u64::BITS as usize)
    }

    /// The number of a condition; none if it is about the acting package alone.
    fn number(&self, quantified: &Quantified) -> Option<usize> {
        let condition = without_quantifier(quantified)?;
        let number = self.0.iter().position(|known| *known == condition);
        Some(number.expect("the conditions of all guards of the Program are numbered"))
    }
}

/// The place of a condition in a set: the word and the bit.
pub(super) fn place(condition: usize) -> (usize, u64) {
    (condition / u64::BITS as usize, 1 << (condition as u32 % u64::BITS))
}

fn without_quantifier(quantified: &Quantified) -> Option<Quantified> {
    let mut condition = quantified.clone();
    match &mut condition {
        Quantified::PackageCpus { .. } => return None,
        Quantified::Cpus { quantifier, .. } | Quantified::Packages { quantifier, .. } => *quantifier = Quantifier::Some,
    }
    Some(condition)
}

impl Needs {
    pub(super) fn new(quantified: &[Quantified], conditions: &Conditions) -> Self {
        let mut needs: Vec<Need> = Vec::new();
        for quantified in quantified {
            let Some(condition) = conditions.number(quantified) else {
                continue;
            };
            let (at, bit) = place(condition);
            let known = needs.iter().position(|need| need.at == at).unwrap_or_else(|| {
                needs.push(Need { at, some: 0, none: 0 });
                needs.len() - 1
            });
            match quantified.quantifier() {
                Quantifier::Some => needs[known].some |= bit,
                Quantifier::None => needs[known].none |= bit,
            }
        }
        Self(needs.into())
    }

    /// Whether all hold if nobody acts.
    #[inline]
    pub(super) fn hold(&self, met: &Met) -> bool {
        self.0.iter().all(|need| need.holds(met.once[need.at]))
    }

    /// Whether all may hold for some actor, whoever it is: it takes away at most one of those that meet a condition.
    #[inline]
    pub(super) fn may_hold(&self, met: &Met) -> bool {
        self.0.iter().all(|Need { at, some, none }| met.once[*at] & some == *some && met.several[*at] & none == 0)
    }

    /// Whether all hold for an actor that itself meets the conditions `own`.
    #[inline]
    pub(super) fn hold_for(&self, own: &Set, met: &Met) -> bool {
        self.0.iter().all(|need| need.holds(met.several[need.at] | (met.once[need.at] & !own[need.at])))
    }
}

impl Need {
    #[inline]
    fn holds(&self, met: u64) -> bool {
        met & self.some == self.some && met & self.none == 0
    }
}

impl Met {
    pub(super) fn new(conditions: &Conditions) -> Self {
        Self { once: vec![0; conditions.set_words()], several: vec![0; conditions.set_words()] }
    }

    /// Nothing is met.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.once.fill(0);
        self.several.fill(0);
    }

    /// Adds `copies` parts of the state, each of which meets these conditions.
    #[inline]
    pub(super) fn add(&mut self, once: &Set, several: &Set, copies: u32) {
        let sets = self.once.iter_mut().zip(&mut self.several).zip(once.iter().zip(several));
        for ((all_once, all_several), (once, several)) in sets {
            *all_several |= several | (*all_once & once) | if copies > 1 { *once } else { 0 };
            *all_once |= once;
        }
    }
}
