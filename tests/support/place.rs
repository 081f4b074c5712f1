//! Directories to work in, one a test, gone when the test is over.

use std::ffi::CString;
use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// On the root disk.
const DISK: &str = "/var/tmp/picket-tests";
/// In memory.
const MEMORY: &str = "/tmp/picket-tests";

/// `f_type` of `statfs(2)`.
pub const EXT4: i64 = 0xef53;
/// See [`EXT4`].
pub const TMPFS: i64 = 0x0102_1994;

/// An empty directory.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// On ext4, which remembers names that are not there.
    pub fn on_disk(name: &str) -> Place {
        Place::made(DISK, name, EXT4, "ext4")
    }

    /// On tmpfs, which does not.
    pub fn in_memory(name: &str) -> Place {
        Place::made(MEMORY, name, TMPFS, "tmpfs")
    }

    /// Both, for what may depend on that.
    pub fn both(name: &str) -> [Place; 2] {
        [Place::on_disk(name), Place::in_memory(name)]
    }

    fn made(base: &str, name: &str, magic: i64, kind: &str) -> Place {
        let path = Path::new(base).join(name);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir_all(&path).unwrap();
        assert_eq!(file_system(&path), magic, "{base} must be on {kind}");
        let path = path.canonicalize().unwrap();
        // Some tests become another user.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        Place { path }
    }

    /// Where it is: its canonical path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file in it, made anew.
    pub fn file(&self, name: &str) -> PathBuf {
        file(self.path(), name)
    }

    /// A directory in it, where there is none.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left lies on a disk that is thrown away; a failed test must show its own failure.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A file with its own name as content, made anew.
pub fn file(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    let _ = fs::remove_file(&path);
    fs::write(&path, name).unwrap();
    path
}

/// A program, made anew.
pub fn program(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    let _ = fs::remove_file(&path);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The kind of file system (`statfs(2)`).
pub fn file_system(path: &Path) -> i64 {
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    let mut info = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: a NUL-terminated path and room for one `struct statfs`, which is whole if the call
    // succeeds.
    let info = unsafe {
        assert_eq!(libc::statfs(name.as_ptr(), info.as_mut_ptr()), 0, "statfs of {name:?}");
        info.assume_init()
    };
    info.f_type
}
