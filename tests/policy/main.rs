//! Tests of the policy engine: what it accepts and refuses, and what the tables that it makes say.

mod diagnostics;
mod fence;
mod fuzz;
mod generated;
mod language;
mod laundering;
mod moves;
mod oracle;
mod relation;
mod shipped;
mod support;
mod threads;
mod verbs;
