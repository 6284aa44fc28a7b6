//! Schedules lead where they say, with CPUs that keep their names.

use proptest::prelude::*;
use tdxexplore_core::{LabelledState, Program, Replay, SpaceKind, replay};

use crate::random::{Shape, question};
use crate::witness::any_holds;
use crate::{counting_cpus, explored, initial, program};

fn check_length(replayed: &Replay, steps: u32) -> Result<(), TestCaseError> {
    prop_assert_eq!(replayed.steps.len(), steps as usize);
    prop_assert_eq!(replayed.states.len(), steps as usize + 1);
    Ok(())
}

fn check(program: &Program, initial: &LabelledState, space: SpaceKind) -> Result<(), TestCaseError> {
    let answer = explored(program, initial, space);
    for row in &answer.outcomes {
        let replayed = replay(program, initial, row.schedule.as_ref().unwrap()).unwrap();
        check_length(&replayed, row.shortest_steps)?;
        // A diverging state is not terminal, so it has no outcome of its own.
        let diverges = program.diverges == Some(row.outcome);
        prop_assert_eq!(replayed.is_terminal(), !diverges);
        prop_assert_eq!(replayed.outcome, Some(row.outcome).filter(|_| !diverges));
    }
    let invariants = program.invariants.iter().map(|invariant| &invariant.violated_when).zip(&answer.invariants);
    let expectations = program.expectations.iter().map(|expectation| &expectation.when).zip(&answer.expectations);
    for (guards, row) in invariants.chain(expectations) {
        prop_assert_eq!(row.schedule.is_some(), !row.states.is_zero());
        if let Some(schedule) = &row.schedule {
            let replayed = replay(program, initial, schedule).unwrap();
            check_length(&replayed, row.shortest_steps.unwrap())?;
            prop_assert!(any_holds(guards, replayed.states.last().unwrap()));
            let (_, before) = replayed.states.split_last().unwrap();
            prop_assert!(!before.iter().any(|state| any_holds(guards, state)));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_schedule_replays_to_where_it_says((program, initial) in question(Shape::Free)) {
        for space in [SpaceKind::Orbit, SpaceKind::Concrete] {
            check(&program, &initial, space)?;
        }
    }
}

#[test]
fn the_empty_schedule_stays_in_the_initial_state() {
    let program = program(&counting_cpus(1));
    let initial = initial(&program, &[&[0, 1]]);
    let replayed = replay(&program, &initial, "").unwrap();
    assert_eq!((replayed.steps.len(), &replayed.states[..]), (0, &[initial][..]));
    assert_eq!((replayed.enabled.len(), replayed.outcome), (1, None));
    assert_eq!((replayed.enabled[0].package, replayed.enabled[0].cpu), (Some(0), Some(0)));
}

#[test]
fn transitions_are_ordered_by_actor_package_cpu_choice_and_rule() {
    let rule = |actor: u32, scope: &str, choice: u32| {
        let mut rule = serde_json::json!({"label": "step", "scope": scope});
        rule["actor"] = actor.into();
        rule["choice"] = choice.into();
        rule
    };
    let mut document = counting_cpus(0);
    document["actors"] = ["first", "second"].into();
    document["rules"] = vec![
        rule(1, "global", 0),
        rule(0, "cpu", 1),
        rule(0, "cpu", 0),
        rule(0, "package", 7),
        rule(0, "global", 9),
        rule(0, "cpu", 0),
    ]
    .into();
    let program = program(&document);
    let enabled = replay(&program, &initial(&program, &[&[0], &[0, 0]]), "").unwrap().enabled;
    let order: Vec<_> = enabled.iter().map(|it| (it.rule.0, it.package, it.cpu)).collect();
    let cpu = |package, cpu| [2, 5, 1].map(|rule| (rule, Some(package), Some(cpu)));
    let mut expected = vec![(4, None, None), (3, Some(0), None)];
    expected.extend(cpu(0, 0));
    expected.push((3, Some(1), None));
    expected.extend(cpu(1, 1));
    expected.extend(cpu(1, 2));
    expected.push((0, None, None));
    assert_eq!(order, expected);
}

#[test]
fn schedules_of_many_cpus_use_decimal_tokens() {
    let mut document = counting_cpus(1);
    document["outcomes"][0]["when"] = serde_json::json!([{}]);
    let program = program(&document);
    let initial = initial(&program, &[&[0; 40]]);
    let replayed = replay(&program, &initial, "(39)(38)z").unwrap();
    assert_eq!(replayed.steps.iter().map(|step| step.cpu.unwrap()).collect::<Vec<_>>(), [39, 38, 35]);
    let answer = explored(&program, &initial, SpaceKind::Orbit);
    assert_eq!(answer.outcomes[0].schedule, Some("0".repeat(40)));
}

#[test]
fn a_tie_goes_to_the_rule_that_was_declared_first() {
    // Both rules lead to the same state; the one of the second actor comes first in the Program and last in the
    // canonical order.
    let step = |actor: u32| {
        serde_json::json!({
            "actor": actor, "label": "step", "scope": "global",
            "guard": {"global": {"care": "0x1", "value": "0x0"}}, "effect": {"global": {"set": "0x1"}}
        })
    };
    let mut document = counting_cpus(0);
    document["widths"]["global"] = 1.into();
    document["actors"] = ["first", "second"].into();
    document["rules"] = vec![step(1), step(0)].into();
    let program = program(&document);
    let initial = initial(&program, &[&[0]]);
    for space in [SpaceKind::Orbit, SpaceKind::Concrete] {
        let schedule = explored(&program, &initial, space).outcomes[0].schedule.clone().unwrap();
        assert_eq!(schedule, "1");
        assert_eq!(replay(&program, &initial, &schedule).unwrap().steps[0].rule.0, 0);
    }
}
