//! Everything of Mooring that reads what others wrote: IAM documents, cluster Secrets, objects of any release, manifests,
//! names, ARNs, patterns, annotations, flags, certificates, and what AWS says when it refuses. Whatever comes in, no reader
//! panics, and what was read holds.
//!
//! A target takes bytes. Its corpus is in `corpus/NAME`, one file an input: `make test` reads every one, and `make fuzz`
//! looks for more, guided by coverage. What it finds that reaches code that nothing kept reaches is merged into the corpus,
//! and so is an input that breaks a target: commit both.

mod texts;

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    ByteString,
    api::{coordination::v1::Lease, core::v1::Secret},
    jiff::Timestamp,
};
use mooring::{
    access::{
        evidence::Claims,
        scope,
        subject::{HubSubject, Subject},
    },
    api::{ManagedCluster, ManagedClusterStatus, ManagementRole},
    argocd::{Application, ApplicationSet, ClusterSecret, Project, Settings, Usage, concerns, cut_down, parse},
    aws::{self, CALLS},
    domain::{
        arn::{ClusterArn, PolicyArn, RoleArn},
        eks::AccessPolicyArn,
        glob::{Glob, glob},
        hub::Hub,
        name::{AccountId, ClusterName, KubernetesName, Partition, PolicyName, Region, RoleName},
    },
    kubernetes::lease::claim::{self, Seen, Terms},
    managed_cluster::{
        by_hand,
        living::Living,
        management::Management,
        recorded,
        request::{Identity, Request},
    },
    policy::{Asked, Asker, Document, Known},
};
use serde_json::{Value, json};

/// A reader with checks on what it gives.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("policy", policy),
    ("secret", secret),
    ("object", object),
    ("name", name),
    ("pattern", pattern),
    ("refusal", refusal),
    ("lease", lease),
    ("token", token),
    ("manifest", texts::manifest),
    ("word", texts::word),
    ("certificate", texts::certificate),
];

/// An IAM document, as AWS may return it: what is read prints and reads back as the same, and means itself.
fn policy(input: &[u8]) {
    let Ok(document) = Document::parse(&String::from_utf8_lossy(input)) else {
        return;
    };
    let compact = document.to_json();
    assert_eq!(Document::parse(&compact).as_ref(), Ok(&document), "compact");
    assert_eq!(
        Document::parse(&document.to_pretty_json()).as_ref(),
        Ok(&document),
        "pretty"
    );
    assert!(document.means(&document), "{compact}");
    let mut reversed = document.clone();
    reversed.statements.reverse();
    assert!(document.means(&reversed) && reversed.means(&document), "{compact}");
    assert!(document.quota_length() <= compact.chars().count());
    let askers = [
        Asker::Federated("arn:aws:iam::111111111111:oidc-provider/x".to_owned()),
        Asker::Role {
            arn: "arn:aws:iam::111111111111:role/x".to_owned(),
            account: "111111111111".to_owned(),
        },
    ];
    for by in &askers {
        for known in [Known::Absent, Known::Unknown, Known::Values(vec![compact.clone()])] {
            let keys = |_: &str| match &known {
                Known::Values(values) => Known::Values(values.clone()),
                Known::Absent => Known::Absent,
                Known::Unknown => Known::Unknown,
            };
            let asked = Asked {
                by,
                action: "sts:AssumeRole",
                on: "arn:aws:iam::222222222222:role/x",
                keys: &keys,
            };
            assert_eq!(document.rules(&asked), reversed.rules(&asked), "{compact}");
        }
    }
}

fn importing() -> by_hand::Hub {
    by_hand::Hub {
        cluster: ClusterArn {
            region: "eu-west-1".parse().unwrap(),
            account: "111111111111".parse().unwrap(),
            name: "hub".parse().unwrap(),
        },
        namespace: "argocd".to_owned(),
        management_role: "default".parse().unwrap(),
        reader_role: "mooring-reader".to_owned(),
        external_id: None,
    }
}

/// A Secret: its `config` as it is, or all of it where the input is one. Cutting it down loses nothing that is read.
fn secret(input: &[u8]) {
    let whole = serde_json::from_slice::<Secret>(input).unwrap_or_default();
    let mut config = whole.clone();
    let data = config.data.get_or_insert_default();
    data.insert("config".to_owned(), ByteString(input.to_vec()));
    for secret in [whole, config] {
        let _ = parse::read(&secret);
        // As `mooring import` reads it: it is about a cluster, or told to be left out.
        let (wired, left) = by_hand::read(std::slice::from_ref(&secret), &importing(), &Living::default());
        assert!(wired.len() + left.len() <= 1);
        // The copy of the whole that `kubectl apply` keeps is not for us to keep.
        let mut plain = secret.clone();
        if let Some(annotations) = &mut plain.metadata.annotations {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        let read = ClusterSecret::read(&plain);
        let mut cut = secret.clone();
        cut_down(&mut cut);
        assert_eq!(ClusterSecret::read(&cut), read);
        let once = cut.clone();
        cut_down(&mut cut);
        assert_eq!(cut, once);
        let owner = read.owner.unwrap_or_default();
        assert_eq!(concerns(&secret, &owner, None), concerns(&cut, &owner, None));
    }
}

/// A `ManagedCluster`, a `ManagementRole` or an AppProject, as the API server may hold it, of any release.
fn object(input: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    let role = serde_json::from_value::<ManagementRole>(value.clone()).ok();
    if let Some(role) = &role {
        let _ = HubSubject::read(role);
        let _ = Management::read_for_removal(role);
        let _ = mooring::management_role::request::Request::parse(role, &account());
    }
    let identity = Identity::read(&value);
    if let Ok(identity) = &identity {
        let hub = hub();
        assert_eq!(identity.deployer(&hub).to_string().parse(), Ok(identity.deployer(&hub)));
        let _ = identity.owner(&hub);
    }
    if let Ok(cluster) = serde_json::from_value::<ManagedCluster>(value.clone()) {
        let _ = Subject::read(&cluster, role.as_ref());
        if let Ok(of) = Identity::of(&cluster) {
            // What a removal reads is the same whether or not the rest could be read.
            assert_eq!(identity.as_ref(), Ok(&of));
        }
        if let Ok(management) = management() {
            let _ = Request::parse(&cluster, &management);
        }
    }
    if let Some(status) = value.get("status") {
        // What a removal goes by is read whatever else cannot be.
        let whole = serde_json::from_value::<ManagedClusterStatus>(status.clone());
        let read = recorded(Some(status));
        if let Ok(whole) = whole {
            assert_eq!(read, Ok(whole));
        }
    }
    let applications: Vec<Application> = serde_json::from_value(value.clone()).into_iter().collect();
    let sets: Vec<ApplicationSet> = serde_json::from_value(value.clone()).into_iter().collect();
    let target = ClusterSecret::read(&Secret::default()).target();
    let _ = Usage::gather(&[target], &applications, &sets);
    let namespaces = ["a".to_owned()];
    let project = Project::read("p", &value);
    let _ = (
        project.admits("https://x", "x", &namespaces, ""),
        project.admits("", "", &[], "p"),
    );
}

/// A name or an ARN: what is one prints as it was, and holds nothing that AWS reads as a pattern.
fn name(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    macro_rules! names {
        ($($type:ty),*) => {$(
            if let Ok(name) = text.parse::<$type>() {
                assert_eq!(name.to_string(), text);
                assert!(!text.contains(['*', '?', '$']), "{text}");
                assert!(text.is_ascii() && !text.contains(char::is_whitespace), "{text}");
            }
        )*};
    }
    names!(
        AccountId,
        Region,
        ClusterName,
        RoleName,
        PolicyName,
        KubernetesName,
        RoleArn,
        PolicyArn
    );
    let _ = Partition::from_name(text);
    let policy = AccessPolicyArn::from_aws(text);
    assert_eq!(policy.as_str(), text);
    let _ = policy.name();
    let hub = hub();
    if let Ok(provider) = hub.oidc_provider(text) {
        assert!(!provider.to_string().contains(['*', '?', '$']), "{provider}");
    }
    if let Ok(name) = text.parse() {
        let cluster = ClusterArn {
            name,
            ..hub.cluster.clone()
        };
        let role = hub.deployer_role(&cluster);
        assert_eq!(role.to_string().parse(), Ok(role));
    }
}

/// A pattern and a text, a line each: as a slow and plain reading has it, and none takes long, wherever it stands.
fn pattern(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (pattern, text) = text.split_once('\n').unwrap_or((&text, ""));
    let destinations = json!([{"server": pattern, "namespace": "*"}, {"name": "*", "namespace": pattern}]);
    let project = Project::read("p", &json!({ "destinations": destinations }));
    let _ = project.admits(text, text, &[text.to_owned()], "");
    let _ = project.admits(text, text, &[], "");
    let edit = ("AmazonEKSEditPolicy".to_owned(), vec![pattern.to_owned()]);
    assert!(scope::asks(&[edit], &[text.to_owned()], true, true).len() <= scope::MOST);
    let _ = Settings::read(&[("resource.exclusions".to_owned(), pattern.to_owned())].into());
    if pattern.len() > 60 || text.len() > 60 {
        return;
    }
    assert_eq!(
        Glob(pattern.to_owned()).matches(text),
        slowly(pattern, text, false),
        "{pattern:?} {text:?}"
    );
    assert_eq!(glob(pattern, text), slowly(pattern, text, true), "{pattern:?} {text:?}");
}

/// `any` says whether `?` stands for any character.
fn slowly(pattern: &str, text: &str, any: bool) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // For each start of the pattern, which starts of the text it covers.
    let mut covers: Vec<bool> = std::iter::once(true).chain(text.iter().map(|_| false)).collect();
    for wanted in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = if wanted == '*' {
                covers[at] || (at > 0 && next[at - 1])
            } else {
                at > 0 && covers[at - 1] && (text[at - 1] == wanted || any && wanted == '?')
            };
        }
        covers = next;
    }
    covers.last() == Some(&true)
}

/// A code and a message of AWS, a line each, for every call: it always means something, and the hint says what to do.
fn refusal(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (code, message) = text.split_once('\n').unwrap_or((&text, ""));
    for row in CALLS {
        let error = aws::AwsError {
            call: row.call,
            kind: aws::classify(row.call, code, message),
            code: code.to_owned(),
            message: message.to_owned(),
            request_id: None,
            resource: "arn:aws:iam::222222222222:role/x".to_owned(),
            acting_as: "arn:aws:iam::222222222222:role/mooring-provisioner".into(),
        };
        assert!(!error.hint().is_empty() && error.to_string().contains(message));
    }
}

/// A Lease, as anybody who may write it may have left it: it is looked at and claimed, and what was claimed is ours.
fn lease(input: &[u8]) {
    let Ok(found) = serde_json::from_slice::<Lease>(input) else {
        return;
    };
    let terms = Terms {
        duration: Duration::from_secs(15),
    };
    let seen = Seen::of(&found);
    assert_eq!(seen, Seen::of(&found));
    let now = Timestamp::UNIX_EPOCH;
    let claimed = claim::claimed("mooring-controller", Some(&found), "us", terms, now);
    let holder = claimed.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    assert_eq!(holder, Some("us"));
    let released = claim::released(&claimed, now);
    assert_ne!(Seen::of(&released), Seen::of(&claimed));
}

/// A service account's token: nothing but the issuer is read from it.
fn token(input: &[u8]) {
    let _ = Claims::of(&String::from_utf8_lossy(input));
}

fn account() -> AccountId {
    named("111111111111")
}

fn named<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn hub() -> Hub {
    Hub {
        cluster: ClusterArn {
            region: named("eu-west-1"),
            account: account(),
            name: named("hub"),
        },
        management_role: named("default"),
    }
}

fn management() -> Result<Management, String> {
    let object = json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": "default"},
        "spec": {
            "cluster": {"name": "hub", "region": "eu-west-1"},
            "allow": [{
                "accounts": ["*"], "kubernetesGroups": ["*"],
                "accessPolicies": [{"name": "AmazonEKSClusterAdminPolicy", "scope": "Cluster"}],
            }],
        },
        "status": {
            "hub": {"accountId": "111111111111", "region": "eu-west-1", "name": "hub", "arn": "x"},
            "role": {"arn": "arn:aws:iam::111111111111:role/m/management", "id": "A"},
        },
    });
    let object = serde_json::from_value(object).map_err(|error| error.to_string())?;
    Management::read(&object).map_err(|none| format!("{none:?}"))
}

/// Reads every input of a corpus, and gives how many there are.
///
/// # Panics
/// When the corpus cannot be read, or a target breaks on one of them.
pub fn replay(name: &str, target: Target) -> usize {
    let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let inputs: BTreeMap<_, _> = files
        .map(|file| {
            let path = file.unwrap_or_else(|error| panic!("{folder}: {error}")).path();
            let input = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, input)
        })
        .collect();
    for (path, input) in &inputs {
        println!("{}", path.display());
        target(input);
    }
    inputs.len()
}
