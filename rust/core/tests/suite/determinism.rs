//! The same answer, schedules included, for any number of threads.

use proptest::prelude::*;
use tdxexplore_core::{Exploration, Monitor, Options, Program, SpaceKind, explore};

use crate::random::{Shape, question};
use crate::{counting_cpus, explored_with, initial, program};

/// An answer without the figures that may differ from run to run.
fn timeless(mut answer: Exploration) -> Exploration {
    answer.elapsed = std::time::Duration::ZERO;
    answer.threads = 0;
    answer.memory_bytes = 0;
    answer
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_thread_and_three_give_the_same_answer((program, initial) in question(Shape::Free)) {
        for space in [SpaceKind::Orbit, SpaceKind::Concrete] {
            let options = |threads| Options { space, threads, ..Options::default() };
            let answer = |threads| timeless(explored_with(&program, &initial, &options(threads)));
            prop_assert_eq!(answer(1), answer(3));
        }
    }
}

#[test]
fn many_batches_on_many_threads_give_the_same_answer() {
    // 4^9 states: levels of tens of thousands, so several batches for each level and many chunks for each batch.
    let program: Program = program(&counting_cpus(3));
    let initial = initial(&program, &[&[0, 0, 0, 0, 0], &[0, 0, 0, 1]]);
    let answer = |threads| {
        timeless(explored_with(
            &program,
            &initial,
            &Options { space: SpaceKind::Concrete, threads, ..Options::default() },
        ))
    };
    let alone = answer(1);
    assert_eq!(alone.explored, 4_u64.pow(8) * 3);
    for threads in [2, 5] {
        assert_eq!(answer(threads), alone);
    }
}

#[test]
fn of_many_traps_on_a_level_the_first_one_is_reported() {
    // Each of six CPUs may be the first at 3: six states of the same level, spread over the threads.
    let mut document = counting_cpus(3);
    let at_three = serde_json::json!({"cpu": crate::cube(3, 3)});
    let trap = serde_json::json!({"actor": 0, "label": "oops", "scope": "cpu", "guard": at_three, "trap": "3"});
    document["rules"].as_array_mut().unwrap().push(trap);
    let program: Program = program(&document);
    let initial = initial(&program, &[&[0; 6]]);
    let schedule = |threads| {
        let options = Options { space: SpaceKind::Concrete, threads, ..Options::default() };
        let error = explore(&program, &initial, &options, &Monitor::default()).unwrap_err();
        error.schedule_to_state().unwrap().to_owned()
    };
    let alone = schedule(1);
    assert_eq!(alone, "000");
    for threads in [2, 3, 5] {
        assert_eq!(schedule(threads), alone);
    }
}
