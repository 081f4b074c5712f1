//! Every right on files and directories.

use std::any::Any;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::dice::{self, Dice, bytes, clear};
use super::{Amount, Asked, Operation, compare};
use crate::support::elf;
use crate::support::place::{Place, TMPFS, file_system};
use crate::support::sys::attrs::{chmod, chown};
use crate::support::sys::files::{mkdir, mknod, open, rmdir, symlink, touch, truncate, unlink};
use crate::support::sys::memory::map;
use crate::support::sys::{Res, process};

/// What is there before the operation.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    File,
    Directory,
    Program,
}

impl Before {
    fn make(self, path: &Path) {
        clear(path);
        match self {
            Before::Nothing => {}
            Before::Directory => fs::create_dir(path).unwrap(),
            Before::File => fs::write(path, "x").unwrap(),
            Before::Program => {
                fs::write(path, elf::program()).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }
}

/// An operation on one path, before the path is known.
struct Kind {
    what: &'static str,
    before: Before,
    run: fn(&Path) -> Res,
    asked: &'static [(Hook, Rights)],
}

const READ_WRITE: Rights = Rights::READ.or(Rights::WRITE);

const KINDS: &[Kind] = &[
    Kind {
        what: "read",
        before: Before::File,
        run: |path| touch(path, libc::O_RDONLY),
        asked: &[(Hook::FILE_OPEN, Rights::READ)],
    },
    Kind {
        what: "write",
        before: Before::File,
        run: |path| touch(path, libc::O_WRONLY),
        asked: &[(Hook::FILE_OPEN, Rights::WRITE)],
    },
    Kind {
        what: "append and read",
        before: Before::File,
        run: |path| touch(path, libc::O_RDWR | libc::O_APPEND),
        asked: &[(Hook::FILE_OPEN, READ_WRITE)],
    },
    Kind {
        what: "truncate",
        before: Before::File,
        run: |path| truncate(path, 0),
        asked: &[(Hook::PATH_TRUNCATE, Rights::WRITE)],
    },
    Kind {
        what: "list",
        before: Before::Directory,
        run: |path| touch(path, libc::O_RDONLY | libc::O_DIRECTORY),
        asked: &[(Hook::FILE_OPEN, Rights::LIST)],
    },
    Kind {
        what: "make a directory",
        before: Before::Nothing,
        run: |path| mkdir(path),
        asked: &[(Hook::PATH_MKDIR, Rights::CREATE)],
    },
    Kind {
        what: "make a fifo",
        before: Before::Nothing,
        run: |path| mknod(path, libc::S_IFIFO | 0o600, 0),
        asked: &[(Hook::PATH_MKNOD, Rights::CREATE)],
    },
    Kind {
        what: "make a link",
        before: Before::Nothing,
        run: |path| symlink("x", path),
        asked: &[(Hook::PATH_SYMLINK, Rights::CREATE)],
    },
    Kind {
        what: "take a directory away",
        before: Before::Directory,
        run: |path| rmdir(path),
        asked: &[(Hook::PATH_RMDIR, Rights::DELETE)],
    },
    Kind {
        what: "take a file away",
        before: Before::File,
        run: |path| unlink(path),
        asked: &[(Hook::PATH_UNLINK, Rights::DELETE)],
    },
    Kind {
        what: "change the mode",
        before: Before::File,
        run: |path| chmod(path, 0o600),
        asked: &[(Hook::PATH_CHMOD, Rights::ATTR)],
    },
    Kind {
        what: "change the owner",
        before: Before::Directory,
        run: |path| chown(path, 0),
        asked: &[(Hook::PATH_CHOWN, Rights::ATTR)],
    },
    Kind {
        what: "map as code",
        before: Before::File,
        run: |path| map(&open(path, libc::O_RDONLY)?, libc::PROT_READ | libc::PROT_EXEC).map(drop),
        asked: &[(Hook::FILE_OPEN, Rights::READ), (Hook::MMAP_FILE, Rights::MAP)],
    },
    // The kernel opens the file as code, asks whether it may run, and maps its only segment.
    Kind {
        what: "run",
        before: Before::Program,
        run: |path| process::run(path, &[]),
        asked: &[
            (Hook::FILE_OPEN, Rights::MAP),
            (Hook::BPRM_CHECK_SECURITY, Rights::EXEC),
            (Hook::MMAP_FILE, Rights::MAP),
        ],
    },
];

fn operation(dice: &mut Dice, place: &Place) -> Operation {
    let kind = &KINDS[dice.below(KINDS.len() as u64) as usize];
    let path = dice::path(dice, place);
    let ask = |(hook, right): &(Hook, Rights)| Asked::path(*hook, bytes(&path), *right);
    let asked = kind.asked.iter().map(ask).collect();
    let what = format!("{} {}", kind.what, path.display());
    let prepare = {
        let path = path.clone();
        move || {
            kind.before.make(&path);
            Box::new(()) as Box<dyn Any>
        }
    };
    Operation { what, prepare: Box::new(prepare), run: Box::new(move || (kind.run)(&path)), asked }
}

/// `open` that makes the file, where the kernel does not remember names that are not there: a probe
/// before, and then a question about what was made.
fn creation(path: PathBuf) -> Operation {
    let probe = Asked::path(Hook::PATH_MKNOD, bytes(&path), Rights::CREATE);
    let opened = Rights::WRITE | Rights::CREATE;
    let asked =
        vec![Asked { probe: true, ..probe }, Asked::path(Hook::FILE_OPEN, bytes(&path), opened)];
    let what = format!("make {}", path.display());
    let prepare = {
        let path = path.clone();
        move || {
            clear(&path);
            Box::new(()) as Box<dyn Any>
        }
    };
    let run = move || touch(&path, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL);
    Operation { what, prepare: Box::new(prepare), run: Box::new(run), asked }
}

fn policy(dice: &mut Dice) -> String {
    const RIGHTS: [&str; 8] = ["read", "write", "list", "create", "delete", "attr", "exec", "map"];
    let count = 2 + dice.below(9);
    let kinds = ["allow", "allow", "allow", "deny", "audit", "audit"];
    format!("files:\n{}", dice::rules(dice, &kinds, &RIGHTS, count))
}

#[test]
fn kernel_and_library_judge_files_alike() {
    for place in Place::both("agreement") {
        dice::plant(&place);
        let in_memory = file_system(place.path()) == TMPFS;
        compare(&place, Amount { policies: 10, operations: 120 }, policy, |dice| {
            if in_memory && dice.below(12) == 0 {
                creation(dice::path(dice, &place))
            } else {
                operation(dice, &place)
            }
        });
    }
}
