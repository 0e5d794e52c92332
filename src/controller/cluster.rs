//! One task for each cluster: feeds one [`Reconciler`] and does what it asks for.
//!
//! It decides nothing. Every call runs beside it, bounded in time, and comes back as an input, so a cluster that hangs
//! delays nobody, not even its own objects' status. Right before a mutating call the claim is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client as KubeClient};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::translate::{delivered, refusal, trouble};
use super::writer::{API_SERVER_LIMIT, Precondition, Writer};
use super::{observe, outcome};
use crate::api::{AnomalyJob, AnomalyJobStatus, DatafeedId, JobId, Reason};
use crate::elasticsearch::{Client, Ids};
use crate::lease::Claim;
use crate::reconciler::Reconciler;
use crate::reconciler::input::{
    Call, Connection, Delivered, Depth, Finish, Input, Moment, ObjectKey, Output, Refusal, Ticket,
    View,
};
use crate::reconciler::turns::Lane;
use crate::telemetry::{CloseOutcome, ElasticsearchApi, Metrics};

/// How long Elasticsearch may hold a call; the deadline is the operator's own.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long Elasticsearch may wait before it says that a job is still closing.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(1);
/// A force is answered at once, or its fate is looked up.
const FORCE_LIMIT: Duration = Duration::from_secs(15);

/// What the cluster's task is told.
pub(super) enum Message {
    /// An object appeared or changed.
    Deliver(Box<Delivered>),
    /// An object went, or belongs to another cluster now.
    Gone(ObjectKey),
    /// What the connection is worth, and the client to use.
    Link(Option<Box<Client>>, Connection),
}

/// One cluster.
pub(super) struct Cluster {
    pub(super) namespace: String,
    pub(super) kube: KubeClient,
    pub(super) claim: Claim,
    pub(super) metrics: Metrics,
    pub(super) writer: Writer,
    pub(super) inbox: mpsc::UnboundedReceiver<Message>,
    pub(super) recheck: mpsc::Sender<()>,
}

struct Driver {
    cluster: Cluster,
    brain: Reconciler,
    connection: String,
    client: Option<Client>,
    begun: Instant,
    running: JoinSet<Option<Input>>,
    calls: HashMap<Ticket, AbortHandle>,
}

impl Cluster {
    /// Runs until nobody can tell it anything any more.
    pub(super) async fn run(self, connection: String) {
        let begun = Instant::now();
        let mut driver = Driver {
            brain: Reconciler::new(&connection, moment(begun)),
            cluster: self,
            connection,
            client: None,
            begun,
            running: JoinSet::new(),
            calls: HashMap::new(),
        };
        while driver.turn().await {}
    }
}

fn moment(begun: Instant) -> Moment {
    Moment {
        monotonic: begun.elapsed(),
        wall: Timestamp::now(),
    }
}

impl Driver {
    async fn turn(&mut self) -> bool {
        let wake = self.brain.next_wake().map(|at| self.begun + at);
        let tick = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let input = tokio::select! {
            message = self.cluster.inbox.recv() => match message {
                None => return false,
                Some(message) => Some(self.input(message)),
            },
            Some(done) = self.running.join_next() => match done {
                Ok(input) => input,
                Err(failed) => {
                    if failed.is_panic() {
                        // A panic in a call leaves its ticket unanswered; the task is begun anew rather than left waiting.
                        tracing::error!("a call panicked");
                        return false;
                    }
                    None
                }
            },
            () = tick => Some(Input::Tick),
        };
        if let Some(input) = input {
            self.handle(input);
        }
        true
    }

    fn input(&mut self, message: Message) -> Input {
        match message {
            Message::Deliver(delivered) => Input::Delivered(delivered),
            Message::Gone(key) => Input::Gone(key),
            Message::Link(client, connection) => {
                self.client = client.map(|client| *client);
                Input::Connection(connection)
            }
        }
    }

    fn handle(&mut self, input: Input) {
        if let Input::Called(ticket, _) = &input {
            self.calls.remove(ticket);
        }
        if let Input::Read(_, Err(trouble)) = &input
            && matches!(
                trouble.reason,
                Reason::CredentialsRejected | Reason::TLSFailed
            )
        {
            // Full means that one is asked for already.
            let _ = self.cluster.recheck.try_send(());
        }
        for output in self.brain.handle(input, moment(self.begun)) {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Read {
                ticket,
                depth,
                jobs,
                datafeeds,
            } => self.read(ticket, depth, jobs, datafeeds),
            Output::Call {
                ticket,
                call,
                objects,
            } => self.call(ticket, call, &objects),
            Output::LetGo(ticket) => {
                if let Some(call) = self.calls.remove(&ticket) {
                    call.abort();
                }
            }
            Output::Verify {
                ticket,
                key,
                uid,
                job,
            } => self.verify(ticket, key, uid, job),
            Output::Write {
                ticket,
                key,
                uid,
                resource_version,
                status,
            } => self.write(ticket, key, uid, resource_version, status),
            Output::Refresh(key, uid) => self.refresh(key, uid),
            Output::Event {
                key,
                uid,
                job,
                event,
            } => {
                tracing::info!(objects = %key, job = %job, reason = event.reason, "{}", event.note);
                self.cluster.writer.tell(key, uid, event);
            }
            Output::Finished { outcome, took } => {
                self.cluster.metrics.close(finish(outcome), took);
            }
        }
    }

    fn read(
        &mut self,
        ticket: Ticket,
        depth: Depth,
        jobs: Vec<JobId>,
        datafeeds: Vec<(JobId, DatafeedId)>,
    ) {
        let (metrics, client) = (self.cluster.metrics.clone(), self.client.clone());
        self.running.spawn(async move {
            let view = match client {
                Some(client) => observe::read(&client, &metrics, depth, jobs, datafeeds).await,
                None => Err(trouble(
                    Reason::Pending,
                    "the connection is being made anew",
                )),
            };
            Some(Input::Read(ticket, view))
        });
    }

    fn write(
        &mut self,
        ticket: Ticket,
        key: ObjectKey,
        uid: Arc<str>,
        resource_version: Arc<str>,
        status: Box<AnomalyJobStatus>,
    ) {
        let writer = self.cluster.writer.clone();
        self.running.spawn(async move {
            let at = Precondition {
                namespace: &key.namespace,
                name: &key.name,
                uid: &uid,
                resource_version: &resource_version,
            };
            let turn = writer.turn(&key.namespace, Lane::Fresh).await;
            let answer = writer.write::<AnomalyJob>(turn, &at, &*status).await;
            Some(Input::Written(ticket, answer))
        });
    }

    fn call(&mut self, ticket: Ticket, call: Call, objects: &[ObjectKey]) {
        let (claim, metrics) = (self.cluster.claim.clone(), self.cluster.metrics.clone());
        let client = self.client.clone();
        let jobs: Vec<&str> = call.jobs().iter().map(JobId::as_str).collect();
        let objects: Vec<String> = objects.iter().map(ToString::to_string).collect();
        tracing::info!(
            objects = objects.join(","),
            job = jobs.join(","),
            "calling Elasticsearch: {}",
            name(&call)
        );
        let handle = self.running.spawn(async move {
            let answer = match client.filter(|_| claim.is_current()) {
                Some(client) => make(&client, &metrics, &call).await,
                None => Err(Refusal::LookAgain { answered: false }),
            };
            Some(Input::Called(ticket, answer))
        });
        self.calls.insert(ticket, handle);
    }

    /// The live reads before a force, all of them newer than the decision that asked for them.
    fn verify(&mut self, ticket: Ticket, key: ObjectKey, uid: Arc<str>, job: JobId) {
        let (kube, metrics) = (self.cluster.kube.clone(), self.cluster.metrics.clone());
        let (client, namespace) = (self.client.clone(), self.cluster.namespace.clone());
        let connection = self.connection.clone();
        self.running.spawn(async move {
            let answer = async {
                let anew = "the connection is being made anew";
                let client = client
                    .ok_or_else(|| Refusal::Refused(trouble(Reason::RetryingAfterError, anew)))?;
                let view =
                    observe::read(&client, &metrics, Depth::Full, vec![job], Vec::new()).await;
                let view: View = view.map_err(Refusal::Cluster)?;
                // The object last: this read takes milliseconds, the other may take a minute, and the policy must be
                // the newest of all.
                let object = live(&kube, &namespace, &connection, &key).await?;
                Ok((
                    object.filter(|object| object.uid == uid).map(Box::new),
                    view,
                ))
            };
            Some(Input::Verified(ticket, answer.await))
        });
    }

    fn refresh(&mut self, key: ObjectKey, uid: Arc<str>) {
        let (kube, namespace) = (self.cluster.kube.clone(), self.cluster.namespace.clone());
        let connection = self.connection.clone();
        self.running.spawn(async move {
            match live(&kube, &namespace, &connection, &key).await {
                Ok(found) => Some(Input::Refreshed(key, uid, found.map(Box::new))),
                // The watch, or the next write, tells.
                Err(_) => None,
            }
        });
    }
}

/// Reads an object from the API server itself, not from a cache; `None` when it is gone or names another connection by
/// now, and so is another cluster's.
async fn live(
    kube: &KubeClient,
    namespace: &str,
    connection: &str,
    key: &ObjectKey,
) -> Result<Option<Delivered>, Refusal> {
    let api: Api<AnomalyJob> = Api::namespaced(kube.clone(), namespace);
    match tokio::time::timeout(API_SERVER_LIMIT, api.get_opt(&key.name)).await {
        Ok(Ok(found)) => Ok(found
            .filter(|object| object.spec.connection_ref.name == connection)
            .and_then(delivered)),
        Ok(Err(_)) | Err(_) => Err(Refusal::Refused(trouble(
            Reason::RetryingAfterError,
            "the object could not be read from the API server",
        ))),
    }
}

fn finish(outcome: Finish) -> CloseOutcome {
    match outcome {
        Finish::Graceful => CloseOutcome::Graceful,
        Finish::Unsaved => CloseOutcome::Unsaved,
        Finish::Forced => CloseOutcome::Forced,
    }
}

fn name(call: &Call) -> &'static str {
    match call {
        Call::Close(_) => "close",
        Call::Confirm(_) => "close, which goes on",
        Call::ForceClose(_) => "close by force",
        Call::StopDatafeed { .. } => "stop datafeed",
    }
}

async fn make(client: &Client, metrics: &Metrics, call: &Call) -> Result<(), Refusal> {
    let begun = Instant::now();
    let (api, answer) = match call {
        Call::Close(jobs) => {
            let Some(ids) = Ids::new(jobs.iter().cloned()) else {
                return Ok(());
            };
            (
                ElasticsearchApi::Close,
                client.close(&ids, SERVER_TIMEOUT).await,
            )
        }
        Call::Confirm(job) => {
            let again = client.close(&Ids::one(job.clone()), CONFIRM_TIMEOUT).await;
            (ElasticsearchApi::Close, again)
        }
        Call::ForceClose(job) => (
            ElasticsearchApi::ForceClose,
            client.within(FORCE_LIMIT).force_close(job).await,
        ),
        Call::StopDatafeed {
            datafeed, force, ..
        } => (
            ElasticsearchApi::StopDatafeed,
            client.stop_datafeed(datafeed, *force, SERVER_TIMEOUT).await,
        ),
    };
    metrics.elasticsearch_request(api, outcome(answer.as_ref().err()), begun.elapsed());
    answer.map_err(|error| {
        tracing::debug!(call = name(call), %error, "refused");
        refusal(&error)
    })
}
