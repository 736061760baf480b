//! Deployer roles that were kept when their objects went, and are nobody's to hold any more: one that is gone, or that does
//! not so much as name the hub's account. Two looks that agree take it off the list, and the management role may no longer
//! assume it by name. They are looked at after everything else, so that an account that does not answer holds nothing up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tracing::debug;

use crate::{
    api::{ManagementRole, RECONCILE_REQUESTED_AT},
    domain::arn::RoleArn,
};

use super::{
    Context,
    release::look,
    remaining::{kept, may_trust},
    request::Request,
};

/// How many are looked at at once.
const AT_ONCE: usize = 8;

/// How long all of them may take together. Who was not looked at is kept.
const IN_ALL: Duration = Duration::from_secs(20);

/// What is remembered of the looks at those that were kept.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// When all were looked at, and what a person had asked for by then.
    last: Option<(Instant, Option<String>)>,
    /// Those that were seen to be nobody's to hold, and when first.
    free: BTreeMap<String, Instant>,
    /// Those of which two looks have agreed on that.
    let_go: BTreeSet<String>,
}

impl Looks {
    /// Those that need not be kept any more. What is not recorded is forgotten: made and kept again, it is another.
    pub(super) fn let_go(&mut self, recorded: &[String]) -> BTreeSet<String> {
        let is_recorded = |arn: &String| recorded.contains(arn);
        self.free.retain(|arn, _| is_recorded(arn));
        self.let_go.retain(is_recorded);
        self.let_go.clone()
    }

    /// Those to look at now: all after a while and where a person asks, and else those that a second look is due for.
    fn due(&mut self, all: Vec<RoleArn>, asked: Option<&String>, resync: Duration, after: Duration) -> Vec<RoleArn> {
        let looked = self.last.as_ref();
        let lately = looked.is_some_and(|(at, then)| at.elapsed() < resync && then.as_ref() == asked);
        if lately {
            let second = |arn: &RoleArn| self.free.get(&arn.to_string()).is_some_and(|at| at.elapsed() >= after);
            return all.into_iter().filter(second).collect();
        }
        self.last = Some((Instant::now(), asked.cloned()));
        all
    }

    /// Writes down what a look found.
    fn saw(&mut self, arn: &RoleArn, free: bool, after: Duration) {
        let arn = arn.to_string();
        if !free {
            self.free.remove(&arn);
            self.let_go.remove(&arn);
        } else if !self.let_go.contains(&arn) {
            let since = *self.free.entry(arn.clone()).or_insert_with(Instant::now);
            if since.elapsed() >= after {
                self.free.remove(&arn);
                self.let_go.insert(arn);
            }
        }
    }

    /// When another pass is worth it, where it is, after one that let go of what was `tried`: what it could not let go of, and
    /// a second look that was due and failed, have their turn with everything else.
    pub(super) fn next(&self, tried: &BTreeSet<String>, after: Duration) -> Option<Duration> {
        if !self.let_go.is_subset(tried) {
            return Some(Duration::ZERO);
        }
        let left = self.free.values().filter_map(|at| after.checked_sub(at.elapsed()));
        left.min().map(|left| left + Duration::from_millis(500))
    }
}

/// Looks at those that are due.
pub(super) async fn look_at(role: &ManagementRole, request: &Request, recorded: &[String], context: &Context) {
    let (resync, after) = (context.timing.resync, context.timing.confirm_after);
    let uid = &request.owner.uid;
    let annotations = role.metadata.annotations.as_ref();
    let asked = annotations.and_then(|all| all.get(RECONCILE_REQUESTED_AT));
    let all = kept(role, recorded).collect();
    let due = context.remember(uid, |remembered| remembered.retained.due(all, asked, resync, after));
    let found = due.into_iter().map(|deployer| async move {
        let found = look(context, request, &deployer).await;
        (deployer, found)
    });
    let mut found = stream::iter(found).buffer_unordered(AT_ONCE);
    let looking = async {
        while let Some((deployer, found)) = found.next().await {
            match found {
                Ok(found) => {
                    let free = !found.is_some_and(|found| may_trust(request, &deployer, &found));
                    context.remember(uid, |remembered| remembered.retained.saw(&deployer, free, after));
                }
                Err(error) => debug!(%deployer, %error, "a deployer role that was kept could not be looked at"),
            }
        }
    };
    let _ = tokio::time::timeout(IN_ALL, looking).await;
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
}
