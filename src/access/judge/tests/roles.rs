//! What is said of roles, by documents and by where the walk starts.

use super::*;
use crate::{access::subject::tests::cluster, api::DeployerRoleType};

#[test]
fn what_a_document_rules_out_is_no_candidate() {
    let subject = subject();
    let mut evidence = holding(&subject);
    documented(&subject, &mut evidence);
    cut_at_deployer(&mut evidence, ErrorKind::Denied, "AccessDenied", &denied(""));
    let candidates = |evidence: &Evidence| {
        let walk = judge(&subject, evidence);
        let Found::Failed(trouble) = walk.at(Hop::DeployerRole) else {
            panic!("{walk:?}")
        };
        trouble.candidates.clone()
    };
    let of_organisation = [
        Reason::RefusedByServiceControlPolicy,
        Reason::RefusedByResourceControlPolicy,
        Reason::RefusedByEndpointPolicy,
    ];
    assert_eq!(candidates(&evidence), of_organisation);
    evidence.spoke_documents = SpokeDocuments::default();
    let more = candidates(&evidence);
    assert_eq!(more[..2], [Reason::DeployerRoleMissing, Reason::RefusedByTrustPolicy]);
    assert_eq!(more[2..], of_organisation);
}

#[test]
fn in_one_account_a_trust_that_names_the_role_needs_no_identity_policy() {
    let mut subject = subject();
    subject.deployer.account = subject.hub.role.account.clone();
    let mut evidence = holding(&subject);
    documented(&subject, &mut evidence);
    hub_role(&mut evidence).policies = Look::Seen(Vec::new());
    let named = format!(r#""AWS":"{}""#, subject.hub.role);
    spoke_role(&mut evidence).trust = spoke_role(&mut evidence)
        .trust
        .replace(r#""AWS":"arn:aws:iam::111111111111:root""#, &named);
    cut_at_deployer(&mut evidence, ErrorKind::Denied, "AccessDenied", &denied(""));
    let walk = judge(&subject, &evidence);
    assert_eq!(walk.broken().unwrap().1.reason, Reason::Undetermined);
}

#[test]
fn what_a_persons_machine_cannot_reach_proves_nothing() {
    let subject = subject();
    for (why, expected) in [
        (
            Unreached::TimedOut as fn(String) -> Unreached,
            Reason::ConnectionTimedOut,
        ),
        (Unreached::Name, Reason::NameNotResolved),
    ] {
        let mut evidence = holding(&subject);
        evidence.vantage = Vantage::Person;
        evidence.endpoint = Attempt::Failed(why("x".into()));
        evidence.reviews.clear();
        let walk = judge(&subject, &evidence);
        assert_eq!(walk.broken(), None);
        assert_eq!(walk.unknown().unwrap().1.reason, expected);
    }
}

/// Policies that look at the network (`aws:SourceVpc` and its like) may refuse a person's machine and not the hub.
#[test]
fn a_refusal_that_no_document_makes_proves_nothing_from_a_persons_machine() {
    const PHRASE: &str = " with an explicit deny in a service control policy";
    let subject = subject();
    let person = |break_it: &Break| {
        let mut evidence = holding(&subject);
        evidence.vantage = Vantage::Person;
        break_it(&mut subject.clone(), &mut evidence);
        judge(&subject, &evidence)
    };
    let web_phrase =
        "Not authorized to perform sts:AssumeRoleWithWebIdentity with an explicit deny in a resource control policy";
    for (break_it, hop, reason) in [
        (
            change(|_, evidence| cut_at_deployer(evidence, ErrorKind::Denied, "AccessDenied", &denied(PHRASE))),
            Hop::DeployerRole,
            Reason::RefusedByServiceControlPolicy,
        ),
        (
            change(|_, evidence| cut_at_deployer(evidence, ErrorKind::Denied, "AccessDenied", &denied(""))),
            Hop::DeployerRole,
            Reason::Undetermined,
        ),
        (
            web(ErrorKind::Denied, "AccessDenied", web_phrase, |_| {}),
            Hop::ManagementRole,
            Reason::RefusedByResourceControlPolicy,
        ),
        (
            web(ErrorKind::Denied, "AccessDenied", WEB_DENIED, |_| {}),
            Hop::ManagementRole,
            Reason::Undetermined,
        ),
    ] {
        let walk = person(&break_it);
        assert_eq!(walk.broken(), None, "{reason}");
        let (at, trouble) = walk.unknown().unwrap();
        assert_eq!((at, trouble.reason), (hop, reason));
        assert!(
            trouble.next.starts_with("look at the condition Connected"),
            "{}",
            trouble.next
        );
    }
    // What a document says it says to everybody.
    let trust = web(ErrorKind::Denied, "AccessDenied", WEB_DENIED, |evidence| {
        hub_role(evidence).trust = hub_role(evidence).trust.replace("Allow", "Deny");
    });
    assert_eq!(person(&trust).broken().unwrap().1.reason, Reason::RefusedByTrustPolicy);
}

#[test]
fn whose_trust_policy_it_is_is_said() {
    let ours = subject();
    let mut object = cluster();
    object.spec.access.deployer_role.kind = DeployerRoleType::Existing;
    let theirs = Subject {
        mending: crate::access::mending::Mending::of_cluster(&object),
        ..subject()
    };
    let next = |subject: &Subject| {
        let mut evidence = holding(subject);
        documented(subject, &mut evidence);
        cut_at_deployer(&mut evidence, ErrorKind::Denied, "AccessDenied", &denied(""));
        spoke_role(&mut evidence).trust = spoke_role(&mut evidence).trust.replace("Allow", "Deny");
        judge(subject, &evidence).broken().unwrap().1.next.clone()
    };
    let (ours, theirs) = (next(&ours), next(&theirs));
    assert!(
        ours.starts_with("Mooring will put the trust policy of ") && !ours.contains("external ID"),
        "{ours}"
    );
    assert!(
        theirs.starts_with("the role is its owner's") && theirs.contains("without an external ID"),
        "{theirs}"
    );
}

/// Whoever must mend it looks for one statement in the console.
#[test]
fn a_trust_policy_that_refuses_is_told_by_its_statement_and_what_of_it_does_not_hold() {
    let subject = subject();
    let mut evidence = holding(&subject);
    documented(&subject, &mut evidence);
    cut_at_deployer(&mut evidence, ErrorKind::Denied, "AccessDenied", &denied(""));
    let told = |evidence: &Evidence| {
        let walk = judge(&subject, evidence);
        let trouble = walk.broken().unwrap().1.clone();
        assert!(!trouble.next.contains("of yours"), "{}", trouble.next);
        (trouble.reason, trouble.message)
    };
    let asks = r#""Condition":{"StringEquals":{"sts:ExternalId":"hunter2"},"#;
    let mut more = evidence.clone();
    spoke_role(&mut more).trust = spoke_role(&mut more).trust.replace(r#""Condition":{"#, asks);
    let (reason, message) = told(&more);
    assert_eq!(reason, Reason::RefusedByTrustPolicy);
    let says = format!(
        "the trust policy of {} does not allow sts:AssumeRole to {}: statement ManagementRole has Condition StringEquals \
         sts:ExternalId a value that is not shown, and the request has none. AWS says",
        subject.deployer, subject.hub.role
    );
    assert!(message.starts_with(&says), "{message}");
    // A deny in the management role's own policies, and what its boundary lacks.
    let mut denies = evidence.clone();
    hub_role(&mut denies).policies = Look::Seen(vec![
        r#"{"Version":"2012-10-17","Statement":[]}"#.into(),
        DENY_ALL.into(),
    ]);
    let (reason, message) = told(&denies);
    assert_eq!(reason, Reason::RefusedByIdentityPolicy);
    assert!(
        message.contains(": statement number 1: Deny * on *. AWS says"),
        "{message}"
    );
    let mut lacks = evidence.clone();
    hub_role(&mut lacks).boundary = Look::Seen(
        DENY_ALL
            .replace("Deny", "Allow")
            .replace(r#""Action":"*""#, r#""Action":"eks:*""#),
    );
    let (reason, message) = told(&lacks);
    assert_eq!(reason, Reason::RefusedByPermissionsBoundary);
    assert!(
        message.contains(": no statement of it allows sts:AssumeRole. AWS says"),
        "{message}"
    );
}

#[test]
fn a_trust_policy_that_does_not_name_the_token_is_told_by_its_statement() {
    let subject = subject();
    let mut evidence = holding(&subject);
    web(ErrorKind::Denied, "AccessDenied", WEB_DENIED, |evidence| {
        hub_role(evidence).trust = hub_role(evidence).trust.replace("argocd-server", "argocd-other");
    })(&mut subject.clone(), &mut evidence);
    evidence.hub.service_accounts.remove(0);
    let walk = judge(&subject, &evidence);
    let (_, trouble) = walk.broken().unwrap();
    assert_eq!(trouble.reason, Reason::SubjectNotTrusted);
    let says = "does not name the subject system:serviceaccount:argocd:argocd-server: statement ArgoCD has Condition StringEquals \
                oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF:sub \
                system:serviceaccount:argocd:argocd-application-controller, system:serviceaccount:argocd:argocd-other, and the \
                request has system:serviceaccount:argocd:argocd-server. AWS says";
    assert!(trouble.message.contains(says), "{}", trouble.message);
    assert!(trouble.next.starts_with("Mooring will put its trust policy back") && !trouble.next.contains("of yours"));
}
