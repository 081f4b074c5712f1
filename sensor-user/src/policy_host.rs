//! This machine, as far as policies depend on it: the links that it has and the files that
//! policies include. The only part of compiling a policy that touches a file system.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::policy::{Host, Link, Source, Variables};

/// Bits of a mode that let group or others write.
const OTHERS_WRITE: u32 = 0o022;

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalHost;

impl Host for LocalHost {
    fn read_link(&self, path: &Path) -> Option<Link> {
        let target = fs::read_link(path).ok()?;
        Some(Link { target, trusted: trusted(path) })
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }
}

/// Whether only root can change where `path` leads. What cannot be looked at is not trusted.
fn trusted(path: &Path) -> bool {
    let ok = |path: &Path, check: fn(&Metadata) -> bool| {
        fs::symlink_metadata(path).is_ok_and(|metadata| metadata.uid() == 0 && check(&metadata))
    };
    // A link's own mode means nothing; a directory's sticky bit keeps others from replacing root's
    // link, and not from making one where there is none yet, so it makes no difference here.
    let safe: fn(&Metadata) -> bool = |metadata| metadata.mode() & OTHERS_WRITE == 0;
    ok(path, |_| true) && path.ancestors().skip(1).all(|directory| ok(directory, safe))
}

/// Reads a policy file; the name in diagnostics is the path as given.
///
/// # Errors
/// If it cannot be read, or is not UTF-8.
pub fn read_source(path: &Path) -> io::Result<Source> {
    Ok(Source { name: path.display().to_string(), text: fs::read_to_string(path)? })
}

/// A directory's name that no variable can hold.
#[derive(Debug, thiserror::Error)]
#[error("the {what} {path:?} is not UTF-8, and a policy's variables are; give a path that is")]
pub struct NotUtf8 {
    what: &'static str,
    path: PathBuf,
}

/// The variables that every policy can use, for an agent of this user.
///
/// # Errors
/// If a directory's name is not UTF-8: it would be wrong to compile a policy for another one.
pub fn variables(
    user: &str,
    uid: u32,
    home: &Path,
    workspace: &Path,
) -> Result<Variables, NotUtf8> {
    let text = |what: &'static str, path: &Path| {
        let path = path.to_path_buf();
        let text = path.to_str().map(str::to_owned);
        text.ok_or(NotUtf8 { what, path })
    };
    Ok([
        ("user", user.to_owned()),
        ("uid", uid.to_string()),
        ("home", text("home directory", home)?),
        ("workspace", text("workspace", workspace)?),
    ]
    .into_iter()
    .collect())
}
