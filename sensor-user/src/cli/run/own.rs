//! `picket run` without a daemon: a kernel side of its own, for as long as the command runs.

use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::time::Instant;

use anyhow::{Context as _, bail};
use sensor_ebpf::tag::Tag;
use tokio::process::Child;

use super::output::Output;
use super::{Args, FAILED, Signals, exit_code};
use crate::engine::Engine;
use crate::engine::stream::Stream;
use crate::kernel::load::Pins;
use crate::kernel::{pins, support};
use crate::launch::user::User;
use crate::launch::{self, Launch, leftovers};
use crate::policy::{self, Compiled, Options, Variables};
use crate::policy_host::{self, LocalHost};

/// Runs the command.
pub fn run(args: Args, file: &Path, user: Option<User>) -> anyhow::Result<ExitCode> {
    if let Some(check) = support::obstacle() {
        let remedy = check.remedy.unwrap_or_default();
        bail!("{}: {}; {remedy}", check.what, check.found);
    }
    let variables = args.variables(user.as_ref())?;
    let Some(policy) = compile(file, &variables, args.audit)? else {
        return Ok(ExitCode::from(FAILED));
    };
    let output = Output::open(args.log.as_deref(), args.quiet)?;
    let name = args.name.clone().unwrap_or_else(|| policy.name.clone());
    let launch = args.launch(user)?;
    let mut engine = Engine::load()?;
    let tag = engine.add(name, policy)?;
    leftovers::adopt_orphans().context("cannot become the reaper of orphans")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Session::start(engine, tag, output)?.attend(&launch).await })
}

/// Compiles the policy; `None` if that failed, and why was printed.
fn compile(file: &Path, variables: &Variables, audit: bool) -> anyhow::Result<Option<Compiled>> {
    let source = policy_host::read_source(file)
        .with_context(|| format!("cannot read the policy {}", file.display()))?;
    let options = Options { refuse_ask: true, audit };
    let (compiled, diagnostics) = match policy::compile(&source, variables, &LocalHost, options) {
        Ok(compiled) => {
            let warnings = compiled.warnings.clone();
            (Some(compiled), warnings)
        }
        Err(errors) => (None, errors),
    };
    if !diagnostics.is_empty() {
        crate::cli::remark(&diagnostics.render(true));
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
                number = signals.next() => Signals::pass_on(number, pid)?,
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
