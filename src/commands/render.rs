//! `mooring render`: every document and object that manifests lead to, from the same pure functions as the operator,
//! starting from nothing being there.
//!
//! It prints YAML, one document for each manifest: this is read in pull requests, where a changed value is then one
//! changed line, and it is the language of the manifests beside it. `<...>` stands for what only AWS or Kubernetes
//! knows.

mod view;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use self::view::{ClusterView, RoleView};
use super::{
    Printed,
    manifests::{Manifests, hub_account},
};
use crate::{
    api::{ManagedCluster, ManagementRole},
    aws::Role,
    cli::RenderArgs,
    domain::{
        arn::OidcProviderArn,
        eks::{AuthenticationMode, Cluster, ClusterState},
        name::AccountId,
    },
    managed_cluster::{self, desired::desired, management::Management, request::Identity},
    management_role::{
        Blocked, Step,
        members::{Member, Members},
        observe::Observed,
        plan::{Memory, desired_role, plan},
        request::{Request, RoleOwner},
    },
    policy::{self, Document},
};

/// What manifests do not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The hub's account; that of `identity.roleArn` when left out.
    pub hub_account: Option<AccountId>,
    /// The hub's OIDC issuer, `https://...`; shown as unknown when left out.
    pub hub_issuer: Option<String>,
}

/// What the manifests lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// A YAML document for each manifest.
    pub yaml: String,
    /// Why some would not be made true, a sentence each.
    pub refused: Vec<String>,
}

/// Renders everything.
#[must_use]
pub fn render(manifests: &Manifests, options: &Options) -> Rendered {
    let mut rendered = Rendered {
        refused: manifests.invalid.clone(),
        ..Rendered::default()
    };
    rendered.yaml.push_str(
        "# What Mooring would make for these manifests, if nothing were there yet. Printed offline by mooring render:\n\
         # <...> stands for what only AWS or Kubernetes knows.\n",
    );
    let mut managements = BTreeMap::new();
    for role in &manifests.roles {
        let name = role.metadata.name.clone().unwrap_or_default();
        match management_role(role, manifests, options, &mut rendered) {
            Ok(management) => drop(managements.insert(name, Some(management))),
            Err(why) => {
                rendered.refused.push(why);
                managements.insert(name, None);
            }
        }
    }
    for cluster in &manifests.clusters {
        let name = cluster.metadata.name.as_deref().unwrap_or_default();
        match managements.get(&cluster.spec.management_role) {
            Some(Some(management)) => managed_cluster(cluster, management, &mut rendered),
            // Why has been told already.
            Some(None) => rendered.refused.push(format!(
                "ManagedCluster {name} waits for ManagementRole {}",
                cluster.spec.management_role
            )),
            None => rendered.refused.push(format!(
                "ManagedCluster {name} names ManagementRole {}, which is in none of the files: give its file too",
                cluster.spec.management_role
            )),
        }
    }
    rendered.refused.extend(twice(&manifests.clusters));
    rendered
}

impl Rendered {
    fn document(&mut self, comment: &str, document: &impl Serialize) {
        // A folded scalar hides where a value ends, and a longer value would then change several lines.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        match serde_saphyr::to_string_with_options(document, options) {
            Ok(text) => {
                for part in ["---\n# ", comment, "\n", &text] {
                    self.yaml.push_str(part);
                }
            }
            Err(error) => self.refused.push(format!("{comment} cannot be printed: {error}")),
        }
    }
}

fn management_role(
    object: &ManagementRole,
    manifests: &Manifests,
    options: &Options,
    rendered: &mut Rendered,
) -> Result<Management, String> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let account = hub_account(object, options.hub_account.as_ref())?;
    let refused = |why: &dyn std::fmt::Display| format!("ManagementRole {name}: {why}");
    let request = Request::parse(&with_uid(object), &account).map_err(|refusal| refused(&refusal))?;
    let of_the_hub = manifests
        .roles
        .iter()
        .filter(|role| role.spec.cluster == object.spec.cluster);
    let request = request.guarding(&of_the_hub.map(|role| role.spec.argocd_namespace.clone()).collect());
    let provider = match &options.hub_issuer {
        Some(issuer) => request.hub.oidc_provider(issuer).map_err(|error| refused(&error))?,
        None => OidcProviderArn {
            partition: request.hub.partition(),
            account,
            issuer_host_and_path: format!(
                "<OIDC issuer of {} without https://, from eks:DescribeCluster>",
                request.hub.cluster.name
            ),
        },
    };
    let members: Vec<_> = manifests.clusters.iter().map(Member::Known).collect();
    let members = Members::gather(&request, &members, &BTreeSet::new(), &BTreeSet::new());
    let (permission, full) = permission(&request, &members);
    rendered.refused.extend(full.into_iter().map(|why| refused(&why)));
    let view = RoleView::new(
        &request,
        &provider,
        desired_role(&request, &provider, false),
        permission,
    );
    rendered.document(&format!("ManagementRole {name}"), &view);
    Ok(Management {
        hub: request.hub,
        role: request.role,
        provisioner: request.provisioner,
        reader: request.reader,
        external_id: request.external_id,
        namespace: request.namespace.to_string(),
        allow: request.allow,
        assumable: None,
        retained: BTreeSet::new(),
        guarded: request.guarded,
        closed: BTreeSet::new(),
        going: false,
        full: false,
    })
}

/// The management role's permission policy, and why it does not hold everything: by the plan for a role that stands
/// and has none yet. For a role of somebody else's, what it has to carry.
fn permission(request: &Request, members: &Members) -> (Option<Document>, Option<String>) {
    if request.role_owner == RoleOwner::Existing {
        return (policy::assume_deployers(&members.wanted, None), None);
    }
    // The policy does not depend on the issuer.
    let issuer = "https://issuer.invalid".to_owned();
    let (arn, id) = (request.role.to_string(), "the role of this object".to_owned());
    let observed = Observed {
        cluster: Some(unknown_cluster(arn.clone(), Some(issuer.clone()))),
        issuer_here: issuer,
        role: Some(Role {
            arn,
            id: id.clone(),
            name: request.role.name.to_string(),
            ..Role::default()
        }),
        ..Observed::default()
    };
    let memory = Memory {
        recorded_role: Some(&id),
        ..Memory::default()
    };
    let plan = plan(request, &observed, members, &memory);
    let full = plan.blocked.first().map(Blocked::message);
    let document = plan.steps.into_iter().find_map(|step| {
        if let Step::PutPolicy { document, .. } = step {
            Some(document)
        } else {
            None
        }
    });
    (document, full)
}

fn managed_cluster(object: &ManagedCluster, management: &Management, rendered: &mut Rendered) {
    let name = object.metadata.name.clone().unwrap_or_default();
    match managed_cluster::request::Request::parse(&with_uid(object), management) {
        Err(refusal) => {
            let comment = format!("ManagedCluster {name}: refused, nothing is made");
            rendered.document(&comment, &ClusterView::refused(object, &refusal.to_string()));
            rendered.refused.push(format!("ManagedCluster {name}: {refusal}"));
        }
        Ok(request) => {
            let cluster = &request.identity.cluster;
            let stand_in = view::stand_in(unknown_cluster(cluster.to_string(), None));
            let desired = desired(&request, management, Some(&stand_in));
            match ClusterView::new(&request, management, desired) {
                Ok(view) => rendered.document(&format!("ManagedCluster {name}"), &view),
                Err(why) => rendered.refused.push(format!("ManagedCluster {name}: {why}")),
            }
        }
    }
}

/// A cluster of which only what is given is known.
fn unknown_cluster(arn: String, issuer: Option<String>) -> Cluster {
    Cluster {
        arn,
        state: ClusterState::Active,
        endpoint: None,
        certificate_authority: None,
        version: None,
        issuer,
        authentication_mode: AuthenticationMode::Api,
        public_endpoint: true,
        connected: false,
        outpost_id: None,
    }
}

/// The object with a UID to show where the file has none: the API server gives it.
fn with_uid<T: kube::Resource + Clone>(object: &T) -> T {
    let mut object = object.clone();
    object.meta_mut().uid.get_or_insert_with(|| "<UID>".to_owned());
    object
}

/// Clusters that would stand in each other's way: one EKS cluster twice, or one name in Argo CD twice.
fn twice(clusters: &[ManagedCluster]) -> Vec<String> {
    let mut seen: BTreeMap<(String, String), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for cluster in clusters {
        let Ok(Identity { name, cluster: arn, .. }) = Identity::of(cluster) else {
            continue;
        };
        let (spec, object) = (&cluster.spec, cluster.metadata.name.as_deref().unwrap_or_default());
        for thing in [
            format!("EKS cluster {arn}"),
            format!("cluster name {} in Argo CD", spec.argocd.name.as_ref().unwrap_or(&name)),
        ] {
            if let Some(first) = seen.insert((spec.management_role.clone(), thing.clone()), object) {
                found.push(format!(
                    "ManagedCluster {object} and ManagedCluster {first} are both for {thing}: only one of them can be made true"
                ));
            }
        }
    }
    found
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, none holds anything of ours, or the hub's account is not known.
pub fn run(args: &RenderArgs) -> Result<Printed, String> {
    let manifests = Manifests::read(&args.files)?;
    if manifests.roles.is_empty() && manifests.clusters.is_empty() && manifests.invalid.is_empty() {
        return Err("there is no ManagedCluster or ManagementRole of mooring.dev/v1alpha1 in these files".to_owned());
    }
    for role in &manifests.roles {
        hub_account(role, args.hub_account.as_ref())?;
    }
    let options = Options {
        hub_account: args.hub_account.clone(),
        hub_issuer: args.hub_issuer.clone(),
    };
    let Rendered { yaml, refused } = render(&manifests, &options);
    Ok(Printed {
        out: yaml,
        notes: manifests.passed_over,
        failures: refused,
    })
}
