//! An observer that reads the transitions of a run and says which causes are met.
//!
//! It is a finite automaton: of each condition, for each choice of CPUs, it remembers what [`Bound::next`] says. A cause is met if
//! all its conditions are, with one choice of CPUs. What cannot matter any more is forgotten, so that there are few states.

use std::collections::{BTreeMap, HashMap};

use super::condition::{BROKEN, Bound, Condition, MET, NONE, Read};
use super::events::Orders;
use super::examples::pairs;

/// The automaton of some causes.
#[derive(Debug)]
pub(super) struct Observer {
    parts: Vec<Bound>,
    /// A cause, and its conditions on given CPUs.
    wholes: Vec<(u32, Vec<usize>)>,
    /// The wholes that each condition is part of.
    of_part: Vec<Vec<usize>>,
    /// What each letter says, as a symbol, and of each symbol what it says of which condition.
    pub(super) symbols: Vec<u32>,
    says: Vec<Vec<(usize, Read)>>,
    known: HashMap<(u64, Vec<u8>), u32>,
    states: Vec<(u64, Vec<u8>)>,
    /// By state and symbol, or [`NONE`] if nobody has asked.
    after: Vec<u32>,
}

impl Observer {
    /// That of some causes; with `any_of`, bit 0 stands for all of them.
    pub(super) fn new(orders: &Orders, causes: &[Vec<Condition>], any_of: bool) -> Self {
        let mut numbers: HashMap<Bound, usize> = HashMap::new();
        let (mut parts, mut wholes) = (vec![], vec![]);
        for (cause, conditions) in causes.iter().enumerate() {
            for names in pairs(orders.cpus) {
                let number = |condition: &Condition| {
                    let bound = condition.bind(names, orders.cpus);
                    *numbers.entry(bound).or_insert_with(|| {
                        parts.push(bound);
                        parts.len() - 1
                    })
                };
                let whole: Vec<usize> = conditions.iter().map(number).collect();
                let whole = (if any_of { 0 } else { cause as u32 }, whole);
                if !wholes.contains(&whole) {
                    wholes.push(whole);
                }
            }
        }
        let mut of_part = vec![vec![]; parts.len()];
        for (number, (_, whole)) in wholes.iter().enumerate() {
            for part in whole {
                of_part[*part].push(number);
            }
        }
        let mut said: BTreeMap<Vec<(usize, Read)>, u32> = BTreeMap::new();
        let mut says = vec![];
        let symbol = |read: Vec<(usize, Read)>| {
            *said.entry(read).or_insert_with_key(|read| {
                says.push(read.clone());
                says.len() as u32 - 1
            })
        };
        let symbols = orders.letters.iter().map(|letter| {
            let there = orders.places(letter);
            let happens = |event: u32, place: u32| letter.events.contains(&event) && there.contains(&place);
            let read = parts.iter().enumerate().map(|(number, part)| {
                let read = Read {
                    first: happens(part.first, part.at),
                    before: happens(part.before, part.place),
                    since: happens(part.since, part.place),
                };
                (number, read)
            });
            read.filter(|(_, read)| !read.is_nothing()).collect()
        });
        let symbols = symbols.map(symbol).collect();
        let mut observer =
            Self { parts, wholes, of_part, symbols, says, known: HashMap::new(), states: vec![], after: vec![] };
        let all: Vec<usize> = (0..observer.wholes.len()).collect();
        observer.state(0, vec![Bound::start(); observer.parts.len()], &all);
        observer
    }

    /// Its state before the first step.
    pub(super) const START: u32 = 0;

    /// The causes that are met in a state, as bits.
    pub(super) fn met(&self, state: u32) -> u64 {
        self.states[state as usize].0
    }

    /// The state after a symbol.
    pub(super) fn after(&mut self, state: u32, symbol: u32) -> u32 {
        let at = state as usize * self.says.len() + symbol as usize;
        if self.after[at] == NONE {
            let (met, mut now) = self.states[state as usize].clone();
            let mut changed = vec![];
            for (part, read) in &self.says[symbol as usize] {
                let new = self.parts[*part].next(now[*part], *read);
                if new != now[*part] {
                    now[*part] = new;
                    changed.extend(&self.of_part[*part]);
                }
            }
            self.after[at] = if changed.is_empty() { state } else { self.state(met, now, &changed) };
        }
        self.after[at]
    }

    /// The number of what is known, after some wholes have changed.
    fn state(&mut self, mut met: u64, mut known: Vec<u8>, changed: &[usize]) -> u32 {
        let (before, mut forget) = (met, false);
        for number in changed {
            let (cause, whole) = &self.wholes[*number];
            if whole.iter().all(|part| known[*part] == MET) {
                met |= 1 << cause;
            }
            forget |= whole.iter().any(|part| known[*part] == BROKEN);
        }
        if forget || met != before {
            let mut matters = vec![false; known.len()];
            for (cause, whole) in &self.wholes {
                if met >> cause & 1 == 0 && whole.iter().all(|part| known[*part] != BROKEN) {
                    for part in whole {
                        matters[*part] = true;
                    }
                }
            }
            for (known, matters) in known.iter_mut().zip(matters) {
                if !matters {
                    *known = BROKEN;
                }
            }
        }
        let new = self.states.len() as u32;
        let number = *self.known.entry((met, known.clone())).or_insert(new);
        if number == new {
            self.states.push((met, known));
            self.after.resize(self.states.len() * self.says.len(), NONE);
        }
        number
    }
}
