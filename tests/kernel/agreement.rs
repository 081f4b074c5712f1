//! The kernel and `picket explain` cannot disagree: thousands of random operations under random
//! policies, done by real system calls, and judged by the library. Outcome, errno, and every field of
//! every event that the library can know are compared.
//!
//! The same on every run. `PICKET_SEED` lets it begin elsewhere, `PICKET_TIMES` makes it so many times
//! as long; `cargo xtask test` hands both on to the guest.

mod dice;
mod files;
mod moves;
mod network;
mod unix;

use std::any::Any;
use std::env;
use std::time::Instant;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::moves::Move;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::Space;
use sensor_ebpf::verdict::{Decision, Verdict};
use sensor_user::event::Event;
use sensor_user::event::subject::Subject;
use sensor_user::policy::Compiled;

use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::{Errno, Res};
use dice::Dice;

/// What the policy is asked.
enum Question {
    /// For a right on one object.
    One(Space, Vec<u8>, Rights),
    /// For a move, of the object at the first path to the second.
    Move(Vec<u8>, Vec<u8>, Move),
}

/// One call of a hook that an operation leads to.
struct Asked {
    hook: Hook,
    question: Question,
    /// Whether only a refusal is told: what else there is to report is asked for once more.
    probe: bool,
}

impl Asked {
    fn path(hook: Hook, path: &[u8], right: Rights) -> Asked {
        Asked::one(hook, Space::Path, path.to_vec(), right)
    }

    fn one(hook: Hook, space: Space, subject: Vec<u8>, right: Rights) -> Asked {
        Asked { hook, question: Question::One(space, subject, right), probe: false }
    }
}

/// Something that an agent does.
struct Operation {
    /// What it is, for people.
    what: String,
    /// Makes it possible; what it gives must live until it is done.
    prepare: Box<dyn Fn() -> Box<dyn Any>>,
    /// Does it. Where nothing is refused it succeeds.
    run: Box<dyn Fn() -> Res>,
    /// What is asked meanwhile, in this order, up to the first refusal.
    asked: Vec<Asked>,
}

/// What is known of an event beforehand.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    hook: Option<&'static str>,
    verdict: Verdict,
    requested: Rights,
    because: Rights,
    rule: u32,
    fault: Option<&'static str>,
    errno: i32,
    subject: Option<Subject>,
    peer: Option<Subject>,
}

impl Told {
    fn of(event: &Event) -> Told {
        Told {
            hook: event.hook.name(),
            verdict: event.verdict,
            requested: event.requested,
            because: event.because,
            rule: event.header.rule,
            fault: event.fault.name(),
            errno: event.header.errno.cast_signed(),
            subject: event.subject.clone(),
            peer: event.peer.clone(),
        }
    }
}

/// What the library says of one call of a hook: an event if it is more than allowed.
fn said(policy: &Compiled, asked: &Asked) -> (Verdict, Told) {
    let path = |path: &[u8]| Some(Subject::Path(path.to_vec().into()));
    let (requested, decision, rule, widens, subject, peer) = match &asked.question {
        Question::One(space, subject, right) => {
            let judged = policy.judge(*space, subject, *right);
            let shown = match space {
                Space::Path => path(subject),
                Space::Object => Some(Subject::object(subject.clone().into())),
            };
            let rule = judged.rule(judged.decision.because);
            (*right, judged.decision, rule, false, shown, None)
        }
        Question::Move(from, to, wanted) => {
            let weighed = policy.judge_move(from, to, *wanted);
            let requested = if weighed.of_new { wanted.new } else { wanted.old };
            let rule = weighed.rule;
            (requested, weighed.decision, rule, weighed.widens, path(from), path(to))
        }
    };
    let Decision { verdict, because } = decision;
    let errno = if verdict >= Verdict::Ask { asked.hook.errno() } else { 0 };
    let fault = if widens { Fault::WIDENS } else { Fault::NONE };
    let (hook, fault) = (asked.hook.name(), fault.name());
    (verdict, Told { hook, verdict, requested, because, rule, fault, errno, subject, peer })
}

/// What the library says of an operation: its outcome, and the events.
fn expected(policy: &Compiled, operation: &Operation) -> (Res, Vec<Told>) {
    let mut events = Vec::new();
    for asked in &operation.asked {
        let (verdict, told) = said(policy, asked);
        let refused = verdict >= Verdict::Ask;
        let errno = Errno(told.errno);
        if verdict != Verdict::Allow && (refused || !asked.probe) {
            events.push(told);
        }
        if refused {
            return (Err(errno), events);
        }
    }
    (Ok(()), events)
}

/// How many differences a failure shows.
const SHOWN: usize = 4;

/// How many policies there are, and operations under each.
struct Amount {
    policies: u64,
    operations: usize,
}

fn setting(name: &str, default: u64) -> u64 {
    let parsed = env::var(name).map(|text| text.parse());
    match parsed {
        Ok(Ok(number)) => number,
        Ok(Err(error)) => panic!("{name}: {error}"),
        Err(_) => default,
    }
}

/// Does random operations under random policies, and compares.
fn compare(
    place: &Place,
    amount: Amount,
    policy: impl Fn(&mut Dice) -> String,
    operation: impl Fn(&mut Dice) -> Operation,
) {
    let begin = Instant::now();
    let mut verdicts = [0_u64; 4];
    let mut differences: Vec<String> = Vec::new();
    let first = setting("PICKET_SEED", 1);
    for seed in first..first + amount.policies * setting("PICKET_TIMES", 1) {
        let mut dice = Dice::new(seed);
        let spec = policy(&mut dice);
        let operations: Vec<Operation> =
            (0..amount.operations).map(|_| operation(&mut dice)).collect();
        let mut fence = Fence::up();
        let agent = fence.agent(place.path(), &spec);
        let mut child = fence.tagged(&agent, |step| (operations[step as usize].run)());
        for (number, operation) in operations.iter().enumerate() {
            let _needed = (operation.prepare)();
            let answer = child.try_to(number as u32);
            let events = fence.events(&agent);
            let told: Vec<Told> = events.iter().map(Told::of).collect();
            let expected = expected(&agent.policy, operation);
            let found = (answer, told);
            if found != expected {
                let what = &operation.what;
                differences.push(format!(
                    "PICKET_SEED={seed}: {what} under\n{spec}found    {found:?}\nexpected {expected:?}"
                ));
            }
            let worst = expected.1.iter().map(|told| told.verdict).max();
            verdicts[worst.unwrap_or(Verdict::Allow) as usize] += 1;
        }
        // A few show what they have in common better than one.
        let some = &differences[..differences.len().min(SHOWN)];
        assert!(some.is_empty(), "{} differences: {}", differences.len(), some.join("\n\n"));
    }
    let [allowed, audited, _, denied] = verdicts;
    let total = allowed + audited + denied;
    println!("{total} operations in {:.1} s: {verdicts:?}", begin.elapsed().as_secs_f64());
    // Numbers that would mean nothing if one of the verdicts hardly ever came up.
    let least = total / 20;
    assert!(allowed > least && audited > least && denied > least, "{verdicts:?}");
}
