//! What the tests share: a machine made of maps, and short ways to compile and to ask.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sensor_ebpf::limits::TABLE_WORDS;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::{
    ANSWER_RULES, ANSWER_WORDS, Cursor, H_ANCHORED, H_FLOATING, H_FLOATING_LOOSE, H_WORDS,
    RELATION_AT, RELATION_STRIDE, ROW_ANSWER, ROW_MOVES, ROW_NEXT, Space, Words,
};
use sensor_ebpf::verdict::Verdict;
use sensor_ebpf::within::NUMBER;
use sensor_user::policy::{Compiled, Diagnostics, Host, Link, Options, Source, Variables, compile};

/// A machine made of maps.
#[derive(Clone, Debug, Default)]
pub struct FakeHost {
    pub links: BTreeMap<PathBuf, Link>,
    pub files: BTreeMap<PathBuf, String>,
}

impl FakeHost {
    pub fn link(mut self, at: &str, target: &str, trusted: bool) -> FakeHost {
        let target = PathBuf::from(target);
        self.links.insert(at.into(), Link { target, trusted });
        self
    }

    pub fn file(mut self, at: &str, text: &str) -> FakeHost {
        self.files.insert(at.into(), text.into());
        self
    }
}

impl Host for FakeHost {
    fn read_link(&self, path: &Path) -> Option<Link> {
        self.links.get(path).cloned()
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A manifest around these lines of `spec`, which begin at line 6.
pub fn manifest(spec: &str) -> String {
    format!(
        "apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\nmetadata:\n  name: test\nspec:\n{spec}\n"
    )
}

pub fn variables() -> Variables {
    [("home", "/home/u"), ("workspace", "/w"), ("uid", "1000"), ("user", "u")].into_iter().collect()
}

pub fn compile_text(text: &str, host: &dyn Host) -> Result<Compiled, Diagnostics> {
    let source = Source { name: "test.yaml".into(), text: text.into() };
    compile(&source, &variables(), host, Options::default())
}

/// Compiles lines of `spec` that are right.
pub fn spec(spec: &str) -> Compiled {
    spec_on(spec, &FakeHost::default())
}

pub fn spec_on(spec: &str, host: &dyn Host) -> Compiled {
    match compile_text(&manifest(spec), host) {
        Ok(compiled) => compiled,
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// What is wrong with lines of `spec`: `line:column message`.
pub fn wrong(spec: &str) -> Vec<String> {
    wrong_text(&manifest(spec))
}

pub fn wrong_text(text: &str) -> Vec<String> {
    match compile_text(text, &FakeHost::default()) {
        Ok(_) => panic!("nothing is wrong with it"),
        Err(diagnostics) => diagnostics
            .reports()
            .into_iter()
            .map(|r| format!("{}:{} {}", r.line, r.column, r.message))
            .collect(),
    }
}

/// Checks that every number in a table leads to where it should: nothing is masked away, and nothing
/// is read that is not there.
pub fn sound(compiled: &Compiled) {
    let table = compiled.table.as_slice();
    let words = table.len() as u32;
    assert!(table[H_WORDS as usize] == words && words <= TABLE_WORDS as u32);
    for space in [Space::Path, Space::Object] {
        let start = Cursor::start(table, space);
        let columns: Vec<u32> = (0..256).map(|byte| table.word(start.classes + byte)).collect();
        let last = columns.iter().max().copied().unwrap_or(0);
        assert!(columns.iter().all(|column| *column >= ROW_NEXT));
        for (first, relations) in
            [(start.anchored, &[H_ANCHORED][..]), (start.floating, &[H_FLOATING, H_FLOATING_LOOSE])]
        {
            let mut seen = std::collections::BTreeSet::from([first]);
            let mut left = vec![first];
            while let Some(state) = left.pop() {
                assert!(state + last < words);
                let answer = table.word(state + ROW_ANSWER);
                assert!(answer + ANSWER_WORDS <= words);
                for at in ANSWER_RULES..ANSWER_WORDS {
                    assert!(table.word(answer + at) as usize <= compiled.rules.len());
                }
                if space == Space::Path {
                    let moves = table.word(state + ROW_MOVES);
                    relations.iter().for_each(|header| related(table, *header, moves));
                }
                let next = columns.iter().map(|column| table.word(state + column));
                left.extend(next.filter(|state| seen.insert(*state)));
            }
        }
    }
}

/// Checks that a state's row and column are in its relation.
fn related(table: &[u32], header: u32, moves: u32) {
    let stride = table.word(header + RELATION_STRIDE);
    let row = table.word(header + RELATION_AT) + (moves & NUMBER) * stride;
    assert!((moves >> 16 & NUMBER) < stride * 32 && row + stride <= table.len() as u32);
}

/// The verdict on a path.
pub fn path(compiled: &Compiled, right: &str, path: impl AsRef<[u8]>) -> Verdict {
    let right = Rights::from_name(right).unwrap();
    compiled.judge(Space::Path, path.as_ref(), right).decision.verdict
}

/// Whether the verdict on a path is allow.
pub fn allows(compiled: &Compiled, right: &str, subject: impl AsRef<[u8]>) -> bool {
    path(compiled, right, subject) == Verdict::Allow
}
