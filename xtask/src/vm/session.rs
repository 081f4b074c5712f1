//! One run of a machine seen from the host: what arrives over the line, what the person at the
//! keyboard wants, and how it all ends.

use std::{
    io,
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use super::{
    console::Console,
    failure::Failure,
    machine::{Outcome, Streams},
    qemu::Qemu,
    room, signals,
    terminal::{Feeder, Raw},
    wire::{Frame, Kind},
};
use anyhow::{Context as _, Result, anyhow};

/// How long a guest may take to power off after its command has ended.
const POWER_OFF: Duration = Duration::from_secs(20);

/// How often the room for a guest's disks is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How reading fails when the other side has gone without a word.
const GONE: [io::ErrorKind; 2] = [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof];

/// When a run began, how long it may take, and what it must not fill.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// When QEMU was about to start.
    pub start: Instant,
    /// How long it may take from there.
    pub timeout: Duration,
    /// The directory that holds the machine's disks.
    pub disks: &'a Path,
}

impl Limits<'_> {
    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.start.elapsed())
    }
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The guest said something.
    Frame(Frame),
    /// The line is closed, or broken.
    Closed(Option<io::Error>),
    /// Somebody wants us to stop.
    Signal(i32),
}

/// What happens to one machine, in order.
pub struct Events {
    sender: SyncSender<Event>,
    receiver: Receiver<Event>,
    _registration: signals::Registration,
}

impl Events {
    /// Begins to listen, to signals at first.
    ///
    /// # Errors
    /// When handlers or the thread cannot be made.
    pub fn listen() -> Result<Self> {
        // A bound makes a guest wait that writes faster than we can.
        let (sender, receiver) = sync_channel(64);
        let registration = signals::register(sender.clone())?;
        Ok(Self { sender, receiver, _registration: registration })
    }

    fn signal(&self) -> Option<i32> {
        match self.receiver.try_recv() {
            Ok(Event::Signal(signal)) => Some(signal),
            _ => None,
        }
    }
}

/// Carries a run to its end. `terminal` says whether ours is to be in raw mode meanwhile.
///
/// # Errors
/// When the command did not come to its end, or did while the kernel complained.
pub fn run(
    mut qemu: Qemu,
    listener: &UnixListener,
    events: &Events,
    limits: &Limits<'_>,
    console: &Path,
    terminal: bool,
    streams: Streams<'_>,
) -> Result<Outcome, Failure> {
    let line = accept(&mut qemu, listener, events)?;
    let reader = line.try_clone()?;
    let sender = events.sender.clone();
    thread::Builder::new().name("guest".to_owned()).spawn(move || receive(reader, &sender))?;
    let feeder = Feeder::start(streams.stdin, line.try_clone()?)?;
    let raw = terminal.then(Raw::enter).transpose()?;
    let ended = Session { limits, console, out: streams.stdout, err: streams.stderr, boot: None }
        .carry(events);
    drop(raw);
    // Whoever still writes to the guest or reads from it must let go.
    let let_go = |line: UnixStream, feeder: Feeder| {
        let _ = line.shutdown(Shutdown::Both);
        drop(feeder);
    };
    match ended {
        Ok((code, boot)) => {
            qemu.wait(POWER_OFF)?;
            let_go(line, feeder);
            judge(code, boot, console)
        }
        Err(failure) => {
            let why = ended_by_itself(failure, &mut qemu, console)?;
            let_go(line, feeder);
            Err(why)
        }
    }
}

/// Waits for QEMU to connect.
fn accept(
    qemu: &mut Qemu,
    listener: &UnixListener,
    events: &Events,
) -> Result<UnixStream, Failure> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((line, _)) => {
                line.set_nonblocking(false)?;
                return Ok(line);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(signal) = events.signal() {
            return Err(Failure::Interrupted(signal));
        }
        if let Some(status) = qemu.ended()? {
            return Err(anyhow!("QEMU does not start ({status}): {}", qemu.said()).into());
        }
        sleep(Duration::from_millis(2));
    }
}

/// Turns what arrives into events, until the line is closed.
fn receive(mut line: UnixStream, events: &SyncSender<Event>) {
    loop {
        let event = match Frame::read(&mut line) {
            Ok(Some(frame)) => Event::Frame(frame),
            Ok(None) => Event::Closed(None),
            // QEMU ended with frames of ours unread, or in the middle of one of the guest's.
            Err(error) if GONE.contains(&error.kind()) => Event::Closed(None),
            Err(error) => Event::Closed(Some(error)),
        };
        let last = matches!(event, Event::Closed(_));
        if events.send(event).is_err() || last {
            return;
        }
    }
}

struct Session<'a> {
    limits: &'a Limits<'a>,
    console: &'a Path,
    out: &'a mut dyn io::Write,
    err: &'a mut dyn io::Write,
    boot: Option<Duration>,
}

impl Session<'_> {
    /// Until the guest says how the command ended.
    fn carry(mut self, events: &Events) -> Result<(i32, Duration), Failure> {
        let mut looked = Instant::now();
        loop {
            if looked.elapsed() >= LOOK {
                room::check(self.limits.disks)?;
                looked = Instant::now();
            }
            let event = match events.receiver.recv_timeout(self.limits.left().min(LOOK)) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) if !self.limits.left().is_zero() => continue,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(self.timed_out());
                }
            };
            match event {
                Event::Signal(signal) => return Err(Failure::Interrupted(signal)),
                Event::Closed(None) => return Err(self.ended()),
                Event::Closed(Some(error)) => {
                    return Err(anyhow!(error).context("the line to the guest is broken").into());
                }
                Event::Frame(frame) => {
                    if let Some(code) = self.frame(&frame)? {
                        return Ok((code, self.boot.unwrap_or_default()));
                    }
                }
            }
            if self.limits.left().is_zero() {
                return Err(self.timed_out());
            }
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<Option<i32>, Failure> {
        match frame.kind {
            Kind::Ready => self.boot = Some(self.limits.start.elapsed()),
            Kind::Stdout => {
                put(self.out, &frame.payload).context("cannot write standard output")?;
            }
            Kind::Stderr => {
                put(self.err, &frame.payload).context("cannot write standard error")?;
            }
            Kind::Trouble => {
                let why = String::from_utf8_lossy(&frame.payload).into_owned();
                return Err(Failure::Guest { why, log: self.console.to_owned() });
            }
            Kind::Exit => {
                let bytes = frame
                    .payload
                    .as_slice()
                    .try_into()
                    .map_err(|_| anyhow!("the guest's exit code is damaged"))?;
                return Ok(Some(i32::from_le_bytes(bytes)));
            }
            Kind::Stdin | Kind::StdinEnd | Kind::Resize => {
                return Err(anyhow!("the guest sent what only the host may send").into());
            }
        }
        Ok(None)
    }

    fn timed_out(&self) -> Failure {
        Failure::Timeout {
            seconds: self.limits.timeout.as_secs(),
            log: self.console.to_owned(),
            tail: Console::read(self.console).tail(),
        }
    }

    fn ended(&self) -> Failure {
        Failure::Ended { log: self.console.to_owned(), tail: String::new() }
    }
}

/// As it comes: a person watches.
fn put(to: &mut dyn io::Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// The command has ended; what the kernel said decides whether that counts.
fn judge(code: i32, boot: Duration, log: &Path) -> Result<Outcome, Failure> {
    let console = Console::read(log);
    if let Some(reason) = console.panic() {
        return Err(Failure::Panic {
            reason: reason.to_owned(),
            log: log.to_owned(),
            tail: console.tail(),
        });
    }
    let lines = console.complaints();
    if !lines.is_empty() {
        return Err(Failure::Complaint { code, lines, log: log.to_owned() });
    }
    Ok(Outcome { code, boot, console: log.to_owned() })
}

/// Where the machine ended by itself, the console (complete only when QEMU has gone) or QEMU says
/// why.
fn ended_by_itself(failure: Failure, qemu: &mut Qemu, log: &Path) -> Result<Failure, Failure> {
    if !matches!(failure, Failure::Ended { .. }) {
        return Ok(failure);
    }
    qemu.wait(POWER_OFF)?;
    let console = Console::read(log);
    let (log, tail) = (log.to_owned(), console.tail());
    if let Some(reason) = console.panic() {
        return Ok(Failure::Panic { reason: reason.to_owned(), log, tail });
    }
    let said = qemu.said();
    Ok(if said.is_empty() {
        Failure::Ended { log, tail }
    } else {
        anyhow!("QEMU gave up: {said}").into()
    })
}
