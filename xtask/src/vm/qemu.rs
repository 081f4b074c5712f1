//! The emulator's command line and its process.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::wire::PORT;
use crate::setup::apt;

/// A disk of the machine.
#[derive(Debug)]
pub struct Disk {
    /// The raw image.
    pub image: PathBuf,
    /// What the guest knows it by; 20 bytes at most.
    pub serial: String,
    /// Whether the guest may write; what it writes is thrown away.
    pub writable: bool,
}

/// How instructions are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Accel {
    /// By the processor.
    Kvm,
    /// By emulation.
    Tcg,
}

/// Everything that QEMU is told.
#[derive(Debug)]
pub struct Hardware {
    /// How instructions are executed.
    pub accel: Accel,
    /// One nanosecond of guest time an instruction.
    pub icount: bool,
    /// Processors.
    pub smp: u32,
    /// Whether emulated processors have a thread each; otherwise they take turns on one.
    pub parallel: bool,
    /// Memory in MiB.
    pub memory: u32,
    /// The kernel's image.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initrd: PathBuf,
    /// The kernel's command line.
    pub append: String,
    /// Disks.
    pub disks: Vec<Disk>,
    /// The unix socket that we listen on.
    pub socket: PathBuf,
    /// Where the serial console goes.
    pub console: PathBuf,
    /// A directory for QEMU's own temporary files, which holds what it says too.
    pub scratch: PathBuf,
}

impl Hardware {
    fn args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = Vec::new();
        let mut put = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        put(&["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35"]);
        match (self.accel, self.icount) {
            (Accel::Kvm, _) => put(&["-accel", "kvm", "-cpu", "host"]),
            // Counted instructions need one thread for all processors.
            (Accel::Tcg, true) => put(&["-accel", "tcg", "-icount", "shift=0", "-cpu", "max"]),
            // With a thread each, a processor can go on executing a breakpoint that another has replaced
            // already: the kernel, which puts one wherever it rewrites its own code (text_poke(), for
            // static keys and for programs that are attached), panics at one that it does not know.
            // Seen with QEMU 7.2, also before anything of ours runs.
            (Accel::Tcg, false) => {
                let threads = if self.parallel { "multi" } else { "single" };
                put(&["-accel", &format!("tcg,thread={threads}"), "-cpu", "max"]);
            }
        }
        put(&["-smp", &self.smp.to_string(), "-m", &self.memory.to_string()]);
        put(&[
            "-kernel",
            &text(&self.kernel),
            "-initrd",
            &text(&self.initrd),
            "-append",
            &self.append,
        ]);
        put(&[
            "-chardev",
            &format!("file,id=console,path={}", option(&self.console)),
            "-serial",
            "chardev:console",
        ]);
        put(&["-device", "virtio-serial-pci"]);
        put(&["-chardev", &format!("socket,id=host,path={}", option(&self.socket))]);
        put(&["-device", &format!("virtserialport,chardev=host,name={PORT}")]);
        for (index, disk) in self.disks.iter().enumerate() {
            let access = if disk.writable { "snapshot=on" } else { "readonly=on" };
            let file = option(&disk.image);
            put(&["-drive", &format!("if=none,id=disk{index},format=raw,{access},file={file}")]);
            put(&["-device", &format!("virtio-blk-pci,drive=disk{index},serial={}", disk.serial)]);
        }
        args
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A path inside a list of options, where a comma is written twice.
fn option(path: &Path) -> String {
    text(path).replace(',', ",,")
}

/// The running emulator; killed when the value goes.
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    said: PathBuf,
}

impl Qemu {
    /// Starts it.
    ///
    /// # Errors
    /// When a program is missing.
    pub fn start(hardware: &Hardware) -> Result<Self> {
        let said = hardware.scratch.join("qemu.txt");
        let output = File::create(&said)?;
        // Where we are killed without a word, the machine must not live on.
        let mut command = Command::new(apt::program("setpriv")?);
        command.args(["--pdeathsig", "KILL", "--"]).arg(apt::program("qemu-system-x86_64")?);
        command.args(hardware.args()).env("TMPDIR", &hardware.scratch);
        // Out of the terminal's foreground group: Ctrl-C is ours to deal with.
        command.process_group(0);
        let command = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("cannot start QEMU")?;
        Ok(Self { child, said })
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits at most `patience` for it to end.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() > deadline {
                return Ok(ended);
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// What it said itself; nothing where all is well.
    #[must_use]
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap_or_default()).trim_end().to_owned()
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail only where it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardware() -> Hardware {
        Hardware {
            accel: Accel::Tcg,
            icount: false,
            smp: 2,
            parallel: false,
            memory: 1024,
            kernel: "/k/vmlinuz".into(),
            initrd: "/t/initrd".into(),
            append: "console=ttyS0".to_owned(),
            disks: vec![Disk { image: "/a,b.ext4".into(), serial: "s".to_owned(), writable: true }],
            socket: "/t/s".into(),
            console: "/t/c".into(),
            scratch: "/t".into(),
        }
    }

    #[test]
    fn commas_in_paths_do_not_end_an_option() {
        let args = hardware().args();
        assert!(
            args.contains(&"if=none,id=disk0,format=raw,snapshot=on,file=/a,,b.ext4".into()),
            "{args:?}"
        );
    }

    #[test]
    fn counting_instructions_excludes_parallel_threads() {
        let args = Hardware { icount: true, smp: 1, parallel: true, ..hardware() }.args();
        assert!(
            args.contains(&"shift=0".into()) && !args.contains(&"tcg,thread=multi".into()),
            "{args:?}"
        );
    }

    #[test]
    fn emulated_processors_have_a_thread_each_only_where_that_is_asked() {
        let threads = |parallel| {
            let args = Hardware { parallel, ..hardware() }.args();
            ["tcg,thread=single", "tcg,thread=multi"].map(|mode| args.contains(&mode.into()))
        };
        assert_eq!((threads(false), threads(true)), ([true, false], [false, true]));
    }
}
