//! Links the program without libc and its start files; `wire::program!` brings its own.

fn main() {
    // Nobody would write-protect relocated data (that is a dynamic linker's
    // work), and without a border `.data` and `.bss` share a page.
    let norelro = "-Wl,-z,norelro,-z,separate-loadable-segments";
    for arg in ["-nostartfiles", "-nostdlib", "-static-pie", norelro] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
