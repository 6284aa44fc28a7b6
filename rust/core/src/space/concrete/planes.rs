//! Guards and effects of a Program, translated for the bit planes of one topology.
//!
//! A cube becomes a list of literals, each one AND on a plane. An effect becomes, for every CPU that may act, two
//! masks over the words of the state, so that most successors are `(state & keep) | set`. Rules that test the same
//! values of the same program counters form a [`Group`], and the CPUs that stand at those values are found once for all.
//!
//! Rejected: generating machine code, which needs an assembler for each machine.

use crate::program::{
    Bulk, CpuCondition, Cube, Guard, Program, Quantified, Quantifier, Rule, RuleId, Scope, Update, low_bits,
};

use super::layout::{Layout, Plane};

/// The most planes of one scope: words of a CPU have 48 bits, words of a package 64.
const MOST_PLANES: usize = 64;

/// A set of CPUs or of packages, one bit each.
pub(crate) type Set = u64;

/// Planes of one state, taken apart.
#[derive(Debug)]
pub(crate) struct Planes {
    pub(crate) global: u128,
    cpu: [Set; MOST_PLANES],
    package: [Set; MOST_PLANES],
}

impl Default for Planes {
    fn default() -> Self {
        Self { global: 0, cpu: [0; MOST_PLANES], package: [0; MOST_PLANES] }
    }
}

impl Planes {
    /// The word of each CPU; zero for those that there are not.
    #[inline]
    pub(crate) fn cpu_words(&self) -> [u64; Set::BITS as usize] {
        let mut words = [0; Set::BITS as usize];
        for (bit, plane) in self.cpu.iter().enumerate() {
            for cpu in bits(*plane) {
                words[cpu as usize] |= 1 << bit;
            }
        }
        words
    }

    /// The CPUs whose word is that of the CPU before.
    #[inline]
    pub(crate) fn equal_to_previous(&self) -> Set {
        self.cpu.iter().fold(Set::MAX, |equal, plane| equal & !(plane ^ plane << 1))
    }

    /// Takes a state apart.
    #[inline]
    pub(crate) fn load(&mut self, words: &[u64], layout: &Layout, topology: &Topology) {
        self.global = layout.gather(words);
        for (plane, place) in self.cpu.iter_mut().zip(&layout.cpu_planes) {
            *plane = words[place.word] >> place.shift & topology.cpus;
        }
        for (plane, place) in self.package.iter_mut().zip(&layout.package_planes) {
            *plane = words[place.word] >> place.shift & topology.packages;
        }
    }
}

#[cfg(test)]
impl Planes {
    pub(crate) fn package_word(&self, package: u32) -> u64 {
        word(&self.package, package)
    }
}

#[cfg(test)]
fn word(planes: &[Set; MOST_PLANES], at: u32) -> u64 {
    planes.iter().enumerate().fold(0, |word, (bit, plane)| word | (plane >> at & 1) << bit)
}

/// Who there is.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) cpus: Set,
    pub(crate) packages: Set,
    /// The CPUs of each package.
    pub(crate) members: Vec<Set>,
    /// The package of each CPU.
    pub(crate) package_of: Vec<u32>,
}

impl Topology {
    pub(crate) fn new(sizes: impl Iterator<Item = usize>) -> Self {
        let (mut members, mut package_of) = (Vec::new(), Vec::new());
        for (at, size) in sizes.enumerate() {
            members.push((low_bits(size as u32) as u64) << package_of.len());
            package_of.resize(package_of.len() + size, at as u32);
        }
        let (cpus, packages) = (low_bits(package_of.len() as u32) as u64, low_bits(members.len() as u32) as u64);
        Self { cpus, packages, members, package_of }
    }

    /// The CPUs of these packages.
    fn cpus_of(&self, packages: Set) -> Set {
        if packages == self.packages {
            return self.cpus;
        }
        bits(packages).fold(0, |cpus, package| cpus | self.members[package as usize])
    }
}

/// One literal of a cube: which plane, and all ones if the bit must be zero.
#[derive(Debug, Clone, Copy)]
struct Literal {
    plane: u8,
    flip: Set,
}

/// A cube on planes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Test(Box<[Literal]>);

impl Test {
    fn new(cube: Cube<u64>) -> Self {
        let literal =
            |bit: u32| Literal { plane: bit as u8, flip: if cube.value >> bit & 1 == 1 { 0 } else { u64::MAX } };
        Self(bits(cube.care).map(literal).collect())
    }

    #[inline]
    fn among(&self, from: Set, planes: &[Set; MOST_PLANES]) -> Set {
        self.0
            .iter()
            .fold(from, |matching, literal| matching & (planes[literal.plane as usize % MOST_PLANES] ^ literal.flip))
    }

    fn is_true(&self) -> bool {
        self.0.is_empty()
    }
}

/// CPUs anywhere whose word and whose package's word match.
#[derive(Debug)]
struct Where {
    cpu: Test,
    package: Test,
}

impl Where {
    #[inline]
    fn among(&self, from: Set, planes: &Planes, topology: &Topology) -> Set {
        let cpus = self.cpu.among(from, &planes.cpu);
        if self.package.is_true() || cpus == 0 {
            return cpus;
        }
        cpus & topology.cpus_of(self.package.among(topology.packages, &planes.package))
    }
}

#[derive(Debug)]
enum Condition {
    Cpus(Quantifier, Where),
    PackageCpus(Quantifier, Test),
    Packages(Quantifier, Test, Box<[(Quantifier, Test)]>),
}

impl Condition {
    fn new(quantified: &Quantified) -> Self {
        match quantified {
            Quantified::Cpus { quantifier, cpu, package } => {
                Self::Cpus(*quantifier, Where { cpu: Test::new(*cpu), package: Test::new(*package) })
            }
            Quantified::PackageCpus { quantifier, cpu } => Self::PackageCpus(*quantifier, Test::new(*cpu)),
            Quantified::Packages { quantifier, package, cpus } => {
                let nested = |condition: &CpuCondition| (condition.quantifier, Test::new(condition.cpu));
                Self::Packages(*quantifier, Test::new(*package), cpus.iter().map(nested).collect())
            }
        }
    }

    fn packages(package: &Test, nested: &[(Quantifier, Test)], planes: &Planes, topology: &Topology) -> Set {
        let mut packages = package.among(topology.packages, &planes.package);
        for (quantifier, cpu) in nested {
            let matching = cpu.among(topology.cpus, &planes.cpu);
            for package in bits(packages) {
                if !quantifier.holds(matching & topology.members[package as usize] != 0) {
                    packages &= !(1 << package);
                }
            }
        }
        packages
    }

    /// Whether it holds when nobody acts.
    fn holds(&self, planes: &Planes, topology: &Topology) -> bool {
        match self {
            Self::Cpus(quantifier, cpus) => quantifier.holds(cpus.among(topology.cpus, planes, topology) != 0),
            Self::PackageCpus(..) => false,
            Self::Packages(quantifier, package, nested) => {
                quantifier.holds(Self::packages(package, nested, planes, topology) != 0)
            }
        }
    }

    /// The packages for which it holds when they act.
    fn acting_packages(&self, from: Set, planes: &Planes, topology: &Topology) -> Set {
        match self {
            Self::Cpus(quantifier, cpus) => {
                if quantifier.holds(cpus.among(topology.cpus, planes, topology) != 0) {
                    from
                } else {
                    0
                }
            }
            Self::PackageCpus(quantifier, cpu) => {
                let cpus = cpu.among(topology.cpus, &planes.cpu);
                let holds = |package: &u32| quantifier.holds(cpus & topology.members[*package as usize] != 0);
                bits(from).filter(holds).fold(0, |packages, package| packages | 1 << package)
            }
            Self::Packages(quantifier, package, nested) => {
                from & admitted(*quantifier, Self::packages(package, nested, planes, topology), topology.packages)
            }
        }
    }

    /// The CPUs for which it holds when they act.
    #[inline]
    fn acting_cpus(&self, from: Set, planes: &Planes, topology: &Topology) -> Set {
        match self {
            Self::Cpus(quantifier, cpus) => {
                from & admitted(*quantifier, cpus.among(topology.cpus, planes, topology), topology.cpus)
            }
            Self::PackageCpus(quantifier, cpu) => {
                let cpus = cpu.among(topology.cpus, &planes.cpu);
                from & topology.members.iter().fold(0, |all, own| all | admitted(*quantifier, cpus & own, *own))
            }
            Self::Packages(quantifier, package, nested) => {
                let satisfying = Self::packages(package, nested, planes, topology);
                from & topology.cpus_of(admitted(*quantifier, satisfying, topology.packages))
            }
        }
    }
}

/// A guard on planes.
#[derive(Debug)]
pub(crate) struct Requirement {
    global: Cube<u128>,
    acting: Where,
    conditions: Box<[Condition]>,
}

impl Requirement {
    /// `known` are bits of the CPU word that are tested elsewhere.
    fn new(guard: &Guard, known: u64) -> Self {
        let cpu = Cube { care: guard.cpu.care & !known, value: guard.cpu.value & !known };
        Self {
            global: guard.global,
            acting: Where { cpu: Test::new(cpu), package: Test::new(guard.package) },
            conditions: guard.quantified.iter().map(Condition::new).collect(),
        }
    }

    pub(crate) fn of_all(guard: &Guard) -> Self {
        Self::new(guard, 0)
    }

    /// Whether it holds when nobody acts.
    #[inline]
    pub(crate) fn holds(&self, planes: &Planes, topology: &Topology) -> bool {
        self.global.matches(planes.global) && self.conditions.iter().all(|condition| condition.holds(planes, topology))
    }

    fn acting_packages(&self, planes: &Planes, topology: &Topology) -> Set {
        let all = self.acting.package.among(topology.packages, &planes.package);
        self.conditions.iter().fold(all, |from, condition| condition.acting_packages(from, planes, topology))
    }

    #[inline]
    fn acting_cpus(&self, from: Set, planes: &Planes, topology: &Topology) -> Set {
        let mut acting = self.acting.among(from, planes, topology);
        for condition in &self.conditions {
            if acting == 0 {
                break;
            }
            acting = condition.acting_cpus(acting, planes, topology);
        }
        acting
    }
}

/// What a step does to one state when a given CPU or package takes it: `(state & keep) | set`.
#[derive(Debug, Clone, Copy)]
struct Masks<const W: usize> {
    keep: [u64; W],
    set: [u64; W],
}

/// A bulk update: whom it hits, and the planes that it clears and sets.
#[derive(Debug)]
enum Spread {
    Cpus(Where, Box<[Plane]>, Box<[Plane]>),
    PackageCpus(Test, Box<[Plane]>, Box<[Plane]>),
    Packages(Test, Box<[Plane]>, Box<[Plane]>),
}

/// A rule on planes.
#[derive(Debug)]
struct Move<const W: usize> {
    id: RuleId,
    scope: Scope,
    requirement: Requirement,
    /// By acting CPU or package; one entry if nobody acts.
    masks: Box<[Masks<W>]>,
    /// Whether there is more to it than masks.
    plain: bool,
    add: Update<u128>,
    add_package: Update<u64>,
    add_cpu: Update<u64>,
    spreads: Box<[Spread]>,
}

/// Rules that test the same program counters of the acting CPU.
#[derive(Debug)]
struct Group<const W: usize> {
    counters: Cube<u64>,
    at: Test,
    moves: Vec<Move<W>>,
}

/// Groups by the value of one global program counter.
#[derive(Debug)]
struct Counter<const W: usize> {
    offset: u32,
    mask: u128,
    by_value: Vec<Vec<Group<W>>>,
}

/// All rules of a Program on the planes of a topology.
#[derive(Debug)]
pub(crate) struct Moves<const W: usize> {
    counters: Vec<Counter<W>>,
}

impl<const W: usize> Moves<W> {
    pub(crate) fn new(program: &Program, layout: &Layout, topology: &Topology) -> Self {
        let index = program.index.iter().map(|id| &program.fields[id.index()]);
        let of_cpu: u64 = index
            .clone()
            .filter(|field| field.scope == Scope::Cpu)
            .fold(0, |bits, field| bits | (low_bits(field.width) as u64) << field.offset);
        let mut counters: Vec<Counter<W>> = index
            .filter(|field| field.scope == Scope::Global)
            .map(|field| Counter { offset: field.offset, mask: low_bits(field.width), by_value: Vec::new() })
            .collect();
        // One more, of no bits, for the rules that test no global counter.
        counters.push(Counter { offset: 0, mask: 0, by_value: Vec::new() });
        for counter in &mut counters {
            counter.by_value.resize_with(counter.mask as usize + 1, Vec::new);
        }
        for (at, rule) in program.rules.iter().enumerate() {
            let cube = rule.guard.global;
            let tested = |counter: &Counter<W>| ((cube.care >> counter.offset) & counter.mask).count_ones();
            let last = counters.len() - 1;
            let best = (0..last).rev().max_by_key(|at| tested(&counters[*at]));
            let best = best.filter(|at| tested(&counters[*at]) > 0).unwrap_or(last);
            let counter = &mut counters[best];
            for (value, groups) in counter.by_value.iter_mut().enumerate() {
                let word = (value as u128) << counter.offset;
                if (word ^ cube.value) & cube.care & (counter.mask << counter.offset) == 0 {
                    insert(groups, RuleId(at as u32), rule, of_cpu, layout, topology);
                }
            }
        }
        Self { counters }
    }

    /// Calls `emit` with each successor of a state, the rule behind it, and the CPU that acts if one does. The order depends
    /// on the state only.
    #[inline]
    pub(crate) fn successors(
        &self,
        words: &[u64; W],
        planes: &Planes,
        layout: &Layout,
        topology: &Topology,
        mut emit: impl FnMut(&[u64; W], RuleId, Option<u32>),
    ) {
        for counter in &self.counters {
            for group in &counter.by_value[((planes.global >> counter.offset) & counter.mask) as usize] {
                let standing = group.at.among(topology.cpus, &planes.cpu);
                if standing == 0 {
                    continue;
                }
                for rule in &group.moves {
                    if !rule.requirement.global.matches(planes.global) {
                        continue;
                    }
                    let acting = match rule.scope {
                        Scope::Cpu => rule.requirement.acting_cpus(standing, planes, topology),
                        Scope::Package => rule.requirement.acting_packages(planes, topology),
                        Scope::Global => u64::from(rule.requirement.holds(planes, topology)),
                    };
                    for who in bits(acting) {
                        let masks = &rule.masks[who as usize];
                        let mut next = *words;
                        for (word, (keep, set)) in next.iter_mut().zip(masks.keep.iter().zip(&masks.set)) {
                            *word = (*word & keep) | set;
                        }
                        if !rule.plain {
                            rule.rest(who, planes, layout, topology, &mut next);
                        }
                        emit(&next, rule.id, (rule.scope == Scope::Cpu).then_some(who));
                    }
                }
            }
        }
    }
}

fn insert<const W: usize>(
    groups: &mut Vec<Group<W>>,
    id: RuleId,
    rule: &Rule,
    of_cpu: u64,
    layout: &Layout,
    topology: &Topology,
) {
    let care = if rule.scope == Scope::Cpu { rule.guard.cpu.care & of_cpu } else { 0 };
    let counters = Cube { care, value: rule.guard.cpu.value & care };
    let new = Move::new(id, rule, care, layout, topology);
    match groups.iter_mut().find(|group| group.counters == counters) {
        Some(group) => group.moves.push(new),
        None => groups.push(Group { counters, at: Test::new(counters), moves: vec![new] }),
    }
}

impl<const W: usize> Move<W> {
    fn new(id: RuleId, rule: &Rule, known: u64, layout: &Layout, topology: &Topology) -> Self {
        let effect = &rule.effect;
        let places = |clear: u64, set: u64| {
            let of = |mask: u64, planes: &[Plane]| bits(mask).map(|bit| planes[bit as usize]).collect::<Box<[Plane]>>();
            (of(clear & !set, &layout.cpu_planes), of(set, &layout.cpu_planes))
        };
        let package_places = |clear: u64, set: u64| {
            let of = |mask: u64| bits(mask).map(|bit| layout.package_planes[bit as usize]).collect::<Box<[Plane]>>();
            (of(clear & !set), of(set))
        };
        let spreads: Box<[Spread]> = effect
            .bulk
            .iter()
            .map(|bulk| match *bulk {
                Bulk::Cpus { cpu, package, clear, set } => {
                    let (clear, set) = places(clear, set);
                    Spread::Cpus(Where { cpu: Test::new(cpu), package: Test::new(package) }, clear, set)
                }
                Bulk::PackageCpus { cpu, clear, set } => {
                    let (clear, set) = places(clear, set);
                    Spread::PackageCpus(Test::new(cpu), clear, set)
                }
                Bulk::Packages { package, clear, set } => {
                    let (clear, set) = package_places(clear, set);
                    Spread::Packages(Test::new(package), clear, set)
                }
            })
            .collect();
        let count = match rule.scope {
            Scope::Global => 1,
            Scope::Package => topology.members.len(),
            Scope::Cpu => topology.package_of.len(),
        };
        let additions = effect.global.add.len() + effect.package.add.len() + effect.cpu.add.len();
        Self {
            id,
            scope: rule.scope,
            requirement: Requirement::new(&rule.guard, known),
            masks: (0..count).map(|who| Masks::new(rule, who as u32, layout, topology)).collect(),
            plain: spreads.is_empty() && additions == 0,
            add: Update { add: effect.global.add.clone(), ..Update::default() },
            add_package: Update { add: effect.package.add.clone(), ..Update::default() },
            add_cpu: Update { add: effect.cpu.add.clone(), ..Update::default() },
            spreads,
        }
    }

    fn package(&self, who: u32, topology: &Topology) -> Option<u32> {
        match self.scope {
            Scope::Global => None,
            Scope::Package => Some(who),
            Scope::Cpu => Some(topology.package_of[who as usize]),
        }
    }

    /// Additions and bulk updates.
    fn rest(&self, who: u32, planes: &Planes, layout: &Layout, topology: &Topology, words: &mut [u64; W]) {
        let package = self.package(who, topology);
        let cpu = (self.scope == Scope::Cpu).then_some(who);
        if !self.add.add.is_empty() {
            let before = layout.gather(words);
            let change = layout.spread(before ^ self.add.apply(before));
            words.iter_mut().zip(change).for_each(|(word, change)| *word ^= change);
        }
        if let Some(package) = package {
            add(&layout.package_planes, &self.add_package, package, words);
        }
        if let Some(cpu) = cpu {
            add(&layout.cpu_planes, &self.add_cpu, cpu, words);
        }
        let others = |actor: Option<u32>| actor.map_or(u64::MAX, |actor| !(1 << actor));
        for spread in &self.spreads {
            let (targets, clear, set) = match spread {
                Spread::Cpus(cpus, clear, set) => {
                    (cpus.among(topology.cpus & others(cpu), planes, topology), clear, set)
                }
                Spread::PackageCpus(test, clear, set) => {
                    let own = package.map_or(0, |package| topology.members[package as usize]);
                    (test.among(own & others(cpu), &planes.cpu), clear, set)
                }
                Spread::Packages(test, clear, set) => {
                    (test.among(topology.packages & others(package), &planes.package), clear, set)
                }
            };
            clear.iter().for_each(|plane| words[plane.word % W] &= !(targets << plane.shift));
            set.iter().for_each(|plane| words[plane.word % W] |= targets << plane.shift);
        }
    }
}

impl<const W: usize> Masks<W> {
    fn new(rule: &Rule, who: u32, layout: &Layout, topology: &Topology) -> Self {
        let mut masks = Self { keep: [u64::MAX; W], set: [0; W] };
        let effect = &rule.effect;
        let (clear, set) = (layout.spread(effect.global.clear), layout.spread(effect.global.set));
        for at in 0..W.min(2) {
            masks.keep[at] &= !(clear[at] | set[at]);
            masks.set[at] |= set[at];
        }
        let mut rewrite = |planes: &[Plane], update: &Update<u64>, target: u32| {
            for bit in bits(update.clear | update.set) {
                let Plane { word, shift } = planes[bit as usize];
                masks.keep[word] &= !(1 << (shift + target));
                masks.set[word] |= (update.set >> bit & 1) << (shift + target);
            }
        };
        match rule.scope {
            Scope::Global => {}
            Scope::Package => rewrite(&layout.package_planes, &effect.package, who),
            Scope::Cpu => {
                rewrite(&layout.package_planes, &effect.package, topology.package_of[who as usize]);
                rewrite(&layout.cpu_planes, &effect.cpu, who);
            }
        }
        masks
    }
}

/// Who may act, as the acting one is left out of the count: see `Verdict` in [`crate::census`] for the same thought on counts.
#[inline]
fn admitted(quantifier: Quantifier, matching: Set, all: Set) -> Set {
    let several = matching & matching.wrapping_sub(1) != 0;
    match quantifier {
        Quantifier::Some if matching == 0 => 0,
        Quantifier::Some if several => all,
        Quantifier::Some => all & !matching,
        Quantifier::None if matching == 0 => all,
        Quantifier::None if several => 0,
        Quantifier::None => matching,
    }
}

/// Adds to the counters of one target.
fn add<const W: usize>(planes: &[Plane], update: &Update<u64>, target: u32, words: &mut [u64; W]) {
    for addition in &update.add {
        let counter = &planes[addition.offset as usize..(addition.offset + addition.width) as usize];
        let mut value = 0;
        for (bit, Plane { word, shift }) in counter.iter().enumerate() {
            value |= u128::from(words[*word] >> (shift + target) & 1) << (bit as u32 + addition.offset);
        }
        value = addition.apply(value);
        for (bit, Plane { word, shift }) in counter.iter().enumerate() {
            let new = (value >> (bit as u32 + addition.offset)) as u64 & 1;
            words[*word] = (words[*word] & !(1 << (shift + target))) | new << (shift + target);
        }
    }
}

/// The positions of the bits that are set.
#[inline]
pub(crate) fn bits(mut set: Set) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        if set == 0 {
            return None;
        }
        let bit = set.trailing_zeros();
        set &= set - 1;
        Some(bit)
    })
}
