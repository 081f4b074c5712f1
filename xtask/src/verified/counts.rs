//! The counts as they are kept: a table with a row a program and a column a kernel, and above it, in
//! comments, what it was made with.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use super::ACCEPT;
use crate::setup::kernels::Kernel;

/// The first word of the line that names the columns.
const HEAD: &str = "program";
/// What a program that a kernel does not get has instead of a count.
const NONE: &str = "-";

/// Counts by kernel and program, and what they were made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of the tools, and of each kernel.
    pub versions: Vec<(String, String)>,
    /// A kernel's line, and its programs in attach order.
    pub columns: Vec<(String, Vec<(String, u32)>)>,
}

impl Counts {
    /// Reads what [`text`](Self::text) writes.
    pub fn parse(text: &str) -> Result<Counts> {
        let mut counts = Counts::default();
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            if let Some(comment) = line.strip_prefix('#') {
                // Versions are indented; the rest is prose.
                if let Some((name, version)) =
                    comment.strip_prefix("   ").and_then(|comment| comment.split_once(' '))
                {
                    counts.versions.push((name.to_owned(), version.trim().to_owned()));
                }
                continue;
            }
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            if first == HEAD {
                counts.columns = words.map(|name| (name.to_owned(), Vec::new())).collect();
                continue;
            }
            let values: Vec<&str> = words.collect();
            if values.len() != counts.columns.len() || values.is_empty() {
                bail!("line {number} has {} counts", values.len());
            }
            for ((_, column), value) in counts.columns.iter_mut().zip(values) {
                if value != NONE {
                    let value = value.parse();
                    let value = value.with_context(|| format!("line {number} is no count"))?;
                    column.push((first.to_owned(), value));
                }
            }
        }
        if counts.columns.is_empty() {
            bail!("there is no line that begins with `{HEAD}`");
        }
        Ok(counts)
    }

    /// These with what was just found in their place, the columns in the kernels' order.
    pub fn with(mut self, found: Counts) -> Counts {
        for (name, version) in found.versions {
            self.versions.retain(|(own, _)| *own != name);
            self.versions.push((name, version));
        }
        for (name, column) in found.columns {
            self.columns.retain(|(own, _)| *own != name);
            self.columns.push((name, column));
        }
        let place = |name: &str| Kernel::ALL.iter().position(|kernel| kernel.name() == name);
        // Tools are no kernels, and stay where they are: before them.
        self.versions.sort_by_key(|(name, _)| place(name));
        self.columns.sort_by_key(|(name, _)| place(name));
        self
    }

    pub fn version(&self, name: &str) -> Option<&str> {
        let found = self.versions.iter().find(|(own, _)| own == name)?;
        Some(&found.1)
    }

    pub fn column(&self, kernel: &str) -> Option<&[(String, u32)]> {
        let found = self.columns.iter().find(|(name, _)| name == kernel)?;
        Some(&found.1)
    }

    /// Every program, each once, in attach order.
    fn programs(&self) -> Vec<&str> {
        let mut programs = Vec::new();
        for (name, _) in self.columns.iter().flat_map(|(_, column)| column) {
            if !programs.contains(&name.as_str()) {
                programs.push(name);
            }
        }
        programs
    }

    /// As it is kept and printed.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# Instructions that the kernel's verifier walks for each program; it refuses one at a million.\n\
             # Written by `{ACCEPT}`, made with\n"
        );
        for (name, version) in &self.versions {
            let _ = writeln!(text, "#   {name:<11} {version}");
        }
        let _ = write!(text, "{HEAD:<24}");
        for (kernel, _) in &self.columns {
            let _ = write!(text, "{kernel:>10}");
        }
        text.push('\n');
        for program in self.programs() {
            let _ = write!(text, "{program:<24}");
            for (_, column) in &self.columns {
                let count = of(column, program);
                let count = count.map_or_else(|| NONE.to_owned(), |count| count.to_string());
                let _ = write!(text, "{count:>10}");
            }
            text.push('\n');
        }
        text
    }
}

/// A program's count.
pub fn of(column: &[(String, u32)], program: &str) -> Option<u32> {
    let found = column.iter().find(|(name, _)| name == program)?;
    Some(found.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let floor = Counts {
            columns: vec![("6.1".to_owned(), vec![("bpf".to_owned(), 5)])],
            versions: vec![("6.1".to_owned(), "6.1.0".to_owned())],
        };
        let both = Counts {
            columns: vec![(
                "6.12".to_owned(),
                vec![("bpf".to_owned(), 7), ("file_open".to_owned(), 14_683)],
            )],
            versions: vec![("compiler".to_owned(), "rustc 1.96.0 (a b)".to_owned())],
        };
        let both = both.with(floor);
        assert_eq!(both.columns[0].0, "6.1", "{both:?}");
        assert_eq!(Counts::parse(&both.text()).unwrap(), both);
        // A program that one kernel does not have is told from one with a count.
        assert!(both.text().contains(" - "), "{}", both.text());
        for damaged in ["", "program 6.1\nbpf\n", "program 6.1\nbpf many\n", "bpf 5\n"] {
            assert!(Counts::parse(damaged).is_err(), "{damaged}");
        }
    }
}
