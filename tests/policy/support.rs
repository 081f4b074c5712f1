//! What the tests share: a machine made of maps, and short ways to compile and to ask.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sensor_ebpf::limits::TABLE_BYTES;
use sensor_ebpf::rights::{RIGHTS_MAX, Rights};
use sensor_ebpf::table::{
    ANSWER_RULES, BLOCK, CELL, Cells, Cursor, H_ANCHORED, H_BLOCKS, H_FLOATING, H_FLOATING_LOOSE,
    RELATION_AT, RELATION_STRIDE, ROW_ANSWER, ROW_NEW, ROW_NEXT, ROW_OLD, Space, in_block,
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
    let blocks = table.long(H_BLOCKS);
    let bytes = blocks * BLOCK;
    assert!(bytes as usize == size_of_val(table) && bytes as usize <= TABLE_BYTES);
    assert_eq!(compiled.stats.bytes, bytes as usize);
    for space in [Space::Path, Space::Object] {
        let start = Cursor::start(table, space);
        let columns: Vec<u32> =
            (0..256).map(|byte| table.cell(start.classes + byte * CELL)).collect();
        let last = columns.iter().max().copied().unwrap_or(0);
        assert!(columns.iter().all(|column| *column >= ROW_NEXT));
        for (first, relations) in
            [(start.anchored, &[H_ANCHORED][..]), (start.floating, &[H_FLOATING, H_FLOATING_LOOSE])]
        {
            let mut seen = std::collections::BTreeSet::from([first]);
            let mut left = vec![first];
            while let Some(state) = left.pop() {
                assert!(in_block(state, last) < bytes);
                let answer = table.cell(in_block(state, ROW_ANSWER));
                assert!(answer < blocks);
                for right in 0..RIGHTS_MAX as u32 {
                    let rule = table.cell(in_block(answer, ANSWER_RULES + right * CELL));
                    assert!(rule as usize <= compiled.rules.len());
                }
                if space == Space::Path {
                    relations.iter().for_each(|header| related(table, *header, state));
                }
                let next = columns.iter().map(|column| table.cell(in_block(state, *column)));
                left.extend(next.filter(|state| seen.insert(*state)));
            }
        }
    }
}

/// Checks that a state's row and column are in its relation.
fn related(table: &[u16], header: u32, state: u32) {
    let number = |field| table.cell(in_block(state, field)) & NUMBER;
    let stride = table.cell(header + RELATION_STRIDE);
    let at = in_block(table.cell(header + RELATION_AT), 0) / CELL;
    assert!(number(ROW_NEW) < stride * 16);
    assert!(at + (number(ROW_OLD) + 1) * stride <= table.len() as u32);
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
