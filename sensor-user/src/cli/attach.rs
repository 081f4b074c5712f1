//! `picket attach`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hyper::Method;

use super::asking;
use super::run::{Choice, variable};
use crate::api::types::{Attach, Attached, NewAgent, Whom};
use crate::launch::user::User;
use crate::policy_host;

/// Confine processes that run already, as an agent of the daemon.
///
/// A process is taken in with everything that descends from it, all its threads, until nobody is left
/// out; so are all processes of a cgroup or of a unit of systemd. What they make later is in by itself.
/// What is of another agent already stays of that.
///
/// Files, sockets and the like that they have open they keep, and may go on using: they are listed. With
/// `--cut-off` whatever the policy does not allow of these is refused whenever it is used.
///
/// There is no way out again but the processes' end and `picket uninstall`. Root only.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).args(["pid", "cgroup", "unit"]))]
pub struct Args {
    /// The process.
    #[arg(value_name = "PID")]
    pid: Option<u32>,
    /// All processes of this cgroup: its directory, or its path below /sys/fs/cgroup.
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    /// All processes of this unit of systemd.
    #[arg(long, value_name = "NAME")]
    unit: Option<String>,
    /// The policy: the name of one of the daemon's, or a file. What has a slash in it or ends in .yaml
    /// is a file.
    #[arg(long, short, value_name = "NAME|FILE")]
    policy: OsString,
    /// What to call the agent in events [default: the policy's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Give a variable of the policy a value. `user`, `uid`, `home` and `workspace` are the process's
    /// own and its working directory; for a cgroup or unit, give what the policy takes.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Refuse also the use of what is open already where the policy does not allow it.
    #[arg(long)]
    cut_off: bool,
    /// Allow everything, and report what the policy would refuse.
    #[arg(long)]
    audit: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: asking::Daemon,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let wanted = args.wanted()?;
    let client = args.daemon.client();
    let attached: Attached =
        asking::wait(async { Ok(client.call(Method::POST, "/v1/attach", &wanted).await?) })?;
    if let Some(warnings) = &attached.agent.warnings {
        super::remark(warnings);
    }
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&attached)?)?;
    } else {
        say(&attached, args.cut_off)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn wanted(&self) -> anyhow::Result<Attach> {
        let mut agent =
            NewAgent { name: self.name.clone(), audit: self.audit, ..NewAgent::default() };
        let whom = match (self.pid, &self.cgroup, &self.unit) {
            (Some(pid), ..) => {
                agent.variables = variables_of(pid)?;
                Whom::Pid(pid)
            }
            (_, Some(at), _) => Whom::Cgroup(text("cgroup", at.as_os_str())?),
            (.., unit) => Whom::Unit(unit.clone().unwrap_or_default()),
        };
        agent.variables.extend(self.variables.iter().cloned());
        match Choice::of(&self.policy) {
            Choice::Named(name) => agent.policy = Some(name),
            Choice::File(file) => agent.source = Some(super::run::read_policy(&file)?),
        }
        Ok(Attach { agent, whom, cut_off: self.cut_off })
    }
}

fn text(what: &str, given: &OsStr) -> anyhow::Result<String> {
    given.to_str().map(str::to_owned).with_context(|| format!("the {what} {given:?} is not UTF-8"))
}

/// What a policy's variables are for a process.
fn variables_of(pid: u32) -> anyhow::Result<std::collections::BTreeMap<String, String>> {
    let at = PathBuf::from(format!("/proc/{pid}"));
    let owner = fs::metadata(&at).with_context(|| format!("there is no process {pid}"))?.uid();
    let user = User::find(&owner.to_string()).unwrap_or_else(|_| User::unknown(owner));
    let workspace = fs::read_link(at.join("cwd"));
    let (home, known) = (Path::new(&user.home), workspace.is_ok());
    let all = policy_host::variables(&user.name, user.uid, home, &workspace.unwrap_or_default());
    let mut all = all?.0;
    if !known {
        // A policy that asks for it is refused for that.
        all.remove("workspace");
    }
    Ok(all)
}

fn say(attached: &Attached, cut_off: bool) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    let agent = &attached.agent;
    writeln!(
        out,
        "{} ({}) under {}: {} processes taken in",
        agent.name, agent.id, agent.policy, attached.taken
    )?;
    for process in &agent.processes {
        writeln!(out, "  process {} of user {}: {}", process.pid, process.uid, process.command)?;
    }
    for (pid, other) in &attached.others {
        writeln!(out, "  process {pid} is of agent {other}, and stays that")?;
    }
    if attached.vanished > 0 {
        writeln!(
            out,
            "  {} processes ended meanwhile; what they left to others may not be in. A cgroup leaves \
             nobody out",
            attached.vanished
        )?;
    }
    if !attached.open.is_empty() {
        let what = if cut_off { "judged whenever they are used" } else { "theirs to use still" };
        writeln!(out, "open before, {what}:")?;
    }
    for open in &attached.open {
        writeln!(out, "  {} {} {}", open.pid, open.fd, open.target)?;
    }
    Ok(())
}
