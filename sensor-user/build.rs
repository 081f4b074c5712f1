//! Makes the BPF object of `sensor-ebpf` and leaves it at `$OUT_DIR/picket.bpf.o`, with the cfg
//! `picket_bpf_object` set so that the crate takes it in.
//!
//! - `PICKET_BPF_OBJECT=FILE` takes an object that somebody else made.
//! - Otherwise the tools that `cargo xtask setup` recorded make it, in a cargo run of its own.
//! - Without that record the crate is built without kernel programs, with a warning: everything
//!   that needs no kernel still builds and its tests run.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TARGET: &str = "bpfel-unknown-none";

/// The tools that set-up recorded.
#[derive(Default)]
struct Tools {
    rustc: PathBuf,
    cargo: Option<PathBuf>,
    linker: PathBuf,
}

fn main() {
    if let Err(error) = build() {
        // cargo shows the first line as this package's error and standard error, with rustc's own
        // words, as it stands.
        let text = error.to_string();
        let (summary, details) = text.split_once('\n').unwrap_or((&text, ""));
        println!("cargo::error={summary}");
        eprintln!("{details}");
        std::process::exit(1);
    }
}

fn build() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    println!("cargo::rerun-if-env-changed=PICKET_BPF_OBJECT");
    let object = match env::var_os("PICKET_BPF_OBJECT").filter(|path| !path.is_empty()) {
        Some(path) => given(PathBuf::from(path))?,
        None => match tools()? {
            Some(tools) => compile(&tools, &out)?,
            None => return Ok(()),
        },
    };
    let target = out.join("picket.bpf.o");
    fs::copy(&object, &target).map_err(|error| {
        format!("cannot copy {} to {}: {error}", object.display(), target.display())
    })?;
    println!("cargo::rustc-cfg=picket_bpf_object");
    Ok(())
}

fn given(object: PathBuf) -> Result<PathBuf> {
    println!("cargo::rerun-if-changed={}", object.display());
    if object.is_relative() {
        return Err(
            format!("PICKET_BPF_OBJECT is {}; give an absolute path", object.display()).into()
        );
    }
    Ok(object)
}

/// Reads the record of set-up; warns where there is none.
fn tools() -> Result<Option<Tools>> {
    let Some(record) = record() else {
        warn_without(
            "no place for its cache: none of PICKET_CACHE, XDG_CACHE_HOME and HOME is an absolute path",
        );
        return Ok(None);
    };
    // Watching a file that is not there makes cargo run this script every time, which is what is
    // wanted: the record may appear any moment, and without it the script has nothing to do.
    println!("cargo::rerun-if-changed={}", record.display());
    if !record.exists() {
        warn_without(&format!("{} is not there", record.display()));
        return Ok(None);
    }
    let text = fs::read_to_string(&record)
        .map_err(|error| format!("cannot read {}: {error}", record.display()))?;
    let tools = parse(&text).map_err(|error| format!("{}: {error}", record.display()))?;
    for tool in
        [Some(&tools.rustc), tools.cargo.as_ref(), Some(&tools.linker)].into_iter().flatten()
    {
        if !tool.is_file() {
            return Err(format!("{} is gone; run: cargo xtask setup", tool.display()).into());
        }
    }
    Ok(Some(tools))
}

fn warn_without(why: &str) {
    println!(
        "cargo::warning=this build has no kernel programs and can confine nothing: {why}; \
         `cargo xtask setup` provides the toolchain for them"
    );
}

/// Where `cargo xtask setup` leaves its record; the rule is that of xtask's cache.
fn record() -> Option<PathBuf> {
    let var = |name: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
    };
    let cache = var("PICKET_CACHE")
        .or_else(|| Some(var("XDG_CACHE_HOME")?.join("picket")))
        .or_else(|| Some(var("HOME")?.join(".cache/picket")))?;
    Some(cache.join("bpf-toolchain.env"))
}

fn parse(text: &str) -> Result<Tools> {
    let mut tools = Tools::default();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once('=').ok_or_else(|| format!("not KEY=VALUE: {line}"))?;
        match key {
            "RUSTC" => tools.rustc = value.into(),
            "CARGO" => tools.cargo = Some(value.into()),
            "BPF_LINKER" => tools.linker = value.into(),
            _ => {}
        }
    }
    for (key, path) in [("RUSTC", &tools.rustc), ("BPF_LINKER", &tools.linker)] {
        if path.as_os_str().is_empty() {
            return Err(format!("no {key} in it; run: cargo xtask setup").into());
        }
    }
    Ok(tools)
}

/// Compiles the kernel half and gives the object's path.
fn compile(tools: &Tools, out: &Path) -> Result<PathBuf> {
    let manifest =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    let workspace = manifest.parent().ok_or("the package is not inside the workspace")?;
    for input in ["sensor-ebpf/src", "sensor-ebpf/Cargo.toml", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    // Builds that differ only on the host's side can share one by naming it.
    println!("cargo::rerun-if-env-changed=PICKET_BPF_TARGET_DIR");
    let target_dir = match env::var_os("PICKET_BPF_TARGET_DIR") {
        Some(shared) => PathBuf::from(shared),
        None => target_dir(out)?.join("bpf"),
    };
    let mut cargo = command(tools, workspace);
    cargo.args(["build", "--package", "sensor-ebpf", "--bin", "picket-bpf", "--profile", "bpf"]);
    cargo.args(["--target", TARGET, "-Z", "build-std=core", "--target-dir"]).arg(&target_dir);
    // The outer cargo has resolved the lock file just now; a second writer would only race with it.
    cargo.args(["--locked", "--quiet"]);
    if env::var_os("CARGO_FEATURE_KERNEL_TRACE").is_some() {
        cargo.args(["--features", "sensor-ebpf/kernel-trace"]);
    }
    if env::var_os("CARGO_FEATURE_MATCH_BENCH").is_some() {
        cargo.args(["--features", "sensor-ebpf/match-bench"]);
    }
    let result = cargo
        .output()
        .map_err(|error| format!("cannot start {}: {error}", cargo.get_program().display()))?;
    let said = String::from_utf8_lossy(&result.stderr);
    if !result.status.success() {
        return Err(format!(
            "the kernel half (sensor-ebpf) does not compile:\n{}",
            said.trim_end()
        )
        .into());
    }
    if said.contains("warning: ") {
        said.lines().for_each(|line| println!("cargo::warning={line}"));
    }
    let object = target_dir.join(TARGET).join("bpf/picket-bpf");
    if !object.is_file() {
        return Err(format!("compiling the kernel half left no {}", object.display()).into());
    }
    Ok(object)
}

/// A cargo that takes nothing from the one that runs this script: its flags, wrappers and profile
/// settings are for the host.
fn command(tools: &Tools, workspace: &Path) -> Command {
    let own = env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from);
    let mut cargo = Command::new(tools.cargo.as_ref().unwrap_or(&own));
    cargo.current_dir(workspace);
    // Where the registry and its proxy settings are must stay; everything else of cargo's goes.
    let keep = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_TERM_"];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_cargo =
            text.starts_with("CARGO") && !keep.iter().any(|prefix| text.starts_with(prefix));
        if of_cargo || text.starts_with("RUST") && text != "RUSTUP_HOME" {
            cargo.env_remove(&name);
        }
    }
    for name in ["OUT_DIR", "TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS"] {
        cargo.env_remove(name);
    }
    cargo.env("RUSTC", &tools.rustc).env("RUSTC_BOOTSTRAP", "1");
    // Separated by 0x1f, as a path may have spaces in it. `--btf` makes BTF from the debug
    // information.
    let flags = [
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={}", tools.linker.display()),
        "-Clink-arg=--btf".to_owned(),
    ];
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    cargo
}

/// The outermost target directory: `OUT_DIR` is
/// `TARGET-DIR/[TRIPLE/]PROFILE/build/PACKAGE-HASH/out`.
fn target_dir(out: &Path) -> Result<PathBuf> {
    let build = out.ancestors().find(|dir| dir.file_name().is_some_and(|name| name == "build"));
    let profile = build
        .and_then(Path::parent)
        .ok_or_else(|| format!("unexpected OUT_DIR {}", out.display()))?;
    let above = profile.parent().ok_or_else(|| format!("unexpected OUT_DIR {}", out.display()))?;
    let triple = env::var("TARGET")?;
    let dir = if above.file_name().is_some_and(|name| name == &*triple) {
        above.parent()
    } else {
        Some(above)
    };
    Ok(dir.ok_or_else(|| format!("unexpected OUT_DIR {}", out.display()))?.to_owned())
}
