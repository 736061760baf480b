//! Condition operators (IAM user guide, `reference_policies_elements_condition_operators`).

use std::cmp::Ordering;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Context;
use super::pattern::{ArnPattern, Pattern, Reading};

/// How the request's values are compared with the policy's when there may be several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// No set operator.
    None,
    /// `ForAllValues:`, true also when the request does not have the key.
    ForAll,
    /// `ForAnyValue:`.
    ForAny,
}

/// One value of the policy, ready to be compared.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Text(Pattern),
    Arn(ArnPattern),
    Bool(bool),
    Number(&'static [Ordering], f64),
    Date(&'static [Ordering], Timestamp),
    Address(IpAddr, u8),
}

/// One operator, key and its values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    set: Set,
    negated: bool,
    if_exists: bool,
    null: bool,
    key: String,
    tests: Vec<Test>,
}

const EQUAL: &[Ordering] = &[Ordering::Equal];
const LESS: &[Ordering] = &[Ordering::Less];
const LESS_OR_EQUAL: &[Ordering] = &[Ordering::Less, Ordering::Equal];
const GREATER: &[Ordering] = &[Ordering::Greater];
const GREATER_OR_EQUAL: &[Ordering] = &[Ordering::Greater, Ordering::Equal];

impl Condition {
    /// Reads `{"ForAnyValue:StringLikeIfExists": {key: values}}`; `None` when there is no such operator or a value
    /// does not fit it.
    pub(super) fn parse(operator: &str, key: &str, values: &[String], variables: bool) -> Option<Self> {
        let (set, rest) = match operator.split_once(':') {
            Some((set, rest)) if set.eq_ignore_ascii_case("ForAllValues") => (Set::ForAll, rest),
            Some((set, rest)) if set.eq_ignore_ascii_case("ForAnyValue") => (Set::ForAny, rest),
            Some(_) => return None,
            None => (Set::None, operator),
        };
        let (base, if_exists) = match rest.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let (kind, negated) = kind(base)?;
        if kind == Kind::Null && if_exists {
            return None;
        }
        let tests = values
            .iter()
            .map(|value| test(kind, value, variables))
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            set,
            negated,
            if_exists,
            null: kind == Kind::Null,
            key: key.to_owned(),
            tests,
        })
    }

    /// Whether the request satisfies it.
    pub(super) fn holds(&self, context: &Context<'_>) -> bool {
        let present = context.values(&self.key);
        if self.null {
            return self
                .tests
                .iter()
                .any(|test| matches!(test, Test::Bool(absent) if *absent == present.is_none()));
        }
        let Some(present) = present else {
            return self.if_exists || self.set == Set::ForAll || (self.negated && self.set == Set::None);
        };
        let listed = |value: &String| self.tests.iter().any(|test| test.accepts(value, context));
        match (self.set, self.negated) {
            (Set::None | Set::ForAny, false) => present.iter().any(listed),
            (Set::ForAll, false) => present.iter().all(listed),
            (Set::None | Set::ForAll, true) => !present.iter().any(listed),
            (Set::ForAny, true) => !present.iter().all(listed),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text(Reading),
    Arn,
    Bool,
    Null,
    Number(&'static [Ordering]),
    Date(&'static [Ordering]),
    Address,
}

/// `ArnEquals` and `ArnLike` behave identically (same page, "Amazon Resource Name (ARN) condition operators").
fn kind(base: &str) -> Option<(Kind, bool)> {
    Some(match base.to_ascii_lowercase().as_str() {
        "stringequals" => (Kind::Text(Reading::Literal), false),
        "stringnotequals" => (Kind::Text(Reading::Literal), true),
        "stringequalsignorecase" => (Kind::Text(Reading::LiteralAnyCase), false),
        "stringnotequalsignorecase" => (Kind::Text(Reading::LiteralAnyCase), true),
        "stringlike" => (Kind::Text(Reading::Wildcard), false),
        "stringnotlike" => (Kind::Text(Reading::Wildcard), true),
        "arnequals" | "arnlike" => (Kind::Arn, false),
        "arnnotequals" | "arnnotlike" => (Kind::Arn, true),
        "bool" => (Kind::Bool, false),
        "null" => (Kind::Null, false),
        "numericequals" => (Kind::Number(EQUAL), false),
        "numericnotequals" => (Kind::Number(EQUAL), true),
        "numericlessthan" => (Kind::Number(LESS), false),
        "numericlessthanequals" => (Kind::Number(LESS_OR_EQUAL), false),
        "numericgreaterthan" => (Kind::Number(GREATER), false),
        "numericgreaterthanequals" => (Kind::Number(GREATER_OR_EQUAL), false),
        "dateequals" => (Kind::Date(EQUAL), false),
        "datenotequals" => (Kind::Date(EQUAL), true),
        "datelessthan" => (Kind::Date(LESS), false),
        "datelessthanequals" => (Kind::Date(LESS_OR_EQUAL), false),
        "dategreaterthan" => (Kind::Date(GREATER), false),
        "dategreaterthanequals" => (Kind::Date(GREATER_OR_EQUAL), false),
        "ipaddress" => (Kind::Address, false),
        "notipaddress" => (Kind::Address, true),
        _ => return None,
    })
}

fn test(kind: Kind, value: &str, variables: bool) -> Option<Test> {
    Some(match kind {
        Kind::Text(reading) => Test::Text(Pattern::new(value, reading, variables)),
        Kind::Arn => Test::Arn(ArnPattern::new(value, variables)),
        Kind::Bool | Kind::Null => Test::Bool(truth(value)?),
        Kind::Number(orders) => Test::Number(orders, value.parse().ok()?),
        Kind::Date(orders) => Test::Date(orders, date(value)?),
        Kind::Address => {
            let (address, bits) = network(value)?;
            Test::Address(address, bits)
        }
    })
}

impl Test {
    fn accepts(&self, value: &str, context: &Context<'_>) -> bool {
        match self {
            Self::Text(pattern) => pattern.matches(value, context),
            Self::Arn(pattern) => pattern.matches(value, context),
            Self::Bool(wanted) => truth(value) == Some(*wanted),
            Self::Number(orders, wanted) => value
                .parse::<f64>()
                .ok()
                .and_then(|value| value.partial_cmp(wanted))
                .is_some_and(|o| orders.contains(&o)),
            Self::Date(orders, wanted) => date(value).is_some_and(|value| orders.contains(&value.cmp(wanted))),
            Self::Address(network, bits) => value.parse().is_ok_and(|value| within(value, *network, *bits)),
        }
    }
}

fn truth(value: &str) -> Option<bool> {
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// ISO 8601 or seconds since 1970, both of which IAM takes.
fn date(value: &str) -> Option<Timestamp> {
    value.parse().ok().or_else(|| {
        value
            .parse()
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
    })
}

fn network(value: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match value.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (value, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(longest);
    (bits <= longest).then_some((address, bits))
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(u32::from(a)), u128::from(u32::from(n)), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (u128::from(a), u128::from(n), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let drop = u32::from(width - bits);
    address.checked_shr(drop).unwrap_or(0) == network.checked_shr(drop).unwrap_or(0)
}
