//! How the program is linked.

include!("../wire/link.rs");

fn main() {
    link_without_libc("rustc-link-arg-bins");
}
