//! `mooring import`: the cluster Secrets that people wired by hand, or that lost objects left behind, as the `ManagementRole` and the
//! `ManagedCluster`s that would take them over, each with the plan that it leads to. Pure: what is looked at is looked at
//! by `run::import`.

mod allowing;
mod document;
mod manifest;
mod marks;
mod names;
mod plan;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{arn::RoleArn, ownership::HUB_TAG};

pub use crate::managed_cluster::{
    by_hand::{Access, Becomes, Found, Hub, Left, Looked, Unseen, Wired, read},
    observe::Spoke,
};
pub use manifest::print;

/// What an import comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every cluster Secret that no `ManagedCluster` has has a manifest, and nothing stands in its way: 0.
    Whole,
    /// A Secret cannot be imported, or something of a cluster was not looked at or stands in the way: 1.
    Hindered,
    /// There is nothing to import, and nothing was printed: 2.
    Nothing,
}

impl Verdict {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Hindered => 1,
            Self::Nothing => 2,
        }
    }
}

/// Roles that several cluster Secrets name, whoever has those by now: only one object can own such a role. One that an object
/// owns already is that object's, and nobody else's to use.
fn shared(found: &Found) -> BTreeSet<RoleArn> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for role in found.secrets.iter().filter_map(|secret| secret.role.as_deref()) {
        *count.entry(role).or_default() += 1;
    }
    let named = || (found.looked.iter()).filter(|looked| looked.wired.becomes == Becomes::Named);
    let is_owned = |looked: &&Looked| {
        let role = looked.spoke.as_ref().ok().and_then(|spoke| spoke.role.as_ref());
        role.is_some_and(|role| role.tags.contains_key(HUB_TAG) || found.living.owner_of_role(&role.id, "").is_some())
    };
    let owned: BTreeSet<&RoleArn> = named().filter(is_owned).map(|looked| &looked.wired.role).collect();
    named()
        .map(|looked| &looked.wired.role)
        .filter(|role| count.get(role.to_string().as_str()).is_some_and(|count| *count > 1))
        .filter(|role| !owned.contains(role))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::{ManagedCluster, ManagementRole},
        aws::Role,
        commands::Printed,
        domain::{
            eks::{AccessEntry, AccessPolicyArn, AccessScope, AuthenticationMode, Cluster, ClusterState},
            hub,
        },
        managed_cluster::living::{Lives, Living},
    };

    fn secret(name: &str, data: &Value) -> Secret {
        let mut secret: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": name, "uid": format!("uid-{name}"),
                "labels": {"argocd.argoproj.io/secret-type": "cluster", "env": "prod"},
                "annotations": {"team": "platform", "managed-by": "argocd.argoproj.io"},
            },
        }))
        .unwrap();
        let data = data.as_object().unwrap().iter().map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (key.clone(), k8s_openapi::ByteString(text.into_bytes()))
        });
        secret.data = Some(data.collect());
        secret
    }

    fn by_hand(name: &str, role: &str) -> Secret {
        let config =
            json!({"awsAuthConfig": {"clusterName": name, "roleARN": role}, "tlsClientConfig": {"caData": "AAAA"}});
        let server = format!("https://0123{:04X}.gr7.eu-west-1.eks.amazonaws.com", name.len());
        secret(
            &format!("{name}-secret"),
            &json!({"name": name, "server": server, "config": config}),
        )
    }

    fn hub() -> Hub {
        Hub {
            cluster: crate::domain::arn::ClusterArn {
                region: "eu-west-1".parse().unwrap(),
                account: "111111111111".parse().unwrap(),
                name: "hub".parse().unwrap(),
            },
            namespace: "argocd".into(),
            management_role: "default".parse().unwrap(),
            reader_role: "mooring-reader".into(),
            external_id: None,
        }
    }

    /// Reads them where no `ManagedCluster` is there.
    fn read(secrets: &[Secret]) -> (Vec<Wired>, Vec<Left>) {
        super::read(secrets, &hub(), &Living::default())
    }

    fn found(looked: Vec<Looked>, left: Vec<Left>) -> Found {
        Found {
            hub: hub(),
            hub_seen: true,
            role: None,
            living: Living::default(),
            secrets: looked
                .iter()
                .map(|one| crate::argocd::ClusterSecret::read(&one.wired.secret))
                .collect(),
            looked,
            left,
        }
    }

    fn told(looked: &[Looked], left: &[Left]) -> Printed {
        print(&found(looked.to_vec(), left.to_vec())).0
    }

    fn stands(wired: &Wired) -> Spoke {
        Spoke {
            cluster: Some(Cluster {
                arn: wired.cluster.to_string(),
                state: ClusterState::Active,
                endpoint: Some(wired.seen.server.as_str().to_owned()),
                certificate_authority: Some(
                    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=".into(),
                ),
                version: None,
                issuer: None,
                authentication_mode: AuthenticationMode::Api,
                public_endpoint: true,
                connected: false,
                outpost_id: None,
            }),
            role: Some(Role {
                arn: wired.role.to_string(),
                id: "AROATHEIRS".into(),
                name: wired.role.name.to_string(),
                trust: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/argocd-manager"},"Action":"sts:AssumeRole"}]}"#.into(),
                ..Role::default()
            }),
            role_policies: Some(crate::aws::RolePolicies::default()),
            instance_profiles: Some(BTreeSet::new()),
            entry: Some(AccessEntry {
                arn: "arn:aws:eks:eu-west-1:222222222222:access-entry/x/role/222222222222/argocd/1".into(),
                principal: wired.role.to_string(),
                kind: "STANDARD".into(),
                ..AccessEntry::default()
            }),
            associations: Some(
                [(
                    AccessPolicyArn::from_aws("arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"),
                    AccessScope::Cluster,
                )]
                .into(),
            ),
        }
    }

    fn looked(secrets: &[Secret], change: impl Fn(&mut Spoke)) -> (Vec<Looked>, Vec<Left>) {
        let (wired, left) = read(secrets);
        let all = wired
            .into_iter()
            .map(|wired| {
                let mut spoke = stands(&wired);
                change(&mut spoke);
                Looked {
                    wired,
                    spoke: Ok(spoke),
                    former: None,
                }
            })
            .collect();
        (all, left)
    }

    /// The documents that were printed, as YAML, behind the first comment.
    fn documents(out: &str) -> Vec<Value> {
        out.split("---\n")
            .skip(1)
            .map(|text| serde_saphyr::from_str(text).unwrap())
            .collect()
    }

    #[test]
    fn what_is_printed_takes_over_what_was_found() {
        let secrets = [
            by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod"),
            by_hand("Staging_1", "arn:aws:iam::333333333333:role/ci/argocd"),
        ];
        let (all, left) = looked(&secrets, |_| {});
        assert_eq!(left, []);
        let printed = told(&all, &left);
        assert_eq!(printed.failures, Vec::<String>::new());
        let documents = documents(&printed.out);
        assert_eq!(documents.len(), 3);
        let role: ManagementRole = serde_json::from_value(documents[0].clone()).unwrap();
        assert_eq!(role.spec.allow.len(), 2);
        assert_eq!(
            role.spec.allow[0].deployer_roles,
            ["arn:aws:iam::222222222222:role/argocd-prod"]
        );
        let cluster: ManagedCluster = serde_json::from_value(documents[1].clone()).unwrap();
        assert!(cluster.spec.adopt_existing);
        assert_eq!(cluster.spec.access.policies[0].name, "AmazonEKSClusterAdminPolicy");
        assert_eq!(cluster.spec.argocd.labels["env"], "prod");
        assert!(
            cluster.spec.argocd.annotations.is_empty(),
            "{:?}",
            cluster.spec.argocd.annotations
        );
        assert!(
            printed.out.contains(
                "# Its annotations stay as they are, and are not printed, since anything may stand in one: team."
            ),
            "{}",
            printed.out
        );
        let second: ManagedCluster = serde_json::from_value(documents[2].clone()).unwrap();
        assert_eq!(second.metadata.name.as_deref(), Some("staging-1"));
        assert_eq!(second.spec.cluster_name.as_deref(), Some("Staging_1"));
        assert_eq!(second.spec.argocd.name.as_deref(), Some("Staging_1"));
        // The plan is the operator's own, once everything is opened.
        for line in [
            "#   kubectl annotate secret -n argocd prod-secret mooring.dev/adopt=prod",
            "#   aws iam tag-role --role-name argocd-prod --tags Key=mooring.dev/adopt,Value=arn:aws:eks:eu-west-1:111111111111:cluster/hub",
            "#   take over role arn:aws:iam::222222222222:role/argocd-prod (AROATHEIRS)",
            "#   take over cluster Secret prod-secret: it used role arn:aws:iam::222222222222:role/argocd-prod",
            "argocd-manager",
        ] {
            assert!(printed.out.contains(line), "{line}\n{}", printed.out);
        }
        assert!(!printed.out.contains("In its way"), "{}", printed.out);
    }

    #[test]
    fn no_cluster_is_allowed_what_was_found_on_another() {
        let wired = ["dev", "prod", "stage"]
            .map(|name| by_hand(name, &format!("arn:aws:iam::222222222222:role/argocd-{name}")));
        let (mut all, left) = looked(&wired, |_| {});
        let prod = all[1].spoke.as_mut().unwrap();
        prod.associations = Some(
            [(
                AccessPolicyArn::from_aws("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"),
                AccessScope::Namespaces(["apps".to_owned()].into()),
            )]
            .into(),
        );
        let printed = told(&all, &left);
        let role: ManagementRole = serde_json::from_value(documents(&printed.out)[0].clone()).unwrap();
        let entries: Vec<Value> = role
            .spec
            .allow
            .iter()
            .map(|entry| serde_json::to_value(entry).unwrap())
            .collect();
        assert_eq!(
            entries.len(),
            2,
            "those that have the same stand together: {entries:#?}"
        );
        assert_eq!(entries[0]["clusters"], json!(["dev", "stage"]));
        let admin = json!([{"name": "AmazonEKSClusterAdminPolicy", "scope": "Cluster"}]);
        assert_eq!(entries[0]["accessPolicies"], admin);
        assert_eq!(entries[1]["clusters"], json!(["prod"]));
        let view = json!([{"name": "AmazonEKSViewPolicy", "scope": "Namespace"}]);
        assert_eq!(entries[1]["accessPolicies"], view);
        assert_eq!(
            entries[1]["deployerRoles"],
            json!(["arn:aws:iam::222222222222:role/argocd-prod"])
        );
        assert!(!printed.out.contains("In its way"), "{}", printed.out);

        // A Secret that one project may use lets no other use it afterwards.
        all[2].wired.seen.project = "team-a".to_owned();
        let printed = told(&all, &left);
        let allow = &documents(&printed.out)[0]["spec"]["allow"];
        let of = |cluster: &str| {
            let entries = allow.as_array().unwrap();
            let entry = entries.iter().find(|entry| entry["clusters"] == json!([cluster]));
            entry.unwrap()["projects"].clone()
        };
        assert_eq!((of("stage"), of("dev")), (json!(["team-a"]), Value::Null));
        assert!(!printed.out.contains("In its way"), "{}", printed.out);
    }

    #[test]
    fn what_stands_in_the_way_is_told_at_the_cluster_that_it_is_of() {
        let one = [by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod")];
        let (all, left) = looked(&one, |spoke| {
            spoke.role_policies.as_mut().unwrap().inline.insert("s3".into());
        });
        let printed = told(&all, &left);
        assert!(printed.out.contains("In its way: role") && printed.out.contains("carries policies (s3)"));
        let (mut all, left) = looked(&one, |_| {});
        all[0].spoke = Err(Unseen {
            why: "the account does not let us in".into(),
            access: None,
        });
        let printed = told(&all, &left);
        assert!(printed.out.contains("# Not looked at: the account does not let us in"));
    }

    #[test]
    fn what_nobody_could_look_at_is_left_to_be_filled_in_and_never_guessed() {
        type Change = fn(&mut Looked);
        let two = [
            by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod"),
            by_hand("staging", "arn:aws:iam::222222222222:role/argocd-staging"),
        ];
        let shut = |looked: &mut Looked| {
            looked.spoke = Err(Unseen {
                why: "no".into(),
                access: None,
            });
        };
        let no_entry = |looked: &mut Looked| {
            let spoke = looked.spoke.as_mut().unwrap();
            (spoke.entry, spoke.associations) = (None, None);
        };
        let nothing = |looked: &mut Looked| looked.spoke.as_mut().unwrap().associations = Some([].into());
        let changes: [(&str, Change); 3] = [
            ("its access entry was not looked at", shut),
            ("aws-auth lets it in, or nothing does", no_entry),
            ("its access entry for the role gives nothing", nothing),
        ];
        for (why, change) in changes {
            let (mut all, left) = looked(&two, |_| {});
            change(&mut all[1]);
            let (printed, verdict) = print(&found(all.clone(), left.clone()));
            assert_eq!(verdict.exit_code(), 1, "{why}");
            let objects = documents(&printed.out);
            assert!(
                objects[2]["spec"]["access"].get("policies").is_none(),
                "{}",
                printed.out
            );
            let line = "    # fill in policies or kubernetesGroups: what Argo CD may do there is not known, since";
            assert!(
                printed.out.contains(line) && printed.out.contains(why),
                "{}",
                printed.out
            );
            // What the other has is what was found of it.
            assert_eq!(
                objects[1]["spec"]["access"]["policies"][0]["name"],
                "AmazonEKSClusterAdminPolicy"
            );
            let found_there = json!([{"name": "AmazonEKSClusterAdminPolicy", "scope": "Cluster"}]);
            assert_eq!(objects[0]["spec"]["allow"][0]["accessPolicies"], found_there);
            assert!(
                printed.out.contains(
                    "# fill in accessPolicies or kubernetesGroups: what Argo CD may do on staging is not known"
                )
            );
            assert!(
                !printed.out.contains("and no more") && !printed.out.contains("View"),
                "{}",
                printed.out
            );

            let mut on_the_hub = found(all, left);
            on_the_hub.role = Some(living(&objects[0]["spec"]["allow"]));
            let (printed, verdict) = print(&on_the_hub);
            assert_eq!(verdict.exit_code(), 1, "{why}");
            assert!(!printed.out.contains("allows all of it"), "{}", printed.out);
            on_the_hub.role = Some(living(&json!([{"accounts": ["999999999999"]}])));
            let printed = print(&on_the_hub).0;
            assert!(!printed.out.contains("and no more"), "{}", printed.out);
            let allow = &documents(&printed.out)[0]["spec"]["allow"];
            assert_eq!(
                (allow.as_array().unwrap().len(), &allow[1]["accessPolicies"]),
                (3, &found_there)
            );
            assert_eq!(allow[2].get("accessPolicies"), None, "of staging nobody knows");
        }
    }

    #[test]
    fn an_access_entry_that_was_seen_counts_though_the_role_was_not() {
        let one = [by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod")];
        let (mut all, left) = looked(&one, |spoke| {
            spoke.entry.as_mut().unwrap().groups = ["team".to_owned()].into();
            spoke.associations = Some([].into());
        });
        let spoke = all[0].spoke.clone().unwrap();
        all[0].spoke = Err(Unseen {
            why: "iam:GetRole failed".into(),
            access: Some(Access {
                entry: spoke.entry,
                associations: spoke.associations,
            }),
        });
        let (printed, verdict) = print(&found(all, left));
        assert_eq!(verdict.exit_code(), 1);
        let objects = documents(&printed.out);
        assert_eq!(objects[0]["spec"]["allow"][0]["kubernetesGroups"], json!(["team"]));
        assert_eq!(objects[1]["spec"]["access"]["kubernetesGroups"], json!(["team"]));
        for line in [
            "It allows what was found, and no more",
            "Not looked at: iam:GetRole failed",
            "aws eks tag-resource --region eu-west-1 --resource-arn arn:aws:eks:eu-west-1:222222222222:access-entry",
        ] {
            assert!(printed.out.contains(line), "{line}\n{}", printed.out);
        }
        assert!(
            !printed.out.contains("fill in") && !printed.out.contains("accessPolicies"),
            "{}",
            printed.out
        );
    }

    #[test]
    fn a_role_that_clusters_share_stays_somebody_elses() {
        let shared = [
            by_hand("one", "arn:aws:iam::222222222222:role/argocd"),
            by_hand("second", "arn:aws:iam::222222222222:role/argocd"),
        ];
        let (all, left) = looked(&shared, |_| {});
        let printed = told(&all, &left);
        for document in &documents(&printed.out)[1..] {
            assert_eq!(document["spec"]["access"]["deployerRole"]["type"], "Existing");
        }
        assert!(printed.out.contains("one object alone can own a role"));

        // What it may do besides is its owner's, who is not told to take it off.
        let (all, left) = looked(&shared, |spoke| {
            spoke.role_policies.as_mut().unwrap().inline.insert("s3".into());
        });
        let printed = print(&found(all, left)).0;
        assert!(
            !printed.out.contains("carries policies") && !printed.out.contains("delete-role-policy"),
            "{}",
            printed.out
        );

        // One that an object owns is that object's, which is told, and is nobody else's to use.
        let (all, left) = looked(&shared, |spoke| {
            let hub = ("mooring.dev/hub".to_owned(), HUB.to_owned());
            spoke.role.as_mut().unwrap().tags.extend([hub]);
        });
        let printed = told(&all, &left);
        assert_eq!(
            documents(&printed.out)[1]["spec"]["access"]["deployerRole"].get("type"),
            None
        );

        // Also where the other has an object by now, or cannot be imported.
        let (all, left) = looked(&shared[..1], |_| {});
        let mut found = found(all, left);
        found.secrets.push(crate::argocd::ClusterSecret::read(&shared[1]));
        let printed = print(&found).0;
        assert_eq!(
            documents(&printed.out)[1]["spec"]["access"]["deployerRole"]["type"],
            "Existing"
        );
    }

    #[test]
    fn no_entry_of_allow_is_longer_than_the_api_server_takes() {
        let wired: Vec<Secret> = (0..65)
            .map(|n| {
                by_hand(
                    &format!("c{n:02}"),
                    &format!("arn:aws:iam::222222222222:role/argocd-{n}"),
                )
            })
            .enumerate()
            .map(|(n, mut secret)| {
                let server = format!("https://{n:04X}.gr7.eu-west-1.eks.amazonaws.com");
                secret
                    .data
                    .as_mut()
                    .unwrap()
                    .insert("server".into(), k8s_openapi::ByteString(server.into_bytes()));
                secret
            })
            .collect();
        let (all, left) = looked(&wired, |_| {});
        let (printed, verdict) = print(&found(all, left));
        assert_eq!(verdict.exit_code(), 0, "{}", printed.out);
        let documents = documents(&printed.out);
        let allow = documents[0]["spec"]["allow"].as_array().unwrap();
        let named: Vec<usize> = allow
            .iter()
            .map(|entry| entry["deployerRoles"].as_array().unwrap().len())
            .collect();
        assert_eq!((named, documents.len()), (vec![30, 30, 5], 66));
    }

    #[test]
    fn what_the_api_server_or_argo_cd_would_make_less_of_is_in_the_way() {
        let one = [by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod")];
        let held = |spoke: &mut Spoke| {
            spoke.associations = Some(
                [(
                    AccessPolicyArn::from_aws("arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"),
                    AccessScope::Namespaces(["apps".to_owned()].into()),
                )]
                .into(),
            );
        };
        // All that it has is in those namespaces: that is told, and nothing is lost.
        let (all, left) = looked(&one, held);
        let (printed, verdict) = print(&found(all, left));
        let told = "The Secret names no namespaces. Taken over it holds Argo CD to those of the access policies, and to no cluster-scoped resources: apps";
        assert!(
            verdict.exit_code() == 0 && printed.out.contains(told),
            "{}",
            printed.out
        );
        // Groups may give more.
        let (all, left) = looked(&one, |spoke| {
            held(spoke);
            spoke.entry.as_mut().unwrap().groups = ["deployers".to_owned()].into();
        });
        let (printed, verdict) = print(&found(all, left));
        assert!(
            verdict.exit_code() == 1 && printed.out.contains(&format!("# In its way: {told}")),
            "{}",
            printed.out
        );
        let mut odd = one.clone();
        let data = odd[0].data.as_mut().unwrap();
        data.insert("name".into(), k8s_openapi::ByteString(b"prod (eu)".to_vec()));
        let (all, left) = looked(&odd, |_| {});
        let (printed, verdict) = print(&found(all, left));
        assert!(
            verdict.exit_code() == 1
                && printed
                    .out
                    .contains("# In its way: spec.argocd.name has \"prod (eu)\", and argocd.name is letters"),
            "{}",
            printed.out
        );
    }

    #[test]
    fn a_secret_that_bears_a_copied_mark_is_not_passed_over() {
        let mut copy = by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod");
        let annotations = copy.metadata.annotations.as_mut().unwrap();
        annotations.insert("mooring.dev/uid".into(), "u".into());
        let moors = |name: &str| {
            let mut living = Living::default();
            let cluster = crate::domain::arn::ClusterArn {
                account: "222222222222".parse().unwrap(),
                name: name.parse().unwrap(),
                ..hub().cluster
            };
            let lives = Lives {
                name: "other".into(),
                cluster: Some(cluster),
                ..Lives::default()
            };
            living.insert("u".to_owned(), lives);
            living
        };
        assert_eq!(super::read(&[copy.clone()], &hub(), &moors("prod")), (vec![], vec![]));
        let (wired, left) = super::read(&[copy], &hub(), &moors("another"));
        assert!(
            wired.is_empty()
                && left[0]
                    .why
                    .starts_with("it bears the mark of ManagedCluster other, which moors"),
            "{left:?}"
        );
    }

    #[test]
    fn two_clusters_are_never_printed_under_one_name() {
        let secrets = [
            by_hand("staging_1", "arn:aws:iam::222222222222:role/argocd-a"),
            by_hand("staging-1", "arn:aws:iam::222222222222:role/argocd-b"),
            by_hand("Staging-1", "arn:aws:iam::222222222222:role/argocd-c"),
        ];
        let (all, left) = looked(&secrets, |_| {});
        let printed = told(&all, &left);
        let named = |document: &Value| {
            let at = |at: &str| document.pointer(at).and_then(Value::as_str).unwrap().to_owned();
            (at("/metadata/name"), at("/spec/clusterName"))
        };
        let of = |name: &str, cluster: &str| (name.to_owned(), cluster.to_owned());
        let documents = documents(&printed.out);
        assert_eq!(named(&documents[1]), of("staging-1", "staging_1"));
        assert_eq!(documents[2]["metadata"]["name"], "staging-1-2");
        assert_eq!(documents[2]["spec"]["clusterName"], "staging-1");
        assert_eq!(named(&documents[3]), of("staging-1-3", "Staging-1"));
        for (name, at) in [("staging-1", 1), ("staging-1-2", 2), ("staging-1-3", 3)] {
            let opened = format!("mooring.dev/adopt={name}\n");
            assert!(printed.out.contains(&opened), "{name} of {at}: {}", printed.out);
        }
    }

    #[test]
    fn a_role_of_the_hubs_own_account_does_not_tell_where_the_cluster_is() {
        let one = [by_hand("prod", "arn:aws:iam::111111111111:role/argocd-manager")];
        let (all, left) = looked(&one, |spoke| spoke.cluster = None);
        let printed = told(&all, &left);
        assert!(
            printed.out.contains("# The role is of the hub's own account"),
            "{}",
            printed.out
        );
        let (all, left) = looked(&one, |_| {});
        assert!(!told(&all, &left).out.contains("hub's own account, as"));
    }

    #[test]
    fn secrets_that_cannot_be_imported_say_why_and_no_value_of_theirs() {
        let token = json!({"name": "a", "server": "https://10.0.0.1", "config": {"bearerToken": "hunter2"}});
        let broken = json!({"name": "b", "server": "https://x", "config": "{hunter2"});
        let own = json!({
            "name": "c", "server": "https://0.gr7.eu-west-1.eks.amazonaws.com",
            "config": {"awsAuthConfig": {"clusterName": "c"}},
        });
        let elsewhere = json!({
            "name": "d", "server": "https://api.example.com",
            "config": {"awsAuthConfig": {"clusterName": "d", "roleARN": "arn:aws:iam::222222222222:role/argocd"}},
        });
        let mut ours = by_hand("ours", "arn:aws:iam::222222222222:role/argocd-ours");
        let annotations = ours.metadata.annotations.as_mut().unwrap();
        annotations.insert("mooring.dev/uid".into(), "u".into());
        let secrets = [
            secret("token", &token),
            secret("broken", &broken),
            secret("own", &own),
            secret("elsewhere", &elsewhere),
            ours,
        ];
        let mut living = Living::default();
        living.insert("u".to_owned(), Lives::default());
        let (wired, left) = super::read(&secrets, &hub(), &living);
        assert_eq!(wired, []);
        let printed = told(&[], &left);
        let told = printed.notes.join("\n");
        for says in [
            "Secret token is not imported: it is not wired by a role, but by what is in its config itself (bearerToken)",
            "Secret broken is not imported: Argo CD cannot read it",
            "Secret own is not imported: its awsAuthConfig names no role",
            "Secret elsewhere is not imported: its server https://api.example.com is not the endpoint",
        ] {
            assert!(told.contains(says), "{says}\n{told}");
        }
        assert!(!told.contains("hunter2") && printed.notes.len() == 5, "{told}");
        assert!(told.ends_with("no cluster Secret in namespace argocd can be imported, so nothing is printed"));
        assert_eq!(printed.out, "");
        assert_eq!(print(&found(Vec::new(), left)).1.exit_code(), 1);
        assert_eq!(print(&found(Vec::new(), Vec::new())).1.exit_code(), 2);
    }

    const HUB: &str = "arn:aws:eks:eu-west-1:111111111111:cluster/hub";

    /// A cluster Secret as an object that is no more had Mooring write it, and its access entry and role.
    fn left_behind(cluster: &str, role: &str) -> Secret {
        let mut secret = by_hand(cluster, role);
        let annotations = secret.metadata.annotations.get_or_insert_default();
        annotations.insert("mooring.dev/uid".into(), "gone".into());
        annotations.insert("mooring.dev/managed-cluster".into(), "prod-eu".into());
        annotations.insert("argocd.argoproj.io/skip-reconcile".into(), "true".into());
        annotations.insert("kapp.k14s.io/original".into(), "{\"data\": \"hunter2\"}".into());
        let labels = secret.metadata.labels.get_or_insert_default();
        labels.insert("argocd.argoproj.io/auto-label-cluster-info".into(), "true".into());
        let ours = json!({"f:metadata": {
            "f:labels": {"f:env": {}, "f:argocd.argoproj.io/auto-label-cluster-info": {}, "f:argocd.argoproj.io/secret-type": {}},
            "f:annotations": {"f:team": {}, "f:argocd.argoproj.io/skip-reconcile": {}, "f:mooring.dev/uid": {}},
        }});
        secret.metadata.managed_fields = Some(vec![
            serde_json::from_value(json!({"manager": "mooring", "operation": "Apply", "fieldsV1": ours})).unwrap(),
        ]);
        let data = secret.data.as_mut().unwrap();
        data.insert("shard".into(), k8s_openapi::ByteString(b"3".to_vec()));
        secret
    }

    fn marked(spoke: &mut Spoke) {
        let marks = || {
            [
                ("mooring.dev/hub", HUB),
                ("mooring.dev/uid", "gone"),
                ("mooring.dev/object", "prod-eu"),
            ]
        };
        let marks = || marks().map(|(key, value)| (key.to_owned(), value.to_owned()));
        spoke.role.as_mut().unwrap().tags.extend(marks());
        spoke.entry.as_mut().unwrap().tags.extend(marks());
    }

    fn of(role: &hub::Hub, cluster: &str) -> RoleArn {
        role.deployer_role(&crate::domain::arn::ClusterArn {
            region: "eu-west-1".parse().unwrap(),
            account: "222222222222".parse().unwrap(),
            name: cluster.parse().unwrap(),
        })
    }

    fn paths(of: &str, management_role: &str) -> hub::Hub {
        hub::Hub {
            cluster: crate::domain::arn::ClusterArn {
                name: of.parse().unwrap(),
                ..hub().cluster
            },
            management_role: management_role.parse().unwrap(),
        }
    }

    /// The operator takes back what its own hub made without a tag, and by no ARN.
    #[test]
    fn what_an_object_that_is_no_more_left_behind_is_taken_over_as_what_it_is() {
        let role = of(&paths("hub", "default"), "prod").to_string();
        let (all, left) = looked(&[left_behind("prod", &role)], marked);
        assert_eq!(left, []);
        let (printed, verdict) = print(&found(all, left));
        assert_eq!(verdict.exit_code(), 0, "{}", printed.out);
        let documents = documents(&printed.out);
        let cluster: ManagedCluster = serde_json::from_value(documents[1].clone()).unwrap();
        assert_eq!(cluster.metadata.name.as_deref(), Some("prod-eu"), "its own name");
        assert_eq!(cluster.spec.cluster_name.as_deref(), Some("prod"));
        assert!(cluster.spec.adopt_existing);
        assert_eq!(documents[1]["spec"]["access"].get("deployerRole"), None);
        assert_eq!(cluster.spec.argocd.shard, Some(3));
        // What Mooring wrote and the spec does not say, it would take away; what else stands there is not told.
        assert_eq!(
            cluster.spec.argocd.annotations.keys().collect::<Vec<_>>(),
            ["argocd.argoproj.io/skip-reconcile", "team"]
        );
        assert_eq!(
            cluster.spec.argocd.labels.keys().collect::<Vec<_>>(),
            ["argocd.argoproj.io/auto-label-cluster-info", "env"]
        );
        assert!(!printed.out.contains("hunter2") && printed.out.contains("kapp.k14s.io/original"));
        assert_eq!(documents[0]["spec"]["allow"][0].get("deployerRoles"), None);
        for line in [
            "# ManagedCluster prod-eu wrote the Secret, and is there no more.",
            "#   kubectl annotate secret -n argocd prod-secret mooring.dev/adopt=prod-eu",
            &format!("#   take over role {role} (AROATHEIRS)"),
            "#   take over cluster Secret prod-secret",
        ] {
            assert!(printed.out.contains(line), "{line}\n{}", printed.out);
        }
        for word in ["aws iam tag-role", "tag-resource", "In its way"] {
            assert!(!printed.out.contains(word), "{word}\n{}", printed.out);
        }

        // Where somebody took the tags off, its owner opens it as any other.
        let (all, left) = looked(&[left_behind("prod", &role)], |_| {});
        let printed = told(&all, &left);
        for line in ["aws iam tag-role", "aws eks tag-resource --region", "take over role"] {
            assert!(printed.out.contains(line), "{line}\n{}", printed.out);
        }
        assert!(!printed.out.contains("In its way"), "{}", printed.out);
    }

    /// Its spec promised that nothing is written to the role, and so does this one.
    #[test]
    fn a_role_that_a_lost_object_only_used_stays_its_owners() {
        let theirs = "arn:aws:iam::222222222222:role/argocd-deployer";
        let existing = json!({"arn": theirs, "type": "Existing"});
        let (all, left) = looked(&[left_behind("prod", theirs)], |_| {});
        let (printed, _) = print(&found(all, left));
        assert_eq!(documents(&printed.out)[1]["spec"]["access"]["deployerRole"], existing);
        assert!(!printed.out.contains("tag-role"), "{}", printed.out);
        // One that was taken over bears a mark.
        let (all, left) = looked(&[left_behind("prod", theirs)], marked);
        let (printed, _) = print(&found(all, left));
        assert_eq!(
            documents(&printed.out)[1]["spec"]["access"]["deployerRole"],
            json!({"arn": theirs})
        );
        assert!(
            printed.out.contains("tag-role --role-name argocd-deployer"),
            "{}",
            printed.out
        );
    }

    #[test]
    fn a_role_that_a_spec_chose_the_name_of_is_had_again_by_that_name() {
        let role = RoleArn {
            name: "shop".parse().unwrap(),
            ..of(&paths("hub", "default"), "prod")
        };
        let (all, left) = looked(&[left_behind("prod", &role.to_string())], marked);
        let (printed, verdict) = print(&found(all, left));
        assert_eq!(verdict.exit_code(), 0, "{}", printed.out);
        assert_eq!(
            documents(&printed.out)[1]["spec"]["access"]["deployerRole"],
            json!({"name": "shop"})
        );
        // Whoever may ask for a cluster may name any role, so that one is its owner's to open.
        let opens = "#   aws iam tag-role --role-name shop --tags Key=mooring.dev/adopt";
        assert!(printed.out.contains(opens), "{}", printed.out);
    }

    /// No hub takes over what another made under its own path: the Secret alone is taken over.
    #[test]
    fn what_another_hub_made_is_left_where_it_is_and_told_how_to_be_deleted() {
        let theirs = of(&paths("lost", "default"), "prod").to_string();
        let (mut all, left) = looked(&[left_behind("prod", &theirs)], |_| {});
        assert_eq!(left, []);
        let spoke = all[0].spoke.as_mut().unwrap();
        let former = Access {
            entry: spoke.entry.take(),
            associations: spoke.associations.take(),
        };
        (spoke.role, spoke.role_policies, spoke.instance_profiles) = (None, None, None);
        all[0].former = Some(former);
        let (printed, verdict) = print(&found(all.clone(), left.clone()));
        assert_eq!(verdict.exit_code(), 0, "{}", printed.out);
        let manifest = documents(&printed.out).remove(1);
        let as_found = json!({"policies": [{"name": "AmazonEKSClusterAdminPolicy"}]});
        assert_eq!(manifest["spec"]["access"], as_found);
        let new = of(&paths("hub", "default"), "prod").to_string();
        for line in [
            format!("role {new} is made beside it"),
            format!("#   aws eks delete-access-entry --region eu-west-1 --cluster-name prod --principal-arn {theirs}"),
            "#   aws iam delete-role --role-name prod-".to_owned(),
            format!("#   create role {new}"),
            "#   take over cluster Secret prod-secret".to_owned(),
        ] {
            assert!(printed.out.contains(&line), "{line}\n{}", printed.out);
        }
        for word in ["tag-role", "tag-resource", "In its way"] {
            assert!(!printed.out.contains(word), "{word}\n{}", printed.out);
        }
        all[0].former = None;
        let (printed, verdict) = print(&found(all, left));
        assert_eq!(verdict.exit_code(), 1);
        assert!(
            printed.out.contains("its access entry was not looked at"),
            "{}",
            printed.out
        );
    }

    #[test]
    fn what_was_made_for_another_management_role_is_left_with_the_flag_that_imports_it() {
        let role = of(&paths("hub", "second"), "prod").to_string();
        let (wired, left) = read(&[left_behind("prod", &role)]);
        assert_eq!(wired, []);
        assert!(
            left[0]
                .why
                .ends_with("run this once more with --management-role second"),
            "{left:?}"
        );
    }

    fn living(allow: &Value) -> Value {
        json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole",
            "metadata": {"name": "default", "uid": "u", "resourceVersion": "7", "managedFields": []},
            "spec": {
                "cluster": {"name": "hub", "region": "eu-west-1"}, "argocdNamespace": "argocd", "allow": allow,
                "serviceAccounts": ["argocd-server"], "role": {"permissionsBoundary": "ours"},
                "provisioner": {"roleName": "door", "readerRoleName": "window", "externalId": "x1"},
            },
            "status": {"conditions": []},
        })
    }

    #[test]
    fn a_management_role_that_stands_is_never_narrowed() {
        let theirs = json!({"accounts": ["222222222222"], "clusters": ["moored-*"], "accessPolicies": [{"name": "AmazonEKSViewPolicy", "scope": "Cluster"}]});
        let secrets = [
            by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod"),
            by_hand("staging", "arn:aws:iam::333333333333:role/argocd-staging"),
        ];
        let (all, left) = looked(&secrets, |_| {});
        let mut found = found(all, left);
        found.role = Some(living(&json!([theirs])));
        let (printed, verdict) = print(&found);
        assert_eq!(verdict.exit_code(), 0, "{}", printed.out);
        let first = documents(&printed.out).remove(0);
        let spec = &first["spec"];
        assert_eq!(spec["allow"][0], theirs);
        assert_eq!(spec["allow"].as_array().unwrap().len(), 3);
        for (field, stays) in [
            ("serviceAccounts", json!(["argocd-server"])),
            ("role", json!({"permissionsBoundary": "ours"})),
            (
                "provisioner",
                json!({"roleName": "door", "readerRoleName": "window", "externalId": "x1"}),
            ),
        ] {
            assert_eq!(spec[field], stays);
        }
        assert_eq!(first["metadata"], json!({"name": "default"}));
        assert!(first.get("status").is_none());
        assert!(
            printed.out.contains("with 2 entries at the end of allow"),
            "{}",
            printed.out
        );

        // What is printed then allows all of it, and is not printed again.
        found.role = Some(living(&spec["allow"]));
        let (again, verdict) = print(&found);
        assert_eq!(verdict.exit_code(), 0, "{}", again.out);
        let kinds: Vec<Value> = documents(&again.out).iter().map(|one| one["kind"].clone()).collect();
        assert_eq!(kinds, ["ManagedCluster", "ManagedCluster"]);
        assert!(
            again.out.contains("allows all of it already and stays as it is"),
            "{}",
            again.out
        );

        // Only what one of them needs is added.
        found.role = Some(living(&json!([spec["allow"][0], spec["allow"][1]])));
        let last = documents(&print(&found).0.out).remove(0);
        assert_eq!(last["spec"]["allow"].as_array().unwrap().len(), 3);
        assert_eq!(last["spec"]["allow"][2]["accounts"], json!(["333333333333"]));
    }

    type Change<'a> = &'a dyn Fn(&mut Spoke);

    #[test]
    fn what_another_hub_has_is_in_the_way_unless_its_owner_handed_it_over() {
        const OTHER: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";
        let one = [by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod")];
        let tags = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            pairs.collect::<crate::domain::ownership::Tags>()
        };
        let theirs = tags(&[
            ("mooring.dev/hub", OTHER),
            ("mooring.dev/uid", "u"),
            ("mooring.dev/object", "prod-b"),
        ]);
        let manager = "arn:aws:iam::999999999999:role/mooring/999999999999-eu-west-1-other/management-default-00000000";
        let lets_them_in = crate::policy::deployer_trust(&manager.parse().unwrap()).to_json();
        let role =
            |spoke: &mut Spoke, tags: &crate::domain::ownership::Tags| spoke.role.as_mut().unwrap().tags = tags.clone();
        let marked = format!("bears the mark of hub {OTHER} for prod-b");
        let cases: [(Change<'_>, &str); 4] = [
            (&|spoke| role(spoke, &theirs), &marked),
            (&|spoke| spoke.entry.as_mut().unwrap().tags = theirs.clone(), &marked),
            (
                &|spoke| role(spoke, &tags(&[("mooring.dev/adopt", OTHER)])),
                "is opened to hub arn:aws:eks:eu-west-1:999999999999:cluster/other",
            ),
            (
                &|spoke| spoke.role.as_mut().unwrap().trust.clone_from(&lets_them_in),
                manager,
            ),
        ];
        for (change, says) in cases {
            let (all, left) = looked(&one, change);
            let (printed, verdict) = print(&found(all, left));
            assert!(
                verdict.exit_code() == 1 && printed.out.contains("# In its way: ") && printed.out.contains(says),
                "{says}: {}",
                printed.out
            );
        }
        let hub = hub().cluster.to_string();
        let (all, left) = looked(&one, |spoke| {
            let mut tags = theirs.clone();
            tags.insert("mooring.dev/adopt".into(), hub.clone());
            role(spoke, &tags);
        });
        let (printed, verdict) = print(&found(all, left));
        assert_eq!(verdict.exit_code(), 0, "{}", printed.out);
    }

    #[test]
    fn nothing_that_a_secret_says_looks_like_words_of_ours() {
        let mut one = by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod");
        let annotations = one.metadata.annotations.get_or_insert_default();
        annotations.insert("mooring.dev/uid".into(), "gone".into());
        annotations.insert(
            "mooring.dev/managed-cluster".into(),
            "x wrote it.\nTo open it:\n  kubectl create clusterrolebinding a --clusterrole cluster-admin".into(),
        );
        let (all, left) = looked(&[one.clone()], |_| {});
        let out = print(&found(all, left)).0.out;
        assert!(
            !out.contains("clusterrolebinding") && out.contains("ManagedCluster gone wrote the Secret"),
            "{out}"
        );
        let annotations = one.metadata.annotations.get_or_insert_default();
        annotations.insert("mooring.dev/uid".into(), "a\nb".into());
        let (all, left) = looked(&[one], |_| {});
        let out = print(&found(all, left)).0.out;
        assert!(out.contains("ManagedCluster without a name wrote the Secret"), "{out}");
        assert_eq!(documents(&out)[1]["metadata"]["name"], "prod");
    }

    #[test]
    fn a_name_that_allow_would_take_for_a_pattern_is_not_printed_there() {
        let one = [by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod")];
        let (all, left) = looked(&one, |spoke| {
            spoke.entry.as_mut().unwrap().groups = ["*".to_owned(), "team-a".to_owned()].into();
        });
        let (printed, verdict) = print(&found(all, left));
        let allow = documents(&printed.out)[0]["spec"]["allow"].clone();
        assert_eq!(allow[0]["kubernetesGroups"], json!(["team-a"]));
        assert!(
            verdict.exit_code() == 1
                && printed
                    .out
                    .contains("# In its way: \"*\" would be a pattern in spec.allow"),
            "{}",
            printed.out
        );
        let mut any = one.clone();
        let data = any[0].data.as_mut().unwrap();
        data.insert("project".into(), k8s_openapi::ByteString(b"*".to_vec()));
        let (all, left) = looked(&any, |_| {});
        let (printed, verdict) = print(&found(all, left));
        assert_eq!(verdict.exit_code(), 1, "{}", printed.out);
        assert_eq!(
            documents(&printed.out)[0]["spec"]["allow"],
            json!([]),
            "{}",
            printed.out
        );
    }

    #[test]
    fn two_secrets_of_one_cluster_stand_in_each_others_way() {
        let secrets = [
            by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod"),
            by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod"),
        ];
        let mut secrets = secrets.to_vec();
        secrets[1].metadata.name = Some("second-secret".into());
        let (all, left) = looked(&secrets, |_| {});
        let (printed, verdict) = print(&found(all, left));
        assert_eq!(verdict.exit_code(), 1);
        for other in [
            "Secret second-secret has the same server",
            "Secret prod-secret has the same server",
        ] {
            assert!(printed.out.contains(other), "{other}\n{}", printed.out);
        }
        assert!(!printed.out.contains("take over cluster Secret"), "{}", printed.out);

        // Argo CD takes Secrets without a name, and nobody asks for two of them by the same.
        let mut nameless =
            ["prod", "staging"].map(|name| by_hand(name, &format!("arn:aws:iam::222222222222:role/argocd-{name}")));
        for secret in &mut nameless {
            secret.data.as_mut().unwrap().remove("name");
        }
        let (all, left) = looked(&nameless, |_| {});
        let (printed, _) = print(&found(all, left));
        assert!(!printed.out.contains("has the same"), "{}", printed.out);
        assert!(printed.out.contains("take over cluster Secret"), "{}", printed.out);

        // From then on they have the clusters' names, which may be one.
        let mut nameless = ["222222222222", "333333333333"]
            .map(|account| by_hand("prod", &format!("arn:aws:iam::{account}:role/argocd-prod")));
        for (number, secret) in nameless.iter_mut().enumerate() {
            secret.metadata.name = Some(format!("secret-{number}"));
            let server = format!("https://{number:04X}.gr7.eu-west-1.eks.amazonaws.com");
            let data = secret.data.as_mut().unwrap();
            data.remove("name");
            data.insert("server".into(), k8s_openapi::ByteString(server.into_bytes()));
        }
        let (all, left) = looked(&nameless, |_| {});
        let (printed, verdict) = print(&found(all, left));
        let told = "# In its way: Secret secret-1 has, or would have, the same name in Argo CD";
        assert!(
            verdict.exit_code() == 1 && printed.out.contains(told),
            "{}",
            printed.out
        );
    }

    #[test]
    fn no_manifest_is_printed_under_the_name_of_another_cluster_that_is_moored() {
        let secrets = [by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod")];
        let (all, left) = looked(&secrets, |_| {});
        let own = all[0].wired.cluster.clone();
        let mut found = found(all, left);
        let other = crate::domain::arn::ClusterArn {
            account: "333333333333".parse().unwrap(),
            ..own.clone()
        };
        let moored = |name: &str, cluster| {
            let mut living = Living::default();
            let lives = Lives {
                name: name.to_owned(),
                cluster,
                ..Lives::default()
            };
            living.insert(format!("uid-{name}"), lives);
            living
        };
        found.living = moored("prod", Some(other));
        let name = |found: &Found| documents(&print(found).0.out)[1]["metadata"]["name"].clone();
        assert_eq!(name(&found), "prod-2");
        found.living = moored("prod", None);
        assert_eq!(name(&found), "prod-2");
        found.living = moored("mine", Some(own));
        assert_eq!(name(&found), "mine");
        let out = print(&found).0.out;
        assert!(
            out.contains("ManagedCluster mine is there for this cluster already"),
            "{out}"
        );
    }

    /// What a living object has recorded is in the way, though every tag is off it; its own is not.
    #[test]
    fn what_another_managed_cluster_has_is_in_the_way() {
        let secrets = [by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod")];
        let (all, left) = looked(&secrets, |_| {});
        let own = all[0].wired.cluster.clone();
        let mut found = found(all, left);
        let lives = |cluster, of: &str| Lives {
            name: "another".into(),
            cluster,
            role: (of == "role").then(|| "AROATHEIRS".into()),
            entry: (of == "entry")
                .then(|| "arn:aws:eks:eu-west-1:222222222222:access-entry/x/role/222222222222/argocd/1".into()),
            ..Lives::default()
        };
        for of in ["role", "entry"] {
            found.living = Living::default();
            found.living.insert("uid-another".into(), lives(None, of));
            let (printed, verdict) = print(&found);
            assert_eq!(verdict.exit_code(), 1, "{of}\n{}", printed.out);
            assert!(
                printed.out.contains("In its way: ") && printed.out.contains("ManagedCluster another"),
                "{of}\n{}",
                printed.out
            );
        }
        found.living = Living::default();
        found.living.insert("uid-another".into(), lives(Some(own), "role"));
        let out = print(&found).0.out;
        assert!(!out.contains("In its way"), "{out}");
    }

    /// The programs that people had Argo CD run say the same as `awsAuthConfig` does.
    #[test]
    fn a_secret_that_runs_a_program_of_awss_is_taken_over_as_any_other() {
        let role = "arn:aws:iam::222222222222:role/argocd-prod";
        let exec = |server: &str, args: &[&str], more: &Value| {
            let mut exec =
                json!({"command": "aws", "args": args, "apiVersion": "client.authentication.k8s.io/v1beta1"});
            for (key, value) in more.as_object().unwrap() {
                exec[key] = value.clone();
            }
            let config = json!({"execProviderConfig": exec, "tlsClientConfig": {"caData": "AAAA"}});
            secret("by-exec", &json!({"name": "prod", "server": server, "config": config}))
        };
        let server = "https://0123AB.gr7.eu-west-1.eks.amazonaws.com";
        let args = [
            "--region",
            "eu-central-1",
            "eks",
            "get-token",
            "--cluster-name",
            "prod",
            "--role-arn",
            role,
        ];
        let one = [exec(
            server,
            &args,
            &json!({"env": {"AWS_SECRET_ACCESS_KEY": "hunter2"}}),
        )];
        let (all, left) = looked(&one, |_| {});
        assert_eq!(left, []);
        assert_eq!(
            all[0].wired.cluster.to_string(),
            "arn:aws:eks:eu-west-1:222222222222:cluster/prod",
            "the server tells the region"
        );
        let printed = told(&all, &left);
        for says in [
            "# Argo CD comes to it by aws eks get-token (execProviderConfig): its config is written anew, with awsAuthConfig",
            "take over cluster Secret by-exec: it used role arn:aws:iam::222222222222:role/argocd-prod by aws eks get-token",
            "what that program is told besides goes (AWS_SECRET_ACCESS_KEY)",
            "take over role arn:aws:iam::222222222222:role/argocd-prod (AROATHEIRS)",
        ] {
            assert!(printed.out.contains(says), "{says}\n{}", printed.out);
        }
        assert!(
            !printed.out.contains("hunter2") && !printed.out.contains("In its way"),
            "{}",
            printed.out
        );

        // Where the server does not tell the region, the program does; a Secret of another server is not taken over.
        let (all, left) = looked(&[exec("https://prod.example.com", &args, &json!({}))], |spoke| {
            spoke.cluster.as_mut().unwrap().endpoint = Some(server.to_owned());
        });
        assert_eq!(
            (left.len(), all[0].wired.cluster.region.to_string().as_str()),
            (0, "eu-central-1")
        );
        let (printed, verdict) = print(&found(all, left));
        assert_eq!(verdict.exit_code(), 1, "{}", printed.out);
        assert!(
            printed.out.contains("In its way: ") && !printed.out.contains("take over cluster Secret"),
            "{}",
            printed.out
        );

        for (args, more, why) in [
            (
                &args[..],
                json!({"env": {"AWS_PROFILE": "prod"}}),
                "its execProviderConfig (aws eks get-token) names a profile",
            ),
            (
                &args[2..6],
                json!({}),
                "its execProviderConfig (aws eks get-token) names no role",
            ),
            (
                &args[..],
                json!({"command": "sh"}),
                "it is not wired by a role that can be read",
            ),
        ] {
            let (wired, left) = read(&[exec(server, args, &more)]);
            assert_eq!(wired, [], "{why}");
            assert!(left[0].why.contains(why), "{}", left[0].why);
        }
    }

    #[test]
    fn the_readers_that_were_named_are_those_of_the_management_role() {
        let secrets = [by_hand("prod", "arn:aws:iam::222222222222:role/argocd-prod")];
        let (all, left) = looked(&secrets, |_| {});
        let mut found = found(all, left);
        let provisioner = |found: &Found| documents(&print(found).0.out)[0]["spec"]["provisioner"].clone();
        assert_eq!(provisioner(&found), Value::Null);
        found.hub_seen = false;
        assert_eq!(print(&found).1.exit_code(), 1);
        found.hub.reader_role = "window".into();
        found.hub.external_id = Some("word".into());
        assert_eq!(
            provisioner(&found),
            json!({"readerRoleName": "window", "externalId": "word"})
        );
    }
}
