//! A limit gives an incomplete answer with its reason, never a wrong one.

use std::time::Duration;

use tdxexplore_core::{Limits, Measuring, Monitor, Options, Reason, SpaceKind, UBig, explore};

use crate::{counting_cpus, explored, explored_with, initial, program};

fn limited(limits: Limits) -> tdxexplore_core::Exploration {
    let program = program(&counting_cpus(3));
    let initial = initial(&program, &[&[0; 6]]);
    explored_with(&program, &initial, &Options { space: SpaceKind::Concrete, limits, ..Options::default() })
}

#[test]
fn a_limit_on_states_is_never_exceeded() {
    let answer = limited(Limits { max_states: Some(100), ..Limits::default() });
    assert_eq!(answer.incomplete, Some(Reason::MaxStates(100)));
    assert_eq!(answer.incomplete.unwrap().to_string(), "max-states 100");
    assert_eq!(answer.explored, 100);
    assert_eq!(answer.levels.iter().map(|level| level.explored).sum::<u64>(), 100);
    assert_eq!(answer.measured, None);
}

#[test]
fn a_limit_that_is_just_large_enough_leaves_the_answer_complete() {
    let full = limited(Limits::default());
    assert_eq!(full.explored, 4096);
    let states = limited(Limits { max_states: Some(4096), ..Limits::default() });
    assert_eq!((states.incomplete, states.explored), (None, 4096));
    let depth = limited(Limits { max_depth: Some(18), ..Limits::default() });
    assert_eq!((depth.incomplete, depth.explored), (None, 4096));
    assert_eq!(depth.outcomes, full.outcomes);
}

#[test]
fn a_limit_on_depth_keeps_whole_levels() {
    let full = limited(Limits::default());
    let answer = limited(Limits { max_depth: Some(5), ..Limits::default() });
    assert_eq!(answer.incomplete, Some(Reason::MaxDepth(5)));
    assert_eq!(answer.incomplete.unwrap().to_string(), "max-depth 5");
    assert_eq!(answer.depth, 5);
    assert_eq!(answer.levels, full.levels[..6]);
}

#[test]
fn terminal_states_at_the_limit_on_depth_have_their_outcome() {
    let program = program(&counting_cpus(1));
    let initial = initial(&program, &[&[0, 0]]);
    let limits = Limits { max_depth: Some(2), ..Limits::default() };
    let answer = explored_with(&program, &initial, &Options { limits, ..Options::default() });
    assert_eq!((answer.incomplete, answer.outcomes.len()), (None, 1));
}

#[test]
fn limits_on_memory_and_time_stop_the_search() {
    let answer = limited(Limits { max_memory: Some(1), ..Limits::default() });
    assert_eq!(answer.incomplete, Some(Reason::MaxMemory(1)));
    assert!(answer.explored > 1 && answer.explored < 4096 && answer.memory_bytes > 1);
    let answer = limited(Limits { timeout: Some(Duration::ZERO), ..Limits::default() });
    assert_eq!(answer.incomplete.unwrap().to_string(), "timeout 0 s");
    assert_eq!(answer.explored, 1);
}

#[test]
fn a_cancelled_search_returns_what_it_has() {
    let program = program(&counting_cpus(3));
    let monitor = Monitor::default();
    monitor.cancel();
    let answer = explore(&program, &initial(&program, &[&[0; 6]]), &Options::default(), &monitor).unwrap();
    assert_eq!((answer.incomplete, answer.explored), (Some(Reason::Interrupted), 1));
    assert_eq!(answer.incomplete.unwrap().to_string(), "interrupted");
}

#[test]
fn without_measures_everything_else_is_the_same() {
    let program = program(&counting_cpus(3));
    let initial = initial(&program, &[&[0; 6]]);
    for space in [SpaceKind::Orbit, SpaceKind::Concrete] {
        let full = explored(&program, &initial, space);
        let options = Options { space, measuring: Measuring::Off, ..Options::default() };
        let bare = explored_with(&program, &initial, &options);
        assert_eq!((bare.measured, bare.incomplete), (None, None));
        assert_eq!((bare.explored, bare.generated, bare.state_bits), (full.explored, full.generated, full.state_bits));
        assert_eq!((bare.states, bare.levels, bare.rules), (full.states, full.levels, full.rules));
        assert_eq!(bare.outcomes[0].schedule, full.outcomes[0].schedule);
        assert_eq!((&bare.outcomes[0].interleavings, bare.outcomes[0].probability), (&None, None));
        assert!(full.outcomes[0].interleavings.is_some());
    }
}

#[test]
fn bits_have_no_measures_even_if_they_are_asked_for() {
    let program = program(&counting_cpus(3));
    let initial = initial(&program, &[&[0; 6]]);
    let answer = |measuring| {
        let options = Options { space: SpaceKind::Bits, measuring, prices: true, ..Options::default() };
        explored_with(&program, &initial, &options)
    };
    let asked = answer(Measuring::On);
    assert_eq!(asked.measured, None);
    assert_eq!((&asked.outcomes[0].interleavings, asked.outcomes[0].probability), (&None, None));
    assert_eq!(asked.outcomes, answer(Measuring::Off).outcomes);
}

#[test]
fn the_monitor_sees_the_last_figures() {
    let program = program(&counting_cpus(3));
    let monitor = Monitor::default();
    let answer = explore(&program, &initial(&program, &[&[0; 6]]), &Options::default(), &monitor).unwrap();
    let progress = monitor.progress();
    assert_eq!((progress.explored, progress.generated), (answer.explored, answer.generated));
    assert_eq!((progress.depth, progress.frontier), (18, 0));
}

#[test]
fn two_thousand_cpus_fit_the_orbit_space() {
    let program = program(&counting_cpus(1));
    let cpus = [0_u64; 256];
    let packages = [&cpus[..]; 8];
    let initial = initial(&program, &packages);
    let limits = Limits { max_depth: Some(6), ..Limits::default() };
    let answer = explored_with(&program, &initial, &Options { limits, ..Options::default() });
    // Of 2048 CPUs, 0 to 6 are up.
    let choose = |k: u32| (0..k).fold(UBig::ONE, |product, at| product * (2048 - at) / (at + 1));
    assert_eq!(answer.states, (0..=6).map(choose).sum::<UBig>());
}

/// In the space of bits.
fn in_bits(limits: Limits, threads: usize) -> (tdxexplore_core::Exploration, tdxexplore_core::Plan) {
    let program = program(&counting_cpus(3));
    let initial = initial(&program, &[&[0; 6]]);
    let options = Options { space: SpaceKind::Bits, limits, threads, ..Options::default() };
    let monitor = Monitor::default();
    let answer = explore(&program, &initial, &options, &monitor).unwrap();
    (answer, monitor.progress().plan)
}

#[test]
fn bits_stop_at_whole_levels() {
    let (full, plan) = in_bits(Limits::default(), 1);
    assert_eq!((full.incomplete, full.explored, plan.expected_states), (None, 4096, Some(4096)));
    let mut stops = 0;
    for limit in (1..4096).step_by(17) {
        let limits = Limits { max_states: Some(limit), ..Limits::default() };
        let (answer, _) = in_bits(limits, 1);
        assert_eq!(answer.incomplete, Some(Reason::MaxStates(limit)));
        assert_eq!(answer.levels, full.levels[..answer.levels.len()]);
        assert!(answer.explored <= limit);
        assert_eq!(answer.levels, in_bits(limits, 3).0.levels);
        stops += 1;
    }
    assert!(stops > 200);
    let (answer, _) = in_bits(Limits { max_states: Some(4096), ..Limits::default() }, 2);
    assert_eq!((answer.incomplete, answer.explored), (None, 4096));
}

#[test]
fn bits_to_a_depth_are_the_states_that_are_stored_to_it() {
    for depth in 0..=18 {
        let limits = Limits { max_depth: Some(depth), ..Limits::default() };
        let (answer, stored) = (in_bits(limits, 2).0, limited(limits));
        assert_eq!(answer.incomplete, (depth < 18).then_some(Reason::MaxDepth(depth)));
        assert_eq!((&answer.incomplete, &answer.levels), (&stored.incomplete, &stored.levels));
        assert_eq!((&answer.rules, &answer.transitions), (&stored.rules, &stored.transitions));
    }
}

#[test]
fn bits_need_the_memory_that_was_planned() {
    let (full, plan) = in_bits(Limits::default(), 1);
    // Blocks and the shares of threads weigh more in a small search than the states.
    let needed = plan.bytes_per_state * full.explored;
    assert!(full.memory_bytes >= needed / 2, "{} {needed}", full.memory_bytes);
    let limit = Some(needed / 3);
    let (answer, small) = in_bits(Limits { max_memory: limit, ..Limits::default() }, 1);
    assert_eq!(answer.incomplete, limit.map(Reason::MaxMemory));
    assert!(small.expected_states < plan.expected_states);
    assert!(answer.explored < 4096);
}
