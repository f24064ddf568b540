//! Instructions that a neutralised text has lost (`core::mm::wx`, `lib::displace`): the guest kernel acts in their place.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core_::counters;
use core_::task::Thread;
use core_::uaccess::UserPtr;
use host::sync::Mutex;
use lib::displace::{self, Address, Meaning};
use trap::monitor::stub;
use trap::{Context, Regs, context, cpu};

/// What a trap comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Done: the application goes on.
    Done,
    /// Not a replaced instruction, or one that applications do not have: SIGILL stays.
    Illegal,
    /// The instruction's own access failed, at this address; 0 for a general protection fault.
    Fault(u64),
}

/// Stubs made, by address and bytes of the instruction: what they do depends on nothing else.
static STUBS: Mutex<BTreeMap<(u64, Vec<u8>), u64>> = host::sync::mutex(BTreeMap::new());
/// Most of them: the rest of the stubs are the system calls'.
const MAX_STUBS: usize = 4096;

/// The calling thread trapped on an invalid instruction: executes the one that it stands for.
#[cold]
pub fn execute(me: &Thread) -> Outcome {
    let c = context::current();
    let rip = c.regs.rip;
    let Some(mm) = me.process.mm.lock().clone() else { return Outcome::Illegal };
    let Some(bytes) = mm.displaced(rip) else { return Outcome::Illegal };
    let Some((len, what)) = displace::meaning(&bytes, rip) else { return Outcome::Illegal };
    let next = rip + len as u64;
    let to = match what {
        Meaning::Refused => return Outcome::Illegal,
        Meaning::Xrstor(at) => match xrstor(c, &at) {
            Ok(()) => next,
            Err(fault) => return Outcome::Fault(fault),
        },
        Meaning::Jump(to) => to,
        Meaning::Branch(condition, to) if displace::taken(condition, c.regs.eflags) => to,
        Meaning::Branch(..) => next,
        Meaning::Call(to) => match push(&mut c.regs, next) {
            Ok(()) => to,
            Err(fault) => return Outcome::Fault(fault),
        },
        Meaning::Indirect(call, at) => match (UserPtr::<u64>::new(at).read(), call) {
            (Err(_), _) => return Outcome::Fault(at),
            (Ok(to), false) => to,
            (Ok(to), true) => match push(&mut c.regs, next) {
                Ok(()) => to,
                Err(fault) => return Outcome::Fault(fault),
            },
        },
        // Where the program lies over the stubs they can not be reached.
        Meaning::Code(_) if mm.lies_over_table() => return Outcome::Illegal,
        Meaning::Code(code) => match stub_for(rip, &bytes[..len], &code, next) {
            Some(at) => at,
            None => return Outcome::Illegal,
        },
    };
    counters::DISPLACED.add(1);
    c.regs.rip = to;
    Outcome::Done
}

fn stub_for(rip: u64, bytes: &[u8], code: &[u8], next: u64) -> Option<u64> {
    let mut stubs = STUBS.lock();
    let key = (rip, bytes.to_vec());
    if let Some(at) = stubs.get(&key) {
        return Some(*at);
    }
    if stubs.len() >= MAX_STUBS {
        return None;
    }
    let at = stub::displaced(code, next)?;
    stubs.insert(key, at);
    Some(at)
}

fn push(r: &mut Regs, word: u64) -> Result<(), u64> {
    let at = r.rsp.wrapping_sub(8);
    UserPtr::<u64>::new(at).write(word).map_err(|_| at)?;
    r.rsp = at;
    Ok(())
}

/// XRSTOR of the components that a guest has; PKRU is not among them.
fn xrstor(c: &mut Context, at: &Address) -> Result<(), u64> {
    let r = &c.regs;
    let by_number =
        [r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15];
    let from = at.of(|n| by_number[n as usize & 15], host::thread::fs_base());
    let mask = (r.rdx << 32) | (r.rax & 0xffff_ffff);
    if from % 64 != 0 {
        return Err(0);
    }
    let mut area = [0u8; context::XSAVE_MAX];
    // As much as there is: the area may end where memory does.
    let got = match host::user::copy_in(&mut area, from) {
        Ok(()) => area.len(),
        Err(n) => n,
    };
    if got < cpu::XSAVE_HEADER_END {
        return Err(from + got as u64);
    }
    match cpu::xrstor_for(c, &mut area, got, mask) {
        Ok(()) => Ok(()),
        Err(cpu::BadArea::Short) => Err(from + got as u64),
        Err(cpu::BadArea::Invalid) => Err(0),
    }
}
