//! What a machine is put together from for one run: its task, its initramfs, its disks.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{
    super::{
        initramfs::Initramfs,
        programs,
        qemu::{Accel, Disk, Hardware},
        task::{self, Task, serial},
        terminal,
    },
    Machine,
};
use crate::setup::{disk, kernels::KernelFiles, step::Log};

impl Machine {
    /// What the guest is told to do.
    pub(super) fn task(&self, command: Vec<OsString>, terminal: bool) -> Task {
        let own_term = std::env::var_os("TERM").filter(|_| terminal);
        let mut env: Vec<(OsString, OsString)> = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("USER", "root"),
            ("LOGNAME", "root"),
            ("SHELL", "/bin/bash"),
            ("LANG", "C.UTF-8"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec();
        env.push(("TERM".into(), own_term.unwrap_or_else(|| "dumb".into())));
        env.extend(self.env.iter().cloned());
        let shares =
            self.shares.iter().filter_map(|dir| dir.file_name()).map(OsStr::to_owned).collect();
        let systemd = self.systemd;
        Task { command, env, terminal: terminal.then(terminal::size), shares, systemd }
    }

    /// Writes what the guest begins with.
    pub(super) fn write_initramfs(
        &self,
        kernel: &KernelFiles,
        task: &Task,
        scratch: &TempDir,
    ) -> Result<()> {
        let read =
            |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let file = File::create(scratch.path().join("initrd"))?;
        let mut archive = Initramfs::new(BufWriter::new(file))?;
        archive.file("init", 0o755, &read(&programs::guest_init()?)?)?;
        archive.file(task::FILE, 0o600, &task.to_bytes())?;
        for module in &kernel.early_modules {
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("{}/{name}", task::MODULES), 0o600, &read(module)?)?;
        }
        for file in &self.injected {
            archive.file(
                &format!("{}/{}", task::INJECTED, file.to),
                file.mode,
                &read(&file.from)?,
            )?;
        }
        archive.finish()?.flush().context("cannot write the initramfs")
    }

    /// What QEMU is to be, with a disk for each directory that is shown.
    pub(super) fn hardware(
        &self,
        accel: Accel,
        kernel: KernelFiles,
        root: PathBuf,
        scratch: &TempDir,
        console: &Path,
    ) -> Result<Hardware> {
        let mut disks = vec![
            Disk { image: root, serial: serial::ROOT.to_owned(), writable: true },
            Disk {
                image: kernel.modules_disk,
                serial: serial::MODULES.to_owned(),
                writable: false,
            },
        ];
        let log = Log::begin(scratch.path().join("shares.log"))?;
        for (index, dir) in self.shares.iter().enumerate() {
            let image = scratch.path().join(format!("share-{index}.ext4"));
            disk::pack(&log, dir, &image, 0)
                .with_context(|| format!("cannot share {}", dir.display()))?;
            disks.push(Disk {
                image,
                serial: format!("{}{index}", serial::SHARE),
                writable: false,
            });
        }
        // Warnings have level 4, and the console shows what is below its own. The longer patience
        // of the stall detector is for a host with less than a whole processor a guest's.
        let mut append =
            "console=ttyS0 loglevel=5 panic=-1 rcupdate.rcu_cpu_stall_timeout=60".to_owned();
        let counted = self.icount.then_some("norandmaps");
        for more in counted.into_iter().chain(self.append.iter().map(String::as_str)) {
            append.push(' ');
            append.push_str(more);
        }
        Ok(Hardware {
            accel,
            icount: self.icount,
            smp: self.smp,
            parallel: self.parallel,
            memory: self.memory,
            kernel: kernel.image,
            initrd: scratch.path().join("initrd"),
            append,
            disks,
            socket: scratch.path().join("host"),
            console: console.to_owned(),
            scratch: scratch.path().to_owned(),
        })
    }
}
