//! Files that are made from the types: the CRDs and the two pages of reference.
//!
//! Pure renderers: text from types, no file is touched here. `tests/integration/artifacts.rs` writes
//! what they say and fails where a committed file says something else; `anomalyjob-operator crd`
//! prints the CRDs, so that a user of the image always has the one that fits.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};

use crate::api::{self, ConditionType, Reason};

const MADE: &str =
    "Made from src/api/ by `cargo test --test integration artifacts`; edit that instead.";

/// A type could not be written as YAML or JSON.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The CRD could not be written as YAML.
    #[error("the CRD {crd} cannot be written as YAML: {source}")]
    Yaml {
        /// The name of the CRD.
        crd: String,
        /// What the writer said.
        source: serde_saphyr::ser::Error,
    },
    /// The CRD could not be made into plain data.
    #[error("the CRD {crd} cannot be written: {source}")]
    Json {
        /// The name of the CRD.
        crd: String,
        /// What the writer said.
        source: serde_json::Error,
    },
}

/// The CRDs: file name and YAML of each.
pub fn crds() -> Result<Vec<(String, String)>, ArtifactError> {
    api::crds().iter().map(crd_file).collect()
}

/// Every file made from the types: path below the root of the repository, and text.
pub fn files() -> Result<Vec<(String, String)>, ArtifactError> {
    let crds = crds()?;
    let mut files: Vec<_> = crds
        .iter()
        .map(|(name, text)| (format!("crds/{name}"), text.clone()))
        .collect();
    files.extend(crds.into_iter().map(|(name, text)| {
        (
            format!("charts/anomalyjob-operator/files/crds/{name}"),
            text,
        )
    }));
    files.push(("docs/conditions.md".to_owned(), conditions()));
    files.push(("docs/reference.md".to_owned(), reference()));
    Ok(files)
}

fn crd_file(crd: &CustomResourceDefinition) -> Result<(String, String), ArtifactError> {
    let name = crd.metadata.name.clone().unwrap_or_default();
    let value = serde_json::to_value(crd).map_err(|source| ArtifactError::Json {
        crd: name.clone(),
        source,
    })?;
    let yaml = serde_saphyr::to_string(&value).map_err(|source| ArtifactError::Yaml {
        crd: name.clone(),
        source,
    })?;
    Ok((format!("{name}.yaml"), format!("# {MADE}\n{yaml}")))
}

/// docs/conditions.md: what each condition and reason says, and what to do.
pub fn conditions() -> String {
    let mut page = format!("<!-- {MADE} -->\n# Conditions\n\n");
    page.push_str(
        "`kubectl describe aj NAME` shows them. READY and REASON of `kubectl get aj` are those of the condition Ready.\n\n\
         | Condition | What True says |\n|---|---|\n",
    );
    for condition in ConditionType::ALL {
        let _ = writeln!(page, "| `{condition}` | {} |", cell(condition.meaning()));
    }
    page.push_str(
        "\n# Reasons\n\nEach stands for one situation. The message beside it names the things that are meant. Kubernetes events carry the same\nwords. These are told as events only:\n\n- `JobClosed`, or `JobsClosed` where the object means several: a close has ended, how, and what a force cost.\n- `JobOpened`: a job was seen open after it was asked for.\n- `DriftCorrected`: what somebody else had changed was put back.\n- `DatafeedNotResumed`: a datafeed stops with its job and will not be started again by itself, and why.\n- `DeletedBeforeClosed`: the time of `deletionPolicy: Close` was over, and the object goes.\n\n\
         | Reason | Situation, and what to do |\n|---|---|\n",
    );
    for reason in Reason::ALL {
        let _ = writeln!(page, "| `{reason}` | {} |", cell(reason.meaning()));
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// docs/reference.md: every field of every kind.
pub fn reference() -> String {
    let mut page = format!("<!-- {MADE} -->\n# Reference\n");
    for crd in api::crds() {
        kind_section(&mut page, &crd);
    }
    page
}

fn kind_section(page: &mut String, crd: &CustomResourceDefinition) {
    let names = &crd.spec.names;
    for version in &crd.spec.versions {
        let Some(root) = version
            .schema
            .as_ref()
            .and_then(|s| s.open_api_v3_schema.as_ref())
        else {
            continue;
        };
        let _ = writeln!(
            page,
            "\n## {}\n\n`{}/{}`",
            names.kind, crd.spec.group, version.name
        );
        let short = names
            .short_names
            .iter()
            .flatten()
            .map(|name| format!("`{name}`"));
        let _ = writeln!(
            page,
            "; short name {}",
            short.collect::<Vec<_>>().join(", ")
        );
        let _ = writeln!(
            page,
            "\n{}",
            root.description.as_deref().unwrap_or_default()
        );
        fields(page, &names.kind, "", root);
    }
}

fn fields(page: &mut String, kind: &str, above: &str, schema: &JSONSchemaProps) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = if above.is_empty() {
            name.clone()
        } else {
            format!("{above}.{name}")
        };
        let required = schema.required.iter().flatten().any(|r| r == name);
        let _ = writeln!(
            page,
            "\n### {kind} `{path}`\n\n{}",
            facts(field, required).join("; ")
        );
        let _ = writeln!(
            page,
            "\n{}",
            field.description.as_deref().unwrap_or_default()
        );
        fields(page, kind, &path, field);
        if let Some(items) = item(field) {
            fields(page, kind, &format!("{path}[]"), items);
        }
    }
}

fn item(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaPropsOrArray as Items;
    match schema.items.as_ref()? {
        Items::Schema(one) => Some(one),
        Items::Schemas(_) => None,
    }
}

/// Type, default and rules of a field, in words.
fn facts(field: &JSONSchemaProps, required: bool) -> Vec<String> {
    let kind = field.type_.as_deref().unwrap_or("any");
    let mut facts = vec![match item(field).and_then(|i| i.type_.as_deref()) {
        Some(inner) => format!("list of {inner}s"),
        None => kind.to_owned(),
    }];
    if required {
        facts.push("required".to_owned());
    }
    if let Some(default) = &field.default {
        facts.push(format!("default `{}`", default.0));
    }
    if let Some(values) = &field.enum_ {
        let words = values
            .iter()
            .map(|v| format!("`{}`", v.0.as_str().unwrap_or_default()));
        facts.push(format!("one of {}", words.collect::<Vec<_>>().join(", ")));
    }
    if let Some(most) = field.max_length {
        facts.push(format!("at most {most} characters"));
    }
    if let (Some(least), Some(most)) = (field.minimum, field.maximum) {
        facts.push(format!("from {least} to {most}"));
    }
    if let Some(most) = field.max_items {
        facts.push(format!("at most {most} entries"));
    }
    if let Some(keys) = &field.x_kubernetes_list_map_keys {
        facts.push(format!("one entry for each `{}`", keys.join("`, `")));
    }
    if let Some(pattern) = &field.pattern {
        facts.push(format!("pattern `{pattern}`"));
    }
    let of_items = item(field).and_then(|items| items.x_kubernetes_validations.as_ref());
    let rules = [field.x_kubernetes_validations.as_ref(), of_items];
    let rules = rules.into_iter().flatten().flatten();
    facts.extend(rules.filter_map(|rule| rule.message.clone()));
    facts
}
