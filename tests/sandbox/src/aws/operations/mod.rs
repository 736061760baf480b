//! The operations that the fake AWS answers, as tables: one row an operation, as AWS's own API models have it.
//!
//! Source: botocore 1.44.5, `data/{iam,sts,eks}/*/service-2.json`. The test `aws_botocore` holds every row against
//! that model: name, HTTP binding, members, which of them are required, lengths, ranges, patterns and errors.

pub mod eks;
pub mod iam;
mod pattern;
pub mod sts;
mod validate;

pub use pattern::Pattern;

use super::contract::Service;

/// One operation of AWS's API.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The service that has it.
    pub service: Service,
    /// `CreateRole`.
    pub name: &'static str,
    /// Whether it must be signed. `AssumeRoleWithWebIdentity` alone is not: the token is the credential.
    pub signed: bool,
    /// How a request for it looks on the wire.
    pub http: Http,
    /// The members of its input.
    pub input: &'static [Field],
    /// Whether it changes anything; the call log counts writes by it.
    pub write: bool,
    /// The errors that AWS models for it, as the wire names them: `NoSuchEntity`, `ResourceNotFoundException`.
    pub errors: &'static [&'static str],
}

/// How an operation is bound to HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// The query protocol: `POST /`, a form with `Action` and `Version`.
    Query,
    /// The rest-json protocol. A `{label}` of the path is a member of the input.
    Rest {
        /// `POST`.
        method: &'static str,
        /// `/clusters/{clusterName}/access-entries`.
        path: &'static str,
    },
}

/// One member of an operation's input, or of a structure inside it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// `RoleName`.
    pub name: &'static str,
    /// Whether a request without it is refused.
    pub required: bool,
    /// What it may hold.
    pub kind: Kind,
    /// Where it stands in a request.
    pub place: Place,
}

/// Where a member of the input stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the form (query protocol) or the JSON body (rest-json).
    Body,
    /// In the path, percent-encoded.
    Label,
    /// In the query string.
    Query,
}

/// What a member may hold. Lengths are in characters, as AWS counts them; [`UNBOUNDED`] where the model has none.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A string.
    Text {
        /// Least length.
        min: usize,
        /// Greatest length.
        max: usize,
        /// The regular expression that the whole of it must satisfy.
        pattern: Option<Pattern>,
    },
    /// A string that is one of these.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Integer {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// `true` or `false`.
    Boolean,
    /// A list of strings.
    Texts {
        /// Fewest items, and most.
        items: (usize, usize),
        /// Least and greatest length of each.
        each: (usize, usize),
        /// The regular expression that each must satisfy.
        pattern: Option<Pattern>,
    },
    /// At most fifty tags as IAM and STS have them: a list of `{"Key": .., "Value": ..}`.
    Tags,
    /// One to fifty tags as EKS has them: an object from key to value.
    TagMap,
    /// A structure.
    Structure(&'static [Field]),
    /// A list of structures.
    Structures {
        /// Fewest items, and most.
        items: (usize, usize),
        /// The members of each.
        of: &'static [Field],
    },
}

/// What each of [`Kind::Tags`] holds.
pub const TAG: &[Field] = &[
    required("Key", matching(1, 128, Pattern::TagKey)),
    required("Value", matching(0, 256, Pattern::TagValue)),
];

/// No upper limit in AWS's model.
pub const UNBOUNDED: usize = usize::MAX;

/// A member that must be there, in the body.
#[must_use]
pub const fn required(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        required: true,
        kind,
        place: Place::Body,
    }
}

/// A member that may be left out, in the body.
#[must_use]
pub const fn optional(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        required: false,
        kind,
        place: Place::Body,
    }
}

/// A member that is a label of the path; always required.
#[must_use]
pub const fn label(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        required: true,
        kind,
        place: Place::Label,
    }
}

/// A member in the query string that may be left out.
#[must_use]
pub const fn in_query(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        required: false,
        kind,
        place: Place::Query,
    }
}

/// A string without a pattern.
#[must_use]
pub const fn text(min: usize, max: usize) -> Kind {
    Kind::Text {
        min,
        max,
        pattern: None,
    }
}

/// A string that satisfies a pattern.
#[must_use]
pub const fn matching(min: usize, max: usize, pattern: Pattern) -> Kind {
    Kind::Text {
        min,
        max,
        pattern: Some(pattern),
    }
}

/// Every operation of one service.
#[must_use]
pub fn of(service: Service) -> &'static [Operation] {
    match service {
        Service::Iam => iam::OPERATIONS,
        Service::Sts => sts::OPERATIONS,
        Service::Eks => eks::OPERATIONS,
    }
}

/// Every operation of every service.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    [Service::Iam, Service::Sts, Service::Eks].into_iter().flat_map(of)
}

/// The row of an operation, by its name.
#[must_use]
pub fn find(service: Service, name: &str) -> Option<&'static Operation> {
    of(service).iter().find(|operation| operation.name == name)
}
