//! What is said of service accounts and their pods.

use super::*;

#[test]
fn several_service_accounts_with_one_trouble_are_named_together() {
    let subject = subject();
    let mut evidence = holding(&subject);
    for account in &mut evidence.hub.service_accounts {
        account.annotation = Look::Seen(None);
    }
    let walk = judge(&subject, &evidence);
    let (_, trouble) = walk.broken().unwrap();
    assert!(trouble.message.contains("argocd-application-controller"), "{trouble:?}");
    assert!(trouble.message.ends_with("(the same of argocd-server)"), "{trouble:?}");
}

/// Which pods run, what the annotation says, and what is told of the service account.
#[test]
fn an_association_goes_before_whatever_the_annotation_says() {
    use IdentityType::{Existing, Irsa};
    use PodBinding::{Nothing, PodIdentity, Role};
    let (not_walked, predates) = (Reason::PodIdentityNotWalked, Reason::PodsPredateBinding);
    let subject = subject();
    let (own, other) = (
        subject.hub.role.to_string(),
        "arn:aws:iam::111111111111:role/x".to_owned(),
    );
    for annotation in [None, Some(own.clone()), Some(other)] {
        let unannotated = if annotation.as_ref() == Some(&own) {
            predates
        } else {
            Reason::ServiceAccountNotAnnotated
        };
        for (identity, bindings, reason) in [
            (Existing, vec![PodIdentity], not_walked),
            (Irsa, vec![PodIdentity], not_walked),
            (Existing, vec![Role, PodIdentity], not_walked),
            (Irsa, vec![Role, PodIdentity], not_walked),
            // What runs without either started before the association, or before the annotation.
            (Existing, vec![PodIdentity, Nothing], predates),
            (Irsa, vec![PodIdentity, Nothing], unannotated),
        ] {
            let (mut subject, mut evidence) = (subject.clone(), holding(&subject));
            subject.hub.identity = identity;
            let account = account(&mut evidence);
            account.annotation = Look::Seen(annotation.clone());
            account.pods = Look::Seen(bindings.iter().map(|binding| pod("p", binding.clone())).collect());
            // A token is exchanged for the pods that use one.
            let unbound = identity == Existing && annotation.is_none();
            assert_eq!(
                account.is_exchanged(identity),
                bindings.contains(&Role) && !unbound,
                "{bindings:?}"
            );
            let walk = judge(&subject, &evidence);
            let told = walk
                .broken()
                .or_else(|| walk.unknown())
                .map(|(hop, trouble)| (hop, trouble.reason));
            assert_eq!(
                told,
                Some((Hop::ServiceAccount, reason)),
                "{identity:?} {annotation:?} {bindings:?}"
            );
            assert_eq!(walk.broken().is_none(), reason == not_walked, "{walk:?}");
            let deletes = walk
                .unknown()
                .is_some_and(|(_, trouble)| trouble.next.contains("delete it"));
            assert_eq!(deletes, reason == not_walked && identity == Irsa, "{walk:?}");
        }
    }
}

/// An existing role may be given by EKS Pod Identity, and only a pod shows by what it comes.
#[test]
fn what_refuses_a_web_identity_that_no_pod_is_seen_to_use_breaks_nothing() {
    let mut subject = subject();
    subject.hub.identity = IdentityType::Existing;
    let refused = refusal(ErrorKind::Denied, "AccessDenied", WEB_DENIED);
    let told = |subject: &Subject, pods: &Look<Vec<PodSeen>>| {
        let mut evidence = holding(subject);
        documented(subject, &mut evidence);
        hub_role(&mut evidence).trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#.into();
        cut_at_exchange(&mut evidence, &refused);
        for account in &mut evidence.hub.service_accounts {
            account.pods.clone_from(pods);
        }
        judge(subject, &evidence).at(Hop::ManagementRole).clone()
    };
    for pods in [Look::Unseen("forbidden".into()), Look::Seen(Vec::new())] {
        let found = told(&subject, &pods);
        let Found::Unknown(trouble) = &found else {
            panic!("{found:?}")
        };
        assert_eq!(trouble.reason, Reason::WrongIssuer);
        assert!(
            trouble.message.contains("EKS Pod Identity may give it the role"),
            "{trouble:?}"
        );
    }
    let used = Look::Seen(vec![pod("p", PodBinding::Role)]);
    assert!(
        matches!(told(&subject, &used), Found::Failed(_)),
        "a pod that uses one is refused"
    );
    subject.hub.identity = IdentityType::Irsa;
    assert!(matches!(told(&subject, &Look::Seen(Vec::new())), Found::Failed(_)));
}

#[test]
fn an_association_does_not_show_where_no_pod_runs() {
    let mut subject = subject();
    subject.hub.identity = IdentityType::Existing;
    let mut evidence = holding(&subject);
    account(&mut evidence).annotation = Look::Seen(None);
    account(&mut evidence).pods = Look::Seen(Vec::new());
    let walk = judge(&subject, &evidence);
    assert_eq!(walk.broken(), None);
    let (hop, trouble) = walk.unknown().unwrap();
    assert_eq!(
        (hop, trouble.reason),
        (Hop::ServiceAccount, Reason::ServiceAccountNotAssociated)
    );
    assert!(trouble.message.contains("no pod of it runs"), "{trouble:?}");
}

/// A pod with other roles only says which.
#[test]
fn a_pod_of_other_roles_is_told_with_all_of_them() {
    let subject = subject();
    let mut evidence = holding(&subject);
    let others = PodBinding::Others(["arn:a".to_owned(), "arn:b".to_owned()].into());
    account(&mut evidence).pods = Look::Seen(vec![pod("p", others)]);
    let walk = judge(&subject, &evidence);
    let (_, trouble) = walk.broken().unwrap();
    assert_eq!(trouble.reason, Reason::PodsPredateBinding);
    assert!(
        trouble.message.contains("its containers name arn:a, arn:b"),
        "{trouble:?}"
    );
}

#[test]
fn the_verifier_says_which_service_account_its_role_leaves_out() {
    let subject = subject();
    let mut evidence = holding(&subject);
    account(&mut evidence).exchange = Attempt::NotMade;
    account(&mut evidence).token = Attempt::Failed(KubernetesRefusal {
        failure: Failure::Forbidden,
        message: "forbidden (403)".into(),
    });
    let walk = judge(&subject, &evidence);
    let (hop, trouble) = walk.unknown().unwrap();
    assert_eq!(hop, Hop::Token);
    assert!(
        trouble
            .next
            .contains("serviceaccounts/token for argocd-application-controller"),
        "{trouble:?}"
    );
    assert!(
        matches!(walk.at(Hop::ManagementRole), Found::Passed { .. }),
        "the other one came through"
    );
}

/// Where Mooring binds them it says so, and what is bound elsewhere it leaves alone.
#[test]
fn who_binds_a_service_account_is_said() {
    let mut subject = subject();
    let mut evidence = holding(&subject);
    let mut next = |binds: bool, annotation: Option<&str>| {
        subject.hub.binds = binds;
        account(&mut evidence).annotation = Look::Seen(annotation.map(str::to_owned));
        let walk = judge(&subject, &evidence);
        walk.broken().unwrap().1.next.clone()
    };
    assert!(next(true, None).starts_with("Mooring will bind it at its next pass"));
    for (binds, annotation) in [(false, None), (true, Some("arn:aws:iam::111111111111:role/other"))] {
        assert!(next(binds, annotation).starts_with("kubectl -n argocd annotate serviceaccount"));
    }
}
