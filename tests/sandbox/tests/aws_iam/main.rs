//! The fake IAM and STS, held against AWS's documentation: each test names what it reads there.

mod assume_role;
mod authorization;
mod consistency;
mod limits;
mod policies;
mod providers;
mod roles;
mod support;
mod trust;
mod web_identity;
