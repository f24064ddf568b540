//! How busy the machine is: what all processes have used, and the load averages.

use crate::Mutex;
use crate::procinfo::{self, hooks};
use crate::task::{TREE, Usage};

/// Linux's fixed point (`include/linux/sched/loadavg.h`): 11 bits of fraction, a sample each 5 seconds, and what is left of an
/// average after one sample: e^(-5 s / 1, 5 and 15 minutes).
pub const SHIFT: u32 = 11;
const ONE: u64 = 1 << SHIFT;
const SAMPLE_NS: u64 = 5_000_000_000;
const KEPT: [u64; 3] = [1884, 2014, 2037];

#[derive(Clone, Copy)]
struct Load {
    averages: [u64; 3],
    /// Up to when (since boot), and what had been used then.
    until_ns: u64,
    used_us: u64,
}

static LOAD: Mutex<Load> = host::sync::mutex(Load { averages: [0; 3], until_ns: 0, used_us: 0 });

/// What all processes have used since boot, those that are gone included. Of the live ones page faults are known as far as
/// their threads have ended.
#[must_use]
pub fn used() -> Usage {
    let (all, mut sum) = {
        let tree = TREE.lock();
        (tree.all(), tree.ended)
    };
    for p in all {
        let (utime_us, stime_us) = hooks().times(&p);
        let (nvcsw, nivcsw) = hooks().switches(&p);
        sum.add(&Usage { utime_us, stime_us, nvcsw, nivcsw, ..*p.usage.lock() });
    }
    sum
}

/// Nanoseconds since boot.
#[must_use]
pub fn up_ns() -> u64 {
    host::time::monotonic_ns().saturating_sub(procinfo::system(|s| s.boot_ns))
}

/// The load averages over 1, 5 and 15 minutes, in units of 2^-[`SHIFT`].
///
/// Nothing in the guest kernel wakes each 5 seconds to count who waits for a processor, as Linux does: what counts is how many
/// processors were busy since somebody last asked. An idle machine has 0, one busy thread 1; but never more than there are processors.
#[must_use]
pub fn averages() -> [u64; 3] {
    let now = up_ns();
    let due = |l: &Load| now.saturating_sub(l.until_ns) / SAMPLE_NS;
    let last = *LOAD.lock();
    if due(&last) == 0 {
        // Before anything is asked of the processes: sysinfo(2) is called by programs that sort.
        return last.averages;
    }
    let used = used();
    let used_us = used.utime_us + used.stime_us;
    let mut load = LOAD.lock();
    let samples = due(&load);
    if samples > 0 {
        let busy_ns = used_us.saturating_sub(load.used_us) * 1000;
        let active = (u128::from(busy_ns) * u128::from(ONE) / u128::from(now - load.until_ns)) as u64;
        load.averages = core::array::from_fn(|i| after(load.averages[i], KEPT[i], active, samples));
        *load = Load { averages: load.averages, until_ns: now, used_us: used_us.max(load.used_us) };
    }
    load.averages
}

/// An average after `samples` samples of `active`, each of which leaves `kept` of it (Linux: `calc_load_n`).
fn after(average: u64, kept: u64, active: u64, samples: u64) -> u64 {
    let (mut left, mut power, mut n) = (ONE, kept, samples);
    while n > 0 && left > 0 {
        if n & 1 != 0 {
            left = (left * power + ONE / 2) >> SHIFT;
        }
        power = (power * power + ONE / 2) >> SHIFT;
        n >>= 1;
    }
    let sum = average * left + active * (ONE - left);
    // Rounded away from where it was, so that it gets there.
    (sum + if active >= average { ONE - 1 } else { 0 }) >> SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_busy_thread_comes_to_one_and_goes() {
        let minute = after(0, KEPT[0], ONE, 12);
        // 1 - 1/e of 2048.
        assert!((1280..=1310).contains(&minute), "{minute}");
        assert_eq!(after(minute, KEPT[0], ONE, 100_000), ONE);
        assert!(after(0, KEPT[2], ONE, 12) < 150);
        assert_eq!(after(ONE, KEPT[0], 0, 100_000), 0);
        assert_eq!(after(700, KEPT[1], 900, 0), 700);
    }

    #[test]
    fn many_samples_at_once_are_as_good_as_one_by_one() {
        let singly = (0..10).fold(500, |a, _| after(a, KEPT[1], 2 * ONE, 1));
        let at_once = after(500, KEPT[1], 2 * ONE, 10);
        assert!(singly.abs_diff(at_once) <= 10, "{singly} {at_once}");
    }
}
