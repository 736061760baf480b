//! The whole operator: the binary that users run, on a real API server and the sandbox's AWS, under exactly the
//! policies that are generated for it. What is asserted is read from the call log of AWS, the audit log of the API
//! server, and the objects themselves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    clippy::semicolon_if_nothing_returned,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what is wrong by ending"
)]

mod adopt;
mod answers;
mod apart;
mod binding;
mod chain;
mod connected;
mod create;
mod drift;
mod edits;
mod faults;
mod fleet;
mod halfway;
mod handed_over;
mod hops;
mod judge;
mod keeping;
mod kill;
mod kill_writes;
mod lease;
mod letting_go;
mod management;
mod ministack;
mod modes;
mod person;
mod plan;
mod pod_identity;
mod policies;
mod powers;
mod refusals;
mod refused;
mod remade;
mod removal;
mod rescope;
mod residual;
mod resync;
mod retained;
mod standing_back;
mod support;
mod suspended;
mod sweep;
mod upgrade;
