//! YAML as a tree in which every key and value knows its place. What the keys mean is not known
//! here; what YAML has and policies must not (several documents, aliases, tags) is refused here.

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks};

use super::diagnostic::{Diagnostic, Diagnostics, Span};

/// Longest policy text in bytes: a thousand rules need a tenth of it.
const TEXT_MAX: usize = 1 << 20;
/// Deepest nesting; a policy needs seven levels.
const DEPTH_MAX: usize = 32;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub span: Span,
    pub value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// A scalar; `plain` if it stood without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// Keys are scalars; two of one name have been reported, the first is kept.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The words for what it is.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { text, plain: true } if is_null(text) => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Whether a plain scalar means "no value" in YAML's core schema.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Parses `file`; `None` if there is no tree, which has then been reported.
pub(super) fn parse(file: u32, diagnostics: &mut Diagnostics) -> Option<Node> {
    let text = diagnostics.text(file).to_owned();
    if text.len() > TEXT_MAX {
        let message =
            format!("a policy file may have {TEXT_MAX} bytes, this one has {}", text.len());
        diagnostics.push(
            Diagnostic::error(Span::new(file, 0..0), message)
                .hint("split it and join the parts with `include`"),
        );
        return None;
    }
    let mut reader = Reader {
        file,
        offsets: text.char_indices().map(|(at, _)| at).collect(),
        length: text.len(),
        parser: Parser::new_from_str(&text),
        found: Vec::new(),
    };
    let result = reader.document();
    reader.found.into_iter().for_each(|d| diagnostics.push(d));
    match result {
        Ok(node) => Some(node),
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            None
        }
    }
}

struct Reader<'t> {
    file: u32,
    /// Byte offset of each character.
    offsets: Vec<usize>,
    length: usize,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    found: Vec<Diagnostic>,
}

type Result<T> = std::result::Result<T, Box<Diagnostic>>;

impl<'t> Reader<'t> {
    fn byte(&self, character: usize) -> usize {
        self.offsets.get(character).copied().unwrap_or(self.length)
    }

    fn span(&self, marks: Marks) -> Span {
        let start = self.byte(marks.start.index());
        Span::new(self.file, start..self.byte(marks.end.index()).max(start))
    }

    fn next(&mut self) -> Result<(Event<'t>, Span)> {
        match self.parser.next_event() {
            Some(Ok((event, marks))) => Ok((event, self.span(marks))),
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                let end = self.byte(error.marker().index() + 1);
                let span = Span::new(self.file, at..end);
                Err(Box::new(Diagnostic::error(span, format!("not YAML: {}", error.info()))))
            }
            None => Ok((Event::StreamEnd, Span::new(self.file, self.length..self.length))),
        }
    }

    fn document(&mut self) -> Result<Node> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::DocumentStart(_) => break,
                Event::StreamEnd => {
                    let hint = "a policy begins with `apiVersion: picket.dev/v1alpha1`";
                    return Err(Box::new(
                        Diagnostic::error(span, "the policy is empty").hint(hint),
                    ));
                }
                _ => {}
            }
        }
        let (event, span) = self.next()?;
        let root = self.node(event, span, 0)?;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(_) => {
                    let message = "a policy file holds one document, and here a second begins";
                    return Err(Box::new(
                        Diagnostic::error(span, message).hint("give each policy a file of its own"),
                    ));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node> {
        if depth > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(Box::new(Diagnostic::error(span, message)));
        }
        let (tag, anchor) = match &event {
            Event::Scalar(_, _, anchor, tag) => (tag.is_some(), *anchor),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (tag.is_some(), *anchor)
            }
            _ => (false, 0),
        };
        if tag {
            self.found.push(Diagnostic::error(span, "YAML tags mean nothing in a policy"));
        }
        if anchor != 0 {
            self.found.push(
                Diagnostic::error(
                    span,
                    "YAML anchors and aliases are not part of the policy language",
                )
                .hint("use a ${variable}, or `include` a file that holds the common rules"),
            );
        }
        match event {
            Event::Scalar(text, style, _, _) => Ok(Node {
                span,
                value: Value::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                },
            }),
            Event::SequenceStart(..) => self.list(span, depth),
            Event::MappingStart(..) => self.map(span, depth),
            // Its anchor has been reported; there is nothing to say twice.
            Event::Alias(_) => Ok(Node { span, value: Value::List(Vec::new()) }),
            _ => Err(Box::new(Diagnostic::error(span, "not YAML: a value is missing"))),
        }
    }

    fn list(&mut self, mut span: Span, depth: usize) -> Result<Node> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                span.end = at.end.max(span.end);
                return Ok(Node { span, value: Value::List(items) });
            }
            items.push(self.node(event, at, depth + 1)?);
        }
    }

    fn map(&mut self, mut span: Span, depth: usize) -> Result<Node> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                span.end = at.end.max(span.end);
                return Ok(Node { span, value: Value::Map(entries) });
            }
            let key = self.node(event, at, depth + 1)?;
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            let Value::Scalar { text: name, .. } = &key.value else {
                self.found.push(Diagnostic::error(key.span, "a key must be a word"));
                continue;
            };
            let same = |entry: &&(Node, Node)| matches!(&entry.0.value, Value::Scalar { text, .. } if text == name);
            if let Some(first) = entries.iter().find(same) {
                self.found.push(
                    Diagnostic::error(key.span, format!("`{name}` is here twice"))
                        .related(first.0.span, "first here")
                        .hint("join the two, or remove one"),
                );
                continue;
            }
            entries.push((key, value));
        }
    }
}
