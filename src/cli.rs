//! The command line: the only reader of flags and, through them, of the environment. It does no IO.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation is what --help prints: no backticks around our kinds' names"
)]

mod import;
mod lease;
mod output;
mod plan;
mod values;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use clap::{
    Args, CommandFactory, Parser, Subcommand, ValueEnum,
    builder::{OsStringValueParser, Resettable, TypedValueParser},
};

use crate::{
    domain::{
        arn::{PolicyArn, RoleArn},
        name::{AccountId, KubernetesName, RoleName},
    },
    telemetry::log::Format,
};

pub use import::ImportArgs;
pub use lease::{CONTROLLER, LEASE_NAMESPACE, LeaseArgs, LeaseSettings};
pub use output::{DoctorOutput, PlanOutput};
pub use plan::{PlanArgs, Removal};
use values::{duration, issuer};

/// Moors Amazon EKS clusters to Argo CD, with no long-lived credential.
///
/// Mooring runs beside Argo CD. For each ManagedCluster it makes the IAM role, the EKS access entry and the cluster
/// Secret through which Argo CD reaches one EKS cluster, and for each ManagementRole the identity that Argo CD itself
/// uses. `mooring controller` is the operator and `mooring verifier` proves what it makes; `mooring doctor` does so for a
/// person, `mooring plan` tells what the operator would write, `mooring import` prints manifests for clusters that were
/// wired by hand, and `mooring revoke` takes access away: they use your kubeconfig and your AWS credentials. render,
/// bootstrap and crd need neither.
///
/// Every command exits with 0 when all is well, and with 3 when it did not begin: a wrong or missing flag, a file that is not
/// there or holds nothing for it, no kubeconfig, no such cluster, no right to list. render and bootstrap exit with 1 when they
/// refuse a manifest. doctor, plan, import and revoke tell by 1 and 2 what they found. controller and verifier, which run
/// until they are told to stop, exit with 1 when they cannot go on.
#[derive(Clone, Debug, Parser, PartialEq, Eq)]
#[command(
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses a command line, and the environment behind it.
    ///
    /// # Errors
    /// What is wrong with it, or the help that it asks for, for printing.
    pub fn parse_from_environment<I>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item: Into<OsString> + Clone> + Clone,
    {
        Self::try_parse_from(arguments.clone()).map_err(|told| {
            // The usage in an error shows what was given as if it were required, also what the environment gave.
            let bare = without_environment().try_get_matches_from(arguments).err();
            bare.filter(|bare| bare.use_stderr() && bare.kind() == told.kind())
                .unwrap_or(told)
        })
    }
}

/// The command line, read as if the environment were empty.
fn without_environment() -> clap::Command {
    let command = Cli::command();
    let names: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let bare = |command: clap::Command| command.mut_args(|arg| arg.env(Resettable::Reset));
    names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, bare))
}

/// The commands.
#[derive(Clone, Debug, Subcommand, PartialEq, Eq)]
pub enum Command {
    /// Runs the operator until it is told to stop.
    ///
    /// It reads ManagedClusters and ManagementRoles from the cluster it runs on (or the kubeconfig's current context),
    /// and AWS credentials from the environment of the pod. SIGTERM or SIGINT lets the passes that run end first.
    Controller(ControllerArgs),
    /// Walks the chain to each cluster, as Argo CD does, and writes the condition Connected.
    ///
    /// It is a process of its own, beside the operator: it requests tokens of Argo CD's service accounts, which the operator
    /// cannot, and writes nothing to AWS, which the operator does. It needs no AWS credentials of its own to walk; those that
    /// it has enter the reader role of each account, to read the documents that explain a refusal.
    Verifier(VerifierArgs),
    /// Walks the chain to clusters now, and tells which hop is broken and what to do.
    ///
    /// Uses your kubeconfig and your AWS credentials (those of an account, or that enter the reader roles), and changes nothing.
    /// What you may not look at is said so. The exit code is 0 when every hop holds, 1 when something is broken, 2 when
    /// something could not be looked at, and 3 when the walk could not begin (no kubeconfig, no such cluster).
    Doctor(DoctorArgs),
    /// Prints the manifests that would take over the clusters that an Argo CD was wired to by hand.
    ///
    /// Clusters whose ManagedCluster was lost, and whose cluster Secret is there still, are among them.
    /// It reads Argo CD's cluster Secrets with your kubeconfig, and looks the clusters, roles and access entries up with
    /// your AWS credentials (those of an account, or that enter the reader roles). It changes nothing, and prints no
    /// value of a credential. Each manifest has the plan that it leads to, what stands in its way, and the commands by
    /// which the owners of the things open them. Secrets that cannot be imported are told on standard error.
    Import(ImportArgs),
    /// Tells what would be written to AWS and Kubernetes, and writes nothing.
    ///
    /// Looks as the operator does and plans with the operator's own code, by your kubeconfig and your AWS credentials
    /// (those of an account, or that enter the reader roles). Policy documents are compared statement by statement;
    /// access and destinations of Applications that would be lost are told. A manifest is taken for the whole spec: a field that
    /// it leaves out has its default, also where kubectl apply would leave what somebody else has set. What never changes in an object is refused
    /// where a manifest changes it; the other rules of the CustomResourceDefinitions are checked by the API server when a
    /// manifest is applied. The exit code is 0 when there is nothing to do, 2 when
    /// there is something to do, 1 when something is refused, as a manifest with a field that does not exist, or could not
    /// be looked at, and 3 when the plan could not begin (no kubeconfig, no such cluster, no such file).
    Plan(PlanArgs),
    /// Takes the access to a cluster away now, and waits until it is seen to be gone.
    ///
    /// Uses your kubeconfig: it sets spec.mode of the ManagedCluster to Suspended, and the operator deletes the access entry.
    /// Then the chain is walked as `mooring doctor` does until the cluster refuses Argo CD's own token with 401, as far as you
    /// may request it. Other ManagedClusters of the same EKS cluster whose access is not taken away are named. The exit code is 0
    /// when that was seen and there is no such other, 1 when access stands or may stand, 2 when the entry is gone, or
    /// was never made, and nobody could see that the cluster refuses, and 3 when nothing was done (no kubeconfig, no such
    /// cluster, no right to set the mode).
    Revoke(RevokeArgs),
    /// Prints what the operator would make for manifests in files, as YAML.
    ///
    /// Reads neither a cluster nor AWS: it starts from nothing being there. For review in pull requests. The rules of the
    /// CustomResourceDefinitions are not checked here but by the API server, when the manifest is applied. The exit code is 1
    /// when a manifest has a kind or field that does not exist, asks for more than its ManagementRole allows, or names one
    /// that is in none of the files, and 3 when nothing was rendered (no such file, no hub account).
    Render(RenderArgs),
    /// Writes the IAM that must exist before the operator can work, for a ManagementRole in a file.
    ///
    /// That is the operator's own role, the provisioner role of each account and the permissions boundary of the
    /// management role. Nothing is written to AWS: a person reviews the documents and creates them, with the script
    /// that --output-dir writes beside them or from the JSON that is printed without it. The exit code is 1 when the
    /// ManagementRole is refused, and 3 when there is none to begin with, or a flag is missing or does not fit.
    Bootstrap(BootstrapArgs),
    /// Prints the two CustomResourceDefinitions as YAML, for `kubectl apply --server-side -f -`.
    Crd,
}

/// Flags of `mooring controller`.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub struct ControllerArgs {
    /// A namespace in which the operator may write Argo CD cluster Secrets.
    ///
    /// Repeat the flag, or separate by commas. A ManagementRole that names another namespace is refused. The operator's
    /// RBAC has to match: a Role that allows Secrets in each namespace given here, and nowhere else.
    #[arg(
        long = "argocd-namespace",
        value_name = "NAMESPACE",
        env = "MOORING_ARGOCD_NAMESPACES",
        default_value = "argocd",
        value_delimiter = ','
    )]
    pub argocd_namespaces: Vec<KubernetesName>,

    /// How long after a good pass every object is looked at again, as in 90s, 10m or 1h30m, at least 1s.
    ///
    /// AWS tells nobody of a change, so this is how long drift stays unseen. Each object and pass costs up to 6 reads of
    /// AWS. Up to a tenth is added at random, so that objects do not stay in step.
    #[arg(long, value_name = "DURATION", env = "MOORING_RESYNC_INTERVAL", default_value = "10m", value_parser = duration)]
    pub resync_interval: Duration,

    /// How many passes may work in one region of an AWS account at the same time, at least 1.
    ///
    /// Others wait in order of arrival. More makes large accounts quicker and IAM's throttling likelier. By region, since
    /// EKS is: where it does not answer in one, the account's clusters in the others are not held up.
    #[arg(long, value_name = "COUNT", env = "MOORING_PASSES_PER_ACCOUNT", default_value = "4")]
    pub passes_per_account: NonZeroUsize,

    /// How often a call to AWS is tried before the pass that made it ends, at least 1.
    ///
    /// Throttling, server errors and failing connections are tried again inside a call, with growing pauses, for up to 110s.
    /// Fewer attempts make such trouble stand in status sooner. The variable is the one that the AWS CLI and the SDKs read.
    #[arg(long, value_name = "COUNT", env = "AWS_MAX_ATTEMPTS", default_value = "15")]
    pub aws_attempts: NonZeroU32,

    /// How long one pass over one object may take, as in 90s or 2m, at least 1s.
    ///
    /// A pass that is not over by then stops before its next step, and the object is tried again.
    #[arg(long, value_name = "DURATION", env = "MOORING_PASS_DEADLINE", default_value = "3m", value_parser = duration)]
    pub pass_deadline: Duration,

    /// How far apart two looks must be that agree on something only a deletion heals, as in 30s, at least 1s.
    ///
    /// AWS shows changes late. A role or access entry is deleted to be made afresh only when it still looks wrong after
    /// this long.
    #[arg(long, value_name = "DURATION", env = "MOORING_CONFIRM_AFTER", default_value = "30s", value_parser = duration)]
    pub confirm_after: Duration,

    /// How many ManagedClusters may be removed within an hour; 0 for any number, at most 1000.
    ///
    /// When more removals than this were asked for within one hour, none of those that wait goes on until a person says
    /// that they are meant, by an annotation that the status of each names. It guards against a deletion in Git that
    /// nobody wanted.
    #[arg(long, value_name = "COUNT", env = "MOORING_REMOVALS_PER_HOUR", default_value = "5", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub removals_per_hour: u32,

    /// Writes nothing but the status of ManagedClusters and ManagementRoles, events and its own Lease: neither to AWS nor to Kubernetes.
    ///
    /// Everything is looked at as before, and the status tells what is not done, also of a removal, which waits. For an
    /// emergency in which nothing may move, and to see what a new release or a restored hub would do before it does it.
    #[arg(long, env = "MOORING_READ_ONLY")]
    pub read_only: bool,

    /// The address for /healthz, /readyz and /metrics.
    ///
    /// The default listens on every interface, which the kubelet's probes and Prometheus need in a pod; nothing secret is
    /// served there, but metrics name the operator's calls. Outside a pod give a loopback address: 127.0.0.1:8080, or
    /// 127.0.0.1:0 for a free port. The log names the address that was bound.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "MOORING_LISTEN",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,

    /// How log lines are written to standard error.
    #[arg(long, value_name = "FORMAT", env = "MOORING_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// What is logged: a level (error, warn, info, debug, trace), or a list as in info,mooring=debug.
    #[arg(long, value_name = "DIRECTIVES", env = "MOORING_LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// A PEM file with the certificate authorities to trust for AWS, in place of the system's own.
    ///
    /// For a company proxy that ends TLS. The variable is the one that the AWS CLI and the SDKs read.
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub ca_bundle: Option<PathBuf>,

    /// By which Lease replicas agree on the one that works.
    #[command(flatten)]
    pub lease: LeaseArgs,
}

/// Flags of `mooring verifier`.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub struct VerifierArgs {
    /// How long after a walk that found everything in order a cluster is walked again, as in 90s, 10m or 1h30m.
    ///
    /// Up to a tenth is added at random. What changes at a ManagedCluster or its ManagementRole is walked at once.
    #[arg(long, value_name = "DURATION", env = "MOORING_VERIFY_INTERVAL", default_value = "10m", value_parser = duration)]
    pub interval: Duration,

    /// How far apart two walks of the same cluster are at least, as in 30s, whatever changes, at least 1s.
    ///
    /// After a walk that found something broken the next comes after this long, and then ever later, up to the interval.
    #[arg(long, value_name = "DURATION", env = "MOORING_VERIFY_DISTANCE", default_value = "30s", value_parser = duration)]
    pub distance: Duration,

    /// How many clusters are walked at the same time, at least 1.
    #[arg(long, value_name = "COUNT", env = "MOORING_WALKS", default_value = "4")]
    pub walks: NonZeroUsize,

    /// The address for /healthz, /readyz and /metrics.
    ///
    /// The default listens on every interface, which the kubelet's probes and Prometheus need in a pod. Outside a pod give a
    /// loopback address: 127.0.0.1:8080, or 127.0.0.1:0 for a free port. The log names the address that was bound.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "MOORING_LISTEN",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,

    /// How log lines are written to standard error.
    #[arg(long, value_name = "FORMAT", env = "MOORING_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// What is logged: a level (error, warn, info, debug, trace), or a list as in info,mooring=debug.
    #[arg(long, value_name = "DIRECTIVES", env = "MOORING_LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// A PEM file with the certificate authorities to trust for AWS, in place of the system's own.
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub ca_bundle: Option<PathBuf>,

    /// By which Lease replicas agree on the one that works.
    #[command(flatten)]
    pub lease: LeaseArgs,
}

/// Flags of `mooring doctor`.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub struct DoctorArgs {
    /// The ManagedClusters to look at, by name; all of them when left out.
    #[arg(value_name = "CLUSTER")]
    pub clusters: Vec<String>,

    /// The form of what is printed to standard output.
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub output: DoctorOutput,

    /// A PEM file with the certificate authorities to trust for AWS, in place of the system's own.
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub ca_bundle: Option<PathBuf>,
}

/// Flags of `mooring revoke`.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub struct RevokeArgs {
    /// The ManagedCluster whose access is taken away, by name.
    #[arg(value_name = "CLUSTER")]
    pub cluster: String,

    /// The form of what is printed to standard output; progress goes to standard error.
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub output: DoctorOutput,

    /// How long to wait at most until the access is seen to be gone, as in 90s, 5m, at least 1s.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,

    /// A PEM file with the certificate authorities to trust for AWS, in place of the system's own.
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub ca_bundle: Option<PathBuf>,
}

/// Flags of `mooring render`.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub struct RenderArgs {
    /// A file with ManagedClusters and ManagementRoles as YAML or JSON, a directory of such, or - for standard input.
    ///
    /// Several files may follow, a file may hold several documents, and of a directory every .yaml, .yml and .json in it is
    /// read. Kinds of others are passed over.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<Source>,

    /// The AWS account of the EKS cluster that Argo CD runs on: 12 digits.
    ///
    /// The operator discovers it; offline it has to be said, except where identity.roleArn names it.
    #[arg(long, value_name = "ACCOUNT_ID")]
    pub hub_account: Option<AccountId>,

    /// The OIDC issuer of the EKS cluster that Argo CD runs on, as `aws eks describe-cluster` shows it.
    ///
    /// The operator discovers it; offline it is shown as unknown when left out.
    #[arg(long, value_name = "URL", value_parser = issuer)]
    pub hub_issuer: Option<String>,
}

/// Flags of `mooring bootstrap`.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub struct BootstrapArgs {
    /// The file with the ManagementRole as YAML or JSON, or - for standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: Source,

    /// The AWS account to write the documents for: 12 digits.
    ///
    /// Left out, it is every account that the ManagementRole's allow entries name, and the hub's own.
    #[arg(long, value_name = "ACCOUNT_ID")]
    pub account: Option<AccountId>,

    /// The AWS account of the EKS cluster that Argo CD runs on: 12 digits.
    ///
    /// Needed, except where identity.roleArn names it.
    #[arg(long, value_name = "ACCOUNT_ID")]
    pub hub_account: Option<AccountId>,

    /// The OIDC issuer of the EKS cluster that Argo CD runs on, as `aws eks describe-cluster` shows it.
    ///
    /// Needed for the operator to get its credentials by IRSA; left out, it gets them by EKS Pod Identity. The IAM OIDC
    /// provider of the issuer is then among the documents, since IAM takes no trust in one that is not there.
    #[arg(long, value_name = "URL", value_parser = issuer)]
    pub hub_issuer: Option<String>,

    /// The name of the operator's own IAM role in the hub's account.
    #[arg(long, value_name = "NAME", default_value = "mooring-operator")]
    pub operator_role: RoleName,

    /// The namespace that the operator runs in.
    #[arg(long, value_name = "NAMESPACE", default_value = "mooring-system")]
    pub operator_namespace: KubernetesName,

    /// The service account that the operator runs as.
    #[arg(long, value_name = "NAME", default_value = "mooring-controller")]
    pub operator_service_account: KubernetesName,

    /// The name of the verifier's own IAM role in the hub's account.
    #[arg(long, value_name = "NAME", default_value = "mooring-verifier")]
    pub verifier_role: RoleName,

    /// The service account that the verifier runs as, in the operator's namespace.
    #[arg(long, value_name = "NAME", default_value = "mooring-verifier")]
    pub verifier_service_account: KubernetesName,

    /// The ARN of a role that may look into the accounts by their reader roles besides the verifier, as people do with
    /// `mooring doctor`; may be repeated.
    #[arg(long = "reader", value_name = "ARN")]
    pub readers: Vec<RoleArn>,

    /// The ARN of a policy that deployer roles may bear as their permissions boundary besides AWSDenyAll; may be repeated.
    #[arg(long = "deployer-boundary", value_name = "ARN")]
    pub deployer_boundaries: Vec<PolicyArn>,

    /// The directory to write one file a document into, and a script apply.sh for each account.
    ///
    /// Left out, all documents are printed to standard output as one JSON object.
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
}

/// Where manifests are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input, written `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" {
            Self::Stdin
        } else {
            Self::File(text.into())
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// What the controller is told to do. Everything is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerSettings {
    /// The namespaces in which cluster Secrets may be written; at least one.
    pub argocd_namespaces: BTreeSet<KubernetesName>,
    /// The operator's own namespace.
    pub namespace: KubernetesName,
    /// How long after a good pass an object is looked at again; at least 1 s.
    pub resync_interval: Duration,
    /// How many passes may work in one account at the same time.
    pub passes_per_account: NonZeroUsize,
    /// Attempts of one call to AWS, the first included.
    pub aws_attempts: NonZeroU32,
    /// How long one pass may take; at least 1 s.
    pub pass_deadline: Duration,
    /// How far apart two looks must be that agree on a deletion; at least 1 s.
    pub confirm_after: Duration,
    /// How many removals may be asked for within an hour before all of them wait for a person; 0 for any number.
    pub removals_per_hour: u32,
    /// Whether nothing but status and events is written.
    pub read_only: bool,
    /// The address of the probes and metrics.
    pub listen: SocketAddr,
    /// How log lines are written.
    pub log_format: Format,
    /// What is logged.
    pub log_level: String,
    /// The certificate authorities to trust for AWS, in place of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// By which Lease replicas agree on the one that works; none when there is no election.
    pub lease: Option<LeaseSettings>,
}

impl From<ControllerArgs> for ControllerSettings {
    fn from(args: ControllerArgs) -> Self {
        let ControllerArgs {
            argocd_namespaces,
            resync_interval,
            passes_per_account,
            aws_attempts,
            pass_deadline,
            confirm_after,
            removals_per_hour,
            read_only,
            listen,
            log_format,
            log_level,
            ca_bundle,
            lease,
        } = args;
        Self {
            argocd_namespaces: argocd_namespaces.into_iter().collect(),
            namespace: lease.lease_namespace.clone(),
            resync_interval,
            passes_per_account,
            aws_attempts,
            pass_deadline,
            confirm_after,
            removals_per_hour,
            read_only,
            listen,
            log_format: log_format.into(),
            log_level,
            ca_bundle: given(ca_bundle),
            lease: lease.settings(lease::CONTROLLER),
        }
    }
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Text => Self::Text,
        }
    }
}

/// An empty variable is how Kubernetes manifests say "not set".
#[must_use]
pub fn given(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    /// Parses without the environment of whoever runs the test.
    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        Cli::from_arg_matches(&without_environment().try_get_matches_from(["mooring"].iter().chain(args))?)
    }

    fn controller(args: &[&str]) -> Result<ControllerSettings, clap::Error> {
        let args: Vec<_> = ["controller"].iter().chain(args).copied().collect();
        match parse(&args)?.command {
            Command::Controller(args) => Ok(args.into()),
            other @ (Command::Verifier(_)
            | Command::Doctor(_)
            | Command::Import(_)
            | Command::Plan(_)
            | Command::Revoke(_)
            | Command::Render(_)
            | Command::Bootstrap(_)
            | Command::Crd) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plan_is_of_files_or_of_all() {
        for wrong in [
            &["plan"][..],
            &["plan", "-o", "json"],
            &["plan", "-f"],
            &["plan", "--all", "x"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        for right in [
            &["plan", "--all"][..],
            &["plan", "-f", "a.yaml", "b.yaml"],
            &["plan", "-f", "-", "--all", "-o", "json"],
            &["plan", "--removal", "prod", "--removals-per-hour", "0"],
        ] {
            assert!(matches!(parse(right).unwrap().command, Command::Plan(_)), "{right:?}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_is_explained_in_a_sentence() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            assert!(
                command.get_about().is_some_and(|about| about.to_string().len() > 20),
                "{command}"
            );
            for flag in command.get_arguments() {
                let help = flag.get_long_help().or_else(|| flag.get_help());
                let help = help.map(ToString::to_string).unwrap_or_default();
                assert!(help.len() > 30, "{command} {flag}: {help:?}");
            }
        }
    }

    #[test]
    fn variables_are_ours_or_those_that_every_aws_tool_reads() {
        let cli = Cli::command();
        let variables = cli
            .get_subcommands()
            .flat_map(clap::Command::get_arguments)
            .filter_map(clap::Arg::get_env);
        let mut count = 0;
        for variable in variables {
            let variable = variable.to_str().unwrap();
            assert!(
                variable.starts_with("MOORING_") || ["AWS_CA_BUNDLE", "AWS_MAX_ATTEMPTS"].contains(&variable),
                "{variable}"
            );
            count += 1;
        }
        // Twelve of the controller's flags, seven of the verifier's, five of the lease of each, and the one of doctor, of
        // revoke, of plan and of import that is not of the moment.
        assert_eq!(count, 12 + 7 + 2 * 5 + 4, "every flag of a process has its variable");
    }

    #[test]
    fn the_controller_runs_without_flags() {
        assert_eq!(
            controller(&[]).unwrap(),
            ControllerSettings {
                argocd_namespaces: BTreeSet::from(["argocd".parse().unwrap()]),
                namespace: "mooring-system".parse().unwrap(),
                resync_interval: Duration::from_mins(10),
                passes_per_account: NonZeroUsize::new(4).unwrap(),
                aws_attempts: NonZeroU32::new(15).unwrap(),
                pass_deadline: Duration::from_mins(3),
                confirm_after: Duration::from_secs(30),
                removals_per_hour: 5,
                read_only: false,
                listen: "0.0.0.0:8080".parse().unwrap(),
                log_format: Format::Json,
                log_level: "info".to_owned(),
                ca_bundle: None,
                lease: Some(LeaseSettings {
                    name: "mooring-controller".to_owned(),
                    namespace: "mooring-system".to_owned(),
                    duration: Duration::from_secs(15),
                    identity: None,
                }),
            }
        );
    }

    #[test]
    fn flags_replace_the_defaults() {
        let settings = controller(&[
            "--argocd-namespace=argocd,team-a",
            "--argocd-namespace=team-b",
            "--resync-interval=1h30m",
            "--listen=127.0.0.1:0",
            "--log-format=text",
            "--ca-bundle=",
            "--read-only",
        ])
        .unwrap();
        let namespaces: Vec<_> = settings.argocd_namespaces.iter().map(KubernetesName::as_str).collect();
        assert_eq!(namespaces, ["argocd", "team-a", "team-b"]);
        assert_eq!(settings.resync_interval, Duration::from_mins(90));
        assert_eq!(settings.listen.ip().to_string(), "127.0.0.1");
        assert_eq!(settings.log_format, Format::Text);
        assert_eq!(settings.ca_bundle, None);
        assert!(settings.read_only);
    }

    #[test]
    fn values_that_cannot_be_meant_are_refused() {
        for wrong in [
            "--passes-per-account=0",
            "--aws-attempts=0",
            "--removals-per-hour=1001",
            "--removals-per-hour=-1",
            "--resync-interval=0s",
            "--argocd-namespace=",
            "--argocd-namespace=Argo_CD",
            "--listen=8080",
            "--log-format=xml",
        ] {
            assert!(controller(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, seconds) in [
            ("90s", 90),
            ("10m", 600),
            ("1h", 3600),
            ("1h30m", 5400),
            ("1h0m5s", 3605),
        ] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for text in [
            "",
            "10",
            "0s",
            "m",
            "-1s",
            "+1s",
            "1.5h",
            "10 m",
            "30m1h",
            "1m1m",
            "500ms",
            "9999999h",
            "99999999999999999999s",
        ] {
            assert!(duration(text).unwrap_err().contains("10m"), "{text}");
        }
    }

    #[test]
    fn render_takes_many_files_and_standard_input() {
        let cli = parse(&[
            "render",
            "-f",
            "a.yaml",
            "b.yaml",
            "-f",
            "-",
            "--hub-account",
            "111111111111",
        ])
        .unwrap();
        assert_eq!(
            cli.command,
            Command::Render(RenderArgs {
                files: vec![
                    Source::File("a.yaml".into()),
                    Source::File("b.yaml".into()),
                    Source::Stdin
                ],
                hub_account: Some("111111111111".parse().unwrap()),
                hub_issuer: None,
            })
        );
        assert!(parse(&["render"]).is_err(), "a file is required");
        assert!(parse(&["render", "-f", "-", "--hub-account", "1111"]).is_err());
        assert!(parse(&["render", "-f", "-", "--hub-issuer", "http://issuer"]).is_err());
    }

    #[test]
    fn bootstrap_has_the_names_of_the_chart_as_defaults() {
        let boundary = "arn:aws:iam::aws:policy/AWSDenyAll";
        let cli = parse(&["bootstrap", "-f", "role.yaml", "--deployer-boundary", boundary]).unwrap();
        assert_eq!(
            cli.command,
            Command::Bootstrap(BootstrapArgs {
                file: Source::File("role.yaml".into()),
                account: None,
                hub_account: None,
                hub_issuer: None,
                operator_role: "mooring-operator".parse().unwrap(),
                operator_namespace: "mooring-system".parse().unwrap(),
                operator_service_account: "mooring-controller".parse().unwrap(),
                verifier_role: "mooring-verifier".parse().unwrap(),
                verifier_service_account: "mooring-verifier".parse().unwrap(),
                readers: vec![],
                deployer_boundaries: vec![boundary.parse().unwrap()],
                output_dir: None,
            })
        );
    }

    #[test]
    fn the_verifier_runs_without_flags_and_the_doctor_takes_names() {
        let Command::Verifier(verifier) = parse(&["verifier"]).unwrap().command else {
            panic!("no verifier")
        };
        assert_eq!(
            verifier
                .lease
                .clone()
                .settings("mooring-verifier")
                .map(|lease| lease.name),
            Some("mooring-verifier".to_owned())
        );
        assert_eq!(
            (verifier.interval, verifier.distance),
            (Duration::from_mins(10), Duration::from_secs(30))
        );
        assert_eq!(verifier.walks.get(), 4);
        assert!(parse(&["verifier", "--walks=0"]).is_err());
        assert_eq!(
            parse(&["doctor", "prod-eu", "tools", "-o", "json"]).unwrap().command,
            Command::Doctor(DoctorArgs {
                clusters: vec!["prod-eu".into(), "tools".into()],
                output: DoctorOutput::Json,
                ca_bundle: None,
            })
        );
        assert!(parse(&["doctor", "-o", "yaml"]).is_err());
    }

    #[test]
    fn crd_needs_nothing() {
        assert_eq!(parse(&["crd"]).unwrap().command, Command::Crd);
    }
}
