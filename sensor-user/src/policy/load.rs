//! Composition: a policy and the files that it includes, as one list of rules.

use std::path::{Component, Path, PathBuf};

use super::Source;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::host::Host;
use super::model::{Manifest, Mode, Rule, Text};
use super::read;
use super::variables::Variables;

/// Most files that one policy may include, directly or not.
const FILES_MAX: usize = 64;

/// A policy with everything that it includes.
#[derive(Debug)]
pub(super) struct Policy {
    pub name: String,
    pub mode: Option<Mode>,
    /// Its own rules first, then those of included files in the order in which they are named.
    pub rules: Vec<Rule>,
}

/// Reads `source` and what it includes; `None` if there is nothing to go on with. Everything that
/// is wrong is in `diagnostics` either way.
pub(super) fn load(
    source: &Source,
    variables: &Variables,
    host: &dyn Host,
    diagnostics: &mut Diagnostics,
) -> Option<Policy> {
    let file = diagnostics.source(source.clone());
    let manifest = read::manifest(file, diagnostics)?;
    let mut loader = Loader {
        variables,
        host,
        diagnostics,
        mode: manifest.mode.as_ref().map_or(Mode::Enforce, |mode| mode.value),
        open: vec![clean(Path::new(&source.name))],
        done: Vec::new(),
        rules: Vec::new(),
    };
    loader.take(&manifest);
    Some(Policy { mode: Some(loader.mode), rules: loader.rules, name: manifest.name })
}

struct Loader<'l> {
    variables: &'l Variables,
    host: &'l dyn Host,
    diagnostics: &'l mut Diagnostics,
    /// The outermost policy's.
    mode: Mode,
    /// Files that are being read, outermost first.
    open: Vec<PathBuf>,
    /// Files that have been read: one that is included twice counts once.
    done: Vec<PathBuf>,
    rules: Vec<Rule>,
}

impl Loader<'_> {
    fn take(&mut self, manifest: &Manifest) {
        self.rules.extend(manifest.rules.iter().cloned());
        for include in &manifest.include {
            self.include(include);
        }
    }

    fn include(&mut self, text: &Text) {
        let path = match self.variables.substitute(&text.value) {
            Ok(value) => self.resolve(&value),
            Err(error) => {
                let span = text.at(error.start, error.end);
                let mut diagnostic = Diagnostic::error(span, error.message);
                diagnostic.hint = error.hint;
                self.diagnostics.push(diagnostic);
                return;
            }
        };
        if let Some(at) = self.open.iter().position(|open| *open == path) {
            let chain: Vec<String> = self.open[at..]
                .iter()
                .chain([&path])
                .map(|path| path.display().to_string())
                .collect();
            let message =
                format!("the files include each other in a circle: {}", chain.join(" → "));
            self.diagnostics.push(Diagnostic::error(text.span, message));
            return;
        }
        if self.done.contains(&path) {
            return;
        }
        if self.done.len() >= FILES_MAX {
            let message = format!("a policy may include {FILES_MAX} files");
            self.diagnostics.push(Diagnostic::error(text.span, message));
            return;
        }
        let source =
            match self.host.read_file(&path) {
                Ok(content) => Source { name: path.display().to_string(), text: content },
                Err(error) => {
                    let message = format!("cannot read {}: {error}", path.display());
                    self.diagnostics.push(Diagnostic::error(text.span, message).hint(
                        "a relative path begins at the directory of the file that includes it",
                    ));
                    return;
                }
            };
        let file = self.diagnostics.source(source);
        self.done.push(path.clone());
        self.open.push(path);
        if let Some(manifest) = read::manifest(file, self.diagnostics) {
            self.check_mode(&manifest);
            self.take(&manifest);
        }
        self.open.pop();
    }

    /// An included policy that says how it wants to be applied is applied that way or not at all:
    /// neither may its denials become reports, nor may it turn the others' into such.
    fn check_mode(&mut self, manifest: &Manifest) {
        if let Some(mode) = &manifest.mode
            && mode.value != self.mode
        {
            let message = "the mode of an included policy differs from the including policy's";
            self.diagnostics.push(
                Diagnostic::error(mode.span, message)
                    .hint("leave `mode` out of policies that are made to be included"),
            );
        }
    }

    /// A path as an including file means it.
    fn resolve(&self, value: &str) -> PathBuf {
        let directory = self.open.last().and_then(|path| path.parent());
        clean(&directory.unwrap_or(Path::new("")).join(value))
    }
}

/// The path without `.`, and without `..` where there is something to go up from.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
