//! Lays out what is installed: the same files for the package and for the tarball, at the places that
//! each has for them.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::vm::programs;

/// Files that the package leaves to the administrator once they are there.
const CONFIGURATION: &str = "/etc/picket";

/// Shells, and what each wants its completions to be called in the package.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/picket"),
    ("zsh", "usr/share/zsh/vendor-completions/_picket"),
    ("fish", "usr/share/fish/vendor_completions.d/picket.fish"),
];

/// Writes the tree of a Debian package to `root`.
pub fn package(picket: &Path, root: &Path, version: &str, arch: &str) -> Result<()> {
    let source = programs::workspace();
    copy(picket, &root.join("usr/bin/picket"), 0o755)?;
    for (shell, at) in COMPLETIONS {
        write(&root.join(at), &said(picket, &["completions", shell])?)?;
    }
    manual(picket, &root.join("usr/share/man/man1"))?;
    write(&root.join("etc/picket/picket.toml"), &said(picket, &["daemon", "--print-config"])?)?;
    policies(&root.join("usr/share/picket/policies"))?;
    // Policies in force are the administrator's choice: the directory comes empty.
    fs::create_dir_all(root.join("etc/picket/policies"))?;
    let unit = Path::new("systemd/picket.service");
    copy(
        &source.join("deploy").join(unit),
        &root.join("usr/lib").join("systemd/system/picket.service"),
        0o644,
    )?;
    documents(&root.join("usr/share/doc/picket"))?;
    copy(
        &source.join("deploy/debian/copyright"),
        &root.join("usr/share/doc/picket/copyright"),
        0o644,
    )?;
    for script in ["postinst", "prerm", "postrm"] {
        copy(&source.join("deploy/debian").join(script), &root.join("DEBIAN").join(script), 0o755)?;
    }
    let kept: String = files(&root.join(&CONFIGURATION[1..]))?
        .iter()
        .filter_map(|file| file.strip_prefix(root).ok())
        .map(|file| format!("/{}\n", file.display()))
        .collect();
    write(&root.join("DEBIAN/conffiles"), kept.as_bytes())?;
    let size: u64 =
        files(root)?.iter().filter_map(|file| fs::metadata(file).ok()).map(|m| m.len()).sum();
    write(&root.join("DEBIAN/control"), control(version, arch, size.div_ceil(1024)).as_bytes())
}

/// Writes the tree of the tarball to `root`.
pub fn tree(picket: &Path, root: &Path) -> Result<()> {
    let source = programs::workspace();
    copy(picket, &root.join("picket"), 0o755)?;
    for (shell, at) in COMPLETIONS {
        let name = Path::new(at).file_name().unwrap_or_default();
        write(&root.join("completions").join(name), &said(picket, &["completions", shell])?)?;
    }
    run_to(picket, &root.join("man"))?;
    write(&root.join("picket.toml"), &said(picket, &["daemon", "--print-config"])?)?;
    policies(&root.join("policies"))?;
    copy(&source.join("deploy/systemd/picket.service"), &root.join("picket.service"), 0o644)?;
    documents(root)
}

/// The fields of `deb-control(5)`. Nothing is needed: the program is static.
fn control(version: &str, arch: &str, kib: u64) -> String {
    format!(
        "Package: picket\nVersion: {version}\nArchitecture: {arch}\nMaintainer: The Picket authors <picket@example.com>\n\
         Installed-Size: {kib}\nSection: admin\nPriority: optional\nRecommends: linux-image-{arch} (>= 6.1)\n\
         Description: confinement of AI-agent processes\n \
         Programs in the kernel (BPF LSM) judge every file, socket and exec operation of\n \
         an agent's processes against a policy, refuse what it does not allow, and\n \
         report each refusal with the rule that decided.\n"
    )
}

/// The policies that ship, as examples to be included or copied.
fn policies(to: &Path) -> Result<()> {
    let shipped = files(&programs::workspace().join("policies"))?;
    // The demo's policy speaks of the demo's own stage.
    for file in shipped.iter().filter(|file| !file.ends_with("demo.yaml")) {
        copy(file, &to.join(file.file_name().unwrap_or_default()), 0o644)?;
    }
    Ok(())
}

/// Licences and what there is to read.
fn documents(to: &Path) -> Result<()> {
    let source = programs::workspace();
    for name in ["README.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        copy(&source.join(name), &to.join(name), 0o644)?;
    }
    for file in files(&source.join("docs"))? {
        copy(&file, &to.join("docs").join(file.file_name().unwrap_or_default()), 0o644)?;
    }
    Ok(())
}

/// The manual pages, packed as Debian's policy wants them.
fn manual(picket: &Path, to: &Path) -> Result<()> {
    run_to(picket, to)?;
    for page in files(to)? {
        let status = Command::new("gzip").arg("-n9").arg(&page).status();
        ensure!(status.context("cannot start gzip")?.success(), "gzip failed");
    }
    Ok(())
}

fn run_to(picket: &Path, to: &Path) -> Result<()> {
    said(picket, &["man", &to.to_string_lossy()]).map(drop)
}

/// What the program prints: it is static, so it runs wherever it was built.
fn said(picket: &Path, args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(picket).args(args).output();
    let output = output.with_context(|| format!("cannot run {}", picket.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "picket {} failed: {}", args.join(" "), complaint.trim());
    Ok(output.stdout)
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write(to, &content)?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

/// With mode 644, in directories of mode 755, whatever the umask.
fn write(to: &Path, content: &[u8]) -> Result<()> {
    let failed = || format!("cannot write {}", to.display());
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(failed)?;
    }
    let mut file = fs::File::create(to).with_context(failed)?;
    file.write_all(content).with_context(failed)?;
    Ok(file.set_permissions(fs::Permissions::from_mode(0o644))?)
}

/// Every file below `dir`, in order.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
