//! What can happen to a cluster, as a table: each row is swept by every fault and every kill. A new row is all that it
//! takes to have another capability swept; the calls that it makes are found by the sweep.

use std::sync::LazyLock;

use futures::future::BoxFuture;
use mooring::domain::arn::RoleArn;
use serde_json::{Value, json};

use super::deeds;
use crate::{
    keeping::remade,
    support::{
        World,
        manifest::{ADMIN, EDIT, VIEW, managed_cluster},
    },
};

/// Something that people do by hand.
type Deed = for<'a> fn(&'a World, &'a str) -> BoxFuture<'a, ()>;

/// One row. `ACCOUNT` and `NAME` in a spec stand for the cluster's own.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// What comes before it begins.
    pub(super) before: Vec<Before>,
    pub(super) act: Act,
    pub(super) end: End,
}

/// What brings a cluster to where its scenario begins.
pub(super) enum Before {
    /// The manifest is applied with this spec, over the plain one, until `Ready` has this reason.
    Apply(Value, &'static str),
    /// Somebody wired it by hand.
    Wired,
    ByHand(Deed),
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
        let before = self.before.iter().filter_map(|before| match before {
            Before::Apply(spec, _) => Some(spec),
            Before::Wired | Before::ByHand(_) => None,
        });
        let after = match &self.act {
            Act::Apply(spec) => Some(spec),
            Act::ByHand(_) | Act::Delete => None,
        };
        let whole = |spec: &Value| managed_cluster(world.cluster(cluster), of(world, cluster, spec))["spec"].clone();
        before.chain(after).map(whole).collect()
    }

    /// The role that Argo CD enters the cluster with.
    pub(super) fn role(&self, world: &World, cluster: &str) -> RoleArn {
        let specs = self.specs(world, cluster);
        let named = specs
            .iter()
            .find_map(|spec| spec["access"]["deployerRole"]["arn"].as_str());
        named.map_or_else(|| world.deployer(cluster), |arn| arn.parse().unwrap())
    }

    /// Whether role, entry and Secret were there before Mooring, made by somebody else.
    pub(super) fn adopts(&self) -> bool {
        self.before.iter().any(|before| matches!(before, Before::Wired))
    }
}

/// A spec of one cluster.
pub(super) fn of(world: &World, cluster: &str, spec: &Value) -> Value {
    let text = spec.to_string().replace("ACCOUNT", &world.cluster(cluster).account);
    serde_json::from_str(&text.replace("NAME", cluster)).unwrap()
}

const MOORED: &str = "Moored";
const SUSPENDED: &str = "Suspended";
const DRIFT: Deed = |world, name| Box::pin(deeds::drift(world, name));
const ANOTHER_ROLE: Deed = |world, name| Box::pin(async move { deeds::another_role(world, name) });
const CLUSTER_REMADE: Deed = |world, name| {
    Box::pin(async move {
        remade(world, name);
    })
};
const THEIR_ROLE: Deed = |world, name| Box::pin(async move { deeds::their_role(world, name) });
const DEPLOYED_TO: Deed = |world, name| Box::pin(deeds::deployed_to(world, name));

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
    let with = |over: Value| {
        let mut spec = narrow.clone();
        crate::support::manifest::merge(&mut spec, over);
        spec
    };
    let suspended = with(json!({"mode": "Suspended"}));
    let enforced = with(json!({"mode": "Enforce"}));
    let drained = with(json!({"deletion": {"whileInUse": "Drain"}}));
    let retained = with(json!({"deletion": {"policy": "Retain"}}));
    let adopting = with(json!({
        "adoptExisting": true,
        "access": {"deployerRole": {"arn": "arn:aws:iam::ACCOUNT:role/argocd-NAME"}},
    }));
    let existing = with(json!({
        "access": {"deployerRole": {"type": "Existing", "arn": "arn:aws:iam::ACCOUNT:role/argocd-NAME"}},
    }));
    let moored = || Before::Apply(narrow.clone(), MOORED);
    let row = |name, before, act, end| Scenario { name, before, act, end };
    let reason = End::Reason;
    vec![
        row("create", vec![], Act::Apply(narrow.clone()), reason(MOORED)),
        row(
            "adopt",
            vec![Before::Wired],
            Act::Apply(adopting.clone()),
            reason(MOORED),
        ),
        row("update", vec![moored()], Act::Apply(other), reason(MOORED)),
        row("heal", vec![moored()], Act::ByHand(DRIFT), reason(MOORED)),
        row("remake", vec![moored()], Act::ByHand(ANOTHER_ROLE), reason(MOORED)),
        row("follow", vec![moored()], Act::ByHand(CLUSTER_REMADE), reason(MOORED)),
        row(
            "suspend",
            vec![moored()],
            Act::Apply(suspended.clone()),
            reason(SUSPENDED),
        ),
        row(
            "resume",
            vec![moored(), Before::Apply(suspended, SUSPENDED)],
            Act::Apply(enforced),
            reason(MOORED),
        ),
        row("delete", vec![moored()], Act::Delete, End::Gone),
        row(
            "drain",
            vec![Before::Apply(drained, MOORED), Before::ByHand(DEPLOYED_TO)],
            Act::Delete,
            End::Gone,
        ),
        row("retain", vec![Before::Apply(retained, MOORED)], Act::Delete, End::Gone),
        row(
            "leave",
            vec![Before::Wired, Before::Apply(adopting, MOORED)],
            Act::Delete,
            End::Gone,
        ),
        row(
            "existing",
            vec![Before::ByHand(THEIR_ROLE)],
            Act::Apply(existing),
            reason(MOORED),
        ),
    ]
});
