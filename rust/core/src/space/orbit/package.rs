//! Packages of the orbit space: each content that occurs is looked at once, and then known by an id.
//!
//! Where there are several packages, far fewer contents occur than states: a state combines them. Who can do what in a
//! package, and which conditions it meets, depends even less on how many CPUs are of each kind: one or several is all
//! that matters, since a condition never asks for more than another one. A content in which no kind has more than two
//! CPUs is the *shape* of all that have the same kinds. What can be said beforehand is worked out for each shape; what a
//! content becomes by a move is worked out when the move is first made.
//!
//! The words of a content, in `u64`s:
//!
//! ```text
//! header   class:8  runs-1:8  package word:48        (or class:8 runs-1:8 in the low bits, and the package word
//!                                                     in a second u64, if package words have more than 48 bits)
//! run      class:8  CPU word:48  count-1:8           in ascending order, one for each kind of CPU
//! ```
//!
//! Invariant: runs have distinct, ascending keys (class and word). The order of contents is that of their words.
//!
//! Rules that do the same to a package under the same conditions on it share an *action*, whatever they ask of the rest
//! of the state: there are far fewer actions than rules.
//!
//! Rejected: moves by rule, of which there are several times as many. Shapes alone: a successor would have to be put
//! together and looked up by its words every time, as it is where a topology has a single package. There, nearly each
//! content is a state of its own, and to remember what it becomes would take memory for nothing.

use std::borrow::Cow;

use crate::labelled::state::LabelledState;
use crate::number::binomial::Binomials;
use crate::number::count::Weight;
use crate::program::{Bulk, Cube, Program, Quantified, Quantifier, Rule, Scope, Update};
use crate::store::interner::{Interner, Keyed, Lazy};

const WORD_BITS: u32 = 48;
const WORD: u64 = (1 << WORD_BITS) - 1;
const BYTE: u64 = 0xff;

/// Beyond one, it no longer matters how many CPUs are equal.
const SEVERAL: u32 = 2;

/// How words become headers and runs.
#[derive(Debug, Clone, Copy)]
struct Format {
    header_words: usize,
}

/// What a rule does to the acting package, and what it asks of it.
#[derive(Debug, Clone, PartialEq)]
struct Action {
    of_cpu: bool,
    package: Cube<u64>,
    cpu: Cube<u64>,
    /// Conditions on the other CPUs of the package.
    others: Vec<(Quantifier, Cube<u64>)>,
    package_update: Update<u64>,
    cpu_update: Update<u64>,
    bulk: Vec<Bulk>,
}

/// All contents that have occurred.
#[derive(Debug)]
pub(crate) struct Packages {
    format: Format,
    actions: Vec<Action>,
    /// What rules do to packages that do not act.
    spreads: Vec<Vec<Bulk>>,
    /// Quantified conditions over the whole state.
    conditions: Vec<Quantified>,
    binomials: Binomials,
    words: Interner<CpuWord>,
    shapes: Interner<Shape>,
    contents: Interner<Content>,
    /// Whether contents occur again and again.
    remembers: bool,
}

/// Conditions as a bit set, in words.
pub(crate) type Set = [u64];

/// What contents have in common that differ only in how many CPUs several are.
#[derive(Debug)]
pub(crate) struct Shape {
    words: Box<[u64]>,
    pub(crate) class: u64,
    /// Sets of conditions: those that one CPU or the package meets, those that several do; those that the package meets
    /// itself; those that it or a CPU of each kind meets.
    sets: Box<Set>,
    set_words: usize,
    /// Where the moves of each action start, and where the last end.
    starts: Box<[u32]>,
    /// By action, who can take it: 0 for the package, or the kind of CPU from 1 on, in ascending order.
    actors: Box<[u16]>,
}

/// A word of a CPU.
#[derive(Debug)]
struct CpuWord {
    word: u64,
    /// The actions that a CPU with this word might take: their cubes match it.
    actions: Box<[u32]>,
}

/// A package with its CPUs.
#[derive(Debug)]
pub(crate) struct Content {
    words: Box<[u64]>,
    pub(crate) shape: u32,
    /// What is worth remembering, if anything is.
    memory: Option<Box<Memory>>,
}

#[derive(Debug)]
struct Memory {
    /// The ways to deal out the CPUs.
    weight: Weight,
    /// What the package becomes by each of its shape's moves,
    moved: Box<[Lazy]>,
    /// and, by spread, when another package acts.
    spread: Box<[Lazy]>,
}

/// One of a shape's moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    action: usize,
    at: usize,
    who: u16,
}

/// A package's part in a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Bystander,
    Acts,
    /// The CPU kind with this index acts.
    CpuActs(usize),
}

/// Numbers equal items equally.
fn number<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|known| *known == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

/// The quantified conditions of a Program over whole states.
fn conditions(program: &Program) -> Vec<Quantified> {
    let mut conditions = Vec::new();
    for condition in program.guards().flat_map(|guard| &guard.quantified).filter_map(without_quantifier) {
        number(&mut conditions, condition);
    }
    conditions
}

/// "Some" and "none" of the same are one condition. None for a condition on the acting package alone.
fn without_quantifier(quantified: &Quantified) -> Option<Quantified> {
    let mut condition = quantified.clone();
    match &mut condition {
        Quantified::PackageCpus { .. } => return None,
        Quantified::Cpus { quantifier, .. } | Quantified::Packages { quantifier, .. } => *quantifier = Quantifier::Some,
    }
    Some(condition)
}

/// CPUs of one kind; the key is the class above the word.
fn run(key: u64, count: u32) -> u64 {
    key << 8 | u64::from(count - 1)
}

fn key_and_count(run: u64) -> (u64, u32) {
    (run >> 8, (run & BYTE) as u32 + 1)
}

impl Format {
    /// The words of a package, given its class and its word, and runs of its CPUs in any order, of which several may have
    /// the same key.
    fn content(self, class: u64, word: u64, runs: impl Iterator<Item = u64>) -> Vec<u64> {
        let most = runs.size_hint().1.unwrap_or(0);
        let mut words = Vec::with_capacity(self.header_words + most);
        words.resize(self.header_words, 0);
        words.extend(runs);
        words[self.header_words..].sort_unstable();
        let mut last = self.header_words;
        for at in last + 1..words.len() {
            let ((key, count), (last_key, last_count)) = (key_and_count(words[at]), key_and_count(words[last]));
            if key == last_key {
                words[last] = run(key, last_count + count);
            } else {
                last += 1;
                words[last] = words[at];
            }
        }
        words.truncate(last + 1);
        let most = (last - self.header_words) as u64;
        if self.header_words == 1 {
            words[0] = class << 56 | most << WORD_BITS | word;
        } else {
            words[..2].copy_from_slice(&[class << 8 | most, word]);
        }
        words
    }

    /// The class, the package word and the runs of a content.
    fn parts(self, words: &[u64]) -> (u64, u64, &[u64]) {
        let runs = &words[self.header_words..];
        if self.header_words == 1 { (words[0] >> 56, words[0] & WORD, runs) } else { (words[0] >> 8, words[1], runs) }
    }
}

impl Keyed for Content {
    type Key = [u64];

    fn key(&self) -> &[u64] {
        &self.words
    }

    fn heap_bytes(&self) -> usize {
        let memory = |memory: &Memory| size_of_val(memory) + size_of_val(&*memory.moved) + size_of_val(&*memory.spread);
        size_of_val(&*self.words) + self.memory.as_deref().map_or(0, memory)
    }
}

impl Keyed for CpuWord {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.word
    }

    fn heap_bytes(&self) -> usize {
        size_of_val(&*self.actions)
    }
}

impl Keyed for Shape {
    type Key = [u64];

    fn key(&self) -> &[u64] {
        &self.words
    }

    fn heap_bytes(&self) -> usize {
        size_of_val(&*self.words) + size_of_val(&*self.sets) + size_of_val(&*self.starts) + size_of_val(&*self.actors)
    }
}

impl Content {
    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }
}

impl Shape {
    #[inline]
    fn set(&self, at: usize) -> &Set {
        &self.sets[at * self.set_words..(at + 1) * self.set_words]
    }

    /// The conditions that something in the package meets,
    #[inline]
    pub(crate) fn once(&self) -> &Set {
        self.set(0)
    }

    /// and those that several CPUs meet.
    #[inline]
    pub(crate) fn more(&self) -> &Set {
        self.set(1)
    }

    /// The conditions that the actor of a move meets itself, in which it must not be counted.
    #[inline]
    pub(crate) fn own(&self, step: Move) -> &Set {
        self.set(2 + step.who as usize)
    }

    /// The moves that take an action.
    #[inline]
    pub(crate) fn moves(&self, action: usize) -> impl Iterator<Item = Move> + '_ {
        let moves = self.starts[action] as usize..self.starts[action + 1] as usize;
        moves.map(move |at| Move { action, at, who: self.actors[at] })
    }
}

impl Packages {
    pub(crate) fn new(program: &Program, initial: &LabelledState) -> Self {
        let largest = initial.packages.iter().map(|package| package.cpus.len()).max().unwrap_or(0);
        Self {
            format: Format { header_words: if program.widths.package <= WORD_BITS { 1 } else { 2 } },
            actions: Vec::new(),
            spreads: Vec::new(),
            conditions: conditions(program),
            binomials: Binomials::new(largest),
            words: Interner::new(),
            shapes: Interner::new(),
            contents: Interner::new(),
            remembers: initial.packages.len() > 1,
        }
    }

    /// Numbers what a rule does to the package that acts; none if none does. Like the next, for use before the first
    /// content.
    pub(crate) fn action(&mut self, rule: &Rule) -> Option<usize> {
        let (guard, effect) = (&rule.guard, &rule.effect);
        let others = guard.quantified.iter().filter_map(|quantified| match quantified {
            Quantified::PackageCpus { quantifier, cpu } => Some((*quantifier, *cpu)),
            Quantified::Cpus { .. } | Quantified::Packages { .. } => None,
        });
        let action = Action {
            of_cpu: rule.scope == Scope::Cpu,
            package: guard.package,
            cpu: guard.cpu,
            others: others.collect(),
            package_update: effect.package.clone(),
            cpu_update: effect.cpu.clone(),
            bulk: effect.bulk.iter().filter(|bulk| !matches!(bulk, Bulk::Packages { .. })).cloned().collect(),
        };
        (rule.scope != Scope::Global).then(|| number(&mut self.actions, action))
    }

    /// Numbers what a rule does to other packages; none if nothing.
    pub(crate) fn spread(&mut self, rule: &Rule) -> Option<usize> {
        let bulk = rule.effect.bulk.iter();
        let bulk: Vec<_> = bulk.filter(|bulk| !matches!(bulk, Bulk::PackageCpus { .. })).cloned().collect();
        (!bulk.is_empty()).then(|| number(&mut self.spreads, bulk))
    }

    /// The number of a condition of the Program, apart from its quantifier; none if it concerns the acting package alone.
    pub(crate) fn condition(&self, quantified: &Quantified) -> Option<usize> {
        let condition = without_quantifier(quantified)?;
        let number = self.conditions.iter().position(|known| *known == condition);
        Some(number.expect("the conditions of all guards of the Program are numbered"))
    }

    /// Words of a set of conditions.
    pub(crate) fn set_words(&self) -> usize {
        self.conditions.len().div_ceil(u64::BITS as usize)
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> &Content {
        self.contents.get(id)
    }

    #[inline]
    pub(crate) fn shape(&self, id: u32) -> &Shape {
        self.shapes.get(id)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.bytes() + self.shapes.bytes() + self.contents.bytes()
    }

    /// The id of a package given by its class and word, and the classes and words of its CPUs.
    pub(crate) fn id(&self, class: u64, word: u64, cpus: impl Iterator<Item = (u64, u64)>) -> u32 {
        self.intern(&self.format.content(class, word, cpus.map(|(class, word)| run(class << WORD_BITS | word, 1))))
    }

    fn intern(&self, words: &[u64]) -> u32 {
        self.contents.intern(words, || {
            let mut shape = words.to_vec();
            for word in &mut shape[self.format.header_words..] {
                let (key, count) = key_and_count(*word);
                *word = run(key, count.min(SEVERAL));
            }
            let shape = self.shapes.intern(&shape, || self.study(&shape));
            let lazies = |count: usize| (0..count).map(|_| Lazy::new()).collect();
            let memory = || Memory {
                weight: self.multinomial(words),
                moved: lazies(self.shapes.get(shape).actors.len()),
                spread: lazies(self.spreads.len()),
            };
            Content { words: words.into(), shape, memory: self.remembers.then(|| Box::new(memory())) }
        })
    }

    /// The ways to deal out the CPUs of a content.
    #[inline]
    pub(crate) fn weight<'c>(&self, content: &'c Content) -> Cow<'c, Weight> {
        match &content.memory {
            Some(memory) => Cow::Borrowed(&memory.weight),
            None => Cow::Owned(self.multinomial(&content.words)),
        }
    }

    /// How many can make a move.
    #[inline]
    pub(crate) fn count(&self, content: &Content, step: Move) -> u32 {
        if step.who == 0 { 1 } else { key_and_count(content.words[self.format.header_words + step.who as usize - 1]).1 }
    }

    /// What the package becomes by a move.
    #[inline]
    pub(crate) fn after_move(&self, content: &Content, step: Move) -> u32 {
        let find = || {
            let Action { package_update, cpu_update, bulk, .. } = &self.actions[step.action];
            let part = step.who.checked_sub(1).map_or(Part::Acts, |kind| Part::CpuActs(kind as usize));
            self.after(content, part, package_update, cpu_update, bulk)
        };
        content.memory.as_ref().map_or_else(find, |memory| memory.moved[step.at].get_or(find))
    }

    /// What the package becomes when another one, or none, acts.
    #[inline]
    pub(crate) fn after_spread(&self, content: &Content, spread: usize) -> u32 {
        let find = || {
            let nothing = Update::default();
            self.after(content, Part::Bystander, &nothing, &nothing, &self.spreads[spread])
        };
        content.memory.as_ref().map_or_else(find, |memory| memory.spread[spread].get_or(find))
    }

    fn after(
        &self,
        content: &Content,
        part: Part,
        package_update: &Update<u64>,
        cpu_update: &Update<u64>,
        bulk: &[Bulk],
    ) -> u32 {
        let (class, word, runs) = self.format.parts(&content.words);
        let acted =
            if let Part::CpuActs(at) = part { Some(run(cpu_update.apply(key_and_count(runs[at]).0), 1)) } else { None };
        let others = runs.iter().map(|run| key_and_count(*run)).enumerate().filter_map(|(at, (key, count))| {
            let count = count - u32::from(part == Part::CpuActs(at));
            (count > 0).then(|| run(cpu_after_bulk(bulk, key, word, part), count))
        });
        let after = if part == Part::Bystander { package_after_bulk(bulk, word) } else { package_update.apply(word) };
        self.intern(&self.format.content(class, after, others.chain(acted)))
    }

    /// Works out all that is known of a shape beforehand.
    fn study(&self, words: &[u64]) -> Shape {
        let (class, word, runs) = self.format.parts(words);
        let cpus: Vec<(u64, u32)> = runs.iter().map(|run| key_and_count(*run)).collect();
        let matching =
            |cube: Cube<u64>| cpus.iter().filter(|(key, _)| cube.matches(*key)).map(|(_, count)| count).sum();
        let (starts, actors) = self.moves(word, &cpus, matching);
        let sets = self.sets(word, &cpus, matching);
        Shape { words: words.into(), class, sets, set_words: self.set_words(), starts, actors }
    }

    fn moves(&self, word: u64, cpus: &[(u64, u32)], matching: impl Fn(Cube<u64>) -> u32) -> (Box<[u32]>, Box<[u16]>) {
        let admits = |action: &Action, key: Option<u64>| {
            action.package.matches(word)
                && action.others.iter().all(|(quantifier, cube)| {
                    quantifier.holds(matching(*cube) > u32::from(key.is_some_and(|key| cube.matches(key))))
                })
        };
        let numbered = (0..).zip(&self.actions);
        let of_package = numbered.filter(|(_, action)| !action.of_cpu && admits(action, None));
        let mut moves: Vec<(u32, u16)> = of_package.map(|(at, _)| (at, 0)).collect();
        for (who, (key, _)) in (1..).zip(cpus) {
            let able = self.actions_of(*key).iter().filter(|at| admits(&self.actions[**at as usize], Some(*key)));
            moves.extend(able.map(|at| (*at, who)));
        }
        // Sorted by action; of one action they are in order already.
        let mut starts = vec![0; self.actions.len() + 1];
        for (action, _) in &moves {
            starts[*action as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let (mut free, mut actors) = (starts.clone(), vec![0; moves.len()]);
        for (action, who) in moves {
            let place = &mut free[action as usize];
            actors[*place as usize] = who;
            *place += 1;
        }
        (starts.into(), actors.into())
    }

    /// The actions that a CPU might take, by its class and word.
    fn actions_of(&self, key: u64) -> &[u32] {
        let word = key & WORD;
        let id = self.words.intern(&word, || {
            let actions = (0..).zip(&self.actions).filter(|(_, action)| action.of_cpu && action.cpu.matches(word));
            CpuWord { word, actions: actions.map(|(at, _)| at).collect() }
        });
        &self.words.get(id).actions
    }

    fn sets(&self, word: u64, cpus: &[(u64, u32)], matching: impl Fn(Cube<u64>) -> u32) -> Box<Set> {
        let width = self.set_words();
        let mut sets = vec![0_u64; (3 + cpus.len()) * width];
        for (at, condition) in self.conditions.iter().enumerate() {
            let mut put = |set: usize| sets[set * width + at / u64::BITS as usize] |= 1 << (at as u32 % u64::BITS);
            match condition {
                Quantified::Cpus { cpu, package, .. } if package.matches(word) => {
                    let count = matching(*cpu);
                    (0..2).filter(|set| count > *set).for_each(|set| put(set as usize));
                    let kinds = cpus.iter().enumerate().filter(|(_, (key, _))| cpu.matches(*key));
                    kinds.for_each(|(kind, _)| put(3 + kind));
                }
                Quantified::Packages { package, cpus: conditions, .. }
                    if package.matches(word)
                        && conditions.iter().all(|it| it.quantifier.holds(matching(it.cpu) > 0)) =>
                {
                    put(0);
                    (0..=cpus.len()).for_each(|who| put(2 + who));
                }
                _ => {}
            }
        }
        sets.into()
    }

    /// The multinomial coefficients of the classes.
    fn multinomial(&self, words: &[u64]) -> Weight {
        let (_, _, runs) = self.format.parts(words);
        let (mut weight, mut class, mut dealt) = (Weight::Small(1), u64::MAX, 0);
        for (key, count) in runs.iter().map(|run| key_and_count(*run)) {
            dealt = if key >> WORD_BITS == class { dealt } else { 0 } + count;
            class = key >> WORD_BITS;
            if dealt > count {
                weight = weight.times(self.binomials.choose(dealt, count));
            }
        }
        weight
    }
}

#[cfg(test)]
impl Packages {
    /// The word of a package,
    pub(crate) fn word(&self, id: u32) -> u64 {
        self.format.parts(&self.get(id).words).1
    }

    /// and its kinds of CPUs, as the word and the number of each.
    pub(crate) fn cpus(&self, id: u32) -> impl Iterator<Item = (u64, u32)> + '_ {
        let (_, _, runs) = self.format.parts(&self.get(id).words);
        runs.iter().map(|run| key_and_count(*run)).map(|(key, count)| (key & WORD, count))
    }
}

fn package_after_bulk(bulk: &[Bulk], word: u64) -> u64 {
    bulk.iter().fold(word, |after, bulk| match bulk {
        Bulk::Packages { package, clear, set } if package.matches(word) => (after & !clear) | set,
        _ => after,
    })
}

fn cpu_after_bulk(bulk: &[Bulk], key: u64, package_word: u64, part: Part) -> u64 {
    bulk.iter().fold(key, |after, bulk| match bulk {
        Bulk::Cpus { cpu, package, clear, set } if cpu.matches(key) && package.matches(package_word) => {
            (after & !clear) | set
        }
        Bulk::PackageCpus { cpu, clear, set } if part != Part::Bystander && cpu.matches(key) => (after & !clear) | set,
        _ => after,
    })
}
