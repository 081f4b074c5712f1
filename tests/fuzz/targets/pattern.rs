//! Patterns: of files, of programs, of addresses and of sockets, a line each, in a policy that is
//! otherwise right. What has no wildcard matches itself.

use std::fmt::Write as _;

use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_ebpf::verdict::Verdict;

use super::policy::{accepted, compiled, refused};

/// Beyond this many, time goes into the size of the policy and not into its patterns.
const LINES: usize = 12;

/// The target.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut files = String::new();
    let mut programs = String::new();
    let mut peers = String::new();
    for line in text.lines().take(LINES) {
        // As JSON, which is YAML whatever is in it.
        let quoted = serde_json::Value::from(line).to_string();
        let _ = match line.as_bytes().first() {
            Some(b'!') => {
                let quoted = serde_json::Value::from(&line[1..]).to_string();
                writeln!(programs, "  - allow: [{quoted}]")
            }
            Some(b'/' | b'*' | b'$') => {
                writeln!(files, "  - allow: [read]\n    paths: [{quoted}]")
            }
            _ => writeln!(peers, "  - allow: [connect]\n    to: [{quoted}]"),
        };
    }
    let mut policy = String::from(
        "apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: fuzz}\nspec:\n",
    );
    for (key, rules) in [("files", files), ("exec", programs), ("network", peers)] {
        if !rules.is_empty() {
            let _ = write!(policy, "  {key}:\n{rules}");
        }
    }
    match compiled(&policy) {
        Ok(found) => {
            accepted(&found);
            for line in text.lines().take(LINES).filter(|line| is_plain(line)) {
                let judged = found.judge(Space::Path, line.as_bytes(), Rights::READ);
                assert_eq!(judged.decision.verdict, Verdict::Allow, "{line:?} misses itself");
            }
        }
        Err(diagnostics) => refused(&diagnostics, &policy),
    }
}

/// Whether a line is a path as a pattern and as a name, and no link of the machine's stands in it.
fn is_plain(line: &str) -> bool {
    line.starts_with("/p/") && line.bytes().all(|byte| byte == b'/' || byte.is_ascii_alphanumeric())
}
