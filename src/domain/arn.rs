//! ARNs: parsed, printed, and never a pattern.

use std::{fmt, str::FromStr};

use serde::Serialize;

use super::name::{AccountId, ClusterName, InvalidName, Partition, Region, RoleName, is_plain_segment};

/// The ARN of an IAM role, with its path.
///
/// Path segments are `[A-Za-z0-9_+=,.@-]+` only: IAM allows `*`, `?` and `${` in a path, and `ArnEquals` would read
/// them as a pattern (IAM user guide, "IAM identifiers"; "ARN condition operators").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    /// The partition.
    pub partition: Partition,
    /// The account that the role lives in.
    pub account: AccountId,
    /// `/` or `/a/b/`.
    pub path: String,
    /// The name without the path: unique in the account, without regard to case.
    pub name: RoleName,
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:{}:iam::{}:role{}{}",
            self.partition, self.account, self.path, self.name
        )
    }
}

impl FromStr for RoleArn {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        parse_role(value).ok_or_else(|| InvalidName {
            kind: "the ARN of an IAM role",
            value: value.to_owned(),
            hint: "write arn:PARTITION:iam::ACCOUNT:role/PATH/NAME, without wildcards",
        })
    }
}

fn parse_role(value: &str) -> Option<RoleArn> {
    let (partition, account, resource) = parse_iam(value)?;
    let (path, name) = split_path(resource.strip_prefix("role")?)?;
    Some(RoleArn {
        partition,
        account: account.parse().ok()?,
        path,
        name: name.parse().ok()?,
    })
}

/// The ARN of an IAM managed policy: the customer's own, or one that AWS manages (`account` is `None`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyArn {
    /// The partition.
    pub partition: Partition,
    /// The account, or `None` where the ARN says `aws`: managed by AWS.
    pub account: Option<AccountId>,
    /// `/` or `/a/b/`.
    pub path: String,
    /// The name without the path.
    pub name: String,
}

impl PolicyArn {
    /// `AWSDenyAll`, the AWS-managed policy that denies everything: as a permissions boundary it makes "this role
    /// has no permissions" a fact that no policy attached later can change.
    #[must_use]
    pub fn deny_all(partition: Partition) -> Self {
        Self {
            partition,
            account: None,
            path: "/".to_owned(),
            name: "AWSDenyAll".to_owned(),
        }
    }
}

impl fmt::Display for PolicyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account.as_ref().map_or("aws", AccountId::as_str);
        write!(
            f,
            "arn:{}:iam::{account}:policy{}{}",
            self.partition, self.path, self.name
        )
    }
}

impl FromStr for PolicyArn {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        parse_policy(value).ok_or_else(|| InvalidName {
            kind: "the ARN of an IAM policy",
            value: value.to_owned(),
            hint: "write arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME (ACCOUNT is aws for AWS's own), without wildcards",
        })
    }
}

fn parse_policy(value: &str) -> Option<PolicyArn> {
    let (partition, account, resource) = parse_iam(value)?;
    let (path, name) = split_path(resource.strip_prefix("policy")?)?;
    let account = if account == "aws" {
        None
    } else {
        Some(account.parse().ok()?)
    };
    Some(PolicyArn {
        partition,
        account,
        path,
        name: name.to_owned(),
    })
}

/// The ARN of an EKS cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterArn {
    /// The cluster's region, which gives the partition.
    pub region: Region,
    /// The cluster's account.
    pub account: AccountId,
    /// The cluster's name.
    pub name: ClusterName,
}

impl fmt::Display for ClusterArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:{}:eks:{}:{}:cluster/{}",
            self.region.partition(),
            self.region,
            self.account,
            self.name
        )
    }
}

/// The ARN of an IAM OIDC provider: made from the issuer, never from a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OidcProviderArn {
    /// The partition.
    pub partition: Partition,
    /// The account.
    pub account: AccountId,
    /// The issuer's URL without `https://`.
    pub issuer_host_and_path: String,
}

impl fmt::Display for OidcProviderArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:{}:iam::{}:oidc-provider/{}",
            self.partition, self.account, self.issuer_host_and_path
        )
    }
}

macro_rules! serialize_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
serialize_as_text!(RoleArn, PolicyArn, ClusterArn, OidcProviderArn);

/// The region in an ARN of any service; empty where it has none.
#[must_use]
pub fn region_in(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

/// The account in an ARN of any service; empty where it has none.
#[must_use]
pub fn account_in(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The name at the end of an ARN, without a path.
#[must_use]
pub fn name_in(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// `arn:P:iam::A:REST` in its three parts.
fn parse_iam(value: &str) -> Option<(Partition, &str, &str)> {
    let mut parts = value.splitn(6, ':');
    let (arn, partition, service, region) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (account, resource) = (parts.next()?, parts.next()?);
    (arn == "arn" && service == "iam" && region.is_empty()).then_some((
        Partition::from_name(partition)?,
        account,
        resource,
    ))
}

/// `/a/b/name` as `/a/b/` and `name`, each segment plain.
fn split_path(resource: &str) -> Option<(String, &str)> {
    let cut = resource.rfind('/')?;
    let (path, name) = resource.split_at(cut + 1);
    let inner = path.strip_prefix('/')?;
    let plain = inner.is_empty() || inner.strip_suffix('/')?.split('/').all(is_plain_segment);
    (plain && is_plain_segment(name)).then(|| (path.to_owned(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns_parse_and_print() {
        for arn in [
            "arn:aws:iam::222222222222:role/x",
            "arn:aws-cn:iam::222222222222:role/mooring/a-b/default/prod-12345678",
            "arn:aws-us-gov:iam::222222222222:role/aws-reserved/sso.amazonaws.com/x",
        ] {
            assert_eq!(arn.parse::<RoleArn>().unwrap().to_string(), arn);
        }
    }

    #[test]
    fn wildcards_and_other_things_are_refused() {
        for arn in [
            "arn:aws:iam::222222222222:role/*",
            "arn:aws:iam::222222222222:role/a*/b",
            "arn:aws:iam::222222222222:role/${aws:username}",
            "arn:aws:iam::222222222222:role//b",
            "arn:aws:iam::*:role/b",
            "arn:aws:iam::222222222222:user/b",
            "arn:aws:sts::222222222222:assumed-role/b/c",
            "arn:nowhere:iam::222222222222:role/b",
            "arn:aws:iam:eu-west-1:222222222222:role/b",
            "role/b",
        ] {
            assert!(arn.parse::<RoleArn>().is_err(), "{arn}");
        }
    }

    #[test]
    fn policies_are_the_customers_or_aws_own() {
        let own = "arn:aws:iam::222222222222:policy/team/limit";
        assert_eq!(own.parse::<PolicyArn>().unwrap().to_string(), own);
        let managed = "arn:aws-cn:iam::aws:policy/AWSDenyAll";
        assert_eq!(
            managed.parse::<PolicyArn>().unwrap(),
            PolicyArn::deny_all(Partition::AwsCn)
        );
        assert!("arn:aws:iam::aws:policy/*".parse::<PolicyArn>().is_err());
    }
}
