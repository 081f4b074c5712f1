//! The line to the host.

use std::{
    fs::{self, File},
    io::Read as _,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use xtask::vm::{
    console::GUEST,
    wire::{Frame, Kind, PORT, Parser},
};

use crate::machine::wait_for;

/// The guest's end. A write returns only when the host has taken the bytes
/// (`__send_to_port` in drivers/char/virtio_console.c waits for them), so nothing is lost by
/// powering off afterwards.
#[derive(Debug)]
pub struct Port {
    device: File,
    parser: Parser,
}

impl Port {
    pub fn open() -> Result<Self> {
        let path = wait_for("the line to the host", find)?;
        let device = File::options().read(true).write(true).open(&path);
        let device = device.with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { device, parser: Parser::default() })
    }

    pub fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<()> {
        Frame::new(kind, payload).write(&mut self.device).context("cannot write to the host")
    }

    /// Tells the host how the command ended.
    pub fn exit(&mut self, code: i32) -> Result<()> {
        self.send(Kind::Exit, &code.to_le_bytes())
    }

    /// Tells the host, and the console, that it did not get as far as the command.
    pub fn trouble(&mut self, why: &str) -> Result<()> {
        eprintln!("{GUEST} {why}");
        self.send(Kind::Trouble, why.as_bytes())
    }

    /// Reads what is there and gives the frames that are complete.
    pub fn receive(&mut self) -> Result<Vec<Frame>> {
        let mut bytes = vec![0; 32 * 1024];
        let count = self.device.read(&mut bytes).context("cannot read from the host")?;
        if count == 0 {
            bail!("the host has gone");
        }
        self.parser.push(&bytes[..count]);
        let mut frames = Vec::new();
        while let Some(frame) = self.parser.next()? {
            frames.push(frame);
        }
        Ok(frames)
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

fn find() -> Option<PathBuf> {
    let ports = fs::read_dir("/sys/class/virtio-ports").ok()?;
    let mut ports = ports.filter_map(|port| Some(port.ok()?.path()));
    let port = ports
        .find(|port| fs::read_to_string(port.join("name")).is_ok_and(|name| name.trim() == PORT))?;
    Some(Path::new("/dev").join(port.file_name()?)).filter(|device| device.exists())
}
