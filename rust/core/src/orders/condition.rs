//! Conditions on the order of events, and the automaton that reads whether a run meets one.
//!
//! An event is looked for at a place: anywhere, on one CPU, or on the other CPUs of its package. A condition without `since` is
//! that its first event comes for the n-th time before the other one has come for the m-th time. A condition with `since` is
//! that its first event comes at some time after `since`, with none of the other event in between.
//!
//! Invariant: [`Bound::next`], step by step, and [`Bound::holds`], on the times of a whole run, agree.

/// Stands for no event, and for a CPU that there is not.
pub(super) const NONE: u32 = u32::MAX;

/// Where an event is looked for, with the names of two CPUs open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Wherever it happens.
    Anywhere,
    /// On "a CPU".
    One,
    /// On "another CPU".
    Other,
    /// On any other CPU in the package of "a CPU".
    Near,
}

/// A condition on the order of events, with the names of two CPUs open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Condition {
    /// The event that comes.
    pub first: u32,
    /// Where.
    pub at: Place,
    /// For which time, from 1. With `since`, some time.
    pub nth: u8,
    /// The event that has not come by then, or [`NONE`]. With `since`, the one that has not come from then on.
    pub before: u32,
    /// Where that one and `since` are looked for.
    pub place: Place,
    /// Which time of it is meant, from 1.
    pub before_nth: u8,
    /// The event that has come by then, or [`NONE`].
    pub since: u32,
    /// Whether `before` has to come later.
    pub comes: bool,
}

/// How many integers a condition is packed into.
pub const PACKED: usize = 8;

impl Condition {
    /// Reads a condition from its fields in order; no event is -1.
    #[must_use]
    pub fn from_packed(fields: &[i32; PACKED]) -> Option<Self> {
        let [first, at, nth, before, place, before_nth, since, comes] = *fields;
        let event = |number: i32| u32::try_from(number).unwrap_or(NONE);
        let place_of = |number: i32| match number {
            0 => Some(Place::Anywhere),
            1 => Some(Place::One),
            2 => Some(Place::Other),
            3 => Some(Place::Near),
            _ => None,
        };
        let times = |number: i32| u8::try_from(number).ok().filter(|times| (1..=MOST_TIMES).contains(times));
        Some(Self {
            first: event(first),
            at: place_of(at)?,
            nth: times(nth)?,
            before: event(before),
            place: place_of(place)?,
            before_nth: times(before_nth)?,
            since: event(since),
            comes: comes != 0,
        })
    }

    /// Whether it speaks of a second event.
    pub(super) fn has_other(&self) -> bool {
        self.before != NONE || self.since != NONE
    }

    /// The same on given CPUs.
    pub(super) fn bind(&self, names: Names, cpus: u32) -> Bound {
        let at = |place: Place| match place {
            Place::Anywhere => 0,
            Place::One => on(names.one),
            Place::Other => on(names.other),
            Place::Near => beside(names.one, cpus),
        };
        Bound {
            first: self.first,
            at: at(self.at),
            nth: self.nth,
            before: self.before,
            place: if self.has_other() { at(self.place) } else { NONE },
            before_nth: self.before_nth,
            since: self.since,
            comes: self.comes && self.before != NONE && self.since == NONE,
        }
    }
}

/// The most that an event is counted up to.
const MOST_TIMES: u8 = 3;

/// Which CPUs "a CPU" and "another CPU" are; [`NONE`] if there is none, or if none is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) one: u32,
    pub(super) other: u32,
}

/// The place of a CPU. Place 0 is anywhere, then come the CPUs, and then the other CPUs in the package of each.
pub(super) fn on(cpu: u32) -> u32 {
    if cpu == NONE { NONE } else { 1 + cpu }
}

/// The place of the other CPUs in the package of a CPU.
pub(super) fn beside(cpu: u32, cpus: u32) -> u32 {
    if cpu == NONE { NONE } else { 1 + cpus + cpu }
}

/// How many places there are.
pub(super) fn places(cpus: u32) -> u32 {
    1 + 2 * cpus
}

/// A condition on given CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Bound {
    pub(super) first: u32,
    pub(super) at: u32,
    nth: u8,
    pub(super) before: u32,
    pub(super) place: u32,
    before_nth: u8,
    pub(super) since: u32,
    comes: bool,
}

/// Events of a step that a condition speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Read {
    pub(super) first: bool,
    pub(super) before: bool,
    pub(super) since: bool,
}

impl Read {
    /// Whether there is none.
    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// The condition is met, whatever comes.
pub(super) const MET: u8 = u8::MAX - 1;
/// It can be met no more.
pub(super) const BROKEN: u8 = u8::MAX;
/// The first event has come; the other one has to.
const HALF: u8 = 64;
const OPEN: u8 = 0;
const ARMED: u8 = 1;

impl Bound {
    /// What is known before the first step.
    pub(super) fn start() -> u8 {
        OPEN
    }

    /// What is known after a step, by what was known before it.
    pub(super) fn next(&self, known: u8, read: Read) -> u8 {
        match known {
            MET | BROKEN => known,
            _ if self.since != NONE => {
                if read.first && known == ARMED && !read.before {
                    MET
                } else if read.since {
                    ARMED
                } else if read.before {
                    OPEN
                } else {
                    known
                }
            }
            _ => self.counted(known, read),
        }
    }

    /// Known is how often the first event has come, times 8, and how often the other one has; or [`HALF`] and the latter.
    fn counted(&self, known: u8, read: Read) -> u8 {
        let half = known >= HALF;
        let (mut firsts, mut befores) = ((known % HALF) / 8, known % 8);
        if read.before {
            befores += 1;
            if befores == self.before_nth {
                return if half { MET } else { BROKEN };
            }
        }
        if half {
            return HALF + befores;
        }
        if read.first {
            firsts += 1;
            if firsts == self.nth {
                return if self.comes { HALF + befores } else { MET };
            }
        }
        firsts * 8 + befores
    }

    /// Whether a run meets it, and the first event has come by a time.
    pub(super) fn holds(&self, run: &Times, by: u16) -> bool {
        let firsts = run.of(self.first, self.at);
        let others = run.of(self.before, self.place);
        if self.since == NONE {
            let Some(first) = firsts.get(usize::from(self.nth) - 1).copied().filter(|at| *at <= by) else {
                return false;
            };
            return match others.get(usize::from(self.before_nth) - 1) {
                Some(other) => first < *other,
                None => !self.comes,
            };
        }
        let since = run.of(self.since, self.place);
        firsts.iter().take_while(|at| **at <= by).any(|first| {
            let began = since.partition_point(|at| at < first);
            let ended = others.partition_point(|at| at <= first);
            began > 0 && (ended == 0 || others[ended - 1] <= since[began - 1])
        })
    }
}

/// When the events of a run happen: the numbers of its steps, by event and place.
#[derive(Debug)]
pub(super) struct Times {
    places: u32,
    /// The first entry of each event and place in `steps`, and the end.
    starts: Vec<u32>,
    steps: Vec<u16>,
}

impl Times {
    /// Those of steps that each are at some events and places.
    pub(super) fn new(events: u32, places: u32, happens: &[(u32, u32, u16)]) -> Self {
        let mut starts = vec![0; (events * places) as usize + 1];
        for (event, place, _) in happens {
            starts[(event * places + place) as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let (mut next, mut steps) = (starts.clone(), vec![0; happens.len()]);
        for (event, place, step) in happens {
            let at = &mut next[(event * places + place) as usize];
            steps[*at as usize] = *step;
            *at += 1;
        }
        Self { places, starts, steps }
    }

    /// The steps at which an event happens at a place, in order.
    fn of(&self, event: u32, place: u32) -> &[u16] {
        if event == NONE || place == NONE {
            return &[];
        }
        let at = (event * self.places + place) as usize;
        &self.steps[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator: the tests need many runs, not good ones.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: u32) -> u32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) % u64::from(bound)) as u32
        }
    }

    #[test]
    fn reading_step_by_step_agrees_with_looking_at_the_whole_run() {
        let (mut dice, mut met) = (Dice(1), 0);
        for _ in 0..20_000 {
            let length = 1 + dice.below(8) as u16;
            // Up to two of four events at each step, all anywhere.
            let run: Vec<[u32; 2]> = (0..length).map(|_| [dice.below(4), dice.below(4)]).collect();
            let mut happens = Vec::new();
            for (step, events) in run.iter().enumerate() {
                for event in 0..4 {
                    if events.contains(&event) {
                        happens.push((event, 0, step as u16));
                    }
                }
            }
            let times = Times::new(4, 1, &happens);
            let or_none = |event: u32| if event == 4 { NONE } else { event };
            let condition = Condition {
                first: dice.below(4),
                at: Place::Anywhere,
                nth: 1 + dice.below(3) as u8,
                before: or_none(dice.below(5)),
                place: Place::Anywhere,
                before_nth: 1 + dice.below(3) as u8,
                since: if dice.below(2) == 0 { NONE } else { dice.below(4) },
                comes: dice.below(2) == 0,
            };
            let bound = condition.bind(Names { one: NONE, other: NONE }, 0);
            let read = |events: &[u32; 2]| Read {
                first: events.contains(&bound.first),
                before: events.contains(&bound.before),
                since: events.contains(&bound.since),
            };
            let known = run.iter().fold(Bound::start(), |known, events| bound.next(known, read(events)));
            assert_eq!(known == MET, bound.holds(&times, u16::MAX), "{bound:?} {run:?}");
            met += usize::from(known == MET);
        }
        assert!((2_000..18_000).contains(&met));
    }
}
