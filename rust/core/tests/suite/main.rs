//! Tests of the engine through its public interface, in one binary so that it links once.

mod agreement;
mod corpus;
mod determinism;
mod limits;
mod messages;
mod random;
mod traces;
mod walks;
mod witness;

use serde_json::{Value, json};
use tdxexplore_core::{Exploration, LabelledState, Monitor, Options, Program, SpaceKind, explore};

/// Reads a Program that must be valid.
fn program(document: &Value) -> Program {
    Program::from_json(&document.to_string()).unwrap()
}

/// An initial state of packages with these CPU words; all other words are zero.
fn initial(program: &Program, packages: &[&[u64]]) -> LabelledState {
    let packages: Vec<Value> = packages
        .iter()
        .map(|cpus| json!({"word": "0x0", "cpus": cpus.iter().map(|word| format!("{word:#x}")).collect::<Vec<_>>()}))
        .collect();
    LabelledState::from_json(program, &json!({"global": "0x0", "packages": packages}).to_string()).unwrap()
}

/// Explores without limits.
fn explored(program: &Program, initial: &LabelledState, space: SpaceKind) -> Exploration {
    explored_with(program, initial, &Options { space, ..Options::default() })
}

fn explored_with(program: &Program, initial: &LabelledState, options: &Options) -> Exploration {
    explore(program, initial, options, &Monitor::default()).unwrap()
}

fn cube(care: u64, value: u64) -> Value {
    json!({"care": format!("{care:#x}"), "value": format!("{value:#x}")})
}

/// A Program in which each CPU counts to `limit` (at most 3), and everything is fine at the end.
fn counting_cpus(limit: u64) -> Value {
    let rules: Vec<Value> = (0..limit)
        .map(|value| {
            json!({
                "actor": 0, "label": format!("to {}", value + 1), "scope": "cpu",
                "guard": {"cpu": cube(3, value)},
                "effect": {"cpu": {"add": [{"offset": 0, "width": 2, "delta": 1}]}}
            })
        })
        .collect();
    json!({
        "format": 1, "name": "counting CPUs",
        "widths": {"global": 0, "package": 0, "cpu": 2},
        "fields": [{"name": "count", "scope": "cpu", "offset": 0, "width": 2, "values": ["0", "1", "2", "3"]}],
        "actors": ["cpu"],
        "rules": rules,
        "outcomes": [{"name": "done", "severity": 5, "fatal": false, "when": [{}]}]
    })
}
