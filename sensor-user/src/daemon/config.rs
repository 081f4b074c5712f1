//! The daemon's configuration: one TOML file, in which every key is known. `picket daemon
//! --print-config` shows it with all comments and defaults.

mod rules;
mod sinks;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::redact::{DEFAULT as DEFAULT_REDACT, Redact};
use super::sink::otlp;
use super::sink::syslog::{self, Target};
use crate::kernel::pins;

pub use rules::TagRule;
pub use sinks::{FileSink, JournaldSink, OtlpSink, Sinks, StdoutSink, SyslogSink};

/// Where it is read from unless told otherwise.
pub const DEFAULT: &str = "/etc/picket/picket.toml";

/// How long repeats may be counted before they are said.
const REPEATS_MAX: Duration = Duration::from_secs(60);

/// The configuration that ships, with every key at its default.
pub const COMMENTED: &str = include_str!("picket.toml");

/// The whole configuration. What is not given has its default.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The daemon itself.
    pub daemon: Daemon,
    /// Policies.
    pub policies: Policies,
    /// What others may use up.
    pub limits: Limits,
    /// What is said of violations.
    pub events: Events,
    /// Rules for tagging.
    pub tag: Vec<TagRule>,
    /// Where events go.
    pub sinks: Sinks,
    /// Metrics on a port.
    pub metrics: Metrics,
}

/// The daemon itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Daemon {
    /// The control socket.
    pub socket: PathBuf,
    /// What a restarted daemon must know, in a place that a reboot empties.
    pub state: PathBuf,
    /// The pins of the kernel side.
    pub pins: PathBuf,
}

/// Policies.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// The directory: each `*.yaml` in it is a policy.
    pub directory: PathBuf,
    /// Names of policies that users other than root may start agents under.
    pub offered: Vec<String>,
}

/// What others may use up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Agents that each user other than root may have at once.
    pub agents_per_user: usize,
    /// Connections to the control socket at once.
    pub connections: usize,
    /// Connections of each user other than root.
    pub connections_per_user: usize,
    /// Memory for the events that `picket tail` shows without `--follow`.
    #[serde(deserialize_with = "size")]
    pub backlog: u64,
}

/// What is said of violations.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// How long violations like one that was said are only counted.
    #[serde(deserialize_with = "duration")]
    pub repeats: Duration,
    /// Patterns of arguments with secrets in them.
    pub redact: Vec<String>,
}

/// Metrics on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// The address and port; `None` for no port.
    #[serde(deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
}

impl Default for Daemon {
    fn default() -> Self {
        Daemon {
            socket: crate::api::SOCKET.into(),
            state: "/run/picket".into(),
            pins: pins::HOST.into(),
        }
    }
}

impl Default for Policies {
    fn default() -> Self {
        Policies { directory: "/etc/picket/policies".into(), offered: Vec::new() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { agents_per_user: 32, connections: 256, connections_per_user: 32, backlog: 8 << 20 }
    }
}

impl Default for Events {
    fn default() -> Self {
        let redact = DEFAULT_REDACT.iter().map(ToString::to_string).collect();
        Events { repeats: Duration::from_secs(1), redact }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("cannot read the configuration {}: {source}", at.display())]
    Read {
        /// The file.
        at: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file with something wrong in it.
    #[error("{}:{line}:{column}: {message}", at.display())]
    Wrong {
        /// The file.
        at: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl Config {
    /// Reads the configuration. The default file need not be there.
    pub fn read(at: Option<&Path>) -> Result<Config, ConfigError> {
        let file = at.unwrap_or(Path::new(DEFAULT));
        match fs::read_to_string(file) {
            Ok(text) => Config::parse(file, &text),
            Err(error) if at.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Ok(Config::default())
            }
            Err(source) => Err(ConfigError::Read { at: file.to_owned(), source }),
        }
    }

    /// Reads the text of a configuration; `at` is for messages.
    pub fn parse(at: &Path, text: &str) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            wrong(at, text, start, error.message().to_owned())
        })?;
        config.check().map_err(|(key, message)| {
            let start = place(text, key).unwrap_or(0);
            wrong(at, text, start, message)
        })?;
        Ok(config)
    }

    /// What serde cannot see; the key that is wrong and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let paths = [
            ("socket", &self.daemon.socket),
            ("state", &self.daemon.state),
            ("pins", &self.daemon.pins),
            ("directory", &self.policies.directory),
            ("path", &self.sinks.file.path),
            ("journald.socket", &self.sinks.journald.socket),
        ];
        for (key, path) in paths {
            if !path.is_absolute() {
                let path = path.display();
                return Err((key, format!("`{key}` is `{path}`; write an absolute path")));
            }
        }
        if self.sinks.file.max_size < 1 << 16 {
            return Err(("max_size", "`max_size` is below 64 KiB, which is less than one event may need with room to spare".to_owned()));
        }
        if self.events.repeats > REPEATS_MAX {
            return Err((
                "repeats",
                "`repeats` is more than a minute: repeats would be said too late".to_owned(),
            ));
        }
        let Sinks { syslog, otlp, .. } = &self.sinks;
        syslog.to.parse::<Target>().map_err(|error| ("syslog.to", error))?;
        syslog::facility(&syslog.facility).map_err(|error| ("syslog.facility", error))?;
        otlp::endpoint(&otlp.endpoint).map_err(|error| ("otlp.endpoint", error))?;
        otlp::check_headers(&otlp.headers).map_err(|error| ("otlp.headers", error))?;
        Redact::new(&self.events.redact).map_err(|error| ("redact", error))?;
        for (number, rule) in self.tag.iter().enumerate() {
            if let Some(problem) = rule.problem() {
                return Err(("[[tag]]", format!("rule {} for tagging: {problem}", number + 1)));
            }
            if self.tag[..number].iter().any(|other| other.key() == rule.key()) {
                let key = rule.key();
                return Err(("[[tag]]", format!("there are two rules for tagging for {key}")));
            }
        }
        if self.limits.connections == 0 {
            return Err(("connections", "`connections` is 0: nobody could connect".to_owned()));
        }
        Ok(())
    }
}

/// Where a key is in the text: the first line that begins with it, from the table on that is named
/// before a dot.
fn place(text: &str, key: &str) -> Option<usize> {
    if key.starts_with('[') {
        return text.find(key);
    }
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    let mut start = if table.is_empty() { 0 } else { text.find(&format!("{table}]"))? };
    for line in text[start..].split_inclusive('\n') {
        let found = line.trim_start().strip_prefix(name);
        if found.is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return Some(start + line.len() - line.trim_start().len());
        }
        start += line.len();
    }
    None
}

fn wrong(at: &Path, text: &str, start: usize, message: String) -> ConfigError {
    let before = text.get(..start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    ConfigError::Wrong { at: at.to_owned(), line, column, message }
}

/// An address with a port, or an empty text for none.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        de::Error::custom(format!("`{text}` is no address with a port, like 127.0.0.1:9464"))
    })
}

/// A duration as `1s`, `500ms` or `0s`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        de::Error::custom(format!("`{text}` is no duration ({error}); write it like \"1s\""))
    })
}

/// A number of bytes, or a text of a number and `KiB`, `MiB` or `GiB`.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    match Size::deserialize(deserializer)? {
        Size::Bytes(bytes) => Ok(bytes),
        Size::Text(text) => parse_size(&text).ok_or_else(|| {
            de::Error::custom(format!("`{text}` is no size; write bytes, or like \"64MiB\""))
        }),
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)]
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
    let number: u64 = number.trim().parse().ok()?;
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("picket.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_commented_configuration_is_the_default() {
        assert_eq!(parse(COMMENTED), Ok(Config::default()));
        assert_eq!(parse(""), Ok(Config::default()));
        // Every key is in it, commented out or not.
        let setting = |rest: &str| rest.contains(" = ") || rest.starts_with("[[");
        let uncommented: String = COMMENTED
            .lines()
            .map(|line| line.strip_prefix("#").filter(|rest| setting(rest)).unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert!(parse(&uncommented).is_ok(), "{:?}", parse(&uncommented));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = parse("[daemon]\nsockte = \"/x\"\n").unwrap_err();
        assert!(error.starts_with("picket.toml:2:1: unknown field `sockte`"), "{error}");
        let error = parse("[daemon]\nsocket = \"x\"\n").unwrap_err();
        assert!(error.starts_with("picket.toml:2:1: `socket` is `x`"), "{error}");
        let error = parse("[limits]\n\nbacklog = \"many\"\n").unwrap_err();
        assert!(error.starts_with("picket.toml:3:") && error.contains("64MiB"), "{error}");
        for (rule, why) in [
            ("policy = \"a\"", "give one of"),
            ("policy = \"a\"\nexec = \"x\"", "write an absolute path"),
            ("policy = \"a\"\nexec = \"/x\"\nunit = \"x\"", "give one of"),
            ("policy = \"a\"\ncgroup = \"x\"\ncontainers = \"x\"", "give one of"),
            ("exec = \"/x\"", "missing field `policy`"),
            ("policy = \"a\"\nexec = \"/x\"\n[[tag]]\npolicy = \"b\"\nexec = \"/x\"", "two rules"),
        ] {
            let error = parse(&format!("[[tag]]\n{rule}\n")).unwrap_err();
            assert!(error.starts_with("picket.toml:1:") && error.contains(why), "{error}");
        }
        let error = parse("[[tag]]\npolicy = \"a\"\ncontainer = \"x\"\n").unwrap_err();
        assert!(error.starts_with("picket.toml:3:1: unknown field `container`"), "{error}");
        let error = parse("[[tag]]\npolicy = \"a\"\ncontainers = [\"x\"]\n").unwrap_err();
        assert!(error.starts_with("picket.toml:3:14: invalid type"), "{error}");
        let error = parse("# to\n[sinks.syslog]\n  to = \"tls:x:1\"\n").unwrap_err();
        assert!(error.starts_with("picket.toml:3:3: `tls:x:1` is none of unix:"), "{error}");
        let text = "[daemon]\nsocket = \"/x\"\n[sinks.journald]\nsocket = \"x\"\n";
        let error = parse(text).unwrap_err();
        assert!(error.starts_with("picket.toml:4:1: `journald.socket` is `x`"), "{error}");
        let error = parse("[events]\nrepeats = \"2m\"\n").unwrap_err();
        assert!(error.starts_with("picket.toml:2:1: `repeats` is more"), "{error}");
        let error = parse("[events]\nredact = [\"x\"]\n").unwrap_err();
        assert!(error.starts_with("picket.toml:2:1: `x` does not say"), "{error}");
        let error = parse("[sinks.otlp]\nendpoint = \"https://x/\"\n").unwrap_err();
        assert!(error.starts_with("picket.toml:2:1: ") && error.contains("TLS"), "{error}");
        let error = parse("[metrics]\nlisten = \"9464\"\n").unwrap_err();
        assert!(error.starts_with("picket.toml:2:") && error.contains("127.0.0.1:9464"), "{error}");
        let error = parse("[limits\n").unwrap_err();
        assert!(error.starts_with("picket.toml:1:"), "{error}");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("1 GiB"), Some(1 << 30));
        assert_eq!(parse_size("17"), Some(17));
        assert_eq!(parse_size("64MB"), None);
        assert_eq!(parse_size("99999999999GiB"), None);
    }
}
