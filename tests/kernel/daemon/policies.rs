//! Policies of the directory under running agents.

use hyper::Method;
use sensor_user::api::types::{Policy, Reloaded};
use serde_json::json;

use super::{PUBLIC, SECRET, reader, reads_public};
use crate::support::daemon::{Home, eventually, manifest};
use crate::support::place::Place;
use crate::support::sys::EACCES;

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
    std::fs::remove_file(file).unwrap();
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
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "the file is as it was");
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
