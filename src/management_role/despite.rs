//! Which steps do not wait for one that only a person can mend.
//!
//! The provider, the tags, the description and the length of sessions give nobody anything and hold nobody back: what was
//! refused there stands in nobody's way. The boundary holds what the role may do, and its trust policy who may act as it.
//! While one of the two is not ours, nothing is given to the role: whoever else may act as it would get it too. What takes
//! away goes on all the same, and never mattered more. Of a permission policy that does both, what takes away is done.
//!
//! A role that is deleted, or made afresh, goes step by step: the first that is refused ends that.

use crate::policy::Difference;

use super::step::Step;

impl Step {
    /// What of the step is done after all of `failed` have failed in a way that only a person mends; `None` where nothing is.
    #[must_use]
    pub fn despite(&self, failed: &[&Self]) -> Option<&Self> {
        if failed.is_empty() {
            return Some(self);
        }
        if !failed.iter().all(|failed| failed.mends()) {
            return None;
        }
        let unbounded = failed.iter().any(|failed| matches!(failed, Self::SetBoundary { .. }));
        let open = failed.iter().any(|failed| matches!(failed, Self::SetTrust { .. }));
        match self {
            // Argo CD's own service accounts come back with it, and a stranger who stands there is worse.
            Self::SetTrust { differences, .. } => (!unbounded || takes_away(differences)).then_some(self),
            Self::PutPolicy { document, taking, .. } if unbounded || open => match taking.as_deref() {
                Some(Self::PutPolicy { document: less, .. }) if less == document => Some(self),
                less => less,
            },
            Self::CreateOidcProvider { .. }
            | Self::AddAudience { .. }
            | Self::SetBoundary { .. }
            | Self::TagRole { .. }
            | Self::UpdateRole { .. }
            | Self::PutPolicy { .. }
            | Self::DeletePolicy { .. } => Some(self),
            Self::CreateRole { .. } | Self::DeleteRole { .. } => None,
        }
    }

    /// Whether it puts back what is not as it should be on a role that stays.
    fn mends(&self) -> bool {
        match self {
            Self::CreateOidcProvider { .. }
            | Self::AddAudience { .. }
            | Self::SetBoundary { .. }
            | Self::SetTrust { .. }
            | Self::TagRole { .. }
            | Self::UpdateRole { .. } => true,
            Self::CreateRole { .. } | Self::DeleteRole { .. } | Self::PutPolicy { .. } | Self::DeletePolicy { .. } => {
                false
            }
        }
    }
}

/// Whether the role that the steps are for stays, so that one that is refused need not end them all.
pub(super) fn keeps_the_role(steps: &[Step]) -> bool {
    !steps
        .iter()
        .any(|step| matches!(step, Step::CreateRole { .. } | Step::DeleteRole { .. }))
}

/// Whether something that was found goes.
fn takes_away(differences: &[Difference]) -> bool {
    differences.iter().any(|difference| match difference {
        Difference::Unreadable | Difference::Surplus(_) => true,
        Difference::Element { surplus, .. } => !surplus.is_empty(),
        Difference::Version { .. } | Difference::Missing(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        aws::WantedRole,
        domain::{arn::OidcProviderArn, name::Partition, ownership::Tags},
        policy::{Document, Exposure, Statement},
    };

    fn document() -> Document {
        Document::new(Vec::new())
    }

    fn trust(difference: Difference) -> Step {
        Step::SetTrust {
            name: "m".parse().unwrap(),
            trust: document(),
            differences: vec![difference],
            exposure: Exposure::default(),
        }
    }

    fn statement() -> Statement {
        let text = r#"{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"}]}"#;
        Document::parse(text).unwrap().statements[0].clone()
    }

    fn of_a_role_that_stays() -> [Step; 8] {
        let name = || "m".parse().unwrap();
        let provider = || OidcProviderArn {
            partition: Partition::Aws,
            account: "111111111111".parse().unwrap(),
            issuer_host_and_path: "issuer".into(),
        };
        [
            Step::CreateOidcProvider {
                arn: provider(),
                tags: Tags::default(),
            },
            Step::AddAudience {
                arn: provider(),
                audience: "a".into(),
            },
            Step::SetBoundary {
                name: name(),
                boundary: "arn:aws:iam::111111111111:policy/b".parse().unwrap(),
                found: None,
            },
            trust(Difference::Surplus(statement())),
            Step::TagRole {
                name: name(),
                tags: Tags::default(),
                missing: BTreeSet::new(),
            },
            Step::UpdateRole {
                name: name(),
                description: String::new(),
                changed: BTreeSet::new(),
            },
            Step::PutPolicy {
                name: name(),
                document: document(),
                differences: Vec::new(),
                taking: None,
            },
            Step::DeletePolicy { name: name() },
        ]
    }

    fn of_a_role_that_goes() -> [Step; 2] {
        [
            Step::CreateRole {
                role: WantedRole {
                    arn: "arn:aws:iam::111111111111:role/m".parse().unwrap(),
                    trust: document(),
                    boundary: "arn:aws:iam::111111111111:policy/b".parse().unwrap(),
                    tags: Tags::default(),
                    description: String::new(),
                },
            },
            Step::DeleteRole {
                name: "m".parse().unwrap(),
            },
        ]
    }

    #[test]
    fn what_was_refused_ends_what_makes_or_deletes_the_role_and_nothing_that_mends_it() {
        let gives = |step: &Step| matches!(step, Step::PutPolicy { .. });
        for failed in &of_a_role_that_stays() {
            // What it may assume is the last of all: nothing comes after it.
            let ends = matches!(failed, Step::PutPolicy { .. } | Step::DeletePolicy { .. });
            let holds = matches!(failed, Step::SetBoundary { .. } | Step::SetTrust { .. });
            for step in &of_a_role_that_stays() {
                let done = step.despite(&[failed]).is_some();
                let waits = ends || holds && gives(step);
                assert_eq!(done, !waits, "{step:?} despite {failed:?}");
            }
            for step in &of_a_role_that_goes() {
                assert!(step.despite(&[failed]).is_none(), "{step:?} despite {failed:?}");
                assert!(failed.despite(&[step]).is_none(), "{failed:?} despite {step:?}");
                assert!(step.despite(&[]).is_some() && !keeps_the_role(std::slice::from_ref(step)));
            }
            assert!(keeps_the_role(std::slice::from_ref(failed)));
        }
    }

    #[test]
    fn a_policy_that_only_takes_is_written_as_it_was_planned() {
        let put = |taking| Step::PutPolicy {
            name: "m".parse().unwrap(),
            document: document(),
            differences: Vec::new(),
            taking,
        };
        let step = put(Some(Box::new(put(None))));
        assert_eq!(step.despite(&[&trust(Difference::Unreadable)]), Some(&step));
    }

    #[test]
    fn without_its_boundary_the_role_is_trusted_anew_only_where_that_shuts_somebody_out() {
        let [.., bounds, _, _, _, _, _] = &of_a_role_that_stays();
        assert!(matches!(bounds, Step::SetBoundary { .. }));
        let values = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let element = |surplus: &str, missing: &str| Difference::Element {
            sid: "s".into(),
            element: "Principal AWS".into(),
            surplus: values(surplus),
            missing: values(missing),
        };
        let version = Difference::Version {
            found: None,
            wanted: None,
        };
        for (difference, done) in [
            (Difference::Unreadable, true),
            (Difference::Surplus(statement()), true),
            (element("a", "b"), true),
            (element("", "b"), false),
            (version, false),
            (Difference::Missing(statement()), false),
        ] {
            let step = trust(difference);
            assert_eq!(step.despite(&[bounds]).is_some(), done, "{step:?}");
        }
    }
}
