//! Where events go, as it is configured.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::size;

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sinks {
    /// Bytes that may wait before each sink but the file.
    #[serde(deserialize_with = "size")]
    pub queue: u64,
    /// A file with rotation.
    pub file: FileSink,
    /// The daemon's standard output.
    pub stdout: StdoutSink,
    /// The journal.
    pub journald: JournaldSink,
    /// Syslog.
    pub syslog: SyslogSink,
    /// OpenTelemetry logs.
    pub otlp: OtlpSink,
}

impl Default for Sinks {
    fn default() -> Self {
        Sinks {
            queue: 4 << 20,
            file: FileSink::default(),
            stdout: StdoutSink::default(),
            journald: JournaldSink::default(),
            syslog: SyslogSink::default(),
            otlp: OtlpSink::default(),
        }
    }
}

/// A file with rotation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileSink {
    /// Whether it is written.
    pub enabled: bool,
    /// The file.
    pub path: PathBuf,
    /// Size at which it is put aside, as `path.1`.
    #[serde(deserialize_with = "size")]
    pub max_size: u64,
    /// Files that were put aside and are kept.
    pub keep: u32,
}

/// The daemon's standard output.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutSink {
    /// Whether it is written.
    pub enabled: bool,
}

impl Default for FileSink {
    fn default() -> Self {
        FileSink {
            enabled: true,
            path: "/var/log/picket/events.jsonl".into(),
            max_size: 64 << 20,
            keep: 8,
        }
    }
}

/// The journal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournaldSink {
    /// Whether it is written.
    pub enabled: bool,
    /// Its socket.
    pub socket: PathBuf,
}

impl Default for JournaldSink {
    fn default() -> Self {
        JournaldSink { enabled: false, socket: "/run/systemd/journal/socket".into() }
    }
}

/// Syslog.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyslogSink {
    /// Whether it is written.
    pub enabled: bool,
    /// Where to.
    pub to: String,
    /// As which facility.
    pub facility: String,
}

impl Default for SyslogSink {
    fn default() -> Self {
        SyslogSink { enabled: false, to: "unix:/dev/log".into(), facility: "daemon".into() }
    }
}

/// OpenTelemetry logs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpSink {
    /// Whether they are sent.
    pub enabled: bool,
    /// The collector.
    pub endpoint: String,
    /// What to say in the head of each request.
    pub headers: BTreeMap<String, String>,
}

impl Default for OtlpSink {
    fn default() -> Self {
        let endpoint = "http://127.0.0.1:4318/v1/logs".into();
        OtlpSink { enabled: false, endpoint, headers: BTreeMap::new() }
    }
}
