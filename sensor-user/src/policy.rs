//! Policies: from the text of a manifest to the table that the kernel judges by.
//!
//! ```text
//! text ─[yaml, read]→ model ─[load: include]→ [rules: variables, links, globs]→ patterns
//!      ─[automaton]→ minimal automata ─[table]→ words
//! ```
//!
//! All of it is pure: no file, no kernel, no clock. What a policy has to do with the machine (files
//! that it includes, links in its paths) comes through [`Host`]. The same input gives the same
//! bytes. Judging is not done here but in `sensor_ebpf`, by the code that the kernel runs.

mod address;
mod automaton;
mod bits;
mod builtin;
mod diagnostic;
mod gain;
mod glob;
mod host;
mod links;
mod lint;
mod load;
pub mod manifest;
mod model;
mod read;
mod relation;
mod rules;
#[cfg(test)]
mod shapes;
mod subject;
pub(crate) mod suggest;
mod table;
mod threads;
mod variables;
mod writer;
mod yaml;

use sensor_ebpf::moves::{self, Move, Weighed};
use sensor_ebpf::rights::{RIGHTS_MAX, Rights};
use sensor_ebpf::table::{self as matcher, Space};
use sensor_ebpf::verdict::{self, Decision, Masks};

pub use diagnostic::{Diagnostic, Diagnostics, Report, Severity, Span};
pub use gain::Gain;
pub use host::{Host, Link, NoHost};
pub use manifest::schema;
pub use model::RuleKind;
pub use read::{API_VERSION, KIND};
pub use rules::RuleInfo;
pub use subject::{Subject, SubjectError};
pub use table::Stats;
pub use variables::Variables;

use builtin::add as add_builtins;
use model::Mode;
use rules::{Resolver, Rules};

/// A policy's text, and what to call it in messages: the path that it was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Shown in diagnostics; included files are sought beside it.
    pub name: String,
    /// The text.
    pub text: String,
}

/// What the caller can do, and wants, beyond what the policy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Nothing can be held for a person's yes here: refuse rules that `ask`.
    pub refuse_ask: bool,
    /// Report instead of refusing, whatever the policy's mode.
    pub audit: bool,
}

/// A policy that the kernel can judge by.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// `metadata.name`.
    pub name: String,
    /// Whether it reports instead of refusing.
    pub audit: bool,
    /// The table, as `sensor_ebpf::table` says.
    pub table: Vec<u16>,
    /// Rules; the id of a rule is its index plus 1.
    pub rules: Vec<RuleInfo>,
    /// What is probably not meant as it is written.
    pub warnings: Diagnostics,
    /// How large it came out.
    pub stats: Stats,
}

/// What a policy says of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict, and the rights that brought it about.
    pub decision: Decision,
    /// What the policy says of the subject.
    pub masks: Masks,
    /// Per right the id of the rule that decides it, 0 where none speaks of it.
    pub rules: [u32; RIGHTS_MAX],
}

impl Judged {
    /// Id of the rule that decides `right`, 0 if none speaks of it.
    #[must_use]
    pub fn rule(&self, right: Rights) -> u32 {
        let bit = right.0.trailing_zeros() as usize;
        self.rules.get(bit).copied().unwrap_or(0)
    }
}

/// The canonical path that `path`, an absolute one, leads to on `host`, every link followed; of
/// what is not there the part that is not stays as it is.
#[must_use]
pub fn canonical(host: &dyn Host, path: &[u8]) -> Vec<u8> {
    let components: Vec<Vec<u8>> = path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
    let way = links::follow(host, &components, true);
    [b"/", way.components.join(&b'/').as_slice()].concat()
}

impl Compiled {
    /// The rule with this id, as tables and events have it; `None` for 0.
    #[must_use]
    pub fn rule(&self, id: u32) -> Option<&RuleInfo> {
        self.rules.get((id as usize).checked_sub(1)?)
    }

    /// Judges an operation as the kernel does: the same code over the same table.
    #[must_use]
    pub fn judge(&self, space: Space, subject: &[u8], requested: Rights) -> Judged {
        let table = self.table.as_slice();
        let cursor = matcher::run(table, space, subject);
        let masks = cursor.masks(table);
        let mut rules = [0; RIGHTS_MAX];
        for (bit, rule) in rules.iter_mut().enumerate() {
            *rule = cursor.rule(table, Rights(1 << bit));
        }
        Judged { decision: verdict::decide(masks, requested, self.audit), masks, rules }
    }

    /// Judges a rename, an exchange or a link, from one path to another, as the kernel does.
    #[must_use]
    pub fn judge_move(&self, from: &[u8], to: &[u8], wanted: Move) -> Weighed {
        let table = self.table.as_slice();
        let after = |path| matcher::run(table, Space::Path, path);
        moves::judge(table, after(from), after(to), wanted, self.audit)
    }

    /// What would be gained if the object at `from`, a directory or not, were called `to`: an example
    /// for people. `None` if none is found; the verdict is [`Compiled::judge_move`]'s.
    #[must_use]
    pub fn gain(&self, from: &[u8], to: &[u8], directory: bool) -> Option<Gain> {
        gain::find(&self.table, from, to, directory)
    }
}

/// The name that a policy gives itself; `None` if its form is too wrong to tell.
#[must_use]
pub fn name(source: &Source) -> Option<String> {
    let mut diagnostics = Diagnostics::default();
    let file = diagnostics.source(source.clone());
    read::manifest(file, &mut diagnostics).map(|manifest| manifest.name)
}

/// Compiles a policy. `Ok` carries warnings too.
///
/// # Errors
/// Everything that is wrong with it, at once, in the order of the text.
pub fn compile(
    source: &Source,
    variables: &Variables,
    host: &dyn Host,
    options: Options,
) -> Result<Compiled, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let Some(policy) = load::load(source, variables, host, &mut diagnostics) else {
        diagnostics.sort();
        return Err(diagnostics);
    };
    if options.refuse_ask {
        refuse_ask(&policy.rules, &mut diagnostics);
    }
    let mut resolver =
        Resolver { variables, host, diagnostics: &mut diagnostics, rules: Rules::default() };
    policy.rules.iter().for_each(|rule| resolver.rule(rule));
    let mut rules = resolver.rules;
    lint::duplicates(&rules, &mut diagnostics);
    if diagnostics.has_errors() {
        diagnostics.sort();
        return Err(diagnostics);
    }
    add_builtins(&mut rules);
    if rules.infos.len() > RULES_MAX {
        too_many(&rules, &mut diagnostics);
        return Err(diagnostics);
    }
    let audit = options.audit || policy.mode == Some(Mode::Audit);
    match table::build(&rules.entries, audit) {
        Ok((table, stats)) => {
            lint::warnings(&rules, &table, &mut diagnostics);
            diagnostics.sort();
            Ok(Compiled {
                name: policy.name,
                audit,
                table,
                stats: Stats { rules: rules.infos.len(), ..stats },
                rules: rules.infos,
                warnings: diagnostics,
            })
        }
        Err(over) => {
            over_budget(&over, &rules, &mut diagnostics);
            Err(diagnostics)
        }
    }
}

fn refuse_ask(rules: &[model::Rule], diagnostics: &mut Diagnostics) {
    for rule in rules.iter().filter(|r| r.kind.value == RuleKind::Ask) {
        diagnostics.push(
            Diagnostic::error(
                rule.kind.span,
                "`ask` is not available yet: nothing can be held for a person's yes here",
            )
            .hint("write `deny` to refuse it, or `audit` to allow and report it"),
        );
    }
}

/// Rules that a table can name: it has 16 bits for their ids, and 0 is nobody's.
const RULES_MAX: usize = u16::MAX as usize;

fn too_many(rules: &Rules, diagnostics: &mut Diagnostics) {
    let first = rules.spans.get(RULES_MAX).or(rules.spans.last());
    let message =
        format!("the policy has {} patterns, and a table takes {RULES_MAX}", rules.infos.len());
    diagnostics.push(
        Diagnostic::error(first.copied().unwrap_or(Span::new(0, 0..0)), message)
            .hint("replace some by patterns that cover several"),
    );
}

/// How many of the rules that make a table grow are named.
const NAMED: usize = 5;

fn over_budget(over: &table::OverBudget, rules: &Rules, diagnostics: &mut Diagnostics) {
    let limit = sensor_ebpf::limits::TABLE_BYTES;
    let size = match over.bytes {
        Some(bytes) => format!("{bytes} bytes"),
        None => format!("many times {limit} bytes"),
    };
    let spans: Vec<Span> = over
        .rules
        .iter()
        .filter_map(|rule| rules.spans.get((*rule as usize).checked_sub(1)?).copied())
        .collect();
    let first = spans.first().or(rules.spans.first());
    let first = first.copied().unwrap_or(Span::new(0, 0..0));
    let message = format!("the policy's table would have {size}, and the kernel takes {limit}");
    let hint = "these wildcards are open at the same time, and each combination is a state of its own: \
                replace some by longer literal beginnings, or by `**` at the end";
    let mut diagnostic = Diagnostic::error(first, message).hint(if spans.is_empty() {
        "it has too many patterns: replace some by patterns that cover several"
    } else {
        hint
    });
    for span in spans.iter().skip(1).take(NAMED - 1) {
        diagnostic = diagnostic.related(*span, "this one too");
    }
    diagnostics.push(diagnostic);
}
