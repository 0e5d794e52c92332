//! The kinds that the operator meets, and the defaults that the server writes into what it stores, from the CRDs as they ship.

use std::sync::LazyLock;

use anomalyjob_operator::artifacts;
use serde_json::Value;

/// A kind of object.
#[expect(
    clippy::struct_field_names,
    reason = "that is what Kubernetes calls it"
)]
pub(crate) struct Kind {
    group: &'static str,
    version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    /// Its status is written apart, and its generation counts changes of the rest.
    pub(crate) has_status: bool,
}

static KINDS: [Kind; 6] = [
    Kind::custom("AnomalyJob", "anomalyjobs"),
    Kind::custom("ElasticsearchConnection", "elasticsearchconnections"),
    Kind::plain("coordination.k8s.io", "Lease", "leases"),
    Kind::plain("events.k8s.io", "Event", "events"),
    Kind::plain("", "Secret", "secrets"),
    Kind::plain("", "ConfigMap", "configmaps"),
];

static SCHEMAS: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
    let crds = artifacts::crds().expect("CRDs");
    let schema = |yaml: &String| {
        let crd: Value = serde_saphyr::from_str(yaml).expect("a CRD");
        let plural = crd["spec"]["names"]["plural"].as_str().expect("a plural");
        let version = &crd["spec"]["versions"][0];
        (
            plural.to_owned(),
            version["schema"]["openAPIV3Schema"].clone(),
        )
    };
    crds.iter().map(|(_, yaml)| schema(yaml)).collect()
});

impl Kind {
    const fn custom(kind: &'static str, plural: &'static str) -> Self {
        Self {
            group: "anomalyjob.dev",
            version: "v1alpha1",
            kind,
            plural,
            has_status: true,
        }
    }

    const fn plain(group: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self {
            group,
            version: "v1",
            kind,
            plural,
            has_status: false,
        }
    }

    /// The kind of this plural in this group.
    pub(crate) fn find(group: &str, plural: &str) -> Option<&'static Self> {
        let is = |kind: &&Self| kind.group == group && kind.plural == plural;
        KINDS.iter().find(is)
    }

    /// The kind of this plural.
    pub(crate) fn of(plural: &str) -> &'static Self {
        KINDS
            .iter()
            .find(|kind| kind.plural == plural)
            .expect(plural)
    }

    pub(crate) fn group(&self) -> &'static str {
        self.group
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub(crate) fn schema(&self) -> Option<&'static Value> {
        let mut all = SCHEMAS.iter();
        all.find(|(plural, _)| plural == self.plural)
            .map(|(_, schema)| schema)
    }
}

/// Fills in what the schema says, where the object around it is there.
pub(crate) fn defaults(schema: &Value, value: &mut Value) {
    if let (Some(properties), Some(map)) = (schema["properties"].as_object(), value.as_object_mut())
    {
        for (name, schema) in properties {
            if !map.contains_key(name) && !schema["default"].is_null() {
                map.insert(name.clone(), schema["default"].clone());
            }
            if let Some(value) = map.get_mut(name) {
                defaults(schema, value);
            }
        }
    }
    if let Some(items) = value.as_array_mut() {
        for item in items {
            defaults(&schema["items"], item);
        }
    }
}
