//! A simulator with jobs in it. What is set up here goes by plain HTTP and never through the client under test.

use anomalyjob_operator::api::JobPattern;
use anomalyjob_operator::api::id::{DatafeedId, JobId};
use anomalyjob_operator::elasticsearch::{Client, Credentials, Endpoint, Ids, Limits};
use elasticsearch_simulator::{ApiKey, Options, Profile, Simulator, User};
use serde_json::{Value, json};

use super::server::lab;

/// Both versions whose answers differ.
pub(crate) const PROFILES: [Profile; 2] = [Profile::V7_10, Profile::V9];

/// A running simulator and who sets it up.
pub(crate) struct Cluster {
    pub(crate) simulator: Simulator,
    admin: reqwest::Client,
}

pub(crate) fn job(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

/// The wildcard that means all jobs.
pub(crate) fn everything() -> [JobPattern; 1] {
    [JobPattern::parse("*").unwrap()]
}

pub(crate) fn datafeed(id: &str) -> DatafeedId {
    DatafeedId::parse(id).unwrap()
}

pub(crate) fn jobs(ids: &[&str]) -> Ids<JobId> {
    Ids::new(ids.iter().map(|id| job(id))).unwrap()
}

impl Cluster {
    pub(crate) async fn start(profile: Profile) -> Self {
        Self::with(Options {
            profile,
            ..Options::default()
        })
        .await
    }

    /// With security: `elastic` may do all, and further keys and users may do what is said.
    pub(crate) async fn secured(profile: Profile, users: Vec<User>, api_keys: Vec<ApiKey>) -> Self {
        let users = [vec![User::new("elastic", "admin", &["all"])], users].concat();
        Self::with(Options {
            profile,
            users,
            api_keys,
            ..Options::default()
        })
        .await
    }

    async fn with(options: Options) -> Self {
        anomalyjob_operator::elasticsearch::tls::install_provider();
        let simulator = Simulator::start(options).await.unwrap();
        let admin = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        Self { simulator, admin }
    }

    pub(crate) fn endpoint(&self, credentials: Credentials) -> Endpoint {
        Endpoint {
            url: self.simulator.url(),
            allow_plaintext: true,
            credentials,
            network: lab(),
            ..Endpoint::default()
        }
    }

    pub(crate) fn client_as(&self, credentials: Credentials) -> Client {
        Client::new(&self.endpoint(credentials), Limits::default()).unwrap()
    }

    /// A client that knows what it talks to.
    pub(crate) async fn client(&self) -> Client {
        let client = self.client_as(Credentials::None);
        client.identify().await.unwrap();
        client
    }

    /// Sends a request with JSON; it has to succeed.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.try_ask(method, path, body).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    pub(crate) async fn try_ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.simulator.url());
        let mut request = self
            .admin
            .request(method.parse().unwrap(), url)
            .basic_auth("elastic", Some("admin"));
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// Turns a knob.
    pub(crate) async fn knob(&self, method: &str, path: &str, body: Value) -> Value {
        self.ask(method, &format!("/_simulator/{path}"), &body)
            .await
    }

    pub(crate) async fn put_job(&self, id: &str, groups: &[&str]) {
        let detectors = json!({"bucket_span": "15m", "detectors": [{"function": "count"}]});
        let body = json!({"analysis_config": detectors, "data_description": {}, "groups": groups});
        self.ask("PUT", &format!("/_ml/anomaly_detectors/{id}"), &body)
            .await;
    }

    /// Makes a job and opens it.
    pub(crate) async fn put_open_job(&self, id: &str) {
        self.put_job(id, &[]).await;
        self.ask(
            "POST",
            &format!("/_ml/anomaly_detectors/{id}/_open"),
            &Value::Null,
        )
        .await;
    }

    /// Makes a datafeed of an open job and starts it.
    pub(crate) async fn start_datafeed(&self, id: &str, job: &str) {
        // There already where another datafeed was made.
        let _ = self.try_ask("PUT", "/logs", &Value::Null).await;
        let body = json!({"job_id": job, "indices": ["logs"]});
        self.ask("PUT", &format!("/_ml/datafeeds/{id}"), &body)
            .await;
        self.ask("POST", &format!("/_ml/datafeeds/{id}/_start"), &Value::Null)
            .await;
    }

    /// The state of a job by its own words.
    pub(crate) async fn state_of(&self, job: &str) -> String {
        let answer = self
            .ask(
                "GET",
                &format!("/_ml/anomaly_detectors/{job}/_stats"),
                &Value::Null,
            )
            .await;
        answer["jobs"][0]["state"].as_str().unwrap().to_owned()
    }

    /// Waits until a job is in a state.
    pub(crate) async fn until(&self, job: &str, state: &str) {
        let seen = async {
            while self.state_of(job).await != state {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let limit = std::time::Duration::from_secs(60);
        tokio::time::timeout(limit, seen)
            .await
            .unwrap_or_else(|_| panic!("{job} never was {state}"));
    }

    /// Forgets the requests so far.
    pub(crate) async fn forget(&self) {
        self.knob("DELETE", "log", Value::Null).await;
    }

    /// The requests since, as `METHOD path?query`.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let log = self.knob("GET", "log", Value::Null).await;
        let line = |request: &Value| {
            let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
            let query = Some(text("query"))
                .filter(|query| !query.is_empty())
                .map(|query| format!("?{query}"));
            format!(
                "{} {}{}",
                text("method"),
                text("path"),
                query.unwrap_or_default()
            )
        };
        log["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(line)
            .collect()
    }
}
