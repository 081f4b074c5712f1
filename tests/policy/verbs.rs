//! `picket policy` and `picket explain` as programs: what they print, and their exit codes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::support::manifest;

/// A directory that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn picket(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_picket")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn check_tells_good_from_bad_by_its_exit_code() {
    let scratch = Scratch::new("check");
    let good =
        scratch.file("good.yaml", &manifest("  files:\n  - allow: [read]\n    paths: ['/a']"));
    let bad = scratch.file("bad.yaml", &manifest("  files:\n  - allow: [reed]\n    paths: [a]"));
    let (code, out, err) = picket(&["policy", "check", &good]);
    assert_eq!((code, out, err), (0, format!("{good}: ok\n"), String::new()));
    let (code, out, err) = picket(&["policy", "check", &good, &bad, "/nowhere.yaml"]);
    assert_eq!((code, out), (1, format!("{good}: ok\n")));
    assert!(err.contains(&format!("{bad}:7:13")) && err.contains("did you mean `read`?"), "{err}");
    assert!(
        err.contains("a pattern begins with `/` or `**`") && err.contains(": 2 errors"),
        "{err}"
    );
    assert!(err.contains("/nowhere.yaml: cannot read it") && !err.contains('\x1b'), "{err}");
    assert_eq!(picket(&["policy", "check"]).0, 2);
    assert_eq!(picket(&["policy", "check", &good, "--var", "1x=2"]).0, 2);
}

#[test]
fn check_prints_json() {
    let scratch = Scratch::new("json");
    let bad = scratch.file("bad.yaml", &manifest("  mode: loud"));
    let (code, out, err) = picket(&["policy", "check", "--json", "--stats", &bad]);
    assert_eq!((code, err.as_str()), (1, ""));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let found = &json["files"][0]["diagnostics"][0];
    assert_eq!(
        (&json["ok"], &found["line"], &found["column"]),
        (&false.into(), &6.into(), &9.into())
    );
    assert_eq!((&found["text"], &found["end_column"]), (&"  mode: loud".into(), &13.into()));
}

#[test]
fn explain_names_the_rule_and_what_would_allow() {
    let scratch = Scratch::new("explain");
    let file = scratch.file(
        "p.yaml",
        &manifest("  files:\n  - allow: [read]\n    paths: ['${data}/**']\n  - deny: [read]\n    paths: ['**/key']\n    reason: secret"),
    );
    let explain = |arguments: &[&str]| {
        let fixed = ["explain", "--policy", &file, "--var", "data=/data", "--literal"];
        picket(&[&fixed, arguments].concat())
    };
    let (code, out, _) = explain(&["read", "/data/x"]);
    assert_eq!(code, 0);
    assert!(
        out.starts_with("allow read /data/x\n")
            && out.contains("p.yaml:8:13: allow [read] ${data}/**"),
        "{out}"
    );
    let (code, out, _) = explain(&["read", "/data/key"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("p.yaml:10:13: deny [read] **/key") && out.contains("reason    secret"),
        "{out}"
    );
    let (code, out, _) = explain(&["write", "/data/x", "/data/x*"]);
    assert_eq!(code, 1);
    assert!(out.contains("paths: ['/data/x']") && out.contains(r"paths: ['/data/x\*']"), "{out}");
    let (code, out, _) = explain(&["--json", "connect", "tcp:192.0.2.1:443"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["verdict"]), (1, &"deny".into()));
    assert_eq!(explain(&["reed", "/x"]).0, 2);
    assert_eq!(explain(&["read", "x"]).0, 125);
}

#[test]
fn explain_reads_subjects_from_its_input_and_goes_on_after_a_wrong_one() {
    let scratch = Scratch::new("stdin");
    let file = scratch.file("p.yaml", &manifest("  files:\n  - allow: [read]\n    paths: ['/a']"));
    let explain = |input: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_picket"))
            .args(["explain", "--literal", "--policy", &file, "read", "-"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    };
    assert_eq!(explain("/a\n\n/a\n").0, 0);
    let (code, out, err) = explain("/a\n/b\n");
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.contains("allow read /a") && out.contains("deny read /b"), "{out}");
    let (code, out, err) = explain("b\n/a/../b\n/a\n");
    assert_eq!(code, 125);
    assert!(err.contains("line 1 of standard input: `b` is no subject"), "{err}");
    assert!(err.contains("line 2 of") && out.starts_with("allow read /a"), "{out}{err}");
    assert_eq!(picket(&["explain", "--policy", "-", "read", "-"]).0, 125);
}

#[test]
fn explain_says_what_a_move_would_give_away() {
    let scratch = Scratch::new("moves");
    let file = scratch.file(
        "p.yaml",
        &manifest("  files:\n  - allow: [read, write, create, delete]\n    paths: ['/w/**']\n  - deny: [read]\n    paths: ['**/key', '/w/k/**']\n    reason: secret"),
    );
    let explain = |arguments: &[&str]| {
        picket(&[&["explain", "--policy", &file, "--literal"], arguments].concat())
    };
    assert_eq!(
        explain(&["rename", "/w/a", "/w/b"]),
        (0, "allow rename /w/a /w/b\n".into(), "".into())
    );
    let (code, out, _) = explain(&["rename", "/w/key", "/w/b"]);
    assert_eq!(code, 1);
    assert!(out.contains("it would give read") && out.contains("/w/key now"), "{out}");
    let (code, out, _) = explain(&["rename", "--directory", "--json", "/w/k", "/w/b"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["gains"]["rights"][0]), (1, &"read".into()));
    let (code, out, _) = explain(&["exchange", "/w/a", "/x"]);
    assert_eq!(code, 1);
    assert!(out.contains("because   of create, delete on /x"), "{out}");
    assert_eq!(explain(&["rename", "/w/a"]).0, 125);
    assert_eq!(explain(&["hardlink", "--directory", "/w/a", "/w/b"]).0, 125);
}

/// `picket … | head` ends quietly, as if SIGPIPE had ended it.
#[test]
fn a_closed_pipe_is_no_panic() {
    let scratch = Scratch::new("pipe");
    let file = scratch.file("p.yaml", &manifest("  exec:\n  - allow: ['/usr/**']"));
    let config = scratch.file("p.toml", "");
    for arguments in [
        &["policy", "schema"][..],
        &["policy", "check", "--json", "--stats", &file],
        &["policy", "check", "--stats", &file],
        &["explain", "--policy", &file, "read", "/x"],
        &["explain", "--json", "--policy", &file, "read", "/x"],
        &["explain", "--policy", &file, "rename", "/x", "/y"],
        &["completions", "bash"],
        &["daemon", "--print-config"],
        &["daemon", "--check-config", "--config", &config],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let command =
            Command::new(env!("CARGO_BIN_EXE_picket")).args(arguments).stdout(writer).output();
        let Output { status, stderr, .. } = command.unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
        assert_eq!(status.code(), Some(141), "{arguments:?}: {stderr}");
    }
}

/// Where nobody reads the errors the exit code is what it is where somebody does.
#[test]
fn errors_that_nobody_reads_are_no_panic() {
    let scratch = Scratch::new("errors");
    let (bad, socket) = (scratch.file("p.yaml", "{"), scratch.0.join("none"));
    let socket = socket.to_str().unwrap();
    for arguments in [
        &["daemon", "--check-config", "--config", &bad][..],
        &["explain", "--policy", &bad, "read", "/x"],
        &["explain", "--policy", &bad, "read"],
        &["ps", "--socket", socket],
        &["status", "--socket", socket],
        &["tail", "--socket", socket],
        &["policy", "list", "--socket", socket],
        &["policy", "load", &bad, "--socket", socket],
        &["run", "--socket", socket, "--policy", &bad, "--", "/bin/true"],
        &["run", "--socket", socket, "--policy", "none", "--", "/bin/true"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let picket = |to: std::process::Stdio| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_picket"));
            command.args(arguments).stderr(to).output().unwrap()
        };
        let read = picket(std::process::Stdio::piped());
        assert!(!read.status.success() && !read.stderr.is_empty(), "{arguments:?}: {read:?}");
        assert_eq!(picket(writer.into()).status, read.status, "{arguments:?}");
    }
}

/// What explain says would allow an operation does allow it.
#[test]
fn advice_that_is_taken_works() {
    let scratch = Scratch::new("advice");
    for (right, subject, section) in [
        ("read", r"/a b/*{x}'y\xff", "files"),
        ("exec", "/x", "exec"),
        ("device", "/dev/kvm", "devices"),
        ("connect", "tcp:[2001:db8::1]:443", "network"),
        ("bind", "udp:127.0.0.1:53", "network"),
        ("connect", "unix:/run/x.sock", "network"),
        ("send", r"unix:@a*\x01", "network"),
    ] {
        let empty = scratch.file("empty.yaml", &manifest("  mode: enforce"));
        let (_, out, _) =
            picket(&["explain", "--json", "--literal", "--policy", &empty, right, subject]);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let advice = json["to_allow"].as_str().unwrap();
        let rule = advice.strip_prefix(&format!("add under {section}:\n")).unwrap();
        let taken = scratch.file(
            "taken.yaml",
            &manifest(&format!("  {section}:\n  {}", rule.replace('\n', "\n  "))),
        );
        let (code, out, err) =
            picket(&["explain", "--literal", "--policy", &taken, right, subject]);
        assert_eq!(code, 0, "{advice}\n{out}{err}");
    }
}
