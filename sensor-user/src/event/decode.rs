//! Ring record → [`Event`]. The record comes from our own programs, but every length and number in
//! it is checked all the same: a mismatch of versions must be an error and not a wrong line in a
//! log.

use bytes::{Buf, Bytes};
use sensor_ebpf::event::{EventHeader, SUBJECT_NONE, SUBJECT_OBJECT, SUBJECT_PATH};
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::limits::SUBJECT_MAX;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::verdict::Verdict;

use super::Event;
use super::subject::Subject;

/// What is wrong with a record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than its fixed part or its own lengths say.
    #[error("event record of {have} bytes where {need} are needed")]
    Short {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be.
        need: usize,
    },
    /// A number outside its range.
    #[error("event record with unknown {what} {number}")]
    Unknown {
        /// Which field.
        what: &'static str,
        /// What is in it.
        number: u32,
    },
}

/// Decodes one record.
pub fn decode(record: &[u8]) -> Result<Event, DecodeError> {
    const FIXED: usize = size_of::<EventHeader>();
    let short = |need| DecodeError::Short { have: record.len(), need };
    if record.len() < FIXED {
        return Err(short(FIXED));
    }
    let mut rest = Bytes::copy_from_slice(record);
    let header = header(&mut rest);
    let (subject_len, peer_len) = (header.subject_len as usize, header.peer_len as usize);
    for len in [subject_len, peer_len] {
        if len > SUBJECT_MAX {
            return Err(DecodeError::Unknown { what: "subject length", number: len as u32 });
        }
    }
    if rest.len() < subject_len + peer_len {
        return Err(short(FIXED + subject_len + peer_len));
    }
    let subject = subject(header.subject_kind, rest.split_to(subject_len))?;
    let peer = peer(rest.split_to(peer_len));
    let unknown = |what, number| DecodeError::Unknown { what, number };
    let hook = Hook(header.hook);
    hook.name().ok_or(unknown("hook", header.hook))?;
    let fault = Fault(header.fault);
    fault.name().ok_or(unknown("fault", header.fault))?;
    let verdict = Verdict::from_raw(header.verdict).ok_or(unknown("verdict", header.verdict))?;
    Ok(Event {
        header,
        hook,
        verdict,
        requested: Rights(header.requested),
        because: Rights(header.because),
        fault,
        subject,
        peer,
    })
}

fn subject(kind: u32, bytes: Bytes) -> Result<Option<Subject>, DecodeError> {
    match kind {
        SUBJECT_NONE => Ok(None),
        _ if bytes.is_empty() => Ok(None),
        SUBJECT_PATH => Ok(Some(Subject::Path(bytes))),
        SUBJECT_OBJECT => Ok(Some(Subject::object(bytes))),
        number => Err(DecodeError::Unknown { what: "kind of subject", number }),
    }
}

/// A second subject tells itself what it is: a path begins with a slash, and no object does.
fn peer(bytes: Bytes) -> Option<Subject> {
    match bytes.first() {
        None => None,
        Some(b'/') => Some(Subject::Path(bytes)),
        Some(_) => Some(Subject::object(bytes)),
    }
}

/// The fixed part, field by field in the order of [`EventHeader`].
fn header(from: &mut Bytes) -> EventHeader {
    let mut header = EventHeader {
        time: from.get_u64_le(),
        seq: from.get_u64_le(),
        lost: from.get_u64_le(),
        cgroup: from.get_u64_le(),
        start: from.get_u64_le(),
        agent: from.get_u32_le(),
        epoch: from.get_u32_le(),
        hook: from.get_u32_le(),
        verdict: from.get_u32_le(),
        requested: from.get_u32_le(),
        because: from.get_u32_le(),
        rule: from.get_u32_le(),
        fault: from.get_u32_le(),
        errno: from.get_u32_le(),
        pid: from.get_u32_le(),
        tid: from.get_u32_le(),
        ppid: from.get_u32_le(),
        uid: from.get_u32_le(),
        gid: from.get_u32_le(),
        table: from.get_u32_le(),
        subject_kind: from.get_u32_le(),
        subject_len: from.get_u32_le(),
        peer_len: from.get_u32_le(),
        comm: [0; 16],
    };
    from.copy_to_slice(&mut header.comm);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as the kernel writes it, with field `n` at its own place.
    fn record(kind: u32, subject: &[u8], peer: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        for long in 1..=5_u64 {
            record.extend(long.to_le_bytes());
        }
        let words = [6, 7, 1, 3, 1, 1, 8, 0, 13, 9, 10, 11, 12, 13, 14, kind];
        for word in words.into_iter().chain([subject.len() as u32, peer.len() as u32]) {
            record.extend(word.to_le_bytes());
        }
        record.extend(*b"cat\0\0\0\0\0\0\0\0\0\0\0\0\0");
        record.extend(subject);
        record.extend(peer);
        record.extend([0xff; 9]);
        record
    }

    #[test]
    fn every_field_comes_from_its_own_place() {
        let event = decode(&record(SUBJECT_PATH, b"/etc/shadow", b"/tmp/x")).unwrap();
        let header = event.header;
        assert_eq!((header.time, header.seq, header.lost, header.cgroup), (1, 2, 3, 4));
        assert_eq!(header.start, 5);
        assert_eq!((header.agent, header.epoch, header.rule, header.errno), (6, 7, 8, 13));
        assert_eq!((header.pid, header.tid, header.ppid, header.uid), (9, 10, 11, 12));
        assert_eq!((header.gid, header.table), (13, 14));
        assert_eq!((event.hook, event.verdict), (Hook::FILE_OPEN, Verdict::Deny));
        assert_eq!((event.requested, event.because), (Rights::READ, Rights::READ));
        assert_eq!(event.comm(), "cat");
        assert_eq!(event.errno(), Some("EACCES"));
        assert_eq!(event.subject, Some(Subject::Path(Bytes::from_static(b"/etc/shadow"))));
        assert_eq!(event.peer, Some(Subject::Path(Bytes::from_static(b"/tmp/x"))));
    }

    #[test]
    fn damaged_records_are_errors() {
        let whole = record(SUBJECT_PATH, b"/etc/shadow", b"");
        let cut = &whole[..size_of::<EventHeader>() + 5];
        assert!(matches!(decode(cut), Err(DecodeError::Short { .. })));
        assert!(matches!(decode(&whole[..20]), Err(DecodeError::Short { .. })));
        assert_eq!(
            decode(&record(9, b"x", b"")),
            Err(DecodeError::Unknown { what: "kind of subject", number: 9 })
        );
        let mut long = whole.clone();
        long[104..108].copy_from_slice(&5000_u32.to_le_bytes());
        assert!(matches!(decode(&long), Err(DecodeError::Unknown { what: "subject length", .. })));
    }
}
