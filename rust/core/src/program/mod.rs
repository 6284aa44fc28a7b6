//! The flat guarded-command Program that the engine runs.
//!
//! A state has three scopes: one global word, one word for each package, one word for each CPU. A [`Rule`] belongs
//! to one scope: it fires once for the whole state, for one package, or for one CPU. Its guard is a conjunction of
//! [`Cube`]s on its own words and of quantified conditions on the others; its effect rewrites bits.
//!
//! Invariants: every [`Program`] has been checked when it was read. CPUs and packages are never named in a Program, so any
//! permutation of CPUs within packages and of whole packages is a symmetry of it: this makes the orbit space exact.
//!
//! Rejected: expression trees instead of cubes. A cube is one AND and one compare, and evaluates for all CPUs at
//! once on bit planes; splitting a boolean expression into cubes is the business of whoever writes the Program.
//!
//! Source: guarded commands in the manner of Murphi (Dill, 1996) with the role of the PINS interface of `LTSmin`:
//! one flat form below which every search works.

mod failure;
pub(crate) mod index;
mod property;
mod rule;
mod validate;
mod word;

use serde::Deserialize;

pub(crate) use self::failure::Failure;
pub use self::property::{Expectation, Invariant, Outcome, Price, Response};
pub use self::rule::{Bulk, CpuCondition, Effect, Guard, Quantified, Quantifier, Rule};
pub use self::word::{Addition, Cube, Update, Word};
pub(crate) use self::word::{hex, low_bits};
use crate::error::Error;

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

/// The words that a field lies in; for a rule, the actors that it may fire for.
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
    /// The scope whose words hold it.
    pub scope: Scope,
    /// Its lowest bit.
    pub offset: u32,
    /// Number of bits; 0 for a field that has one value.
    pub width: u32,
    /// The names of its values.
    pub values: Vec<String>,
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
    /// The names of the actors.
    pub actors: Vec<String>,
    /// Fields of global or CPU scope that act as program counters.
    pub index: Vec<FieldId>,
    /// The rules, in the order of their declaration.
    pub rules: Vec<Rule>,
    /// The outcomes, in the order of their priority.
    pub outcomes: Vec<Outcome>,
    /// The index of the outcome of runs that never come to an end, if one is declared: the outcome of every state from which no
    /// terminal state can be reached. Its own condition is empty.
    pub diverges: Option<usize>,
    /// The invariants.
    pub invariants: Vec<Invariant>,
    /// The expectations.
    pub expectations: Vec<Expectation>,
    /// The goals that must stay possible.
    pub responses: Vec<Response>,
    /// The costs of runs.
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
    diverges: Option<usize>,
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
            diverges: document.diverges,
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

    /// The name of a rule in messages: its index and its label.
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
