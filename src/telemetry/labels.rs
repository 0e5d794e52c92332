//! The words that may stand in a metric label. They are closed sets, here and nowhere else, so that the number of time
//! series has a bound that no user, job or answer can raise. No id, name, address or message may become a label.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};

/// Declares a closed set of label values: the enum, its words and the list of all of them.
macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All members of the set.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label value.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                EncodeLabelValue::encode(&self.word(), encoder)
            }
        }
    };
}

closed_set! {
    /// Which Elasticsearch API a request went to (label `api`).
    ElasticsearchApi {
        /// `GET /`.
        Root = "root",
        /// `GET /_ml/info`.
        Info = "info",
        /// `GET /_ml/anomaly_detectors`.
        Jobs = "jobs",
        /// `GET /_ml/anomaly_detectors/<ids>/_stats`.
        JobStats = "job_stats",
        /// `POST /_ml/anomaly_detectors/<ids>/_close` without force.
        Close = "close",
        /// `POST /_ml/anomaly_detectors/<id>/_close?force=true`.
        ForceClose = "force_close",
        /// `GET /_ml/datafeeds`.
        Datafeeds = "datafeeds",
        /// `GET /_ml/datafeeds/<ids>/_stats`.
        DatafeedStats = "datafeed_stats",
        /// `POST /_ml/datafeeds/<id>/_stop`.
        StopDatafeed = "stop_datafeed",
        /// `POST /_ml/datafeeds/<id>/_start`.
        StartDatafeed = "start_datafeed",
        /// `POST /_ml/anomaly_detectors/<id>/_open`.
        Open = "open",
        /// `GET /_cluster/state/metadata`, the persistent tasks.
        Tasks = "tasks",
        /// `GET /_ml/anomaly_detectors/<id>/model_snapshots`.
        Snapshots = "snapshots",
    }
}

closed_set! {
    /// How a request to Elasticsearch ended (label `outcome`): the classes of the ML API reference, section 13.
    ElasticsearchOutcome {
        /// 2xx with a body that could be read.
        Success = "success",
        /// No answer: refused, cut, timed out.
        Unreachable = "unreachable",
        /// The certificate was not trusted.
        Untrusted = "untrusted",
        /// 401 or 403.
        Denied = "denied",
        /// 404.
        NotFound = "not_found",
        /// 409.
        Conflict = "conflict",
        /// 429, 502, 503 or 504: too much to do, or no master.
        Overloaded = "overloaded",
        /// 400: our own mistake.
        Invalid = "invalid",
        /// Any other answer that Elasticsearch gave as an error.
        ServerError = "server_error",
        /// An answer that Elasticsearch does not give: too long, no JSON, another product.
        Unreadable = "unreadable",
    }
}

closed_set! {
    /// How a write of a status ended (label `outcome`).
    StatusWrite {
        /// Accepted.
        Written = "written",
        /// Refused because the object had changed meanwhile (409).
        Conflict = "conflict",
        /// The object was gone (404).
        Gone = "gone",
        /// Refused or not answered for another reason.
        Failed = "failed",
    }
}

closed_set! {
    /// The type of a Kubernetes event (label `type`).
    EventType {
        /// Something went as it should.
        Normal = "Normal",
        /// Somebody should know.
        Warning = "Warning",
    }
}

closed_set! {
    /// Whether an event reached the API server (label `outcome`).
    EventOutcome {
        /// Accepted.
        Published = "published",
        /// Refused, not answered, or dropped before it was sent.
        Dropped = "dropped",
    }
}

closed_set! {
    /// How the close of a job ended (label `outcome`).
    CloseOutcome {
        /// Elasticsearch saved the model.
        Graceful = "graceful",
        /// By force: results since the newest snapshot may be lost.
        Forced = "forced",
        /// Without force, but the job had lost its node, so nothing was saved.
        Unsaved = "unsaved",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    pub(super) version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LeaseName {
    pub(super) name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Request {
    pub(super) api: ElasticsearchApi,
    pub(super) outcome: ElasticsearchOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Write {
    pub(super) outcome: StatusWrite,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Event {
    pub(super) r#type: EventType,
    pub(super) outcome: EventOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Close {
    pub(super) outcome: CloseOutcome,
}
