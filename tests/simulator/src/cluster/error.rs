//! The error every API call may end in, as Elasticsearch describes it: a type, a reason, causes and a status.
//! It knows nothing of HTTP beyond the number of the status, and nothing of JSON layout beyond extra keys.

use serde_json::Value;

/// An exception of Elasticsearch (reference 2.1 and 2.2).
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Exception type in snake case.
    pub kind: String,
    /// `None` is answered as `null`.
    pub reason: Option<String>,
    /// Type-specific keys beside `type` and `reason`.
    pub extra: Vec<(String, Value)>,
    /// `caused_by`.
    pub cause: Option<Box<ApiError>>,
    /// Elasticsearch's own exceptions are followed by `root_cause`, foreign ones (`illegal_*`) are not.
    pub own: bool,
    /// `root_cause: []`, as search failures without a shard have it.
    pub rootless: bool,
}

impl ApiError {
    /// An error of the given type.
    pub fn new(status: u16, kind: &str, reason: impl Into<String>) -> Self {
        let own = !matches!(
            kind,
            "illegal_argument_exception"
                | "illegal_state_exception"
                | "number_format_exception"
                | "json_parse_exception"
                | "json_e_o_f_exception"
        );
        Self {
            status,
            kind: kind.into(),
            reason: Some(reason.into()),
            extra: Vec::new(),
            cause: None,
            own,
            rootless: false,
        }
    }

    /// `illegal_argument_exception`, 400.
    pub fn bad_argument(reason: impl Into<String>) -> Self {
        Self::new(400, "illegal_argument_exception", reason)
    }

    /// `status_exception` with its own status.
    pub fn status(status: u16, reason: impl Into<String>) -> Self {
        Self::new(status, "status_exception", reason)
    }

    /// `resource_not_found_exception`, 404.
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::new(404, "resource_not_found_exception", reason)
    }

    /// `resource_already_exists_exception`, 400.
    pub fn exists(reason: impl Into<String>) -> Self {
        Self::new(400, "resource_already_exists_exception", reason)
    }

    /// The 404 of an expression, with the tokens that matched nothing.
    pub fn no_job(tokens: &str) -> Self {
        Self::not_found(format!("No known job with id '{tokens}'"))
    }

    /// The 404 of a datafeed expression.
    pub fn no_datafeed(tokens: &str) -> Self {
        Self::not_found(format!("No datafeed with id [{tokens}] exists"))
    }

    /// `master_not_discovered_exception`, 503, reason null.
    pub fn no_master() -> Self {
        let mut error = Self::new(503, "master_not_discovered_exception", "");
        error.reason = None;
        error
    }

    /// Adds `caused_by`.
    #[must_use]
    pub fn caused_by(mut self, cause: ApiError) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Adds a type-specific key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.push((key.into(), value.into()));
        self
    }

    /// The error that `root_cause` shows: follows causes while they are Elasticsearch's own.
    pub fn root(&self) -> &ApiError {
        match &self.cause {
            Some(cause) if cause.own => cause.root(),
            _ => self,
        }
    }
}
