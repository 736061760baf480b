//! What happens to clusters and roles behind our back: another cluster under the same name, roles that are not the ones
//! they were, another hub. Each is told in words, and what heals is healed in order.

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use mooring_sandbox::{
    aws::{AuthenticationMode, Call, ClusterSeed, ClusterStatus, Effect, Fault, contract::Check},
    control_plane::{About, ApiEffect, ApiFault},
    stage::{Signal, is_ready},
};
use serde_json::{Value, json};

use crate::{
    management::{by_hand, role as management},
    support::{
        HUB_ACCOUNT, NAMESPACE, Setting, World, condition,
        hands::{SeenRole, loose_trust},
        message,
    },
};

/// A change of the cluster by hand.
type Change<'a> = &'a dyn Fn(&mut ClusterSeed);

const STATES: &str = "states";
const ROTATED: &str = "rotated";
const RECREATED: &str = "recreated";
const SUSPENDED: &str = "suspended";
const UNANSWERED: &str = "unanswered";

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_changes_is_told_and_followed() {
    let spokes = [STATES, ROTATED, RECREATED, SUSPENDED, UNANSWERED];
    let spokes = spokes.map(|name| format!("222222222222/eu-west-1/{name}"));
    let mut setting = Setting::of(&spokes.each_ref().map(String::as_str));
    setting.proxied = true;
    let world = World::ready(setting).await;
    tokio::join!(
        states(&world),
        rotated(&world),
        recreated(&world),
        recreated_meanwhile(&world),
        recreated_unanswered(&world)
    );
    world.never_denied();
}

/// A cluster that is made again, and nobody answers that its Secret was written: what is to be restarted is told all the same.
async fn recreated_unanswered(world: &World) {
    world.moored(UNANSWERED).await;
    let secret = world.secret(UNANSWERED).await.unwrap().metadata.name.unwrap();
    let faults = world.stage.proxied().unwrap().faults();
    let unanswered = ApiFault::on("patch secrets", ApiEffect::CloseAfter).about(&About::words([secret]));
    let unanswered = faults.add(unanswered.nth(1));
    let new = remade(world, UNANSWERED);
    world.ask("ManagedCluster", UNANSWERED).await;
    world.until("ManagedCluster", UNANSWERED, tells_of_the_server).await;
    assert_eq!(faults.struck(unanswered), 1);
    assert_eq!(value(&stands(world, UNANSWERED).await.0, "server"), new.endpoint);
}

/// Whether a cluster that is Ready tells that the server in its Secret changed.
pub(crate) fn tells_of_the_server(object: &Value) -> bool {
    condition(object, "SecretReady").is_some_and(|(_, reason, _)| reason == "ServerChanged") && is_ready(object)
}

/// Somebody deletes the cluster, and makes another of its name.
pub(crate) fn remade(world: &World, name: &str) -> ClusterSeed {
    let old = seed(world, name);
    let new = ClusterSeed {
        ca_data: old.ca_data.clone(),
        ..ClusterSeed::new(&old.account, &old.region, name)
    };
    let aws = &world.stage.aws;
    aws.remove_cluster(&old.account, &old.region, name).unwrap();
    aws.add_cluster(new.clone());
    new
}

/// A cluster that is made again while its access is taken away: what is to be restarted is told then, and afterwards too.
async fn recreated_meanwhile(world: &World) {
    world.moored(SUSPENDED).await;
    world
        .patch("ManagedCluster", SUSPENDED, json!({"spec": {"mode": "Suspended"}}))
        .await;
    world.until_reason("ManagedCluster", SUSPENDED, "Suspended").await;
    let new = remade(world, SUSPENDED);
    world.ask("ManagedCluster", SUSPENDED).await;
    let is_told = |object: &Value| {
        condition(object, "SecretReady").is_some_and(|(status, reason, words)| {
            status == "True" && reason == "ServerChanged" && words.contains("rollout restart")
        })
    };
    let object = world.until("ManagedCluster", SUSPENDED, is_told).await;
    assert!(message(&object).contains("restarted once"), "{}", message(&object));
    let (after, _) = stands(world, SUSPENDED).await;
    assert_eq!(value(&after, "server"), new.endpoint);
    told(
        world,
        SUSPENDED,
        &["ClusterRecreated: ", "none is made while spec.mode is Suspended"],
    )
    .await;
    assert_eq!(world.seen_entry(SUSPENDED), None);
    world
        .patch("ManagedCluster", SUSPENDED, json!({"spec": {"mode": "Enforce"}}))
        .await;
    let object = world.is_ready("ManagedCluster", SUSPENDED).await;
    assert!(is_told(&object), "{object:#}");
}

pub(crate) fn seed(world: &World, name: &str) -> ClusterSeed {
    let seeds = world.stage.aws.clusters();
    seeds.into_iter().find(|seed| seed.name == name).unwrap()
}

fn change(world: &World, name: &str, change: impl Fn(&mut ClusterSeed)) {
    let spec = world.cluster(name);
    let aws = &world.stage.aws;
    aws.update_cluster(&spec.account, &spec.region, name, change).unwrap();
}

/// The values of a Secret, and what tells it from another of the same values.
async fn stands(world: &World, name: &str) -> (Secret, Option<String>) {
    let mut secret = world.secret(name).await.unwrap();
    let uid = secret.metadata.uid.clone();
    secret.metadata.managed_fields = None;
    secret.metadata.resource_version = None;
    (secret, uid)
}

fn value(secret: &Secret, key: &str) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap()
}

async fn told(world: &World, name: &str, parts: &[&str]) {
    world
        .eventually(&format!("an event on {name} with {parts:?}"), async || {
            let events = world.events(name).await;
            let all = |event: &String| parts.iter().all(|part| event.contains(part));
            events.iter().any(all).then_some(())
        })
        .await;
}

/// While the cluster cannot be used nothing that stands is touched, and all is well when it can be again.
async fn states(world: &World) {
    world.moored(STATES).await;
    let secret = stands(world, STATES).await;
    let (role, entry) = (world.seen_role(STATES), world.seen_entry(STATES));
    world.whole_pass("ManagedCluster", STATES).await;
    let mark = world.mark();
    let cases: [(Change<'_>, &str, &str); 3] = [
        (
            &|seed| seed.status = ClusterStatus::Failed,
            "ClusterNotActive",
            "cluster/states is FAILED: in account 222222222222, `aws eks describe-cluster --region eu-west-1",
        ),
        (
            &|seed| seed.status = ClusterStatus::Deleting,
            "ClusterNotActive",
            "being deleted: delete this ManagedCluster too",
        ),
        (
            &|seed| seed.authentication_mode = AuthenticationMode::ConfigMap,
            "AccessEntriesDisabled",
            "update-cluster-config",
        ),
    ];
    for (harm, reason, words) in cases {
        change(world, STATES, harm);
        world.ask("ManagedCluster", STATES).await;
        let object = world
            .until("ManagedCluster", STATES, |object| {
                condition(object, "Ready").is_some_and(|(_, found, _)| found == reason)
                    && message(object).contains(words)
            })
            .await;
        assert_eq!(condition(&object, "Stalled").unwrap().0, "True", "{reason}");
        assert_eq!(condition(&object, "ClusterReady").unwrap().1, reason);
        told(world, STATES, &[reason]).await;
        change(world, STATES, |seed| {
            seed.status = ClusterStatus::Updating;
            seed.authentication_mode = AuthenticationMode::ApiAndConfigMap;
        });
        world.ask("ManagedCluster", STATES).await;
        // An update that is under way is no obstacle.
        world.is_ready("ManagedCluster", STATES).await;
    }
    assert_eq!(world.writes(STATES, mark), Vec::<String>::new());
    assert_eq!(stands(world, STATES).await, secret);
    assert_eq!((world.seen_role(STATES), world.seen_entry(STATES)), (role, entry));
}

/// EKS gives both authorities while it rotates from one to the other.
async fn rotated(world: &World) {
    world.moored(ROTATED).await;
    let (before, uid) = stands(world, ROTATED).await;
    let old = STANDARD.decode(seed(world, ROTATED).ca_data).unwrap();
    let next = certificate_authority();
    let both = STANDARD.encode([old.as_slice(), next.as_slice()].concat());
    let given = async |authority: &String| {
        change(world, ROTATED, |seed| seed.ca_data.clone_from(authority));
        world.ask("ManagedCluster", ROTATED).await;
        world
            .eventually("the Secret has the authority", async || {
                let (secret, _) = stands(world, ROTATED).await;
                value(&secret, "config")
                    .contains(&format!("\"caData\":\"{authority}\""))
                    .then_some(secret)
            })
            .await
    };
    let after = given(&both).await;
    assert_eq!(
        (&after.metadata.name, after.metadata.uid.clone()),
        (&before.metadata.name, uid)
    );
    assert_eq!(value(&after, "server"), value(&before, "server"));
    let events = world
        .eventually("an event that tells the rotation", async || {
            let events = world.events(ROTATED).await;
            let told =
                |event: &String| event.starts_with("CertificateAuthorityRotated: ") && event.contains("2 certificates");
            events.iter().any(told).then_some(events)
        })
        .await;
    assert!(
        events.iter().all(|event| !event.starts_with("DriftMended")),
        "what AWS changed is nobody's drift: {events:?}"
    );
    // In the end the new one alone.
    given(&STANDARD.encode(&next)).await;
    world
        .eventually("an event that tells the end of the rotation", async || {
            let events = world.events(ROTATED).await;
            let told = |event: &String| {
                event.starts_with("CertificateAuthorityRotated: ") && event.contains("one certificate")
            };
            events.iter().any(told).then_some(())
        })
        .await;
    let read = world.argo_cd_reads().await;
    assert_eq!(read[ROTATED]["tls"]["insecure"], json!(false), "{read:#?}");
    world.whole_pass("ManagedCluster", ROTATED).await;
    let object = world.is_ready("ManagedCluster", ROTATED).await;
    assert_eq!(condition(&object, "SecretReady").unwrap().1, "AsSpecified");
    assert!(object["status"]["serverChangedAt"].is_null());
}

/// The authority that a cluster rotates to.
fn certificate_authority() -> Vec<u8> {
    let authority = rcgen::generate_simple_self_signed(vec!["kubernetes".to_owned()]).unwrap();
    authority.cert.pem().into_bytes()
}

/// Another cluster under the same name: other endpoint, authority and issuer, and no access entry.
async fn recreated(world: &World) {
    world.moored(RECREATED).await;
    let (before, uid) = stands(world, RECREATED).await;
    let (role, entry) = (world.seen_role(RECREATED), world.seen_entry(RECREATED).unwrap());
    let old = seed(world, RECREATED);
    let aws = &world.stage.aws;
    aws.remove_cluster(&old.account, &old.region, RECREATED).unwrap();
    world.ask("ManagedCluster", RECREATED).await;
    let gone = world.until_reason("ManagedCluster", RECREATED, "ClusterGone").await;
    assert_eq!(condition(&gone, "Stalled").unwrap().0, "True");
    assert!(
        message(&gone).contains("role and the cluster Secret are kept"),
        "{}",
        message(&gone)
    );
    assert_eq!(stands(world, RECREATED).await, (before.clone(), uid.clone()));
    let went = "waits for ClusterReady; there is none: it went with the cluster that was moored";
    let entry_told = |object: &Value| condition(object, "AccessEntryReady").unwrap().2;
    assert_eq!(entry_told(&gone), went);
    let new = ClusterSeed {
        status: ClusterStatus::Creating,
        ca_data: old.ca_data.clone(),
        ..ClusterSeed::new(&old.account, &old.region, RECREATED)
    };
    aws.add_cluster(new.clone());
    world.ask("ManagedCluster", RECREATED).await;
    let making = world
        .until_reason("ManagedCluster", RECREATED, "ClusterNotActive")
        .await;
    assert_eq!(condition(&making, "Stalled"), None, "it comes by itself");
    assert!(message(&making).contains("being created"), "{}", message(&making));
    assert_eq!(entry_told(&making), went);
    let mark = world.mark();
    change(world, RECREATED, |seed| seed.status = ClusterStatus::Active);
    let object = world
        .until("ManagedCluster", RECREATED, |object| {
            is_ready(object) && object["status"]["cluster"]["issuer"] == json!(new.issuer)
        })
        .await;
    assert_eq!(
        world.writes(RECREATED, mark),
        ["CreateAccessEntry", "AssociateAccessPolicy"]
    );
    assert_eq!(world.seen_role(RECREATED), role);
    assert_eq!(world.seen_entry(RECREATED).unwrap().policies, entry.policies);
    let (after, _) = stands(world, RECREATED).await;
    assert_eq!(
        (&after.metadata.name, &after.metadata.uid),
        (&before.metadata.name, &uid)
    );
    assert_eq!(value(&after, "server"), new.endpoint);
    told(
        world,
        RECREATED,
        &[
            "ClusterRecreated: ",
            &format!("was {} and is {}", old.issuer, new.issuer),
            "Restart",
        ],
    )
    .await;
    let (status, reason, words) = condition(&object, "SecretReady").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "ServerChanged"));
    let command = format!(
        "kubectl -n {NAMESPACE} rollout restart statefulset -l app.kubernetes.io/name=argocd-application-controller"
    );
    assert!(words.contains(&command), "{words}");
    assert!(message(&object).contains("SecretReady"), "{}", message(&object));

    // It is told until the controller was started after it.
    world.whole_pass("ManagedCluster", RECREATED).await;
    let object = world.is_ready("ManagedCluster", RECREATED).await;
    assert_eq!(condition(&object, "SecretReady").unwrap().1, "ServerChanged");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "argocd-application-controller-0", "labels": {"app.kubernetes.io/name": "argocd-application-controller"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }))
    .unwrap();
    let pods: Api<Pod> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
    pods.create(&PostParams::default(), &pod).await.unwrap();
    world.ask("ManagedCluster", RECREATED).await;
    world
        .until("ManagedCluster", RECREATED, |object| {
            condition(object, "SecretReady").is_some_and(|(_, reason, _)| reason == "AsSpecified")
                && object["status"]["serverChangedAt"].is_null()
        })
        .await;
}

/// A principal of whom only the unique ID is left, in both trust policies, goes from there.
async fn only_their_ids(world: &World, before: &SeenRole) {
    world.is_ready("ManagedCluster", "one").await;
    let ghost = |account: &str| {
        let input = json!({"RoleName": "ghost", "AssumeRolePolicyDocument": loose_trust(account)});
        let made = world.iam(account, "CreateRole", input);
        made["Role"]["Arn"].as_str().unwrap().to_owned()
    };
    let trusting = |arn: &str| {
        let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}]});
        json!({"PolicyDocument": document.to_string()})
    };
    by_hand(world, "UpdateAssumeRolePolicy", trusting(&ghost(HUB_ACCOUNT)));
    world.role("one", "UpdateAssumeRolePolicy", trusting(&ghost("222222222222")));
    for account in [HUB_ACCOUNT, "222222222222"] {
        world.iam(account, "DeleteRole", json!({"RoleName": "ghost"}));
    }
    assert!(management(world).unwrap().trust.to_string().contains("AROA"));
    for (kind, name) in [("ManagementRole", "default"), ("ManagedCluster", "one")] {
        world.is_ready(kind, name).await;
        world.ask(kind, name).await;
        let parts = [
            "StalePrincipal: ",
            "AROA",
            "all that is left of a role or user that was deleted",
        ];
        told(world, name, &parts).await;
    }
    assert_eq!(management(world).unwrap().trust, before.trust);
    assert!(!world.seen_role("one").unwrap().trust.to_string().contains("AROA"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_not_the_one_it_was_is_named_and_never_trusted_silently() {
    let setting = Setting::of(&["222222222222/eu-west-1/one"]).flag(&["--confirm-after", "2s"]);
    let world = World::ready(setting).await;
    world.moored("one").await;
    world.whole_pass("ManagementRole", "default").await;

    // Without our tags: told, and not touched, and nothing of a cluster goes.
    let before = management(&world).unwrap();
    let moored = (
        world.seen_role("one"),
        world.seen_entry("one"),
        stands(&world, "one").await,
    );
    world.remake_management_role(&[("team".to_owned(), "other".to_owned())].into());
    let theirs = management(&world).unwrap();
    world.ask("ManagementRole", "default").await;
    let object = world.until_reason("ManagementRole", "default", "StalePrincipal").await;
    // A pass that looked while the role was being replaced may have tried to give it back what it lacked then.
    let mark = world.mark();
    assert_eq!(condition(&object, "Stalled").unwrap().0, "True");
    assert_eq!(condition(&object, "RoleReady").unwrap().1, "StalePrincipal");
    for part in [
        &before.id,
        &theirs.id,
        "off and delete it (`aws iam delete-role --role-name management-default-",
    ] {
        assert!(message(&object).contains(part), "{}", message(&object));
    }
    told(&world, "default", &["StalePrincipal: ", &theirs.id]).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    world.whole_pass("ManagementRole", "default").await;
    assert_eq!(world.writes("default", mark), Vec::<String>::new());
    assert_eq!(management(&world), Some(theirs));
    by_hand(&world, "DeleteRole", json!({}));
    world.ask("ManagementRole", "default").await;
    let object = world.is_ready("ManagementRole", "default").await;
    world.is_ready("ManagedCluster", "one").await;
    let now = (
        world.seen_role("one"),
        world.seen_entry("one"),
        stands(&world, "one").await,
    );
    assert_eq!(now, moored);
    let afresh = management(&world).unwrap();
    assert_eq!(object["status"]["role"]["id"], json!(afresh.id));
    assert_eq!((&afresh.trust, &afresh.boundary), (&before.trust, &before.boundary));

    // With our tags: told, and made afresh when two looks agree.
    world.remake_management_role(&afresh.tags);
    let forged = management(&world).unwrap();
    let mark = world.mark();
    world.ask("ManagementRole", "default").await;
    world
        .until("ManagementRole", "default", |object| {
            is_ready(object) && object["status"]["role"]["id"] != json!(afresh.id)
        })
        .await;
    let again = management(&world).unwrap();
    assert_ne!(again.id, forged.id);
    assert_eq!(again.trust, before.trust);
    let writes = world.writes("default", mark);
    assert_eq!(
        writes,
        [
            "PutRolePermissionsBoundary",
            "DeleteRole",
            "CreateRole",
            "PutRolePolicy"
        ]
    );
    told(&world, "default", &["StalePrincipal: ", "delete role"]).await;
    told(&world, "default", &["StalePrincipal: ", &forged.id]).await;

    only_their_ids(&world, &before).await;
    // A role that is deleted between two reads of a pass is judged by its name without a path, which nobody may read. And a pass
    // that looked while it was being replaced is kept from writing by the tags of what stands there then.
    let theirs = |check: &Check| {
        check
            .context
            .get("aws:ResourceTag/team")
            .is_some_and(|team| team == &["other"])
    };
    let met_theirs = |call: &Call| call.checks.iter().any(theirs);
    world.never_denied_but(|call| call.operation.contains("RolePolic") && (!call.write || met_theirs(call)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_made_again_is_followed_once_a_person_says_so() {
    let setting = Setting::of(&["222222222222/eu-west-1/one"]);
    let world = World::ready(setting).await;
    world.moored("one").await;
    world.whole_pass("ManagementRole", "default").await;
    world.end_operator(Signal::Terminate).await;

    // As if the objects had been restored on the cluster that runs here: what was recorded and made is of another.
    let now = world.stage.fleet.hub.issuer();
    let former = another(&now);
    let provider = |issuer: &str| world.hub().oidc_provider(issuer).unwrap().to_string();
    let role = management(&world).unwrap();
    let old_trust = role.trust.to_string().replace(
        now.strip_prefix("https://").unwrap(),
        former.strip_prefix("https://").unwrap(),
    );
    world.iam(
        HUB_ACCOUNT,
        "CreateOpenIDConnectProvider",
        json!({"Url": former, "ClientIDList": ["sts.amazonaws.com"]}),
    );
    by_hand(&world, "UpdateAssumeRolePolicy", json!({"PolicyDocument": old_trust}));
    let named = |issuer: &str| json!({"OpenIDConnectProviderArn": provider(issuer)});
    world.iam(HUB_ACCOUNT, "DeleteOpenIDConnectProvider", named(&now));
    let api = world.stage.mooring("ManagementRole").unwrap();
    let recorded = Patch::Merge(json!({"status": {"hub": {"issuer": former}}}));
    api.patch_status("default", &PatchParams::default(), &recorded)
        .await
        .unwrap();
    let kept = (
        world.seen_role("one"),
        world.seen_entry("one"),
        stands(&world, "one").await,
    );

    // Looked at at once, whichever of the two comes first.
    let edit = json!({"spec": {"argocd": {"labels": {"early": "yes"}}}});
    world.patch("ManagedCluster", "one", edit).await;
    let mark = world.mark();
    world.start_operator().await;
    let object = world.until_reason("ManagementRole", "default", "HubMismatch").await;
    assert_eq!(condition(&object, "Stalled").unwrap().0, "True");
    assert_eq!(condition(&object, "HubReady").unwrap().0, "False");
    assert_eq!(
        object["status"]["hub"]["issuer"],
        json!(former),
        "what was recorded stays"
    );
    let command = format!("kubectl annotate mgr default --overwrite mooring.dev/confirm-hub={now}");
    assert!(message(&object).contains(&command), "{}", message(&object));
    told(&world, "default", &["HubMismatch: ", &former, &now]).await;
    world
        .until_reason("ManagedCluster", "one", "ManagementRoleNotReady")
        .await;
    let confirm = async |issuer: &str| {
        let annotations = json!({"mooring.dev/confirm-hub": issuer});
        world
            .patch(
                "ManagementRole",
                "default",
                json!({"metadata": {"annotations": annotations}}),
            )
            .await;
    };
    let undone = json!({"spec": {"argocd": {"labels": null}}});
    world.patch("ManagedCluster", "one", undone).await;
    // What names another issuer confirms nothing.
    confirm(&former).await;
    world.whole_pass("ManagementRole", "default").await;
    let refused = format!("The annotation that is set confirms {former}, which is the one that was recorded");
    world
        .until("ManagementRole", "default", |object| {
            condition(object, "Ready")
                .is_some_and(|(_, reason, message)| reason == "HubMismatch" && message.contains(&refused))
        })
        .await;
    assert_eq!(world.writes("default", mark), Vec::<String>::new());
    assert_eq!(world.writes("one", mark), Vec::<String>::new());

    confirm(&now).await;
    let object = world.is_ready("ManagementRole", "default").await;
    assert_eq!(object["status"]["hub"]["issuer"], json!(now));
    assert_eq!(
        world.writes("default", mark),
        ["CreateOpenIDConnectProvider", "UpdateAssumeRolePolicy"]
    );
    assert_eq!(
        management(&world).unwrap(),
        role,
        "the same role, which deployers go on trusting"
    );
    world.iam(HUB_ACCOUNT, "GetOpenIDConnectProvider", named(&former));
    world.is_ready("ManagedCluster", "one").await;
    assert_eq!(
        (
            world.seen_role("one"),
            world.seen_entry("one"),
            stands(&world, "one").await
        ),
        kept
    );
    assert_eq!(world.writes("one", mark), Vec::<String>::new());
    // It confirmed that one hub, and stays without effect.
    world.whole_pass("ManagementRole", "default").await;
    world.is_ready("ManagementRole", "default").await;
    world.never_denied();
}

/// Objects that were restored on another cluster with their status name the role that their hub lives on.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_on_another_hub_takes_nothing_away_and_can_be_let_go() {
    let spokes = ["222222222222/eu-west-1/one", "111111111111/eu-west-1/not-hub"];
    let mut setting = Setting::of(&spokes);
    setting.proxied = true;
    let world = World::ready(setting).await;
    world.moored("one").await;
    let role = management(&world).unwrap();
    let all = || {
        (
            management(&world),
            world.assumable(),
            world.seen_role("one"),
            world.seen_entry("one"),
        )
    };
    let before = all();
    world.whole_pass("ManagementRole", "default").await;
    world.end_operator(Signal::Terminate).await;
    let issuer = world.stage.fleet.hub.issuer();
    restored_from(&world, &another(&issuer)).await;
    // Its clusters as well, all at once, and nobody has looked at it here yet, nor can.
    let mark = world.mark();
    let discovery = "/.well-known/openid-configuration";
    let faults = world.stage.proxied().unwrap().faults();
    let unread = ApiFault::on(&format!("get {discovery}"), ApiEffect::Refuse(500));
    let unread = faults.add(unread);
    world.delete("ManagementRole", "default").await;
    world.delete("ManagedCluster", "one").await;
    world.start_operator().await;
    let says = |object: &Value| message(object).contains(discovery);
    let unread_by = world.until("ManagedCluster", "one", says).await;
    let (verdict, reason, _) = condition(&unread_by, "ManagementRoleReady").unwrap();
    assert_eq!((verdict.as_str(), reason.as_str()), ("Unknown", "KubernetesError"));
    assert_eq!(all(), before, "not known is not this one");
    faults.remove(unread);
    let waits = world.until_reason("ManagementRole", "default", "HubMismatch").await;
    let frees = lets_go("mgc", "one");
    let copy = world
        .until("ManagedCluster", "one", |object| message(object).contains(&frees))
        .await;
    assert_eq!(condition(&copy, "Ready").unwrap().1, "ManagementRoleNotReady");
    let secret = copy["status"]["secret"].as_str().unwrap();
    let told = message(&copy);
    assert!(
        told.contains(&format!("kubectl delete secret -n argocd {secret}")),
        "{told}"
    );
    assert!(
        told.contains("kubectl describe mgr default") && !told.contains("patch mgr"),
        "{told}"
    );
    for part in [
        lets_go("mgr", "default"),
        format!("mooring.dev/confirm-hub={issuer}"),
        role.arn.clone(),
    ] {
        assert!(message(&waits).contains(&part), "{part}: {}", message(&waits));
    }
    assert!(message(&waits).contains("lets the removal go on, which deletes that role"));
    assert_eq!(condition(&waits, "HubReady").unwrap().0, "False");
    assert_eq!(condition(&waits, "Stalled").unwrap().0, "True");
    let without = json!({"metadata": {"finalizers": null}});
    world.patch("ManagedCluster", "one", without.clone()).await;
    world.until_gone("ManagedCluster", "one").await;
    // No cluster names it any more, and it waits all the same.
    world.ask("ManagementRole", "default").await;
    world
        .eventually("a look at AWS", async || {
            let calls = world.calls("default", mark);
            let looked = calls.iter().any(|call| call.operation == "DescribeCluster");
            looked.then_some(())
        })
        .await;
    world.whole_pass("ManagementRole", "default").await;
    let waits = world.until_reason("ManagementRole", "default", "HubMismatch").await;
    assert!(
        message(&waits).contains(&lets_go("mgr", "default")),
        "{}",
        message(&waits)
    );
    world.patch("ManagementRole", "default", without).await;
    world.until_gone("ManagementRole", "default").await;
    assert_eq!(world.writes("default", mark), Vec::<String>::new());
    assert_eq!(all(), before);
    of_another_cluster(&world).await;
}

/// A `ManagementRole` was restored here from another hub, and nobody has looked at its hub yet.
#[tokio::test(flavor = "multi_thread")]
async fn before_the_hub_was_looked_at_a_copy_takes_nothing_away() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/one"])).await;
    world.moored("one").await;
    world.whole_pass("ManagementRole", "default").await;
    world.end_operator(Signal::Terminate).await;
    let issuer = another(&world.stage.fleet.hub.issuer());
    restored_from(&world, &issuer).await;
    let unseen = Fault::on("DescribeCluster", Effect::Hang).in_account(HUB_ACCOUNT);
    let unseen = world.stage.aws.faults().add(unseen).unwrap();
    let (mark, before) = (world.mark(), (world.seen_role("one"), world.seen_entry("one")));
    world.delete("ManagedCluster", "one").await;
    world.start_operator().await;
    let says = format!("was made ready on another hub, with the issuer {issuer}");
    world
        .until("ManagedCluster", "one", |object| message(object).contains(&says))
        .await;
    assert!(world.secret("one").await.is_some());
    assert_eq!((world.seen_role("one"), world.seen_entry("one")), before);
    assert_eq!(world.writes("one", mark), Vec::<String>::new());
    world.stage.aws.faults().remove(unseen);
    world.until_reason("ManagementRole", "default", "HubMismatch").await;
}

/// The issuer of another hub.
fn another(issuer: &str) -> String {
    format!("{}0000", &issuer[..issuer.len() - 4])
}

/// Has the status of the `ManagementRole` name the issuer of another hub.
async fn restored_from(world: &World, issuer: &str) {
    let api = world.stage.mooring("ManagementRole").unwrap();
    let patch = Patch::Merge(json!({"status": {"hub": {"issuer": issuer}}}));
    api.patch_status("default", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// The command that takes the finalizers off an object.
fn lets_go(kind: &str, name: &str) -> String {
    format!(r#"kubectl patch {kind} {name} --type merge -p '{{"metadata":{{"finalizers":null}}}}'"#)
}

/// One of a cluster of another name, whose role its status names.
async fn of_another_cluster(world: &World) {
    let api = world.stage.mooring("ManagementRole").unwrap();
    let without = json!({"metadata": {"finalizers": null}});
    let mut copy = world.setting.management.clone();
    copy["metadata"]["name"] = json!("copy");
    copy["spec"]["cluster"]["name"] = json!("not-hub");
    world.apply(&copy).await;
    world.until_reason("ManagementRole", "copy", "HubMismatch").await;
    let mut hub = world.hub();
    hub.cluster.name = "not-hub".parse().unwrap();
    hub.management_role = "copy".parse().unwrap();
    let arn = hub.management_role_arn(None);
    let theirs = json!({"RoleName": arn.name.as_str(), "Path": arn.path.as_str(), "AssumeRolePolicyDocument": loose_trust(HUB_ACCOUNT)});
    let theirs = world.iam(HUB_ACCOUNT, "CreateRole", theirs);
    let status = json!({"status": {"role": {"arn": arn.to_string(), "id": theirs["Role"]["RoleId"]}}});
    world.end_operator(Signal::Terminate).await;
    api.patch_status("copy", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    world.start_operator().await;
    world.delete("ManagementRole", "copy").await;
    world
        .until("ManagementRole", "copy", |object| {
            condition(object, "Ready").is_some_and(|(_, reason, message)| {
                reason == "HubMismatch"
                    && message.contains(&lets_go("mgr", "copy"))
                    && message.contains("remove it by the Mooring of not-hub")
                    && !message.contains("in a new ManagementRole")
            })
        })
        .await;
    world.patch("ManagementRole", "copy", without).await;
    world.until_gone("ManagementRole", "copy").await;
    assert!(world.seen_role_named(HUB_ACCOUNT, arn.name.as_str()).is_some());

    // Where nothing was made for it, it goes at once.
    let name = json!({"RoleName": arn.name.as_str()});
    world.iam(HUB_ACCOUNT, "DeleteRole", name);
    world.apply(&copy).await;
    world.until_reason("ManagementRole", "copy", "HubMismatch").await;
    world.delete("ManagementRole", "copy").await;
    world.until_gone("ManagementRole", "copy").await;
}

/// Nothing but its own removal looks at the hub of a `ManagementRole` that goes, and its clusters wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_confirmed_and_found_to_be_another_also_while_everything_is_removed() {
    let spokes = [
        "222222222222/eu-west-1/one",
        "222222222222/eu-west-1/two",
        "111111111111/eu-west-1/not-hub",
    ];
    let world = World::ready(Setting::of(&spokes).flag(&["--confirm-after", "2s"])).await;
    world.moored("one").await;
    world.end_operator(Signal::Terminate).await;
    let issuer = world.stage.fleet.hub.issuer();
    restored_from(&world, &another(&issuer)).await;
    world.delete("ManagementRole", "default").await;
    world.delete("ManagedCluster", "one").await;
    world.start_operator().await;
    world.until_reason("ManagementRole", "default", "HubMismatch").await;
    world
        .until_reason("ManagedCluster", "one", "ManagementRoleNotReady")
        .await;
    assert!(world.seen_role("one").is_some() && world.seen_entry("one").is_some());

    // EKS says of the hub of this one that it is another, and says so again while a cluster names it.
    let mut copy = world.setting.management.clone();
    copy["metadata"]["name"] = json!("copy");
    copy["spec"]["cluster"]["name"] = json!("not-hub");
    world.apply(&copy).await;
    world.until_reason("ManagementRole", "copy", "HubMismatch").await;
    world.moor("two", json!({"managementRole": "copy"})).await;
    world
        .until_reason("ManagedCluster", "two", "ManagementRoleNotReady")
        .await;
    world.delete("ManagementRole", "copy").await;
    let frees = "kubectl patch mgr copy --type merge";
    let waits = |object: &Value| message(object).contains(frees);
    let told = world.until("ManagementRole", "copy", waits).await;
    assert_eq!(condition(&told, "HubReady").unwrap().0, "False");

    let confirmed = json!({"metadata": {"annotations": {"mooring.dev/confirm-hub": issuer}}});
    world.patch("ManagementRole", "default", confirmed).await;
    world.until_gone("ManagedCluster", "one").await;
    assert_eq!((world.seen_role("one"), world.seen_entry("one")), (None, None));
    let without = json!({"metadata": {"finalizers": null}});
    world.patch("ManagementRole", "copy", without).await;
    world.delete("ManagedCluster", "two").await;
    world.until_gone("ManagementRole", "default").await;
    assert_eq!(management(&world), None);
}
