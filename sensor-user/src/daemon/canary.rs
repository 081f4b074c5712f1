//! The canary: a tagged process that tries one forbidden operation for each kind of hook. Only when
//! every one was refused is it said that there is a fence: programs attach without complaint on a
//! kernel that never calls them.
//!
//! The daemon makes the agent, starts this program anew as one of it ([`ARGUMENT`]) and reads what
//! that found. What is tried does no harm where it is not refused: it concerns a directory made for
//! it, a socket of its own, or the process itself.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use sensor_ebpf::hook::Hook;

use super::core::{Core, lock};
use super::peer::Peer;
use crate::api::types::{AgentId, Canary, NewAgent, PolicyText, Probe};
use sensor_ebpf::tag::Tag;

/// The hidden verb under which the program plays the canary.
pub const ARGUMENT: &str = "canary-in-the-cage";
/// How long it may take.
const TIME: Duration = Duration::from_secs(20);
/// What it is called.
const NAME: &str = "picket-canary";

/// Sends a canary, and remembers and returns what it found.
pub fn send(core: &Core) -> Canary {
    let probes = match try_send(core) {
        Ok(probes) => probes,
        Err(error) => vec![Probe {
            operation: "send a canary".to_owned(),
            hook: String::new(),
            refused: false,
            found: format!("{error:#}"),
        }],
    };
    let at = Some(humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
    let canary = Canary { at, probes };
    let free: Vec<&str> =
        canary.probes.iter().filter(|p| !p.refused).map(|p| p.operation.as_str()).collect();
    if free.is_empty() {
        core.notice("canary was refused everything", None, None);
    } else {
        core.notice("canary was not refused", None, Some(&free.join(", ")));
    }
    lock(&core.canary).clone_from(&canary);
    canary
}

fn try_send(core: &Core) -> anyhow::Result<Vec<Probe>> {
    let program = std::env::current_exe()?;
    let cage = core.config().daemon.state.join("canary");
    make_cage(&cage)?;
    let new = NewAgent {
        name: Some(NAME.to_owned()),
        source: Some(PolicyText { file: "canary".to_owned(), text: policy(&program)? }),
        ..NewAgent::default()
    };
    let agent = core.create(Peer::SELF, new)?;
    let outcome = play(core, agent.id, &program, &cage);
    core.remove(Peer::SELF, agent.id)?;
    outcome
}

/// What a canary can have: itself, and nothing to try things on.
fn policy(program: &Path) -> anyhow::Result<String> {
    let program = serde_json::to_string(&escape(program))?;
    Ok(format!(
        "apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\nmetadata:\n  name: {NAME}\nspec:\n  \
         files:\n    - allow: [read]\n      paths: [{program}]\n  exec:\n    - allow: [{program}]\n"
    ))
}

/// A path as a pattern that means just it.
fn escape(path: &Path) -> String {
    let special = |c: char| "\\*?[]{}$,".contains(c);
    let text = path.to_string_lossy();
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

fn make_cage(cage: &Path) -> io::Result<()> {
    let _ = fs::remove_dir_all(cage);
    fs::create_dir_all(cage.join("directory"))?;
    fs::write(cage.join("file"), "")?;
    fs::write(cage.join("victim"), "")
}

/// Runs the program as a process of the agent. It waits, before it becomes that, to be tagged.
fn play(core: &Core, id: AgentId, program: &Path, cage: &Path) -> anyhow::Result<Vec<Probe>> {
    let tags = core.engine().tags()?;
    let tag: Tag = id.into();
    let mut command = Command::new(program);
    command.arg(ARGUMENT).arg(cage).env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
    // SAFETY: `tag_self` only makes system calls and allocates nothing, as the time between fork and
    // exec demands.
    unsafe { command.pre_exec(move || tags.tag_self(tag)) };
    let mut child = command.spawn()?;
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
    let status = status.join().map_err(|_| anyhow::anyhow!("nobody waited for it"))??;
    read?;
    if text.is_empty() {
        anyhow::bail!("it ended with {status} and said nothing");
    }
    Ok(serde_json::from_str(&text)?)
}

/// The canary's own part: tries everything and prints what came of it.
///
/// # Errors
/// If it cannot be printed.
pub fn sing(cage: &Path) -> anyhow::Result<()> {
    let probes: Vec<Probe> = PROBES
        .iter()
        .map(|(operation, hook, attempt)| {
            let outcome = attempt(cage);
            let wanted = hook.errno();
            let (refused, found) = match outcome {
                Ok(()) => (false, "went through".to_owned()),
                Err(error) => (error.raw_os_error() == Some(wanted), error.to_string()),
            };
            let hook = hook.name().unwrap_or("unknown").to_owned();
            Probe { operation: (*operation).to_owned(), hook, refused, found }
        })
        .collect();
    println!("{}", serde_json::to_string(&probes)?);
    Ok(())
}

/// An operation: what it is, the hook that refuses it, and how it is tried.
type Attempt = (&'static str, Hook, fn(&Path) -> io::Result<()>);

/// One for each kind of hook.
const PROBES: &[Attempt] = &[
    ("read a file", Hook::FILE_OPEN, |cage| fs::File::open(cage.join("file")).map(drop)),
    ("create a file", Hook::PATH_MKNOD, |cage| fs::File::create_new(cage.join("new")).map(drop)),
    ("make a directory", Hook::PATH_MKDIR, |cage| fs::create_dir(cage.join("made"))),
    ("delete a file", Hook::PATH_UNLINK, |cage| fs::remove_file(cage.join("victim"))),
    ("delete a directory", Hook::PATH_RMDIR, |cage| fs::remove_dir(cage.join("directory"))),
    ("rename a file", Hook::PATH_RENAME, |cage| fs::rename(cage.join("file"), cage.join("moved"))),
    ("link a file", Hook::PATH_LINK, |cage| fs::hard_link(cage.join("file"), cage.join("linked"))),
    ("make a symbolic link", Hook::PATH_SYMLINK, |cage| {
        std::os::unix::fs::symlink("file", cage.join("symbolic"))
    }),
    ("truncate a file", Hook::PATH_TRUNCATE, |cage| {
        let path = c_path(cage.join("file"))?;
        // SAFETY: a path that ends with a NUL, and an integer.
        check(unsafe { libc::truncate(path.as_ptr(), 0) })
    }),
    ("run a program", Hook::BPRM_CHECK_SECURITY, |_| Err(Command::new("/bin/sh").exec())),
    ("connect to a TCP port", Hook::SOCKET_CONNECT, |_| {
        std::net::TcpStream::connect(("127.0.0.1", 9)).map(drop)
    }),
    ("listen on a TCP port", Hook::SOCKET_BIND, |_| {
        std::net::TcpListener::bind(("127.0.0.1", 0)).map(drop)
    }),
    ("make a raw socket", Hook::SOCKET_CREATE, |_| {
        // SAFETY: takes integers only; what comes of it is closed with the process.
        check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW) })
    }),
    ("signal another process", Hook::TASK_KILL, |_| {
        // SAFETY: takes integers only; a process that does not ask for this signal does not notice it.
        check(unsafe { libc::kill(libc::getppid(), libc::SIGURG) })
    }),
    ("use bpf(2)", Hook::BPF, |_| {
        // SAFETY: a command without a structure, which is refused as an error in any case.
        let code = unsafe { libc::syscall(libc::SYS_bpf, 0, std::ptr::null::<u8>(), 0) };
        check(code as libc::c_int)
    }),
    ("make a user namespace", Hook::USERNS_CREATE, |_| {
        // SAFETY: takes an integer only.
        check(unsafe { libc::unshare(libc::CLONE_NEWUSER) })
    }),
    ("change the root directory", Hook::PATH_CHROOT, |cage| {
        let path = c_path(cage.to_owned())?;
        // SAFETY: a path that ends with a NUL.
        check(unsafe { libc::chroot(path.as_ptr()) })
    }),
];

fn check(code: libc::c_int) -> io::Result<()> {
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn c_path(path: PathBuf) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canarys_policy_is_one() {
        let source = crate::policy::Source {
            name: "canary".to_owned(),
            text: policy(Path::new("/opt/a b/pic[k]et")).unwrap(),
        };
        let compiled = super::super::library::compile_for(&source, &Default::default(), false);
        let compiled = compiled.unwrap();
        let judge = |path: &[u8], right| {
            compiled.judge(sensor_ebpf::table::Space::Path, path, right).decision.verdict
        };
        use sensor_ebpf::rights::Rights;
        use sensor_ebpf::verdict::Verdict;
        assert_eq!(judge(b"/opt/a b/pic[k]et", Rights::EXEC), Verdict::Allow);
        assert_eq!(judge(b"/opt/a b/pick", Rights::READ), Verdict::Deny);
    }
}
