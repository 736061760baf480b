//! OpenID Connect providers of an account.

use jiff::Timestamp;

use super::Tags;

/// One provider.
#[derive(Clone, Debug)]
pub(in crate::aws) struct Provider {
    pub(in crate::aws) arn: String,
    /// The issuer without its scheme, as `GetOpenIDConnectProvider` gives it.
    pub(in crate::aws) url: String,
    /// The audiences that tokens may be for.
    pub(in crate::aws) clients: Vec<String>,
    pub(in crate::aws) thumbprints: Vec<String>,
    pub(in crate::aws) created: Timestamp,
    pub(in crate::aws) tags: Tags,
}
