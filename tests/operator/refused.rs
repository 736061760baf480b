//! Everybody who is not Argo CD, and every way in that is not the one that Mooring made: each is refused, at the hop
//! that should refuse it, and for whoever comes that way by mistake the doctor has the reason.
//!
//! A row is one way. Who refuses it is real: the hub's API server, the fake STS with the trust policies that the operator
//! wrote, or the spoke's API server with the fake EKS behind it. Where it is a state of the world that Argo CD itself
//! would run into, `mooring doctor` is run; of an impostor, who changes nothing for Argo CD, the judge is asked what the
//! doctor would say if Argo CD came so, and then the true chain is seen to hold.

mod bearer;
mod judged;
mod roles;
mod states;
mod tokens;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{ListParams, ObjectMeta, PostParams},
};
use mooring::access::{Hop, Reason};
use mooring_sandbox::{
    aws::{
        Credentials,
        contract::{ApiError, Service::Sts},
    },
    stage::{Destination, Signal},
};
use serde_json::json;

use crate::{
    connected::Hands,
    support::{HUB_ACCOUNT, NAMESPACE, Setting, World, secrets::tells_no_token, verifier::SERVICE_ACCOUNTS},
};

const SPOKE: &str = "prod-eu";
/// Another cluster, in another account, moored too.
const TOOLS: &str = "tools";
const SERVICE_ACCOUNT: &str = SERVICE_ACCOUNTS[0];

/// Fewer would be a table that somebody cut down.
const FEWEST: usize = 25;

/// Where somebody was refused, and in which words.
struct Met {
    hop: Hop,
    said: String,
}

impl Met {
    fn aws(hop: Hop, error: &ApiError) -> Self {
        Self {
            hop,
            said: format!("{}: {}", error.code, error.message),
        }
    }
}

/// Who has the reason.
enum Told {
    /// `mooring doctor` said it, in this world.
    Doctor(Reason),
    /// The judge says it, given the refusal in its own words and the documents as they are.
    Judge(Reason),
    /// Nobody but the impostor sees it: Argo CD's own way does not lead there.
    Nobody,
}

struct Row {
    name: &'static str,
    met: Met,
    told: Told,
}

struct Scene {
    world: World,
    rows: Vec<Row>,
}

impl Scene {
    async fn set() -> Self {
        let mut setting = Setting::of(&["222222222222/eu-central-1/prod-eu", "333333333333/eu-west-1/tools"]);
        // The hub is reached through AWS too, and `tools` is in AWS only.
        setting.fleet.hub.server = true;
        setting.fleet.spokes[0].server = true;
        // What is changed by hand stays so.
        setting.management["spec"]["bindServiceAccounts"] = json!(false);
        let world = World::ready(setting).await;
        world.with_verifier().await;
        for name in [SPOKE, TOOLS] {
            world.moored(name).await;
        }
        world.end_operator(Signal::Terminate).await;
        Self {
            world,
            rows: Vec::new(),
        }
    }

    fn hands(&self) -> Hands<'_> {
        Hands(&self.world)
    }

    /// One way more: refused at `hop`, in words that have `said` in them.
    fn row(&mut self, name: &'static str, met: Met, hop: Hop, said: &str, told: Told) {
        assert_eq!(met.hop, hop, "{name}: {}", met.said);
        assert!(met.said.contains(said), "{name}: {said:?} is not in {:?}", met.said);
        tells_no_token(&met.said);
        self.rows.push(Row { name, met, told });
    }

    /// One that the judge is asked about. It tells the reason at the hop that refused.
    fn judged(
        &mut self,
        name: &'static str,
        met: Met,
        (hop, said, reason): (Hop, &str, Reason),
        judged: (Hop, Reason),
    ) {
        assert_eq!(judged, (hop, reason), "{name}: {}", met.said);
        self.row(name, met, hop, said, Told::Judge(reason));
    }

    /// One that Argo CD itself would run into: the doctor is run, and tells that hop with that reason and no other.
    async fn doctored(&mut self, name: &'static str, met: Met, (hop, said, reason): (Hop, &str, Reason)) {
        self.hands().says(&format!("{hop:?}"), reason.as_str()).await;
        self.row(name, met, hop, said, Told::Doctor(reason));
    }

    /// The management role's ARN.
    fn management(&self) -> String {
        self.world.hub().management_role_arn(None).to_string()
    }

    /// The management role, by the token of Argo CD's own service account.
    async fn pod(&self) -> Result<Credentials, Met> {
        let role = self.management();
        let pod = self.world.stage.pod(NAMESPACE, SERVICE_ACCOUNT, &role).await;
        pod.map_err(|error| Met::aws(Hop::ManagementRole, &error))
    }

    /// A role, asked for by somebody.
    fn assume(&self, by: &Credentials, role: &str) -> Result<Credentials, Met> {
        let session = format!("argocd-{:08x}", fastrand::u32(..));
        let input = json!({"RoleArn": role, "RoleSessionName": session});
        let answer = self.world.stage.aws.call(by, Sts, "AssumeRole", input);
        let answer = answer.map_err(|error| Met::aws(Hop::DeployerRole, &error))?;
        Ok(Credentials::of_answer(&answer).unwrap())
    }

    /// A session of a role, however it was come by.
    fn session(&self, role: &str) -> Credentials {
        let name = format!("argocd-{:08x}", fastrand::u32(..));
        self.world.stage.aws.session(role, &name, &[]).unwrap()
    }

    fn deployer(&self, cluster: &str) -> String {
        self.world.deployer(cluster).to_string()
    }

    /// Argo CD's own way, all of it: the client that it has in the end.
    async fn argo_cd(&self) -> Result<Client, Met> {
        let pod = self.pod().await?;
        // What the Secret names is what Argo CD asks for.
        self.assume(&pod, &self.deployer(SPOKE))?;
        let destination = Destination::of(&self.world.secret(SPOKE).await.unwrap()).unwrap();
        Ok(destination.client(&self.world.stage, &pod).unwrap())
    }

    /// What Argo CD meets that way, doing this in a namespace.
    async fn meets(&self, act: Act, namespace: &str) -> Result<(), Met> {
        let client = self.argo_cd().await?;
        self.does(client, act, namespace).await
    }

    /// What somebody meets at an API server, doing this in a namespace.
    async fn does(&self, client: Client, act: Act, namespace: &str) -> Result<(), Met> {
        let api: Api<ConfigMap> = Api::namespaced(client, namespace);
        let done = match act {
            Act::List => api.list(&ListParams::default()).await.map(|_| ()),
            Act::Create => {
                let object = ConfigMap {
                    metadata: ObjectMeta {
                        name: Some(format!("made-{:08x}", fastrand::u32(..))),
                        ..ObjectMeta::default()
                    },
                    ..ConfigMap::default()
                };
                api.create(&PostParams::default(), &object).await.map(|_| ())
            }
        };
        done.map_err(|error| self.at_server(&error))
    }

    /// What an API server refused. Of a 401 only the cluster's authenticator knows why.
    fn at_server(&self, error: &kube::Error) -> Met {
        match error {
            kube::Error::Api(status) if status.code == 401 => {
                let why = self.world.stage.aws.token_reviews().last_refusal().expect("a refusal");
                Met {
                    hop: Hop::Authentication,
                    said: format!("401: {why}"),
                }
            }
            kube::Error::Api(status) => Met {
                hop: Hop::Authorization,
                said: format!("{}: {}", status.code, status.message),
            },
            other => panic!("{other}"),
        }
    }

    /// Argo CD deploys, and the doctor says that it can.
    async fn chain_holds(&self, after: &str) {
        if let Err(met) = self.meets(Act::Create, "default").await {
            panic!("after {after}, at {}: {}", met.hop, met.said);
        }
        self.hands().holds().await;
    }

    fn tell(&self) {
        for Row { name, met, told } in &self.rows {
            let reason = match told {
                Told::Doctor(reason) => format!("{reason} (doctor)"),
                Told::Judge(reason) => reason.to_string(),
                Told::Nobody => "-".to_owned(),
            };
            println!("{name:<72} {:<16} {reason:<38} {:.100}", met.hop.title(), met.said);
        }
        println!("{} ways to be somebody else, each refused", self.rows.len());
    }
}

#[derive(Clone, Copy)]
enum Act {
    List,
    Create,
}

/// Service accounts that are not Argo CD's, on the hub; and one that is called as Argo CD's, on the spoke.
async fn strangers(world: &World) {
    let account = |namespace: &str, name: &str| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}});
    world.apply(&account(NAMESPACE, "other")).await;
    world.apply(&account("default", SERVICE_ACCOUNT)).await;
    let spoke = world.stage.server(SPOKE).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    for object in [namespace, account(NAMESPACE, SERVICE_ACCOUNT)] {
        spoke.apply_yaml(&object.to_string()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_argo_cd_is_refused_at_the_hop_that_should_refuse_it() {
    let mut scene = Scene::set().await;
    strangers(&scene.world).await;
    scene.chain_holds("the set-up").await;

    tokens::for_argo_cd(&mut scene).await;
    tokens::exchanged(&mut scene).await;
    roles::asked_for(&mut scene).await;
    bearer::malformed(&mut scene).await;
    bearer::of_others(&mut scene).await;
    bearer::in_another_partition(&mut scene).await;
    scene.chain_holds("every impostor").await;

    states::of_the_policies(&mut scene).await;
    states::of_the_trust(&mut scene).await;
    states::of_the_management_role(&mut scene).await;
    states::of_the_entry(&mut scene).await;
    states::of_the_deployer_role(&mut scene).await;
    // Nothing is young again after these.
    states::of_time(&mut scene).await;

    scene.tell();
    tells_no_token(&scene.world.log());
    let names: std::collections::BTreeSet<_> = scene.rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), scene.rows.len(), "a name is there twice");
    assert!(names.len() >= FEWEST, "{} ways", names.len());
}
