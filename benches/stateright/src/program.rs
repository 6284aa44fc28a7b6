//! A Program: which rules are enabled in a state, and what they do. The semantics are those of the engine's Program:
//! conditions and bulk updates look at the state before the step and never include whoever acts.
//!
//! Input is the engine's own JSON, checked there; here a broken file panics with the key that is missing.

use serde_json::Value;

/// Where the words of the state lie: in lanes of 32 bits, each word in as many as it needs.
#[derive(Clone)]
pub struct Layout {
    global_lanes: usize,
    package_lanes: usize,
    cpu_lanes: usize,
    /// The package of each CPU.
    homes: Vec<usize>,
    packages: usize,
}

/// A rule and who fires it: nobody in particular, a package or a CPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    rule: u32,
    who: u32,
}

/// A bit-mask match: `word & care == value`.
struct Cube {
    care: u128,
    value: u128,
}

/// A condition on other members of a group: some, or none, is like that.
struct Quantified {
    some: bool,
    member: Member,
}

/// A group and what its members must be like.
struct Member {
    over: Over,
    cpu: Cube,
    package: Cube,
    nested: Vec<(bool, Cube)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Over {
    Cpus,
    PackageCpus,
    Packages,
}

#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Global,
    Package,
    Cpu,
}

struct Guard {
    global: Cube,
    package: Cube,
    cpu: Cube,
    quantified: Vec<Quantified>,
}

#[derive(Default)]
struct Update {
    clear: u128,
    set: u128,
    /// Offset, width, delta.
    add: Vec<(u32, u32, i64)>,
}

struct Bulk {
    member: Member,
    update: Update,
}

struct Rule {
    scope: Scope,
    guard: Guard,
    global: Update,
    package: Update,
    cpu: Update,
    bulk: Vec<Bulk>,
    trap: Option<String>,
}

/// The rules that test one program counter, by its value.
struct Counter {
    offset: u32,
    mask: u128,
    rules: Vec<Vec<u32>>,
}

/// Rules over the lanes of a layout.
pub struct Program {
    layout: Layout,
    rules: Vec<Rule>,
    counters: Vec<Counter>,
    /// Rules that test no program counter.
    always: Vec<u32>,
    fatal: Vec<Guard>,
}

/// Who acts: package and CPU, as far as there are.
#[derive(Clone, Copy)]
struct Acting {
    package: Option<usize>,
    cpu: Option<usize>,
}

const NOBODY: Acting = Acting { package: None, cpu: None };

impl Layout {
    /// The layout of a Program on the topology of an initial state.
    pub fn new(program: &Value, initial: &Value) -> Self {
        let lanes = |scope: &str| program["widths"][scope].as_u64().expect("widths").div_ceil(32) as usize;
        let packages = list(&initial["packages"]);
        let homes =
            packages.iter().enumerate().flat_map(|(p, package)| vec![p; list(&package["cpus"]).len()]).collect();
        Self {
            global_lanes: lanes("global"),
            package_lanes: lanes("package"),
            cpu_lanes: lanes("cpu"),
            homes,
            packages: packages.len(),
        }
    }

    /// The lanes of an initial state.
    pub fn pack(&self, initial: &Value) -> Vec<u32> {
        let mut lanes =
            vec![0; self.global_lanes + self.packages * self.package_lanes + self.homes.len() * self.cpu_lanes];
        write(&mut lanes, 0, self.global_lanes, hex(&initial["global"]));
        let mut cpu = 0;
        for (p, package) in list(&initial["packages"]).iter().enumerate() {
            write(&mut lanes, self.package_at(p), self.package_lanes, hex(&package["word"]));
            for word in list(&package["cpus"]) {
                write(&mut lanes, self.cpu_at(cpu), self.cpu_lanes, hex(word));
                cpu += 1;
            }
        }
        lanes
    }

    /// Gives states that differ only in the names of CPUs within packages, and of packages of one size, the same lanes.
    pub fn sort(&self, lanes: &mut [u32]) {
        let mut cpu = 0;
        let mut blocks = Vec::with_capacity(self.packages);
        for p in 0..self.packages {
            let size = self.homes[cpu..].iter().take_while(|&&home| home == p).count();
            let cpus = &mut lanes[self.cpu_at(cpu)..self.cpu_at(cpu + size)];
            match self.cpu_lanes {
                1 => cpus.sort_unstable(),
                2 => cpus.as_chunks_mut::<2>().0.sort_unstable(),
                3 => cpus.as_chunks_mut::<3>().0.sort_unstable(),
                _ => cpus.as_chunks_mut::<4>().0.sort_unstable(),
            }
            blocks.push((size, cpu));
            cpu += size;
        }
        if self.packages > 1 {
            self.sort_packages(lanes, &blocks);
        }
    }

    /// Sorts packages whose CPUs are sorted; `blocks` has the size and the first CPU of each.
    fn sort_packages(&self, lanes: &mut [u32], blocks: &[(usize, usize)]) {
        let mut places: Vec<usize> = (0..self.packages).collect();
        places.sort_by_key(|&p| blocks[p].0);
        let words = |range: std::ops::Range<usize>| lanes[range].to_vec();
        let mut contents: Vec<_> = (blocks.iter().enumerate())
            .map(|(p, &(size, first))| {
                let package = words(self.package_at(p)..self.package_at(p + 1));
                (size, package, words(self.cpu_at(first)..self.cpu_at(first + size)))
            })
            .collect();
        contents.sort_unstable();
        for (&p, (size, package, cpus)) in places.iter().zip(&contents) {
            let first = blocks[p].1;
            lanes[self.package_at(p)..self.package_at(p + 1)].copy_from_slice(package);
            lanes[self.cpu_at(first)..self.cpu_at(first + size)].copy_from_slice(cpus);
        }
    }

    fn package_at(&self, package: usize) -> usize {
        self.global_lanes + package * self.package_lanes
    }

    fn cpu_at(&self, cpu: usize) -> usize {
        self.global_lanes + self.packages * self.package_lanes + cpu * self.cpu_lanes
    }

    fn global(&self, lanes: &[u32]) -> u128 {
        read(lanes, 0, self.global_lanes)
    }

    fn package(&self, lanes: &[u32], package: usize) -> u128 {
        read(lanes, self.package_at(package), self.package_lanes)
    }

    fn cpu(&self, lanes: &[u32], cpu: usize) -> u128 {
        read(lanes, self.cpu_at(cpu), self.cpu_lanes)
    }
}

impl Program {
    /// The rules, indexed by the program counters that they test.
    pub fn new(program: &Value, layout: Layout) -> Self {
        let rules: Vec<Rule> = list(&program["rules"]).iter().map(Rule::new).collect();
        let names: Vec<&str> = list(&program["index"]).iter().filter_map(Value::as_str).collect();
        let fields = list(&program["fields"]).iter();
        let mut counters: Vec<Counter> = fields
            .filter(|f| names.contains(&f["name"].as_str().expect("name")) && f["width"] != 0)
            .map(|f| {
                let (offset, width) = (number(&f["offset"]), number(&f["width"]));
                let mask = (1 << width) - 1;
                Counter { offset, mask, rules: (0..=mask).map(|_| Vec::new()).collect() }
            })
            .collect();
        let mut always = Vec::new();
        for (id, rule) in (0..).zip(&rules) {
            let tested = |c: &&mut Counter| rule.guard.global.care >> c.offset & c.mask == c.mask;
            match counters.iter_mut().find(tested) {
                Some(c) => c.rules[(rule.guard.global.value >> c.offset & c.mask) as usize].push(id),
                None => always.push(id),
            }
        }
        let outcomes = list(&program["outcomes"]).iter().filter(|o| o["fatal"] == true);
        let fatal = outcomes.flat_map(|o| list(&o["when"])).map(Guard::new).collect();
        Self { layout, rules, counters, always, fatal }
    }

    /// Every rule with everyone who may fire it.
    pub fn enabled(&self, lanes: &[u32], steps: &mut Vec<Step>) {
        let global = self.layout.global(lanes);
        if self.fatal.iter().any(|guard| self.holds(guard, global, lanes, NOBODY)) {
            return;
        }
        for counter in &self.counters {
            for &rule in &counter.rules[(global >> counter.offset & counter.mask) as usize] {
                self.instances(rule, global, lanes, steps);
            }
        }
        for &rule in &self.always {
            self.instances(rule, global, lanes, steps);
        }
    }

    /// The state after a step.
    pub fn fire(&self, lanes: &[u32], step: Step, next: &mut [u32]) {
        let rule = &self.rules[step.rule as usize];
        let acting = self.acting(rule.scope, step.who as usize);
        let layout = &self.layout;
        for bulk in &rule.bulk {
            if bulk.member.over == Over::Packages {
                for q in (0..layout.packages).filter(|&q| self.package_like(&bulk.member, lanes, acting, q)) {
                    bulk.update.apply(next, layout.package_at(q), layout.package_lanes);
                }
            } else {
                for i in (0..layout.homes.len()).filter(|&i| self.cpu_like(&bulk.member, lanes, acting, i)) {
                    bulk.update.apply(next, layout.cpu_at(i), layout.cpu_lanes);
                }
            }
        }
        rule.global.apply(next, 0, layout.global_lanes);
        if let Some(p) = acting.package {
            rule.package.apply(next, layout.package_at(p), layout.package_lanes);
        }
        if let Some(c) = acting.cpu {
            rule.cpu.apply(next, layout.cpu_at(c), layout.cpu_lanes);
        }
    }

    fn instances(&self, id: u32, global: u128, lanes: &[u32], steps: &mut Vec<Step>) {
        let rule = &self.rules[id as usize];
        if !rule.guard.global.matches(global) {
            return;
        }
        let count = match rule.scope {
            Scope::Global => 1,
            Scope::Package => self.layout.packages,
            Scope::Cpu => self.layout.homes.len(),
        };
        for who in 0..count {
            if self.holds(&rule.guard, global, lanes, self.acting(rule.scope, who)) {
                assert!(rule.trap.is_none(), "trap: {}", rule.trap.as_deref().unwrap_or_default());
                steps.push(Step { rule: id, who: who as u32 });
            }
        }
    }

    fn acting(&self, scope: Scope, who: usize) -> Acting {
        match scope {
            Scope::Global => NOBODY,
            Scope::Package => Acting { package: Some(who), cpu: None },
            Scope::Cpu => Acting { package: Some(self.layout.homes[who]), cpu: Some(who) },
        }
    }

    fn holds(&self, guard: &Guard, global: u128, lanes: &[u32], acting: Acting) -> bool {
        guard.global.matches(global)
            && acting.cpu.is_none_or(|c| guard.cpu.matches(self.layout.cpu(lanes, c)))
            && acting.package.is_none_or(|p| guard.package.matches(self.layout.package(lanes, p)))
            && guard.quantified.iter().all(|q| self.some(&q.member, lanes, acting) == q.some)
    }

    fn some(&self, member: &Member, lanes: &[u32], acting: Acting) -> bool {
        match member.over {
            Over::Packages => (0..self.layout.packages).any(|q| self.package_like(member, lanes, acting, q)),
            _ => (0..self.layout.homes.len()).any(|i| self.cpu_like(member, lanes, acting, i)),
        }
    }

    fn cpu_like(&self, member: &Member, lanes: &[u32], acting: Acting, cpu: usize) -> bool {
        let home = self.layout.homes[cpu];
        acting.cpu != Some(cpu)
            && (member.over == Over::Cpus || acting.package == Some(home))
            && member.cpu.matches(self.layout.cpu(lanes, cpu))
            && (member.package.care == 0 || member.package.matches(self.layout.package(lanes, home)))
    }

    fn package_like(&self, member: &Member, lanes: &[u32], acting: Acting, package: usize) -> bool {
        let inside = |cube: &Cube| {
            let cpus = self.layout.homes.iter().enumerate().filter(|&(_, &home)| home == package);
            cpus.into_iter().any(|(i, _)| cube.matches(self.layout.cpu(lanes, i)))
        };
        acting.package != Some(package)
            && member.package.matches(self.layout.package(lanes, package))
            && member.nested.iter().all(|(some, cube)| inside(cube) == *some)
    }
}

impl Rule {
    fn new(rule: &Value) -> Self {
        let effect = &rule["effect"];
        let scope = match rule["scope"].as_str().expect("scope") {
            "global" => Scope::Global,
            "package" => Scope::Package,
            _ => Scope::Cpu,
        };
        let bulk =
            list(&effect["bulk"]).iter().map(|b| Bulk { member: Member::new(b), update: Update::new(b) }).collect();
        Self {
            scope,
            guard: Guard::new(&rule["guard"]),
            global: Update::new(&effect["global"]),
            package: Update::new(&effect["package"]),
            cpu: Update::new(&effect["cpu"]),
            bulk,
            trap: rule["trap"].as_str().map(str::to_owned),
        }
    }
}

impl Guard {
    fn new(guard: &Value) -> Self {
        let quantified = list(&guard["quantified"])
            .iter()
            .map(|q| Quantified { some: q["some"] == true, member: Member::new(q) })
            .collect();
        Self {
            global: Cube::new(&guard["global"]),
            package: Cube::new(&guard["package"]),
            cpu: Cube::new(&guard["cpu"]),
            quantified,
        }
    }
}

impl Member {
    fn new(member: &Value) -> Self {
        let over = match member["over"].as_str().expect("over") {
            "cpus" => Over::Cpus,
            "package-cpus" => Over::PackageCpus,
            _ => Over::Packages,
        };
        let nested = member["cpus"].as_array().map_or(&[][..], Vec::as_slice);
        Self {
            over,
            cpu: Cube::new(&member["cpu"]),
            package: Cube::new(&member["package"]),
            nested: nested.iter().map(|n| (n["some"] == true, Cube::new(&n["cpu"]))).collect(),
        }
    }
}

impl Cube {
    fn new(cube: &Value) -> Self {
        if cube.is_null() {
            return Self { care: 0, value: 0 };
        }
        Self { care: hex(&cube["care"]), value: hex(&cube["value"]) }
    }

    fn matches(&self, word: u128) -> bool {
        word & self.care == self.value
    }
}

impl Update {
    fn new(update: &Value) -> Self {
        if update.is_null() {
            return Self::default();
        }
        let added = update["add"].as_array().map_or(&[][..], Vec::as_slice);
        let add =
            added.iter().map(|a| (number(&a["offset"]), number(&a["width"]), a["delta"].as_i64().expect("delta")));
        Self { clear: hex(&update["clear"]), set: hex(&update["set"]), add: add.collect() }
    }

    fn apply(&self, lanes: &mut [u32], at: usize, count: usize) {
        if self.clear == 0 && self.set == 0 && self.add.is_empty() {
            return;
        }
        let mut word = read(lanes, at, count) & !self.clear | self.set;
        for &(offset, width, delta) in &self.add {
            let mask = (1u128 << width) - 1;
            let value = (word >> offset & mask).wrapping_add_signed(i128::from(delta)) & mask;
            word = word & !(mask << offset) | value << offset;
        }
        write(lanes, at, count, word);
    }
}

fn read(lanes: &[u32], at: usize, count: usize) -> u128 {
    lanes[at..at + count].iter().rev().fold(0, |word, &lane| word << 32 | u128::from(lane))
}

fn write(lanes: &mut [u32], at: usize, count: usize, word: u128) {
    for (k, lane) in lanes[at..at + count].iter_mut().enumerate() {
        *lane = (word >> (32 * k)) as u32;
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn number(value: &Value) -> u32 {
    value.as_u64().expect("a number") as u32
}

fn hex(value: &Value) -> u128 {
    let text = value.as_str().expect("a hexadecimal string");
    u128::from_str_radix(text.trim_start_matches("0x"), 16).expect("hexadecimal digits")
}
