//! Files that the encoder beside writes: read, refused, damaged.

mod damage;
mod damaged;
mod encode;
mod read;
