//! Which rules a state has to try at all.
//!
//! Each actor has a program counter, a global field, and nearly every rule tests one of them. The index keeps, for
//! each value of each counter, the rules that can match it; a state looks up one short list for each counter.
//!
//! Invariant: the candidates contain every rule whose global cube matches, in the order of declaration: the order in
//! which successors are generated breaks ties between shortest traces.
//!
//! Rejected: one table over the combinations of all counters; it filters no rule that a single AND would not, and
//! its size is the product of the counters.

use crate::program::{Cube, Field, Program, RuleId, Scope, low_bits};

/// Rules by the program-counter values that they test.
#[derive(Debug)]
pub(crate) struct RuleIndex {
    counters: Vec<Counter>,
    /// Rules that test no counter.
    always: Vec<Entry>,
}

/// A rule and its global cube, side by side: most candidates end at this test, and never load their rule.
#[derive(Debug, Clone, Copy)]
struct Entry {
    global: Cube<u128>,
    rule: RuleId,
}

#[derive(Debug)]
struct Counter {
    offset: u32,
    mask: u128,
    rules_by_value: Vec<Vec<Entry>>,
}

impl RuleIndex {
    pub(crate) fn new(program: &Program) -> Self {
        let mut counters: Vec<Counter> = Vec::new();
        let global = |field: &&Field| field.scope == Scope::Global;
        for field in program.index.iter().map(|id| &program.fields[id.index()]).filter(global) {
            counters.push(Counter {
                offset: field.offset,
                mask: low_bits(field.width),
                rules_by_value: vec![Vec::new(); 1 << field.width],
            });
        }
        let mut always = Vec::new();
        for (at, rule) in program.rules.iter().enumerate() {
            let cube = rule.guard.global;
            let entry = Entry { global: cube, rule: RuleId(at as u32) };
            // The counter of which the rule tests the most bits leaves it in the fewest lists.
            let tested = |counter: &Counter| ((cube.care >> counter.offset) & counter.mask).count_ones();
            let best = counters.iter_mut().rev().max_by_key(|counter| tested(counter));
            let Some(counter) = best.filter(|counter| tested(counter) > 0) else {
                always.push(entry);
                continue;
            };
            for (value, rules) in counter.rules_by_value.iter_mut().enumerate() {
                let word = (value as u128) << counter.offset;
                if (word ^ cube.value) & cube.care & (counter.mask << counter.offset) == 0 {
                    rules.push(entry);
                }
            }
        }
        Self { counters, always }
    }

    /// Collects the rules whose global cube matches, in the order of declaration.
    #[inline]
    pub(crate) fn candidates(&self, global: u128, candidates: &mut Vec<RuleId>) {
        candidates.clear();
        let mut try_each = |entries: &[Entry]| {
            let matching = entries.iter().filter(|entry| entry.global.matches(global));
            candidates.extend(matching.map(|entry| entry.rule));
        };
        for counter in &self.counters {
            try_each(&counter.rules_by_value[((global >> counter.offset) & counter.mask) as usize]);
        }
        try_each(&self.always);
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
        assert!(index.always.len() < cubes.len() / 20);
        let mut candidates = Vec::new();
        for global in 0..32 {
            index.candidates(global, &mut candidates);
            let matching = cubes.iter().enumerate().filter(|(_, (care, value))| global & care == *value);
            let expected: Vec<RuleId> = matching.map(|(at, _)| RuleId(at as u32)).collect();
            assert_eq!(candidates, expected);
        }
    }
}
