//! The concrete space in codes: every rule looked up, none evaluated.
//!
//! A state is one number: the code of the global word, of each package's word and of each CPU's word ([`Codebook`]),
//! side by side in at most [`MOST_BITS`] bits. What a CPU can do depends on two codes, the global one and its own, apart
//! from quantified conditions; so the moves of every such pair are worked out beforehand, each with the bits in which the
//! successor differs. A step of the search is then a look-up and an exclusive or.
//!
//! Quantified conditions ask whether some or no other CPU matches a cube. Each code knows the cubes that it matches, as a
//! bit set; the sets of all CPUs, added up to "once" and "more than once", answer all such questions of a rule at once.
//!
//! The rules of a Program are translated here and in [`super::planes`] and [`super::orbit`] independently: each of the
//! three is the check of the others.
//!
//! Rejected: bit planes with masks for each CPU, which this is three times as fast as, at half the memory.

use std::ops::Range;

use super::codebook::{Codebook, Codes};
use crate::program::{Bulk, Cube, Effect, Guard, Program, Quantified, Quantifier, Rule, RuleId, Scope};
use crate::state::LabelledState;

/// What the table of the counting search can hold beside its two marks.
pub(crate) const MOST_BITS: u32 = 126;

/// Pairs of codes for which moves are kept: beyond, the tables would be larger than a cache by far.
const MOST_PAIRS: usize = 1 << 25;

/// Cubes of quantified conditions by number, one bit each.
type Cubes = u64;

/// A change that leads out of the codebook.
const UNKNOWN: u32 = u32::MAX;

/// The concrete space of a Program and a topology, in codes.
#[derive(Debug)]
pub(crate) struct Coded {
    shape: Shape,
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
    invariants: usize,
    expectations: usize,
}

/// Where the codes lie in a state.
#[derive(Debug)]
struct Shape {
    global_bits: u32,
    package_bits: u32,
    cpu_bits: u32,
    /// The CPUs of each package.
    members: Vec<Range<usize>>,
    package_codes: usize,
    cpu_codes: usize,
}

/// Lists, one after the other.
#[derive(Debug)]
struct Rows<T> {
    ends: Vec<u32>,
    items: Vec<T>,
}

/// A transition of one actor: the rule, and the bits that change in the global code and in the actor's own.
#[derive(Debug, Clone, Copy)]
struct Move {
    rule: RuleId,
    global: u32,
    own: u32,
    /// Whether conditions on other CPUs are to be met,
    conditional: bool,
    /// conditions on packages,
    packaged: bool,
    /// and whether other codes change as well, or one is unknown.
    spreading: bool,
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

/// Who acts.
#[derive(Debug, Clone, Copy, Default)]
struct Actor {
    package: Option<usize>,
    cpu: Option<usize>,
    /// The cubes that the acting CPU matches.
    cubes: Cubes,
}

/// One state taken apart.
#[derive(Debug)]
pub(crate) struct Workspace {
    state: u128,
    global: usize,
    packages: Vec<PackageView>,
    cpus: Vec<usize>,
    all: Matches,
}

#[derive(Debug, Clone, Copy, Default)]
struct PackageView {
    code: usize,
    matches: Matches,
}

/// Cubes that some CPU matches, and those that several match.
#[derive(Debug, Clone, Copy, Default)]
struct Matches {
    once: Cubes,
    more: Cubes,
}

impl<T> Rows<T> {
    fn new() -> Self {
        Self { ends: vec![0], items: Vec::new() }
    }

    /// Ends a row.
    fn end(&mut self) {
        self.ends.push(self.items.len() as u32);
    }

    #[inline]
    fn row(&self, at: usize) -> &[T] {
        &self.items[self.ends[at] as usize..self.ends[at + 1] as usize]
    }

    fn bytes(&self) -> usize {
        size_of_val(self.ends.as_slice()) + size_of_val(self.items.as_slice())
    }
}

impl Matches {
    #[inline]
    fn add(&mut self, other: Self) {
        self.more |= other.more | (self.once & other.once);
        self.once |= other.once;
    }

    /// The cubes that some CPU other than one of these cubes matches.
    #[inline]
    fn others(&self, own: Cubes) -> Cubes {
        self.more | (self.once & !own)
    }
}

impl Wanted {
    #[inline]
    fn by(&self, matched: Cubes) -> bool {
        matched & self.none == 0 && matched & self.some == self.some
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

impl Coded {
    /// None if states or tables would be too large.
    pub(crate) fn new(program: &Program, initial: &LabelledState, book: &Codebook) -> Option<Self> {
        let mut first = 0;
        let members = initial.packages.iter().map(|package| {
            first += package.cpus.len();
            first - package.cpus.len()..first
        });
        let shape = Shape {
            global_bits: book.global.bits(),
            package_bits: book.package.bits(),
            cpu_bits: book.cpu.bits(),
            members: members.collect(),
            package_codes: book.package.len(),
            cpu_codes: book.cpu.len(),
        };
        let pairs = book.global.len().checked_mul(book.cpu.len().max(book.package.len()))?;
        if shape.bits() > MOST_BITS || pairs > MOST_PAIRS {
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
                let conditional = !detail.needs.cpus.is_empty();
                Move { rule: *id, global, own, conditional, packaged: detail.is_packaged(), spreading }
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
        self.global_moves.bytes() + self.package_moves.bytes() + self.cpu_moves.bytes() + self.checks.bytes()
    }

    /// The code of a labelled state, if it has one.
    pub(crate) fn encode(&self, state: &LabelledState, book: &Codebook) -> Option<u128> {
        let mut packed = u128::from(book.global.code(state.global)?);
        for (at, (package, members)) in state.packages.iter().zip(&self.shape.members).enumerate() {
            packed |= u128::from(book.package.code(package.word)?) << self.shape.package_shift(at);
            for (word, at) in package.cpus.iter().zip(members.clone()) {
                packed |= u128::from(book.cpu.code(*word)?) << self.shape.cpu_shift(at);
            }
        }
        Some(packed)
    }

    pub(crate) fn workspace(&self) -> Workspace {
        let cpus = self.shape.members.last().map_or(0, |last| last.end);
        Workspace {
            state: 0,
            global: 0,
            packages: vec![PackageView::default(); self.shape.members.len()],
            cpus: vec![0; cpus],
            all: Matches::default(),
        }
    }

    /// Takes a state apart.
    #[inline]
    pub(crate) fn load(&self, state: u128, workspace: &mut Workspace) {
        let shape = &self.shape;
        let Workspace { packages, cpus, all, .. } = workspace;
        let mut rest = state;
        let mut take = |bits: u32| {
            let code = rest as usize & ((1 << bits) - 1);
            rest >>= bits;
            code
        };
        workspace.global = take(shape.global_bits);
        for package in &mut *packages {
            package.code = take(shape.package_bits);
        }
        *all = Matches::default();
        for (package, members) in packages.iter_mut().zip(&shape.members) {
            package.matches = Matches::default();
            for cpu in &mut cpus[members.clone()] {
                *cpu = take(shape.cpu_bits);
                package.matches.add(Matches { once: self.cpu_cubes[*cpu], more: 0 });
            }
            all.add(package.matches);
        }
        workspace.state = state;
    }

    /// Calls `violated` and `met` with the invariants and expectations of the loaded state; true if it ends the run there
    /// and then.
    #[inline]
    pub(crate) fn check(
        &self,
        workspace: &Workspace,
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
    pub(crate) fn outcome(&self, workspace: &Workspace) -> Option<usize> {
        let mut checks = self.outcomes.row(workspace.global).iter();
        checks.find(|check| self.is_met(**check, workspace)).map(|check| check.predicate as usize)
    }

    #[inline]
    fn is_met(&self, check: Check, workspace: &Workspace) -> bool {
        let needs = &self.needs[check.needs as usize];
        needs.cpus.by(workspace.all.once)
            && (!needs.are_packaged() || self.are_met_by_packages(needs, workspace, Actor::default()))
    }

    /// Appends the successors of the loaded state and calls `fired` with the rule of each; false if one is unknown.
    #[inline]
    pub(crate) fn successors(
        &self,
        workspace: &Workspace,
        successors: &mut Vec<u128>,
        mut fired: impl FnMut(RuleId),
    ) -> bool {
        let shape = &self.shape;
        let mut known = true;
        let mut take = |step: &Move, shift: u32, others: Cubes, actor: Actor| {
            if step.conditional && !self.wanted[step.rule.index()].by(others)
                || step.packaged && !self.are_packages_met(step, workspace, actor)
            {
                return;
            }
            fired(step.rule);
            if step.spreading {
                match self.spread(step, shift, workspace, actor) {
                    Some(next) => successors.push(next),
                    None => known = false,
                }
            } else {
                let own = u128::from(step.own) << shift;
                successors.push(workspace.state ^ u128::from(step.global) ^ own);
            }
        };
        let all = workspace.all;
        for step in self.global_moves.row(workspace.global) {
            take(step, 0, all.once, Actor::default());
        }
        let base = workspace.global * shape.package_codes;
        for (at, package) in workspace.packages.iter().enumerate() {
            for step in self.package_moves.row(base + package.code) {
                let actor = Actor { package: Some(at), cpu: None, cubes: 0 };
                take(step, shape.package_shift(at), all.once, actor);
            }
        }
        let base = workspace.global * shape.cpu_codes;
        let mut shift = shape.cpu_shift(0);
        for (package, members) in shape.members.iter().enumerate() {
            for cpu in members.clone() {
                let code = workspace.cpus[cpu];
                let moves = self.cpu_moves.row(base + code);
                if !moves.is_empty() {
                    let cubes = self.cpu_cubes[code];
                    let actor = Actor { package: Some(package), cpu: Some(cpu), cubes };
                    let others = all.others(cubes);
                    for step in moves {
                        take(step, shift, others, actor);
                    }
                }
                shift += shape.cpu_bits;
            }
        }
        known
    }

    /// Whether the conditions hold in which packages count.
    fn are_packages_met(&self, step: &Move, workspace: &Workspace, actor: Actor) -> bool {
        let Detail { package, needs, .. } = &self.details[step.rule.index()];
        (actor.package.zip(*package)).is_none_or(|(at, cube)| self.package_matches(workspace, at, cube))
            && self.are_met_by_packages(needs, workspace, actor)
    }

    /// A successor with all that changes; none if it is unknown.
    fn spread(&self, step: &Move, shift: u32, workspace: &Workspace, actor: Actor) -> Option<u128> {
        let shape = &self.shape;
        let Detail { own_package, other_packages, other_cpus, .. } = &self.details[step.rule.index()];
        let mut next = workspace.state;
        let mut change = |bits: u32, shift: u32| {
            next ^= u128::from(bits) << shift;
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
            for (at, (package, members)) in workspace.packages.iter().zip(&shape.members).enumerate() {
                let acting = Some(at) == actor.package;
                let changes = &other_cpus[usize::from(acting) * shape.package_codes + package.code];
                for cpu in members.clone().filter(|cpu| Some(*cpu) != actor.cpu) {
                    change(changes[workspace.cpus[cpu]], shape.cpu_shift(cpu))?;
                }
            }
        }
        Some(next)
    }

    #[inline]
    fn package_matches(&self, workspace: &Workspace, at: usize, cube: u32) -> bool {
        self.package_cubes[workspace.packages[at].code] >> cube & 1 == 1
    }

    /// Whether the quantified conditions hold in which packages count; the actor does not.
    fn are_met_by_packages(&self, needs: &Needs, workspace: &Workspace, actor: Actor) -> bool {
        let own = |at: usize| workspace.packages[at].matches.others(actor.cubes);
        (needs.package_cpus.is_empty() || actor.package.is_some_and(|at| needs.package_cpus.by(own(at))))
            && needs.rest.iter().all(|condition| self.holds(condition, workspace, actor))
    }

    fn holds(&self, condition: &Condition, workspace: &Workspace, actor: Actor) -> bool {
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

impl Shape {
    fn bits(&self) -> u32 {
        let cpus = self.members.last().map_or(0, |last| last.end) as u32;
        self.global_bits + self.members.len() as u32 * self.package_bits + cpus * self.cpu_bits
    }

    #[inline]
    fn package_shift(&self, at: usize) -> u32 {
        self.global_bits + at as u32 * self.package_bits
    }

    #[inline]
    fn cpu_shift(&self, at: usize) -> u32 {
        self.global_bits + self.members.len() as u32 * self.package_bits + at as u32 * self.cpu_bits
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
