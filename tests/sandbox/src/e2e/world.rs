//! Everything that runs, looked at together.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::{
    Api, Client,
    api::{DynamicObject, GroupVersionKind, ListParams},
    core::ApiResource,
};
use serde_json::Value;

use super::{
    argocd::{ArgoCd, NAMESPACE},
    repository::Repository,
    sight::{Application, Sight, redacted},
};
use crate::{
    demo::tell::Teller,
    stage::{Operator, Stage, StageError},
};

/// How long anything may take. On a quiet machine the longest of them takes 15 s.
const PATIENCE: Duration = Duration::from_mins(3);

/// How many of a log's last lines are shown.
const LAST_WORDS: usize = 15;

/// Everything that runs. What uses another ends before it.
pub(super) struct World<'a> {
    pub(super) argocd: ArgoCd,
    pub(super) operator: Operator,
    pub(super) stage: Stage,
    pub(super) repository: Repository,
    pub(super) teller: &'a Teller,
    client: Client,
    told: Mutex<BTreeMap<String, String>>,
}

impl<'a> World<'a> {
    pub(super) fn new(
        argocd: ArgoCd,
        operator: Operator,
        stage: Stage,
        repository: Repository,
        teller: &'a Teller,
    ) -> Result<Self, StageError> {
        let client = stage.client()?;
        Ok(Self {
            argocd,
            operator,
            stage,
            repository,
            teller,
            client,
            told: Mutex::default(),
        })
    }

    /// Looks once, and tells what has changed since the last look.
    ///
    /// # Errors
    /// When the hub does not answer, or one of the processes has ended.
    pub(super) async fn look(&self) -> Result<Sight, StageError> {
        if let Some(ended) = self.argocd.ended() {
            return Err(StageError::new(ended));
        }
        if let Some(code) = self.operator.exited() {
            return Err(StageError::new(format!("the operator ended with exit code {code}")));
        }
        let mut mooring = Vec::new();
        for kind in ["ManagementRole", "ManagedCluster"] {
            let api = self.stage.mooring(kind)?;
            mooring.extend(values(api, kind).await?);
        }
        let kind = "Application";
        let applications = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind));
        let applications = Api::namespaced_with(self.client.clone(), NAMESPACE, &applications);
        let applications = values(applications, kind).await?;
        let sight = Sight {
            applications: applications.iter().map(Application::of).collect(),
            mooring,
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (about, words) in sight.lines() {
            if told.get(&about) != Some(&words) {
                self.teller.say(&format!("{about}: {words}"));
                told.insert(about, words);
            }
        }
        Ok(sight)
    }

    /// Looks until it is so, and tells of every change meanwhile.
    ///
    /// # Errors
    /// When it is not so within three minutes, with what was seen last.
    pub(super) async fn until(
        &self,
        what: &str,
        mut holds: impl AsyncFnMut(&Sight) -> Result<bool, StageError>,
    ) -> Result<Sight, StageError> {
        let started = Instant::now();
        loop {
            let sight = self.look().await?;
            if holds(&sight).await? {
                return Ok(sight);
            }
            if started.elapsed() > PATIENCE {
                return Err(StageError::new(format!("not within {} s: {what}", PATIENCE.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Tells the ends of all logs.
    pub(super) fn last_words(&self) {
        for (who, log) in self.argocd.logs().unwrap_or_default() {
            last_words(self.teller, who, &log);
        }
        last_words(self.teller, "operator", &self.operator.log_text());
    }
}

/// Tells the end of a log, as far as it is fit to be shown.
pub(super) fn last_words(teller: &Teller, who: &str, log: &str) {
    teller.say(&format!("last words of {who}:"));
    let lines: Vec<&str> = log.lines().collect();
    for line in &lines[lines.len().saturating_sub(LAST_WORDS)..] {
        let line: String = redacted(line).chars().take(400).collect();
        println!("          {line}");
    }
}

async fn values(api: Api<DynamicObject>, kind: &str) -> Result<Vec<Value>, StageError> {
    let started = Instant::now();
    let listed = loop {
        match api.list(&ListParams::default()).await {
            // "storage is (re)initializing": a kind that the API server has not known for long.
            Err(kube::Error::Api(busy)) if busy.code == 429 && started.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            listed => break listed?,
        }
    };
    let mut values = Vec::new();
    for object in listed {
        let mut value = serde_json::to_value(&object)?;
        // The items of a list do not say what they are.
        value["kind"] = Value::from(kind);
        values.push(value);
    }
    Ok(values)
}
