//! A removal for which nothing is written: everything is looked at, and what would be done is told.

use crate::{
    api::Mode,
    aws::{Account, AwsError, Lane},
    managed_cluster::{
        Blocked, Context, Error, Plan,
        census::living,
        foreseen::{Access, Foreseen},
        in_words,
        living::Living,
        log_plan,
        management::Management,
        observe::{self, Spoke},
        plan::KnownEntry,
        removal::{TakenOver, plan_suspended},
        turn::{door, is_suspended, way_in},
    },
};

use super::{
    Going, hold,
    take_away::{own_secrets, planned},
    telling::needs_management,
};

/// Looks at what a removal would take away, and at what would hold it up; `None` when a person changed the object before
/// its turn came. A look that fails is told and hides nothing of the rest.
pub(super) async fn foresee(context: &Context, going: &Going<'_>) -> Option<Foreseen> {
    look_ahead(context, going).await.map(|(plan, unseen, spoke)| {
        let access = access(going, spoke.as_ref());
        Foreseen {
            plan,
            unseen,
            access,
            retains: going.identity.retain,
        }
    })
}

/// What is known of the access of an object that is suspended besides.
fn access(going: &Going<'_>, spoke: Option<&Spoke>) -> Access {
    if going.identity.mode != Mode::Suspended {
        return Access::Wanted;
    }
    match spoke {
        Some(spoke) if spoke.entry.is_some() => Access::Stands,
        Some(_) => Access::Away,
        None if is_suspended(going.old) => Access::Away,
        None => Access::Unseen,
    }
}

/// What a look found: what would be done, why it is not whole, and what stands in the account where that was looked at.
type Ahead = (Plan, Option<String>, Option<Spoke>);

async fn look_ahead(context: &Context, going: &Going<'_>) -> Option<Ahead> {
    let unseen = |plan: Plan, why: Option<String>| (plan, why, None);
    let identity = going.identity;
    if let Some(unknown) = &going.unknown {
        let why = Error::Unreadable(unknown.clone()).message();
        return Some(unseen(Plan::default(), Some(why)));
    }
    let management = match way_in(context, &identity.management_role).await {
        Ok(Ok(management)) => management,
        Ok(Err(blocked)) => return Some(unseen(Plan::default(), Some(needs_management(going, &blocked)))),
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
    let living = match living(context).await {
        Ok(living) => living,
        Err(error) => return Some(unseen(Plan::default(), Some(error.to_string()))),
    };
    let first = hold::foresee(context, going, &management, &secrets).await;
    // What is retained is not looked at, but for the access that goes first.
    let spoke = if identity.retain && identity.mode != Mode::Suspended {
        Ok(None)
    } else {
        let Ok(_admission) = context.aws.admit(&identity.cluster, Lane::Normal).await else {
            return Some(unseen(first, Some(Error::ShuttingDown.message())));
        };
        if context.overtaken(going.metadata) {
            return None;
        }
        look(context, going, &management, &living).await.map(Some)
    };
    let (spoke, why) = match spoke {
        Ok(spoke) => (spoke, None),
        Err(why) => (None, Some(why)),
    };
    let plan = match &spoke {
        Some(spoke) if identity.mode == Mode::Suspended => {
            let owner = identity.owner(&management.hub);
            let taken_over = TakenOver::of(identity, going.old, &living);
            plan_suspended(identity, &owner, taken_over, spoke, first, |rest| {
                planned(going, &management, rest, &secrets, &living)
            })
        }
        _ => first.followed_by(planned(going, &management, spoke.as_ref(), &secrets, &living)),
    };
    log_plan(&identity.name, &plan);
    Some((plan, why, spoke))
}

async fn look(context: &Context, going: &Going<'_>, management: &Management, living: &Living) -> Result<Spoke, String> {
    let identity = going.identity;
    let account = context.aws.enter(&door(identity, management)).await;
    let account = account.map_err(|error| in_words(&error))?;
    let spoke = Box::pin(what_goes(&account, going, management, living)).await;
    spoke.map_err(|error| in_words(&error))
}

/// What the removal takes away of what stands.
async fn what_goes(
    account: &Account,
    going: &Going<'_>,
    management: &Management,
    living: &Living,
) -> Result<Spoke, AwsError> {
    let identity = going.identity;
    let deployer = identity.deployer(&management.hub);
    if identity.retain {
        let known = KnownEntry {
            recorded: going.old.access_entry.as_ref(),
            living,
            role: None,
        };
        let owner = identity.owner(&management.hub);
        return Box::pin(observe::entry_with_role(account, identity, &deployer, &owner, known)).await;
    }
    let recorded = going.old.access_entry.as_ref();
    Box::pin(observe::spoke_for_removal(account, identity, &deployer, recorded)).await
}
