//! Deployer roles that were kept when their objects went: one that is gone is nobody's to hold any more. Two looks that agree
//! take it off the list, and the management role may no longer assume it by name. One that keeps the management role out stays
//! on it, since its owner may let that in again. They are looked at after everything else, so that an account that does not
//! answer holds nothing up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::sleep;
use tracing::debug;

use crate::{
    api::RECONCILE_REQUESTED_AT,
    aws::{AwsError, Role},
    domain::arn::RoleArn,
};

use super::{
    Blocked, Context,
    release::look,
    remaining::{is_there, kept},
    request::Request,
    status::Applied,
    step::Part,
};

/// How many are looked at at once.
const AT_ONCE: usize = 8;

/// How long all of them may take together. Who was not looked at is kept, and comes first the next time.
const IN_ALL: Duration = Duration::from_secs(20);

/// How long two looks that agreed hold. By then a pass has heeded them, or was kept from it, and the role may be there anew.
const AGREED: Duration = Duration::from_mins(1);

/// How often it is seen whether a person has changed the object meanwhile, who waits for nobody that does not answer.
const EDITS: Duration = Duration::from_millis(250);

/// What is remembered of the looks at those that were kept.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// When all were looked at, and what a person had asked for by then.
    last: Option<(Instant, Option<String>)>,
    /// Those that were seen to be gone, and when first.
    gone: BTreeMap<String, Instant>,
    /// Those of which two looks have agreed on that, and when.
    let_go: BTreeMap<String, Instant>,
    /// When each was turned to last, so that those that never answer use up nobody else's time.
    turned_to: BTreeMap<String, Instant>,
}

impl Looks {
    /// Those that need not be kept any more. What is not recorded is forgotten: made and kept again, it is another.
    pub(super) fn let_go(&mut self, recorded: &[String]) -> BTreeSet<String> {
        let is_recorded = |arn: &String| recorded.contains(arn);
        self.gone.retain(|arn, _| is_recorded(arn));
        self.let_go.retain(|arn, at| is_recorded(arn) && at.elapsed() < AGREED);
        self.turned_to.retain(|arn, _| is_recorded(arn));
        self.let_go.keys().cloned().collect()
    }

    /// Those to look at now: all after a while and where a person asks, and else those that a second look is due for. Who was
    /// turned to longest ago comes first.
    fn due(
        &mut self,
        mut all: Vec<RoleArn>,
        asked: Option<&String>,
        resync: Duration,
        after: Duration,
    ) -> Vec<RoleArn> {
        all.sort_by_key(|arn| self.turned_to.get(&arn.to_string()).copied());
        let looked = self.last.as_ref();
        let lately = looked.is_some_and(|(at, then)| at.elapsed() < resync && then.as_ref() == asked);
        if lately {
            let second = |arn: &RoleArn| self.gone.get(&arn.to_string()).is_some_and(|at| at.elapsed() >= after);
            return all.into_iter().filter(second).collect();
        }
        self.last = Some((Instant::now(), asked.cloned()));
        all
    }

    /// Writes down that a look begins.
    fn turns_to(&mut self, arn: &RoleArn) {
        self.turned_to.insert(arn.to_string(), Instant::now());
    }

    /// Writes down what a look found.
    fn saw(&mut self, arn: &RoleArn, gone: bool, after: Duration) {
        let arn = arn.to_string();
        if !gone {
            self.gone.remove(&arn);
            self.let_go.remove(&arn);
        } else if !self.let_go.contains_key(&arn) {
            let since = *self.gone.entry(arn.clone()).or_insert_with(Instant::now);
            if since.elapsed() >= after {
                self.gone.remove(&arn);
                self.let_go.insert(arn, Instant::now());
            }
        }
    }

    /// When another pass is worth it, where it is, after one that let go of what was `tried`: what it could not let go of, and
    /// a second look that was due and failed, have their turn with everything else.
    pub(super) fn next(&self, tried: &BTreeSet<String>, after: Duration) -> Option<Duration> {
        if !self.let_go.keys().all(|arn| tried.contains(arn)) {
            return Some(Duration::ZERO);
        }
        let left = self.gone.values().filter_map(|at| after.checked_sub(at.elapsed()));
        left.min().map(|left| left + Duration::from_millis(500))
    }
}

/// Looks at those that are due, once what a pass made is written down and its turn in the hub's account given back. While more
/// is to be done nobody is looked at, and a copy of the object on another hub has nothing to say of what was kept.
pub(super) async fn look_at(metadata: &ObjectMeta, applied: &Applied, recorded: &[String], context: &Context) {
    let Applied { request, plan, .. } = applied;
    let elsewhere = |blocked: &Blocked| blocked.part() == Some(Part::Hub);
    if !plan.steps.is_empty() || plan.blocked.iter().any(elsewhere) {
        return;
    }
    let (resync, after) = (context.timing.resync, context.timing.confirm_after);
    let uid = &request.owner.uid;
    let annotations = metadata.annotations.as_ref();
    let asked = annotations.and_then(|all| all.get(RECONCILE_REQUESTED_AT));
    let all = kept(metadata, recorded).collect();
    let due = context.remember(uid, |remembered| remembered.retained.due(all, asked, resync, after));
    let begins = |deployer: &RoleArn| context.remember(uid, |remembered| remembered.retained.turns_to(deployer));
    let told = |deployer: RoleArn, found: Result<Option<Role>, AwsError>| match found {
        Ok(found) => {
            let gone = !found.is_some_and(|found| is_there(&deployer, &found));
            context.remember(uid, |remembered| remembered.retained.saw(&deployer, gone, after));
        }
        Err(error) => debug!(%deployer, %error, "a deployer role that was kept could not be looked at"),
    };
    each((metadata, request), due, context, (begins, told)).await;
}

/// Looks at each, several at once, until that was long enough or a person changes the object: of those that have not answered
/// by then nothing is told.
pub(super) async fn each(
    (metadata, request): (&ObjectMeta, &Request),
    deployers: Vec<RoleArn>,
    context: &Context,
    (begins, mut told): (impl Fn(&RoleArn), impl FnMut(RoleArn, Result<Option<Role>, AwsError>)),
) {
    let begins = &begins;
    let found = deployers.into_iter().map(|deployer| async move {
        begins(&deployer);
        let found = look(context, request, &deployer).await;
        (deployer, found)
    });
    let mut found = stream::iter(found).buffer_unordered(AT_ONCE);
    let looking = async {
        while let Some((deployer, found)) = found.next().await {
            told(deployer, found);
        }
    };
    let overtaken = async {
        while !context.overtaken(metadata) {
            sleep(EDITS).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = overtaken => {}
        () = sleep(IN_ALL) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_looks_apart_that_agree_let_a_role_go_and_one_that_finds_it_keeps_it() {
        let arn: RoleArn = "arn:aws:iam::222222222222:role/kept".parse().unwrap();
        let recorded = [arn.to_string()];
        let (now, hour) = (Duration::ZERO, Duration::from_hours(1));
        let mut looks = Looks::default();
        looks.saw(&arn, true, hour);
        looks.saw(&arn, true, hour);
        assert!(looks.let_go(&recorded).is_empty(), "they are not apart");
        let (nothing, this) = (BTreeSet::new(), BTreeSet::from(recorded.clone()));
        assert!(looks.next(&nothing, hour).unwrap() > hour / 2);
        assert_eq!(
            looks.next(&nothing, now),
            None,
            "the second look was due, and could not be made"
        );
        looks.saw(&arn, true, now);
        assert_eq!(looks.let_go(&recorded), this);
        assert_eq!(looks.next(&nothing, hour), Some(Duration::ZERO));
        assert_eq!(looks.next(&this, hour), None, "as where the role is held");
        looks.saw(&arn, true, hour);
        assert_eq!(looks.next(&this, hour), None);
        looks.saw(&arn, false, now);
        assert!(looks.let_go(&recorded).is_empty());
        assert_eq!(looks.next(&nothing, hour), None);
        looks.saw(&arn, true, now);
        assert!(looks.let_go(&[]).is_empty(), "it is not recorded any more");
        looks.saw(&arn, true, hour);
        assert!(looks.let_go(&recorded).is_empty(), "and begins anew when it is again");
        looks.saw(&arn, true, now);
        assert_eq!(looks.let_go(&recorded), this);
        let long_ago = Instant::now().checked_sub(AGREED).unwrap();
        looks.let_go.insert(recorded[0].clone(), long_ago);
        assert!(
            looks.let_go(&recorded).is_empty(),
            "no pass came to it: it may be there anew"
        );
    }

    #[test]
    fn all_are_looked_at_after_a_while_and_when_a_person_asks() {
        let arn: RoleArn = "arn:aws:iam::222222222222:role/kept".parse().unwrap();
        let (now, hour) = (Duration::ZERO, Duration::from_hours(1));
        let mut looks = Looks::default();
        let mut due = |asked: Option<&str>, resync, after| {
            let asked = asked.map(str::to_owned);
            looks.due(vec![arn.clone()], asked.as_ref(), resync, after).len()
        };
        assert_eq!(due(None, hour, hour), 1);
        assert_eq!(due(None, hour, now), 0, "not seen to be gone, and looked at just now");
        assert_eq!(due(None, now, hour), 1);
        assert_eq!(due(Some("1"), hour, hour), 1);
        assert_eq!(due(Some("1"), hour, hour), 0);
        looks.saw(&arn, true, hour);
        assert_eq!(looks.due(vec![arn.clone()], Some(&"1".to_owned()), hour, hour).len(), 0);
        assert_eq!(looks.due(vec![arn.clone()], Some(&"1".to_owned()), hour, now).len(), 1);
    }

    #[test]
    fn who_was_turned_to_longest_ago_comes_first() {
        let arns = ["a", "b", "c"].map(|name| format!("arn:aws:iam::222222222222:role/{name}"));
        let all = || arns.iter().map(|arn| arn.parse().unwrap()).collect::<Vec<RoleArn>>();
        let now = Duration::ZERO;
        let mut looks = Looks::default();
        let mut round = |answering: usize| {
            let due = looks.due(all(), None, now, now);
            due.iter().take(answering).for_each(|arn| looks.turns_to(arn));
            due.iter().map(|arn| arn.name.to_string()).collect::<String>()
        };
        assert_eq!(round(2), "abc", "two that do not answer use up the first round");
        assert_eq!(round(2), "cab");
        assert_eq!(round(3), "bca");
        assert_eq!(round(0), "bca");
        looks.let_go(&[]);
        assert!(looks.turned_to.is_empty(), "who is not recorded is forgotten");
    }
}
