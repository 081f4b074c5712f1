//! `cargo xtask bench`: what Picket costs per operation, in executed instructions.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
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
    /// The kernels' lines, one after the other: 6.1, 6.12, 7
    #[arg(long = "kernel", value_name = "KERNEL", default_value = "6.12")]
    kernels: Vec<Kernel>,
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
    #[arg(long = "match", conflicts_with_all = ["policy", "scale", "kernels", "only"])]
    matcher: bool,
    /// Print the figures as they come, one JSON object a line
    #[arg(long)]
    json: bool,
    /// Print what Picket adds on each kernel, with the hooks that see it, as a table of
    /// `docs/performance.md`
    #[arg(long, conflicts_with_all = ["json", "scale", "matcher"])]
    markdown: bool,
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
    setup::ensure(&[Need::BpfToolchain, Need::Machine])?;
    let program = programs::built(
        programs::cargo("build").args(["--package", "sensor-user", "--bench", "cost"]),
        "cost",
    )?;
    let mut measured = Vec::new();
    for kernel in &args.kernels {
        let text = run(*kernel, &program, args)?;
        if args.markdown {
            measured.push((kernel.name(), Measured::parse(&text)?));
        } else if args.json {
            print!("{text}");
        } else {
            println!("Linux {}:", kernel.name());
            print!("{}", table(&Measured::parse(&text)?)?);
        }
    }
    if args.markdown {
        print!("{}", markdown(&measured)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures on one kernel: what the program printed.
fn run(kernel: Kernel, program: &Path, args: &Args) -> Result<String> {
    setup::ensure(&[Need::Kernel(kernel)])?;
    let own = || programs::workspace().join("tests/cost/policy.yaml");
    let policy = args.policy.clone().unwrap_or_else(own);
    let machine = Machine::new(kernel)
        .icount()
        .inject(program, PROGRAM, 0o755)?
        .inject(policy, POLICY, 0o644)?;
    let what = if args.scale { "scale" } else { POLICY };
    let output = machine.output([PROGRAM, what, &args.only])?;
    if output.outcome.code != 0 {
        bail!("measuring failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("the figures are not text")
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

/// What one run said.
#[derive(Default)]
struct Measured {
    /// Each operation with its hooks, in the order of the table.
    operations: Vec<(String, String)>,
    /// The figures by subject; the first is without Picket.
    subjects: Vec<(String, Figures)>,
    /// Instructions that the verifier walked, by program.
    verified: Vec<(String, u32)>,
}

impl Measured {
    fn parse(text: &str) -> Result<Measured> {
        let mut own = Measured::default();
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).context("a figure is not JSON")?;
            if let Some(name) = value["subject"].as_str() {
                let figures = serde_json::from_value(value["figures"].clone())?;
                own.subjects.push((name.to_owned(), figures));
            } else if value["hooks"].is_array() {
                own.operations = serde_json::from_value(value["hooks"].clone())?;
            } else {
                own.verified = serde_json::from_value(value["verified"].clone())?;
            }
        }
        if own.subjects.is_empty() {
            bail!("there are no figures");
        }
        Ok(own)
    }

    /// A figure.
    fn figure(&self, subject: &str, operation: &str) -> Result<f64> {
        let found = self.subjects.iter().find(|(name, _)| name == subject);
        let figure = found.and_then(|(_, figures)| figures.get(operation));
        figure.copied().with_context(|| format!("there is no figure of {operation}, {subject}"))
    }
}

/// The figures as a table, and the verifier's counts below it.
fn table(measured: &Measured) -> Result<String> {
    let mut out = format!("{:<20}", "instructions");
    for (name, _) in &measured.subjects {
        out += &format!("{name:>20}");
    }
    out.push('\n');
    let (first, others) = measured.subjects.split_first().context("there are no figures")?;
    for (operation, _) in &measured.operations {
        let base = measured.figure(&first.0, operation)?;
        out += &format!("{operation:<20}{base:>20.0}");
        for (subject, _) in others {
            let figure = measured.figure(subject, operation)?;
            out += &format!("{:>20}", format!("{figure:.0} x{:.3}", figure / base));
        }
        out.push('\n');
    }
    out += "\ninstructions that the verifier walked, a program each:\n";
    for (hook, count) in &measured.verified {
        out += &format!("{hook:<24}{count:>10}\n");
    }
    Ok(out)
}

/// From this part on, what two measurements without Picket differ by is said.
const UNSTEADY: f64 = 0.05;

/// What Picket adds on each kernel: bare, then for a process without a tag and for one with. A bare
/// figure that was another when it was measured again has both.
fn markdown(kernels: &[(&str, Measured)]) -> Result<String> {
    // Some kernel cannot do everything.
    let all = kernels.iter().map(|(_, measured)| &measured.operations).max_by_key(|all| all.len());
    let all = all.context("no kernel was measured")?;
    let mut out = "| operation | Picket's hooks |".to_owned();
    for (name, _) in kernels {
        out += &format!(" {name}: bare | untagged | tagged |");
    }
    out += &format!("\n|---|---|{}\n", "---:|---:|---:|".repeat(kernels.len()));
    for (operation, hooks) in all {
        let hooks: Vec<String> = hooks
            .split(", ")
            .filter(|hook| !hook.is_empty())
            .map(|hook| format!("`{hook}`"))
            .collect();
        out += &format!("| {operation} | {} |", hooks.join(", "));
        for (_, measured) in kernels {
            if !measured.operations.iter().any(|(name, _)| name == operation) {
                out += " – | – | – |";
                continue;
            }
            let bare = measured.figure("bare", operation)?;
            let again = measured.figure("bare again", operation)?;
            out += &format!(" {}", thousands(bare));
            if (again - bare).abs() > bare * UNSTEADY {
                out += &format!(" ({})", thousands(again));
            }
            out += " |";
            for subject in ["untagged", "tagged"] {
                let more = measured.figure(subject, operation)? - bare;
                let sign = if more.round() < 0.0 { "−" } else { "+" };
                out += &format!(" {sign}{} |", thousands(more.abs()));
            }
        }
        out.push('\n');
    }
    Ok(out)
}

/// A whole number with a space before each three digits.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
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

    const TEXT: &str = r#"{"hooks":[["open","file_open"],["read",""]]}
{"subject":"bare","figures":{"open":5100.0,"read":10.0}}
{"subject":"untagged","figures":{"open":5310.0,"read":9.0}}
{"subject":"tagged","figures":{"open":6375.0,"read":10.0}}
{"subject":"bare again","figures":{"open":5101.0,"read":11.0}}
{"verified":[["file_open",77]]}
"#;

    #[test]
    fn figures_stand_beside_their_ratio_to_the_first_subject() {
        let table = table(&Measured::parse(TEXT).unwrap()).unwrap();
        assert!(table.contains("6375 x1.250"), "{table}");
        assert!(table.contains("file_open"), "{table}");
        assert!(Measured::parse("").is_err());
    }

    #[test]
    fn what_picket_adds_stands_beside_what_there_was() {
        let kernels = [("6.1", Measured::parse(TEXT).unwrap())];
        let table = markdown(&kernels).unwrap();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        let expected =
            ["| open | `file_open` | 5 100 | +210 | +1 275 |", "| read |  | 10 (11) | −1 | +0 |"];
        assert_eq!(rows, expected, "{table}");
        let lacks = TEXT.replace(",[\"read\",\"\"]", "");
        let kernels = [("6.1", lacks), ("7", TEXT.to_owned())]
            .map(|(name, text)| (name, Measured::parse(&text).unwrap()));
        let table = markdown(&kernels).unwrap();
        assert!(table.ends_with("| read |  | – | – | – | 10 (11) | −1 | +0 |\n"), "{table}");
        let gap = TEXT.replace("\"read\":9.0", "\"write\":9.0");
        assert!(markdown(&[("6.1", Measured::parse(&gap).unwrap())]).is_err());
    }
}
