//! The operator's own counters, as Prometheus would read them.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::stage::StageError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The samples of one scrape: a series with its labels, and its value.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(super) async fn scrape(address: &str) -> Result<Self, StageError> {
        let asked = tokio::time::timeout(PATIENCE, async {
            let mut stream = TcpStream::connect(address).await?;
            let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<String, std::io::Error>(answer)
        });
        let answer = asked
            .await
            .map_err(|_| StageError::new(format!("http://{address}/metrics did not answer")))??;
        Ok(Self::parse(&answer))
    }

    fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| line.starts_with("mooring_"));
        let samples = samples.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.trim().parse().ok()?))
        });
        Self(samples.collect())
    }

    /// Passes over `ManagedCluster`s that ended.
    pub(super) fn passes(&self) -> u64 {
        let count = self
            .0
            .get("mooring_reconcile_duration_seconds_count{kind=\"ManagedCluster\"}");
        // A count, far below where a float stops being exact.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        count.map_or(0, |count| *count as u64)
    }

    /// The series of a family whose value is not zero, as `labels: value`.
    pub(super) fn counted(&self, family: &str) -> Vec<(String, f64)> {
        let start = format!("{family}{{");
        self.0
            .iter()
            .filter(|(series, value)| series.starts_with(&start) && **value > 0.0)
            .map(|(series, value)| (series[start.len()..].trim_end_matches('}').to_owned(), *value))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_and_zeros_and_other_families_left_out() {
        let text = "HTTP/1.1 200 OK\r\n\r\n# HELP mooring_x y\n\
            mooring_reconcile_duration_seconds_count{kind=\"ManagedCluster\"} 12\n\
            mooring_aws_requests_total{service=\"iam\",outcome=\"ok\"} 3\n\
            mooring_aws_requests_total{service=\"iam\",outcome=\"throttled\"} 0\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.passes(), 12);
        let counted = metrics.counted("mooring_aws_requests_total");
        assert_eq!(counted.len(), 1);
        assert_eq!(counted[0].0, "service=\"iam\",outcome=\"ok\"");
    }
}
