//! One search on one thread, for measuring: `search PROGRAM.json INITIAL.json orbit|concrete|bits [MAX_DEPTH]`.
//!
//! Prints concrete states and transitions, then stored states and the transitions generated between them. `make
//! callgrind` counts its instructions.

use std::error::Error;
use std::io::{Write, stdout};

use tdxexplore_core::{LabelledState, Limits, Measuring, Monitor, Options, Program, SpaceKind, explore};

const USAGE: &str = "usage: search PROGRAM.json INITIAL.json orbit|concrete|bits [MAX_DEPTH]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (program, initial, space, max_depth) = match arguments.as_slice() {
        [program, initial, space] => (program, initial, space, None),
        [program, initial, space, depth] => (program, initial, space, Some(depth.parse()?)),
        _ => return Err(USAGE.into()),
    };
    let program = Program::from_json(&std::fs::read_to_string(program)?)?;
    let initial = LabelledState::from_json(&program, &std::fs::read_to_string(initial)?)?;
    let space = match space.as_str() {
        "orbit" => SpaceKind::Orbit,
        "concrete" => SpaceKind::Concrete,
        "bits" => SpaceKind::Bits,
        _ => return Err(USAGE.into()),
    };
    let limits = Limits { max_depth, ..Limits::default() };
    let options = Options { space, limits, measuring: Measuring::Off, ..Options::default() };
    let found = explore(&program, &initial, &options, &Monitor::default())?;
    writeln!(stdout(), "{} {} {} {}", found.states, found.transitions, found.explored, found.generated)?;
    Ok(())
}
