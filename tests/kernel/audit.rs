//! What is only reported goes on as if there were no fence.

use std::fs;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::verdict::Verdict;
use sensor_user::event::subject::Subject;

use crate::hooks::CASES;
use crate::support::case::{DENIED, acting};
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{rename, touch};
use crate::support::sys::process::{make_map, pid};
use crate::support::sys::{EACCES, EPERM};
use crate::support::trial::Trial;

#[test]
fn an_auditing_policy_refuses_nothing_that_a_policy_could_allow() {
    // What takes the fence off.
    for case in CASES.iter().filter(|case| case.hook != Hook::BPF) {
        let name = case.hook.name().unwrap();
        let mut fence = Fence::up();
        let place = Place::on_disk(&format!("audit_{name}"));
        let dir = place.path();
        let agent = fence.auditing_agent(dir, case.policy);
        let mut child = fence.tagged(&agent, |step| case.step(dir, step));
        let _kept = (case.prepare)(dir);
        let hook = acting(case.hook, &mut fence);
        let answer = child.try_to(DENIED);
        let events = fence.events(&agent);
        let of_hook: Vec<_> = events.iter().filter(|event| event.hook == hook).collect();
        // What goes on may come by the hook again.
        let Some(event) = of_hook.first() else { panic!("{name}: {events:#?}") };
        // This test is Picket's own process, and no policy opens that. `file_fcntl` knows a number only.
        let own =
            matches!(event.subject, Some(Subject::Process(_, of)) if of == pid().cast_unsigned());
        if own && case.hook != Hook::FILE_FCNTL {
            assert_eq!(answer, Err(case.errno), "{name}: {events:#?}");
            assert_eq!(event.verdict, Verdict::Deny, "{name}");
        } else {
            assert_eq!(answer, Ok(()), "{name}: {events:#?}");
            let audited = of_hook.iter().all(|event| event.verdict == Verdict::Audit);
            assert!(audited && event.header.errno == 0, "{name}: {events:#?}");
        }
    }
}

#[test]
fn taking_the_fence_off_is_refused_all_the_same() {
    let place = Place::on_disk("audit_bpf");
    // 6.1 asks for the capability before it asks here.
    let spec = "files:\n  - allow: [read]\n    paths: ['/**']\ncapabilities:\n  - allow: [bpf]";
    Trial::new(&place, spec)
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
