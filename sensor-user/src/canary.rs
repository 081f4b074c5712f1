//! The canary: a tagged process that tries one forbidden operation of each kind. Only when every one was
//! refused *by its hook* is it said that there is a fence: programs attach without complaint on a kernel that
//! never calls them, and a permission that the process lacks anyway looks like a refusal. So each errno must
//! come with an event of the hook that it is to prove.
//!
//! Here is what it may have, where it tries, and how it is judged; [`probes`] is the tagged process's own
//! part. Who makes the agent and reads the events is not known here.

pub mod probes;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use sensor_ebpf::tag::Tag;

use crate::api::types::Probe;
use crate::kernel::maps::Tags;
use crate::policy::Source;

/// The hidden verb under which the program plays the canary.
pub const ARGUMENT: &str = "canary-in-the-cage";
/// What it is called, and its policy.
pub const NAME: &str = "picket-canary";
/// How long it may take.
const TIME: Duration = Duration::from_secs(20);

/// What a canary can have: itself, what its attempts need to get as far as their hooks, and nothing else.
///
/// # Errors
/// If the program's path cannot be written down.
pub fn policy(program: &Path) -> anyhow::Result<Source> {
    let program = serde_json::to_string(&escape(program))?;
    let (shell, users) = (probes::SHELL, probes::USERS);
    let text = format!(
        "apiVersion: picket.dev/v1alpha1
kind: AgentPolicy
metadata:
  name: {NAME}
spec:
  files:
    - allow: [read]
      paths: [{program}, {users}]
    - allow: [read, map]
      paths: [{shell}]
    - deny: [map]
      paths: [{users}]
  exec:
    - allow: [{program}]
  capabilities:
    - allow: [sys_admin, sys_chroot, net_raw, bpf, perfmon, sys_ptrace, kill]
"
    );
    Ok(Source { name: "canary".to_owned(), text })
}

/// A path as a pattern that means just it.
fn escape(path: &Path) -> String {
    let special = |c: char| "\\*?[]{}$,".contains(c);
    let text = path.to_string_lossy();
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// A directory with what the canary tries things on; removed in the end.
pub struct Cage {
    at: PathBuf,
    _server: UnixListener,
}

impl Cage {
    /// Makes it, empty of what another left.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn make(at: PathBuf) -> io::Result<Cage> {
        let _ = fs::remove_dir_all(&at);
        fs::create_dir_all(at.join("directory"))?;
        fs::write(at.join("file"), "")?;
        fs::write(at.join("victim"), "")?;
        let server = UnixListener::bind(at.join("server"))?;
        Ok(Cage { at, _server: server })
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // What is left is emptied by the next.
        let _ = fs::remove_dir_all(&self.at);
    }
}

/// Runs `program`, which is this one, as a process of the agent `tag`; what its attempts came to, by errno
/// alone.
///
/// # Errors
/// If it cannot be started, or says nothing.
pub fn play(tags: Tags, tag: Tag, program: &Path, cage: &Cage) -> anyhow::Result<Vec<Probe>> {
    let mut command = Command::new(program);
    command.arg(ARGUMENT).arg(&cage.at).env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
    // SAFETY: `tag_self` only makes system calls and allocates nothing, as the time between fork and
    // exec demands.
    unsafe { command.pre_exec(move || tags.tag_self(tag)) };
    let mut child = command.spawn().context("the canary could not be sent")?;
    let mut output = child.stdout.take().map(|out| out.take(1 << 20));
    let (done, waited) = std::sync::mpsc::channel::<()>();
    let status = std::thread::spawn(move || {
        // Ended by the reader, who has everything, or by the time.
        let _ = waited.recv_timeout(TIME);
        let _ = child.kill();
        child.wait()
    });
    let mut text = String::new();
    let read = output.as_mut().map_or(Ok(0), |out| out.read_to_string(&mut text));
    drop(done);
    let status = status.join().map_err(|_| anyhow::anyhow!("nobody waited for the canary"))??;
    read?;
    if text.is_empty() {
        anyhow::bail!("the canary ended with {status} and said nothing");
    }
    Ok(serde_json::from_str(&text)?)
}

/// What became known of the canary's refusals, beside its own word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Names of hooks that reported something of this canary.
    pub seen: BTreeSet<String>,
    /// How many of its events found no room in the ring: the kernel counts them exactly.
    pub lost: u64,
}

impl Account {
    fn missing<'a>(&'a self, probes: &'a [Probe]) -> impl Iterator<Item = usize> + 'a {
        let missing = |probe: &Probe| probe.refused && !self.seen.contains(&probe.hook);
        probes.iter().enumerate().filter(move |(_, probe)| missing(probe)).map(|(index, _)| index)
    }

    /// Whether every refusal is accounted for: reported by its hook, or among those that are known to be
    /// lost. A ring that nobody empties does not make an armed fence look like none.
    #[must_use]
    pub fn closes(&self, probes: &[Probe]) -> bool {
        self.missing(probes).count() as u64 <= self.lost
    }
}

/// Takes refusals back that are not accounted for: it was not the fence that refused.
pub fn judge(probes: &mut [Probe], account: &Account) {
    if account.closes(probes) {
        return;
    }
    let missing: Vec<usize> = account.missing(probes).collect();
    for index in missing {
        let probe = &mut probes[index];
        probe.refused = false;
        probe.found = format!("{}, but not by {}, which reported nothing", probe.found, probe.hook);
    }
}

/// That a canary could not be sent, as something that was not refused.
#[must_use]
pub fn not_sent(error: &anyhow::Error) -> Probe {
    Probe {
        operation: "send a canary".to_owned(),
        hook: String::new(),
        refused: false,
        found: format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use sensor_ebpf::rights::Rights;
    use sensor_ebpf::table::Space;
    use sensor_ebpf::verdict::Verdict;

    use super::*;
    use crate::policy::{self as language, Options, Variables};
    use crate::policy_host::LocalHost;

    #[test]
    fn the_canarys_policy_is_one() {
        let source = policy(Path::new("/opt/a b/pic[k]et")).unwrap();
        let options = Options { refuse_ask: true, audit: false };
        let compiled = language::compile(&source, &Variables::default(), &LocalHost, options);
        let compiled = compiled.map_err(|errors| errors.render(false)).unwrap();
        let judge = |path: &[u8], right| compiled.judge(Space::Path, path, right).decision.verdict;
        assert_eq!(judge(b"/opt/a b/pic[k]et", Rights::EXEC), Verdict::Allow);
        assert_eq!(judge(b"/opt/a b/pick", Rights::READ), Verdict::Deny);
        assert_eq!(judge(probes::USERS.as_bytes(), Rights::READ), Verdict::Allow);
        assert_eq!(judge(probes::USERS.as_bytes(), Rights::MAP), Verdict::Deny);
    }

    #[test]
    fn a_refusal_that_no_hook_reported_does_not_count() {
        let probe = |hook: &str, refused| Probe {
            hook: hook.to_owned(),
            refused,
            found: "found".to_owned(),
            ..Probe::default()
        };
        let probes = [probe("file_open", true), probe("bpf", true), probe("path_link", false)];
        let seen = BTreeSet::from(["file_open".to_owned(), "path_link".to_owned()]);
        let refused = |probes: &[Probe]| probes.iter().map(|p| p.refused).collect::<Vec<_>>();

        let mut judged = probes.clone();
        let account = Account { seen: seen.clone(), lost: 0 };
        assert!(!account.closes(&judged));
        judge(&mut judged, &account);
        assert_eq!(refused(&judged), [true, false, false]);
        assert!(judged[1].found.contains("not by bpf"), "{}", judged[1].found);

        // One of its events is known to be lost, and one is missing.
        let mut judged = probes.clone();
        judge(&mut judged, &Account { seen, lost: 1 });
        assert_eq!(refused(&judged), [true, true, false]);
        // More are missing than were lost.
        let mut judged = probes;
        judge(&mut judged, &Account { seen: BTreeSet::new(), lost: 1 });
        assert_eq!(refused(&judged), [false, false, false]);
    }
}
