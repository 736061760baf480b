//! What AWS, the network and the cluster answer where a hop does not hold, and what `Connected` and the doctor make of
//! it. The words of AWS are those of its documentation: IAM user guide, "Troubleshoot access denied error messages"; STS
//! API reference, errors of `AssumeRole` and `AssumeRoleWithWebIdentity`.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use mooring::access::{Hop, Reason};
use mooring_sandbox::aws::{ClusterSeed, Effect, Fault, FaultId};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    connected::{Hands, SPOKE, connected, world},
    support::{
        World, condition,
        manifest::{ADMIN, EDIT, VIEW},
        secrets::tells_no_token,
    },
};

/// Why a hop does not hold.
#[derive(Clone, Copy)]
enum Cause {
    /// STS refuses the deployer role, or what stands before STS does.
    Assume(u16, &'static str, &'static str),
    /// STS refuses the exchange of a token for the management role.
    Exchange(u16, &'static str, &'static str),
    /// The connection to STS breaks off.
    StsBreaksOff,
    /// The API server's endpoint, whether it is public, and to whom.
    Endpoint(Peer, bool, &'static str),
    /// Nobody may ask the cluster what he may do.
    NobodyMayAsk,
    /// The hub's API server gives no token, for another reason than that nobody may have one.
    NoTokens,
    /// The management role trusts the issuer of a hub that was there before.
    AnotherIssuer,
}

/// Who is at an address.
#[derive(Clone, Copy)]
enum Peer {
    /// Takes connections, and says nothing.
    Mute,
    /// Takes connections, and ends them.
    Curt,
    /// A name that does not resolve (RFC 2606).
    Nameless,
    /// Shows the certificate that EKS gives, and has nothing behind it.
    Failing,
}

struct Row {
    cause: Cause,
    hop: Hop,
    status: &'static str,
    reason: Reason,
    /// What the doctor must say too: AWS's own words, what to do, and the candidates where nobody says which it was.
    says: &'static [&'static str],
}

const fn row(cause: Cause, hop: Hop, status: &'static str, reason: Reason, says: &'static [&'static str]) -> Row {
    Row {
        cause,
        hop,
        status,
        reason,
        says,
    }
}

macro_rules! denied {
    ($action:literal, $why:literal) => {
        Cause::Assume(
            403,
            "AccessDenied",
            concat!(
                "User: arn:aws:sts::111111111111:assumed-role/m/mooring-verify-hub is not authorized to perform: sts:",
                $action,
                " on resource: arn:aws:iam::222222222222:role/d",
                $why
            ),
        )
    };
}

const TABLE: &[Row] = &[
    row(
        denied!(
            "AssumeRole",
            " because no session policy allows the sts:AssumeRole action"
        ),
        Hop::DeployerRole,
        "False",
        Reason::RefusedBySessionPolicy,
        &["no session policy allows", "look at what makes the session"],
    ),
    row(
        denied!("AssumeRole", " with an explicit deny in a service control policy"),
        Hop::DeployerRole,
        "False",
        Reason::RefusedByServiceControlPolicy,
        &[
            "explicit deny in a service control policy",
            "ask whoever runs the AWS organisation",
            "account 111111111111",
        ],
    ),
    row(
        denied!("AssumeRole", " with an explicit deny in a resource control policy"),
        Hop::DeployerRole,
        "False",
        Reason::RefusedByResourceControlPolicy,
        &["explicit deny in a resource control policy", "account 222222222222"],
    ),
    row(
        denied!(
            "AssumeRole",
            " because no VPC endpoint policy allows the sts:AssumeRole action"
        ),
        Hop::DeployerRole,
        "False",
        Reason::RefusedByEndpointPolicy,
        &["VPC endpoint for STS in the hub's VPC"],
    ),
    row(
        denied!("TagSession", ""),
        Hop::DeployerRole,
        "False",
        Reason::TagSessionRefused,
        &["allow sts:TagSession beside sts:AssumeRole"],
    ),
    row(
        denied!("AssumeRole", ""),
        Hop::DeployerRole,
        "False",
        Reason::Undetermined,
        &[
            "AWS does not say which policy it was",
            "RefusedByServiceControlPolicy",
            "RefusedByResourceControlPolicy",
            "RefusedByEndpointPolicy",
        ],
    ),
    row(
        Cause::Assume(
            400,
            "PackedPolicyTooLarge",
            "Packed size of session tags consumes 101% of allotted space.",
        ),
        Hop::DeployerRole,
        "False",
        Reason::SessionTooLarge,
        &["101%", "disableSessionTags"],
    ),
    row(
        Cause::Assume(503, "ServiceUnavailable", "Service is unable to handle request."),
        Hop::DeployerRole,
        "Unknown",
        Reason::StsUnavailable,
        &["unable to handle request"],
    ),
    row(
        Cause::StsBreaksOff,
        Hop::DeployerRole,
        "False",
        Reason::StsUnreachable,
        &["sts.eu-west-1", "HTTPS_PROXY"],
    ),
    row(
        Cause::Exchange(
            400,
            "InvalidIdentityToken",
            "Couldn't retrieve verification key from your identity provider",
        ),
        Hop::ManagementRole,
        "False",
        Reason::IssuerUnreachable,
        &["/.well-known/openid-configuration"],
    ),
    row(
        Cause::Exchange(
            400,
            "ExpiredTokenException",
            "Token expired: current date/time must be before the expiration date/time",
        ),
        Hop::ManagementRole,
        "False",
        Reason::TokenRejected,
        &["compare the clocks"],
    ),
    row(
        Cause::Exchange(
            403,
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity with an explicit deny in a resource control policy",
        ),
        Hop::ManagementRole,
        "False",
        Reason::RefusedByResourceControlPolicy,
        &["a resource control policy on account 111111111111"],
    ),
    row(
        Cause::Exchange(
            403,
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        ),
        Hop::ManagementRole,
        "False",
        Reason::Undetermined,
        &[
            "trust policy allows it",
            "aws:PrincipalOrgID",
            "RefusedByEndpointPolicy",
        ],
    ),
    row(
        Cause::Exchange(
            403,
            "RegionDisabledException",
            "STS is not activated in this region for account:111111111111.",
        ),
        Hop::ManagementRole,
        "False",
        Reason::RegionDisabled,
        &["aws account enable-region"],
    ),
    row(
        Cause::AnotherIssuer,
        Hop::ManagementRole,
        "False",
        Reason::WrongIssuer,
        &["https://former.example/id", "the hub was recreated"],
    ),
    row(
        Cause::Endpoint(Peer::Mute, true, "0.0.0.0/0"),
        Hop::Endpoint,
        "False",
        Reason::ConnectionTimedOut,
        &["does not answer in time", "network policies"],
    ),
    row(
        Cause::Endpoint(Peer::Mute, true, "192.0.2.0/24"),
        Hop::Endpoint,
        "False",
        Reason::PublicAccessLeavesHubOut,
        &[
            "public to 192.0.2.0/24 only",
            "publicAccessCidrs=192.0.2.0/24,ADDRESS/32",
        ],
    ),
    row(
        Cause::Endpoint(Peer::Mute, false, "0.0.0.0/0"),
        Hop::Endpoint,
        "Unknown",
        Reason::PrivateEndpoint,
        &["The endpoint is private", "route the hub's VPC"],
    ),
    row(
        Cause::Endpoint(Peer::Curt, true, "0.0.0.0/0"),
        Hop::Endpoint,
        "False",
        Reason::ConnectionFailed,
        &["breaks off"],
    ),
    row(
        Cause::Endpoint(Peer::Nameless, true, "0.0.0.0/0"),
        Hop::Endpoint,
        "False",
        Reason::NameNotResolved,
        &["mooring-test.invalid does not resolve"],
    ),
    row(
        Cause::Endpoint(Peer::Failing, true, "0.0.0.0/0"),
        Hop::Endpoint,
        "False",
        Reason::ApiServerFailing,
        &["answers with HTTP 503", "aws eks describe-cluster"],
    ),
    row(
        Cause::NoTokens,
        Hop::Token,
        "Unknown",
        Reason::TokenNotIssued,
        &["no tokens today", "look at the hub's API server"],
    ),
    row(
        Cause::NobodyMayAsk,
        Hop::Authorization,
        "False",
        Reason::Forbidden,
        &["(403)", "system:basic-user"],
    ),
];

/// What takes a cause away again.
enum Undo {
    Fault(FaultId),
    Endpoint(Box<ClusterSeed>),
    Binding(Box<ClusterRoleBinding>),
    Tokens,
    Issuer(String, Value),
}

impl Hands<'_> {
    fn sts(&self, operation: &str, session: &str, effect: Effect) -> Undo {
        let fault = Fault::on(operation, effect).in_session(session);
        Undo::Fault(self.0.stage.aws.faults().add(fault).unwrap())
    }

    async fn issuer_is(&self, issuer: &str) {
        let api = self.0.stage.mooring("ManagementRole").unwrap();
        let recorded = Patch::Merge(json!({"status": {"hub": {"issuer": issuer}}}));
        api.patch_status("default", &PatchParams::default(), &recorded)
            .await
            .unwrap();
    }

    async fn causes(&self, cause: Cause) -> Undo {
        let error = |status, code, message: &str| Effect::Error {
            status,
            code,
            message: message.to_owned(),
        };
        match cause {
            Cause::Assume(status, code, message) => {
                self.sts("AssumeRole", "mooring-verify-prod-eu", error(status, code, message))
            }
            Cause::Exchange(status, code, message) => self.sts(
                "AssumeRoleWithWebIdentity",
                "mooring-verify-hub",
                error(status, code, message),
            ),
            Cause::StsBreaksOff => self.sts("AssumeRole", "mooring-verify-prod-eu", Effect::CloseBefore),
            Cause::AnotherIssuer => {
                let (issuer, trust) = (self.0.stage.fleet.hub.issuer(), self.trust_of_management());
                let host = issuer.strip_prefix("https://").unwrap();
                let other = trust.to_string().replace(host, "former.example/id");
                self.trust_management(&serde_json::from_str(&other).unwrap());
                self.issuer_is("https://former.example/id").await;
                Undo::Issuer(issuer.clone(), trust)
            }
            Cause::Endpoint(peer, public, cidr) => {
                let (endpoint, authority) = at(peer).await;
                let before = self.eks_gives(|seed| {
                    seed.endpoint = endpoint;
                    if let Some(pem) = authority {
                        seed.ca_data = BASE64_STANDARD.encode(pem);
                    }
                    seed.endpoint_public_access = public;
                    seed.public_access_cidrs = vec![cidr.to_owned()];
                });
                Undo::Endpoint(Box::new(before.await))
            }
            Cause::NoTokens => {
                for object in no_tokens() {
                    self.0.apply(&object).await;
                }
                Undo::Tokens
            }
            Cause::NobodyMayAsk => {
                self.disassociate(ADMIN);
                let bindings = bindings(self.0);
                let mut kept = bindings.get("system:basic-user").await.unwrap();
                bindings
                    .delete("system:basic-user", &DeleteParams::default())
                    .await
                    .unwrap();
                kept.metadata.resource_version = None;
                kept.metadata.uid = None;
                Undo::Binding(Box::new(kept))
            }
        }
    }

    async fn undoes(&self, undo: Undo) {
        match undo {
            Undo::Fault(fault) => self.0.stage.aws.faults().remove(fault),
            Undo::Issuer(issuer, trust) => {
                self.trust_management(&trust);
                self.issuer_is(&issuer).await;
            }
            Undo::Endpoint(before) => {
                self.eks_gives(|seed| *seed = *before).await;
            }
            Undo::Tokens => {
                let client = self.0.stage.client().unwrap();
                let none = DeleteParams::default();
                let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(client.clone());
                bindings.delete(NO_TOKENS, &none).await.unwrap();
                let policies = Api::<ValidatingAdmissionPolicy>::all(client);
                policies.delete(NO_TOKENS, &none).await.unwrap();
            }
            Undo::Binding(kept) => {
                bindings(self.0).create(&PostParams::default(), &kept).await.unwrap();
                self.0.ask("ManagedCluster", SPOKE).await;
            }
        }
    }
}

fn bindings(world: &World) -> Api<ClusterRoleBinding> {
    Api::all(world.stage.server(SPOKE).unwrap().admin().unwrap())
}

const NO_TOKENS: &str = "no-tokens";

/// An admission policy on the hub that is not about who asks.
fn no_tokens() -> [Value; 2] {
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["serviceaccounts/token"],
    });
    let spec = json!({
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "argocd", "expression": "request.namespace == 'argocd'"}],
        "validations": [{"expression": "false", "message": "no tokens today", "reason": "Invalid"}],
    });
    let of = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": NO_TOKENS}, "spec": spec,
        })
    };
    [
        of("ValidatingAdmissionPolicy", spec),
        of(
            "ValidatingAdmissionPolicyBinding",
            json!({"policyName": NO_TOKENS, "validationActions": ["Deny"]}),
        ),
    ]
}

/// The endpoint of such a peer, on loopback, and the certificate authority that vouches for it, if any does; it ends with
/// the test's runtime.
async fn at(peer: Peer) -> (String, Option<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    match peer {
        Peer::Nameless => return ("https://mooring-test.invalid".to_owned(), None),
        Peer::Failing => {
            let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
            let authority = own.cert.pem();
            tokio::spawn(failing(listener, own));
            return (endpoint, Some(authority));
        }
        Peer::Mute | Peer::Curt => {}
    }
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            if matches!(peer, Peer::Mute) {
                held.push(stream);
            }
        }
    });
    (endpoint, None)
}

/// Answers whatever it is asked as a load balancer does that has nothing behind it.
async fn failing(listener: TcpListener, own: rcgen::CertifiedKey<rcgen::KeyPair>) {
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        // Whoever does not trust the certificate hangs up.
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked).await;
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refuses_or_does_not_answer_is_told_for_what_it_is() {
    let world = world(&["--confirm-after", "1s"]).await;
    let verifier = world.verifier(&["--interval", "3s", "--distance", "1s"]).await;
    let hands = Hands(&world);
    let until = async |status: &str, reason: &str| {
        world
            .until("ManagedCluster", SPOKE, |object| connected(object, status, reason))
            .await
    };
    until("True", "ChainHolds").await;
    // Where there is no network, a resolver may keep silent instead of saying that there is no such name.
    let asked = tokio::net::lookup_host("mooring-test.invalid:443");
    let resolves = tokio::time::timeout(std::time::Duration::from_secs(4), asked)
        .await
        .is_ok();
    for row in TABLE {
        if !resolves && matches!(row.cause, Cause::Endpoint(Peer::Nameless, ..)) {
            println!("not tried, since no resolver answers here: {}", row.reason);
            continue;
        }
        let undo = hands.causes(row.cause).await;
        let object = until(row.status, row.reason.as_str()).await;
        let message = condition(&object, "Connected").unwrap().2;
        assert!(message.starts_with(&format!("{}: ", row.hop)), "{message}");
        let text = hands.says(&format!("{:?}", row.hop), row.reason.as_str()).await;
        for word in row.says {
            // From a person's machine there is other advice than from the hub.
            assert!(
                text.contains(word) || message.contains(word),
                "{}: {word:?} is not said: {text} {message}",
                row.reason
            );
        }
        hands.undoes(undo).await;
        until("True", "ChainHolds").await;
        println!("{:<16} {}", row.hop.title(), row.reason);
    }
    hands.holds().await;
    let text = verifier.log();
    tells_no_token(&text);
}

/// Argo CD's manual, "Application Sync using impersonation": the setting is Argo CD's, the right is the cluster's.
#[tokio::test(flavor = "multi_thread")]
async fn impersonation_is_asked_for_once_argo_cd_uses_it_and_nothing_else_was_changed() {
    let world = world(&[]).await;
    // Nothing comes by the schedule: Argo CD's settings are watched.
    let verifier = world.verifier(&["--interval", "3h", "--distance", "1s"]).await;
    let until = async |status: &str, reason: &str| {
        let found = world
            .until("ManagedCluster", SPOKE, |object| connected(object, status, reason))
            .await;
        condition(&found, "Connected").unwrap().2
    };
    until("True", "ChainHolds").await;
    let spoke = world.stage.server(SPOKE).unwrap();
    let role = world.deployer(SPOKE).name;
    let user = format!("arn:aws:sts::222222222222:assumed-role/{role}/mooring-verify-prod-eu");
    let all = json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]}]);
    for object in [
        json!({"kind": "ClusterRole", "metadata": {"name": "deploys"}, "rules": all}),
        json!({
            "kind": "ClusterRoleBinding", "metadata": {"name": "deploys"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "deploys"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }),
    ] {
        let mut object = object;
        object["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
        spoke.apply_yaml(&object.to_string()).await.unwrap();
    }
    // The spec asks for EDIT; the cluster gives as much but for that one right, by RBAC of its own.
    let access = json!({"spec": {"access": {"policies": [{"name": EDIT}]}}});
    world.patch("ManagedCluster", SPOKE, access).await;
    world.is_ready("ManagedCluster", SPOKE).await;
    let paused = json!({"metadata": {"annotations": {"mooring.dev/paused": "true"}}});
    world.patch("ManagedCluster", SPOKE, paused).await;
    let hands = Hands(&world);
    hands.associate(VIEW);
    hands.disassociate(EDIT);
    world
        .eventually("the chain holds by RBAC", async || {
            let said = world.doctor(&[SPOKE]).await;
            (said.code == 0).then_some(())
        })
        .await;
    until("True", "ChainHolds").await;

    let settings = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"},
            "data": {"application.sync.impersonation.enabled": value},
        })
    };
    world.apply(&settings("true")).await;
    let refused = |object: &Value| {
        let says = "may not impersonate serviceaccounts in the whole cluster; ";
        connected(object, "False", "ScopeTooNarrow") && condition(object, "Connected").unwrap().2.contains(says)
    };
    world.until("ManagedCluster", SPOKE, refused).await;
    let text = hands.says("Authorization", "ScopeTooNarrow").await;
    assert!(text.contains("application.sync.impersonation.enabled"), "{text}");
    // Neither access policy lets RBAC's own kinds be listed, by which Argo CD gives a cluster up unless it is told to heed
    // that, or to leave them out.
    let mut off = settings("false");
    world.apply(&off).await;
    let unlisted = |object: &Value| {
        let says = "may not list clusterroles.rbac.authorization.k8s.io in the whole cluster";
        connected(object, "False", "ScopeTooNarrow") && condition(object, "Connected").unwrap().2.contains(says)
    };
    world.until("ManagedCluster", SPOKE, unlisted).await;
    let text = hands.says("Authorization", "ScopeTooNarrow").await;
    assert!(text.contains("patch configmap argocd-cm --type merge"), "{text}");
    off["data"]["resource.exclusions"] = json!("- apiGroups: [rbac.authorization.k8s.io]\n  kinds: ['*']\n");
    world.apply(&off).await;
    let message = until("True", "ChainHolds").await;
    assert!(message.contains("resource.respectRBAC to normal"), "{message}");
    off["data"]["resource.respectRBAC"] = json!("normal");
    world.apply(&off).await;
    let silent = |object: &Value| {
        connected(object, "True", "ChainHolds") && !condition(object, "Connected").unwrap().2.contains("respectRBAC")
    };
    world.until("ManagedCluster", SPOKE, silent).await;
    let text = verifier.log();
    tells_no_token(&text);
}
