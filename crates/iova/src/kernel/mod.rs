//! The allocators: pure state machines, without files, clock, randomness or printing.
//!
//! The kernel's functions (`drivers/iommu/iova.c` and `dma-iommu.c`), and what models them here:
//!
//! | kernel | here |
//! | --- | --- |
//! | `init_iova_domain()` | [`iova::IovaTree::new`] |
//! | `alloc_iova()`, `free_iova()`, `__free_iova()` | [`domain::Domain::alloc_iova`], [`free_iova`](domain::Domain::free_iova) |
//! | `alloc_iova_fast()`, `free_iova_fast()` | [`domain::Domain::alloc_iova_fast`], [`free_iova_fast`](domain::Domain::free_iova_fast) |
//! | `reserve_iova()`, `__is_range_overlap()`, `__adjust_overlap_range()`, `__insert_new_range()` | [`domain::Domain::reserve_iova`], [`address_space::AddressSpace::reserve_over`] |
//! | `__alloc_and_insert_iova_range()` | `alloc_first_fit` and `walk_range_by_range` in [`iova`] |
//! | `__get_cached_rbnode()`, `__cached_rbnode_insert_update()`, `__cached_rbnode_delete_update()`, `iova_find_limit()`, `iova_insert_rbtree()`, `remove_iova()` | [`iova`] |
//! | `private_find_iova()`, `find_iova()` | [`rbtree::RangeTree::find`] |
//! | `iova_rcache_get()`, `iova_rcache_insert()`, `iova_magazine_free_pfns()`, `iova_depot_work_func()`, `iova_cpuhp_dead()` | [`domain`] |
//! | `__iova_rcache_get()`, `__iova_rcache_insert()`, `iova_magazine_empty()`, `iova_magazine_full()`, `iova_magazine_pop()`, `iova_magazine_push()`, `iova_depot_pop()`, `iova_depot_push()`, `free_cpu_cached_iovas()`, `free_global_cached_iovas()`, `free_iova_rcaches()`, `iova_domain_init_rcaches()` | [`rcache`] |
//! | `iommu_dma_alloc_iova()`, `iommu_dma_free_iova()` | [`dma`] |
//! | `iommu_dma_init_fq()`, `queue_iova()`, `fq_full()`, `fq_ring_add()`, `fq_ring_free()`, `fq_flush_iotlb()`, `fq_flush_timeout()` | [`flush_queue`] |
//!
//! Modules, from the bottom up:
//!
//! * [`changes`], [`rules`]: the table of kernel changes, and which of them an allocator has.
//! * [`rbtree`]: the ranges, and searches over them.
//! * [`address_space`]: what an address space does; [`iova`] (with `walk` and `best_fit`) and
//!   [`maple`] implement it, [`design`] lists them.
//! * [`rcache`], [`flush_queue`]: per-CPU caches and flush queues.
//! * [`machine`], [`timer`]: what all domains share.
//! * [`allocator`], [`allocator_list`]: allocators by name; [`config`]: the domains that they can
//!   have.
//! * [`domain`], [`dma`]: all of these together, and the DMA layer's two tries.

pub mod address_space;
pub mod allocator;
pub mod allocator_list;
mod best_fit;
pub mod changes;
pub mod config;
pub mod counters;
pub mod design;
pub mod dma;
pub mod domain;
pub mod flush_queue;
pub mod iova;
pub mod machine;
pub mod maple;
pub mod rbtree;
pub mod rcache;
pub mod rules;
pub mod timer;
mod walk;

pub use address_space::{AddressSpace, Asked, Crash, Refusal, Snapshot, State};
pub use allocator::Allocator;
pub use changes::{Change, Release};
pub use config::{ConfigError, DomainConfig, DomainOptions};
pub use counters::Counters;
pub use domain::{Answer, Domain};
pub use flush_queue::FlushQueue;
pub use machine::Memory;
pub use rules::Rules;
