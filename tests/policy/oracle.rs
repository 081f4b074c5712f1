//! The compiled table against the naive semantics: random policies, and for each random subjects
//! that nearly match it; no difference, in verdict or in the rule that is named.
//!
//! `PICKET_CASES` sets the number of cases (100 000 unless set), `PICKET_SEED` where they begin. A
//! million, on demand: `PICKET_CASES=1000000 cargo test --release --test policy oracle`.

pub mod naive;
mod random;

use std::env;
use std::net::Ipv6Addr;

use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;
use sensor_ebpf::table::Space;
use sensor_ebpf::verdict::Verdict;

use super::generated::Dice;
use super::support::{FakeHost, compile_text, manifest, spec};
use naive::{Kind, Naive, Rule};
use sensor_user::policy::Compiled;

const SUBJECTS: usize = 200;

fn setting(name: &str, default: usize) -> usize {
    match env::var(name) {
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("{name} is {text}, and must be a number"))
        }
        Err(_) => default,
    }
}

fn lines(rules: &[Rule]) -> String {
    let line = |rule: &Rule| {
        let kind = format!("{:?}", rule.kind).to_lowercase();
        let pattern = rule.pattern.replace('\'', "''");
        format!("  - {kind}: [{}]\n    paths: ['{pattern}']\n", rule.rights.join(", "))
    };
    format!("  files:\n{}", rules.iter().map(line).collect::<String>())
}

fn kind(verdict: Verdict) -> Kind {
    match verdict {
        Verdict::Allow => Kind::Allow,
        Verdict::Audit => Kind::Audit,
        Verdict::Ask => Kind::Ask,
        Verdict::Deny => Kind::Deny,
    }
}

/// The policy, unless its table is over budget, as a few of these random ones rightly are.
fn compiled(rules: &[Rule]) -> Option<Compiled> {
    match compile_text(&manifest(&lines(rules)), &FakeHost::default()) {
        Ok(compiled) => Some(compiled),
        Err(found) if found.iter().all(|d| d.message.contains("policy's table would")) => None,
        Err(found) => panic!("{found}"),
    }
}

/// The first right on which table and naive semantics differ.
fn difference(compiled: &Compiled, rules: &[Rule], subjects: &[Vec<u8>]) -> Option<String> {
    let naive = Naive::new(rules);
    for subject in subjects {
        let view = naive.on(subject);
        for right in random::RIGHTS {
            let judged = compiled.judge(Space::Path, subject, Rights::from_name(right)?);
            let verdict = kind(judged.decision.verdict);
            let rule = judged.rule(Rights::from_name(right)?) as usize;
            let (expected, said) = (view.verdict(right), view.says(right));
            if verdict != expected || rule != said.rule {
                return Some(format!(
                    "{right} {}: table {verdict:?} by {rule}, naive {expected:?} by {}\n{}",
                    subject.escape_ascii(),
                    said.rule,
                    lines(rules)
                ));
            }
        }
    }
    None
}

/// The smallest policy that still shows a difference, found by leaving rules out.
fn shrink(rules: &[Rule], subjects: &[Vec<u8>]) -> String {
    let mut rules = rules.to_vec();
    let mut at = 0;
    while at < rules.len() && rules.len() > 1 {
        let mut fewer = rules.clone();
        fewer.remove(at);
        let differs = |policy| difference(&policy, &fewer, subjects).is_some();
        if compiled(&fewer).is_some_and(differs) {
            rules = fewer;
        } else {
            at += 1;
        }
    }
    compiled(&rules).and_then(|policy| difference(&policy, &rules, subjects)).unwrap_or_default()
}

#[test]
fn table_and_naive_semantics_agree_on_paths() {
    let cases = setting("PICKET_CASES", 100_000);
    let seed = setting("PICKET_SEED", 1);
    let (mut verdicts, mut over_budget) = ([0; 4], 0);
    let mut odd = [0; random::ODDITIES.len()];
    for round in 0..cases.div_ceil(SUBJECTS) {
        let mut dice = Dice::new((seed + round) as u64);
        let rules = random::rules(&mut dice);
        let subjects: Vec<_> = (0..SUBJECTS).map(|_| random::subject(&mut dice, &rules)).collect();
        let Some(policy) = compiled(&rules) else {
            over_budget += 1;
            continue;
        };
        if difference(&policy, &rules, &subjects).is_some() {
            panic!("PICKET_SEED={} {}", seed + round, shrink(&rules, &subjects));
        }
        let naive = Naive::new(&rules);
        for subject in &subjects {
            verdicts[naive.on(subject).verdict("read") as usize] += 1;
            for (count, (_, is_odd)) in odd.iter_mut().zip(random::ODDITIES) {
                *count += usize::from(is_odd(subject));
            }
        }
    }
    // The control: all four verdicts came up often, so that agreement means something.
    assert!(verdicts.iter().all(|count| count * 50 > cases), "{verdicts:?}");
    assert!(over_budget * SUBJECTS * 200 < cases, "{over_budget} policies are over budget");
    // So did each way in which a name can be odd.
    for (count, (what, _)) in odd.iter().zip(random::ODDITIES) {
        println!("{what}: {count}");
        assert!(count * 2000 > cases, "{what}: {count} of {cases}");
    }
}

#[test]
fn the_oracle_notices_a_difference() {
    // Two policies that differ in one rule: what the naive semantics say of one must not pass for
    // the other.
    let mut dice = Dice::new(7);
    let mut noticed = 0;
    for _ in 0..50 {
        let rules = random::rules(&mut dice);
        let subjects: Vec<_> = (0..SUBJECTS).map(|_| random::subject(&mut dice, &rules)).collect();
        let Some(compiled) = compiled(&rules) else {
            continue;
        };
        let naive = Naive::new(&rules[1..]);
        noticed += usize::from(subjects.iter().any(|subject| {
            random::RIGHTS.iter().any(|right| {
                let judged =
                    compiled.judge(Space::Path, subject, Rights::from_name(right).unwrap());
                kind(judged.decision.verdict) != naive.on(subject).verdict(right)
            })
        }));
    }
    assert!(noticed > 25, "{noticed}");
}

/// A network rule, as numbers.
struct Net {
    deny: bool,
    transport: Option<u8>,
    address: u128,
    bits: u32,
    ports: (u16, u16),
}

impl Net {
    fn random(dice: &mut Dice) -> Net {
        let v4 = dice.roll(2) == 0;
        let least = if v4 { 96 } else { 0 };
        let bits = *dice.pick(&[0, 1, 7, 8, 15, 24, 30, 31, 32]);
        let bits = least + if v4 { bits } else { bits * 4 };
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        let low = *dice.pick(&[1, 80, 255, 256, 8000, 65535]);
        let high = low.max(*dice.pick(&[1, 81, 256, 600, 9000, 65535]));
        Net {
            deny: dice.roll(3) == 0,
            transport: *dice.pick(&[None, Some(6), Some(17)]),
            address: address(dice, v4) & mask,
            bits,
            ports: *dice.pick(&[(low, low), (low, high), (0, 65535)]),
        }
    }

    fn text(&self) -> String {
        let transport = match self.transport {
            None => "",
            Some(6) => "tcp:",
            Some(_) => "udp:",
        };
        let address = Ipv6Addr::from(self.address);
        let host = match address.to_ipv4_mapped().filter(|_| self.bits >= 96) {
            Some(v4) => format!("{v4}/{}", self.bits - 96),
            None => format!("[{address}]/{}", self.bits),
        };
        format!("{transport}{host}:{}-{}", self.ports.0, self.ports.1)
    }

    fn holds(&self, transport: u8, address: u128, port: u16) -> bool {
        // A single unspecified address means the loopback that the kernel connects to.
        let own = match (self.bits, self.address) {
            (128, 0) => 1,
            (128, 0xffff_0000_0000) => 0xffff_7f00_0001,
            (_, address) => address,
        };
        let shift = 128 - self.bits;
        self.transport.map_or(matches!(transport, 6 | 17), |own| own == transport)
            && own.checked_shr(shift).unwrap_or(0) == address.checked_shr(shift).unwrap_or(0)
            && (self.ports.0..=self.ports.1).contains(&port)
    }
}

fn address(dice: &mut Dice, v4: bool) -> u128 {
    let mut bytes = [0; 16];
    let from = if v4 { 12 } else { 0 };
    bytes[from..].iter_mut().for_each(|byte| *byte = *dice.pick(&[0, 1, 10, 127, 128, 254, 255]));
    if v4 {
        bytes[10..12].fill(0xff);
    }
    u128::from_be_bytes(bytes)
}

#[test]
fn table_and_naive_semantics_agree_on_addresses() {
    let cases = setting("PICKET_CASES", 100_000) / 4;
    let seed = setting("PICKET_SEED", 1);
    let mut allowed = 0;
    for round in 0..cases.div_ceil(SUBJECTS) {
        let mut dice = Dice::new((seed + round) as u64);
        let nets: Vec<Net> = (0..1 + dice.roll(8)).map(|_| Net::random(&mut dice)).collect();
        let line = |net: &Net| {
            let kind = if net.deny { "deny" } else { "allow" };
            format!("  - {kind}: [connect]\n    to: ['{}']\n", net.text())
        };
        let mut lines: Vec<String> = nets.iter().map(line).collect();
        lines.sort_unstable();
        lines.dedup();
        let compiled = spec(&format!("  network:\n{}", lines.concat()));
        for _ in 0..SUBJECTS {
            let net = dice.pick(&nets);
            let noise = address(&mut dice, false) & u128::MAX.checked_shr(net.bits).unwrap_or(0);
            let subject = match dice.roll(4) {
                0 => address(&mut dice, true),
                _ => net.address | noise,
            };
            let port = match dice.roll(3) {
                0 => net.ports.0.wrapping_sub(1),
                1 => net.ports.1,
                _ => net.ports.0,
            };
            let transport = *dice.pick(&[6, 17, 1]);
            let octets = sensor_ebpf::subject::destination(subject.to_be_bytes());
            let address = u128::from_be_bytes(octets);
            let held = |deny| {
                nets.iter().any(|net| net.deny == deny && net.holds(transport, address, port))
            };
            let expected = held(false) && !held(true);
            let subject = ObjectSubject::inet(transport, octets, port);
            let judged = compiled.judge(Space::Object, subject.as_bytes(), Rights::SEND);
            let found = judged.decision.verdict == Verdict::Allow;
            allowed += usize::from(found);
            assert_eq!(
                found,
                expected,
                "PICKET_SEED={} {} {} port {port}\n{}",
                seed + round,
                transport,
                Ipv6Addr::from(address),
                lines.concat()
            );
        }
    }
    assert!(allowed * 20 > cases, "{allowed}");
}
