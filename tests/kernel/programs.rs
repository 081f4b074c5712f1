//! Ordinary programs that are refused a peer fail as on a permission error: they try the next address
//! or say so, and neither hang nor crash.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::{Errno, Res};

/// The name `localhost` has both addresses, and IPv6 comes first.
const POLICY: &str = "\
files:
  - allow: [read, list, write]
    paths: ['/**']
  - allow: [create, delete, link, attr]
    paths: ['${dir}/**', '/tmp/**']
exec:
  - allow: ['/**']
network:
  - allow: [connect]
    to: ['tcp:127.0.0.1:7091']";

/// Answers every request over both families.
fn serve() {
    for address in ["127.0.0.1:7091", "[::1]:7091", "127.0.0.1:7092"] {
        let server = TcpListener::bind(address).unwrap();
        std::thread::spawn(move || {
            for client in server.incoming().flatten() {
                let _ = answer(client);
            }
        });
    }
}

fn answer(mut client: TcpStream) -> std::io::Result<()> {
    let _ = client.read(&mut [0; 4096])?;
    client.write_all(b"HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
}

/// Runs a program with a time limit; its exit code as an errno.
fn run(program: &str, args: &[&str]) -> Res {
    let status = Command::new("timeout")
        .args(["60", program])
        .args(args)
        .env("GIT_TERMINAL_PROMPT", "0")
        .current_dir("/tmp")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| Errno(error.raw_os_error().unwrap_or(-1)))?;
    match status.code() {
        Some(0) => Ok(()),
        code => Err(Errno(code.unwrap_or(1000))),
    }
}

/// Code, arguments, exit code before, exit code inside.
type Case = (&'static str, &'static [&'static str], i32, i32);

const CASES: &[Case] = &[
    // The first address is refused and the second is not.
    ("curl", &["-s", "http://localhost:7091/"], 0, 0),
    (
        "python3",
        &["-c", "import socket; socket.create_connection(('localhost', 7091), 5).send(b'x')"],
        0,
        0,
    ),
    // All of them are.
    ("curl", &["-s", "http://127.0.0.1:7092/"], 0, 7),
    (
        "python3",
        &[
            "-c",
            "import socket, sys\ntry: socket.create_connection(('127.0.0.1', 7092), 5)\n\
             except PermissionError: sys.exit(9)",
        ],
        0,
        9,
    ),
    // A server that has no such repository; one that may not be reached.
    ("git", &["ls-remote", "http://127.0.0.1:7091/x.git"], 128, 128),
    ("git", &["ls-remote", "http://127.0.0.1:7092/x.git"], 128, 128),
    // What may not be made is as if the kernel did not have it.
    (
        "python3",
        &[
            "-c",
            "import socket, sys, errno\ntry: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n\
             except OSError as e: sys.exit(9 if e.errno == errno.EAFNOSUPPORT else 8)",
        ],
        0,
        9,
    ),
    (
        "python3",
        &[
            "-c",
            "import socket, sys\ns = socket.socket()\n\
             try: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo')\n\
             except PermissionError: sys.exit(9)",
        ],
        0,
        9,
    ),
    // What programs do among themselves needs no rule.
    (
        "python3",
        &[
            "-c",
            "import multiprocessing as m\n\
             def f(q): q.put(7)\n\
             c = m.get_context('fork'); q = c.Manager().Queue(); p = c.Process(target=f, args=(q,))\n\
             p.start(); assert q.get(timeout=50) == 7; p.join()",
        ],
        0,
        0,
    ),
    (
        "python3",
        &[
            "-c",
            "import asyncio\nasync def f():\n p = await asyncio.create_subprocess_exec('true')\n \
             await p.wait()\nasyncio.run(f())",
        ],
        0,
        0,
    ),
];

#[test]
fn programs_take_a_refusal_for_a_permission_error() {
    let place = Place::on_disk("programs");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let op = |step: u32| {
        let (program, args, ..) = CASES[step as usize];
        run(program, args)
    };
    let mut inside = fence.child(op);
    // Only now, so that no thread is there when the child is forked.
    serve();
    let outcome = |code: i32| if code == 0 { Ok(()) } else { Err(Errno(code)) };
    for (number, (program, args, before, _)) in CASES.iter().enumerate() {
        let answer = inside.try_to(number as u32);
        assert_eq!(answer, outcome(*before), "{program} {args:?} before");
    }
    inside.tag(agent.tag);
    let mut wrong = Vec::new();
    for (number, (program, args, _, code)) in CASES.iter().enumerate() {
        let answer = inside.try_to(number as u32);
        if answer != outcome(*code) {
            let events: Vec<_> = fence.events(&agent).into_iter().map(|e| e.subject).collect();
            wrong.push(format!("{program} {args:?}: {answer:?}; refused: {events:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
