//! Random policies, and subjects that nearly match them.

use super::super::generated::Dice;
use super::naive::{Kind, Rule, unbrace};

pub const RIGHTS: [&str; 9] =
    ["read", "write", "list", "create", "delete", "link", "attr", "exec", "map"];

/// Few and alike, so that patterns overlap.
const NAMES: [&str; 14] =
    ["a", "b", "ab", "abc", ".a", ".ab", "é", "aé", "a b", "A", "a.b", r"\xff", r"a\*", r"\x0a"];

fn component(dice: &mut Dice) -> String {
    match dice.roll(16) {
        0 => "*".into(),
        1 => format!("{}*", dice.pick(&NAMES)),
        2 => format!("*{}", dice.pick(&NAMES)),
        3 => format!("*{}*", dice.pick(&NAMES)),
        4 => format!("{}?", dice.pick(&NAMES)),
        5 => format!("[ab]{}", dice.pick(&NAMES)),
        6 => format!("{}[!a]", dice.pick(&NAMES)),
        7 => "[a-cà-ü]".into(),
        8 => format!("{{{},{}}}", dice.pick(&NAMES), dice.pick(&NAMES)),
        9 => format!("a{{,b,{{c,.{}}}}}", dice.pick(&NAMES)),
        10 => format!("{{{}/{},{}}}", dice.pick(&NAMES), dice.pick(&NAMES), dice.pick(&NAMES)),
        _ => (*dice.pick(&NAMES)).into(),
    }
}

pub fn pattern(dice: &mut Dice) -> String {
    let mut components: Vec<String> = (0..1 + dice.roll(4)).map(|_| component(dice)).collect();
    if dice.roll(4) == 0 {
        let at = dice.roll(components.len());
        components.insert(at, "**".into());
    }
    if dice.roll(3) == 0 {
        components.push("**".into());
    }
    match dice.roll(12) {
        0..3 => format!("**/{}", components.join("/")),
        3 if dice.roll(4) == 0 => "**".into(),
        _ => format!("/{}", components.join("/")),
    }
}

pub fn rules(dice: &mut Dice) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for _ in 0..1 + dice.roll(12) {
        let kind =
            *dice.pick(&[Kind::Allow, Kind::Allow, Kind::Audit, Kind::Ask, Kind::Deny, Kind::Deny]);
        let mut rights: Vec<&str> = RIGHTS.into_iter().filter(|_| dice.roll(3) == 0).collect();
        if rights.is_empty() {
            rights.push("read");
        }
        let pattern = pattern(dice);
        if !rules.iter().any(|r| r.pattern == pattern) {
            rules.push(Rule { kind, rights, pattern });
        }
    }
    rules
}

/// A subject that some rule matches, or nearly.
pub fn subject(dice: &mut Dice, rules: &[Rule]) -> Vec<u8> {
    let rule = dice.pick(rules);
    let choices = unbrace(&rule.pattern);
    let choice = dice.pick(&choices);
    let mut subject = instance(dice, choice);
    for _ in 0..dice.roll(4) {
        mutate(dice, &mut subject);
    }
    if subject.first() != Some(&b'/') {
        subject.insert(0, b'/');
    }
    subject.truncate(sensor_ebpf::limits::SUBJECT_MAX);
    subject
}

/// Bytes that a pattern without braces matches.
fn instance(dice: &mut Dice, pattern: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for component in pattern.trim_start_matches('/').split('/') {
        if component == "**" {
            for _ in 0..dice.roll(3) {
                out.push(b'/');
                out.extend(name(dice));
            }
            continue;
        }
        out.push(b'/');
        let mut chars = component.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => out.extend(if dice.roll(2) == 0 { Vec::new() } else { name(dice) }),
                '?' => out.extend(dice.pick(&["a", "é", "€", "😀", "."]).bytes()),
                '[' => {
                    chars.by_ref().find(|c| *c == ']');
                    out.extend(dice.pick(&["a", "b", "c", "ê", "x"]).bytes());
                }
                '\\' => match chars.next() {
                    Some('x') => {
                        let digits: String = chars.by_ref().take(2).collect();
                        out.push(u8::from_str_radix(&digits, 16).unwrap());
                    }
                    Some(c) => out.extend(c.to_string().bytes()),
                    None => {}
                },
                c => out.extend(c.to_string().bytes()),
            }
        }
    }
    out
}

fn name(dice: &mut Dice) -> Vec<u8> {
    match dice.roll(12) {
        0 => {
            let length = *dice.pick(&[1, 2, 254, 255, 255, 256]);
            vec![*dice.pick(b"ab\xff\x80\xc3\x01"); length]
        }
        1 => b"\n".to_vec(),
        2 => b".".to_vec(),
        3 => b"..".to_vec(),
        4 => vec![0xc3, 0x28],
        _ => dice
            .pick(&["a", "b", "ab", "abc", ".a", ".ab", "é", "aé", "A", "a.b"])
            .bytes()
            .collect(),
    }
}

/// Whether a subject is odd in some way.
type Oddity = fn(&[u8]) -> bool;

/// What a subject is odd by. The oracle counts them, so that none can drop out of what is generated.
pub const ODDITIES: [(&str, Oddity); 11] = [
    ("a byte of 0x80 or above", |s| s.iter().any(|b| *b >= 0x80)),
    ("bytes that are not UTF-8", |s| std::str::from_utf8(s).is_err()),
    ("a newline", |s| s.contains(&b'\n')),
    ("`.`", |s| has(s, |name| name == b".")),
    ("`..`", |s| has(s, |name| name == b"..")),
    ("a name of 255 bytes", |s| has(s, |name| name.len() == 255)),
    ("a path of 4095 bytes", |s| s.len() == sensor_ebpf::limits::SUBJECT_MAX),
    ("capitals", |s| s.iter().any(u8::is_ascii_uppercase)),
    ("a trailing slash", |s| s.len() > 1 && s.ends_with(b"/")),
    ("two slashes in a row", |s| s.windows(2).any(|pair| pair == b"//")),
    ("a NUL", |s| s.contains(&0)),
];

fn has(subject: &[u8], holds: impl Fn(&[u8]) -> bool) -> bool {
    subject.split(|byte| *byte == b'/').any(holds)
}

fn mutate(dice: &mut Dice, subject: &mut Vec<u8>) {
    let at = dice.roll(subject.len() + 1);
    match dice.roll(11) {
        0 if at < subject.len() => subject[at] = dice.roll(256) as u8,
        1 if at < subject.len() => drop(subject.remove(at)),
        2 => subject.insert(at, dice.roll(256) as u8),
        3 => subject.push(b'/'),
        4 => {
            subject.push(b'/');
            subject.extend(name(dice));
        }
        5 => subject.truncate(at),
        6 => subject.make_ascii_uppercase(),
        7 => subject.insert(at, b'/'),
        8 if dice.roll(20) == 0 => {
            while subject.len() < sensor_ebpf::limits::SUBJECT_MAX {
                subject.push(b'/');
                subject.extend(name(dice));
            }
        }
        9 => {
            let tail = name(dice);
            subject.splice(at..at, tail);
        }
        _ => subject.extend(b"a"),
    }
}
