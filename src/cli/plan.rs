//! Flags of `mooring plan`.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser},
};

use super::{PlanOutput, Source};
use crate::domain::name::{AccountId, KubernetesName};

/// Flags of `mooring plan`.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["files", "all", "removals"])))]
pub struct PlanArgs {
    /// A file with ManagedClusters and ManagementRoles as YAML or JSON, a directory of such, or - for standard input.
    ///
    /// They are planned as if they were applied; an object that is on the hub already gives its UID and status. Several
    /// files may follow, a file may hold several documents, and of a directory every .yaml, .yml and .json in it is read.
    /// Kinds of others are passed over. All clusters of a
    /// ManagementRole in the files are planned too.
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 1..)]
    pub files: Vec<Source>,

    /// Plan every ManagedCluster and ManagementRole of the hub; files may be laid over them.
    #[arg(long)]
    pub all: bool,

    /// Plan the removal of this ManagedCluster, as if it were deleted now.
    ///
    /// Repeat the flag, or separate by commas. What would be taken away is told, and what would hold it up: Applications
    /// that still deploy there, and too many removals within an hour.
    #[arg(long = "removal", value_name = "NAME", value_delimiter = ',')]
    pub removals: Vec<String>,

    /// How many removals within an hour the operator allows, as its own flag of this name says; 0 for any number.
    #[arg(long, value_name = "COUNT", default_value = "5", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub removals_per_hour: u32,

    /// The namespaces that the operator serves, as its own flag of this name says.
    ///
    /// Repeat the flag, or separate by commas. Left out, they are those that the ManagementRoles name, and a namespace that
    /// the operator does not serve is not told.
    #[arg(long = "argocd-namespace", value_name = "NAMESPACE", value_delimiter = ',')]
    pub argocd_namespaces: Vec<KubernetesName>,

    /// The AWS account of the hub, for a ManagementRole that the operator has not looked at yet: 12 digits.
    ///
    /// Left out, it is the account of your AWS credentials.
    #[arg(long, value_name = "ACCOUNT_ID")]
    pub hub_account: Option<AccountId>,

    /// The form of what is printed to standard output.
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "text")]
    pub output: PlanOutput,

    /// A PEM file with the certificate authorities to trust for AWS, in place of the system's own.
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub ca_bundle: Option<PathBuf>,
}
