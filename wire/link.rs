// Part of the build scripts of all programs without libc (`include!`).

/// Links a program without libc and its start files; `wire::program!` brings
/// its own. `key` says for which programs of the package the arguments are.
fn link_without_libc(key: &str) {
    let wire = format!("{}/../wire", std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    // Nobody would write-protect relocated data (that is a dynamic linker's
    // work), and without a border `.data` and `.bss` share a page.
    let norelro = "-Wl,-z,norelro,-z,separate-loadable-segments";
    for arg in ["-nostartfiles", "-nostdlib", "-static-pie", norelro] {
        println!("cargo:{key}={arg}");
    }
    // Debuggers unwind; the program that we ship does not.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:{key}=-Wl,--no-eh-frame-hdr");
        println!("cargo:{key}=-Wl,-T,{wire}/no-unwinding.ld");
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={wire}/link.rs");
    println!("cargo:rerun-if-changed={wire}/no-unwinding.ld");
}
