//! AWS Security Token Service, API version 2011-06-15, protocol query.

use super::{Field, Http, Kind, Operation, Pattern, UNBOUNDED, matching, optional, required, text};
use crate::aws::contract::Service::Sts;

const ARN: Kind = matching(20, 2_048, Pattern::StsArn);
const SESSION_NAME: Kind = matching(2, 64, Pattern::SessionName);
/// Seconds.
const DURATION: Kind = Kind::Integer { min: 900, max: 43_200 };
/// Bytes.
const TOKEN_SIZE: Kind = Kind::Integer { min: 0, max: 4_096 };
const TAG_KEYS: Kind = Kind::Texts {
    items: (0, 50),
    each: (1, 128),
    pattern: Some(Pattern::TagKey),
};
const POLICY_ARNS: Kind = Kind::Structures {
    items: (0, UNBOUNDED),
    of: &[optional("arn", ARN)],
};
const PROVIDED_CONTEXT: &[Field] = &[
    optional("ProviderArn", ARN),
    optional("ContextAssertion", text(4, 2_048)),
];
const PROVIDED_CONTEXTS: Kind = Kind::Structures {
    items: (1, 5),
    of: PROVIDED_CONTEXT,
};

const fn row(name: &'static str, signed: bool, input: &'static [Field], errors: &'static [&'static str]) -> Operation {
    Operation {
        service: Sts,
        name,
        http: Http::Query,
        signed,
        write: false,
        input,
        errors,
    }
}

const fn signed(name: &'static str, input: &'static [Field], errors: &'static [&'static str]) -> Operation {
    row(name, true, input, errors)
}

const fn unsigned(name: &'static str, input: &'static [Field], errors: &'static [&'static str]) -> Operation {
    row(name, false, input, errors)
}

/// The table: signed or not, name, members of the input, modelled errors.
pub const OPERATIONS: &[Operation] = &[
    signed(
        "AssumeRole",
        &[
            required("RoleArn", ARN),
            required("RoleSessionName", SESSION_NAME),
            optional("PolicyArns", POLICY_ARNS),
            optional("Policy", matching(1, UNBOUNDED, Pattern::Document)),
            optional("DurationSeconds", DURATION),
            optional("Tags", Kind::Tags),
            optional("TransitiveTagKeys", TAG_KEYS),
            optional("ExternalId", matching(2, 1_224, Pattern::ExternalId)),
            optional("SerialNumber", matching(9, 256, Pattern::SerialNumber)),
            optional("TokenCode", matching(6, 6, Pattern::TokenCode)),
            optional("SourceIdentity", SESSION_NAME),
            optional("ProvidedContexts", PROVIDED_CONTEXTS),
            optional("MinimumSessionTokenSize", TOKEN_SIZE),
        ],
        &[
            "MalformedPolicyDocument",
            "PackedPolicyTooLarge",
            "RegionDisabledException",
            "ExpiredTokenException",
        ],
    ),
    unsigned(
        "AssumeRoleWithWebIdentity",
        &[
            required("RoleArn", ARN),
            required("RoleSessionName", SESSION_NAME),
            required("WebIdentityToken", text(4, 20_000)),
            optional("ProviderId", text(4, 2_048)),
            optional("PolicyArns", POLICY_ARNS),
            optional("Policy", matching(1, 2_048, Pattern::Document)),
            optional("DurationSeconds", DURATION),
            optional("MinimumSessionTokenSize", TOKEN_SIZE),
        ],
        &[
            "MalformedPolicyDocument",
            "PackedPolicyTooLarge",
            "IDPRejectedClaim",
            "IDPCommunicationError",
            "InvalidIdentityToken",
            "ExpiredTokenException",
            "RegionDisabledException",
        ],
    ),
    signed("GetCallerIdentity", &[], &[]),
];
