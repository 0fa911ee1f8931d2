//! `schema`: the Rust code for our Cap'n Proto schemas, which is committed, so that a build needs no schema compiler.

use crate::report::{Context, Result, root};
use crate::test::Count;
use argh::FromArgs;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write the Rust code for monitor/schema/ into monitor/src/pod/schema/; needs `capnp` (Debian: capnproto).
#[derive(FromArgs)]
#[argh(subcommand, name = "schema")]
pub(crate) struct Args {
    /// only check that the code is current; nothing is written
    #[argh(switch)]
    check: bool,
}

/// Our interface, and the protocol that carries its calls; both below `monitor/schema`.
const SCHEMAS: [&str; 2] = ["conmon.capnp", "capnp/rpc.capnp"];

/// Where the code is, below `root`, and what cargo knows that place as.
const CODE: &str = "monitor/src/pod/schema";
const MODULE: [&str; 2] = ["pod", "schema"];

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    if args.check {
        let current = check()?.failed == 0;
        return Ok(if current { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for (name, code) in generate()? {
        let path = root().join(CODE).join(name);
        fs::write(&path, code).context(format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Compares the committed code with what the schemas give; one count per schema.
pub(crate) fn check() -> Result<Count> {
    let mut count = Count::default();
    for (name, code) in generate()? {
        let current = fs::read(root().join(CODE).join(&name)).is_ok_and(|found| found == code);
        let verdict = if current { "ok" } else { "FAILED: run `cargo xtask schema`" };
        println!("schema: {name} is what the schema gives ... {verdict}");
        count += Count::from(current);
    }
    Ok(count)
}

/// File names and contents, made anew.
fn generate() -> Result<Vec<(String, Vec<u8>)>> {
    let schemas = root().join("monitor/schema");
    let scratch = tests::Scratch::new().context("cannot make a folder for the code")?;
    SCHEMAS
        .iter()
        .map(|schema| {
            let path = schemas.join(schema);
            capnpc::CompilerCommand::new()
                .no_standard_import()
                .import_path(&schemas)
                .src_prefix(path.parent().unwrap_or(&schemas))
                .default_parent_module(MODULE.map(String::from).to_vec())
                .output_path(scratch.path())
                .file(&path)
                .run()
                .context(format!("cannot compile {} with capnp", path.display()))?;
            let made = code_file(scratch.path(), &path)?;
            let code = fs::read(&made).context(format!("cannot read {}", made.display()))?;
            let name = made.file_name().context("code without a name")?;
            Ok((name.to_string_lossy().into_owned(), code))
        })
        .collect()
}

/// `x.capnp` becomes `x_capnp.rs`.
fn code_file(folder: &Path, schema: &Path) -> Result<PathBuf> {
    let stem =
        schema.file_stem().and_then(|stem| stem.to_str()).context("schema without a name")?;
    Ok(folder.join(format!("{stem}_capnp.rs")))
}
