//! Reads where this machine gets Debian packages from, in both formats of sources.list(5): one line
//! an entry (`.list`) and deb822 (`.sources`). Only the addresses are taken; suites and keys are
//! our own choice.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use deb822_fast::Deb822;

/// Code names and aliases of Debian releases; a suite that is neither belongs to somebody else's
/// archive.
const RELEASES: [&str; 10] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// The addresses of the Debian archive's two halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The archive proper.
    pub main: String,
    /// The security archive; kernels newer than a release's first are often only there.
    pub security: Option<String>,
}

/// One source of binary packages.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
    components: Vec<String>,
}

/// Finds the Debian mirror in the apt configuration below `etc_apt` (`/etc/apt`).
///
/// # Errors
/// When a file cannot be read or parsed, or no entry is of Debian's archive.
pub fn mirror(etc_apt: &Path) -> Result<Mirror> {
    let mut sources = Vec::new();
    let list = etc_apt.join("sources.list");
    if list.exists() {
        sources.extend(one_line(&read(&list)?));
    }
    let parts = etc_apt.join("sources.list.d");
    if parts.exists() {
        let mut files =
            fs::read_dir(&parts)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        files.sort();
        for file in files {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("list") => sources.extend(one_line(&read(&file)?)),
                Some("sources") => {
                    sources.extend(
                        deb822(&read(&file)?)
                            .with_context(|| format!("cannot parse {}", file.display()))?,
                    );
                }
                _ => {}
            }
        }
    }
    match choose(&sources) {
        Some(mirror) => Ok(mirror),
        None => bail!(
            "no entry of a Debian release with the component main is in {} or {}; \
             the guest's kernels and userland come from there",
            list.display(),
            parts.display()
        ),
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// `deb [ option=value ... ] uri suite [component ...]`, with `#` comments.
fn one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(one_entry).collect()
}

fn one_entry(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let mut rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    if let Some(options) = rest.strip_prefix('[') {
        rest = options.split_once(']')?.1;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source { uri: words.next()?, suite: words.next()?, components: words.collect() })
}

fn deb822(text: &str) -> Result<Vec<Source>> {
    let uncommented: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    let paragraphs: Deb822 = uncommented.parse()?;
    let mut sources = Vec::new();
    for paragraph in paragraphs.iter() {
        let words = |name| {
            paragraph
                .get(name)
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let enabled = paragraph
            .get("Enabled")
            .is_none_or(|value| !["no", "false", "0", "off"].contains(&value.trim()));
        if !enabled || !words("Types").iter().any(|kind| kind == "deb") {
            continue;
        }
        for uri in words("URIs") {
            for suite in words("Suites") {
                sources.push(Source { uri: uri.clone(), suite, components: words("Components") });
            }
        }
    }
    Ok(sources)
}

/// An entry whose address ends in `/debian` is more surely Debian's own than one that merely uses
/// its names, as many vendors' archives do.
fn choose(sources: &[Source]) -> Option<Mirror> {
    let official = |source: &&Source| source.components.iter().any(|component| component == "main");
    let main: Vec<_> = sources
        .iter()
        .filter(official)
        .filter(|source| RELEASES.contains(&&*source.suite))
        .collect();
    let looks_own = |source: &&&Source| source.uri.trim_end_matches('/').ends_with("/debian");
    let main = main.iter().find(looks_own).or(main.first())?;
    let is_security = |source: &&Source| {
        let release = source
            .suite
            .strip_suffix("-security")
            .or_else(|| source.suite.strip_suffix("/updates"));
        release.is_some_and(|release| RELEASES.contains(&release))
    };
    let security = sources.iter().filter(official).find(is_security);
    Some(Mirror { main: main.uri.clone(), security: security.map(|source| source.uri.clone()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
Types: deb deb-src
# a comment inside a paragraph
URIs: http://mirror.example.com/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://mirror.example.com/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example.com/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example.com/debian
Suites: bookworm
Components: main
";

    #[test]
    fn deb822_paragraphs_become_one_source_a_suite() {
        let sources = deb822(DEB822).unwrap();
        let seen: Vec<_> = sources.iter().map(|source| (&*source.uri, &*source.suite)).collect();
        assert_eq!(
            seen,
            [
                ("http://mirror.example.com/debian", "bookworm"),
                ("http://mirror.example.com/debian", "bookworm-updates"),
                ("http://mirror.example.com/debian-security", "bookworm-security"),
            ]
        );
    }

    #[test]
    fn one_line_entries_with_options_and_comments() {
        let text = "# deb http://no.example.com/debian bookworm main\n\
            deb-src http://no.example.com/debian bookworm main\n\
            deb [arch=amd64 signed-by=/k.gpg] http://a.example.com/debian trixie main # why\n\
            deb\thttp://b.example.com/debian-security  trixie-security\tmain\n\
            deb\n";
        let sources = one_line(text);
        assert_eq!(sources.len(), 2);
        let mirror = choose(&sources).unwrap();
        assert_eq!(mirror.main, "http://a.example.com/debian");
        assert_eq!(mirror.security.as_deref(), Some("http://b.example.com/debian-security"));
    }

    #[test]
    fn vendors_archives_are_not_debian() {
        let text = "deb https://vendor.example.com/apt stable stable\n\
            deb https://tool.example.com/apt bookworm main\n\
            deb http://a.example.com/debian/ bookworm main\n";
        assert_eq!(choose(&one_line(text)).unwrap().main, "http://a.example.com/debian/");
        assert_eq!(choose(&one_line("deb https://vendor.example.com/apt noble main\n")), None);
    }
}
