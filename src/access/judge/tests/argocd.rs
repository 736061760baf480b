//! What is said of Argo CD's side.

use super::*;

/// What the Secret says of the cluster is what Argo CD goes by, whatever the spec says.
#[test]
fn a_secret_that_says_otherwise_than_the_spec_is_told_for_what_it_says() {
    type Change = fn(&mut SeenCluster);
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let spec = Presentation {
        name: "prod".into(),
        namespaces: names(&["b", "a"]),
        project: Some("team".into()),
        cluster_resources: Some(true),
        ..Presentation::default()
    };
    let mut subject = subject();
    let mut evidence = holding(&subject);
    let secret = seen(&mut evidence);
    (secret.namespaces, secret.project, secret.cluster_resources) = (names(&["a", "b"]), "team".into(), true);
    let evidence = evidence;
    let told = |subject: &Subject, change: Change| {
        let mut evidence = evidence.clone();
        change(seen(&mut evidence));
        let walk = judge(subject, &evidence);
        walk.broken().map(|(hop, trouble)| {
            assert_eq!((hop, trouble.reason), (Hop::ArgoCd, Reason::ClusterSecretDiffers));
            trouble.message.clone()
        })
    };
    let changes: [(Change, &str); 5] = [
        (
            |secret| secret.name = "other".into(),
            r#"names the cluster "other", and the spec "prod""#,
        ),
        (
            |secret| secret.namespaces.push("c".into()),
            "holds Argo CD to a, b, c, and the spec to a, b",
        ),
        (
            |secret| secret.namespaces.clear(),
            "holds Argo CD to no namespaces, but the whole cluster, and the spec to a, b",
        ),
        (
            |secret| secret.project.clear(),
            r#"gives the cluster to project "", and the spec to "team""#,
        ),
        (
            |secret| secret.cluster_resources = false,
            "has clusterResources false, and the spec true",
        ),
    ];
    subject.presentation = Some(spec.clone());
    assert_eq!(told(&subject, |_| {}), None);
    for (change, says) in changes {
        let message = told(&subject, change).unwrap();
        assert!(message.ends_with(says), "{message}");
    }
    // While the operator has not acted on the spec, the Secret says what the former did.
    subject.presentation = None;
    for (change, _) in changes {
        assert_eq!(told(&subject, change), None);
    }
    // What was somebody else's keeps what the spec leaves open, and nothing else does.
    subject.presentation = Some(Presentation {
        name: "prod".into(),
        ..Presentation::default()
    });
    assert_eq!(told(&subject, |secret| secret.adopted = true), None);
    assert!(told(&subject, |_| {}).is_some());
    let message = told(&subject, |secret| {
        (secret.skips_reconcile, secret.adopted) = (true, true);
    })
    .unwrap();
    assert!(message.contains("leaves the whole cluster alone"), "{message}");
}

/// What `resource.exclusions` leaves out may be just what is refused: then it is told and breaks nothing.
#[test]
fn a_cluster_whose_kinds_may_not_all_be_listed_is_told_with_the_setting() {
    let subject = subject();
    let mut evidence = holding(&subject);
    let roles = |answer| Some((crate::access::scope::roles(&[]), answer));
    for (every_kind, roles, says) in [
        (None, None, false),
        (Some(Answer::Allowed(true)), None, false),
        (Some(Answer::Refused("no answer".into())), None, false),
        (Some(Answer::Allowed(false)), None, true),
        (Some(Answer::Allowed(false)), roles(Answer::Allowed(true)), true),
        (
            Some(Answer::Allowed(false)),
            roles(Answer::Refused("no answer".into())),
            true,
        ),
    ] {
        (evidence.every_kind, evidence.roles) = (every_kind, roles);
        let walk = judge(&subject, &evidence);
        assert!(walk.holds(), "{walk:?}");
        let finding = crate::access::status::finding(&walk);
        assert_eq!(
            (
                finding.reason,
                finding.message.contains("resource.respectRBAC to normal in argocd-cm")
            ),
            ("ChainHolds", says)
        );
    }
    evidence.roles = roles(Answer::Allowed(false));
    let walk = judge(&subject, &evidence);
    let (hop, trouble) = walk.broken().unwrap();
    assert_eq!((hop, trouble.reason), (Hop::Authorization, Reason::ScopeTooNarrow));
    assert!(
        trouble
            .message
            .contains("may not list clusterroles.rbac.authorization.k8s.io in the whole cluster")
    );
    assert!(
        trouble
            .next
            .contains("kubectl -n argocd patch configmap argocd-cm --type merge"),
        "{}",
        trouble.next
    );
}

#[test]
fn no_password_of_a_url_is_told() {
    let subject = subject();
    let mut evidence = holding(&subject);
    seen(&mut evidence).server = Server::new("https://admin:hunter2@elsewhere");
    argocd(&mut evidence).projects = Look::Unseen("by proxy http://me:hunter2@proxy:3128: refused".into());
    let told = |evidence: &Evidence| serde_json::to_string(&judge(&subject, evidence)).unwrap();
    assert!(
        told(&evidence).contains("leads to https://<not shown>@elsewhere"),
        "{}",
        told(&evidence)
    );
    assert!(!told(&evidence).contains("hunter2"));
    seen(&mut evidence).server = Server::new(&subject.destination.server);
    assert!(
        told(&evidence).contains("http://<not shown>@proxy:3128"),
        "{}",
        told(&evidence)
    );
    assert!(!told(&evidence).contains("hunter2") && !format!("{evidence:?}").contains("admin:hunter2"));
}

#[test]
fn settings_that_are_not_there_are_told_where_they_matter() {
    let mut subject = subject();
    for (policy, told) in [("AmazonEKSClusterAdminPolicy", false), ("AmazonEKSEditPolicy", true)] {
        subject.policies = vec![(policy.to_owned(), Vec::new())];
        let mut evidence = holding(&subject);
        let message = |evidence: &Evidence| crate::access::status::finding(&judge(&subject, evidence)).message;
        let says = "there is no ConfigMap argocd-cm";
        assert_eq!(message(&evidence).contains(says), told, "{policy}");
        argocd(&mut evidence).settings = Look::Seen(crate::argocd::Settings::default());
        assert!(!message(&evidence).contains(says), "{policy}");
    }
}

/// A value that Argo CD does not know hurts every cluster, whatever may be listed there.
#[test]
fn a_wrong_value_of_a_setting_is_told_as_that_value() {
    let subject = subject();
    let mut evidence = holding(&subject);
    let data = [("resource.respectRBAC".to_owned(), "nomral\n".to_owned())];
    argocd(&mut evidence).settings = Look::Seen(crate::argocd::Settings::read(&data.into()));
    let walk = judge(&subject, &evidence);
    let (hop, trouble) = walk.broken().unwrap();
    assert_eq!((hop, trouble.reason), (Hop::ArgoCd, Reason::ArgoCdSettingInvalid));
    assert!(
        trouble.message.contains(r#"is "nomral\n", which"#),
        "{}",
        trouble.message
    );
}

/// Mooring writes its own Secret back, and says so as everywhere; of somebody's it says what they can do.
#[test]
fn whose_malformed_secret_it_is_decides_who_mends_it() {
    let next = |subject: &Subject, break_it: fn(&mut Evidence)| {
        let mut evidence = holding(subject);
        break_it(&mut evidence);
        let walk = judge(subject, &evidence);
        let (_, trouble) = walk.broken().unwrap();
        assert_eq!(trouble.reason, Reason::ClusterSecretMalformed);
        trouble.next.clone()
    };
    let own: fn(&mut Evidence) = |evidence| evidence.secret = Look::Seen(Err("data.config is no JSON".into()));
    let somebodys: fn(&mut Evidence) =
        |evidence| argocd(evidence).malformed = Look::Seen(vec![("somebodys".into(), "no JSON".into())]);
    let mut object = crate::access::subject::tests::cluster();
    let held = |object: &crate::api::ManagedCluster| Subject {
        mending: crate::access::mending::Mending::of_cluster(object),
        ..subject()
    };
    let said = next(&held(&object), own);
    assert!(
        said.starts_with("Mooring will write it back at its next pass"),
        "{said}"
    );
    assert!(said.contains("kubectl -n argocd edit secret cluster-0123"), "{said}");
    assert!(next(&held(&object), somebodys).starts_with("mend it: `kubectl -n argocd edit secret "));
    object.spec.mode = crate::api::Mode::Observe;
    let said = next(&held(&object), own);
    let says = "Mooring would write it back, but writes nothing for mgc prod while spec.mode is Observe: run `kubectl patch mgc prod";
    assert!(said.starts_with(says), "{said}");
}
