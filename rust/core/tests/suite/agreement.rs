//! The orbit space, the concrete space and the witness give the same answer to random questions.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use tdxexplore_core::program::Program;
use tdxexplore_core::{
    Exploration, LabelledState, Measuring, Monitor, Options, PredicateRow, SpaceKind, Symmetry, UBig, explore, replay,
};

use crate::random::{Shape, question};
use crate::witness::Witness;
use crate::{cube, initial};

/// Labelled states above which a random question is passed over; chains of this size are solved exactly.
const LARGE: usize = 1000;
/// Labelled states above which the witness does not compute probabilities: its exact elimination is cubic.
const LARGE_CHAIN: usize = 60;

fn check(program: &Program, initial: &LabelledState, shape: Shape) -> Result<(), TestCaseError> {
    let Some(witness) = Witness::explore(program, initial, LARGE) else {
        return Ok(());
    };
    let mut answers = Vec::new();
    for space in [SpaceKind::Orbit, SpaceKind::Concrete] {
        let options = Options { space, ..Options::default() };
        let answer = explore(program, initial, &options, &Monitor::default()).unwrap();
        compare(program, &witness, &answer, shape)?;
        compare_schedules(program, initial, &witness, &answer)?;
        let options = Options { measuring: Measuring::Off, ..options };
        compare_unmeasured(&answer, &explore(program, initial, &options, &Monitor::default()).unwrap())?;
        answers.push(answer);
    }
    prop_assert!(answers[0].explored <= answers[1].explored);
    for (orbit, concrete) in answers[0].outcomes.iter().zip(&answers[1].outcomes) {
        prop_assert!((orbit.probability.unwrap() - concrete.probability.unwrap()).abs() < 1e-12);
    }
    compare_symmetries(program, initial, &answers[0])?;
    prop_assert_eq!(UBig::from(answers[1].explored), answers[1].states.clone());
    prop_assert_eq!(UBig::from(answers[1].generated), answers[1].transitions.clone());
    for threads in [1, 2] {
        let options = Options { space: SpaceKind::Bits, threads, ..Options::default() };
        compare_bits(&answers[1], &explore(program, initial, &options, &Monitor::default()).unwrap())?;
    }
    Ok(())
}

/// Every schedule leads to a state that has the outcome.
fn compare_schedules(
    program: &Program,
    initial: &LabelledState,
    witness: &Witness,
    answer: &Exploration,
) -> Result<(), TestCaseError> {
    for row in &answer.outcomes {
        let run = replay(program, initial, row.schedule.as_ref().unwrap()).unwrap();
        let last = witness.states.iter().position(|state| Some(state) == run.states.last()).unwrap();
        prop_assert_eq!(witness.outcomes[last], Some(row.outcome));
        prop_assert_eq!(run.outcome, Some(row.outcome).filter(|_| !witness.diverging[last]));
    }
    Ok(())
}

/// Without measures no transitions are kept, and yet the same states diverge.
fn compare_unmeasured(measured: &Exploration, unmeasured: &Exploration) -> Result<(), TestCaseError> {
    prop_assert_eq!((unmeasured.incomplete, &unmeasured.measured), (None, &None));
    let outcomes = |answer: &Exploration| -> Vec<_> {
        let rows = answer.outcomes.iter();
        rows.map(|row| (row.outcome, row.terminal_states.clone(), row.shortest_steps, row.schedule.clone())).collect()
    };
    prop_assert_eq!(outcomes(unmeasured), outcomes(measured));
    Ok(())
}

/// The space of bits treats states together that differ in the names of CPUs, and every figure is as if it did not.
fn compare_bits(stored: &Exploration, bits: &Exploration) -> Result<(), TestCaseError> {
    prop_assert_eq!((bits.incomplete, &bits.measured), (None, &None));
    prop_assert_eq!((&bits.states, &bits.transitions), (&stored.states, &stored.transitions));
    prop_assert_eq!((&bits.levels, &bits.rules), (&stored.levels, &stored.rules));
    let predicates =
        |rows: &[PredicateRow]| -> Vec<_> { rows.iter().map(|row| (row.states.clone(), row.shortest_steps)).collect() };
    prop_assert_eq!(predicates(&bits.invariants), predicates(&stored.invariants));
    prop_assert_eq!(predicates(&bits.expectations), predicates(&stored.expectations));
    let outcomes = |answer: &Exploration| -> Vec<_> {
        let rows = answer.outcomes.iter();
        rows.map(|row| (row.outcome, row.terminal_states.clone(), row.shortest_steps)).collect()
    };
    prop_assert_eq!(outcomes(bits), outcomes(stored));
    Ok(())
}

/// With all CPUs interchangeable the runs are the same, in fewer orbits; states are those that the witness reaches from all
/// renamings of the initial state.
fn compare_symmetries(program: &Program, initial: &LabelledState, start: &Exploration) -> Result<(), TestCaseError> {
    let options = Options { symmetry: Symmetry::All, ..Options::default() };
    let all = explore(program, initial, &options, &Monitor::default()).unwrap();
    prop_assert!(all.incomplete.is_none() && all.explored <= start.explored && all.states >= start.states);
    prop_assert!(all.depth <= start.depth);
    prop_assert_eq!(all.outcomes.len(), start.outcomes.len());
    for (row, start) in all.outcomes.iter().zip(&start.outcomes) {
        prop_assert_eq!((row.outcome, &row.interleavings), (start.outcome, &start.interleavings));
        prop_assert_eq!(row.shortest_steps, start.shortest_steps);
        prop_assert!((row.probability.unwrap() - start.probability.unwrap()).abs() < 1e-12);
        let schedule = row.schedule.as_ref().unwrap();
        let ends = Some(row.outcome).filter(|outcome| program.diverges != Some(*outcome));
        prop_assert_eq!(replay(program, initial, schedule).unwrap().outcome, ends);
    }
    let steps = |rows: &[PredicateRow]| -> Vec<_> { rows.iter().map(|row| row.shortest_steps).collect() };
    prop_assert_eq!(steps(&all.invariants), steps(&start.invariants));
    prop_assert_eq!(steps(&all.expectations), steps(&start.expectations));
    let mut reached = BTreeSet::new();
    for renamed in renamings(initial) {
        let Some(witness) = Witness::explore(program, &renamed, LARGE) else {
            return Ok(());
        };
        reached.extend(witness.states.iter().map(|state| format!("{state:?}")));
    }
    prop_assert_eq!(&all.states, &UBig::from(reached.len()));
    Ok(())
}

/// All states that are this one with CPUs of each package, and packages of a size, in some order.
fn renamings(state: &LabelledState) -> Vec<LabelledState> {
    let mut all = vec![state.clone()];
    let mut at = 0;
    while at < all.len() {
        let state = all[at].clone();
        for a in 0..state.packages.len() {
            let cpus = state.packages[a].cpus.len();
            let mut swapped = Vec::new();
            for (left, right) in (1..cpus).map(|cpu| (cpu - 1, cpu)) {
                let mut other = state.clone();
                other.packages[a].cpus.swap(left, right);
                swapped.push(other);
            }
            for b in (0..a).filter(|b| state.packages[*b].cpus.len() == cpus) {
                let mut other = state.clone();
                other.packages.swap(a, b);
                swapped.push(other);
            }
            for other in swapped {
                if !all.contains(&other) {
                    all.push(other);
                }
            }
        }
        at += 1;
    }
    all
}

/// Compares everything that does not depend on the space.
fn compare(program: &Program, witness: &Witness, answer: &Exploration, shape: Shape) -> Result<(), TestCaseError> {
    prop_assert_eq!(answer.incomplete, None);
    prop_assert_eq!(&answer.states, &UBig::from(witness.states.len()));
    prop_assert_eq!(&answer.transitions, &witness.transitions.iter().map(Vec::len).sum::<usize>().into());
    prop_assert_eq!(Some(&answer.depth), witness.depths.iter().max());
    for (depth, level) in answer.levels.iter().enumerate() {
        let states = witness.depths.iter().filter(|it| **it as usize == depth).count();
        prop_assert_eq!(&level.states, &UBig::from(states));
    }
    for (at, rule) in answer.rules.iter().enumerate() {
        prop_assert_eq!(&rule.transitions, &UBig::from(witness.count_transitions(at)));
    }
    for (invariant, row) in program.invariants.iter().zip(&answer.invariants) {
        prop_assert_eq!(&row.states, &UBig::from(witness.count_states(&invariant.violated_when)));
    }
    for (expectation, row) in program.expectations.iter().zip(&answer.expectations) {
        prop_assert_eq!(&row.states, &UBig::from(witness.count_states(&expectation.when)));
    }
    compare_outcomes(program, witness, answer, shape)
}

fn compare_outcomes(
    program: &Program,
    witness: &Witness,
    answer: &Exploration,
    shape: Shape,
) -> Result<(), TestCaseError> {
    let count = program.outcomes.len();
    let interleavings = witness.interleavings(count);
    let measured = answer.measured.as_ref().unwrap();
    prop_assert_eq!(measured.cyclic, witness.is_cyclic());
    prop_assert!(measured.cyclic || interleavings.is_some());
    prop_assert!(shape != Shape::Monotone || !measured.cyclic);
    let mut shares = 0.0;
    for at in 0..count {
        let row = answer.outcomes.iter().find(|row| row.outcome == at);
        let Some(row) = row else {
            prop_assert_eq!(witness.terminal_states(at), 0);
            continue;
        };
        prop_assert_eq!(&row.terminal_states, &UBig::from(witness.terminal_states(at)));
        prop_assert_eq!(row.interleavings.as_ref(), interleavings.as_ref().map(|all| &all[at]));
        let reached = witness.outcomes.iter().zip(&witness.depths).filter(|(outcome, _)| **outcome == Some(at));
        prop_assert_eq!(Some(row.shortest_steps), reached.map(|(_, depth)| *depth).min());
        shares += row.interleaving_share.unwrap_or(0.0);
    }
    prop_assert!(interleavings.is_none() || (shares - 1.0).abs() < 1e-12);
    let probability: f64 = answer.outcomes.iter().map(|row| row.probability.unwrap()).sum();
    let sum_is_one = program.diverges.is_some() || !witness.diverging.contains(&true);
    prop_assert_eq!((probability - 1.0).abs() < 1e-12, sum_is_one);
    if witness.states.len() <= LARGE_CHAIN {
        let probabilities = witness.probabilities(count);
        for row in &answer.outcomes {
            prop_assert!((row.probability.unwrap() - probabilities[row.outcome]).abs() < 1e-12);
        }
    }
    Ok(())
}

/// Three CPUs climb a ladder, none ahead of one that is a step behind. A condition for each step, and one on packages at
/// the top: more than a word of bits holds.
#[test]
fn both_spaces_agree_with_the_witness_on_many_conditions() {
    const TOP: u64 = 100;
    let step = |value: u64| {
        let behind = json!({"over": "cpus", "some": false, "cpu": cube(0x7f, value.wrapping_sub(1) & 0x7f)});
        json!({
            "actor": 0, "label": format!("to {}", value + 1), "scope": "cpu",
            "guard": {"cpu": cube(0x7f, value), "quantified": [behind]},
            "effect": {"cpu": {"add": [{"offset": 0, "width": 7, "delta": 1}]}}
        })
    };
    let at_top = json!({"over": "packages", "some": true, "cpus": [{"some": true, "cpu": cube(0x7f, TOP)}]});
    let alone = json!({"over": "packages", "some": false, "cpus": [{"some": true, "cpu": cube(0x7f, TOP - 1)}]});
    let mut rules: Vec<Value> = (0..TOP).map(step).collect();
    rules.push(json!({
        "actor": 0, "label": "follow", "scope": "cpu",
        "guard": {"cpu": cube(0x7f, TOP), "quantified": [at_top, alone]},
        "effect": {"cpu": {"set": "0x7f"}}
    }));
    let document = json!({
        "format": 1, "name": "ladder", "widths": {"global": 0, "package": 0, "cpu": 7}, "fields": [],
        "actors": ["cpu"], "rules": rules,
        "outcomes": [{"name": "done", "severity": 5, "fatal": false, "when": [{}]}]
    });
    let program = crate::program(&document);
    let initial = initial(&program, &[&[0, 0], &[0]]);
    let states = Witness::explore(&program, &initial, LARGE).map(|witness| witness.states.len());
    assert!(states.is_some_and(|states| states > 2 * TOP as usize), "{states:?}");
    check(&program, &initial, Shape::Free).unwrap();
}

/// A step that looks at other CPUs, after one of a later CPU that looks at or changes them: each takes from the other what it
/// needs, so that one order is the only one.
#[test]
fn steps_that_take_from_each_other_what_they_need_have_one_order() {
    const HAS: u64 = 0b001;
    let rule = |bit: u64, others: Value, effect: Value| {
        json!({
            "actor": 0, "label": format!("set {bit}"), "scope": "cpu",
            "guard": {"cpu": cube(bit, 0), "quantified": others}, "effect": effect
        })
    };
    let others = |some: bool| json!([{"over": "cpus", "some": some, "cpu": cube(HAS, HAS)}]);
    let leave = rule(0b010, json!([]), json!({"cpu": {"clear": "0x1", "set": "0x2"}}));
    let join = rule(0b010, json!([]), json!({"cpu": {"set": "0x3"}}));
    let alone = rule(0b010, others(false), json!({"cpu": {"set": "0x2"}}));
    let clear = json!({"over": "cpus", "cpu": cube(HAS, HAS), "clear": "0x1"});
    let cases = [
        ([leave.clone(), rule(0b100, others(true), json!({"cpu": {"set": "0x4"}}))], [1, 1, 0]),
        ([join, rule(0b100, others(false), json!({"cpu": {"set": "0x4"}}))], [0, 0, 0]),
        ([alone.clone(), rule(0b100, json!([]), json!({"cpu": {"set": "0x4"}, "bulk": [clear]}))], [0, 0, 1]),
        ([alone, rule(0b100, json!([]), json!({"cpu": {"clear": "0x1", "set": "0x4"}}))], [0, 1, 0]),
    ];
    for (rules, words) in cases {
        for rules in [rules.clone(), [rules[1].clone(), rules[0].clone()]] {
            let document = json!({
                "format": 1, "name": "order", "widths": {"global": 0, "package": 0, "cpu": 3}, "fields": [],
                "actors": ["cpu"], "rules": rules,
                "outcomes": [{"name": "done", "severity": 5, "fatal": false, "when": [{}]}]
            });
            let program = crate::program(&document);
            for packages in [vec![&words[..]], vec![&words[..2], &words[2..]]] {
                check(&program, &initial(&program, &packages), Shape::Free).unwrap();
            }
        }
    }
}

/// Several classes of several CPUs: a step of one CPU makes kinds of CPUs one, and others change places.
#[test]
fn bits_by_arrangement_agree_with_every_state_on_its_own() {
    let ends = json!([{"over": "cpus", "some": false, "cpu": cube(3, 1)}]);
    let up = json!({
        "actor": 0, "label": "up", "scope": "cpu", "guard": {"cpu": cube(2, 0)},
        "effect": {"cpu": {"add": [{"offset": 0, "width": 2, "delta": 1}]}}
    });
    let merge = json!({
        "actor": 0, "label": "others at 0 and 1 become 1 and 0, those at 2 become 3", "scope": "cpu",
        "guard": {"global": cube(1, 0), "cpu": cube(3, 2)},
        "effect": {"global": {"set": "0x1"}, "cpu": {"set": "0x3"}, "bulk": [
            {"over": "package-cpus", "cpu": cube(3, 0), "set": "0x1"},
            {"over": "cpus", "cpu": cube(3, 1), "clear": "0x1"},
            {"over": "cpus", "cpu": cube(3, 2), "set": "0x1"}
        ]}
    });
    let all = json!({
        "actor": 0, "label": "all at 0 become 2", "scope": "package",
        "guard": {"package": cube(1, 0), "quantified": ends},
        "effect": {"package": {"set": "0x1"}, "bulk": [{"over": "cpus", "cpu": cube(3, 0), "set": "0x2"}]}
    });
    let document = json!({
        "format": 1, "name": "classes", "widths": {"global": 1, "package": 1, "cpu": 2}, "fields": [],
        "actors": ["cpu"], "rules": [up, merge, all],
        "outcomes": [{"name": "done", "severity": 5, "fatal": false, "when": [{}]}],
        "invariants": [{"name": "none at 3", "severity": 4, "violated_when": [
            {"quantified": [{"over": "cpus", "some": true, "cpu": cube(3, 3)}]}
        ]}]
    });
    let program = crate::program(&document);
    // CPUs that start out equal need not be neighbours.
    for (packages, least) in [
        (vec![&[0, 0, 0, 0, 0, 0, 0][..]], 5_000),
        (vec![&[0, 1, 0, 1, 0, 0][..], &[1, 0]], 5_000),
        (vec![&[0, 0, 0][..], &[0, 0, 0], &[2]], 5_000),
    ] {
        let initial = initial(&program, &packages);
        let options = Options { space: SpaceKind::Concrete, ..Options::default() };
        let stored = explore(&program, &initial, &options, &Monitor::default()).unwrap();
        assert!(stored.explored > least, "{}", stored.explored);
        for threads in [1, 3] {
            let options = Options { space: SpaceKind::Bits, threads, ..options };
            compare_bits(&stored, &explore(&program, &initial, &options, &Monitor::default()).unwrap()).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_spaces_agree_with_the_witness_on_acyclic_programs((program, initial) in question(Shape::Monotone)) {
        check(&program, &initial, Shape::Monotone)?;
    }

    #[test]
    fn both_spaces_agree_with_the_witness_on_programs_that_hang((program, initial) in question(Shape::Hanging)) {
        check(&program, &initial, Shape::Hanging)?;
    }

    #[test]
    fn both_spaces_agree_with_the_witness_on_any_program((program, initial) in question(Shape::Free)) {
        check(&program, &initial, Shape::Free)?;
    }
}
