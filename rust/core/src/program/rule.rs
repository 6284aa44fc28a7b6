//! Rules: guards, which are conjunctions of cubes and quantified conditions, and effects, which rewrite bits.
//!
//! A guard looks at the global word, at the words of the package and the CPU that act, and at the *other* CPUs and packages
//! through quantifiers. An effect rewrites the same words. Neither can name a CPU or a package by number.

use serde::Deserialize;

use super::Scope;
use super::word::{Cube, Update, hex};

/// Guard and effect of one atomic action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Index in [`Program::actors`].
    pub actor: u32,
    /// Name of the step for people; need not be unique.
    pub label: String,
    /// Distinguishes the alternatives of one step. The canonical order of transitions depends on it.
    #[serde(default)]
    pub choice: u32,
    /// Whether it may fire once for the state, once for each package or once for each CPU.
    pub scope: Scope,
    /// Remarks for people; the engine does not read them.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The code or text that the step stands for; the engine does not read it.
    #[serde(default)]
    pub source: String,
    /// When the rule may fire.
    #[serde(default)]
    pub guard: Guard,
    /// The change of the state.
    #[serde(default)]
    pub effect: Effect,
    /// Where it is given, the rule must never be enabled in a reachable state, and this says why.
    #[serde(default)]
    pub trap: Option<String>,
}

/// The condition under which a rule may fire: every part must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// Matches the global word.
    pub global: Cube<u128>,
    /// Matches the word of the acting package, or of the acting CPU's package.
    pub package: Cube<u64>,
    /// Matches the word of the acting CPU.
    pub cpu: Cube<u64>,
    /// The conditions on other CPUs and packages.
    pub quantified: Vec<Quantified>,
}

/// A condition on other CPUs or packages. The acting CPU is never counted and, over packages, nor is the acting package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, tag = "over", rename_all = "kebab-case")]
pub enum Quantified {
    /// Asks about the CPUs of all packages.
    Cpus {
        /// Whether at least one must match, or none may.
        #[serde(rename = "some")]
        quantifier: Quantifier,
        /// Matches the CPU's word.
        #[serde(default)]
        cpu: Cube<u64>,
        /// Matches the word of the CPU's package.
        #[serde(default)]
        package: Cube<u64>,
    },
    /// Asks about the CPUs of the acting package.
    PackageCpus {
        /// Whether at least one must match, or none may.
        #[serde(rename = "some")]
        quantifier: Quantifier,
        /// Matches the CPU's word.
        #[serde(default)]
        cpu: Cube<u64>,
    },
    /// Asks about packages.
    Packages {
        /// Whether at least one must match, or none may.
        #[serde(rename = "some")]
        quantifier: Quantifier,
        /// Matches the package's word.
        #[serde(default)]
        package: Cube<u64>,
        /// Conditions on the CPUs of that package, all of them counted.
        #[serde(default)]
        cpus: Vec<CpuCondition>,
    },
}

impl Quantified {
    pub(crate) fn quantifier(&self) -> Quantifier {
        match self {
            Self::Cpus { quantifier, .. }
            | Self::PackageCpus { quantifier, .. }
            | Self::Packages { quantifier, .. } => *quantifier,
        }
    }
}

/// A condition on the CPUs of one package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuCondition {
    /// Whether at least one must match, or none may.
    #[serde(rename = "some")]
    pub quantifier: Quantifier,
    /// Matches the CPU's word.
    #[serde(default)]
    pub cpu: Cube<u64>,
}

/// Whether something must match, or nothing may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "bool")]
pub enum Quantifier {
    /// At least one.
    Some,
    /// Not a single one.
    None,
}

impl From<bool> for Quantifier {
    fn from(some: bool) -> Self {
        if some { Self::Some } else { Self::None }
    }
}

impl Quantifier {
    /// Whether a quantified condition holds, given whether anything matches.
    #[must_use]
    pub fn holds(self, any: bool) -> bool {
        any == (self == Self::Some)
    }
}

/// The changes that a rule makes to the words. All conditions of bulk updates look at the state before the step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Effect {
    /// Rewrites the global word.
    pub global: Update<u128>,
    /// Rewrites the word of the acting package, or of the acting CPU's package.
    pub package: Update<u64>,
    /// Rewrites the word of the acting CPU.
    pub cpu: Update<u64>,
    /// Rewrite the words of other CPUs and packages, and are applied in order.
    pub bulk: Vec<Bulk>,
}

/// Rewrites every matching word. The acting CPU's word is never among them, nor is the acting package's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, tag = "over", rename_all = "kebab-case")]
pub enum Bulk {
    /// Rewrites CPUs of all packages.
    Cpus {
        /// Matches the CPU's word.
        #[serde(default)]
        cpu: Cube<u64>,
        /// Matches the word of the CPU's package.
        #[serde(default)]
        package: Cube<u64>,
        /// The bits to clear.
        #[serde(default, with = "hex")]
        clear: u64,
        /// The bits to set afterwards.
        #[serde(default, with = "hex")]
        set: u64,
    },
    /// Rewrites CPUs of the acting package.
    PackageCpus {
        /// Matches the CPU's word.
        #[serde(default)]
        cpu: Cube<u64>,
        /// The bits to clear.
        #[serde(default, with = "hex")]
        clear: u64,
        /// The bits to set afterwards.
        #[serde(default, with = "hex")]
        set: u64,
    },
    /// Rewrites packages.
    Packages {
        /// Matches the package's word.
        #[serde(default)]
        package: Cube<u64>,
        /// The bits to clear.
        #[serde(default, with = "hex")]
        clear: u64,
        /// The bits to set afterwards.
        #[serde(default, with = "hex")]
        set: u64,
    },
}
