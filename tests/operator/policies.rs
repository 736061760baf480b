//! The generated policies give what the operator needs, and not one action or condition could be left out.

use std::collections::BTreeMap;

use mooring_sandbox::aws::{
    authz::{Document, evaluate},
    contract::{Caller, Check},
};
use serde_json::{Value, json};

use crate::{
    adopt, drift, management,
    support::{
        HUB_ACCOUNT, Setting, World, bootstrap,
        manifest::{EDIT, VIEW},
    },
};

/// Something that the operator was allowed to do.
type Done = (Check, Caller);

/// A policy with everything that was done by it.
struct Granted {
    whose: String,
    policy: Value,
    done: Vec<Done>,
}

impl Granted {
    fn allows(policy: &Value, (check, caller): &Done) -> bool {
        // IAM takes no policy without a statement; it would give nothing.
        if policy["Statement"].as_array().unwrap().is_empty() {
            return false;
        }
        let document = Document::parse(&policy.to_string()).unwrap();
        let session = caller.session.as_ref().and_then(|session| session.policy.as_deref());
        let session = session.map(|text| Document::parse(text).unwrap());
        evaluate(&[document], None, session.as_ref(), check, caller).is_allowed()
    }

    fn statements(&self) -> impl Iterator<Item = (usize, &Value)> {
        self.policy["Statement"].as_array().unwrap().iter().enumerate()
    }

    /// What only this statement gives.
    fn given_by(&self, index: usize) -> Vec<&Done> {
        let mut without = self.policy.clone();
        without["Statement"].as_array_mut().unwrap().remove(index);
        self.done.iter().filter(|done| !Self::allows(&without, done)).collect()
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        many => many
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect(),
    }
}

/// Everything that the operator ever does, and the policies under which it did it.
async fn everything() -> Vec<Granted> {
    let mut spokes: Vec<&str> = drift::SPOKES.to_vec();
    spokes.push("222222222222/eu-west-1/one");
    spokes.push("333333333333/eu-west-1/moved");
    spokes.push("222222222222/eu-west-1/left");
    let mut setting = Setting::of(&spokes);
    setting.management["spec"]["allow"] = json!([{
        "accounts": ["222222222222", "333333333333"],
        "accessPolicies": [{"name": VIEW, "scope": "Cluster"}, {"name": EDIT, "scope": "Namespace"}],
        "kubernetesGroups": ["team-*"],
        "deployerRoles": ["arn:aws:iam::333333333333:role/argocd-*"],
    }]);
    let printed = bootstrap::printed(&setting);
    let world = World::ready(setting.flag(&["--confirm-after", "2s"])).await;
    drift::everything(&world).await;
    management::kept(&world).await;
    adopt::moved(&world).await;
    adopt::left_behind(&world, "left").await;
    for spoke in drift::SPOKES {
        world.delete("ManagedCluster", spoke.rsplit('/').next().unwrap()).await;
    }
    for name in drift::SPOKES
        .map(|spoke| spoke.rsplit('/').next().unwrap())
        .iter()
        .chain(&["one", "left"])
    {
        if ["one", "left"].contains(name) {
            world.delete("ManagedCluster", name).await;
        }
        world.until_gone("ManagedCluster", name).await;
    }
    world.delete("ManagementRole", "default").await;
    world.until_gone("ManagementRole", "default").await;
    world.never_denied();

    let mut done: BTreeMap<String, Vec<Done>> = BTreeMap::new();
    for call in world.stage.aws.log().all() {
        let Some(caller) = call.caller.filter(|caller| caller.session.is_some()) else {
            continue;
        };
        let role = caller.session.as_ref().unwrap().role_arn.clone();
        for check in call.checks {
            let known = done.entry(role.clone()).or_default();
            if !known.iter().any(|(other, by)| *other == check && by.arn == caller.arn) {
                known.push((check, caller.clone()));
            }
        }
    }
    let mut granted = Vec::new();
    for account in printed["accounts"].as_array().unwrap() {
        for role in account["roles"].as_array().unwrap() {
            let whose = format!(
                "arn:aws:iam::{}:role/{}",
                account["accountId"].as_str().unwrap(),
                role["name"].as_str().unwrap()
            );
            // The operator is neither: who only looks is held to what the operator looks at by the policies' own tests.
            if ["mooring-verifier", "mooring-reader"]
                .iter()
                .any(|name| role["name"] == *name)
            {
                continue;
            }
            let policies: Vec<&Value> = role["inlinePolicies"].as_object().unwrap().values().collect();
            assert_eq!(policies.len(), 1, "{whose}");
            granted.push(Granted {
                policy: policies[0].clone(),
                done: done.remove(&whose).unwrap_or_default(),
                whose,
            });
        }
    }
    assert!(done.is_empty(), "done under no policy of ours: {:?}", done.keys());
    granted
}

#[tokio::test(flavor = "multi_thread")]
async fn no_action_and_no_condition_could_be_left_out() {
    let granted = everything().await;
    assert_eq!(granted.len(), 4, "the operator's role, and one to enter each account");
    // What one account never needs another may: the policies of all provisioners are made alike.
    let mut needed: BTreeMap<String, bool> = BTreeMap::new();
    for granted in &granted {
        for done in &granted.done {
            assert!(Granted::allows(&granted.policy, done), "{}: {done:?}", granted.whose);
        }
        for (what, here) in actions(granted).into_iter().chain(conditions(granted)) {
            *needed.entry(what).or_default() |= here;
        }
    }
    needed.retain(|_, needed| !*needed);
    assert!(needed.is_empty(), "could be left out: {:#?}", needed.keys());
}

/// Each action with its statement, and whether something that was done would have been denied without it.
fn actions(granted: &Granted) -> Vec<(String, bool)> {
    let mut actions = Vec::new();
    for (index, statement) in granted.statements() {
        for action in texts(&statement["Action"]) {
            let mut without = granted.policy.clone();
            let rest: Vec<String> = texts(&statement["Action"])
                .into_iter()
                .filter(|other| *other != action)
                .collect();
            if rest.is_empty() {
                without["Statement"].as_array_mut().unwrap().remove(index);
            } else {
                without["Statement"][index]["Action"] = json!(rest);
            }
            let needed = !granted.done.iter().all(|done| Granted::allows(&without, done));
            actions.push((format!("{} {action}", sid(statement)), needed));
        }
    }
    actions
}

fn sid(statement: &Value) -> &str {
    statement["Sid"].as_str().unwrap()
}

/// What an attacker who has the operator's credentials would put in the place of a key. Nothing: he leaves it out.
fn attacks(key: &str) -> Vec<Vec<String>> {
    let values: &[&[&str]] = match key {
        "iam:PermissionsBoundary" => &[&[], &["arn:aws:iam::aws:policy/AdministratorAccess"]],
        "aws:RequestTag/mooring.dev/hub" | "aws:ResourceTag/mooring.dev/hub" => {
            &[&["arn:aws:eks:eu-west-1:999999999999:cluster/another"], &[]]
        }
        "aws:ResourceTag/mooring.dev/adopt" => &[&[], &["arn:aws:eks:eu-west-1:999999999999:cluster/another"]],
        "eks:principalArn" => &[&["arn:aws:iam::222222222222:role/admin"]],
        "eks:accessEntryType" => &[&["EC2_LINUX"]],
        "eks:kubernetesGroups" => &[&["cluster-admins"]],
        "eks:username" => &[&["admin"]],
        "eks:policyArn" => &[&["arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"]],
        "eks:accessScope" => &[&["cluster"], &[]],
        other => panic!("no attack is known on {other}"),
    };
    values
        .iter()
        .map(|values| values.iter().map(|value| (*value).to_owned()).collect())
        .collect()
}

/// Each condition with its statement, and whether there is an attack that is denied, and would be allowed without it.
fn conditions(granted: &Granted) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for (index, statement) in granted.statements() {
        let given: Vec<Done> = granted.given_by(index).into_iter().cloned().collect();
        let conditions = statement["Condition"].as_object().cloned().unwrap_or_default();
        for (operator, keys) in &conditions {
            for key in keys.as_object().unwrap().keys() {
                let mut without = granted.policy.clone();
                without["Statement"][index]["Condition"][operator]
                    .as_object_mut()
                    .unwrap()
                    .remove(key);
                if without["Statement"][index]["Condition"][operator]
                    .as_object()
                    .unwrap()
                    .is_empty()
                {
                    without["Statement"][index]["Condition"]
                        .as_object_mut()
                        .unwrap()
                        .remove(operator);
                }
                let held = attacks(key).into_iter().any(|values| {
                    given.iter().any(|(check, caller)| {
                        let mut context = check.context.clone();
                        context.insert(key.clone(), values.clone());
                        let attack = (
                            Check {
                                context,
                                ..check.clone()
                            },
                            caller.clone(),
                        );
                        !Granted::allows(&granted.policy, &attack) && Granted::allows(&without, &attack)
                    })
                });
                all.push((format!("{} {operator} {key}", sid(statement)), held));
            }
        }
    }
    all
}

/// Trusts and boundary: who else might enter, and where else the management role might go.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_enters_and_the_management_role_goes_nowhere_else() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/one"])).await;
    world.moored("one").await;
    let open = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
        .to_string();
    let make = |account: &str, name: &str| {
        let trust = crate::support::hands::loose_trust(account);
        world.iam(
            account,
            "CreateRole",
            json!({"RoleName": name, "AssumeRolePolicyDocument": trust}),
        );
        world.iam(
            account,
            "PutRolePolicy",
            json!({"RoleName": name, "PolicyName": "all", "PolicyDocument": open}),
        );
        format!("arn:aws:iam::{account}:role/{name}")
    };
    // Administrators of the hub's account and of the spoke's, the operator's role, and the provisioner's.
    let admins = [make(HUB_ACCOUNT, "admin"), make("222222222222", "admin")];
    let operator = format!("arn:aws:iam::{HUB_ACCOUNT}:role/{}", bootstrap::OPERATOR_ROLE);
    let provisioner = "arn:aws:iam::222222222222:role/mooring-provisioner".to_owned();
    let management = world.hub().management_role_arn(None).to_string();
    let deployer = world.deployer("one").to_string();
    let enters = |from: &str, to: &str| {
        let credentials = world.stage.aws.session(from, "attack", &[]).unwrap();
        let input = json!({"RoleArn": to, "RoleSessionName": "attack"});
        let service = mooring_sandbox::aws::contract::Service::Sts;
        world.stage.aws.call(&credentials, service, "AssumeRole", input).is_ok()
    };
    assert!(
        enters(&operator, &provisioner) && enters(&management, &deployer),
        "the ways that are meant"
    );
    for from in [&admins[0], &admins[1], &management] {
        assert!(!enters(from, &provisioner), "{from}");
    }
    for from in [&admins[0], &admins[1], &operator, &provisioner] {
        assert!(!enters(from, &deployer), "{from}");
        assert!(!enters(from, &management), "{from}");
    }
    for from in [&admins[0], &admins[1], &management, &provisioner] {
        assert!(!enters(from, &operator), "{from}");
    }
    // Whatever policies somebody gives to the management role, its boundary holds it.
    let role = world.hub().management_role_arn(None);
    let input = json!({"RoleName": role.name.as_str(), "PolicyName": "all", "PolicyDocument": open});
    world.iam(HUB_ACCOUNT, "PutRolePolicy", input);
    let victim = make("222222222222", "trusting");
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{HUB_ACCOUNT}:root")}, "Action": ["sts:AssumeRole", "sts:TagSession"],
    }]});
    let input = json!({"RoleName": "trusting", "PolicyDocument": trust.to_string()});
    world.iam("222222222222", "UpdateAssumeRolePolicy", input);
    assert!(enters(&admins[0], &victim), "it lets the whole account in");
    assert!(!enters(&management, &victim), "but not the management role");
    assert!(
        !enters(&management, &management),
        "its trust does not name itself, where no Secret needs that"
    );
    let lists = |from: &str| {
        let credentials = world.stage.aws.session(from, "attack", &[]).unwrap();
        let service = mooring_sandbox::aws::contract::Service::Iam;
        world
            .stage
            .aws
            .call(&credentials, service, "GetRole", json!({"RoleName": "admin"}))
            .is_ok()
    };
    assert!(lists(&admins[0]) && !lists(&management) && !lists(&deployer));
}
