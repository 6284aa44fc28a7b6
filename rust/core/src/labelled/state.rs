//! A state in which every package and every CPU has a number.
//!
//! Initial states come in this form, and traces and replays go out in it; the search works on packed states. The initial state
//! also carries the topology: the number of packages, and the number of CPUs in each.

use serde::Deserialize;

use crate::error::Error;
use crate::program::{Program, Scope, hex, low_bits, read_json};

/// Packages in one state at most. The orbit space keeps the class of a package in a byte.
pub(crate) const MOST_PACKAGES: usize = 64;
/// CPUs in one package at most. The orbit space keeps the number of equal CPUs, less one, in a byte.
pub(crate) const MOST_CPUS_IN_PACKAGE: usize = 256;

/// The words of a state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledState {
    /// The global word.
    #[serde(with = "hex")]
    pub global: u128,
    /// The packages.
    pub packages: Vec<LabelledPackage>,
}

/// The words of one package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledPackage {
    /// The package's word.
    #[serde(with = "hex")]
    pub word: u64,
    /// The words of its CPUs. CPUs are numbered from 0 through all packages in this order.
    #[serde(deserialize_with = "hex_list")]
    pub cpus: Vec<u64>,
}

impl LabelledState {
    /// Reads the JSON form of a state and checks it against the Program.
    pub fn from_json(program: &Program, text: &str) -> Result<Self, Error> {
        let state: Self = read_json(text).map_err(|reason| Error::initial(format!("initial state: {reason}")))?;
        state.check(program)?;
        Ok(state)
    }

    /// The number of CPUs in all packages.
    #[must_use]
    pub fn cpu_count(&self) -> usize {
        self.packages.iter().map(|package| package.cpus.len()).sum()
    }

    /// Takes the words of a state of the same topology, and no memory.
    pub(crate) fn copy_words(&mut self, from: &Self) {
        self.global = from.global;
        for (own, other) in self.packages.iter_mut().zip(&from.packages) {
            own.word = other.word;
            own.cpus.copy_from_slice(&other.cpus);
        }
    }

    fn check(&self, program: &Program) -> Result<(), Error> {
        let count = self.packages.len();
        if count == 0 || count > MOST_PACKAGES {
            return Err(Error::initial(format!("initial state: {count} packages, 1 to {MOST_PACKAGES} are allowed")));
        }
        check_word(program, "global", Scope::Global, self.global)?;
        for (at, package) in self.packages.iter().enumerate() {
            let place = format!("packages[{at}]");
            check_word(program, &format!("{place}.word"), Scope::Package, u128::from(package.word))?;
            let count = package.cpus.len();
            if count == 0 || count > MOST_CPUS_IN_PACKAGE {
                return Err(Error::initial(format!(
                    "initial state: `{place}` has {count} CPUs, 1 to {MOST_CPUS_IN_PACKAGE} are allowed"
                )));
            }
            for (cpu, word) in package.cpus.iter().enumerate() {
                check_word(program, &format!("{place}.cpus[{cpu}]"), Scope::Cpu, u128::from(*word))?;
            }
        }
        Ok(())
    }
}

fn check_word(program: &Program, place: &str, scope: Scope, word: u128) -> Result<(), Error> {
    let widths = program.widths;
    let width = match scope {
        Scope::Global => widths.global,
        Scope::Package => widths.package,
        Scope::Cpu => widths.cpu,
    };
    if word & !low_bits(width) != 0 {
        return Err(Error::initial(format!("initial state: `{place}` {word:#x} leaves its word of {width} bits")));
    }
    for field in program.fields.iter().filter(|field| field.scope == scope && field.width > 0) {
        let value = (word >> field.offset) & low_bits(field.width);
        if value >= field.values.len() as u128 {
            return Err(Error::initial(format!(
                "initial state: `{place}` gives field `{}` the value {value}, it has {} values",
                field.name,
                field.values.len()
            )));
        }
    }
    Ok(())
}

fn hex_list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| hex::parse(text).map_err(serde::de::Error::custom)).collect()
}
