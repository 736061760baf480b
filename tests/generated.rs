//! Files that are printed by the code and committed, so that a change shows in review: they are current, or this fails.
//!
//! `make generate` writes them anew: it runs this very test with `MOORING_GENERATE` set.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{env, fs, path::Path};

use clap::Parser;
use mooring::{
    access::Reason,
    cli::{Cli, Command},
    commands::{bootstrap, crd},
};

/// The issuer that stands for the hub's in what is generated for the examples.
const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";

/// Every generated file, from the root of the repository, and what it must hold.
fn generated() -> Vec<(String, String)> {
    let mut files = vec![
        ("crds/managementroles.yaml".to_owned(), crd::management_roles()),
        ("crds/managedclusters.yaml".to_owned(), crd::managed_clusters()),
    ];
    files.extend(bootstrapped());
    files.push(("docs/connected.md".to_owned(), connected()));
    files
}

/// What the condition `Connected` may say, for people.
fn connected() -> String {
    let rows = Reason::ALL
        .iter()
        .map(|reason| format!("| `{reason}` | {} |\n", reason.about()));
    std::iter::once(CONNECTED.to_owned()).chain(rows).collect()
}

const CONNECTED: &str = "\
# Connected

`mooring verifier` and `mooring doctor` walk the chain from Argo CD's service accounts to the Kubernetes API of a cluster,
hop by hop, the way Argo CD does:

1. **service accounts**: there, bound to the management role, and their pods made since;
2. **token**: one of each, for the audience `sts.amazonaws.com`, with the shortest life that Kubernetes gives;
3. **management role**: the token is exchanged for it (`AssumeRoleWithWebIdentity`);
4. **deployer role**: the management role assumes it, without an external ID and without tags, as Argo CD does;
5. **endpoint**: the API server is reached, with the certificate authority of the cluster Secret and no other;
6. **authentication**: the API server takes the EKS token;
7. **authorization**: it allows what Argo CD does within its scope;
8. **Argo CD**: it reads the cluster Secret, everybody's, and a project admits the cluster as a destination.

Where a hop is refused, the documents of both sides are read: they decide which policy it was. What they do not tell is
taken from AWS's own words, and is otherwise `Undetermined`, with what it may be: across accounts AWS often does not say.
`Connected` is `False` with the reason of the first hop that is broken, `Unknown` where a hop could not be looked at, and
`True` with the reason `ChainHolds` when every hop was walked. The message says what failed, in AWS's own words, and what
to do next. Tokens appear nowhere, nor does a password that somebody put into a server's or a proxy's URL.

How a pod comes to its credentials is read from what EKS's pod identity webhook gave its containers, all of them together: by
a web identity where one of them names the management role, and by EKS Pod Identity where one was given that and none names
the role. A sidecar with a role of its own decides nothing. Which container is Argo CD's does not show, so one that
`eks.amazonaws.com/skip-containers` leaves out is not noticed where another of its pod has the role. An association goes
before the annotation, whatever that says, and what it gives only the pod itself can ask for: hop 1 is unknown then
(`PodIdentityNotWalked`), no token is exchanged for such pods, and `Connected` is `Unknown`. With `identity.type: Existing`
it is also unknown what a refusal of the token means where no pod is seen that uses one.

A token is sent to one place: the endpoint that EKS gives for the cluster, behind the certificate authority that EKS gives
for it, as the operator recorded both in the status. A cluster Secret that leads elsewhere is told (`DestinationDiffers`)
and sent nothing. Where Mooring will mend what is broken, the message says so; while the object is paused or stalled it
says that instead, and what ends it.

What changes at a `ManagedCluster`, its `ManagementRole`, a cluster Secret, an AppProject, `argocd-cm` or a service account
of Argo CD is looked at within seconds. What holds is walked again after ten minutes (`--interval`) and up to a tenth more
at random; what does not, after a time that grows from two seconds to five minutes; and no cluster more often than every
30 seconds (`--distance`). What changed in an AppProject, in `argocd-cm` or in the cluster Secret of another cluster is
judged anew without another walk: neither AWS nor a cluster is asked again. At most four chains are walked at once
(`--walks`), and a cluster is asked three things at a time.

`Ready` says that AWS has taken everything, `Connected` that it works. Between the two lie some seconds: the API server of
a cluster learns of a new access entry a moment after EKS has it, and IAM's own changes take effect as late. The cluster
Secret is written last, but the operator cannot wait for the rest by trying, since it can mint no token. So a cluster that
was moored just now may be told as `Unauthorized`, by Argo CD too. Both try again by themselves; `kubectl wait
--for=condition=Connected mgc/prod-eu` waits until it is over. It is the same the other way round: what somebody broke or
took away a moment ago still works for some seconds, so look twice before you believe that a change broke nothing. The
demo's AWS is late by a second.

What hop 7 asks is what the spec asks for: with `AmazonEKSClusterAdminPolicy` every verb on everything; with the admin and
edit policies what a sync and a server-side diff take (`patch` first); with less, or with groups alone, what Argo CD reads,
since Mooring does not know what your RBAC is meant to allow. Where `argocd-cm` sets
`application.sync.impersonation.enabled`, `impersonate` too. It is at most a dozen questions: of more namespaces than that,
those come first that no policy of the spec holds for, and the hop says how many were not asked.

Argo CD lists every kind that a cluster serves, and gives the cluster up at the first one that is refused, unless `argocd-cm`
sets `resource.respectRBAC` or names the kinds in `resource.inclusions`. Where it does neither, hop 7 asks whether every kind
may be listed, and if not, whether the roles of RBAC may, which few access policies allow: `clusterroles` where Argo CD has
the whole cluster, else `roles`. Is that refused too, as with the edit policy, the hop is broken (`ScopeTooNarrow`), since
Argo CD cannot use the cluster. Where it is not, or a rule of `resource.exclusions` may leave the roles out, the hop passes
with a note, and `Connected` has the note too: whether the rules leave out everything that is refused is not known.

| Reason | Meaning |
|---|---|
";

/// What `mooring bootstrap --output-dir` writes for the examples, as files of deploy/aws.
fn bootstrapped() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = env::temp_dir().join(format!(
        "mooring-generated-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let example = root.join("deploy/examples/management-role.yaml");
    let arguments = [
        "mooring",
        "bootstrap",
        "-f",
        example.to_str().unwrap(),
        "--hub-account",
        "111111111111",
        "--hub-issuer",
        ISSUER,
        "--output-dir",
        folder.to_str().unwrap(),
    ];
    let Command::Bootstrap(arguments) = Cli::try_parse_from(arguments).unwrap().command else {
        panic!("that is the bootstrap command")
    };
    bootstrap::run(&arguments).unwrap();
    let mut files = Vec::new();
    for account in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        for file in fs::read_dir(&account).unwrap().map(|entry| entry.unwrap().path()) {
            let path = file.strip_prefix(&folder).unwrap().display().to_string();
            files.push((format!("deploy/aws/{path}"), fs::read_to_string(&file).unwrap()));
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    files.sort();
    files
}

#[test]
fn generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = env::var_os("MOORING_GENERATE").is_some();
    let mut stale = Vec::new();
    for (path, content) in generated() {
        let file = root.join(&path);
        if fs::read_to_string(&file).is_ok_and(|committed| committed == content) {
            continue;
        }
        if write {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, content).unwrap();
            println!("written: {path}");
        } else {
            stale.push(path);
        }
    }
    assert!(
        stale.is_empty(),
        "not what the code prints: {stale:?}; run `make generate` and commit the result"
    );
}

/// Nothing lies beside them that nobody writes any more.
#[test]
fn the_generated_folders_hold_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known: Vec<String> = generated().into_iter().map(|(path, _)| path).collect();
    let mut folders = vec!["crds".to_owned(), "deploy/aws".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
                continue;
            }
            // deploy/install/kustomization.yaml includes the folder.
            assert!(
                known.contains(&path) || path == "crds/kustomization.yaml",
                "{path} is not generated"
            );
        }
    }
}
