//! Who asks for the deployer role, and what the management role asks for.

use mooring::access::{Hop, Reason};
use serde_json::json;

use super::{HUB_ACCOUNT, SPOKE, Scene, TOOLS, judged};
use crate::support::{World, bootstrap::OPERATOR_ROLE, hands::loose_trust};

/// The accounts of the spokes, and one that nobody moored anything of.
const ACCOUNT: &str = "222222222222";
const OTHER_ACCOUNT: &str = "333333333333";
const UNMOORED: &str = "444444444444";

/// A role that may assume whatever it wants, as far as its own policy goes; its trust does not matter here.
pub(super) fn strong(world: &World, account: &str, path: &str, name: &str) -> String {
    let input = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": loose_trust(account)});
    let made = world.iam(account, "CreateRole", input);
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let input = json!({"RoleName": name, "PolicyName": "all", "PolicyDocument": everything.to_string()});
    world.iam(account, "PutRolePolicy", input);
    made["Role"]["Arn"].as_str().unwrap().to_owned()
}

/// A role that trusts the whole of the hub's account.
fn luring(world: &World, account: &str, path: &str, name: &str) -> String {
    // The account is there once its root is.
    let _ = world.stage.aws.root(account);
    let input = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": loose_trust(HUB_ACCOUNT)});
    let made = world.iam(account, "CreateRole", input);
    made["Role"]["Arn"].as_str().unwrap().to_owned()
}

pub(super) async fn asked_for(scene: &mut Scene) {
    let world = &scene.world;
    let (management, deployer) = (world.hub().management_role_arn(None), world.deployer(SPOKE));
    let (path, name) = (&management.path, management.name.as_str());
    let similar = strong(world, HUB_ACCOUNT, path, &format!("{name}-2"));
    let shorter = strong(world, HUB_ACCOUNT, path, &name[..name.len() - 1]);
    let unrooted = strong(world, HUB_ACCOUNT, "/", &format!("x{name}"));
    let namesake = strong(world, OTHER_ACCOUNT, path, name);
    let admin = strong(world, ACCOUNT, "/", "admin");
    let of = |account: &str, name: &str| format!("arn:aws:iam::{account}:role/{name}");
    let lure = luring(world, ACCOUNT, "/", "lure");
    let unmoored = luring(world, UNMOORED, &deployer.path, deployer.name.as_str());
    let (management, deployer, tools) = (scene.management(), scene.deployer(SPOKE), scene.deployer(TOOLS));
    let trust = Reason::RefusedByTrustPolicy;
    let ways: [(&'static str, &str, &str, Reason); 11] = [
        ("a role of the hub with a longer name", &similar, &deployer, trust),
        ("a role of the hub with a shorter name", &shorter, &deployer, trust),
        ("a role of the hub beside the path", &unrooted, &deployer, trust),
        (
            "a role of that name and path in another account",
            &namesake,
            &deployer,
            trust,
        ),
        (
            "a role of the hub that is not the management role: the operator's",
            &of(HUB_ACCOUNT, OPERATOR_ROLE),
            &deployer,
            trust,
        ),
        (
            "the provisioner of the cluster's own account",
            &of(ACCOUNT, "mooring-provisioner"),
            &deployer,
            trust,
        ),
        (
            "an administrator of the cluster's own account",
            &admin,
            &deployer,
            trust,
        ),
        (
            "the deployer role of another cluster asks for this one",
            &tools,
            &deployer,
            Reason::RefusedByPermissionsBoundary,
        ),
        (
            "this deployer role asks for that of another cluster",
            &deployer,
            &tools,
            Reason::RefusedByPermissionsBoundary,
        ),
        (
            "the management role, lured by a role of a moored account",
            &management,
            &lure,
            Reason::RefusedByIdentityPolicy,
        ),
        (
            "the management role, lured by a role of an account that is not moored",
            &management,
            &unmoored,
            Reason::RefusedByIdentityPolicy,
        ),
    ];
    let subject = judged::subject(world).await;
    let mut met = Vec::new();
    for (name, by, role, reason) in ways {
        let refused = scene.assume(&scene.session(by), role).expect_err(name);
        let judged = judged::deployer(world, subject.clone(), by, role, &refused);
        met.push((name, refused, reason, judged));
    }
    for (name, refused, reason, judged) in met {
        let said = "AccessDenied: User: arn:aws:sts::";
        scene.judged(name, refused, (Hop::DeployerRole, said, reason), judged);
    }
}
