//! Subset construction.
//!
//! Without care, `n` patterns `**/x/**` give 2ⁿ states: which of them have matched so far. Here a
//! rule that has matched and will match every continuation *settles* its rights: no rule of equal
//! or lesser strength can add anything to them, so all of those that can say nothing else are
//! dropped from the set, and the state remembers one rule per right. That is why of two such rules
//! the one that covers the higher directory is named, and only then the first in the file.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::nfa::Nfa;
use super::{Accept, Answer, ByteSet};

/// A complete deterministic automaton; state 0 is dead: it says nothing and leads nowhere.
#[derive(Debug)]
pub(crate) struct Dfa {
    /// Class of each byte.
    pub class_of: Vec<u8>,
    pub classes: usize,
    /// `states * classes` targets.
    pub next: Vec<u32>,
    /// What each state says.
    pub answers: Vec<Answer>,
    pub start: u32,
}

impl Dfa {
    pub(crate) fn states(&self) -> usize {
        self.answers.len()
    }

    pub(crate) fn target(&self, state: u32, class: usize) -> u32 {
        self.next[state as usize * self.classes + class]
    }
}

/// The construction passed its limit.
#[derive(Debug)]
pub(crate) struct TooLarge {
    /// Rules whose wildcards are open in the most states, most first, with the number of states.
    pub rules: Vec<(u32, usize)>,
}

/// Makes `nfa` deterministic over the byte classes `class_of`, in at most `limit` states.
pub(crate) fn determinize(nfa: &Nfa, class_of: &[u8], limit: usize) -> Result<Dfa, TooLarge> {
    let classes = class_of.iter().max().map_or(0, |last| usize::from(*last)) + 1;
    let mut builder = Builder {
        potentials: nfa.potentials(),
        closures: nfa.closures(),
        edges: edges(nfa, class_of, classes),
        nfa,
        settled: vec![Answer::default()],
        settled_ids: HashMap::default(),
        states: Vec::new(),
        ids: HashMap::default(),
    };
    builder.settled_ids.insert(Answer::default(), 0);
    builder.intern(vec![0]);
    let mut root = builder.closures[0].clone();
    let start = builder.state(0, &mut root);
    let mut next: Vec<u32> = vec![0; classes];
    let mut buckets: Vec<Vec<u32>> = vec![Vec::new(); classes];
    let mut at = 1;
    while at < builder.states.len() {
        if builder.states.len() > limit {
            return Err(builder.too_large());
        }
        builder.step(at, &mut buckets);
        let settled = builder.states[at][0];
        for bucket in &mut buckets {
            next.push(builder.state(settled, bucket));
            bucket.clear();
        }
        at += 1;
    }
    let answers = (0..builder.states.len()).map(|s| builder.answer(s)).collect();
    Ok(Dfa { class_of: class_of.to_vec(), classes, next, answers, start })
}

/// Classes of bytes that no pattern of `nfas` tells apart, numbered in the order of the bytes.
pub(crate) fn byte_classes(nfas: &[&Nfa]) -> Vec<u8> {
    let mut sets: Vec<ByteSet> = nfas
        .iter()
        .flat_map(|nfa| nfa.nodes.iter())
        .flat_map(|node| node.edges.iter().map(|(set, _)| *set))
        .collect();
    sets.sort_unstable();
    sets.dedup();
    let mut class_of = vec![0_u8; 256];
    for set in sets {
        let mut renamed: HashMap<(u8, bool), u8> = HashMap::new();
        for byte in 0..=u8::MAX {
            let class = &mut class_of[usize::from(byte)];
            let key = (*class, set.contains(byte));
            let fresh = renamed.len() as u8;
            *class = *renamed.entry(key).or_insert(fresh);
        }
    }
    class_of
}

/// For each node its edges, with classes in place of bytes.
fn edges(nfa: &Nfa, class_of: &[u8], classes: usize) -> Vec<Vec<(Vec<u8>, u32)>> {
    let classes_of = |set: &ByteSet| {
        let mut seen = vec![false; classes];
        set.iter().for_each(|byte| seen[usize::from(class_of[usize::from(byte)])] = true);
        (0..classes).filter(|class| seen[*class]).map(|class| class as u8).collect()
    };
    nfa.nodes
        .iter()
        .map(|node| node.edges.iter().map(|(set, to)| (classes_of(set), *to)).collect())
        .collect()
}

struct Builder<'n> {
    nfa: &'n Nfa,
    potentials: Vec<u64>,
    closures: Vec<Vec<u32>>,
    edges: Vec<Vec<(Vec<u8>, u32)>>,
    /// What is settled, by number; 0 is nothing.
    settled: Vec<Answer>,
    settled_ids: HashMap<Answer, u32, FxBuildHasher>,
    /// Per state the number of what is settled, then its nodes in order.
    states: Vec<Vec<u32>>,
    ids: HashMap<Vec<u32>, u32, FxBuildHasher>,
}

impl Builder<'_> {
    fn intern(&mut self, key: Vec<u32>) -> u32 {
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = self.states.len() as u32;
        self.states.push(key.clone());
        self.ids.insert(key, id);
        id
    }

    /// Fills `buckets` with the nodes that each class leads to.
    fn step(&self, state: usize, buckets: &mut [Vec<u32>]) {
        for node in &self.states[state][1..] {
            for (classes, to) in &self.edges[*node as usize] {
                for class in classes {
                    buckets[usize::from(*class)].extend(&self.closures[*to as usize]);
                }
            }
        }
    }

    /// The state of these nodes, entered with `settled`.
    fn state(&mut self, settled: u32, nodes: &mut Vec<u32>) -> u32 {
        nodes.sort_unstable();
        nodes.dedup();
        let settled = self.settle(settled, nodes);
        let live = live(&self.settled[settled as usize]);
        let mut key = vec![settled];
        key.extend(nodes.iter().filter(|node| self.potentials[**node as usize] & live != 0));
        self.intern(key)
    }

    /// What is settled once absorbing nodes among `nodes` have had their say.
    fn settle(&mut self, settled: u32, nodes: &[u32]) -> u32 {
        let before = self.settled[settled as usize];
        let absorbing = nodes.iter().filter_map(|node| {
            let node = &self.nfa.nodes[*node as usize];
            node.absorbing.then_some(&node.accepts)
        });
        let mut best = Answer::default();
        absorbing.flatten().for_each(|accept| raise(&mut best, accept, |_| true));
        let mut after = before;
        for (old, new) in after.0.iter_mut().zip(best.0) {
            if new.0 > old.0 {
                *old = new;
            }
        }
        if after == before {
            return settled;
        }
        let fresh = self.settled.len() as u32;
        let id = *self.settled_ids.entry(after).or_insert(fresh);
        if id == fresh {
            self.settled.push(after);
        }
        id
    }

    fn answer(&self, state: usize) -> Answer {
        let key = &self.states[state];
        let settled = self.settled[key[0] as usize];
        let mut answer = settled;
        for node in &key[1..] {
            for accept in &self.nfa.nodes[*node as usize].accepts {
                raise(&mut answer, accept, |right| accept.strength + 1 > settled.0[right].0);
            }
        }
        answer
    }

    fn too_large(&self) -> TooLarge {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for state in &self.states {
            let mut owners: Vec<u32> = state[1..]
                .iter()
                .filter(|node| self.is_open(**node))
                .map(|node| self.nfa.nodes[*node as usize].owner)
                .collect();
            owners.sort_unstable();
            owners.dedup();
            for owner in owners {
                *counts.entry(owner).or_default() += 1;
            }
        }
        let mut rules: Vec<(u32, usize)> = counts.into_iter().collect();
        rules.sort_unstable_by_key(|(rule, count)| (usize::MAX - count, *rule));
        TooLarge { rules }
    }

    /// Whether the node is inside a wildcard and not the one before every floating pattern.
    fn is_open(&self, node: u32) -> bool {
        let loops = self.nfa.nodes[node as usize].edges.iter().any(|(_, to)| *to == node);
        loops && !self.closures[0].contains(&node)
    }
}

/// Rights that can still be said although `settled` is, one 16-bit lane per strength.
fn live(settled: &Answer) -> u64 {
    let mut dead = 0;
    for (right, (level, _)) in settled.0.iter().enumerate() {
        for strength in 0..*level {
            dead |= 1_u64 << (16 * u32::from(strength) + right as u32);
        }
    }
    !dead
}

/// Lets `accept` speak: it is heard where it is stronger, or as strong and earlier in the file.
fn raise(answer: &mut Answer, accept: &Accept, may: impl Fn(usize) -> bool) {
    let level = accept.strength + 1;
    for (right, best) in answer.0.iter_mut().enumerate() {
        let speaks = accept.rights & (1 << right) != 0 && may(right);
        if speaks && (level > best.0 || level == best.0 && accept.rule < best.1) {
            *best = (level, accept.rule);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::nfa::lanes;
    use super::*;

    #[test]
    fn what_is_settled_is_dead_for_the_weaker_and_for_equals() {
        let mut settled = Answer::default();
        settled.0[2] = (3, 7);
        let live = live(&settled);
        let said = |strength, rights| live & lanes(&[Accept { strength, rights, rule: 1 }]) != 0;
        assert!(!said(0, 4) && !said(2, 4));
        assert!(said(3, 4) && said(0, 6));
    }
}
