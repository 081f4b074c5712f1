//! What the tests of the fence share: `tests/kernel` and `tests/bypass` each compile it as a module of
//! this name. Nothing here is a test.
//!
//! [`fence`] is the loaded kernel side, [`child`] a process that does what it is told, [`expect`]
//! an event as it should be, [`place`] a directory of one's own, [`sys`] the system calls, [`elf`]
//! small programs, [`container`] a container and the ways into it, [`daemon`] the program itself. [`case`] and [`trial`] are the situations that
//! everything is tried in: before it is tagged, inside, outside.

#![allow(dead_code, reason = "each of the two programs needs a part of it")]

pub mod bystander;
pub mod case;
pub mod cgroup;
pub mod child;
pub mod container;
pub mod daemon;
pub mod elf;
pub mod expect;
pub mod fence;
pub mod place;
pub mod sys;
pub mod trial;
