//! A file is written or it is executed, not both: `ETXTBSY` of open(2) and execve(2), Linux's `i_writecount`.

use super::inode::Inode;
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

/// Writers of an inode (or, below zero, programs that run from it), by its address.
static USES: Mutex<BTreeMap<usize, i32>> = host::sync::mutex(BTreeMap::new());

/// One writer's or one program's claim, until it is dropped.
pub struct Claim {
    inode: Arc<dyn Inode>,
    step: i32,
}

/// Claims a file for writing.
///
/// # Errors
/// `ETXTBSY` where a program runs from it.
pub fn write(inode: &Arc<dyn Inode>) -> Result<Claim> {
    Claim::new(inode, 1)
}

/// Claims a file for execution.
///
/// # Errors
/// `ETXTBSY` where it is open for writing.
pub fn execute(inode: &Arc<dyn Inode>) -> Result<Claim> {
    Claim::new(inode, -1)
}

fn key(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>() as usize
}

impl Claim {
    fn new(inode: &Arc<dyn Inode>, step: i32) -> Result<Claim> {
        let mut uses = USES.lock();
        let n = uses.entry(key(inode)).or_insert(0);
        if n.signum() == -step {
            return Err(Errno::ETXTBSY);
        }
        *n += step;
        Ok(Claim { inode: inode.clone(), step })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut uses = USES.lock();
        if let Some(n) = uses.get_mut(&key(&self.inode)) {
            *n -= self.step;
            if *n == 0 {
                uses.remove(&key(&self.inode));
            }
        }
    }
}
