//! Random walks go where runs go, the same for any number of threads, and their schedules replay.

use proptest::prelude::*;
use tdxexplore_core::{
    ErrorKind, LabelledState, Monitor, Program, Scheduling, SpaceKind, WalkOptions, Walks, replay, walk,
};

use crate::random::{Shape, question};
use crate::witness::any_holds;
use crate::{counting_cpus, explored, initial, program};

fn options(scheduling: Scheduling) -> WalkOptions {
    WalkOptions { scheduling, walks: 300, seed: 7, threads: 1, max_depth: 100, timeout: None }
}

fn walked(program: &Program, initial: &LabelledState, options: &WalkOptions) -> Walks {
    let walks = walk(program, initial, options, &Monitor::default()).unwrap();
    Walks { elapsed: std::time::Duration::ZERO, ..walks }
}

fn check(program: &Program, initial: &LabelledState, scheduling: Scheduling) -> Result<(), TestCaseError> {
    let walks = walked(program, initial, &options(scheduling));
    let exact = explored(program, initial, SpaceKind::Concrete);
    prop_assert_eq!((walks.walks, walks.incomplete), (300, None));
    prop_assert_eq!(walks.outcomes.iter().map(|row| row.walks).sum::<u64>() + walks.cut, 300);
    for (outcome, row) in walks.outcomes.iter().enumerate().filter(|(_, row)| row.walks > 0) {
        let known = exact.outcomes.iter().find(|known| known.outcome == outcome);
        prop_assert!(known.is_some_and(|known| known.shortest_steps <= row.shortest_steps.unwrap()));
        let replayed = replay(program, initial, row.schedule.as_ref().unwrap()).unwrap();
        prop_assert_eq!(replayed.steps.len(), row.shortest_steps.unwrap() as usize);
        prop_assert_eq!(replayed.outcome, Some(outcome));
    }
    let invariants = program.invariants.iter().map(|invariant| &invariant.violated_when).zip(&walks.invariants);
    let expectations = program.expectations.iter().map(|expectation| &expectation.when).zip(&walks.expectations);
    for (guards, row) in invariants.chain(expectations).filter(|(_, row)| row.walks > 0) {
        let replayed = replay(program, initial, row.schedule.as_ref().unwrap()).unwrap();
        let (last, before) = replayed.states.split_last().unwrap();
        prop_assert!(any_holds(guards, last) && !before.iter().any(|state| any_holds(guards, state)));
    }
    let several = WalkOptions { threads: 3, ..options(scheduling) };
    prop_assert_eq!(walked(program, initial, &several), walks);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn walks_go_where_runs_go((program, initial) in question(Shape::Free), depth in 1..5_u32) {
        check(&program, &initial, Scheduling::Uniform)?;
        check(&program, &initial, Scheduling::Pct { depth })?;
    }
}

#[test]
fn a_smaller_sample_is_the_beginning_of_a_larger_one() {
    let program = program(&counting_cpus(3));
    let initial = initial(&program, &[&[0, 1], &[2, 3, 0]]);
    for scheduling in [Scheduling::Uniform, Scheduling::Pct { depth: 3 }] {
        let of = |walks| walked(&program, &initial, &WalkOptions { walks, ..options(scheduling) });
        let (small, large) = (of(70), of(5_000));
        // Every run has nine steps, so the first one is the shortest of both.
        assert_eq!((small.longest, small.steps, large.steps), (9, 70 * 9, 5_000 * 9));
        assert_eq!(small.outcomes[0].schedule, large.outcomes[0].schedule);
        assert_eq!((small.actors, large.bounded), (4, if scheduling == Scheduling::Uniform { 0 } else { 5_000 }));
        assert_eq!(of(70), small);
    }
}

#[test]
fn a_request_to_stop_ends_the_walks_between_two_steps() {
    let program = program(&counting_cpus(3));
    let initial = initial(&program, &[&[0; 8]]);
    let monitor = Monitor::default();
    monitor.cancel();
    let options = WalkOptions { walks: u64::MAX, ..options(Scheduling::Pct { depth: 2 }) };
    let walks = walk(&program, &initial, &options, &monitor).unwrap();
    assert_eq!(walks.incomplete.unwrap().to_string(), "interrupted");
    assert!(walks.walks < 1_000_000);
}

#[test]
fn what_is_not_allowed_is_named() {
    let program = program(&counting_cpus(1));
    let initial = initial(&program, &[&[0]]);
    for (text, words) in [
        (r#"{"walks": 0, "seed": 0, "threads": 1, "max_depth": 1}"#, "at least 1"),
        (r#"{"walks": 1, "seed": 0, "threads": 1, "max_depth": 1, "bug_depth": 65}"#, "1 to 64"),
        (r#"{"walks": 1, "seed": 0, "threads": 1, "max_depth": 1, "bug_depth": 0}"#, "bug_depth is 0"),
        (r#"{"walks": 1, "seed": -1, "threads": 1, "max_depth": 1}"#, "at `seed`"),
        (r#"{"walks": 1, "seed": 0, "threads": 1, "max_depth": 1, "timeout": -1}"#, "timeout is -1"),
        (r#"{"walks": 1, "seed": 0, "threads": 1, "max_depth": 1, "depth": 1}"#, "bug_depth"),
    ] {
        let read = WalkOptions::from_json(text);
        let error = read.and_then(|options| walk(&program, &initial, &options, &Monitor::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Options);
        assert!(error.to_string().contains(words), "`{error}` lacks `{words}`");
    }
}
