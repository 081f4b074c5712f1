//! 100s: running code that may not be run.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::Arena;
use crate::row::{ATTACK, Attack, Row, way};
use crate::support::elf;
use crate::support::place;
use crate::support::sys::Res;
use crate::support::sys::files::{
    HERE, chdir, link, open, open_at, proc_fd, read, rename, symlink, write,
};
use crate::support::sys::process::{exec, exec_at, run, spawn, succeeded};
use crate::sys::{errno_of, memory};

/// Only the system's own programs may run; anything may be written.
const SYSTEM_ONLY: &str = "\
exec:
  - allow: ['/usr/**']
files:
  - allow: [read, list, write, create, delete, link, attr, map]
    paths: ['/**']";

/// Everything may be run and mapped, and nothing in the vault run.
const NO_EXEC: &str = "\
exec:
  - allow: ['/**']
  - deny: ['${dir}/vault/**']
files:
  - allow: [read, list, write, create, delete, link, attr, map]
    paths: ['/**']";

/// What [`memory`] and the like run from is anything with a path.
const ANY_PATH: &str = "\
exec:
  - allow: ['/**']
files:
  - allow: [read, list, write, create, delete, link, attr, map]
    paths: ['/**']";

/// Nothing in the vault may be mapped as code; it may be read.
pub(super) const NO_CODE: &str = "\
exec:
  - allow: ['/usr/**']
files:
  - allow: [read, list]
    paths: ['/**']
  - allow: [read, write, create]
    paths: ['${dir}/work/**', '/dev/null']
  - deny: [map]
    paths: ['${dir}/vault/**']";

/// The loader, by its own name.
const LOADER: &str = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";

/// Programs in the vault may not be run, by whatever name.
const FORBIDDEN: Attack = Attack {
    policy: NO_EXEC,
    hook: Hook::BPRM_CHECK_SECURITY,
    right: Rights::EXEC,
    about: |arena| arena.text("vault/tool"),
    happened: Arena::ran,
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        101,
        "A program through the dynamic loader: `ld.so /a/program`",
        "Mapping a file as code takes `map` on that file",
        Attack {
            policy: NO_CODE,
            hook: Hook::MMAP_FILE,
            right: Rights::MAP,
            about: |arena| arena.text("vault/mkdir"),
            prepare: |arena| {
                fs::copy("/usr/bin/mkdir", arena.at("vault/mkdir")).unwrap();
                Box::new(())
            },
            ways: &[
                way("ld.so", |a| {
                    run(LOADER, &["ld.so", &a.text("vault/mkdir"), &a.text("work/ran")])
                })
                .tool(),
                way("its other name", |a| {
                    let (program, made) = (a.text("vault/mkdir"), a.text("work/ran"));
                    run("/lib64/ld-linux-x86-64.so.2", &["ld", &program, &made])
                })
                .tool(),
            ],
            happened: Arena::ran,
            ..ATTACK
        },
    ),
    Row::stopped(
        102,
        "A program that is only in memory: `memfd_create`, `fexecve`",
        "A memory file has no path that `exec` or `map` could allow",
        Attack {
            policy: ANY_PATH,
            hook: Hook::FILE_OPEN,
            right: Rights::MAP,
            about: |_| "(memory file)".to_owned(),
            happened: Arena::ran,
            ways: &[
                way("execveat of the descriptor", |a| in_memory(a, "a", 0, by_descriptor)),
                way("/proc/self/fd", |a| in_memory(a, "a", 0, by_proc)),
                way("with a telling name", |a| in_memory(a, "/usr/bin/true", 0, by_descriptor)),
                way("sealable", |a| in_memory(a, "a", 2, by_descriptor)),
            ],
            ..ATTACK
        },
    ),
    Row::stopped(
        103,
        "A program file without a name: `O_TMPFILE`, or deleted before it is run",
        "It has its directory's rules at best, and those allow no `exec` where an agent may write",
        Attack {
            policy: SYSTEM_ONLY,
            hook: Hook::BPRM_CHECK_SECURITY,
            right: Rights::EXEC,
            happened: Arena::ran,
            ways: &[
                way("O_TMPFILE", |a| {
                    nameless(a, |a| {
                        open_at(HERE, a.at("work"), libc::O_TMPFILE | libc::O_RDWR, 0o755)
                    })
                }),
                way("deleted", |a| {
                    nameless(a, |a| {
                        let path = a.at("work/new");
                        let flags = libc::O_CREAT | libc::O_RDWR;
                        let file = open_at(HERE, &path, flags, 0o755)?;
                        crate::support::sys::files::unlink(&path).map(|()| file)
                    })
                }),
            ],
            ..ATTACK
        },
    ),
    Row::stopped(
        104,
        "A program that the agent wrote itself",
        "`exec` is an allow list; what may be written is not on it",
        Attack {
            policy: SYSTEM_ONLY,
            hook: Hook::BPRM_CHECK_SECURITY,
            right: Rights::EXEC,
            about: |arena| arena.text("work/tool"),
            happened: Arena::ran,
            ways: &[
                way("written", |a| planted(a).and_then(|()| run(a.at("work/tool"), &["x"]))),
                way("cp", |a| a.shell("cp open/tool work/tool && exec work/tool")).tool(),
                way("install", |a| a.shell("install -m 755 open/tool work/tool; exec work/tool"))
                    .tool(),
                way("through env", |a| a.shell("cp open/tool work; exec /usr/bin/env work/tool"))
                    .tool(),
                way("through a script", |a| {
                    planted(a)?;
                    a.shell("exec bash -c 'exec work/tool'")
                })
                .tool(),
            ],
            prepare: |arena| {
                place::program(&arena.at("open"), "tool", &elf::maker(&arena.at("work/ran")));
                Box::new(())
            },
            ..ATTACK
        },
    ),
    Row::stopped(
        105,
        "A forbidden program by another spelling of its name",
        "Judged by the canonical path of the file that is run",
        Attack {
            ways: &[
                way("its own", |a| run(a.at("vault/tool"), &["x"])),
                way("a relative one", |a| chdir(a.dir()).and_then(|()| run("vault/tool", &["x"]))),
                way("from within", |a| chdir(a.at("vault")).and_then(|()| run("./tool", &["x"]))),
                way("..", |a| run(a.at("open/../vault/./tool"), &["x"])),
                way("/proc/self/root", |a| {
                    run(format!("/proc/self/root{}", a.text("vault/tool")), &["x"])
                }),
                way("a link", |a| {
                    symlink(a.at("vault/tool"), a.at("work/link"))?;
                    run(a.at("work/link"), &["x"])
                }),
                way("execveat of a directory", |a| {
                    let dir = open(a.at("vault"), libc::O_PATH | libc::O_DIRECTORY)?;
                    let dir = dir.as_raw_fd();
                    succeeded(spawn(|| exec_at(dir, "tool", &["x"], 0)))
                }),
                way("execveat of a descriptor", |a| {
                    let file = open(a.at("vault/tool"), libc::O_PATH)?;
                    by_descriptor(&file)
                }),
                way("a descriptor's entry in /proc", |a| {
                    let file = open(a.at("vault/tool"), libc::O_PATH)?;
                    by_proc(&file)
                }),
                way("with the arguments of another", |a| {
                    run(a.at("vault/tool"), &["/usr/bin/true"])
                }),
                way("bash", |a| a.shell("exec vault/tool")).tool(),
                way("xargs", |a| a.shell("echo | xargs ./vault/tool")).tool(),
                way("find -exec", |a| {
                    a.shell("find open -name file -exec vault/tool ';' ; test -e work/ran")
                })
                .tool(),
                way("busybox", |a| a.shell("exec busybox env vault/tool")).tool(),
            ],
            ..FORBIDDEN
        },
    ),
    Row::stopped(
        106,
        "A forbidden program under a new name: copied, linked, renamed",
        "A copy takes `read`; a link or rename to where more is allowed is refused",
        Attack {
            policy: VAULT,
            about: |_| "*".to_owned(),
            ways: &[
                way("hard link", |a| {
                    link(a.at("vault/tool"), a.at("open/tool"))?;
                    run(a.at("open/tool"), &["x"])
                })
                .by(Hook::PATH_LINK, Rights::LINK),
                way("rename", |a| {
                    rename(a.at("vault/tool"), a.at("open/tool"))?;
                    run(a.at("open/tool"), &["x"])
                })
                .by(Hook::PATH_RENAME, Rights::DELETE),
                way("rename of its directory", |a| {
                    rename(a.at("vault"), a.at("open/v"))?;
                    run(a.at("open/v/tool"), &["x"])
                })
                .by(Hook::PATH_RENAME, Rights::DELETE),
                way("cp", |a| a.shell("cp vault/tool open/tool && exec open/tool"))
                    .tool()
                    .by(Hook::FILE_OPEN, Rights::READ),
            ],
            ..FORBIDDEN
        },
    ),
    Row::stopped(
        107,
        "A forbidden program as somebody's interpreter: `#!`, `PT_INTERP`",
        "The kernel opens the interpreter as code, which takes `map` on it",
        Attack {
            policy: VAULT,
            hook: Hook::FILE_OPEN,
            right: Rights::MAP,
            ways: &[
                way("of a script", |a| {
                    let line = format!("#!{}\n", a.text("vault/tool"));
                    place::program(&a.at("work"), "script", line.as_bytes());
                    run(a.at("work/script"), &["x"])
                }),
                way("of a program", |a| {
                    let program = elf::with_interpreter(&a.at("vault/tool"));
                    place::program(&a.at("work"), "program", &program);
                    run(a.at("work/program"), &["x"])
                }),
            ],
            prepare: |arena| {
                place::program(
                    &arena.at("vault"),
                    "tool",
                    &elf::maker_as_interpreter(&arena.at("work/ran")),
                );
                Box::new(())
            },
            ..FORBIDDEN
        },
    ),
];

/// Makes a program in memory and starts it.
fn in_memory(arena: &Arena, name: &str, flags: u32, start: fn(&OwnedFd) -> Res) -> Res {
    let file = memory::memfd(name, flags)?;
    write(&file, &elf::maker(&arena.at("work/ran")))?;
    start(&file)
}

fn by_descriptor(file: &OwnedFd) -> Res {
    let file = file.as_raw_fd();
    succeeded(spawn(|| exec_at(file, "", &["x"], libc::AT_EMPTY_PATH)))
}

fn by_proc(file: &OwnedFd) -> Res {
    succeeded(spawn(|| exec(proc_fd(file), &["x"])))
}

/// Writes a program into a file without a name, and starts it by a descriptor that cannot write.
fn nameless(arena: &Arena, make: fn(&Arena) -> Res<OwnedFd>) -> Res {
    let file = make(arena)?;
    write(&file, &elf::maker(&arena.at("work/ran")))?;
    let again = open(proc_fd(&file), libc::O_RDONLY)?;
    drop(file);
    by_descriptor(&again)
}

/// Writes a program where the agent may write.
fn planted(arena: &Arena) -> Res {
    let bytes = read_all(&arena.at("open/tool"))?;
    let file = open_at(HERE, arena.at("work/tool"), libc::O_CREAT | libc::O_WRONLY, 0o755)?;
    write(&file, &bytes)
}

fn read_all(path: &Path) -> Res<Vec<u8>> {
    let file = open(path, libc::O_RDONLY)?;
    let bytes = read(&file)?;
    if bytes.len() < 256 { Ok(bytes) } else { fs::read(path).map_err(|error| errno_of(&error)) }
}
