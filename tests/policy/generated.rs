//! Large policies made by a fixed recipe, for measuring and for the limits. Names are pseudo-words,
//! so that they share as little as real ones do.

/// A small generator of pseudo-random numbers (xorshift64*): the same sequence on every machine.
pub struct Dice {
    state: u64,
    /// Whether words have capitals and digits now and then.
    varied: bool,
}

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, varied: false }
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        high as usize % sides
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.roll(from.len())]
    }

    /// A word of two to four syllables, now and then with a capital or a digit.
    pub fn word(&mut self) -> String {
        const HEADS: [&str; 20] = [
            "b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w",
            "x", "st", "tr",
        ];
        const TAILS: [&str; 12] =
            ["a", "e", "i", "o", "u", "an", "er", "in", "ol", "us", "y", "ad"];
        let mut word: String = (0..2 + self.roll(3))
            .map(|_| format!("{}{}", self.pick(&HEADS), self.pick(&TAILS)))
            .collect();
        match self.roll(8) {
            _ if !self.varied => {}
            0 => word[..1].make_ascii_uppercase(),
            1 => word.push(*self.pick(&['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])),
            _ => {}
        }
        word
    }
}

/// A policy of `count` patterns of mixed kinds, a quarter of them beginning with `**`. With
/// `varied` names it has nearly all letters and digits, and so twice as many classes of bytes.
pub fn mixed(count: usize, varied: bool) -> String {
    let mut dice = Dice::new(count as u64);
    dice.varied = varied;
    let mut files = String::new();
    let mut network = String::new();
    for i in 0..count {
        if i % 10 == 9 {
            let address = format!("{}.{}.0.0/16", 1 + dice.roll(222), dice.roll(256));
            let port = 1 + dice.roll(65535);
            network += &format!("  - allow: [connect]\n    to: ['tcp:{address}:{port}']\n");
            continue;
        }
        let (a, b, c) = (dice.word(), dice.word(), dice.word());
        let (rights, pattern) = match i % 8 {
            0 => ("deny: [read, write]", format!("**/{a}.{b}")),
            4 if i % 16 == 4 => ("deny: [read, write]", format!("**/.{a}/**")),
            4 => ("audit: [read]", format!("**/*.{a}")),
            1 => ("allow: [read, list]", format!("/usr/lib/{a}/**")),
            2 => ("allow: [read]", format!("/etc/{a}.d/*.{b}")),
            3 => ("allow: [read, write, create]", format!("/home/*/.config/{a}/**")),
            5 => ("allow: [read]", format!("/opt/{a}/{b}/[a-m]?{c}")),
            6 => ("deny: [write, delete]", format!("/srv/{a}/{b}{{.lock,.pid}}")),
            _ => ("allow: [read]", format!("/var/lib/{a}/{b}/{c}")),
        };
        files += &format!("  - {rights}\n    paths: ['{pattern}']\n");
    }
    format!(
        "apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\nmetadata:\n  name: mixed\nspec:\n  files:\n{files}{}",
        if network.is_empty() { String::new() } else { format!("  network:\n{network}") }
    )
}
