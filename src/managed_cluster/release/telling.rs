//! What a removal says of what it waits for. Pure.

use crate::{
    api::Mode,
    aws::AwsError,
    domain::commands::free_managed_cluster,
    managed_cluster::{
        Blocked, Error, Plan,
        apply::Outcome,
        in_words,
        request::Identity,
        step::Part,
        words::{capitalised, in_a_row},
    },
};

use super::{Going, Turn};

/// Why a removal waits for the `ManagementRole`.
pub(super) fn needs_management(going: &Going<'_>, blocked: &Blocked) -> String {
    let identity = going.identity;
    let needs = format!(
        "the removal needs ManagementRole {} to enter the account: {}",
        identity.management_role,
        blocked.message()
    );
    let Blocked::ManagementRoleNotReady {
        copy: Some(namespace), ..
    } = blocked
    else {
        return needs;
    };
    let secret = going.old.secret.as_ref().map_or_else(String::new, |secret| {
        format!(
            "; cluster Secret {namespace}/{secret} then stays on this hub, and is yours to delete once no ApplicationSet chooses it: `kubectl delete secret -n {namespace} {secret}`"
        )
    });
    format!(
        "{needs}. If this ManagedCluster is a copy of one that lives on another hub, this lets the copy go and touches nothing in AWS: `{}`{secret}",
        free_managed_cluster(&identity.name)
    )
}

/// That what the spec gave to an access entry of others is off it, and what stays; `None` where it goes, or not all is off.
pub(super) fn let_go(plan: &Plan, outcome: &Outcome) -> Option<String> {
    let left = plan.beside.get(&Part::AccessEntry)?;
    let mut here = plan.steps.iter().filter(|step| step.part() == Part::AccessEntry);
    here.all(|step| outcome.did(step)).then(|| {
        format!(
            "what the spec gave to it is taken away, and it stays: {}",
            left.join("; ")
        )
    })
}

/// What a removal says that waits for another look to find nothing.
pub(super) fn looking_once_more(done: &[String]) -> String {
    if done.is_empty() {
        "nothing is left to take away that can be seen; looking once more, since AWS may show it late".to_owned()
    } else {
        format!("done: {}; looking once more for what is left", in_a_row(done))
    }
}

/// An account that cannot be entered is never abandoned by itself. Any other failed look is told as what it is.
pub(super) fn unreachable(error: AwsError, deployer: &str, identity: &Identity) -> Result<Turn, Error> {
    if !error.shuts_out() {
        return Err(error.into());
    }
    // What is suspended is kept by nobody before its access is away.
    let besides = if identity.mode == Mode::Suspended {
        r#""mode":"Enforce","#
    } else {
        ""
    };
    let yours = if identity.existing.is_some() {
        format!("the access entry of role {deployer} is then yours to delete, and the role stays its owner's")
    } else if identity.adopted.is_some() {
        format!(
            "what Mooring wrote to role {deployer} and to its access entry is then yours to take out: others may have a part in both"
        )
    } else {
        format!("role {deployer} and its access entry are then yours to delete")
    };
    let why = format!(
        "there is no cluster Secret, and account {} cannot be entered to remove the rest. Should it be closed for good, \
         `kubectl patch mgc {} --type merge -p '{{\"spec\":{{{besides}\"deletion\":{{\"policy\":\"Retain\"}}}}}}'` lets \
         the object go: {yours}. {}",
        identity.cluster.account,
        identity.name,
        capitalised(&in_words(&error))
    );
    Ok(Turn::blocked(Blocked::AccountNotEntered { why }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        aws::{Call, ErrorKind},
        managed_cluster::status::Pass,
    };

    #[test]
    fn nobody_is_told_that_a_role_of_somebody_elses_is_his_to_delete() {
        let told = |role: serde_json::Value| {
            let object = json!({"metadata": {"name": "prod", "uid": "u"}, "spec": {
                "accountId": "222222222222", "region": "eu-west-1", "access": {"deployerRole": role}}});
            let error = AwsError {
                call: Call::AssumeRole,
                kind: ErrorKind::Denied,
                code: "AccessDenied".into(),
                message: "no".into(),
                request_id: None,
                resource: "arn:aws:iam::222222222222:role/mooring-provisioner".into(),
                acting_as: Arc::from("arn:aws:iam::111111111111:role/mooring-operator"),
            };
            let arn = "arn:aws:iam::222222222222:role/theirs";
            match unreachable(error, arn, &Identity::read(&object).unwrap()) {
                Ok(Turn::Remains(Pass::Releasing(releasing))) => releasing.message,
                _ => panic!("it waits"),
            }
        };
        let arn = "arn:aws:iam::222222222222:role/theirs";
        let existing = told(json!({"type": "Existing", "arn": arn}));
        assert!(existing.contains("the role stays its owner's"), "{existing}");
        let adopted = told(json!({"arn": arn}));
        assert!(adopted.contains("others may have a part in both"), "{adopted}");
        let ours = format!("role {arn} and its access entry are then yours to delete");
        assert!(told(json!({})).contains(&ours));
        for theirs in [existing, adopted] {
            assert!(!theirs.contains(&ours), "{theirs}");
        }
    }
}
