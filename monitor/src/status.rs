//! Exit statuses of the front doors.

/// It did what it was called for.
pub const SUCCESS: u8 = 0;

/// It did not, and has said why.
pub const FAILURE: u8 = 1;
