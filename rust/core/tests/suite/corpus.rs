//! Programs with known answers, in `tests/corpus` at the top of the repository.
//!
//! Each file gives one Program and any number of checks. Figures that a check leaves out are not compared.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use tdxexplore_core::{Exploration, LabelledState, Options, Program, SpaceKind, UBig, replay};

use crate::explored_with;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The source of the numbers.
    description: String,
    /// The Program, in JSON.
    program: String,
    #[serde(rename = "check")]
    checks: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    /// The initial state, in JSON.
    initial: String,
    states: Option<String>,
    transitions: Option<String>,
    /// Orbits, and transitions between them.
    orbits: Option<u64>,
    generated: Option<u64>,
    depth: Option<u32>,
    cyclic: Option<bool>,
    /// Whether only the orbit space is small enough.
    #[serde(default)]
    orbit_only: bool,
    violating_states: Option<Vec<String>>,
    #[serde(default)]
    outcome: Vec<ExpectedOutcome>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedOutcome {
    name: String,
    terminal_states: Option<String>,
    interleavings: Option<String>,
    probability: Option<f64>,
    shortest_steps: Option<u32>,
}

fn agree<T: PartialEq + std::fmt::Debug>(place: &str, expected: Option<&T>, found: &T) {
    if let Some(expected) = expected {
        assert_eq!(expected, found, "{place}");
    }
}

fn close(place: &str, expected: Option<f64>, found: Option<f64>) {
    if let Some(expected) = expected {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{place}: {expected} expected, {found:?}");
    }
}

fn verify(place: &str, program: &Program, initial: &LabelledState, check: &Check, answer: &Exploration) {
    assert_eq!(answer.incomplete, None, "{place}");
    agree(place, check.states.as_ref(), &answer.states.to_string());
    agree(place, check.transitions.as_ref(), &answer.transitions.to_string());
    agree(place, check.depth.as_ref(), &answer.depth);
    agree(place, check.cyclic.as_ref(), &answer.measured.as_ref().unwrap().cyclic);
    let violating: Vec<String> = answer.invariants.iter().map(|row| row.states.to_string()).collect();
    agree(place, check.violating_states.as_ref(), &violating);
    if !check.outcome.is_empty() {
        assert_eq!(check.outcome.len(), answer.outcomes.len(), "{place}: outcomes reached");
    }
    for (expected, row) in check.outcome.iter().zip(&answer.outcomes) {
        let place = format!("{place}, outcome `{}`", expected.name);
        assert_eq!(expected.name, program.outcomes[row.outcome].name, "{place}");
        agree(&place, expected.terminal_states.as_ref(), &row.terminal_states.to_string());
        let interleavings = row.interleavings.as_ref().map(UBig::to_string);
        agree(&place, expected.interleavings.as_ref(), &interleavings.unwrap_or_default());
        close(&place, expected.probability, row.probability);
        agree(&place, expected.shortest_steps.as_ref(), &row.shortest_steps);
        // A diverging state is not terminal, so it has no outcome of its own.
        let ends = Some(row.outcome).filter(|outcome| program.diverges != Some(*outcome));
        assert_eq!(replay(program, initial, row.schedule.as_ref().unwrap()).unwrap().outcome, ends, "{place}");
    }
}

#[test]
fn the_corpus_has_the_known_answers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/programs");
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut checks = 0;
    for path in &paths {
        let name = path.file_name().unwrap().to_string_lossy();
        let file: File =
            toml::from_str(&fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!file.description.is_empty(), "{name}");
        let program = Program::from_json(&file.program).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (at, check) in file.checks.iter().enumerate() {
            checks += 1;
            let initial = LabelledState::from_json(&program, &check.initial).unwrap();
            for (space, threads) in [(SpaceKind::Orbit, 1), (SpaceKind::Orbit, 2), (SpaceKind::Concrete, 2)] {
                if check.orbit_only && space == SpaceKind::Concrete {
                    continue;
                }
                let answer = explored_with(&program, &initial, &Options { space, threads, ..Options::default() });
                let place = format!("{name}, check {at}, {space:?} space");
                verify(&place, &program, &initial, check, &answer);
                if space == SpaceKind::Orbit {
                    agree(&place, check.orbits.as_ref(), &answer.explored);
                    agree(&place, check.generated.as_ref(), &answer.generated);
                }
            }
        }
    }
    // A guard says how much it looked at.
    assert!(paths.len() >= 7 && checks >= 20, "{} files with {checks} checks in {}", paths.len(), folder.display());
}
