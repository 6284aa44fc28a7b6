//! Rules in terms of packages: what a rule asks of a package and does to it, apart from the rest of the state.
//!
//! Rules that do the same to the acting package under the same conditions on it share an [`Action`], whatever they ask of the
//! global word and of the other packages. There are far fewer actions than rules, and what is worked out for a package is
//! worked out for each action.
//!
//! Rejected: working it out for each rule, of which there are several times as many.

use super::conditions::{Conditions, Needs};
use crate::program::{Bulk, Cube, Program, Quantified, Quantifier, Rule, Scope, Update};

/// A rule, with the parts that concern packages by number in [`Actions`].
#[derive(Debug)]
pub(super) struct OrbitRule {
    /// The action of the acting package, by number in [`Actions::acting`]; none if no package acts.
    pub(super) action: Option<usize>,
    /// The change of every other package, by number in [`Actions::bystanding`]; none if they do not change.
    pub(super) bystander: Option<usize>,
    /// The conditions on the whole state.
    pub(super) needs: Needs,
}

/// The conditions of a rule on the acting package, and the changes that it makes to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Action {
    /// Whether a CPU of the package acts, or the package itself.
    pub(super) of_cpu: bool,
    /// Matches the package's word.
    pub(super) package: Cube<u64>,
    /// Matches the acting CPU's word.
    pub(super) cpu: Cube<u64>,
    /// Conditions on the other CPUs of the package.
    pub(super) others: Vec<(Quantifier, Cube<u64>)>,
    pub(super) package_update: Update<u64>,
    pub(super) cpu_update: Update<u64>,
    /// Bulk updates that may hit the package's other CPUs.
    pub(super) bulk: Vec<Bulk>,
}

/// The distinct changes that the rules of a Program make to packages.
#[derive(Debug)]
pub(super) struct Actions {
    /// Of the package that acts, or whose CPU acts.
    pub(super) acting: Vec<Action>,
    /// Of a package that does not act.
    pub(super) bystanding: Vec<Vec<Bulk>>,
}

/// Takes the rules of a Program apart.
pub(super) fn rules_of(program: &Program, conditions: &Conditions) -> (Vec<OrbitRule>, Actions) {
    let mut actions = Actions { acting: Vec::new(), bystanding: Vec::new() };
    let rules = program.rules.iter().map(|rule| {
        let bystanding: Vec<Bulk> = bulk_but(rule, |bulk| matches!(bulk, Bulk::PackageCpus { .. }));
        OrbitRule {
            action: (rule.scope != Scope::Global).then(|| number(&mut actions.acting, Action::new(rule))),
            bystander: (!bystanding.is_empty()).then(|| number(&mut actions.bystanding, bystanding)),
            needs: Needs::new(&rule.guard.quantified, conditions),
        }
    });
    (rules.collect(), actions)
}

impl Action {
    fn new(rule: &Rule) -> Self {
        let (guard, effect) = (&rule.guard, &rule.effect);
        let others = guard.quantified.iter().filter_map(|quantified| match quantified {
            Quantified::PackageCpus { quantifier, cpu } => Some((*quantifier, *cpu)),
            Quantified::Cpus { .. } | Quantified::Packages { .. } => None,
        });
        Self {
            of_cpu: rule.scope == Scope::Cpu,
            package: guard.package,
            cpu: guard.cpu,
            others: others.collect(),
            package_update: effect.package.clone(),
            cpu_update: effect.cpu.clone(),
            bulk: bulk_but(rule, |bulk| matches!(bulk, Bulk::Packages { .. })),
        }
    }
}

/// The bulk updates of a rule, without some.
fn bulk_but(rule: &Rule, excluded: impl Fn(&Bulk) -> bool) -> Vec<Bulk> {
    rule.effect.bulk.iter().filter(|bulk| !excluded(bulk)).cloned().collect()
}

/// The number of an item among distinct ones; a new one is added.
fn number<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|known| *known == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}
