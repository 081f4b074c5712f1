//! The loaded kernel side. Loading takes seconds on an emulated machine, so there is one for the
//! whole run; a test has it to itself for as long as it holds the [`Fence`].

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use sensor_ebpf::event::EventHeader;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::tag::Tag;
use sensor_user::engine::Engine;
use sensor_user::engine::stream::Stream;
use sensor_user::event::Event;
use sensor_user::kernel::load::Tags;
use sensor_user::kernel::rules::TagRules;
use sensor_user::policy::{Compiled, Options, RuleInfo, Source, Variables, compile};
use sensor_user::policy_host::LocalHost;
use tokio::runtime::Runtime;

use super::child::{Answer, Child};
use super::expect::{Expected, Who};
use super::sys::Res;

/// What events call the policies' file.
pub const POLICY_FILE: &str = "test.yaml";
/// Line of a policy where the lines begin that a test gives.
pub const FIRST_LINE: usize = 6;

/// An agent, for as long as the test holds the fence.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its tag.
    pub tag: Tag,
    /// Its policy.
    pub policy: Compiled,
    /// Nanoseconds since boot when it was made.
    since: u64,
}

/// The kernel side and what the tests keep about it.
pub struct World {
    /// The engine itself.
    pub engine: Engine,
    stream: Stream,
    /// Events that were read and not yet asked for.
    waiting: Vec<Event>,
    /// By agent, the sequence number that comes next.
    next_seq: HashMap<u32, u64>,
    /// By agent, how many events a test has made it lose.
    lost: HashMap<u32, u64>,
    /// Agents of tests that are over. Each policy takes 4 MiB, so they are given new ones.
    free: Vec<Tag>,
    /// Agents of the test that is running.
    used: Vec<Tag>,
    /// Whether there is a rule for tagging.
    ruled: bool,
    _runtime: Runtime,
}

/// The hooks that this kernel has.
static HOOKS: OnceLock<Vec<&'static str>> = OnceLock::new();

/// The hook, or the one that does its work where this kernel does not have it.
pub fn hook_or(hook: Hook, older: Hook) -> Hook {
    assert!(hook.since().is_some(), "{hook:?} is on every kernel");
    let hooks = HOOKS.get().expect("the kernel side was loaded");
    if hook.name().is_some_and(|name| hooks.contains(&name)) { hook } else { older }
}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// The fence, up. One test holds it at a time.
pub struct Fence(MutexGuard<'static, Option<World>>);

impl Drop for Fence {
    fn drop(&mut self) {
        self.tag_nobody();
        let world = self.world();
        let used = std::mem::take(&mut world.used);
        if std::thread::panicking() {
            // Whatever its processes still say is not for the next test. Agents are cheap: with
            // these nobody has to go on.
            return;
        }
        world.free.extend(used);
    }
}

impl World {
    /// Loads and attaches.
    pub fn new() -> World {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut engine = Engine::load().unwrap_or_else(|error| panic!("{error}"));
        engine.attach().unwrap_or_else(|error| panic!("{error}"));
        let hooks = engine.verified().unwrap().into_iter().map(|(hook, _)| hook);
        HOOKS.get_or_init(|| hooks.collect());
        let entered = runtime.enter();
        let stream = engine.stream().unwrap();
        drop(entered);
        World {
            engine,
            stream,
            waiting: Vec::new(),
            next_seq: HashMap::new(),
            lost: HashMap::new(),
            free: Vec::new(),
            used: Vec::new(),
            ruled: false,
            _runtime: runtime,
        }
    }

    /// An agent under a policy.
    pub fn add(&mut self, policy: Compiled) -> Agent {
        let tag = if let Some(tag) = self.free.pop() {
            self.engine.replace(tag, policy.clone()).unwrap();
            tag
        } else {
            self.engine.add("agent".to_owned(), policy.clone()).unwrap()
        };
        self.used.push(tag);
        self.drain();
        self.waiting.retain(|event| event.header.agent != tag.agent);
        Agent { tag, policy, since: boot_time() }
    }

    /// Reads what is in the ring. Each event must be the next of its agent.
    fn drain(&mut self) {
        while let Some(event) = self.stream.next_event() {
            let event = event.unwrap();
            if !self.used.iter().any(|tag| tag.agent == event.header.agent) {
                // Of a test that failed.
                continue;
            }
            let next = self.next_seq.entry(event.header.agent).or_default();
            assert_eq!(event.header.seq, *next, "a gap before {event:?}");
            let lost = self.lost.get(&event.header.agent).copied().unwrap_or(0);
            assert_eq!(event.header.lost, lost, "{event:?}");
            *next += 1;
            self.waiting.push(event);
        }
    }
}

impl Fence {
    /// Waits until no other test has it.
    pub fn up() -> Fence {
        // A test that failed has only held the lock, not broken what is behind it.
        let mut guard = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
        guard.get_or_insert_with(World::new);
        Fence(guard)
    }

    fn world(&mut self) -> &mut World {
        self.0.as_mut().unwrap()
    }

    /// An agent under the policy with these lines of `spec`, where `${dir}` is `dir`.
    pub fn agent(&mut self, dir: impl AsRef<Path>, spec: &str) -> Agent {
        let policy = policy(dir.as_ref(), spec, false);
        self.world().add(policy)
    }

    /// An agent under a policy that is compiled already.
    pub fn agent_under(&mut self, policy: Compiled) -> Agent {
        self.world().add(policy)
    }

    /// The rule that decided an event of the agent.
    pub fn rule_of<'p>(&self, agent: &'p Agent, event: &Event) -> Option<&'p RuleInfo> {
        agent.policy.rule(event.header.rule)
    }

    /// The same with everything allowed and reported.
    pub fn auditing_agent(&mut self, dir: impl AsRef<Path>, spec: &str) -> Agent {
        let policy = policy(dir.as_ref(), spec, true);
        self.world().add(policy)
    }

    /// Has whoever runs a program or forks in a cgroup be of the agent, for as long as the fence is held.
    pub fn tag_cgroup(&mut self, agent: &Agent, cgroup: &Path) {
        let mut rules = TagRules::default();
        rules.add_cgroup(fs::metadata(cgroup).unwrap().ino(), agent.tag).unwrap();
        self.world().engine.put_rules(&rules).unwrap();
        self.world().ruled = true;
    }

    /// Takes [`tag_cgroup`](Self::tag_cgroup) back.
    pub fn tag_nobody(&mut self) {
        if std::mem::take(&mut self.world().ruled) {
            self.world().engine.put_rules(&TagRules::default()).unwrap();
        }
    }

    /// Cuts an agent off from what its processes opened before they had its tag.
    pub fn cut_off(&mut self, agent: &Agent) {
        self.world().engine.cut_off(agent.tag, true).unwrap();
    }

    /// Takes [`cut_off`](Self::cut_off) back.
    pub fn let_keep(&mut self, agent: &Agent) {
        self.world().engine.cut_off(agent.tag, false).unwrap();
    }

    /// Has the hooks attached for the rest of the run that are there only while an agent is cut off.
    pub fn keep_on_demand(&mut self) {
        let agent = self.agent("/", "capabilities:\n  - deny: [all]");
        self.cut_off(&agent);
        // Given to nobody else.
        self.world().used.retain(|tag| *tag != agent.tag);
    }

    /// A process without a tag.
    pub fn child<A: Answer>(&mut self, body: impl FnMut(u32) -> Res<A>) -> Child {
        Child::new(&self.tags(), body)
    }

    /// A process with a tag.
    pub fn tagged<A: Answer>(&mut self, agent: &Agent, body: impl FnMut(u32) -> Res<A>) -> Child {
        let mut child = self.child(body);
        child.tag(agent.tag);
        child
    }

    /// Whether this kernel has a hook.
    pub fn has(&mut self, hook: Hook) -> bool {
        let name = hook.name().unwrap();
        self.world().engine.hooks().contains(&name)
    }

    /// The map of tags.
    pub fn tags(&mut self) -> Tags {
        self.world().engine.tags().unwrap()
    }

    /// The agent's events since it was made or since the last call.
    pub fn events(&mut self, agent: &Agent) -> Vec<Event> {
        let world = self.world();
        world.drain();
        let own = |event: &Event| {
            (event.header.agent, event.header.epoch) == (agent.tag.agent, agent.tag.epoch)
        };
        let (events, waiting) = std::mem::take(&mut world.waiting).into_iter().partition(own);
        world.waiting = waiting;
        events
    }

    /// The agent's events since the last call, which `who` made, in the form of what is expected.
    #[track_caller]
    pub fn seen(&mut self, agent: &Agent, who: impl Into<Who>) -> Vec<Expected> {
        let who = who.into();
        let events = self.events(agent);
        for event in &events {
            check_place(&event.header, agent);
        }
        let engine = &self.world().engine;
        let of = |event| Expected::of(event, engine.context(event).unwrap(), who);
        events.iter().map(of).collect()
    }

    /// Holds the agent's events since the last call against what they should be.
    #[track_caller]
    pub fn expect(&mut self, agent: &Agent, who: impl Into<Who>, expected: &[Expected]) {
        assert_eq!(self.seen(agent, who), expected);
    }

    /// The agent must have made no event since the last call.
    #[track_caller]
    pub fn quiet(&mut self, agent: &Agent) {
        let events = self.events(agent);
        assert!(events.is_empty(), "{events:#?}");
    }

    /// What is in the ring as it is, with gaps; afterwards the count goes on behind them. Only for
    /// a test that fills the ring.
    pub fn leftovers(&mut self, agent: &Agent) -> Vec<Event> {
        let counters = self.counters(agent);
        let world = self.world();
        let mut events = Vec::new();
        while let Some(event) = world.stream.next_event() {
            events.push(event.unwrap());
        }
        world.next_seq.insert(agent.tag.agent, counters.0);
        world.lost.insert(agent.tag.agent, counters.1);
        events
    }

    /// How often a fault has happened.
    pub fn faults(&mut self, hook: Hook, fault: Fault) -> u64 {
        let faults = self.world().engine.faults().unwrap();
        let found = faults.iter().find(|(h, f, _)| (*h, *f) == (hook, fault));
        found.map_or(0, |(_, _, count)| *count)
    }

    /// The agent's counters; `(next_seq, lost)`.
    pub fn counters(&mut self, agent: &Agent) -> (u64, u64) {
        let counters = self.world().engine.counters(agent.tag).unwrap();
        (counters.next_seq, counters.lost)
    }
}

/// When and where an event happened, which every test knows alike.
fn check_place(header: &EventHeader, agent: &Agent) {
    assert!(header.time > agent.since && header.time < boot_time(), "{header:?}");
    assert_eq!(header.cgroup, own_cgroup(), "{header:?}");
    assert!(header.pid > 0 && header.tid >= header.pid, "{header:?}");
}

/// The policy with these lines of `spec`.
pub fn policy(dir: &Path, spec: &str, audit: bool) -> Compiled {
    let indented: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!(
        "apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\nmetadata:\n  name: test\nspec:\n{indented}"
    );
    let source = Source { name: POLICY_FILE.to_owned(), text };
    let variables: Variables = [("dir", dir.to_str().unwrap())].into_iter().collect();
    let options = Options { audit, ..Options::default() };
    compile(&source, &variables, &LocalHost, options).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Nanoseconds since boot, suspend included, as events count.
fn boot_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for one `struct timespec`.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert_eq!(code, 0);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Id of this process's cgroup: its directory's inode number.
fn own_cgroup() -> u64 {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap();
    let path = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    fs::metadata(Path::new("/sys/fs/cgroup").join(path)).unwrap().ino()
}
