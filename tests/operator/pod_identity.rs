//! A role of somebody else's that EKS Pod Identity gives, with everything else as it is by default: nothing is annotated
//! that would get nothing by it, and a chain that only a pod can walk is never called broken.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use mooring::{domain::arn::OidcProviderArn, policy};
use mooring_sandbox::aws::Call;
use serde_json::{Value, json};

use crate::{
    connected::{SPOKE, connected},
    support::{HUB_ACCOUNT, NAMESPACE, Setting, World, condition, verifier::SERVICE_ACCOUNTS},
};

const ANNOTATION: &str = "eks.amazonaws.com/role-arn";

fn role() -> String {
    format!("arn:aws:iam::{HUB_ACCOUNT}:role/argocd")
}

/// What EKS's user guide has people write for EKS Pod Identity.
fn by_association() -> Value {
    json!({
        "Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    })
}

/// Argo CD's service accounts as its manifests have them, and a role that associations alone give.
async fn world() -> World {
    let mut setting = Setting::of(&["222222222222/eu-central-1/prod-eu"]);
    setting.management["spec"]["identity"] = json!({"type": "Existing", "roleArn": role()});
    setting.fleet = setting.fleet.with_servers();
    let world = World::start(setting).await;
    world.let_verify().await;
    for name in SERVICE_ACCOUNTS {
        world.bind(name, false).await;
    }
    let trust = json!({"Version": "2012-10-17", "Statement": [by_association()]});
    let made = json!({"RoleName": "argocd", "AssumeRolePolicyDocument": trust.to_string()});
    world.iam(HUB_ACCOUNT, "CreateRole", made);
    let allowed = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "arn:aws:iam::*:role/mooring/*",
    }]});
    let policy = json!({"RoleName": "argocd", "PolicyName": "deployers", "PolicyDocument": allowed.to_string()});
    world.iam(HUB_ACCOUNT, "PutRolePolicy", policy);
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;
    world
}

async fn pod(world: &World, name: &str, account: &str, env: &Value) {
    world
        .apply(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "serviceAccountName": account, "automountServiceAccountToken": false,
                // A sidecar that the webhook is told to skip.
                "containers": [{"name": "sidecar", "image": "s"}, {"name": "argocd", "image": "argocd", "env": env}],
            },
        }))
        .await;
}

/// A pod of each service account, as the webhook makes it where there is an association.
async fn pods_by_association(world: &World) {
    let agent = json!([
        {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"},
        {"name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "value": "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"},
    ]);
    for name in SERVICE_ACCOUNTS {
        pod(world, &format!("{name}-0"), name, &agent).await;
    }
}

/// Waits for `ServiceAccountsBound` to have this status and reason, and gives its message.
async fn bound(world: &World, status: &str, reason: &str) -> String {
    let told = |object: &Value| {
        condition(object, "ServiceAccountsBound").is_some_and(|(is, why, _)| is == status && why == reason)
    };
    let object = world.until("ManagementRole", "default", told).await;
    condition(&object, "ServiceAccountsBound").unwrap().2
}

/// What the service accounts name.
async fn named(world: &World) -> Vec<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
    let mut named = Vec::new();
    for name in SERVICE_ACCOUNTS {
        let annotations = accounts.get(name).await.unwrap().metadata.annotations;
        named.extend(annotations.and_then(|all| all.get(ANNOTATION).cloned()));
    }
    named
}

/// Names the role on each service account, by whatever field manager.
async fn annotate(world: &World) {
    let accounts: Api<ServiceAccount> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
    let patch = Patch::Merge(json!({"metadata": {"annotations": {ANNOTATION: role()}}}));
    for name in SERVICE_ACCOUNTS {
        accounts.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }
}

/// The doctor knows no trouble but this one, and asked STS for nothing.
async fn only_unknown(world: &World, reason: &str) -> String {
    let mark = world.mark();
    let said = world.doctor(&[SPOKE]).await;
    let expected = ("ServiceAccount".to_owned(), reason.to_owned());
    assert_eq!((said.code, said.troubles()), (2, vec![expected]), "{}", said.text);
    let exchanges = exchanges(world, mark);
    assert!(exchanges.is_empty(), "{exchanges:#?}");
    said.text
}

fn exchanges(world: &World, mark: u64) -> Vec<Call> {
    let exchange = |call: &Call| call.operation == "AssumeRoleWithWebIdentity";
    world.stage.aws.log().select(mark, exchange)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_pod_identity_gives_is_bound_by_nobody_and_not_called_broken() {
    let world = world().await;
    world.moored(SPOKE).await;
    let untrusted = &world.get("ManagementRole", "default").await.unwrap()["status"]["untrustedServiceAccounts"];
    assert_eq!(*untrusted, json!(SERVICE_ACCOUNTS));
    let message = bound(&world, "False", "WebIdentityNotTrusted").await;
    assert!(message.contains("aws eks create-pod-identity-association"), "{message}");
    assert_eq!(named(&world).await, [""; 0]);
    // Nothing gives it yet, as far as can be seen.
    let text = only_unknown(&world, "ServiceAccountNotAssociated").await;
    assert!(text.contains("Pod Identity association"), "{text}");

    pods_by_association(&world).await;
    world.ask("ManagementRole", "default").await;
    let message = bound(&world, "Unknown", "PodIdentity").await;
    assert!(message.contains("describe-pod-identity-association"), "{message}");
    assert_eq!(named(&world).await, [""; 0]);
    only_unknown(&world, "PodIdentityNotWalked").await;

    // As somebody annotated them before, Mooring's earlier versions among them.
    annotate(&world).await;
    let text = only_unknown(&world, "PodIdentityNotWalked").await;
    assert!(!text.contains("predate") && !text.contains("BROKEN"), "{text}");
    world.ask("ManagementRole", "default").await;
    world.whole_pass("ManagementRole", "default").await;
    bound(&world, "Unknown", "PodIdentity").await;
    let events = world.events("default").await;
    assert!(
        !events.iter().any(|event| event.starts_with("PodIdentity")),
        "{events:#?}"
    );

    let mark = world.mark();
    let mut verifier = world.verifier(&["--interval", "2s", "--distance", "1s"]).await;
    let told = |object: &Value| connected(object, "Unknown", "PodIdentityNotWalked");
    world.until("ManagedCluster", SPOKE, told).await;
    verifier.terminate().await;
    assert_eq!(exchanges(&world, mark).len(), 0);
    moved_from_irsa(&world).await;
}

/// On the way from one to the other the role trusts both, and pods of both run.
async fn moved_from_irsa(world: &World) {
    let provider: OidcProviderArn = world.hub().oidc_provider(&world.stage.fleet.hub.issuer()).unwrap();
    let names = SERVICE_ACCOUNTS.map(|name| name.parse().unwrap());
    let web = policy::irsa_trust(&provider, &NAMESPACE.parse().unwrap(), &names);
    let mut trust: Value = serde_json::from_str(&web.to_json()).unwrap();
    trust["Statement"].as_array_mut().unwrap().push(by_association());
    let both = json!({"RoleName": "argocd", "PolicyDocument": trust.to_string()});
    world.iam(HUB_ACCOUNT, "UpdateAssumeRolePolicy", both);
    world.ask("ManagementRole", "default").await;
    let trusted = |object: &Value| object["status"]["untrustedServiceAccounts"].is_null();
    world.until("ManagementRole", "default", trusted).await;
    bound(world, "Unknown", "PodIdentity").await;
    assert_eq!(named(world).await.len(), 3, "what somebody wrote stays");
    only_unknown(world, "PodIdentityNotWalked").await;

    // One that started before the association goes on by its token, and everything behind that is walked.
    let token =
        json!([{"name": "AWS_ROLE_ARN", "value": role()}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "f"}]);
    pod(world, "argocd-server-1", "argocd-server", &token).await;
    let mark = world.mark();
    let said = world.doctor(&[SPOKE]).await;
    let expected = ("ServiceAccount".to_owned(), "PodIdentityNotWalked".to_owned());
    assert_eq!((said.code, said.troubles()), (2, vec![expected]), "{}", said.text);
    assert_eq!(exchanges(world, mark).len(), 1, "{}", said.text);
    world.ask("ManagementRole", "default").await;
    bound(world, "Unknown", "PodIdentity").await;
}
