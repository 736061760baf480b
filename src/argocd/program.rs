//! The programs by which people had Argo CD come to EKS without `awsAuthConfig`, read by their command lines. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::lenient::{Node, fields, flag, text, wrong};

/// A program that mints a token of EKS, and what it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Which it is, as it is called.
    pub name: &'static str,
    /// The name of the EKS cluster that the token is for.
    pub cluster_name: String,
    /// The role that is assumed; empty for the pod's own.
    pub role_arn: String,
    /// A profile of the pod's AWS configuration; empty as a rule.
    pub profile: String,
    /// The region whose STS is asked; empty for the pod's.
    pub region: String,
    /// What it is told besides, by the names of options and environment variables: a value may be a secret.
    pub besides: BTreeSet<String>,
}

/// What an option says.
#[derive(Clone, Copy)]
enum Means {
    Cluster,
    Role,
    Profile,
    Region,
    /// Nothing that a token depends on; a value follows.
    Nothing,
    /// The same, and none does.
    Flag,
}

/// A program that is known.
struct Known {
    /// The file.
    file: &'static str,
    /// The words that make it mint a token.
    words: &'static [&'static str],
    name: &'static str,
    options: &'static [(&'static str, Means)],
}

/// Argo CD's own (argoproj/argo-cd v3.6.1, `cmd/argocd-k8s-auth/commands/aws.go`), the AWS CLI's (its reference, "eks
/// get-token" and "Global options") and that of kubernetes-sigs/aws-iam-authenticator (`cmd/aws-iam-authenticator/token.go`).
const KNOWN: [Known; 3] = [
    Known {
        file: "argocd-k8s-auth",
        words: &["aws"],
        name: "argocd-k8s-auth aws",
        options: &[
            ("--cluster-name", Means::Cluster),
            ("--role-arn", Means::Role),
            ("--profile", Means::Profile),
        ],
    },
    Known {
        file: "aws",
        words: &["eks", "get-token"],
        name: "aws eks get-token",
        options: &[
            ("--cluster-name", Means::Cluster),
            ("--role-arn", Means::Role),
            ("--profile", Means::Profile),
            ("--region", Means::Region),
            ("--output", Means::Nothing),
            ("--color", Means::Nothing),
            ("--debug", Means::Flag),
            ("--no-cli-pager", Means::Flag),
            ("--no-paginate", Means::Flag),
            ("--no-cli-auto-prompt", Means::Flag),
        ],
    },
    Known {
        file: "aws-iam-authenticator",
        words: &["token"],
        name: "aws-iam-authenticator token",
        options: &[
            ("--cluster-id", Means::Cluster),
            ("-i", Means::Cluster),
            ("--role", Means::Role),
            ("-r", Means::Role),
            ("--region", Means::Region),
            ("--cache", Means::Flag),
            ("--token-only", Means::Flag),
            ("--forward-session-name", Means::Flag),
        ],
    },
];

/// What is told by an option's name alone.
const NAME: usize = 64;

impl Program {
    /// Reads a command line and its environment; `None` where that is no program of these, or not surely.
    #[must_use]
    pub fn read(command: &str, arguments: &[String], environment: &BTreeMap<String, String>) -> Option<Self> {
        let file = command.rsplit('/').next().unwrap_or_default();
        let known = KNOWN.iter().find(|known| known.file == file)?;
        let mut program = Self {
            name: known.name,
            ..Self::default()
        };
        let mut words = Vec::new();
        let mut rest = arguments.iter().map(String::as_str).peekable();
        while let Some(argument) = rest.next() {
            if !argument.starts_with('-') {
                words.push(argument);
                continue;
            }
            let (option, value) = split(argument);
            let means = known.options.iter().find(|(name, _)| *name == option);
            let Some((_, means)) = means else {
                // Whether a value follows is not known: what looks like one is one.
                if value.is_none() {
                    rest.next_if(|next| !next.starts_with('-'));
                }
                program.besides.insert(named(option));
                continue;
            };
            let into = match means {
                Means::Flag => continue,
                Means::Cluster => Some(&mut program.cluster_name),
                Means::Role => Some(&mut program.role_arn),
                Means::Profile => Some(&mut program.profile),
                Means::Region => Some(&mut program.region),
                Means::Nothing => None,
            };
            let value = value.or_else(|| rest.next())?;
            if let Some(into) = into {
                value.clone_into(into);
            }
        }
        if words != known.words {
            return None;
        }
        for (name, value) in environment.iter().filter(|(_, value)| !value.is_empty()) {
            let into = match name.as_str() {
                "AWS_PROFILE" | "AWS_DEFAULT_PROFILE" => &mut program.profile,
                "AWS_REGION" | "AWS_DEFAULT_REGION" => &mut program.region,
                _ => {
                    program.besides.insert(named(name));
                    continue;
                }
            };
            // What is said on the command line holds.
            if into.is_empty() {
                value.clone_into(into);
            }
        }
        Some(program)
    }

    /// What Mooring does not write that it is told besides, in words; `None` where there is nothing.
    #[must_use]
    pub fn besides_in_words(&self) -> Option<String> {
        let besides: Vec<&str> = self.besides.iter().map(String::as_str).collect();
        (!besides.is_empty()).then(|| besides.join(", "))
    }
}

/// An option and its value, where that is in the same argument: `--name=value`, `-n=value` or `-nvalue`.
fn split(argument: &str) -> (&str, Option<&str>) {
    if argument.starts_with("--") {
        return match argument.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (argument, None),
        };
    }
    match argument.char_indices().nth(2) {
        Some((at, _)) => {
            let (option, value) = argument.split_at(at);
            (option, Some(value.strip_prefix('=').unwrap_or(value)))
        }
        None => (argument, None),
    }
}

/// A name that others chose, where it is one.
fn named(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.len() <= NAME && name.chars().all(plain) {
        name.to_owned()
    } else {
        "one more".to_owned()
    }
}

/// A program, as it is run.
#[derive(Default)]
pub(super) struct Exec {
    pub(super) command: String,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
}

/// Takes the fields of `execProviderConfig`.
pub(super) fn take_exec(node: &Node, of: &str, into: &mut Option<Exec>) -> Result<(), String> {
    if *node == Node::Null {
        *into = None;
        return Ok(());
    }
    let Exec {
        command,
        arguments,
        environment,
    } = into.get_or_insert_default();
    let known = [
        "command",
        "args",
        "env",
        "apiVersion",
        "installHint",
        "provideClusterInfo",
    ];
    let mut dropped = String::new();
    fields(node, of, &known, |name, value| {
        let of = format!("{of}.{name}");
        match (name, value) {
            ("provideClusterInfo", value) => flag(value, &of, &mut false),
            ("command", value) => text(value, &of, command),
            ("args", Node::Null) => {
                arguments.clear();
                Ok(())
            }
            ("env", Node::Null) => {
                environment.clear();
                Ok(())
            }
            ("args", Node::List(list)) => {
                arguments.clear();
                list.iter().try_for_each(|item| {
                    let mut argument = String::new();
                    text(item, &of, &mut argument)?;
                    arguments.push(argument);
                    Ok(())
                })
            }
            ("env", Node::Object(pairs)) => pairs.iter().try_for_each(|(key, item)| {
                let mut value = String::new();
                text(item, &of, &mut value)?;
                environment.insert(key.clone(), value);
                Ok(())
            }),
            ("args", other) => Err(wrong(&of, "a list of strings", other)),
            ("env", other) => Err(wrong(&of, "an object of strings", other)),
            (_, value) => text(value, &of, &mut dropped),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, environment: &[(&str, &str)]) -> Option<Program> {
        let mut words = line.split(' ').map(str::to_owned);
        let command = words.next().unwrap();
        let arguments: Vec<String> = words.collect();
        let pairs = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Program::read(&command, &arguments, &pairs.collect())
    }

    const ROLE: &str = "arn:aws:iam::222222222222:role/argocd";

    #[test]
    fn the_programs_that_people_use_say_which_cluster_and_which_role() {
        for line in [
            "argocd-k8s-auth aws --cluster-name prod --role-arn ROLE",
            "argocd-k8s-auth aws --role-arn=ROLE --cluster-name=prod",
            "/usr/local/bin/aws --region eu-west-1 eks get-token --cluster-name prod --role-arn ROLE --output json",
            "aws eks get-token --no-cli-pager --cluster-name=prod --role-arn ROLE",
            "aws-iam-authenticator token -i prod -r ROLE",
            "aws-iam-authenticator token --cluster-id prod --role ROLE --cache",
            "aws-iam-authenticator token -iprod -r=ROLE",
        ] {
            let program = read(&line.replace("ROLE", ROLE), &[]).unwrap();
            assert_eq!(
                (program.cluster_name.as_str(), program.role_arn.as_str()),
                ("prod", ROLE),
                "{line}"
            );
            assert!(program.besides.is_empty() && program.profile.is_empty(), "{line}");
            assert_eq!(program.region.is_empty(), !line.contains("--region"), "{line}");
        }
    }

    #[test]
    fn what_is_not_surely_one_of_them_is_none() {
        for line in [
            "sh -c aws eks get-token --cluster-name prod",
            "aws sts get-caller-identity",
            "aws eks get-token more --cluster-name prod",
            "aws eks get-token --cluster-name",
            "aws",
            "aws-iam-authenticator server -i prod",
            "gke-gcloud-auth-plugin",
            "argocd-k8s-auth gcp",
            "aws-vault exec prod -- aws eks get-token",
        ] {
            assert_eq!(read(line, &[]), None, "{line}");
        }
    }

    #[test]
    fn the_environment_counts_where_the_command_line_says_nothing_and_no_value_of_others_is_kept() {
        let environment = [
            ("AWS_PROFILE", "prod"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_STS_REGIONAL_ENDPOINTS", ""),
            ("no name, but hunter2", "x"),
        ];
        let line = "aws eks get-token --cluster-name prod --profile own --session-name hunter2 --external=hunter2 --role-arn x";
        let program = read(line, &environment).unwrap();
        assert_eq!(
            (program.profile.as_str(), program.region.as_str()),
            ("own", "eu-west-1")
        );
        assert_eq!(
            (program.cluster_name.as_str(), program.role_arn.as_str()),
            ("prod", "x")
        );
        assert_eq!(
            program.besides_in_words().unwrap(),
            "--external, --session-name, AWS_SECRET_ACCESS_KEY, one more"
        );
        assert!(!format!("{program:?}").contains("hunter2"));
        let program = read("aws eks get-token --cluster-name prod", &environment).unwrap();
        assert_eq!(program.profile, "prod");
    }
}
