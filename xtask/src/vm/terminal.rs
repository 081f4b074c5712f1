//! Our own standard input on its way to the guest, and the terminal it may come from.

use std::{
    fs::File,
    io::{self, IsTerminal as _, PipeReader, Read as _, Stdin, Write},
    os::fd::{AsFd, OwnedFd},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::{SigId, consts::SIGWINCH, low_level};

use super::wire::{Frame, Kind, MAX};

/// Whether a person sits at both ends.
#[must_use]
pub fn interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Rows and columns of our terminal.
#[must_use]
pub fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row, size.ws_col),
        _ => (24, 80),
    }
}

/// Our terminal in raw mode, where every key goes to the guest; back to what it was on drop.
#[derive(Debug)]
pub struct Raw {
    terminal: Stdin,
    before: Termios,
}

impl Raw {
    /// Switches.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn enter() -> Result<Self> {
        let terminal = io::stdin();
        let before = tcgetattr(&terminal).context("cannot read the terminal's mode")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Drain, &raw)
            .context("cannot switch the terminal to raw mode")?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that has gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// Where the command's standard input comes from.
#[derive(Debug)]
pub enum Input {
    /// Nowhere: it is at its end at once.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Our own standard input; with a terminal, the changes of its size too.
    Inherit,
}

/// The thread that feeds the guest; ends when the value goes.
#[derive(Debug)]
pub struct Feeder {
    stop: Option<io::PipeWriter>,
    thread: Option<JoinHandle<()>>,
    resizes: Option<SigId>,
}

impl Feeder {
    /// Starts feeding `to`.
    ///
    /// # Errors
    /// When pipes or the thread cannot be made.
    pub fn start(input: Input, mut to: impl Write + Send + 'static) -> Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (resized, resize) = io::pipe()?;
        let resizes = match input {
            Input::Inherit if interactive() => {
                Some(low_level::pipe::register(SIGWINCH, OwnedFd::from(resize))?)
            }
            _ => None,
        };
        let thread = thread::Builder::new().name("input".to_owned()).spawn(move || {
            // An error means that the guest is gone, which the other side of the line notices.
            let _ = feed(input, &mut to, &stopped, resized);
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread), resizes })
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        if let Some(id) = self.resizes.take() {
            low_level::unregister(id);
        }
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has printed its own message.
            let _ = thread.join();
        }
    }
}

fn feed(
    input: Input,
    to: &mut impl Write,
    stopped: &PipeReader,
    resized: PipeReader,
) -> io::Result<()> {
    match input {
        Input::Empty => Frame::new(Kind::StdinEnd, []).write(to),
        Input::Bytes(bytes) => {
            for piece in bytes.chunks(MAX) {
                Frame::new(Kind::Stdin, piece).write(to)?;
            }
            Frame::new(Kind::StdinEnd, []).write(to)
        }
        Input::Inherit => inherit(to, stopped, resized),
    }
}

/// Waits on three things at once, so that it can be stopped without a key being pressed.
fn inherit(to: &mut impl Write, stopped: &PipeReader, mut resized: PipeReader) -> io::Result<()> {
    // Not through std's buffer: what it held back would be lost to whoever reads next.
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut buffer = vec![0; MAX];
    let mut ended = false;
    loop {
        let mut fds = vec![
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
            PollFd::new(resized.as_fd(), PollFlags::POLLIN),
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
        ];
        // A closed pipe is readable for ever; nobody writes to the second without a terminal.
        if ended {
            fds.pop();
        }
        if !interactive() {
            fds.remove(1);
        }
        poll(&mut fds, PollTimeout::NONE)?;
        let ready: Vec<_> =
            fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect();
        if ready[0] {
            return Ok(());
        }
        if interactive() && ready[1] {
            let _ = resized.read(&mut [0; 64])?;
            let (rows, columns) = size();
            let payload = [rows.to_le_bytes(), columns.to_le_bytes()].concat();
            Frame::new(Kind::Resize, payload).write(to)?;
        }
        if !ended && ready[ready.len() - 1] {
            let count = stdin.read(&mut buffer)?;
            ended = count == 0;
            let kind = if ended { Kind::StdinEnd } else { Kind::Stdin };
            Frame::new(kind, &buffer[..count]).write(to)?;
        }
    }
}
