//! The room that a task's subjects are built and matched in.

use aya_ebpf::helpers::generated::bpf_loop;
use sensor_ebpf::hook::Fault;
use sensor_ebpf::limits::{NAME_MAX, SUBJECT_ROOM};

use sensor_ebpf::table::Cursor;
use sensor_ebpf::tag::Memo;

use super::directory::{DIRECTORIES, Directory};
use super::maps::{SCRATCH, SCRATCH_PEER};
use super::view::Views;
use super::vmlinux::{self, Task};

/// Bytes behind a scratch's room.
pub const ROOM_SLACK: usize = NAME_MAX + 1;

/// Value of the two scratch maps. The subject always ends at `SUBJECT_ROOM`: a path is found from
/// its last component to its first, and is written in that order. Behind it is slack for the
/// longest name, so that one mask bounds every write.
#[repr(C)]
pub struct Scratch {
    /// The bytes.
    pub room: [u8; SUBJECT_ROOM + ROOM_SLACK],
    /// Index of the first byte of the path being written. Here and not on the stack, where the
    /// verifier would follow its value through every turn of the walking loop and never see two
    /// turns alike; what memory holds it does not know. The same goes for `outcome`.
    pub start: u64,
    /// Index of the slash before the path's last component.
    pub split: u64,
    /// How the walk ended; see `path::Walk`.
    pub outcome: u64,
    /// The dentry that the walk came from, and the one that it came to that from; 0 where there is none.
    pub below: [u64; 2],
    /// Length of the acting thread's own id in the path; 0 if that is not there. See `path::own_thread`.
    pub thread: u64,
    /// A number on its way through memory; see [`Scratch::forget`].
    pub number: u64,
    /// Where the automata stand after what of the subject was matched.
    pub cursor: Cursor,
    /// Index of the next byte to match.
    pub at: u32,
    /// The task's tag as it was found before.
    pub memo: Memo,
    /// Keeps what follows aligned.
    pub _pad: u32,
    /// The names of a file that is seen through a mount that nobody says; see `view`.
    pub views: Views,
    /// Directories that this task has been in; see `directory`.
    pub directories: [Directory; DIRECTORIES],
    /// The creation that `path_mknod` refused last while its name was still being looked up.
    pub pending_parent: u64,
    /// See [`Scratch::pending_parent`].
    pub pending_name: u64,
    /// The dentry whose creation `path_mknod` reported last without refusing it.
    pub reported: u64,
}

// The kernel's allocator for task storage stops at 8 KiB on 7.x (`kmalloc_nolock`), and the
// element has a header of its own.
const _: () = assert!(size_of::<Scratch>() <= 8192 - 128);

impl Scratch {
    /// The same number, of which the verifier no longer knows where it came from. It follows every
    /// value that a number put together from conditions may have through all that comes after, and
    /// a dozen of them multiply its work by as much.
    #[inline(always)]
    pub fn forget(&mut self, number: u64) -> u64 {
        let at = &raw mut self.number;
        // SAFETY: a field of our own.
        unsafe {
            at.write_volatile(number);
            at.read_volatile()
        }
    }
}

/// The running task's scratch, if it has one yet.
#[inline(always)]
pub fn find(task: Task) -> Option<&'static mut Scratch> {
    // SAFETY: null or a whole value that belongs to the running task alone; programs that run for
    // one task do not nest.
    unsafe { SCRATCH.get(task).as_mut() }
}

/// The running task's scratch, made where there is none.
#[inline(always)]
pub fn of(task: Task) -> Result<&'static mut Scratch, Fault> {
    // SAFETY: as in `find`.
    let found = unsafe { SCRATCH.get_or_create(task, core::ptr::null_mut()).as_mut() };
    if let Some(scratch) = found {
        return Ok(scratch);
    }
    await_storage();
    // SAFETY: as in `find`.
    unsafe { SCRATCH.get_or_create(task, core::ptr::null_mut()).as_mut() }.ok_or(Fault::NO_SCRATCH)
}

/// How often the helper is asked again: for about as long as a busy processor makes a task wait for its turn.
const PATIENCE: u32 = 1 << 20;

/// Waits until the helper gives the running task's scratch. On 6.1 it gives nothing, and on others it makes
/// nothing, while another task was pre-empted within it on the same processor
/// (`kernel/bpf/bpf_task_storage.c:bpf_task_storage_trylock`). That one goes on when this one is
/// pre-empted in turn, which programs can be.
#[inline(never)]
fn await_storage() {
    // SAFETY: the callback has the signature that the helper demands, and takes no context.
    unsafe {
        bpf_loop(PATIENCE, ask as *mut core::ffi::c_void, core::ptr::null_mut(), 0);
    }
}

/// Asks once. Returns 1 to end the loop.
unsafe extern "C" fn ask(_: u64, _: *mut core::ffi::c_void) -> i64 {
    let found = SCRATCH.get_or_create(vmlinux::current(), core::ptr::null_mut());
    i64::from(!found.is_null())
}

/// The task's scratch for a second subject.
#[inline(always)]
pub fn peer_of(task: Task) -> Result<&'static mut Scratch, Fault> {
    // SAFETY: as in `of`.
    unsafe { SCRATCH_PEER.get_or_create(task, core::ptr::null_mut()).as_mut() }
        .ok_or(Fault::NO_SCRATCH)
}
