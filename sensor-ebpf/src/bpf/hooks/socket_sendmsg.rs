//! `int socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`
//!
//! Sending: `send*`, `write`, and since 6.5 `sendfile` and `splice`.
//! - To a peer that is named in the call: datagrams, and TCP with `MSG_FASTOPEN`, which connects
//!   without passing `socket_connect`. Unix datagrams are judged in `unix_may_send`.
//! - Otherwise to the peer of the socket, which was judged when it was connected if the agent made
//!   it. A socket that came from outside is judged by its peer. (Before 6.5 `sendfile` to such a one
//!   passes by here, `net/socket.c:kernel_sendpage`; see [`crate::bpf::foreign`].)
//! - With control messages that would lead elsewhere; see [`sensor_ebpf::sockopt`]. They are the
//!   kernel's own copy (`net/socket.c:____sys_sendmsg`), which nobody can change meanwhile.

use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::sockopt;
use sensor_ebpf::subject::{ObjectSubject, TRANSPORT_TCP};

use crate::bpf::judge::{self, Actor, Ruling, place};
use crate::bpf::maker;
use crate::bpf::object::{AF_UNIX, Address, Socket};
use crate::bpf::peer::{judge_kind, judge_peer};
use crate::bpf::vmlinux::{Opaque, load, offset, read};

#[lsm(hook = "socket_sendmsg")]
pub fn socket_sendmsg(ctx: LsmContext) -> i32 {
    judge::hook(Hook::SOCKET_SENDMSG, |actor| try_socket_sendmsg(&ctx, actor))
}

#[inline(always)]
fn try_socket_sendmsg(ctx: &LsmContext, actor: &Actor) -> Result<Ruling, Fault> {
    const HOOK: Hook = Hook::SOCKET_SENDMSG;
    let socket = Socket::of(ctx.arg(0))?;
    if socket.family == AF_UNIX {
        return Ok(Ruling::ALLOW);
    }
    if !socket.is_addressed() {
        return judge_kind(actor, HOOK, socket);
    }
    let message: *const Opaque = ctx.arg(1);
    // SAFETY: the `struct msghdr *` argument, and four of its fields.
    let (name, len, control, control_len): (u64, u32, u64, u64) = unsafe {
        (
            load(message, offset!(msghdr_name)),
            load(message, offset!(msghdr_namelen)),
            load(message, offset!(msghdr_control)),
            load(message, offset!(msghdr_controllen)),
        )
    };
    if control_len != 0 {
        let found = scan(control, control_len);
        if found == Controls::UNREADABLE {
            return Err(Fault::BAD_ADDRESS);
        }
        if found != Controls::HARMLESS {
            let option = ObjectSubject::option((found >> 32) as u32, found as u32);
            let table = actor.table()?;
            let subject = place(actor.scratch(), &option)?;
            return Ok(Ruling::refuse(HOOK, Rights::KERNEL, subject).refused(table));
        }
    }
    let given = if name != 0 { socket.address(name, len)? } else { Address::NONE };
    if !given.named && maker::is_own(actor, socket.sk) {
        return Ok(Ruling::ALLOW);
    }
    // One judgement for both, so that the verifier follows it once.
    let connects = !given.named || socket.transport == TRANSPORT_TCP;
    let to = if given.named { given } else { socket.peer() };
    let right = if connects { Rights::CONNECT } else { Rights::SEND };
    judge_peer(actor, HOOK, right, socket, &to)
}

/// Control messages that are looked at: more than fit into what the kernel takes at once
/// (`net.core.optmem_max`) as it is set anywhere. What lies behind is a fault.
const CONTROLS_MAX: u32 = 16_384;

/// Where a scan stands. Lives on the stack of the program; the callback gets its address.
struct Controls {
    at: u64,
    left: u64,
    found: u64,
}

impl Controls {
    /// [`Controls::found`] of messages of which none is refused; else level and type of the first
    /// that is, 32 bits each.
    const HARMLESS: u64 = u64::MAX;
    /// See [`Controls::HARMLESS`].
    const UNREADABLE: u64 = u64::MAX - 1;
}

/// Looks for a control message that is refused among the `len` bytes at `control`.
#[inline(never)]
fn scan(control: u64, len: u64) -> u64 {
    let mut controls = Controls { at: control, left: len, found: Controls::HARMLESS };
    // SAFETY: the callback has the signature that the helper demands, and `controls` outlives it.
    let turns = unsafe {
        bpf_loop(CONTROLS_MAX, look as *mut core::ffi::c_void, (&raw mut controls).cast(), 0)
    };
    if turns >= i64::from(CONTROLS_MAX) { Controls::UNREADABLE } else { controls.found }
}

/// Looks at one control message. Returns 1 to end the loop.
unsafe extern "C" fn look(_: u64, controls: *mut Controls) -> i64 {
    /// `struct cmsghdr`: length (64 bits), level (32), type (32).
    const HEADER: u64 = 16;
    // SAFETY: the helper passes on the pointer that `scan` gave it.
    let controls = unsafe { &mut *controls };
    if controls.left < HEADER {
        return 1;
    }
    let Ok([len, level_kind]) = read::<[u64; 2]>(controls.at) else {
        controls.found = Controls::UNREADABLE;
        return 1;
    };
    let (level, kind) = (level_kind as u32, (level_kind >> 32) as u32);
    if len < HEADER || len > controls.left {
        // The kernel refuses the whole message (`CMSG_OK`), or does not look at it.
        controls.found = Controls::UNREADABLE;
        return 1;
    }
    let mut refused = sockopt::control_refused(level, kind);
    if sockopt::has_link(level, kind) {
        let at = sockopt::link_at(level);
        refused = len < HEADER + at + 4 || read::<u32>(controls.at + HEADER + at) != Ok(0);
    }
    if refused {
        controls.found = u64::from(level) << 32 | u64::from(kind);
        return 1;
    }
    let step = (len + 7) & !7;
    controls.left = controls.left.saturating_sub(step);
    controls.at = controls.at.wrapping_add(step);
    0
}
