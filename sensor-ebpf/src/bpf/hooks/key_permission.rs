//! `int key_permission(key_ref_t key_ref, const struct cred *cred, enum key_need_perm need_perm)`
//!
//! Using a key or keyring. An agent shares the session, user and user-session keyrings with whoever started
//! it: tickets, disk keys and passwords that programs have left there. None of that is a file that a rule
//! could name, so an agent has no keys at all.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "key_permission")]
pub fn key_permission(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::KEY_PERMISSION, try_key_permission)
}

#[inline(always)]
fn try_key_permission(actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_key(actor, Hook::KEY_PERMISSION)
}
