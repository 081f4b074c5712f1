//! `picket run` with a daemon: the agent is one of the daemon's. This process makes it, starts the command
//! as its first process, shows what happens to it, and takes it away. Should the daemon end meanwhile,
//! the agent stays confined, and the next daemon goes on with it.

use std::path::{self, Path};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hyper::{Method, StatusCode};
use tokio::process::Child;

use super::output::Output;
use super::{Args, Choice, FAILED, Signals, exit_code};
use crate::api::client::{Client, ClientError, Events};
use crate::api::types::{Agent, AgentId, Ended, EventQuery, NewAgent, NewProcess, PolicyText};
use crate::event::json::Line;
use crate::launch::user::User;
use crate::launch::{self, Launch, LaunchError, gate, leftovers};
use crate::policy_host;

/// How often a daemon that is gone is looked for.
const AGAIN: Duration = Duration::from_millis(500);
/// How long the last of the agent's events are waited for.
const LAST: Duration = Duration::from_secs(10);
/// How long leftovers may take that this process cannot end itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// Runs the command.
pub fn run(
    args: Args,
    policy: &Choice,
    client: Client,
    user: Option<User>,
) -> anyhow::Result<ExitCode> {
    let new = new_agent(&args, policy, user.as_ref())?;
    let output = Output::open(args.log.as_deref(), args.quiet)?;
    let launch = args.launch(user)?;
    leftovers::adopt_orphans().context("cannot become the reaper of orphans")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let made: Agent = match client.call(Method::POST, "/v1/agents", &new).await {
            Ok(made) => made,
            // What is wrong with a policy takes lines of its own.
            Err(ClientError::Refused { status: StatusCode::BAD_REQUEST, message }) => {
                crate::cli::remark(&message);
                return Ok(ExitCode::from(FAILED));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(warnings) = &made.warnings {
            crate::cli::remark(warnings);
        }
        let follow = Follow::begin(client.clone(), made.id).await?;
        let session = Session { client, id: made.id, follow, output, started: Instant::now() };
        session.attend(launch).await
    })
}

/// What the daemon is asked for.
fn new_agent(args: &Args, policy: &Choice, user: Option<&User>) -> anyhow::Result<NewAgent> {
    let mut new = NewAgent {
        name: args.name.clone(),
        variables: args.variables(user)?.0,
        audit: args.audit,
        ..NewAgent::default()
    };
    match policy {
        Choice::Named(name) => new.policy = Some(name.clone()),
        Choice::File(file) => new.source = Some(read(file)?),
    }
    Ok(new)
}

/// Reads a policy. What it includes is found by where it is, so the daemon must know that.
pub fn read(file: &Path) -> anyhow::Result<PolicyText> {
    let unreadable = || format!("cannot read the policy {}", file.display());
    let at = path::absolute(file).with_context(unreadable)?;
    let source = policy_host::read_source(&at).with_context(unreadable)?;
    Ok(PolicyText { file: source.name, text: source.text })
}

/// One command as an agent of the daemon's, from its first process to its last.
struct Session {
    client: Client,
    id: AgentId,
    follow: Follow,
    output: Output,
    started: Instant,
}

impl Session {
    /// Runs the command to its end, and everything that it left behind.
    async fn attend(mut self, launch: Launch) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::new()?;
        let mut child = match self.start(launch).await {
            Ok(Ok(child)) => child,
            Ok(Err(error)) => {
                self.take_away(false).await;
                self.output.failed(&error);
                return Ok(ExitCode::from(error.exit_code()));
            }
            Err(error) => {
                self.take_away(false).await;
                return Err(error);
            }
        };
        let watched = self.watch(&mut child, &mut signals).await;
        let left = tokio::task::spawn_blocking(|| leftovers::end_within(PATIENCE)).await?;
        let ended = left.unwrap_or(0) + self.end_rest().await;
        let lost = self.take_away(true).await;
        self.output.summary(lost, &[], ended, self.started.elapsed())?;
        Ok(ExitCode::from(exit_code(watched?)))
    }

    /// Starts the command: its process waits, before it is that, until the daemon has tagged it.
    async fn start(&self, launch: Launch) -> anyhow::Result<Result<Child, LaunchError>> {
        let (gate, mut keeper) = gate::make().context("cannot make a pipe")?;
        let starting = tokio::task::spawn_blocking(move || launch::spawn_at(&launch, gate));
        let announced = tokio::task::spawn_blocking(move || (keeper.wait(), keeper)).await?;
        let (pid, keeper) = (announced.0?, announced.1);
        let mut refused = None;
        if let Some(pid) = pid {
            let path = format!("/v1/agents/{}/processes", self.id);
            match self.client.act(Method::POST, &path, Some(&NewProcess { pid })).await {
                Ok(()) => keeper.open().context("the command ended before it began")?,
                Err(error) => {
                    refused = Some(error);
                    drop(keeper);
                }
            }
        }
        let started = starting.await?;
        match refused {
            Some(error) => Err(error.into()),
            None => Ok(started),
        }
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
                news = self.follow.next() => self.tell(&news),
                number = signals.next() => Signals::pass_on(number, pid)?,
            }
        }
    }

    fn tell(&mut self, news: &News) {
        match news {
            News::Line(line) => self.output.line(line),
            News::Gone => self.output.trouble(
                &"the daemon is gone; the command stays confined, and what it is refused is shown when \
                  a daemon is there again",
            ),
            News::Back => self.output.trouble(&"a daemon is there again"),
        }
    }

    /// Has the daemon end what this process could not: how many processes that were.
    async fn end_rest(&mut self) -> usize {
        let path = format!("/v1/agents/{}/end", self.id);
        let done = self.client.call::<Ended>(Method::POST, &path, &()).await;
        let _ = leftovers::reap(None);
        match done {
            Ok(ended) => ended.processes,
            Err(ClientError::NoDaemon { .. } | ClientError::Broken { .. }) => {
                self.output.trouble(
                    &"no daemon is there to say whether anything of the agent is left; it would be confined",
                );
                0
            }
            Err(error) => {
                self.output.trouble(&error);
                0
            }
        }
    }

    /// Takes the agent away and shows what it did until then. How many of its events were lost.
    async fn take_away(&mut self, with_losses: bool) -> u64 {
        let path = format!("/v1/agents/{}", self.id);
        let lost = match self.client.get::<Agent>(&path).await {
            Ok(agent) if with_losses => agent.lost,
            _ => 0,
        };
        // The next daemon does it where there is none, and so does this one after a while.
        if self.client.act(Method::DELETE, &path, None::<&()>).await.is_ok() {
            let _ = tokio::time::timeout(LAST, self.show_rest()).await;
        }
        lost
    }

    /// Shows what the stream says up to the agent's end.
    async fn show_rest(&mut self) {
        loop {
            match self.follow.next().await {
                News::Line(line) => {
                    if ends(&line, self.id) {
                        return;
                    }
                    self.output.line(&line);
                }
                News::Gone => return,
                News::Back => {}
            }
        }
    }
}

/// Whether a line says that the agent has ended.
fn ends(line: &str, id: AgentId) -> bool {
    let Ok(Line::Notice(notice)) = Line::parse(line) else { return false };
    let of = |subject: &crate::event::json::Subject<'_>| subject.agent_id == id.to_string();
    notice.what == "agent ended" && notice.of.as_ref().is_some_and(of)
}

/// What following a stream brings.
enum News {
    /// A line.
    Line(String),
    /// The daemon is gone.
    Gone,
    /// There is one again.
    Back,
}

/// The events of one agent, from one daemon or several.
struct Follow {
    client: Client,
    query: EventQuery,
    events: Option<Events>,
}

impl Follow {
    async fn begin(client: Client, id: AgentId) -> Result<Follow, ClientError> {
        let agent = Some(id.to_string());
        let query = EventQuery { follow: true, agent, ..EventQuery::default() };
        let mut follow = Follow { client, query, events: None };
        follow.events = Some(follow.client.events(&follow.query).await?);
        Ok(follow)
    }

    /// What is next. Nothing is lost where somebody does not wait for it.
    async fn next(&mut self) -> News {
        let Some(events) = &mut self.events else {
            loop {
                tokio::time::sleep(AGAIN).await;
                if let Ok(events) = self.client.events(&self.query).await {
                    self.events = Some(events);
                    return News::Back;
                }
            }
        };
        match events.next_line().await {
            Ok(Some(line)) => {
                let n = Line::parse(&line).ok().and_then(|line| line.head().n);
                self.query.after = self.query.after.max(n);
                News::Line(line)
            }
            Ok(None) | Err(_) => {
                self.events = None;
                News::Gone
            }
        }
    }
}
