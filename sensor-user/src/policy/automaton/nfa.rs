//! The nondeterministic automaton of many patterns: a trie over their elements, so that patterns
//! with a common beginning share it.

use std::collections::HashMap;

use regex_syntax::utf8::Utf8Sequences;

use super::{Accept, ByteSet, Elem};

/// A node of the trie.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// Where bytes lead; a node that goes on with itself is its own target.
    pub edges: Vec<(ByteSet, u32)>,
    /// Nodes that are entered together with this one.
    pub silent: Vec<u32>,
    /// What is said of a subject that ends here.
    pub accepts: Vec<Accept>,
    /// Whether every continuation of an accepted subject is accepted too.
    pub absorbing: bool,
    /// Rule that made the node, to name it when the automaton grows too large.
    pub owner: u32,
}

/// The automaton; node 0 is its root.
#[derive(Debug)]
pub(crate) struct Nfa {
    pub nodes: Vec<Node>,
    children: HashMap<(u32, Elem), u32>,
}

impl Nfa {
    pub(crate) fn new() -> Nfa {
        Nfa { nodes: vec![Node::default()], children: HashMap::new() }
    }

    /// Adds a pattern.
    pub(crate) fn add(&mut self, pattern: &[Elem], accept: Accept) {
        let mut node = 0;
        for elem in pattern {
            // It accepts where it begins as well as where it ends.
            if *elem == Elem::Below {
                self.accept(node, accept);
            }
            node = self.child(node, elem, accept.rule);
        }
        self.accept(node, accept);
    }

    fn accept(&mut self, node: u32, accept: Accept) {
        let accepts = &mut self.nodes[node as usize].accepts;
        if !accepts.contains(&accept) {
            accepts.push(accept);
        }
    }

    fn child(&mut self, parent: u32, elem: &Elem, owner: u32) -> u32 {
        let key = (parent, elem.clone());
        if let Some(child) = self.children.get(&key) {
            return *child;
        }
        let child = self.node(owner);
        match elem {
            Elem::Byte(set) => self.edge(parent, *set, child),
            Elem::Char(set) => {
                self.edge(parent, set.bytes, child);
                for (first, last) in &set.beyond {
                    self.utf8(parent, *first, *last, child, owner);
                }
            }
            Elem::Star => {
                self.silent(parent, child);
                self.edge(child, ByteSet::name(), child);
            }
            Elem::Any => {
                self.silent(parent, child);
                self.edge(child, ByteSet::ALL, child);
                self.nodes[child as usize].absorbing = true;
            }
            Elem::Gap => {
                let inside = self.node(owner);
                self.silent(parent, inside);
                self.edge(inside, ByteSet::ALL, inside);
                self.silent(parent, child);
                self.edge(inside, ByteSet::one(b'/'), child);
            }
            Elem::Below => {
                self.edge(parent, ByteSet::one(b'/'), child);
                self.edge(child, ByteSet::ALL, child);
                self.nodes[child as usize].absorbing = true;
            }
        }
        self.children.insert(key, child);
        child
    }

    /// Every UTF-8 sequence of the characters from `first` to `last`.
    fn utf8(&mut self, parent: u32, first: char, last: char, child: u32, owner: u32) {
        for sequence in Utf8Sequences::new(first, last) {
            let ranges = sequence.as_slice();
            let mut from = parent;
            for (i, range) in ranges.iter().enumerate() {
                let to = if i + 1 == ranges.len() { child } else { self.node(owner) };
                self.edge(from, ByteSet::range(range.start, range.end), to);
                from = to;
            }
        }
    }

    fn node(&mut self, owner: u32) -> u32 {
        self.nodes.push(Node { owner, ..Node::default() });
        self.nodes.len() as u32 - 1
    }

    fn edge(&mut self, from: u32, set: ByteSet, to: u32) {
        if !set.is_empty() {
            self.nodes[from as usize].edges.push((set, to));
        }
    }

    fn silent(&mut self, from: u32, to: u32) {
        self.nodes[from as usize].silent.push(to);
    }

    /// For each node, itself and all that is entered with it.
    pub(crate) fn closures(&self) -> Vec<Vec<u32>> {
        (0..self.nodes.len() as u32)
            .map(|node| {
                let mut closure = vec![node];
                let mut next = 0;
                while let Some(at) = closure.get(next) {
                    let silent = &self.nodes[*at as usize].silent;
                    next += 1;
                    for to in silent.clone() {
                        if !closure.contains(&to) {
                            closure.push(to);
                        }
                    }
                }
                closure
            })
            .collect()
    }

    /// For each node, the rights that it or a node beyond it can still say, one 16-bit lane per
    /// strength.
    pub(crate) fn potentials(&self) -> Vec<u64> {
        let mut potentials: Vec<u64> = self.nodes.iter().map(|node| lanes(&node.accepts)).collect();
        // Nodes are made after those that lead to them, but for a few inside one element; a
        // second sweep settles what the first leaves, and no third changes anything.
        loop {
            let mut changed = false;
            for at in (0..self.nodes.len()).rev() {
                let node = &self.nodes[at];
                let targets = node.edges.iter().map(|(_, to)| to).chain(&node.silent);
                let all = targets.fold(potentials[at], |all, to| all | potentials[*to as usize]);
                changed |= all != potentials[at];
                potentials[at] = all;
            }
            if !changed {
                return potentials;
            }
        }
    }
}

/// The rights of `accepts`, one 16-bit lane per strength.
pub(crate) fn lanes(accepts: &[Accept]) -> u64 {
    accepts.iter().fold(0, |all, a| all | u64::from(a.rights) << (16 * a.strength))
}
