//! The limit on memory, and the memory that an answer names, hold for what the system says that the process has: search,
//! measures and all.
//!
//! Alone in its binary, and one test: whatever else ran beside it would be counted.

#![cfg(target_os = "linux")]

use serde_json::{Value, json};
use tdxexplore_core::{Exploration, LabelledState, Limits, Monitor, Options, Program, Reason, SpaceKind, explore};

const CPUS: usize = 10;

fn cube(care: u64, value: u64) -> Value {
    json!({"care": format!("{care:#x}"), "value": format!("{value:#x}")})
}

/// CPUs count to 3.
fn program() -> Program {
    let step = |value: u64| {
        json!({
            "actor": 0, "label": format!("to {}", value + 1), "scope": "cpu",
            "guard": {"cpu": cube(3, value)},
            "effect": {"cpu": {"add": [{"offset": 0, "width": 2, "delta": 1}]}}
        })
    };
    let rules: Vec<Value> = (0..3).map(step).collect();
    let some = |value: u64| json!({"quantified": [{"over": "cpus", "some": true, "cpu": cube(3, value)}]});
    let document = json!({
        "format": 1, "name": "counting CPUs",
        "widths": {"global": 0, "package": 0, "cpu": 2},
        "fields": [{"name": "count", "scope": "cpu", "offset": 0, "width": 2, "values": ["0", "1", "2", "3"]}],
        "actors": ["cpu"],
        "rules": rules,
        "outcomes": [{"name": "done", "severity": 5, "fatal": false, "when": [{}]}],
        "responses": [{"name": "a CPU at 0", "severity": 5, "when": [some(1)], "reach": [some(0)]}],
        "prices": [
            {"name": "steps", "rules": [[0, 1], [1, 1], [2, 1]]},
            {"name": "while one is at 2", "rules": [[1, 3]], "during": [some(2)]}
        ]
    });
    Program::from_json(&document.to_string()).unwrap()
}

/// A line of `/proc/self/status`, in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The answer, the bytes held when the search ended, and the most that were resident at any time.
fn run(program: &Program, threads: usize, max_memory: Option<u64>) -> (Exploration, u64, u64) {
    let packages = json!([{"word": "0x0", "cpus": vec!["0x0"; CPUS]}]);
    let initial = LabelledState::from_json(program, &json!({"global": "0x0", "packages": packages}).to_string());
    let limits = Limits { max_memory, ..Limits::default() };
    let options = Options { space: SpaceKind::Concrete, threads, limits, prices: true, ..Options::default() };
    let monitor = Monitor::default();
    // Forgets the peak so far.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let answer = explore(program, &initial.unwrap(), &options, &monitor).unwrap();
    (answer, monitor.progress().memory_bytes, status("VmHWM") - before)
}

/// Fails if a measure differs from that of the answer without a limit.
fn same_numbers(answer: &Exploration, full: &Exploration) {
    for (row, full) in answer.outcomes.iter().zip(&full.outcomes) {
        assert!(row.interleavings.is_none() || row.interleavings == full.interleavings);
        assert!(row.probability.is_none() || row.probability == full.probability);
    }
    let (Some(measured), Some(full)) = (&answer.measured, &full.measured) else { return };
    assert!(measured.responses.is_empty() || measured.responses == full.responses);
    assert!(measured.prices.is_empty() || measured.prices == full.prices);
}

#[test]
fn what_is_resident_stays_within_the_limit() {
    let program = program();
    for (threads, step) in [(1, 25), (2, 10)] {
        let (full, searched, most) = run(&program, threads, None);
        assert!(full.memory_bytes.abs_diff(most) * 10 <= most, "{} held, {most} resident", full.memory_bytes);
        assert_eq!((full.incomplete, full.explored), (None, 1 << (2 * CPUS)));
        let (mut complete, mut left_out) = (0, 0);
        // Beyond what it holds without a limit, a limit changes nothing.
        for percent in (50..=100).step_by(step) {
            let limit = full.memory_bytes.max(searched) * percent / 100;
            let (answer, _, resident) = run(&program, threads, Some(limit));
            assert!(resident * 10 <= limit * 11, "{resident} resident, {limit} allowed, {} held", answer.memory_bytes);
            same_numbers(&answer, &full);
            match answer.incomplete {
                None => complete += 1,
                Some(Reason::LeftOut { figure, .. }) => {
                    // The first that did not fit; what takes less may come after it.
                    let done = answer.outcomes[0].interleavings.is_some();
                    match figure {
                        "responses" => assert!(answer.measured.unwrap().responses.is_empty()),
                        _ => assert_eq!(figure == "prices", done),
                    }
                    left_out += 1;
                }
                Some(reason) => assert_eq!(reason, Reason::MaxMemory(limit)),
            }
        }
        assert!(complete >= 1 && left_out >= 1, "{complete} {left_out}");
    }
}
