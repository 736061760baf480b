//! AWS Identity and Access Management, API version 2010-05-08, protocol query.

use super::{Field, Http, Kind, Operation, Pattern, UNBOUNDED, matching, optional, required, text};
use crate::aws::contract::Service::Iam;

const ROLE_NAME: Kind = matching(1, 64, Pattern::Name);
const POLICY_NAME: Kind = matching(1, 128, Pattern::Name);
const PROFILE_NAME: Kind = matching(1, 128, Pattern::Name);
const ARN: Kind = text(20, 2_048);
const DOCUMENT: Kind = matching(1, 131_072, Pattern::Document);
/// Seconds.
const MAX_SESSION: Kind = Kind::Integer {
    min: 3_600,
    max: 43_200,
};
const MARKER: Kind = matching(1, 320, Pattern::Marker);
const MAX_ITEMS: Kind = Kind::Integer { min: 1, max: 1_000 };
const TAG_KEYS: Kind = Kind::Texts {
    items: (0, 50),
    each: (1, 128),
    pattern: Some(Pattern::TagKey),
};
const CLIENT_IDS: Kind = Kind::Texts {
    items: (0, UNBOUNDED),
    each: (1, 255),
    pattern: None,
};
const THUMBPRINTS: Kind = Kind::Texts {
    items: (0, UNBOUNDED),
    each: (40, 40),
    pattern: None,
};

const fn row(name: &'static str, write: bool, input: &'static [Field], errors: &'static [&'static str]) -> Operation {
    Operation {
        service: Iam,
        name,
        http: Http::Query,
        signed: true,
        write,
        input,
        errors,
    }
}

const fn read(name: &'static str, input: &'static [Field], errors: &'static [&'static str]) -> Operation {
    row(name, false, input, errors)
}

const fn write(name: &'static str, input: &'static [Field], errors: &'static [&'static str]) -> Operation {
    row(name, true, input, errors)
}

/// The table: read or write, name, members of the input, modelled errors.
pub const OPERATIONS: &[Operation] = &[
    write(
        "CreateRole",
        &[
            optional("Path", matching(1, 512, Pattern::Path)),
            required("RoleName", ROLE_NAME),
            required("AssumeRolePolicyDocument", DOCUMENT),
            optional("Description", matching(0, 1_000, Pattern::Description)),
            optional("MaxSessionDuration", MAX_SESSION),
            optional("PermissionsBoundary", ARN),
            optional("Tags", Kind::Tags),
        ],
        &[
            "LimitExceeded",
            "InvalidInput",
            "EntityAlreadyExists",
            "MalformedPolicyDocument",
            "ConcurrentModification",
            "ServiceFailure",
        ],
    ),
    read(
        "GetRole",
        &[required("RoleName", ROLE_NAME)],
        &["NoSuchEntity", "ServiceFailure"],
    ),
    write(
        "UpdateRole",
        &[
            required("RoleName", ROLE_NAME),
            optional("Description", matching(0, 1_000, Pattern::Description)),
            optional("MaxSessionDuration", MAX_SESSION),
        ],
        &["UnmodifiableEntity", "NoSuchEntity", "ServiceFailure"],
    ),
    write(
        "UpdateAssumeRolePolicy",
        &[required("RoleName", ROLE_NAME), required("PolicyDocument", DOCUMENT)],
        &[
            "NoSuchEntity",
            "MalformedPolicyDocument",
            "LimitExceeded",
            "UnmodifiableEntity",
            "ServiceFailure",
        ],
    ),
    write(
        "DeleteRole",
        &[required("RoleName", ROLE_NAME)],
        &[
            "NoSuchEntity",
            "DeleteConflict",
            "LimitExceeded",
            "UnmodifiableEntity",
            "ConcurrentModification",
            "ServiceFailure",
        ],
    ),
    write(
        "TagRole",
        &[required("RoleName", ROLE_NAME), required("Tags", Kind::Tags)],
        &[
            "NoSuchEntity",
            "LimitExceeded",
            "InvalidInput",
            "ConcurrentModification",
            "ServiceFailure",
        ],
    ),
    write(
        "UntagRole",
        &[required("RoleName", ROLE_NAME), required("TagKeys", TAG_KEYS)],
        &["NoSuchEntity", "ConcurrentModification", "ServiceFailure"],
    ),
    read(
        "ListRoleTags",
        &[
            required("RoleName", ROLE_NAME),
            optional("Marker", MARKER),
            optional("MaxItems", MAX_ITEMS),
        ],
        &["NoSuchEntity", "ServiceFailure"],
    ),
    write(
        "PutRolePolicy",
        &[
            required("RoleName", ROLE_NAME),
            required("PolicyName", POLICY_NAME),
            required("PolicyDocument", DOCUMENT),
        ],
        &[
            "LimitExceeded",
            "MalformedPolicyDocument",
            "NoSuchEntity",
            "UnmodifiableEntity",
            "ServiceFailure",
        ],
    ),
    read(
        "GetRolePolicy",
        &[required("RoleName", ROLE_NAME), required("PolicyName", POLICY_NAME)],
        &["NoSuchEntity", "ServiceFailure"],
    ),
    write(
        "DeleteRolePolicy",
        &[required("RoleName", ROLE_NAME), required("PolicyName", POLICY_NAME)],
        &["NoSuchEntity", "LimitExceeded", "UnmodifiableEntity", "ServiceFailure"],
    ),
    read(
        "ListRolePolicies",
        &[
            required("RoleName", ROLE_NAME),
            optional("Marker", MARKER),
            optional("MaxItems", MAX_ITEMS),
        ],
        &["NoSuchEntity", "ServiceFailure"],
    ),
    write(
        "AttachRolePolicy",
        &[required("RoleName", ROLE_NAME), required("PolicyArn", ARN)],
        &[
            "NoSuchEntity",
            "LimitExceeded",
            "InvalidInput",
            "UnmodifiableEntity",
            "PolicyNotAttachable",
            "ServiceFailure",
        ],
    ),
    write(
        "DetachRolePolicy",
        &[required("RoleName", ROLE_NAME), required("PolicyArn", ARN)],
        &[
            "NoSuchEntity",
            "LimitExceeded",
            "InvalidInput",
            "UnmodifiableEntity",
            "ServiceFailure",
        ],
    ),
    read(
        "ListAttachedRolePolicies",
        &[
            required("RoleName", ROLE_NAME),
            optional("PathPrefix", matching(1, 512, Pattern::PolicyPath)),
            optional("Marker", MARKER),
            optional("MaxItems", MAX_ITEMS),
        ],
        &["NoSuchEntity", "InvalidInput", "ServiceFailure"],
    ),
    write(
        "PutRolePermissionsBoundary",
        &[required("RoleName", ROLE_NAME), required("PermissionsBoundary", ARN)],
        &[
            "NoSuchEntity",
            "InvalidInput",
            "UnmodifiableEntity",
            "PolicyNotAttachable",
            "ServiceFailure",
        ],
    ),
    write(
        "DeleteRolePermissionsBoundary",
        &[required("RoleName", ROLE_NAME)],
        &["NoSuchEntity", "UnmodifiableEntity", "ServiceFailure"],
    ),
    write(
        "CreateOpenIDConnectProvider",
        &[
            required("Url", text(1, 255)),
            optional("ClientIDList", CLIENT_IDS),
            optional("ThumbprintList", THUMBPRINTS),
            optional("Tags", Kind::Tags),
        ],
        &[
            "InvalidInput",
            "EntityAlreadyExists",
            "LimitExceeded",
            "ConcurrentModification",
            "ServiceFailure",
            "OpenIdIdpCommunicationError",
        ],
    ),
    read(
        "GetOpenIDConnectProvider",
        &[required("OpenIDConnectProviderArn", ARN)],
        &["InvalidInput", "NoSuchEntity", "ServiceFailure"],
    ),
    read("ListOpenIDConnectProviders", &[], &["ServiceFailure"]),
    write(
        "AddClientIDToOpenIDConnectProvider",
        &[
            required("OpenIDConnectProviderArn", ARN),
            required("ClientID", text(1, 255)),
        ],
        &[
            "ConcurrentModification",
            "InvalidInput",
            "NoSuchEntity",
            "LimitExceeded",
            "ServiceFailure",
        ],
    ),
    write(
        "TagOpenIDConnectProvider",
        &[required("OpenIDConnectProviderArn", ARN), required("Tags", Kind::Tags)],
        &[
            "NoSuchEntity",
            "LimitExceeded",
            "InvalidInput",
            "ConcurrentModification",
            "ServiceFailure",
        ],
    ),
    write(
        "DeleteOpenIDConnectProvider",
        &[required("OpenIDConnectProviderArn", ARN)],
        &["InvalidInput", "NoSuchEntity", "ServiceFailure"],
    ),
    write(
        "CreateInstanceProfile",
        &[
            required("InstanceProfileName", PROFILE_NAME),
            optional("Path", matching(1, 512, Pattern::Path)),
            optional("Tags", Kind::Tags),
        ],
        &[
            "EntityAlreadyExists",
            "InvalidInput",
            "LimitExceeded",
            "ConcurrentModification",
            "ServiceFailure",
        ],
    ),
    write(
        "AddRoleToInstanceProfile",
        &[
            required("InstanceProfileName", PROFILE_NAME),
            required("RoleName", ROLE_NAME),
        ],
        &[
            "NoSuchEntity",
            "EntityAlreadyExists",
            "LimitExceeded",
            "UnmodifiableEntity",
            "ServiceFailure",
        ],
    ),
    write(
        "RemoveRoleFromInstanceProfile",
        &[
            required("InstanceProfileName", PROFILE_NAME),
            required("RoleName", ROLE_NAME),
        ],
        &["NoSuchEntity", "LimitExceeded", "UnmodifiableEntity", "ServiceFailure"],
    ),
    write(
        "DeleteInstanceProfile",
        &[required("InstanceProfileName", PROFILE_NAME)],
        &["NoSuchEntity", "DeleteConflict", "LimitExceeded", "ServiceFailure"],
    ),
    read(
        "ListInstanceProfilesForRole",
        &[
            required("RoleName", ROLE_NAME),
            optional("Marker", MARKER),
            optional("MaxItems", MAX_ITEMS),
        ],
        &["NoSuchEntity", "ServiceFailure"],
    ),
    write(
        "CreatePolicy",
        &[
            required("PolicyName", POLICY_NAME),
            optional("Path", matching(1, 512, Pattern::PolicyPath)),
            required("PolicyDocument", DOCUMENT),
            optional("Description", text(0, 1_000)),
            optional("Tags", Kind::Tags),
        ],
        &[
            "InvalidInput",
            "LimitExceeded",
            "EntityAlreadyExists",
            "MalformedPolicyDocument",
            "ConcurrentModification",
            "ServiceFailure",
        ],
    ),
    read(
        "GetPolicy",
        &[required("PolicyArn", ARN)],
        &["NoSuchEntity", "InvalidInput", "ServiceFailure"],
    ),
    write(
        "DeletePolicy",
        &[required("PolicyArn", ARN)],
        &[
            "NoSuchEntity",
            "LimitExceeded",
            "InvalidInput",
            "DeleteConflict",
            "ServiceFailure",
        ],
    ),
    write(
        "CreatePolicyVersion",
        &[
            required("PolicyArn", ARN),
            required("PolicyDocument", DOCUMENT),
            optional("SetAsDefault", Kind::Boolean),
        ],
        &[
            "NoSuchEntity",
            "MalformedPolicyDocument",
            "InvalidInput",
            "LimitExceeded",
            "ServiceFailure",
        ],
    ),
    read(
        "GetPolicyVersion",
        &[
            required("PolicyArn", ARN),
            required("VersionId", matching(0, UNBOUNDED, Pattern::VersionId)),
        ],
        &["NoSuchEntity", "InvalidInput", "ServiceFailure"],
    ),
    read(
        "ListPolicyVersions",
        &[
            required("PolicyArn", ARN),
            optional("Marker", MARKER),
            optional("MaxItems", MAX_ITEMS),
        ],
        &["NoSuchEntity", "InvalidInput", "ServiceFailure"],
    ),
    write(
        "DeletePolicyVersion",
        &[
            required("PolicyArn", ARN),
            required("VersionId", matching(0, UNBOUNDED, Pattern::VersionId)),
        ],
        &[
            "NoSuchEntity",
            "LimitExceeded",
            "InvalidInput",
            "DeleteConflict",
            "ServiceFailure",
        ],
    ),
];
