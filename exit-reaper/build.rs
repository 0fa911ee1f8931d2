//! Links the program without libc and its start files; `wire::program!` brings its own.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let mut args = vec![
        "-nostartfiles".to_owned(),
        "-nostdlib".to_owned(),
        "-static-pie".to_owned(),
        "-Wl,-z,norelro,-z,separate-loadable-segments".to_owned(),
    ];
    // Debuggers unwind; the program that we ship does not.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        args.push("-Wl,--no-eh-frame-hdr".to_owned());
        args.push(format!("-Wl,-T,{here}/../wire/no-unwinding.ld"));
    }
    for arg in args {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../wire/no-unwinding.ld");
}
