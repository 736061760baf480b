//! The layers of the source: who may know whom, where the AWS SDK may be named, what is pure, and how long a file may be.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each module and the modules of ours that it may name. A module that is not here may not exist.
const ALLOWED: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("domain", &[]),
    ("api", &["text"]),
    ("kubernetes", &["domain", "text"]),
    ("argocd", &["domain", "text"]),
    ("telemetry", &[]),
    ("policy", &["domain", "text"]),
    ("aws", &["domain", "policy", "text"]),
    // The command line names a log format.
    ("cli", &["domain", "telemetry"]),
    (
        "managed_cluster",
        &[
            "api",
            "domain",
            "policy",
            "argocd",
            "aws",
            "kubernetes",
            "telemetry",
            "text",
        ],
    ),
    (
        "management_role",
        &[
            "api",
            "domain",
            "policy",
            "argocd",
            "aws",
            "kubernetes",
            "telemetry",
            "managed_cluster",
        ],
    ),
    (
        "access",
        &[
            "api",
            "domain",
            "policy",
            "argocd",
            "aws",
            "kubernetes",
            "managed_cluster",
            "text",
        ],
    ),
    (
        "commands",
        &[
            "access",
            "domain",
            "policy",
            "aws",
            "api",
            "argocd",
            "managed_cluster",
            "management_role",
            "cli",
            "text",
        ],
    ),
    (
        "run",
        &[
            "access",
            "api",
            "argocd",
            "aws",
            "cli",
            "domain",
            "kubernetes",
            "managed_cluster",
            "management_role",
            "policy",
            "telemetry",
        ],
    ),
    ("main", &["run", "cli", "commands"]),
];

/// Whole modules, and files of the two pipelines, that decide and do nothing: they wait for nobody.
const PURE: &[&str] = &[
    "domain/",
    "policy/",
    "argocd/",
    "api/",
    "commands/",
    "access/judge/",
    "access/chain",
    "access/destination",
    "access/mending",
    "access/evidence",
    "access/others",
    "access/reason",
    "access/revoked",
    "access/scope",
    "access/subject",
    "kubernetes/pods",
    "managed_cluster/plan/",
    "managed_cluster/by_hand",
    "managed_cluster/chain",
    "management_role/plan/",
];
const PURE_STEPS: &[&str] = &[
    "request",
    "desired",
    "plan",
    "removal",
    "step",
    "planned",
    "unmoved",
    "management",
    "members",
    "remaining",
    "in_use",
    "breaker",
];

/// Lines of code, without tests, comments and blank lines.
const LIMIT: usize = 300;

/// Files that grew past the limit before it was held, each with what it may have: they are to shrink, and leave the
/// list when they fit.
const LONGER: &[(&str, usize)] = &[("policy/document.rs", 340)];

/// A source file with its path below `src`.
struct File {
    path: String,
    text: String,
}

impl File {
    /// The module of the top level that it belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or(&self.path);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether the whole file is compiled for tests only (`mod tests;` and `mod fake;` stand under `#[cfg(test)]`).
    fn is_test(&self) -> bool {
        ["/tests.rs", "/fake.rs"].iter().any(|end| self.path.ends_with(end)) || self.path.contains("/tests/")
    }

    /// The code before the tests of the file, which end every file of ours, without comments and what strings hold.
    fn code(&self) -> String {
        let mut code = String::new();
        for line in blanked(&self.text).lines() {
            if line.starts_with("#[cfg(test)]") {
                break;
            }
            if !line.trim().is_empty() {
                code.push_str(line);
                code.push('\n');
            }
        }
        code
    }
}

/// The text with comments taken out and strings emptied.
fn blanked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c: char| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            out.push_str("\"\"");
            let skipped = end.map_or(rest.len(), |end| end + 2);
            // A string over several lines still takes them.
            out.extend(rest[..skipped].matches('\n').map(|_| "\n\""));
            rest = &rest[skipped..];
            continue;
        } else {
            out.push(first);
            first.len_utf8()
        };
        rest = &rest[skip..];
    }
    out
}

/// The modules of ours that a piece of code names by `crate::` (or, in the binary, `mooring::`), groups included.
fn named(code: &str, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(&format!("{root}::")) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let after = &code[at + root.len() + 2..];
        match after.strip_prefix('{') {
            None => found.extend(word(after)),
            Some(group) => found.extend(heads(group)),
        }
    }
    found
}

/// The first word of each path in a group, up to its closing brace.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut at_head = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            _ if at_head && !c.is_whitespace() => {
                heads.extend(word(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Whether the code names a path that starts with this prefix, as in `aws_sdk_iam::`.
fn names_crate(code: &str, prefix: &str) -> bool {
    code.match_indices(prefix).any(|(at, _)| {
        let starts = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
        let end = code[at..].find(|c: char| !c.is_alphanumeric() && c != '_');
        let used = code[..at].ends_with("use ") || end.is_some_and(|end| code[at + end..].starts_with("::"));
        starts && used
    })
}

/// Everything wrong with the files, one sentence each.
fn faults(files: &[File], allowed: &[(&str, &[&str])]) -> Vec<String> {
    let table: BTreeMap<_, _> = allowed.iter().copied().collect();
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| !file.is_test() && file.path != "lib.rs") {
        let (path, module, code) = (&file.path, file.module(), file.code());
        let mut fault = |what: String| faults.push(format!("src/{path} {what}"));
        let Some(may) = table.get(module) else {
            fault(format!(
                "is in the module {module}, which has no place in the layers: give it one"
            ));
            continue;
        };
        let ours = |name: &String| table.contains_key(name.as_str());
        for other in named(&code, "crate")
            .into_iter()
            .chain(named(&code, "mooring"))
            .filter(ours)
        {
            if other != module && !may.contains(&other.as_str()) {
                fault(format!("names {other}, which {module} may not know"));
            }
        }
        let climbs = code.contains("super::super::") || (is_root(path) && code.contains("super::"));
        if climbs {
            fault("climbs to the root by super: write crate, so that the layers can be read".to_owned());
        }
        if module != "aws" && names_crate(&code, "aws_") {
            fault("names the AWS SDK: only src/aws may".to_owned());
        }
        if module != "cli" && (code.contains("env::var") || code.contains("env::vars")) {
            fault("reads the environment: only src/cli.rs may".to_owned());
        }
        let step = path
            .rsplit('/')
            .next()
            .and_then(|name| name.strip_suffix(".rs"))
            .unwrap_or_default();
        let pipeline = matches!(module, "managed_cluster" | "management_role");
        let pure = PURE.iter().any(|folder| path.starts_with(folder)) || (pipeline && PURE_STEPS.contains(&step));
        if pure && (code.contains("async ") || code.contains(".await")) {
            fault("is pure, and yet waits for something".to_owned());
        }
        let lines = code.lines().count();
        let longer = LONGER
            .iter()
            .find(|(longer, _)| longer == path)
            .map(|(_, lines)| *lines);
        if lines > longer.unwrap_or(LIMIT) {
            fault(format!("has {lines} lines of code: split it"));
        }
        if longer.is_some() && lines <= LIMIT {
            fault(format!(
                "has {lines} lines of code: take it off the list of longer ones"
            ));
        }
    }
    faults
}

/// Whether the parent of the file's module is the crate itself.
fn is_root(path: &str) -> bool {
    !path.contains('/') || (path.ends_with("/mod.rs") && path.matches('/').count() == 1)
}

fn sources() -> Vec<File> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let read = |path: PathBuf| File {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
    };
    found.into_iter().map(read).collect()
}

#[test]
fn every_layer_knows_only_those_below_it() {
    let files = sources();
    assert!(files.len() > 40, "only {} files found", files.len());
    let faults = faults(&files, ALLOWED);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The table describes what is there: a permission that nothing uses is a way that nobody looks after.
#[test]
fn the_scan_sees_what_the_modules_name() {
    let files = sources();
    let names = |module: &str, other: &str| {
        let mut of = files.iter().filter(|file| file.module() == module);
        of.any(|file| named(&file.code(), if module == "main" { "mooring" } else { "crate" }).contains(other))
    };
    assert!(names("policy", "domain") && names("aws", "policy") && names("managed_cluster", "argocd"));
    assert!(names("main", "run") && names("run", "kubernetes") && names("cli", "telemetry"));
    let sdk = files.iter().filter(|file| names_crate(&file.code(), "aws_"));
    assert!(sdk.count() > 3);
    let known: BTreeSet<_> = files.iter().map(File::module).collect();
    for (module, _) in ALLOWED {
        assert!(
            known.contains(module),
            "src has no module {module}: take it out of the table"
        );
    }
    for (path, _) in LONGER {
        assert!(files.iter().any(|file| file.path == *path), "there is no src/{path}");
    }
}

#[test]
fn the_table_has_no_cycles() {
    let table: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut settled = BTreeSet::new();
    while settled.len() < table.len() {
        let free =
            |(name, may): &(&&str, &&[&str])| !settled.contains(**name) && may.iter().all(|m| settled.contains(m));
        let next: Vec<_> = table.iter().filter(free).map(|(name, _)| *name).collect();
        assert!(
            !next.is_empty(),
            "these know each other in a circle: {:?}",
            table.keys().filter(|n| !settled.contains(*n))
        );
        settled.extend(next);
    }
}

#[test]
fn wrong_files_are_found() {
    let check = |path: &str, text: &str| {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        faults(&[file], ALLOWED).into_iter().next().unwrap_or_default()
    };
    for (path, text, says) in [
        ("domain/x.rs", "use crate::policy::Document;", "names policy"),
        ("domain/x.rs", "fn f() -> crate::aws::Role {}", "names aws"),
        (
            "policy/x.rs",
            "use crate::{domain::arn, api::{Access, aws}};",
            "names api",
        ),
        (
            "policy/x.rs",
            "use crate::{\n    domain::{arn, name},\n    aws::Role,\n};",
            "names aws",
        ),
        ("policy/x.rs", "use crate::{self, run};", "names run"),
        (
            "aws/x.rs",
            "pub(crate) use crate::managed_cluster::Plan;",
            "names managed_cluster",
        ),
        (
            "managed_cluster/x.rs",
            "let x = crate::management_role::plan();",
            "names management_role",
        ),
        ("main.rs", "use mooring::{cli::Cli, domain::Hub};", "names domain"),
        ("surprise/x.rs", "", "no place in the layers"),
        ("surprise.rs", "", "no place in the layers"),
        ("managed_cluster/x.rs", "use aws_sdk_iam::Client;", "names the AWS SDK"),
        ("run/x.rs", "fn f(c: &aws_config::SdkConfig) {}", "names the AWS SDK"),
        ("run/x.rs", "use aws_config;", "names the AWS SDK"),
        ("policy/x.rs", "use super::super::aws::Role;", "climbs"),
        ("policy/mod.rs", "use super::aws::Role;", "climbs"),
        ("aws/x.rs", "let x = std::env::var(\"HOME\");", "reads the environment"),
        (
            "run/x.rs",
            "use std::env;\nlet x = env::var_os(\"HOME\");",
            "reads the environment",
        ),
        ("domain/x.rs", "pub async fn f() {}", "is pure"),
        ("managed_cluster/plan.rs", "let x = read().await?;", "is pure"),
        ("management_role/members.rs", "let x = async move { 1 };", "is pure"),
    ] {
        let found = check(path, text);
        assert!(found.contains(says), "{path} {text:?}: {found:?}");
    }
    assert!(check("domain/x.rs", &"let x = 1;\n".repeat(LIMIT + 1)).contains("301 lines"));
    assert!(check("policy/document.rs", &"let x = 1;\n".repeat(371)).contains("split it"));
    assert!(check("policy/document.rs", &"let x = 1;\n".repeat(LIMIT)).contains("off the list"));
}

#[test]
fn right_files_are_let_be() {
    for (path, text) in [
        ("policy/x.rs", "use crate::{domain::{arn, aws}, policy::Document};"),
        (
            "policy/x.rs",
            "// crate::aws is not known here\n/// See `crate::run`.\nconst X: &str = \"crate::aws\";",
        ),
        (
            "domain/x.rs",
            "#[cfg(test)]\nmod tests { use crate::policy::Document; async fn f() {} }",
        ),
        (
            "aws/tests.rs",
            "use crate::run::controller; let x = std::env::var(\"HOME\");",
        ),
        ("aws/x.rs", "use aws_sdk_iam::Client;"),
        ("cli.rs", "let x = std::env::var(\"HOME\");"),
        (
            "run/x.rs",
            "self.aws_requests.inc(); let url = \"aws_sdk_iam::Client\"; Family { aws_requests }",
        ),
        ("managed_cluster/observe.rs", "pub async fn f() { g().await }"),
        ("lib.rs", "pub mod surprise;"),
    ] {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(faults(&[file], ALLOWED), Vec::<String>::new(), "{path} {text:?}");
    }
    let commented = "// one\n\n/// two\nlet x = 1;\n".repeat(LIMIT) + "#[cfg(test)]\n" + &"let y = 1;\n".repeat(LIMIT);
    let file = File {
        path: "domain/x.rs".to_owned(),
        text: commented,
    };
    assert_eq!(file.code().lines().count(), LIMIT);
    assert_eq!(faults(&[file], ALLOWED), Vec::<String>::new());
}
