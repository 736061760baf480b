//! Which roles outside of a hub's own path the platform team lets `ManagedCluster`s name.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::Serialize;

use super::{
    arn::RoleArn,
    glob::Glob,
    hub::Hub,
    name::{AccountId, InvalidName, Partition, RoleName},
};

/// Paths that nobody's deployer role stands under: AWS's own roles for its services and for single sign-on (IAM user
/// guide, "IAM identifiers"; AWS IAM Identity Center, "Referencing permission sets"), and those that Mooring makes.
const RESERVED: [(&str, &str); 3] = [
    (
        "/aws-service-role/",
        "a service-linked role, which only its service uses",
    ),
    ("/aws-reserved/", "a role of AWS's own, for single sign-on among others"),
    (
        "/mooring/",
        "under the path of roles that Mooring makes for objects of its own",
    ),
];

/// Why a role can be nobody's deployer role, whatever is allowed.
#[must_use]
pub fn reserved(role: &RoleArn) -> Option<&'static str> {
    let path = role.path.to_ascii_lowercase();
    RESERVED
        .iter()
        .find(|(start, _)| path.starts_with(start))
        .map(|(_, why)| *why)
}

/// Why a role that another hub made under its own path is nobody's here, and what to do about it: no hub takes over what
/// another made there.
#[must_use]
pub fn of_another_hub(role: &RoleArn, hub: &Hub) -> Option<String> {
    let mut steps = role.path.split('/').skip(1);
    let path = match (steps.next()?, steps.next()?) {
        (mooring, of) if mooring.eq_ignore_ascii_case("mooring") && !of.is_empty() => format!("/{mooring}/{of}/"),
        _ => return None,
    };
    (!path.eq_ignore_ascii_case(&hub.management_path())).then(|| {
        format!(
            "one that Mooring made on another hub, and no hub takes over what another made under its own path: where no role is named, a new one is made beside it. Once nothing uses them, have the owner of account {} delete the old ones (`aws iam list-roles --path-prefix {path}`) with their access entries",
            role.account
        )
    })
}

/// The ARN of a role, in which `*` may stand for the account, and for the end of the name: the path is always plain.
///
/// To IAM a `*` at the end also covers a path, so a pattern that could reach into a reserved path is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RolePattern {
    partition: Partition,
    /// `None`: any account that the entry of `allow` covers.
    account: Option<AccountId>,
    path: String,
    /// The name, or what it starts with.
    name: RoleName,
    /// Whether the name may go on.
    open: bool,
}

impl RolePattern {
    /// Whether it holds the role.
    #[must_use]
    pub fn matches(&self, role: &RoleArn) -> bool {
        let (name, wanted) = (role.name.as_str(), self.name.as_str());
        self.partition == role.partition
            && self.account.as_ref().is_none_or(|account| *account == role.account)
            && self.path == role.path
            && (name == wanted || (self.open && name.starts_with(wanted)))
            && reserved(role).is_none()
    }

    /// As a pattern of IAM's, in the accounts of `accounts` (IDs, or `*`).
    #[must_use]
    pub fn in_accounts(&self, accounts: &[Glob]) -> BTreeSet<String> {
        let star = if self.open { "*" } else { "" };
        let written = |account: &str| {
            format!(
                "arn:{}:iam::{account}:role{}{}{star}",
                self.partition, self.path, self.name
            )
        };
        match &self.account {
            Some(account) if accounts.iter().any(|glob| glob.matches(account.as_str())) => {
                [written(account.as_str())].into()
            }
            Some(_) => BTreeSet::new(),
            None if accounts.iter().any(|glob| glob.0 == "*") => [written("*")].into(),
            None => accounts.iter().map(|glob| written(&glob.0)).collect(),
        }
    }
}

impl fmt::Display for RolePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account.as_ref().map_or("*", AccountId::as_str);
        let star = if self.open { "*" } else { "" };
        write!(
            f,
            "arn:{}:iam::{account}:role{}{}{star}",
            self.partition, self.path, self.name
        )
    }
}

impl FromStr for RolePattern {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        parse(value).ok_or_else(|| InvalidName {
            kind: "the ARN of a role that may be named, or a pattern of such",
            value: value.to_owned(),
            hint: "write arn:PARTITION:iam::ACCOUNT:role/PATH/NAME, with * at most for the whole account and at the end of the name, and not under aws-service-role, aws-reserved or mooring",
        })
    }
}

fn parse(value: &str) -> Option<RolePattern> {
    let (closed, open) = value.strip_suffix('*').map_or((value, false), |start| (start, true));
    // Any account stands in for `*`, to have the rest parsed as an ARN is.
    let (before, after) = closed.split_once(":iam::")?;
    let (account, rest) = after.split_once(':')?;
    let any = account == "*";
    let stand_in = if any { "000000000000" } else { account };
    let role: RoleArn = format!("{before}:iam::{stand_in}:{rest}").parse().ok()?;
    let start = format!("{}{}", role.path, role.name).to_ascii_lowercase();
    let reaches = RESERVED.iter().any(|(path, _)| open && path.starts_with(&start));
    if reserved(&role).is_some() || reaches {
        return None;
    }
    Some(RolePattern {
        partition: role.partition,
        account: (!any).then_some(role.account),
        path: role.path,
        name: role.name,
        open,
    })
}

impl Serialize for RolePattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> RolePattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_holds_its_roles_and_no_other_path() {
        for (text, role, holds) in [
            (
                "arn:aws:iam::222222222222:role/argocd",
                "arn:aws:iam::222222222222:role/argocd",
                true,
            ),
            (
                "arn:aws:iam::222222222222:role/argocd",
                "arn:aws:iam::222222222222:role/argocd2",
                false,
            ),
            (
                "arn:aws:iam::222222222222:role/argocd",
                "arn:aws:iam::333333333333:role/argocd",
                false,
            ),
            (
                "arn:aws:iam::222222222222:role/argocd",
                "arn:aws-cn:iam::222222222222:role/argocd",
                false,
            ),
            (
                "arn:aws:iam::222222222222:role/argocd",
                "arn:aws:iam::222222222222:role/x/argocd",
                false,
            ),
            (
                "arn:aws:iam::*:role/argocd-*",
                "arn:aws:iam::222222222222:role/argocd-prod",
                true,
            ),
            (
                "arn:aws:iam::*:role/argocd-*",
                "arn:aws:iam::222222222222:role/argocd-/prod",
                false,
            ),
            (
                "arn:aws:iam::*:role/argocd-*",
                "arn:aws:iam::222222222222:role/argocd",
                false,
            ),
            (
                "arn:aws:iam::*:role/ci/argocd",
                "arn:aws:iam::222222222222:role/ci/argocd",
                true,
            ),
        ] {
            assert_eq!(pattern(text).matches(&role.parse().unwrap()), holds, "{text} {role}");
            assert_eq!(pattern(text).to_string(), text);
        }
    }

    #[test]
    fn nothing_else_is_a_pattern_and_none_reaches_a_reserved_path() {
        for wrong in [
            "*",
            "arn:aws:iam::*:role/*",
            "arn:aws:iam::*:role/ci/*",
            "arn:aws:iam::2222*:role/argocd",
            "arn:aws:iam::*:role/*/argocd",
            "arn:aws:iam::*:role/argo*cd",
            "arn:aws:iam::*:role/argo?d",
            "arn:aws:iam::*:role/${aws:username}",
            "arn:*:iam::222222222222:role/argocd",
            "arn:aws:iam::222222222222:user/argocd",
            "arn:aws:iam::222222222222:role/mooring/x/default/prod",
            "arn:aws:iam::222222222222:role/Mooring/x",
            "arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/x",
            "arn:aws:iam::222222222222:role/aws-service-role/eks.amazonaws.com/x",
            // To IAM these would hold the paths above.
            "arn:aws:iam::*:role/a*",
            "arn:aws:iam::*:role/aws-*",
            "arn:aws:iam::*:role/mooring*",
            "arn:aws:iam::*:role/M*",
        ] {
            assert!(wrong.parse::<RolePattern>().is_err(), "{wrong}");
        }
        for right in [
            "arn:aws:iam::*:role/mooring-like*",
            "arn:aws:iam::*:role/aws-deploy*",
            "arn:aws:iam::*:role/argocd",
        ] {
            assert!(right.parse::<RolePattern>().is_ok(), "{right}");
        }
    }

    #[test]
    fn a_policy_names_it_in_the_accounts_of_its_entry_alone() {
        let accounts = |ids: &[&str]| ids.iter().map(|id| Glob((*id).to_owned())).collect::<Vec<_>>();
        let any = pattern("arn:aws:iam::*:role/argocd-*");
        assert_eq!(
            any.in_accounts(&accounts(&["222222222222", "333333333333"])),
            [
                "arn:aws:iam::222222222222:role/argocd-*".to_owned(),
                "arn:aws:iam::333333333333:role/argocd-*".to_owned(),
            ]
            .into()
        );
        assert_eq!(
            any.in_accounts(&accounts(&["*", "333333333333"])),
            ["arn:aws:iam::*:role/argocd-*".to_owned()].into()
        );
        let one = pattern("arn:aws:iam::222222222222:role/argocd");
        assert_eq!(one.in_accounts(&accounts(&["333333333333"])), BTreeSet::new());
        assert_eq!(one.in_accounts(&accounts(&["*"])), [one.to_string()].into());
    }
}
