//! What never changes in an object: the fields that a rule of its definition holds against what stood before, for those who
//! lay a manifest over an object without an API server that would refuse it.

/// A field of `spec` that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Where it stands in `spec`, as in access.deployerRole.type.
    pub field: &'static str,
    /// What the API server answers to whoever changes it.
    pub answer: &'static str,
}

/// What never changes in a `ManagedCluster`.
pub const OF_MANAGED_CLUSTER: [Fixed; 7] = [
    Fixed {
        field: "accountId",
        answer: "accountId never changes: make a new ManagedCluster for the other account, and delete this one",
    },
    Fixed {
        field: "region",
        answer: "region never changes: make a new ManagedCluster for the other region, and delete this one",
    },
    Fixed {
        field: "clusterName",
        answer: "clusterName never changes: make a new ManagedCluster for the other cluster, and delete this one",
    },
    Fixed {
        field: "managementRole",
        answer: "managementRole never changes: delete this ManagedCluster and make it again under the other ManagementRole",
    },
    Fixed {
        field: "access.deployerRole.name",
        answer: "access.deployerRole.name never changes: a role cannot be renamed; delete this ManagedCluster and make it again",
    },
    Fixed {
        field: "access.deployerRole.type",
        answer: ROLE_OF_OTHERS,
    },
    Fixed {
        field: "access.deployerRole.arn",
        answer: ROLE_OF_OTHERS,
    },
];

/// One rule holds both, so one answer does.
const ROLE_OF_OTHERS: &str =
    "deployerRole.type and arn never change: delete this ManagedCluster and make it again with the other role";

/// What never changes in a `ManagementRole`.
pub const OF_MANAGEMENT_ROLE: [Fixed; 4] = [
    Fixed {
        field: "cluster",
        answer: "cluster never changes: make a new ManagementRole for the other hub",
    },
    Fixed {
        field: "argocdNamespace",
        answer: "argocdNamespace never changes: make a new ManagementRole for the other Argo CD",
    },
    Fixed {
        field: "identity",
        answer: "identity never changes, since every deployer role trusts it: make a new ManagementRole and move the ManagedClusters to it",
    },
    Fixed {
        field: "role.name",
        answer: "role.name never changes: a role cannot be renamed, and every deployer role trusts it",
    },
];

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt;
    use serde_json::Value;

    use super::*;
    use crate::api::{ManagedCluster, ManagementRole};

    /// The rules below a schema that hold a change against what was: where, the rule and its sentence.
    fn on_update(schema: &Value, at: &str, all: &mut Vec<(String, String, String)>) {
        let text = |rule: &Value, key: &str| rule[key].as_str().unwrap().to_owned();
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        let rules = rules.map(|rule| (at.to_owned(), text(rule, "rule"), text(rule, "message")));
        all.extend(rules.filter(|(_, rule, _)| rule.contains("oldSelf")));
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            on_update(below, &format!("{at}.{name}"), all);
        }
        for (key, below) in [("[]", "items"), ("{}", "additionalProperties")] {
            if schema[below].is_object() {
                on_update(&schema[below], &format!("{at}{key}"), all);
            }
        }
    }

    /// What is left of a rule without what it says of one field.
    fn without<'a>(rule: &'a str, field: &str) -> Option<&'a str> {
        let (new, old) = (format!("self.{field}"), format!("oldSelf.{field}"));
        let same = format!("{new} == {old}");
        let where_it_is = format!("has({new}) == has({old}) && (!has({new}) || {same})");
        let rest = rule.strip_prefix(&where_it_is).or_else(|| rule.strip_prefix(&same))?;
        Some(rest.strip_prefix(" && ").unwrap_or(rest))
    }

    /// `mooring plan` knows by these lists alone what the API server would refuse.
    #[test]
    fn every_rule_against_what_stood_before_is_of_fields_that_are_listed_and_of_nothing_else() {
        for (definition, listed) in [
            (ManagedCluster::crd(), &OF_MANAGED_CLUSTER[..]),
            (ManagementRole::crd(), &OF_MANAGEMENT_ROLE),
        ] {
            let definition = serde_json::to_value(definition).unwrap();
            let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            let mut rules = Vec::new();
            on_update(schema, "", &mut rules);
            assert!(!rules.is_empty());
            let mut held = 0;
            for (at, rule, message) in &rules {
                let of_rule = listed.iter().filter(|fixed| fixed.answer == message);
                let mut rest = rule.as_str();
                for fixed in of_rule {
                    let path = format!(".spec.{}", fixed.field);
                    let field = path.strip_prefix(&format!("{at}.")).unwrap();
                    rest = without(rest, field).unwrap_or_else(|| panic!("{path} is not what {rule} holds"));
                    held += 1;
                }
                assert_eq!(rest, "", "{at}: {rule} holds what no list has");
            }
            assert_eq!(held, listed.len(), "a field is listed that no rule holds");
        }
    }
}
