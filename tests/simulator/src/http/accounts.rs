//! Roles and users as the recording makes and drops them; a user's privileges are those of the roles it names.

use serde_json::{Value, json};

use super::{
    auth::{Directory, User},
    call::{Call, Ran, Reader},
    routes::Endpoint,
    security::texts,
};
use crate::cluster::ApiError;

const ROLE: &str = "cluster:admin/xpack/security/role/put";
const USER: &str = "cluster:admin/xpack/security/user/put";

/// Reads one of these calls.
///
/// # Errors
/// The 400s of its parameters and body.
pub(crate) fn read(reader: &mut Reader) -> Result<Call, ApiError> {
    let name = reader
        .params
        .text("name")
        .or_else(|| reader.params.text("username"))
        .unwrap_or_default();
    reader.params.text("username");
    reader.params.text("refresh");
    let body = reader.loose("role or user")?;
    reader.done()?;
    let password = body
        .get("password")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let (cluster, roles) = (texts(body.get("cluster")), texts(body.get("roles")));
    Ok(match reader.endpoint {
        Endpoint::PutRole => Call::new(ROLE, move |core| {
            let created = !drop_role(&mut core.directory, &name);
            core.directory.roles.push((name, cluster));
            Ran::Json(200, json!({"role": {"created": created}}))
        }),
        Endpoint::DeleteRole => Call::new(ROLE, move |core| {
            found(drop_role(&mut core.directory, &name))
        }),
        Endpoint::PutUser => Call::new(USER, move |core| {
            let created = put_user(&mut core.directory, name, password, roles);
            Ran::Json(200, json!({"created": created}))
        }),
        _ => Call::new(USER, move |core| {
            let users = &mut core.directory.users;
            let before = users.len();
            users.retain(|user| user.name != name);
            found(users.len() != before)
        }),
    })
}

fn drop_role(directory: &mut Directory, name: &str) -> bool {
    let before = directory.roles.len();
    directory.roles.retain(|(known, _)| known != name);
    directory.roles.len() != before
}

/// Whether the user is new; an old one keeps its password if none is given.
fn put_user(
    directory: &mut Directory,
    name: String,
    password: Option<String>,
    roles: Vec<String>,
) -> bool {
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
    created
}

fn found(found: bool) -> Ran {
    Ran::Json(if found { 200 } else { 404 }, json!({"found": found}))
}
