//! What a policy has to do with the machine that it is compiled on: included files, and symbolic
//! links in the paths that it names. The facts come from whoever compiles; nothing is read here.

use std::io;
use std::path::{Path, PathBuf};

/// A symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it holds, as `readlink(2)` gives it.
    pub target: PathBuf,
    /// Whether nobody but root can change where the path leads: the link belongs to root, and so
    /// does every directory on the way, none of which group or others may write.
    pub trusted: bool,
}

/// The machine, as far as policies depend on it.
pub trait Host {
    /// The link at `path`, an absolute path whose directories hold no link; `None` if there is no
    /// link, whatever else is or is not there.
    fn read_link(&self, path: &Path) -> Option<Link>;

    /// The text of an included policy.
    ///
    /// # Errors
    /// If it cannot be read, or is not UTF-8.
    fn read_file(&self, path: &Path) -> io::Result<String>;
}

/// A machine without links, and without files to include.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn read_link(&self, _: &Path) -> Option<Link> {
        None
    }

    fn read_file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
