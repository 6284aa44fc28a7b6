//! Everything through which one thread of the engine sees what another one writes: no other module names `std::sync`.
//!
//! The types are those of the standard library. The package `rust/loom` compiles the modules that share something again, from the
//! same files, with a `sync` of its own, and runs them in every order of their steps that the memory model allows. So nothing is
//! generic and no `cfg` is written for it, and the engine itself is compiled as if this module were not there.
//!
//! Whatever else threads share is shared as safe Rust allows: read by all, or written by one that holds `&mut`. One file has unsafe
//! code, `store/memory.rs`, which says why each block is right.
//!
//! An access is `Relaxed` where it carries its own value and nothing else, or where a phase of the thread pool ends between the
//! write and the read: all that a phase wrote happens before what follows it. Only an id that leads to a value in other memory needs
//! more ([`Lazy`](crate::store::interner::Lazy)).

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
