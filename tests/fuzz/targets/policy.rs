//! Policy text → compile → match. A text is either refused, with places for everything that is wrong,
//! or becomes a table that answers the same twice.

use std::io;
use std::path::Path;

use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_user::policy::{Compiled, Diagnostics, Host, Link, Options, Source, Variables, compile};

/// Name of the text in diagnostics.
const NAME: &str = "fuzz.yaml";

/// A machine with one file to include, and links: some that lead on, and two that lead to each other.
pub struct Machine;

impl Host for Machine {
    fn read_link(&self, path: &Path) -> Option<Link> {
        let (target, trusted) = match path.to_str()? {
            "/lib" => ("usr/lib", true),
            "/a" => ("/b/../a/..", false),
            "/x" => ("/y", true),
            "/y" => ("x/z", false),
            _ => return None,
        };
        Some(Link { target: target.into(), trusted })
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("a.yaml") => Ok("apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\n\
                metadata: {name: a}\nspec:\n  exec:\n  - allow: ['/q']\n"
                .to_owned()),
            // One that includes itself.
            Some("b.yaml") => Ok("apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\n\
                metadata: {name: b}\nspec:\n  include: [b.yaml]\n"
                .to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Compiles a text on [`Machine`].
pub fn compiled(text: &str) -> Result<Compiled, Diagnostics> {
    let variables: Variables =
        [("home", "/home/u"), ("workspace", "/w"), ("uid", "1000"), ("user", "u")]
            .into_iter()
            .collect();
    let source = Source { name: NAME.to_owned(), text: text.to_owned() };
    compile(&source, &variables, &Machine, Options::default())
}

/// What must be so of every refusal.
pub fn refused(diagnostics: &Diagnostics, text: &str) {
    assert!(!diagnostics.is_empty(), "refused for no reason");
    for report in diagnostics.reports() {
        assert!(report.line >= 1 && report.column >= 1 && !report.message.is_empty());
        assert!(report.file != NAME || report.line <= text.lines().count() + 1, "{report:?}");
    }
    assert!(!diagnostics.render(true).is_empty() && !diagnostics.to_string().is_empty());
}

/// What must be so of every policy.
pub fn accepted(policy: &Compiled) {
    for subject in [&b""[..], b"/", b"/usr/lib/\xff\0", b"/w/.env", &[0; 5000]] {
        for space in [Space::Path, Space::Object] {
            let judged = policy.judge(space, subject, Rights(u32::MAX));
            let known = |id: &u32| *id == 0 || policy.rule(*id).is_some();
            assert!(judged.rules.iter().all(known), "a rule that is none: {:?}", judged.rules);
        }
    }
}

/// The target.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match compiled(text) {
        Ok(policy) => {
            accepted(&policy);
            let again = compiled(text).map(|policy| policy.table);
            assert!(
                again.is_ok_and(|table| table == policy.table),
                "another table the second time"
            );
        }
        Err(diagnostics) => refused(&diagnostics, text),
    }
}
