//! The acting thread's own entry in `/proc`. The kernel side writes `/proc/self/task/TID` as
//! `/proc/thread-self` where `TID` is the thread's own, so that a rule can mean that thread alone. A rule
//! over `/proc/self/task/…` means every thread of the process, this one too, and has to cover both
//! spellings.

use std::collections::BTreeSet;

use super::automaton::{ByteSet, Elem};

/// What is before a thread's id.
const OF_PROCESS: &[u8] = b"/proc/self/task/";
/// The thread's own entry.
const OF_THREAD: &[u8] = b"/proc/thread-self";
/// What ids are made of.
const DIGITS: &[u8] = b"0123456789";

/// What a pattern still takes after a part of a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rest {
    /// The elements from this one on.
    From(usize),
    /// Anything up to a slash, and then the elements from this one on: the inside of a gap.
    Gap(usize),
    /// Anything at all.
    Anything,
}

type Rests = BTreeSet<Rest>;

/// The patterns that cover of `/proc/thread-self` what `elems` covers of `/proc/self/task/TID`, without
/// what it covers there as it is. With `any` it is enough that it takes some id; else it must take
/// every one, because nobody knows which the thread will have.
pub(super) fn also(elems: &[Elem], any: bool) -> Vec<Vec<Elem>> {
    let before = OF_PROCESS.iter().fold(begin(elems), |rests, byte| after(elems, &rests, *byte));
    if before.is_empty() {
        return Vec::new();
    }
    let mut of_process = Rests::new();
    let mut fresh = before;
    fresh.retain(|rest| any || is_endless(elems, *rest));
    while !fresh.is_empty() {
        let next = DIGITS.iter().flat_map(|digit| after(elems, &fresh, *digit));
        let next = next.filter(|rest| any || is_endless(elems, *rest));
        fresh = next.filter(|rest| !of_process.contains(rest)).collect();
        of_process.extend(&fresh);
    }
    let of_thread = OF_THREAD.iter().fold(begin(elems), |rests, byte| after(elems, &rests, *byte));
    let [of_process, of_thread] = [of_process, of_thread].map(|rests| at_slash(elems, rests));
    let head = OF_THREAD.iter().map(|byte| Elem::Byte(ByteSet::one(*byte)));
    let fresh = of_process.difference(&of_thread);
    fresh.map(|rest| head.clone().chain(written(elems, *rest)).collect()).collect()
}

fn begin(elems: &[Elem]) -> Rests {
    let mut rests = Rests::new();
    enter(elems, 0, &mut rests);
    rests
}

/// Adds the elements from `at` on, and those behind the ones that may take nothing.
fn enter(elems: &[Elem], at: usize, rests: &mut Rests) {
    rests.insert(Rest::From(at));
    if matches!(elems.get(at), Some(Elem::Star | Elem::Any | Elem::Gap)) {
        enter(elems, at + 1, rests);
    }
}

/// What is still taken after one more byte, an ASCII character.
fn after(elems: &[Elem], rests: &Rests, byte: u8) -> Rests {
    let mut next = Rests::new();
    for rest in rests {
        match *rest {
            Rest::Anything => {
                next.insert(Rest::Anything);
            }
            Rest::Gap(at) => {
                next.insert(Rest::Gap(at));
                if byte == b'/' {
                    enter(elems, at, &mut next);
                }
            }
            Rest::From(at) => match elems.get(at) {
                Some(Elem::Byte(set)) if set.contains(byte) => enter(elems, at + 1, &mut next),
                Some(Elem::Char(set)) if set.bytes.contains(byte) => {
                    enter(elems, at + 1, &mut next);
                }
                Some(Elem::Star) if ByteSet::name().contains(byte) => enter(elems, at, &mut next),
                Some(Elem::Any) => enter(elems, at, &mut next),
                Some(Elem::Gap) => {
                    next.insert(Rest::Gap(at + 1));
                    if byte == b'/' {
                        enter(elems, at + 1, &mut next);
                    }
                }
                Some(Elem::Below) if byte == b'/' => {
                    next.insert(Rest::Anything);
                }
                _ => {}
            },
        }
    }
    next
}

/// Whether any number of digits may come, none of which leads out of where the pattern stands.
fn is_endless(elems: &[Elem], rest: Rest) -> bool {
    match rest {
        Rest::Gap(_) | Rest::Anything => true,
        Rest::From(at) => matches!(elems.get(at), Some(Elem::Star | Elem::Any | Elem::Gap)),
    }
}

/// The same where what follows begins with a slash or is nothing: an element that takes no slash takes
/// nothing there, one that takes a slash and anything takes all that there is, and what must go on with
/// a name takes nothing.
fn at_slash(elems: &[Elem], rests: Rests) -> Rests {
    let mut kept = Rests::new();
    for rest in rests {
        match rest {
            Rest::From(at) => match elems.get(at) {
                Some(Elem::Below) => {
                    kept.insert(Rest::Anything);
                }
                Some(Elem::Star) => enter(elems, at + 1, &mut kept),
                Some(Elem::Byte(set)) if !set.contains(b'/') => {}
                Some(Elem::Char(_)) => {}
                _ => {
                    kept.insert(rest);
                }
            },
            _ => {
                kept.insert(rest);
            }
        }
    }
    if kept.contains(&Rest::Anything) { Rests::from([Rest::Anything]) } else { kept }
}

/// The elements that take what begins with a slash, or nothing.
fn written(elems: &[Elem], rest: Rest) -> Vec<Elem> {
    let slash = Elem::Byte(ByteSet::one(b'/'));
    match rest {
        Rest::From(at) => elems[at..].to_vec(),
        Rest::Gap(at) => [&[slash, Elem::Gap], &elems[at..]].concat(),
        Rest::Anything => vec![Elem::Below],
    }
}
