//! `picket run`: one command as an agent, for as long as it runs; of the daemon where there is one.

mod output;
mod own;
mod through;

pub(super) use through::read as read_policy;

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context as _, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{FAILED, asking};
use crate::launch::Launch;
use crate::launch::leftovers;
use crate::launch::user::User;
use crate::policy::Variables;
use crate::policy_host;

/// Run a command as a confined agent.
///
/// The command and everything that it starts can do only what the policy allows, whatever user they
/// become. Started through sudo, the command runs as the user who called sudo. Violations appear on
/// stderr as they happen. When the command ends, what it left running is ended too.
///
/// Where a daemon runs, the agent is one of its agents. Anybody may then start one, under the policies
/// that the administrator offers (`policies.offered`). Without a daemon it takes root, and the fence
/// is loaded for this command alone.
///
/// The exit code is the command's, or 128 plus the number of the signal that ended it. 125: picket
/// itself failed and the command was not started. 126: the command may not be run. 127: there is no
/// such command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy: the name of one of the daemon's, or a file, which only root may bring. What has a
    /// slash in it or ends in .yaml is a file.
    #[arg(long, short, value_name = "NAME|FILE")]
    policy: OsString,
    /// What to call the agent in events [default: the policy's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Give a variable of the policy a value; `workspace` is the current directory unless given.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Append every violation to FILE, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Allow everything, and report what the policy would refuse.
    #[arg(long)]
    audit: bool,
    /// Run the command as this user (name or uid).
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    daemon: asking::Daemon,
    /// Load a fence for this command alone, also where a daemon runs.
    #[arg(long, conflicts_with = "socket")]
    alone: bool,
    /// Print no violations and no summary on stderr.
    #[arg(long, short)]
    quiet: bool,
    /// The command and its arguments.
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if Variables::is_name(name) => Ok((name.to_owned(), value.to_owned())),
        Some((name, _)) => Err(format!("{name:?} is not a variable's name")),
        None => Err("give it as NAME=VALUE".to_owned()),
    }
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let user = match &args.user {
        Some(who) => Some(User::find(who)?),
        None => User::behind_sudo()?,
    };
    let policy = Choice::of(&args.policy);
    let client = args.daemon.client();
    if !args.alone && client.is_there() {
        return through::run(args, &policy, client, user);
    }
    if !args.alone && args.daemon.is_named() {
        bail!("{}; `--alone` runs the command without one", client.absent());
    }
    let file = match policy {
        Choice::File(file) => file,
        Choice::Named(name) if args.alone => {
            bail!("only a daemon has policies by name; give the file of {name:?}")
        }
        Choice::Named(name) => bail!(
            "{}. Without one, give the policy's file instead of its name, {name:?}",
            client.absent()
        ),
    };
    // SAFETY: takes nothing, cannot fail.
    if !args.alone && unsafe { libc::geteuid() } != 0 {
        bail!("{}. Without one, only root can confine anything", client.absent());
    }
    own::run(args, &file, user)
}

/// Which policy is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// One of the daemon's.
    Named(String),
    /// A file.
    File(PathBuf),
}

impl Choice {
    /// What has a slash in it or ends as files of policies do is a file.
    pub(super) fn of(given: &OsStr) -> Choice {
        match given.to_str() {
            Some(name)
                if !name.contains('/') && !name.ends_with(".yaml") && !name.ends_with(".yml") =>
            {
                Choice::Named(name.to_owned())
            }
            _ => Choice::File(given.into()),
        }
    }
}

impl Args {
    /// The variables that the policy is compiled with.
    fn variables(&self, user: Option<&User>) -> anyhow::Result<Variables> {
        let own;
        let user = match user {
            Some(user) => user,
            None => {
                own = User::current_or_unknown();
                &own
            }
        };
        let workspace = std::env::current_dir()
            .and_then(std::fs::canonicalize)
            .context("cannot find out the current directory")?;
        let mut variables =
            policy_host::variables(&user.name, user.uid, Path::new(&user.home), &workspace)?;
        for (name, value) in &self.variables {
            variables.set(name.as_str(), value.as_str());
        }
        Ok(variables)
    }

    /// What to start.
    fn launch(self, user: Option<User>) -> anyhow::Result<Launch> {
        let mut command = self.command.into_iter();
        let program = command.next().context("no command was given")?;
        Ok(Launch { program, args: command.collect(), user })
    }
}

/// The exit code that a shell would give for it.
fn exit_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128 + signal as u8,
        (None, None) => FAILED,
    }
}

/// The signals that concern the launcher. From the keyboard (interrupt, quit) they reach the whole
/// foreground group, the command included, and the launcher only has to outlive them; what is sent
/// to the launcher alone is passed on.
struct Signals {
    child: Signal,
    terminate: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            child: signal(SignalKind::child())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Passes a signal on to the command, or reaps what has ended.
    fn pass_on(number: libc::c_int, command: Option<u32>) -> std::io::Result<()> {
        match command {
            Some(_) if number == libc::SIGCHLD => leftovers::reap(command),
            Some(pid) => {
                leftovers::signal(pid, number);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The number of the next signal to act on.
    async fn next(&mut self) -> libc::c_int {
        loop {
            tokio::select! {
                _ = self.child.recv() => return libc::SIGCHLD,
                _ = self.terminate.recv() => return libc::SIGTERM,
                _ = self.hangup.recv() => return libc::SIGHUP,
                _ = self.user1.recv() => return libc::SIGUSR1,
                _ = self.user2.recv() => return libc::SIGUSR2,
                _ = self.interrupt.recv() => {}
                _ = self.quit.recv() => {}
            }
        }
    }
}
