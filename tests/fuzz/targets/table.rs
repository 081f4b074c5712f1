//! Tables, damaged or made up: the matcher over them never panics, ends, and says the same as over the
//! kernel's map, where zeros follow the table up to its full size.

use std::cell::RefCell;
use std::sync::LazyLock;

use sensor_ebpf::limits::TABLE_CELLS;
use sensor_ebpf::moves::{self, Move};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::{self, Space};
use sensor_ebpf::verdict::decide;

use super::policy::compiled;

/// A table of everything that there is.
static SOUND: LazyLock<Vec<u16>> = LazyLock::new(|| {
    let policy = compiled(
        "apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: t}\nspec:\n\
         \x20 files:\n\
         \x20 - {allow: [read, list, write, create, delete, link], paths: ['/w/**', '/tmp/*']}\n\
         \x20 - {deny: [read, write], paths: ['**/.env', '/w/**/key.pem']}\n\
         \x20 - {ask: [delete], paths: ['/w/.git/**']}\n\
         \x20 network:\n\
         \x20 - {allow: [connect], to: ['10.0.0.0/8:80-443', 'unix:@name']}\n",
    );
    policy.expect("the policy is right").table
});

thread_local! {
    /// A table of the kernel's size, all zeros between two runs.
    static FULL: RefCell<Vec<u16>> = RefCell::new(vec![0; TABLE_CELLS]);
}

/// The first byte says whether what follows is a table or damage to a sound one, the second how many
/// pieces of it there are. The rest is the subject.
pub fn run(data: &[u8]) {
    let [kind, pieces, rest @ ..] = data else { return };
    let pieces = usize::from(*pieces);
    let (table, subject) = if kind & 1 == 0 {
        let (cells, subject) = rest.split_at(rest.len().min(pieces * 2));
        (cells.chunks_exact(2).map(cell).collect(), subject)
    } else {
        let (damages, subject) = rest.split_at(rest.len().min(pieces * 4));
        let mut table = SOUND.clone();
        for damage in damages.chunks_exact(4) {
            let at = usize::from(u16::from_le_bytes([damage[0], damage[1]])) % table.len();
            table[at] = cell(&damage[2..]);
        }
        (table, subject)
    };
    let said = answers(&table, subject);
    FULL.with_borrow_mut(|full| {
        full[..table.len()].copy_from_slice(&table);
        assert_eq!(answers(full, subject), said, "the kernel's map says something else");
        full[..table.len()].fill(0);
    });
}

fn cell(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

/// Everything that is ever asked of a table.
fn answers(table: &[u16], subject: &[u8]) -> Vec<u64> {
    let mut said = Vec::new();
    for space in [Space::Path, Space::Object] {
        let cursor = table::run(table, space, subject);
        let masks = cursor.masks(table);
        for right in 0..32 {
            let right = Rights(1 << right);
            let decision = decide(masks, right, false);
            assert!(right.contains(decision.because), "{decision:?}");
            said.extend([decision.verdict as u64, u64::from(cursor.rule(table, right))]);
        }
    }
    let half = subject.len() / 2;
    let [from, to] =
        [&subject[..half], &subject[half..]].map(|subject| table::run(table, Space::Path, subject));
    for wanted in [Move::link(), Move::rename(true, false), Move::exchange(true, false)] {
        let weighed = moves::judge(table, from, to, wanted, false);
        said.extend([weighed.decision.verdict as u64, u64::from(weighed.rule)]);
        said.push(u64::from(weighed.widens));
    }
    said
}
