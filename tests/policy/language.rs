//! The language: what patterns match, how rules combine, what is refused and where.

use std::net::Ipv6Addr;

use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{KIND_ABSTRACT, ObjectSubject};
use sensor_ebpf::table::Space;
use sensor_ebpf::verdict::Verdict;
use sensor_user::policy::{Compiled, Options, RuleKind, Source, compile};

use super::support::{
    FakeHost, allows, compile_text, manifest, path, spec, spec_on, variables, wrong,
};

/// Whether a policy with only `pattern` lets `subject` be read.
fn matches(pattern: &str, subject: impl AsRef<[u8]>) -> bool {
    let quoted = pattern.replace('\'', "''");
    let compiled = spec(&format!("  files:\n  - allow: [read]\n    paths: ['{quoted}']"));
    allows(&compiled, "read", subject)
}

#[test]
fn globs_match_what_the_table_in_the_docs_says() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("/a", &["/a"], &["/", "/a/", "/ab", "/a/b", "a", ""]),
        ("/", &["/"], &["", "//", "/a"]),
        ("/a/*", &["/a/b", "/a/.b", "/a/b\nc"], &["/a", "/a/b/c", "/b"]),
        ("/a/*.rs", &["/a/x.rs", "/a/.rs"], &["/a/x.rss", "/a/b/x.rs"]),
        ("/a/**", &["/a", "/a/b", "/a/b/c", "/a/.x"], &["/ab", "/", "/b/a"]),
        ("/a/**/b", &["/a/b", "/a/x/b", "/a/x/y/b"], &["/ab", "/a/xb", "/a/b/c", "/a"]),
        ("/a/**/b/**", &["/a/b", "/a/x/b/c", "/a/b/b"], &["/a/c", "/a/bb/c"]),
        ("**/b", &["/b", "/a/b", "/a/c/b"], &["/ab", "/b/a"]),
        ("/**/b", &["/b", "/a/b", "/a/c/b"], &["/ab", "/b/a"]),
        ("**/b/**", &["/b", "/a/b/c"], &["/ab/c"]),
        ("**", &["/", "/a", "/a/b"], &[]),
        ("/**", &["/", "/a", "/a/b"], &[]),
        ("/a/**/**", &["/a", "/a/b"], &["/ab"]),
        ("/a/?", &["/a/x", "/a/é", "/a/€", "/a/😀"], &["/a/", "/a/xy", "/a//"]),
        ("/a/[a-c]x", &["/a/bx"], &["/a/dx", "/a/x"]),
        ("/a/[!a-c]x", &["/a/dx", "/a/éx"], &["/a/bx", "/a//x", "/a/x"]),
        ("/a/[]", &[], &[]),
        ("/{a,b/c}/d", &["/a/d", "/b/c/d"], &["/b/d", "/c/d"]),
        ("/a{,.bak}", &["/a", "/a.bak"], &["/a."]),
        ("/{a,{b,c}d}", &["/a", "/bd", "/cd"], &["/b", "/d"]),
        (r"/a\*", &["/a*"], &["/ab", r"/a\*"]),
        (r"/a\\b", &[r"/a\b"], &["/ab"]),
        (r"/a\{b\,c}d".trim_end_matches("}d"), &["/a{b,c"], &["/ab"]),
        ("/a,b", &["/a,b"], &["/a"]),
        ("/a[é-ü]", &["/aê"], &["/aa", "/aý"]),
        ("/a[-x]", &["/a-", "/ax"], &["/ab"]),
        ("/proc/self/**", &["/proc/self", "/proc/self/maps"], &["/proc/1/maps"]),
    ];
    for (pattern, yes, no) in cases.iter().filter(|case| !case.1.is_empty()) {
        for subject in *yes {
            assert!(matches(pattern, subject), "{pattern} must match {subject}");
        }
        for subject in *no {
            assert!(!matches(pattern, subject), "{pattern} must not match {subject}");
        }
    }
}

#[test]
fn any_byte_can_be_named() {
    assert!(matches(r"/\xff\xfe", b"/\xff\xfe"));
    assert!(matches(r"/a?", b"/a\xff"));
    assert!(matches(r"/[\x80-\xff]", b"/\x90") && !matches(r"/[\x80-\xff]", "/é"));
    assert!(matches("/*", b"/\n\x01\xff") && !matches("/*", b"/a\0b"));
    assert!(!matches("/?", b"/\0"));
}

#[test]
fn variables_are_literal() {
    let mut variables = variables();
    variables.set("odd", "/x/*[a]{b,c}\\");
    variables.set("slash", "/w/");
    let text = manifest(
        "  files:\n  - allow: [read]\n    paths: ['${odd}/**', '${slash}/src', '/\\$\\{home\\}']",
    );
    let source = Source { name: "t".into(), text };
    let compiled = compile(&source, &variables, &FakeHost::default(), Options::default()).unwrap();
    for subject in ["/x/*[a]{b,c}\\", "/x/*[a]{b,c}\\/y", "/w/src", "/${home}"] {
        assert!(allows(&compiled, "read", subject), "{subject}");
    }
    assert!(!allows(&compiled, "read", "/x/za/b"));
}

#[test]
fn deny_beats_ask_beats_audit_beats_allow_in_any_order() {
    let rules = [
        "  - allow: [read, write]\n    paths: ['/w/**']\n",
        "  - audit: [read]\n    paths: ['**/log']\n",
        "  - ask: [read]\n    paths: ['/w/a/**']\n",
        "  - deny: [read]\n    paths: ['/w/a/b/**', '**/key']\n",
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let list: String = order.iter().map(|i| rules[*i]).collect();
        let compiled = spec(&format!("  files:\n{list}"));
        let verdict = |subject: &str| path(&compiled, "read", subject);
        assert_eq!(verdict("/w/x"), Verdict::Allow);
        assert_eq!(verdict("/w/log"), Verdict::Audit);
        assert_eq!(verdict("/log"), Verdict::Audit);
        assert_eq!(verdict("/w/a/log"), Verdict::Ask);
        assert_eq!(verdict("/w/a/b/log"), Verdict::Deny);
        assert_eq!(verdict("/w/key"), Verdict::Deny);
        assert_eq!(verdict("/x"), Verdict::Deny);
        assert_eq!(path(&compiled, "write", "/w/a/b/c"), Verdict::Allow);
    }
}

#[test]
fn the_deciding_rule_is_named() {
    let compiled = spec(
        "  files:\n  - allow: [read]\n    paths: ['/w/**']\n    reason: the work\n  - deny: [read]\n    paths: ['/w/x', '/w/?', '/w/d/**']\n  - deny: [read]\n    paths: ['/w/d/e/**']\n",
    );
    let rule = |subject: &str| {
        let judged = compiled.judge(Space::Path, subject.as_bytes(), Rights::READ);
        compiled
            .rule(judged.rule(Rights::READ))
            .map(|rule| (rule.kind, rule.pattern.as_str(), rule.line))
    };
    assert_eq!(rule("/w/abc"), Some((RuleKind::Allow, "/w/**", 8)));
    assert_eq!(rule("/w/x"), Some((RuleKind::Deny, "/w/x", 11)));
    assert_eq!(rule("/w/y"), Some((RuleKind::Deny, "/w/?", 11)));
    assert_eq!(rule("/w/d/e/f"), Some((RuleKind::Deny, "/w/d/**", 11)));
    assert_eq!(rule("/q"), None);
    assert_eq!(compiled.rule(1).unwrap().reason.as_deref(), Some("the work"));
}

fn inet(compiled: &Compiled, right: Rights, transport: u8, address: &str, port: u16) -> Verdict {
    let address: Ipv6Addr = match address.parse::<std::net::IpAddr>().unwrap() {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        std::net::IpAddr::V6(v6) => v6,
    };
    let subject = ObjectSubject::inet(transport, address.octets(), port);
    compiled.judge(Space::Object, subject.as_bytes(), right).decision.verdict
}

#[test]
fn networks_ports_and_protocols() {
    let compiled = spec(
        "  network:\n  - allow: [connect]\n    to: ['10.0.0.0/8:5432', '[2001:db8::]/32:443', 'tcp:*:80', 'icmp:*', '0.0.0.0:9']\n  - deny: [connect]\n    to: ['10.1.0.0/16']\n  - allow: [bind]\n    on: ['127.0.0.1:8000-8999', '0.0.0.0:7']\n",
    );
    let connect = |transport, address, port| {
        inet(&compiled, Rights::CONNECT, transport, address, port) == Verdict::Allow
    };
    assert!(connect(6, "10.2.3.4", 5432) && connect(17, "10.2.3.4", 5432));
    assert!(connect(6, "::ffff:10.2.3.4", 5432));
    assert!(!connect(6, "10.1.3.4", 5432) && !connect(6, "10.1.3.4", 80));
    assert!(!connect(6, "11.2.3.4", 5432) && !connect(6, "10.2.3.4", 5433));
    assert!(connect(6, "2001:db8:1::1", 443) && !connect(6, "2001:db9::1", 443));
    assert!(connect(6, "1.1.1.1", 80) && connect(6, "2::1", 80) && !connect(17, "1.1.1.1", 80));
    assert!(connect(1, "9.9.9.9", 0) && !connect(255, "9.9.9.9", 80));
    assert!(connect(6, "127.0.0.1", 9) && !connect(6, "::1", 9));
    assert_eq!(inet(&compiled, Rights::SEND, 17, "10.2.3.4", 5432), Verdict::Allow);
    let bind = |address, port| inet(&compiled, Rights::BIND, 6, address, port) == Verdict::Allow;
    assert!(bind("127.0.0.1", 8000) && bind("127.0.0.1", 8999) && bind("0.0.0.0", 7));
    assert!(!bind("127.0.0.1", 9000) && !bind("0.0.0.0", 8000) && !bind("127.0.0.1", 7));
}

#[test]
fn unix_sockets_by_path_and_by_abstract_name() {
    let compiled = spec(
        "  network:\n  - allow: [connect]\n    to: ['unix:/run/user/*/agent.sock', 'unix:@dbus-*']\n  - allow: [send]\n    to: ['unix:/run/log']\n  - allow: [bind]\n    on: ['unix:@own/**']\n",
    );
    assert!(allows(&compiled, "connect", "/run/user/1000/agent.sock"));
    assert!(allows(&compiled, "send", "/run/user/1000/agent.sock"));
    assert!(allows(&compiled, "send", "/run/log") && !allows(&compiled, "connect", "/run/log"));
    let abs = |right, name: &[u8]| {
        let subject = [&[KIND_ABSTRACT], name].concat();
        compiled.judge(Space::Object, &subject, right).decision.verdict == Verdict::Allow
    };
    assert!(
        abs(Rights::CONNECT, b"dbus-x")
            && !abs(Rights::CONNECT, b"dbus-x/y")
            && !abs(Rights::BIND, b"dbus-x")
    );
    assert!(
        abs(Rights::BIND, b"own/a/b") && abs(Rights::BIND, b"own") && !abs(Rights::BIND, b"owner")
    );
}

#[test]
fn built_in_rules_allow_ordinary_sockets_and_pipes() {
    let compiled = spec("  mode: enforce");
    let socket = |family, kind, protocol| {
        let subject = ObjectSubject::family(family, kind, protocol);
        compiled.judge(Space::Object, subject.as_bytes(), Rights::SOCKET)
    };
    for (family, kind, protocol) in [
        (1, 1, 0),
        (1, 5, 1),
        (2, 1, 6),
        (2, 2, 17),
        (2, 2, 1),
        (10, 2, 58),
        (16, 3, 0),
        (16, 2, 0),
    ] {
        let judged = socket(family, kind, protocol);
        assert_eq!(judged.decision.verdict, Verdict::Allow, "{family} {kind} {protocol}");
        let rule = compiled.rule(judged.rule(Rights::SOCKET)).unwrap();
        assert!(rule.file == "built-in" && rule.reason.is_some());
    }
    for (family, kind, protocol) in
        [(2, 3, 1), (2, 1, 262), (10, 2, 1), (16, 3, 16), (17, 3, 0), (40, 1, 0), (2, 2, 58)]
    {
        assert_eq!(
            socket(family, kind, protocol).decision.verdict,
            Verdict::Deny,
            "{family} {kind} {protocol}"
        );
    }
    for (what, verdict) in [(b'p', Verdict::Allow), (b'm', Verdict::Allow), (b'o', Verdict::Deny)] {
        let subject = ObjectSubject::anon(what);
        let judged =
            compiled.judge(Space::Object, subject.as_bytes(), Rights::READ | Rights::WRITE);
        assert_eq!(judged.decision.verdict, verdict);
    }
}

#[test]
fn programs_may_be_run_and_mapped_and_denied_to_run() {
    let compiled = spec(
        "  exec:\n  - allow: ['/usr/bin/**']\n  - deny: ['/usr/bin/sudo']\n  - audit: ['/opt/x']\n",
    );
    assert!(allows(&compiled, "exec", "/usr/bin/ls") && allows(&compiled, "map", "/usr/bin/ls"));
    assert_eq!(path(&compiled, "exec", "/usr/bin/sudo"), Verdict::Deny);
    assert!(allows(&compiled, "map", "/usr/bin/sudo"));
    assert_eq!(path(&compiled, "exec", "/opt/x"), Verdict::Audit);
    assert!(allows(&compiled, "map", "/opt/x"));
}

#[test]
fn devices_are_allowed_by_name_and_a_few_are_built_in() {
    let compiled = spec(
        "  files:\n  - allow: [read, write]\n    paths: ['/**']\n\
         \x20 devices:\n  - allow: ['/dev/{kvm,sda}', '/dev/zero']\n  - deny: ['/dev/sd*', '/dev/full']",
    );
    for allowed in ["/dev/kvm", "/dev/null", "/dev/zero", "/dev/tty", "/dev/ptmx", "/dev/pts/7"] {
        assert!(allows(&compiled, "device", allowed), "{allowed}");
    }
    for denied in ["/dev/sda", "/dev/full", "/dev/mem", "/dev/tty1", "/dev", "/dev/pts", "/x"] {
        assert!(!allows(&compiled, "device", denied), "{denied}");
    }
}

#[test]
fn links_are_followed_where_nobody_but_root_can_change_them() {
    let host = FakeHost::default()
        .link("/bin", "usr/bin", true)
        .link("/usr/bin/sh", "dash", true)
        .link("/var/run", "/run", true)
        .link("/w/l", "/etc", false);
    let compiled = spec_on(
        "  exec:\n  - allow: ['/bin/sh']\n  files:\n  - allow: [read]\n    paths: ['/w/l/**', '${workspace}/**']\n  network:\n  - deny: [connect]\n    to: ['unix:/var/run/docker.sock', 'unix:/w/l/sock']\n  - allow: [connect]\n    to: ['unix:/run/**', 'unix:/etc/**']\n",
        &host,
    );
    assert!(allows(&compiled, "exec", "/usr/bin/dash") && allows(&compiled, "exec", "/bin/sh"));
    assert!(!allows(&compiled, "exec", "/usr/bin/sh"));
    assert!(!allows(&compiled, "read", "/etc/shadow"));
    assert_eq!(path(&compiled, "connect", "/run/docker.sock"), Verdict::Deny);
    assert_eq!(path(&compiled, "connect", "/run/other.sock"), Verdict::Allow);
    assert_eq!(path(&compiled, "connect", "/etc/sock"), Verdict::Deny);
    assert_eq!(compiled.warnings.len(), 1);
    assert!(compiled.warnings.iter().all(|w| w.message.contains("`/w/l` is a symbolic link")));
}

#[test]
fn included_rules_count_and_denials_stay() {
    let included = manifest("  files:\n  - deny: [read]\n    paths: ['/w/secret/**']");
    let host = FakeHost::default()
        .file("base/a.yaml", &included)
        .file("base/b.yaml", &manifest("  include: [a.yaml, ../c.yaml]"))
        .file("c.yaml", &manifest("  include: [base/a.yaml]\n  exec:\n  - allow: ['/c']"));
    let compiled = spec_on(
        "  include: [base/b.yaml]\n  files:\n  - allow: [read]\n    paths: ['/w/**', '/w/secret/x']",
        &host,
    );
    assert!(allows(&compiled, "read", "/w/x") && allows(&compiled, "exec", "/c"));
    assert_eq!(path(&compiled, "read", "/w/secret/x"), Verdict::Deny);
    let judged = compiled.judge(Space::Path, b"/w/secret/x", Rights::READ);
    assert_eq!(compiled.rule(judged.rule(Rights::READ)).unwrap().file, "base/a.yaml");

    let circle =
        host.file("base/a.yaml", &manifest("  include: [../test.yaml]")).file("test.yaml", "");
    let found = compile_text(&manifest("  include: [base/a.yaml]"), &circle).unwrap_err();
    assert_eq!(
        found.reports()[0].message,
        "the files include each other in a circle: test.yaml → base/a.yaml → test.yaml"
    );
}

/// The verdict on making a socket.
fn socket(compiled: &Compiled, family: u16, kind: u8, protocol: u16) -> Verdict {
    let subject = ObjectSubject::family(family, kind, protocol);
    compiled.judge(Space::Object, subject.as_bytes(), Rights::SOCKET).decision.verdict
}

#[test]
fn kinds_of_sockets_can_be_allowed_and_taken_away() {
    let compiled = spec(
        "  network:\n  - allow: [socket]\n    families: [vsock, inet/raw/icmp, netlink/audit]\n  \
         - audit: [socket]\n    families: [packet/dgram]\n  - deny: [socket]\n    families: [inet6]\n  \
         - ask: [socket]\n    families: ['alg/*/3']\n",
    );
    for (family, kind, protocol, verdict) in [
        (40, 1, 0, Verdict::Allow),
        (40, 5, 9, Verdict::Allow),
        (2, 3, 1, Verdict::Allow),
        (2, 3, 6, Verdict::Deny),
        (16, 2, 9, Verdict::Allow),
        (16, 3, 9, Verdict::Allow),
        (16, 3, 15, Verdict::Deny),
        (17, 2, 0x0300, Verdict::Audit),
        (17, 3, 0x0300, Verdict::Deny),
        (38, 5, 3, Verdict::Ask),
        (38, 5, 4, Verdict::Deny),
        // Built in, and taken away.
        (10, 1, 6, Verdict::Deny),
        (10, 2, 0, Verdict::Deny),
        // Built in.
        (2, 1, 6, Verdict::Allow),
        (2, 1, 262, Verdict::Deny),
        (1, 2, 0, Verdict::Allow),
        (16, 3, 0, Verdict::Allow),
    ] {
        assert_eq!(
            socket(&compiled, family, kind, protocol),
            verdict,
            "{family}/{kind}/{protocol}"
        );
    }
    let any = spec("  network:\n  - allow: [socket]\n    families: ['*']");
    assert_eq!(socket(&any, 44, 3, 0), Verdict::Allow);
    // Nothing else is given by it.
    let peer = ObjectSubject::inet(6, [7; 16], 80);
    let judged = any.judge(Space::Object, peer.as_bytes(), Rights::CONNECT);
    assert_eq!(judged.decision.verdict, Verdict::Deny);
}

#[test]
fn kinds_of_sockets_that_cannot_be_meant_are_refused_where_they_stand() {
    let found = wrong(
        "  network:\n  - allow: [socket]\n    families: [vscok, inet/rwa]\n  \
         - allow: [connect]\n    families: [vsock]\n    to: ['*']\n  - allow: [socket]\n",
    );
    assert_eq!(
        found,
        [
            "8:16 unknown socket family `vscok`",
            "8:28 unknown socket type or protocol `rwa`",
            "10:15 `families` goes with `socket`, and the rule does not name it",
            "12:5 `socket` needs `families`",
        ]
    );
}
