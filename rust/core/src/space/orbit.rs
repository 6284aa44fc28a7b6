//! The orbit space: a state is a multiset of packages, each a multiset of CPUs, stored as run-length counts.
//!
//! The symmetries are the permutations of CPUs within a package and of packages that leave the *initial* state fixed.
//! They are symmetries of every Program, since a Program cannot name a CPU. Packages (and CPUs of a package) that
//! start out different are never exchanged: they belong to different *classes*, and the class travels beside the
//! word.
//!
//! Packed form, in `u64`s:
//!
//! ```text
//! global word (0 to 2)   then for each package, in ascending order of its words:
//! header   class:8  runs-1:8  package word:48        (or class:8 runs-1:8 in the low bits, and the package word
//!                                                     in a second u64, if package words have more than 48 bits)
//! run      class:8  CPU word:48  count-1:8           in ascending order, one for each kind of CPU
//! ```
//!
//! Invariant: runs of a package have distinct, ascending keys (class and word), and packages ascend as slices, so two
//! labelled states have the same packed form exactly if a symmetry exchanges them. Nothing is searched for:
//! canonicalising is sorting.
//!
//! A rule fires once for each kind of CPU, with the number of CPUs of that kind as multiplicity. All of them lead to
//! the same orbit, and every labelled state of the orbit has the same number of such transitions; hence sums over
//! orbits weighted by orbit size are exact concrete totals.
//!
//! Rejected: sorting labelled states (as stateright does), which is canonical only if the sort sees the whole state,
//! costs N log N for each successor and still fires a rule once for each CPU.
//!
//! Source: Ip and Dill, "Better verification through symmetry" (1996), scalarsets; counter abstraction without a
//! cut-off.

use std::mem;
use std::ops::Range;

use dashu_int::UBig;

use super::Space;
use super::binomial::Binomials;
use crate::census::{Actor, Census, CpuKind, PackageKind};
use crate::count::Weight;
use crate::index::RuleIndex;
use crate::program::{Bulk, Effect, Guard, Program, RuleId};
use crate::state::LabelledState;

const WORD_BITS: u32 = 48;
const WORD: u64 = (1 << WORD_BITS) - 1;
const BYTE: u64 = 0xff;

/// The orbit space of a Program and an initial state.
#[derive(Debug)]
pub(crate) struct Orbit<'p> {
    program: &'p Program,
    index: RuleIndex,
    /// Class of each package, and of each CPU in it.
    classes: Vec<(u64, Vec<u64>)>,
    global_words: usize,
    header_words: usize,
    binomials: Binomials,
}

/// One state as a census, and what it takes to build its successors.
#[derive(Debug)]
pub(crate) struct Workspace {
    census: Census,
    packed: Vec<u64>,
    /// Where the census's package kinds stand in `packed`.
    spans: Vec<Range<usize>>,
    candidates: Vec<RuleId>,
    builder: Builder,
}

/// Builds one successor; the memory is kept from one to the next.
#[derive(Debug, Default)]
struct Builder {
    successor: Vec<u64>,
    /// Packages in the order in which they were built,
    packages: Vec<u64>,
    /// and where each is, and how many there are of it.
    built: Vec<(Range<usize>, u32)>,
}

/// A package's part in a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Bystander,
    Acts,
    /// The CPU kind with this index acts.
    CpuActs(usize),
}

impl<'p> Orbit<'p> {
    pub(crate) fn new(program: &'p Program, initial: &LabelledState) -> Self {
        let classes = classes(initial);
        let largest = initial.packages.iter().map(|package| package.cpus.len()).max().unwrap_or(0);
        Self {
            program,
            index: RuleIndex::new(program),
            classes,
            global_words: program.widths.global.div_ceil(u64::BITS) as usize,
            header_words: if program.widths.package <= WORD_BITS { 1 } else { 2 },
            binomials: Binomials::new(largest.max(initial.packages.len())),
        }
    }

    fn push_global(&self, global: u128, packed: &mut Vec<u64>) {
        packed.extend([global as u64, (global >> 64) as u64].iter().take(self.global_words));
    }

    fn push_header(&self, class: u64, word: u64, packed: &mut Vec<u64>) {
        if self.header_words == 1 {
            packed.push(class << 56 | word);
        } else {
            packed.extend([class << 8, word]);
        }
    }

    /// Writes the number of runs into the header at `at`, now that it is known.
    fn finish_header(&self, at: usize, packed: &mut [u64]) {
        let runs = (packed.len() - at - self.header_words) as u64;
        packed[at] |= (runs - 1) << if self.header_words == 1 { WORD_BITS } else { 0 };
    }

    /// Class, number of runs and package word.
    fn read_header(&self, header: &[u64]) -> (u64, usize, u64) {
        if self.header_words == 1 {
            (header[0] >> 56, (header[0] >> WORD_BITS & BYTE) as usize + 1, header[0] & WORD)
        } else {
            (header[0] >> 8, (header[0] & BYTE) as usize + 1, header[1])
        }
    }

    /// Calls `choose` with the binomial coefficients whose product is the orbit size, but for those that are 1.
    #[inline]
    fn for_each_choice(&self, workspace: &Workspace, mut choose: impl FnMut(u32, u32)) {
        let Workspace { census, spans, packed, .. } = workspace;
        let (mut class, mut dealt) = (u64::MAX, 0);
        for (package, span) in census.packages.iter().zip(spans) {
            let (own_class, _, _) = self.read_header(&packed[span.clone()]);
            dealt = if own_class == class { dealt } else { 0 } + package.copies;
            class = own_class;
            if dealt > package.copies {
                choose(dealt, package.copies);
            }
            let (mut cpu_class, mut cpus_dealt) = (u64::MAX, 0);
            for cpu in &census.cpus[package.cpus.clone()] {
                let own_class = cpu.word >> WORD_BITS;
                cpus_dealt = if own_class == cpu_class { cpus_dealt } else { 0 } + cpu.count;
                cpu_class = own_class;
                if cpus_dealt > cpu.count {
                    for _ in 0..package.copies {
                        choose(cpus_dealt, cpu.count);
                    }
                }
            }
        }
    }

    /// Builds in `builder.successor` the state after the actor fired a rule with this effect.
    fn build(
        &self,
        effect: &Effect,
        actor: Actor,
        census: &Census,
        spans: &[Range<usize>],
        packed: &[u64],
        builder: &mut Builder,
    ) {
        let Builder { successor, packages, built } = builder;
        successor.clear();
        self.push_global(effect.global.apply(census.global), successor);
        if actor == Actor::Global && effect.bulk.is_empty() {
            successor.extend_from_slice(&packed[self.global_words..]);
            return;
        }
        let (acting, part) = match actor {
            Actor::Global => (usize::MAX, Part::Bystander),
            Actor::Package(package) => (package, Part::Acts),
            Actor::Cpu(package, cpu) => (package, Part::CpuActs(cpu)),
        };
        let step = Step { orbit: self, effect, census, spans, packed };
        if let [package] = census.packages.as_slice()
            && package.copies == 1
        {
            step.push_package(0, part, successor);
            return;
        }
        packages.clear();
        built.clear();
        for (at, package) in census.packages.iter().enumerate() {
            let bystanders = package.copies - u32::from(at == acting);
            if bystanders > 0 {
                let start = packages.len();
                step.push_package(at, Part::Bystander, packages);
                built.push((start..packages.len(), bystanders));
            }
            if at == acting {
                let start = packages.len();
                step.push_package(at, part, packages);
                built.push((start..packages.len(), 1));
            }
        }
        built.sort_unstable_by(|(a, _), (b, _)| packages[a.clone()].cmp(&packages[b.clone()]));
        for (range, copies) in built {
            for _ in 0..*copies {
                successor.extend_from_slice(&packages[range.clone()]);
            }
        }
    }
}

/// One transition, seen from each package.
struct Step<'s, 'p> {
    orbit: &'s Orbit<'p>,
    effect: &'s Effect,
    census: &'s Census,
    spans: &'s [Range<usize>],
    packed: &'s [u64],
}

impl Step<'_, '_> {
    /// Appends the package kind `at` as it is after the transition.
    fn push_package(&self, at: usize, part: Part, into: &mut Vec<u64>) {
        let span = &self.packed[self.spans[at].clone()];
        let untouched = self.effect.bulk.is_empty();
        if untouched && part == Part::Bystander {
            into.extend_from_slice(span);
            return;
        }
        let package = &self.census.packages[at];
        let (class, _, _) = self.orbit.read_header(span);
        let start = into.len();
        self.orbit.push_header(class, self.package_word(package.word, part), into);
        match part {
            Part::CpuActs(cpu) if untouched => self.push_cpus_after_one_moved(package, cpu, into),
            _ if untouched => into.extend_from_slice(&span[self.orbit.header_words..]),
            _ => self.push_cpus_after_bulk(package, part, into),
        }
        self.orbit.finish_header(start, into);
    }

    fn package_word(&self, word: u64, part: Part) -> u64 {
        if part != Part::Bystander {
            return self.effect.package.apply(word);
        }
        let mut after = word;
        for bulk in &self.effect.bulk {
            if let Bulk::Packages { package, clear, set } = bulk
                && package.matches(word)
            {
                after = (after & !clear) | set;
            }
        }
        after
    }

    /// One CPU changes its kind: the runs stay sorted but for one.
    fn push_cpus_after_one_moved(&self, package: &PackageKind, acting: usize, into: &mut Vec<u64>) {
        let moved = self.effect.cpu.apply(self.census.cpus[acting].word);
        let mut pending = true;
        for at in package.cpus.clone() {
            let CpuKind { word, count } = self.census.cpus[at];
            let mut count = count - u32::from(at == acting);
            if pending && moved <= word {
                pending = false;
                if moved == word {
                    count += 1;
                } else {
                    into.push(run(moved, 1));
                }
            }
            if count > 0 {
                into.push(run(word, count));
            }
        }
        if pending {
            into.push(run(moved, 1));
        }
    }

    /// Any CPU may change its kind: sort the runs and join those that have become equal.
    fn push_cpus_after_bulk(&self, package: &PackageKind, part: Part, into: &mut Vec<u64>) {
        let start = into.len();
        for at in package.cpus.clone() {
            let CpuKind { word, count } = self.census.cpus[at];
            let acts = part == Part::CpuActs(at);
            if acts {
                into.push(run(self.effect.cpu.apply(word), 1));
            }
            let others = count - u32::from(acts);
            if others > 0 {
                into.push(run(self.cpu_after_bulk(word, package.word, part), others));
            }
        }
        sort_and_join(start, into);
    }

    fn cpu_after_bulk(&self, word: u64, package_word: u64, part: Part) -> u64 {
        let mut after = word;
        for bulk in &self.effect.bulk {
            let (applies, clear, set) = match bulk {
                Bulk::Cpus { cpu, package, clear, set } => {
                    (cpu.matches(word) && package.matches(package_word), clear, set)
                }
                Bulk::PackageCpus { cpu, clear, set } => (part != Part::Bystander && cpu.matches(word), clear, set),
                Bulk::Packages { .. } => continue,
            };
            if applies {
                after = (after & !clear) | set;
            }
        }
        after
    }
}

/// CPUs of one kind; the key is the class above the word.
fn run(key: u64, count: u32) -> u64 {
    key << 8 | u64::from(count - 1)
}

fn key_and_count(run: u64) -> (u64, u32) {
    (run >> 8, (run & BYTE) as u32 + 1)
}

/// Sorts the runs from `start` and adds up those with the same key.
fn sort_and_join(start: usize, runs: &mut Vec<u64>) {
    runs[start..].sort_unstable();
    let mut last = start;
    for at in start + 1..runs.len() {
        let (key, count) = key_and_count(runs[at]);
        let (last_key, last_count) = key_and_count(runs[last]);
        if key == last_key {
            runs[last] = run(key, last_count + count);
        } else {
            last += 1;
            runs[last] = runs[at];
        }
    }
    runs.truncate(last + 1);
}

impl Space for Orbit<'_> {
    const STRIDE: usize = 0;

    type Workspace = Workspace;

    type Predicate = Guard;

    fn predicate(&self, guard: &Guard) -> Guard {
        guard.clone()
    }

    fn workspace(&self) -> Workspace {
        Workspace {
            census: Census::default(),
            packed: Vec::new(),
            spans: Vec::new(),
            candidates: Vec::new(),
            builder: Builder::default(),
        }
    }

    fn encode(&self, state: &LabelledState, packed: &mut Vec<u64>) {
        packed.clear();
        self.push_global(state.global, packed);
        let mut packages: Vec<Vec<u64>> = Vec::with_capacity(state.packages.len());
        for (package, (class, cpu_classes)) in state.packages.iter().zip(&self.classes) {
            let mut words = Vec::new();
            self.push_header(*class, package.word, &mut words);
            let classed = package.cpus.iter().zip(cpu_classes);
            words.extend(classed.map(|(word, class)| run(class << WORD_BITS | word, 1)));
            sort_and_join(self.header_words, &mut words);
            self.finish_header(0, &mut words);
            packages.push(words);
        }
        packages.sort_unstable();
        packed.extend(packages.into_iter().flatten());
    }

    fn load(&self, packed: &[u64], workspace: &mut Workspace) {
        let Workspace { census, spans, .. } = workspace;
        workspace.packed.clear();
        workspace.packed.extend_from_slice(packed);
        census.clear();
        spans.clear();
        let global = packed[..self.global_words].iter().rev().fold(0, |global, word| global << 64 | u128::from(*word));
        census.global = global;
        let mut at = self.global_words;
        while at < packed.len() {
            let (_, runs, word) = self.read_header(&packed[at..]);
            let end = at + self.header_words + runs;
            let span = at..end;
            if let (Some(kind), Some(previous)) = (census.packages.last_mut(), spans.last())
                && packed[previous.clone()] == packed[span.clone()]
            {
                kind.copies += 1;
            } else {
                let first = census.cpus.len();
                census.cpus.extend(packed[at + self.header_words..end].iter().map(|run| {
                    let (word, count) = key_and_count(*run);
                    CpuKind { word, count }
                }));
                census.packages.push(PackageKind { word, copies: 1, cpus: first..census.cpus.len() });
                spans.push(span);
            }
            at = end;
        }
    }

    fn holds(&self, predicate: &Guard, workspace: &Workspace) -> bool {
        workspace.census.any_holds(std::slice::from_ref(predicate))
    }

    /// The ways to deal out the packages of each class, times, in each package, the CPUs of each class.
    fn orbit_size(&self, workspace: &Workspace) -> Weight {
        let mut small = Some(1_u64);
        self.for_each_choice(workspace, |n, k| {
            small = small.and_then(|size| size.checked_mul(self.binomials.choose_small(n, k)?));
        });
        if let Some(size) = small {
            return Weight::Small(size);
        }
        let mut size = UBig::ONE;
        self.for_each_choice(workspace, |n, k| size *= self.binomials.choose(n, k));
        Weight::Large(size)
    }

    fn successors(&self, workspace: &mut Workspace, mut emit: impl FnMut(&[u64], RuleId, u32)) {
        let Workspace { census, packed, spans, builder, .. } = workspace;
        let mut candidates = mem::take(&mut workspace.candidates);
        self.index.candidates(census.global, &mut candidates);
        for &id in &candidates {
            let rule = self.program.rule(id);
            census.for_each_enabled(rule, |census, actor, multiplicity| {
                self.build(&rule.effect, actor, census, spans, packed, builder);
                emit(&builder.successor, id, multiplicity);
            });
        }
        workspace.candidates = candidates;
    }
}

impl Workspace {
    /// The loaded state's global word,
    pub(super) fn global(&self) -> u128 {
        self.census.global
    }

    /// the words of its packages,
    pub(super) fn package_words(&self) -> impl Iterator<Item = u64> + '_ {
        self.census.packages.iter().map(|package| package.word)
    }

    /// and of its CPUs; equal ones are not repeated within a package.
    pub(super) fn cpu_words(&self) -> impl Iterator<Item = u64> + '_ {
        self.census.cpus.iter().map(|cpu| cpu.word & WORD)
    }
}

#[cfg(test)]
impl Workspace {
    /// One of the labelled states that the loaded state stands for.
    pub(super) fn representative(&self) -> LabelledState {
        let cpus = |package: &PackageKind| {
            let kinds = self.census.cpus[package.cpus.clone()].iter();
            kinds.flat_map(|kind| vec![kind.word & WORD; kind.count as usize]).collect()
        };
        let package = |kind: &PackageKind| {
            vec![crate::state::LabelledPackage { word: kind.word, cpus: cpus(kind) }; kind.copies as usize]
        };
        LabelledState { global: self.census.global, packages: self.census.packages.iter().flat_map(package).collect() }
    }
}

/// Classes of the packages and of their CPUs: equal exactly if a symmetry of the initial state may exchange them.
fn classes(initial: &LabelledState) -> Vec<(u64, Vec<u64>)> {
    let mut kinds: Vec<(u64, Vec<u64>)> = Vec::new();
    let mut classes = Vec::new();
    for package in &initial.packages {
        let mut sorted = package.cpus.clone();
        sorted.sort_unstable();
        let kind = (package.word, sorted.clone());
        let class = kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
            kinds.push(kind);
            kinds.len() - 1
        });
        sorted.dedup();
        let cpu_class = |word: &u64| sorted.partition_point(|known| known < word) as u64;
        classes.push((class as u64, package.cpus.iter().map(cpu_class).collect()));
    }
    classes
}
