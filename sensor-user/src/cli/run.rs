//! `picket run`: one command as an agent, for as long as it runs.

mod output;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Instant;

use anyhow::{Context as _, bail};
use sensor_ebpf::tag::Tag;
use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::FAILED;
use crate::engine::Engine;
use crate::engine::stream::Stream;
use crate::kernel::load::Pins;
use crate::kernel::pins;
use crate::kernel::support;
use crate::launch::user::User;
use crate::launch::{self, Launch, leftovers};
use crate::policy::{self, Compiled, Options, Variables};
use crate::policy_host::{self, LocalHost};
use output::Output;

/// Run a command as a confined agent.
///
/// The command and everything that it starts can do only what the policy allows, whatever user they
/// become. Started through sudo, the command runs as the user who called sudo. Violations appear on
/// stderr as they happen. When the command ends, what it left running is ended too.
///
/// The exit code is the command's, or 128 plus the number of the signal that ended it. 125: picket
/// itself failed and the command was not started. 126: the command may not be run. 127: there is no
/// such command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy.
    #[arg(long, short, value_name = "FILE")]
    policy: PathBuf,
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
    /// Print no violations and no summary on stderr.
    #[arg(long, short)]
    quiet: bool,
    /// The command and its arguments.
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if Variables::is_name(name) => Ok((name.to_owned(), value.to_owned())),
        Some((name, _)) => Err(format!("{name:?} is not a variable's name")),
        None => Err("give it as NAME=VALUE".to_owned()),
    }
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(check) = support::obstacle() {
        let remedy = check.remedy.unwrap_or_default();
        bail!("{}: {}; {remedy}", check.what, check.found);
    }
    let user = match &args.user {
        Some(who) => Some(User::find(who)?),
        None => User::behind_sudo()?,
    };
    let Some(policy) = compile(&args, user.as_ref())? else {
        return Ok(ExitCode::from(FAILED));
    };
    let output = Output::open(args.log.as_deref(), args.quiet)?;
    let mut command = args.command.into_iter();
    let launch = Launch {
        program: command.next().context("no command was given")?,
        args: command.collect(),
        user,
    };
    let name = args.name.unwrap_or_else(|| policy.name.clone());
    let mut engine = Engine::load()?;
    let tag = engine.add(name, policy)?;
    leftovers::adopt_orphans().context("cannot become the reaper of orphans")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Session::start(engine, tag, output)?.attend(&launch).await })
}

/// Compiles the policy; `None` if that failed, and why was printed.
fn compile(args: &Args, user: Option<&User>) -> anyhow::Result<Option<Compiled>> {
    let path = args.policy.display();
    let source = policy_host::read_source(&args.policy)
        .with_context(|| format!("cannot read the policy {path}"))?;
    let own;
    let user = match user {
        Some(user) => user,
        None => {
            own = User::current()?;
            &own
        }
    };
    let workspace = std::env::current_dir()
        .and_then(std::fs::canonicalize)
        .context("cannot find out the current directory")?;
    let mut variables =
        policy_host::variables(&user.name, user.uid, Path::new(&user.home), &workspace)?;
    for (name, value) in &args.variables {
        variables.set(name.as_str(), value.as_str());
    }
    let options = Options { refuse_ask: true, audit: args.audit };
    let (compiled, diagnostics) = match policy::compile(&source, &variables, &LocalHost, options) {
        Ok(compiled) => {
            let warnings = compiled.warnings.clone();
            (Some(compiled), warnings)
        }
        Err(errors) => (None, errors),
    };
    if !diagnostics.is_empty() {
        anstream::eprintln!("{}", diagnostics.render(true));
    }
    Ok(compiled)
}

/// One command under the fence, from the first hook to the last leftover.
struct Session {
    engine: Engine,
    stream: Stream,
    tag: Tag,
    output: Output,
    started: Instant,
}

impl Session {
    /// Puts the fence up.
    fn start(mut engine: Engine, tag: Tag, output: Output) -> anyhow::Result<Session> {
        engine.attach_pinned(Pins::create(Path::new(pins::ROOT))?)?;
        let stream = engine.stream()?;
        Ok(Session { engine, stream, tag, output, started: Instant::now() })
    }

    /// Runs the command to its end, and everything that it left behind.
    async fn attend(mut self, launch: &Launch) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::new()?;
        let mut child = match launch::spawn(launch, self.engine.tags()?, self.tag) {
            Ok(child) => child,
            Err(error) => {
                self.report();
                self.output.failed(&error);
                return Ok(ExitCode::from(error.exit_code()));
            }
        };
        // Whatever happened while watching: the fence stands until nothing is left inside.
        let watched = self.watch(&mut child, &mut signals).await;
        let ended = match tokio::task::spawn_blocking(leftovers::end).await {
            Ok(Ok(ended)) => ended,
            failed => {
                // The pins stay, and with them the fence.
                std::mem::forget(self);
                failed??;
                bail!("cannot tell whether anything of the agent is left; it stays confined");
            }
        };
        self.report();
        self.summarise(ended)?;
        Ok(ExitCode::from(exit_code(watched?)))
    }

    /// Reports violations and passes signals on until the command has ended.
    async fn watch(
        &mut self,
        child: &mut Child,
        signals: &mut Signals,
    ) -> anyhow::Result<ExitStatus> {
        let pid = child.id();
        loop {
            tokio::select! {
                status = child.wait() => return Ok(status?),
                ready = self.stream.ready() => {
                    ready?;
                    self.report();
                }
                number = signals.next() => match pid {
                    Some(_) if number == libc::SIGCHLD => leftovers::reap(pid)?,
                    Some(pid) => leftovers::signal(pid, number),
                    None => {}
                },
            }
        }
    }

    /// Prints and logs every event that is there. Nothing that goes wrong here may end the watch.
    fn report(&mut self) {
        while let Some(event) = self.stream.next_event() {
            match event {
                Ok(event) => {
                    if let Some(context) = self.engine.context(&event) {
                        self.output.event(&event, context);
                    }
                }
                Err(error) => self.output.trouble(&error),
            }
        }
    }

    fn summarise(&mut self, ended: usize) -> anyhow::Result<()> {
        let counters = self.engine.counters(self.tag)?;
        let faults = self.engine.faults()?;
        self.output.summary(counters.lost, &faults, ended, self.started.elapsed())
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
