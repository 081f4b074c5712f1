//! What Picket costs per operation, in a guest whose clock counts instructions.
//!
//! `cargo xtask bench` runs it with `--icount`, where a nanosecond is one executed instruction. It
//! measures the same operations in a freshly executed process four times: with nothing loaded, with
//! Picket attached and the process untagged, tagged and allowed, and again with nothing loaded.
//! Prints one JSON object a line; nothing here asserts a figure, for a budget belongs into review.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sensor_ebpf::tag::Tag;
use sensor_user::engine::Engine;
use sensor_user::kernel::load::Tags;
use sensor_user::policy::{self, Options, Source, Variables};
use sensor_user::policy_host::{self, LocalHost};

#[path = "../policy/generated.rs"]
mod generated;
mod ops;

/// Where the operations happen: a tmpfs in the guest, so that no disk is measured.
pub const WORK: &str = "/tmp/w";
/// Where the operations' own program is: where the policy lets an agent run it.
pub const PROGRAM: &str = "/usr/bin/picket-cost";
/// Rounds of each operation; the median counts.
const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("ops") => measure(args.get(2).map_or("", String::as_str)),
        Some("nothing") => Ok(()),
        Some("scale") => scale(args.get(2).map_or("", String::as_str)),
        Some(policy) => compare(Path::new(policy), args.get(2).map_or("", String::as_str)),
        None => {
            anyhow::bail!(
                "give `scale` or the policy to measure under, and the operations' first letters"
            )
        }
    }
}

/// Measures the operations whose names begin with `only` in this process, and prints the figures.
fn measure(only: &str) -> anyhow::Result<()> {
    let figures: BTreeMap<&str, f64> = wanted(only)
        .map(|entry| {
            let op = (entry.make)();
            let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| op.nanoseconds()).collect();
            rounds.sort_by(f64::total_cmp);
            (entry.name, rounds[ROUNDS / 2])
        })
        .collect();
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// Says which operations are measured, in the order of the table, and which hooks each passes.
fn operations(only: &str) {
    let hooks: Vec<_> = wanted(only).map(|entry| (entry.name, entry.hooks)).collect();
    println!("{}", serde_json::json!({ "hooks": hooks }));
}

fn wanted(only: &str) -> impl Iterator<Item = &'static ops::Entry> {
    ops::all().filter(move |entry| entry.name.starts_with(only) && (entry.possible)())
}

fn compare(policy: &Path, only: &str) -> anyhow::Result<()> {
    prepare()?;
    // What the kernel puts off at boot would be counted into the first figures.
    std::thread::sleep(Duration::from_secs(3));
    operations(only);
    subject("bare", only, None)?;
    let source = policy_host::read_source(policy)?;
    let variables = policy_host::variables("root", 0, Path::new("/root"), Path::new(WORK))?;
    let compiled = policy::compile(&source, &variables, &LocalHost, Options::default())
        .map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let mut engine = Engine::load()?;
    let tag = engine.add("bench".to_owned(), compiled)?;
    engine.attach()?;
    subject("untagged", only, None)?;
    subject("tagged", only, Some((engine.tags()?, tag)))?;
    println!("{}", serde_json::json!({ "verified": engine.verified()? }));
    drop(engine);
    // Programs are freed after a grace period.
    std::thread::sleep(Duration::from_secs(1));
    subject("bare again", only, None)
}

/// Rules of the policies that [`scale`] measures under.
const RULES: [usize; 3] = [10, 100, 1000];

/// What the operations need.
const NEEDED: &str = "  files:
  - allow: [read, list, exec, map]
    paths: ['/usr/**', '/etc/**']
  - allow: [read, write, list, create, delete, link]
    paths: ['/tmp/**', '/var/tmp/**', '/dev/null']
";

/// Measures under policies of different size, which should make no difference.
fn scale(only: &str) -> anyhow::Result<()> {
    prepare()?;
    std::thread::sleep(Duration::from_secs(3));
    operations(only);
    subject("bare", only, None)?;
    let mut engine = Engine::load()?;
    for (number, rules) in RULES.into_iter().enumerate() {
        let needed = NEEDED.matches('\'').count() / 2;
        let text = generated::mixed(rules - needed, false).replacen("  files:\n", NEEDED, 1);
        let source = Source { name: "scale.yaml".to_owned(), text };
        let compiled =
            policy::compile(&source, &Variables::default(), &LocalHost, Options::default());
        let compiled = compiled.map_err(|errors| anyhow::anyhow!("{errors}"))?;
        let tag = engine.add(format!("{rules} rules"), compiled)?;
        if number == 0 {
            engine.attach()?;
        }
        subject(&format!("{rules} rules"), only, Some((engine.tags()?, tag)))?;
    }
    println!("{}", serde_json::json!({ "verified": engine.verified()? }));
    Ok(())
}

/// Makes the files that the operations work on.
fn prepare() -> io::Result<()> {
    fs::create_dir_all(ops::deep(8).parent().unwrap_or(Path::new(WORK)))?;
    for depth in [1, 3, 8] {
        fs::write(ops::deep(depth), [b'x'; 64])?;
    }
    fs::copy("/proc/self/exe", PROGRAM).map(drop)
}

/// Measures in a freshly executed process: what this one has mapped would make its forks dearer.
fn subject(name: &str, only: &str, tag: Option<(Tags, Tag)>) -> anyhow::Result<()> {
    let mut command = Command::new(PROGRAM);
    command.args(["ops", only]).stdout(Stdio::piped());
    if let Some((tags, tag)) = tag {
        // SAFETY: the closure makes system calls only and allocates nothing.
        unsafe { command.pre_exec(move || tags.tag_self(tag)) };
    }
    let output = command.output()?;
    anyhow::ensure!(output.status.success(), "{name}: the operations failed: {}", output.status);
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    println!("{}", serde_json::json!({ "subject": name, "figures": figures }));
    Ok(())
}

/// A path for a system call.
pub fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("paths of this program have no NUL")
}
