//! The flat guarded-command Program that the engine runs.
//!
//! A state has three scopes: one global word, one word for each package, one word for each CPU. A [`Rule`] belongs
//! to one scope: it fires once for the whole state, for one package, or for one CPU. Its guard is a conjunction of
//! [`Cube`]s on its own words and of quantified conditions on the others; its effect rewrites bits.
//!
//! Invariant: a [`Program`] in hand is valid; the engine never checks a mask again. CPUs and packages are never named in
//! a Program, so any permutation of CPUs within a package and of packages is a symmetry of it: this is what makes the
//! orbit space exact.
//!
//! Rejected: expression trees instead of cubes. A cube is one AND and one compare, and evaluates for all CPUs at
//! once on bit planes; splitting a boolean expression into cubes is the business of whoever writes the Program.
//!
//! Source: guarded commands in the manner of Murphi (Dill, 1996) with the role of the PINS interface of `LTSmin`:
//! one flat form below which every search works.

pub(crate) mod index;
mod validate;
mod word;

use serde::Deserialize;

use crate::error::Error;
pub use word::{Addition, Cube, Update, Word};
pub(crate) use word::{hex, low_bits};

/// Index of a rule in [`Program::rules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// Index of a field in [`Program::fields`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub u32);

impl RuleId {
    /// The rule's position in [`Program::rules`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl FieldId {
    /// The field's position in [`Program::fields`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whose word a field lies in, and how often a rule may fire in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The whole state.
    Global,
    /// One package.
    Package,
    /// One CPU.
    Cpu,
}

/// The number of bits of each word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widths {
    /// Bits of the global word, at most 128.
    pub global: u32,
    /// Bits of a package's word, at most 64.
    pub package: u32,
    /// Bits of a CPU's word, at most 48.
    pub cpu: u32,
}

/// A variable with a finite domain; value `i` is encoded as the integer `i`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Unique name.
    pub name: String,
    /// Whose word it lies in.
    pub scope: Scope,
    /// Lowest bit.
    pub offset: u32,
    /// Number of bits; 0 for a field that has one value.
    pub width: u32,
    /// The names of its values.
    pub values: Vec<String>,
}

/// Guard and effect of one atomic action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Index in [`Program::actors`].
    pub actor: u32,
    /// Name of the step for people; need not be unique.
    pub label: String,
    /// Distinguishes the alternatives of one step; part of the canonical order of transitions.
    #[serde(default)]
    pub choice: u32,
    /// Once for the state, for each package or for each CPU.
    pub scope: Scope,
    /// Remarks for people; the engine does not read them.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the step stands for; the engine does not read it.
    #[serde(default)]
    pub source: String,
    /// When the rule may fire.
    #[serde(default)]
    pub guard: Guard,
    /// What it does.
    #[serde(default)]
    pub effect: Effect,
    /// Why the rule must never be enabled in a reachable state, if so.
    #[serde(default)]
    pub trap: Option<String>,
}

/// A conjunction: every part must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// On the global word.
    pub global: Cube<u128>,
    /// On the acting package's word.
    pub package: Cube<u64>,
    /// On the acting CPU's word.
    pub cpu: Cube<u64>,
    /// On other CPUs and packages.
    pub quantified: Vec<Quantified>,
}

/// "Some" or "none" over CPUs or packages. The acting CPU and, for packages, the acting package are never counted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, tag = "over", rename_all = "kebab-case")]
pub enum Quantified {
    /// CPUs anywhere.
    Cpus {
        /// At least one, or none.
        #[serde(rename = "some")]
        quantifier: Quantifier,
        /// What the CPU's word must match.
        #[serde(default)]
        cpu: Cube<u64>,
        /// What the word of the CPU's package must match.
        #[serde(default)]
        package: Cube<u64>,
    },
    /// CPUs of the acting package.
    PackageCpus {
        /// At least one, or none.
        #[serde(rename = "some")]
        quantifier: Quantifier,
        /// What the CPU's word must match.
        #[serde(default)]
        cpu: Cube<u64>,
    },
    /// Packages.
    Packages {
        /// At least one, or none.
        #[serde(rename = "some")]
        quantifier: Quantifier,
        /// What the package's word must match.
        #[serde(default)]
        package: Cube<u64>,
        /// What must hold for the CPUs of the package.
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

/// "Some" or "none" over the CPUs of one package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuCondition {
    /// At least one, or none.
    #[serde(rename = "some")]
    pub quantifier: Quantifier,
    /// What the CPU's word must match.
    #[serde(default)]
    pub cpu: Cube<u64>,
}

/// How many must match.
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
    /// Whether the quantified condition holds when `any` says that at least one matches.
    #[must_use]
    pub fn holds(self, any: bool) -> bool {
        any == (self == Self::Some)
    }
}

/// What a rule does to the words. All conditions of bulk updates look at the state before the step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Effect {
    /// On the global word.
    pub global: Update<u128>,
    /// On the acting package's word.
    pub package: Update<u64>,
    /// On the acting CPU's word.
    pub cpu: Update<u64>,
    /// On other CPUs and packages, applied in order.
    pub bulk: Vec<Bulk>,
}

/// Rewrites every matching word. The acting CPU and, for packages, the acting package are never among them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, tag = "over", rename_all = "kebab-case")]
pub enum Bulk {
    /// CPUs anywhere.
    Cpus {
        /// What the CPU's word must match.
        #[serde(default)]
        cpu: Cube<u64>,
        /// What the word of the CPU's package must match.
        #[serde(default)]
        package: Cube<u64>,
        /// Bits to clear.
        #[serde(default, with = "hex")]
        clear: u64,
        /// Bits to set afterwards.
        #[serde(default, with = "hex")]
        set: u64,
    },
    /// CPUs of the acting package.
    PackageCpus {
        /// What the CPU's word must match.
        #[serde(default)]
        cpu: Cube<u64>,
        /// Bits to clear.
        #[serde(default, with = "hex")]
        clear: u64,
        /// Bits to set afterwards.
        #[serde(default, with = "hex")]
        set: u64,
    },
    /// Packages.
    Packages {
        /// What the package's word must match.
        #[serde(default)]
        package: Cube<u64>,
        /// Bits to clear.
        #[serde(default, with = "hex")]
        clear: u64,
        /// Bits to set afterwards.
        #[serde(default, with = "hex")]
        set: u64,
    },
}

/// The class of a terminal state. Each terminal state gets the first outcome that holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Unique name.
    pub name: String,
    /// 0 is catastrophic, 4 a nuisance, 5 is fine.
    pub severity: u8,
    /// Whether reaching it ends the run: a state that matches has no transitions.
    pub fatal: bool,
    /// A disjunction.
    pub when: Vec<Guard>,
}

/// What must hold in every state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invariant {
    /// Unique name.
    pub name: String,
    /// 0 is catastrophic, 4 a nuisance.
    pub severity: u8,
    /// A disjunction.
    pub violated_when: Vec<Guard>,
}

/// What some reachable state must satisfy, or the model is vacuous.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Unique name.
    pub name: String,
    /// A disjunction.
    pub when: Vec<Guard>,
}

/// What must stay possible: from every reachable state in which `when` holds, some state in which `reach` holds can be
/// reached (in CTL: AG (when -> EF reach)).
///
/// Where `reach` is the end of what `when` says is going on, this is termination under strong fairness: in a finite graph a
/// run that is fair to every transition ends with probability 1 exactly if the end can be reached from wherever it gets to.
///
/// A fatal outcome ends a run and is an answer of its own: where a fair run comes to one for sure (AG EF fatal), nothing is due.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Unique name.
    pub name: String,
    /// 0 is catastrophic, 4 a nuisance.
    pub severity: u8,
    /// A disjunction.
    pub when: Vec<Guard>,
    /// A disjunction.
    pub reach: Vec<Guard>,
}

/// What a run costs: the sum over its steps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Unique name.
    pub name: String,
    /// Rules, and what a step of each costs.
    #[serde(default)]
    pub rules: Vec<(u32, u32)>,
    /// A disjunction: a step from a state in which it holds costs 1 more.
    #[serde(default)]
    pub during: Vec<Guard>,
}

/// A valid Program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name, for people.
    pub name: String,
    /// The number of bits of each word.
    pub widths: Widths,
    /// The variables; they do not overlap.
    pub fields: Vec<Field>,
    /// Who acts.
    pub actors: Vec<String>,
    /// Fields of global or CPU scope that act as program counters.
    pub index: Vec<FieldId>,
    /// The rules, in the order of their declaration.
    pub rules: Vec<Rule>,
    /// The outcomes, in the order of their priority.
    pub outcomes: Vec<Outcome>,
    /// The invariants.
    pub invariants: Vec<Invariant>,
    /// The expectations.
    pub expectations: Vec<Expectation>,
    /// What must stay possible.
    pub responses: Vec<Response>,
    /// What runs cost.
    pub prices: Vec<Price>,
}

/// The JSON document, before names are resolved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    name: String,
    widths: Widths,
    fields: Vec<Field>,
    actors: Vec<String>,
    #[serde(default)]
    index: Vec<String>,
    rules: Vec<Rule>,
    #[serde(default)]
    outcomes: Vec<Outcome>,
    #[serde(default)]
    invariants: Vec<Invariant>,
    #[serde(default)]
    expectations: Vec<Expectation>,
    #[serde(default)]
    responses: Vec<Response>,
    #[serde(default)]
    prices: Vec<Price>,
}

/// The version of the JSON form that this engine reads.
const FORMAT: u32 = 1;

impl Program {
    /// Reads the JSON form of a Program and checks it.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let document: Document = read_json(text).map_err(|reason| Error::program(format!("Program: {reason}")))?;
        if document.format != FORMAT {
            return Err(Error::program(format!(
                "Program: `format` is {}, this engine reads format {FORMAT}",
                document.format
            )));
        }
        let index = document
            .index
            .iter()
            .map(|name| {
                let at = document.fields.iter().position(|field| field.name == *name);
                at.map(|at| FieldId(at as u32))
                    .ok_or_else(|| Error::program(format!("Program: `index` names `{name}`, which is not a field")))
            })
            .collect::<Result<_, _>>()?;
        let program = Self {
            name: document.name,
            widths: document.widths,
            fields: document.fields,
            actors: document.actors,
            index,
            rules: document.rules,
            outcomes: document.outcomes,
            invariants: document.invariants,
            expectations: document.expectations,
            responses: document.responses,
            prices: document.prices,
        };
        validate::validate(&program)?;
        Ok(program)
    }

    /// The rule with this id.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.index()]
    }

    /// All guards.
    pub(crate) fn guards(&self) -> impl Iterator<Item = &Guard> {
        let rules = self.rules.iter().map(|rule| &rule.guard);
        let outcomes = self.outcomes.iter().flat_map(|outcome| &outcome.when);
        let invariants = self.invariants.iter().flat_map(|invariant| &invariant.violated_when);
        let expectations = self.expectations.iter().flat_map(|expectation| &expectation.when);
        let responses = self.responses.iter().flat_map(|response| response.when.iter().chain(&response.reach));
        let prices = self.prices.iter().flat_map(|price| &price.during);
        rules.chain(outcomes).chain(invariants).chain(expectations).chain(responses).chain(prices)
    }

    /// How a message names a rule: its index and its label.
    pub(crate) fn rule_name(&self, id: RuleId) -> String {
        format!("rule {} `{}`", id.0, self.rule(id).label)
    }
}

/// Reads JSON; an error names the path of the offending key.
pub(crate) fn read_json<'text, T: Deserialize<'text>>(text: &'text str) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        if path == "." { error.inner().to_string() } else { format!("at `{path}`: {}", error.inner()) }
    })?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}
