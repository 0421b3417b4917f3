//! The model and a naive one walk in lockstep: every answer, step and state must be the same.

mod canaries;
mod compare;
mod generate;
mod invariants;
mod large;
mod mixture;
mod naive;
mod random;
mod random_traces;
mod recorded;
mod shrink;
mod small_worlds;
mod trace;
