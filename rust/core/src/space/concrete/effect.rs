//! Effects on the words of a concrete state.
//!
//! For a given actor, clearing and setting bits is the same for every state: `(state & keep) | set`, with two masks over the
//! words of the state ([`Masks`]). They are computed once for each rule and each possible actor, and for most rules
//! they are all there is to a successor. Additions and bulk updates depend on the state and come on top.
//!
//! Invariants: masks and additions change global bits and the actor's own words; bulk updates never hit the actor's words.
//! So the order of the two cannot be seen. Conditions of bulk updates read the planes of the source state, never the words
//! that are being changed; bulk updates themselves are applied in their order.
//!
//! Rejected: masks for bulk updates as well. They would be needed for each set of CPUs that is hit.

use super::guard::{CpuCube, PlaneCube};
use super::layout::{Layout, Plane};
use super::planes::{Planes, Set, Topology, bits};
use crate::program::{Bulk, Effect, Rule, Scope, Update};

/// An effect, for every CPU or package that may act.
#[derive(Debug)]
pub(super) struct PlaneEffect<const W: usize> {
    scope: Scope,
    /// By acting CPU or package; one entry if nobody acts.
    masks: Box<[Masks<W>]>,
    /// Whether there are neither additions nor bulk updates.
    only_masks: bool,
    add_global: Update<u128>,
    add_package: Update<u64>,
    add_cpu: Update<u64>,
    bulk: Box<[PlaneBulk]>,
}

/// The bits that an actor clears and sets.
#[derive(Debug, Clone, Copy)]
struct Masks<const W: usize> {
    keep: [u64; W],
    set: [u64; W],
}

/// A bulk update.
#[derive(Debug)]
struct PlaneBulk {
    targets: Targets,
    /// The planes in which the targets' bits are cleared, and those in which they are set.
    clear: Box<[Plane]>,
    set: Box<[Plane]>,
}

/// The CPUs or packages that a bulk update hits.
#[derive(Debug)]
enum Targets {
    Cpus(CpuCube),
    PackageCpus(PlaneCube),
    Packages(PlaneCube),
}

impl<const W: usize> PlaneEffect<W> {
    pub(super) fn new(rule: &Rule, layout: &Layout, topology: &Topology) -> Self {
        let Effect { global, package, cpu, bulk } = &rule.effect;
        let actors = match rule.scope {
            Scope::Global => 1,
            Scope::Package => topology.members.len(),
            Scope::Cpu => topology.package_of.len(),
        };
        let additions = global.add.len() + package.add.len() + cpu.add.len();
        Self {
            scope: rule.scope,
            masks: (0..actors).map(|actor| Masks::new(rule, actor as u32, layout, topology)).collect(),
            only_masks: bulk.is_empty() && additions == 0,
            add_global: Update { add: global.add.clone(), ..Update::default() },
            add_package: Update { add: package.add.clone(), ..Update::default() },
            add_cpu: Update { add: cpu.add.clone(), ..Update::default() },
            bulk: bulk.iter().map(|bulk| PlaneBulk::new(bulk, layout)).collect(),
        }
    }

    /// The successor of `words` when `actor` acts: a CPU, a package, or 0 for nobody. `planes` are those of `words`.
    #[inline]
    pub(super) fn apply(
        &self,
        actor: u32,
        words: &[u64; W],
        planes: &Planes,
        layout: &Layout,
        topology: &Topology,
    ) -> [u64; W] {
        let Masks { keep, set } = &self.masks[actor as usize];
        let mut next = *words;
        for (word, (keep, set)) in next.iter_mut().zip(keep.iter().zip(set)) {
            *word = (*word & keep) | set;
        }
        if !self.only_masks {
            self.add_and_update(actor, planes, layout, topology, &mut next);
        }
        next
    }

    fn add_and_update(&self, actor: u32, planes: &Planes, layout: &Layout, topology: &Topology, words: &mut [u64; W]) {
        let (package, cpu) = match self.scope {
            Scope::Global => (None, None),
            Scope::Package => (Some(actor), None),
            Scope::Cpu => (Some(topology.package_of[actor as usize]), Some(actor)),
        };
        if !self.add_global.add.is_empty() {
            let before = layout.global_of(words);
            let change = layout.words_of_global(before ^ self.add_global.apply(before));
            words.iter_mut().zip(change).for_each(|(word, change)| *word ^= change);
        }
        if let Some(package) = package {
            add(&layout.package_planes, &self.add_package, package, words);
        }
        if let Some(cpu) = cpu {
            add(&layout.cpu_planes, &self.add_cpu, cpu, words);
        }
        for PlaneBulk { targets, clear, set } in &self.bulk {
            let targets = targets.of(package, cpu, planes, topology);
            clear.iter().for_each(|plane| words[plane.word % W] &= !(targets << plane.shift));
            set.iter().for_each(|plane| words[plane.word % W] |= targets << plane.shift);
        }
    }
}

impl PlaneBulk {
    fn new(bulk: &Bulk, layout: &Layout) -> Self {
        let (targets, planes, clear, set) = match *bulk {
            Bulk::Cpus { cpu, package, clear, set } => {
                (Targets::Cpus(CpuCube::new(cpu, package)), &layout.cpu_planes, clear, set)
            }
            Bulk::PackageCpus { cpu, clear, set } => {
                (Targets::PackageCpus(PlaneCube::new(cpu)), &layout.cpu_planes, clear, set)
            }
            Bulk::Packages { package, clear, set } => {
                (Targets::Packages(PlaneCube::new(package)), &layout.package_planes, clear, set)
            }
        };
        let of = |mask: u64| bits(mask).map(|bit| planes[bit as usize]).collect();
        Self { targets, clear: of(clear & !set), set: of(set) }
    }
}

impl Targets {
    /// The targets when this package and CPU act; they themselves are never among them.
    fn of(&self, package: Option<u32>, cpu: Option<u32>, planes: &Planes, topology: &Topology) -> Set {
        let others = |actor: Option<u32>| actor.map_or(Set::MAX, |actor| !(1 << actor));
        match self {
            Self::Cpus(cube) => cube.among(topology.cpus & others(cpu), planes, topology),
            Self::PackageCpus(cube) => {
                let own = package.map_or(0, |package| topology.members[package as usize]);
                cube.among(own & others(cpu), &planes.cpu)
            }
            Self::Packages(cube) => cube.among(topology.packages & others(package), &planes.package),
        }
    }
}

impl<const W: usize> Masks<W> {
    fn new(rule: &Rule, actor: u32, layout: &Layout, topology: &Topology) -> Self {
        let mut masks = Self { keep: [u64::MAX; W], set: [0; W] };
        let Effect { global, package, cpu, .. } = &rule.effect;
        let (clear, set) = (layout.words_of_global(global.clear), layout.words_of_global(global.set));
        for at in 0..W.min(clear.len()) {
            masks.keep[at] &= !(clear[at] | set[at]);
            masks.set[at] |= set[at];
        }
        match rule.scope {
            Scope::Global => {}
            Scope::Package => masks.rewrite(&layout.package_planes, package, actor),
            Scope::Cpu => {
                masks.rewrite(&layout.package_planes, package, topology.package_of[actor as usize]);
                masks.rewrite(&layout.cpu_planes, cpu, actor);
            }
        }
        masks
    }

    /// Adds the bits that an update clears and sets in the word of one CPU or package.
    fn rewrite(&mut self, planes: &[Plane], update: &Update<u64>, target: u32) {
        for bit in bits(update.clear | update.set) {
            let Plane { word, shift } = planes[bit as usize];
            self.keep[word] &= !(1 << (shift + target));
            self.set[word] |= (update.set >> bit & 1) << (shift + target);
        }
    }
}

/// Adds to the counters of one CPU or package: gathers the counter's bits from its planes, and writes them back.
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
