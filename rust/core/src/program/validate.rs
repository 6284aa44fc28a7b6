//! Checks a Program once, when it is read. After that the engine relies on it and never checks a mask again.
//!
//! A Program that passes has masks within their words, cubes that can match, additions that touch no bit twice, and no guard or
//! effect on an acting package or CPU that its scope does not have. Every message names the place (a rule by index and label),
//! the value and what is allowed.

use super::low_bits;
use super::{
    Addition, Bulk, Cube, Effect, Field, Guard, Outcome, Price, Program, Quantified, Response, RuleId, Scope, Update,
    Widths,
};
use crate::error::Error;

/// The widest words that every packed form can hold: a run of the orbit space has 48 bits for a CPU's word.
const WIDEST: Widths = Widths { global: 128, package: 64, cpu: 48 };
/// Bits of a program counter at most: it selects one of 2^width lists of rules.
const WIDEST_INDEX: u32 = 16;
/// The outcome of a state is kept in a byte, of which one value means none.
const MOST_OUTCOMES: usize = 254;
const WORST_SEVERITY: u8 = 5;

/// Checks everything that [`Program`] promises.
pub(super) fn validate(program: &Program) -> Result<(), Error> {
    let checker = Checker { program };
    checker.widths()?;
    checker.fields()?;
    checker.index()?;
    checker.rules()?;
    checker.diverges()?;
    checker.predicates()
}

struct Checker<'p> {
    program: &'p Program,
}

impl Checker<'_> {
    fn widths(&self) -> Result<(), Error> {
        let Widths { global, package, cpu } = self.program.widths;
        for (name, given, limit) in
            [("global", global, WIDEST.global), ("package", package, WIDEST.package), ("cpu", cpu, WIDEST.cpu)]
        {
            if given > limit {
                return Err(Error::program(format!("Program: `widths.{name}` is {given}, at most {limit} is allowed")));
            }
        }
        Ok(())
    }

    fn width_of(&self, scope: Scope) -> u32 {
        match scope {
            Scope::Global => self.program.widths.global,
            Scope::Package => self.program.widths.package,
            Scope::Cpu => self.program.widths.cpu,
        }
    }

    fn fields(&self) -> Result<(), Error> {
        let mut taken = [0_u128; 3];
        for (at, field) in self.program.fields.iter().enumerate() {
            let Field { name, scope, offset, width, values } = field;
            let place = format!("field `{name}`");
            if self.program.fields[..at].iter().any(|other| other.name == *name) {
                return Err(Error::program(format!("{place}: declared twice, names must be unique")));
            }
            let limit = self.width_of(*scope);
            if offset.checked_add(*width).is_none_or(|end| end > limit) {
                return Err(Error::program(format!(
                    "{place}: {width} bits from bit {offset} leave its word of {limit} bits"
                )));
            }
            let count = values.len() as u128;
            if count == 0 || (*width < 128 && count > 1 << width) {
                return Err(Error::program(format!(
                    "{place}: {count} values in {width} bits, 1 to 2^{width} are allowed"
                )));
            }
            let mask = low_bits(*width) << (offset % 128);
            if taken[*scope as usize] & mask != 0 {
                return Err(Error::program(format!("{place}: shares bits with another field of its scope")));
            }
            taken[*scope as usize] |= mask;
        }
        Ok(())
    }

    fn index(&self) -> Result<(), Error> {
        for id in &self.program.index {
            let Field { name, scope, width, .. } = &self.program.fields[id.index()];
            if *scope == Scope::Package {
                return Err(Error::program(format!("Program: `index` names `{name}`, which is a field of a package")));
            }
            if *width > WIDEST_INDEX {
                return Err(Error::program(format!(
                    "Program: `index` names `{name}` of {width} bits, at most {WIDEST_INDEX} are allowed"
                )));
            }
        }
        Ok(())
    }

    fn rules(&self) -> Result<(), Error> {
        for (at, rule) in self.program.rules.iter().enumerate() {
            let place = self.program.rule_name(RuleId(at as u32));
            let actors = self.program.actors.len();
            if rule.actor as usize >= actors {
                return Err(Error::program(format!("{place}: actor {}, there are {actors} actors", rule.actor)));
            }
            self.guard(&place, rule.scope, &rule.guard)?;
            self.effect(&place, rule.scope, &rule.effect)?;
        }
        Ok(())
    }

    fn diverges(&self) -> Result<(), Error> {
        let (Some(at), outcomes) = (self.program.diverges, &self.program.outcomes) else { return Ok(()) };
        let Some(Outcome { name, fatal, when, .. }) = outcomes.get(at) else {
            let count = outcomes.len();
            return Err(Error::program(format!("Program: `diverges` is {at}, there are {count} outcomes")));
        };
        if *fatal || !when.is_empty() {
            return Err(Error::program(format!(
                "outcome `{name}`: runs that never end have it (`diverges`), so `fatal` must be false and `when` empty"
            )));
        }
        Ok(())
    }

    fn predicates(&self) -> Result<(), Error> {
        let Program { outcomes, invariants, expectations, responses, prices, .. } = self.program;
        if outcomes.len() > MOST_OUTCOMES {
            return Err(Error::program(format!(
                "Program: {} outcomes, at most {MOST_OUTCOMES} are allowed",
                outcomes.len()
            )));
        }
        let severe = outcomes.iter().map(|outcome| (&outcome.name, outcome.severity));
        let severe = severe.chain(invariants.iter().map(|invariant| (&invariant.name, invariant.severity)));
        for (name, severity) in severe.chain(responses.iter().map(|response| (&response.name, response.severity))) {
            if severity > WORST_SEVERITY {
                return Err(Error::program(format!(
                    "`{name}`: severity {severity}, 0 to {WORST_SEVERITY} are allowed"
                )));
            }
        }
        let named = outcomes.iter().map(|outcome| ("outcome", &outcome.name, &outcome.when));
        let named = named.chain(invariants.iter().map(|it| ("invariant", &it.name, &it.violated_when)));
        let named = named.chain(expectations.iter().map(|it| ("expectation", &it.name, &it.when)));
        let named = named.chain(responses.iter().map(|it| ("response", &it.name, &it.when)));
        let named = named.chain(prices.iter().map(|it| ("price", &it.name, &it.during)));
        let mut known: Vec<(&str, &str)> = Vec::new();
        for (kind, name, guards) in named {
            let place = format!("{kind} `{name}`");
            if known.contains(&(kind, name)) {
                return Err(Error::program(format!("{place}: declared twice, names must be unique")));
            }
            known.push((kind, name));
            for guard in guards {
                self.guard(&place, Scope::Global, guard)?;
            }
        }
        for Response { name, reach, .. } in responses {
            for guard in reach {
                self.guard(&format!("response `{name}`"), Scope::Global, guard)?;
            }
        }
        let rules = self.program.rules.len();
        for Price { name, rules: priced, .. } in prices {
            if let Some((rule, _)) = priced.iter().find(|(rule, _)| *rule as usize >= rules) {
                return Err(Error::program(format!("price `{name}`: rule {rule}, there are {rules} rules")));
            }
        }
        Ok(())
    }

    fn guard(&self, place: &str, scope: Scope, guard: &Guard) -> Result<(), Error> {
        self.cube(place, "guard.global", Scope::Global, guard.global)?;
        self.cube(place, "guard.package", Scope::Package, widen(guard.package))?;
        self.cube(place, "guard.cpu", Scope::Cpu, widen(guard.cpu))?;
        own_word(place, "guard.package", scope != Scope::Global || guard.package.is_true())?;
        own_word(place, "guard.cpu", scope == Scope::Cpu || guard.cpu.is_true())?;
        for quantified in &guard.quantified {
            match quantified {
                Quantified::Cpus { cpu, package, .. } => {
                    self.cube(place, "quantified.cpu", Scope::Cpu, widen(*cpu))?;
                    self.cube(place, "quantified.package", Scope::Package, widen(*package))?;
                }
                Quantified::PackageCpus { cpu, .. } => {
                    own_word(place, "quantified over package-cpus", scope != Scope::Global)?;
                    self.cube(place, "quantified.cpu", Scope::Cpu, widen(*cpu))?;
                }
                Quantified::Packages { package, cpus, .. } => {
                    self.cube(place, "quantified.package", Scope::Package, widen(*package))?;
                    for condition in cpus {
                        self.cube(place, "quantified.cpus.cpu", Scope::Cpu, widen(condition.cpu))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn effect(&self, place: &str, scope: Scope, effect: &Effect) -> Result<(), Error> {
        self.update(place, "effect.global", Scope::Global, &effect.global)?;
        self.update(place, "effect.package", Scope::Package, &effect.package)?;
        self.update(place, "effect.cpu", Scope::Cpu, &effect.cpu)?;
        own_word(place, "effect.package", scope != Scope::Global || effect.package.is_identity())?;
        own_word(place, "effect.cpu", scope == Scope::Cpu || effect.cpu.is_identity())?;
        for bulk in &effect.bulk {
            let (target, clear, set) = match bulk {
                Bulk::Cpus { cpu, package, clear, set } => {
                    self.cube(place, "bulk.cpu", Scope::Cpu, widen(*cpu))?;
                    self.cube(place, "bulk.package", Scope::Package, widen(*package))?;
                    (Scope::Cpu, *clear, *set)
                }
                Bulk::PackageCpus { cpu, clear, set } => {
                    own_word(place, "bulk over package-cpus", scope != Scope::Global)?;
                    self.cube(place, "bulk.cpu", Scope::Cpu, widen(*cpu))?;
                    (Scope::Cpu, *clear, *set)
                }
                Bulk::Packages { package, clear, set } => {
                    self.cube(place, "bulk.package", Scope::Package, widen(*package))?;
                    (Scope::Package, *clear, *set)
                }
            };
            self.mask(place, "bulk.clear", target, u128::from(clear))?;
            self.mask(place, "bulk.set", target, u128::from(set))?;
        }
        Ok(())
    }

    fn cube(&self, place: &str, part: &str, scope: Scope, cube: Cube<u128>) -> Result<(), Error> {
        if cube.value & !cube.care != 0 {
            return Err(Error::program(format!(
                "{place}: `{part}.value` {:#x} has bits outside `care` {:#x}, so it never matches",
                cube.value, cube.care
            )));
        }
        self.mask(place, &format!("{part}.care"), scope, cube.care)
    }

    fn update<W>(&self, place: &str, part: &str, scope: Scope, update: &Update<W>) -> Result<(), Error>
    where
        W: Copy + Into<u128>,
    {
        let (clear, set) = (update.clear.into(), update.set.into());
        self.mask(place, &format!("{part}.clear"), scope, clear)?;
        self.mask(place, &format!("{part}.set"), scope, set)?;
        let mut taken = clear | set;
        for addition in &update.add {
            let Addition { offset, width, .. } = *addition;
            let limit = self.width_of(scope);
            if width == 0 || offset.checked_add(width).is_none_or(|end| end > limit) {
                return Err(Error::program(format!(
                    "{place}: `{part}.add` has {width} bits from bit {offset}, 1 or more within {limit} are allowed"
                )));
            }
            if taken & addition.mask() != 0 {
                return Err(Error::program(format!(
                    "{place}: `{part}.add` at bit {offset} changes bits that the same update changes already"
                )));
            }
            taken |= addition.mask();
        }
        Ok(())
    }

    fn mask(&self, place: &str, part: &str, scope: Scope, mask: u128) -> Result<(), Error> {
        let width = self.width_of(scope);
        if mask & !low_bits(width) != 0 {
            return Err(Error::program(format!("{place}: `{part}` {mask:#x} leaves its word of {width} bits")));
        }
        Ok(())
    }
}

fn own_word(place: &str, part: &str, allowed: bool) -> Result<(), Error> {
    if allowed {
        return Ok(());
    }
    Err(Error::program(format!("{place}: `{part}` needs an acting package or CPU, which its scope does not have")))
}

fn widen(cube: Cube<u64>) -> Cube<u128> {
    Cube { care: u128::from(cube.care), value: u128::from(cube.value) }
}
