//! `mooring plan`: what would be written, as text that a person can read or as JSON, and the exit code that tells.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    cli::PlanOutput,
    managed_cluster::preview::{self, Looked, Planned, Unplanned},
    policy::shown,
};

/// What a plan comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There is nothing to do: 0.
    Unchanged,
    /// There is something to do, or to be waited for: 2.
    Changes,
    /// Something is refused, or could not be looked at: 1.
    Failed,
}

impl Verdict {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Unchanged => 0,
            Self::Changes => 2,
            Self::Failed => 1,
        }
    }
}

impl Verdict {
    /// What it comes to for one object.
    #[must_use]
    pub fn of(planned: &Planned) -> Self {
        match &planned.looked {
            Err(_) => Self::Failed,
            Ok(looked) if !looked.unseen.is_empty() => Self::Failed,
            Ok(_) if planned.is_unchanged() => Self::Unchanged,
            Ok(_) => Self::Changes,
        }
    }
}

/// What it comes to for all of them.
#[must_use]
pub fn verdict(all: &[Planned]) -> Verdict {
    all.iter().map(Verdict::of).max().unwrap_or(Verdict::Unchanged)
}

/// Everything, in the form that was asked for.
#[must_use]
pub fn print(all: &[Planned], output: PlanOutput) -> String {
    match output {
        PlanOutput::Text => text(all),
        PlanOutput::Json => {
            let all: Vec<Value> = all.iter().map(json_of).collect();
            let mut text = serde_json::to_string_pretty(&all).unwrap_or_default();
            text.push('\n');
            text
        }
    }
}

fn json_of(planned: &Planned) -> Value {
    let result = match Verdict::of(planned) {
        Verdict::Unchanged => "Unchanged",
        Verdict::Changes => "Changes",
        Verdict::Failed if is_refused(planned) => "Refused",
        Verdict::Failed => "Failed",
    };
    let mut value = json!({
        "kind": planned.kind, "name": planned.name, "cluster": planned.of, "result": result,
    });
    match &planned.looked {
        Err(Unplanned::Refused(why) | Unplanned::Unseen(why)) => value["why"] = json!(why),
        Ok(looked) => {
            let Looked {
                changes,
                waits,
                notes,
                unseen,
                gains,
                loses,
            } = looked;
            value["changes"] = json!(changes);
            value["waitsFor"] = json!(waits);
            value["notes"] = json!(notes);
            value["notLookedAt"] = json!(unseen);
            value["destinations"] = json!({"gain": gains, "lose": loses});
        }
    }
    value
}

fn text(all: &[Planned]) -> String {
    let mut out = String::new();
    for planned in all.iter().filter(|planned| !planned.is_unchanged()) {
        let of = planned.of.as_deref().map(|of| format!("  {of}")).unwrap_or_default();
        line(&mut out, 0, &format!("{} {}{of}", planned.kind, planned.name));
        match &planned.looked {
            Err(Unplanned::Refused(why)) => line(&mut out, 1, &format!("refused: {why}")),
            Err(Unplanned::Unseen(why)) => line(&mut out, 1, &format!("cannot be planned: {why}")),
            Ok(looked) => of_looked(&mut out, looked),
        }
        line(&mut out, 0, "");
    }
    let count = |wanted: Verdict| all.iter().filter(|planned| Verdict::of(planned) == wanted).count();
    let steps: usize = all
        .iter()
        .flat_map(|planned| &planned.looked)
        .map(|looked| looked.changes.len())
        .sum();
    let refused = all.iter().filter(|planned| is_refused(planned)).count();
    let summary = format!(
        "{steps} step{} on {}; {} unchanged, {refused} refused, {} could not be planned",
        if steps == 1 { "" } else { "s" },
        objects(count(Verdict::Changes)),
        count(Verdict::Unchanged),
        count(Verdict::Failed) - refused,
    );
    line(&mut out, 0, &summary);
    out
}

fn is_refused(planned: &Planned) -> bool {
    matches!(planned.looked, Err(Unplanned::Refused(_)))
}

fn objects(count: usize) -> String {
    format!("{count} object{}", if count == 1 { "" } else { "s" })
}

fn of_looked(out: &mut String, looked: &Looked) {
    for change in &looked.changes {
        line(out, 1, &format!("{:<12}{}", change.on.as_str(), change.words));
        for value in &change.values {
            line(out, 3, &of_value(value));
        }
        for difference in &change.policy {
            line(out, 3, &difference.words);
        }
    }
    let lost = looked.changes.iter().flat_map(|change| &change.lost);
    for (label, sentences) in [
        ("loses access", lost.collect::<Vec<_>>()),
        ("gains destination", looked.gains.iter().collect()),
        ("loses destination", looked.loses.iter().collect()),
        ("waits for", looked.waits.iter().collect()),
        ("not looked at", looked.unseen.iter().collect()),
        ("note", looked.notes.iter().collect()),
    ] {
        for sentence in sentences {
            line(out, 1, &format!("{label}: {sentence}"));
        }
    }
}

fn of_value(value: &preview::Value) -> String {
    let preview::Value { of, before, after } = value;
    // Somebody else may have chosen them.
    let of = shown(of);
    match (before.as_deref().map(shown), after.as_deref().map(shown)) {
        (Some(before), Some(after)) => format!("~ {of}: {before} -> {after}"),
        (None, Some(after)) => format!("+ {of}: {after}"),
        (Some(before), None) => format!("- {of}: {before}"),
        (None, None) => format!("- {of}"),
    }
}

fn line(out: &mut String, indent: usize, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{:width$}{}", "", text.trim_end(), width = 2 * indent);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        managed_cluster::preview::{Change, Side},
        policy::{Document, differences_of},
    };

    fn document(statement: &Value) -> String {
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    fn changed() -> Planned {
        let loose = document(
            &json!({"Sid": "A", "Effect": "Allow", "Principal": {"AWS": ["111111111111", "*"]}, "Action": "sts:AssumeRole"}),
        );
        let tight = document(&json!({
            "Sid": "A", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "sts:AssumeRole",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/m"}},
        }));
        let trust = differences_of(&loose, &Document::parse(&tight).unwrap());
        let value = |of: &str, before: Option<&str>, after: Option<&str>| preview::Value {
            of: of.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let plain = |step, on, words: &str| Change::plain(step, on, words.to_owned());
        Planned {
            kind: "ManagedCluster",
            name: "prod-eu".into(),
            of: Some("arn:aws:eks:eu-west-1:222222222222:cluster/prod-eu".into()),
            looked: Ok(Looked {
                changes: vec![
                    plain("SetTrust", Side::Aws, "restore the trust policy of x").with_policy(&trust),
                    plain("SetGroups", Side::Aws, "set the Kubernetes groups")
                        .with_values(vec![
                            value("Kubernetes group", None, Some("a")),
                            value("Kubernetes group", Some("b"), None),
                        ])
                        .losing(["Kubernetes group b".to_owned()]),
                    plain("ApplySecret", Side::Kubernetes, "write cluster Secret s").with_values(vec![value(
                        "name",
                        Some("old"),
                        Some("new"),
                    )]),
                ],
                waits: vec!["the cluster to become ACTIVE".into()],
                loses: vec!["Application argocd/shop".into()],
                ..Looked::default()
            }),
        }
    }

    fn unchanged() -> Planned {
        Planned {
            name: "tools".into(),
            looked: Ok(Looked {
                notes: vec!["nothing".into()],
                ..Looked::default()
            }),
            ..changed()
        }
    }

    fn failed() -> Planned {
        Planned {
            name: "gone".into(),
            of: None,
            looked: Err(Unplanned::Unseen("nobody may look".into())),
            ..changed()
        }
    }

    fn refused() -> Planned {
        Planned {
            name: "beyond".into(),
            looked: Err(Unplanned::Refused("it is not allowed".into())),
            ..failed()
        }
    }

    #[test]
    fn the_exit_code_tells_nothing_to_do_from_something_and_from_what_is_not_known() {
        assert_eq!(verdict(&[]).exit_code(), 0);
        assert_eq!(verdict(&[unchanged()]).exit_code(), 0);
        assert_eq!(verdict(&[unchanged(), changed()]).exit_code(), 2);
        assert_eq!(verdict(&[failed(), changed(), unchanged()]).exit_code(), 1);
        assert_eq!(verdict(&[refused(), changed()]).exit_code(), 1);
        let mut waiting = unchanged();
        waiting.looked.as_mut().unwrap().waits.push("x".into());
        assert_eq!(verdict(&[waiting]).exit_code(), 2);
        let mut blind = unchanged();
        blind.looked.as_mut().unwrap().unseen.push("x".into());
        assert_eq!(verdict(&[blind]).exit_code(), 1);
    }

    #[test]
    fn the_text_can_be_read_without_our_code() {
        let text = print(&[changed(), unchanged(), failed(), refused()], PlanOutput::Text);
        let expected = "\
ManagedCluster prod-eu  arn:aws:eks:eu-west-1:222222222222:cluster/prod-eu
  AWS         restore the trust policy of x
      in statement A, Condition ArnEquals aws:PrincipalArn: add arn:aws:iam::111111111111:role/m
      in statement A, Principal AWS: take away *
  AWS         set the Kubernetes groups
      + Kubernetes group: a
      - Kubernetes group: b
  Kubernetes  write cluster Secret s
      ~ name: old -> new
  loses access: by the policy: in statement A, Condition ArnEquals aws:PrincipalArn: add arn:aws:iam::111111111111:role/m
  loses access: by the policy: in statement A, Principal AWS: take away *
  loses access: Kubernetes group b
  loses destination: Application argocd/shop
  waits for: the cluster to become ACTIVE

ManagedCluster gone
  cannot be planned: nobody may look

ManagedCluster beyond
  refused: it is not allowed

3 steps on 1 object; 1 unchanged, 1 refused, 1 could not be planned
";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_holds_steps_statements_and_what_is_lost() {
        let text = print(&[changed(), failed(), unchanged(), refused()], PlanOutput::Json);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[0]["result"], "Changes");
        let trust = &value[0]["changes"][0];
        assert_eq!((&trust["step"], &trust["on"]), (&json!("SetTrust"), &json!("AWS")));
        assert_eq!(
            trust["policy"][1],
            json!({"words": "in statement A, Principal AWS: take away *", "statement": "A", "element": "Principal AWS", "remove": ["*"], "add": []})
        );
        assert_eq!(value[0]["changes"][1]["lost"], json!(["Kubernetes group b"]));
        assert_eq!(value[0]["destinations"]["lose"], json!(["Application argocd/shop"]));
        assert_eq!(
            (&value[1]["result"], &value[1]["why"]),
            (&json!("Failed"), &json!("nobody may look"))
        );
        assert_eq!(
            (&value[3]["result"], &value[3]["why"]),
            (&json!("Refused"), &json!("it is not allowed"))
        );
        assert_eq!(value[2]["result"], "Unchanged");
    }
}
