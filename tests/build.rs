//! How the program `bare` is linked: as the roles are.

include!("../wire/link.rs");

fn main() {
    link_without_libc("rustc-link-arg-bin=bare");
}
