//! Address spaces.

/// The address space of a guest process.
pub struct Mm {}
