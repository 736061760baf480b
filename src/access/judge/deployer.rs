//! From the management role into the deployer role (`AssumeRole`, as Argo CD asks: no external ID, no tags).

use super::{
    failed, management, passed,
    refusal::{self, PolicyKind, Sides},
};
use crate::{
    access::{
        chain::{Found, Trouble},
        evidence::{Attempt, AwsRefusal, Evidence},
        reason::Reason,
        subject::Subject,
    },
    api::condition::ConditionType,
    aws::{Look, RoleDocuments},
    policy::{Asked, Document, Ruling, trust::as_role},
};

pub(super) fn judge(subject: &Subject, evidence: &Evidence) -> Found {
    match &evidence.deployer {
        Attempt::NotMade => Found::NotReached,
        Attempt::Done(()) => passed(format!("assumed {}", subject.deployer)),
        Attempt::Failed(refused) => {
            let what = format!("sts:AssumeRole of {} as {}", subject.deployer, subject.hub.role);
            refusal::general(subject, evidence.vantage, &what, refused)
                .unwrap_or_else(|| denied(subject, evidence, refused, &what))
        }
    }
}

fn denied(subject: &Subject, evidence: &Evidence, refused: &AwsRefusal, what: &str) -> Found {
    let undecided = format!("{what} was refused");
    let said = format!("AWS says {}: {}", refused.code, refused.message);
    if evidence.hub_documents.role == Look::Absent {
        return management::missing(subject, &said);
    }
    if evidence.spoke_documents.role == Look::Absent {
        return failed(
            Reason::DeployerRoleMissing,
            format!("there is no role {}. {said}", subject.deployer),
            subject.mending.undone_to_role("deleted it", "make it again"),
        );
    }
    // A session that brings tags (EKS Pod Identity's are transitive) needs a second action on both sides.
    let tagging = refused.message.contains("sts:TagSession");
    let action = if tagging { "sts:TagSession" } else { "sts:AssumeRole" };
    let sides = read(subject, evidence, action);
    if let Some((kind, ruling)) = sides.refusing() {
        let by = refused_by(subject, evidence, kind, action);
        return documented(subject, &said, kind, ruling, tagging, by.as_deref());
    }
    if tagging {
        return failed(
            Reason::TagSessionRefused,
            format!("{undecided}. {said}"),
            "allow sts:TagSession beside sts:AssumeRole in the deployer role's trust policy and in the management role's own policy",
        );
    }
    if let Some(kind) = refusal::by_phrase(&refused.message) {
        let found = failed(kind.reason(), format!("{undecided}. {said}"), next(subject, kind));
        return refusal::unproven(evidence.vantage, found);
    }
    let found = undetermined(subject, evidence, format!("{undecided}. {said}"), refused, sides);
    refusal::unproven(evidence.vantage, found)
}

/// A document says so itself, `by` one of its statements.
fn documented(
    subject: &Subject,
    said: &str,
    kind: PolicyKind,
    ruling: Ruling,
    tagging: bool,
    by: Option<&str>,
) -> Found {
    let (deployer, management) = (&subject.deployer, &subject.hub.role);
    let action = if tagging { "sts:TagSession" } else { "sts:AssumeRole" };
    let denies = ruling == Ruling::Denied;
    let does = if denies { "denies" } else { "does not allow" };
    let why = match kind {
        PolicyKind::Trust => format!("the trust policy of {deployer} {does} {action} to {management}"),
        PolicyKind::Boundary => format!("the permissions boundary of {management} {does} {action} on {deployer}"),
        PolicyKind::Identity if denies => format!("a policy of {management} denies {action} on {deployer}"),
        PolicyKind::Identity
        | PolicyKind::Session
        | PolicyKind::ServiceControl
        | PolicyKind::ResourceControl
        | PolicyKind::Endpoint => format!("no policy of {management} allows {action} on {deployer}"),
    };
    let (reason, mend) = if tagging {
        let mend = "allow sts:TagSession beside sts:AssumeRole there: ";
        (Reason::TagSessionRefused, format!("{mend}{}", next(subject, kind)))
    } else {
        (kind.reason(), next(subject, kind))
    };
    let by = by.map(|by| format!(": {by}")).unwrap_or_default();
    failed(reason, format!("{why}{by}. {said}"), mend)
}

fn undetermined(subject: &Subject, evidence: &Evidence, said: String, refused: &AwsRefusal, sides: Sides) -> Found {
    let mut candidates = sides.candidates();
    if matches!(evidence.spoke_documents.role, Look::Unseen(_)) {
        candidates.insert(0, Reason::DeployerRoleMissing);
    }
    // STS so refuses sessions of a region that the account has not enabled.
    if ["InvalidClientTokenId", "UnrecognizedClientException"].contains(&refused.code.as_str()) {
        candidates = vec![Reason::RegionDisabled];
    }
    let mut unread = Vec::new();
    if let Look::Unseen(why) = &evidence.spoke_documents.role {
        unread.push(format!("the deployer role could not be read: {why}"));
    }
    if let Look::Unseen(why) = &evidence.hub_documents.role {
        unread.push(format!("the management role could not be read: {why}"));
    }
    let mut next = "AWS does not say which policy it was. ".to_owned();
    let open = sides.open();
    if !unread.is_empty() {
        next.push_str("Run `mooring doctor` with credentials that may read both roles (");
        next.push_str(&unread.join("; "));
        next.push(')');
    } else if !open.is_empty() {
        let open: Vec<&str> = open.iter().map(|kind| kind.words()).collect();
        next.push_str("What was read does not tell whether it is allowed by ");
        next.push_str(&open.join(", nor by "));
        next.push_str(": look there for conditions, and for policies that could not be read");
    } else {
        next.push_str(
            "Both sides' own documents allow it: look for a service or resource control policy of the organisation, and \
             for the policy of the VPC endpoint for STS; a role or policy that was changed just now takes up to two minutes",
        );
    }
    if let Some(told) = subject
        .told(ConditionType::DeployerRoleReady)
        .or_else(|| subject.told(ConditionType::ManagementRoleReady))
    {
        next.push_str(". The operator says ");
        next.push_str(told);
    }
    Found::Failed(Trouble {
        candidates,
        ..Trouble::new(Reason::Undetermined, said, next)
    })
}

fn next(subject: &Subject, kind: PolicyKind) -> String {
    let (deployer, management) = (&subject.deployer, &subject.hub.role);
    match kind {
        PolicyKind::Trust if subject.mending.role_is_theirs() => format!(
            "{}, which must let {management} do sts:AssumeRole and sts:TagSession, without an external ID, which Argo CD \
             cannot send",
            subject
                .mending
                .will_to_role(&format!("mend the trust policy of {deployer}"))
        ),
        PolicyKind::Trust => subject
            .mending
            .will(&format!("put the trust policy of {deployer} back")),
        PolicyKind::Identity => format!(
            "let {management} do sts:AssumeRole and sts:TagSession on {deployer}: {}",
            subject.hub.mending.will_to_role("write that policy")
        ),
        PolicyKind::Boundary => format!(
            "let the permissions boundary of {management} allow sts:AssumeRole and sts:TagSession on {deployer}: compare it \
             with what `mooring bootstrap` prints for account {}",
            management.account
        ),
        PolicyKind::Session => format!(
            "look at what makes the session of {management}: a session policy is given only by whoever assumes the role, \
             and neither Argo CD nor Mooring gives one"
        ),
        PolicyKind::ServiceControl => format!(
            "ask whoever runs the AWS organisation: a service control policy on account {} does not let {management} assume \
             roles there",
            management.account
        ),
        PolicyKind::ResourceControl => format!(
            "ask whoever runs the AWS organisation: a resource control policy on account {} does not let {management} in",
            deployer.account
        ),
        PolicyKind::Endpoint => {
            format!("let the policy of the VPC endpoint for STS in the hub's VPC allow sts:AssumeRole on {deployer}")
        }
    }
}

/// This action, asked for as Argo CD does.
fn with_asked<T>(subject: &Subject, action: &str, asks: impl FnOnce(&Asked<'_>) -> T) -> T {
    as_role(&subject.hub.role, action, &subject.deployer.to_string(), asks)
}

fn seen(role: &Look<RoleDocuments>) -> Option<&RoleDocuments> {
    match role {
        Look::Seen(role) => Some(role),
        Look::Absent | Look::Unseen(_) => None,
    }
}

/// Which statement of a document that refuses this action does so, and by what. The policies of one role are told only
/// where one of them denies it: of many that do not allow it none is nearest.
fn refused_by(subject: &Subject, evidence: &Evidence, kind: PolicyKind, action: &str) -> Option<String> {
    let hub = seen(&evidence.hub_documents.role);
    let texts: Vec<&String> = match kind {
        PolicyKind::Trust => seen(&evidence.spoke_documents.role)
            .map(|role| &role.trust)
            .into_iter()
            .collect(),
        PolicyKind::Boundary => match hub.map(|role| &role.boundary) {
            Some(Look::Seen(text)) => vec![text],
            Some(Look::Absent | Look::Unseen(_)) | None => Vec::new(),
        },
        PolicyKind::Identity => hub
            .and_then(|role| seen_policies(&role.policies))
            .unwrap_or_default()
            .iter()
            .collect(),
        PolicyKind::Session | PolicyKind::ServiceControl | PolicyKind::ResourceControl | PolicyKind::Endpoint => {
            Vec::new()
        }
    };
    let documents = texts.into_iter().filter_map(|text| Document::parse(text).ok());
    with_asked(subject, action, |asked| {
        let mut documents =
            documents.filter(|document| kind != PolicyKind::Identity || document.rules(asked) == Ruling::Denied);
        documents.find_map(|document| document.refused_by(asked))
    })
}

/// What both sides' documents say to this action.
fn read(subject: &Subject, evidence: &Evidence, action: &str) -> Sides {
    let ruling = |text: &str| {
        let document = Document::parse(text);
        document.map_or(Ruling::Unclear, |document| {
            with_asked(subject, action, |asked| document.rules(asked))
        })
    };
    let trust = seen(&evidence.spoke_documents.role).map(|role| ruling(&role.trust));
    let hub = seen(&evidence.hub_documents.role);
    let mut identity = hub.and_then(|role| seen_policies(&role.policies)).map(|policies| {
        policies
            .iter()
            .map(|text| ruling(text))
            .fold(Ruling::NotAllowed, stronger)
    });
    let by_name = trust == Some(Ruling::AllowedByName);
    if by_name && subject.deployer.account == subject.hub.role.account && identity == Some(Ruling::NotAllowed) {
        // In one account a trust policy that names the role is enough (IAM user guide, "Cross-account policy evaluation").
        identity = Some(Ruling::AllowedByName);
    }
    let boundary = hub.and_then(|role| match &role.boundary {
        Look::Seen(text) => Some(ruling(text)),
        Look::Absent => Some(Ruling::AllowedByName),
        Look::Unseen(_) => None,
    });
    Sides {
        identity,
        boundary,
        trust,
    }
}

fn seen_policies(policies: &Look<Vec<String>>) -> Option<&[String]> {
    match policies {
        Look::Seen(policies) => Some(policies),
        Look::Absent => Some(&[]),
        Look::Unseen(_) => None,
    }
}

/// What several policies of one role say together.
fn stronger(one: Ruling, other: Ruling) -> Ruling {
    let rank = |ruling: Ruling| match ruling {
        Ruling::Denied => 4,
        Ruling::AllowedByName => 3,
        Ruling::AllowedToAccount => 2,
        Ruling::Unclear => 1,
        Ruling::NotAllowed => 0,
    };
    if rank(one) >= rank(other) { one } else { other }
}
