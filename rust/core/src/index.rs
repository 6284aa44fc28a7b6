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

use crate::program::{Program, RuleId, low_bits};

/// Rules by the program-counter values that they test.
#[derive(Debug)]
pub(crate) struct RuleIndex {
    counters: Vec<Counter>,
    /// Rules that test no counter.
    always: Vec<RuleId>,
}

#[derive(Debug)]
struct Counter {
    offset: u32,
    mask: u128,
    rules_by_value: Vec<Vec<RuleId>>,
}

impl RuleIndex {
    pub(crate) fn new(program: &Program) -> Self {
        let mut counters: Vec<Counter> = Vec::new();
        for id in &program.index {
            let field = &program.fields[id.index()];
            counters.push(Counter {
                offset: field.offset,
                mask: low_bits(field.width),
                rules_by_value: vec![Vec::new(); 1 << field.width],
            });
        }
        let mut always = Vec::new();
        for (at, rule) in program.rules.iter().enumerate() {
            let cube = rule.guard.global;
            // The counter of which the rule tests the most bits leaves it in the fewest lists.
            let tested = |counter: &Counter| ((cube.care >> counter.offset) & counter.mask).count_ones();
            let best = counters.iter_mut().rev().max_by_key(|counter| tested(counter));
            let Some(counter) = best.filter(|counter| tested(counter) > 0) else {
                always.push(RuleId(at as u32));
                continue;
            };
            for (value, rules) in counter.rules_by_value.iter_mut().enumerate() {
                let word = (value as u128) << counter.offset;
                if (word ^ cube.value) & cube.care & (counter.mask << counter.offset) == 0 {
                    rules.push(RuleId(at as u32));
                }
            }
        }
        Self { counters, always }
    }

    /// Collects the rules whose global cube matches, in the order of declaration.
    #[inline]
    pub(crate) fn candidates(&self, program: &Program, global: u128, candidates: &mut Vec<RuleId>) {
        candidates.clear();
        let mut try_each = |rules: &[RuleId]| {
            candidates.extend(rules.iter().filter(|id| program.rule(**id).guard.global.matches(global)));
        };
        for counter in &self.counters {
            try_each(&counter.rules_by_value[((global >> counter.offset) & counter.mask) as usize]);
        }
        try_each(&self.always);
        candidates.sort_unstable();
    }
}
