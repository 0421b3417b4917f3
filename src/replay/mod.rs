//! Drives an allocator with requests on virtual time.

mod request;

pub use request::{Ask, Device, Dom, Path, Request, Slot};
