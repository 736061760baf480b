//! The fake IAM and STS, held against AWS's documentation: each test names what it reads there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail as tests do"
)]

mod assume_role;
mod authorization;
#[path = "../clients/mod.rs"]
mod clients;
mod consistency;
mod limits;
mod policies;
mod profiles;
mod providers;
mod roles;
mod sdk;
mod support;
mod trust;
mod web_identity;
