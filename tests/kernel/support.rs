//! What the tests share.
//!
//! [`fence`] is the loaded kernel side, [`child`] a process that does what it is told, [`expect`]
//! an event as it should be, [`place`] a directory of one's own, [`case`] the four situations that
//! every hook is tried in, [`sys`] the system calls.

pub mod case;
pub mod child;
pub mod elf;
pub mod expect;
pub mod fence;
pub mod place;
pub mod sys;
