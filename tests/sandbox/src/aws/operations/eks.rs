//! Amazon EKS, API version 2017-11-01, protocol rest-json: the operations that the fake answers.

use super::{Field, Http, Kind, Operation, UNBOUNDED, in_query, label, optional, required, text};
use crate::aws::contract::Service::Eks;

/// `String` of EKS's model has no limits; the service checks it itself.
const STRING: Kind = text(0, UNBOUNDED);
const STRINGS: Kind = Kind::Texts {
    items: (0, UNBOUNDED),
    each: (0, UNBOUNDED),
    pattern: None,
};
const MAX_RESULTS: Kind = Kind::Integer { min: 1, max: 100 };
const ACCESS_SCOPE: &[Field] = &[
    optional("type", Kind::OneOf(&["cluster", "namespace"])),
    optional("namespaces", STRINGS),
];

/// The table.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        service: Eks,
        name: "DescribeCluster",
        http: Http::Rest {
            method: "GET",
            path: "/clusters/{name}",
        },
        signed: true,
        write: false,
        input: &[label("name", STRING)],
        errors: &[
            "ResourceNotFoundException",
            "ClientException",
            "ServerException",
            "ServiceUnavailableException",
        ],
    },
    Operation {
        service: Eks,
        name: "ListAccessEntries",
        http: Http::Rest {
            method: "GET",
            path: "/clusters/{clusterName}/access-entries",
        },
        signed: true,
        write: false,
        input: &[
            label("clusterName", STRING),
            in_query("associatedPolicyArn", STRING),
            in_query("maxResults", MAX_RESULTS),
            in_query("nextToken", STRING),
        ],
        errors: &[
            "ServerException",
            "ResourceNotFoundException",
            "InvalidRequestException",
            "InvalidParameterException",
        ],
    },
    Operation {
        service: Eks,
        name: "CreateAccessEntry",
        http: Http::Rest {
            method: "POST",
            path: "/clusters/{clusterName}/access-entries",
        },
        signed: true,
        write: true,
        input: &[
            label("clusterName", STRING),
            required("principalArn", STRING),
            optional("kubernetesGroups", STRINGS),
            optional("tags", Kind::TagMap),
            optional("clientRequestToken", STRING),
            optional("username", STRING),
            optional("type", STRING),
        ],
        errors: &[
            "ServerException",
            "ResourceNotFoundException",
            "InvalidRequestException",
            "InvalidParameterException",
            "ResourceLimitExceededException",
            "ResourceInUseException",
        ],
    },
    Operation {
        service: Eks,
        name: "DescribeAccessEntry",
        http: Http::Rest {
            method: "GET",
            path: "/clusters/{clusterName}/access-entries/{principalArn}",
        },
        signed: true,
        write: false,
        input: &[label("clusterName", STRING), label("principalArn", STRING)],
        errors: &[
            "ServerException",
            "ResourceNotFoundException",
            "InvalidRequestException",
        ],
    },
    Operation {
        service: Eks,
        name: "UpdateAccessEntry",
        http: Http::Rest {
            method: "POST",
            path: "/clusters/{clusterName}/access-entries/{principalArn}",
        },
        signed: true,
        write: true,
        input: &[
            label("clusterName", STRING),
            label("principalArn", STRING),
            optional("kubernetesGroups", STRINGS),
            optional("clientRequestToken", STRING),
            optional("username", STRING),
        ],
        errors: &[
            "ServerException",
            "ResourceNotFoundException",
            "InvalidRequestException",
            "InvalidParameterException",
        ],
    },
    Operation {
        service: Eks,
        name: "DeleteAccessEntry",
        http: Http::Rest {
            method: "DELETE",
            path: "/clusters/{clusterName}/access-entries/{principalArn}",
        },
        signed: true,
        write: true,
        input: &[label("clusterName", STRING), label("principalArn", STRING)],
        errors: &[
            "ServerException",
            "ResourceNotFoundException",
            "InvalidRequestException",
        ],
    },
    Operation {
        service: Eks,
        name: "AssociateAccessPolicy",
        http: Http::Rest {
            method: "POST",
            path: "/clusters/{clusterName}/access-entries/{principalArn}/access-policies",
        },
        signed: true,
        write: true,
        input: &[
            label("clusterName", STRING),
            label("principalArn", STRING),
            required("policyArn", STRING),
            required("accessScope", Kind::Structure(ACCESS_SCOPE)),
        ],
        errors: &[
            "ServerException",
            "ResourceNotFoundException",
            "InvalidRequestException",
            "InvalidParameterException",
        ],
    },
    Operation {
        service: Eks,
        name: "DisassociateAccessPolicy",
        http: Http::Rest {
            method: "DELETE",
            path: "/clusters/{clusterName}/access-entries/{principalArn}/access-policies/{policyArn}",
        },
        signed: true,
        write: true,
        input: &[
            label("clusterName", STRING),
            label("principalArn", STRING),
            label("policyArn", STRING),
        ],
        errors: &[
            "ServerException",
            "ResourceNotFoundException",
            "InvalidRequestException",
        ],
    },
    Operation {
        service: Eks,
        name: "ListAssociatedAccessPolicies",
        http: Http::Rest {
            method: "GET",
            path: "/clusters/{clusterName}/access-entries/{principalArn}/access-policies",
        },
        signed: true,
        write: false,
        input: &[
            label("clusterName", STRING),
            label("principalArn", STRING),
            in_query("maxResults", MAX_RESULTS),
            in_query("nextToken", STRING),
        ],
        errors: &[
            "ServerException",
            "ResourceNotFoundException",
            "InvalidRequestException",
        ],
    },
    Operation {
        service: Eks,
        name: "ListAccessPolicies",
        http: Http::Rest {
            method: "GET",
            path: "/access-policies",
        },
        signed: true,
        write: false,
        input: &[in_query("maxResults", MAX_RESULTS), in_query("nextToken", STRING)],
        errors: &["ServerException"],
    },
    Operation {
        service: Eks,
        name: "TagResource",
        http: Http::Rest {
            method: "POST",
            path: "/tags/{resourceArn}",
        },
        signed: true,
        write: true,
        input: &[label("resourceArn", STRING), required("tags", Kind::TagMap)],
        errors: &["BadRequestException", "NotFoundException"],
    },
    Operation {
        service: Eks,
        name: "UntagResource",
        http: Http::Rest {
            method: "DELETE",
            path: "/tags/{resourceArn}",
        },
        signed: true,
        write: true,
        input: &[
            label("resourceArn", STRING),
            Field {
                required: true,
                ..in_query(
                    "tagKeys",
                    Kind::Texts {
                        items: (1, 50),
                        each: (1, 128),
                        pattern: None,
                    },
                )
            },
        ],
        errors: &["BadRequestException", "NotFoundException"],
    },
];
