//! What is fuzzed: everything that takes bytes from elsewhere. A target panics if something is wrong,
//! and libFuzzer watches time and memory.

mod api;
mod event;
mod pattern;
mod policy;
mod subject;
mod table;

/// Tries one input, and panics if something is wrong.
pub type Run = fn(&[u8]);

/// All targets, by name.
pub const ALL: &[(&str, Run)] = &[
    ("api", api::run),
    ("policy", policy::run),
    ("pattern", pattern::run),
    ("table", table::run),
    ("event", event::run),
    ("subject", subject::run),
];
