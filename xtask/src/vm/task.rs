//! What the guest's first process is told to do: a small text in the initramfs, written by the
//! host and read by the guest. Fields are separated by NUL, as arguments may have anything else in
//! them.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

/// Where the text is in the initramfs.
pub const FILE: &str = "picket/task";

/// Where the initramfs has files for the guest's root; each at its own path below.
pub const INJECTED: &str = "picket/files";

/// Where the initramfs has modules to load first, in the order of their names.
pub const MODULES: &str = "picket/modules";

/// The serial numbers of the disks, by which the guest tells them apart.
pub mod serial {
    /// The root file system.
    pub const ROOT: &str = "picket-root";
    /// The kernel's modules.
    pub const MODULES: &str = "picket-modules";
    /// Begins the serial numbers of shares; a number follows (a serial number has 20 bytes at
    /// most).
    pub const SHARE: &str = "picket-share-";
}

/// The text's contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Rows and columns of the terminal to run it on, where it runs on one.
    pub terminal: Option<(u16, u16)>,
    /// Names below `/share`, in the order of the disks.
    pub shares: Vec<OsString>,
    /// Whether systemd is the machine's first process while the command runs.
    pub systemd: bool,
}

impl Task {
    /// The text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |tag: &str, parts: &[&OsStr]| {
            for part in [OsStr::new(tag)].iter().chain(parts) {
                bytes.extend_from_slice(part.as_bytes());
                bytes.push(0);
            }
        };
        for word in &self.command {
            put("word", &[word]);
        }
        for (name, value) in &self.env {
            put("env", &[name, value]);
        }
        if let Some((rows, columns)) = self.terminal {
            put("terminal", &[OsStr::new(&rows.to_string()), OsStr::new(&columns.to_string())]);
        }
        for share in &self.shares {
            put("share", &[share]);
        }
        if self.systemd {
            put("systemd", &[]);
        }
        bytes
    }

    /// Reads the text; `None` where it is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut task = Self::default();
        let mut fields = bytes.strip_suffix(&[0])?.split(|byte| *byte == 0);
        while let Some(tag) = fields.next() {
            let mut next = || Some(OsString::from_vec(fields.next()?.to_vec()));
            match tag {
                b"word" => task.command.push(next()?),
                b"env" => task.env.push((next()?, next()?)),
                b"share" => task.shares.push(next()?),
                b"systemd" => task.systemd = true,
                b"terminal" => {
                    let mut number = || next()?.to_str()?.parse().ok();
                    task.terminal = Some((number()?, number()?));
                }
                _ => return None,
            }
        }
        Some(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_survives_the_way() {
        let task = Task {
            command: ["sh", "-c", "", "two words", "\u{fc}\n"].map(OsString::from).to_vec(),
            env: vec![("PATH".into(), "/bin:/usr/bin".into()), ("EMPTY".into(), "".into())],
            terminal: Some((24, 80)),
            shares: vec!["target".into(), OsString::from_vec(vec![0xff])],
            systemd: true,
        };
        assert_eq!(Task::parse(&task.to_bytes()), Some(task));
    }

    #[test]
    fn a_cut_text_is_refused() {
        let bytes = Task { command: vec!["true".into()], ..Task::default() }.to_bytes();
        assert_eq!(Task::parse(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Task::parse(b"word\0"), None);
        assert_eq!(Task::parse(b"no such tag\0x\0"), None);
        assert_eq!(Task::parse(b""), None);
    }
}
