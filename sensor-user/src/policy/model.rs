//! A policy file as types: what was written, with the place of every part, nothing resolved yet.

use sensor_ebpf::rights::Rights;
use serde::Serialize;

use super::diagnostic::Span;

/// Something and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

/// A string and where its characters were written.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub value: String,
    pub span: Span,
    /// Whether the text stands in the source as it is, so that a part of it has a place of its own.
    pub verbatim: Option<u32>,
}

impl Text {
    /// The place of bytes `start..end` of the value; of all of it where YAML has changed it.
    pub(super) fn at(&self, start: usize, end: usize) -> Span {
        match self.verbatim {
            Some(first) => Span {
                file: self.span.file,
                start: first + start as u32,
                end: first + (end.max(start)) as u32,
            },
            None => self.span,
        }
    }
}

/// Whether a policy refuses or only reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Enforce,
    Audit,
}

/// What a rule says, in growing strength: of two that speak of one right, the stronger decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Gives rights.
    Allow,
    /// Gives rights and has their use reported.
    Audit,
    /// Gives rights that each use of which needs somebody's yes.
    Ask,
    /// Takes rights away, whatever else gives them.
    Deny,
}

impl RuleKind {
    /// Every kind, weakest first.
    pub const ALL: [RuleKind; 4] =
        [RuleKind::Allow, RuleKind::Audit, RuleKind::Ask, RuleKind::Deny];

    /// Its key in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RuleKind::Allow => "allow",
            RuleKind::Audit => "audit",
            RuleKind::Ask => "ask",
            RuleKind::Deny => "deny",
        }
    }
}

/// The part of `spec` that a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Files,
    Exec,
    Devices,
    Network,
    Process,
    Capabilities,
}

/// One item of a section.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub section: Section,
    pub kind: Spanned<RuleKind>,
    /// As written; where a rule is a list of names the right is the section's own.
    pub rights: Rights,
    /// `paths` of files, `to` of network, the list itself elsewhere.
    pub targets: Vec<Text>,
    /// `on` of network.
    pub local: Vec<Text>,
    /// `families` of network.
    pub families: Vec<Text>,
    pub reason: Option<String>,
}

/// One policy file.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub name: String,
    pub mode: Option<Spanned<Mode>>,
    pub include: Vec<Text>,
    pub rules: Vec<Rule>,
}
