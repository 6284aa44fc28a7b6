//! Random small Programs: every kind of guard and effect, uneven packages, initial words that differ.

use proptest::prelude::*;
use serde_json::{Value, json};
use tdxexplore_core::{LabelledState, Limits, Options, Program};

use crate::{cube, explored_with};

const GLOBAL_BITS: u32 = 4;
const PACKAGE_BITS: u32 = 2;
const CPU_BITS: u32 = 2;

/// Whether bits may be cleared again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each step sets a bit that was clear: no cycles.
    Monotone,
    /// The same, and a run may come to hang: from then on it can always spin. In some Programs it may also recover.
    Hanging,
    /// Anything goes, cycles included.
    Free,
}

/// The bits of the global word that say that a run hangs, and that it spins to and fro.
const HANGS: u64 = 1 << GLOBAL_BITS;
const SPINS: u32 = GLOBAL_BITS + 1;

/// Orbits above which a question is not asked.
const LARGE: u64 = 1000;

/// A Program and an initial state of it, not too large.
pub(crate) fn question(shape: Shape) -> impl Strategy<Value = (Program, LabelledState)> {
    (program(shape), initial()).prop_filter_map("too many states", |(program, initial)| {
        let program = Program::from_json(&program.to_string()).unwrap();
        let initial = LabelledState::from_json(&program, &initial.to_string()).unwrap();
        let limits = Limits { max_states: Some(LARGE), ..Limits::default() };
        let answer = explored_with(&program, &initial, &Options { limits, ..Options::default() });
        answer.incomplete.is_none().then_some((program, initial))
    })
}

fn program(shape: Shape) -> impl Strategy<Value = Value> {
    let rules = prop::collection::vec(rule(shape), 4..12);
    let outcomes = prop::collection::vec((predicate(), prop::bool::weighted(0.15)), 1..3);
    let parts = (rules, outcomes, predicate(), predicate(), any::<bool>());
    parts.prop_map(move |(mut rules, outcomes, violated, met, indexed)| {
        if shape == Shape::Hanging {
            rules = hanging(rules);
        }
        let mut outcomes: Vec<Value> = outcomes
            .into_iter()
            .enumerate()
            .map(|(at, (when, fatal))| json!({"name": at.to_string(), "severity": 3, "fatal": fatal, "when": when}))
            .collect();
        outcomes.push(json!({"name": "any other", "severity": 5, "fatal": false, "when": [{}]}));
        // Three Programs in four declare an outcome of runs that never end.
        let diverges = (indexed || rules.len() % 2 == 0).then_some(outcomes.len());
        if diverges.is_some() {
            outcomes.push(json!({"name": "diverges", "severity": 1, "fatal": false, "when": []}));
        }
        let values = ["0", "1", "2", "3"];
        json!({
            "format": 1, "name": "random",
            "widths": {"global": GLOBAL_BITS + 2, "package": PACKAGE_BITS, "cpu": CPU_BITS},
            "fields": [
                {"name": "pc", "scope": "global", "offset": 0, "width": 2, "values": values},
                {"name": "other pc", "scope": "global", "offset": 2, "width": 2, "values": values}
            ],
            "actors": ["left", "right"],
            "index": if indexed { vec!["pc", "other pc"] } else { Vec::new() },
            "rules": rules,
            "outcomes": outcomes,
            "diverges": diverges,
            "invariants": [{"name": "never", "severity": 0, "violated_when": violated}],
            "expectations": [{"name": "sometimes", "when": met}]
        })
    })
}

/// Most rules stop once a run hangs; one of them makes it hang; and then it spins, and in one Program of two it may recover
/// if bit 0 is set.
fn hanging(mut rules: Vec<Value>) -> Vec<Value> {
    for rule in rules.iter_mut().skip(1) {
        rule["guard"]["global"] = require_clear(&rule["guard"]["global"], HANGS);
    }
    let mut hang = rules[1].clone();
    let set = hex(&hang["effect"]["global"]["set"]);
    hang["effect"]["global"] = json!({"set": format!("{:#x}", HANGS | set)});
    let add = json!({"add": [{"offset": SPINS, "width": 1, "delta": 1}]});
    let spin = json!({
        "actor": 0, "label": "spin", "scope": "global", "guard": {"global": cube(HANGS, HANGS)}, "effect": {"global": add}
    });
    let recover = json!({
        "actor": 1, "label": "recover", "scope": "global", "guard": {"global": cube(HANGS | 1, HANGS | 1)},
        "effect": {"global": {"clear": format!("{HANGS:#x}")}}
    });
    let recovers = rules.len().is_multiple_of(2);
    rules.extend([hang, spin]);
    rules.extend(recovers.then_some(recover));
    rules
}

fn rule(shape: Shape) -> impl Strategy<Value = Value> {
    prop_oneof![Just("global"), Just("package"), Just("cpu"), Just("cpu")].prop_flat_map(move |scope| {
        let bits = match scope {
            "global" => GLOBAL_BITS,
            "package" => PACKAGE_BITS,
            _ => CPU_BITS,
        };
        let own = (0..bits, any::<bool>());
        let parts = (any_guard(scope), effect(scope, shape), own, 0..2_u32, 0..3_u32);
        parts.prop_map(move |(mut guard, mut effect, (bit, adds), actor, choice)| {
            let bit = 1_u64 << bit;
            match shape {
                Shape::Monotone | Shape::Hanging => {
                    // This step sets `bit`, which must be clear.
                    guard[scope] = require_clear(&guard[scope], bit);
                    effect[scope] = json!({"set": format!("{:#x}", bit | hex(&effect[scope]["set"]))});
                }
                Shape::Free if adds => {
                    effect[scope] = json!({"add": [{"offset": 0, "width": 2, "delta": if bit == 1 { 1 } else { -1 }}]});
                }
                Shape::Free => {}
            }
            json!({"actor": actor, "label": "step", "choice": choice, "scope": scope, "guard": guard, "effect": effect})
        })
    })
}

fn hex(text: &Value) -> u64 {
    text.as_str().map_or(0, |text| u64::from_str_radix(&text[2..], 16).unwrap())
}

fn require_clear(old: &Value, bit: u64) -> Value {
    let (care, value) = (hex(&old["care"]), hex(&old["value"]));
    cube(care | bit, value & !bit)
}

/// A cube that cares for one bit in four.
fn any_cube(bits: u32) -> impl Strategy<Value = Value> {
    let limit = 1_u64 << bits;
    (0..limit, 0..limit, 0..limit).prop_map(|(care, also, value)| cube(care & also, value & care & also))
}

/// True more often than not: a rule with a strict guard hardly ever fires.
fn any_global_cube() -> impl Strategy<Value = Value> {
    prop_oneof![3 => Just(json!({"care": "0x0", "value": "0x0"})), 2 => any_cube(GLOBAL_BITS)]
}

fn any_guard(scope: &'static str) -> impl Strategy<Value = Value> {
    let quantified = prop_oneof![
        3 => Just(Vec::new()),
        3 => prop::collection::vec(any_quantified(scope), 1..3),
    ];
    let own = (any_global_cube(), any_cube(PACKAGE_BITS), any_cube(CPU_BITS));
    (own, quantified).prop_map(move |((global, package, cpu), quantified)| {
        let mut guard = json!({"global": global, "quantified": quantified});
        if scope != "global" {
            guard["package"] = package;
        }
        if scope == "cpu" {
            guard["cpu"] = cpu;
        }
        guard
    })
}

fn any_quantified(scope: &'static str) -> impl Strategy<Value = Value> {
    let condition = (any::<bool>(), any_cube(CPU_BITS)).prop_map(|(some, cpu)| json!({"some": some, "cpu": cpu}));
    let conditions = prop::collection::vec(condition, 0..3);
    let kinds = if scope == "global" { vec!["cpus", "packages"] } else { vec!["cpus", "packages", "package-cpus"] };
    let parts = (prop::sample::select(kinds), any::<bool>(), any_cube(CPU_BITS), any_cube(PACKAGE_BITS), conditions);
    parts.prop_map(|(over, some, cpu, package, conditions)| match over {
        "cpus" => json!({"over": over, "some": some, "cpu": cpu, "package": package}),
        "packages" => json!({"over": over, "some": some, "package": package, "cpus": conditions}),
        _ => json!({"over": over, "some": some, "cpu": cpu}),
    })
}

fn effect(scope: &'static str, shape: Shape) -> impl Strategy<Value = Value> {
    let bulk = prop::collection::vec(any_bulk(scope, shape), 0..3);
    (update(GLOBAL_BITS, shape), update(PACKAGE_BITS, shape), update(CPU_BITS, shape), bulk).prop_map(
        move |(global, package, cpu, bulk)| {
            let mut effect = json!({"global": global, "bulk": bulk});
            if scope != "global" {
                effect["package"] = package;
            }
            if scope == "cpu" {
                effect["cpu"] = cpu;
            }
            effect
        },
    )
}

/// Changes no bits in half of the cases.
fn update(bits: u32, shape: Shape) -> impl Strategy<Value = Value> {
    let limit = 1_u64 << bits;
    let masks = prop_oneof![Just((0, 0)), (0..limit, 0..limit)];
    masks.prop_map(move |(clear, set)| {
        let clear = if shape == Shape::Free { clear } else { 0 };
        json!({"clear": format!("{clear:#x}"), "set": format!("{set:#x}")})
    })
}

fn any_bulk(scope: &'static str, shape: Shape) -> impl Strategy<Value = Value> {
    let kinds = if scope == "global" { vec!["cpus", "packages"] } else { vec!["cpus", "packages", "package-cpus"] };
    let cubes = (any_cube(CPU_BITS), any_cube(PACKAGE_BITS));
    let updates = (update(CPU_BITS, shape), update(PACKAGE_BITS, shape));
    (prop::sample::select(kinds), cubes, updates).prop_map(|(over, (cpu, package), (cpu_update, package_update))| {
        let mut bulk = if over == "packages" { package_update } else { cpu_update };
        bulk["over"] = over.into();
        if over != "packages" {
            bulk["cpu"] = cpu;
        }
        if over != "package-cpus" {
            bulk["package"] = package;
        }
        bulk
    })
}

fn predicate() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(any_guard("global"), 1..3)
}

/// One to three packages of one to three CPUs, with words that are often, but not always, equal.
fn initial() -> impl Strategy<Value = Value> {
    let cpu = prop_oneof![3 => Just(0_u64), 1 => Just(1_u64)];
    let package = (prop_oneof![3 => Just(0_u64), 1 => Just(2_u64)], prop::collection::vec(cpu, 1..=3));
    prop::collection::vec(package, 1..=3).prop_map(|packages| {
        let mut left = 5;
        let mut listed = Vec::new();
        for (word, mut cpus) in packages {
            cpus.truncate(left);
            left -= cpus.len();
            if !cpus.is_empty() {
                let cpus: Vec<String> = cpus.iter().map(|word| format!("{word:#x}")).collect();
                listed.push(json!({"word": format!("{word:#x}"), "cpus": cpus}));
            }
        }
        json!({"global": "0x0", "packages": listed})
    })
}

#[test]
fn random_questions_are_worth_asking() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    for (shape, least) in [(Shape::Monotone, [0; 3]), (Shape::Hanging, [0, 5, 20]), (Shape::Free, [50, 1, 0])] {
        let (mut sizes, mut fired, mut diverging) = (Vec::new(), 0, [0; 3]);
        for _ in 0..200 {
            let (program, initial) = question(shape).new_tree(&mut runner).unwrap().current();
            let answer = crate::explored(&program, &initial, tdxexplore_core::SpaceKind::Orbit);
            sizes.push(u64::try_from(&answer.states).unwrap());
            fired += answer.rules.iter().filter(|rule| rule.fired > 0).count();
            let diverges = answer.outcomes.iter().find(|row| Some(row.outcome) == program.diverges);
            if let Some(row) = diverges {
                // All runs, some of them, or some of those that can be counted.
                let all = row.terminal_states == answer.states;
                diverging[if all { 0 } else { 1 + usize::from(row.interleavings.is_some()) }] += 1;
            }
        }
        sizes.sort_unstable();
        // Half of them have a dozen labelled states or more, a quarter a hundred, and three rules fire on average.
        assert!(sizes[100] >= 12 && sizes[150] >= 100 && fired >= 600, "{shape:?}: {sizes:?}, {fired} rules fired");
        assert!(least.iter().zip(&diverging).all(|(least, found)| least <= found), "{shape:?}: {diverging:?}");
    }
}
