//! The semantics of a policy a second time, as naive as possible: each pattern is a regular
//! expression made by text substitution, each address a comparison of numbers, and precedence a
//! list. Shares no code with the product.

use regex::bytes::Regex;

/// In growing strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Allow,
    Audit,
    Ask,
    Deny,
}

/// One pattern of a policy.
#[derive(Clone, Debug)]
pub struct Rule {
    pub kind: Kind,
    /// Names of rights.
    pub rights: Vec<&'static str>,
    pub pattern: String,
}

/// One alternative of a pattern.
struct Alternative {
    floating: bool,
    whole: Regex,
    /// What is before a `/**` at the end.
    top: Option<Regex>,
}

/// A policy's rules, ready to be asked.
pub struct Naive {
    rules: Vec<(Rule, Vec<Alternative>)>,
}

/// What the naive semantics say of one right on one subject.
#[derive(Debug, PartialEq, Eq)]
pub struct Opinion {
    /// `None` is denied for want of a rule.
    pub kind: Option<Kind>,
    /// The deciding rule's number, from 1; 0 where none speaks of it.
    pub rule: usize,
}

impl Naive {
    pub fn new(rules: &[Rule]) -> Naive {
        let alternatives =
            |rule: &Rule| unbrace(&rule.pattern).iter().map(|p| alternative(p)).collect();
        Naive { rules: rules.iter().map(|rule| (rule.clone(), alternatives(rule))).collect() }
    }

    /// Everything that matches a subject.
    pub fn on(&self, subject: &[u8]) -> View<'_> {
        let mut matching = Vec::new();
        for (number, (rule, alternatives)) in self.rules.iter().enumerate() {
            for alternative in alternatives.iter().filter(|a| a.whole.is_match(subject)) {
                let settled = alternative.settled_at(subject);
                matching.push((rule, alternative.floating, settled, number + 1));
            }
        }
        View { matching }
    }
}

/// What a policy's rules say of one subject.
pub struct View<'n> {
    /// Rule, whether it floats, where it is sure to match, its number.
    matching: Vec<(&'n Rule, bool, usize, usize)>,
}

impl View<'_> {
    /// What rules say of `right`, implied rights aside.
    pub fn says(&self, right: &str) -> Opinion {
        // Strongest kind first, then anchored before floating, then the highest directory that a
        // rule covers whole, then the first in the file.
        let speaking = self.matching.iter().filter(|(rule, ..)| rule.rights.contains(&right));
        let best = speaking.min_by_key(|(rule, floating, settled, number)| {
            (std::cmp::Reverse(rule.kind), *floating, *settled, *number)
        });
        match best {
            Some((rule, _, _, number)) => Opinion { kind: Some(rule.kind), rule: *number },
            None => Opinion { kind: None, rule: 0 },
        }
    }

    /// The verdict on one right: `map` may be implied.
    pub fn verdict(&self, right: &str) -> Kind {
        if let Some(kind) = self.says(right).kind {
            return kind;
        }
        let said = |right| self.says(right).kind;
        let read = matches!(said("read"), Some(Kind::Allow | Kind::Audit));
        let changed = ["write", "create"]
            .into_iter()
            .any(|right| !matches!(said(right), None | Some(Kind::Deny)));
        if right == "map" && read && !changed { Kind::Allow } else { Kind::Deny }
    }
}

impl Alternative {
    /// The first byte at which it is sure to match whatever follows; past the end if it never is.
    fn settled_at(&self, subject: &[u8]) -> usize {
        let Some(top) = &self.top else {
            return usize::MAX;
        };
        (0..subject.len())
            .find(|at| subject[*at] == b'/' && top.is_match(&subject[..*at]))
            .unwrap_or(usize::MAX)
    }
}

fn alternative(pattern: &str) -> Alternative {
    let whole = pattern.strip_prefix('/').unwrap_or(pattern);
    let components: Vec<&str> = whole.split('/').collect();
    let floating = components[0] == "**" && components.iter().any(|c| *c != "**");
    let tail = components.iter().rev().take_while(|c| **c == "**").count();
    let top = (tail > 0).then(|| regex(&components[..components.len() - tail]));
    Alternative { floating, whole: regex(&components), top }
}

/// The regular expression of a pattern's components, after the slash that it begins with.
fn regex(components: &[&str]) -> Regex {
    let mut out = String::from(r"\A");
    for component in components {
        if *component == "**" {
            out += r"(?s-u:/.*)?";
        } else {
            out += "/";
            out += &translate(component);
        }
    }
    Regex::new(&(out + r"\z")).unwrap()
}

fn translate(component: &str) -> String {
    const RAW: &str = r"(?-u:[\x80-\xff])";
    let mut out = String::new();
    let mut chars = component.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out += r"(?s-u:[^/\x00]*)",
            '?' => out += &format!(r"(?:[^/\x00]|{RAW})"),
            '[' => {
                let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                out += &match inside.strip_prefix('!') {
                    Some(rest) => format!(r"(?:[^{rest}/\x00]|{RAW})"),
                    None => format!("[{inside}]"),
                };
            }
            '\\' => {
                let next = chars.next().unwrap();
                if next == 'x' {
                    let digits: String = chars.by_ref().take(2).collect();
                    out += &format!(r"(?-u:\x{digits})");
                } else {
                    out += &regex::escape(&next.to_string());
                }
            }
            other => out += &regex::escape(&other.to_string()),
        }
    }
    out
}

/// Every choice of the braces of a pattern; nested ones too.
pub fn unbrace(pattern: &str) -> Vec<String> {
    // The last `{` has no other inside.
    let Some(open) = pattern.rfind('{') else {
        return vec![pattern.to_owned()];
    };
    let close = open + pattern[open..].find('}').unwrap();
    pattern[open + 1..close]
        .split(',')
        .flat_map(|choice| {
            unbrace(&format!("{}{choice}{}", &pattern[..open], &pattern[close + 1..]))
        })
        .collect()
}
