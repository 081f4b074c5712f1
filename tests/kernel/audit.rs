//! What is only reported goes on as if there were no fence.

use std::fs;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::verdict::Verdict;

use crate::hooks::CASES;
use crate::support::case::{Case, DENIED};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{rename, touch};
use crate::support::sys::process::make_map;
use crate::support::sys::{EACCES, EPERM};
use crate::support::trial::Trial;

#[test]
#[ignore = "some cases act on the tests' own process, which is Picket's and out of reach all the same"]
fn an_auditing_policy_refuses_nothing_that_a_policy_could_allow() {
    // No policy opens the kernel's way to the fence, nor Picket's own process, which is this test.
    let open = |case: &&&Case| !matches!(case.hook, Hook::BPF | Hook::TASK_KILL);
    for case in CASES.iter().filter(open) {
        let name = case.hook.name().unwrap();
        let mut fence = Fence::up();
        let place = Place::on_disk(&format!("audit_{name}"));
        let dir = place.path();
        let agent = fence.auditing_agent(dir, case.policy);
        let mut child = fence.tagged(&agent, |step| case.step(dir, step));
        let _kept = (case.prepare)(dir);
        assert_eq!(child.try_to(DENIED), Ok(()), "{name}");
        let events = fence.events(&agent);
        let of_hook: Vec<_> = events.iter().filter(|event| event.hook == case.hook).collect();
        let [event] = of_hook[..] else { panic!("{name}: {events:#?}") };
        assert_eq!(event.verdict, Verdict::Audit, "{name}");
        assert_eq!(event.header.errno, 0, "{name}");
    }
}

#[test]
fn taking_the_fence_off_is_refused_all_the_same() {
    let place = Place::on_disk("audit_bpf");
    Trial::new(&place, "files:\n  - allow: [read]\n    paths: ['/**']")
        .auditing()
        .refused("bpf", make_map, EPERM, Expected::deny(Hook::BPF, Rights::KERNEL))
        .run();
}

#[test]
fn a_rule_that_audits_allows_and_reports() {
    let place = Place::on_disk("audit_rule");
    let (seen, guarded) = (place.file("seen"), place.file("guarded"));
    let spec = "\
files:
  - allow: [read]
    paths: ['${dir}/**']
  - audit: [read]
    paths: ['${dir}/{seen,guarded}']
  - deny: [read]
    paths: ['${dir}/guarded']";
    let reported = Expected::audit(Hook::FILE_OPEN, Rights::READ).path(&seen).rule(5);
    let denied = Expected::deny(Hook::FILE_OPEN, Rights::READ).path(&guarded).rule(7);
    Trial::new(&place, spec)
        .reported("what is audited", || touch(&seen, 0), reported)
        .refused("what is denied all the same", || touch(&guarded, 0), EACCES, denied)
        .run();
}

#[test]
fn a_name_that_would_widen_rights_is_reported() {
    let place = Place::on_disk("audit_widens");
    let (old, new) = (place.at("secret"), place.at("public"));
    let spec = "\
files:
  - allow: [read, create, delete]
    paths: ['${dir}/public']
  - allow: [create, delete]
    paths: ['${dir}/secret']";
    let event = Expected::audit(Hook::PATH_RENAME, Rights::CREATE)
        .path(&old)
        .peer(&new)
        .cause(Fault::WIDENS);
    Trial::new(&place, spec)
        .auditing()
        .prepare(|| {
            place.file("secret");
            let _ = fs::remove_file(&new);
        })
        .reported("a rename", || rename(&old, &new), event)
        .run();
}
