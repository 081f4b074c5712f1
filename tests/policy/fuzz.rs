//! Policy texts that are broken in every way that a mutation finds: compiling them must end, must
//! not panic, and must say where each error is; what compiles must be a sound table.
//!
//! A short run is part of the tests. `PICKET_FUZZ_SECONDS` makes it as long as one likes,
//! `PICKET_SEED` lets it begin elsewhere; release builds get through far more.

use std::env;
use std::time::{Duration, Instant};

use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_user::policy::{Diagnostics, Options, Source, compile};

use super::generated::{Dice, mixed};
use super::support::{FakeHost, manifest, sound, variables};

const SEEDS: [&str; 4] = [
    "  mode: audit\n  include: [a.yaml]\n  files:\n  - allow: [read, list]\n    paths: [\"/usr/**\", '/a{b,c{d,e}}/[!a-z]?*', '**/.env']\n    reason: why\n  - deny: [write]\n    paths: ['${home}/x', '\\\\x41/b', '/é€😀']\n",
    "  exec:\n  - allow: ['/usr/bin/**', /bin/sh]\n  - deny: [\"**/sudo\"]\n  - ask: ['/x']\n  - audit: ['/y/**/z']\n",
    "  network:\n  - allow: [connect, send]\n    to: ['10.0.0.0/8:80-443', '[2001:db8::]/32', 'tcp:*:443', 'unix:/run/*.sock', 'unix:@x*', 'icmp:*']\n  - deny: [bind]\n    on: ['0.0.0.0:0', '[::]:1-65535', 'unix:@**']\n",
    "  files: [{allow: [read], paths: [/a, /b/**, '**', '/**/c']}, {deny: [read], paths: ['/a/**/b/**/c']}]\n",
];

/// Pieces that mean something to the parsers.
const PIECES: [&str; 40] = [
    "**",
    "*",
    "?",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\\",
    "/",
    "${",
    "}",
    "${home}",
    "'",
    "\"",
    ":",
    "-",
    "\n",
    "  ",
    "\n  - ",
    "&a ",
    "*a",
    "!!str ",
    "---\n",
    "#",
    "\u{feff}",
    "\0",
    "é",
    "😀",
    "\t",
    "[!a-\\xff]",
    "{a,b}",
    "0.0.0.0/0",
    "[::]/0",
    ":65535",
    "unix:@",
    "deny",
    "paths:",
    "\\x00",
    "|\n   ",
];

fn mutated(dice: &mut Dice) -> String {
    let mut text = match dice.roll(8) {
        0 => mixed(1 + dice.roll(6), true),
        _ => manifest(SEEDS[dice.roll(SEEDS.len())]),
    };
    for _ in 0..dice.roll(6) {
        let mut at = dice.roll(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        match dice.roll(5) {
            0 => text.insert_str(at, PIECES[dice.roll(PIECES.len())]),
            1 => text.truncate(at),
            2 => drop(text.pop()),
            3 => {
                let end = text[at..]
                    .char_indices()
                    .nth(1 + dice.roll(9))
                    .map_or(text.len(), |(i, _)| at + i);
                text.replace_range(at..end, "");
            }
            _ => {
                let end = text[at..]
                    .char_indices()
                    .nth(dice.roll(40))
                    .map_or(text.len(), |(i, _)| at + i);
                let copy = text[at..end].to_owned();
                text.insert_str(at, &copy);
            }
        }
    }
    text
}

fn placed(diagnostics: &Diagnostics, text: &str) {
    assert!(!diagnostics.is_empty());
    for report in diagnostics.reports() {
        assert!(report.line >= 1 && report.column >= 1 && !report.message.is_empty());
        assert!(report.file != "fuzz.yaml" || report.line <= text.lines().count() + 1);
    }
    assert!(!diagnostics.render(true).is_empty() && !diagnostics.to_string().is_empty());
}

#[test]
fn broken_policies_are_refused_and_never_crash() {
    let seconds = env::var("PICKET_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap());
    let first: u64 = env::var("PICKET_SEED").map_or(1, |text| text.parse().unwrap());
    let begin = Instant::now();
    let host = FakeHost::default()
        .link("/usr", "lib", true)
        .link("/a", "/b/../a/..", false)
        .file("a.yaml", &manifest("  exec:\n  - allow: ['/q']"));
    let (mut accepted, mut refused) = (0, 0);
    for seed in first.. {
        let done = match seconds {
            Some(seconds) => begin.elapsed() > Duration::from_secs(seconds),
            None => seed - first >= 1500,
        };
        if done {
            break;
        }
        let text = mutated(&mut Dice::new(seed));
        let source = Source { name: "fuzz.yaml".into(), text: text.clone() };
        let run = || compile(&source, &variables(), &host, Options::default());
        match std::panic::catch_unwind(run) {
            Ok(Ok(compiled)) => {
                accepted += 1;
                sound(&compiled);
                if seed % 16 == 0 {
                    let again = run().map(|compiled| compiled.table);
                    assert!(again.is_ok_and(|table| table == compiled.table), "seed {seed}");
                }
                for subject in [&b""[..], b"/", b"/usr/\xff\0", &[0; 5000]] {
                    for space in [Space::Path, Space::Object] {
                        let judged = compiled.judge(space, subject, Rights(u32::MAX));
                        assert!(
                            judged.rules.iter().all(|id| *id == 0 || compiled.rule(*id).is_some())
                        );
                    }
                }
            }
            Ok(Err(diagnostics)) => {
                refused += 1;
                placed(&diagnostics, &text);
            }
            Err(_) => panic!("PICKET_SEED={seed} crashes with\n{text}"),
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > 50 && refused > 50, "{accepted} accepted, {refused} refused");
}
