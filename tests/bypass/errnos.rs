//! Programs that are refused something behave as they do where file permissions refuse it: the same
//! exit code, the same message, and an end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::arena::{Arena, SECRET, USER};
use crate::support::fence::Fence;
use crate::support::sys::Res;
use crate::support::sys::process::become_user;
use crate::sys::{alarm, errno_of};

/// What the vault is not good for; its names may be listed.
const POLICY: &str = "\
exec:
  - allow: ['/**']
files:
  - allow: [read, list, write, create, delete, link, attr, map]
    paths: ['/**']
  - deny: [read, write, create, delete, link, attr]
    paths: ['${dir}/vault/**']";

/// Command lines, in a directory where a file cannot be read and nothing can be made or removed.
const LINES: &[&str] = &[
    "cat secret",
    "head -c 4 secret",
    "cp secret ../work/copy",
    "cp ../open/file new",
    "mv ../open/file new",
    "rm -f secret",
    "rm secret </dev/null",
    "touch new",
    "mkdir new",
    "mkfifo new",
    "ln -s secret new",
    "tee secret </dev/null",
    "tee new </dev/null",
    "dd if=secret of=/dev/null",
    "dd if=/dev/zero of=secret count=1",
    "tar cf ../work/archive secret",
    "grep x secret",
    "wc -c secret",
    "sha256sum secret",
    "uniq secret",
    "diff secret ../open/file",
    "sed -i s/a/b/ secret",
    "truncate -s 0 secret",
    "gcc -E -x c secret",
    "gcc -x c -o new ../open/source.c",
    "make -f secret",
    "git init -q new",
    "python3 -SEc 'open(\"secret\").read()'",
    "python3 -SEc 'open(\"new\", \"w\")'",
    "python3 -SEc 'import os; os.unlink(\"secret\")'",
    "python3 -SEc 'import shutil; shutil.copy(\"secret\", \"../work/copy\")'",
    "perl -pe1 secret",
    "bash -c '. ./secret'",
    "bash -c 'echo x >new'",
    "bash -c 'read x <secret'",
    "curl -s file://$PWD/secret",
    "install secret ../work/installed",
    "find . -name secret -delete",
    "busybox cat secret",
    "./secret",
];

/// Compares them.
pub fn programs_fail_as_ever() {
    let arena = Arena::new("bypass_errnos", USER);
    arena.reset();
    let mut fence = Fence::up();
    let agent = fence.agent(arena.dir(), POLICY);
    // The same with permissions: the directory is root's, and so is the file.
    let plain = arena.at("plain");
    fs::write(arena.at("open/source.c"), "int main(void) { return 0; }\n").unwrap();
    arena.hand_over();
    fs::create_dir(&plain).unwrap();
    fs::write(plain.join("secret"), SECRET).unwrap();
    fs::set_permissions(plain.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let outcomes = |child: &mut crate::support::child::Child, name: &str| -> Vec<String> {
        let line = |index: usize| {
            child.try_to(index as u32 + 1).unwrap();
            let told = fs::read_to_string(arena.at("work/told")).unwrap();
            fs::remove_file(arena.at("work/told")).unwrap();
            told.replace(name, "DIR").replace(&arena.text(""), "")
        };
        (0..LINES.len()).map(line).collect()
    };
    let run_in = |dir: &'static str| {
        let arena = &arena;
        move |step: u32| match step {
            0 => become_user(USER),
            step => tell(arena, dir, LINES[step as usize - 1]),
        }
    };
    let mut outside = fence.child(run_in("plain"));
    outside.try_to(0).unwrap();
    let expected = outcomes(&mut outside, "plain");
    let mut inside = fence.child(run_in("vault"));
    inside.try_to(0).unwrap();
    inside.tag(agent.tag);
    let found = outcomes(&mut inside, "vault");
    fence.leftovers(&agent);
    assert!(!arena.changed(), "the vault is not as it was");
    let mut differing = String::new();
    for (line, (expected, found)) in LINES.iter().zip(expected.iter().zip(&found)) {
        assert_ne!(expected, "code 0: ", "`{line}` works in a directory of root's");
        if expected != found {
            differing +=
                &format!("`{line}`\n  permissions: {expected:?}\n  Picket:      {found:?}\n");
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

/// Runs a command line and writes down how it ended and what it complained of.
fn tell(arena: &Arena, dir: &str, line: &str) -> Res {
    alarm(60)?;
    let mut bash = Command::new("/bin/bash");
    bash.args(["-c", line]).current_dir(arena.at(dir)).stdin(Stdio::null()).stdout(Stdio::null());
    bash.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", arena.at("work"));
    bash.env("LC_ALL", "C").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = bash.output().map_err(|error| errno_of(&error))?;
    let code = output.status.code().map_or("signal".to_owned(), |code| code.to_string());
    let complaint = String::from_utf8_lossy(&output.stderr);
    let told: &Path = &arena.at("work/told");
    fs::write(told, format!("code {code}: {complaint}")).map_err(|error| errno_of(&error))
}
