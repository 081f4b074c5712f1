//! Brings the machine up: modules, disks, file systems, the switch to the real root, loopback.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{PermissionsExt as _, chroot, symlink},
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    unistd::{chdir, sethostname},
};
use xtask::vm::task::{INJECTED, Task, serial};

/// Where the root file system is while the initramfs still is `/`.
const NEW_ROOT: &str = "/new";

/// How long a device may take to appear; emulated ones take milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

const QUIET: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);
const TEMPORARY: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// File system type, mount point, flags and options of what a running Debian system has mounted.
const MOUNTS: [(&str, &str, MsFlags, &str); 12] = [
    ("proc", "proc", QUIET, ""),
    ("sysfs", "sys", QUIET, ""),
    ("devtmpfs", "dev", MsFlags::MS_NOSUID, "mode=755"),
    ("devpts", "dev/pts", MsFlags::MS_NOSUID, "gid=5,mode=620,ptmxmode=666"),
    ("tmpfs", "dev/shm", TEMPORARY, "mode=1777"),
    ("tmpfs", "run", TEMPORARY, "mode=755"),
    ("tmpfs", "tmp", TEMPORARY, "mode=1777"),
    ("cgroup2", "sys/fs/cgroup", QUIET, "nsdelegate"),
    ("bpf", "sys/fs/bpf", QUIET, "mode=700"),
    ("securityfs", "sys/kernel/security", QUIET, ""),
    ("tracefs", "sys/kernel/tracing", QUIET, ""),
    ("mqueue", "dev/mqueue", QUIET, ""),
];

/// What udev would link in /dev.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
];

/// What finding devices takes, in the initramfs.
pub fn first_mounts() -> Result<()> {
    for (kind, at, flags, options) in &MOUNTS[..3] {
        mount_at(&Path::new("/").join(at), kind, kind, *flags, options)?;
    }
    Ok(())
}

/// Loads all modules in `dir`, in the order of their names.
pub fn load_modules(dir: &Path) -> Result<()> {
    let mut files = match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?,
        Err(_) => Vec::new(),
    };
    files.sort();
    for file in files {
        finit_module(&File::open(&file)?, c"", ModuleInitFlags::empty())
            .with_context(|| format!("cannot load {}", file.display()))?;
    }
    Ok(())
}

/// Mounts everything, makes the root disk `/`, and sets what the system's own start-up would.
pub fn bring_up(task: &Task) -> Result<()> {
    let root = Path::new(NEW_ROOT);
    mount_disk(serial::ROOT, root, MsFlags::empty())?;
    copy_tree(&Path::new("/").join(INJECTED), root)?;
    mount_disk(serial::MODULES, &root.join("usr/lib/modules"), MsFlags::MS_RDONLY)?;
    for (index, name) in task.shares.iter().enumerate() {
        let disk = format!("{}{index}", serial::SHARE);
        mount_disk(&disk, &root.join("share").join(name), MsFlags::MS_RDONLY)?;
    }
    // What stays behind in the initramfs would take the guest's memory for good.
    fs::remove_dir_all("/picket").context("cannot empty the initramfs")?;
    for (kind, at, flags, options) in MOUNTS {
        mount_at(&root.join(at), kind, kind, flags, options)?;
    }
    for (target, link) in LINKS {
        symlink(target, root.join(link)).with_context(|| format!("cannot link /{link}"))?;
    }
    switch_root(root)?;
    sethostname("picket-guest").context("cannot set the host name")?;
    let up = Command::new("/sbin/ip").args(["link", "set", "lo", "up"]).status();
    if !up.context("cannot start ip")?.success() {
        bail!("cannot bring up the loopback device");
    }
    Ok(())
}

/// Moves the root disk over `/`. The initramfs itself can be neither unmounted nor pivoted away
/// from (ramfs-rootfs-initramfs.rst in the kernel's documentation), so it stays below, as on any
/// machine that boots from one.
fn switch_root(root: &Path) -> Result<()> {
    chdir(root)?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .context("cannot move the root disk to /")?;
    chroot(".").context("cannot change to the root disk")?;
    chdir("/")?;
    Ok(())
}

fn mount_at(at: &Path, source: &str, kind: &str, flags: MsFlags, options: &str) -> Result<()> {
    fs::create_dir_all(at).with_context(|| format!("cannot make {}", at.display()))?;
    let options = (!options.is_empty()).then_some(options);
    mount(Some(source), at, Some(kind), flags, options)
        .with_context(|| format!("cannot mount {kind} at {}", at.display()))
}

fn mount_disk(disk: &str, at: &Path, flags: MsFlags) -> Result<()> {
    let device = wait_for(&format!("the disk {disk}"), || find_disk(disk))?;
    mount_at(at, &device.to_string_lossy(), "ext4", flags, "")
}

/// The disk with that serial number; the order in which disks get their names is no promise.
fn find_disk(serial: &str) -> Option<PathBuf> {
    let disks = fs::read_dir("/sys/block").ok()?;
    let mut names = disks.filter_map(|disk| Some(disk.ok()?.file_name()));
    let found = names.find(|name| {
        let file = Path::new("/sys/block").join(name).join("serial");
        fs::read_to_string(file).is_ok_and(|text| text.trim() == serial)
    })?;
    Some(Path::new("/dev").join(found)).filter(|device| device.exists())
}

/// Asks again until there is an answer.
pub fn wait_for<T>(what: &str, find: impl Fn() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = find() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what} has not appeared within {} s", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(5));
    }
}

/// Copies files with their permissions over those of the root disk.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    if !from.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)
                .with_context(|| format!("cannot make {}", target.display()))?;
            copy_tree(&entry.path(), &target)?;
        } else {
            let mode = entry.metadata()?.permissions().mode() & 0o7777;
            // A link in the root disk (such as an alternative) is replaced, not written through.
            if target.is_symlink() {
                fs::remove_file(&target)?;
            }
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot write {}", target.display()))?;
            fs::set_permissions(&target, Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}
