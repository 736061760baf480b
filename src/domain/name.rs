//! Names that cannot be wrong: each is parsed once, and carries AWS's or Kubernetes' limit with its source.

use std::{fmt, str::FromStr};

use serde::Serialize;

use super::allow::letters_apart;

/// A text that is not the name it was given as, with a sentence that says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {kind}: {hint}")]
pub struct InvalidName {
    /// What it should have been: "an AWS account ID".
    pub kind: &'static str,
    /// What was given.
    pub value: String,
    /// What to write instead.
    pub hint: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $hint:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(value: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    Ok(Self(value.to_owned()))
                } else {
                    Err(InvalidName { kind: $kind, value: value.to_owned(), hint: $hint })
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn made_of(value: &str, length: std::ops::RangeInclusive<usize>, allowed: fn(char) -> bool) -> bool {
    length.contains(&value.len()) && value.chars().all(allowed)
}

/// The characters of IAM names, and of path segments that can never be read as a pattern:
/// `[A-Za-z0-9_+=,.@-]` (IAM `CreateRole`, `RoleName`).
fn iam_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

name!(
    /// An AWS account ID: exactly 12 digits.
    AccountId,
    "an AWS account ID",
    "write its 12 digits, as in 222222222222; in YAML they stand in quotation marks",
    |v| made_of(v, 12..=12, |c| c.is_ascii_digit())
);

name!(
    /// An AWS region's code, `eu-west-1`: lower-case words and a number, joined by hyphens.
    Region,
    "an AWS region",
    "write a region's code, as in \"eu-west-1\"",
    |v| {
        let parts: Vec<&str> = v.split('-').collect();
        let (Some((number, words)), true) = (parts.split_last(), v.len() <= 32) else { return false };
        words.len() >= 2
            && made_of(number, 1..=2, |c| c.is_ascii_digit())
            && words.iter().all(|word| made_of(word, 1..=16, |c| c.is_ascii_lowercase()))
    }
);

name!(
    /// An EKS cluster's name: 1 to 100 characters, `^[0-9A-Za-z][A-Za-z0-9-_]*` (EKS `CreateCluster`, `name`).
    ClusterName,
    "an EKS cluster name",
    "write 1 to 100 letters, digits, hyphens or underscores, the first a letter or digit",
    |v| made_of(v, 1..=100, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && v.starts_with(|c: char| c.is_ascii_alphanumeric())
);

name!(
    /// An IAM role's name: 1 to 64 of `[\w+=,.@-]` (IAM `CreateRole`, `RoleName`).
    RoleName,
    "an IAM role name",
    "write 1 to 64 letters, digits or characters of _+=,.@-",
    |v| made_of(v, 1..=64, iam_char)
);

name!(
    /// An IAM policy's name: 1 to 128 of `[\w+=,.@-]` (IAM `CreatePolicy`, `PolicyName`).
    PolicyName,
    "an IAM policy name",
    "write 1 to 128 letters, digits or characters of _+=,.@-",
    |v| made_of(v, 1..=128, iam_char)
);

name!(
    /// A Kubernetes namespace or service account: a DNS label of at most 63 characters for namespaces, a DNS
    /// subdomain of at most 253 for service accounts (Kubernetes, "Object Names and IDs").
    KubernetesName,
    "a Kubernetes name",
    "write lower-case letters, digits, hyphens or dots, starting and ending with a letter or digit",
    |v| made_of(v, 1..=253, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
        && v.starts_with(|c: char| c.is_ascii_alphanumeric())
        && v.ends_with(|c: char| c.is_ascii_alphanumeric())
);

impl RoleName {
    /// A role name made of a prefix, at most 40 characters of a name, a hyphen and eight hex digits. Characters that
    /// IAM does not take are left out, so that the result is always a role name.
    #[must_use]
    pub(super) fn derived(prefix: &'static str, name: &str, hash: &str) -> Self {
        let cut = name.chars().filter(|c| iam_char(*c)).take(40);
        Self(
            prefix
                .chars()
                .chain(cut)
                .chain(['-'])
                .chain(hash.chars().filter(|c| iam_char(*c)))
                .collect(),
        )
    }
}

/// One segment of an IAM path or ARN that must never be read as a pattern.
#[must_use]
pub fn is_plain_segment(segment: &str) -> bool {
    !segment.is_empty() && segment.chars().all(iam_char)
}

/// AWS's partitions. Roles are never assumed across them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// The commercial regions.
    Aws,
    /// China.
    AwsCn,
    /// AWS GovCloud (US).
    AwsUsGov,
    /// AWS ISO (US).
    AwsIso,
    /// AWS ISOB (US).
    AwsIsoB,
    /// AWS ISOE (Europe).
    AwsIsoE,
    /// AWS ISOF.
    AwsIsoF,
    /// AWS European Sovereign Cloud.
    AwsEusc,
}

impl Partition {
    /// The partition's name in ARNs (botocore, `partitions.json`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
            Self::AwsIso => "aws-iso",
            Self::AwsIsoB => "aws-iso-b",
            Self::AwsIsoE => "aws-iso-e",
            Self::AwsIsoF => "aws-iso-f",
            Self::AwsEusc => "aws-eusc",
        }
    }

    /// What the hosts of its services end in (botocore, `partitions.json`, `dnsSuffix`).
    #[must_use]
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
            Self::AwsIso => "c2s.ic.gov",
            Self::AwsIsoB => "sc2s.sgov.gov",
            Self::AwsIsoE => "cloud.adc-e.uk",
            Self::AwsIsoF => "csp.hci.ic.gov",
            Self::AwsEusc => "amazonaws.eu",
        }
    }

    /// The partition of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Aws,
            Self::AwsCn,
            Self::AwsUsGov,
            Self::AwsIso,
            Self::AwsIsoB,
            Self::AwsIsoE,
            Self::AwsIsoF,
            Self::AwsEusc,
        ]
        .into_iter()
        .find(|partition| partition.name() == name)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Partition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What the names of AWS's regions say of where in their area they are (AWS, "Regions and Availability Zones").
const DIRECTIONS: [&str; 9] = [
    "central",
    "east",
    "north",
    "northeast",
    "northwest",
    "south",
    "southeast",
    "southwest",
    "west",
];

impl Region {
    /// The region that is meant, where this one's name has no direction that AWS names regions by, but nearly one. Which
    /// regions there are is not known here: new ones come.
    #[must_use]
    pub fn meant(&self) -> Option<Self> {
        let mut parts: Vec<&str> = self.0.split('-').collect();
        let direction = parts.iter_mut().rev().nth(1)?;
        let near = DIRECTIONS
            .into_iter()
            .min_by_key(|known| letters_apart(known, direction))?;
        let apart = letters_apart(near, direction);
        *direction = near;
        (1..=2).contains(&apart).then(|| parts.join("-").parse().ok()).flatten()
    }

    /// The partition that the region belongs to (botocore, `partitions.json`, `regionRegex`).
    #[must_use]
    pub fn partition(&self) -> Partition {
        let prefixes = [
            ("cn-", Partition::AwsCn),
            ("us-gov-", Partition::AwsUsGov),
            ("us-iso-", Partition::AwsIso),
            ("us-isob-", Partition::AwsIsoB),
            ("eu-isoe-", Partition::AwsIsoE),
            ("us-isof-", Partition::AwsIsoF),
            ("eu-isof-", Partition::AwsIsoF),
            ("eusc-", Partition::AwsEusc),
        ];
        prefixes
            .iter()
            .find(|(prefix, _)| self.0.starts_with(prefix))
            .map_or(Partition::Aws, |(_, partition)| *partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_twelve_digits() {
        assert!("222222222222".parse::<AccountId>().is_ok());
        for wrong in ["22222222222", "2222222222222", "22222222222a", "", "*"] {
            assert!(wrong.parse::<AccountId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions_know_their_partition() {
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eusc-de-east-1", "aws-eusc"),
            ("ap-southeast-10", "aws"),
        ] {
            assert_eq!(region.parse::<Region>().unwrap().partition().name(), partition);
        }
        for wrong in ["eu-west", "eu_west_1", "EU-WEST-1", "eu-west-*", "1", "eu--1"] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_misspelt_region_is_known_by_its_direction() {
        let meant = |text: &str| text.parse::<Region>().unwrap().meant().map(|meant| meant.to_string());
        for (text, region) in [
            ("eu-centrl-1", "eu-central-1"),
            ("eu-wets-1", "eu-west-1"),
            ("ap-southest-2", "ap-southeast-2"),
            ("us-gov-wst-1", "us-gov-west-1"),
        ] {
            assert_eq!(meant(text).as_deref(), Some(region));
        }
        for right in [
            "eu-west-1",
            "mx-central-1",
            "us-gov-east-1",
            "eusc-de-east-1",
            "xx-downtown-1",
        ] {
            assert_eq!(meant(right), None, "{right}");
        }
    }

    #[test]
    fn no_name_can_hold_a_pattern() {
        for wrong in ["a*", "a?", "${a}", "a/b", ""] {
            assert!(wrong.parse::<RoleName>().is_err(), "{wrong}");
            assert!(wrong.parse::<ClusterName>().is_err(), "{wrong}");
            assert!(!is_plain_segment(wrong), "{wrong}");
        }
    }
}
