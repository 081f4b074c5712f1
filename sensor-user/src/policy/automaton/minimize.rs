//! Minimization: the coarsest partition of states that no suffix tells apart.
//!
//! Partition refinement by splitters, after Valmari, "Fast brief practical DFA minimization"
//! (2012): O(m log n) for m transitions. Transitions into the dead state are left out, because
//! most of a policy's transitions are; a state without a transition goes to the dead state.

use std::collections::HashMap;
use std::hash::Hash;

use super::dfa::Dfa;

/// A partition of `0..n` whose sets can be split by marking elements.
struct Partition {
    sets: usize,
    elements: Vec<u32>,
    place: Vec<u32>,
    set_of: Vec<u32>,
    first: Vec<u32>,
    past: Vec<u32>,
    marked: Vec<u32>,
    touched: Vec<u32>,
}

impl Partition {
    /// Elements of one label are one set; sets are numbered in the order of their labels.
    fn new(labels: &[u32]) -> Partition {
        let n = labels.len();
        let mut elements: Vec<u32> = (0..n as u32).collect();
        elements.sort_by_key(|e| labels[*e as usize]);
        let mut partition = Partition {
            sets: 0,
            place: vec![0; n],
            set_of: vec![0; n],
            first: Vec::new(),
            past: Vec::new(),
            marked: Vec::new(),
            touched: Vec::new(),
            elements,
        };
        for at in 0..n {
            let element = partition.elements[at] as usize;
            let previous = at.checked_sub(1).map(|at| labels[partition.elements[at] as usize]);
            if previous != Some(labels[element]) {
                partition.first.push(at as u32);
                partition.past.push(at as u32);
                partition.marked.push(0);
                partition.sets += 1;
            }
            partition.place[element] = at as u32;
            partition.set_of[element] = partition.sets as u32 - 1;
            partition.past[partition.sets - 1] = at as u32 + 1;
        }
        partition
    }

    fn mark(&mut self, element: u32) {
        let set = self.set_of[element as usize] as usize;
        let at = self.place[element as usize];
        let to = self.first[set] + self.marked[set];
        if at < to {
            return;
        }
        self.elements.swap(at as usize, to as usize);
        self.place[self.elements[at as usize] as usize] = at;
        self.place[element as usize] = to;
        if self.marked[set] == 0 {
            self.touched.push(set as u32);
        }
        self.marked[set] += 1;
    }

    /// Splits marked elements from unmarked ones; the smaller half gets a new number.
    fn split(&mut self) {
        while let Some(set) = self.touched.pop() {
            let set = set as usize;
            let middle = self.first[set] + self.marked[set];
            if middle == self.past[set] {
                self.marked[set] = 0;
                continue;
            }
            let fresh = self.sets;
            if self.marked[set] <= self.past[set] - middle {
                self.first.push(self.first[set]);
                self.past.push(middle);
                self.first[set] = middle;
            } else {
                self.first.push(middle);
                self.past.push(self.past[set]);
                self.past[set] = middle;
            }
            for at in self.first[fresh]..self.past[fresh] {
                self.set_of[self.elements[at as usize] as usize] = fresh as u32;
            }
            self.marked[set] = 0;
            self.marked.push(0);
            self.sets += 1;
        }
    }

    fn members(&self, set: usize) -> std::ops::Range<usize> {
        self.first[set] as usize..self.past[set] as usize
    }
}

/// The class of each state: equal iff no suffix leads to different labels. Numbered from 0 by the
/// first state of each class.
pub(crate) fn classes<L: Eq + Hash>(dfa: &Dfa, label: impl Fn(u32) -> L) -> Vec<u32> {
    let mut numbers = HashMap::new();
    let labels: Vec<u32> = (0..dfa.states() as u32)
        .map(|state| {
            let fresh = numbers.len() as u32;
            *numbers.entry(label(state)).or_insert(fresh)
        })
        .collect();
    let transitions: Vec<(u32, u32, u32)> = (0..dfa.next.len())
        .filter(|at| dfa.next[*at] != 0)
        .map(|at| ((at / dfa.classes) as u32, (at % dfa.classes) as u32, dfa.next[at]))
        .collect();
    let mut blocks = Partition::new(&labels);
    let on: Vec<u32> = transitions.iter().map(|(_, class, _)| *class).collect();
    let mut cords = Partition::new(&on);
    let into = incoming(dfa.states(), &transitions);
    // The dead state has no transitions, so what leads nowhere stays with it iff labelled so.
    let (mut block, mut cord) = (1, 0);
    while cord < cords.sets {
        for at in cords.members(cord) {
            blocks.mark(transitions[cords.elements[at] as usize].0);
        }
        blocks.split();
        cord += 1;
        while block < blocks.sets {
            for at in blocks.members(block) {
                let state = blocks.elements[at] as usize;
                into.of(state).iter().for_each(|t| cords.mark(*t));
            }
            cords.split();
            block += 1;
        }
    }
    renumber(&blocks.set_of)
}

/// Transitions by the state that they lead to.
struct Incoming {
    list: Vec<u32>,
    begin: Vec<usize>,
}

impl Incoming {
    fn of(&self, state: usize) -> &[u32] {
        &self.list[self.begin[state]..self.begin[state + 1]]
    }
}

fn incoming(states: usize, transitions: &[(u32, u32, u32)]) -> Incoming {
    let mut begin = vec![0; states + 1];
    transitions.iter().for_each(|(_, _, to)| begin[*to as usize + 1] += 1);
    for at in 0..states {
        begin[at + 1] += begin[at];
    }
    let mut free = begin.clone();
    let mut list = vec![0; transitions.len()];
    for (at, (_, _, to)) in transitions.iter().enumerate() {
        list[free[*to as usize]] = at as u32;
        free[*to as usize] += 1;
    }
    Incoming { list, begin }
}

/// The same partition, its sets numbered in the order in which they are met.
fn renumber(sets: &[u32]) -> Vec<u32> {
    let mut numbers = HashMap::new();
    sets.iter()
        .map(|set| {
            let fresh = numbers.len() as u32;
            *numbers.entry(*set).or_insert(fresh)
        })
        .collect()
}

/// The automaton with one state per class; state 0 is still the dead one.
pub(crate) fn minimize(dfa: &Dfa) -> Dfa {
    let class = classes(dfa, |state| dfa.answers[state as usize]);
    let states = class.iter().max().map_or(0, |last| *last as usize + 1);
    let mut representative = vec![u32::MAX; states];
    for (state, class) in class.iter().enumerate().rev() {
        representative[*class as usize] = state as u32;
    }
    let next = representative
        .iter()
        .flat_map(|state| {
            let row = *state as usize * dfa.classes;
            dfa.next[row..row + dfa.classes].iter()
        })
        .map(|to| class[*to as usize])
        .collect();
    Dfa {
        class_of: dfa.class_of.clone(),
        classes: dfa.classes,
        next,
        answers: representative.iter().map(|s| dfa.answers[*s as usize]).collect(),
        start: class[dfa.start as usize],
    }
}
