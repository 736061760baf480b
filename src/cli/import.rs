//! Flags of `mooring import`.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser},
};

use crate::domain::name::{AccountId, ClusterName, KubernetesName, Region, RoleName};

/// Flags of `mooring import`.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub struct ImportArgs {
    /// The name of the EKS cluster that Argo CD runs on.
    #[arg(long, value_name = "CLUSTER")]
    pub hub_cluster: ClusterName,

    /// The AWS region of the EKS cluster that Argo CD runs on.
    #[arg(long, value_name = "REGION")]
    pub hub_region: Region,

    /// The AWS account of the EKS cluster that Argo CD runs on: 12 digits.
    #[arg(long, value_name = "ACCOUNT_ID")]
    pub hub_account: AccountId,

    /// The namespace that Argo CD runs in, where its cluster Secrets are.
    #[arg(long, value_name = "NAMESPACE", default_value = "argocd")]
    pub argocd_namespace: KubernetesName,

    /// The name of the ManagementRole that is printed and that the ManagedClusters name.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub management_role: KubernetesName,

    /// The name of the role by which accounts are entered to look, as `mooring bootstrap` prints it.
    #[arg(long, value_name = "ROLE", default_value = "mooring-reader")]
    pub reader_role: RoleName,

    /// The external ID that the reader roles ask for; none when left out.
    #[arg(long, value_name = "ID")]
    pub external_id: Option<String>,

    /// A PEM file with the certificate authorities to trust for AWS, in place of the system's own.
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub ca_bundle: Option<PathBuf>,
}
