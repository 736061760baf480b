//! `mooring doctor`: what walks found, as a table that a person can read or as JSON, and the exit code that tells.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    access::{Examined, Found, Hop, Trouble, Walk},
    cli::DoctorOutput,
};

/// How wide the text of a table may be, in characters.
const WIDTH: usize = 100;

/// What the whole of it comes to: the exit code of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every hop of every cluster holds: 0.
    Holds,
    /// Something could not be looked at, and nothing is known to be broken: 2.
    Unknown,
    /// Something is broken: 1.
    Broken,
}

impl Verdict {
    /// What the examination of one cluster comes to.
    #[must_use]
    pub fn of(examined: &Examined) -> Self {
        match &examined.walk {
            Ok(walk) if walk.broken().is_some() => Self::Broken,
            Ok(walk) if walk.holds() => Self::Holds,
            Ok(_) | Err(_) => Self::Unknown,
        }
    }

    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Broken => 1,
            Self::Unknown => 2,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Holds => "connected",
            Self::Broken => "BROKEN",
            Self::Unknown => "unknown",
        }
    }
}

/// The worst of all.
#[must_use]
pub fn verdict(all: &[Examined]) -> Verdict {
    all.iter().map(Verdict::of).max().unwrap_or(Verdict::Holds)
}

/// Everything, in the form that was asked for.
#[must_use]
pub fn print(all: &[Examined], output: DoctorOutput) -> String {
    match output {
        DoctorOutput::Table => table(all),
        DoctorOutput::Json => {
            let all: Vec<Value> = all.iter().map(json_of).collect();
            let mut text = serde_json::to_string_pretty(&all).unwrap_or_default();
            text.push('\n');
            text
        }
    }
}

#[derive(Serialize)]
struct JsonHop<'a> {
    hop: Hop,
    #[serde(flatten)]
    found: &'a Found,
}

fn json_of(examined: &Examined) -> Value {
    let hops = match &examined.walk {
        Ok(walk) => json!(Hop::ALL.map(|hop| JsonHop {
            hop,
            found: walk.at(hop)
        })),
        Err(_) => json!([]),
    };
    let mut value = json!({
        "name": examined.name,
        "cluster": examined.cluster,
        "result": match Verdict::of(examined) {
            Verdict::Holds => "Connected",
            Verdict::Broken => "Broken",
            Verdict::Unknown => "Unknown",
        },
        "hops": hops,
    });
    if let Err(trouble) = &examined.walk {
        value["notWalked"] = json!(trouble);
    }
    value
}

fn table(all: &[Examined]) -> String {
    let mut out = String::new();
    let mut explained = Explained::default();
    for (index, examined) in all.iter().enumerate() {
        // Of many, those in order have a line each.
        let in_short = all.len() > 1 && Verdict::of(examined) == Verdict::Holds;
        let before = index.checked_sub(1).and_then(|before| all.get(before));
        if before.is_some_and(|before| !in_short || Verdict::of(before) != Verdict::Holds) {
            out.push('\n');
        }
        let cluster = examined
            .cluster
            .as_deref()
            .map(|arn| format!("  {arn}"))
            .unwrap_or_default();
        line(
            &mut out,
            &format!("{}: {}{cluster}", examined.name, Verdict::of(examined).word()),
        );
        match &examined.walk {
            Ok(_) if in_short => {}
            Ok(walk) => hops(&mut out, &examined.name, walk, &mut explained),
            Err(trouble) => explained.explain(&mut out, &examined.name, "not walked", trouble),
        }
    }
    if all.len() > 1 {
        summary(&mut out, all);
    }
    out
}

/// How many there are of each, and which.
fn summary(out: &mut String, all: &[Examined]) {
    line(out, "");
    for verdict in [Verdict::Holds, Verdict::Broken, Verdict::Unknown] {
        let of: Vec<&Examined> = all.iter().filter(|examined| Verdict::of(examined) == verdict).collect();
        let named = if verdict == Verdict::Holds || of.is_empty() {
            String::new()
        } else {
            let why = |examined: &&Examined| format!("{} ({})", examined.name, why(examined));
            format!(": {}", of.iter().map(why).collect::<Vec<_>>().join(", "))
        };
        line(out, &format!("{} {}{named}", of.len(), verdict.word().to_lowercase()));
    }
}

/// The first thing that is wrong with a cluster, in a word or two.
fn why(examined: &Examined) -> String {
    match &examined.walk {
        Ok(walk) => match walk.broken().or_else(|| walk.unknown()) {
            Some((hop, trouble)) => format!("{hop}: {}", trouble.reason),
            None => "not reached".to_owned(),
        },
        Err(trouble) => trouble.reason.to_string(),
    }
}

fn hops(out: &mut String, cluster: &str, walk: &Walk, explained: &mut Explained) {
    for hop in Hop::ALL {
        let (mark, word, rest) = match walk.at(hop) {
            Found::Passed { seen, notes } => {
                let all = std::iter::once(seen).chain(notes).map(String::as_str);
                ("+", "ok", all.collect::<Vec<_>>().join("; "))
            }
            Found::Failed(trouble) => ("x", "BROKEN", trouble.reason.to_string()),
            Found::Unknown(trouble) => ("?", "unknown", trouble.reason.to_string()),
            Found::NotReached => ("-", "not reached", String::new()),
        };
        line(out, &format!("  {mark} {:<16}  {word:<11}  {rest}", hop.title()));
    }
    for hop in Hop::ALL {
        match walk.at(hop) {
            Found::Failed(trouble) | Found::Unknown(trouble) => explained.explain(out, cluster, hop.title(), trouble),
            Found::Passed { .. } | Found::NotReached => {}
        }
    }
}

/// What was explained already, by the cluster with which it was: what breaks the chain to all is told once.
#[derive(Default)]
struct Explained(Vec<(String, Trouble)>);

impl Explained {
    fn explain(&mut self, out: &mut String, cluster: &str, what: &str, trouble: &Trouble) {
        line(out, "");
        let same = |known: &Trouble| {
            let of = |trouble: &Trouble| (trouble.reason, trouble.candidates.clone());
            known.message == trouble.message && of(known) == of(trouble)
        };
        if let Some((first, known)) = self.0.iter().find(|(_, known)| same(known)) {
            line(out, &format!("  {what}: {}, as of {first}", trouble.reason));
            // The same is wrong, and each is mended by a command of its own.
            if known.next != trouble.next {
                paragraph(out, "next   ", &trouble.next);
            }
            return;
        }
        self.0.push((cluster.to_owned(), trouble.clone()));
        line(out, &format!("  {what}: {}", trouble.reason));
        paragraph(out, "what   ", &trouble.message);
        if !trouble.candidates.is_empty() {
            let candidates: Vec<String> = trouble.candidates.iter().map(ToString::to_string).collect();
            paragraph(out, "maybe  ", &candidates.join(", "));
        }
        paragraph(out, "next   ", &trouble.next);
    }
}

/// Words over several lines, the first with a label and the others under it. A command stays in one, however long: it is
/// there to be copied.
fn paragraph(out: &mut String, label: &str, text: &str) {
    let mut row = format!("    {label}");
    let indent = row.chars().count();
    let mut begun = false;
    for word in words_and_commands(text) {
        if begun && row.chars().count() + 1 + word.chars().count() > WIDTH {
            line(out, &row);
            row = " ".repeat(indent);
            begun = false;
        }
        if begun {
            row.push(' ');
        }
        row.push_str(&word);
        begun = true;
    }
    line(out, &row);
}

/// The words of a text, each command one of them: from its name on to where the sentence goes on.
fn words_and_commands(text: &str) -> Vec<String> {
    let begins = |word: &str| {
        let bare = word.trim_start_matches(['(', '`']);
        ["kubectl", "aws"].contains(&bare) || (bare == "mooring" && bare != word)
    };
    let mut all: Vec<String> = Vec::new();
    let mut command = false;
    for word in text.split_whitespace() {
        if let Some(last) = all.last_mut().filter(|_| command) {
            last.push(' ');
            last.push_str(word);
        } else {
            command = begins(word);
            all.push(word.to_owned());
        }
        command = command && !word.ends_with([';', ',', ':', '.', ')', '`']);
    }
    all
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Reason;

    fn trouble(reason: Reason) -> Trouble {
        Trouble {
            reason,
            message:
                "sts:AssumeRole of arn:aws:iam::222222222222:role/prod was refused: AccessDenied: not authorized to \
                      perform this on that resource"
                    .into(),
            next: "look at both roles".into(),
            candidates: Vec::new(),
        }
    }

    fn examined(name: &str, over: Option<(Hop, Found)>) -> Examined {
        let passed = |hop| {
            (
                hop,
                Found::Passed {
                    seen: "seen".into(),
                    notes: Vec::new(),
                },
            )
        };
        let mut hops: std::collections::BTreeMap<Hop, Found> = Hop::ALL.into_iter().map(passed).collect();
        hops.extend(over);
        Examined {
            name: name.into(),
            cluster: Some(format!("arn:aws:eks:eu-west-1:222222222222:cluster/{name}")),
            walk: Ok(Walk { hops }),
        }
    }

    fn broken() -> Examined {
        let undetermined = Trouble {
            candidates: vec![Reason::RefusedByTrustPolicy, Reason::RefusedByServiceControlPolicy],
            ..trouble(Reason::Undetermined)
        };
        examined("broken", Some((Hop::DeployerRole, Found::Failed(undetermined))))
    }

    fn unlooked() -> Examined {
        Examined {
            walk: Err(trouble(Reason::NotMoored)),
            ..examined("unlooked", None)
        }
    }

    #[test]
    fn the_exit_code_tells_the_worst() {
        let fine = examined("fine", None);
        assert_eq!(verdict(&[]).exit_code(), 0);
        assert_eq!(verdict(std::slice::from_ref(&fine)).exit_code(), 0);
        assert_eq!(verdict(&[fine.clone(), unlooked()]).exit_code(), 2);
        assert_eq!(verdict(&[unlooked(), broken(), fine]).exit_code(), 1);
        let cut_off = examined("cut", Some((Hop::Token, Found::NotReached)));
        assert_eq!(verdict(&[cut_off]).exit_code(), 2);
    }

    #[test]
    fn the_table_can_be_read_without_our_code() {
        let again = Examined {
            name: "again".into(),
            ..broken()
        };
        let all = [
            examined("fine", None),
            examined("good", None),
            broken(),
            again,
            unlooked(),
            examined("well", None),
        ];
        let text = print(&all, DoctorOutput::Table);
        let expected = "\
fine: connected  arn:aws:eks:eu-west-1:222222222222:cluster/fine
good: connected  arn:aws:eks:eu-west-1:222222222222:cluster/good

broken: BROKEN  arn:aws:eks:eu-west-1:222222222222:cluster/broken
  + service accounts  ok           seen
  + token             ok           seen
  + management role   ok           seen
  x deployer role     BROKEN       Undetermined
  + endpoint          ok           seen
  + authentication    ok           seen
  + authorization     ok           seen
  + Argo CD           ok           seen

  deployer role: Undetermined
    what   sts:AssumeRole of arn:aws:iam::222222222222:role/prod was refused: AccessDenied: not
           authorized to perform this on that resource
    maybe  RefusedByTrustPolicy, RefusedByServiceControlPolicy
    next   look at both roles

again: BROKEN  arn:aws:eks:eu-west-1:222222222222:cluster/broken
  + service accounts  ok           seen
  + token             ok           seen
  + management role   ok           seen
  x deployer role     BROKEN       Undetermined
  + endpoint          ok           seen
  + authentication    ok           seen
  + authorization     ok           seen
  + Argo CD           ok           seen

  deployer role: Undetermined, as of broken

unlooked: unknown  arn:aws:eks:eu-west-1:222222222222:cluster/unlooked

  not walked: NotMoored
    what   sts:AssumeRole of arn:aws:iam::222222222222:role/prod was refused: AccessDenied: not
           authorized to perform this on that resource
    next   look at both roles

well: connected  arn:aws:eks:eu-west-1:222222222222:cluster/well

3 connected
2 broken: broken (deployer role: Undetermined), again (deployer role: Undetermined)
1 unknown: unlooked (NotMoored)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_keeps_several_clusters_from_being_moored_is_told_once_with_what_to_do_for_each() {
        let of = |name: &str| Examined {
            walk: Err(Trouble {
                next: format!("look at `kubectl describe mgc {name}`"),
                ..trouble(Reason::NotMoored)
            }),
            ..examined(name, None)
        };
        let text = print(&[of("one"), of("two")], DoctorOutput::Table);
        assert_eq!(text.matches("was refused").count(), 1, "{text}");
        let second = "  not walked: NotMoored, as of one\n    next   look at `kubectl describe mgc two`\n";
        assert!(text.contains(second), "{text}");
    }

    #[test]
    fn one_cluster_is_told_hop_by_hop_and_a_command_stays_in_one_line() {
        let fine = print(&[examined("fine", None)], DoctorOutput::Table);
        assert_eq!(fine.lines().count(), 1 + Hop::ALL.len());
        let mut long = broken();
        let command = format!("kubectl annotate mgc {}", "x".repeat(2 * WIDTH));
        if let Ok(walk) = &mut long.walk {
            let told = Trouble::new(Reason::Undetermined, "m", &command);
            walk.hops.insert(Hop::Endpoint, Found::Failed(told));
        }
        let text = print(&[long], DoctorOutput::Table);
        assert!(text.lines().any(|line| line.ends_with(&command)), "{text}");
    }

    #[test]
    fn what_to_do_is_wrapped_and_its_commands_are_not() {
        let annotate = "kubectl annotate mgc prod mooring.dev/reconcile-requested-at=\"$(date)\" --overwrite";
        let walk = "`mooring doctor prod`";
        let next = format!(
            "Mooring will put the trust policy of the role back at its next pass ({annotate} asks for one); where that does \
             not help, {walk} says so; if it stays, aws iam get-role --role-name a-name-that-is-long-enough: its owner knows"
        );
        let mut told = broken();
        if let Ok(walk) = &mut told.walk {
            let trouble = Trouble::new(Reason::Undetermined, "m", &next);
            walk.hops.insert(Hop::Endpoint, Found::Failed(trouble));
        }
        let text = print(&[told], DoctorOutput::Table);
        let from = text
            .lines()
            .position(|line| line.contains("next   Mooring will"))
            .unwrap();
        let rows: Vec<&str> = text.lines().skip(from).collect();
        assert!(rows.len() > 3, "{text}");
        for (at, row) in rows.iter().enumerate() {
            let whole = ["kubectl ", "aws "]
                .iter()
                .any(|command| row.trim_start().trim_start_matches('(').starts_with(command));
            assert!(row.chars().count() <= WIDTH || whole, "{text}");
            assert!(at == 0 || row.starts_with(&" ".repeat(11)), "{text}");
        }
        for command in [
            annotate,
            walk,
            "aws iam get-role --role-name a-name-that-is-long-enough:",
        ] {
            assert!(rows.iter().any(|row| row.contains(command)), "{command}: {text}");
        }
        let said = rows.iter().map(|row| row.trim()).collect::<Vec<_>>().join(" ");
        assert_eq!(said, format!("next   {next}"), "nothing is lost");
    }

    #[test]
    fn json_holds_every_hop_in_order() {
        let text = print(&[broken(), unlooked()], DoctorOutput::Json);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[0]["result"], "Broken");
        let hops = value[0]["hops"].as_array().unwrap();
        assert_eq!(hops.len(), Hop::ALL.len());
        assert_eq!(hops[3]["hop"], "DeployerRole");
        assert_eq!(hops[3]["verdict"], "Failed");
        assert_eq!(hops[3]["candidates"][1], "RefusedByServiceControlPolicy");
        assert_eq!(value[1]["result"], "Unknown");
        assert_eq!(value[1]["notWalked"]["reason"], "NotMoored");
    }
}
