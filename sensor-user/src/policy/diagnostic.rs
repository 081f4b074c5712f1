//! What is wrong with a policy, where, and what would put it right: one type for errors and
//! warnings, with its rendering for people and for programs. It finds nothing itself.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use super::Source;

/// Bytes of one source text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Index of the source among those that were read.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    pub(super) fn new(file: u32, bytes: Range<usize>) -> Span {
        // Sources are limited to far below 4 GiB (`yaml::TEXT_MAX`).
        Span { file, start: bytes.start as u32, end: bytes.end as u32 }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policy cannot be used.
    Error,
    /// The policy can be used and probably does not say what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// What would put it right.
    pub hint: Option<String>,
    /// Other places that have to do with it, and what they have to do with it.
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    pub(super) fn error(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            span,
            hint: None,
            related: Vec::new(),
        }
    }

    pub(super) fn warning(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(span, message) }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn related(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.related.push((span, label.into()));
        self
    }
}

/// Everything that was found in one policy, with the texts it was found in.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    sources: Vec<Source>,
    /// Of each source where its lines begin: every rule is asked for its place.
    lines: Vec<Vec<usize>>,
    list: Vec<Diagnostic>,
}

/// A diagnostic as `--json` prints it. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How bad it is.
    pub severity: Severity,
    /// Name of the source, as it was given.
    pub file: String,
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character.
    pub column: usize,
    /// Line of the last character.
    pub end_line: usize,
    /// Column after the last character.
    pub end_column: usize,
    /// What is wrong.
    pub message: String,
    /// What would put it right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line itself, without its end.
    pub text: String,
}

impl Diagnostics {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Takes a source in; spans name it by the index that comes back.
    pub(super) fn source(&mut self, source: Source) -> u32 {
        let ends = source.text.match_indices('\n').map(|(at, _)| at + 1);
        self.lines.push(std::iter::once(0).chain(ends).collect());
        self.sources.push(source);
        self.sources.len() as u32 - 1
    }

    pub(super) fn text(&self, file: u32) -> &str {
        self.sources.get(file as usize).map_or("", |s| &s.text)
    }

    pub(super) fn name(&self, file: u32) -> &str {
        self.sources.get(file as usize).map_or("", |s| &s.name)
    }

    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// Puts the list into the order of the text.
    pub(super) fn sort(&mut self) {
        self.list.sort_by_key(|d| (d.span.file, d.span.start, d.span.end));
    }

    /// Every diagnostic, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub(super) fn position(&self, file: u32, byte: u32) -> (usize, usize) {
        let text = self.text(file);
        let before = text.get(..byte as usize).unwrap_or(text);
        let starts = self.lines.get(file as usize).map_or(&[0][..], |lines| lines);
        let line = starts.partition_point(|start| *start <= before.len());
        let start = starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, before.get(start..).unwrap_or_default().chars().count() + 1)
    }

    /// The list for programs.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        self.list.iter().map(|d| self.report(d)).collect()
    }

    fn report(&self, diagnostic: &Diagnostic) -> Report {
        let Span { file, start, end } = diagnostic.span;
        let (line, column) = self.position(file, start);
        let (end_line, end_column) = self.position(file, end);
        Report {
            severity: diagnostic.severity,
            file: self.name(file).to_owned(),
            line,
            column,
            end_line,
            end_column,
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
            text: self.text(file).lines().nth(line - 1).unwrap_or_default().to_owned(),
        }
    }

    /// The list for people: the message, the place, the line with a marker, the hint; an empty
    /// line between two diagnostics. Coloured by ANSI sequences if `colour`.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let rendered: Vec<String> =
            self.list.iter().map(|d| self.render_one(&renderer, d)).collect();
        rendered.join("\n\n")
    }

    fn render_one(&self, renderer: &Renderer, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let own = AnnotationKind::Primary.span(self.bytes(diagnostic.span));
        let mut snippets = vec![self.snippet(diagnostic.span.file).annotation(own)];
        let mut elsewhere = Vec::new();
        for (span, label) in &diagnostic.related {
            let mark = AnnotationKind::Context.span(self.bytes(*span)).label(label.as_str());
            if span.file == diagnostic.span.file {
                snippets = snippets.into_iter().map(|s| s.annotation(mark.clone())).collect();
            } else {
                elsewhere.push(self.snippet(span.file).annotation(mark));
            }
        }
        snippets.append(&mut elsewhere);
        let mut group = level.primary_title(diagnostic.message.as_str()).elements(snippets);
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        renderer.render(&[group])
    }

    fn snippet(&self, file: u32) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        Snippet::source(self.text(file)).path(self.name(file))
    }

    /// The span's bytes, put on character boundaries of the text that is there.
    fn bytes(&self, span: Span) -> Range<usize> {
        let text = self.text(span.file);
        let floor = |byte: u32| {
            let mut at = (byte as usize).min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(span.start);
        start..floor(span.end).max(start)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
