//! Which path and method means which call: Elasticsearch's path trie, where an explicit name goes before a placeholder and a
//! placeholder is tried again when the explicit branch ends in nothing. No parameters are read here.

use std::collections::BTreeMap;

use super::uri;
use crate::profile::Profile;

/// One API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Root,
    License,
    Info,
    UpgradeMode,
    GetJobs,
    JobStats,
    PutJob,
    DeleteJob,
    Close,
    Open,
    UpdateJob,
    Flush,
    PostData,
    Reset,
    Snapshots,
    Revert,
    UpdateSnapshot,
    DeleteSnapshot,
    Results,
    GetFeeds,
    FeedStats,
    PutFeed,
    DeleteFeed,
    StartFeed,
    StopFeed,
    UpdateFeed,
    GetCalendars,
    PutCalendar,
    DeleteCalendar,
    CatJobs,
    Health,
    ClusterState,
    GetSettings,
    PutSettings,
    Tasks,
    Xpack,
    NodesStats,
    Authenticate,
    HasPrivileges,
    UserPrivileges,
    CreateKey,
    GetKeys,
    InvalidateKeys,
    PutRole,
    PutUser,
    DeleteRole,
    DeleteUser,
    GetIndex,
    PutIndex,
    DeleteIndex,
    PostDoc,
    GetDoc,
    DeleteDoc,
    UpdateDoc,
    CloseIndex,
    OpenIndex,
    Refresh,
    Bulk,
}

/// Which file reads a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Jobs,
    Feeds,
    Security,
    Rest,
}

use Endpoint as E;

const JOBS: [Endpoint; 15] = [
    E::GetJobs,
    E::JobStats,
    E::PutJob,
    E::DeleteJob,
    E::Close,
    E::Open,
    E::UpdateJob,
    E::Flush,
    E::PostData,
    E::Reset,
    E::Snapshots,
    E::Revert,
    E::UpdateSnapshot,
    E::DeleteSnapshot,
    E::Results,
];

const FEEDS: [Endpoint; 10] = [
    E::GetFeeds,
    E::FeedStats,
    E::PutFeed,
    E::DeleteFeed,
    E::StartFeed,
    E::StopFeed,
    E::UpdateFeed,
    E::GetCalendars,
    E::PutCalendar,
    E::DeleteCalendar,
];

const SECURITY: [Endpoint; 10] = [
    E::Authenticate,
    E::HasPrivileges,
    E::UserPrivileges,
    E::CreateKey,
    E::GetKeys,
    E::InvalidateKeys,
    E::PutRole,
    E::PutUser,
    E::DeleteRole,
    E::DeleteUser,
];

impl Endpoint {
    /// Where the call is read.
    pub(crate) fn room(self) -> Room {
        if JOBS.contains(&self) {
            Room::Jobs
        } else if FEEDS.contains(&self) {
            Room::Feeds
        } else if SECURITY.contains(&self) {
            Room::Security
        } else {
            Room::Rest
        }
    }
}

const ROUTES: &[(&str, &str, Endpoint)] = &[
    ("HEAD,GET", "/", E::Root),
    ("DELETE", "/", E::DeleteIndex),
    ("GET", "/_license", E::License),
    ("GET", "/_ml/info", E::Info),
    ("POST", "/_ml/set_upgrade_mode", E::UpgradeMode),
    ("GET", "/_ml/anomaly_detectors", E::GetJobs),
    ("GET", "/_ml/anomaly_detectors/{job_id}", E::GetJobs),
    ("GET", "/_ml/anomaly_detectors/_stats", E::JobStats),
    ("GET", "/_ml/anomaly_detectors/{job_id}/_stats", E::JobStats),
    ("DELETE", "/_ml/anomaly_detectors/{job_id}", E::DeleteJob),
    ("PUT", "/_ml/anomaly_detectors/{job_id}", E::PutJob),
    ("POST", "/_ml/anomaly_detectors/{job_id}/_close", E::Close),
    ("POST", "/_ml/anomaly_detectors/{job_id}/_open", E::Open),
    (
        "POST",
        "/_ml/anomaly_detectors/{job_id}/_update",
        E::UpdateJob,
    ),
    ("POST", "/_ml/anomaly_detectors/{job_id}/_flush", E::Flush),
    ("POST", "/_ml/anomaly_detectors/{job_id}/_data", E::PostData),
    (
        "GET,POST",
        "/_ml/anomaly_detectors/{job_id}/model_snapshots",
        E::Snapshots,
    ),
    (
        "GET,POST",
        "/_ml/anomaly_detectors/{job_id}/model_snapshots/{snapshot_id}",
        E::Snapshots,
    ),
    (
        "DELETE",
        "/_ml/anomaly_detectors/{job_id}/model_snapshots/{snapshot_id}",
        E::DeleteSnapshot,
    ),
    (
        "POST",
        "/_ml/anomaly_detectors/{job_id}/model_snapshots/{snapshot_id}/_revert",
        E::Revert,
    ),
    (
        "POST",
        "/_ml/anomaly_detectors/{job_id}/model_snapshots/{snapshot_id}/_update",
        E::UpdateSnapshot,
    ),
    (
        "GET,POST",
        "/_ml/anomaly_detectors/{job_id}/results/buckets",
        E::Results,
    ),
    ("GET", "/_ml/datafeeds", E::GetFeeds),
    ("GET", "/_ml/datafeeds/{datafeed_id}", E::GetFeeds),
    ("GET", "/_ml/datafeeds/_stats", E::FeedStats),
    ("GET", "/_ml/datafeeds/{datafeed_id}/_stats", E::FeedStats),
    ("DELETE", "/_ml/datafeeds/{datafeed_id}", E::DeleteFeed),
    ("PUT", "/_ml/datafeeds/{datafeed_id}", E::PutFeed),
    ("POST", "/_ml/datafeeds/{datafeed_id}/_start", E::StartFeed),
    ("POST", "/_ml/datafeeds/{datafeed_id}/_stop", E::StopFeed),
    (
        "POST",
        "/_ml/datafeeds/{datafeed_id}/_update",
        E::UpdateFeed,
    ),
    ("GET,POST", "/_ml/calendars", E::GetCalendars),
    ("GET,POST", "/_ml/calendars/{calendar_id}", E::GetCalendars),
    ("PUT", "/_ml/calendars/{calendar_id}", E::PutCalendar),
    ("DELETE", "/_ml/calendars/{calendar_id}", E::DeleteCalendar),
    ("GET", "/_cat/ml/anomaly_detectors", E::CatJobs),
    ("GET", "/_cat/ml/anomaly_detectors/{job_id}", E::CatJobs),
    ("GET", "/_cluster/health", E::Health),
    ("GET", "/_cluster/health/{index}", E::Health),
    ("GET", "/_cluster/state", E::ClusterState),
    ("GET", "/_cluster/state/{metric}", E::ClusterState),
    ("GET", "/_cluster/state/{metric}/{indices}", E::ClusterState),
    ("GET", "/_cluster/settings", E::GetSettings),
    ("PUT", "/_cluster/settings", E::PutSettings),
    ("GET", "/_tasks", E::Tasks),
    ("GET", "/_xpack", E::Xpack),
    ("GET", "/_nodes/stats", E::NodesStats),
    ("GET", "/_security/_authenticate", E::Authenticate),
    (
        "GET,POST",
        "/_security/user/_has_privileges",
        E::HasPrivileges,
    ),
    ("GET", "/_security/user/_privileges", E::UserPrivileges),
    ("PUT,POST", "/_security/api_key", E::CreateKey),
    ("GET", "/_security/api_key", E::GetKeys),
    ("DELETE", "/_security/api_key", E::InvalidateKeys),
    ("PUT,POST", "/_security/role/{name}", E::PutRole),
    ("DELETE", "/_security/role/{name}", E::DeleteRole),
    ("PUT,POST", "/_security/user/{username}", E::PutUser),
    ("DELETE", "/_security/user/{username}", E::DeleteUser),
    ("HEAD,GET", "/{index}", E::GetIndex),
    ("DELETE", "/{index}", E::DeleteIndex),
    ("PUT", "/{index}", E::PutIndex),
    ("HEAD,GET", "/{index}/_doc/{id}", E::GetDoc),
    ("DELETE", "/{index}/_doc/{id}", E::DeleteDoc),
    ("PUT,POST", "/{index}/_doc/{id}", E::PostDoc),
    ("POST", "/{index}/_doc", E::PostDoc),
    ("POST", "/{index}/_update/{id}", E::UpdateDoc),
    ("POST", "/{index}/_close", E::CloseIndex),
    ("POST", "/{index}/_open", E::OpenIndex),
    ("GET,POST", "/{index}/_refresh", E::Refresh),
    ("PUT,POST", "/_bulk", E::Bulk),
    ("PUT,POST", "/{index}/_bulk", E::Bulk),
];

/// Paths of 7.x with a document type.
const TYPED: &[(&str, &str, Endpoint)] = &[
    ("POST", "/{index}/{type}", E::PostDoc),
    ("HEAD,GET", "/{index}/{type}/{id}", E::GetDoc),
    ("DELETE", "/{index}/{type}/{id}", E::DeleteDoc),
    ("PUT,POST", "/{index}/{type}/{id}", E::PostDoc),
];

/// APIs since 7.14.
const LATER: &[(&str, &str, Endpoint)] =
    &[("POST", "/_ml/anomaly_detectors/{job_id}/_reset", E::Reset)];

#[derive(Debug, Default)]
struct Node {
    named: BTreeMap<String, Node>,
    any: Option<Box<Node>>,
    /// Method, endpoint, pattern as registered, names of its placeholders.
    here: Vec<Route>,
}

#[derive(Debug, Clone)]
struct Route {
    method: &'static str,
    endpoint: Endpoint,
    pattern: String,
    names: Vec<String>,
}

/// The trie of all routes of a profile.
#[derive(Debug)]
pub(crate) struct Routes {
    root: Node,
}

/// What routing found.
#[derive(Debug)]
pub(crate) enum Match {
    /// An API, the decoded parts of the path, and the pattern of an old path.
    Found {
        endpoint: Endpoint,
        parts: Vec<(String, String)>,
        old: Option<(String, String)>,
    },
    /// The path is known, the method is not; the methods, and the words of a bad escape.
    Methods {
        allowed: Vec<&'static str>,
        bad: Option<String>,
    },
    /// No such path.
    Nothing,
}

impl Routes {
    pub(crate) fn new(profile: Profile) -> Self {
        let mut routes = Self {
            root: Node::default(),
        };
        for (methods, pattern, endpoint) in ROUTES {
            routes.add(methods, pattern, *endpoint);
            if let Some(rest) = pattern
                .strip_prefix("/_ml/")
                .filter(|_| profile.old_names())
            {
                routes.add(methods, &format!("/_xpack/ml/{rest}"), *endpoint);
            }
        }
        let typed = if profile.is_7() { TYPED } else { &[] };
        let later = if profile.blocked_and_reset() {
            LATER
        } else {
            &[]
        };
        for (methods, pattern, endpoint) in typed.iter().chain(later) {
            routes.add(methods, pattern, *endpoint);
        }
        routes
    }

    fn add(&mut self, methods: &'static str, pattern: &str, endpoint: Endpoint) {
        let mut node = &mut self.root;
        let mut names = Vec::new();
        for part in uri::segments(pattern) {
            node = match part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
            {
                Some(name) => {
                    names.push(name.to_owned());
                    node.any.get_or_insert_default()
                }
                None => node.named.entry(part.to_owned()).or_default(),
            };
        }
        for method in methods.split(',') {
            node.here.push(Route {
                method,
                endpoint,
                pattern: pattern.to_owned(),
                names: names.clone(),
            });
        }
    }

    /// Finds the API of a raw path.
    pub(crate) fn find(&self, method: &str, path: &str) -> Match {
        let parts = uri::segments(path);
        let mut taken = Vec::new();
        let Some(node) = walk(&self.root, &parts, &mut taken) else {
            return Match::Nothing;
        };
        let allowed: Vec<&'static str> = node.here.iter().map(|route| route.method).collect();
        let mut values = Vec::new();
        for raw in &taken {
            match uri::decode(raw, false) {
                Ok(value) => values.push(value),
                Err(bad) => {
                    return Match::Methods {
                        allowed,
                        bad: Some(bad),
                    };
                }
            }
        }
        match node.here.iter().find(|route| route.method == method) {
            Some(route) => {
                let old = route
                    .pattern
                    .strip_prefix("/_xpack/ml")
                    .map(|rest| (route.pattern.clone(), format!("/_ml{rest}")));
                Match::Found {
                    endpoint: route.endpoint,
                    parts: route.names.iter().cloned().zip(values).collect(),
                    old,
                }
            }
            None => Match::Methods { allowed, bad: None },
        }
    }
}

fn walk<'n, 'p>(node: &'n Node, parts: &[&'p str], taken: &mut Vec<&'p str>) -> Option<&'n Node> {
    let Some((part, rest)) = parts.split_first() else {
        return (!node.here.is_empty()).then_some(node);
    };
    let mark = taken.len();
    if let Some(found) = node
        .named
        .get(*part)
        .and_then(|next| walk(next, rest, taken))
    {
        return Some(found);
    }
    taken.truncate(mark);
    taken.push(part);
    let found = node.any.as_deref().and_then(|next| walk(next, rest, taken));
    if found.is_none() {
        taken.truncate(mark);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Match, Routes};
    use crate::profile::Profile;

    fn find(method: &str, path: &str) -> Match {
        Routes::new(Profile::V7_10).find(method, path)
    }

    #[test]
    fn an_empty_segment_is_an_empty_id() {
        let Match::Found {
            endpoint, parts, ..
        } = find("POST", "/_ml/anomaly_detectors//_close")
        else {
            panic!("not found")
        };
        assert_eq!(
            (endpoint, parts),
            (Endpoint::Close, vec![("job_id".to_owned(), String::new())])
        );
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        for (method, path, want) in [
            ("GET", "/_ml/anomaly_detectors/j1/_close", "POST"),
            ("POST", "/_ml/anomaly_detectors/_close", "GET,DELETE,PUT"),
            ("POST", "/", "HEAD,GET,DELETE"),
            ("GET", "/_ml/nosuch", "POST"),
            ("POST", "/_nosuch", "HEAD,GET,DELETE,PUT"),
        ] {
            let Match::Methods { allowed, .. } = find(method, path) else {
                panic!("{path}")
            };
            assert_eq!(allowed.join(","), want, "{path}");
        }
        assert!(matches!(
            find("GET", "/_ml/anomaly_detectors/j1/_nosuch"),
            Match::Nothing
        ));
    }
}
