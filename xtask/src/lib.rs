//! Picket's workbench, behind `cargo xtask VERB`.
//!
//! One module a verb; what several verbs need ([`setup`], [`vm`]) is a library to the others.
//! Nothing here is part of the product: the product never depends on this crate.

pub mod bench;
pub mod demo;
pub mod dist;
pub mod fuzz;
pub mod harm;
pub mod mutate;
pub mod package;
pub mod setup;
pub mod test;
pub mod verified;
pub mod vm;
pub mod work;
