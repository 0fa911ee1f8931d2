//! A short soak; `cargo xtask soak` is the long one.

use tests::soak::{Amounts, soak};
use tests::{Result, ours_only};

#[test]
fn nothing_grows_and_nothing_is_left_behind() -> Result {
    ours_only!();
    soak(Amounts::FULL.share(0.003), |text| println!("{text}"))
}
