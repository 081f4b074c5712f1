//! The policies of the daemon's directory: texts that are known to compile, by name.
//!
//! A file that has become wrong is reported, and its text of before goes on to count until the file
//! is right again or gone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::launch::user::User;
use crate::policy::{self, Compiled, Options, Source, Variables};
use crate::policy_host::{self, LocalHost};

/// A policy of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub file: PathBuf,
    /// The text that counts; `None` if there never was a right one.
    pub source: Option<Source>,
    /// What is wrong with the file as it is.
    pub problem: Option<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Library {
    entries: BTreeMap<String, Entry>,
    /// Files that have no name of a policy in them: path and what is wrong.
    nameless: Vec<(String, String)>,
}

impl Library {
    /// Reads the directory again. One that is not there has no policies.
    ///
    /// # Errors
    /// If it cannot be read; nothing is changed then.
    pub fn read(&mut self, directory: &Path) -> io::Result<()> {
        let mut files = Vec::new();
        match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            entries => {
                for entry in entries? {
                    let path = entry?.path();
                    let named = path.file_name().is_some_and(|name| {
                        let name = name.to_string_lossy();
                        name.ends_with(".yaml") && !name.starts_with('.')
                    });
                    if named {
                        files.push(path);
                    }
                }
            }
        }
        files.sort();
        let mut found: BTreeMap<String, Entry> = BTreeMap::new();
        let mut nameless = Vec::new();
        for file in files {
            self.take(file, &mut found, &mut nameless);
        }
        self.entries = found;
        self.nameless = nameless;
        Ok(())
    }

    /// Reads one file.
    fn take(
        &self,
        file: PathBuf,
        found: &mut BTreeMap<String, Entry>,
        nameless: &mut Vec<(String, String)>,
    ) {
        let shown = file.display().to_string();
        let source = match policy_host::read_source(&file) {
            Ok(source) => source,
            Err(error) => {
                return self.keep(&file, format!("cannot read it: {error}"), found, nameless);
            }
        };
        let Some(name) = policy::name(&source) else {
            let problem = match policy::compile(&source, &Variables::default(), &LocalHost, OPTIONS)
            {
                Err(diagnostics) => diagnostics.render(false),
                Ok(_) => "it has no name".to_owned(),
            };
            return self.keep(&file, problem, found, nameless);
        };
        if let Some(other) = found.get(&name) {
            let other = other.file.display();
            nameless.push((shown, format!("{other} has a policy named {name} too; rename one")));
            return;
        }
        let entry = match compile_for(&source, &nobody(), false) {
            Ok(_) => Entry { file, source: Some(source), problem: None },
            Err(problem) => {
                let before = self.entries.get(&name).and_then(|entry| entry.source.clone());
                Entry { file, source: before, problem: Some(problem) }
            }
        };
        found.insert(name, entry);
    }

    /// A file of which not even the name can be told: what it was before still counts.
    fn keep(
        &self,
        file: &Path,
        problem: String,
        found: &mut BTreeMap<String, Entry>,
        nameless: &mut Vec<(String, String)>,
    ) {
        match self.entries.iter().find(|(_, entry)| entry.file == file) {
            Some((name, entry)) if !found.contains_key(name) => {
                found.insert(name.clone(), Entry { problem: Some(problem), ..entry.clone() });
            }
            _ => nameless.push((file.display().to_string(), problem)),
        }
    }

    /// The policies, by name.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// The text of a policy.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.entries.get(name)?.source.as_ref()
    }

    /// Files with something wrong in them: path and what.
    pub fn problems(&self) -> Vec<(String, String)> {
        let of = |entry: &Entry| Some((entry.file.display().to_string(), entry.problem.clone()?));
        self.entries.values().filter_map(of).chain(self.nameless.iter().cloned()).collect()
    }

    /// Notes that a policy could not be put in force as it is.
    pub fn spoil(&mut self, name: &str, before: Option<Source>, problem: String) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.source = before;
            entry.problem = Some(problem);
        }
    }
}

/// Nothing can be held by the daemon yet.
const OPTIONS: Options = Options { refuse_ask: true, audit: false };

/// Compiles a policy for an agent.
///
/// # Errors
/// Everything that is wrong with it, as text.
pub fn compile_for(
    source: &Source,
    variables: &Variables,
    audit: bool,
) -> Result<Compiled, String> {
    let options = Options { audit, ..OPTIONS };
    policy::compile(source, variables, &LocalHost, options)
        .map_err(|diagnostics| diagnostics.render(false))
}

/// Variables to try a policy with that nobody has asked for yet.
pub fn nobody() -> Variables {
    variables_of(&User::unknown(65534), "/var/empty")
}

/// The variables that every policy can use, for a user and a directory.
pub fn variables_of(user: &User, workspace: &str) -> Variables {
    [
        ("user", user.name.clone()),
        ("uid", user.uid.to_string()),
        ("home", user.home.clone()),
        ("workspace", workspace.to_owned()),
    ]
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\nmetadata:\n  name: NAME\nspec:\n  files:\n    - allow: [read]\n      paths: [\"/usr/**\"]\n";

    #[test]
    fn what_was_right_before_counts_until_the_file_is_right_again() {
        let dir = std::env::temp_dir().join(format!("picket-library-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let write = |file: &str, text: &str| fs::write(dir.join(file), text).unwrap();
        let good = |name: &str| GOOD.replace("NAME", name);
        write("a.yaml", &good("a"));
        write("b.yaml", &good("b"));
        write("README", "not a policy");
        let mut library = Library::default();
        library.read(&dir).unwrap();
        assert_eq!(library.entries().keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!(library.problems().is_empty());

        write("a.yaml", &good("a").replace("read", "raed"));
        write("b.yaml", "{");
        write("c.yaml", &good("c").replace("/usr", "usr"));
        write("d.yaml", &good("a"));
        library.read(&dir).unwrap();
        assert_eq!(library.source("a").unwrap().text, good("a"));
        assert_eq!(library.source("b").unwrap().text, good("b"));
        assert_eq!(library.source("c"), None);
        let problems = library.problems();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].1.contains("raed"), "{problems:?}");

        write("a.yaml", &good("a").replace("/usr", "/opt"));
        write("b.yaml", &good("b"));
        fs::remove_file(dir.join("c.yaml")).unwrap();
        fs::remove_file(dir.join("d.yaml")).unwrap();
        library.read(&dir).unwrap();
        assert!(library.source("a").unwrap().text.contains("/opt"));
        assert!(library.problems().is_empty());
        assert_eq!(library.entries().len(), 2);
        fs::remove_dir_all(&dir).unwrap();
        library.read(&dir).unwrap();
        assert!(library.entries().is_empty());
    }
}
