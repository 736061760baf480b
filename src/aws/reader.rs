//! Reads what explains a refusal, with whatever credentials the process has: each read is seen, absent, or says why it
//! could not be looked at. Nothing here is needed to walk, and nothing is ever written.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use futures::future::join_all;

use super::{
    calls::Call,
    connect::{self, ConnectError, Settings},
    eks,
    error::{AwsError, ErrorKind},
    hint::{not_entered, unseen},
    iam,
    session::{Account, Aws, Door},
    sts::Caller,
};
use crate::{
    domain::{
        arn::{ClusterArn, OidcProviderArn, PolicyArn, RoleArn},
        eks::AuthenticationMode,
        name::{AccountId, Partition, Region, RoleName},
        ownership::Tags,
    },
    policy::{ActionGrant, Document, session},
};

/// What a look brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look<T> {
    /// It is there.
    Seen(T),
    /// It is not there.
    Absent,
    /// It could not be looked at, and why.
    Unseen(String),
}

/// A role and what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDocuments {
    /// Its unique ID.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: Option<i64>,
    /// Its trust policy.
    pub trust: String,
    /// Its inline and attached policies; absent when nobody asked for them.
    pub policies: Look<Vec<String>>,
    /// Its permissions boundary; absent when it has none.
    pub boundary: Look<String>,
}

/// A cluster, as far as it explains what a client meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokeCluster {
    /// How it authenticates IAM principals.
    pub authentication_mode: AuthenticationMode,
    /// Whether its endpoint is public.
    pub public: bool,
    /// The networks that its public endpoint is held to.
    pub public_cidrs: Vec<String>,
    /// Its endpoint; `None` while it has none.
    pub endpoint: Option<String>,
    /// Its certificate authority in base64; `None` while it has none.
    pub certificate_authority: Option<String>,
}

/// An access entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokeEntry {
    /// Its tags.
    pub tags: Tags,
    /// When it was made, in seconds since 1970.
    pub created: Option<i64>,
}

/// How long it is remembered who we are, or that we are nobody: asking a machine without credentials takes seconds.
const REMEMBERED: Duration = Duration::from_mins(1);

/// `AWSDenyAll`: AWS's own, and known without being read.
const DENY_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// By which role accounts are entered to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBy {
    /// The region by whose STS accounts are entered: the hub's.
    pub region: Region,
    /// The name of the reader role in every account, at the root path.
    pub role: RoleName,
    /// The external ID that it asks for.
    pub external_id: Option<String>,
}

/// Reads by the reader role of each account, and where that does not let these credentials in, with the credentials
/// themselves, in their own account.
pub struct Reader {
    config: SdkConfig,
    settings: Settings,
    regions: Mutex<HashMap<Region, Aws>>,
    caller: Mutex<Option<(Instant, Result<Caller, String>)>>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Loads endpoints, trust and credentials as the aws CLI does. Nothing is called yet.
    ///
    /// # Errors
    /// When the CA bundle cannot be used.
    pub async fn connect(settings: Settings) -> Result<Self, ConnectError> {
        let config = connect::load_anywhere(&settings).await?;
        Ok(Self::over(config, settings))
    }

    /// The same over a configuration that is already there.
    pub(super) fn over(config: SdkConfig, settings: Settings) -> Self {
        Self {
            config,
            settings,
            regions: Mutex::default(),
            caller: Mutex::default(),
        }
    }

    /// A role with its trust policy, and with its own policies and boundary where `deep`. A role of that name under
    /// another path is not this one.
    pub async fn role(&self, by: &ReadBy, role: &RoleArn, deep: bool) -> Look<RoleDocuments> {
        let account = match self.account(by, &role.account, role.partition, &by.region).await {
            Ok(account) => account,
            Err(why) => return Look::Unseen(why),
        };
        let request = account.iam.get_role().role_name(role.name.as_str());
        let answer = account
            .call(Call::GetRole, &account.role_arn(&role.name), request.send())
            .await;
        let from = match iam::absent(answer) {
            Ok(answer) => answer.and_then(|answer| answer.role),
            Err(error) => return Look::Unseen(unseen(&error)),
        };
        let Some(from) = from else { return Look::Absent };
        let found = iam::role(from);
        if found.arn != role.to_string() {
            return Look::Absent;
        }
        let (policies, boundary) = if deep {
            let boundary = async {
                match &found.boundary {
                    Some(arn) => look(policy(&account, arn).await),
                    None => Look::Absent,
                }
            };
            Box::pin(futures::future::join(policies(&account, &role.name), boundary)).await
        } else {
            (Look::Absent, Look::Absent)
        };
        Look::Seen(RoleDocuments {
            id: found.id,
            created: found.created,
            trust: found.trust,
            policies,
            boundary,
        })
    }

    /// The audiences of an OIDC provider.
    pub async fn provider(&self, by: &ReadBy, provider: &OidcProviderArn) -> Look<Vec<String>> {
        match self
            .account(by, &provider.account, provider.partition, &by.region)
            .await
        {
            Ok(account) => {
                let found = account.oidc_provider(provider).await;
                look(found.map(|found| found.map(|provider| provider.client_ids.into_iter().collect())))
            }
            Err(why) => Look::Unseen(why),
        }
    }

    /// A cluster.
    pub async fn cluster(&self, by: &ReadBy, cluster: &ClusterArn) -> Look<SpokeCluster> {
        let partition = cluster.region.partition();
        let account = match self.account(by, &cluster.account, partition, &cluster.region).await {
            Ok(account) => account,
            Err(why) => return Look::Unseen(why),
        };
        let request = account.eks.describe_cluster().name(cluster.name.as_str());
        let answer = account
            .call(Call::DescribeCluster, &cluster.to_string(), request.send())
            .await;
        look(eks::absent(answer).map(|answer| {
            answer.and_then(|answer| answer.cluster).map(|from| {
                let network = from.resources_vpc_config.as_ref();
                let public_cidrs = network
                    .map(|network| network.public_access_cidrs().to_vec())
                    .unwrap_or_default();
                let cluster = eks::cluster(from);
                SpokeCluster {
                    public_cidrs,
                    public: cluster.public_endpoint,
                    authentication_mode: cluster.authentication_mode,
                    endpoint: cluster.endpoint,
                    certificate_authority: cluster.certificate_authority,
                }
            })
        }))
    }

    /// The access entry of a role on a cluster.
    pub async fn entry(&self, by: &ReadBy, cluster: &ClusterArn, principal: &RoleArn) -> Look<SpokeEntry> {
        let partition = cluster.region.partition();
        let account = match self.account(by, &cluster.account, partition, &cluster.region).await {
            Ok(account) => account,
            Err(why) => return Look::Unseen(why),
        };
        let request = account
            .eks
            .describe_access_entry()
            .cluster_name(cluster.name.as_str())
            .principal_arn(principal.to_string());
        let resource = account.entry_of(&cluster.name, principal);
        let answer = account.call(Call::DescribeAccessEntry, &resource, request.send()).await;
        look(eks::absent(answer).map(|answer| {
            let found = answer.and_then(|answer| answer.access_entry).map(eks::access_entry);
            found.map(|entry| SpokeEntry {
                created: entry.created,
                tags: entry.tags,
            })
        }))
    }

    /// An account to read in, for whoever makes the operator's own looks. Its session may look and nothing else; where
    /// the reader role does not let these credentials in and they are of the account itself, it is they that look.
    ///
    /// # Errors
    /// Why the account cannot be entered, in words.
    pub async fn enter(&self, by: &ReadBy, id: &AccountId, region: &Region) -> Result<Account, String> {
        self.account(by, id, region.partition(), region).await
    }

    /// The account that the credentials here are of.
    ///
    /// # Errors
    /// Why that is not known, in words.
    pub async fn own_account(&self, by: &ReadBy) -> Result<AccountId, String> {
        let aws = self.aws(&by.region);
        Ok(self.caller(&aws).await?.account)
    }

    /// An account to read in.
    async fn account(
        &self,
        by: &ReadBy,
        id: &AccountId,
        partition: Partition,
        region: &Region,
    ) -> Result<Account, String> {
        let aws = self.aws(&by.region);
        let door = Door {
            provisioner: RoleArn {
                partition,
                account: id.clone(),
                path: "/".to_owned(),
                name: by.role.clone(),
            },
            external_id: by.external_id.clone(),
            region: region.clone(),
            session_name: "mooring-verify-reader".to_owned(),
            session_policy: reading(),
            object: "reader".to_owned(),
        };
        // Without credentials nothing can be entered, and to find that out again would take seconds.
        let caller = self.caller(&aws).await?;
        match aws.enter(&door).await {
            Ok(account) => Ok(account),
            Err(_) if caller.account == *id => Ok(aws.own(&caller, region)),
            Err(error) => Err(not_entered(&error, &caller.account, id, &by.role)),
        }
    }

    async fn caller(&self, aws: &Aws) -> Result<Caller, String> {
        let known = self.caller.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, known)) = known.filter(|(asked, _)| asked.elapsed() < REMEMBERED) {
            return known;
        }
        let asked = aws.caller().await.map_err(|error| {
            if error.kind == ErrorKind::CredentialsUnavailable {
                "there are no AWS credentials here that AWS takes".to_owned()
            } else {
                unseen(&error)
            }
        });
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), asked.clone()));
        asked
    }

    fn aws(&self, region: &Region) -> Aws {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let made = regions.entry(region.clone()).or_insert_with(|| {
            let sdk_region = aws_config::Region::new(region.as_str().to_owned());
            let config = self.config.clone().into_builder().region(sdk_region).build();
            Aws::over(&config, &self.settings)
        });
        made.clone()
    }
}

/// What a session of the reader role is cut down to.
fn reading() -> Document {
    session(&[ActionGrant {
        sid: "Look",
        actions: vec!["iam:Get*", "iam:List*", "eks:Describe*", "eks:List*"],
        resources: vec!["*".to_owned()],
    }])
}

fn look<T>(found: Result<Option<T>, AwsError>) -> Look<T> {
    match found {
        Ok(Some(found)) => Look::Seen(found),
        Ok(None) => Look::Absent,
        Err(error) => Look::Unseen(unseen(&error)),
    }
}

/// The texts of all policies of a role.
async fn policies(account: &Account, role: &RoleName) -> Look<Vec<String>> {
    let names = match account.role_policies(role).await {
        Ok(names) => names,
        Err(error) => return Look::Unseen(unseen(&error)),
    };
    let inline = join_all(names.inline.iter().map(|name| account.role_policy(role, name)));
    let attached = join_all(names.attached.iter().map(|arn| policy(account, arn)));
    let (inline, attached) = Box::pin(futures::future::join(inline, attached)).await;
    let mut texts = Vec::new();
    for found in inline.into_iter().chain(attached) {
        match found {
            Ok(text) => texts.extend(text),
            Err(error) => return Look::Unseen(unseen(&error)),
        }
    }
    Look::Seen(texts)
}

/// The text of a managed policy, as it is in force.
async fn policy(account: &Account, arn: &str) -> Result<Option<String>, AwsError> {
    let denies_all = |arn: &PolicyArn| *arn == PolicyArn::deny_all(arn.partition);
    if arn.parse::<PolicyArn>().is_ok_and(|arn| denies_all(&arn)) {
        return Ok(Some(DENY_ALL.to_owned()));
    }
    let request = account.iam.get_policy().policy_arn(arn);
    let answer = iam::absent(account.call(Call::GetPolicy, arn, request.send()).await)?;
    let Some(version) = answer.and_then(|answer| answer.policy?.default_version_id) else {
        return Ok(None);
    };
    let request = account.iam.get_policy_version().policy_arn(arn).version_id(version);
    let answer = iam::absent(account.call(Call::GetPolicyVersion, arn, request.send()).await)?;
    Ok(answer
        .and_then(|answer| answer.policy_version?.document)
        .map(|document| iam::decoded(&document)))
}
