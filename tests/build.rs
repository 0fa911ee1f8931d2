//! Links the program `bare` without libc and its start files, as the roles are; `wire::program!` brings its own.

fn main() {
    for arg in [
        "-nostartfiles",
        "-nostdlib",
        "-static-pie",
        "-Wl,-z,norelro,-z,separate-loadable-segments",
    ] {
        println!("cargo:rustc-link-arg-bin=bare={arg}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
