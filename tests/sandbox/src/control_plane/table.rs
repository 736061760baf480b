//! The server's own table of a resource, laid out as `kubectl get` prints it.

use http::header::ACCEPT;
use serde::Deserialize;
use serde_json::Value;

use super::{ControlPlane, Error};

const AS_TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";

#[derive(Debug, Deserialize)]
struct Table {
    #[serde(rename = "columnDefinitions")]
    columns: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    #[serde(default)]
    priority: i32,
}

#[derive(Debug, Deserialize)]
struct Row {
    cells: Vec<Value>,
    #[serde(default)]
    object: Value,
}

impl ControlPlane {
    /// What `kubectl get` prints for a resource path such as `/apis/mooring.dev/v1alpha1/managedclusters` or
    /// `/api/v1/namespaces/argocd/secrets`; with `wide`, what `kubectl get -o wide` prints. A namespaced resource that
    /// is asked for in all namespaces gets a NAMESPACE column first.
    ///
    /// # Errors
    /// [`Error::Request`] when the server refuses.
    pub async fn table(&self, path: &str, wide: bool) -> Result<String, Error> {
        let failed = |source| Error::request(format!("get the table of {path}"))(source);
        let request = http::Request::get(path).header(ACCEPT, AS_TABLE).body(Vec::new());
        let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
        let table: Table = self.admin()?.request(request).await.map_err(failed)?;
        Ok(render(&table, wide, !path.contains("/namespaces/")))
    }
}

fn render(table: &Table, wide: bool, all_namespaces: bool) -> String {
    if table.rows.is_empty() {
        return "No resources found\n".to_owned();
    }
    let namespace = |row: &Row| {
        row.object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let namespaces = all_namespaces && table.rows.iter().any(|row| namespace(row).is_some());
    let shown: Vec<bool> = table
        .columns
        .iter()
        .map(|column| wide || column.priority == 0)
        .collect();
    let mut lines = Vec::with_capacity(table.rows.len() + 1);
    let names = table.columns.iter().map(|column| column.name.to_uppercase());
    lines.push(line(namespaces.then(|| "NAMESPACE".to_owned()), names, &shown));
    for row in &table.rows {
        let first = namespaces.then(|| namespace(row).unwrap_or_default());
        lines.push(line(first, row.cells.iter().map(text), &shown));
    }
    align(&lines)
}

fn line(first: Option<String>, cells: impl Iterator<Item = String>, shown: &[bool]) -> Vec<String> {
    first
        .into_iter()
        .chain(cells.zip(shown).filter(|(_, shown)| **shown).map(|(cell, _)| cell))
        .collect()
}

/// kubectl cuts a cell at its first line break and marks the cut.
fn text(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => match text.find(['\n', '\r', '\u{c}']) {
            Some(end) => format!("{}...", text.get(..end).unwrap_or_default()),
            None => text.clone(),
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => cell.to_string(),
    }
}

/// Columns as kubectl's tab writer lays them out: three spaces between, at least six wide, the last one not padded.
fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells
            .map(|cell| cell.chars().count() + 3)
            .max()
            .unwrap_or_default()
            .max(6)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        for (index, (cell, width)) in line.iter().zip(&widths).enumerate() {
            text.push_str(cell);
            if index + 1 < columns {
                text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        serde_json::from_value(serde_json::json!({
            "columnDefinitions": [{"name": "Name"}, {"name": "Ready"}, {"name": "Role", "priority": 1}, {"name": "N"}],
            "rows": [
                {"cells": ["prod-eu", "True", "arn:x", 3], "object": {"metadata": {"namespace": "argocd"}}},
                {"cells": ["b", null, "", "two\nlines"], "object": {"metadata": {"namespace": "a"}}},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn pads_as_kubectl_does() {
        assert_eq!(
            render(&table(), false, false),
            "NAME      READY   N\nprod-eu   True    3\nb                 two...\n"
        );
    }

    #[test]
    fn wide_shows_the_other_columns_and_all_namespaces_the_namespace() {
        assert_eq!(
            render(&table(), true, true),
            "NAMESPACE   NAME      READY   ROLE    N\n\
             argocd      prod-eu   True    arn:x   3\n\
             a           b                         two...\n"
        );
    }

    #[test]
    fn an_empty_list_has_no_header() {
        let table = Table {
            rows: Vec::new(),
            ..table()
        };
        assert_eq!(render(&table, false, true), "No resources found\n");
    }
}
