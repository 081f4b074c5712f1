//! What people see at the prompt, of a daemon that runs: the verbs that ask it, and its metrics.

use std::fs;
use std::process::Output;

use sensor_user::api::types::{Agent, Policy, Status};
use sensor_user::event::json::Line;
use sensor_user::event::schema::differences;

use super::{PUBLIC, SECRET, reader, reads_public};
use crate::support::daemon::{Home, eventually, manifest};
use crate::support::place::Place;
use crate::support::sys::EACCES;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn agents_status_and_events_are_shown() {
    let place = Place::on_disk("prompt_shown");
    let home = Home::new("prompt-shown");
    let gone = home.picket(&["status"]);
    assert_eq!(gone.status.code(), Some(125));
    assert!(err(&gone).contains(home.socket().to_str().unwrap()), "{}", err(&gone));

    home.policy("reader", &reads_public(&place));
    let daemon = home.start();
    let status = home.picket(&["status"]);
    assert_eq!(status.status.code(), Some(0), "{}", out(&status));
    assert!(out(&status).starts_with("enforcing   yes\n"), "{}", out(&status));
    let status: Status = serde_json::from_str(&out(&home.picket(&["status", "--json"]))).unwrap();
    assert!(status.enforcing && status.hooks.len() > 50);
    assert!(status.hooks.iter().all(|hook| hook.armed), "{:?}", status.hooks);
    assert!(status.rss > 0 && status.map_memory > 0, "{status:?}");
    assert_eq!(status.ring.map(|(_, size)| size), Some(1 << 20));

    let mut child = reader(&home, &place);
    let id = daemon.agent("reader");
    daemon.enter(id, &child);
    assert_eq!(child.try_to(SECRET), Err(EACCES));
    let agents: Vec<Agent> = serde_json::from_str(&out(&home.picket(&["ps", "--json"]))).unwrap();
    assert_eq!((agents.len(), agents[0].id, agents[0].events), (1, id, 1));
    assert_eq!(agents[0].processes[0].pid, child.pid().cast_unsigned());
    let shown = out(&home.picket(&["ps"]));
    assert!(shown.contains("reader") && shown.contains(&child.pid().to_string()), "{shown}");
    assert!(!shown.contains('\x1b'), "no colours in a pipe");

    let tail = ["tail", "--json", "--agent", "reader", "--op", "read", "--verdict", "deny"];
    let line = eventually("tail shows the violation", || {
        let shown = out(&home.picket(&tail));
        shown.lines().next().map(ToOwned::to_owned)
    });
    assert!(matches!(Line::parse(&line), Ok(Line::Violation(_))), "{line}");
    let shown = out(&home.picket(&["tail", "-n", "5"]));
    assert!(shown.contains("deny   read") && shown.contains("nothing allows"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    assert_eq!(out(&home.picket(&["tail", "--agent", "nobody"])), "");
    for record in home.records() {
        assert_eq!(differences(&record), Vec::<String>::new(), "{record}");
    }
}

#[test]
fn policies_are_loaded_whole_or_not_at_all_and_removed_when_nobody_is_under_them() {
    let place = Place::on_disk("prompt_policies");
    let home = Home::new("prompt-policies");
    home.policy("reader", "files:\n  - allow: [read]\n    paths: ['/x']");
    let daemon = home.start();
    let mut child = reader(&home, &place);
    let id = daemon.agent("reader");
    daemon.enter(id, &child);
    assert_eq!(child.try_to(PUBLIC), Err(EACCES));

    let file = place.path().join("new.yaml");
    let text = manifest("reader", &reads_public(&place));
    fs::write(&file, text.replace("[read]", "[raed]")).unwrap();
    let bad = home.picket(&["policy", "load", file.to_str().unwrap()]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(err(&bad).contains("raed") && err(&bad).contains("read"), "{}", err(&bad));
    assert_eq!(child.try_to(PUBLIC), Err(EACCES), "nothing has changed");
    fs::write(&file, &text).unwrap();
    let good = home.picket(&["policy", "load", file.to_str().unwrap()]);
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
    assert_eq!(child.try_to(PUBLIC), Ok(()));
    assert_eq!(child.try_to(SECRET), Err(EACCES));
    assert_eq!(out(&home.picket(&["policy", "show", "reader"])), text);
    let listed = out(&home.picket(&["policy", "list", "--json"]));
    let listed: Vec<Policy> = serde_json::from_str(&listed).unwrap();
    assert_eq!((listed.len(), listed[0].agents, listed[0].offered), (1, 1, false));

    let kept = home.picket(&["policy", "remove", "reader"]);
    assert_ne!(kept.status.code(), Some(0));
    assert!(err(&kept).contains("1 agents are under"), "{}", err(&kept));
    assert_eq!(home.picket(&["policy", "remove", "reader", "--force"]).status.code(), Some(0));
    assert_eq!(child.try_to(PUBLIC), Ok(()), "it stays under it");
    assert_eq!(child.try_to(SECRET), Err(EACCES));
    assert_eq!(out(&home.picket(&["policy", "list", "--json"])).trim(), "[]");
}

#[test]
fn other_users_see_whether_there_is_a_fence_and_change_nothing() {
    const NOBODY: u32 = 65534;
    let place = Place::on_disk("prompt_others");
    let home = Home::new("prompt-others");
    let policy = home.policy("reader", &reads_public(&place));
    let daemon = home.start();
    let mut child = reader(&home, &place);
    let id = daemon.agent("reader");
    daemon.enter(id, &child);
    assert_eq!(child.try_to(SECRET), Err(EACCES));
    let status = home.picket_as(NOBODY, &["status"]);
    assert_eq!((status.status.code(), out(&status).lines().count()), (Some(0), 2), "{status:?}");
    assert_eq!(out(&home.picket_as(NOBODY, &["ps", "--json"])).trim(), "[]");
    assert_eq!(out(&home.picket_as(NOBODY, &["policy", "list", "--json"])).trim(), "[]");
    assert_eq!(out(&home.picket_as(NOBODY, &["tail", "-n", "100"])), "");
    assert_ne!(out(&home.picket(&["tail", "-n", "100"])), "", "there is something to see for root");
    let file = policy.to_str().unwrap();
    for arguments in [["policy", "load", file], ["policy", "remove", "reader"]] {
        let refused = home.picket_as(NOBODY, &arguments);
        assert_eq!(refused.status.code(), Some(125), "{refused:?}");
        assert!(err(&refused).contains("only root may"), "{refused:?}");
    }
    let hidden = home.picket_as(NOBODY, &["policy", "show", "reader"]);
    assert!(err(&hidden).contains("no policy \"reader\" for you"), "{hidden:?}");
    assert!(policy.exists());
}

#[test]
fn metrics_count_what_there_was() {
    let place = Place::on_disk("prompt_metrics");
    let home = Home::new("prompt-metrics");
    home.configure("metrics.listen = \"127.0.0.1:9464\"");
    home.policy("reader", &reads_public(&place));
    let daemon = home.start();
    let mut child = reader(&home, &place);
    let id = daemon.agent("reader");
    daemon.enter(id, &child);
    const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";
    fs::write(STATS, "1").unwrap();
    for _ in 0..3 {
        assert_eq!(child.try_to(SECRET), Err(EACCES));
    }
    fs::write(STATS, "0").unwrap();
    let series = "picket_violations_total{agent=\"reader\",policy=\"reader\",op=\"file_open\",verdict=\"deny\"} 3\n";
    let text = eventually("three violations are counted", || {
        let text = daemon.text("/metrics").unwrap();
        text.contains(series).then_some(text)
    });
    for expected in [
        "picket_enforcing 1\n",
        "picket_hook_armed{hook=\"file_open\"} 1\n",
        "picket_ring_bytes 1048576\n",
        "picket_ring_used_bytes ",
        "picket_map_bytes{map=\"EVENTS\"} ",
        "picket_sink_written_total{sink=\"file\"} ",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    let runs =
        text.lines().find(|l| l.starts_with("picket_program_runs_total{hook=\"file_open\"} "));
    let runs: f64 = runs.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(runs >= 3.0, "{text}");
    // The same at the port.
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect("127.0.0.1:9464").unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(series), "{answer}");
}
