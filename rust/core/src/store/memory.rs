//! Memory for a large table: zeroed, untouched until it is used, on huge pages where the system has them; and prefetch.
//!
//! This is the only module with unsafe code, small enough to be checked by eye. A random access to gigabytes misses the cache
//! and, with small pages, the cache of address translations as well. Prefetching hides the first miss, and huge pages avoid
//! the second.
//!
//! Rejected: `Vec<AtomicU32>`, every cell of which is written once before it is used.

#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

use std::marker::PhantomData;

use memmap2::{MmapMut, MmapRaw};

use crate::sync::{AtomicU32, AtomicU64};

/// A number that threads share.
///
/// # Safety
/// Every bit pattern must be a value, and the type's alignment must divide the size of a page.
pub(crate) unsafe trait Cell: Sync {}

// SAFETY: any 32 bits are a number.
unsafe impl Cell for AtomicU32 {}
// SAFETY: any 64 bits are a number.
unsafe impl Cell for AtomicU64 {}

/// A fixed number of zeroed cells that threads share.
#[derive(Debug)]
pub(crate) struct Cells<C> {
    map: MmapRaw,
    len: usize,
    kind: PhantomData<C>,
}

impl<C: Cell> Cells<C> {
    /// Fails when the system refuses the memory.
    pub(crate) fn zeroed(len: usize) -> std::io::Result<Self> {
        let bytes = len.max(1).checked_mul(size_of::<C>()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let map = MmapMut::map_anon(bytes)?;
        // A hint: without huge pages the table is slower and otherwise the same.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self { map: MmapRaw::from(map), len, kind: PhantomData })
    }

    /// All cells.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[C] {
        // SAFETY: `zeroed` made the map private, anonymous and at least `len` cells long. It starts at a page, so it is
        // aligned, and every bit pattern is a cell. It lives as long as `self`, and nobody ever gets another kind of
        // reference to it, so all accesses are atomic.
        #[allow(clippy::cast_ptr_alignment)]
        unsafe {
            std::slice::from_raw_parts(self.map.as_mut_ptr().cast::<C>(), self.len)
        }
    }
}

/// Asks for the cache line of an item ahead of its use. Does nothing if there is no such item.
#[inline]
pub(crate) fn prefetch<T>(items: &[T], at: usize) {
    if let Some(item) = items.get(at) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch changes nothing, and the address is that of a live item.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch(std::ptr::from_ref(item).cast::<i8>(), _MM_HINT_T0);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = item;
    }
}

/// Makes the allocator give large blocks back to the system when they are freed, and grow them without a copy, from now on.
///
/// glibc does so for blocks above a threshold, which is 128 KiB at first. When a larger block is freed, glibc raises the
/// threshold to its size, up to 32 MiB; later buffers then stay in the heap when they are freed, and the resident size exceeds our
/// accounting. Setting the threshold explicitly, to the same 128 KiB, disables that. It holds for the whole process. With
/// other C libraries nothing changes.
pub(crate) fn give_large_pieces_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: this changes where memory comes from and nothing else; glibc takes its own lock.
    let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Ordering::Relaxed;

    #[test]
    fn cells_start_at_zero_and_keep_what_threads_write() {
        let cells = Cells::<AtomicU32>::zeroed(100_000).unwrap();
        assert_eq!(cells.as_slice().len(), 100_000);
        assert!(cells.as_slice().iter().all(|cell| cell.load(Relaxed) == 0));
        std::thread::scope(|scope| {
            for half in cells.as_slice().chunks(50_000) {
                scope.spawn(|| half.iter().enumerate().for_each(|(at, cell)| cell.store(at as u32, Relaxed)));
            }
        });
        assert_eq!(cells.as_slice()[99_999].load(Relaxed), 49_999);
    }

    #[test]
    fn the_edges_may_be_prefetched_and_no_memory_is_an_error() {
        let cells = Cells::<AtomicU64>::zeroed(3).unwrap();
        for at in [0, 2, 3, usize::MAX] {
            prefetch(cells.as_slice(), at);
        }
        assert_eq!(Cells::<AtomicU32>::zeroed(0).unwrap().as_slice().len(), 0);
        assert!(Cells::<AtomicU32>::zeroed(usize::MAX).is_err());
        assert!(Cells::<AtomicU32>::zeroed(usize::MAX / 64).is_err());
    }
}
