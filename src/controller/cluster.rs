//! One task for each cluster: feeds one [`Reconciler`] and does what it asks for.
//!
//! It decides nothing. Every call runs beside it, bounded in time, and comes back as an input, so a cluster that hangs
//! delays nobody, not even its own objects' status. Right before a mutating call the claim is asked.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kube::Client as KubeClient;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::call::{log, make};
use super::live::Fresh;
use super::observe::Observer;
use super::pulse::Pulse;
use super::registry::Seat;
use super::source::Home;
use super::translate::trouble_of_connection;
use super::troubles::{concerns_the_link, lacks_a_privilege, told_to_objects};
use super::turn::Turn;
use super::writer::{Precondition, Writer};
use crate::api::{Allow, AnomalyJob, AnomalyJobStatus, DatafeedId, JobId};
use crate::clock::Clock;
use crate::elasticsearch::Client;
use crate::lease::Claim;
use crate::reconciler::Reconciler;
use crate::reconciler::input::{
    Allowances, Call, Connection, Delivered, Event, Finish, Input, Live, Moment, ObjectKey, Output,
    Question, Refusal, Ruling, Ticket, Trouble, Uid, Urgency,
};
use crate::telemetry::{CloseOutcome, Metrics};

/// How long a call that may not be sent now is kept back. A wall clock that was set forward costs the claim until its next renewal.
const UNSENT_PAUSE: Duration = Duration::from_secs(1);

/// What the cluster's task is told.
pub(super) enum Message {
    /// An object appeared or changed.
    Deliver(Box<Delivered>),
    /// An object went, or belongs to another cluster now.
    Gone(ObjectKey),
    /// What may be done through the connection.
    Allowed(Allowances),
    /// The same, where it changes for the objects of one namespace alone.
    AllowedTo(Arc<str>, Allow),
    /// What the connection is worth, and the client to use.
    Link(Option<Box<Client>>, Connection),
    /// Who acts on jobs of its objects.
    Ruled(Vec<Ruling>),
    /// All objects that were there at the start were told of.
    Complete,
}

/// One cluster.
pub(super) struct Cluster {
    pub(super) home: Arc<Home>,
    pub(super) kube: KubeClient,
    pub(super) claim: Claim,
    pub(super) metrics: Metrics,
    pub(super) writer: Writer,
    pub(super) inbox: mpsc::UnboundedReceiver<Message>,
    pub(super) recheck: mpsc::Sender<()>,
    pub(super) seat: Seat,
    pub(super) pulse: Pulse,
    pub(super) clock: Clock,
}

/// What something that runs beside the brain came to.
enum Done {
    /// The brain is to be told.
    Tell(Input),
    /// It is an object's turn to be written.
    Turn(ObjectKey, Turn),
    /// Somebody else tells.
    Nothing,
}

struct Driver {
    cluster: Cluster,
    brain: Reconciler,
    client: Option<Client>,
    /// What its objects were told to be allowed. What was read live may differ, and is looked at anew as often as the cluster.
    told: Option<Allowances>,
    uuid: Option<Arc<str>>,
    begun: Instant,
    running: JoinSet<Done>,
    calls: HashMap<Ticket, AbortHandle>,
    /// The turn that the brain is being told of.
    turn: Option<(ObjectKey, Turn)>,
}

impl Cluster {
    /// Runs until nobody can tell it anything any more.
    pub(super) async fn run(self) {
        let begun = Instant::now();
        let mut driver = Driver {
            brain: Reconciler::new(
                self.home.kind(),
                self.home.name(),
                moment(begun, &self.clock),
            ),
            cluster: self,
            client: None,
            told: None,
            uuid: None,
            begun,
            running: JoinSet::new(),
            calls: HashMap::new(),
            turn: None,
        };
        while driver.turn().await {}
    }
}

fn moment(begun: Instant, clock: &Clock) -> Moment {
    Moment {
        monotonic: begun.elapsed(),
        wall: clock.now(),
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
        // An edit is never kept waiting by the answers of a catch-up, and no message delays what is due.
        let input = tokio::select! {
            biased;
            () = tick => Some(Input::Tick),
            message = self.cluster.inbox.recv() => match message {
                None => return false,
                Some(message) => {
                    if let (Message::Link(..), Some(told)) = (&message, self.told.clone()) {
                        self.handle(Input::Allowed(told));
                    }
                    self.input(message)
                }
            },
            Some(done) = self.running.join_next() => match done {
                Ok(Done::Tell(input)) => Some(input),
                Ok(Done::Turn(key, turn)) => {
                    self.turn = Some((key.clone(), turn));
                    Some(Input::Turn(key))
                }
                Ok(Done::Nothing) => None,
                Err(failed) => {
                    if failed.is_panic() {
                        // A panic in a call leaves its ticket unanswered; the task is begun anew rather than left waiting.
                        tracing::error!("a call panicked");
                        return false;
                    }
                    None
                }
            },
        };
        if let Some(input) = input {
            self.handle(input);
        }
        true
    }

    fn input(&mut self, message: Message) -> Option<Input> {
        Some(match message {
            Message::Deliver(delivered) => Input::Delivered(delivered),
            Message::Gone(key) => Input::Gone(key),
            Message::Ruled(rulings) => Input::Ruled(rulings),
            Message::Complete => {
                self.cluster.seat.complete();
                return None;
            }
            Message::Allowed(allowances) => {
                self.told = Some(allowances.clone());
                Input::Allowed(allowances)
            }
            Message::AllowedTo(namespace, allow) => {
                if let Some(told) = &mut self.told {
                    told.allow(&namespace, allow.clone());
                }
                Input::AllowedTo(namespace, allow)
            }
            Message::Link(client, connection) => {
                self.client = client.map(|client| *client);
                self.uuid = match &connection {
                    Connection::Usable(usable) => usable.cluster_uuid.clone(),
                    Connection::Unusable(_) => None,
                };
                Input::Connection(connection)
            }
        })
    }

    /// Tells the brain, and does what it asks for; what is answered at once is told at once.
    fn handle(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let (input, hidden) = told_to_objects(&self.cluster.home, input);
            if let Some(trouble) = hidden {
                self.cluster.pulse.complain(trouble);
            }
            self.notice(&input);
            let of_turn = matches!(input, Input::Turn(_));
            let now = moment(self.begun, &self.cluster.clock);
            for output in self.brain.handle(input, now) {
                self.perform(output, &mut inputs);
            }
            if of_turn {
                // Nothing had to be written after all: the place is the next one's.
                self.turn = None;
            }
        }
    }

    fn notice(&mut self, input: &Input) {
        self.cluster.pulse.hear(input);
        match input {
            Input::Called(ticket, answer) => {
                self.calls.remove(ticket);
                match answer {
                    Err(Refusal::Cluster(trouble)) => self.suspect(trouble),
                    Err(Refusal::Refused(trouble)) if lacks_a_privilege(trouble) => self.recheck(),
                    _ => {}
                }
            }
            Input::Read(_, Err(trouble)) => self.suspect(trouble),
            _ => {}
        }
    }

    /// Has the way to the cluster looked at where that may be the answer.
    fn suspect(&self, trouble: &Trouble) {
        if concerns_the_link(trouble) {
            self.recheck();
        }
    }

    fn recheck(&self) {
        // Full means that one is asked for already.
        let _ = self.cluster.recheck.try_send(());
    }

    fn perform(&mut self, output: Output, inputs: &mut VecDeque<Input>) {
        match output {
            Output::Read { ticket, question } => self.read(ticket, question),
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
                datafeed,
            } => self.verify(ticket, key, uid, job, datafeed),
            Output::WantTurn(key, urgency) => self.want_turn(key, urgency, inputs),
            Output::Write {
                ticket,
                key,
                uid,
                resource_version,
                status,
            } => self.write(ticket, key, uid, resource_version, status),
            Output::Finalize {
                ticket,
                key,
                uid,
                resource_version,
                finalizers,
            } => self.finalize(ticket, key, uid, resource_version, finalizers),
            Output::Claim(claims) => self.cluster.seat.claim(&claims),
            Output::Release(key, jobs) => self.cluster.seat.release(&key, &jobs),
            Output::GiveWay(key, job) => self.cluster.seat.give_way(&key, job),
            Output::Refresh(key, uid) => self.refresh(key, uid),
            Output::Event {
                key,
                uid,
                job,
                event,
            } => self.tell(key, uid, job.as_ref(), event),
            Output::Finished { outcome, took } => {
                self.cluster.metrics.close(finish(outcome), took);
            }
        }
    }

    fn tell(&self, key: ObjectKey, uid: Uid, job: Option<&JobId>, event: Event) {
        let job = job.map_or("", JobId::as_str);
        tracing::info!(objects = %key, job, reason = event.reason, "{}", event.note);
        self.cluster.writer.tell(key, uid, event);
    }

    fn read(&mut self, ticket: Ticket, question: Question) {
        let (metrics, client) = (self.cluster.metrics.clone(), self.client.clone());
        let uuid = self.uuid.clone();
        self.running.spawn(async move {
            let answer = match &client {
                Some(client) => {
                    let observer = Observer {
                        client,
                        metrics: &metrics,
                        uuid: uuid.as_deref(),
                    };
                    observer.ask(question).await
                }
                None => Err(trouble_of_connection()),
            };
            Done::Tell(Input::Read(ticket, answer))
        });
    }

    fn want_turn(&mut self, key: ObjectKey, urgency: Urgency, inputs: &mut VecDeque<Input>) {
        if self.turn.is_none()
            && let Some(turn) = self.cluster.writer.try_turn(urgency)
        {
            self.turn = Some((key.clone(), turn));
            inputs.push_back(Input::Turn(key));
            return;
        }
        let writer = self.cluster.writer.clone();
        self.running.spawn(async move {
            let turn = writer.turn(key.namespace(), urgency).await;
            Done::Turn(key, turn)
        });
    }

    fn take_turn(&mut self, key: &ObjectKey) -> Option<Turn> {
        self.turn.take_if(|(of, _)| of == key).map(|(_, turn)| turn)
    }

    fn write(
        &mut self,
        ticket: Ticket,
        key: ObjectKey,
        uid: Uid,
        resource_version: Arc<str>,
        status: Box<AnomalyJobStatus>,
    ) {
        let (writer, turn) = (self.cluster.writer.clone(), self.take_turn(&key));
        self.running.spawn(async move {
            let turn = turn_for(&writer, &key, turn).await;
            let uid = uid.to_string();
            let at = precondition(&key, &uid, &resource_version);
            let answer = writer.write::<AnomalyJob>(turn, &at, &*status).await;
            Done::Tell(Input::Written(ticket, answer))
        });
    }

    fn finalize(
        &mut self,
        ticket: Ticket,
        key: ObjectKey,
        uid: Uid,
        resource_version: Arc<str>,
        finalizers: Vec<String>,
    ) {
        let (writer, turn) = (self.cluster.writer.clone(), self.take_turn(&key));
        self.running.spawn(async move {
            let turn = turn_for(&writer, &key, turn).await;
            let uid = uid.to_string();
            let at = precondition(&key, &uid, &resource_version);
            let answer = writer.finalize(turn, &at, &finalizers).await;
            Done::Tell(Input::Written(ticket, answer))
        });
    }

    fn call(&mut self, ticket: Ticket, call: Call, objects: &[ObjectKey]) {
        let (claim, metrics) = (self.cluster.claim.clone(), self.cluster.metrics.clone());
        let client = self.client.clone();
        log(&call, objects);
        let handle = self.running.spawn(async move {
            // The wait for a turn comes before the last look at the claim.
            if let Some(client) = &client {
                client.turn().await;
            }
            let answer = if let Some(client) = client.filter(|_| claim.is_current()) {
                make(&client, &metrics, &call).await
            } else {
                // What was not sent is decided anew, and at once: without this the same would be asked for without end.
                tokio::time::sleep(UNSENT_PAUSE).await;
                Err(Refusal::LookAgain { answered: false })
            };
            Done::Tell(Input::Called(ticket, answer))
        });
        self.calls.insert(ticket, handle);
    }

    /// The live reads before a force, all of them newer than the decision that asked for them.
    fn verify(
        &mut self,
        ticket: Ticket,
        key: ObjectKey,
        uid: Uid,
        job: JobId,
        datafeed: Option<DatafeedId>,
    ) {
        let (fresh, metrics) = (self.fresh(), self.cluster.metrics.clone());
        let client = self.client.clone();
        self.running.spawn(async move {
            let answer = async {
                let anew = || Refusal::Refused(trouble_of_connection());
                let client = client.ok_or_else(anew)?;
                let observer = Observer {
                    client: &client,
                    metrics: &metrics,
                    uuid: None,
                };
                let look = observer.live(&job, datafeed).await?;
                // These last: they take milliseconds, the other read may take a minute, and what is allowed must be the
                // newest of all.
                let allow = fresh.allow(key.namespace()).await?;
                let object = fresh.object(&key).await?;
                let object = object.filter(|object| object.uid == uid);
                Ok(Box::new(Live {
                    object,
                    allow,
                    look,
                }))
            };
            Done::Tell(Input::Verified(ticket, answer.await))
        });
    }

    fn refresh(&mut self, key: ObjectKey, uid: Uid) {
        let fresh = self.fresh();
        self.running.spawn(async move {
            match fresh.object(&key).await {
                Ok(found) => Done::Tell(Input::Refreshed(key, uid, found.map(Box::new))),
                // The watch, or the next write, tells.
                Err(_) => Done::Nothing,
            }
        });
    }

    fn fresh(&self) -> Fresh {
        Fresh {
            kube: self.cluster.kube.clone(),
            home: Arc::clone(&self.cluster.home),
        }
    }
}

/// The turn that was given for a write, or the next.
async fn turn_for(writer: &Writer, key: &ObjectKey, given: Option<Turn>) -> Turn {
    match given {
        Some(turn) => turn,
        None => writer.turn(key.namespace(), Urgency::None).await,
    }
}

fn precondition<'a>(key: &'a ObjectKey, uid: &'a str, version: &'a str) -> Precondition<'a> {
    Precondition {
        namespace: key.namespace(),
        name: key.name(),
        uid,
        resource_version: version,
    }
}

fn finish(outcome: Finish) -> CloseOutcome {
    match outcome {
        Finish::Graceful => CloseOutcome::Graceful,
        Finish::Unsaved => CloseOutcome::Unsaved,
        Finish::Forced => CloseOutcome::Forced,
    }
}
