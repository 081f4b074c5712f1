//! An agent in a container: names are the container's, and nothing of what is below or beside it gives
//! anything away. The container is made as engines make it, by root without a tag: a mount namespace
//! of its own, an overlay as its root, `pivot_root`, the old root taken off.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::verdict::Verdict;

use crate::arena::{Arena, SECRET, USER};
use crate::support::container;
use crate::support::fence::Fence;
use crate::support::sys::files::{
    chdir, chroot, detached_clone, link, mount, open, open_at, read, rename, symlink, umount,
    unlink, write,
};
use crate::support::sys::process::{become_user, set_dumpable};
use crate::support::sys::{EACCES, Errno, Res, mounts as roots};
use crate::sys::mounts;
use crate::victim::Victim;

/// Paths as the container has them.
const POLICY: &str = "\
exec:
  - allow: ['/bin/**']
files:
  - allow: [list]
    paths: ['/', '/proc']
  - allow: [read, list, write, create, delete, link, attr]
    paths: ['/open/**', '/work/**', '/nested/**', '/data/fine']
  - allow: [read, list]
    paths: ['/proc/**', '/lower/**']
  - deny: [read, write]
    paths: ['/**/secret', '/data/file']";

/// An attempt inside: what it is, does, and must answer; with the path that its event must name.
struct Attempt {
    name: &'static str,
    run: fn(&Arena) -> Res,
    answer: Res,
    path: &'static str,
}

const fn allowed(name: &'static str, run: fn(&Arena) -> Res) -> Attempt {
    Attempt { name, run, answer: Ok(()), path: "" }
}

const fn refused(name: &'static str, path: &'static str, run: fn(&Arena) -> Res) -> Attempt {
    Attempt { name, run, answer: Err(EACCES), path }
}

const ATTEMPTS: &[Attempt] = &[
    allowed("a file of the image", |_| matters("/open/file", "lower")),
    allowed("a file of the image, changed: it is copied up", |_| {
        write(&open("/open/file", libc::O_WRONLY)?, b"upper")?;
        matters("/open/file", "upper")
    }),
    allowed("a file of the image, renamed and removed", |_| {
        rename("/open/other", "/work/other")?;
        unlink("/work/other")
    }),
    allowed("a new file", |_| {
        let file = open("/work/new", libc::O_CREAT | libc::O_WRONLY)?;
        write(&file, b"x")
    }),
    allowed("an overlay on an overlay", |_| {
        write(&open("/nested/file", libc::O_WRONLY)?, b"nested")?;
        matters("/nested/file", "nested")
    }),
    allowed("what is mounted from outside, by its name inside", |_| matters("/data/fine", "fine")),
    refused("a secret of the image", "/vault/secret", |a| a.take_file("/vault/secret")),
    refused("by a link", "/vault/secret", |a| {
        symlink("../vault/secret", "/work/link")?;
        a.take_file("/work/link")
    }),
    refused("by /proc/self/root", "/vault/secret", |a| a.take_file("/proc/self/root/vault/secret")),
    refused("by copying it up", "/vault/secret", |_| {
        open("/vault/secret", libc::O_WRONLY | libc::O_APPEND).map(drop)
    }),
    refused("by a hard link", "/vault/secret", |a| {
        link("/vault/secret", "/work/linked")?;
        a.take_file("/work/linked")
    }),
    refused("in the overlay on the overlay", "/nested/secret", |a| a.take_file("/nested/secret")),
    refused("in the layer below it, which is mounted too", "/lower/secret", |a| {
        a.take_file("/lower/secret")
    }),
    refused("what is mounted from outside, by another name", "/data/file", |a| {
        a.take_file("/data/file")
    }),
    refused("the host's root through a process outside", "", |a| {
        a.take_file(format!("/proc/{}/root{}", a.victim.get(), host_secret()))
    }),
    refused("the host's directory through a process outside", "", |a| {
        a.take_file(format!("/proc/{}/cwd/secret", a.victim.get()))
    }),
    refused("a descriptor of the host's, from before", "", |a| {
        let dir = a.note.get() as i32;
        a.take(&read(&open_at(dir, "secret", libc::O_RDONLY, 0)?)?)
    }),
    refused("the directory above that descriptor", "", |a| {
        let dir = a.note.get() as i32;
        a.take(&read(&open_at(dir, "../vault/secret", libc::O_RDONLY, 0)?)?)
    }),
];

/// The same, of which only root could do any.
const OF_ROOT: &[Attempt] = &[
    refused("the host's root through the first process", "", |a| {
        a.take_file(format!("/proc/1/root{}", host_secret()))
    }),
    Attempt {
        name: "out of a chroot within it",
        run: |a| {
            chroot("/work")?;
            (0..20).try_for_each(|_| chdir(".."))?;
            chroot(".")?;
            a.take_file(host_secret())
        },
        answer: Err(Errno(libc::EPERM)),
        path: "",
    },
    refused("a clone of the root that hangs nowhere", "", |a| {
        let tree = detached_clone("/vault").map_err(|_| EACCES)?;
        a.take(&read(&open_at(tree.as_raw_fd(), "secret", libc::O_RDONLY, 0)?)?)
    }),
];

/// Where the secret is on the host, for both users.
fn host_secret() -> &'static str {
    "/var/tmp/picket-tests/bypass_container/vault/secret"
}

fn matters(path: &str, content: &str) -> Res {
    let bytes = read(&open(path, libc::O_RDONLY)?)?;
    if bytes.starts_with(content.as_bytes()) { Ok(()) } else { Err(Errno(libc::ENOMSG)) }
}

/// Tries all of them, as both users.
pub fn names_are_the_containers() {
    for uid in [0, USER] {
        let arena = Arena::new("bypass_container", uid);
        arena.reset();
        image(&arena);
        arena.hand_over();
        let victim = Victim::new(&arena);
        let mut fence = Fence::up();
        let agent = fence.agent(arena.dir(), POLICY);
        let attempts: Vec<&Attempt> =
            ATTEMPTS.iter().chain(OF_ROOT.iter().filter(|_| uid == 0)).collect();
        let mut child = fence.child(|step| match step {
            0 => enter(&arena),
            step => (attempts[step as usize - 1].run)(&arena),
        });
        assert_eq!(child.try_to(0), Ok(()), "the container cannot be made");
        child.tag(agent.tag);
        for (index, attempt) in attempts.iter().enumerate() {
            let answer = child.try_to(index as u32 + 1);
            let events = fence.events(&agent);
            assert_eq!(answer, attempt.answer, "{}, as user {uid}: {events:#?}", attempt.name);
            assert!(!arena.looted(), "{}, as user {uid}", attempt.name);
            if attempt.answer.is_ok() {
                assert!(events.is_empty(), "{}, as user {uid}: {events:#?}", attempt.name);
                continue;
            }
            let named = events.iter().any(|event| {
                let subject = event.subject.as_ref().map(ToString::to_string).unwrap_or_default();
                event.verdict == Verdict::Deny
                    && (attempt.path.is_empty() || subject == attempt.path)
            });
            assert!(named, "{}, as user {uid}: {events:#?}", attempt.name);
        }
        drop(child);
        drop(victim);
    }
}

/// The hooks that this test needs.
pub const HOOKS: &[Hook] = &[Hook::FILE_OPEN, Hook::PTRACE_ACCESS_CHECK];

/// What the container is made of.
fn image(arena: &Arena) {
    for dir in ["open", "vault", "work", "nested", "data", "proc", "old", "bin", "lower"] {
        fs::create_dir_all(arena.at("image").join(dir)).unwrap();
    }
    for dir in ["upper", "scratch", "root", "upper2", "scratch2", "layer", "outside"] {
        fs::create_dir_all(arena.at(dir)).unwrap();
    }
    let files = [
        ("image/open/file", "lower"),
        ("image/open/other", "lower"),
        ("image/vault/secret", SECRET),
        ("layer/file", "lower"),
        ("layer/secret", SECRET),
        ("outside/file", SECRET),
        ("outside/fine", "fine"),
    ];
    for (name, text) in files {
        fs::write(arena.at(name), text).unwrap();
    }
}

/// Makes the container around the calling process, and becomes the user.
fn enter(arena: &Arena) -> Res {
    let host = open(arena.at("vault"), libc::O_PATH | libc::O_DIRECTORY)?;
    arena.note.set(host.as_raw_fd() as u64);
    std::mem::forget(host);
    mounts::unshare(libc::CLONE_NEWNS)?;
    let root = arena.at("root");
    overlay(arena, "image", "upper", "scratch", &root)?;
    overlay(arena, "layer", "upper2", "scratch2", &root.join("nested"))?;
    mount(arena.at("outside"), root.join("data"), "", libc::MS_BIND, "")?;
    mount(arena.at("layer"), root.join("lower"), "", libc::MS_BIND, "")?;
    mount("proc", root.join("proc"), "proc", 0, "")?;
    roots::pivot_root(&root)?;
    chdir("/")?;
    umount("/old", libc::MNT_DETACH)?;
    if arena.uid == 0 {
        return Ok(());
    }
    become_user(arena.uid)?;
    set_dumpable()
}

fn overlay(arena: &Arena, lower: &str, upper: &str, scratch: &str, at: &Path) -> Res {
    let [lower, upper, scratch] = [lower, upper, scratch].map(|name| arena.at(name));
    container::overlay(&lower, &upper, &scratch, at)
}
