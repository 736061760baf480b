//! The figures, for people.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Setting, calls, ground::Ground, watch::Watch};
use crate::{
    aws::{Call, Rates},
    control_plane::AuditedCall,
    stage::{ClusterSpec, StageError},
};

/// What AWS's own controllers for IAM and EKS took for 300 roles with access entries at 50 ms and without throttling,
/// at their best setting, on two cores: seconds, MiB, CPU seconds.
const PEER: (f64, f64, f64) = (13.4, 134.0, 10.5);

/// An edit made while the others were still being made.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) what: &'static str,
    pub(super) name: String,
    /// From the edit until the object was Ready at its generation; `None`: never.
    pub(super) took: Option<Duration>,
}

/// One look at everything again.
pub(super) struct Resync {
    pub(super) took: Option<Duration>,
    pub(super) calls: Vec<Call>,
    pub(super) writes: Vec<AuditedCall>,
    pub(super) before: Usage,
    pub(super) after: Usage,
}

/// What the operator has used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    peak_mib: f64,
    resident_mib: f64,
    cpu_seconds: f64,
}

impl Usage {
    #[allow(clippy::cast_precision_loss, reason = "megabytes")]
    pub(super) fn of(ground: &Ground) -> Result<Self, StageError> {
        let (peak, resident, cpu_seconds) = ground
            .operator
            .resources()
            .ok_or_else(|| StageError::new("the operator is not running any more"))?;
        Ok(Self {
            peak_mib: peak as f64 / 1024.0,
            resident_mib: resident as f64 / 1024.0,
            cpu_seconds,
        })
    }
}

pub(super) fn title(setting: &Setting) {
    let Rates { iam, eks, .. } = setting.rates;
    let rates = match (iam, eks) {
        (Some(iam), Some(eks)) => {
            let slow = setting.slow.as_deref().unwrap_or("none");
            format!(
                "IAM {} and EKS {} calls/s, account {slow} a tenth",
                iam.per_second, eks.per_second
            )
        }
        _ => "no throttling".to_owned(),
    };
    println!(
        "{}: {} clusters in {} accounts and 2 regions, {} ms latency, {rates}",
        setting.name,
        setting.clusters,
        setting.accounts,
        setting.latency.as_millis()
    );
}

/// The value below which this share of sorted times lies.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "thousands of values"
)]
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

fn times<'a>(watch: &Watch, spokes: impl Iterator<Item = &'a ClusterSpec>, start: Instant) -> Vec<f64> {
    let mut times: Vec<f64> = spokes
        .filter_map(|spoke| watch.first(&spoke.name))
        .map(|at| at.saturating_duration_since(start).as_secs_f64())
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn line(of: &str, times: &[f64]) {
    println!(
        "    {of:<18} median {:>6.2} s, p95 {:>6.2} s, last {:>6.2} s",
        percentile(times, 0.5),
        percentile(times, 0.95),
        percentile(times, 1.0)
    );
}

pub(super) fn readiness(setting: &Setting, watch: &Watch, spokes: &[ClusterSpec], start: Instant) {
    println!("  time to Ready");
    if setting.slow.is_none() {
        line("all", &times(watch, spokes.iter(), start));
    } else {
        let of = |slow: bool| {
            spokes
                .iter()
                .filter(move |spoke| setting.is_slow(&spoke.account) == slow)
        };
        line("the slow account", &times(watch, of(true), start));
        line("all others", &times(watch, of(false), start));
    }
    let told: Vec<String> = watch
        .told()
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    if !told.is_empty() {
        println!("    not Ready on the way: {}", told.join(", "));
    }
}

/// The time that the rates alone take, for the calls that were made.
pub(super) fn minimum(setting: &Setting, log: &[Call], watch: &Watch, spokes: &[ClusterSpec], start: Instant) {
    let least = calls::least(setting, log);
    let last_ready = |account: &str| {
        let mine = spokes.iter().filter(|spoke| spoke.account == account);
        times(watch, mine, start).last().copied().unwrap_or_default()
    };
    let mut lines: BTreeMap<bool, Vec<(f64, f64)>> = BTreeMap::new();
    for (account, least) in least.iter().filter(|(_, least)| !least.is_zero()) {
        let slow = setting.is_slow(account);
        lines
            .entry(slow)
            .or_default()
            .push((last_ready(account), least.as_secs_f64()));
    }
    for (slow, mut accounts) in lines {
        accounts.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (Some(best), Some(worst)) = (accounts.first(), accounts.last()) else {
            continue;
        };
        let of = if slow { "the slow account" } else { "all others" };
        println!(
            "    {of:<18} against the least its rates allow: {:.2} s of {:.2} s ({:.2} times) to {:.2} s of {:.2} s ({:.2} times)",
            best.0,
            best.1,
            best.0 / best.1,
            worst.0,
            worst.1,
            worst.0 / worst.1
        );
    }
}

#[allow(clippy::cast_precision_loss, reason = "thousands of calls")]
pub(super) fn calls(what: &str, log: &[Call], clusters: usize) {
    let counts = calls::by_operation(log);
    let answered: usize = counts.values().map(|count| count.answered).sum();
    let throttled: usize = counts.values().map(|count| count.throttled).sum();
    println!(
        "  AWS calls to {what}: {answered} answered ({:.2} a cluster), {throttled} throttled",
        answered as f64 / clusters.max(1) as f64
    );
    for (operation, count) in counts {
        let throttled = match count.throttled {
            0 => String::new(),
            number => format!(", {number} throttled"),
        };
        println!("    {operation:<30} {:>6}{throttled}", count.answered);
    }
}

#[allow(clippy::cast_precision_loss, reason = "thousands of writes")]
pub(super) fn writes(writes: &[AuditedCall], clusters: usize) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for write in writes {
        *counts.entry(format!("{} {}", write.verb, write.resource)).or_default() += 1;
    }
    println!(
        "  Kubernetes writes: {} ({:.2} a cluster)",
        writes.len(),
        writes.len() as f64 / clusters.max(1) as f64
    );
    for (write, count) in counts {
        println!("    {write:<30} {count:>6}");
    }
}

pub(super) fn edits(edits: &[Edit]) {
    for edit in edits {
        let took = edit
            .took
            .map_or_else(|| "never".to_owned(), |took| format!("{:.2} s", took.as_secs_f64()));
        println!(
            "  an edit in the middle, of {} ({}): acted on in {took}",
            edit.name, edit.what
        );
    }
}

pub(super) fn usage(before: &Usage, made: &Usage, settled: &Usage) {
    println!(
        "  the operator: {:.1} s CPU, peak {:.1} MiB, settled {:.1} MiB ({:.1} MiB before)",
        made.cpu_seconds - before.cpu_seconds,
        made.peak_mib,
        settled.resident_mib,
        before.resident_mib
    );
}

pub(super) fn peer(setting: &Setting, watch: &Watch, start: Instant, before: &Usage, made: &Usage) {
    let (seconds, mib, cpu) = PEER;
    let last = watch
        .last_ready()
        .map_or(0.0, |at| at.saturating_duration_since(start).as_secs_f64());
    println!(
        "  against AWS's own controllers (300 in {seconds} s, {mib} MiB, {cpu} s CPU): {:.2} of the time, {:.2} of the memory, {:.2} of the CPU{}",
        last / seconds,
        made.peak_mib / mib,
        (made.cpu_seconds - before.cpu_seconds) / cpu,
        if setting.clusters == 300 {
            ""
        } else {
            ", for another number of clusters"
        }
    );
}

pub(super) fn resync(resync: &Resync, clusters: usize) {
    let took = resync.took.map_or_else(
        || "never ended".to_owned(),
        |took| format!("{:.2} s", took.as_secs_f64()),
    );
    println!(
        "  a resync of all: {took}, {:.1} s CPU, {:.1} MiB afterwards",
        resync.after.cpu_seconds - resync.before.cpu_seconds,
        resync.after.resident_mib
    );
    calls("resync", &resync.calls, clusters);
}

/// The end of the operator's log, when something went wrong on the way.
pub(super) fn last_lines(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    for line in lines.get(lines.len().saturating_sub(5)..).unwrap_or_default() {
        eprintln!("  operator: {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        let close = |share, value: f64| assert!((percentile(&values, share) - value).abs() < f64::EPSILON, "{share}");
        close(0.5, 50.0);
        close(0.95, 95.0);
        close(1.0, 100.0);
        assert!(percentile(&[], 0.5).abs() < f64::EPSILON);
    }
}
