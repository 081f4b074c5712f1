//! Who made a socket. A socket that an agent made was judged at every step of its life; one that was
//! inherited or handed over was not, and is judged by what it is when it is used.

use sensor_ebpf::hook::Fault;
use sensor_ebpf::tag::Tag;

use super::judge::Actor;
use super::maps::MAKERS;
use super::vmlinux::{Opaque, load, offset};

/// Marks a `struct sock` as made by the actor.
#[inline(always)]
pub fn record(actor: &Actor, sk: *const Opaque) -> Result<(), Fault> {
    let mut tag = actor.tag;
    // SAFETY: null or a whole tag.
    match unsafe { MAKERS.get_or_create(sk, &raw mut tag).as_ref() } {
        Some(made) if *made == actor.tag => Ok(()),
        _ => Err(Fault::NO_TAG),
    }
}

/// Whether the actor's own agent made a `struct sock`.
#[inline(always)]
pub fn is_own(actor: &Actor, sk: *const Opaque) -> bool {
    // SAFETY: a `struct sock` that the verifier knows, and one of its pointer fields.
    if unsafe { load::<u64>(sk, offset!(sock_storage)) } == 0 {
        return false;
    }
    made_by(actor.tag, sk)
}

#[inline(always)]
fn made_by(tag: Tag, sk: *const Opaque) -> bool {
    // SAFETY: null or a whole tag, which nobody changes once it is set.
    unsafe { MAKERS.get(sk).as_ref() }.is_some_and(|made| *made == tag)
}
