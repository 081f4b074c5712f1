//! The kernel and `picket explain` cannot disagree: random operations under random policies, done
//! by real system calls, and judged by the library.

use std::fs;
use std::path::PathBuf;

use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_ebpf::verdict::Verdict;

use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{mkdir, rmdir, touch, truncate};
use crate::support::sys::{EACCES, Res};

const POLICIES: u64 = 8;
const OPERATIONS: usize = 60;

/// Rights, each with what asks for it and for nothing else.
const RIGHTS: [Rights; 6] = [
    Rights::READ,
    Rights::WRITE,
    Rights::LIST,
    Rights::CREATE,
    Rights::DELETE,
    // Of `truncate(2)`, which asks in another hook.
    Rights::WRITE,
];

/// Sebastiano Vigna's splitmix64: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[(self.next() % from.len() as u64) as usize]
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

const DIRS: [&str; 5] = ["a", "b", "a/b", "b/a", "a/b/c"];
const NAMES: [&str; 6] = ["x", "y", "x.env", "key.pem", ".env", "xy"];

/// A rule over the tree, which often speaks of what is in it.
fn rule(dice: &mut Dice) -> String {
    let kind = dice.of(&["allow", "allow", "allow", "deny", "audit"]);
    let rights = ["read", "write", "list", "create", "delete"];
    let mut chosen: Vec<&str> = rights.into_iter().filter(|_| dice.below(2) == 0).collect();
    if chosen.is_empty() {
        chosen.push("read");
    }
    let dir = dice.of(&DIRS);
    let name = dice.of(&NAMES);
    let pattern = match dice.below(6) {
        0 => format!("${{dir}}/{dir}/**"),
        1 => format!("${{dir}}/{dir}/{name}"),
        2 => format!("**/{name}"),
        3 => format!("${{dir}}/**/{name}/**"),
        4 => format!("${{dir}}/{dir}/*.{{env,pem}}"),
        _ => format!("${{dir}}/*/{}*", &name[..1]),
    };
    format!("  - {kind}: [{}]\n    paths: ['{pattern}']\n", chosen.join(", "))
}

/// One operation on one path, and how to make it possible.
struct Operation {
    path: PathBuf,
    right: Rights,
    truncates: bool,
}

impl Operation {
    fn random(dice: &mut Dice, place: &Place) -> Operation {
        let number = dice.below(RIGHTS.len() as u64) as usize;
        let path = place.at(dice.of(&DIRS)).join(dice.of(&NAMES));
        Operation { path, right: RIGHTS[number], truncates: number == 5 }
    }

    /// Puts there what it needs.
    fn prepare(&self) {
        let _ = fs::remove_dir(&self.path);
        let _ = fs::remove_file(&self.path);
        match self.right {
            Rights::CREATE => {}
            Rights::DELETE | Rights::LIST => fs::create_dir(&self.path).unwrap(),
            _ => fs::write(&self.path, "x").unwrap(),
        }
    }

    fn run(&self) -> Res {
        match self.right {
            Rights::READ => touch(&self.path, libc::O_RDONLY),
            Rights::WRITE if self.truncates => truncate(&self.path, 0),
            Rights::WRITE => touch(&self.path, libc::O_WRONLY),
            Rights::LIST => touch(&self.path, libc::O_RDONLY | libc::O_DIRECTORY),
            Rights::CREATE => mkdir(&self.path),
            _ => rmdir(&self.path),
        }
    }
}

#[test]
fn the_kernel_and_the_library_judge_alike() {
    let place = Place::on_disk("agreement");
    for dir in DIRS {
        place.dir(dir);
    }
    let mut verdicts = [0; 4];
    for seed in 0..POLICIES {
        let mut dice = Dice(seed);
        let rules: String = (0..2 + dice.below(8)).map(|_| rule(&mut dice)).collect();
        let spec = format!("files:\n{rules}");
        let operations: Vec<Operation> =
            (0..OPERATIONS).map(|_| Operation::random(&mut dice, &place)).collect();
        let mut fence = Fence::up();
        let agent = fence.agent(place.path(), &spec);
        let mut child = fence.tagged(&agent, |step| operations[step as usize].run());
        for (number, operation) in operations.iter().enumerate() {
            operation.prepare();
            let answer = child.try_to(number as u32);
            let subject = operation.path.to_str().unwrap().as_bytes();
            let judged = agent.policy.judge(Space::Path, subject, operation.right);
            let what =
                format!("{:?} of {} under\n{spec}", operation.right, operation.path.display());
            verdicts[judged.decision.verdict as usize] += 1;
            let expected =
                if judged.decision.verdict == Verdict::Deny { Err(EACCES) } else { Ok(()) };
            assert_eq!(answer, expected, "{what}");
            let events = fence.events(&agent);
            let told: Vec<_> =
                events.iter().map(|e| (e.verdict, e.because, e.header.rule)).collect();
            let expected: Vec<_> = (judged.decision.verdict != Verdict::Allow)
                .then(|| {
                    let rule = judged.rule(operation.right);
                    (judged.decision.verdict, judged.decision.because, rule)
                })
                .into_iter()
                .collect();
            assert_eq!(told, expected, "{what}");
        }
    }
    // Numbers that would mean nothing if one of the verdicts hardly ever came up.
    let [allowed, audited, _, denied] = verdicts;
    assert!(allowed > 40 && audited > 10 && denied > 40, "{verdicts:?}");
}
