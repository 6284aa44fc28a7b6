//! Every error says what, where, the value and what is allowed.

use serde_json::{Value, json};
use tdxexplore_core::{
    ErrorKind, LabelledState, Limits, Monitor, Options, Program, SpaceKind, Symmetry, explore, replay,
};

use crate::{counting_cpus, cube, initial, program};

/// Applies a change to a valid Program and expects it to be refused with all of these words.
fn refuses(change: impl FnOnce(&mut Value), words: &[&str]) {
    let mut document = counting_cpus(2);
    document["widths"] = json!({"global": 4, "package": 2, "cpu": 2});
    change(&mut document);
    let error = Program::from_json(&document.to_string()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Program);
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    for word in words {
        assert!(message.contains(word), "`{message}` lacks `{word}`");
    }
}

#[test]
fn broken_json_is_refused_with_the_path_of_the_key() {
    refuses(|it| it["format"] = json!(2), &["format", "2", "1"]);
    refuses(|it| it["rules"][1]["scope"] = json!("core"), &["rules[1].scope", "core", "package"]);
    refuses(|it| it["rules"][0]["gaurd"] = json!({}), &["rules[0]", "gaurd", "guard"]);
    refuses(
        |it| it["rules"][0]["guard"]["cpu"] = json!({"care": "3", "value": "0x0"}),
        &["rules[0].guard.cpu.care", "`3`"],
    );
    let overlong = json!({"clear": "0x10000000000000000"});
    refuses(|it| it["rules"][0]["effect"]["cpu"] = overlong, &["rules[0].effect.cpu.clear", "64 bits"]);
}

#[test]
fn widths_and_fields_are_checked() {
    refuses(|it| it["widths"]["cpu"] = json!(49), &["widths.cpu", "49", "48"]);
    refuses(|it| it["fields"][0]["offset"] = json!(1), &["count", "2 bits", "word of 2 bits"]);
    refuses(|it| it["fields"][0]["values"] = json!([]), &["count", "0 values"]);
    refuses(|it| it["fields"][0]["width"] = json!(1), &["count", "4 values", "2^1"]);
    let field =
        |name: &str, scope: &str| json!({"name": name, "scope": scope, "offset": 1, "width": 1, "values": ["a", "b"]});
    refuses(|it| it["fields"].as_array_mut().unwrap().push(field("count", "global")), &["count", "twice"]);
    refuses(|it| it["fields"].as_array_mut().unwrap().push(field("other", "cpu")), &["other", "shares bits"]);
    refuses(|it| it["index"] = json!(["pc"]), &["index", "`pc`"]);
    let of_package = |it: &mut Value| {
        it["fields"].as_array_mut().unwrap().push(field("busy", "package"));
        it["index"] = json!(["busy"]);
    };
    refuses(of_package, &["index", "`busy`", "field of a package"]);
}

#[test]
fn rules_are_checked_and_named_by_index_and_label() {
    let place = "rule 1 `to 2`";
    refuses(|it| it["rules"][1]["actor"] = json!(1), &[place, "actor 1", "1 actors"]);
    refuses(|it| it["rules"][1]["guard"]["cpu"] = cube(8, 0), &[place, "guard.cpu.care", "0x8", "2 bits"]);
    refuses(|it| it["rules"][1]["guard"]["cpu"] = cube(1, 3), &[place, "guard.cpu.value", "0x3", "0x1"]);
    refuses(|it| it["rules"][1]["scope"] = json!("package"), &[place, "guard.cpu"]);
    let quantified = json!([{"over": "package-cpus", "some": true}]);
    let global = json!({"actor": 0, "label": "to 2", "scope": "global", "guard": {"quantified": quantified}});
    refuses(|it| it["rules"][1] = global, &[place, "package-cpus"]);
    let add = |offset: u32, width: u32| json!({"set": "0x1", "add": [{"offset": offset, "width": width, "delta": 1}]});
    refuses(|it| it["rules"][1]["effect"]["cpu"] = add(1, 2), &[place, "effect.cpu.add", "2 bits"]);
    refuses(|it| it["rules"][1]["effect"]["cpu"] = add(0, 1), &[place, "effect.cpu.add", "already"]);
    let bulk = json!([{"over": "packages", "set": "0x4"}]);
    refuses(|it| it["rules"][1]["effect"]["bulk"] = bulk, &[place, "bulk.set", "0x4", "2 bits"]);
}

#[test]
fn predicates_are_checked_and_named() {
    refuses(|it| it["outcomes"][0]["severity"] = json!(6), &["done", "6", "5"]);
    refuses(|it| it["outcomes"][0]["when"] = json!([{"cpu": cube(1, 1)}]), &["outcome `done`", "guard.cpu"]);
    refuses(|it| it["outcomes"] = json!([it["outcomes"][0], it["outcomes"][0]]), &["outcome `done`", "twice"]);
    refuses(|it| it["diverges"] = json!(1), &["diverges", "1 outcomes"]);
    refuses(|it| it["diverges"] = json!(0), &["outcome `done`", "diverges", "`when` empty"]);
    let invariant = json!([{"name": "never", "severity": 0, "violated_when": [{"global": cube(16, 0)}]}]);
    refuses(|it| it["invariants"] = invariant, &["invariant `never`", "0x10", "4 bits"]);
}

#[test]
fn initial_states_are_checked() {
    let program = program(&counting_cpus(2));
    let refused = |state: Value, words: &[&str]| {
        let error = LabelledState::from_json(&program, &state.to_string()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Initial);
        for word in words {
            assert!(error.to_string().contains(word), "`{error}` lacks `{word}`");
        }
    };
    refused(json!({"global": "0x0", "packages": []}), &["0 packages", "64"]);
    refused(json!({"global": "0x1", "packages": [{"word": "0x0", "cpus": ["0x0"]}]}), &["global", "0x1", "0 bits"]);
    refused(json!({"global": "0x0", "packages": [{"word": "0x0", "cpus": []}]}), &["packages[0]", "0 CPUs", "256"]);
    refused(
        json!({"global": "0x0", "packages": [{"word": "0x0", "cpus": ["0x4"]}]}),
        &["packages[0].cpus[0]", "0x4", "2 bits"],
    );
}

#[test]
fn values_that_a_field_does_not_have_are_refused() {
    let mut document = counting_cpus(1);
    document["fields"][0]["values"] = json!(["0", "1", "2"]);
    let program = program(&document);
    let state = json!({"global": "0x0", "packages": [{"word": "0x0", "cpus": ["0x3"]}]});
    let error = LabelledState::from_json(&program, &state.to_string()).unwrap_err().to_string();
    assert!(error.contains("`count`") && error.contains("value 3") && error.contains("3 values"), "{error}");
}

#[test]
fn the_concrete_space_names_its_limits() {
    let program = program(&counting_cpus(1));
    let mut wide = counting_cpus(1);
    wide["widths"]["cpu"] = json!(48);
    let wide = crate::program(&wide);
    for space in [SpaceKind::Concrete, SpaceKind::Bits] {
        let options = Options { space, ..Options::default() };
        let error = explore(&program, &initial(&program, &[&[0; 65]]), &options, &Monitor::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Initial);
        assert!(error.to_string().contains("65 CPUs, at most 64"), "{error}");
        let error = explore(&wide, &initial(&wide, &[&[0; 64]]), &options, &Monitor::default()).unwrap_err();
        assert!(error.to_string().contains("48 words of 64 bits, at most 8"), "{error}");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let program = program(&counting_cpus(1));
    let limits = Limits { max_states: Some(0), ..Limits::default() };
    let all = Options { symmetry: Symmetry::All, ..Options::default() };
    for (options, word) in [
        (Options { threads: 0, ..Options::default() }, "threads is 0"),
        (Options { limits, ..Options::default() }, "max_states is 0"),
        (Options { space: SpaceKind::Concrete, ..all }, "orbit space"),
        (Options { space: SpaceKind::Bits, ..all }, "orbit space"),
    ] {
        let error = explore(&program, &initial(&program, &[&[0]]), &options, &Monitor::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Options);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn an_enabled_trap_is_reported_with_a_shortest_schedule() {
    let mut document = counting_cpus(2);
    let both_at_two = json!({"quantified": [{"over": "cpus", "some": false, "cpu": cube(2, 0)}]});
    let trap =
        json!({"actor": 0, "label": "oops", "scope": "global", "guard": both_at_two, "trap": "both CPUs are at 2"});
    document["rules"].as_array_mut().unwrap().push(trap);
    let program = program(&document);
    let initial = initial(&program, &[&[0, 1]]);
    for space in [SpaceKind::Orbit, SpaceKind::Concrete, SpaceKind::Bits] {
        for threads in [1, 3] {
            let options = Options { space, threads, ..Options::default() };
            let error = explore(&program, &initial, &options, &Monitor::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Trap);
            assert!(error.to_string().contains("rule 2 `oops`: both CPUs are at 2"), "{error}");
            let replayed = replay(&program, &initial, error.schedule_to_state().unwrap()).unwrap();
            assert_eq!(replayed.states.last().unwrap().packages[0].cpus, [2, 2]);
            assert_eq!(replayed.steps.len(), 3);
        }
    }
}

#[test]
fn a_terminal_state_without_outcome_is_reported_with_its_schedule() {
    let mut document = counting_cpus(1);
    document["outcomes"][0]["when"] = json!([{"quantified": [{"over": "cpus", "some": true, "cpu": cube(1, 0)}]}]);
    let program = program(&document);
    let initial = initial(&program, &[&[0, 0]]);
    let error = explore(&program, &initial, &Options::default(), &Monitor::default()).unwrap_err();
    assert_eq!((error.kind(), error.schedule_to_state()), (ErrorKind::Trap, Some("00")));
    assert!(error.to_string().contains("no outcome"), "{error}");
    let replayed = replay(&program, &initial, "00").unwrap();
    assert_eq!((replayed.is_terminal(), replayed.outcome), (true, None));
}

#[test]
fn a_bad_schedule_is_answered_with_what_was_enabled() {
    let program = program(&counting_cpus(1));
    let initial = initial(&program, &[&[0], &[0]]);
    let error = replay(&program, &initial, "02").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schedule);
    assert_eq!(
        error.to_string(),
        "schedule: step 2: `2` selects transition 2, 1 are enabled there: 0: cpu `to 1` package 1 cpu 1"
    );
    let error = replay(&program, &initial, "000").unwrap_err().to_string();
    assert!(error.contains("step 3") && error.contains("terminal"), "{error}");
}
