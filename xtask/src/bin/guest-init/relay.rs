//! Runs the command and carries its streams until it ends. One thread: the first process must
//! reap whatever is orphaned, and with one loop no stream can hold up another.

use std::{io, os::fd::AsFd};

use anyhow::Result;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use xtask::vm::{
    console::GUEST,
    task::Task,
    wire::{Kind, MAX},
};

use crate::{
    port::Port,
    streams::{self, Streams},
};

/// How long a terminal may take to hand over what its last process wrote: the kernel does that in
/// a worker (`flush_to_ldisc` in drivers/tty/tty_buffer.c), not in the write itself.
const TERMINAL_LAG_MS: u16 = 200;

/// How many reads may be left in a stream when the command ends: the largest pipe that a user may
/// ask for (1 MiB). More comes from somebody whom it started, and may never end.
const LAST_READS: usize = (1 << 20) / MAX + 1;

/// Runs the command; its exit code, by the shell's rule for signals.
pub fn run(task: &Task, port: &mut Port) -> Result<i32> {
    eprintln!("{GUEST} running {:?}", task.command);
    port.send(Kind::Ready, &[])?;
    let (id, mut streams) = match streams::start(task) {
        Ok(started) => started,
        Err(error) => return not_started(task, &error, port),
    };
    let command = Pid::from_raw(i32::try_from(id)?);
    // Only now: a command inherits what is blocked, and programs that learn of their children's ends
    // by SIGCHLD then wait for ever. What ended before gave no signal, so it is reaped first.
    let signals = child_signals()?;
    if let Some(code) = reap(command) {
        drain(&mut streams, port)?;
        return Ok(code);
    }
    loop {
        if let Some(code) = turn(command, &signals, &mut streams, port)? {
            drain(&mut streams, port)?;
            return Ok(code);
        }
    }
}

/// A descriptor that is readable when a child has ended.
fn child_signals() -> Result<SignalFd> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block()?;
    Ok(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// As a shell does: 127 where there is no such program, 126 where it cannot be run.
fn not_started(task: &Task, error: &anyhow::Error, port: &mut Port) -> Result<i32> {
    let name = task.command[0].display();
    port.send(Kind::Stderr, format!("picket-guest: cannot run {name}: {error:#}\n").as_bytes())?;
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    Ok(if kind == Some(io::ErrorKind::NotFound) { 127 } else { 126 })
}

/// Waits until something happens and deals with it; the command's exit code when it has ended.
fn turn(
    command: Pid,
    signals: &SignalFd,
    streams: &mut Streams,
    port: &mut Port,
) -> Result<Option<i32>> {
    let ready = wait(signals, streams, port)?;
    if ready.host {
        for frame in port.receive()? {
            match (frame.kind, &*frame.payload) {
                (Kind::Stdin, bytes) => streams.push_input(bytes),
                (Kind::StdinEnd, _) => streams.end_input(),
                (Kind::Resize, &[r0, r1, c0, c1]) => {
                    streams.resize(u16::from_le_bytes([r0, r1]), u16::from_le_bytes([c0, c1]));
                }
                _ => {}
            }
        }
    }
    if ready.input {
        streams.write_input();
    }
    // Backwards, because a stream that has ended is taken out.
    for index in (0..streams.outputs.len()).rev().filter(|index| ready.outputs[*index]) {
        pump(streams, index, port)?;
    }
    if ready.child {
        while signals.read_signal()?.is_some() {}
        return Ok(reap(command));
    }
    Ok(None)
}

/// What poll(2) found.
struct Ready {
    child: bool,
    host: bool,
    input: bool,
    outputs: Vec<bool>,
}

fn wait(signals: &SignalFd, streams: &Streams, port: &Port) -> Result<Ready> {
    let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    fds.extend(
        streams.outputs.iter().map(|(_, file)| PollFd::new(file.as_fd(), PollFlags::POLLIN)),
    );
    let outputs = 1..fds.len();
    let host = streams.hungry().then(|| {
        fds.push(PollFd::new(port.as_fd(), PollFlags::POLLIN));
        fds.len() - 1
    });
    let input = streams.input_to_poll().map(|fd| {
        fds.push(PollFd::new(fd, PollFlags::POLLOUT));
        fds.len() - 1
    });
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let any = |at: usize| fds[at].revents().is_some_and(|events| !events.is_empty());
    Ok(Ready {
        child: any(0),
        host: host.is_some_and(any),
        input: input.is_some_and(any),
        outputs: outputs.map(any).collect(),
    })
}

/// Carries one read's worth of an output; whether there was any.
fn pump(streams: &mut Streams, index: usize, port: &mut Port) -> Result<bool> {
    let mut buffer = vec![0; MAX];
    match streams.read_output(index, &mut buffer) {
        None => Ok(false),
        Some(0) => {
            streams.outputs.remove(index);
            Ok(false)
        }
        Some(count) => {
            let kind = streams.outputs[index].0;
            port.send(kind, &buffer[..count])?;
            Ok(true)
        }
    }
}

/// Reaps every child that has ended, orphans too; the command's exit code if it is among them.
fn reap(command: Pid) -> Option<i32> {
    let mut code = None;
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(id, status)) if id == command => code = Some(status),
            Ok(WaitStatus::Signaled(id, signal, _)) if id == command => {
                code = Some(128 + signal as i32);
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return code,
            Ok(_) => {}
        }
    }
}

/// Carries what the command left in its streams. Does not wait for their ends: what it started in
/// the background may hold them open for ever.
fn drain(streams: &mut Streams, port: &mut Port) -> Result<()> {
    for index in (0..streams.outputs.len()).rev() {
        for _ in 0..LAST_READS {
            if streams.terminal() {
                let mut fds = [PollFd::new(streams.outputs[index].1.as_fd(), PollFlags::POLLIN)];
                poll(&mut fds, TERMINAL_LAG_MS)?;
            }
            if !pump(streams, index, port)? {
                break;
            }
        }
    }
    Ok(())
}
