//! The journal, by its own protocol: a datagram for each record, with the line's main fields as fields
//! of the journal and the whole line in `PICKET_LINE`.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::hub::Record;
use super::shape::{priority, summary};
use super::{Sink, Taken};

/// How long the journal may not read.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Journald {
    at: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journald {
    /// By the journal's socket.
    pub fn new(at: PathBuf) -> Journald {
        Journald { at, socket: None }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.at)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                socket
            }
        };
        socket.send(message)?;
        // One that failed is not kept: the journal may have been restarted.
        self.socket = Some(socket);
        Ok(())
    }
}

impl Sink for Journald {
    fn write(&mut self, records: &[Arc<Record>]) -> io::Result<Taken> {
        let mut taken = Taken::default();
        for record in records {
            match self.send(&message(record)) {
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

fn message(record: &Record) -> Vec<u8> {
    let mut message = Vec::with_capacity(record.text.len() + 512);
    let mut field = |name: &str, value: &str| put(&mut message, name, value);
    field("MESSAGE", &summary(record));
    field("PRIORITY", &priority(record).to_string());
    field("SYSLOG_IDENTIFIER", "picket");
    field("PICKET_TYPE", record.kind);
    if let Some(about) = &record.agent {
        field("PICKET_AGENT", &about.name);
        field("PICKET_AGENT_ID", &about.id);
        field("PICKET_POLICY", &about.policy);
    }
    if let Some(op) = &record.op {
        field("PICKET_OP", op);
    }
    if let Some(verdict) = &record.verdict {
        field("PICKET_VERDICT", verdict);
    }
    field("PICKET_LINE", record.text.trim_end());
    message
}

/// A field, in the form for values of several lines where it is one.
fn put(message: &mut Vec<u8>, name: &str, value: &str) {
    message.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        message.push(b'\n');
        message.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        message.push(b'=');
    }
    message.extend_from_slice(value.as_bytes());
    message.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::tests::{notice, violation};
    use super::*;
    use crate::daemon::fake::Room;

    #[test]
    fn the_journal_gets_fields_and_one_that_is_restarted_gets_them_again() {
        let room = Room::new("journald");
        let at = room.0.join("socket");
        let mut sink = Journald::new(at.clone());
        assert!(sink.write(&[notice(1)]).is_err(), "nobody is there");
        for _ in 0..2 {
            let journal = UnixDatagram::bind(&at).unwrap();
            let mut message = vec![0; 1 << 16];
            // The first after a restart may find the old socket still.
            if sink.write(&[violation(7)]).is_err() {
                assert_eq!(sink.write(&[violation(7)]).unwrap().done, 1);
            }
            let len = journal.recv(&mut message).unwrap();
            let text = String::from_utf8(message[..len].to_vec()).unwrap();
            for line in [
                "MESSAGE=deny read /secret by cat[1] of coder (nothing allows it)",
                "PRIORITY=4",
                "PICKET_AGENT=coder",
                "PICKET_AGENT_ID=1.1",
                "PICKET_VERDICT=deny",
            ] {
                assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
            }
            assert!(text.contains("PICKET_LINE={\"type\":\"violation\""), "{text}");
            drop(journal);
            std::fs::remove_file(&at).unwrap();
        }
    }

    #[test]
    fn values_of_several_lines_have_their_length_before_them() {
        let mut message = Vec::new();
        put(&mut message, "A", "b\nc");
        assert_eq!(message, b"A\n\x03\0\0\0\0\0\0\0b\nc\n");
    }
}
