//! A removal for which nothing is written: everything is looked at, and what would be done is told.

use crate::{
    api::Mode,
    aws::Lane,
    managed_cluster::{
        Blocked, Context, Error, Plan, in_words, log_plan,
        management::Management,
        observe::{self, Spoke},
        status::Foreseen,
        turn::{door, is_suspended, way_in},
    },
};

use super::{
    Going, hold,
    take_away::{needs_management, own_secrets, planned},
};

/// Looks at what a removal would take away, and at what would hold it up; `None` when a person changed the object before
/// its turn came. A look that fails is told and hides nothing of the rest.
pub(super) async fn foresee(context: &Context, going: &Going<'_>) -> Option<Foreseen> {
    let standing = going.identity.mode == Mode::Suspended && !is_suspended(going.old);
    let foreseen = look_ahead(context, going).await?;
    Some(Foreseen { standing, ..foreseen })
}

async fn look_ahead(context: &Context, going: &Going<'_>) -> Option<Foreseen> {
    let identity = going.identity;
    let management = match way_in(context, &identity.management_role).await {
        Ok(Ok(management)) => management,
        Ok(Err(blocked)) => return Some(unseen(Plan::default(), Some(needs_management(identity, &blocked)))),
        Err(error) => return Some(unseen(Plan::default(), Some(error.to_string()))),
    };
    let secrets = match own_secrets(context, going, &management).await {
        Ok(Some(secrets)) => secrets,
        Ok(None) => {
            let namespace = management.namespace;
            return Some(unseen(Plan::waiting(Blocked::NamespaceNotServed { namespace }), None));
        }
        Err(error) => return Some(unseen(Plan::default(), Some(error.message()))),
    };
    let first = hold::foresee(context, going, &management, &secrets).await;
    let spoke = if identity.retain {
        Ok(None)
    } else {
        let Ok(_admission) = context.aws.admit(&identity.cluster, Lane::Normal).await else {
            return Some(unseen(first, Some(Error::ShuttingDown.message())));
        };
        if context.overtaken(going.metadata) {
            return None;
        }
        look(context, going, &management).await.map(Some)
    };
    let (spoke, why) = match spoke {
        Ok(spoke) => (spoke, None),
        Err(why) => (None, Some(why)),
    };
    let plan = first.followed_by(planned(context, going, &management, spoke.as_ref(), &secrets));
    log_plan(&identity.name, &plan);
    Some(unseen(plan, why))
}

async fn look(context: &Context, going: &Going<'_>, management: &Management) -> Result<Spoke, String> {
    let identity = going.identity;
    let account = context.aws.enter(&door(identity, management)).await;
    let account = account.map_err(|error| in_words(&error))?;
    let deployer = identity.deployer(&management.hub);
    let spoke = Box::pin(observe::spoke_for_removal(
        &account,
        identity,
        &deployer,
        going.old.access_entry.as_ref(),
    ))
    .await;
    spoke.map_err(|error| in_words(&error))
}

fn unseen(plan: Plan, unseen: Option<String>) -> Foreseen {
    Foreseen {
        plan,
        unseen,
        standing: false,
    }
}
