//! `int key_alloc(struct key *key, const struct cred *cred, unsigned long flags)`
//!
//! Making a key (`add_key(2)`, `request_key(2)`, `keyctl(2)`). A request that finds no key starts
//! `/sbin/request-key` outside the fence, and what a user's keyring holds every process of the user can
//! have: see `key_permission`.

use aya_ebpf::macros::lsm;
use aya_ebpf::programs::LsmContext;
use sensor_ebpf::hook::{Fault, Hook};

use crate::bpf::judge::{self, Actor, Ruling};

#[lsm(hook = "key_alloc")]
pub fn key_alloc(_ctx: LsmContext) -> i32 {
    judge::hook(Hook::KEY_ALLOC, try_key_alloc)
}

#[inline(always)]
fn try_key_alloc(actor: &Actor) -> Result<Ruling, Fault> {
    super::judge_key(actor, Hook::KEY_ALLOC)
}
