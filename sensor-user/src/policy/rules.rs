//! From what was written to what the compiler takes: numbered rules, and for each the patterns
//! over subjects that it stands for. Variables, links and addresses are resolved here.

use std::path::Path;

use sensor_ebpf::act::Act;
use sensor_ebpf::capability::Capability;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{KIND_ABSTRACT, KIND_CAPABILITY, KIND_PROCESS};
use sensor_ebpf::table::Space;
use serde::Serialize;

use super::address;
use super::automaton::{Accept, ByteSet, Elem};
use super::diagnostic::{Diagnostic, Diagnostics, Span};
use super::glob::{self, Glob, Names};
use super::host::Host;
use super::links;
use super::model::{Rule, RuleKind, Section, Text};
use super::threads;
use super::variables::Variables;
use crate::family;

/// One pattern of a policy and what it says; its id is its place in the list, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    /// Name of the source, as it was given; `built-in` for rules that every policy has.
    pub file: String,
    /// Line of the pattern, from 1; 0 for a built-in rule.
    pub line: usize,
    /// Column of the pattern in characters, from 1; 0 for a built-in rule.
    pub column: usize,
    /// Part of `spec` that it stands in: `files`, `exec`, `devices`, `network`, `process`,
    /// `capabilities` or `built-in`.
    pub section: &'static str,
    /// What it says.
    pub kind: RuleKind,
    /// The rights that it says it of.
    #[serde(serialize_with = "names")]
    pub rights: Rights,
    /// The pattern, as written.
    pub pattern: String,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn names<S: serde::Serializer>(rights: &Rights, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rights.names())
}

/// A pattern over subjects.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub space: Space,
    pub floating: bool,
    pub elems: Vec<Elem>,
    pub accept: Accept,
}

/// Rules with their patterns and places.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub infos: Vec<RuleInfo>,
    /// Of each rule that was written, where; built-in rules come last and have none.
    pub spans: Vec<Span>,
    pub entries: Vec<Entry>,
}

/// What a pattern is resolved with.
pub(super) struct Resolver<'r> {
    pub variables: &'r Variables,
    pub host: &'r dyn Host,
    pub diagnostics: &'r mut Diagnostics,
    pub rules: Rules,
}

impl Resolver<'_> {
    /// Takes in a rule with all of its patterns.
    pub(super) fn rule(&mut self, rule: &Rule) {
        for target in &rule.targets {
            match rule.section {
                Section::Files => self.path(rule, target, rule.rights, "files"),
                Section::Exec => self.program(rule, target),
                Section::Devices => self.path(rule, target, rule.rights, "devices"),
                Section::Network => self.peer(rule, target),
                Section::Process => self.act(rule, target),
                Section::Capabilities => self.capability(rule, target),
            }
        }
        for local in &rule.local {
            self.local(rule, local);
        }
        for kind in &rule.families {
            self.kind(rule, kind);
        }
    }

    /// Gives the pattern a number.
    fn number(
        &mut self,
        rule: &Rule,
        text: &Text,
        rights: Rights,
        section: &'static str,
    ) -> Accept {
        let Span { file, start, .. } = text.span;
        let (line, column) = self.diagnostics.position(file, start);
        self.rules.infos.push(RuleInfo {
            file: self.diagnostics.name(file).to_owned(),
            line,
            column,
            section,
            kind: rule.kind.value,
            rights,
            pattern: text.value.clone(),
            reason: rule.reason.clone(),
        });
        self.rules.spans.push(text.span);
        Accept {
            strength: rule.kind.value as u8,
            rights: rights.0 as u16,
            rule: self.rules.infos.len() as u32,
        }
    }

    fn entry(&mut self, space: Space, floating: bool, elems: Vec<Elem>, accept: Accept) {
        self.rules.entries.push(Entry { space, floating, elems, accept });
    }

    fn path(&mut self, rule: &Rule, text: &Text, rights: Rights, section: &'static str) {
        if let Some(globs) = self.globs(text, 0) {
            let accept = self.number(rule, text, rights, section);
            self.paths(rule, text, &globs, &[accept]);
        }
    }

    /// A program that may run must also be mapped; one that may not is refused when it is run, and
    /// may still be read and mapped as other rules say.
    fn program(&mut self, rule: &Rule, text: &Text) {
        let Some(globs) = self.globs(text, 0) else {
            return;
        };
        let rights = match rule.kind.value {
            RuleKind::Allow => Rights::EXEC | Rights::MAP,
            _ => Rights::EXEC,
        };
        let accept = self.number(rule, text, rights, "exec");
        let mut accepts = vec![accept];
        if rule.kind.value == RuleKind::Audit {
            // Reported once, when it is run, and not for each part that is mapped.
            accepts.push(Accept {
                strength: RuleKind::Allow as u8,
                rights: Rights::MAP.0 as u16,
                ..accept
            });
        }
        self.paths(rule, text, &globs, &accepts);
    }

    fn peer(&mut self, rule: &Rule, text: &Text) {
        // Who may connect may also send: of a datagram socket the two are the same.
        let mut rights = rule.rights.and(Rights::CONNECT | Rights::SEND);
        if rights.contains(Rights::CONNECT) {
            rights |= Rights::SEND;
        }
        if let Some(path) = text.value.strip_prefix("unix:") {
            if path.starts_with('@') {
                self.abstract_name(rule, text, rights);
            } else if let Some(globs) = self.globs(text, "unix:".len()) {
                let accept = self.number(rule, text, rights, "network");
                self.paths(rule, text, &globs, &[accept]);
            }
            return;
        }
        if let Some(inet) = self.inet(text) {
            let accept = self.number(rule, text, rights, "network");
            for elems in inet.destinations().elems() {
                self.entry(Space::Object, false, elems, accept);
            }
        }
    }

    fn local(&mut self, rule: &Rule, text: &Text) {
        if text.value.starts_with("unix:@") {
            self.abstract_name(rule, text, Rights::BIND);
        } else if text.value.starts_with("unix:") {
            let message = "binding a unix socket to a path is creating a file";
            self.diagnostics.push(
                Diagnostic::error(text.span, message)
                    .hint("write `- allow: [create]` with this path under `files`"),
            );
        } else if let Some(inet) = self.inet(text) {
            let accept = self.number(rule, text, Rights::BIND, "network");
            for elems in inet.elems() {
                self.entry(Space::Object, false, elems, accept);
            }
        }
    }

    /// Sockets of a kind.
    fn kind(&mut self, rule: &Rule, text: &Text) {
        match family::parse(&text.value) {
            Ok(sockets) => {
                let accept = self.number(rule, text, Rights::SOCKET, "network");
                let kinds: Vec<u8> = sockets.kind.into_iter().collect();
                let protocols: Vec<u16> = sockets.protocol.into_iter().collect();
                for elems in address::family(sockets.family, &kinds, &protocols) {
                    self.entry(Space::Object, false, elems, accept);
                }
            }
            Err(wrong) => {
                let family::Wrong { start, end, message, hint } = wrong;
                self.report(text, 0, glob::Error { start, end, message, hint: Some(hint) });
            }
        }
    }

    fn abstract_name(&mut self, rule: &Rule, text: &Text, rights: Rights) {
        let skip = "unix:@".len();
        let name = &text.value[skip..];
        let Some(globs) =
            self.parsed(text, skip, glob::parse(name, Names::Abstract, self.variables))
        else {
            return;
        };
        let accept = self.number(rule, text, rights, "network");
        for glob in globs {
            let mut elems = vec![Elem::Byte(ByteSet::one(KIND_ABSTRACT))];
            elems.extend(glob.elems);
            self.entry(Space::Object, false, elems, accept);
        }
    }

    /// Whoever may take hold of a process may also look into it.
    fn act(&mut self, rule: &Rule, text: &Text) {
        let accept = self.number(rule, text, rule.rights, "process");
        let mut acts = match Act::from_name(&text.value) {
            Some(act) => ByteSet::one(act.0),
            None => ByteSet::ALL,
        };
        if acts.contains(Act::TRACE.0) && rule.kind.value != RuleKind::Deny {
            acts.insert(Act::INSPECT.0);
        }
        self.entry(Space::Object, false, act_elems(acts), accept);
    }

    fn capability(&mut self, rule: &Rule, text: &Text) {
        let accept = self.number(rule, text, rule.rights, "capabilities");
        let numbers = match Capability::from_name(&text.value) {
            Some(capability) => ByteSet::one(capability.0),
            None => ByteSet::ALL,
        };
        self.entry(Space::Object, false, capability_elems(numbers), accept);
    }

    fn inet(&mut self, text: &Text) -> Option<address::Inet> {
        let parsed =
            self.variables.substitute(&text.value).and_then(|value| address::parse(&value));
        match parsed {
            Ok(inet) => Some(inet),
            Err(error) => {
                self.report(text, 0, glob::Error { start: 0, end: text.value.len(), ..error });
                None
            }
        }
    }

    fn globs(&mut self, text: &Text, skip: usize) -> Option<Vec<Glob>> {
        let pattern = &text.value[skip..];
        self.parsed(text, skip, glob::parse(pattern, Names::Paths, self.variables))
    }

    fn parsed(
        &mut self,
        text: &Text,
        skip: usize,
        result: Result<Vec<Glob>, Vec<glob::Error>>,
    ) -> Option<Vec<Glob>> {
        match result {
            Ok(globs) => Some(globs),
            Err(errors) => {
                errors.into_iter().for_each(|error| self.report(text, skip, error));
                None
            }
        }
    }

    fn report(&mut self, text: &Text, skip: usize, error: glob::Error) {
        let span = text.at(skip + error.start, skip + error.end);
        let mut diagnostic = Diagnostic::error(span, error.message);
        diagnostic.hint = error.hint;
        self.diagnostics.push(diagnostic);
    }

    /// The entries of path patterns, also by the canonical form of what they begin with.
    fn paths(&mut self, rule: &Rule, text: &Text, globs: &[Glob], accepts: &[Accept]) {
        let deny = rule.kind.value == RuleKind::Deny;
        for glob in globs {
            let mut forms = vec![glob.elems.clone()];
            let way = links::follow(self.host, &glob.literal, deny);
            if let Some(link) = &way.distrusted {
                self.distrusted(text, link);
            }
            if way.components != glob.literal {
                let mut elems = glob::literal_elems(&way.components);
                elems.extend(glob.rest.iter().cloned());
                if elems.is_empty() {
                    elems.push(Elem::Byte(ByteSet::one(b'/')));
                }
                forms.push(elems);
            }
            for elems in forms {
                for accept in accepts {
                    let allows = accept.strength == RuleKind::Allow as u8;
                    for elems in threads::also(&elems, !allows) {
                        self.entry(Space::Path, false, elems, *accept);
                    }
                    self.entry(Space::Path, glob.floating, elems.clone(), *accept);
                }
            }
        }
    }

    fn distrusted(&mut self, text: &Text, link: &Path) {
        let link = link.display();
        let message = format!(
            "`{link}` is a symbolic link that not only root can change, so the rule does not follow it"
        );
        self.diagnostics.push(
            Diagnostic::warning(text.span, message)
                .hint("name the place that it leads to, if that is what is meant"),
        );
    }
}

/// Subjects of these acts, on any process.
pub(super) fn act_elems(acts: ByteSet) -> Vec<Elem> {
    let mut elems = vec![Elem::Byte(ByteSet::one(KIND_PROCESS)), Elem::Byte(acts)];
    elems.extend([Elem::Byte(ByteSet::ALL), Elem::Byte(ByteSet::ALL)]);
    elems.extend([Elem::Byte(ByteSet::ALL), Elem::Byte(ByteSet::ALL)]);
    elems
}

/// Subjects of these capabilities.
pub(super) fn capability_elems(numbers: ByteSet) -> Vec<Elem> {
    vec![Elem::Byte(ByteSet::one(KIND_CAPABILITY)), Elem::Byte(numbers)]
}
