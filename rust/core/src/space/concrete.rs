//! The concrete space: every CPU keeps its identity, and guards are evaluated for all CPUs at once on bit planes.
//!
//! A state is `[u64; W]` in the [`Layout`]; `W` is fixed at compile time, so that copying and comparing states are a
//! few instructions. A set of CPUs (or packages) is a `u64`, one bit each: where the orbit space counts, this one
//! takes ANDs; they share the rule index and no evaluation. That makes each the check of the other.
//!
//! Rejected: one word for each CPU. It needs a loop over the CPUs in every guard.

use std::mem;

use super::Space;
use super::layout::{Layout, Plane};
use crate::count::Weight;
use crate::index::RuleIndex;
use crate::program::{
    Bulk, CpuCondition, Cube, Effect, Guard, Program, Quantified, Quantifier, RuleId, Scope, Update, low_bits,
};
use crate::state::LabelledState;

/// The concrete space of a Program and a topology, in `W` words.
#[derive(Debug)]
pub(crate) struct Concrete<'p, const W: usize> {
    program: &'p Program,
    index: RuleIndex,
    layout: Layout,
    all_cpus: u64,
    all_packages: u64,
    /// The CPUs of each package.
    members: Vec<u64>,
    /// The package of each CPU.
    package_of: Vec<u32>,
    /// The bits of the global word in the first two words.
    global_mask: [u64; 2],
}

/// One state with its planes taken apart.
#[derive(Debug)]
pub(crate) struct Workspace<const W: usize> {
    words: [u64; W],
    global: u128,
    cpu_planes: Vec<u64>,
    package_planes: Vec<u64>,
    candidates: Vec<RuleId>,
}

impl<'p, const W: usize> Concrete<'p, W> {
    /// `layout` must fit in `W` words.
    pub(crate) fn new(program: &'p Program, initial: &LabelledState, layout: Layout) -> Self {
        let mut members = Vec::new();
        let mut package_of = Vec::new();
        for (at, package) in initial.packages.iter().enumerate() {
            let cpus = low_bits(package.cpus.len() as u32) as u64;
            members.push(cpus << package_of.len());
            package_of.resize(package_of.len() + package.cpus.len(), at as u32);
        }
        let global = low_bits(program.widths.global);
        Self {
            program,
            index: RuleIndex::new(program),
            all_cpus: low_bits(layout.cpus) as u64,
            all_packages: low_bits(layout.packages) as u64,
            layout,
            members,
            package_of,
            global_mask: [global as u64, (global >> 64) as u64],
        }
    }

    fn read_global(&self, words: &[u64; W]) -> u128 {
        let low = u128::from(words[0] & self.global_mask[0]);
        if W > 1 { low | u128::from(words[1] & self.global_mask[1]) << 64 } else { low }
    }

    fn write_global(&self, global: u128, words: &mut [u64; W]) {
        words[0] = (words[0] & !self.global_mask[0]) | global as u64;
        if W > 1 {
            words[1] = (words[1] & !self.global_mask[1]) | (global >> 64) as u64;
        }
    }

    /// The CPUs whose word matches.
    fn cpus_matching(&self, cube: Cube<u64>, workspace: &Workspace<W>) -> u64 {
        on_planes(cube, &workspace.cpu_planes, self.all_cpus)
    }

    fn packages_matching(&self, cube: Cube<u64>, workspace: &Workspace<W>) -> u64 {
        on_planes(cube, &workspace.package_planes, self.all_packages)
    }

    /// The CPUs of these packages.
    fn cpus_of(&self, packages: u64) -> u64 {
        if packages == self.all_packages {
            return self.all_cpus;
        }
        bits(packages).fold(0, |cpus, package| cpus | self.members[package as usize])
    }

    fn packages_satisfying(&self, package: Cube<u64>, cpus: &[CpuCondition], workspace: &Workspace<W>) -> u64 {
        let mut packages = self.packages_matching(package, workspace);
        for condition in cpus {
            let matching = self.cpus_matching(condition.cpu, workspace);
            for package in bits(packages) {
                if !condition.quantifier.holds(matching & self.members[package as usize] != 0) {
                    packages &= !(1 << package);
                }
            }
        }
        packages
    }

    /// Whether a guard without acting package or CPU holds.
    fn holds(&self, guard: &Guard, workspace: &Workspace<W>) -> bool {
        guard.global.matches(workspace.global)
            && guard.quantified.iter().all(|quantified| match quantified {
                Quantified::Cpus { quantifier, cpu, package } => {
                    quantifier.holds(self.cpus_anywhere(*cpu, *package, workspace) != 0)
                }
                Quantified::Packages { quantifier, package, cpus } => {
                    quantifier.holds(self.packages_satisfying(*package, cpus, workspace) != 0)
                }
                Quantified::PackageCpus { .. } => false,
            })
    }

    fn cpus_anywhere(&self, cpu: Cube<u64>, package: Cube<u64>, workspace: &Workspace<W>) -> u64 {
        let cpus = self.cpus_matching(cpu, workspace);
        if package.is_true() { cpus } else { cpus & self.cpus_of(self.packages_matching(package, workspace)) }
    }

    /// The packages that may fire a rule with this guard; its global cube is known to match.
    fn enabled_packages(&self, guard: &Guard, workspace: &Workspace<W>) -> u64 {
        let mut enabled = self.packages_matching(guard.package, workspace);
        for quantified in &guard.quantified {
            if enabled == 0 {
                break;
            }
            enabled &= match quantified {
                Quantified::Cpus { quantifier, cpu, package } => {
                    let any = self.cpus_anywhere(*cpu, *package, workspace) != 0;
                    if quantifier.holds(any) { self.all_packages } else { 0 }
                }
                Quantified::PackageCpus { quantifier, cpu } => {
                    let cpus = self.cpus_matching(*cpu, workspace);
                    let holds = |package: &u32| quantifier.holds(cpus & self.members[*package as usize] != 0);
                    bits(enabled).filter(holds).fold(0, |packages, package| packages | 1 << package)
                }
                Quantified::Packages { quantifier, package, cpus } => {
                    let satisfying = self.packages_satisfying(*package, cpus, workspace);
                    admitted(*quantifier, satisfying, self.all_packages)
                }
            };
        }
        enabled
    }

    /// The CPUs that may fire a rule with this guard; its global cube is known to match.
    fn enabled_cpus(&self, guard: &Guard, workspace: &Workspace<W>) -> u64 {
        let mut enabled = self.cpus_anywhere(guard.cpu, guard.package, workspace);
        for quantified in &guard.quantified {
            if enabled == 0 {
                break;
            }
            enabled &= match quantified {
                Quantified::Cpus { quantifier, cpu, package } => {
                    admitted(*quantifier, self.cpus_anywhere(*cpu, *package, workspace), self.all_cpus)
                }
                Quantified::PackageCpus { quantifier, cpu } => {
                    let cpus = self.cpus_matching(*cpu, workspace);
                    self.members.iter().fold(0, |all, own| all | admitted(*quantifier, cpus & own, *own))
                }
                Quantified::Packages { quantifier, package, cpus } => {
                    let satisfying = self.packages_satisfying(*package, cpus, workspace);
                    self.cpus_of(admitted(*quantifier, satisfying, self.all_packages))
                }
            };
        }
        enabled
    }

    /// The words after the effect, without what it does to the acting package or CPU.
    fn after_global(&self, effect: &Effect, workspace: &Workspace<W>) -> [u64; W] {
        let mut words = workspace.words;
        if !effect.global.is_identity() {
            self.write_global(effect.global.apply(workspace.global), &mut words);
        }
        words
    }

    fn apply_bulk(
        &self,
        effect: &Effect,
        package: Option<u32>,
        cpu: Option<u32>,
        workspace: &Workspace<W>,
        words: &mut [u64; W],
    ) {
        let not_acting = |actor: Option<u32>| actor.map_or(u64::MAX, |actor| !(1 << actor));
        for bulk in &effect.bulk {
            match *bulk {
                Bulk::Cpus { cpu: cube, package, clear, set } => {
                    let targets = self.cpus_anywhere(cube, package, workspace) & not_acting(cpu);
                    rewrite(&self.layout.cpu_planes, clear, set, targets, words);
                }
                Bulk::PackageCpus { cpu: cube, clear, set } => {
                    let own = package.map_or(0, |package| self.members[package as usize]);
                    let targets = self.cpus_matching(cube, workspace) & own & not_acting(cpu);
                    rewrite(&self.layout.cpu_planes, clear, set, targets, words);
                }
                Bulk::Packages { package: cube, clear, set } => {
                    let targets = self.packages_matching(cube, workspace) & not_acting(package);
                    rewrite(&self.layout.package_planes, clear, set, targets, words);
                }
            }
        }
    }
}

#[cfg(test)]
impl<const W: usize> Concrete<'_, W> {
    /// The loaded state.
    pub(super) fn labelled(&self, workspace: &Workspace<W>) -> LabelledState {
        let word = |planes: &[u64], at: u32| {
            planes.iter().enumerate().fold(0, |word, (bit, plane)| word | (plane >> at & 1) << bit)
        };
        let package = |(at, members): (usize, &u64)| crate::state::LabelledPackage {
            word: word(&workspace.package_planes, at as u32),
            cpus: bits(*members).map(|cpu| word(&workspace.cpu_planes, cpu)).collect(),
        };
        LabelledState { global: workspace.global, packages: self.members.iter().enumerate().map(package).collect() }
    }
}

/// The places in which a word matches, given its planes.
#[inline]
fn on_planes(cube: Cube<u64>, planes: &[u64], all: u64) -> u64 {
    bits(cube.care).fold(all, |matching, bit| {
        let plane = planes[bit as usize];
        matching & if cube.value >> bit & 1 == 1 { plane } else { !plane }
    })
}

/// Who may act, as the acting one is left out of the count: see `Verdict` in [`crate::census`] for the same thought
/// on counts.
#[inline]
fn admitted(quantifier: Quantifier, matching: u64, all: u64) -> u64 {
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

/// Clears, then sets bits of the words of all `targets`.
#[inline]
fn rewrite<const W: usize>(planes: &[Plane], clear: u64, set: u64, targets: u64, words: &mut [u64; W]) {
    for bit in bits(clear & !set) {
        let Plane { word, shift } = planes[bit as usize];
        words[word] &= !(targets << shift);
    }
    for bit in bits(set) {
        let Plane { word, shift } = planes[bit as usize];
        words[word] |= targets << shift;
    }
}

/// Applies an update to the word of one target.
#[inline]
fn update<const W: usize>(planes: &[Plane], update: &Update<u64>, target: u32, words: &mut [u64; W]) {
    rewrite(planes, update.clear, update.set, 1 << target, words);
    for addition in &update.add {
        let bits = addition.offset..addition.offset + addition.width;
        let place = |bit: u32| (planes[bit as usize].word, planes[bit as usize].shift + target);
        let mut value = 0;
        for (bit, (word, shift)) in bits.clone().map(|bit| (bit, place(bit))) {
            value |= u128::from(words[word] >> shift & 1) << bit;
        }
        value = addition.apply(value);
        for (bit, (word, shift)) in bits.map(|bit| (bit, place(bit))) {
            words[word] = (words[word] & !(1 << shift)) | ((value >> bit) as u64 & 1) << shift;
        }
    }
}

/// The positions of the bits that are set.
#[inline]
fn bits(mut set: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        if set == 0 {
            return None;
        }
        let bit = set.trailing_zeros();
        set &= set - 1;
        Some(bit)
    })
}

impl<const W: usize> Space for Concrete<'_, W> {
    const STRIDE: usize = W;

    type Workspace = Workspace<W>;

    fn workspace(&self) -> Workspace<W> {
        Workspace {
            words: [0; W],
            global: 0,
            cpu_planes: Vec::with_capacity(self.layout.cpu_planes.len()),
            package_planes: Vec::with_capacity(self.layout.package_planes.len()),
            candidates: Vec::new(),
        }
    }

    fn encode(&self, state: &LabelledState, packed: &mut Vec<u64>) {
        let mut words = [0; W];
        self.write_global(state.global, &mut words);
        let mut cpu = 0;
        for (at, package) in state.packages.iter().enumerate() {
            rewrite(&self.layout.package_planes, 0, package.word, 1 << at, &mut words);
            for word in &package.cpus {
                rewrite(&self.layout.cpu_planes, 0, *word, 1 << cpu, &mut words);
                cpu += 1;
            }
        }
        packed.clear();
        packed.extend_from_slice(&words);
    }

    fn load(&self, packed: &[u64], workspace: &mut Workspace<W>) {
        workspace.words.copy_from_slice(packed);
        workspace.global = self.read_global(&workspace.words);
        let words = &workspace.words;
        workspace.cpu_planes.clear();
        workspace
            .cpu_planes
            .extend(self.layout.cpu_planes.iter().map(|plane| words[plane.word] >> plane.shift & self.all_cpus));
        workspace.package_planes.clear();
        workspace.package_planes.extend(
            self.layout.package_planes.iter().map(|plane| words[plane.word] >> plane.shift & self.all_packages),
        );
    }

    fn any_holds(&self, guards: &[Guard], workspace: &Workspace<W>) -> bool {
        guards.iter().any(|guard| self.holds(guard, workspace))
    }

    fn orbit_size(&self, _: &Workspace<W>) -> Weight {
        Weight::Small(1)
    }

    fn successors(&self, workspace: &mut Workspace<W>, mut emit: impl FnMut(&[u64], RuleId, u32)) {
        let mut candidates = mem::take(&mut workspace.candidates);
        self.index.candidates(workspace.global, &mut candidates);
        for &id in &candidates {
            let rule = self.program.rule(id);
            let effect = &rule.effect;
            match rule.scope {
                Scope::Global => {
                    if self.holds(&rule.guard, workspace) {
                        let mut words = self.after_global(effect, workspace);
                        self.apply_bulk(effect, None, None, workspace, &mut words);
                        emit(&words, id, 1);
                    }
                }
                Scope::Package => {
                    for package in bits(self.enabled_packages(&rule.guard, workspace)) {
                        let mut words = self.after_global(effect, workspace);
                        update(&self.layout.package_planes, &effect.package, package, &mut words);
                        self.apply_bulk(effect, Some(package), None, workspace, &mut words);
                        emit(&words, id, 1);
                    }
                }
                Scope::Cpu => {
                    for cpu in bits(self.enabled_cpus(&rule.guard, workspace)) {
                        let package = self.package_of[cpu as usize];
                        let mut words = self.after_global(effect, workspace);
                        update(&self.layout.package_planes, &effect.package, package, &mut words);
                        update(&self.layout.cpu_planes, &effect.cpu, cpu, &mut words);
                        self.apply_bulk(effect, Some(package), Some(cpu), workspace, &mut words);
                        emit(&words, id, 1);
                    }
                }
            }
        }
        workspace.candidates = candidates;
    }
}
