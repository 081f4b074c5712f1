//! Tests of the fence itself: real system calls on a real kernel, judged by the programs.
//!
//! They run as root on a machine that may be thrown away (`cargo xtask test` gives them one), and
//! fail where the kernel cannot enforce; none passes by being left out. Each hook has a file of its
//! own in [`hooks`]; what belongs to no single hook is beside it.

mod adopt;
mod after;
mod agreement;
mod audit;
mod daemon;
mod deputies;
mod events;
mod hooks;
mod inherit;
mod launder;
mod path;
mod programs;
mod remembered;
#[path = "../support/mod.rs"]
mod support;
mod untagged;
