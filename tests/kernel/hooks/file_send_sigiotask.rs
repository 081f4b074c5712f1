//! Signals that come with input, where it cannot be found out whose the target is. That Picket's own
//! processes get none is in the catalogue (805).

use sensor_ebpf::hook::{Fault, Hook};

use crate::support::bystander::Bystander;
use crate::support::fence::Fence;
use crate::support::sys::kernel::signal_by_input;
use crate::support::sys::process::{Ended, wait};
use crate::support::sys::storage::burden;

/// More than the search for a tag looks through.
const STORAGES: usize = 40;

#[test]
fn a_fault_keeps_no_signal_from_a_process_without_a_tag() {
    const HOOK: Hook = Hook::FILE_SEND_SIGIOTASK;
    let bystander = Bystander::new(0);
    let mut fence = Fence::up();
    let before = fence.faults(HOOK, Fault::TAG_LOOKUP);
    let _maps = burden(bystander.0, STORAGES).unwrap();
    let signal = libc::SIGRTMIN() + 3;
    assert_eq!(signal_by_input(bystander.0, signal), Ok(()));
    assert_eq!(wait(bystander.0), Ok(Ended::Signal(signal)));
    std::mem::forget(bystander);
    assert!(fence.faults(HOOK, Fault::TAG_LOOKUP) > before, "there was no fault");
}
