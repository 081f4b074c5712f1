//! The engine behind `picket`: policies, the kernel side, agents and events.
//!
//! ```text
//! policy   text -> model -> rules -> table        pure: no IO, no kernel, no root
//! kernel   load, attach, install, tag             the only module that knows aya
//! event    ring record -> event -> line           pure
//! engine   agents over one loaded kernel side     what run holds, and a daemon can
//! family   kinds of sockets by name               pure
//! launch   a command as an agent                  fork, tag, drop, exec, wait
//! canary   proof that there is a fence            a tagged process and its judge
//! daemon   agents, policies, events, sinks        owns the machine's kernel side
//! api      what goes over the control socket      types and the calling side
//! cli      one verb a file                        the only module that prints
//! ```

// They panic where nobody reads what is printed.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod api;
pub mod canary;
pub mod cli;
pub mod daemon;
pub mod engine;
pub mod event;
pub mod family;
pub mod kernel;
pub mod launch;
pub mod policy;
pub mod policy_host;
