//! Which rules a state has to try at all.
//!
//! Each actor has a program counter, a field, and nearly every rule tests one of them. [`ByCounter`] keeps, for each value of
//! each global counter, the rules that can match it; a state looks up one short list for each counter. Both ways to expand a
//! state use it: on words ([`RuleIndex`], for labelled states and for the orbit space) and on bit planes.
//!
//! Invariant: every rule is in the lists of exactly one counter, that is, in one list for each value of that counter that
//! its guard allows. So a state meets a rule at most once, and meets every rule whose global cube matches.
//!
//! Rejected: one table over the combinations of all counters; it filters no rule that a single AND would not, and
//! its size is the product of the counters.

use crate::program::{Cube, Field, Program, Rule, RuleId, Scope, low_bits};

/// Rules by the values of global program counters that they test; `T` is what is kept of the rules of one value.
#[derive(Debug)]
pub(crate) struct ByCounter<T> {
    /// The last one has no bits and one value: its rules test no counter.
    counters: Vec<Counter<T>>,
}

#[derive(Debug)]
struct Counter<T> {
    offset: u32,
    mask: u128,
    by_value: Vec<T>,
}

impl<T: Default> ByCounter<T> {
    /// Calls `put` for every rule, in the order of declaration, with each value's rules that it joins.
    pub(crate) fn new(program: &Program, mut put: impl FnMut(&mut T, RuleId, &Rule)) -> Self {
        let fields = program.index.iter().map(|id| &program.fields[id.index()]);
        let global = fields.filter(|field| field.scope == Scope::Global);
        let mut counters: Vec<Counter<T>> =
            global.map(|Field { offset, width, .. }| Counter::new(*offset, *width)).collect();
        counters.push(Counter::new(0, 0));
        for (at, rule) in program.rules.iter().enumerate() {
            let cube = rule.guard.global;
            // The counter of which the rule tests the most bits leaves it in the fewest lists; of several, the first one.
            let last = counters.len() - 1;
            let best = (0..last).rev().max_by_key(|at| counters[*at].bits_tested(cube));
            let best = best.filter(|at| counters[*at].bits_tested(cube) > 0).unwrap_or(last);
            let Counter { offset, mask, by_value } = &mut counters[best];
            for (value, rules) in by_value.iter_mut().enumerate() {
                let word = (value as u128) << *offset;
                if (word ^ cube.value) & cube.care & (*mask << *offset) == 0 {
                    put(rules, RuleId(at as u32), rule);
                }
            }
        }
        Self { counters }
    }

    /// For each counter what is kept of the rules of its value in this global word.
    #[inline]
    pub(crate) fn at(&self, global: u128) -> impl Iterator<Item = &T> {
        self.counters.iter().map(move |counter| &counter.by_value[((global >> counter.offset) & counter.mask) as usize])
    }
}

impl<T: Default> Counter<T> {
    fn new(offset: u32, width: u32) -> Self {
        Self { offset, mask: low_bits(width), by_value: (0..1_usize << width).map(|_| T::default()).collect() }
    }

    fn bits_tested(&self, cube: Cube<u128>) -> u32 {
        ((cube.care >> self.offset) & self.mask).count_ones()
    }
}

/// The rules of a Program, found by global word.
#[derive(Debug)]
pub(crate) struct RuleIndex(ByCounter<Vec<Entry>>);

/// A rule and its global cube, side by side: most candidates end at this test, and never load their rule.
#[derive(Debug, Clone, Copy)]
struct Entry {
    global: Cube<u128>,
    rule: RuleId,
}

impl RuleIndex {
    pub(crate) fn new(program: &Program) -> Self {
        let entry = |rule: RuleId, global: Cube<u128>| Entry { global, rule };
        Self(ByCounter::new(program, |entries: &mut Vec<Entry>, id, rule| entries.push(entry(id, rule.guard.global))))
    }

    /// Collects the rules whose global cube matches, in the order of declaration, which breaks ties between shortest
    /// traces.
    #[inline]
    pub(crate) fn candidates(&self, global: u128, candidates: &mut Vec<RuleId>) {
        candidates.clear();
        for entries in self.0.at(global) {
            let matching = entries.iter().filter(|entry| entry.global.matches(global));
            candidates.extend(matching.map(|entry| entry.rule));
        }
        candidates.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_the_rules_whose_cube_matches_in_the_order_of_declaration() {
        // Every cube over two counters of two bits and a flag, the latest first.
        let cubes: Vec<(u128, u128)> = (0..32)
            .rev()
            .flat_map(|care| (0..32).filter(move |value| value & !care == 0).map(move |it| (care, it)))
            .collect();
        let rules: Vec<String> = cubes
            .iter()
            .map(|(care, value)| {
                format!(
                    r#"{{"actor": 0, "label": "", "scope": "global",
                        "guard": {{"global": {{"care": "{care:#x}", "value": "{value:#x}"}}}}}}"#
                )
            })
            .collect();
        let text = format!(
            r#"{{"format": 1, "name": "", "widths": {{"global": 5, "package": 0, "cpu": 0}}, "actors": ["any"],
                "fields": [
                    {{"name": "left", "scope": "global", "offset": 0, "width": 2, "values": ["0", "1", "2", "3"]}},
                    {{"name": "right", "scope": "global", "offset": 3, "width": 2, "values": ["0", "1", "2", "3"]}}
                ],
                "index": ["right", "left"], "rules": [{}]}}"#,
            rules.join(",")
        );
        let index = RuleIndex::new(&Program::from_json(&text).unwrap());
        let [.., always] = &*index.0.counters else { unreachable!() };
        assert!(always.by_value[0].len() < cubes.len() / 20);
        let mut candidates = Vec::new();
        for global in 0..32 {
            index.candidates(global, &mut candidates);
            let matching = cubes.iter().enumerate().filter(|(_, (care, value))| global & care == *value);
            let expected: Vec<RuleId> = matching.map(|(at, _)| RuleId(at as u32)).collect();
            assert_eq!(candidates, expected);
        }
    }
}
