//! What the pod server says it is: to `--version`, and to the RPC `version`.

use super::json::escaped;
use super::types::VersionResponse;

/// The version of conmonrs that this program stands in for. Clients read it to
/// learn what they may ask for; it has to be a strict semantic version.
const CONMONRS_VERSION: &str = "1.0.1";

/// What this really is.
const TAG: &str = concat!("conmote-", env!("CARGO_PKG_VERSION"));

/// The crates it is made of.
const CARGO_TREE: &str = include_str!(concat!(env!("OUT_DIR"), "/cargo-tree"));

/// What there is to say; the crates only if asked for.
pub fn version(process_id: u32, verbose: bool) -> VersionResponse {
    VersionResponse {
        process_id,
        version: CONMONRS_VERSION.into(),
        tag: TAG.into(),
        commit: env!("CONMOTE_COMMIT").into(),
        build_date: env!("CONMOTE_BUILD_DATE").into(),
        target: env!("CONMOTE_TARGET").into(),
        rust_version: env!("CONMOTE_RUST_VERSION").into(),
        cargo_version: env!("CONMOTE_CARGO_VERSION").into(),
        cargo_tree: if verbose { CARGO_TREE.into() } else { String::new() },
    }
}

/// As lines for people, without the last line feed.
pub fn text(verbose: bool) -> String {
    let it = version(0, verbose);
    let mut text = format!(
        "version: {}\ntag: {}\ncommit: {}\nbuild: {}\ntarget: {}\n{}\n{}",
        it.version, it.tag, it.commit, it.build_date, it.target, it.rust_version, it.cargo_version
    );
    if verbose {
        text += &format!("\n\ncargo tree: {}", it.cargo_tree);
    }
    text
}

/// As one line of JSON, without the line feed.
pub fn json(verbose: bool) -> String {
    let it = version(0, verbose);
    let fields = [
        ("version", &it.version),
        ("tag", &it.tag),
        ("commit", &it.commit),
        ("build_date", &it.build_date),
        ("target", &it.target),
        ("rust_version", &it.rust_version),
        ("cargo_version", &it.cargo_version),
        ("cargo_tree", &it.cargo_tree),
    ];
    let mut text = format!("{{\"verbose\":{verbose}");
    for (name, value) in fields {
        text += &format!(",\"{name}\":\"{}\"", escaped(value));
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_known_about_the_build() {
        let it = version(7, false);
        assert_eq!((it.process_id, it.version.as_str()), (7, "1.0.1"));
        assert!(it.tag.starts_with("conmote-"));
        assert!(!it.commit.is_empty());
        assert_eq!(it.build_date.len(), "2026-11-21 22:39:51".len());
        assert!(it.target.ends_with("-linux-gnu") || it.target.ends_with("-linux-musl"));
        assert!(it.rust_version.starts_with("rustc 1."), "{}", it.rust_version);
        assert!(it.cargo_version.starts_with("cargo 1."), "{}", it.cargo_version);
        assert_eq!(it.cargo_tree, "");
        let tree = version(7, true).cargo_tree;
        assert!(tree.starts_with("monitor v"), "{tree}");
        assert!(tree.lines().count() > 5 && !tree.contains('/'), "{tree}");
    }

    #[test]
    fn the_text_has_the_lines_that_scripts_know() {
        let text = text(false);
        let starts =
            ["version: 1.0.1", "tag: ", "commit: ", "build: ", "target: ", "rustc ", "cargo "];
        assert_eq!(text.lines().count(), starts.len());
        for (line, start) in text.lines().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
        let full = super::text(true);
        assert!(full.starts_with(&format!("{text}\n\ncargo tree: monitor v")), "{full}");
    }

    #[test]
    fn json_is_one_line_with_the_keys_in_order() {
        let line = json(true);
        assert!(
            !line.contains('\n') && line.starts_with("{\"verbose\":true,\"version\":\"1.0.1\",")
        );
        let keys: Vec<&str> = line
            .split("\":")
            .filter_map(|piece| piece.rsplit('"').next())
            .filter(|key| key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'))
            .filter(|key| !key.is_empty())
            .collect();
        let expected = [
            "verbose",
            "version",
            "tag",
            "commit",
            "build_date",
            "target",
            "rust_version",
            "cargo_version",
            "cargo_tree",
        ];
        assert_eq!(keys, expected);
        assert!(json(false).ends_with(",\"cargo_tree\":\"\"}"));
    }
}
