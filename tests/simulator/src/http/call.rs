//! What a request asks of the cluster, once its parameters have been read: the action that must be allowed, and the work.
//! Reading goes before authorisation, authorisation before work (recorded order 400, 403, 429, 404).

use serde_json::{Map, Value};

use super::{
    core::Core,
    json::{self, Body},
    json_kinds::Spec,
    params::Params,
    request::Request,
    routes::Endpoint,
};
use crate::{
    cluster::{ApiError, Reply},
    profile::Profile,
};

/// What the work came to.
#[derive(Debug)]
pub(crate) enum Ran {
    Json(u16, Value),
    Text(String),
    Reply(Reply),
    Never,
}

impl From<Result<Value, ApiError>> for Ran {
    fn from(outcome: Result<Value, ApiError>) -> Self {
        Self::Reply(Reply::Now(outcome))
    }
}

/// The work of a call.
pub(crate) type Work = Box<dyn FnOnce(&mut Core) -> Ran + Send>;

/// A call that has passed its 400s.
pub(crate) struct Call {
    /// Action that must be allowed; empty is free for every known caller.
    pub(crate) action: &'static str,
    pub(crate) work: Work,
}

impl Call {
    pub(crate) fn new(
        action: &'static str,
        work: impl FnOnce(&mut Core) -> Ran + Send + 'static,
    ) -> Self {
        Self {
            action,
            work: Box::new(work),
        }
    }
}

/// Everything a reader of parameters needs.
pub(crate) struct Reader<'a> {
    pub(crate) request: &'a Request,
    pub(crate) params: &'a mut Params,
    pub(crate) profile: Profile,
    pub(crate) endpoint: Endpoint,
}

impl Reader<'_> {
    /// A part of the path.
    pub(crate) fn part(&mut self, name: &str) -> String {
        self.params.text(name).unwrap_or_default()
    }

    /// Whether body parsing is chosen, and query parameters are left unread.
    pub(crate) fn has_content(&self) -> bool {
        !self.request.body.is_empty() || self.params.has("source")
    }

    /// Whether the names of 7.x are understood: by it, and by 8 for a client that asks for the answers of 7.
    fn old_names(&self) -> bool {
        self.profile.old_names()
            || (self
                .profile
                .compatible_with()
                .is_some_and(|known| known.contains(&7))
                && compatible(self.request.header("accept")) == Some(7))
    }

    /// `allow_no_match` with its old name of this version.
    pub(crate) fn allow_no_match(&mut self, old: &str) -> Result<bool, ApiError> {
        self.params
            .allow_no_match(Some(old).filter(|_| self.old_names()), false)
    }

    /// The body, strictly.
    pub(crate) fn body(&mut self, spec: Spec) -> Result<Body, ApiError> {
        if self.request.body.is_empty() {
            return Err(ApiError::new(
                400,
                "parse_exception",
                "request body is required",
            ));
        }
        let spec = Spec {
            old: if self.old_names() { spec.old } else { &[] },
            ..spec
        };
        let body = json::parse_object(&self.request.body, spec)?;
        self.params.warnings.extend(body.warnings.iter().cloned());
        Ok(body)
    }

    /// The body without a look at its names; empty where there is none.
    pub(crate) fn loose(&self, parser: &str) -> Result<Map<String, Value>, ApiError> {
        if self.request.body.is_empty() {
            Ok(Map::new())
        } else {
            json::loose_object(&self.request.body, parser)
        }
    }

    /// Ends the reading.
    pub(crate) fn done(&self) -> Result<(), ApiError> {
        self.params.finish()
    }
}

/// `compatible-with` of a media type.
pub(super) fn compatible(header: Option<&str>) -> Option<u8> {
    let (_, rest) = header?.split_once("compatible-with=")?;
    rest.trim()
        .trim_matches('"')
        .split([';', ',', ' '])
        .next()?
        .parse()
        .ok()
}
