//! The guest's root file system: Debian's userland with what tests and demos use, made by
//! mmdebstrap, packed into an ext4 image.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use nix::unistd::geteuid;

use super::{
    apt::{self, Tool},
    archive::{Archive, BASE},
    cache::{self, Cache, Lock},
    disk,
    step::{Log, step},
};

/// Part of the recipe: raise it when the way the image is made changes.
const LAYOUT: &str = "2";

/// Free space on the guest's disk, in MiB.
const SPARE_MIB: u64 = 1024;

/// What is in the guest besides Debian's essential packages.
const PACKAGES: [&str; 40] = [
    "acl",
    "attr",
    "bash",
    "busybox-static",
    "ca-certificates",
    "coreutils",
    "cron",
    "curl",
    "e2fsprogs",
    "file",
    "gcc",
    "git",
    "iproute2",
    "jq",
    "kmod",
    "less",
    "libc6-dev",
    "libcap2-bin",
    "libgcc-s1",
    "libpython3.11-testsuite",
    "libstdc++6",
    "lsof",
    "make",
    "mount",
    "nano",
    "netcat-openbsd",
    "nodejs",
    "npm",
    "patch",
    "procps",
    "python3",
    "python3-venv",
    "ripgrep",
    "rsync",
    "strace",
    "sudo",
    "systemd",
    "util-linux",
    "vim-tiny",
    "xz-utils",
];

/// What mmdebstrap takes over from the machine that makes the image; it is nobody's business in
/// the guest. The name server would not answer there either.
const HOSTS_OWN: [&str; 3] = ["etc/apt/sources.list", "etc/resolv.conf", "etc/hostname"];

/// What nobody reads in a guest.
const EXCLUDED: [&str; 5] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
];

const HOOKS: [&str; 3] = [
    // An agent is an ordinary user: what confines it must not depend on who it is.
    r#"chroot "$1" useradd --create-home --uid 1000 --shell /bin/bash agent"#,
    // As on many a developer's machine; becoming root must not free an agent either.
    r#"echo 'agent ALL=(ALL:ALL) NOPASSWD: ALL' > "$1/etc/sudoers.d/agent" && chmod 440 "$1/etc/sudoers.d/agent""#,
    r#"printf '127.0.0.1 localhost picket-guest\n::1 localhost\n' > "$1/etc/hosts""#,
];

const TOOLS: [Tool; 2] = [
    Tool { program: "mmdebstrap", package: "mmdebstrap" },
    Tool { program: "mke2fs", package: "e2fsprogs" },
];

fn entry() -> String {
    let spare = SPARE_MIB.to_string();
    let mut recipe = vec![LAYOUT, BASE, &spare];
    recipe.extend(PACKAGES.iter().chain(&EXCLUDED).chain(&HOOKS));
    format!("userland-{}", cache::recipe_key(&recipe))
}

/// The image, where it is in the cache.
#[must_use]
pub fn find(cache: &Cache) -> Option<PathBuf> {
    Some(cache.path(&entry()).join("root.ext4")).filter(|path| path.is_file())
}

/// Finds the image or makes it.
///
/// # Errors
/// When tools are missing and cannot be installed, without root, and mmdebstrap's own.
pub fn ensure(cache: &Cache, lock: &Lock) -> Result<()> {
    if find(cache).is_some() {
        return Ok(());
    }
    apt::install(cache, "making the guest's userland", &apt::missing(&TOOLS))?;
    if !geteuid().is_root() {
        // The tree must have files of several owners before it is packed.
        bail!("{}", needs_root(&std::env::current_exe()?, &cache.path("")));
    }
    let view = cache.scratch(lock, "archive")?;
    let archive = Archive::open(cache, view.path())?;
    step(&format!("making the guest's userland (Debian {BASE}; a minute or two)"), || {
        cache.publish(lock, &entry(), |dir| build(cache, &archive, view.path(), dir)).map(drop)
    })
}

/// The environment is kept, so that root finds the same toolchain and the same cache.
fn needs_root(program: &Path, cache: &Path) -> String {
    let (program, cache) = (program.display(), cache.display());
    format!(
        "making the guest's userland takes root once; run: \
         sudo env PATH=\"$PATH\" HOME=\"$HOME\" PICKET_CACHE={cache} {program} setup && \
         sudo chown -R \"$(id -u):$(id -g)\" {cache}"
    )
}

fn build(cache: &Cache, archive: &Archive, view: &Path, dir: &Path) -> Result<()> {
    let log = Log::begin(cache.log("userland"))?;
    let (tree, sources) = (dir.join("tree"), view.join("base.list"));
    fs::write(&sources, archive.base_sources())?;
    let mut mmdebstrap = Command::new(apt::program("mmdebstrap")?);
    mmdebstrap.args(["--variant=minbase", "--format=directory", "--architectures=amd64"]);
    mmdebstrap.arg(format!("--include={}", PACKAGES.join(",")));
    mmdebstrap.args(EXCLUDED.map(|path| format!("--dpkgopt=path-exclude={path}")));
    mmdebstrap.args(HOOKS.map(|hook| format!("--customize-hook={hook}")));
    log.run(mmdebstrap.arg(BASE).arg(&tree).arg(&sources))?;
    for file in HOSTS_OWN {
        match fs::remove_file(tree.join(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context(file),
            _ => {}
        }
    }
    for list in fs::read_dir(tree.join("etc/apt/sources.list.d"))? {
        fs::remove_file(list?.path())?;
    }
    fs::write(tree.join("etc/hostname"), "picket-guest\n")?;
    for dir in ["share", "run", "sys", "proc", "dev", "tmp", "lib/modules"] {
        fs::create_dir_all(tree.join(dir))?;
    }
    disk::pack(&log, &tree, &dir.join("root.ext4"), SPARE_MIB)?;
    Ok(fs::remove_dir_all(&tree)?)
}
