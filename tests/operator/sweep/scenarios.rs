//! What can happen to a cluster, as a table: each row is swept by every fault and every kill. A new row is all that it
//! takes to have another capability swept; the calls that it makes are found by the sweep.

use std::sync::LazyLock;

use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, World,
    hands::{iam_tags, loose_trust, policy_arn},
    manifest::{ADMIN, EDIT, VIEW, managed_cluster},
};

/// Something that people do by hand.
type Deed = for<'a> fn(&'a World, &'a str) -> BoxFuture<'a, ()>;

/// One row.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// The spec that the cluster is moored with before it begins, over the plain one; `None`: it is not moored.
    pub(super) before: Option<Value>,
    pub(super) act: Act,
    pub(super) end: End,
}

/// What begins it.
pub(super) enum Act {
    /// The manifest is applied with this spec.
    Apply(Value),
    /// Somebody does something to AWS or Argo CD's namespace, and a pass is asked for.
    ByHand(Deed),
    /// The object is deleted.
    Delete,
}

/// How it ends, once nothing goes wrong any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// `Ready` has this reason for the object's generation.
    Reason(&'static str),
    /// The object is gone.
    Gone,
}

impl Scenario {
    /// Whether access is only taken away in the course of it.
    pub(super) fn takes_away(&self) -> bool {
        self.end == End::Gone || self.end == End::Reason("Suspended")
    }

    /// The specs that the object has in the course of it.
    pub(super) fn specs(&self, world: &World, cluster: &str) -> Vec<Value> {
        let after = match &self.act {
            Act::Apply(spec) => Some(spec),
            Act::ByHand(_) | Act::Delete => None,
        };
        let whole = |spec: &Value| managed_cluster(world.cluster(cluster), spec.clone())["spec"].clone();
        self.before.iter().chain(after).map(whole).collect()
    }
}

const MOORED: End = End::Reason("Moored");

pub(super) static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
    let narrow = json!({
        "access": {
            "policies": [{"name": VIEW}, {"name": EDIT, "namespaces": ["team-a"]}],
            "kubernetesGroups": ["team-a"],
        },
        "argocd": {"labels": {"env": "test"}},
    });
    let other = json!({
        "access": {
            "policies": [{"name": VIEW, "namespaces": ["team-b"]}, {"name": ADMIN}],
            "kubernetesGroups": ["team-b"],
            "deployerRole": {"tags": {"owner": "finance"}},
        },
        "argocd": {"labels": {"env": "prod"}},
    });
    let mut suspended = narrow.clone();
    suspended["mode"] = json!("Suspended");
    vec![
        Scenario {
            name: "create",
            before: None,
            act: Act::Apply(narrow.clone()),
            end: MOORED,
        },
        Scenario {
            name: "update",
            before: Some(narrow.clone()),
            act: Act::Apply(other),
            end: MOORED,
        },
        Scenario {
            name: "heal",
            before: Some(narrow.clone()),
            act: Act::ByHand(|world, name| Box::pin(drift(world, name))),
            end: MOORED,
        },
        Scenario {
            name: "remake",
            before: Some(narrow.clone()),
            act: Act::ByHand(|world, name| Box::pin(async move { another_role(world, name) })),
            end: MOORED,
        },
        Scenario {
            name: "suspend",
            before: Some(narrow.clone()),
            act: Act::Apply(suspended),
            end: End::Reason("Suspended"),
        },
        Scenario {
            name: "delete",
            before: Some(narrow),
            act: Act::Delete,
            end: End::Gone,
        },
    ]
});

/// Everything that is made is changed in every field that can be changed.
async fn drift(world: &World, name: &str) {
    world.role(
        name,
        "UpdateAssumeRolePolicy",
        json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)}),
    );
    world.role(name, "UntagRole", json!({"TagKeys": ["mooring.dev/uid"]}));
    world.role(name, "DeleteRolePermissionsBoundary", json!({}));
    world.entry(name, "UpdateAccessEntry", json!({"kubernetesGroups": ["theirs"]}));
    let associate = |policy: &str, scope: Value| {
        let input = json!({"policyArn": policy_arn(policy), "accessScope": scope});
        world.entry(name, "AssociateAccessPolicy", input);
    };
    associate(ADMIN, json!({"type": "cluster"}));
    associate(VIEW, json!({"type": "namespace", "namespaces": ["kube-system"]}));
    let gone = json!({"policyArn": policy_arn(EDIT)});
    world.entry(name, "DisassociateAccessPolicy", gone);
    let arn = world.seen_entry(name).unwrap().arn;
    untag_entry(world, name, &arn);
    let secret = world.secret(name).await.unwrap().metadata.name.unwrap();
    let theirs = json!({"data": {"config": ByteString(b"{}".to_vec()), "shard": ByteString(b"7".to_vec())}});
    let patch = Patch::Merge(theirs);
    world
        .secrets()
        .patch(&secret, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

fn untag_entry(world: &World, name: &str, arn: &str) {
    let spec = world.cluster(name);
    let aws = &world.stage.aws;
    let input = json!({"resourceArn": arn, "tagKeys": ["mooring.dev/object"]});
    let eks = mooring_sandbox::aws::contract::Service::Eks;
    aws.call_in(&spec.region, &aws.root(&spec.account), eks, "UntagResource", input)
        .unwrap();
}

/// Somebody deletes the deployer role and makes another in its place, with our tags.
fn another_role(world: &World, name: &str) {
    let role = world.seen_role(name).unwrap();
    world.role(name, "DeleteRole", json!({}));
    let path = role
        .arn
        .split_once(":role")
        .unwrap()
        .1
        .rsplit_once('/')
        .unwrap()
        .0
        .to_owned()
        + "/";
    let input = json!({
        "Path": path, "AssumeRolePolicyDocument": loose_trust(HUB_ACCOUNT), "Tags": iam_tags(&role.tags),
        "PermissionsBoundary": role.boundary,
    });
    world.role(name, "CreateRole", input);
}
