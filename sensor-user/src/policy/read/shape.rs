//! Shapes of nodes, whatever they mean: mappings with known keys, lists, strings.

use super::{NAME_KEYS, SPEC_KEYS, SPEC_LATER};
use crate::policy::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::policy::model::{RuleKind, Text};
use crate::policy::suggest::suggest;
use crate::policy::yaml::{self, Node, Value};

/// Reads nodes, and reports what has another shape than it must have.
pub(super) struct Reader<'d> {
    pub diagnostics: &'d mut Diagnostics,
}

/// The entries of a mapping whose keys are known.
pub(super) struct Fields<'n> {
    /// Key, its place, its value; in the order of the text.
    pub entries: Vec<(&'n str, Span, &'n Node)>,
    /// Where the first key is.
    pub span: Span,
}

impl<'n> Fields<'n> {
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        let found = self.entries.iter().find(|(name, ..)| *name == key)?;
        Some(found.2)
    }
}

impl Reader<'_> {
    pub fn error(&mut self, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(span, message));
    }

    pub fn error_hint(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(span, message).hint(hint));
    }

    pub fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&'static str],
    ) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            let message = format!("{what} must be a mapping, and is {}", node.kind());
            self.error_hint(node.span, message, format!("its keys are {}", known.join(", ")));
            return None;
        };
        let mut found = Vec::new();
        for (key, value) in entries {
            let Value::Scalar { text, .. } = &key.value else {
                continue;
            };
            if known.contains(&text.as_str()) {
                found.push((text.as_str(), key.span, value));
            } else {
                self.unknown_key(key.span, text, what, known);
            }
        }
        let span = entries.first().map_or(node.span, |(key, _)| key.span);
        Some(Fields { entries: found, span })
    }

    pub fn unknown_key(&mut self, span: Span, key: &str, what: &str, known: &[&str]) {
        if known == SPEC_KEYS && SPEC_LATER.contains(&key) {
            let message = format!("`{key}` is not available yet in this version");
            self.error_hint(span, message, "remove it: nothing in a policy is silently ignored");
            return;
        }
        if known == NAME_KEYS && key == RuleKind::Ask.name() {
            let message = format!("{what} cannot `ask`: the kernel cannot hold such an operation");
            self.error_hint(span, message, "write `allow`, `audit` or `deny`");
            return;
        }
        let hint = suggest(key, known.iter().copied())
            .unwrap_or_else(|| format!("the keys here are {}", known.join(", ")));
        self.error_hint(span, format!("{what} has no key `{key}`"), hint);
    }

    pub fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, what: &str) -> Option<&'n Node> {
        let found = fields.get(key);
        if found.is_none() {
            self.error(fields.span, format!("{what} needs `{key}`"));
        }
        found
    }

    pub fn items<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        let message = format!("{what} must be a list, and is {}", node.kind());
        self.error(node.span, message);
        &[]
    }

    /// A list of strings with at least one in it.
    pub fn strings(&mut self, node: &Node, what: &str) -> Vec<Text> {
        let items = match &node.value {
            Value::List(items) => items,
            Value::Scalar { text, plain } if !(*plain && yaml::is_null(text)) => {
                let message = format!("{what} must be a list, and is a single value");
                self.error_hint(node.span, message, "put it in brackets: `[…]`");
                return Vec::new();
            }
            _ => {
                self.error(node.span, format!("{what} must be a list, and is {}", node.kind()));
                return Vec::new();
            }
        };
        if items.is_empty() {
            self.error(node.span, format!("{what} is empty"));
        }
        let item = format!("an entry of {what}");
        items.iter().filter_map(|node| self.string(node, &item)).collect()
    }

    pub fn string(&mut self, node: &Node, what: &str) -> Option<Text> {
        match &node.value {
            Value::Scalar { text, plain } if !(*plain && yaml::is_null(text)) => {
                Some(self.text(node.span, text))
            }
            _ => {
                self.error(node.span, format!("{what} must be a string, and is {}", node.kind()));
                None
            }
        }
    }

    pub fn text(&self, span: Span, value: &str) -> Text {
        let source = self.diagnostics.text(span.file);
        let raw = source.get(span.start as usize..span.end as usize).unwrap_or_default();
        let inner = raw.strip_prefix(['"', '\'']).and_then(|rest| rest.strip_suffix(['"', '\'']));
        let verbatim = if raw == value {
            Some(span.start)
        } else if inner == Some(value) {
            Some(span.start + 1)
        } else {
            None
        };
        Text { value: value.to_owned(), span, verbatim }
    }
}
