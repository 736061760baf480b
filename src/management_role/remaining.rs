//! What keeps a `ManagementRole` that is being removed from going, told by what was looked at. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    aws::{AwsError, ErrorKind, Role},
    domain::arn::{ClusterArn, RoleArn},
    managed_cluster::{in_words, management::closed_accounts},
    policy::trust::may_let_in,
};

use super::{request::Request, step::Blocked};

/// The `ManagedCluster`s that name an object, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    stay: BTreeSet<String>,
    unreadable: BTreeSet<String>,
    going: BTreeSet<String>,
}

impl Naming {
    /// Those of all `ManagedCluster`s, each with the `ManagementRole` that it names, that name this one; `None` where none
    /// does. One that cannot be read names nothing that is known, and counts.
    pub fn of<'a>(name: &str, clusters: impl IntoIterator<Item = (&'a ObjectMeta, Option<&'a str>)>) -> Option<Self> {
        let (mut naming, mut any) = (Self::default(), false);
        for (metadata, names) in clusters {
            if names.is_some_and(|other| other != name) {
                continue;
            }
            let set = if metadata.deletion_timestamp.is_some() {
                &mut naming.going
            } else if names.is_none() {
                &mut naming.unreadable
            } else {
                &mut naming.stay
            };
            set.insert(metadata.name.clone().unwrap_or_default());
            any = true;
        }
        any.then_some(naming)
    }

    /// What waits for them. `retained` are the deployer roles that are kept when they go; `hub_found` says that the hub had
    /// been found to be another, and is not any more.
    #[must_use]
    pub fn blocked(self, retained: BTreeSet<String>, hub_found: bool) -> Blocked {
        let Self {
            stay,
            unreadable,
            going,
        } = self;
        Blocked::ClustersRemain {
            names: stay,
            unreadable,
            going,
            retained,
            hub_found,
        }
    }
}

/// Of the deployer roles that were kept, those to look for: not those in accounts that a person has said are closed.
pub fn kept<'a>(metadata: &ObjectMeta, retained: &'a [String]) -> impl Iterator<Item = RoleArn> + use<'a> {
    let closed = closed_accounts(metadata);
    let roles = retained.iter().filter_map(|arn| arn.parse::<RoleArn>().ok());
    roles.filter(move |deployer| !closed.contains(deployer.account.as_str()))
}

/// Deployer roles that were kept, and what came of looking for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    arns: BTreeMap<String, Option<ClusterArn>>,
    unseen: BTreeMap<String, String>,
}

impl Kept {
    /// Adds what was found under the name of one. An account that does not let anybody in to look is named.
    ///
    /// # Errors
    /// Any other failed look, which says nothing.
    pub fn add(
        &mut self,
        request: &Request,
        deployer: &RoleArn,
        found: Result<Option<Role>, AwsError>,
    ) -> Result<(), AwsError> {
        match found {
            Ok(found) => {
                let stands = found.filter(|found| may_trust(request, deployer, found));
                self.arns
                    .extend(stands.map(|found| (deployer.to_string(), made_for(deployer, &found))));
            }
            Err(error) if error.kind == ErrorKind::Denied => {
                self.unseen.insert(deployer.account.to_string(), in_words(&error));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What waits for them; `None` where there is nothing to wait for. Of `closed` accounts a person has said that they are.
    #[must_use]
    pub fn blocked(self, object: &str, closed: BTreeSet<String>) -> Option<Blocked> {
        let Self { arns, unseen } = self;
        let any = !arns.is_empty() || !unseen.is_empty();
        any.then(|| Blocked::RetainedDeployers {
            object: object.to_owned(),
            arns,
            unseen,
            closed,
        })
    }
}

/// The cluster that a deployer role was made for, as its description says.
fn made_for(deployer: &RoleArn, role: &Role) -> Option<ClusterArn> {
    let (name, region) = role.cluster()?;
    Some(ClusterArn {
        region: region.parse().ok()?,
        account: deployer.account.clone(),
        name: name.parse().ok()?,
    })
}

/// What is told where it was to be looked for a deployer role that was kept, and could not be.
#[must_use]
pub fn unseen(deployer: &RoleArn, why: &str) -> String {
    format!("whether deployer role {deployer}, which was kept, is still there and trusts it: {why}")
}

/// Whether what was found under the name of a deployer role is that role. IAM may show its ID for its ARN for a while after it
/// was made.
pub(super) fn is_there(deployer: &RoleArn, found: &Role) -> bool {
    found.arn == deployer.to_string() || found.arn == found.id
}

/// Whether a deployer role that was kept is still there and may trust the management role, or whoever made it again. A document
/// that was not read may.
fn may_trust(request: &Request, deployer: &RoleArn, found: &Role) -> bool {
    is_there(deployer, found) && may_let_in(&found.trust, &request.role)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::ManagementRole, aws::Call};

    fn metadata(name: &str, going: bool) -> ObjectMeta {
        let mut metadata = json!({"name": name});
        if going {
            metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        serde_json::from_value(metadata).unwrap()
    }

    fn role(annotations: &serde_json::Value) -> ManagementRole {
        serde_json::from_value(json!({
            "metadata": {"name": "default", "uid": "u", "annotations": annotations},
            "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "allow": [{"accounts": ["*"]}]},
        }))
        .unwrap()
    }

    #[test]
    fn who_names_it_or_may_name_it_keeps_it() {
        let (stays, goes, broken, others) = (
            metadata("stays", false),
            metadata("goes", true),
            metadata("broken", false),
            metadata("others", false),
        );
        let all = [
            (&stays, Some("default")),
            (&goes, Some("default")),
            (&broken, None),
            (&others, Some("other")),
        ];
        let blocked = Naming::of("default", all).unwrap().blocked(BTreeSet::new(), false);
        let one = |name: &str| BTreeSet::from([name.to_owned()]);
        assert_eq!(
            blocked,
            Blocked::ClustersRemain {
                names: one("stays"),
                unreadable: one("broken"),
                going: one("goes"),
                retained: BTreeSet::new(),
                hub_found: false,
            }
        );
        assert_eq!(Naming::of("default", [(&others, Some("other"))]), None);
        assert!(Naming::of("other", [(&broken, None)]).is_some());
    }

    #[test]
    fn a_kept_role_holds_it_up_while_it_may_trust_it_or_nobody_may_look() {
        let object = role(&json!({"mooring.dev/closed-accounts": "444444444444"}));
        let request = Request::parse(&object, &"111111111111".parse().unwrap()).unwrap();
        let retained = [
            "arn:aws:iam::222222222222:role/a",
            "arn:aws:iam::444444444444:role/closed",
            "none",
        ]
        .map(str::to_owned);
        let looked_for: Vec<String> = kept(&object.metadata, &retained).map(|arn| arn.to_string()).collect();
        assert_eq!(looked_for, ["arn:aws:iam::222222222222:role/a"]);
        let arn: RoleArn = retained[0].parse().unwrap();
        let found = |arn: &RoleArn, trust: &str| {
            Ok(Some(Role {
                arn: arn.to_string(),
                trust: trust.to_owned(),
                ..Role::default()
            }))
        };
        let held = |found| {
            let mut kept = Kept::default();
            kept.add(&request, &arn, found)
                .map(|()| kept.blocked("default", BTreeSet::new()))
        };
        let trust = |principal: &str| {
            let statement = json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"});
            json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
        };
        for trust in [
            "",
            &trust("*"),
            &trust("arn:aws:iam::111111111111:root"),
            &trust(&request.role.to_string()),
        ] {
            let blocked = held(found(&arn, trust)).unwrap().unwrap();
            assert!(blocked.message().contains(&retained[0]), "{trust}");
        }
        let made = Ok(Some(Role {
            arn: arn.to_string(),
            description: Some(
                "Argo CD on hub deploys to kept in eu-west-1 with this role. Made by Mooring for ManagedCluster kept."
                    .into(),
            ),
            ..Role::default()
        }));
        let told = held(made).unwrap().unwrap().message();
        let command =
            format!("`aws eks delete-access-entry --region eu-west-1 --cluster-name kept --principal-arn {arn}`");
        assert!(told.contains(&command), "{told}");
        assert_eq!(held(Ok(None)).unwrap(), None);
        let id = "AROAEXAMPLEEXAMPLE123".to_owned();
        let by_id = Role {
            arn: id.clone(),
            id,
            ..Role::default()
        };
        assert!(held(Ok(Some(by_id))).unwrap().is_some());
        for others in [
            "arn:aws:iam::999999999999:root",
            "arn:aws:iam::111111111111:role/argocd",
        ] {
            assert_eq!(held(found(&arn, &trust(others))).unwrap(), None);
        }
        let elsewhere: RoleArn = "arn:aws:iam::222222222222:role/path/a".parse().unwrap();
        assert_eq!(held(found(&elsewhere, "")).unwrap(), None);
        let error = |kind| {
            Err(AwsError {
                call: Call::GetRole,
                kind,
                code: "Code".into(),
                message: "no".into(),
                request_id: None,
                resource: arn.to_string(),
                acting_as: "arn:aws:iam::222222222222:role/mooring-provisioner".into(),
            })
        };
        let blocked = held(error(ErrorKind::Denied)).unwrap().unwrap();
        assert!(blocked.message().contains("222222222222"), "{}", blocked.message());
        assert!(held(error(ErrorKind::Throttled)).is_err());
    }
}
