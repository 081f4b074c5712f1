//! Kernel modules that a guest needs before it can see its disks: which files, in which order.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// The modules behind the guest's disks and its line to the host. What a kernel has built in
/// needs no file.
const EARLY: [&str; 3] = ["virtio_pci", "virtio_blk", "virtio_console"];

/// Copies the early modules and what they depend on from the module tree `modules` (one with
/// depmod's files) into the new directory `into`, uncompressed, named so that their sorted names
/// are the order of loading.
///
/// # Errors
/// When the tree lacks one of them, and those of reading, unpacking and writing.
pub fn extract_early(modules: &Path, into: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = modules.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let order = load_order(&EARLY, &read("modules.dep")?, &read("modules.builtin")?)?;
    fs::create_dir(into)?;
    for (index, file) in order.iter().enumerate() {
        let name = into.join(format!("{index:02}-{}.ko", module_name(file)));
        let file = modules.join(file);
        match file.extension().and_then(|end| end.to_str()) {
            Some("ko") => fs::copy(&file, &name).map(drop)?,
            Some("xz") => unpack_xz(&file, &name)?,
            _ => bail!("{} is compressed in a way that set-up does not know", file.display()),
        }
    }
    Ok(())
}

fn unpack_xz(from: &Path, to: &Path) -> Result<()> {
    let mut xz = Command::new("xz");
    xz.arg("--decompress")
        .stdin(File::open(from)?)
        .stdout(File::create(to)?)
        .stderr(Stdio::inherit());
    let status = xz.status().context("cannot start xz")?;
    if !status.success() {
        bail!("xz cannot unpack {}", from.display());
    }
    Ok(())
}

/// The files to load for `wanted`, dependencies first. `dep` is depmod's modules.dep (`file:
/// dependency ...`, the nearest first), `builtin` a file name a line.
fn load_order(wanted: &[&str], dep: &str, builtin: &str) -> Result<Vec<String>> {
    let builtin: Vec<_> = builtin.lines().map(module_name).collect();
    let mut dependencies = HashMap::new();
    for line in dep.lines() {
        let Some((file, needs)) = line.split_once(':') else {
            bail!("modules.dep has a line without a colon: {line}")
        };
        dependencies.insert(module_name(file), (file, needs));
    }
    let mut order: Vec<String> = Vec::new();
    for name in wanted {
        let Some((file, needs)) = dependencies.get(*name) else {
            if builtin.iter().any(|module| module == name) {
                continue;
            }
            bail!(
                "the kernel has no module {name}, without which a guest cannot see its disks or its host"
            );
        };
        for file in needs.split_whitespace().rev().chain([*file]) {
            if !order.iter().any(|earlier| earlier == file) {
                order.push(file.to_owned());
            }
        }
    }
    Ok(order)
}

/// `kernel/drivers/hw_random/virtio-rng.ko.xz` is the module `virtio_rng`.
fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split(".ko").next().unwrap_or(name).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/virtio/virtio.ko:
kernel/virtio/virtio_ring.ko: kernel/virtio/virtio.ko
kernel/virtio/virtio-pci.ko.xz: kernel/virtio/virtio_ring.ko kernel/virtio/virtio.ko
kernel/block/virtio_blk.ko: kernel/virtio/virtio_ring.ko kernel/virtio/virtio.ko
";

    #[test]
    fn dependencies_come_first_and_once() {
        let order = load_order(
            &["virtio_pci", "virtio_blk", "virtio_console"],
            DEP,
            "kernel/char/virtio_console.ko\n",
        );
        let wanted = [
            "virtio/virtio.ko",
            "virtio/virtio_ring.ko",
            "virtio/virtio-pci.ko.xz",
            "block/virtio_blk.ko",
        ];
        assert_eq!(order.unwrap(), wanted.map(|file| format!("kernel/{file}")));
    }

    #[test]
    fn a_module_that_is_nowhere_is_an_error() {
        let error = load_order(&["virtio_console"], DEP, "").unwrap_err().to_string();
        assert!(error.contains("no module virtio_console"), "{error}");
    }
}
