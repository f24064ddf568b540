//! The terminal line discipline.
