//! What policies say of processes and capabilities, and what no policy can give.

use sensor_ebpf::act::Act;
use sensor_ebpf::capability::Capability;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;
use sensor_ebpf::table::Space;
use sensor_ebpf::verdict::Verdict;
use sensor_user::policy::Compiled;

use super::support::{path, spec, wrong};

fn capability(compiled: &Compiled, capability: Capability) -> Verdict {
    let subject = ObjectSubject::capability(capability);
    compiled.judge(Space::Object, subject.as_bytes(), Rights::KERNEL).decision.verdict
}

fn act(compiled: &Compiled, act: Act) -> Verdict {
    // Whatever the pid.
    let verdicts = [0, 1, 0x0a2f_002f, u32::MAX].map(|pid| {
        let subject = ObjectSubject::process(act, pid);
        compiled.judge(Space::Object, subject.as_bytes(), Rights::PROCESS).decision.verdict
    });
    assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{verdicts:?}");
    verdicts[0]
}

#[test]
fn of_capabilities_only_those_on_files_are_there_unasked() {
    let nothing = spec("  files:\n  - allow: [read]\n    paths: ['/a']");
    let there: Vec<&str> = Capability::ALL
        .iter()
        .filter(|(number, _)| capability(&nothing, *number) == Verdict::Allow)
        .map(|(_, name)| *name)
        .collect();
    assert_eq!(there, ["chown", "dac_override", "fowner", "fsetid"]);
    assert_eq!(capability(&nothing, Capability(63)), Verdict::Deny, "one that is younger");
}

#[test]
fn capabilities_are_given_reported_and_taken_one_by_one() {
    let compiled = spec(
        "  capabilities:\n  - allow: [all]\n  - audit: [sys_nice]\n  - deny: [chown, sys_time]",
    );
    for (number, name) in Capability::ALL {
        let expected = match *number {
            Capability::SYS_NICE => Verdict::Audit,
            Capability::CHOWN | Capability::SYS_TIME => Verdict::Deny,
            _ => Verdict::Allow,
        };
        assert_eq!(capability(&compiled, *number), expected, "{name}");
    }
}

#[test]
fn acts_are_given_one_by_one_and_tracing_includes_looking() {
    for (given, _) in Act::ALL {
        let name = given.name().unwrap();
        let compiled = spec(&format!("  process:\n  - allow: [{name}]"));
        for (other, _) in Act::ALL {
            let both = (*given, *other) == (Act::TRACE, Act::INSPECT);
            let expected = if given == other || both { Verdict::Allow } else { Verdict::Deny };
            assert_eq!(act(&compiled, *other), expected, "{other:?} given {name}");
        }
    }
    let denied = spec("  process:\n  - allow: [all]\n  - deny: [trace]");
    assert_eq!(act(&denied, Act::TRACE), Verdict::Deny);
    assert_eq!(act(&denied, Act::INSPECT), Verdict::Allow);
}

#[test]
fn names_that_are_none_are_refused_with_what_is_meant() {
    let wrong = |rules: &str| wrong(rules).join("; ");
    assert_eq!(
        wrong("  capabilities:\n  - allow: [CAP_NET_ADMIN]"),
        "7:13 unknown capability `CAP_NET_ADMIN`"
    );
    assert_eq!(wrong("  process:\n  - allow: [kill]"), "7:13 unknown act `kill`");
    let ask = wrong("  process:\n  - ask: [signal]");
    assert!(ask.starts_with("7:5 a rule of `process` cannot `ask`"), "{ask}");
}

/// Gives all that a policy can give.
const EVERYTHING: &str = "  files:
  - allow: [read, write, list, create, delete, link, attr, exec, map]
    paths: ['/**']
  network:
  - allow: [connect, send]
    to: ['unix:/**']
  devices:
  - allow: ['/**']";

#[test]
fn no_policy_gives_what_could_take_the_fence_down() {
    let compiled = spec(EVERYTHING);
    for (rights, subjects) in [
        (
            &["read", "write", "create", "delete", "connect"][..],
            &[
                "/run/picket",
                "/run/picket/picket.sock",
                "/var/lib/picket/state",
                "/var/log/picket/journal",
                "/sys/fs/bpf",
                "/sys/fs/bpf/picket/TAGS",
                "/sys/kernel/tracing/kprobe_events",
                "/proc/sysrq-trigger",
                "/proc/kcore",
                "/dev/mem",
            ][..],
        ),
        (
            &["write", "create", "delete", "link", "attr"][..],
            &[
                "/etc/picket/picket.toml",
                "/etc/picket/policies/a.yaml",
                "/usr/bin/picket",
                "/usr/local/sbin/picket",
                "/etc/systemd/system/picket.service",
                "/etc/systemd/system/picket.service.d/override.conf",
                "/etc/systemd/system/multi-user.target.wants/picket.service",
                "/usr/lib/systemd/system/picket.socket",
                "/run/systemd/system/picket-boot.service",
                "/sys/fs/cgroup/cgroup.procs",
                "/sys/fs/cgroup/a/b/cgroup.kill",
                "/sys/devices/pci0000:00/uevent",
                "/sys/kernel/uevent_helper",
                "/proc/sys/kernel/core_pattern",
                "/proc/sys/kernel/modprobe",
                "/proc/sys/vm/overcommit_memory",
                "/proc/sys/fs/binfmt_misc/register",
                "/proc/1/oom_score_adj",
                "/proc/4711/task/4712/comm",
            ][..],
        ),
    ] {
        for (right, subject) in rights.iter().flat_map(|r| subjects.iter().map(move |s| (r, s))) {
            assert_eq!(path(&compiled, right, subject), Verdict::Deny, "{right} {subject}");
        }
    }
}

#[test]
fn what_is_harmless_there_a_policy_still_gives() {
    let compiled = spec(EVERYTHING);
    for (right, subject) in [
        ("read", "/etc/picket/policies/a.yaml"),
        ("exec", "/usr/bin/picket"),
        ("read", "/sys/fs/cgroup/cpu.max"),
        ("read", "/proc/sys/kernel/osrelease"),
        ("write", "/proc/sys/net/ipv4/ip_forward"),
        ("write", "/proc/self/oom_score_adj"),
        ("read", "/proc/1/stat"),
        ("write", "/etc/systemd/system/other.service"),
        ("write", "/home/u/picket/src/main.rs"),
        ("write", "/home/u/picket.service"),
        ("create", "/run/picketing"),
    ] {
        assert_eq!(path(&compiled, right, subject), Verdict::Allow, "{right} {subject}");
    }
}
