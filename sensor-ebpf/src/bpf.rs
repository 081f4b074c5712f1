//! The kernel half proper. `hooks` holds one file per LSM hook; each gathers its arguments, asks
//! `judge`, and returns what that says. Everything that decides lives in the library half.

#[cfg(feature = "match-bench")]
mod bench;
mod command;
mod directory;
mod emit;
mod foreign;
mod hooks;
mod ipc;
mod judge;
mod kept;
mod maker;
mod maps;
mod matcher;
mod object;
mod path;
mod peer;
mod scratch;
mod tag;
mod tagging;
#[cfg(feature = "kernel-trace")]
mod trace;
mod unix;
mod view;
mod vmlinux;
