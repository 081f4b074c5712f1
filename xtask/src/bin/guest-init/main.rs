//! The first process of a guest: brings the machine up, runs one command with its streams carried
//! to the host, tells the host how it ended, and powers the machine off. A static program, because
//! it runs before any root file system is there. Everything it is to do it finds in the initramfs.

mod machine;
mod port;
mod relay;
mod streams;
mod systemd;

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use nix::sys::reboot::{RebootMode, reboot};
use port::Port;
use xtask::vm::{
    console::GUEST,
    task::{self, Task},
};

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("guest-init is the first process of a test machine and nothing else");
        return ExitCode::FAILURE;
    }
    if let Err(error) = guest() {
        // Standard error is the console here, and its log is all that is left to look at.
        eprintln!("{GUEST} {error:#}");
    }
    // The disks' writes are thrown away, so nothing needs to be synchronised.
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        Err(error) => eprintln!("{GUEST} cannot power off: {error}"),
    }
    // The kernel panics when its first process ends, which ends the machine too.
    ExitCode::FAILURE
}

fn guest() -> Result<()> {
    machine::first_mounts()?;
    machine::load_modules(&Path::new("/").join(task::MODULES))?;
    let mut port = Port::open()?;
    let result = prepare().and_then(|task| {
        if task.systemd {
            systemd::take_over()?;
        }
        relay::run(&task, &mut port)
    });
    match result {
        Ok(code) => port.exit(code),
        Err(error) => port.trouble(&format!("{error:#}")),
    }
}

fn prepare() -> Result<Task> {
    let text = fs::read(Path::new("/").join(task::FILE)).context("the initramfs has no task")?;
    let Some(task) = Task::parse(&text) else { bail!("the task in the initramfs is damaged") };
    machine::bring_up(&task)?;
    Ok(task)
}
