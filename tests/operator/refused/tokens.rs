//! Tokens of service accounts: who is given one, and which are taken for the management role.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use mooring::access::{Hop, Reason};
use mooring_sandbox::{
    aws::contract::{ApiError, Service::Sts},
    control_plane::ControlPlane,
};
use serde_json::{Value, json};

use super::{HUB_ACCOUNT, Met, NAMESPACE, SERVICE_ACCOUNT, SPOKE, Scene, judged};
use crate::support::{
    World,
    bootstrap::{OPERATOR_NAMESPACE, OPERATOR_ROLE, OPERATOR_SERVICE_ACCOUNT},
    verifier::VERIFIER,
};

const AUDIENCE: &str = "sts.amazonaws.com";

/// Namespace and name.
type ServiceAccountOf = (&'static str, &'static str);

/// Argo CD's token, asked for by somebody who runs on the hub beside it.
pub(super) async fn for_argo_cd(scene: &mut Scene) {
    let forbidden = "403: serviceaccounts \"argocd-application-controller\" is forbidden";
    let ways: [(&'static str, ServiceAccountOf, (&str, &str), &str); 5] = [
        (
            "the operator asks for a token of Argo CD's",
            (OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT),
            (SERVICE_ACCOUNT, AUDIENCE),
            forbidden,
        ),
        (
            "another service account of Argo CD's namespace asks for one",
            (NAMESPACE, "other"),
            (SERVICE_ACCOUNT, AUDIENCE),
            forbidden,
        ),
        (
            "Argo CD's own service account asks for one more",
            (NAMESPACE, SERVICE_ACCOUNT),
            (SERVICE_ACCOUNT, AUDIENCE),
            forbidden,
        ),
        (
            "the verifier asks for a token for the hub's API server",
            (OPERATOR_NAMESPACE, VERIFIER),
            (SERVICE_ACCOUNT, "https://kubernetes.default.svc"),
            "the verifier asks for tokens with the audience sts.amazonaws.com and no other",
        ),
        (
            "the verifier asks for a token of another service account",
            (OPERATOR_NAMESPACE, VERIFIER),
            ("other", AUDIENCE),
            "403: serviceaccounts \"other\" is forbidden",
        ),
    ];
    let subject = judged::subject(&scene.world).await;
    for (name, by, (of, audience), said) in ways {
        let hub = &scene.world.stage.hub;
        let own = hub.token(by.0, by.1, hub.issuer()).await.unwrap();
        let met = asked(hub.client_with_token(&own, "stranger").unwrap(), of, audience).await;
        let expected = (Hop::Token, said, Reason::TokenForbidden);
        let judged = judged::token(&subject, &met);
        scene.judged(name, met, expected, judged);
    }
}

/// The refusal of a token of a service account of Argo CD's namespace.
async fn asked(client: Client, of: &str, audience: &str) -> Met {
    let api: Api<ServiceAccount> = Api::namespaced(client, NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: vec![audience.to_owned()],
            expiration_seconds: Some(600),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    match api.create_token_request(of, &PostParams::default(), &request).await {
        Err(kube::Error::Api(status)) => Met {
            hop: Hop::Token,
            said: format!("{}: {}", status.code, status.message),
        },
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a token of {of} was given"),
    }
}

/// A token that is shown to STS for a role.
struct Way {
    name: &'static str,
    token: String,
    role: String,
    /// The service account that comes.
    who: ServiceAccountOf,
    said: &'static str,
    reason: Reason,
}

const DENIED: &str = "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity";
const AUDIENCE_SAID: &str = "InvalidIdentityToken: Incorrect token audience";
const NO_PROVIDER: &str = "InvalidIdentityToken: No OpenIDConnect provider found in your account for";
const SIGNATURE: &str = "InvalidIdentityToken: The ID Token provided has an invalid signature";

/// Tokens that are not Argo CD's, or are not for this.
pub(super) async fn exchanged(scene: &mut Scene) {
    let subject = judged::subject(&scene.world).await;
    for way in [others(scene).await, astray(scene).await, forged(scene).await]
        .into_iter()
        .flatten()
    {
        let met = exchange(&scene.world, &way.token, &way.role);
        let issuer = issuer(&way.token);
        let judged = judged::exchange(&scene.world, subject.clone(), way.who, &issuer, &way.role, &met);
        scene.judged(way.name, met, (Hop::ManagementRole, way.said, way.reason), judged);
    }
}

/// The refusal of a token.
pub(super) fn exchange(world: &World, token: &str, role: &str) -> Met {
    let input = json!({"RoleArn": role, "RoleSessionName": "pod", "WebIdentityToken": token});
    let anybody = world.stage.aws.root(HUB_ACCOUNT);
    let answer = world.stage.aws.call(&anybody, Sts, "AssumeRoleWithWebIdentity", input);
    let error: ApiError = answer.expect_err("must be refused");
    Met::aws(Hop::ManagementRole, &error)
}

async fn token(of: &ControlPlane, (namespace, name): (&str, &str), audience: &str) -> String {
    of.token(namespace, name, audience).await.unwrap()
}

/// True tokens, of others and for others.
async fn others(scene: &Scene) -> Vec<Way> {
    let (hub, spoke) = (&scene.world.stage.hub, scene.world.stage.server(SPOKE).unwrap());
    let own = (NAMESPACE, SERVICE_ACCOUNT);
    let ways: [(&'static str, &ControlPlane, ServiceAccountOf, &str); 6] = [
        ("another service account", hub, (NAMESPACE, "other"), AUDIENCE),
        (
            "a service account of that name in another namespace",
            hub,
            ("default", SERVICE_ACCOUNT),
            AUDIENCE,
        ),
        (
            "the operator's own service account",
            hub,
            (OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT),
            AUDIENCE,
        ),
        ("a token for another audience", hub, own, "vault"),
        ("a token for the API server instead of STS", hub, own, hub.issuer()),
        (
            "that service account of another cluster, whose issuer is another",
            spoke,
            own,
            AUDIENCE,
        ),
    ];
    let mut all = Vec::new();
    for (name, from, who, audience) in ways {
        // STS looks for the issuer first, then at the audience, and last asks the trust policy.
        let (said, reason) = if from.issuer() != hub.issuer() {
            (NO_PROVIDER, Reason::WrongIssuer)
        } else if audience != AUDIENCE {
            (AUDIENCE_SAID, Reason::AudienceNotTrusted)
        } else {
            (DENIED, Reason::SubjectNotTrusted)
        };
        all.push(Way {
            name,
            token: token(from, who, audience).await,
            role: scene.management(),
            who,
            said,
            reason,
        });
    }
    all
}

/// Argo CD's own token, for roles that are not for it.
async fn astray(scene: &Scene) -> Vec<Way> {
    let own = (NAMESPACE, SERVICE_ACCOUNT);
    let true_one = token(&scene.world.stage.hub, own, AUDIENCE).await;
    let of_hub = |name: &str| format!("arn:aws:iam::{HUB_ACCOUNT}:role/{name}");
    let way = |name, role, said, reason| Way {
        name,
        token: true_one.clone(),
        role,
        who: own,
        said,
        reason,
    };
    vec![
        way(
            "Argo CD asks for the operator's role",
            of_hub(OPERATOR_ROLE),
            DENIED,
            Reason::SubjectNotTrusted,
        ),
        way(
            "Argo CD asks for the management role's name under another path",
            of_hub(scene.management().rsplit('/').next().unwrap()),
            DENIED,
            Reason::ManagementRoleMissing,
        ),
        way(
            "Argo CD asks for the deployer role at once",
            scene.deployer(SPOKE),
            NO_PROVIDER,
            Reason::OidcProviderMissing,
        ),
    ]
}

/// Tokens that nobody signed as they are.
async fn forged(scene: &Scene) -> Vec<Way> {
    let world = &scene.world;
    let spoke = world.stage.server(SPOKE).unwrap();
    let own = (NAMESPACE, SERVICE_ACCOUNT);
    let true_one = token(&world.stage.hub, own, AUDIENCE).await;
    let foreign = token(spoke, own, AUDIENCE).await;
    let others = token(&world.stage.hub, (NAMESPACE, "other"), AUDIENCE).await;
    let part = |token: &str, place: usize| token.split('.').nth(place).unwrap().to_owned();
    let splice = |head: &str, claims: &str, signature: &str| [head, claims, signature].join(".");
    let unsigned = BASE64_URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "JWT"}).to_string());
    let way = |name, token, said, reason| Way {
        name,
        token,
        role: scene.management(),
        who: own,
        said,
        reason,
    };
    vec![
        way(
            "Argo CD's claims under a key of another issuer",
            splice(&part(&foreign, 0), &part(&true_one, 1), &part(&foreign, 2)),
            "InvalidIdentityToken: Couldn't retrieve verification key from your identity provider",
            Reason::IssuerUnreachable,
        ),
        way(
            "Argo CD's claims with a signature of another issuer",
            splice(&part(&true_one, 0), &part(&true_one, 1), &part(&foreign, 2)),
            SIGNATURE,
            Reason::TokenRejected,
        ),
        way(
            "another service account that wrote Argo CD's name into its token",
            splice(
                &part(&others, 0),
                &renamed(
                    &part(&others, 1),
                    "system:serviceaccount:argocd:argocd-application-controller",
                ),
                &part(&others, 2),
            ),
            SIGNATURE,
            Reason::TokenRejected,
        ),
        way(
            "Argo CD's claims, said to need no signature",
            splice(&unsigned, &part(&true_one, 1), ""),
            SIGNATURE,
            Reason::TokenRejected,
        ),
    ]
}

fn claims(part: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn renamed(part: &str, subject: &str) -> String {
    let mut claims = claims(part);
    claims["sub"] = json!(subject);
    BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())
}

/// Who a token says that it is of.
fn issuer(token: &str) -> String {
    claims(token.split('.').nth(1).unwrap())["iss"]
        .as_str()
        .unwrap()
        .to_owned()
}
