//! The real server against clients that mean no good: memory stays bounded, and others are served.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::super::config::Limits;
use super::super::fake::{Fake, Room, Running};
use super::super::manage::rss;
use super::super::past::Past;
use crate::event::json::Line;

fn start(room: &Room, limits: Limits) -> Running {
    Running::start(Fake::new(limits, Past::nothing()), &room.0.join("socket")).unwrap()
}

/// Connections come from one user here, so its share is what counts.
fn limits() -> Limits {
    Limits { connections: 48, connections_per_user: 32, ..Limits::default() }
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// All that is answered to some bytes.
fn ask(socket: &Path, request: &[u8]) -> io::Result<String> {
    let mut stream = connect(socket);
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        read?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

const HEALTH: &[u8] = b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n";

/// Asks until there is room.
fn is_served(socket: &Path) -> bool {
    (0..600).any(|_| {
        let served = ask(socket, HEALTH).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"));
        if !served {
            thread::sleep(Duration::from_millis(50));
        }
        served
    })
}

#[test]
fn garbage_is_answered_with_an_error_and_the_connection_ends() {
    let room = Room::new("garbage");
    let server = start(&room, limits());
    let long = [b"GET /".as_slice(), &[b'a'; 1 << 16], b" HTTP/1.1\r\nhost: x\r\n\r\n"].concat();
    let headers = [b"GET / HTTP/1.1\r\n".as_slice(), &b"x: y\r\n".repeat(5000), b"\r\n"].concat();
    for (request, expected) in [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".as_slice(), "HTTP/1.1 400"),
        (b"DELETE\r\n\r\n", "HTTP/1.1 400"),
        (b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 404"),
        (b"GET /v1/events?sinse=1 HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 400"),
        (b"GET /v1/events?since=nan&last=-1 HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 400"),
        (&long, "HTTP/1.1 4"),
        (&headers, "HTTP/1.1 4"),
        (
            b"POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{\"a\":[[[[",
            "HTTP/1.1 400",
        ),
        (
            b"POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400",
        ),
    ] {
        let shown = String::from_utf8_lossy(&request[..request.len().min(40)]);
        match ask(&server.socket, request) {
            Ok(answer) => assert!(answer.starts_with(expected), "{shown}: {answer}"),
            // Ended before all of it was read.
            Err(error) => assert!(request.len() > 1 << 14, "{shown}: {error}"),
        }
    }
    assert!(is_served(&server.socket));
}

#[test]
fn a_huge_body_is_refused_before_it_is_read() {
    let room = Room::new("huge");
    let server = start(&room, limits());
    let before = rss();
    let head =
        b"POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000000\r\n\r\n".as_slice();
    let mut stream = connect(&server.socket);
    stream.write_all(head).unwrap();
    let chunk = vec![b'['; 1 << 20];
    let sent = (0..256).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 64, "{sent} MiB were taken");
    // The same in chunks, whose sum nobody says beforehand.
    let head = b"POST /v1/agents HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut stream = connect(&server.socket);
    stream.write_all(head).unwrap();
    let piece = [b"100000\r\n".as_slice(), &chunk, b"\r\n"].concat();
    let sent = (0..256).take_while(|_| stream.write_all(&piece).is_ok()).count();
    assert!(sent < 64, "{sent} MiB were taken");
    assert!(is_served(&server.socket));
    assert!(rss().saturating_sub(before) < 32 << 20, "{before} -> {}", rss());
}

#[test]
fn slow_clients_are_given_up_and_make_room() {
    let room = Room::new("slow");
    let server = start(&room, limits());
    // More than there is room for say half a request and then nothing.
    let mut slow: Vec<UnixStream> = (0..32).map(|_| connect(&server.socket)).collect();
    for stream in &mut slow {
        let _ = stream.write_all(b"GET /v1/health HTTP/1.1\r\nhost: ");
    }
    assert!(is_served(&server.socket), "they must be given up");
    for stream in &mut slow {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        let text = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    }
}

#[test]
fn thousands_of_connections_leave_room_for_others() {
    let room = Room::new("many");
    let server = start(&room, limits());
    let before = rss();
    let mut turned_away = 0;
    for _ in 0..4 {
        let many: Vec<UnixStream> = (0..700).map(|_| connect(&server.socket)).collect();
        for mut stream in many {
            let _ = stream.set_nonblocking(true);
            let mut answer = [0; 64];
            if stream.read(&mut answer).is_ok_and(|len| answer[..len].starts_with(b"HTTP/1.1 503"))
            {
                turned_away += 1;
            }
        }
    }
    assert!(turned_away > 0, "nobody was told to come later");
    assert!(is_served(&server.socket));
    assert!(rss().saturating_sub(before) < 32 << 20, "{before} -> {}", rss());
}

#[test]
fn a_reader_that_does_not_read_costs_no_memory_and_is_told_what_it_missed() {
    let room = Room::new("reader");
    let backlog = 256 << 10;
    let server = start(&room, Limits { backlog, ..limits() });
    let mut stream = connect(&server.socket);
    stream.write_all(b"GET /v1/events?follow=true HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut first = [0; 1024];
    let got = stream.read(&mut first).unwrap();
    assert!(first[..got].starts_with(b"HTTP/1.1 200"));
    let before = rss();
    let detail = "x".repeat(1000);
    for _ in 0..20_000 {
        server.house.hub.publish(Line::notice("flood", None, Some(&detail)));
    }
    assert!(rss().saturating_sub(before) < 32 << 20, "{before} -> {}", rss());
    assert!(is_served(&server.socket));
    server.house.hub.publish(Line::notice("the end", None, None));
    // Now it reads: what it gets and what it is told that it missed is all there was.
    let (mut seen, mut missed, mut text) = (0, 0, Vec::new());
    let mut piece = vec![0; 1 << 16];
    'reading: loop {
        let got = stream.read(&mut piece).unwrap();
        assert!(got > 0, "the stream ended");
        text.extend_from_slice(&piece[..got]);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            // Between lines there is the framing of chunks.
            match std::str::from_utf8(&line).ok().map(Line::parse) {
                Some(Ok(Line::Gap(gap))) => missed += gap.missed,
                Some(Ok(Line::Notice(notice))) => {
                    seen += 1;
                    if notice.what == "the end" {
                        break 'reading;
                    }
                }
                _ => {}
            }
        }
    }
    assert!(missed > 0, "it was behind by more than the backlog has");
    assert_eq!(seen + missed, 20_001);
}

#[test]
fn an_agent_is_turned_away_unread() {
    let room = Room::new("agent");
    let mut fake = Fake::new(limits(), Past::nothing());
    fake.strict = true;
    let server = Running::start(fake, &room.0.join("socket")).unwrap();
    let answer = ask(&server.socket, HEALTH);
    assert!(answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 403")));
    assert_eq!(server.house.asked.load(Ordering::Relaxed), 0);
}

#[test]
fn what_takes_too_long_is_said_to_and_others_are_served_meanwhile() {
    let room = Room::new("late");
    let mut fake = Fake::new(limits(), Past::nothing());
    fake.patience = Duration::from_millis(300);
    let server = Running::start(fake, &room.0.join("socket")).unwrap();
    let mut slow = connect(&server.socket);
    slow.write_all(b"GET /v1/never HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(is_served(&server.socket));
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(answer.contains("no answer within 300ms: it may still be done"), "{answer}");
}
