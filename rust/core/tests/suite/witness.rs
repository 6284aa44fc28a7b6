//! A third explorer, kept so plain that it is obviously right: labelled states in a hash map, one CPU after the other.
//!
//! It shares the types of a Program with the engine and no line of evaluation. Never optimise it.

use std::collections::{BTreeMap, HashMap};

use tdxexplore_core::program::{
    Addition, Bulk, CpuCondition, Cube, Guard, Program, Quantified, Quantifier, Rule, Scope,
};
use tdxexplore_core::{LabelledState, UBig};

/// The actor: a package, and perhaps a CPU of it; none for a rule of global scope.
type Actor = Option<(usize, Option<usize>)>;

/// All states and transitions of a small Program.
pub(crate) struct Witness {
    pub(crate) states: Vec<LabelledState>,
    /// For each state: rule and successor of each transition.
    pub(crate) transitions: Vec<Vec<(usize, usize)>>,
    /// The outcome of each state where a run ends: of terminal states and, if the Program declares one, of diverging states.
    pub(crate) outcomes: Vec<Option<usize>>,
    /// Whether each state diverges: no terminal state can be reached from it.
    pub(crate) diverging: Vec<bool>,
    pub(crate) depths: Vec<u32>,
}

impl Witness {
    /// Explores everything; none if there are more than `limit` states.
    pub(crate) fn explore(program: &Program, initial: &LabelledState, limit: usize) -> Option<Self> {
        let mut witness = Self {
            states: vec![initial.clone()],
            transitions: Vec::new(),
            outcomes: Vec::new(),
            diverging: Vec::new(),
            depths: vec![0],
        };
        let mut ids = HashMap::from([(initial.clone(), 0)]);
        let mut next = 0;
        while next < witness.states.len() {
            let state = witness.states[next].clone();
            let mut transitions = Vec::new();
            for (rule, successor) in successors(program, &state) {
                let id = *ids.entry(successor.clone()).or_insert_with(|| {
                    witness.states.push(successor);
                    witness.depths.push(witness.depths[next] + 1);
                    witness.states.len() - 1
                });
                transitions.push((rule, id));
            }
            let outcome = || program.outcomes.iter().position(|outcome| any_holds(&outcome.when, &state));
            witness.outcomes.push(if transitions.is_empty() { Some(outcome().unwrap()) } else { None });
            witness.transitions.push(transitions);
            if witness.states.len() > limit {
                return None;
            }
            next += 1;
        }
        witness.diverging = witness.cannot_end();
        for (outcome, _) in witness.outcomes.iter_mut().zip(&witness.diverging).filter(|(_, diverges)| **diverges) {
            *outcome = program.diverges;
        }
        Some(witness)
    }

    /// Whether no terminal state can be reached, for each state.
    fn cannot_end(&self) -> Vec<bool> {
        let mut can_end: Vec<bool> = self.transitions.iter().map(Vec::is_empty).collect();
        let mut before = Vec::new();
        while can_end != before {
            before.clone_from(&can_end);
            for (state, row) in self.transitions.iter().enumerate() {
                can_end[state] |= row.iter().any(|(_, target)| before[*target]);
            }
        }
        can_end.into_iter().map(|can_end| !can_end).collect()
    }

    /// Whether some state can be reached again from itself: states all of whose successors are gone go too, until none does.
    pub(crate) fn is_cyclic(&self) -> bool {
        let mut gone = vec![false; self.states.len()];
        let mut before = Vec::new();
        while gone != before {
            before.clone_from(&gone);
            for (state, row) in self.transitions.iter().enumerate() {
                gone[state] |= row.iter().all(|(_, target)| before[*target]);
            }
        }
        gone.contains(&false)
    }

    pub(crate) fn count_states(&self, guards: &[Guard]) -> usize {
        self.states.iter().filter(|state| any_holds(guards, state)).count()
    }

    pub(crate) fn terminal_states(&self, outcome: usize) -> usize {
        self.outcomes.iter().filter(|it| **it == Some(outcome)).count()
    }

    pub(crate) fn count_transitions(&self, rule: usize) -> usize {
        self.transitions.iter().flatten().filter(|(it, _)| *it == rule).count()
    }

    /// Maximal paths by outcome, up to the first state where a run ends; none if there is a cycle before.
    pub(crate) fn interleavings(&self, outcomes: usize) -> Option<Vec<UBig>> {
        let mut known = vec![None; self.states.len()];
        self.paths_from(0, outcomes, &mut known, &mut vec![false; self.states.len()])
    }

    fn paths_from(
        &self,
        state: usize,
        outcomes: usize,
        known: &mut Vec<Option<Vec<UBig>>>,
        open: &mut Vec<bool>,
    ) -> Option<Vec<UBig>> {
        if open[state] {
            return None;
        }
        if known[state].is_none() {
            open[state] = true;
            let mut paths = vec![UBig::ZERO; outcomes];
            if let Some(outcome) = self.outcomes[state] {
                paths[outcome] = UBig::ONE;
            } else {
                for (_, target) in &self.transitions[state] {
                    for (sum, more) in paths.iter_mut().zip(self.paths_from(*target, outcomes, known, open)?) {
                        *sum += more;
                    }
                }
            }
            open[state] = false;
            known[state] = Some(paths);
        }
        known[state].clone()
    }

    /// Probability by outcome, by elimination on the whole chain with exact rationals.
    pub(crate) fn probabilities(&self, outcomes: usize) -> Vec<f64> {
        // Each row: for each state the probability to go there next, as numerators over one denominator.
        let mut rows: Vec<BTreeMap<usize, Ratio>> = self.transitions.iter().map(|row| uniform(row)).collect();
        let mut alive: Vec<usize> = (1..self.states.len()).filter(|state| self.outcomes[*state].is_none()).collect();
        // Remove state after state; what leads to it leads to where it leads. A state that cannot be left keeps its
        // mass.
        while let Some(removed) = alive.pop() {
            let row = leaving(&rows[removed], removed);
            for (_, source) in rows.iter_mut().enumerate().filter(|(source, _)| *source != removed) {
                let Some(mass) = source.remove(&removed) else { continue };
                for (target, share) in &row {
                    let sum = source.entry(*target).or_insert_with(Ratio::zero);
                    *sum = sum.plus(&mass.times(share));
                }
            }
        }
        let row = if self.outcomes[0].is_some() { BTreeMap::from([(0, Ratio::one())]) } else { leaving(&rows[0], 0) };
        let mut by_outcome = vec![Ratio::zero(); outcomes];
        for (target, share) in &row {
            if let Some(outcome) = self.outcomes[*target] {
                by_outcome[outcome] = by_outcome[outcome].plus(share);
            }
        }
        by_outcome.iter().map(Ratio::to_f64).collect()
    }
}

/// The row without the self-loop: given that the state is left, where to. Empty if it is never left.
fn leaving(row: &BTreeMap<usize, Ratio>, state: usize) -> BTreeMap<usize, Ratio> {
    let others = || row.iter().filter(|(target, _)| **target != state);
    let total = others().fold(Ratio::zero(), |sum, (_, share)| sum.plus(share));
    // Mass that was lost to states that are never left is not shared out: only the self-loop is.
    let stay = row.get(&state).cloned().unwrap_or_else(Ratio::zero);
    if total.is_zero() {
        return BTreeMap::new();
    }
    let leave = stay.complement();
    others().map(|(target, share)| (*target, share.over(&leave))).collect()
}

fn uniform(transitions: &[(usize, usize)]) -> BTreeMap<usize, Ratio> {
    let mut row = BTreeMap::new();
    for (_, target) in transitions {
        let share = row.entry(*target).or_insert_with(Ratio::zero);
        *share = share.plus(&Ratio { part: UBig::ONE, whole: transitions.len().into() });
    }
    row
}

/// An exact fraction between 0 and 1.
#[derive(Clone, Debug)]
struct Ratio {
    part: UBig,
    whole: UBig,
}

impl Ratio {
    fn zero() -> Self {
        Self { part: UBig::ZERO, whole: UBig::ONE }
    }

    fn one() -> Self {
        Self { part: UBig::ONE, whole: UBig::ONE }
    }

    fn is_zero(&self) -> bool {
        self.part.is_zero()
    }

    fn plus(&self, other: &Self) -> Self {
        Self { part: &self.part * &other.whole + &other.part * &self.whole, whole: &self.whole * &other.whole }
            .reduced()
    }

    fn times(&self, other: &Self) -> Self {
        Self { part: &self.part * &other.part, whole: &self.whole * &other.whole }.reduced()
    }

    fn over(&self, other: &Self) -> Self {
        Self { part: &self.part * &other.whole, whole: &self.whole * &other.part }.reduced()
    }

    fn complement(&self) -> Self {
        Self { part: &self.whole - &self.part, whole: self.whole.clone() }
    }

    fn reduced(self) -> Self {
        use dashu_int::ops::Gcd;
        let divisor = (&self.part).gcd(&self.whole);
        Self { part: self.part / &divisor, whole: self.whole / &divisor }
    }

    fn to_f64(&self) -> f64 {
        let scale = UBig::ONE << 100;
        (&self.part * scale / &self.whole).to_f64().value() / 2_f64.powi(100)
    }
}

/// Rule and successor of every labelled transition.
fn successors(program: &Program, state: &LabelledState) -> Vec<(usize, LabelledState)> {
    let mut successors = Vec::new();
    if program.outcomes.iter().any(|outcome| outcome.fatal && any_holds(&outcome.when, state)) {
        return successors;
    }
    for (at, rule) in program.rules.iter().enumerate() {
        for actor in actors(rule.scope, state) {
            if holds(&rule.guard, state, actor) {
                successors.push((at, after(rule, state, actor)));
            }
        }
    }
    successors
}

fn actors(scope: Scope, state: &LabelledState) -> Vec<Actor> {
    let packages = 0..state.packages.len();
    match scope {
        Scope::Global => vec![None],
        Scope::Package => packages.map(|package| Some((package, None))).collect(),
        Scope::Cpu => packages
            .flat_map(|package| (0..state.packages[package].cpus.len()).map(move |cpu| Some((package, Some(cpu)))))
            .collect(),
    }
}

pub(crate) fn any_holds(guards: &[Guard], state: &LabelledState) -> bool {
    guards.iter().any(|guard| holds(guard, state, None))
}

fn matches(cube: Cube<u64>, word: u64) -> bool {
    (0..64).all(|bit| cube.care >> bit & 1 == 0 || cube.value >> bit & 1 == word >> bit & 1)
}

fn holds(guard: &Guard, state: &LabelledState, actor: Actor) -> bool {
    if state.global & guard.global.care != guard.global.value {
        return false;
    }
    if let Some((package, cpu)) = actor {
        let package = &state.packages[package];
        if !matches(guard.package, package.word) || cpu.is_some_and(|cpu| !matches(guard.cpu, package.cpus[cpu])) {
            return false;
        }
    }
    guard.quantified.iter().all(|quantified| quantified_holds(quantified, state, actor))
}

fn quantified_holds(quantified: &Quantified, state: &LabelledState, actor: Actor) -> bool {
    let is_acting_cpu = |package: usize, cpu: usize| actor == Some((package, Some(cpu)));
    let is_acting_package = |package: usize| actor.is_some_and(|(acting, _)| acting == package);
    let mut found = 0;
    for (at, package) in state.packages.iter().enumerate() {
        match quantified {
            Quantified::Cpus { cpu: wanted, package: package_wanted, .. } => {
                for (cpu, word) in package.cpus.iter().enumerate() {
                    let counts =
                        !is_acting_cpu(at, cpu) && matches(*package_wanted, package.word) && matches(*wanted, *word);
                    found += usize::from(counts);
                }
            }
            Quantified::PackageCpus { cpu: wanted, .. } => {
                for (cpu, word) in package.cpus.iter().enumerate() {
                    let counts = is_acting_package(at) && !is_acting_cpu(at, cpu) && matches(*wanted, *word);
                    found += usize::from(counts);
                }
            }
            Quantified::Packages { package: wanted, cpus, .. } => {
                let cpus_hold = cpus.iter().all(|CpuCondition { quantifier, cpu }| {
                    (*quantifier == Quantifier::Some) == package.cpus.iter().any(|word| matches(*cpu, *word))
                });
                found += usize::from(!is_acting_package(at) && matches(*wanted, package.word) && cpus_hold);
            }
        }
    }
    let (Quantified::Cpus { quantifier, .. }
    | Quantified::PackageCpus { quantifier, .. }
    | Quantified::Packages { quantifier, .. }) = quantified;
    match quantifier {
        Quantifier::Some => found >= 1,
        Quantifier::None => found == 0,
    }
}

fn after(rule: &Rule, state: &LabelledState, actor: Actor) -> LabelledState {
    let effect = &rule.effect;
    let mut next = state.clone();
    for bulk in &effect.bulk {
        for (at, package) in state.packages.iter().enumerate() {
            let acting_package = actor.is_some_and(|(acting, _)| acting == at);
            if let Bulk::Packages { package: wanted, clear, set } = bulk {
                if !acting_package && matches(*wanted, package.word) {
                    next.packages[at].word = next.packages[at].word & !clear | set;
                }
                continue;
            }
            for (cpu, word) in package.cpus.iter().enumerate() {
                let (applies, clear, set) = match bulk {
                    Bulk::Cpus { cpu: wanted, package: package_wanted, clear, set } => {
                        (matches(*package_wanted, package.word) && matches(*wanted, *word), clear, set)
                    }
                    Bulk::PackageCpus { cpu: wanted, clear, set } => {
                        (acting_package && matches(*wanted, *word), clear, set)
                    }
                    Bulk::Packages { .. } => unreachable!(),
                };
                if applies && actor != Some((at, Some(cpu))) {
                    next.packages[at].cpus[cpu] = next.packages[at].cpus[cpu] & !clear | set;
                }
            }
        }
    }
    next.global = add(next.global & !effect.global.clear | effect.global.set, &effect.global.add);
    if let Some((package, cpu)) = actor {
        let word = &mut next.packages[package].word;
        *word = add(u128::from(*word & !effect.package.clear | effect.package.set), &effect.package.add) as u64;
        if let Some(cpu) = cpu {
            let word = &mut next.packages[package].cpus[cpu];
            *word = add(u128::from(*word & !effect.cpu.clear | effect.cpu.set), &effect.cpu.add) as u64;
        }
    }
    next
}

/// Counters count modulo their width.
fn add(mut word: u128, additions: &[Addition]) -> u128 {
    for Addition { offset, width, delta } in additions {
        let modulus = 1_u128 << width;
        let value = (word >> offset) % modulus;
        let sum = (value + modulus).wrapping_add_signed(i128::from(*delta)) % modulus;
        word = word - (value << offset) + (sum << offset);
    }
    word
}
