//! What `mooring plan` foresees is what passes then do.

use mooring::management_role::{Blocked, preview};
use serde_json::json;

use crate::hub::{World, cluster};

type Case = (&'static str, fn(&mut World));

#[test]
fn the_plan_of_a_management_role_is_all_that_its_passes_do() {
    let cases: [Case; 7] = [
        ("kept", |_| {}),
        ("trust", |world| world.role().trust = r#"{"Statement": []}"#.into()),
        ("no-boundary", |world| world.role().boundary = None),
        ("policy", |world| world.observed.policy = Some("?".into())),
        ("role-gone", |world| {
            world.observed.role = None;
            world.observed.policy = None;
            world.observed.policies.inline.clear();
        }),
        ("stranger", |world| world.role().id = "AROASTRANGER".into()),
        ("provider-gone", |world| world.observed.provider = None),
    ];
    let clusters = || vec![cluster("222222222222", "prod-eu", &json!({}))];
    let kept = || World::kept(&json!({}), clusters());
    let mut worlds: Vec<(&str, World)> = vec![("new", World::new(&json!({}), clusters()))];
    worlds.extend(cases.map(|(name, change)| {
        let mut world = kept();
        change(&mut world);
        (name, world)
    }));
    for (name, mut world) in worlds {
        let foreseen = preview::foresee(&world.request, &world.observed, &world.members(), &world.memory());
        let mut done = Vec::new();
        for _ in 0..4 {
            world.confirmed = world.plan().blocked.iter().find_map(|blocked| match blocked {
                Blocked::Unconfirmed { id } => Some(id.clone()),
                _ => None,
            });
            done.extend(world.pass().steps);
        }
        assert!(world.plan().is_clean(), "{name}: {:?}", world.plan());
        assert_eq!(foreseen.steps, done, "{name}");
        assert_eq!(foreseen.blocked, [], "{name}");
        assert_eq!(foreseen.assumable, world.plan().assumable, "{name}");
        let changes = preview::changes(&foreseen.steps, &world.observed);
        assert_eq!(changes.len(), done.len());
    }
}
