//! Flags of `mooring plan`.

use std::{path::PathBuf, str::FromStr};

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
    /// They are planned as if they were applied; an object that is on the hub already gives its UID, its status, and the
    /// annotations that the file does not have. Several
    /// files may follow, a file may hold several documents, and of a directory every .yaml, .yml and .json in it is read.
    /// Kinds of others are passed over. All clusters of a
    /// ManagementRole in the files are planned too.
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 1..)]
    pub files: Vec<Source>,

    /// Plan every ManagedCluster and ManagementRole of the hub; files may be laid over them.
    #[arg(long)]
    pub all: bool,

    /// Plan the removal of this ManagedCluster, or with mgr/NAME of this ManagementRole, as if it were deleted now.
    ///
    /// Repeat the flag, or separate by commas. What would be taken away is told, and what would hold it up: Applications
    /// that still deploy to the cluster, and too many removals within an hour; of a ManagementRole the clusters that name
    /// it, and whatever else stands on its role. A kind before the name is as kubectl takes and prints it.
    #[arg(long = "removal", value_name = "NAME", value_delimiter = ',')]
    pub removals: Vec<Removal>,

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

/// An object whose removal is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A `ManagedCluster`, by name.
    Cluster(String),
    /// A `ManagementRole`, by name.
    Role(String),
}

impl FromStr for Removal {
    type Err = String;

    /// Reads a name, which is a `ManagedCluster`'s, or a kind and a name with a slash between, as kubectl does.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((kind, name)) = text.split_once('/') else {
            return Ok(Self::Cluster(text.to_owned()));
        };
        let plain = kind.to_ascii_lowercase();
        let plain = plain.strip_suffix(".mooring.dev").unwrap_or(&plain);
        match plain {
            "mgc" | "managedcluster" | "managedclusters" => Ok(Self::Cluster(name.to_owned())),
            "mgr" | "managementrole" | "managementroles" => Ok(Self::Role(name.to_owned())),
            _ => Err(format!(
                "{kind} is no kind of Mooring's: write the name of a ManagedCluster alone or behind mgc/, or that of a ManagementRole behind mgr/"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_is_named_as_kubectl_names_it() {
        let (cluster, role) = (Removal::Cluster("prod-eu".into()), Removal::Role("default".into()));
        for text in [
            "prod-eu",
            "mgc/prod-eu",
            "managedcluster.mooring.dev/prod-eu",
            "ManagedClusters/prod-eu",
        ] {
            assert_eq!(text.parse(), Ok(cluster.clone()), "{text}");
        }
        for text in [
            "mgr/default",
            "managementrole/default",
            "managementroles.mooring.dev/default",
        ] {
            assert_eq!(text.parse(), Ok(role.clone()), "{text}");
        }
        for text in ["secret/default", "/default"] {
            let refused = text.parse::<Removal>().unwrap_err();
            assert!(refused.contains("mgr/"), "{refused}");
        }
    }
}
