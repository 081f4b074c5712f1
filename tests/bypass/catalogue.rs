//! All rows, by area.

mod attributes;
mod changes;
mod code;
mod connections;
mod deputies;
mod descriptors;
mod files;
mod handed;
mod ipc;
mod later;
mod mounts;
mod network;
mod own;
mod processes;
mod programs;
mod sockets;
mod system;
mod tag;

use crate::row::Row;

/// Everything is allowed but what is in the vault. Capabilities too, so that it is the hook that a row
/// names that refuses, and not one that is asked before it.
pub const VAULT: &str = concat!(vault!(), "\ncapabilities:\n  - allow: [all]");

/// The same where root has nothing of root's but its files.
pub const NOT_ROOT: &str = vault!();

/// [`VAULT`] without capabilities.
macro_rules! vault {
    () => {
        "\
exec:
  - allow: ['/**']
  - deny: ['${dir}/vault/**']
files:
  - allow: [read, list, write, create, delete, link, attr, map]
    paths: ['/**']
  - deny: [read, list, write, create, delete, link, attr, map]
    paths: ['${dir}/vault/**']
network:
  - allow: [connect]
    to: ['*', 'unix:/**', 'unix:@**']
  - deny: [connect]
    to: ['unix:${dir}/vault/**']
  - allow: [bind]
    on: ['*', 'unix:@**']"
    };
}
use vault;

/// The policy that ships for coding agents.
pub const CODING_AGENT: &str = include_str!("../../policies/coding-agent.yaml");

/// Every row, in the order of their numbers.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [
        code::ROWS,
        programs::ROWS,
        files::ROWS,
        changes::ROWS,
        attributes::ROWS,
        descriptors::ROWS,
        mounts::ROWS,
        deputies::ROWS,
        handed::ROWS,
        later::ROWS,
        ipc::ROWS,
        processes::ROWS,
        network::ROWS,
        sockets::ROWS,
        connections::ROWS,
        system::ROWS,
        own::ROWS,
        tag::ROWS,
    ]
    .into_iter()
    .flatten()
}
