//! The steps that write to the cluster's account.

use super::{Made, MadeRole, OurEntry, Ran, Site};
use crate::{
    aws::{Account, AwsError},
    domain::{eks::WantedEntry, ownership::ROLE_ID_TAG},
    managed_cluster::{plan::entry_tags, step::Step, unmoved::Unmoved},
};

pub(super) async fn run_in_account(
    step: &Step,
    account: &Account,
    site: Site<'_>,
    made: Option<&MadeRole>,
) -> Result<Ran, AwsError> {
    let (cluster, deployer) = (&site.cluster.name, site.deployer);
    match step {
        Step::CreateRole { role } => {
            let role = account.create_role(role).await?;
            return Ok(Ran::Done(Made::role(MadeRole {
                arn: role.arn,
                id: role.id,
            })));
        }
        Step::DeleteRole { name } => account.delete_role(name).await?,
        Step::SetBoundary { name, boundary, .. } => account.set_boundary(name, boundary).await?,
        Step::TagRole { name, tags, .. } => account.tag_role(name, tags).await?,
        Step::UpdateRole { name, description, .. } => account.update_role(name, description).await?,
        Step::SetTrust { name, trust, .. }
        | Step::AddTrust { name, trust, .. }
        | Step::LeaveRole { name, trust, .. } => {
            account.set_trust(name, trust).await?;
        }
        Step::AdoptRole { arn, id, tags } => {
            account.tag_role(&arn.name, tags).await?;
            return Ok(Ran::Done(Made::role(MadeRole {
                arn: arn.to_string(),
                id: id.clone(),
            })));
        }
        Step::CreateAccessEntry { entry, role_id } => {
            let role_id = role_id.as_deref().or_else(|| made.map(|made| made.id.as_str()));
            let entry = WantedEntry {
                tags: entry_tags(&entry.tags, role_id),
                ..entry.clone()
            };
            let arn = account.create_access_entry(cluster, &entry).await?;
            return Ok(Ran::Done(Made::entry(arn.map(|arn| OurEntry {
                arn,
                role_id: role_id.map(str::to_owned),
                taken_over: false,
            }))));
        }
        Step::SetGroups { groups, .. } => account.set_groups(cluster, deployer, groups, None).await?,
        Step::SetUsername { username, groups, .. } => {
            account.set_groups(cluster, deployer, groups, Some(username)).await?;
        }
        Step::TagAccessEntry { arn, tags, .. } => account.tag_access_entry(arn, tags).await?,
        Step::AdoptAccessEntry { arn, tags } => {
            account.tag_access_entry(arn, tags).await?;
            return Ok(Ran::Done(Made::entry(Some(OurEntry {
                arn: arn.clone(),
                role_id: tags.get(ROLE_ID_TAG).cloned(),
                taken_over: true,
            }))));
        }
        Step::DeleteAccessEntry => account.delete_access_entry(cluster, deployer).await?,
        Step::Associate { policy, scope } => account.associate(cluster, deployer, policy, scope).await?,
        Step::Rescope { policy, scope, found } => {
            if !account.rescope(cluster, deployer, policy, scope).await? {
                let unmoved = Unmoved::new(policy.clone(), found.clone(), scope.clone());
                return Ok(Ran::Unmoved(unmoved));
            }
        }
        Step::Reassociate { policy, scope, .. } => {
            account.disassociate(cluster, deployer, policy).await?;
            account.associate(cluster, deployer, policy, scope).await?;
        }
        Step::Disassociate { policy, .. } => account.disassociate(cluster, deployer, policy).await?,
        Step::ApplySecret { .. }
        | Step::NullSecretKeys { .. }
        | Step::DropLabels { .. }
        | Step::DropOwners { .. }
        | Step::DeleteSecret { .. } => {}
    }
    Ok(Ran::Done(Made::default()))
}
