//! What a pass claims before it writes, so that of two that are looked at side by side one gives way.

use crate::domain::arn::RoleArn;

use super::{request::Identity, step::Part};

/// What one object alone can take over. A role that is somebody else's may be in several objects, and its access entry on a
/// cluster in one.
pub(super) fn what_one_alone_can_have(identity: &Identity, role: &RoleArn) -> (Part, String) {
    if identity.existing.is_some() {
        let cluster = &identity.cluster;
        (Part::AccessEntry, format!("the access entry of {role} on {cluster}"))
    } else {
        (Part::DeployerRole, format!("role {role}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_role_that_is_taken_over_there_is_one_and_of_one_that_is_used_one_entry_on_each_cluster() {
        let role: RoleArn = "arn:aws:iam::222222222222:role/argocd".parse().unwrap();
        let had = |cluster: &str, deployer: &serde_json::Value| {
            let object = json!({
                "metadata": {"name": cluster, "uid": cluster},
                "spec": {
                    "accountId": "222222222222", "region": "eu-west-1", "clusterName": cluster,
                    "access": {"deployerRole": deployer},
                },
            });
            what_one_alone_can_have(&Identity::read(&object).unwrap(), &role)
        };
        let taken_over = json!({"arn": role.to_string()});
        assert_eq!(had("one", &taken_over), had("two", &taken_over));
        let used = json!({"type": "Existing", "arn": role.to_string()});
        assert_ne!(had("one", &used), had("two", &used));
        assert_eq!(had("one", &used).0, Part::AccessEntry);
    }
}
