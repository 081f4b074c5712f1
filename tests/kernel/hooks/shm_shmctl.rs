//! Removing shared memory and the like.

use std::fs;
use std::path::Path;

use sensor_ebpf::hook::Hook;

use super::ipc_permission::denied;
use crate::support::case::Case;
use crate::support::sys::ipc::{Kind, Object};
use crate::support::sys::{EPERM, Res};

const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/id']";

const KIND: Kind = Kind::Memory;
const KEY: i32 = 0x7069_0011;

pub const CASE: Case = Case {
    hook: Hook::SHM_SHMCTL,
    errno: EPERM,
    policy: POLICY,
    prepare: |dir| {
        let object = Object::new(KIND, KEY);
        fs::write(dir.join("id"), object.id.to_string()).unwrap();
        Box::new(object)
    },
    denied: |dir| KIND.remove(id(dir)?),
    allowed: |_| KIND.remove(KIND.make(libc::IPC_PRIVATE)?),
    event: |dir| denied(Hook::SHM_SHMCTL, id(dir).unwrap(), KEY),
    by_child: false,
};

/// The object's id: asking for it by its key would be refused already.
fn id(dir: &Path) -> Res<i64> {
    let text = fs::read_to_string(dir.join("id")).map_err(|_| crate::support::sys::EACCES)?;
    Ok(text.parse().unwrap())
}

#[test]
fn before_inside_outside() {
    CASE.check();
}
