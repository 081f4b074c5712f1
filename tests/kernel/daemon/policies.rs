//! Policies of the directory under running agents. `PICKET_RELOADS` says how often they change, 30 times
//! unless set; a tenth as many agents run meanwhile.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use sensor_user::api::types::{Policy, Reloaded};
use serde_json::json;

use super::{PUBLIC, SECRET, reader, reads_public, say, setting};
use crate::support::child::Child;
use crate::support::daemon::{Home, eventually, manifest};
use crate::support::place::Place;
use crate::support::sys::files::touch;
use crate::support::sys::{EACCES, Res};

#[test]
fn a_changed_file_is_in_force_for_running_agents_and_a_bad_one_changes_nothing() {
    let place = Place::on_disk("daemon_policies");
    let home = Home::new("policies");
    let narrow = reads_public(&place);
    let wide = format!("files:\n  - allow: [read]\n    paths: ['{}/**']", place.path().display());
    home.policy("reader", &narrow);
    let daemon = home.start();
    let id = daemon.agent("reader");
    let mut inside = reader(&home, &place);
    daemon.enter(id, &inside);
    assert_eq!(inside.try_to(SECRET), Err(EACCES));
    let version = |daemon: &crate::support::daemon::Daemon| daemon.agents()[0].version.clone();
    let first = version(&daemon);

    home.policy("reader", &wide);
    eventually("the agent is under the new text", || (version(&daemon) != first).then_some(()));
    assert_eq!(inside.try_to(SECRET), Ok(()));

    // A mistake: what was right before goes on to count, and it is said which file and where.
    let second = version(&daemon);
    let file = home.policy("reader", &narrow.replace("read]", "raed]"));
    let reloaded: Reloaded = daemon.call(Method::POST, "/v1/reload", &json!({})).unwrap();
    assert_eq!((reloaded.moved, reloaded.problems.len()), (0, 1), "{reloaded:?}");
    let (name, problem) = &reloaded.problems[0];
    assert_eq!(name, file.to_str().unwrap());
    assert!(problem.contains("raed") && problem.contains("reader.yaml:7"), "{problem}");
    assert_eq!(version(&daemon), second);
    assert_eq!(inside.try_to(SECRET), Ok(()));
    assert_eq!(daemon.status().problems.len(), 1);
    let policy: Policy = daemon.get("/v1/policies/reader").unwrap();
    assert!(policy.problem.is_some_and(|problem| problem.contains("raed")));
    assert!(home.notices().contains(&"policy file has mistakes".to_owned()));
    // A new agent starts under what counts.
    let other = daemon.agent("reader");
    let mut second_inside = reader(&home, &place);
    daemon.enter(other, &second_inside);
    assert_eq!(second_inside.try_to(SECRET), Ok(()));

    home.policy("reader", &narrow);
    eventually("both are under the mended text", || {
        let agents = daemon.agents();
        agents.iter().all(|agent| agent.version == first).then_some(())
    });
    assert_eq!(inside.try_to(SECRET), Err(EACCES));
    assert_eq!(second_inside.try_to(SECRET), Err(EACCES));
    assert_eq!(inside.try_to(PUBLIC), Ok(()));
    // A file that is gone leaves its agents where they are.
    fs::remove_file(file).unwrap();
    let reloaded: Reloaded = daemon.call(Method::POST, "/v1/reload", &json!({})).unwrap();
    assert_eq!((reloaded.policies, reloaded.moved), (0, 0));
    assert_eq!(inside.try_to(SECRET), Err(EACCES));
    assert_eq!(inside.try_to(PUBLIC), Ok(()));
}

#[test]
fn a_policy_is_put_and_removed_over_the_socket() {
    let place = Place::on_disk("daemon_put");
    let home = Home::new("put");
    let daemon = home.start();
    let text = manifest("reader", &reads_public(&place));
    let put = |text: &str| {
        let body = json!({ "text": text });
        daemon.call::<Reloaded>(Method::PUT, "/v1/policies/reader", &body)
    };
    assert_eq!(put(&text).unwrap().policies, 1);
    let id = daemon.agent("reader");
    let mut inside = reader(&home, &place);
    daemon.enter(id, &inside);
    assert_eq!(inside.try_to(SECRET), Err(EACCES));
    let error = put(&text.replace("read]", "raed]")).unwrap_err().to_string();
    assert!(error.contains("raed"), "{error}");
    let error = put(&text.replace("name: reader", "name: other")).unwrap_err().to_string();
    assert!(error.contains("other"), "{error}");
    let file = home.policies().join("reader.yaml");
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "the file is as it was");
    let delete = |query: &str| {
        let path = format!("/v1/policies/reader{query}");
        daemon.call::<Reloaded>(Method::DELETE, &path, &json!({}))
    };
    let error = delete("").unwrap_err().to_string();
    assert!(error.contains("1 agents are under"), "{error}");
    assert!(file.exists());
    delete("?force=true").unwrap();
    assert!(!file.exists());
    assert_eq!(inside.try_to(SECRET), Err(EACCES), "its agent stays under it");
    assert_eq!(inside.try_to(PUBLIC), Ok(()));
}

/// Steps of an [`agent`].
const LOOPS: u32 = 2;
const OPENS: [u32; 2] = [3, 4];

/// A process that reads `public` and is refused `secret`, until the file `stop` is there; and that opens
/// the one or the other of two files when it is told to.
fn agent(home: &Home, place: &Place, stop: &Path) -> Child {
    let files = ["secret", "public", "0", "1"].map(|name| place.at(name));
    let stop = stop.to_owned();
    home.child(move |step| -> Res<i64> {
        let [secret, public, ..] = &files;
        if step != LOOPS {
            return touch(&files[step as usize - 1], 0).map(|()| 0);
        }
        let mut count = 0;
        while !stop.exists() {
            assert_eq!(touch(secret, 0), Err(EACCES), "the forbidden, after {count}");
            assert_eq!(touch(public, 0), Ok(()), "the allowed, after {count}");
            count += 1;
            // So that the daemon too gets at a processor.
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(count)
    })
}

#[test]
fn policies_come_change_and_go_while_agents_run_and_each_change_is_whole() {
    let reloads = setting("PICKET_RELOADS", 30);
    let place = Place::on_disk("daemon_reloads");
    for name in ["secret", "public", "0", "1"] {
        place.file(name);
    }
    let home = Home::new("reloads");
    let stop = place.at("stop");
    // Of two files only that one may be read whose turn it is.
    let text = |round: usize| {
        let (at, turn) = (place.path().display(), round % 2);
        let more = format!("  - allow: [read]\n    paths: ['{at}/{turn}', '/nowhere/{round}']");
        format!("{}\n{more}", reads_public(&place))
    };
    home.policy("reader", &text(0));
    let daemon = home.start();
    let mut agents: Vec<Child> =
        (0..2 + reloads / 10).map(|_| agent(&home, &place, &stop)).collect();
    let enter = |child: &Child| daemon.enter(daemon.agent("reader"), child);
    agents.iter().for_each(enter);
    let (witnesses, others) = agents.split_at_mut(2);
    others.iter_mut().for_each(|other| other.begin(LOOPS));
    let put = |name: &str, spec: &str| -> Reloaded {
        let body = json!({ "text": manifest(name, spec) });
        daemon.call(Method::PUT, &format!("/v1/policies/{name}"), &body).unwrap()
    };
    for round in 1..=reloads {
        let done = match round % 4 {
            // One that nobody is under comes, and goes.
            1 => put("other", &text(round)),
            3 => daemon.call::<Reloaded>(Method::DELETE, "/v1/policies/other", &json!({})).unwrap(),
            _ => put("reader", &text(round / 2)),
        };
        assert!(done.problems.is_empty(), "{done:?}");
        assert_eq!(done.policies, if [1, 2].contains(&(round % 4)) { 2 } else { 1 });
        let turn = round / 2 % 2;
        for witness in witnesses.iter_mut() {
            assert_eq!(witness.try_to(OPENS[turn]), Ok(()), "in round {round}");
            assert_eq!(witness.try_to(OPENS[1 - turn]), Err(EACCES), "in round {round}");
        }
    }
    fs::write(&stop, "").unwrap();
    let counts: Vec<i64> = others.iter_mut().map(|other| other.end().unwrap()).collect();
    say(&format!(
        "over {reloads} changes {} agents tried the forbidden and the allowed {} times each; went through: \
         0, failed: 0",
        counts.len(),
        counts.iter().sum::<i64>(),
    ));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!(daemon.status().enforcing);
    assert_eq!(daemon.agents().len(), counts.len() + 2);
}
