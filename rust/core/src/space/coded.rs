//! The concrete space in codes: every rule looked up, none evaluated.
//!
//! A state is one number ([`Packed`]): the code of the global word, of each package's word and of each CPU's word
//! ([`Codebook`]), side by side. What a CPU can do depends on two codes, the global one and its own, apart
//! from quantified conditions; so the moves of every such pair are worked out beforehand, each with the bits in which the
//! successor differs. A step of the search is then a look-up and an exclusive or.
//!
//! CPUs of one package with the same code can do the same: one comparison of all codes at once finds them, and each rule is
//! asked about once for all of them.
//!
//! Quantified conditions ask whether some or no other CPU matches a cube. Each code knows the cubes that it matches, as a
//! bit set; the sets of all CPUs, added up to "once", "twice" and "three times", answer all such questions of a rule at
//! once.
//!
//! Not every transition need be taken. Let a state be found by a step of one actor, the last one, and let another actor,
//! before it in a fixed order, have a step that commutes with the last. What that step leads to is also reached the
//! other way round, and by the later actor. So it is counted, and sleeps. Of all transitions into a state from
//! the level before, one with the latest actor never sleeps: each level of the search keeps all its states. Only
//! the last step of one path is known, so some transitions are taken needlessly, which is a matter of time alone.
//!
//! The rules of a Program are translated here and in [`super::planes`] and [`super::orbit`] independently: each of the
//! three is the check of the others.
//!
//! Rejected: bit planes with masks for each CPU, which this is three times as fast as, at half the memory.

use std::ops::Range;

use super::codebook::{Codebook, Codes};
use super::commuting::{Commuting, Relation};
use super::packed::Packed;
use crate::program::{Bulk, Cube, Effect, Guard, Program, Quantified, Quantifier, Rule, RuleId, Scope};
use crate::state::LabelledState;

/// Pairs of codes for which moves are kept: beyond, the tables would be larger than a cache by far.
const MOST_PAIRS: usize = 1 << 25;

/// Cubes of quantified conditions by number, one bit each.
type Cubes = u64;

/// A change that leads out of the codebook.
const UNKNOWN: u32 = u32::MAX;

/// The concrete space of a Program and a topology, in codes.
#[derive(Debug)]
pub(crate) struct Coded<S> {
    shape: Shape<S>,
    /// For each CPU code, the cubes that it matches; for each package code likewise.
    cpu_cubes: Vec<Cubes>,
    package_cubes: Vec<Cubes>,
    /// Rules of global scope, by global code;
    global_moves: Rows<Move>,
    /// of package scope, by global and package code;
    package_moves: Rows<Move>,
    /// of CPU scope, by global and CPU code.
    cpu_moves: Rows<Move>,
    /// What other CPUs must match, by rule;
    wanted: Vec<Wanted>,
    /// and the rest of what does not fit in a move.
    details: Vec<Detail>,
    /// Quantified conditions of the predicates, by disjunct.
    needs: Vec<Needs>,
    /// Invariants, expectations, and whether an outcome is fatal, by global code.
    checks: Rows<Check>,
    /// Outcomes in the order of their priority, by global code.
    outcomes: Rows<Check>,
    /// Which rules commute.
    relation: Relation,
    invariants: usize,
    expectations: usize,
}

/// Where the codes lie in a state.
#[derive(Debug)]
struct Shape<S> {
    global_bits: u32,
    package_bits: u32,
    /// At least 1.
    cpu_bits: u32,
    packages: Vec<Members<S>>,
    package_codes: usize,
    cpu_codes: usize,
}

/// Where the codes of a package's CPUs lie.
#[derive(Debug)]
struct Members<S> {
    cpus: Range<usize>,
    /// All their bits,
    all: S,
    /// the lowest bit of each,
    bottoms: S,
    /// the highest, which stands for the CPU,
    tops: S,
    /// and all but the highest.
    tails: S,
}

/// Lists, one after the other.
#[derive(Debug)]
struct Rows<T> {
    /// Where each begins and ends.
    ranges: Vec<(u32, u32)>,
    items: Vec<T>,
}

/// A transition of one actor: the rule, and the bits that change in the global code and in the actor's own.
#[derive(Debug, Clone, Copy)]
struct Move {
    /// What other CPUs must match.
    wanted: Wanted,
    global: u32,
    own: u32,
    rule: u16,
    /// Whether there are conditions on packages,
    packaged: bool,
    /// and whether other codes change as well, or one is unknown.
    spreading: bool,
}

impl Move {
    fn rule(&self) -> usize {
        usize::from(self.rule)
    }
}

/// The rest of a rule.
#[derive(Debug)]
struct Detail {
    /// The cube that the acting CPU's package must match.
    package: Option<u32>,
    needs: Needs,
    /// Bits that change in the code of the acting CPU's package, by that code; empty if none ever does.
    own_package: Vec<u32>,
    /// Bits that change in the codes of other packages, by code; empty likewise.
    other_packages: Vec<u32>,
    /// Bits that change in the codes of other CPUs: for their package's code, in acting packages and others, and by code.
    other_cpus: Vec<Vec<u32>>,
}

/// Quantified conditions; cubes by number or as a set of numbers.
#[derive(Debug, Default)]
struct Needs {
    /// Of any CPU but the acting one,
    cpus: Wanted,
    /// and of those of the acting package.
    package_cpus: Wanted,
    /// Conditions on packages.
    rest: Vec<Condition>,
}

/// Cubes that some CPU must match, and cubes that none may.
#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    some: Cubes,
    none: Cubes,
}

/// A condition in which packages count.
#[derive(Debug)]
enum Condition {
    Cpus { quantifier: Quantifier, cpu: u32, package: u32 },
    Packages { quantifier: Quantifier, package: u32, cpus: Wanted },
}

/// A disjunct of a predicate, of which the global cube matches: what is left of it.
#[derive(Debug, Clone, Copy)]
struct Check {
    predicate: u32,
    /// In [`Coded::needs`].
    needs: u32,
}

/// Who acts: nobody in particular, a package, or a CPU, which may be any of its kind.
#[derive(Debug, Clone, Copy, Default)]
struct Actor {
    package: Option<usize>,
    cpu: Option<Top>,
    /// The cubes that the acting CPU matches.
    cubes: Cubes,
}

/// A CPU, by the highest bit of its code.
type Top = u32;

/// The step that a state was found by: who acted, by which rule, and what the code of the acting CPU was before.
///
/// Actors are in order: nobody in particular, packages, CPUs. So are the steps of one actor: by their rules.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Last {
    actor: u16,
    rule: u16,
    before: u32,
}

impl Last {
    /// The actor that stands for nobody in particular,
    const NOBODY: u16 = 0;
    /// the first package,
    const PACKAGES: u16 = 1;
    /// and the CPU whose code ends with bit 0.
    const CPUS: u16 = 1 << 8;

    fn cpu(self) -> Option<Top> {
        self.actor.checked_sub(Self::CPUS).map(Top::from)
    }
}

/// One state taken apart.
#[derive(Debug)]
pub(crate) struct Workspace<S> {
    state: S,
    global: usize,
    packages: Vec<PackageView>,
    /// As many as there are CPUs, of which the first `kind_count` count.
    kinds: Vec<Kind<S>>,
    kind_count: usize,
    all: Matches,
}

#[derive(Debug, Clone, Copy, Default)]
struct PackageView {
    code: usize,
    matches: Matches,
}

/// CPUs of one package with the same code.
#[derive(Debug, Clone, Copy, Default)]
struct Kind<S> {
    package: u32,
    code: u32,
    cubes: Cubes,
    /// The highest bits of their codes.
    tops: S,
}

impl<S> Workspace<S> {
    #[inline]
    fn kinds(&self) -> &[Kind<S>] {
        &self.kinds[..self.kind_count]
    }
}

/// Cubes that some CPU matches, those that two match, and those that three or more match.
#[derive(Debug, Clone, Copy, Default)]
struct Matches {
    once: Cubes,
    twice: Cubes,
    thrice: Cubes,
}

impl<T> Rows<T> {
    fn new() -> Self {
        Self { ranges: Vec::new(), items: Vec::new() }
    }

    /// Ends a row.
    fn end(&mut self) {
        let start = self.ranges.last().map_or(0, |(_, end)| *end);
        self.ranges.push((start, self.items.len() as u32));
    }

    #[inline]
    fn row(&self, at: usize) -> &[T] {
        let (start, end) = self.ranges[at];
        if start == end { &[] } else { &self.items[start as usize..end as usize] }
    }

    fn bytes(&self) -> usize {
        size_of_val(self.ranges.as_slice()) + size_of_val(self.items.as_slice())
    }
}

impl Matches {
    /// Adds CPUs that match the same cubes.
    #[inline]
    fn add<S: Packed>(&mut self, cubes: Cubes, cpus: S) {
        let but_one = cpus.but_lowest();
        let two = if but_one.is_zero() { 0 } else { cubes };
        let three = if but_one.but_lowest().is_zero() { 0 } else { cubes };
        self.thrice |= self.twice & cubes | self.once & two | three;
        self.twice |= self.once & cubes | two;
        self.once |= cubes;
    }

    fn merge(&mut self, other: Self) {
        self.thrice |= other.thrice | self.twice & other.once | self.once & other.twice;
        self.twice |= other.twice | self.once & other.once;
        self.once |= other.once;
    }

    /// Without a CPU that matches these cubes; what is left is not counted beyond two.
    #[inline]
    fn without(&self, cubes: Cubes) -> Self {
        Self { once: self.others(cubes), twice: self.thrice | self.twice & !cubes, thrice: 0 }
    }

    /// The cubes that some CPU other than one of these cubes matches.
    #[inline]
    fn others(&self, own: Cubes) -> Cubes {
        self.twice | (self.once & !own)
    }
}

impl Wanted {
    #[inline]
    fn by(&self, matched: Cubes) -> bool {
        matched & self.none | !matched & self.some == 0
    }

    fn add(&mut self, quantifier: Quantifier, cube: u32) {
        match quantifier {
            Quantifier::Some => self.some |= Cubes::unbounded_shl(1, cube),
            Quantifier::None => self.none |= Cubes::unbounded_shl(1, cube),
        }
    }

    fn is_empty(&self) -> bool {
        self.some | self.none == 0
    }
}

impl Needs {
    fn are_packaged(&self) -> bool {
        !self.package_cpus.is_empty() || !self.rest.is_empty()
    }
}

/// Numbers the cubes of quantified conditions.
#[derive(Default)]
struct Numbering {
    cpus: Vec<Cube<u64>>,
    packages: Vec<Cube<u64>>,
}

impl Numbering {
    fn number(cubes: &mut Vec<Cube<u64>>, cube: Cube<u64>) -> u32 {
        let known = cubes.iter().position(|known| *known == cube);
        known.unwrap_or_else(|| {
            cubes.push(cube);
            cubes.len() - 1
        }) as u32
    }

    fn cpu(&mut self, cube: Cube<u64>) -> u32 {
        Self::number(&mut self.cpus, cube)
    }

    fn package(&mut self, cube: Cube<u64>) -> u32 {
        Self::number(&mut self.packages, cube)
    }

    fn needs(&mut self, quantified: &[Quantified]) -> Needs {
        let mut needs = Needs::default();
        for quantified in quantified {
            match quantified {
                Quantified::Cpus { quantifier, cpu, package } if package.is_true() => {
                    needs.cpus.add(*quantifier, self.cpu(*cpu));
                }
                Quantified::Cpus { quantifier, cpu, package } => {
                    let (cpu, package) = (self.cpu(*cpu), self.package(*package));
                    needs.rest.push(Condition::Cpus { quantifier: *quantifier, cpu, package });
                }
                Quantified::PackageCpus { quantifier, cpu } => {
                    needs.package_cpus.add(*quantifier, self.cpu(*cpu));
                }
                Quantified::Packages { quantifier, package, cpus: nested } => {
                    let mut cpus = Wanted::default();
                    for it in nested {
                        cpus.add(it.quantifier, self.cpu(it.cpu));
                    }
                    let package = self.package(*package);
                    needs.rest.push(Condition::Packages { quantifier: *quantifier, package, cpus });
                }
            }
        }
        needs
    }
}

/// The cubes that each word matches, as a bit set.
fn matched(words: &[u64], cubes: &[Cube<u64>]) -> Vec<Cubes> {
    let bit = |(at, cube): (usize, &Cube<u64>), word: u64| Cubes::from(cube.matches(word)) << at;
    let of = |word: &u64| cubes.iter().enumerate().fold(0, |set, cube| set | bit(cube, *word));
    words.iter().map(of).collect()
}

/// The bits in which two codes differ.
fn change<W: Copy + Ord>(codes: &Codes<W>, from: usize, to: W) -> u32 {
    codes.code(to).map_or(UNKNOWN, |to| to ^ from as u32)
}

impl<S: Packed> Coded<S> {
    /// None if states or tables would be too large.
    pub(crate) fn new(program: &Program, initial: &LabelledState, book: &Codebook) -> Option<Self> {
        let shape = Shape::new(initial, book)?;
        let pairs = book.global.len().checked_mul(book.cpu.len().max(book.package.len()))?;
        if pairs > MOST_PAIRS || program.rules.len() > usize::from(u16::MAX) {
            return None;
        }
        let mut numbering = Numbering::default();
        let details: Vec<_> = program.rules.iter().map(|rule| Detail::new(rule, book, &mut numbering)).collect();
        let mut coded = Self {
            shape,
            cpu_cubes: Vec::new(),
            package_cubes: Vec::new(),
            global_moves: Rows::new(),
            package_moves: Rows::new(),
            cpu_moves: Rows::new(),
            wanted: details.iter().map(|detail| detail.needs.cpus).collect(),
            details,
            needs: Vec::new(),
            checks: Rows::new(),
            outcomes: Rows::new(),
            relation: Relation::new(program),
            invariants: program.invariants.len(),
            expectations: program.expectations.len(),
        };
        coded.tabulate_moves(program, book);
        coded.tabulate_predicates(program, book, &mut numbering);
        if numbering.cpus.len().max(numbering.packages.len()) > Cubes::BITS as usize {
            return None;
        }
        coded.cpu_cubes = matched(book.cpu.words(), &numbering.cpus);
        coded.package_cubes = matched(book.package.words(), &numbering.packages);
        Some(coded)
    }

    fn tabulate_moves(&mut self, program: &Program, book: &Codebook) {
        // What a rule makes of each code of its own scope; none where its guard fails.
        let own: Vec<Vec<Option<u32>>> = program
            .rules
            .iter()
            .map(|rule| match rule.scope {
                Scope::Global => Vec::new(),
                Scope::Package => changes(&book.package, rule.guard.package, |word| rule.effect.package.apply(word)),
                Scope::Cpu => changes(&book.cpu, rule.guard.cpu, |word| rule.effect.cpu.apply(word)),
            })
            .collect();
        let own = |rule: RuleId, code: usize| own[rule.index()][code];
        for (global, word) in book.global.words().iter().enumerate() {
            let matching: Vec<(RuleId, &Rule, u32)> = (0..)
                .map(RuleId)
                .zip(&program.rules)
                .filter(|(_, rule)| rule.guard.global.matches(*word))
                .map(|(id, rule)| (id, rule, change(&book.global, global, rule.effect.global.apply(*word))))
                .collect();
            let of_scope = |scope: Scope| matching.iter().filter(move |(_, rule, _)| rule.scope == scope);
            let step = |(id, rule, global): &(RuleId, &Rule, u32), own: u32| {
                let global = if rule.trap.is_some() { UNKNOWN } else { *global };
                let detail = &self.details[id.index()];
                let spreading = detail.is_spreading() || global == UNKNOWN || own == UNKNOWN;
                let (rule, packaged) = (id.0 as u16, detail.is_packaged());
                Move { wanted: detail.needs.cpus, global, own, rule, packaged, spreading }
            };
            self.global_moves.items.extend(of_scope(Scope::Global).map(|it| step(it, 0)));
            self.global_moves.end();
            for (scope, moves, codes) in [
                (Scope::Package, &mut self.package_moves, book.package.len()),
                (Scope::Cpu, &mut self.cpu_moves, book.cpu.len()),
            ] {
                for code in 0..codes {
                    let enabled = of_scope(scope).filter_map(|it| Some(step(it, own(it.0, code)?)));
                    moves.items.extend(enabled);
                    moves.end();
                }
            }
        }
    }

    fn tabulate_predicates(&mut self, program: &Program, book: &Codebook, numbering: &mut Numbering) {
        let needs = &mut self.needs;
        let mut disjuncts = |predicate: usize, guards: &[Guard]| -> Vec<(Cube<u128>, Check)> {
            let guards = guards.iter();
            guards
                .map(|guard| {
                    needs.push(numbering.needs(&guard.quantified));
                    (guard.global, Check { predicate: predicate as u32, needs: needs.len() as u32 - 1 })
                })
                .collect()
        };
        let invariants = program.invariants.iter().map(|it| &it.violated_when);
        let expectations = program.expectations.iter().map(|it| &it.when);
        let mut checks: Vec<_> =
            invariants.chain(expectations).enumerate().flat_map(|(at, guards)| disjuncts(at, guards)).collect();
        let end = self.invariants + self.expectations;
        let fatal = program.outcomes.iter().filter(|outcome| outcome.fatal);
        checks.extend(fatal.flat_map(|outcome| disjuncts(end, &outcome.when)));
        let outcomes = program.outcomes.iter().enumerate();
        let outcomes: Vec<_> = outcomes.flat_map(|(at, outcome)| disjuncts(at, &outcome.when)).collect();
        for word in book.global.words() {
            for (rows, all) in [(&mut self.checks, &checks), (&mut self.outcomes, &outcomes)] {
                rows.items.extend(all.iter().filter(|(global, _)| global.matches(*word)).map(|(_, check)| *check));
                rows.end();
            }
        }
    }

    /// Bits of a state.
    pub(crate) fn bits(&self) -> u32 {
        self.shape.bits()
    }

    /// Bytes of the tables.
    pub(crate) fn bytes(&self) -> usize {
        let moves = self.global_moves.bytes() + self.package_moves.bytes() + self.cpu_moves.bytes();
        moves + self.checks.bytes() + self.relation.bytes()
    }

    /// The code of a labelled state, if it has one.
    pub(crate) fn encode(&self, state: &LabelledState, book: &Codebook) -> Option<S> {
        let shape = &self.shape;
        let mut packed = S::from(book.global.code(state.global)?);
        for (at, (package, members)) in state.packages.iter().zip(&shape.packages).enumerate() {
            packed ^= S::from(book.package.code(package.word)?) << shape.package_shift(at);
            for (word, cpu) in package.cpus.iter().zip(members.cpus.clone()) {
                packed ^= S::from(book.cpu.code(*word)?) << shape.cpu_shift(cpu);
            }
        }
        Some(packed)
    }

    pub(crate) fn workspace(&self) -> Workspace<S> {
        Workspace {
            state: S::default(),
            global: 0,
            packages: vec![PackageView::default(); self.shape.packages.len()],
            kinds: vec![Kind::default(); self.shape.packages.last().map_or(0, |last| last.cpus.end)],
            kind_count: 0,
            all: Matches::default(),
        }
    }

    /// Takes a state apart.
    #[inline]
    pub(crate) fn load(&self, state: S, workspace: &mut Workspace<S>) {
        let shape = &self.shape;
        let Workspace { packages, kinds, .. } = workspace;
        let mut kind_count = 0;
        let mut all = Matches::default();
        for (package, (view, members)) in packages.iter_mut().zip(&shape.packages).enumerate() {
            let mut matches = Matches::default();
            let mut rest = members.tops;
            while !rest.is_zero() {
                let code = shape.code_at(state, rest.lowest());
                let tops = members.equal(state, code);
                rest = rest & !tops;
                let cubes = self.cpu_cubes[code];
                matches.add(cubes, tops);
                kinds[kind_count] = Kind { package: package as u32, code: code as u32, cubes, tops };
                kind_count += 1;
            }
            *view = PackageView { code: low(state >> shape.package_shift(package), shape.package_bits), matches };
            all.merge(matches);
        }
        workspace.state = state;
        workspace.global = low(state, shape.global_bits);
        workspace.kind_count = kind_count;
        workspace.all = all;
    }

    /// Calls `violated` and `met` with the invariants and expectations of the loaded state; true if it ends the run there
    /// and then.
    #[inline]
    pub(crate) fn check(
        &self,
        workspace: &Workspace<S>,
        mut violated: impl FnMut(usize),
        mut met: impl FnMut(usize),
    ) -> bool {
        let mut last = u32::MAX;
        for check in self.checks.row(workspace.global) {
            if check.predicate != last && self.is_met(*check, workspace) {
                last = check.predicate;
                match (last as usize).checked_sub(self.invariants) {
                    None => violated(last as usize),
                    Some(at) if at < self.expectations => met(at),
                    Some(_) => return true,
                }
            }
        }
        false
    }

    /// The first outcome that holds.
    pub(crate) fn outcome(&self, workspace: &Workspace<S>) -> Option<usize> {
        let mut checks = self.outcomes.row(workspace.global).iter();
        checks.find(|check| self.is_met(**check, workspace)).map(|check| check.predicate as usize)
    }

    #[inline]
    fn is_met(&self, check: Check, workspace: &Workspace<S>) -> bool {
        let needs = &self.needs[check.needs as usize];
        needs.cpus.by(workspace.all.once)
            && (!needs.are_packaged() || self.are_met_by_packages(needs, workspace, Actor::default()))
    }

    /// Calls `fired` with each rule that can fire in the loaded state and for how many actors, and `next` with the
    /// successors that do not sleep after `last`; false if one is unknown.
    #[inline]
    pub(crate) fn successors(
        &self,
        workspace: &Workspace<S>,
        last: Last,
        mut fired: impl FnMut(usize, u32),
        mut next: impl FnMut(S, Last),
    ) -> bool {
        let shape = &self.shape;
        let mut known = true;
        let night = Night::new(self, workspace, last);
        let mut take = |step: &Move, package: Option<usize>, number: u16, shift: u32| {
            let actor = Actor { package, ..Actor::default() };
            if !step.wanted.by(workspace.all.once) || step.packaged && !self.are_packages_met(step, workspace, actor) {
                return;
            }
            fired(step.rule(), 1);
            if !night.is_asleep(step, number) {
                let this = Last { actor: number, rule: step.rule, before: 0 };
                match self.successor(step, shift, actor, workspace) {
                    Some(state) => next(state, this),
                    None => known = false,
                }
            }
        };
        for step in self.global_moves.row(workspace.global) {
            take(step, None, Last::NOBODY, 0);
        }
        let base = workspace.global * shape.package_codes;
        for (at, package) in workspace.packages.iter().enumerate() {
            for step in self.package_moves.row(base + package.code) {
                take(step, Some(at), Last::PACKAGES + at as u16, shape.package_shift(at));
            }
        }
        let base = workspace.global * shape.cpu_codes;
        for kind in workspace.kinds() {
            let others = workspace.all.others(kind.cubes);
            let actor = Actor { package: Some(kind.package as usize), cpu: None, cubes: kind.cubes };
            for step in self.cpu_moves.row(base + kind.code as usize) {
                if !step.wanted.by(others) || step.packaged && !self.are_packages_met(step, workspace, actor) {
                    continue;
                }
                fired(step.rule(), kind.tops.count());
                let mut awake = kind.tops & !night.asleep(self, step, kind);
                while !awake.is_zero() {
                    let top = awake.lowest();
                    awake = awake.but_lowest();
                    let shift = top + 1 - shape.cpu_bits;
                    let this = Last { actor: Last::CPUS + top as u16, rule: step.rule, before: kind.code };
                    match self.successor(step, shift, Actor { cpu: Some(top), ..actor }, workspace) {
                        Some(state) => next(state, this),
                        None => known = false,
                    }
                }
            }
        }
        known
    }

    #[inline]
    fn successor(&self, step: &Move, shift: u32, actor: Actor, workspace: &Workspace<S>) -> Option<S> {
        if step.spreading {
            self.spread(step, shift, actor, workspace)
        } else {
            Some(workspace.state ^ S::from(step.global) ^ S::from(step.own) << shift)
        }
    }

    /// Whether the conditions hold in which packages count.
    fn are_packages_met(&self, step: &Move, workspace: &Workspace<S>, actor: Actor) -> bool {
        let Detail { package, needs, .. } = &self.details[step.rule()];
        (actor.package.zip(*package)).is_none_or(|(at, cube)| self.package_matches(workspace, at, cube))
            && self.are_met_by_packages(needs, workspace, actor)
    }

    /// A successor with all that changes; none if it is unknown.
    fn spread(&self, step: &Move, shift: u32, actor: Actor, workspace: &Workspace<S>) -> Option<S> {
        let shape = &self.shape;
        let Detail { own_package, other_packages, other_cpus, .. } = &self.details[step.rule()];
        let mut next = workspace.state;
        let mut change = |bits: u32, shift: u32| {
            next ^= S::from(bits) << shift;
            (bits != UNKNOWN).then_some(())
        };
        change(step.global, 0)?;
        change(step.own, shift)?;
        if let (Some(package), Some(_), false) = (actor.package, actor.cpu, own_package.is_empty()) {
            change(own_package[workspace.packages[package].code], shape.package_shift(package))?;
        }
        if !other_packages.is_empty() {
            for (at, package) in workspace.packages.iter().enumerate().filter(|(at, _)| Some(*at) != actor.package) {
                change(other_packages[package.code], shape.package_shift(at))?;
            }
        }
        if !other_cpus.is_empty() {
            let own = actor.cpu.map_or(S::default(), |top| S::from(1) << top);
            for kind in workspace.kinds() {
                let acting = Some(kind.package as usize) == actor.package;
                let package = workspace.packages[kind.package as usize].code;
                let bits = other_cpus[usize::from(acting) * shape.package_codes + package][kind.code as usize];
                let mut others = kind.tops & !own;
                while !others.is_zero() {
                    change(bits, others.lowest() + 1 - shape.cpu_bits)?;
                    others = others.but_lowest();
                }
            }
        }
        Some(next)
    }

    #[inline]
    fn package_matches(&self, workspace: &Workspace<S>, at: usize, cube: u32) -> bool {
        self.package_cubes[workspace.packages[at].code] >> cube & 1 == 1
    }

    /// Whether the quantified conditions hold in which packages count; the actor does not.
    fn are_met_by_packages(&self, needs: &Needs, workspace: &Workspace<S>, actor: Actor) -> bool {
        let own = |at: usize| workspace.packages[at].matches.others(actor.cubes);
        (needs.package_cpus.is_empty() || actor.package.is_some_and(|at| needs.package_cpus.by(own(at))))
            && needs.rest.iter().all(|condition| self.holds(condition, workspace, actor))
    }

    fn holds(&self, condition: &Condition, workspace: &Workspace<S>, actor: Actor) -> bool {
        let packages = || workspace.packages.iter().enumerate();
        match condition {
            Condition::Cpus { quantifier, cpu, package } => {
                // Only in its own package is the acting CPU among those counted.
                let cubes = |at: usize| if Some(at) == actor.package { actor.cubes } else { 0 };
                let others = |(at, view): (usize, &PackageView)| {
                    self.package_matches(workspace, at, *package) && view.matches.others(cubes(at)) >> cpu & 1 == 1
                };
                quantifier.holds(packages().any(others))
            }
            Condition::Packages { quantifier, package, cpus } => {
                let mut others = packages().filter(|(at, _)| Some(*at) != actor.package);
                quantifier.holds(
                    others
                        .any(|(at, view)| self.package_matches(workspace, at, *package) && cpus.by(view.matches.once)),
                )
            }
        }
    }
}

/// The lowest bits.
#[inline]
fn low<S: Packed>(bits: S, count: u32) -> usize {
    bits.low() as usize & ((1 << count) - 1)
}

impl<S: Packed> Shape<S> {
    /// None if a state has too many bits.
    fn new(initial: &LabelledState, book: &Codebook) -> Option<Self> {
        let mut shape = Self {
            global_bits: book.global.bits(),
            package_bits: book.package.bits(),
            cpu_bits: book.cpu.bits().max(1),
            packages: Vec::new(),
            package_codes: book.package.len(),
            cpu_codes: book.cpu.len(),
        };
        let (mut first, nil) = (0, S::default());
        for package in &initial.packages {
            let cpus = first..first + package.cpus.len();
            first = cpus.end;
            shape.packages.push(Members { cpus, all: nil, bottoms: nil, tops: nil, tails: nil });
        }
        if shape.bits() > S::MOST_BITS {
            return None;
        }
        for at in 0..shape.packages.len() {
            let cpus = shape.packages[at].cpus.clone();
            let sum =
                |bits: u32| cpus.clone().fold(S::default(), |all, cpu| all | S::from(bits) << shape.cpu_shift(cpu));
            let (all, bottoms, tops) = (sum((1 << shape.cpu_bits) - 1), sum(1), sum(1 << (shape.cpu_bits - 1)));
            shape.packages[at] = Members { cpus, all, bottoms, tops, tails: all ^ tops };
        }
        Some(shape)
    }

    fn bits(&self) -> u32 {
        let cpus = self.packages.last().map_or(0, |last| last.cpus.end);
        self.cpu_shift(cpus)
    }

    #[inline]
    fn package_shift(&self, at: usize) -> u32 {
        self.global_bits + at as u32 * self.package_bits
    }

    #[inline]
    fn cpu_shift(&self, at: usize) -> u32 {
        self.package_shift(self.packages.len()) + at as u32 * self.cpu_bits
    }

    /// The code of a CPU.
    #[inline]
    fn code_at(&self, state: S, top: Top) -> usize {
        low(state >> (top + 1 - self.cpu_bits), self.cpu_bits)
    }
}

impl<S: Packed> Members<S> {
    /// The CPUs with this code.
    #[inline]
    fn equal(&self, state: S, code: usize) -> S {
        let differing = (state ^ self.bottoms.times(S::from(code as u32))) & self.all;
        // Below the highest bit of each field, a sum carries into it unless there is nothing to add to: into no other.
        let carried = (differing & self.tails).plus(self.tails);
        self.tops & !(carried | differing)
    }
}

/// Which steps sleep in a state.
struct Night<'c, S> {
    last: Last,
    row: &'c [Commuting],
    /// Cubes that CPUs other than the last one match,
    rest: Matches,
    /// those that the last one matched before its step,
    before: Cubes,
    /// and those that its step wanted.
    wanted: Wanted,
    /// The last one, and the CPUs before it.
    own: S,
    earlier: S,
}

impl<'c, S: Packed> Night<'c, S> {
    #[inline]
    fn new(coded: &'c Coded<S>, workspace: &Workspace<S>, last: Last) -> Self {
        let rule = usize::from(last.rule);
        let mut night = Self {
            last,
            row: coded.relation.with(rule),
            rest: workspace.all,
            before: 0,
            wanted: coded.wanted[rule],
            own: S::default(),
            earlier: S::default(),
        };
        if let Some(top) = last.cpu() {
            night.rest = workspace.all.without(coded.cpu_cubes[coded.shape.code_at(workspace.state, top)]);
            night.before = coded.cpu_cubes[last.before as usize];
            night.own = S::from(1) << top;
            // All bits below.
            night.earlier = night.own.plus(!S::default());
        }
        night
    }

    /// Whether a step of another actor than the last and the last step commute; `own` and `after` are the cubes that the
    /// actor matches now and after the step.
    #[inline]
    fn commutes(&self, step: &Move, own: Cubes, after: impl FnOnce() -> Cubes) -> bool {
        let commuting = self.row[step.rule()];
        commuting.others
            || commuting.conditions && !step.spreading && {
                let rest = self.rest.others(own);
                step.wanted.by(rest | self.before) && self.wanted.by(rest | after())
            }
    }

    /// Whether a step of the last actor itself sleeps.
    #[inline]
    fn is_before(&self, step: &Move) -> bool {
        self.row[step.rule()].same && step.rule < self.last.rule
    }

    /// Whether a step of an actor that is no CPU sleeps.
    #[inline]
    fn is_asleep(&self, step: &Move, actor: u16) -> bool {
        actor < self.last.actor && self.commutes(step, 0, || 0) || actor == self.last.actor && self.is_before(step)
    }

    /// The CPUs of a kind for which a step sleeps.
    #[inline]
    fn asleep(&self, coded: &Coded<S>, step: &Move, kind: &Kind<S>) -> S {
        let after = || coded.cpu_cubes[(kind.code ^ step.own) as usize];
        let mut asleep = S::default();
        if !(kind.tops & self.earlier).is_zero() && self.commutes(step, kind.cubes, after) {
            asleep = self.earlier;
        }
        if !(kind.tops & self.own).is_zero() && self.is_before(step) {
            asleep = asleep | self.own;
        }
        asleep
    }
}

/// For each code that the cube matches, the bits that change.
fn changes(codes: &Codes<u64>, cube: Cube<u64>, effect: impl Fn(u64) -> u64) -> Vec<Option<u32>> {
    let words = codes.words().iter().enumerate();
    words.map(|(at, word)| cube.matches(*word).then(|| change(codes, at, effect(*word)))).collect()
}

impl Detail {
    fn new(rule: &Rule, book: &Codebook, numbering: &mut Numbering) -> Self {
        let Guard { package, quantified, .. } = &rule.guard;
        let Effect { package: update, bulk, .. } = &rule.effect;
        let of_cpu = rule.scope == Scope::Cpu;
        let by_package = |effect: &dyn Fn(u64) -> u64| {
            book.package.words().iter().enumerate().map(|(at, word)| change(&book.package, at, effect(*word))).collect()
        };
        let other_packages = |word: u64| {
            bulk.iter().fold(word, |after, bulk| match bulk {
                Bulk::Packages { package, clear, set } if package.matches(word) => after & !clear | set,
                _ => after,
            })
        };
        let other_cpus = |acting: bool, package_word: u64| {
            let after = |word: u64| {
                bulk.iter().fold(word, |after, bulk| match bulk {
                    Bulk::Cpus { cpu, package, clear, set } if cpu.matches(word) && package.matches(package_word) => {
                        after & !clear | set
                    }
                    Bulk::PackageCpus { cpu, clear, set } if acting && cpu.matches(word) => after & !clear | set,
                    _ => after,
                })
            };
            book.cpu.words().iter().enumerate().map(|(at, word)| change(&book.cpu, at, after(*word))).collect()
        };
        let hits_packages = bulk.iter().any(|bulk| matches!(bulk, Bulk::Packages { .. }));
        let hits_cpus = bulk.iter().any(|bulk| !matches!(bulk, Bulk::Packages { .. }));
        Self {
            package: (of_cpu && !package.is_true()).then(|| Numbering::number(&mut numbering.packages, *package)),
            needs: numbering.needs(quantified),
            own_package: if of_cpu && !update.is_identity() {
                by_package(&|word| update.apply(word))
            } else {
                Vec::new()
            },
            other_packages: if hits_packages { by_package(&other_packages) } else { Vec::new() },
            other_cpus: if hits_cpus {
                let kinds = [false, true].into_iter();
                let words = book.package.words();
                kinds
                    .flat_map(|acting| words.iter().map(move |word| (acting, *word)))
                    .map(|(a, w)| other_cpus(a, w))
                    .collect()
            } else {
                Vec::new()
            },
        }
    }

    fn is_packaged(&self) -> bool {
        self.package.is_some() || self.needs.are_packaged()
    }

    fn is_spreading(&self) -> bool {
        !(self.own_package.is_empty() && self.other_packages.is_empty() && self.other_cpus.is_empty())
    }
}
