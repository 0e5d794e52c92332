//! Who asks, and what it may do: users, API keys, cluster privileges and raw actions (privileges.json of the recording).
//! Nothing here decides what a call does.

use serde_json::{Value, json};

use crate::{
    cluster::{ApiError, expression::plain},
    profile::Profile,
};

/// A user with a password.
#[derive(Debug, Clone)]
pub struct User {
    /// Name.
    pub name: String,
    /// Password in clear text: this is a test server.
    pub password: String,
    /// Built-in cluster privileges or raw actions, `*` allowed.
    pub privileges: Vec<String>,
}

/// An API key.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Id.
    pub id: String,
    /// Secret.
    pub key: String,
    /// As for users.
    pub privileges: Vec<String>,
    /// Name.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// No longer valid.
    pub invalidated: bool,
    /// Wall time in ms since 1970 from which on it is no longer valid.
    pub expires: Option<u64>,
    /// Wall time of its creation.
    pub created: u64,
}

/// Everyone the server knows. Without users and keys security is off.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub(crate) users: Vec<User>,
    pub(crate) keys: Vec<ApiKey>,
    /// Roles made through the API: name and privileges.
    pub(crate) roles: Vec<(String, Vec<String>)>,
    /// Users made through the API: name and roles, resolved when asked.
    pub(crate) roles_of: Vec<(String, Vec<String>)>,
    pub(crate) enabled: bool,
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) key: Option<String>,
    pub(crate) privileges: Vec<String>,
    pub(crate) roles: Vec<String>,
    /// Rights on indices: a superuser's, which no cluster privilege of a role gives, `all` neither.
    pub(crate) indices: bool,
}

const PREDEFINED: &[&str] = &[
    "monitor_ml",
    "manage_enrich",
    "read_slm",
    "monitor_watcher",
    "manage_index_templates",
    "manage_ccr",
    "monitor_transform",
    "delegate_pki",
    "none",
    "monitor_snapshot",
    "manage_data_frame_transforms",
    "read_ilm",
    "monitor_data_frame_transforms",
    "manage_api_key",
    "manage_security",
    "manage_saml",
    "manage_own_api_key",
    "all",
    "manage_ilm",
    "manage_oidc",
    "manage_ingest_pipelines",
    "read_ccr",
    "monitor",
    "manage_rollup",
    "manage_slm",
    "manage_watcher",
    "manage",
    "manage_transform",
    "manage_token",
    "manage_autoscaling",
    "manage_ml",
    "manage_pipeline",
    "monitor_rollup",
    "grant_api_key",
    "transport_client",
    "create_snapshot",
];

/// Whether one privilege covers an action.
fn covers(privilege: &str, action: &str) -> bool {
    let ml = action.starts_with("cluster:monitor/xpack/ml/");
    match privilege {
        "all" => true,
        "manage" => {
            action.starts_with("cluster:") && !action.starts_with("cluster:admin/xpack/security/")
        }
        "monitor" => action.starts_with("cluster:monitor/"),
        "monitor_ml" => ml,
        "manage_ml" => ml || action.starts_with("cluster:admin/xpack/ml/"),
        "manage_api_key" | "manage_own_api_key" => {
            action.starts_with("cluster:admin/xpack/security/api_key/")
        }
        "manage_security" => action.starts_with("cluster:admin/xpack/security/"),
        raw => {
            raw.contains(':')
                && (plain(raw, action)
                    || action
                        .strip_prefix(raw)
                        .is_some_and(|rest| rest.starts_with('[')))
        }
    }
}

/// Whether one privilege holds another one.
fn holds(privilege: &str, wanted: &str) -> bool {
    match (privilege, wanted) {
        (privilege, wanted) if privilege == wanted || privilege == "all" => true,
        ("manage", other) => !matches!(
            other,
            "all"
                | "manage_security"
                | "manage_api_key"
                | "manage_own_api_key"
                | "grant_api_key"
                | "manage_saml"
                | "manage_oidc"
                | "manage_token"
        ),
        ("monitor" | "manage_ml", "monitor_ml") => true,
        (privilege, action) => action.contains(':') && covers(privilege, action),
    }
}

impl Caller {
    pub(crate) fn may(&self, action: &str) -> bool {
        let on_indices = action.starts_with("indices:");
        // Asking about oneself is free for everyone who is known.
        action.is_empty()
            || (on_indices && self.indices)
            || self
                .privileges
                .iter()
                .filter(|privilege| !on_indices || privilege.contains(':'))
                .any(|privilege| covers(privilege, action))
    }

    pub(crate) fn has(&self, wanted: &str) -> bool {
        self.privileges
            .iter()
            .any(|privilege| holds(privilege, wanted))
    }

    /// 403 in the words of the profile.
    pub(crate) fn refusal(&self, action: &str, profile: Profile) -> ApiError {
        let who = match &self.key {
            Some(key) => format!("API key id [{key}] of user [{}]", self.user),
            None => format!("user [{}]", self.user),
        };
        if profile.is_7() {
            return ApiError::new(
                403,
                "security_exception",
                format!("action [{action}] is unauthorized for {who}"),
            );
        }
        let roles = if self.key.is_some() {
            String::new()
        } else {
            format!(" with effective roles [{}]", self.roles.join(","))
        };
        let granting: Vec<&str> = [
            "monitor_ml",
            "manage_ml",
            "monitor",
            "manage_api_key",
            "manage_security",
            "manage",
            "all",
        ]
        .into_iter()
        .filter(|privilege| covers(privilege, action))
        .collect();
        let grants = format!(
            ", this action is granted by the cluster privileges [{}]",
            granting.join(",")
        );
        ApiError::new(
            403,
            "security_exception",
            format!("action [{action}] is unauthorized for {who}{roles}{grants}"),
        )
    }
}

/// Refuses names that are neither a built-in privilege nor a pattern over actions.
pub(crate) fn check_privilege(name: &str) -> Result<(), ApiError> {
    if PREDEFINED.contains(&name)
        || name.starts_with("cluster:")
        || name.starts_with("indices:")
        || name.contains('*')
    {
        return Ok(());
    }
    Err(ApiError::bad_argument(format!(
        "unknown cluster privilege [{name}]. a privilege must be either one of the predefined cluster privilege names [{}] or a pattern over one of the available cluster actions",
        PREDEFINED.join(",")
    )))
}

impl Directory {
    pub(crate) fn new(users: Vec<User>, keys: Vec<ApiKey>) -> Self {
        let enabled = !users.is_empty() || !keys.is_empty();
        Self {
            users,
            keys,
            roles: Vec::new(),
            roles_of: Vec::new(),
            enabled,
        }
    }

    /// Identifies the caller of a request; `Ok(None)` where security is off.
    pub(crate) fn authenticate(
        &self,
        header: Option<&str>,
        uri: &str,
        now: u64,
        profile: Profile,
    ) -> Result<Option<Caller>, ApiError> {
        if !self.enabled {
            return Ok(None);
        }
        let missing = || {
            challenge(
                401,
                format!("missing authentication credentials for REST request [{uri}]"),
                profile,
            )
        };
        let header = header
            .map(str::trim)
            .filter(|header| !header.is_empty())
            .ok_or_else(missing)?;
        let (scheme, credentials) = header.split_once(' ').unwrap_or((header, ""));
        if credentials.is_empty() {
            return Err(missing());
        }
        if scheme.eq_ignore_ascii_case("basic") {
            return self.basic(credentials.trim(), uri, profile).map(Some);
        }
        if scheme.eq_ignore_ascii_case("apikey") {
            return self.api_key(credentials.trim(), now).map(Some).ok_or_else(|| {
                if profile.is_7() { missing() } else { challenge(401, "unable to authenticate with provided credentials and anonymous access is not allowed for this request".into(), profile) }
            });
        }
        Err(missing())
    }

    fn basic(&self, credentials: &str, uri: &str, profile: Profile) -> Result<Caller, ApiError> {
        let bytes = base64(credentials).map_err(|bad| {
            let cause = ApiError::bad_argument(format!("Illegal base64 character {bad:x}"));
            challenge(
                401,
                "invalid basic authentication header encoding".into(),
                profile,
            )
            .caused_by(cause)
        })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((name, password)) = text.split_once(':') else {
            return Err(challenge(
                401,
                "invalid basic authentication header value".into(),
                profile,
            ));
        };
        match self
            .users
            .iter()
            .find(|user| user.name == name && user.password == password)
        {
            Some(user) => Ok(self.caller(user)),
            None => Err(challenge(
                401,
                format!("unable to authenticate user [{name}] for REST request [{uri}]"),
                profile,
            )),
        }
    }

    fn caller(&self, user: &User) -> Caller {
        let roles = self
            .roles_of
            .iter()
            .find(|(name, _)| *name == user.name)
            .map(|(_, roles)| roles.clone());
        let from_roles = roles
            .iter()
            .flatten()
            .filter_map(|role| self.roles.iter().find(|(name, _)| name == role))
            .flat_map(|(_, privileges)| privileges.clone());
        let privileges: Vec<String> = user.privileges.iter().cloned().chain(from_roles).collect();
        let superuser = privileges.iter().any(|privilege| privilege == "all");
        let roles = roles.unwrap_or_else(|| {
            vec![if superuser {
                "superuser".to_owned()
            } else {
                format!("{}_role", user.name)
            }]
        });
        Caller {
            user: user.name.clone(),
            key: None,
            privileges,
            roles,
            indices: user.privileges.iter().any(|privilege| privilege == "all"),
        }
    }

    fn api_key(&self, credentials: &str, now: u64) -> Option<Caller> {
        let bytes = base64(credentials).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (id, secret) = text.split_once(':')?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id == id && key.key == secret)?;
        if key.invalidated || key.expires.is_some_and(|expires| expires <= now) {
            return None;
        }
        Some(Caller {
            user: key.owner.clone(),
            key: Some(key.id.clone()),
            privileges: key.privileges.clone(),
            roles: Vec::new(),
            indices: key.privileges.iter().any(|privilege| privilege == "all"),
        })
    }
}

fn challenge(status: u16, reason: String, profile: Profile) -> ApiError {
    let challenges: Value = if profile.is_7() {
        json!([
            "Bearer realm=\"security\"",
            "ApiKey",
            "Basic realm=\"security\" charset=\"UTF-8\""
        ])
    } else {
        json!([
            "Basic realm=\"security\", charset=\"UTF-8\"",
            "Bearer realm=\"security\"",
            "ApiKey"
        ])
    };
    ApiError::new(status, "security_exception", reason)
        .with("header", json!({"WWW-Authenticate": challenges}))
}

/// Decodes base64 with optional padding; the error is the first byte that is none.
fn base64(text: &str) -> Result<Vec<u8>, u8> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => return Err(other),
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((bits >> count) & 0xFF).unwrap_or_default());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{Caller, base64};

    fn caller(privileges: &[&str]) -> Caller {
        Caller {
            user: "u".into(),
            key: None,
            indices: privileges.contains(&"all"),
            privileges: privileges.iter().map(|name| (*name).to_owned()).collect(),
            roles: Vec::new(),
        }
    }

    #[test]
    fn manage_ml_closes_and_reads_jobs_but_sees_neither_version_nor_tasks() {
        let caller = caller(&["manage_ml"]);
        assert!(
            caller.may("cluster:admin/xpack/ml/job/close")
                && caller.may("cluster:monitor/xpack/ml/job/stats/get")
        );
        assert!(!caller.may("cluster:monitor/main") && !caller.may("cluster:monitor/state"));
    }

    #[test]
    fn a_raw_action_allows_itself_alone() {
        let caller = caller(&["cluster:admin/xpack/ml/job/close"]);
        assert!(
            caller.may("cluster:admin/xpack/ml/job/close")
                && !caller.may("cluster:admin/xpack/ml/job/open")
        );
        assert!(!caller.has("manage_ml") && caller.has("cluster:admin/xpack/ml/job/close"));
    }

    #[test]
    fn base64_is_decoded_and_its_first_bad_sign_named() {
        assert_eq!(base64("ZWxhc3RpYzp4"), Ok(b"elastic:x".to_vec()));
        assert_eq!(base64("%%%"), Err(b'%'));
    }
}
