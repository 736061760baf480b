//! The manifests of files, laid over what is on the hub.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use serde_json::{Value, to_value};

use crate::{
    api::{
        ManagedCluster, ManagementRole,
        fixed::{OF_MANAGED_CLUSTER, OF_MANAGEMENT_ROLE},
    },
    managed_cluster::preview::{Planned, Unplanned},
    run::plan::{laid, unread::Unread},
};

use super::{CLUSTER, Fleet, NEW, ROLE};

impl Fleet {
    pub(super) fn lay_role(&mut self, mut file: ManagementRole) {
        let name = file.name_any();
        let place = self.roles.iter().position(|role| role.name_any() == name);
        let live = place.map(|place| &self.roles[place]);
        let stands = self.stands(ROLE, &name, live.map(|live| to_value(&live.spec).unwrap_or_default()));
        let says = to_value(&file.spec).unwrap_or_default();
        if let Some(why) = laid::refused(&OF_MANAGEMENT_ROLE, &stands, &says) {
            return self.refuse(ROLE, name, why);
        }
        if let Some(files) = &mut self.files {
            files.roles.insert(name.clone());
        }
        if let Some(live) = place.map(|place| self.roles.swap_remove(place)) {
            file.metadata = laid::metadata(file.metadata, live.metadata);
            file.status = live.status;
        } else if let Some(unread) = self.take_unread(ROLE, &name) {
            match laid::role(file, &unread.stored) {
                Ok(laid) => file = laid,
                Err(why) => return self.unreadable.push(Unread { why, ..unread }),
            }
        } else {
            file.metadata.uid = Some(NEW.to_owned());
        }
        self.roles.push(file);
    }

    pub(super) fn lay_cluster(&mut self, mut file: ManagedCluster) {
        let name = file.name_any();
        let place = self.clusters.iter().position(|cluster| cluster.name_any() == name);
        let live = place.map(|place| &self.clusters[place]);
        let stands = self.stands(
            CLUSTER,
            &name,
            live.map(|live| to_value(&live.spec).unwrap_or_default()),
        );
        let says = to_value(&file.spec).unwrap_or_default();
        if let Some(why) = laid::refused(&OF_MANAGED_CLUSTER, &stands, &says) {
            return self.refuse(CLUSTER, name, why);
        }
        if let Some(files) = &mut self.files {
            files.clusters.insert(name.clone());
        }
        if let Some(live) = place.map(|place| self.clusters.swap_remove(place)) {
            file.metadata = laid::metadata(file.metadata, live.metadata);
            file.status = live.status;
        } else if let Some(unread) = self.take_unread(CLUSTER, &name) {
            match laid::cluster(file, &unread.stored) {
                Ok(laid) => file = laid,
                Err(why) => return self.unreadable.push(Unread { why, ..unread }),
            }
        } else {
            file.metadata.uid = Some(NEW.to_owned());
        }
        // What the file says of its removal counts where removals are counted, too.
        let is_it = |metadata: &ObjectMeta| metadata.name == file.metadata.name;
        if let Some(stored) = self.stored.iter_mut().find(|(metadata, _)| is_it(metadata)) {
            *stored = (file.metadata.clone(), Some(file.spec.management_role.clone()));
        }
        self.clusters.push(file);
    }

    /// The `spec` of the object of this name that is there; nothing where there is none.
    fn stands(&self, kind: &str, name: &str, live: Option<Value>) -> Value {
        let mut unread = self.unreadable.iter();
        let unread = unread.find(|unread| unread.kind == kind && unread.name == name);
        let spec = live.or_else(|| unread.and_then(|unread| unread.stored.get("spec").cloned()));
        spec.unwrap_or_default()
    }

    fn refuse(&mut self, kind: &'static str, name: String, why: String) {
        self.refused.push(Planned {
            kind,
            name,
            of: None,
            looked: Err(Unplanned::Refused(why)),
        });
    }

    fn take_unread(&mut self, kind: &str, name: &str) -> Option<Unread> {
        let mut all = self.unreadable.iter();
        let place = all.position(|unread| unread.kind == kind && unread.name == name)?;
        Some(self.unreadable.swap_remove(place))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;
    use crate::managed_cluster::living::Living;

    fn empty() -> Fleet {
        Fleet {
            roles: Vec::new(),
            clusters: Vec::new(),
            unreadable: Vec::new(),
            refused: Vec::new(),
            living: Living::default(),
            stored: Vec::new(),
            files: Some(super::super::Asked::default()),
        }
    }

    fn cluster(change: impl FnOnce(&mut Value)) -> Value {
        let mut object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "prod", "uid": "uid-prod"},
            "spec": {
                "accountId": "222222222222", "region": "eu-west-1", "managementRole": "default",
                "access": {
                    "policies": [{"name": "AmazonEKSClusterAdminPolicy"}],
                    "deployerRole": {"type": "Existing", "arn": "arn:aws:iam::222222222222:role/theirs"},
                },
            },
            "status": {"conditions": [], "deployerRole": {"arn": "arn:aws:iam::222222222222:role/theirs", "id": "AROATHEIRS"}},
        });
        change(&mut object["spec"]);
        object
    }

    fn role(change: impl FnOnce(&mut Value)) -> Value {
        let mut object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole",
            "metadata": {"name": "default", "uid": "uid-default"},
            "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "argocdNamespace": "argocd", "allow": []},
        });
        change(&mut object["spec"]);
        object
    }

    fn why(fleet: &Fleet) -> String {
        match fleet.unplanned().as_slice() {
            [
                Planned {
                    looked: Err(Unplanned::Refused(why)),
                    ..
                },
            ] => why.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_the_api_server_would_refuse_is_refused_and_what_stands_is_left_as_it_is() {
        type Change = fn(&mut Value);
        let changes: [(Change, &str); 5] = [
            (
                |spec| spec["accountId"] = json!("333333333333"),
                r#"spec.accountId is "222222222222", and the file says "333333333333". accountId never changes: make a new ManagedCluster"#,
            ),
            (
                |spec| spec["region"] = json!("us-east-1"),
                r#"spec.region is "eu-west-1", and the file says "us-east-1""#,
            ),
            (
                |spec| spec["clusterName"] = json!("live"),
                r#"spec.clusterName is nothing, and the file says "live""#,
            ),
            (
                |spec| spec["managementRole"] = json!("other"),
                r#"spec.managementRole is "default", and the file says "other""#,
            ),
            // The role's recorded ID would make it ours.
            (
                |spec| {
                    spec["access"]["deployerRole"] = json!({"arn": "arn:aws:iam::222222222222:role/theirs"});
                },
                r#"spec.access.deployerRole.type is "Existing", and the file says "Managed". deployerRole.type and arn never change: delete this ManagedCluster"#,
            ),
        ];
        for (change, says) in changes {
            let mut fleet = empty();
            let live: ManagedCluster = from_value(cluster(|_| {})).unwrap();
            fleet.stored.push((live.metadata.clone(), Some("default".to_owned())));
            fleet.clusters.push(live.clone());
            fleet.lay_cluster(from_value(cluster(change)).unwrap());
            assert!(why(&fleet).contains(says), "{says}\n{}", why(&fleet));
            assert_eq!(fleet.clusters, [live], "{says}");
            assert!(fleet.wanted_clusters().is_empty(), "{says}");
            assert_eq!(fleet.stored[0].1.as_deref(), Some("default"), "{says}");

            // One that this release cannot read stands as well.
            let mut fleet = empty();
            let stored = cluster(|spec| spec["mode"] = json!("Later"));
            fleet
                .unreadable
                .push(Unread::stored(CLUSTER, "prod", "spec.mode", stored));
            fleet.lay_cluster(from_value(cluster(change)).unwrap());
            assert!(why(&fleet).contains(says), "{says}\n{}", why(&fleet));
        }
    }

    #[test]
    fn a_file_that_leaves_out_what_never_changes_or_changes_something_else_is_laid_over_what_stands() {
        let mut fleet = empty();
        fleet.clusters.push(from_value(cluster(|_| {})).unwrap());
        let file = cluster(|spec| {
            spec.as_object_mut().unwrap().remove("managementRole");
            spec["access"]["policies"] = json!([{"name": "AmazonEKSViewPolicy"}]);
        });
        fleet.lay_cluster(from_value(file).unwrap());
        assert!(fleet.unplanned().is_empty());
        assert_eq!(
            fleet.wanted_clusters()[0].spec.access.policies[0].name,
            "AmazonEKSViewPolicy"
        );
        // What is not there yet is held against nothing.
        let mut fleet = empty();
        fleet.lay_cluster(from_value(cluster(|_| {})).unwrap());
        fleet.lay_role(from_value(role(|_| {})).unwrap());
        assert!(fleet.unplanned().is_empty());
        assert_eq!((fleet.clusters.len(), fleet.roles.len()), (1, 1));
    }

    #[test]
    fn a_management_role_that_would_become_another_ones_is_refused() {
        type Change = fn(&mut Value);
        let changes: [(Change, &str); 4] = [
            (
                |spec| spec["cluster"]["name"] = json!("hub2"),
                r#"the file says {"name":"hub2","region":"eu-west-1"}. cluster never changes: make a new ManagementRole"#,
            ),
            (
                |spec| spec["argocdNamespace"] = json!("cd"),
                r#"spec.argocdNamespace is "argocd", and the file says "cd""#,
            ),
            (
                |spec| {
                    spec["identity"] = json!({"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/argocd"});
                },
                "spec.identity is {\"type\":\"IRSA\"}, and",
            ),
            (
                |spec| spec["role"] = json!({"name": "argocd"}),
                r#"spec.role.name is nothing, and the file says "argocd""#,
            ),
        ];
        for (change, says) in changes {
            let mut fleet = empty();
            let live: ManagementRole = from_value(role(|_| {})).unwrap();
            fleet.roles.push(live.clone());
            fleet.lay_role(from_value(role(change)).unwrap());
            assert!(why(&fleet).contains(says), "{says}\n{}", why(&fleet));
            assert_eq!(fleet.roles, [live], "{says}");
            assert!(fleet.wanted_roles().is_empty(), "{says}");
        }
    }
}
