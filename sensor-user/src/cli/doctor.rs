//! `picket doctor`: whether this machine can enforce, and what to do where it cannot.

use std::io::Write;
use std::process::ExitCode;

use anstyle::AnsiColor;
use hyper::Method;

use super::asking::{self, Daemon};
use crate::api::client::Client;
use crate::api::types::{Canary, Probe, Status};
use crate::canary::{self, Cage};
use crate::engine::{Engine, Identity};
use crate::kernel::support::{self, Check};
use crate::policy::{self, Options, Variables};
use crate::policy_host::LocalHost;

/// Say whether this machine can enforce policies, per kernel hook, and what is missing and how to
/// get it.
///
/// Sends a canary: a process under a policy, which tries one forbidden operation of each kind. Each must be
/// refused, and reported by the hook that it is to prove. Where a daemon runs, that is its canary under the
/// programs in force (or its last one, if you are not root); else every program is loaded and attached for as
/// long as it takes. Exit code 0 only if all of that works.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.daemon.client();
    let daemon = client.is_there();
    let mut checks = if daemon { Vec::new() } else { support::checks() };
    let mut probes = Vec::new();
    if checks.iter().all(|check| check.ok) {
        let found = if daemon { of_daemon(&client) } else { of_own() };
        let found = found.unwrap_or_else(|error| vec![canary::not_sent(&error)]);
        checks.push(summary(&found, daemon));
        probes = found;
    }
    let enforcing = checks.iter().all(|check| check.ok);
    if args.json {
        let report = serde_json::json!({
            "enforcing": enforcing, "daemon": daemon, "checks": checks, "canary": probes,
        });
        writeln!(std::io::stdout(), "{report:#}")?;
    } else {
        print(&checks, &probes, enforcing)?;
    }
    Ok(ExitCode::from(u8::from(!enforcing)))
}

fn print(checks: &[Check], probes: &[Probe], enforcing: bool) -> std::io::Result<()> {
    let (good, bad) = (AnsiColor::Green.on_default(), AnsiColor::Red.on_default().bold());
    let mut out = anstream::stdout().lock();
    for check in checks {
        let (style, mark) = if check.ok { (good, "ok") } else { (bad, "no") };
        writeln!(out, "{style}{mark}{style:#}  {}: {}", check.what, check.found)?;
        if let Some(remedy) = &check.remedy {
            writeln!(out, "      remedy: {remedy}")?;
        }
    }
    for Probe { operation, refused, found, .. } in probes {
        let (style, mark) = if *refused { (good, "ok") } else { (bad, "no") };
        writeln!(out, "{style}{mark}{style:#}  canary: {operation}: {found}")?;
    }
    match enforcing {
        true => writeln!(out, "{good}picket can enforce on this machine{good:#}"),
        false => writeln!(out, "{bad}picket cannot enforce on this machine{bad:#}"),
    }
}

/// The canary as one check.
fn summary(probes: &[Probe], daemon: bool) -> Check {
    let free = probes.iter().filter(|probe| !probe.refused).count();
    let ok = free == 0 && !probes.is_empty();
    let whose = if daemon { "the daemon's programs" } else { "programs attached for it" };
    let found = match free {
        _ if probes.is_empty() => "none has been sent yet".to_owned(),
        0 => format!("was refused {} operations of {} by {whose}", probes.len(), probes.len()),
        _ => format!("was not refused {free} operations of {} by {whose}", probes.len()),
    };
    let remedy = (!ok).then(|| "report it with the output of `uname -a`".to_owned());
    Check { what: "canary".to_owned(), ok, found, remedy }
}

/// A canary of the daemon's, or what its last one found.
fn of_daemon(client: &Client) -> anyhow::Result<Vec<Probe>> {
    asking::wait(async {
        // SAFETY: takes nothing, and cannot fail.
        let root = unsafe { libc::geteuid() } == 0;
        let canary: Canary = match root {
            true => client.call(Method::POST, "/v1/canary", &()).await?,
            false => client.get::<Status>("/v1/status").await?.canary,
        };
        Ok(canary.probes)
    })
}

/// Enforces for a moment.
fn of_own() -> anyhow::Result<Vec<Probe>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let program = std::env::current_exe()?;
    let cage =
        Cage::make(std::env::temp_dir().join(format!("picket-canary-{}", std::process::id())))?;
    let options = Options { refuse_ask: true, audit: false };
    let source = canary::policy(&program)?;
    let compiled = policy::compile(&source, &Variables::default(), &LocalHost, options)
        .map_err(|errors| anyhow::anyhow!("{}", errors.render(false)))?;
    let mut engine = Engine::load()?;
    let who = Identity { name: canary::NAME.to_owned(), ..Identity::default() };
    let tag = engine.add_agent(who, &compiled)?;
    engine.attach()?;
    let mut stream = engine.stream()?;
    let mut probes = canary::play(engine.tags()?, tag, &program, &cage)?;
    // All of it is in the ring: an event is there before its operation has failed.
    let events = std::iter::from_fn(|| stream.next_event());
    let seen = events.flatten().filter_map(|event| event.hook.name().map(str::to_owned)).collect();
    let lost = engine.counters(tag)?.lost;
    canary::judge(&mut probes, &canary::Account { seen, lost });
    Ok(probes)
}
