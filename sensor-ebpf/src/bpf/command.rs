//! Commands of `ioctl(2)` to what is behind a descriptor.

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::ioctl::{self, Needs};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;
use sensor_ebpf::verdict::Verdict;

use super::judge::{Actor, Ruling, place};
use super::scratch;
use super::vmlinux::{File, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFSOCK, magic_of};

/// Judges a command to what is behind a descriptor.
#[inline(always)]
pub fn judge(actor: &Actor, hook: Hook, file: File, command: u32) -> Result<Ruling, Fault> {
    let right = match ioctl::needs(kind_of(file)?, command) {
        Needs::Nothing => return Ok(Ruling::ALLOW),
        Needs::Attr => Rights::ATTR,
        Needs::Device => Rights::DEVICE,
        Needs::Refused => Rights::KERNEL,
    };
    let right = Rights(actor.scratch().forget(u64::from(right.0)) as u32);
    // No policy can give KERNEL, so what is refused is refused whatever the file's name.
    let ruling = actor.judge_path(hook, right, file.place())?;
    if ruling.decision.verdict == Verdict::Allow {
        return Ok(ruling);
    }
    let peer = place(scratch::peer_of(actor.task)?, &ObjectSubject::ioctl(command))?;
    Ok(Ruling { peer, ..ruling })
}

/// What a command to the file reaches.
#[inline(always)]
fn kind_of(file: File) -> Result<ioctl::Kind, Fault> {
    Ok(match file.file_type() {
        S_IFCHR => ioctl::Kind::Character,
        S_IFBLK => ioctl::Kind::Block,
        S_IFIFO => ioctl::Kind::Pipe,
        S_IFSOCK => ioctl::Kind::Socket,
        S_IFDIR => ioctl::Kind::File,
        // On younger kernels objects have the type of a regular file.
        _ if is_kernel_object(file.place().dentry as u64)? => ioctl::Kind::Object,
        _ => ioctl::Kind::File,
    })
}

/// Whether a dentry is of a file system in which the kernel keeps objects that are no files.
#[inline(always)]
fn is_kernel_object(dentry: u64) -> Result<bool, Fault> {
    /// Magic numbers of `include/uapi/linux/magic.h`.
    const ANON_INODE_FS: u64 = 0x0904_1934;
    const PID_FS: u64 = 0x5049_4446;
    Ok(matches!(magic_of(dentry)?, ANON_INODE_FS | PID_FS))
}
