//! The files of `mooring bootstrap --output-dir`: one for each document, and a script that creates them. Pure.

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use super::bootstrap::{AccountSetup, Bootstrap};

/// What every script does the same way; what is beside it are names, ARNs and sentences of ours, none of which can
/// hold a quotation mark.
const FUNCTIONS: &str = include_str!("apply.sh");

/// The name of each account's script.
pub(super) const SCRIPT: &str = "apply.sh";

/// Every file with its text, by its path below the output directory.
pub(super) fn files(bootstrap: &Bootstrap) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for account in &bootstrap.accounts {
        let directory = PathBuf::from(account.account_id.as_str());
        let mut add = |name: String, text: String| files.insert(directory.join(name), format!("{}\n", text.trim_end()));
        for policy in &account.managed_policies {
            add(format!("policy-{}.json", policy.name), policy.document.to_pretty_json());
        }
        for role in &account.roles {
            add(
                format!("role-{}-trust.json", role.name),
                role.trust_policy.to_pretty_json(),
            );
            for document in role.inline_policies.values() {
                add(format!("role-{}-policy.json", role.name), document.to_pretty_json());
            }
        }
        add(SCRIPT.to_owned(), script(bootstrap, account));
    }
    files
}

fn script(bootstrap: &Bootstrap, account: &AccountSetup) -> String {
    let mut calls = String::new();
    for provider in &account.oidc_providers {
        let _ = writeln!(calls, "  provider '{}' '{}'", provider.arn, provider.url);
    }
    for policy in &account.managed_policies {
        let _ = writeln!(
            calls,
            "  policy '{}' '{}' '{}'",
            policy.name, policy.arn, policy.description
        );
    }
    for role in &account.roles {
        for name in role.inline_policies.keys() {
            let _ = writeln!(calls, "  role '{}' '{name}' '{}'", role.name, role.description);
        }
    }
    format!(
        "#!/bin/sh\n\
         # What account {id} needs for ManagementRole {object} of {hub}.\n\
         # Written by mooring bootstrap. Read the documents beside it, then run it with credentials of the account.\n\
         # Run again, it updates what it made. What is another's it leaves alone, and then it changes nothing.\n\
         account={id}\nhub='{hub}'\nobject='{object}'\n\n{FUNCTIONS}\n\
         everything() {{\n{calls}}}\n\nwriting=\neverything\nwriting=yes\neverything\n",
        id = account.account_id,
        hub = bootstrap.hub,
        object = bootstrap.management_role,
    )
}
