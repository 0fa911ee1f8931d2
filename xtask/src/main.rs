//! Every chore of conmote is a verb here: `cargo xtask VERB`.
//!
//! One file (or folder) per verb; `report` is what they share. Nothing here is shipped to a node.

mod bench;
mod ci;
mod dist;
mod elf;
mod install;
mod man;
mod report;
mod run;
mod schema;
mod size;
mod soak;
mod sys;
mod test;
mod tidy;
mod vm;

use argh::FromArgs;
use std::process::ExitCode;

/// Chores of conmote: build, run, test, measure.
#[derive(FromArgs)]
struct Xtask {
    #[argh(subcommand)]
    verb: Verb,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Verb {
    Run(run::Args),
    Test(test::Args),
    Ci(ci::Args),
    Tidy(tidy::Args),
    Dist(dist::Args),
    Install(install::Args),
    Man(man::Args),
    Size(size::Args),
    Bench(bench::Args),
    Schema(schema::Args),
    Vm(vm::Args),
    Soak(soak::Args),
}

fn main() -> ExitCode {
    let outcome = match argh::from_env::<Xtask>().verb {
        Verb::Run(args) => run::main(args),
        Verb::Test(args) => test::main(args),
        Verb::Ci(args) => ci::main(args),
        Verb::Tidy(args) => tidy::main(args),
        Verb::Dist(args) => dist::main(args),
        Verb::Install(args) => install::main(args),
        Verb::Man(args) => man::main(args),
        Verb::Size(args) => size::main(args),
        Verb::Bench(args) => bench::main(args),
        Verb::Schema(args) => schema::main(args),
        Verb::Vm(args) => vm::main(args),
        Verb::Soak(args) => soak::main(args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        ExitCode::FAILURE
    })
}
