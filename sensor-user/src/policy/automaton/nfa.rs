//! The nondeterministic automaton of many patterns: a trie over their elements, so that patterns
//! with a common beginning share it.

use std::collections::HashMap;

use regex_syntax::utf8::Utf8Sequences;

use super::{Accept, ByteSet, CharSet, Elem};

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
        // What is inside an element is numbered before what is behind it: edges lead to higher
        // numbers only, but for those of a node to itself.
        let ends: Vec<(u32, ByteSet)> = match elem {
            Elem::Char(set) => self.characters(parent, set, owner),
            Elem::Gap => {
                let inside = self.node(owner);
                self.silent(parent, inside);
                self.edge(inside, ByteSet::ALL, inside);
                vec![(inside, ByteSet::one(b'/'))]
            }
            Elem::Byte(set) => vec![(parent, *set)],
            Elem::Below => vec![(parent, ByteSet::one(b'/'))],
            Elem::Star | Elem::Any => Vec::new(),
        };
        let child = self.node(owner);
        ends.into_iter().for_each(|(from, set)| self.edge(from, set, child));
        match elem {
            Elem::Star => self.edge(child, ByteSet::name(), child),
            Elem::Any | Elem::Below => {
                self.edge(child, ByteSet::ALL, child);
                self.nodes[child as usize].absorbing = true;
            }
            _ => {}
        }
        if matches!(elem, Elem::Star | Elem::Any | Elem::Gap) {
            self.silent(parent, child);
        }
        self.children.insert(key, child);
        child
    }

    /// The nodes inside a character of `set`, and with which bytes they end it.
    fn characters(&mut self, parent: u32, set: &CharSet, owner: u32) -> Vec<(u32, ByteSet)> {
        let mut ends = vec![(parent, set.bytes)];
        let sequences = set.beyond.iter().flat_map(|(low, high)| Utf8Sequences::new(*low, *high));
        for sequence in sequences {
            let mut from = parent;
            let ranges = sequence.as_slice().iter().map(|r| ByteSet::range(r.start, r.end));
            let mut ranges: Vec<ByteSet> = ranges.collect();
            let last = ranges.pop();
            for set in ranges {
                let to = self.node(owner);
                self.edge(from, set, to);
                from = to;
            }
            ends.extend(last.map(|set| (from, set)));
        }
        ends
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
        for at in (0..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            let targets = node.edges.iter().map(|(_, to)| to).chain(&node.silent);
            potentials[at] = targets.fold(potentials[at], |all, to| all | potentials[*to as usize]);
        }
        potentials
    }

    /// The same automaton without nodes that lead to the same and say the same. The alternatives
    /// of braces, which share what follows them, would otherwise be open one by one.
    pub(crate) fn reduced(&self) -> Nfa {
        let mut canonical: Vec<u32> = (0..self.nodes.len() as u32).collect();
        let mut known: HashMap<Meaning, u32> = HashMap::new();
        for at in (0..self.nodes.len()).rev() {
            let meaning = self.meaning(at as u32, &canonical);
            canonical[at] = *known.entry(meaning).or_insert(at as u32);
        }
        // The root may have become another's double; it is node 0 all the same.
        canonical[0] = 0;
        let kept: Vec<u32> =
            (0..self.nodes.len() as u32).filter(|at| canonical[*at as usize] == *at).collect();
        let place = |to: u32| {
            let kept = kept.binary_search(&canonical[to as usize]);
            kept.map_or(0, |place| place as u32)
        };
        let nodes = kept.iter().map(|at| {
            let node = &self.nodes[*at as usize];
            Node {
                edges: node.edges.iter().map(|(set, to)| (*set, place(*to))).collect(),
                silent: node.silent.iter().map(|to| place(*to)).collect(),
                accepts: node.accepts.clone(),
                ..*node
            }
        });
        Nfa { nodes: nodes.collect(), children: HashMap::new() }
    }

    fn meaning(&self, at: u32, canonical: &[u32]) -> Meaning {
        let node = &self.nodes[at as usize];
        let name = |to: &u32| if *to == at { u32::MAX } else { canonical[*to as usize] };
        let mut edges: Vec<_> = node.edges.iter().map(|(set, to)| (*set, name(to))).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut silent: Vec<_> = node.silent.iter().map(name).collect();
        silent.sort_unstable();
        silent.dedup();
        (edges, silent, node.accepts.clone(), node.absorbing)
    }
}

/// Where a node leads (itself by the largest number), and what it says.
type Meaning = (Vec<(ByteSet, u32)>, Vec<u32>, Vec<Accept>, bool);

/// The rights of `accepts`, one 16-bit lane per strength.
pub(crate) fn lanes(accepts: &[Accept]) -> u64 {
    accepts.iter().fold(0, |all, a| all | u64::from(a.rights) << (16 * a.strength))
}
