//! API keys: made, listed, invalidated. What a key may is asked elsewhere.

use serde_json::{Map, Value, json};

use super::{
    auth::ApiKey,
    call::{Call, Ran, Reader},
    core::Core,
    json_kinds::{Kind, Spec},
    routes::Endpoint,
    security::texts,
};
use crate::cluster::{ApiError, TimeValue};

/// Reads one of these calls.
///
/// # Errors
/// The 400s of its parameters and body.
pub(crate) fn read(reader: &mut Reader) -> Result<Call, ApiError> {
    match reader.endpoint {
        Endpoint::CreateKey => create(reader),
        Endpoint::GetKeys => list(reader),
        _ => invalidate(reader),
    }
}

/// What a new key is to be.
struct Wish {
    name: String,
    expiration: Option<TimeValue>,
    /// Privileges of its role descriptors; none: those of its maker.
    limited: Option<Vec<String>>,
}

fn create(reader: &mut Reader) -> Result<Call, ApiError> {
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
            check: None,
        })?
        .fields;
    reader.params.text("refresh");
    reader.done()?;
    let wish = wish(&body)?;
    Ok(Call::new(
        "cluster:admin/xpack/security/api_key/create",
        move |core| Ran::Json(200, make(core, wish)),
    ))
}

fn wish(body: &Map<String, Value>) -> Result<Wish, ApiError> {
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
    let roles = body.get("role_descriptors").and_then(Value::as_object);
    let limited = roles.filter(|roles| !roles.is_empty()).map(|roles| {
        roles
            .values()
            .flat_map(|role| texts(role.get("cluster")))
            .collect()
    });
    Ok(Wish {
        name,
        expiration,
        limited,
    })
}

fn make(core: &mut Core, wish: Wish) -> Value {
    let caller = core.caller.clone();
    core.keys_made += 1;
    let now = core.cluster.wall();
    let id = format!("simKey{:014}", core.keys_made);
    let key = format!("simSecret{:013x}", now ^ core.keys_made);
    let expires = wish.expiration.map(|time| now + time.millis());
    let mut answer = json!({"id": id, "name": wish.name});
    if let Some(map) = answer.as_object_mut() {
        if let Some(expires) = expires {
            map.insert("expiration".into(), expires.into());
        }
        map.insert("api_key".into(), key.clone().into());
    }
    let owner = caller.as_ref().map(|caller| caller.user.clone());
    core.directory.keys.push(ApiKey {
        id,
        key,
        privileges: wish
            .limited
            .or_else(|| caller.map(|caller| caller.privileges))
            .unwrap_or_default(),
        name: wish.name,
        owner: owner.unwrap_or_default(),
        invalidated: false,
        expires,
        created: now,
    });
    answer
}

fn list(reader: &mut Reader) -> Result<Call, ApiError> {
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
                .map(shown)
                .collect();
            Ran::Json(200, json!({"api_keys": list}))
        },
    ))
}

fn shown(key: &ApiKey) -> Value {
    let mut shown = json!({"id": key.id, "name": key.name, "creation": key.created});
    if let Some(map) = shown.as_object_mut() {
        if let Some(expires) = key.expires {
            map.insert("expiration".into(), expires.into());
        }
        map.insert("invalidated".into(), key.invalidated.into());
        map.insert("username".into(), key.owner.clone().into());
        let realm = if key.owner == "elastic" {
            "reserved"
        } else {
            "default_native"
        };
        map.insert("realm".into(), realm.into());
    }
    shown
}

fn invalidate(reader: &mut Reader) -> Result<Call, ApiError> {
    let body = reader.loose("invalidate api key")?;
    reader.done()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut ids = texts(body.get("ids"));
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
