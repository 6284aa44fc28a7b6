//! The same answer, schedules included, for any number of threads.

use proptest::prelude::*;
use tdxexplore_core::{Exploration, Options, Program, SpaceKind};

use crate::random::{Shape, question};
use crate::{counting_cpus, explored_with, initial, program};

/// What may depend on the run.
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
            let answer = |threads| timeless(explored_with(&program, &initial, &Options { space, threads, ..Options::default() }));
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
