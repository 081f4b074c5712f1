//! What host and guest say to each other over the one virtio-serial line: frames of a kind (one
//! byte), a length (four bytes, little endian) and that many bytes. Used by both sides.

use std::io::{self, Read, Write};

/// The line's name, by which the guest finds its device.
pub const PORT: &str = "picket.host";

/// The longest payload; virtio_console hands a write to the host in pieces of 32 KiB.
pub const MAX: usize = 32 * 1024 - HEADER;

/// The length of what stands before each payload.
pub const HEADER: usize = 5;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Guest: everything is mounted and the command is about to start.
    Ready,
    /// Guest: bytes that the command wrote to standard output (or to its terminal).
    Stdout,
    /// Guest: bytes that the command wrote to standard error.
    Stderr,
    /// Guest: the command's exit code, an `i32`; the last frame.
    Exit,
    /// Guest: the guest could not get as far as the command; a text. The last frame.
    Trouble,
    /// Host: bytes for the command's standard input.
    Stdin,
    /// Host: the end of standard input.
    StdinEnd,
    /// Host: the terminal's rows and columns, two `u16`.
    Resize,
}

const KINDS: [Kind; 8] = [
    Kind::Ready,
    Kind::Stdout,
    Kind::Stderr,
    Kind::Exit,
    Kind::Trouble,
    Kind::Stdin,
    Kind::StdinEnd,
    Kind::Resize,
];

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of `kind` around `payload`.
    #[must_use]
    pub fn new(kind: Kind, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, payload: payload.into() }
    }

    /// Writes the frame in one go, so that it is never torn by another writer.
    ///
    /// # Errors
    /// A payload over [`MAX`], and those of writing.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        if self.payload.len() > MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "payload too long for a frame",
            ));
        }
        let length = u32::try_from(self.payload.len()).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(HEADER + self.payload.len());
        bytes.push(KINDS.iter().position(|kind| *kind == self.kind).map_or(u8::MAX, |at| at as u8));
        bytes.extend(length.to_le_bytes());
        bytes.extend(&self.payload);
        to.write_all(&bytes)
    }

    /// Reads the next frame; `None` where the stream ends between frames.
    ///
    /// # Errors
    /// An unknown kind, a length over [`MAX`], an end inside a frame, and those of reading.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut parser = Parser::default();
        let mut missing = HEADER;
        loop {
            let mut bytes = vec![0; missing];
            match from.read(&mut bytes) {
                Ok(0) if parser.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => parser.push(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if let Some(frame) = parser.next()? {
                return Ok(Some(frame));
            }
            missing = parser.missing()?;
        }
    }
}

/// Takes bytes as they come and gives frames as they are complete.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: Vec<u8>,
}

impl Parser {
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete frame, where there is one.
    ///
    /// # Errors
    /// An unknown kind, and a length over [`MAX`].
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not report a broken stream once"
    )]
    pub fn next(&mut self) -> io::Result<Option<Frame>> {
        if self.buffer.len() < HEADER || self.missing()? > 0 {
            return Ok(None);
        }
        let rest = self.buffer.split_off(HEADER + self.length()?);
        let frame = std::mem::replace(&mut self.buffer, rest);
        let Some(kind) = KINDS.get(usize::from(frame[0])) else {
            return Err(invalid(format!("frame of unknown kind {}", frame[0])));
        };
        Ok(Some(Frame::new(*kind, &frame[HEADER..])))
    }

    /// How many bytes at least are missing until the next frame can be told.
    fn missing(&self) -> io::Result<usize> {
        match HEADER.checked_sub(self.buffer.len()) {
            Some(missing @ 1..) => Ok(missing),
            _ => Ok((HEADER + self.length()?).saturating_sub(self.buffer.len())),
        }
    }

    fn length(&self) -> io::Result<usize> {
        let bytes = [self.buffer[1], self.buffer[2], self.buffer[3], self.buffer[4]];
        let length = u32::from_le_bytes(bytes) as usize;
        if length > MAX {
            return Err(invalid(format!("frame of {length} bytes")));
        }
        Ok(length)
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_cut_anywhere() {
        let frames = [
            Frame::new(Kind::Ready, []),
            Frame::new(Kind::Stdout, vec![7; MAX]),
            Frame::new(Kind::Exit, 3_i32.to_le_bytes()),
        ];
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut bytes).unwrap());
        for step in [1, 4, 5, 6, 1000, bytes.len()] {
            let mut parser = Parser::default();
            let mut seen = Vec::new();
            for chunk in bytes.chunks(step) {
                parser.push(chunk);
                while let Some(frame) = parser.next().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames, "in pieces of {step}");
        }
        let mut stream = &bytes[..];
        for frame in frames {
            assert_eq!(Frame::read(&mut stream).unwrap(), Some(frame));
        }
        assert_eq!(Frame::read(&mut stream).unwrap(), None);
    }

    #[test]
    fn a_broken_stream_is_an_error() {
        let read = |mut bytes: &[u8]| Frame::read(&mut bytes).unwrap_err().to_string();
        assert_eq!(read(&[99, 0, 0, 0, 0]), "frame of unknown kind 99");
        assert_eq!(read(&[1, 0, 0, 0, 1]), "frame of 16777216 bytes");
        assert!(Frame::read(&mut &[1, 2, 0, 0, 0, 9][..]).is_err());
        assert!(Frame::new(Kind::Stdin, vec![0; MAX + 1]).write(&mut Vec::new()).is_err());
    }
}
