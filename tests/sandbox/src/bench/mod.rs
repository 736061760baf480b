//! `mooring-sandbox bench`: the operator's binary against many clusters at once. It prints figures and asserts none of
//! them on time; what it does assert is that the work was right, see `checks`.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation is what --help prints: no backticks around names"
)]

mod calls;
mod checks;
mod ground;
mod metrics;
mod report;
mod watch;
mod work;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};

use self::{
    checks::Checks,
    ground::Ground,
    metrics::Metrics,
    report::Usage,
    watch::Watch,
    work::{create, middle, resync},
};
use crate::{
    aws::{Rate, Rates},
    stage::StageError,
};

/// How long the operator is left alone before its memory counts as settled.
const REST: Duration = Duration::from_secs(5);

/// Which settings are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// IAM and EKS throttled, one account at a tenth of the others; an edit in the middle.
    Throttled,
    /// No throttling.
    Plain,
    /// Both, one after the other.
    All,
}

/// Flags of `mooring-sandbox bench`.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// What is measured.
    ///
    /// throttled: 1,000 clusters; IAM answers 15 calls a second in each account, EKS 10 in each account and region, and
    /// one account a tenth of both. plain: 300 clusters, no throttling.
    #[arg(long, value_enum, default_value_t = Choice::All)]
    pub setting: Choice,

    /// How many ManagedClusters are applied at once, in place of the setting's own number.
    #[arg(long, value_name = "COUNT")]
    pub clusters: Option<usize>,

    /// Over how many accounts they are spread, in two regions each.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub accounts: usize,

    /// How long AWS takes to answer each call.
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = crate::up::duration)]
    pub latency: Duration,

    /// How long is waited for all to be Ready, and for the resync, before that counts as never.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = crate::up::duration)]
    pub limit: Duration,

    /// The binary `mooring`; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub operator: Option<PathBuf>,

    /// A further flag of `mooring controller`, as in --flag=--passes-per-account=8; repeat it for more.
    #[arg(long = "flag", value_name = "FLAG", allow_hyphen_values = true)]
    pub flags: Vec<String>,

    /// Where the operator's log is copied to at the end of a setting.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// One way of measuring.
#[derive(Clone, Debug)]
struct Setting {
    name: &'static str,
    clusters: usize,
    accounts: usize,
    latency: Duration,
    rates: Rates,
    /// The account that is served at a tenth of the rates.
    slow: Option<String>,
    limit: Duration,
}

impl Setting {
    fn of(arguments: &Arguments) -> Vec<Self> {
        let base = |name, clusters: usize, rates| Self {
            name,
            clusters: arguments.clusters.unwrap_or(clusters),
            accounts: arguments.accounts.max(1),
            latency: arguments.latency,
            rates,
            slow: None,
            limit: arguments.limit,
        };
        let throttled = Rates {
            iam: Some(Rate::per_second(15.0)),
            sts: None,
            eks: Some(Rate::per_second(10.0)),
        };
        let throttled = Self {
            slow: Some("200000000000".to_owned()),
            ..base("throttled", 1000, throttled)
        };
        let plain = base("plain", 300, Rates::default());
        match arguments.setting {
            Choice::Throttled => vec![throttled],
            Choice::Plain => vec![plain],
            Choice::All => vec![throttled, plain],
        }
    }

    fn is_slow(&self, account: &str) -> bool {
        self.slow.as_deref() == Some(account)
    }

    fn rates_of(&self, account: &str) -> Rates {
        let tenth = |rate: Option<Rate>| rate.map(|rate| Rate::per_second(rate.per_second / 10.0));
        if self.is_slow(account) {
            Rates {
                iam: tenth(self.rates.iam),
                sts: None,
                eks: tenth(self.rates.eks),
            }
        } else {
            self.rates
        }
    }
}

/// Runs the settings asked for, one after the other.
pub async fn run(arguments: Arguments) -> ExitCode {
    let mut passed = true;
    for setting in Setting::of(&arguments) {
        match measure(&setting, &arguments).await {
            Ok(checks) => {
                checks.print();
                passed &= checks.passed();
            }
            Err(error) => {
                eprintln!("mooring-sandbox: {}: {error}", setting.name);
                passed = false;
            }
        }
        println!();
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(setting: &Setting, arguments: &Arguments) -> Result<Checks, StageError> {
    report::title(setting);
    let ground = Ground::raise(setting, arguments).await?;
    let result = on(&ground, setting).await;
    if let Some(path) = &arguments.log {
        std::fs::copy(ground.operator.log(), path)?;
    }
    if result.is_err() {
        report::last_lines(&ground.operator.log_text());
    }
    result
}

async fn on(ground: &Ground, setting: &Setting) -> Result<Checks, StageError> {
    let mut checks = Checks::default();
    let spokes = &ground.stage.fleet.spokes;
    let watch = Watch::start(ground.stage.client()?);
    let (calls, audit) = (ground.stage.aws.log().mark(), ground.stage.hub.audit_mark().await?);
    let before = Usage::of(ground)?;
    let start = Instant::now();
    let (created, edits) = tokio::join!(create(ground, spokes), middle(ground, setting, &watch));
    created?;
    let applied = edits?;
    let ready = watch.wait(setting.limit, spokes.len(), start).await;
    let made = Usage::of(ground)?;
    report::readiness(setting, &watch, spokes, start);
    checks.readiness(setting, &watch, spokes, ready);
    let log = ground.stage.aws.log().since(calls);
    let writes = ground.stage.hub.writes_by(ground::AGENT, audit).await?;
    let edited: BTreeSet<&str> = applied.iter().map(|edit| edit.name.as_str()).collect();
    report::calls("create", &log, spokes.len());
    report::minimum(setting, &log, &watch, spokes, start);
    report::writes(&writes, spokes.len());
    report::edits(&applied);
    checks.creation(&log, &writes, &edited, spokes);
    checks.refusals(&log);
    checks.edits(ground, &applied).await?;
    tokio::time::sleep(REST).await;
    let settled = Usage::of(ground)?;
    report::usage(&before, &made, &settled);
    if setting.rates == Rates::default() {
        report::peer(setting, &watch, start, &before, &made);
    }
    let again = resync(ground, setting).await?;
    report::resync(&again, spokes.len());
    checks.resync(&again, spokes);
    checks.sessions(&ground.stage.aws.log().since(calls));
    checks.given_up(&Metrics::scrape(&ground.address).await?, &ground.operator.log_text());
    if let Some(code) = ground.operator.exited() {
        checks.note(false, format!("the operator ended with exit code {code}"));
    }
    Ok(checks)
}
