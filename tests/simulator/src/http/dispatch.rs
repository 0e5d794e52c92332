//! From a request to its answer: style, route, caller, parameters, permission, upgrade mode, work, in the recorded order.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    answer::{Answer, Style},
    call::{Call, Ran, Reader, compatible},
    core::Core,
    feeds,
    filter::Filter,
    jobs,
    json_kinds::bool_text,
    misc,
    params::Params,
    request::Request,
    routes::{Endpoint, Match, Room},
    security, uri,
};
use crate::{
    cluster::{ApiError, Outcome, Reply},
    profile::Profile,
};

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Step {
    Done(Answer),
    /// The answer comes when the cluster has it.
    Wait(oneshot::Receiver<Outcome>, Finish),
    /// No answer, ever.
    Never,
}

/// What is needed to write an answer.
#[derive(Debug)]
pub(crate) struct Finish {
    profile: Profile,
    style: Style,
    warnings: Vec<String>,
    /// `error_trace` holds nonsense: an error cannot be written, and so is never answered.
    mute_errors: bool,
    head: bool,
}

impl Finish {
    fn plain(profile: Profile) -> Self {
        Self {
            profile,
            style: Style::default(),
            warnings: Vec::new(),
            mute_errors: false,
            head: false,
        }
    }

    /// Writes an outcome.
    pub(crate) fn outcome(&self, status: u16, outcome: Outcome) -> Option<Answer> {
        match outcome {
            Ok(value) => {
                let value = if self.style.filter.is_empty() {
                    value
                } else {
                    self.style.filter.apply(value)
                };
                Some(self.dress(Answer::styled(status, &value, &self.style, self.profile)))
            }
            Err(_) if self.mute_errors => None,
            Err(error) => Some(self.dress(Answer::error(&error, &self.style, self.profile))),
        }
    }

    fn dress(&self, mut answer: Answer) -> Answer {
        for warning in &self.warnings {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            let value = format!(
                "299 Elasticsearch-{}-{} \"{quoted}\"",
                self.profile.build().number,
                self.profile.build().hash
            );
            answer.headers.push(("Warning".into(), value));
        }
        if self.head {
            answer.body.clear();
        }
        answer
    }

    fn step(&self, outcome: Outcome) -> Step {
        self.outcome(200, outcome).map_or(Step::Never, Step::Done)
    }

    /// A bare string as `error`, as routing answers.
    fn string_error(&self, status: u16, text: &str, with_status: bool) -> Answer {
        let body = if with_status {
            serde_json::json!({"error": text, "status": status})
        } else {
            serde_json::json!({"error": text})
        };
        self.dress(Answer::styled(status, &body, &self.style, self.profile))
    }
}

/// Works on one request under the lock.
pub(crate) fn dispatch(core: &mut Core, request: &Request) -> Step {
    core.tick();
    let step = inner(core, request);
    core.hand_out();
    step
}

fn inner(core: &mut Core, request: &Request) -> Step {
    let profile = core.profile;
    let mut finish = Finish::plain(profile);
    let values = match uri::query(request.query()) {
        Ok(values) => values,
        Err(bad) => return finish.step(Err(bad_query(&bad))),
    };
    let mut params = Params::new(request.path().to_owned(), values);
    finish.head = request.method == "HEAD";
    if let Err(error) = read_style(&mut params, request, &mut finish) {
        return finish.step(Err(error));
    }
    core.caller = None;
    if let Err(error) = check_media(request, profile, &mut finish) {
        return finish.step(Err(error));
    }
    let routes = Arc::clone(&core.routes);
    match routes.find(&request.method, request.path()) {
        Match::Found {
            endpoint,
            parts,
            old,
        } => {
            if let Some((old, new)) = old {
                params.warnings.push(format!(
                    "[{} {old}] is deprecated! Use [{} {new}] instead.",
                    request.method, request.method
                ));
            }
            for (name, value) in parts {
                params.set_path_part(&name, value);
            }
            found(core, request, endpoint, &mut params, finish)
        }
        Match::Methods { allowed, bad } => {
            Step::Done(wrong_method(request, &finish, &allowed, bad))
        }
        Match::Nothing => {
            let text = format!(
                "no handler found for uri [{}] and method [{}]",
                request.uri, request.method
            );
            Step::Done(finish.string_error(400, &text, false))
        }
    }
}

fn bad_query(bad: &str) -> ApiError {
    let outer = ApiError::new(
        400,
        "bad_parameter_exception",
        format!("java.lang.IllegalArgumentException: {bad}"),
    );
    ApiError {
        own: false,
        ..outer
    }
    .caused_by(ApiError::bad_argument(bad))
}

/// A known path without this method, or with a bad escape; OPTIONS asks which methods there are.
fn wrong_method(
    request: &Request,
    finish: &Finish,
    allowed: &[&'static str],
    bad: Option<String>,
) -> Answer {
    let list = allowed.join(", ");
    let mut answer = match bad {
        _ if request.method == "OPTIONS" => Answer::text(200, String::new()),
        Some(bad) => finish.string_error(405, &format!("{bad}, allowed: [{list}]"), true),
        None => {
            let text = format!(
                "Incorrect HTTP method for uri [{}] and method [{}], allowed: [{list}]",
                request.uri, request.method
            );
            finish.string_error(405, &text, true)
        }
    };
    answer.headers.push(("Allow".into(), allowed.join(",")));
    answer
}

fn found(
    core: &mut Core,
    request: &Request,
    endpoint: Endpoint,
    params: &mut Params,
    mut finish: Finish,
) -> Step {
    if !request.body.is_empty() && !known_content(request) {
        let text = match request.header("content-type") {
            Some(given) => format!("Content-Type header [{given}] is not supported"),
            None => "Content-Type header [] is not supported".into(),
        };
        return Step::Done(finish.string_error(406, &text, true));
    }
    // Security wraps the handlers: what has no handler was answered before.
    core.caller = match core.directory.authenticate(
        request.header("authorization"),
        &request.uri,
        core.cluster.wall(),
        core.profile,
    ) {
        Ok(caller) => caller,
        Err(error) => return finish.step(Err(error)),
    };
    let mut reader = Reader {
        request,
        params,
        profile: core.profile,
        endpoint,
    };
    let call = match endpoint.room() {
        Room::Jobs => jobs::read(&mut reader),
        Room::Feeds => feeds::read(&mut reader),
        Room::Security => security::read(core, &mut reader),
        Room::Rest => misc::read(&mut reader),
    };
    finish.warnings = std::mem::take(&mut params.warnings);
    let call = match call.and_then(|call| permitted(core, call)) {
        Ok(call) => call,
        Err(error) => return finish.step(Err(error)),
    };
    // These two pages are indented unless the client has said otherwise; their errors are not.
    finish.style.pretty |=
        matches!(endpoint, Endpoint::Root | Endpoint::License) && !params.has("pretty");
    core.current_filter = Arc::new(std::mem::take(&mut finish.style.filter));
    let before = core.cluster.searches();
    let ran = (call.work)(core);
    let searches = core.cluster.searches() - before;
    if searches > 0 {
        *core.searches.entry(format!("{endpoint:?}")).or_insert(0) += searches;
    }
    finish.style.filter =
        Arc::try_unwrap(std::mem::take(&mut core.current_filter)).unwrap_or_default();
    ended(core, ran, finish)
}

/// The answer to what the work came to, or the wait for it.
fn ended(core: &mut Core, ran: Ran, finish: Finish) -> Step {
    match ran {
        Ran::Never => Step::Never,
        Ran::Text(text) => Step::Done(finish.dress(Answer::text(200, text))),
        Ran::Json(status, value) => finish
            .outcome(status, Ok(value))
            .map_or(Step::Never, Step::Done),
        Ran::Reply(Reply::Now(outcome)) => finish.step(outcome),
        Ran::Reply(Reply::Later(ticket)) => {
            let (sender, receiver) = oneshot::channel();
            core.waiting.insert(ticket, sender);
            Step::Wait(receiver, finish)
        }
    }
}

/// 403 before 429.
fn permitted(core: &Core, call: Call) -> Result<Call, ApiError> {
    if let Some(caller) = core
        .caller
        .as_ref()
        .filter(|caller| !caller.may(call.action))
    {
        return Err(caller.refusal(call.action, core.profile));
    }
    let guarded = call.action.starts_with("cluster:admin/xpack/ml/")
        && call.action != "cluster:admin/xpack/ml/upgrade_mode";
    if guarded && core.cluster.in_upgrade_mode() {
        return Err(ApiError::status(
            429,
            format!(
                "Cannot perform {} action while upgrade mode is enabled",
                call.action
            ),
        ));
    }
    let searches = call.action.contains("/xpack/ml/")
        && !matches!(
            call.action,
            "cluster:admin/xpack/ml/upgrade_mode" | "cluster:monitor/xpack/ml/info/get"
        );
    if searches {
        core.cluster.searchable()?;
    }
    Ok(call)
}

fn read_style(params: &mut Params, request: &Request, finish: &mut Finish) -> Result<(), ApiError> {
    let trace = params.text("error_trace");
    finish.mute_errors = trace
        .as_deref()
        .is_some_and(|text| !text.is_empty() && bool_text(text).is_err());
    finish.style.trace = trace.is_some_and(|text| text.is_empty() || text == "true");
    let format = params.text("format");
    let accept = request.header("accept").unwrap_or_default();
    finish.style.yaml =
        format.as_deref() == Some("yaml") || (format.is_none() && accept.contains("yaml"));
    let filter = params.text("filter_path");
    // A broken `pretty` is answered before anything else has been set up.
    finish.style.pretty = params.flag("pretty", false)?;
    params.flag("human", false)?;
    finish.style.filter = filter.map(|text| Filter::parse(&text)).unwrap_or_default();
    Ok(())
}

fn check_media(request: &Request, profile: Profile, finish: &mut Finish) -> Result<(), ApiError> {
    let Some(known) = profile.compatible_with() else {
        return Ok(());
    };
    let (accept, content) = (
        compatible(request.header("accept")),
        compatible(request.header("content-type")).filter(|_| !request.body.is_empty()),
    );
    let bad = |name: &str| {
        ApiError::new(
            400,
            "media_type_header_exception",
            format!("Invalid media-type value on headers [{name}]"),
        )
    };
    if accept.is_some_and(|version| !known.contains(&version)) {
        return Err(bad("Accept"));
    }
    if content.is_some_and(|version| !known.contains(&version)) {
        return Err(bad("Content-Type"));
    }
    if !request.body.is_empty()
        && accept != content
        && (accept.is_some() && content.is_some()
            || content.is_some() && request.header("accept").is_some_and(|given| given != "*/*"))
    {
        let text = format!(
            "A compatible version is required on both Content-Type and Accept headers if either one has requested a compatible version and the compatible versions must match. Accept={}, Content-Type={}",
            request.header("accept").unwrap_or("null"),
            request.header("content-type").unwrap_or("null")
        );
        return Err(ApiError::new(400, "status_exception", text));
    }
    finish.style.compatible = accept;
    Ok(())
}

fn known_content(request: &Request) -> bool {
    let Some(given) = request.header("content-type") else {
        return false;
    };
    let kind = given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    matches!(
        kind.as_str(),
        "application/json"
            | "application/x-ndjson"
            | "application/vnd.elasticsearch+json"
            | "application/vnd.elasticsearch+x-ndjson"
            | "application/yaml"
    )
}
