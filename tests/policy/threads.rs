//! The acting thread's own entry in `/proc`, which the kernel side calls `/proc/thread-self`: a rule over
//! all threads of the process covers it under that name, and one over it alone covers no other.

use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_ebpf::verdict::Verdict::{Allow, Deny};
use sensor_user::policy::Compiled;

use super::generated::Dice;
use super::oracle::naive::{Kind, Naive, Rule};
use super::support::{path, spec};

/// Ids that a thread may have.
const IDS: [&str; 6] = ["1", "7", "10", "42", "4242", "99999"];

fn speaks(compiled: &Compiled, subject: &str) -> bool {
    compiled.judge(Space::Path, subject.as_bytes(), Rights::READ).rule(Rights::READ) != 0
}

#[test]
fn a_rule_over_all_threads_covers_ones_own_and_not_the_other_way_round() {
    let compiled = spec(
        "  files:
  - allow: [read]
    paths: ['/proc/self/task/*/comm', '/proc/thread-self/stat', '/proc/self/task/[0-9]*/io']
  - deny: [read]
    paths: ['/proc/self/task/7/comm', '**/task/*/environ']
  - allow: [write]
    paths: ['/proc/self/**']
  - allow: [list, read]
    paths: ['/proc/self/task/*/fd/**']",
    );
    for (right, subject, verdict) in [
        ("read", "/proc/self/task/8/comm", Allow),
        // A deny counts if it may be meant, an allow if it certainly is.
        ("read", "/proc/thread-self/comm", Deny),
        ("read", "/proc/self/task/7/comm", Deny),
        ("read", "/proc/thread-self/stat", Allow),
        ("read", "/proc/self/task/8/stat", Deny),
        ("read", "/proc/self/task/8/io", Allow),
        ("read", "/proc/thread-self/io", Deny),
        ("write", "/proc/thread-self/environ", Allow),
        ("read", "/proc/thread-self/environ", Deny),
        ("write", "/proc/thread-self", Allow),
        ("write", "/proc/thread-selfish", Deny),
        ("list", "/proc/thread-self/fd", Allow),
        ("read", "/proc/thread-self/fd/1", Allow),
        ("read", "/proc/thread-self/fdinfo/1", Deny),
    ] {
        assert_eq!(path(&compiled, right, subject), verdict, "{right} {subject}");
    }
}

#[test]
fn rules_cover_the_thread_as_they_cover_its_id() {
    const NAMES: [&str; 9] =
        ["proc", "self", "task", "*", "thread-self", "comm", "fd", "?", "{self,thread-self}"];
    const OWN: [&str; 8] = ["*", "?", "42", "4*", "*2", "{7,42}", "**", "[0-9]*"];
    const BEHIND: [&str; 7] = ["", "/comm", "/fd", "/fd/3", "/task/1/comm", "/x/comm", "/self/fd"];
    let (mut covered, mut cases) = (0, 0);
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let mut parts: Vec<&str> = vec!["proc", "self", "task", *dice.pick(&OWN)];
        parts.extend((0..dice.roll(3)).map(|_| *dice.pick(&NAMES)));
        for _ in 0..dice.roll(3) {
            let at = dice.roll(parts.len());
            match dice.roll(3) {
                0 => parts[at] = *dice.pick(&NAMES),
                1 => parts[at] = "**",
                _ => _ = parts.remove(at),
            }
        }
        if dice.roll(4) == 0 {
            parts.push("**");
        }
        let kind = *dice.pick(&[Kind::Allow, Kind::Audit, Kind::Ask, Kind::Deny]);
        // That all ids begin with a digit is not followed up.
        if parts.is_empty() || kind == Kind::Allow && parts.contains(&"[0-9]*") {
            continue;
        }
        let pattern = format!("/{}", parts.join("/"));
        let name = format!("{kind:?}").to_lowercase();
        let compiled = spec(&format!("  files:\n  - {name}: [read]\n    paths: ['{pattern}']"));
        let naive = Naive::new(&[Rule { kind, rights: vec!["read"], pattern: pattern.clone() }]);
        let matches = |subject: &str| naive.on(subject.as_bytes()).says("read").rule != 0;
        for behind in BEHIND {
            let by_id = |id: &&str| matches(&format!("/proc/self/task/{id}{behind}"));
            let all =
                if kind == Kind::Allow { IDS.iter().all(&by_id) } else { IDS.iter().any(by_id) };
            let own = format!("/proc/thread-self{behind}");
            assert_eq!(speaks(&compiled, &own), all || matches(&own), "{seed}: {pattern} {own}");
            covered += usize::from(all && !matches(&own));
            for id in IDS {
                let other = format!("/proc/self/task/{id}{behind}");
                assert_eq!(speaks(&compiled, &other), matches(&other), "{seed}: {pattern} {other}");
            }
            cases += 1;
        }
    }
    // The control: what is tried here came up often.
    assert!(covered * 20 > cases, "{covered} of {cases}");
}
