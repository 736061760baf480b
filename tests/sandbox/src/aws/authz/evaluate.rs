//! AWS's evaluation logic (IAM user guide, `reference_policies_evaluation-logic` and its cross-account page).

use super::{Context, Document, Effect, PrincipalKind};
use crate::aws::contract::{Caller, Check};

/// The types of policy that a request can be decided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyType {
    /// Inline and attached policies of the calling role.
    Identity,
    /// The permissions boundary of the calling role.
    Boundary,
    /// The policy given when the session was made.
    Session,
    /// The trust policy of the role that is to be assumed.
    Trust,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// A statement with `Deny` applies.
    Explicit(PolicyType),
    /// No statement with `Allow` applies.
    Implicit(PolicyType),
}

/// Whether a request may be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allowed,
    /// It may not.
    Denied(Denial),
}

impl Decision {
    /// Whether it may.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }
}

/// Who asks a trust policy for the role.
#[derive(Clone, Copy, Debug)]
pub enum Principal<'a> {
    /// A role session or an account's root.
    Aws(&'a Caller),
    /// An AWS service, by its service principal.
    Service(&'a str),
    /// A web identity, by the ARN of its provider.
    Federated(&'a str),
}

/// Decides one check by the caller's own policies, for an operation that has no resource-based policy. A pure
/// function: tests evaluate logged checks again, against policies that they have changed. The keys known are those
/// of the check and those that follow from the caller (`aws:PrincipalArn`, `aws:PrincipalAccount`, `aws:userid`,
/// `aws:PrincipalTag/*` of its session tags, ...).
#[must_use]
pub fn evaluate(
    identity: &[Document],
    boundary: Option<&Document>,
    session: Option<&Document>,
    check: &Check,
    caller: &Caller,
) -> Decision {
    evaluate_in(identity, boundary, session, &Context::new(check, Some(caller)), caller)
}

/// As [`evaluate`], in a context that knows more keys.
#[must_use]
pub fn evaluate_in(
    identity: &[Document],
    boundary: Option<&Document>,
    session: Option<&Document>,
    context: &Context<'_>,
    caller: &Caller,
) -> Decision {
    if caller.session.is_none() {
        return Decision::Allowed;
    }
    own(identity, boundary, session, context).decision(Grant::None)
}

/// What the caller's own policies say, each type by itself.
struct Own {
    explicit: Option<PolicyType>,
    identity: bool,
    boundary: bool,
    session: bool,
}

fn own(identity: &[Document], boundary: Option<&Document>, session: Option<&Document>, context: &Context<'_>) -> Own {
    let identity = identity.iter().filter_map(|document| document.effect(context)).min();
    let boundary = boundary.map(|document| document.effect(context));
    let session = session.map(|document| document.effect(context));
    let deny = Some(Effect::Deny);
    let explicit = if identity == deny {
        Some(PolicyType::Identity)
    } else if boundary == Some(deny) {
        Some(PolicyType::Boundary)
    } else if session == Some(deny) {
        Some(PolicyType::Session)
    } else {
        None
    };
    let allow = Some(Effect::Allow);
    Own {
        explicit,
        identity: identity == allow,
        boundary: boundary.is_none_or(|effect| effect == allow),
        session: session.is_none_or(|effect| effect == allow),
    }
}

/// What a trust policy gives, by how it names the principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grant {
    /// Nothing.
    None,
    /// It names the principal's account, which leaves the decision to the account's own policies.
    Account,
    /// It names the role, or anyone: in the same account no identity policy is needed.
    Role,
    /// It names the session itself: in the same account no policy of the role limits it.
    Session,
}

impl Own {
    fn decision(&self, grant: Grant) -> Decision {
        let missing = if let Some(policy) = self.explicit {
            Denial::Explicit(policy)
        } else if grant == Grant::Session {
            return Decision::Allowed;
        } else if !self.identity && grant < Grant::Role {
            Denial::Implicit(PolicyType::Identity)
        } else if !self.boundary {
            Denial::Implicit(PolicyType::Boundary)
        } else if !self.session {
            Denial::Implicit(PolicyType::Session)
        } else {
            return Decision::Allowed;
        };
        Decision::Denied(missing)
    }
}

/// Decides by a trust policy alone: for a service or a web identity, which have no policies of their own.
#[must_use]
pub fn trust_only(trust: &Document, principal: Principal<'_>, context: &Context<'_>) -> Decision {
    match granted(trust, principal, context) {
        Err(()) => Decision::Denied(Denial::Explicit(PolicyType::Trust)),
        Ok(Grant::None) => Decision::Denied(Denial::Implicit(PolicyType::Trust)),
        Ok(Grant::Account | Grant::Role | Grant::Session) => Decision::Allowed,
    }
}

/// Decides whether a role session may assume a role. "IAM role trust policies ... must explicitly allow access for
/// principals": without a grant of theirs nothing else counts. Across accounts the caller's own policies must allow
/// it as well, whatever way the trust policy names the caller.
#[must_use]
pub fn trust_decision(
    identity: &[Document],
    boundary: Option<&Document>,
    session: Option<&Document>,
    trust: &Document,
    context: &Context<'_>,
    caller: &Caller,
    same_account: bool,
) -> Decision {
    let own = own(identity, boundary, session, context);
    let grant = match granted(trust, Principal::Aws(caller), context) {
        Err(()) => return Decision::Denied(Denial::Explicit(PolicyType::Trust)),
        Ok(grant) => grant,
    };
    let decided = own.decision(if same_account { grant } else { Grant::Account });
    let explicit = matches!(decided, Decision::Denied(Denial::Explicit(_)));
    if grant == Grant::None && !explicit && (own.identity || same_account) {
        return Decision::Denied(Denial::Implicit(PolicyType::Trust));
    }
    decided
}

/// The strongest grant of a trust policy, or `Err` for an explicit deny.
fn granted(trust: &Document, principal: Principal<'_>, context: &Context<'_>) -> Result<Grant, ()> {
    let mut strongest = Grant::None;
    for statement in trust.applicable(context) {
        let Some((negated, principals)) = &statement.principals else {
            continue;
        };
        let listed = principals
            .iter()
            .map(|(kind, name)| grant(*kind, name, principal))
            .max();
        let given = match (negated, listed.unwrap_or(Grant::None)) {
            (false, listed) => listed,
            (true, Grant::None) => Grant::Role,
            (true, Grant::Account | Grant::Role | Grant::Session) => Grant::None,
        };
        if given == Grant::None {
            continue;
        }
        if statement.effect == Effect::Deny {
            return Err(());
        }
        strongest = strongest.max(given);
    }
    Ok(strongest)
}

fn grant(kind: PrincipalKind, name: &str, principal: Principal<'_>) -> Grant {
    let matches = |yes: bool| if yes { Grant::Role } else { Grant::None };
    match (kind, principal) {
        (PrincipalKind::Aws, Principal::Aws(caller)) => {
            let session = caller.session.as_ref();
            if name == "*" || session.is_some_and(|session| name == session.role_id) {
                Grant::Role
            } else if name == caller.arn && session.is_some() {
                Grant::Session
            } else if is_root_of(name, &caller.account) {
                Grant::Account
            } else {
                Grant::None
            }
        }
        (PrincipalKind::Aws, Principal::Service(_) | Principal::Federated(_)) => matches(name == "*"),
        (PrincipalKind::Service, Principal::Service(service)) => matches(name == service),
        (PrincipalKind::Federated, Principal::Federated(provider)) => matches(name == provider),
        (PrincipalKind::Service, Principal::Aws(_) | Principal::Federated(_))
        | (PrincipalKind::Federated, Principal::Aws(_) | Principal::Service(_)) => Grant::None,
    }
}

fn is_root_of(name: &str, account: &str) -> bool {
    let mut parts = name.split(':');
    name == account || (parts.nth(2) == Some("iam") && parts.nth(1) == Some(account) && parts.next() == Some("root"))
}
