//! The policies that ship: each compiles without a word of complaint, gives a reason for every
//! rule, and says of telling subjects what its golden file says.
//!
//! `PICKET_BLESS=1` writes the golden files anew; review the difference before it is committed.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sensor_ebpf::rights::Rights;
use sensor_ebpf::verdict::Verdict;
use sensor_user::policy::{Compiled, Options, Source, Subject, Variables, compile, schema};

use super::support::FakeHost;

const MODELINE: &str = "# yaml-language-server: $schema=agent-policy.schema.json\n";

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every policy that is judged here. The demo's has its own tests beside the demo.
fn policies() -> BTreeMap<String, String> {
    texts().filter(|(name, _)| name != "demo.yaml").collect()
}

/// The name and the text of every policy's file.
fn texts() -> impl Iterator<Item = (String, String)> {
    fs::read_dir(directory("policies"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), read(&path)))
}

/// A Debian, as far as policies see one.
fn host(policies: &BTreeMap<String, String>) -> FakeHost {
    let mut host = FakeHost::default();
    for (at, target) in [
        ("/bin", "usr/bin"),
        ("/sbin", "usr/sbin"),
        ("/lib", "usr/lib"),
        ("/lib64", "usr/lib64"),
        ("/usr/bin/sh", "dash"),
        ("/usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        ("/var/run", "/run"),
        ("/var/lock", "/run/lock"),
        ("/dev/fd", "/proc/self/fd"),
        ("/etc/os-release", "../usr/lib/os-release"),
        ("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
    ] {
        host = host.link(at, target, true);
    }
    for (name, text) in policies {
        host = host.file(name, text);
    }
    host
}

fn variables() -> Variables {
    let pairs = [
        ("home", "/home/agent"),
        ("workspace", "/home/agent/project"),
        ("uid", "1000"),
        ("user", "agent"),
    ];
    pairs.into_iter().collect()
}

/// Every policy, compiled, by the name of its file.
fn all() -> &'static BTreeMap<String, Compiled> {
    static ALL: OnceLock<BTreeMap<String, Compiled>> = OnceLock::new();
    ALL.get_or_init(|| {
        let policies = policies();
        let host = host(&policies);
        let options = Options { refuse_ask: true, audit: false };
        let compiled = |(name, text): (&String, &String)| {
            let source = Source { name: name.clone(), text: text.clone() };
            match compile(&source, &variables(), &host, options) {
                Ok(compiled) => (name.clone(), compiled),
                Err(diagnostics) => panic!("{diagnostics}"),
            }
        };
        policies.iter().map(compiled).collect()
    })
}

/// One of them, by the name of its file.
pub fn policy(name: &str) -> &'static Compiled {
    all().get(name).unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn editors_find_the_schema_from_each() {
    for (name, text) in texts() {
        assert!(
            text.starts_with(MODELINE),
            "{name} lacks the line that editors find the schema by"
        );
    }
}

#[test]
fn they_are_well_formed_and_explain_themselves() {
    let policies = policies();
    assert!(policies.len() >= 15, "{:?}", policies.keys());
    for name in policies.keys() {
        let compiled = &all()[name];
        assert!(compiled.warnings.is_empty(), "{}", compiled.warnings);
        assert_eq!(format!("{}.yaml", compiled.name), *name);
        for rule in &compiled.rules {
            assert!(rule.reason.is_some(), "{}:{} has no reason", rule.file, rule.line);
        }
    }
}

#[test]
fn the_schema_beside_them_is_the_compilers() {
    let file = directory("policies").join("agent-policy.schema.json");
    let expected = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if env::var_os("PICKET_BLESS").is_some() {
        fs::write(&file, &expected).unwrap();
    }
    assert_eq!(read(&file), expected, "write it anew with PICKET_BLESS=1");
}

/// What a policy says of every telling subject.
fn verdicts(compiled: &Compiled, subjects: &str) -> String {
    let mut out = String::new();
    for line in subjects.lines().filter(|line| !line.is_empty()) {
        let Some((right, subject)) = line.split_once(' ').filter(|_| !line.starts_with('#')) else {
            writeln!(out, "{line}").unwrap();
            continue;
        };
        let right = Rights::from_name(right).unwrap();
        let parsed = Subject::parse(subject.as_bytes(), right, None).unwrap();
        let judged = compiled.judge(parsed.space(), parsed.bytes(), right);
        let rule = match compiled.rule(judged.rule(right)) {
            Some(rule) => format!("{} {} {}", rule.file, rule.kind.name(), rule.pattern),
            None if judged.decision.verdict == Verdict::Deny => "no rule".to_owned(),
            None => "implied".to_owned(),
        };
        writeln!(out, "{:5} {line} ({rule})", judged.decision.verdict.name()).unwrap();
    }
    out
}

#[test]
fn they_say_what_their_golden_files_say() {
    let golden = directory("tests/policy/golden");
    let subjects = read(&golden.join("subjects.txt"));
    for (name, compiled) in all() {
        let file = golden.join(name.replace(".yaml", ".txt"));
        let found = verdicts(compiled, &subjects);
        if env::var_os("PICKET_BLESS").is_some() {
            fs::write(&file, &found).unwrap();
        }
        let expected = read(&file);
        let differing = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
        assert_eq!(differing, None, "{name}: expected, found");
        assert_eq!(expected.lines().count(), found.lines().count(), "{name}");
    }
}

/// The misdeeds that no policy may ever let through, whatever its golden file says.
#[test]
fn none_lets_an_agent_at_what_is_not_its_own() {
    for (name, compiled) in all() {
        for line in [
            "read /home/agent/.ssh/id_ed25519",
            "create /home/agent/.ssh/authorized_keys",
            "read /home/agent/.aws/credentials",
            "read /etc/shadow",
            "write /etc/passwd",
            "write /usr/bin/ls",
            "exec /usr/bin/sudo",
            "write /home/agent/.bashrc",
            "create /home/agent/project/.git/hooks/pre-commit",
            "read /home/other/x",
            "read /proc/1/environ",
            "read /dev/sda",
            "connect tcp:169.254.169.254:80",
            "connect unix:/run/docker.sock",
            "connect unix:/run/user/1000/bus",
            "connect unix:/run/user/1000/systemd/private",
            "connect unix:/run/systemd/private",
            "connect unix:/run/dbus/system_bus_socket",
            "connect unix:/tmp/ssh-x/agent.1",
            "connect unix:/tmp/.X11-unix/X0",
            "connect unix:@/tmp/.X11-unix/X0",
            "connect unix:/tmp/tmux-1000/default",
            "connect tcp:127.0.0.1:2375",
            "create /var/spool/cron/crontabs/agent",
            "create /home/agent/.local/bin/git",
            "create /home/agent/.config/autostart/x.desktop",
            "write /home/agent/project/.git/config",
            "create /home/agent/project/.git/commondir",
            "read /proc/1/task/1/environ",
            "bind tcp:0.0.0.0:8000",
            "socket socket:inet/raw/1",
            "socket socket:packet/raw",
        ] {
            let (right, subject) = line.split_once(' ').unwrap();
            let right = Rights::from_name(right).unwrap();
            let subject = Subject::parse(subject.as_bytes(), right, None).unwrap();
            let judged = compiled.judge(subject.space(), subject.bytes(), right);
            assert_eq!(judged.decision.verdict, Verdict::Deny, "{name}: {line}");
        }
    }
}
