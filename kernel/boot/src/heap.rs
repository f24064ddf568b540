//! The guest kernel's heap: all of [`layout::HEAP_BASE`]..[`layout::HEAP_END`], whose pages the host gives when touched.

use abi::layout;
use host::sync::RawLock;
use talc::TalcLock;
use talc::source::Manual;

#[global_allocator]
static HEAP: TalcLock<RawLock, Manual> = TalcLock::new(Manual);

/// Hands the mapped heap region to the allocator.
pub fn init() {
    let size = (layout::HEAP_END - layout::HEAP_BASE) as usize;
    // SAFETY: boot has just mapped the region, nobody else uses it.
    let arena = unsafe { HEAP.lock().claim(layout::HEAP_BASE as *mut u8, size) };
    assert!(arena.is_some(), "the heap region is unusable");
}
