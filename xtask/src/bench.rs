//! `cargo xtask bench`: what Picket costs per operation, in executed instructions.

use std::{
    collections::BTreeMap,
    env,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    setup::{self, Need, kernels::Kernel},
    vm::{Machine, programs},
};

/// Measure what Picket costs per operation, in executed instructions
///
/// Runs the same operations in a guest whose clock counts instructions: with nothing loaded, with
/// Picket in force for somebody else, and as an agent under `tests/cost/policy.yaml`. The figures
/// are the same on every machine; they are instructions and not time.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernel's line: 6.1, 6.12, 7
    #[arg(long, value_name = "KERNEL", default_value = "6.12")]
    kernel: Kernel,
    /// Measure under this policy, which must allow what is measured [default: tests/cost/policy.yaml]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Only the operations whose names begin with this
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
    /// Measure as an agent under policies of 10, 100 and 1 000 rules instead
    #[arg(long, conflicts_with = "policy")]
    scale: bool,
    /// Measure the matcher alone instead, natively on this machine, in nanoseconds
    #[arg(long = "match", conflicts_with_all = ["policy", "scale", "kernel", "only"])]
    matcher: bool,
    /// Print the figures as they come, one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Where the program and its policy are in the guest.
const PROGRAM: &str = "/usr/local/libexec/picket-cost";
/// See [`PROGRAM`].
const POLICY: &str = "/usr/local/libexec/picket-cost.yaml";

/// Figures of one subject, by operation.
type Figures = BTreeMap<String, f64>;

/// Runs the verb.
///
/// # Errors
/// When the measuring program does not compile, or does not come to its end.
pub fn main(args: &Args) -> Result<ExitCode> {
    if args.matcher {
        return matcher(args.json);
    }
    setup::ensure(&[Need::BpfToolchain, Need::Machine, Need::Kernel(args.kernel)])?;
    let program = programs::built(
        programs::cargo("build").args(["--package", "sensor-user", "--bench", "cost"]),
        "cost",
    )?;
    let own = || programs::workspace().join("tests/cost/policy.yaml");
    let policy = args.policy.clone().unwrap_or_else(own);
    let machine = Machine::new(args.kernel)
        .icount()
        .inject(program, PROGRAM, 0o755)?
        .inject(policy, POLICY, 0o644)?;
    let what = if args.scale { "scale" } else { POLICY };
    let output = machine.output([PROGRAM, what, &args.only])?;
    let text = String::from_utf8(output.stdout).context("the figures are not text")?;
    if output.outcome.code != 0 {
        bail!("measuring failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    if args.json {
        print!("{text}");
    } else {
        print!("{}", table(&text)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures the matcher natively.
fn matcher(json: bool) -> Result<ExitCode> {
    setup::ensure(&[Need::BpfToolchain])?;
    // In a directory of its own, and so are its kernel programs: they have one more than others.
    let home = programs::target_dir().join("match");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(programs::workspace()).env_remove("CARGO_MANIFEST_DIR");
    cargo.env("PICKET_BPF_TARGET_DIR", home.join("bpf"));
    cargo.args(["build", "--release", "--package", "sensor-user", "--example", "matcher"]);
    cargo.args(["--features", "match-bench", "--target-dir"]).arg(&home);
    let program = programs::made(&mut cargo, "matcher")?;
    let output = Command::new(&program).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        bail!("measuring failed; it takes root, and a kernel that runs BPF programs");
    }
    let text = String::from_utf8(output.stdout).context("the figures are not text")?;
    print!("{}", if json { text } else { matcher_table(&text)? });
    Ok(ExitCode::SUCCESS)
}

/// The figures of the matcher as a table.
fn matcher_table(text: &str) -> Result<String> {
    let mut out = String::new();
    for (number, line) in text.lines().enumerate() {
        let value: Value = serde_json::from_str(line).context("a figure is not JSON")?;
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        if number == 0 {
            out += &format!("{:>8}{:>12}{:>12}", "rules", "table bytes", "compile ms");
            for length in list("lengths") {
                out += &format!("{:>12}", format!("{length} B, ns"));
            }
            out += &format!("{:>10}\n", "ns/byte");
        }
        let float = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        // As text: JSON values take no notice of a width.
        let (rules, bytes) = (value["rules"].to_string(), value["stats"]["bytes"].to_string());
        out += &format!("{rules:>8}{bytes:>12}{:>12.1}", float(&value["compile_ms"]));
        for nanoseconds in list("nanoseconds") {
            out += &format!("{:>12.0}", float(&nanoseconds));
        }
        out += &format!("{:>10.2}\n", float(&value["per_byte"]));
    }
    Ok(out)
}

/// The figures as a table, and the verifier's counts below it.
fn table(text: &str) -> Result<String> {
    let mut subjects: Vec<(String, Figures)> = Vec::new();
    let mut verified = Vec::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).context("a figure is not JSON")?;
        if let Some(name) = value["subject"].as_str() {
            let figures = serde_json::from_value(value["figures"].clone())?;
            subjects.push((name.to_owned(), figures));
        } else {
            verified = serde_json::from_value::<Vec<(String, u32)>>(value["verified"].clone())?;
        }
    }
    let Some((_, bare)) = subjects.first() else { bail!("there are no figures") };
    let mut out = format!("{:<16}", "instructions");
    for (name, _) in &subjects {
        out += &format!("{name:>20}");
    }
    out.push('\n');
    for (operation, base) in bare {
        out += &format!("{operation:<16}{base:>20.0}");
        for (_, figures) in subjects.iter().skip(1) {
            let figure = figures.get(operation).copied().unwrap_or(f64::NAN);
            out += &format!("{:>20}", format!("{figure:.0} x{:.3}", figure / base));
        }
        out.push('\n');
    }
    out += "\ninstructions that the verifier walked, a program each:\n";
    for (hook, count) in verified {
        out += &format!("{hook:<24}{count:>10}\n");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_matcher_stand_in_columns() {
        let line = r#"{"rules":10,"lengths":[16,48],"nanoseconds":[75.0,151.0],"per_byte":2.375,"compile_ms":2.84,"stats":{"bytes":49096}}"#;
        let table = matcher_table(line).unwrap();
        let widths: Vec<usize> = table.lines().map(str::len).collect();
        assert_eq!(widths, [66, 66], "{table}");
        assert!(table.contains("  10       49096         2.8          75         151      2.38"));
    }

    #[test]
    fn figures_stand_beside_their_ratio_to_the_first_subject() {
        let text = r#"{"subject":"bare","figures":{"open":100.0}}
{"subject":"tagged","figures":{"open":125.0}}
{"verified":[["file_open",77]]}
"#;
        let table = table(text).unwrap();
        assert!(table.contains("125 x1.250"), "{table}");
        assert!(table.contains("file_open"), "{table}");
        assert!(super::table("").is_err());
    }
}
