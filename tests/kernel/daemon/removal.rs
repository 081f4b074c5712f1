//! `picket uninstall`, and `picket doctor` before and after.

use std::process::{Command, Output};

use serde_json::Value;

use super::{PUBLIC, SECRET, reader, reads_public};
use crate::support::daemon::{Home, PICKET};
use crate::support::place::Place;
use crate::support::sys::EACCES;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn only_uninstall_takes_the_fence_off_and_it_says_whom_it_releases() {
    use std::os::unix::process::CommandExt as _;
    let place = Place::on_disk("daemon_removal");
    let home = Home::apart("removal");
    home.policy("reader", &reads_public(&place));
    let daemon = home.start();
    let id = daemon.agent("reader");
    let mut inside = reader(&home, &place);
    daemon.enter(id, &inside);
    let config = home.config();
    let uninstall = |more: &[&str], user: u32| {
        let mut command = Command::new(PICKET);
        command.args(["uninstall", "--config"]).arg(&config).args(more).uid(user).gid(user);
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        (output.status.code().unwrap(), said(&output))
    };
    // The doctor asks the daemon.
    let mut doctor = Command::new(PICKET);
    let output = doctor.args(["doctor", "--json", "--socket"]).arg(home.socket()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["enforcing"], &report["daemon"]), (&true.into(), &true.into()), "{report}");
    assert!(report["canary"].as_array().unwrap().len() > 10, "{report}");

    let (code, said) = uninstall(&["--yes"], 0);
    assert!(code == 125 && said.contains("a daemon runs already"), "{said}");
    assert_eq!(inside.try_to(SECRET), Err(EACCES));
    daemon.stop();
    let (code, said) = uninstall(&["--yes"], 65534);
    assert!(code == 125 && said.contains("only root"), "{said}");
    let (code, said) = uninstall(&[], 0);
    assert!(code == 125 && said.contains("give --yes"), "{said}");
    assert_eq!(inside.try_to(SECRET), Err(EACCES));
    assert_eq!(inside.try_to(PUBLIC), Ok(()));

    let (code, said) = uninstall(&["--yes"], 0);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("releases reader ({id})")), "{said}");
    assert!(said.contains(&format!("process {} of user 0", inside.pid())), "{said}");
    assert!(said.contains("the fence is off"), "{said}");
    assert_eq!(inside.try_to(SECRET), Ok(()), "released");
    assert!(!home.pins().exists());
    let (code, said) = uninstall(&["--yes"], 0);
    assert!(code == 0 && said.contains("there is no fence here"), "{said}");
    // The policies and the log are the administrator's.
    assert!(home.policies().join("reader.yaml").exists() && home.log().exists());

    // Without a daemon the doctor has a fence for a moment.
    let mut doctor = Command::new(PICKET);
    let output = doctor.args(["doctor", "--socket"]).arg(home.socket()).output().unwrap();
    let text = self::said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("canary: read a file: "), "{text}");
}
