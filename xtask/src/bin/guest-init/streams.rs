//! Starts the command and holds our ends of its streams: three pipes, or one terminal.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    pty::{Winsize, openpty},
};
use rustix::termios::tcsetwinsize;
use xtask::vm::{task::Task, wire::Kind};

/// Our ends. All are non-blocking, so that a command which holds one of them up holds up nothing
/// else.
#[derive(Debug)]
pub struct Streams {
    /// What the command writes, and which frames it goes in.
    pub outputs: Vec<(Kind, File)>,
    input: Option<File>,
    waiting: Vec<u8>,
    input_ends: bool,
    terminal: bool,
}

/// Starts the command; gives its process id.
pub fn start(task: &Task) -> Result<(u32, Streams)> {
    match task.terminal {
        Some(size) => on_terminal(task, size),
        None => on_pipes(task),
    }
}

fn command(task: &Task, words: &[&OsStr]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear().envs(task.env.iter().map(|(name, value)| (name, value)));
    command.current_dir("/root");
    command
}

fn on_pipes(task: &Task) -> Result<(u32, Streams)> {
    let words: Vec<_> = task.command.iter().map(OsString::as_os_str).collect();
    let mut command = command(task, &words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let take = |stream: Option<OwnedFd>| stream.context("a stream is missing").and_then(unblocked);
    let stdout = take(child.stdout.take().map(Into::into))?;
    let stderr = take(child.stderr.take().map(Into::into))?;
    let stdin = take(child.stdin.take().map(Into::into))?;
    let outputs = vec![(Kind::Stdout, stdout), (Kind::Stderr, stderr)];
    Ok((child.id(), Streams::new(outputs, stdin, false)))
}

fn on_terminal(task: &Task, (rows, columns): (u16, u16)) -> Result<(u32, Streams)> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).context("cannot open a terminal")?;
    // setsid(1) makes the terminal the controlling one, which takes a step between fork and exec.
    let mut words = vec![OsStr::new("/usr/bin/setsid"), OsStr::new("--ctty")];
    words.extend(task.command.iter().map(OsString::as_os_str));
    let mut command = command(task, &words);
    command.stdin(pty.slave.try_clone()?).stdout(pty.slave.try_clone()?).stderr(pty.slave);
    let child = command.spawn()?;
    let master = unblocked(pty.master)?;
    let outputs = vec![(Kind::Stdout, master.try_clone()?)];
    Ok((child.id(), Streams::new(outputs, master, true)))
}

fn unblocked(stream: OwnedFd) -> Result<File> {
    let flags = OFlag::from_bits_retain(fcntl(&stream, FcntlArg::F_GETFL)?);
    fcntl(&stream, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(stream.into())
}

impl Streams {
    fn new(outputs: Vec<(Kind, File)>, input: File, terminal: bool) -> Self {
        Self { outputs, input: Some(input), waiting: Vec::new(), input_ends: false, terminal }
    }

    /// Whether the command runs on a terminal.
    pub fn terminal(&self) -> bool {
        self.terminal
    }

    /// Whether more input can be taken from the host; what is not taken waits there.
    pub fn hungry(&self) -> bool {
        self.waiting.len() < 64 * 1024
    }

    /// The input stream, where bytes wait for it.
    pub fn input_to_poll(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().filter(|_| !self.waiting.is_empty()).map(AsFd::as_fd)
    }

    /// Takes bytes for the command.
    pub fn push_input(&mut self, bytes: &[u8]) {
        if self.input.is_some() {
            self.waiting.extend_from_slice(bytes);
        }
    }

    /// After what waits, the input is at its end. A terminal has no end; closing ours would hang
    /// up the command.
    pub fn end_input(&mut self) {
        self.input_ends = !self.terminal;
        self.close_input_if_done();
    }

    /// Writes as much as the command takes now.
    pub fn write_input(&mut self) {
        let Some(input) = &mut self.input else { return };
        match input.write(&self.waiting) {
            Ok(count) => drop(self.waiting.drain(..count)),
            Err(error) if retry(&error) => {}
            // The command has closed its input; the rest is for nobody, as with any pipe.
            Err(_) => {
                self.input = None;
                self.waiting.clear();
            }
        }
        self.close_input_if_done();
    }

    fn close_input_if_done(&mut self) {
        if self.input_ends && self.waiting.is_empty() {
            self.input = None;
        }
    }

    /// The terminal's window has another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        if let (true, Some(input)) = (self.terminal, &self.input) {
            let size = rustix::termios::Winsize {
                ws_row: rows,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            // Worth nothing more than a try: the command may be gone.
            let _ = tcsetwinsize(input, size);
        }
    }

    /// Reads from an output: `None` where nothing is there now; nothing read is the end.
    pub fn read_output(&mut self, index: usize, buffer: &mut [u8]) -> Option<usize> {
        match self.outputs[index].1.read(buffer) {
            Ok(count) => Some(count),
            Err(error) if retry(&error) => None,
            // A terminal that nobody has open any more answers EIO.
            Err(_) => Some(0),
        }
    }
}

fn retry(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
