//! Syslog: messages of RFC 5424 with the line as their text, over a local socket, UDP, or TCP with
//! octets counted (RFC 6587). UDP has no answer, so what is lost on the way is counted nowhere.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::super::hub::Record;
use super::shape::priority;
use super::{Sink, Taken};

/// How long the other side may not answer or not read.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `unix:/dev/log`.
    Unix(PathBuf),
    /// `udp:HOST:PORT`.
    Udp(String),
    /// `tcp:HOST:PORT`.
    Tcp(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let host = |rest: &str| {
            let port = rest.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            let known = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            known.then(|| rest.to_owned()).ok_or_else(|| format!("`{text}` has no host and port"))
        };
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Ok(Target::Unix(path.into())),
            Some(("udp", rest)) => host(rest).map(Target::Udp),
            Some(("tcp", rest)) => host(rest).map(Target::Tcp),
            _ => Err(format!("`{text}` is none of unix:/PATH, udp:HOST:PORT, tcp:HOST:PORT")),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
            Target::Udp(host) => write!(f, "udp:{host}"),
            Target::Tcp(host) => write!(f, "tcp:{host}"),
        }
    }
}

/// Names of facilities, by number from 0 (RFC 5424, table 1).
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// The number of a facility.
pub fn facility(name: &str) -> Result<u8, String> {
    let found = FACILITIES.iter().position(|facility| *facility == name);
    found.map(|number| number as u8).ok_or_else(|| {
        format!("`{name}` is no facility of syslog; write one of {}", FACILITIES.join(", "))
    })
}

pub struct Syslog {
    target: Target,
    facility: u8,
    host: String,
    link: Option<Link>,
}

enum Link {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Syslog {
    /// To a place, as a facility.
    pub fn new(target: Target, facility: u8) -> Syslog {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = Some(host.trim().to_owned()).filter(|host| !host.is_empty());
        Syslog { target, facility, host: host.unwrap_or_else(|| "-".to_owned()), link: None }
    }

    fn message(&self, record: &Record) -> String {
        let priority = self.facility * 8 + priority(record);
        let time = humantime::format_rfc3339_micros(record.time);
        let (host, pid, text) = (&self.host, std::process::id(), record.text.trim_end());
        format!("<{priority}>1 {time} {host} picket {pid} {} - {text}", record.kind)
    }

    fn send(&mut self, message: &str) -> io::Result<()> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.target)?,
        };
        link.send(message)?;
        // One that failed is not kept.
        self.link = Some(link);
        Ok(())
    }
}

impl Link {
    fn open(target: &Target) -> io::Result<Link> {
        match target {
            Target::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Link::Unix(socket))
            }
            Target::Udp(host) => {
                let address = resolve(host)?;
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Link::Udp(socket))
            }
            Target::Tcp(host) => {
                let stream = TcpStream::connect_timeout(&resolve(host)?, PATIENCE)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Link::Tcp(stream))
            }
        }
    }

    fn send(&mut self, message: &str) -> io::Result<()> {
        match self {
            Link::Unix(socket) => socket.send(message.as_bytes()).map(drop),
            Link::Udp(socket) => socket.send(message.as_bytes()).map(drop),
            Link::Tcp(stream) => {
                is_open(stream)?;
                stream.write_all(format!("{} {message}", message.len()).as_bytes())
            }
        }
    }
}

/// What is written to a connection that the other side has closed is lost without an error, so it is
/// looked at before.
fn is_open(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let read = stream.read(&mut [0; 64]);
    stream.set_nonblocking(false)?;
    match read {
        Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
        // Syslog has nothing to say; whatever it is, it is not for us.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

fn resolve(host: &str) -> io::Result<SocketAddr> {
    host.to_socket_addrs()?.next().ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl Sink for Syslog {
    fn write(&mut self, records: &[Arc<Record>]) -> io::Result<Taken> {
        let mut taken = Taken::default();
        for record in records {
            match self.send(&self.message(record)) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => taken.refused += 1,
                Err(error) if taken.done == 0 => return Err(error),
                Err(_) => break,
            }
            taken.done += 1;
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::tests::{notice, violation};
    use super::*;
    use crate::daemon::fake::Room;

    /// `<28>1 TIME HOST picket PID violation - {…}`, and what the line of it says.
    fn check(message: &str, priority: u8, kind: &str) {
        let words: Vec<&str> = message.splitn(8, ' ').collect();
        assert_eq!(words[0], format!("<{priority}>1"), "{message}");
        assert!(humantime::parse_rfc3339(words[1]).is_ok(), "{message}");
        assert_eq!((words[3], words[5], words[6]), ("picket", kind, "-"), "{message}");
        assert_eq!(words[4], std::process::id().to_string());
        let line: serde_json::Value = serde_json::from_str(words[7]).unwrap();
        assert_eq!(line["type"], kind);
    }

    #[test]
    fn each_way_takes_whole_messages() {
        let room = Room::new("syslog");
        let at = room.0.join("log");
        let local = UnixDatagram::bind(&at).unwrap();
        let mut sink = Syslog::new(format!("unix:{}", at.display()).parse().unwrap(), 3);
        assert_eq!(sink.write(&[violation(7), notice(8)]).unwrap().done, 2);
        let mut bytes = [0; 4096];
        for (priority, kind) in [(28, "violation"), (30, "notice")] {
            let len = local.recv(&mut bytes).unwrap();
            check(std::str::from_utf8(&bytes[..len]).unwrap(), priority, kind);
        }

        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = format!("udp:{}", udp.local_addr().unwrap());
        let mut sink = Syslog::new(target.parse().unwrap(), facility("authpriv").unwrap());
        assert_eq!(sink.write(&[violation(7)]).unwrap().done, 1);
        let len = udp.recv(&mut bytes).unwrap();
        check(std::str::from_utf8(&bytes[..len]).unwrap(), 84, "violation");
    }

    #[test]
    fn a_connection_that_was_closed_is_made_again_and_nothing_is_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp:{}", listener.local_addr().unwrap());
        let mut sink = Syslog::new(target.parse().unwrap(), 3);
        for _ in 0..2 {
            let begun = sink.write(&[violation(7), notice(8)]);
            if begun.is_err() {
                assert_eq!(sink.write(&[violation(7), notice(8)]).unwrap().done, 2);
            }
            let (mut stream, _) = listener.accept().unwrap();
            for (priority, kind) in [(28, "violation"), (30, "notice")] {
                let mut len = String::new();
                let mut byte = [0];
                loop {
                    stream.read_exact(&mut byte).unwrap();
                    match byte[0] {
                        b' ' => break,
                        digit => len.push(digit.into()),
                    }
                }
                let mut message = vec![0; len.parse().unwrap()];
                stream.read_exact(&mut message).unwrap();
                check(std::str::from_utf8(&message).unwrap(), priority, kind);
            }
            drop(stream);
        }
        drop(listener);
        assert!(sink.write(&[notice(9)]).is_err(), "nobody is there");
    }

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in
            ["unix:/dev/log", "udp:127.0.0.1:514", "tcp:[::1]:601", "tcp:log.example.com:601"]
        {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in ["", "/dev/log", "unix:log", "udp:host", "tcp::1", "tls:host:1", "udp:host:x"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        assert!(facility("demon").is_err_and(|error| error.contains("daemon")));
    }
}
