//! The help text, out of the tables.

use super::table::{Opt, PAUSE, SERVER};

/// For the server.
pub(super) fn server() -> String {
    let commands = "Commands:\n  \
                    pause  hold the namespaces of a pod; the server starts it\n  \
                    help   print this help, or that of a command\n\n";
    format!(
        "conmote as conmonrs: monitors the containers of a pod\n\n\
         Usage: conmonrs [OPTIONS] [COMMAND]\n\n{commands}{}",
        options(SERVER)
    )
}

/// For `pause`.
pub(super) fn pause() -> String {
    format!(
        "Holds the namespaces of a pod\n\n\
         Usage: conmonrs pause [OPTIONS] --pod-id <POD_ID>\n\n{}",
        options(PAUSE)
    )
}

fn options(table: &[Opt]) -> String {
    let heads: Vec<String> = table.iter().map(head).collect();
    let width = heads.iter().map(String::len).max().unwrap_or(0);
    let mut text = String::from("Options:");
    for (opt, head) in table.iter().zip(heads) {
        text += &format!("\n  {head:width$}  {}", opt.help);
        let notes = [
            opt.env.map(|variable| format!("env: {variable}")),
            opt.default.map(|value| format!("default: {value}")),
            (!opt.values.is_empty()).then(|| format!("possible values: {}", opt.values.join(", "))),
        ];
        for note in notes.iter().flatten() {
            text += &format!(" [{note}]");
        }
    }
    text
}

fn head(opt: &Opt) -> String {
    match opt.short {
        Some(letter) => format!("-{letter}, {}", opt.shown()),
        None => format!("    {}", opt.shown()),
    }
}
