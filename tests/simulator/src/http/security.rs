//! The security calls as far as the recording uses them: who am I, what may I, API keys, roles and users.

use serde_json::{Map, Value, json};

use super::{
    auth::{ApiKey, Caller, User, check_privilege},
    call::{Call, Ran, Reader},
    core::Core,
    json::{Kind, Spec},
    routes::Endpoint,
};
use crate::cluster::{ApiError, TimeValue};

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
        Endpoint::CreateKey => create_key(reader),
        Endpoint::GetKeys => get_keys(reader),
        Endpoint::InvalidateKeys => invalidate(reader),
        _ => roles_and_users(reader),
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
    let parse = |text: String| ApiError::new(400, "parse_exception", text);
    if let Some(odd) = body.keys().find(|key| {
        !matches!(
            key.as_str(),
            "cluster" | "index" | "application" | "applications"
        )
    }) {
        return Err(parse(format!(
            "failed to parse privileges check [{name}/has_privileges]. unexpected field [{odd}]"
        )));
    }
    if body.is_empty() {
        return Err(parse(format!(
            "failed to parse privileges check [{name}/has_privileges]. All privilege fields [cluster,index,applications] are missing"
        )));
    }
    let cluster = match body.get("cluster") {
        None => Vec::new(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        Some(other) => {
            let cause = parse(format!(
                "could not parse [cluster] field. expected a string array but found [{}] value instead",
                token(other)
            ));
            return Err(
                parse(format!("failed to parse role [{name}/has_privileges]")).caused_by(cause),
            );
        }
    };
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
    let texts = |value: Option<&Value>| -> Vec<String> {
        value
            .and_then(Value::as_array)
            .map(|list| {
                list.iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default()
    };
    let mut all = true;
    let mut has = |granted: bool| {
        all &= granted;
        Value::Bool(granted)
    };
    let cluster: Map<String, Value> = cluster
        .iter()
        .map(|wanted| (wanted.clone(), has(caller.has(wanted))))
        .collect();
    let super_user = caller.has("all");
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

fn create_key(reader: &mut Reader) -> Result<Call, ApiError> {
    let mut fields = vec![
        ("name", Kind::Text),
        ("expiration", Kind::Any),
        ("role_descriptors", Kind::Any),
    ];
    if !reader.profile.is_7() {
        fields.push(("metadata", Kind::Any));
    }
    let body = reader
        .body(Spec {
            parser: "api_key_request",
            fields: &fields,
            old: &[],
        })?
        .fields;
    reader.params.text("refresh");
    reader.done()?;
    let name = body
        .get("name")
        .and_then(Value::as_str)
        .ok_or_else(|| ApiError::bad_argument("Required [name]"))?
        .to_owned();
    let expiration = body
        .get("expiration")
        .and_then(Value::as_str)
        .map(|text| TimeValue::parse(text, "expiration"))
        .transpose()?;
    let roles = body
        .get("role_descriptors")
        .and_then(Value::as_object)
        .cloned();
    let limited: Option<Vec<String>> = roles.filter(|roles| !roles.is_empty()).map(|roles| {
        roles
            .values()
            .filter_map(|role| role.get("cluster")?.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    });
    Ok(Call::new(
        "cluster:admin/xpack/security/api_key/create",
        move |core| {
            let caller = core.caller.clone();
            core.keys_made += 1;
            let now = core.cluster.wall();
            let id = format!("simKey{:014}", core.keys_made);
            let key = format!("simSecret{:013x}", now ^ core.keys_made);
            let expires = expiration.map(|time| now + time.millis());
            let owner = caller
                .as_ref()
                .map(|caller| caller.user.clone())
                .unwrap_or_default();
            let privileges = limited
                .or_else(|| caller.map(|caller| caller.privileges))
                .unwrap_or_default();
            core.directory.keys.push(ApiKey {
                id: id.clone(),
                key: key.clone(),
                privileges,
                name: name.clone(),
                owner,
                invalidated: false,
                expires,
                created: now,
            });
            let mut answer = json!({"id": id, "name": name});
            if let Some(map) = answer.as_object_mut() {
                if let Some(expires) = expires {
                    map.insert("expiration".into(), expires.into());
                }
                map.insert("api_key".into(), key.into());
            }
            Ran::Json(200, answer)
        },
    ))
}

fn get_keys(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.params.text("id");
    let name = reader.params.text("name");
    for other in ["owner", "realm_name", "username"] {
        reader.params.text(other);
    }
    reader.done()?;
    Ok(Call::new(
        "cluster:admin/xpack/security/api_key/get",
        move |core| {
            let list: Vec<Value> = core
                .directory
                .keys
                .iter()
                .filter(|key| {
                    id.as_ref().is_none_or(|id| *id == key.id)
                        && name.as_ref().is_none_or(|name| *name == key.name)
                })
                .map(|key| {
                    let mut shown =
                        json!({"id": key.id, "name": key.name, "creation": key.created});
                    if let Some(map) = shown.as_object_mut() {
                        if let Some(expires) = key.expires {
                            map.insert("expiration".into(), expires.into());
                        }
                        map.insert("invalidated".into(), key.invalidated.into());
                        map.insert("username".into(), key.owner.clone().into());
                        map.insert(
                            "realm".into(),
                            if key.owner == "elastic" {
                                "reserved"
                            } else {
                                "default_native"
                            }
                            .into(),
                        );
                    }
                    shown
                })
                .collect();
            Ran::Json(200, json!({"api_keys": list}))
        },
    ))
}

fn invalidate(reader: &mut Reader) -> Result<Call, ApiError> {
    let body = reader.loose("invalidate api key")?;
    reader.done()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut ids: Vec<String> = body
        .get("ids")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    ids.extend(text("id"));
    let (name, username) = (text("name"), text("username"));
    Ok(Call::new(
        "cluster:admin/xpack/security/api_key/invalidate",
        move |core| {
            let mut done = Vec::new();
            // Keys that are invalid already are not found by the search behind this call.
            for key in core
                .directory
                .keys
                .iter_mut()
                .filter(|key| !key.invalidated)
            {
                if ids.contains(&key.id)
                    || name.as_ref().is_some_and(|name| *name == key.name)
                    || username.as_ref().is_some_and(|user| *user == key.owner)
                {
                    done.push(key.id.clone());
                    key.invalidated = true;
                }
            }
            Ran::Json(
                200,
                json!({"invalidated_api_keys": done, "previously_invalidated_api_keys": [], "error_count": 0}),
            )
        },
    ))
}

fn roles_and_users(reader: &mut Reader) -> Result<Call, ApiError> {
    let name = reader
        .params
        .text("name")
        .or_else(|| reader.params.text("username"))
        .unwrap_or_default();
    reader.params.text("username");
    reader.params.text("refresh");
    let body = reader.loose("role or user")?;
    reader.done()?;
    let list = |field: &str| -> Vec<String> {
        body.get(field)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let (cluster, roles) = (list("cluster"), list("roles"));
    let password = body
        .get("password")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let action = match reader.endpoint {
        Endpoint::PutRole | Endpoint::DeleteRole => "cluster:admin/xpack/security/role/put",
        _ => "cluster:admin/xpack/security/user/put",
    };
    let endpoint = reader.endpoint;
    Ok(Call::new(action, move |core| {
        let directory = &mut core.directory;
        match endpoint {
            Endpoint::PutRole => {
                let before = directory.roles.len();
                directory.roles.retain(|(known, _)| *known != name);
                let created = directory.roles.len() == before;
                directory.roles.push((name, cluster));
                Ran::Json(200, json!({"role": {"created": created}}))
            }
            Endpoint::PutUser => {
                let old = directory
                    .users
                    .iter()
                    .position(|user| user.name == name)
                    .map(|at| directory.users.remove(at));
                let created = old.is_none();
                let password = password
                    .or_else(|| old.map(|user| user.password))
                    .unwrap_or_default();
                directory.roles_of.retain(|(known, _)| *known != name);
                directory.roles_of.push((name.clone(), roles));
                directory.users.push(User {
                    name,
                    password,
                    privileges: Vec::new(),
                });
                Ran::Json(200, json!({"created": created}))
            }
            Endpoint::DeleteRole => {
                let before = directory.roles.len();
                directory.roles.retain(|(known, _)| *known != name);
                found(directory.roles.len() != before)
            }
            _ => {
                let before = directory.users.len();
                directory.users.retain(|user| user.name != name);
                found(directory.users.len() != before)
            }
        }
    }))
}

fn found(found: bool) -> Ran {
    Ran::Json(if found { 200 } else { 404 }, json!({"found": found}))
}
