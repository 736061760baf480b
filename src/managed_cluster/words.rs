//! How steps of both pipelines are told: what was found, and what is set in its place. People read it in events, where
//! there is room for a thousand bytes, so everything is bounded.

use std::collections::BTreeSet;

use crate::{
    api::CLOSED_ACCOUNTS,
    domain::{
        arn::{PolicyArn, RoleArn},
        eks::{AccessPolicyArn, AccessScope},
        name::RoleName,
    },
    policy::{self, Difference, Document, Exposure},
};

/// How much is told of what a policy document has more or less than it should, in characters.
const DIFFERENCES_LIMIT: usize = 400;

/// How long a row of steps may be, in bytes: the note of an event holds 1,024.
const ROW_LIMIT: usize = 980;

/// How many names are told.
const SOME: usize = 5;

/// What has to agree before anything is deleted to heal. How long that takes is for whoever starts the operator to say.
pub(crate) const SECOND_LOOK: &str = "a second look, the operator's --confirm-after later (30 s unless set),";

/// What is told of what only a deletion heals, as long as one look alone found it.
pub(crate) fn unconfirmed(what: &str) -> String {
    format!(
        "{what}. One look found that, which may be late: nothing is to be done, and once {SECOND_LOOK} agrees, Mooring makes it afresh by itself"
    )
}

/// What a role is that bears our tags and that nobody recorded.
pub(crate) fn unrecorded(id: &str) -> String {
    format!("a role of our name and tags with ID {id} was not recorded as made by us, and is never used")
}

/// Some of these names, and how many more there are. Somebody else may have chosen them.
pub(crate) fn some<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(SOME).map(|name| policy::shown(name)).collect();
    match names.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The names with what they are of: `ApplicationSet a/b`, `ApplicationSets a/b, a/c`.
pub(crate) fn named(kind: &str, names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{kind}{plural} {}", some(names))
}

/// The command that says on a `ManagementRole` that accounts are closed: all of them, since the annotation is written anew.
pub(crate) fn say_closed<'a>(object: &str, accounts: impl IntoIterator<Item = &'a str>) -> String {
    let accounts: BTreeSet<&str> = accounts.into_iter().collect();
    let accounts = Vec::from_iter(accounts).join(",");
    format!("kubectl annotate mgr {object} --overwrite {CLOSED_ACCOUNTS}={accounts}")
}

/// What has the operator serve a namespace.
pub(crate) fn serve(namespace: &str) -> String {
    format!(
        "if that is meant, start it with --argocd-namespace {namespace} besides those that it serves, and copy for {namespace} what deploy/install has with metadata.namespace argocd: Role and RoleBinding in 10-rbac.yaml, and for a verifier those in 30-verifier-rbac.yaml, with {namespace} in 31-verifier-admission.yaml too"
    )
}

/// A text as the beginning of a sentence.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// What was done, as an event tells it.
pub(crate) fn done_in_words(done: &[String]) -> String {
    format!("done: {}", in_a_row(done))
}

/// What was done, in a row; what an event has no room for is counted.
pub(crate) fn in_a_row(done: &[String]) -> String {
    let mut row = String::new();
    for (told, step) in done.iter().enumerate() {
        if told > 0 && row.len() + step.len() > ROW_LIMIT {
            return format!("{row}; and {} more", done.len() - told);
        }
        if told > 0 {
            row.push_str("; ");
        }
        row.push_str(step);
    }
    row
}

/// Whether a trust policy that is put back named somebody who is gone.
pub(crate) fn names_a_ghost(differences: &[Difference]) -> bool {
    differences.iter().any(|difference| !difference.ghosts().is_empty())
}

/// That an access policy is held to less, or reaches further.
pub(crate) fn rescope_in_words(policy: &AccessPolicyArn, scope: &AccessScope, found: &AccessScope) -> String {
    let to = if *scope == AccessScope::Cluster {
        "widen"
    } else {
        "hold"
    };
    format!(
        "{to} {} to {} (it was associated in {})",
        policy.name(),
        scope_in_words(scope),
        scope_in_words(found)
    )
}

/// The statement by which the management role is let in beside others.
pub(crate) fn let_in_in_words(
    role: &RoleName,
    management_role: &RoleArn,
    replaced: Option<&RoleArn>,
    ghosts: &BTreeSet<String>,
) -> String {
    let instead = replaced.map_or_else(String::new, |other| {
        format!(" and in the place of the statement for {other}, which that lets in no more")
    });
    format!(
        "let {management_role} in by the trust policy of {role}, beside what stands there{instead}{}",
        ghosts_in_words(ghosts)
    )
}

/// That statement, taken out again.
pub(crate) fn leave_in_words(role: &RoleName, ghosts: &BTreeSet<String>) -> String {
    format!(
        "take Mooring's statement out of the trust policy of {role}, and leave the role{}",
        ghosts_in_words(ghosts)
    )
}

/// Principals that go with a change of a trust policy, since AWS takes no document with one.
fn ghosts_in_words(ghosts: &BTreeSet<String>) -> String {
    if ghosts.is_empty() {
        return String::new();
    }
    format!(
        "; taking {} out of it, which is all that is left of principals that were deleted",
        some(ghosts)
    )
}

/// A change of a trust policy, with the `exposure` by the one that was found. `shut` tells whom that kept out, where it did.
pub(crate) fn trust_in_words(
    role: &RoleName,
    (exposure, shut): (&Exposure, &str),
    differences: &[Difference],
) -> String {
    let changes = policy::in_words(differences, DIFFERENCES_LIMIT);
    let open = match exposure.open.len() {
        0 => String::new(),
        _ => format!(" (found open to {})", some(&exposure.open)),
    };
    let shut = if exposure.shuts_out { shut } else { "" };
    format!("restore the trust policy of {role}{open}{shut}: {changes}")
}

/// What a trust policy does that lets the management role not in.
pub(crate) const SHUTS_OUT: &str = ", which did not let Argo CD in";

/// A change of the policy by which the management role assumes deployer roles.
pub(crate) fn policy_in_words(role: &RoleName, document: &Document, differences: &[Difference]) -> String {
    let resources = document.statements.iter().map(|statement| statement.resource.len());
    let count: usize = resources.sum();
    let changes = policy::in_words(differences, DIFFERENCES_LIMIT);
    let sep = if changes.is_empty() { "" } else { ": " };
    let plural = if count == 1 { "" } else { "s" };
    format!("let {role} assume deployer roles by {count} resource{plural}{sep}{changes}")
}

/// A change of a permissions boundary.
pub(crate) fn boundary_in_words(role: &RoleName, boundary: &PolicyArn, found: Option<&str>) -> String {
    let found = found.map_or_else(|| "it had none".to_owned(), |found| format!("it was {found}"));
    format!("set the permissions boundary of {role} to {boundary} ({found})")
}

/// A change of what `UpdateRole` sets.
pub(crate) fn settings_in_words(role: &RoleName, changed: &BTreeSet<String>) -> String {
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    format!("set the {} of {role} back", changed.join(" and the "))
}

/// A scope in words.
#[must_use]
pub fn scope_in_words(scope: &AccessScope) -> String {
    match scope {
        AccessScope::Cluster => "the whole cluster".to_owned(),
        AccessScope::Namespaces(names) => format!("namespaces {}", some(names)),
    }
}

/// A change of who the sessions of an access entry are to Kubernetes: what is wanted, and what was found.
pub(crate) fn identity_in_words(
    (username, found): (&str, &str),
    (groups, found_groups): (&BTreeSet<String>, &BTreeSet<String>),
) -> String {
    let username = format!(
        "set the user name of the access entry back to {username} (it was {})",
        policy::shown(found)
    );
    if groups == found_groups {
        username
    } else {
        format!("{username}, and {}", groups_in_words(groups, found_groups))
    }
}

/// A write of the cluster Secret: of one that somebody else made with what that was, and of all with what is `changed`.
pub(crate) fn secret_in_words(name: &str, adopts: Option<&str>, changed: &BTreeSet<String>) -> String {
    match (adopts, changed.is_empty()) {
        (Some(was), true) => format!("take over cluster Secret {name}: {was}"),
        (Some(was), false) => format!(
            "take over cluster Secret {name}: {was}; it overwrites {}",
            some(changed)
        ),
        (None, true) => format!("create cluster Secret {name}"),
        (None, false) => format!("write cluster Secret {name} ({})", some(changed)),
    }
}

pub(crate) fn groups_in_words(groups: &BTreeSet<String>, found: &BTreeSet<String>) -> String {
    let list = |groups: &BTreeSet<String>| some(groups);
    let surplus: BTreeSet<String> = found.difference(groups).cloned().collect();
    let taken = if surplus.is_empty() {
        String::new()
    } else {
        format!(", taking away {}", list(&surplus))
    };
    format!(
        "set the Kubernetes groups of the access entry to [{}]{taken}",
        list(groups)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn many_names_are_counted() {
        let names = |number: usize| (0..number).map(|n| format!("n{n:02}")).collect::<BTreeSet<_>>();
        assert_eq!(some(&names(2)), "n00, n01");
        assert_eq!(some(&names(5)).matches('n').count(), 5);
        assert!(some(&names(7)).ends_with("n04 and 2 more"));
        assert!(!some(&["a\u{1b}[31m".to_owned()]).contains('\u{1b}'));
    }

    #[test]
    fn what_was_said_to_be_closed_before_stays_so() {
        let told = say_closed("default", ["333333333333", "222222222222", "333333333333"]);
        assert!(
            told.ends_with("mooring.dev/closed-accounts=222222222222,333333333333"),
            "{told}"
        );
    }

    #[test]
    fn a_row_of_steps_fits_an_event_and_counts_the_rest() {
        assert_eq!(in_a_row(&["a".to_owned(), "b".to_owned()]), "a; b");
        let steps: Vec<String> = (0..9).map(|n| format!("{n}{}", "x".repeat(300))).collect();
        let row = in_a_row(&steps);
        assert!(row.len() <= 1024 && row.ends_with("; and 6 more"), "{row}");
        let told = done_in_words(&steps);
        assert!(told.starts_with("done: 0xxx") && told.len() <= 1024, "{told}");
    }
}
