//! Links the program without libc and its start files; `wire::program!` brings its own.

fn main() {
    // Nobody write-protects relocated data without libc; without the padding
    // for it, that data shares a page with the program's variables.
    for arg in [
        "-nostartfiles",
        "-nostdlib",
        "-static-pie",
        "-Wl,-z,norelro,-z,separate-loadable-segments",
    ] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
