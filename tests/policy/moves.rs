//! What ordinary tools do with names, under the policy that ships for coding agents: editors that
//! write a new file and rename it over the old one, git's lock and object files, the directories
//! that package managers and compilers rename into place. And what must not work, beside each.

use sensor_ebpf::moves::Move;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::verdict::Verdict;
use sensor_user::policy::Compiled;

use super::shipped;
use super::support::spec;

/// A file system of one policy.
struct Agent(&'static Compiled);

impl Agent {
    fn coding() -> Agent {
        Agent(shipped::policy("coding-agent.yaml"))
    }

    fn goes(&self, from: &str, to: &str, wanted: Move) -> bool {
        let full = |path: &str| match path.strip_prefix('/') {
            Some(_) => path.to_owned(),
            None => format!("/home/agent/project/{path}"),
        };
        let (from, to) = (full(from), full(to));
        let weighed = self.0.judge_move(from.as_bytes(), to.as_bytes(), wanted);
        weighed.decision.verdict == Verdict::Allow
    }

    fn file(&self, from: &str, to: &str) -> bool {
        self.goes(from, to, Move::rename(false, false))
            && self.goes(from, to, Move::rename(false, true))
    }

    fn directory(&self, from: &str, to: &str) -> bool {
        self.goes(from, to, Move::rename(true, false))
            && self.goes(from, to, Move::rename(true, true))
    }

    fn link(&self, from: &str, to: &str) -> bool {
        self.goes(from, to, Move::link())
    }
}

#[test]
fn editors_write_a_new_file_and_rename_it_over_the_old_one() {
    let agent = Agent::coding();
    // vim: a backup, and the number by which it tries whether it may write here; emacs; nano; VS Code;
    // sed -i; what Python's and Node's writers of whole files do.
    for (from, to) in [
        ("src/main.rs", "src/main.rs~"),
        ("src/4913", "src/main.rs"),
        ("src/.main.rs.swp", "src/main.rs"),
        ("#notes.md#", "notes.md"),
        ("notes.md.vsctmp", "notes.md"),
        ("sedXyZ12", "Makefile"),
        ("tmpab12", "package.json"),
        (".package.json.1234", "package.json"),
        (".bashrc.tmp", ".bashrc"),
    ] {
        assert!(agent.file(from, to), "{from} to {to}");
    }
    assert!(agent.goes("a.txt", "b.txt", Move::exchange(false, false)));
    // What is a secret stays one, and what runs later cannot be put in place.
    assert!(!agent.file(".env", "env.txt") && !agent.link(".env", "env.txt"));
    assert!(!agent.goes(".env", "a.txt", Move::exchange(false, false)));
    assert!(!agent.file("hook", ".git/hooks/pre-commit") && !agent.file("x", ".git/config"));
}

#[test]
fn git_renames_locks_and_links_objects() {
    let agent = Agent::coding();
    for (from, to) in [
        (".git/index.lock", ".git/index"),
        (".git/HEAD.lock", ".git/HEAD"),
        (".git/refs/heads/main.lock", ".git/refs/heads/main"),
        (".git/packed-refs.new", ".git/packed-refs"),
        (".git/objects/ab/tmp_obj_Xy", ".git/objects/ab/cdef01"),
        (".git/objects/pack/tmp_pack_Xy", ".git/objects/pack/pack-01.pack"),
        (".git/logs/refs/heads/topic", ".git/logs/refs/heads/renamed"),
    ] {
        assert!(agent.file(from, to), "{from} to {to}");
    }
    assert!(agent.link(".git/objects/ab/tmp_obj_Xy", ".git/objects/ab/cdef01"));
    // A rebase that is finished, a branch that becomes a directory, `git mv`.
    assert!(agent.directory(".git/rebase-merge", ".git/rebase-apply"));
    assert!(agent.directory(".git/refs/heads/a", ".git/refs/heads/b"));
    assert!(agent.directory("src/old", "lib/new") && agent.directory("src", "source"));
    // Hooks neither leave their directory nor take another's name with it.
    assert!(!agent.directory(".git/hooks", "hooks") && !agent.directory("hooks", ".git/hooks"));
}

#[test]
fn package_managers_and_compilers_rename_directories() {
    let agent = Agent::coding();
    for (from, to) in [
        // npm unpacks beside the place, and retires what was there before.
        ("node_modules/.left-pad-Ab12Cd", "node_modules/left-pad"),
        ("node_modules/left-pad", "node_modules/.left-pad-Ab12Cd"),
        ("node_modules/@scope/.pkg-Ab12", "node_modules/@scope/pkg"),
        // pnpm and yarn; pip and uv; a virtual environment.
        ("node_modules/.pnpm/a@1_tmp_7", "node_modules/.pnpm/a@1"),
        (".venv/lib/python3.12/site-packages/~ip", ".venv/lib/python3.12/site-packages/pip"),
        // cargo's incremental sessions and build directories, go's, cmake's, gradle's.
        ("target/debug/incremental/x-1/s-a-working", "target/debug/incremental/x-1/s-a-b"),
        ("target/debug/build/x-1", "target/debug/build/x-2"),
        ("build/CMakeFiles/tmp", "build/CMakeFiles/3.25.1"),
        ("build", "build.old"),
        // Names that patterns begin with.
        ("i", "id_rs"),
        (".en", ".e"),
        ("x", "service-account"),
        ("vendor", "third_party/vendor"),
    ] {
        assert!(agent.directory(from, to), "{from} to {to}");
    }
    assert!(agent.goes("target/a", "target/b", Move::exchange(true, true)));
    assert!(agent.goes("target/a", "target/b", Move::exchange(true, false)));
}

#[test]
fn directories_move_to_where_less_is_allowed() {
    let agent = Agent::coding();
    // Below these names fewer things may be written, by patterns of both kinds.
    for to in [".vscode", ".idea", ".claude", ".cursor", ".gemini"] {
        assert!(agent.directory("template", to), "to {to}");
        assert!(!agent.directory(to, "template"), "from {to}");
    }
    assert!(agent.goes("a", "b", Move::exchange(true, true)));
    assert!(!agent.goes("template", ".vscode", Move::exchange(true, true)));
}

#[test]
fn what_was_reported_or_asked_for_is_so_under_every_name() {
    let compiled = spec(
        "  files:\n  - allow: [read, write, create, delete, list, link, map]\n    paths: ['/w/**']\n  - audit: [read]\n    paths: ['/w/seen/**', '**/*.log']\n  - ask: [read]\n    paths: ['/w/asked/**']\n  - ask: [delete]\n    paths: ['/w/kept/**']\n",
    );
    let goes = |from: &str, to: &str, wanted| {
        let weighed = compiled.judge_move(from.as_bytes(), to.as_bytes(), wanted);
        weighed.decision.verdict == Verdict::Allow
    };
    let (file, directory) = (Move::rename(false, false), Move::rename(true, false));
    assert!(!goes("/w/seen/a", "/w/a", file) && !goes("/w/a.log", "/w/a", file));
    assert!(goes("/w/a", "/w/seen/a", file) && goes("/w/seen/a", "/w/seen/b", file));
    assert!(!goes("/w/seen/d", "/w/d", directory) && goes("/w/d", "/w/seen/d", directory));
    assert!(goes("/w/seen/d", "/w/seen/e", directory));
    // Whoever says yes to one name must not have said it to what had another.
    assert!(!goes("/w/asked/a", "/w/asked/b", file) && goes("/w/a", "/w/asked/a", file));
    assert!(!goes("/w/asked/d", "/w/asked/e", directory) && goes("/w/d", "/w/asked/d", directory));
    assert!(!goes("/w/asked", "/w/other", directory));
    // Below a directory rights on names count as well.
    assert!(goes("/w/d", "/w/kept/d", directory));
    assert!(!goes("/w/kept/d", "/w/d", directory));
}

#[test]
fn an_example_is_given_of_what_a_move_would_give_away() {
    let agent = Agent::coding();
    let gain = |from: &str, to: &str, directory| {
        let full = |path: &str| format!("/home/agent/project/{path}").into_bytes();
        let gain = agent.0.gain(&full(from), &full(to), directory)?;
        Some((String::from_utf8(gain.suffix).unwrap(), gain.rights))
    };
    let (suffix, rights) = gain(".env", "env", false).unwrap();
    assert!(suffix.is_empty() && rights.contains(Rights::READ | Rights::WRITE));
    let (suffix, rights) = gain(".idea", "idea", true).unwrap();
    assert!(["/workspace.xml", "/externalTools"].contains(&suffix.as_str()), "{suffix}");
    assert!(rights.contains(Rights::WRITE));
    assert_eq!(gain("src", "lib", true), None);
}
