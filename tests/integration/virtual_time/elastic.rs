//! The simulated Elasticsearch of a world: reached through pipes in memory by the operator's own client and by the test, with
//! the same HTTP as over a network. Its log is the truth about what happened to the jobs.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anomalyjob_operator::elasticsearch::{Carrier, CarrierError};
use bytes::Bytes;
use elasticsearch_simulator::{Memory, Options, Profile};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use super::between::{Ask, Between, Body, Error, Server};
use super::sentinel;

/// Where the operator believes the first one to be.
pub(crate) const URL: &str = "http://elasticsearch.test:9200";
/// The host of the first one, and what those of the others begin with.
const HOST: &str = "elasticsearch";

/// The address of something else.
pub(crate) const ELSEWHERE: &str = "http://elsewhere.test:9200";

/// The cluster; cheap to clone.
#[derive(Clone)]
pub(crate) struct Elastic {
    /// The beginning of its url.
    place: String,
    memory: Arc<Memory>,
    between: Between,
    planted: Arc<AtomicBool>,
    other: Arc<OnceLock<Other>>,
}

/// What answers at another address than the cluster's, by path; nobody takes part in it but who asks.
type Other = Box<dyn Fn(&str) -> Response<Body> + Send + Sync>;

impl Elastic {
    pub(crate) fn new(between: Between, number: usize, profile: Profile, wall_ms: u64) -> Self {
        let options = Options {
            profile,
            wall_ms: Some(wall_ms),
            ..Options::default()
        };
        let number = if number == 0 {
            String::new()
        } else {
            number.to_string()
        };
        Self {
            place: format!("http://{HOST}{number}.test:"),
            memory: Arc::new(Memory::start(options)),
            between,
            planted: Arc::default(),
            other: Arc::default(),
        }
    }

    /// At [`ELSEWHERE`] this answers.
    pub(crate) fn elsewhere(
        &self,
        answer: impl Fn(&str) -> Response<Body> + Send + Sync + 'static,
    ) {
        assert!(self.other.set(Box::new(answer)).is_ok(), "only one");
    }

    /// From now on sentinels stand in each answer to the operator.
    pub(crate) fn plant(&self) {
        self.planted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_planted(&self) -> bool {
        self.planted.load(Ordering::Relaxed)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}9200", self.place)
    }

    /// The url leads to it, at whatever port.
    pub(crate) fn is_at(&self, url: &str) -> bool {
        url.starts_with(&self.place)
    }

    /// What carries the requests of a process.
    pub(crate) fn carrier(&self, process: &str) -> Carrier {
        let (elastic, process) = (self.clone(), process.to_owned());
        Arc::new(move |request| {
            let (elastic, process) = (elastic.clone(), process.clone());
            Box::pin(async move { elastic.carried(process, request).await })
        })
    }

    async fn carried(
        &self,
        process: String,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, CarrierError> {
        if let Some(other) = self.other.get()
            && ELSEWHERE.contains(request.url().authority())
        {
            return Ok(sent_on(other(request.url().path())));
        }
        let (mut parts, body) = Request::<reqwest::Body>::try_from(request)?.into_parts();
        let body = body.collect().await?.to_bytes();
        let ask = Ask {
            number: 0,
            at: std::time::Duration::ZERO,
            process,
            server: Server::Elasticsearch,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: body.clone(),
        };
        parts
            .headers
            .insert("host", "elasticsearch.test:9200".parse()?);
        parts.uri = parts
            .uri
            .path_and_query()
            .expect("a path")
            .as_str()
            .parse()?;
        let memory = Arc::clone(&self.memory);
        let act = move || {
            let request = Request::from_parts(parts.clone(), Full::new(body.clone()));
            exchange(Arc::clone(&memory), request)
        };
        let mut answer = self.between.carry(ask, act).await?;
        if self.is_planted() {
            answer = sentinel::plant(answer).await?;
        }
        Ok(sent_on(answer))
    }

    /// Calls the machine learning API as the test, or turns a knob; must succeed.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.exchange(method, path, body).await;
        assert!(
            status < 300,
            "{method} {path} {body} was answered with {status}: {answer}"
        );
        answer
    }

    /// The same, whatever comes of it.
    pub(crate) async fn send(&self, method: &str, path: &str) -> u16 {
        self.exchange(method, path, &Value::Null).await.0
    }

    async fn exchange(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "elasticsearch.test:9200")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(text)))
            .expect("a request");
        let answer = exchange(Arc::clone(&self.memory), request)
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        let bytes = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// Turns a knob under `/_simulator/`.
    pub(crate) async fn turn(&self, method: &str, knob: &str, body: &Value) -> Value {
        self.call(method, &format!("/_simulator/{knob}"), body)
            .await
    }

    /// Knobs of one job, such as `{"close_ms": 500}`.
    pub(crate) async fn tune(&self, job: &str, knobs: &Value) {
        self.turn("PUT", &format!("jobs/{job}"), knobs).await;
    }

    /// Puts a fault into the cluster itself.
    pub(crate) async fn inject(&self, rule: &Value) {
        self.turn("POST", "inject", rule).await;
    }

    /// Creates a job of these groups, closed.
    pub(crate) async fn create(&self, job: &str, groups: &[&str]) {
        let config = json!({
            "analysis_config": {"bucket_span": "15m", "detectors": [{"function": "count"}]},
            "data_description": {"time_field": "time"},
            "groups": groups,
        });
        self.call("PUT", &format!("/_ml/anomaly_detectors/{job}"), &config)
            .await;
    }

    pub(crate) async fn open(&self, job: &str) {
        let path = format!("/_ml/anomaly_detectors/{job}/_open");
        self.call("POST", &path, &Value::Null).await;
    }

    /// Creates a job and opens it.
    pub(crate) async fn opened(&self, job: &str) {
        self.create(job, &[]).await;
        self.open(job).await;
    }

    /// Creates a job, opens it, and starts a datafeed named `feed-JOB` for it.
    pub(crate) async fn fed(&self, job: &str) {
        self.opened(job).await;
        self.call("PUT", &format!("/logs-{job}"), &json!({})).await;
        let feed = json!({"job_id": job, "indices": [format!("logs-{job}")]});
        self.call("PUT", &format!("/_ml/datafeeds/feed-{job}"), &feed)
            .await;
        let start = format!("/_ml/datafeeds/feed-{job}/_start");
        self.call("POST", &start, &json!({})).await;
    }

    pub(crate) async fn log(&self) -> Value {
        self.turn("GET", "log", &Value::Null).await
    }
}

fn sent_on(answer: Response<Body>) -> reqwest::Response {
    let wrap = |body| reqwest::Body::wrap(SyncBody(std::sync::Mutex::new(body)));
    answer.map(wrap).into()
}

async fn exchange(
    memory: Arc<Memory>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Body>, Error> {
    let Some(stream) = memory.connect() else {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    Ok(answer.map(|body| {
        let kept = body.map_err(Error::from).map_frame(move |frame| {
            // The connection lives as long as the body is read.
            let _ = &sender;
            frame
        });
        kept.boxed_unsync()
    }))
}

/// reqwest asks of a body that threads may share it, which none ever do.
struct SyncBody(std::sync::Mutex<Body>);

impl hyper::body::Body for SyncBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Error>>> {
        let body = self.get_mut().0.get_mut().expect("nobody panics in it");
        std::pin::Pin::new(body).poll_frame(context)
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.0.lock().expect("nobody panics in it").size_hint()
    }
}
