//! Each case in every order; where that takes long, with few preemptions here, and without a bound in `make campaign`.

use tdxexplore_loom::{
    one_thread_closes_the_last_transition, threads_intern_the_same_values, threads_mark_backward,
    threads_set_bits_of_one_word, who_reads_an_id_sees_its_value,
};

/// Values of one lock, and of two.
const LOCKS: [[u64; 2]; 2] = [[1, 1], [1, 2]];

#[test]
fn threads_that_intern_the_same_values_get_the_same_ids() {
    for locks in LOCKS {
        assert!(threads_intern_the_same_values(None, locks, 2) >= 20);
    }
}

#[test]
#[ignore = "long: `make campaign`"]
fn three_threads_that_intern_the_same_values_get_the_same_ids() {
    for locks in LOCKS {
        assert!(threads_intern_the_same_values(None, locks, 3) > 1000);
    }
}

#[test]
fn whoever_reads_an_id_that_is_computed_late_sees_its_value() {
    assert!(who_reads_an_id_sees_its_value(None) >= 20);
}

#[test]
fn no_bit_of_a_word_that_threads_share_is_lost() {
    assert!(threads_set_bits_of_one_word(Some(2)) > 500);
}

#[test]
#[ignore = "long: `make campaign`"]
fn no_bit_of_a_word_that_threads_share_is_lost_in_any_order() {
    assert!(threads_set_bits_of_one_word(None) > 20_000);
}

#[test]
fn exactly_one_thread_closes_the_last_transition_to_a_state() {
    assert!(one_thread_closes_the_last_transition(None) > 500);
}

#[test]
fn sweeps_of_threads_that_miss_marks_end_with_all_of_them() {
    assert!(threads_mark_backward(None) > 10);
}
