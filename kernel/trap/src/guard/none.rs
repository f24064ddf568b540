//! No guard: for hosts without memory keys, and said aloud.

use crate::gate::{Code, addresses, gate};

gate!("none", ".text.gate", open: [], close_fast: [], close_full: [], sig_open: []);

/// This guard's code.
#[must_use]
pub fn code() -> Code {
    addresses!(lodger_gate_none lodger_gate_start_none lodger_gate_end_none lodger_enter_none lodger_exit_start_none lodger_exit_end_none lodger_signal_none)
}
