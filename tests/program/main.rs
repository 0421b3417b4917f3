//! The program as a user runs it: what it prints, what it leaves behind, how it ends.

mod bad_input;
mod edges;
mod examples;
mod forms;
mod gate;
mod hostile_names;
mod outside;
mod plot;
mod profile;
mod readme;
mod replay;
mod run;
mod support;
mod windows;
