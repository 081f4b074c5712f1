//! `cargo xtask`: the command line of the workbench. Parsing and dispatch only; each verb lives in
//! a module of its own.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, demo, dist, fuzz, harm, mutate, package, setup, test, verified, vm, work};

/// Picket's workbench: what a developer or a CI machine runs around the product.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Bench(bench::Args),
    Demo(demo::Args),
    Dist(dist::Args),
    Fuzz(fuzz::Args),
    Harm(harm::Args),
    Mutate(mutate::Args),
    Package(package::Args),
    Setup(setup::Args),
    Test(test::Args),
    Verified(verified::Args),
    Vm(vm::Args),
    Work(work::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Bench(args) => bench::main(&args),
        Verb::Demo(args) => demo::main(&args),
        Verb::Dist(args) => dist::main(&args),
        Verb::Fuzz(args) => fuzz::main(&args),
        Verb::Harm(args) => harm::main(&args),
        Verb::Mutate(args) => mutate::main(&args),
        Verb::Package(args) => package::main(&args),
        Verb::Setup(args) => setup::main(&args),
        Verb::Test(args) => test::main(&args),
        Verb::Verified(args) => verified::main(&args),
        Verb::Vm(args) => vm::main(&args),
        Verb::Work(args) => work::main(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
