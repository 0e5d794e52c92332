//! The security calls as far as the recording uses them: who am I and what may I; keys, roles and users have their own files.

use serde_json::{Map, Value, json};

use super::{
    accounts,
    auth::{Caller, check_privilege},
    call::{Call, Ran, Reader},
    core::Core,
    keys,
    routes::Endpoint,
};
use crate::cluster::ApiError;

/// Reads one of these calls.
///
/// # Errors
/// The 400s of its parameters and body.
pub(crate) fn read(core: &Core, reader: &mut Reader) -> Result<Call, ApiError> {
    if !core.directory.enabled {
        // The handlers exist, security does not.
        return Ok(Call::new("", |_| Err(security_off()).into()));
    }
    match reader.endpoint {
        Endpoint::Authenticate => {
            reader.done()?;
            Ok(Call::new("", |core| {
                Ran::Json(200, core.caller.as_ref().map(about).unwrap_or_default())
            }))
        }
        Endpoint::HasPrivileges => has_privileges(core, reader),
        Endpoint::UserPrivileges => {
            reader.done()?;
            Ok(Call::new("", |core| {
                let cluster = core
                    .caller
                    .as_ref()
                    .map(|caller| caller.privileges.clone())
                    .unwrap_or_default();
                Ran::Json(
                    200,
                    json!({"cluster": cluster, "global": [], "indices": [], "applications": [], "run_as": []}),
                )
            }))
        }
        Endpoint::CreateKey | Endpoint::GetKeys | Endpoint::InvalidateKeys => keys::read(reader),
        _ => accounts::read(reader),
    }
}

fn security_off() -> ApiError {
    ApiError::new(
        500,
        "exception",
        "Security must be explicitly enabled when using a [trial] license. Enable security by setting [xpack.security.enabled] to [true] in the elasticsearch.yml file and restart the node.",
    )
}

fn about(caller: &Caller) -> Value {
    let realm = if caller.key.is_some() {
        json!({"name": "_es_api_key", "type": "_es_api_key"})
    } else if caller.user == "elastic" {
        json!({"name": "reserved", "type": "reserved"})
    } else {
        json!({"name": "default_native", "type": "native"})
    };
    let metadata = if caller.user == "elastic" {
        json!({"_reserved": true})
    } else {
        json!({})
    };
    let kind = if caller.key.is_some() {
        "api_key"
    } else {
        "realm"
    };
    json!({"username": caller.user, "roles": caller.roles, "full_name": null, "email": null, "metadata": metadata, "enabled": true, "authentication_realm": realm, "lookup_realm": realm, "authentication_type": kind})
}

fn has_privileges(core: &Core, reader: &mut Reader) -> Result<Call, ApiError> {
    let name = core
        .caller
        .as_ref()
        .map(|caller| caller.user.clone())
        .unwrap_or_default();
    if reader.request.body.is_empty() {
        return Err(ApiError::new(
            400,
            "parse_exception",
            "request body or source parameter is required",
        ));
    }
    let body = reader.loose("privileges check")?;
    check_fields(&name, &body)?;
    let cluster = cluster_privileges(&name, body.get("cluster"))?;
    let indices = body
        .get("index")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let applications = body
        .get("application")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    reader.done()?;
    if cluster.is_empty() && indices.is_empty() && applications == 0 {
        return Err(ApiError::new(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: must specify at least one privilege;",
        ));
    }
    for wanted in &cluster {
        check_privilege(wanted)?;
    }
    Ok(Call::new("", move |core| {
        Ran::Json(
            200,
            core.caller
                .as_ref()
                .map(|caller| check(caller, &cluster, &indices))
                .unwrap_or_default(),
        )
    }))
}

fn unparsed(text: String) -> ApiError {
    ApiError::new(400, "parse_exception", text)
}

fn check_fields(name: &str, body: &Map<String, Value>) -> Result<(), ApiError> {
    let known = ["cluster", "index", "application", "applications"];
    if let Some(odd) = body.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(unparsed(format!(
            "failed to parse privileges check [{name}/has_privileges]. unexpected field [{odd}]"
        )));
    }
    if body.is_empty() {
        return Err(unparsed(format!(
            "failed to parse privileges check [{name}/has_privileges]. All privilege fields [cluster,index,applications] are missing"
        )));
    }
    Ok(())
}

fn cluster_privileges(name: &str, given: Option<&Value>) -> Result<Vec<String>, ApiError> {
    match given {
        None => Ok(Vec::new()),
        Some(list @ Value::Array(_)) => Ok(texts(Some(list))),
        Some(other) => Err(unparsed(format!(
            "failed to parse role [{name}/has_privileges]"
        ))
        .caused_by(unparsed(format!(
            "could not parse [cluster] field. expected a string array but found [{}] value instead",
            token(other)
        )))),
    }
}

/// The texts of a list; empty where there is none.
pub(super) fn texts(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn token(value: &Value) -> &'static str {
    match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Number(_) => "VALUE_NUMBER",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

fn check(caller: &Caller, cluster: &[String], indices: &[Value]) -> Value {
    let mut all = true;
    let mut has = |granted: bool| {
        all &= granted;
        Value::Bool(granted)
    };
    let cluster: Map<String, Value> = cluster
        .iter()
        .map(|wanted| (wanted.clone(), has(caller.has(wanted))))
        .collect();
    let super_user = caller.indices;
    let mut by_index: Map<String, Value> = Map::new();
    for entry in indices {
        for name in texts(entry.get("names")) {
            let granted: Map<String, Value> = texts(entry.get("privileges"))
                .into_iter()
                .map(|wanted| (wanted, has(super_user)))
                .collect();
            by_index.insert(name, granted.into());
        }
    }
    json!({"username": caller.user, "has_all_requested": all, "cluster": cluster, "index": by_index, "application": {}})
}
