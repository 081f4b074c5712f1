//! 100s, second part: what is mapped, and programs that read for the agent.

use std::fs;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use super::code::NO_CODE;
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Row, Status, way};
use crate::support::sys::Res;
use crate::support::sys::files::open;
use crate::sys::memory;

pub const ROWS: &[Row] = &[
    Row::stopped(
        108,
        "A forbidden library in an allowed program: `LD_PRELOAD`, `dlopen`",
        "Mapping a file as code takes `map` on that file; `mprotect` later too",
        Attack {
            policy: NO_CODE,
            hook: Hook::MMAP_FILE,
            right: Rights::MAP,
            about: |arena| arena.text("vault/lib.so"),
            prepare: |arena| {
                fs::copy("/usr/lib/x86_64-linux-gnu/libutil.so.1", arena.at("vault/lib.so"))
                    .unwrap();
                Box::new(())
            },
            happened: |arena| {
                let maps = fs::read_to_string(arena.at("work/maps")).unwrap_or_default();
                maps.lines().any(|line| line.contains("r-xp") && line.contains("vault/lib.so"))
            },
            ways: &[
                way("LD_PRELOAD", |a| {
                    a.shell(
                        "LD_PRELOAD=./vault/lib.so cat /proc/self/maps >work/maps; \
                         grep -q 'r-xp.*vault' work/maps",
                    )
                })
                .tool(),
                way("dlopen", |a| {
                    a.shell(
                        "python3 -c 'import ctypes; ctypes.CDLL(\"./vault/lib.so\"); \
                         print(open(\"/proc/self/maps\").read())' >work/maps",
                    )
                })
                .tool(),
            ],
            ..ATTACK
        },
    ),
    Row::stopped(
        109,
        "A file mapped as data and made code afterwards: `mprotect`, `pkey_mprotect`, `READ_IMPLIES_EXEC`",
        "What matters is the protection that the kernel is about to set",
        Attack {
            policy: NO_CODE,
            hook: Hook::FILE_MPROTECT,
            right: Rights::MAP,
            about: |arena| arena.text("vault/tool"),
            ways: &[
                way("mprotect", |a| made_code(a, memory::protect)),
                way("pkey_mprotect", |a| made_code(a, memory::pkey_protect)),
                way("READ_IMPLIES_EXEC", |a| {
                    memory::read_implies_exec()?;
                    let file = open(a.at("vault/tool"), libc::O_RDONLY)?;
                    memory::map(&file, libc::PROT_READ, libc::MAP_PRIVATE)?;
                    a.take(SECRET.as_bytes())
                })
                .by(Hook::MMAP_FILE, Rights::MAP),
                way("shared", |a| {
                    let file = open(a.at("vault/tool"), libc::O_RDONLY)?;
                    memory::map(&file, libc::PROT_READ | libc::PROT_EXEC, libc::MAP_SHARED)?;
                    a.take(SECRET.as_bytes())
                })
                .by(Hook::MMAP_FILE, Rights::MAP),
            ],
            ..ATTACK
        },
    ),
    Row::stopped(
        110,
        "Its own code rewritten through `/proc/self/mem`",
        "Writing it takes `write` on `/proc/self/mem`, which nothing sensible gives",
        Attack {
            policy: NO_CODE,
            hook: Hook::FILE_OPEN,
            right: Rights::WRITE,
            ways: &[
                way("by itself", |a| {
                    open("/proc/self/mem", libc::O_RDWR)?;
                    a.take(SECRET.as_bytes())
                }),
                way("by pid", |a| {
                    open(format!("/proc/{}/mem", std::process::id()), libc::O_WRONLY)?;
                    a.take(SECRET.as_bytes())
                }),
                way("by thread", |a| {
                    let pid = std::process::id();
                    open(format!("/proc/{pid}/task/{pid}/mem"), libc::O_WRONLY)?;
                    a.take(SECRET.as_bytes())
                }),
            ],
            ..ATTACK
        },
    ),
    Row::stopped(
        111,
        "Any program at all that reads for the agent: interpreters, archivers, compilers, pagers",
        "Every program inside is the agent: rules on files hold for whatever it runs",
        Attack {
            policy: VAULT,
            right: Rights::READ,
            about: Arena::secret_text,
            ways: &[
                way("cat", |a| a.shell_loot("cat vault/secret")).tool(),
                way("bash itself", |a| a.shell_loot("read -r x <vault/secret; echo $x"))
                    .errno(libc::ENOMSG),
                way("dd", |a| a.shell_loot("dd if=vault/secret")).tool(),
                way("tar", |a| a.shell_loot("tar c vault/secret")).tool(),
                way("sed", |a| a.shell_loot("sed -n p vault/secret")).tool(),
                way("awk", |a| a.shell_loot("mawk 1 vault/secret")).tool(),
                way("grep -r", |a| a.shell_loot("grep -r picket vault/secret")).tool(),
                way("perl", |a| a.shell_loot("perl -pe1 vault/secret")).errno(libc::ENOMSG),
                way("python", |a| {
                    a.shell_loot("python3 -SEc 'print(open(\"vault/secret\").read())'")
                })
                .tool(),
                way("git", |a| a.shell_loot("git diff --no-index /dev/null vault/secret; true"))
                    .errno(libc::ENOMSG),
                way("cc -E", |a| a.shell_loot("gcc -E -P -x c vault/secret")).tool(),
                way("curl file:", |a| a.shell_loot("curl -s file://$PWD/vault/secret")).tool(),
                way("busybox", |a| a.shell_loot("busybox cat vault/secret")).tool(),
                way("diff", |a| a.shell_loot("diff /dev/null vault/secret; true"))
                    .errno(libc::ENOMSG),
                way("cp", |a| a.shell("cp vault/secret work/copy")).tool(),
                way("mv", |a| a.shell("mv vault/secret work/moved"))
                    .tool()
                    .by(Hook::PATH_RENAME, Rights::DELETE),
                way("ln", |a| a.shell("ln vault/secret work/linked"))
                    .tool()
                    .by(Hook::PATH_LINK, Rights::LINK),
                way("install", |a| a.shell("install vault/secret work/installed")).tool(),
            ],
            ..ATTACK
        },
    ),
    Row::untried(
        112,
        "`uselib(2)`",
        "It would open the file as code",
        Status::OutOfScope("no kernel that Picket runs on has it (`CONFIG_USELIB`)"),
        "there is no such call",
    ),
    Row::untried(
        113,
        "Code that the agent only brings into its own memory: JIT compilers, `python -c`, ROP",
        "-",
        Status::OutOfScope(
            "an agent may compute what it likes; every system call that it makes is judged",
        ),
        "there is nothing to stop",
    ),
];

/// Maps a file of the vault to be read, and then makes it code.
fn made_code(arena: &Arena, protect: fn(usize, i32) -> Res) -> Res {
    let file = open(arena.at("vault/tool"), libc::O_RDONLY)?;
    let at = memory::map(&file, libc::PROT_READ, libc::MAP_PRIVATE)?;
    protect(at, libc::PROT_READ | libc::PROT_EXEC)?;
    arena.take(SECRET.as_bytes())
}
