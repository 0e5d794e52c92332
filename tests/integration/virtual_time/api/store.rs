//! The objects of the API server in memory, and all that ever happened to them. It knows the rules of writing: versions,
//! generations, preconditions, finalizers, defaults. It knows no HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::kinds::{Kind, defaults};
use super::refusal::Refusal;

/// Kind (by plural), namespace and name.
pub(crate) type Key = (&'static str, String, String);

/// What happened to an object, and how it was then.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    /// Since the world began.
    pub(crate) at: Duration,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(crate) what: &'static str,
    pub(crate) key: Key,
    pub(crate) object: Value,
}

#[derive(Default)]
pub(crate) struct Store {
    version: u64,
    objects: BTreeMap<Key, Value>,
    pub(crate) history: Vec<Change>,
    /// Watches can not begin before this version.
    pub(crate) compacted: u64,
}

/// When something is written.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Duration,
    pub(crate) wall: Timestamp,
}

/// What a write is about.
pub(crate) struct Target<'a> {
    pub(crate) kind: &'static Kind,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) status: bool,
}

impl Target<'_> {
    fn key(&self) -> Key {
        (
            self.kind.plural,
            self.namespace.to_owned(),
            self.name.to_owned(),
        )
    }

    fn not_found(&self) -> Refusal {
        Refusal::not_found(self.kind, self.name)
    }
}

impl Store {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn get(&self, target: &Target<'_>) -> Result<Value, Refusal> {
        let found = self.objects.get(&target.key()).cloned();
        found.ok_or_else(|| target.not_found())
    }

    /// All of a kind, of a namespace or of all, as they were at a version.
    pub(crate) fn list_at(&self, kind: &Kind, namespace: Option<&str>, version: u64) -> Vec<Value> {
        let mut then: BTreeMap<&Key, &Value> = BTreeMap::new();
        for change in self
            .history
            .iter()
            .take_while(|change| change.version <= version)
        {
            if change.key.0 != kind.plural || namespace.is_some_and(|of| of != change.key.1) {
                continue;
            }
            if change.what == "DELETED" {
                then.remove(&change.key);
            } else {
                then.insert(&change.key, &change.object);
            }
        }
        then.into_values().cloned().collect()
    }

    pub(crate) fn keys(&self, plural: &str) -> Vec<Key> {
        let of_kind = |key: &&Key| key.0 == plural;
        self.objects.keys().filter(of_kind).cloned().collect()
    }

    pub(crate) fn create(
        &mut self,
        kind: &'static Kind,
        namespace: &str,
        object: &Value,
        now: Now,
    ) -> Result<Value, Refusal> {
        let name = object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let key: Key = (kind.plural, namespace.to_owned(), name);
        if self.objects.contains_key(&key) {
            return Err(Refusal::already_exists(kind, &key.2));
        }
        if object["metadata"]["resourceVersion"].is_string() {
            return Err(Refusal::new(
                400,
                "BadRequest",
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let mut object = object.clone();
        let next = self.version + 1;
        let meta = &mut object["metadata"];
        meta["namespace"] = json!(namespace);
        meta["uid"] = json!(format!("00000000-0000-4000-8000-{next:012}"));
        meta["creationTimestamp"] = json!(seconds(now.wall));
        if kind.has_status {
            meta["generation"] = json!(1);
            if let Some(map) = object.as_object_mut() {
                map.remove("status");
            }
        }
        Ok(self.store("ADDED", key, normal(kind, object), now))
    }

    /// A PUT, of the object or of its status.
    pub(crate) fn replace(
        &mut self,
        target: &Target<'_>,
        new: &Value,
        now: Now,
    ) -> Result<Value, Refusal> {
        let old = self.get(target)?;
        preconditions(target, &old, new)?;
        Ok(self.update(target, &old, new, now))
    }

    /// A JSON merge patch.
    pub(crate) fn merge(
        &mut self,
        target: &Target<'_>,
        patch: &Value,
        now: Now,
    ) -> Result<Value, Refusal> {
        let old = self.get(target)?;
        preconditions(target, &old, patch)?;
        let mut new = old.clone();
        merged(&mut new, patch);
        Ok(self.update(target, &old, &new, now))
    }

    fn update(&mut self, target: &Target<'_>, old: &Value, new: &Value, now: Now) -> Value {
        let mut next = if target.status {
            let mut next = old.clone();
            next["status"] = new["status"].clone();
            next
        } else {
            let mut next = new.clone();
            if target.kind.has_status {
                next["status"] = old["status"].clone();
            }
            for kept in [
                "uid",
                "creationTimestamp",
                "generation",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "namespace",
                "resourceVersion",
            ] {
                next["metadata"][kept] = old["metadata"][kept].clone();
            }
            next
        };
        next = normal(target.kind, next);
        let without = |object: &Value| {
            let mut map = object.as_object().cloned().unwrap_or_default();
            map.remove("metadata");
            map.remove("status");
            map
        };
        if target.kind.has_status && without(&next) != without(old) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
            next["metadata"]["generation"] = json!(generation + 1);
        }
        if is_deleted(&next) && finalizers(&next) == 0 {
            return self.store("DELETED", target.key(), next, now);
        }
        if next == *old {
            return next;
        }
        self.store("MODIFIED", target.key(), next, now)
    }

    pub(crate) fn delete(&mut self, target: &Target<'_>, now: Now) -> Result<Value, Refusal> {
        let mut object = self.get(target)?;
        if finalizers(&object) == 0 {
            return Ok(self.store("DELETED", target.key(), object, now));
        }
        if is_deleted(&object) {
            return Ok(object);
        }
        let meta = &mut object["metadata"];
        meta["deletionTimestamp"] = json!(seconds(now.wall));
        meta["deletionGracePeriodSeconds"] = json!(0);
        if let Some(generation) = meta["generation"].as_i64() {
            meta["generation"] = json!(generation + 1);
        }
        Ok(self.store("MODIFIED", target.key(), object, now))
    }

    /// What happened until now is compacted.
    pub(crate) fn forget(&mut self) {
        self.compacted = self.version;
    }

    fn store(&mut self, what: &'static str, key: Key, mut object: Value, now: Now) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if what == "DELETED" {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key.clone(), object.clone());
        }
        self.history.push(Change {
            version: self.version,
            at: now.at,
            what,
            key,
            object: object.clone(),
        });
        object
    }
}

fn preconditions(target: &Target<'_>, old: &Value, new: &Value) -> Result<(), Refusal> {
    let differs = |field: &str| {
        let wanted = new["metadata"][field]
            .as_str()
            .filter(|wanted| !wanted.is_empty());
        wanted.is_some_and(|wanted| old["metadata"][field] != wanted)
    };
    if differs("uid") {
        return Err(Refusal::conflict(
            target.kind,
            target.name,
            "Precondition failed: UID in precondition",
        ));
    }
    if differs("resourceVersion") {
        return Err(Refusal::conflict(
            target.kind,
            target.name,
            "the object has been modified; please apply your changes to the latest version and try again",
        ));
    }
    Ok(())
}

fn finalizers(object: &Value) -> usize {
    object["metadata"]["finalizers"]
        .as_array()
        .map_or(0, Vec::len)
}

fn is_deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// With defaults, and without what is null or empty in a way that the server does not store.
fn normal(kind: &Kind, mut object: Value) -> Value {
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.kind);
    if let Some(schema) = kind.schema() {
        defaults(schema, &mut object);
    }
    if let Some(map) = object.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.retain(|name, value| !value.is_null() && name != "managedFields");
        if meta
            .get("finalizers")
            .is_some_and(|all| all.as_array().is_some_and(Vec::is_empty))
        {
            meta.remove("finalizers");
        }
    }
    object
}

/// RFC 7386.
fn merged(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            map.remove(name);
        } else {
            merged(map.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn seconds(wall: Timestamp) -> String {
    wall.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
