//! The real `picket`, as a daemon with directories of its own, and asking it things. Its kernel side is
//! not the one of the [`fence`](super::fence): both are in force at once, and each knows its own tags.
//!
//! Bringing a kernel side into force takes half a minute on an emulated machine, so there is one that
//! the tests have in turns: the first daemon makes it, the others adopt it.

use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::Method;
use sensor_user::api::client::{Client, ClientError};
use sensor_user::api::types::{Agent, AgentId, NewAgent, NewProcess, Status};
use sensor_user::kernel::load::Tags;
use sensor_user::kernel::maps::Maps;
use sensor_user::kernel::pins;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::child::{Answer, Child};
use super::sys::Res;

/// The program.
pub const PICKET: &str = "/usr/local/bin/picket";

/// How long anything may take before it is given up. Under emulation loading alone takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Looks until `look` finds something; panics with `what` if it never does.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A policy with these lines of `spec`.
pub fn manifest(name: &str, spec: &str) -> String {
    let indented: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\nmetadata:\n  name: {name}\nspec:\n{indented}"
    )
}

/// Held by the test that has the common kernel side.
static COMMON: Mutex<()> = Mutex::new(());

/// Everything that belongs to a daemon, each in a place of its own; gone when the test is over, but for
/// the common kernel side.
pub struct Home {
    root: PathBuf,
    pins: PathBuf,
    state: PathBuf,
    common: Option<MutexGuard<'static, ()>>,
    /// Whether agents of the tests before may still be there.
    used: Cell<bool>,
}

impl Home {
    /// With an empty directory of policies and the kernel side that the tests have in common.
    pub fn new(name: &str) -> Home {
        let guard = COMMON.lock().unwrap_or_else(PoisonError::into_inner);
        Home::made(name, "common", Some(guard))
    }

    /// With an empty directory of policies and no kernel side.
    pub fn apart(name: &str) -> Home {
        Home::made(name, name, None)
    }

    fn made(name: &str, side: &str, common: Option<MutexGuard<'static, ()>>) -> Home {
        // Where no policy gives an agent anything.
        let run = Path::new("/run/picket");
        let home = Home {
            root: run.join(format!("daemon-{name}")),
            pins: Path::new(pins::ROOT).join(format!("daemon-{side}")),
            state: run.join(format!("daemon-state-{side}")),
            used: Cell::new(common.is_some()),
            common,
        };
        home.clean();
        fs::create_dir_all(home.policies()).unwrap();
        home.configure("");
        home
    }

    fn clean(&self) {
        let _ = fs::remove_dir_all(&self.root);
        if self.common.is_none() {
            let _ = fs::remove_dir_all(&self.pins);
            let _ = fs::remove_dir_all(&self.state);
        }
    }

    /// The pins of its kernel side.
    pub fn pins(&self) -> &Path {
        &self.pins
    }

    /// What it must know after a restart.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The directory of policies.
    pub fn policies(&self) -> PathBuf {
        self.root.join("policies")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("control/picket.sock")
    }

    /// The event log.
    pub fn log(&self) -> PathBuf {
        self.root.join("log/events.jsonl")
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("picket.toml")
    }

    /// What the daemon printed, every start of it.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.root.join("printed")).unwrap_or_default()
    }

    /// Writes the configuration: where everything is, and `more` lines of TOML. A table of
    /// `[daemon]`, or `path` of `[sinks.file]`, cannot be given once more.
    pub fn configure(&self, more: &str) {
        self.configure_with_log(&self.log(), more);
    }

    /// The same with the event log elsewhere.
    pub fn configure_with_log(&self, log: &Path, more: &str) {
        let text = format!(
            "policies.directory = {:?}\nsinks.file.path = {:?}\n{more}\n[daemon]\nsocket = {:?}\n\
             state = {:?}\npins = {:?}\n",
            self.policies(),
            log,
            self.socket(),
            self.state(),
            self.pins()
        );
        fs::write(self.config(), text).unwrap();
    }

    /// Writes a policy into the directory, as a whole. A running daemon notices of its own accord.
    pub fn policy(&self, name: &str, spec: &str) -> PathBuf {
        self.policy_text(name, &manifest(name, spec))
    }

    /// Writes the text of a policy's file into the directory.
    pub fn policy_text(&self, name: &str, text: &str) -> PathBuf {
        let (new, file) = (self.policies().join(".new"), self.policies().join(name));
        let file = file.with_extension("yaml");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &file).unwrap();
        file
    }

    /// The map of tags of its kernel side.
    pub fn tags(&self) -> Tags {
        Maps::pinned(&self.pins).unwrap().tags().unwrap()
    }

    /// The records of the event log so far.
    pub fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the records say that the daemon did.
    pub fn notices(&self) -> Vec<String> {
        let text = |record: &Value| Some(record["what"].as_str()?.to_owned());
        self.records().iter().filter_map(text).collect()
    }

    /// Starts the daemon and waits until it answers.
    #[track_caller]
    pub fn start(&self) -> Daemon {
        self.start_as(Path::new(PICKET))
    }

    /// The same of another build.
    #[track_caller]
    pub fn start_as(&self, program: &Path) -> Daemon {
        self.wait_for(self.spawn(program))
    }

    /// The same with standard output and error that nobody reads.
    #[track_caller]
    pub fn start_unheard(&self) -> Daemon {
        let mut command = self.command(Path::new(PICKET));
        let (_, out) = std::io::pipe().unwrap();
        let (_, err) = std::io::pipe().unwrap();
        self.wait_for(command.stdout(out).stderr(err).spawn().unwrap())
    }

    /// The same, started by a program that takes its command as its last arguments and becomes it.
    #[track_caller]
    pub fn start_under(&self, words: &[&str]) -> Daemon {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(PICKET).args(["daemon", "--config"]).arg(self.config());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.wait_for(command.spawn().unwrap())
    }

    #[track_caller]
    fn wait_for(&self, process: Process) -> Daemon {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::new(Some(&self.socket()));
        let mut daemon = Daemon { process, client, runtime, over: false };
        eventually("a daemon answers", || {
            let ended = daemon.process.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.printed());
            daemon.get::<Value>("/v1/health").ok()
        });
        if self.used.take() {
            // Those of rules are this test's own.
            for agent in daemon.agents().iter().filter(|agent| agent.rule.is_none()) {
                let path = format!("/v1/agents/{}", agent.id);
                daemon.act(Method::DELETE, &path, None::<&()>).unwrap();
            }
        }
        daemon
    }

    /// Starts a daemon that is expected not to stay: how it ended and what it printed.
    pub fn fail_to_start(&self) -> (ExitStatus, String) {
        let before = self.printed().len();
        let mut process = self.spawn(Path::new(PICKET));
        let status = eventually("a daemon gives up", || process.try_wait().unwrap());
        (status, self.printed().split_off(before))
    }

    fn spawn(&self, program: &Path) -> Process {
        let path = self.root.join("printed");
        let printed = File::options().append(true).create(true).open(path).unwrap();
        let mut command = self.command(program);
        command.stdout(printed.try_clone().unwrap()).stderr(printed).spawn().unwrap()
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["daemon", "--config"]).arg(self.config()).stdin(Stdio::null());
        command
    }

    /// Runs a verb of the program with this daemon's socket in the environment.
    pub fn picket(&self, arguments: &[&str]) -> Output {
        self.verb(arguments).output().unwrap()
    }

    /// The same as a user who is not root.
    pub fn picket_as(&self, uid: u32, arguments: &[&str]) -> Output {
        self.verb(arguments).uid(uid).gid(uid).current_dir("/").output().unwrap()
    }

    /// A verb that has not been started.
    pub fn verb(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PICKET);
        command.args(arguments).env("PICKET_SOCKET", self.socket()).stdin(Stdio::null());
        command
    }

    /// A process of the test's, which does what `body` says.
    pub fn child<A: Answer>(&self, body: impl FnMut(u32) -> Res<A>) -> Child {
        Child::new(&self.tags(), body)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon printed:\n{}", self.printed());
        }
        self.clean();
    }
}

/// A daemon that runs. Killed when it is dropped; its kernel side stays as long as the [`Home`].
pub struct Daemon {
    process: Process,
    client: Client,
    runtime: Runtime,
    over: bool,
}

impl Daemon {
    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// `GET`s.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.runtime.block_on(self.client.get(path))
    }

    /// `GET`s text.
    pub fn text(&self, path: &str) -> Result<String, ClientError> {
        self.runtime.block_on(self.client.text(path))
    }

    /// Has something done that answers.
    pub fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.runtime.block_on(self.client.call(method, path, body))
    }

    /// Has something done that answers nothing.
    pub fn act(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(), ClientError> {
        self.runtime.block_on(self.client.act(method, path, body))
    }

    /// How it is.
    #[track_caller]
    pub fn status(&self) -> Status {
        self.get("/v1/status").unwrap()
    }

    /// Its agents.
    #[track_caller]
    pub fn agents(&self) -> Vec<Agent> {
        self.get("/v1/agents").unwrap()
    }

    /// Makes an agent under a policy of the directory.
    #[track_caller]
    pub fn agent(&self, policy: &str) -> AgentId {
        let new = NewAgent { policy: Some(policy.to_owned()), ..NewAgent::default() };
        self.call::<Agent>(Method::POST, "/v1/agents", &new).unwrap().id
    }

    /// Makes a process one of an agent.
    #[track_caller]
    pub fn enter(&self, id: AgentId, child: &Child) {
        let new = NewProcess { pid: child.pid().cast_unsigned() };
        self.act(Method::POST, &format!("/v1/agents/{id}/processes"), Some(&new)).unwrap();
    }

    /// Ends it as a service manager does.
    #[track_caller]
    pub fn stop(mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.over = true;
        eventually("the daemon stops", || self.process.try_wait().unwrap())
    }

    /// Ends it without a word.
    #[track_caller]
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        let status = self.process.wait().unwrap();
        self.over = true;
        assert_eq!(status.signal(), Some(libc::SIGKILL), "it had ended of itself");
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: i32) {
        super::sys::process::kill(self.pid(), signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
