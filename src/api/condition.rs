//! The vocabulary of conditions: a closed set of types and reasons, each reason for one situation.
//!
//! What a user reads in REASON, in docs/conditions.md and in the README is this table and nothing else.
//! Nothing is decided here, and no decision reads a condition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The longest message in status, in characters; [`new_condition`] cuts what is longer.
pub const MAX_MESSAGE_LENGTH: usize = 4096;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $meaning:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $meaning] $variant,)*
        }
        impl $name {
            /// Every one, in the order in which the documents list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word as it stands in an object.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// What it says, and what to do where something is to be done.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// Reads the word back.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a condition speaks of.
    ConditionType {
        Ready = "Each job was seen in the wanted state at this generation, or the object only observes; on a connection: Elasticsearch answers and the credentials may manage jobs. Always present.",
        Closed = "Each job was seen closed, whatever state is wanted. `kubectl wait --for=condition=Closed aj/NAME` waits for it. Always present.",
        Reconciling = "Present only while True: the operator is working towards the wanted state, or waits for what may heal by itself. Never together with Stalled: as long as one job moves, nothing has failed. Wait, unless the reason says what to mend (certificates, an address, a lack of room).",
        Stalled = "Present only while True: a human must act, the reason says on what. An outage alone never brings it, and it goes without an edit when its cause does.",
        Forced = "The last close of a job used force; the message names the jobs and what was lost. Goes when the job is next closed without force, or opened by this object.",
        Drifted = "Somebody else, or Elasticsearch itself, changed the state of a job; the message says what was seen and when, the reason who did it. False with the reason Corrected: it was put back.",
    }
}

words! {
    /// The value of a condition.
    ConditionStatus {
        True = "It is so.",
        False = "It is not so.",
        Unknown = "Elasticsearch could not be asked.",
    }
}

words! {
    /// Why a condition is as it is.
    Reason {
        InDesiredState = "Each job was seen in the wanted state. Nothing to do.",
        Observing = "`spec.state` is absent: the jobs are reported and nothing is called. Set `state: Closed` or `Opened` to have it enforced.",
        Suspended = "`spec.suspend` is true: the jobs are reported and nothing is called. Remove it to go on.",
        Pending = "Nothing was asked for the jobs yet: the operator is connecting, finding out which jobs are meant or who acts on them, or they wait for their turn (`limits.maxClosing` of the connection). It passes, unless the message names a right or a CustomResourceDefinition that the operator lacks.",
        NotObserved = "Elasticsearch has not answered for five minutes, so nothing is claimed of its jobs. See the conditions of the connection.",
        Closing = "A close was asked for, or goes on, and the job has not been seen closed yet. It passes. With `state: Opened` the job is opened when that has ended.",
        ForceClosing = "A forced close is being made and the job has not been seen closed yet. It passes.",
        StoppingDatafeed = "The datafeed of the job still runs and is being stopped. It passes.",
        Waiting = "`close.timeout` is used up, and `onTimeout: Wait` says to go on waiting. Set `onTimeout: Force` to end it.",
        AllClosed = "Of Closed: every job that is meant was seen closed.",
        NoJobsMatched = "Wildcards of `spec.jobId` match no job, or `exclude` leaves none. Ready, where `allowNoMatch` lets that be; otherwise Stalled. Where jobs were meant: mend `spec.jobId` or `exclude`, or look whether the connection is the right one.",
        TooManyJobs = "`spec.jobId` matches more jobs than `maxJobs`, so nothing is called for any of them; the message says how many. Narrow `jobId`, or raise `maxJobs`.",
        ViewIncomplete = "The cluster has more jobs than Elasticsearch tells in one answer, and they could not all be read, so nothing is claimed of a wildcard or a group. Name the jobs by their ids, or delete jobs that nobody uses.",
        ExpressionRefused = "`spec.jobId` holds 512 wildcards or more, which Elasticsearch refuses; or a job that is meant has the name of a group of other jobs, so that a call for it would reach them. Use fewer wildcards, or give the group another name.",
        Conflict = "An older AnomalyJob, or one through a ClusterElasticsearchConnection, means the same job of the same cluster, so this one calls nothing for it; the message names the job. It becomes active by itself when the other one goes, is suspended, or means the job no longer. Delete one of the two, or narrow its `jobId`.",
        NotAllowed = "The connection does not allow it: `allow.jobs` does not cover the job, so it is neither looked at nor called; or only force would close it, and `allow.force` forbids that. Ask who owns the connection, or mend `spec`.",
        StillOpen = "Of Closed: a job was seen opened or opening. What is done about it stands in Ready.",
        StillClosing = "Of Closed: a job was seen closing.",
        SomeFailed = "Of Closed: a job was seen failed, so it is neither open nor closed.",
        StateNotTold = "Elasticsearch answers, and does not tell the state of the job: the index of its results is closed, or the answer cannot be understood. Nothing is called for the job meanwhile; after two minutes also Stalled. Open the index; where it is open, please report it.",
        JobBlocked = "Elasticsearch is resetting, reverting or deleting the job. What is wanted goes on when that has ended; if it never does, repeat that operation.",
        JobNotFound = "Elasticsearch has no job or group of this name; after two minutes also Stalled. Create it, or mend `spec.jobId` or `spec.connectionRef`. It is looked for as long as the object is there.",
        JobFailed = "The job has failed. Look into its messages in Elasticsearch. With `state: Closed` and `onFailed: Stall`: then set `onFailed: Force`, or close it by hand. With `state: Opened`: close it by force, then it is opened again. Of Forced: that is why force was used.",
        ConfigLost = "Elasticsearch runs a task for a job whose configuration is gone; after two minutes that is acted on. With `state: Closed` and `onFailed: Force` it is closed by force; otherwise do it by hand. Of Forced: that is why force was used.",
        CloseTimedOut = "`close.timeout` is used up, and `onTimeout: Stall` says to stop. Set `onTimeout` to Force or Wait, or raise `timeout`.",
        CloseNotAccepted = "The close was asked for at least three times and Elasticsearch did not begin with it within `close.timeout`; `onTimeout` says what follows. Look at its master's log. Of Forced: that is why force was used.",
        Opening = "An open was asked for and the job has not been seen open yet; or it was closed by force, and is opened no sooner than a minute after that. It passes.",
        AwaitingNode = "No node runs the job; the message has Elasticsearch's explanation. Give the cluster room for it, or close other jobs; it then opens by itself.",
        NoCapacity = "Elasticsearch has no node with room for the job and refused to open it (429). It is tried again, at least once a minute or so; give the cluster more machine learning nodes or memory, or close other jobs.",
        OpenRefused = "Elasticsearch refuses to open the job; the message says why. It is tried again; mend the job, or set `state: Closed`.",
        OpenTimedOut = "The job was seen opening for longer than `open.timeout`. Look at its assignment explanation in Elasticsearch, raise `open.timeout`, or set `state: Closed`.",
        CloseHangs = "The job shall be open, but was seen closing for longer than `close.timeout`; nobody is forced while Opened is wanted. Set `state: Closed` to have it forced, then `Opened` again; or force it by hand.",
        StartingDatafeed = "The job is open, and its datafeed was started and has not been seen running yet. It passes.",
        ClosedElsewhere = "The job was not open any more after it had been seen open here: somebody else closed it, or its node was lost. With `driftPolicy: Correct` it is put back. With `Report`: open it by hand, or set `state: Closed` or `driftPolicy: Correct`.",
        Completed = "The datafeed reached its end and Elasticsearch closed the job with it. That is not undone. Set `state: Closed`; or open the job and start its datafeed without an end by hand; any edit of `spec` has it opened again, too.",
        IdleClosed = "Elasticsearch closed the job by itself, because its datafeed stood still and it had no data for two days (9.4 and later). That is not undone. Set `state: Closed`; or open the job and start its datafeed by hand; any edit of `spec` has it opened again, too.",
        Flapping = "The job was put back five times, each within a day of the one before, and changed again each time. Nothing more is called for it. Find out who changes it; then edit `spec`, or set the annotation `anomalyjob.dev/reconcile-requested-at`.",
        DatafeedRefused = "Elasticsearch refuses to start the datafeed of the job; the message says why. It is tried again; mend the datafeed, or set `open.datafeed: Leave`.",
        Deleting = "The object is being deleted and nothing more is called for its jobs. Never written into a status: such an object goes at once.",
        InvalidObject = "The object cannot be read; the message names the field. Correct or re-create the object, and update the CRDs.",
        ConnectionNotFound = "There is no connection of the kind and name in `spec.connectionRef`; without one, no ElasticsearchConnection `default` in this namespace and no ClusterElasticsearchConnection `default` that serves it. Create it, or mend the name.",
        NamespaceNotAllowed = "The ClusterElasticsearchConnection in `spec.connectionRef` does not serve this namespace, so nothing is called. Ask who owns it to add the namespace to `allowedNamespaces`, or name another connection.",
        ConnectionSuspended = "`suspend` of the connection is true: nothing is sent to that Elasticsearch, and nothing is known of its jobs. Remove it to go on.",
        SecretNotFound = "The Secret or ConfigMap that the connection names does not exist in its namespace; of a ClusterElasticsearchConnection: in that of the operator. Create it, or mend the name.",
        SecretInvalid = "The Secret lacks the key that is named, or its value is unusable; the message names the key. Mend the Secret.",
        CAInvalid = "What holds the authority (`tls.ca`, or `ca.crt` of ECK's or the connection's own Secret) has no PEM certificate. Put the certificate of the authority there.",
        URLInvalid = "`spec.url`, or the key `url` of the Secret that `secretRef` names, is no address of an Elasticsearch. Write it as https://host:9200.",
        EndpointNotAllowed = "The host of the url leads to an address that no connection may reach: loopback, link-local, a metadata service or the API server. Mend `spec.url`; who runs the operator may open it with `--allow-endpoints`.",
        NameNotResolved = "The host name of the url has no address. Mend `spec.url`, or the DNS.",
        ConnectionRefused = "The host of the url refuses connections on the port. Start Elasticsearch, or mend `spec.url`.",
        TimedOut = "Elasticsearch did not answer in time. It is asked again, less and less often, at least once a minute or so.",
        TLSUntrusted = "The certificate of Elasticsearch was signed by an authority that is not trusted. Put that authority into what `tls.ca` names; while it is replaced, the old and the new one.",
        TLSExpired = "The certificate of Elasticsearch has expired or is not valid yet. Renew it, or mend the clock of one of the two.",
        TLSWrongName = "The certificate of Elasticsearch is for another name than the host of the address. Mend `spec.url`, say the name in `tls.serverName`, or renew the certificate with that name.",
        TLSFailed = "No encrypted connection came about; the message says why: it is no TLS at this port, a client certificate is wanted, or the certificate is revoked or broken.",
        ClusterUnreachable = "The connection to Elasticsearch broke, or a network policy, proxy or firewall cuts it. It is tried again.",
        CredentialsInvalid = "Elasticsearch does not accept the credentials (401). Renew the Secret; it is read again within a minute, and what was rejected is not shown again for five.",
        MissingPrivilege = "The credentials may not do this (403). Give their user or API key the cluster privilege `manage_ml`.",
        NotElasticsearch = "Something else than Elasticsearch answers at the url, such as a login page or another product. Mend `spec.url`.",
        UnexpectedAnswer = "Elasticsearch, or a proxy before it, answered something that makes no sense here. It is tried again.",
        VersionTooOld = "This Elasticsearch is older than 7.10. Upgrade it.",
        MLUnavailable = "Machine learning is switched off on this cluster, or not part of it. Set `xpack.ml.enabled` on all nodes.",
        LicenseMissing = "The licence of the cluster does not contain machine learning. Renew it, or start a trial. Of Drifted: that is also why Elasticsearch had closed the job.",
        UpgradeMode = "Machine learning is in upgrade mode: nothing is called until it ends. End it with `_ml/set_upgrade_mode?enabled=false`.",
        NoMaster = "The cluster has no master. Nothing is called until it has one.",
        Overloaded = "Elasticsearch asks for fewer requests (429 or 503). Fewer calls are made at once, and none before the time that it asks for.",
        ClusterChanged = "Another cluster than before answers at the url, so nothing is called. If that is meant, annotate the connection with `anomalyjob.dev/accept-cluster-uuid=UUID`; the message has the uuid. Otherwise mend `spec.url`.",
        RequestRefused = "Elasticsearch refused a request as wrong (400). The message says what; please report it.",
        Connected = "Elasticsearch answers and the credentials may manage jobs.",
        RetryingAfterError = "A call failed and will be repeated; the message says how it failed.",
        DeadlinePassed = "Of Forced: `close.timeout` was used up, so the close was forced.",
        RequestedByUser = "Of Forced: `mode: Immediate` asked for a forced close.",
        ReopenedElsewhere = "The job was open again after it had been seen closed here; somebody else opened it. With `driftPolicy: Correct` it is closed again. With `Report`: close it by hand, or set `driftPolicy: Correct`.",
        Corrected = "Of Drifted: somebody else had changed the state of the job, and it was put back.",
    }
}

/// A condition as status holds it. `since` is when its status changed last, kept to the second as
/// Kubernetes does; the message is cut to [`MAX_MESSAGE_LENGTH`].
pub fn new_condition(
    of: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: &str,
    observed_generation: i64,
    since: Timestamp,
) -> Condition {
    let whole = Timestamp::from_second(since.as_second()).unwrap_or(since);
    Condition {
        type_: of.as_str().to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message: message.chars().take(MAX_MESSAGE_LENGTH).collect(),
        observed_generation: Some(observed_generation),
        last_transition_time: Time(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_kubernetes_allows_and_come_back() {
        for reason in Reason::ALL {
            let word = reason.as_str();
            assert!(
                word.len() <= 64 && word.chars().all(|c| c.is_ascii_alphanumeric()),
                "{word}"
            );
            assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
            assert_eq!(Reason::parse(word), Some(*reason));
            assert!(reason.meaning().ends_with('.'), "{word}");
        }
        assert_eq!(Reason::parse("Whatever"), None);
    }

    #[test]
    fn no_two_reasons_mean_the_same() {
        let meanings: std::collections::BTreeSet<_> =
            Reason::ALL.iter().map(|r| r.meaning()).collect();
        assert_eq!(meanings.len(), Reason::ALL.len());
    }

    #[test]
    fn a_condition_equals_what_is_read_back() {
        let at = Timestamp::from_millisecond(1_790_000_000_987).unwrap();
        let long = "ö".repeat(MAX_MESSAGE_LENGTH + 1);
        let condition = new_condition(
            ConditionType::Ready,
            ConditionStatus::False,
            Reason::Closing,
            &long,
            3,
            at,
        );
        assert_eq!(condition.message.chars().count(), MAX_MESSAGE_LENGTH);
        let text = serde_json::to_string(&condition).unwrap();
        assert_eq!(serde_json::from_str::<Condition>(&text).unwrap(), condition);
    }
}
