//! Raw access to kernel memory: the only file that dereferences kernel pointers.
//!
//! Two ways: [`load`] is a plain load through a pointer that the verifier knows the type of (a
//! hook's argument), which costs one instruction; [`read`] copies from any address by a helper
//! that survives a bad one.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::generated::{
    bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_probe_read_kernel_str,
};
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::Fault;
use sensor_ebpf::limits::SUBJECT_ROOM;

/// An opaque kernel structure; pointers to it keep the type that the verifier gave them.
#[repr(transparent)]
pub struct Opaque(u8);

/// A `struct task_struct *` that the verifier trusts.
#[derive(Clone, Copy)]
pub struct Task(pub *const Opaque);

/// A `struct file *` that the verifier trusts.
#[derive(Clone, Copy)]
pub struct File(pub *const Opaque);

/// Offset of a kernel field, by its name in [`sensor_ebpf::layout::Layout`].
macro_rules! offset {
    ($field:ident) => {
        $crate::bpf::vmlinux::word(&$crate::bpf::maps::LAYOUT.$field)
    };
}
pub(crate) use offset;

/// Whether a hook's pointer argument is null.
///
/// A comparison does not tell: the verifier takes every pointer that a hook is given for one that is
/// there, and drops the branch for null as dead (it learnt of the exceptions one by one, after
/// 6.12). Read from the context's memory the argument is a plain number.
#[inline(always)]
pub fn is_null(ctx: &LsmContext, argument: usize) -> bool {
    argument_at(ctx, argument as u64) == Ok(0)
}

/// A hook's argument as a plain number, where it is known only at load time which one it is.
#[inline(always)]
pub fn argument_at(ctx: &LsmContext, argument: u64) -> Result<u64, Fault> {
    read(ctx.as_ptr() as u64 + argument * 8)
}

/// A word of `LAYOUT`. A volatile read, because the value in the object is not the one that the
/// loader puts there.
#[inline(always)]
pub fn word(of: &'static u64) -> u64 {
    // SAFETY: a reference is readable.
    unsafe { core::ptr::read_volatile(of) }
}

/// Loads a field of a structure that the verifier knows.
///
/// # Safety
///
/// `of` must be a pointer that the verifier trusts and `at` a field's offset from `LAYOUT`, with
/// `T` of the field's size; the verifier refuses the program otherwise.
#[inline(always)]
pub unsafe fn load<T: Copy>(of: *const Opaque, at: u64) -> T {
    // SAFETY: by the caller's contract; volatile so that the load keeps its width.
    unsafe { core::ptr::read_volatile(of.cast::<u8>().add(at as usize).cast::<T>()) }
}

/// Copies a `T` from kernel address `from`.
#[inline(always)]
pub fn read<T: Copy>(from: u64) -> Result<T, Fault> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the destination is a whole `T`; the helper checks the source and fills all of it.
    unsafe {
        let code = bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            from as *const c_void,
        );
        if code == 0 { Ok(value.assume_init()) } else { Err(Fault::UNREADABLE) }
    }
}

/// The first bytes of the string at kernel address `from`, with zeros behind its end.
#[inline(always)]
pub fn read_text<const N: usize>(from: u64) -> Result<[u8; N], Fault> {
    let mut text = [0; N];
    // SAFETY: the destination is the whole array; the helper checks the source.
    let code = unsafe {
        bpf_probe_read_kernel_str(text.as_mut_ptr().cast(), N as u32, from as *const c_void)
    };
    if code >= 0 { Ok(text) } else { Err(Fault::UNREADABLE) }
}

/// `value & MASK`, done where the verifier sees it. LLVM leaves out a mask whose effect it has
/// already proven by a comparison that the verifier does not follow.
#[inline(always)]
pub fn masked<const MASK: u64>(mut value: u64) -> u64 {
    const { assert!(MASK <= i32::MAX as u64) };
    // SAFETY: one instruction on one register.
    unsafe {
        core::arch::asm!(
            "{value} &= {mask}",
            value = inout(reg) value,
            mask = const MASK,
            options(nomem, nostack),
        );
    }
    value
}

/// [`masked`] to an index into a scratch room.
#[inline(always)]
pub fn in_room(index: u64) -> usize {
    masked::<{ SUBJECT_ROOM as u64 - 1 }>(index) as usize
}

/// `-errno` as a hook returns it. By hand, because the verifier follows a subtraction but not the
/// negation that LLVM makes of it, and demands a value in [-4095, 0] (`bpf_lsm_get_retval_range`).
#[inline(always)]
pub fn negative(errno: i32) -> i32 {
    let errno = masked::<4095>(u64::from(errno.unsigned_abs()));
    let mut value = 0_i64;
    // SAFETY: one instruction on two registers.
    unsafe {
        core::arch::asm!(
            "{value} -= {errno}",
            value = inout(reg) value,
            errno = in(reg) errno,
            options(nomem, nostack),
        );
    }
    value as i32
}

/// The running task.
#[inline(always)]
pub fn current() -> Task {
    // SAFETY: no arguments; never null.
    Task(unsafe { bpf_get_current_task_btf() }.cast_const().cast())
}

/// An object in a file system, by pointers of types that the verifier knows: `struct vfsmount` and
/// `struct dentry`.
#[derive(Clone, Copy)]
pub struct Place {
    /// The mount that it is seen through.
    pub mnt: *const Opaque,
    /// Its dentry.
    pub dentry: *const Opaque,
}

impl Task {
    /// Address of the task's local storage, 0 if it never had any.
    #[inline(always)]
    pub fn storage(self) -> u64 {
        // SAFETY: a trusted task and one of its pointer fields.
        unsafe { load(self.0, offset!(task_storage)) }
    }

    /// Address of the task's mount namespace; 0 for a task that is exiting.
    #[inline(always)]
    pub fn mount_namespace(self) -> u64 {
        // SAFETY: a trusted task, and pointer fields of it and of what it points to.
        unsafe {
            let nsproxy: *const Opaque = load(self.0, offset!(task_nsproxy));
            if nsproxy.is_null() { 0 } else { load(nsproxy, offset!(nsproxy_mnt_ns)) }
        }
    }

    /// The number of the task's mount namespace, as `/proc/PID/ns/mnt` shows it; 0 if it cannot be read.
    #[inline(always)]
    pub fn mount_namespace_number(self) -> u32 {
        read(self.mount_namespace() + offset!(mnt_namespace_number)).unwrap_or(0)
    }

    /// The task's mount namespace as [`mount_namespace`](Self::mount_namespace) has it, and its event
    /// counter, which grows with each change of a mount in it (`fs/namespace.c:touch_mnt_namespace`).
    #[inline(always)]
    pub fn mount_events(self) -> (u64, u64) {
        // SAFETY: a trusted task, and pointer or integer fields of it and of what it points to.
        unsafe {
            let nsproxy: *const Opaque = load(self.0, offset!(task_nsproxy));
            if nsproxy.is_null() {
                return (0, 0);
            }
            let namespace: *const Opaque = load(nsproxy, offset!(nsproxy_mnt_ns));
            (namespace as u64, load(namespace, offset!(mnt_namespace_event)))
        }
    }

    /// The task that stands for the process.
    #[inline(always)]
    pub fn leader(self) -> Task {
        // SAFETY: a trusted task and one of its pointer fields, which is never null.
        Task(unsafe { load(self.0, offset!(task_leader)) })
    }

    /// Thread group id in the task's own pid namespace: what it takes itself for.
    #[inline(always)]
    pub fn tgid_in_namespace(self) -> Result<i32, Fault> {
        /// Size of `struct upid`, an integer and a pointer; it begins with the number.
        const UPID: u64 = 16;
        /// `MAX_PID_NS_LEVEL` (`include/linux/pid_namespace.h`).
        const LEVELS: u32 = 32;
        let pid = self.thread_group()?;
        let level: u32 = read(pid + offset!(pid_level))?;
        if level > LEVELS {
            return Err(Fault::UNREADABLE);
        }
        read(pid + offset!(pid_numbers) + u64::from(level) * UPID)
    }

    /// Address of the task's own credentials; what it acts with while the kernel has it run an errand
    /// are others.
    #[inline(always)]
    pub fn credentials(self) -> u64 {
        // SAFETY: a trusted task and one of its pointer fields.
        unsafe { load(self.0, offset!(task_own_cred)) }
    }

    /// Whether the kernel has the task run an errand under other credentials (`override_creds`).
    #[inline(always)]
    pub fn on_errand(self) -> bool {
        // SAFETY: a trusted task and one of its pointer fields.
        let acting: u64 = unsafe { load(self.0, offset!(task_cred)) };
        acting != self.credentials()
    }

    /// Address of the `struct pid` of the task's thread group.
    #[inline(always)]
    pub fn thread_group(self) -> Result<u64, Fault> {
        const PIDTYPE_TGID: u64 = 1;
        // SAFETY: a trusted task and one of its pointer fields.
        let signal: u64 = unsafe { load(self.0, offset!(task_signal)) };
        read(signal + offset!(signal_pids) + PIDTYPE_TGID * 8)
    }

    /// Address of the `struct pid` of the thread itself.
    #[inline(always)]
    pub fn thread(self) -> u64 {
        // SAFETY: a trusted task and one of its pointer fields.
        unsafe { load(self.0, offset!(task_pid)) }
    }

    /// Whether the kernel acts in the task's name and under credentials of its own, as overlayfs does
    /// on its layers for an operation that was judged already. The one way by which a task can have
    /// others than its own (`override_creds`) put on at its wish is io_uring's personalities, so a
    /// task that ever made a ring is taken at its word.
    #[inline(always)]
    pub fn acts_for_kernel(self) -> bool {
        // SAFETY: a trusted task and three of its pointer fields.
        let (cred, own, ring): (u64, u64, u64) = unsafe {
            (
                load(self.0, offset!(task_cred)),
                load(self.0, offset!(task_real_cred)),
                load(self.0, offset!(task_io_uring)),
            )
        };
        cred != own && ring == 0
    }

    /// Thread group id, in the initial pid namespace.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        // SAFETY: a trusted task and its 32-bit `tgid`.
        unsafe { load(self.0, offset!(task_tgid)) }
    }

    /// Thread group id of the parent, 0 if it cannot be read. For events only.
    #[inline(always)]
    pub fn parent_tgid(self) -> u32 {
        // SAFETY: a trusted task and one of its pointer fields.
        let parent: u64 = unsafe { load(self.0, offset!(task_parent)) };
        read(parent + offset!(task_tgid)).unwrap_or(0)
    }

    /// When the process began, 0 if it cannot be read. For events only.
    #[inline(always)]
    pub fn process_start(self) -> u64 {
        // SAFETY: a trusted task and one of its pointer fields.
        let leader: u64 = unsafe { load(self.0, offset!(task_leader)) };
        read(leader + offset!(task_start)).unwrap_or(0)
    }
}

impl File {
    /// Where the file was opened.
    #[inline(always)]
    pub fn place(self) -> Place {
        let path = offset!(file_path);
        // SAFETY: a trusted file and the two pointers of its embedded `struct path`.
        unsafe {
            Place {
                mnt: load(self.0, path + offset!(path_mnt)),
                dentry: load(self.0, path + offset!(path_dentry)),
            }
        }
    }

    /// Mode of its inode. A file always has one.
    #[inline(always)]
    pub fn inode_mode(self) -> u16 {
        // SAFETY: a trusted file, its inode pointer, and the inode's 16-bit mode.
        unsafe {
            let inode: *const Opaque = load(self.0, offset!(file_inode));
            load::<u16>(inode, offset!(inode_mode))
        }
    }

    /// Type of the file: the `S_IFMT` part of its inode's mode.
    #[inline(always)]
    pub fn file_type(self) -> u16 {
        self.inode_mode() & S_IFMT
    }

    /// Whether a character device is a terminal, by its major number (`Documentation/admin-guide/
    /// devices.txt`): virtual consoles and serial lines, `/dev/tty` and `/dev/ptmx`, pseudo terminals.
    #[inline(always)]
    pub fn is_terminal(self) -> bool {
        // SAFETY: a trusted file, its inode pointer, and the inode's 32-bit device number.
        let device: u32 = unsafe {
            let inode: *const Opaque = load(self.0, offset!(file_inode));
            load(inode, offset!(inode_rdev))
        };
        matches!(device >> 20, 4 | 5 | 128..=143)
    }

    /// Whether it was opened with `O_PATH`, which gives no access.
    #[inline(always)]
    pub fn is_path(self) -> bool {
        /// `FMODE_PATH` (`include/linux/fs.h`).
        const FMODE_PATH: u32 = 1 << 14;
        self.mode() & FMODE_PATH != 0
    }

    /// `f_mode`.
    #[inline(always)]
    pub fn mode(self) -> u32 {
        // SAFETY: a trusted file and its 32-bit `f_mode`.
        unsafe { load(self.0, offset!(file_mode)) }
    }

    /// `f_flags`: the flags of `open(2)`, and `__FMODE_EXEC`.
    #[inline(always)]
    pub fn flags(self) -> u32 {
        // SAFETY: a trusted file and its 32-bit `f_flags`.
        unsafe { load(self.0, offset!(file_flags)) }
    }
}

/// `S_IFMT` part of the mode of a dentry's inode, 0 for a negative dentry.
#[inline(always)]
pub fn file_type(dentry: u64) -> Result<u16, Fault> {
    let inode: u64 = read(dentry + offset!(dentry_inode))?;
    if inode == 0 {
        return Ok(0);
    }
    let mode: u16 = read(inode + offset!(inode_mode))?;
    Ok(mode & S_IFMT)
}

/// Kind of file system that a dentry is of.
#[inline(always)]
pub fn magic_of(dentry: u64) -> Result<u64, Fault> {
    let sb: u64 = read(dentry + offset!(dentry_sb))?;
    read(sb + offset!(sb_magic))
}

/// Mask of the file type in a mode (`inode(7)`).
pub const S_IFMT: u16 = 0o170_000;
/// Directory.
pub const S_IFDIR: u16 = 0o040_000;
/// Character device.
pub const S_IFCHR: u16 = 0o020_000;
/// Pipe or FIFO.
pub const S_IFIFO: u16 = 0o010_000;
/// Socket.
pub const S_IFSOCK: u16 = 0o140_000;
/// Block device.
pub const S_IFBLK: u16 = 0o060_000;
