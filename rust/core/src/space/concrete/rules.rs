//! The rules of a Program on the planes of one topology, and the successors of a state.
//!
//! Rules are selected in three stages, each of which leaves few to the next:
//!
//! 1. by the value of a global program counter ([`ByCounter`]);
//! 2. by the program counters of CPUs: rules that test the same values of them form a [`Group`], and the CPUs that stand at
//!    these values are found once for the whole group;
//! 3. by the guard, for all these CPUs at once ([`PlaneGuard`]).
//!
//! Rejected: generating machine code for the rules, which needs an assembler for each machine.

use super::effect::PlaneEffect;
use super::guard::{PlaneCube, PlaneGuard};
use super::layout::Layout;
use super::planes::{Planes, Topology, bits};
use crate::program::index::ByCounter;
use crate::program::{Cube, Program, Rule, RuleId, Scope, low_bits};

/// All rules of a Program.
#[derive(Debug)]
pub(super) struct PlaneRules<const W: usize>(ByCounter<Vec<Group<W>>>);

/// Rules that test the same values of the acting CPU's program counters.
#[derive(Debug)]
struct Group<const W: usize> {
    counters: Cube<u64>,
    /// The same as a cube on planes: the CPUs that match it stand at these values.
    standing: PlaneCube,
    rules: Vec<PlaneRule<W>>,
}

#[derive(Debug)]
struct PlaneRule<const W: usize> {
    id: RuleId,
    scope: Scope,
    /// Without what the group has tested.
    guard: PlaneGuard,
    effect: PlaneEffect<W>,
}

impl<const W: usize> PlaneRules<W> {
    pub(super) fn new(program: &Program, layout: &Layout, topology: &Topology) -> Self {
        let index = program.index.iter().map(|id| &program.fields[id.index()]);
        let cpu_counters: u64 = index
            .filter(|field| field.scope == Scope::Cpu)
            .fold(0, |bits, field| bits | (low_bits(field.width) as u64) << field.offset);
        let put = |groups: &mut Vec<Group<W>>, id: RuleId, rule: &Rule| {
            let care = if rule.scope == Scope::Cpu { rule.guard.cpu.care & cpu_counters } else { 0 };
            let counters = Cube { care, value: rule.guard.cpu.value & care };
            let guard = PlaneGuard::without(&rule.guard, care);
            let rule = PlaneRule { id, scope: rule.scope, guard, effect: PlaneEffect::new(rule, layout, topology) };
            match groups.iter_mut().find(|group| group.counters == counters) {
                Some(group) => group.rules.push(rule),
                None => groups.push(Group { counters, standing: PlaneCube::new(counters), rules: vec![rule] }),
            }
        };
        Self(ByCounter::new(program, put))
    }

    /// Calls `emit` with each successor of a state, the rule behind it, and the CPU that acts if one does. `planes` are those
    /// of `words`. The order depends on the state only.
    #[inline]
    pub(super) fn successors(
        &self,
        words: &[u64; W],
        planes: &Planes,
        layout: &Layout,
        topology: &Topology,
        mut emit: impl FnMut(&[u64; W], RuleId, Option<u32>),
    ) {
        for groups in self.0.at(planes.global) {
            for group in groups {
                let standing = group.standing.among(topology.cpus, &planes.cpu);
                if standing == 0 {
                    continue;
                }
                for rule in &group.rules {
                    if !rule.guard.global.matches(planes.global) {
                        continue;
                    }
                    let acting = match rule.scope {
                        Scope::Cpu => rule.guard.acting_cpus(standing, planes, topology),
                        Scope::Package => rule.guard.acting_packages(planes, topology),
                        Scope::Global => u64::from(rule.guard.holds(planes, topology)),
                    };
                    for actor in bits(acting) {
                        let next = rule.effect.apply(actor, words, planes, layout, topology);
                        emit(&next, rule.id, (rule.scope == Scope::Cpu).then_some(actor));
                    }
                }
            }
        }
    }
}
