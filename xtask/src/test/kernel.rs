//! The tests of the fence: static programs, each run as root in a guest of each kernel.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    lanes::{self, Labelled},
    summary::{Counting, Summary},
};
use crate::{
    setup::{self, Need, kernels::Kernel},
    vm::{Failure, Input, Machine, Streams, programs},
};

/// A program of tests, called as its test target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// The tests of the hooks.
    Kernel,
    /// The catalogue of ways around the fence.
    Bypass,
}

/// What of the tests is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// On each of these, whatever the first ones say.
    pub kernels: &'a [Kernel],
    /// Only tests whose names contain this.
    pub filter: Option<&'a str>,
    /// Only this program's.
    pub suite: Option<Suite>,
    /// Those too that are left out because what they try is a way around the fence still.
    pub open: bool,
    /// How many seconds each race and the daemon's soak go on.
    pub soak: Option<u32>,
    /// With the program as it is released, not as it is tested.
    pub release: bool,
    /// How many guests run at once.
    pub lanes: usize,
    /// The catalogue on [`CATALOGUE_KERNEL`] only.
    pub brief: bool,
}

/// Where the catalogue is tried with what every change must pass. It takes as long as the other tests of the
/// fence.
const CATALOGUE_KERNEL: Kernel = Kernel::V6_12;

/// Memory of the guest in MiB. Each policy that is loaded takes four.
const MEMORY: u32 = 1536;

/// Lets tasks pre-empt each other anywhere in the kernel, in the middle of a program too: the way of
/// running that is hardest on per-processor state, and on lookups that may find a lock taken.
const PREEMPTION: &str = "preempt=full";

/// Races that go on as long as one says, and more than one of them would.
const RACES: u64 = 6;

/// What the tests take from the environment: where random ones begin, and how long they go on.
const HANDED_ON: [&str; 5] =
    ["PICKET_SEED", "PICKET_TIMES", "PICKET_VIOLATIONS", "PICKET_RELOADS", PROOF];

/// How often the policy changes between two restarts of the daemon's proof.
const PROOF: &str = "PICKET_PROOF";

/// Where it changes a thousand times in all, and the daemon is upgraded meanwhile, with what every change must
/// pass. That takes minutes.
const PROOF_KERNEL: Kernel = Kernel::V6_12;
const FULL_PROOF: &str = "18";

/// What it takes at most.
const PROOF_TIME: Duration = Duration::from_secs(30 * 60);

/// How long one kernel may take. Under emulation on a busy machine a run takes minutes. `PICKET_TIMES` makes
/// it so many times as long.
const TIME: Duration = Duration::from_secs(20 * 60);

/// Runs the tests.
///
/// # Errors
/// When they do not compile, or a guest cannot even be put together.
pub fn run(choice: &Choice<'_>, summary: &mut Summary) -> Result<()> {
    let mut found = Vec::new();
    // What takes longest first.
    for suite in [Suite::Bypass, Suite::Kernel] {
        if choice.suite.is_some_and(|only| only != suite) {
            continue;
        }
        let mut programs = suite.build()?;
        if choice.release {
            programs.picket = programs::picket()?;
        }
        match list(&programs.tests, choice.filter)? {
            0 if choice.filter.is_none() => bail!("{} has no tests in it", suite.target()),
            0 => {}
            known => found.push((suite, programs, known)),
        }
    }
    if found.is_empty() {
        eprintln!("test: no test of the fence has such a name");
        return Ok(());
    }
    let needs: Vec<_> = choice.kernels.iter().map(|kernel| Need::Kernel(*kernel)).collect();
    setup::ensure(&[&[Need::Machine], &needs[..]].concat())?;
    let mut jobs: Vec<_> = found
        .iter()
        .flat_map(|(suite, programs, known)| {
            let job =
                |kernel: &Kernel| Job { kernel: *kernel, suite: *suite, programs, known: *known };
            choice.kernels.iter().map(job)
        })
        .filter(|job| !choice.brief || job.suite != Suite::Bypass || job.kernel == CATALOGUE_KERNEL)
        .collect();
    jobs.sort_by_key(|job| job.suite != Suite::Kernel || job.kernel != PROOF_KERNEL);
    let labelled = jobs.len() > 1 && choice.lanes > 1;
    for part in lanes::run(choice.lanes, &jobs, |job| on(job, choice, labelled))? {
        summary.join(part);
    }
    Ok(())
}

/// A suite on a kernel.
struct Job<'a> {
    kernel: Kernel,
    suite: Suite,
    programs: &'a Programs,
    /// How many tests there are.
    known: u64,
}

/// Runs the tests on one kernel.
fn on(job: &Job<'_>, choice: &Choice<'_>, labelled: bool) -> Result<Summary> {
    let Job { kernel, suite, programs, known } = *job;
    let mut summary = Summary::default();
    let name = format!("{} {}", suite.target(), kernel.name());
    eprintln!("test: {name}");
    let start = Instant::now();
    let times = env::var("PICKET_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let longer = Duration::from_secs(u64::from(choice.soak.unwrap_or(0)) * RACES);
    let mut machine = suite.machine(kernel, programs)?.timeout(TIME * times + longer + PROOF_TIME);
    if let Some(seconds) = choice.soak {
        machine = machine.env("PICKET_SOAK", seconds.to_string()).parallel();
    }
    for name in HANDED_ON {
        if let Some(value) = env::var_os(name) {
            machine = machine.env(name, value);
        } else if name == PROOF && choice.filter.is_none() && kernel == PROOF_KERNEL {
            machine = machine.env(PROOF, FULL_PROOF);
        }
    }
    // One after the other, so that the output of each stands by itself; each has the fence to
    // itself anyway.
    let open = choice.open.then_some("--include-ignored");
    let own = [suite.program(), "--test-threads=1"];
    let command = own.into_iter().chain(choice.filter).chain(open);
    let label = labelled.then(|| name.clone());
    let mut stdout = Counting::new(Labelled::new(io::stdout(), label.clone()));
    let mut stderr = Labelled::new(io::stderr(), label);
    let streams = Streams { stdin: Input::Empty, stdout: &mut stdout, stderr: &mut stderr };
    let outcome = machine.run(command, streams);
    let counts = stdout.counts;
    let trouble = match outcome {
        Err(Failure::Interrupted(signal)) => return Err(Failure::Interrupted(signal).into()),
        Err(failure) => {
            eprintln!("test: {name}: {failure}");
            Some(failure.headline())
        }
        Ok(_) if counts.ran() + counts.ignored != known => {
            Some(format!("{known} tests should have run, and {} did", counts.ran()))
        }
        Ok(outcome) if outcome.code != 0 && counts.failed == 0 => {
            Some(format!("the tests ended with code {}", outcome.code))
        }
        Ok(_) => None,
    };
    summary.add(&name, start, counts, trouble);
    Ok(summary)
}

/// What a suite consists of.
pub struct Programs {
    /// The tests.
    tests: PathBuf,
    /// `picket`, built with them: what they start as a program of its own.
    picket: PathBuf,
}

impl Suite {
    /// Its test target.
    fn target(self) -> &'static str {
        match self {
            Suite::Kernel => "kernel",
            Suite::Bypass => "bypass",
        }
    }

    /// Where it is in the guest.
    pub fn program(self) -> &'static str {
        match self {
            Suite::Kernel => "/usr/local/libexec/picket-kernel-tests",
            Suite::Bypass => "/usr/local/libexec/picket-bypass-tests",
        }
    }

    /// Compiles it.
    pub fn build(self) -> Result<Programs> {
        let target = self.target();
        eprintln!("test: building the tests of the fence ({target}, static)");
        let mut cargo = programs::cargo("test");
        cargo.args(["--no-run", "--package", "sensor-user", "--test", target]);
        cargo.args(["--features", "kernel-tests"]);
        let [tests, picket] = programs::all_built(&mut cargo, [target, "picket"])?;
        Ok(Programs { tests, picket })
    }

    /// A machine with the programs in it.
    pub fn machine(self, kernel: Kernel, programs: &Programs) -> Result<Machine> {
        let machine = Machine::new(kernel).memory(MEMORY).append(PREEMPTION);
        let machine = machine.inject(&programs.picket, "/usr/local/bin/picket", 0o755)?;
        machine.inject(&programs.tests, self.program(), 0o755)
    }
}

/// How many tests there are. Listing them needs neither root nor a kernel.
fn list(program: &Path, filter: Option<&str>) -> Result<u64> {
    let output = Command::new(program).args(["--list", "--format=terse"]).args(filter).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|line| line.ends_with(": test")).count() as u64)
}
