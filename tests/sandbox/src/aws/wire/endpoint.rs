//! Which host is which service, in which partition and region.
//!
//! Source: botocore 1.44.5, `partitions.json` and the endpoint rule sets of IAM, STS and EKS. The test `aws_botocore`
//! resolves every variant of every partition with botocore and asks this module for each.

use crate::aws::contract::Service;

/// One of AWS's partitions.
#[derive(Debug)]
pub(crate) struct Partition {
    /// `aws-us-gov`: the second part of its ARNs.
    pub(crate) id: &'static str,
    suffix: &'static str,
    dual_stack: &'static str,
    /// The names of its regions, as botocore has them.
    regions: &'static [&'static str],
    /// The region that IAM's requests are signed for.
    iam_region: &'static str,
    /// The middle label of IAM's host; none in `aws`.
    iam_label: Option<&'static str>,
}

const COMMERCIAL: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "me-west-1",
    "mx-central-1",
    "sa-east-1",
    "sa-west-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

const PARTITIONS: &[Partition] = &[
    partition("aws", "amazonaws.com", "api.aws", COMMERCIAL, "us-east-1", None),
    partition(
        "aws-us-gov",
        "amazonaws.com",
        "api.aws",
        &["us-gov-east-1", "us-gov-west-1"],
        "us-gov-west-1",
        Some("us-gov"),
    ),
    partition(
        "aws-cn",
        "amazonaws.com.cn",
        "api.amazonwebservices.com.cn",
        &["cn-north-1", "cn-northwest-1"],
        "cn-north-1",
        Some("cn-north-1"),
    ),
    partition(
        "aws-eusc",
        "amazonaws.eu",
        "api.amazonwebservices.eu",
        &["eusc-de-east-1"],
        "eusc-de-east-1",
        Some("eusc-de-east-1"),
    ),
    partition(
        "aws-iso",
        "c2s.ic.gov",
        "api.aws.ic.gov",
        &["us-iso-east-1", "us-iso-west-1"],
        "us-iso-east-1",
        Some("us-iso-east-1"),
    ),
    partition(
        "aws-iso-b",
        "sc2s.sgov.gov",
        "api.aws.scloud",
        &["us-isob-east-1", "us-isob-west-1"],
        "us-isob-east-1",
        Some("us-isob-east-1"),
    ),
    partition(
        "aws-iso-e",
        "cloud.adc-e.uk",
        "api.cloud-aws.adc-e.uk",
        &["eu-isoe-west-1"],
        "eu-isoe-west-1",
        Some("eu-isoe-west-1"),
    ),
    partition(
        "aws-iso-f",
        "csp.hci.ic.gov",
        "api.aws.hci.ic.gov",
        &["us-isof-east-1", "us-isof-south-1"],
        "us-isof-south-1",
        Some("us-isof-south-1"),
    ),
];

const fn partition(
    id: &'static str,
    suffix: &'static str,
    dual_stack: &'static str,
    regions: &'static [&'static str],
    iam_region: &'static str,
    iam_label: Option<&'static str>,
) -> Partition {
    Partition {
        id,
        suffix,
        dual_stack,
        regions,
        iam_region,
        iam_label,
    }
}

impl Partition {
    /// The partition that a region is in.
    pub(crate) fn of_region(region: &str) -> Option<&'static Self> {
        PARTITIONS.iter().find(|partition| partition.has(region))
    }

    fn has(&self, region: &str) -> bool {
        self.regions.contains(&region)
    }

    fn service(&self, labels: &[&str], dual_stack: bool) -> Option<(Service, String)> {
        let region = |region: &str| self.has(region).then(|| region.to_owned());
        match labels {
            ["sts"] if self.id == "aws" && !dual_stack => Some((Service::Sts, self.iam_region.to_owned())),
            ["sts" | "sts-fips", name] => region(name).map(|region| (Service::Sts, region)),
            ["eks" | "eks-fips", name] | ["fips", "eks", name] => region(name).map(|region| (Service::Eks, region)),
            ["iam"] if self.iam_label.is_none() || dual_stack => Some((Service::Iam, self.iam_region.to_owned())),
            ["iam-fips"] => Some((Service::Iam, self.iam_region.to_owned())),
            ["iam" | "iam-fips", "global"] if dual_stack => Some((Service::Iam, self.iam_region.to_owned())),
            ["iam" | "iam-fips", name] if Some(*name) == self.iam_label => {
                Some((Service::Iam, self.iam_region.to_owned()))
            }
            _ => None,
        }
    }
}

/// The region that a partition's IAM is signed for, by any region of that partition.
pub(crate) fn iam_region(region: &str) -> Option<&'static str> {
    Partition::of_region(region).map(|partition| partition.iam_region)
}

/// A host of AWS's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) service: Service,
    pub(crate) partition: &'static str,
    /// The region that a request to it must be signed for.
    pub(crate) region: String,
}

impl Endpoint {
    /// Reads a host, without port. `None`: not a host of IAM, STS or EKS.
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        PARTITIONS.iter().find_map(|partition| {
            [(partition.dual_stack, true), (partition.suffix, false)]
                .into_iter()
                .find_map(|(suffix, dual_stack)| {
                    let rest = host.strip_suffix(suffix)?.strip_suffix('.')?;
                    let labels: Vec<&str> = rest.split('.').collect();
                    let (service, region) = partition.service(&labels, dual_stack)?;
                    Some(Self {
                        service,
                        partition: partition.id,
                        region,
                    })
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Service};

    fn read(host: &str) -> Option<(Service, &'static str, String)> {
        Endpoint::of_host(host).map(|endpoint| (endpoint.service, endpoint.partition, endpoint.region))
    }

    #[test]
    fn hosts_of_every_partition() {
        let expected = [
            ("iam.amazonaws.com", Service::Iam, "aws", "us-east-1"),
            ("iam.cn-north-1.amazonaws.com.cn", Service::Iam, "aws-cn", "cn-north-1"),
            ("iam.us-gov.amazonaws.com", Service::Iam, "aws-us-gov", "us-gov-west-1"),
            (
                "iam.eusc-de-east-1.amazonaws.eu",
                Service::Iam,
                "aws-eusc",
                "eusc-de-east-1",
            ),
            ("iam.global.api.aws", Service::Iam, "aws", "us-east-1"),
            ("sts.amazonaws.com", Service::Sts, "aws", "us-east-1"),
            ("sts.eu-west-1.amazonaws.com", Service::Sts, "aws", "eu-west-1"),
            (
                "sts.us-gov-east-1.amazonaws.com",
                Service::Sts,
                "aws-us-gov",
                "us-gov-east-1",
            ),
            ("eks.ap-southeast-2.api.aws", Service::Eks, "aws", "ap-southeast-2"),
            ("fips.eks.us-east-1.amazonaws.com", Service::Eks, "aws", "us-east-1"),
            (
                "eks-fips.us-gov-west-1.api.aws",
                Service::Eks,
                "aws-us-gov",
                "us-gov-west-1",
            ),
            (
                "EKS.cn-northwest-1.amazonaws.com.cn",
                Service::Eks,
                "aws-cn",
                "cn-northwest-1",
            ),
        ];
        for (host, service, partition, region) in expected {
            assert_eq!(read(host), Some((service, partition, region.to_owned())), "{host}");
        }
    }

    #[test]
    fn anything_else_is_no_host_of_ours() {
        let others = [
            "s3.amazonaws.com",
            "eks.amazonaws.com",
            "eks.mars-1.amazonaws.com",
            "sts.eu-nowhere-9.amazonaws.com",
            "iam.eu-west-1.amazonaws.com",
            "sts.amazonaws.com.cn",
            "sts.eu-west-1.amazonaws.com.evil.example",
            "evilsts.eu-west-1.amazonaws.com",
            "a.sts.eu-west-1.amazonaws.com",
            "stsamazonaws.com",
            "",
        ];
        for host in others {
            assert_eq!(read(host), None, "{host}");
        }
    }
}
