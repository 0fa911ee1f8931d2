//! What conmonrs takes, as it was recorded once (issue 4 of this project): for runs that do not measure it themselves.
//! It was a static build, on a virtual machine with two processors.

/// The program that these figures are of.
pub(super) const PROGRAM: &str = "conmonrs 1.0.1";

/// A pod's share of memory, in kB, with two idle containers: PSS 518, page tables 66, kernel stacks 32.
pub(super) const POD_KB: f64 = 616.0;

/// Of that PSS and page tables.
pub(super) const POD_PSS_KB: f64 = 584.0;

/// MB/s of 100-byte lines into a CRI log.
pub(super) const LOG_SPEED: f64 = 133.0;

/// Seconds of processor time for each GB of these lines.
pub(super) const LOG_COST: f64 = 6.1;
