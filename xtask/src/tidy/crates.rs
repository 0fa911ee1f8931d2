//! Rules about crates: who may depend on whom, and with which features.

use super::Rule;
use crate::dist::{cargo, metadata};
use crate::report::{Context, ROLES, Result};
use serde_json::Value;

/// Crates from outside that a program may use; a new one is a decision, taken here.
const OUTSIDE: [(&str, &[&str]); 5] = [
    ("wire", &["heapless", "libc", "rustix", "syscalls"]),
    ("exit-reaper", &["heapless", "memchr", "rustix"]),
    ("log-writer", &["heapless", "memchr", "rustix"]),
    ("attach-proxy", &["heapless", "memchr", "rustix"]),
    (
        "monitor",
        &[
            "argh",
            "capnp",
            "env_logger",
            "httparse",
            "libc",
            "log",
            "miniz_oxide",
            "rustix",
            "tungstenite",
            "tz-rs",
        ],
    ),
];

/// Crates whose `std` or `alloc` feature, were it on anywhere in the workspace, would be on in the roles.
const BARE: [&str; 4] = ["rustix", "memchr", "heapless", "syscalls"];

pub(crate) fn rules() -> Result<Vec<Rule>> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let tree = cargo()
        .args(["tree", "--workspace", "-e", "normal", "--prefix", "none", "-f", "{p} {f}"])
        .output()
        .context("cannot run cargo tree")?;
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    if tree.is_empty() {
        return Err("cargo tree said nothing".into());
    }
    Ok(vec![
        Rule {
            sentence: "wire depends on nobody here, the programs on nobody but wire",
            broken_by: edges(packages).filter_map(|edge| forbidden(&edge)).collect(),
        },
        Rule {
            sentence: "no crate turns on std or alloc below the roles",
            broken_by: tree.lines().filter_map(heavy_feature).collect(),
        },
        Rule {
            sentence: "every crate takes the lints of the workspace, or says why not",
            broken_by: packages.iter().filter_map(lints).collect(),
        },
    ])
}

/// `from` needs `to`; `inside` when that is a crate of this workspace, `kind` as in Cargo.toml.
struct Edge {
    from: String,
    to: String,
    inside: bool,
    kind: String,
}

fn edges(packages: &[Value]) -> impl Iterator<Item = Edge> + '_ {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    packages.iter().flat_map(move |package| {
        package["dependencies"].as_array().into_iter().flatten().map(move |dependency| Edge {
            from: text(&package["name"]),
            to: text(&dependency["name"]),
            inside: dependency["path"].is_string(),
            kind: text(&dependency["kind"]),
        })
    })
}

fn forbidden(edge: &Edge) -> Option<String> {
    let Edge { from, to, inside, kind } = edge;
    let shipped = from == "wire" || from == "monitor" || ROLES.contains(&from.as_str());
    let known = OUTSIDE
        .iter()
        .find(|(name, _)| name == from)
        .is_some_and(|(_, allowed)| allowed.contains(&to.as_str()));
    let fine = match (shipped, inside) {
        (false, _) => true,
        (true, true) => to == "wire" && from != "wire",
        (true, false) => known || kind == "dev",
    };
    (!fine).then(|| format!("{from} may not depend on {to}"))
}

/// Looks at one line of `cargo tree`: `name vVERSION [(path)] [features]`.
fn heavy_feature(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let name = words.next().filter(|name| BARE.contains(name))?;
    let features = words.next_back()?;
    let heavy = features.split(',').find(|feature| matches!(*feature, "std" | "alloc"))?;
    Some(format!("{name} is built with the feature {heavy}"))
}

/// A crate either says `[lints] workspace = true`, or has a comment above its own `[lints…]`.
fn lints(package: &Value) -> Option<String> {
    let name = package["name"].as_str()?;
    let manifest = package["manifest_path"].as_str()?;
    let text = std::fs::read_to_string(manifest).ok()?;
    (!explained(&text))
        .then(|| format!("{name} has lints of its own, and no comment above says why"))
}

fn explained(manifest: &str) -> bool {
    let lines: Vec<&str> = manifest.lines().collect();
    lines.iter().position(|line| line.starts_with("[lints")).is_some_and(|at| {
        let own_reason = at > 0 && lines[at - 1].starts_with('#');
        own_reason || lines.get(at + 1) == Some(&"workspace = true")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, inside: bool, kind: &str) -> Option<String> {
        forbidden(&Edge { from: from.into(), to: to.into(), inside, kind: kind.into() })
    }

    #[test]
    fn roles_and_monitor_may_use_wire() {
        assert_eq!(edge("log-writer", "wire", true, ""), None);
        assert_eq!(edge("monitor", "wire", true, ""), None);
        assert_eq!(edge("xtask", "tests", true, ""), None);
    }

    #[test]
    fn no_edge_leads_from_role_to_role_or_out_of_wire() {
        assert!(edge("log-writer", "exit-reaper", true, "").is_some());
        assert!(edge("log-writer", "attach-proxy", true, "dev").is_some());
        assert!(edge("monitor", "exit-reaper", true, "").is_some());
        assert!(edge("wire", "tests", true, "dev").is_some());
    }

    #[test]
    fn a_new_crate_from_outside_is_a_decision() {
        assert!(edge("log-writer", "tokio", false, "").is_some());
        assert!(edge("log-writer", "cc", false, "build").is_some());
        assert_eq!(edge("log-writer", "proptest", false, "dev"), None);
        assert_eq!(edge("log-writer", "memchr", false, ""), None);
    }

    #[test]
    fn std_below_the_roles_is_found() {
        assert!(heavy_feature("memchr v2.8.3 alloc,std").is_some());
        assert!(heavy_feature("rustix v1.1.6 event,fs,alloc").is_some());
        assert_eq!(heavy_feature("rustix v1.1.6 event,fs"), None);
        assert_eq!(heavy_feature("log v0.4.35 std"), None);
        assert_eq!(heavy_feature("memchr v2.8.3 (*)"), None);
    }

    #[test]
    fn lints_of_ones_own_need_a_reason() {
        assert!(explained("[package]\n\n[lints]\nworkspace = true\n"));
        assert!(explained("# Because.\n[lints.rust]\nmissing_docs = \"warn\"\n"));
        assert!(!explained("[package]\n\n[lints.rust]\nmissing_docs = \"warn\"\n"));
        assert!(!explained("[package]\n"));
    }
}
