//! Which connection is meant, in every state of what is known.

use serde_json::{Value, json};

use super::*;
use crate::api::{ClusterElasticsearchConnection, ElasticsearchConnection, JobId};

const OWN: ConnectionKind = ConnectionKind::ElasticsearchConnection;
const WIDE: ConnectionKind = ConnectionKind::ClusterElasticsearchConnection;

fn listed() -> Directory {
    let mut directory = Directory::new(&[], true, Instant::now());
    directory.listed(super::OWN, String::new());
    directory.listed(super::WIDE, String::new());
    directory
}

fn put_own(directory: &mut Directory, namespace: &str, name: &str) {
    let spec = serde_json::from_value(json!({"url": "https://es"})).unwrap();
    let source = Source::from(ElasticsearchConnection::new(name, spec));
    let name = (namespace.to_owned(), name.to_owned());
    directory.put(name, Entry::Object(Arc::new(source)));
}

fn put_wide(directory: &mut Directory, name: &str, allowed: &Value) {
    let spec = json!({"url": "https://es", "allowedNamespaces": allowed});
    let spec = serde_json::from_value(spec).unwrap();
    let source = Source::from(ClusterElasticsearchConnection::new(name, spec));
    let name = (String::new(), name.to_owned());
    directory.put(name, Entry::Object(Arc::new(source)));
}

fn reference(namespace: &str, named: Option<(ConnectionKind, &str)>) -> Reference {
    Reference {
        namespace: namespace.to_owned(),
        named: named.map(|(kind, name)| (kind, name.to_owned())),
    }
}

fn own(namespace: &str, name: &str) -> Home {
    Home::Own {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn wide(name: &str) -> Home {
    Home::Wide {
        name: name.to_owned(),
    }
}

fn outside(namespace: &str, name: &str) -> Home {
    Home::Outside {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn labels(key: &str, value: &str) -> Labels {
    Labels::from([(key.to_owned(), value.to_owned())])
}

/// Why nothing is called at a home.
fn why(directory: &Directory, home: &Home) -> (Reason, String) {
    match directory.known(home) {
        Known::Unusable(trouble) => (trouble.reason, trouble.message.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_none_is_named_the_own_default_comes_before_the_wide_one() {
    let mut directory = listed();
    let none = reference("team-a", None);
    assert_eq!(directory.home(&none), own("team-a", "default"));
    let (reason, message) = why(&directory, &own("team-a", "default"));
    assert_eq!(reason, Reason::ConnectionNotFound);
    assert!(message.contains("no ClusterElasticsearchConnection default that serves it"));

    put_wide(&mut directory, "default", &json!([{"names": ["team-a"]}]));
    assert_eq!(directory.home(&none), wide("default"));
    let elsewhere = reference("team-b", None);
    assert_eq!(directory.home(&elsewhere), own("team-b", "default"));
    // That there is one which serves others is nobody's business.
    let (reason, same) = why(&directory, &own("team-b", "default"));
    assert_eq!(
        (reason, same),
        (
            Reason::ConnectionNotFound,
            message.replace("team-a", "team-b")
        )
    );

    put_own(&mut directory, "team-a", "default");
    assert_eq!(directory.home(&none), own("team-a", "default"));
    directory.remove(&("team-a".to_owned(), "default".to_owned()), Instant::now());
    assert_eq!(directory.home(&none), own("team-a", "default"));
    let (reason, said) = why(&directory, &own("team-a", "default"));
    assert_eq!(reason, Reason::ConnectionNotFound);
    assert!(said.contains("where it serves the namespace"), "{said}");
    let named = reference("team-a", Some((OWN, "default")));
    assert_eq!(directory.home(&named), own("team-a", "default"));
    let until = directory.next_lapse().expect("it is missed");
    assert!(directory.lapse(until - Duration::from_millis(1)).is_empty());
    assert_eq!(directory.lapse(until), [own("team-a", "default")]);
    assert_eq!(directory.home(&none), wide("default"));
    // One that names it has nothing to wait for, and is given no other.
    let (_, said) = why(&directory, &directory.home(&named));
    assert_eq!(
        said,
        "there is no ElasticsearchConnection default in namespace team-a"
    );
}

/// What was told of once is used until something else is told: to say nothing of its end would leave it in use.
#[test]
fn an_own_default_that_goes_is_told_of_whatever_is_known_of_the_wide_one() {
    let unanswered = {
        let mut directory = Directory::new(&[], true, Instant::now());
        directory.listed(super::OWN, String::new());
        directory.failed(super::WIDE, String::new(), Failure::Unanswered);
        directory
    };
    let mut without_labels = listed();
    let entries = json!([{"selector": {"matchLabels": {"ml": "yes"}}}]);
    put_wide(&mut without_labels, "default", &entries);
    let default = own("team-a", "default");
    for mut directory in [unanswered, without_labels] {
        let known = directory.known(&default);
        assert!(known.is(&Known::NotYet), "nothing was there: {known:?}");
        put_own(&mut directory, "team-a", "default");
        directory.remove(&("team-a".to_owned(), "default".to_owned()), Instant::now());
        assert_eq!(directory.home(&reference("team-a", None)), default);
        let (reason, message) = why(&directory, &default);
        assert_eq!(reason, Reason::ConnectionNotFound);
        assert!(message.contains("there was one"), "{message}");
    }
}

/// A wide `default` by the label of team-a, which has gone or cannot be read any more.
fn absent(why: Reason) -> Directory {
    let mut directory = listed();
    directory.label("team-a".to_owned(), Some(labels("ml", "yes")));
    directory.label("team-b".to_owned(), Some(Labels::new()));
    directory.listed(Asked::Namespaces, String::new());
    let entries = json!([{"selector": {"matchLabels": {"ml": "yes"}}, "allow": {"jobs": ["a-*"]}}]);
    put_wide(&mut directory, "default", &entries);
    let name = (String::new(), "default".to_owned());
    match why {
        Reason::InvalidObject => directory.put(name, Entry::Invalid(Arc::from("no"))),
        _ => directory.remove(&name, Instant::now()),
    }
    directory
}

#[test]
fn whom_a_wide_connection_served_stays_with_it_while_it_is_missed_and_nobody_else_comes() {
    let (none, other) = (reference("team-a", None), reference("team-b", None));
    for reason in [Reason::ConnectionNotFound, Reason::InvalidObject] {
        let mut directory = absent(reason);
        assert_eq!(directory.home(&none), wide("default"));
        assert_eq!(directory.home(&other), own("team-b", "default"));
        assert_eq!(why(&directory, &wide("default")).0, reason);
        let (said, _) = why(&directory, &own("team-b", "default"));
        assert_eq!(said, Reason::ConnectionNotFound);
        let allowances = directory.allowances(&wide("default"), ["team-a"].into_iter());
        let allowances = allowances.expect("they are known");
        let covers = |job| allowances.of("team-a").covers(&JobId::parse(job).unwrap());
        assert!(covers("a-1") && !covers("b-1"));
        // Its label goes meanwhile.
        directory.label("team-a".to_owned(), Some(Labels::new()));
        assert_eq!(directory.home(&none), own("team-a", "default"));
    }
}

#[test]
fn a_wide_connection_that_comes_back_serves_whom_it_says_then_and_one_that_stays_away_nobody() {
    let mut directory = absent(Reason::ConnectionNotFound);
    put_wide(&mut directory, "default", &json!([{"names": ["team-b"]}]));
    let (none, other) = (reference("team-a", None), reference("team-b", None));
    assert_eq!(directory.home(&none), own("team-a", "default"));
    assert_eq!(directory.home(&other), wide("default"));
    assert_eq!(directory.next_lapse(), None);
    // Whatever it is called.
    put_wide(&mut directory, "logs", &json!([{"names": ["team-b"]}]));
    let named = reference("team-b", Some((WIDE, "logs")));
    let began = Instant::now();
    for name in ["default", "logs"] {
        directory.remove(&(String::new(), name.to_owned()), began);
    }
    assert_eq!(directory.home(&other), wide("default"));
    assert_eq!(directory.home(&named), wide("logs"));
    let lapsed = directory.lapse(began + MISSED_FOR);
    assert_eq!(lapsed, [wide("default"), wide("logs")]);
    assert_eq!(directory.home(&other), own("team-b", "default"));
    assert_eq!(directory.home(&named), outside("team-b", "logs"));
    directory.label("team-a".to_owned(), None);
    directory.label("team-b".to_owned(), None);
    assert!(directory.is_empty());
}

#[test]
fn what_is_named_is_meant_and_nothing_else_of_that_name() {
    let mut directory = listed();
    put_own(&mut directory, "team-a", "logs");
    put_wide(&mut directory, "logs", &json!([{"selector": {}}]));
    let home = |directory: &Directory, kind, namespace| {
        directory.home(&reference(namespace, Some((kind, "logs"))))
    };
    assert_eq!(home(&directory, OWN, "team-a"), own("team-a", "logs"));
    assert_eq!(home(&directory, OWN, "team-b"), own("team-b", "logs"));
    assert_eq!(home(&directory, WIDE, "team-a"), wide("logs"));
    assert_eq!(home(&directory, WIDE, "team-b"), wide("logs"));
    let (reason, message) = why(&directory, &own("team-b", "logs"));
    assert_eq!(reason, Reason::ConnectionNotFound);
    assert!(!message.contains("Cluster"), "{message}");
}

#[test]
fn a_namespace_that_is_not_served_is_outside_and_is_told_nothing_of_the_others() {
    let mut directory = listed();
    put_wide(&mut directory, "logs", &json!([{"names": ["team-a"]}]));
    let named = reference("team-b", Some((WIDE, "logs")));
    assert_eq!(directory.home(&named), outside("team-b", "logs"));
    let (reason, message) = why(&directory, &outside("team-b", "logs"));
    assert_eq!(reason, Reason::NamespaceNotAllowed);
    assert!(message.contains("allowedNamespaces") && message.contains("team-b"));
    assert!(!message.contains("team-a") && !message.contains("https"));
    let (reason, _) = why(&directory, &outside("team-b", "nowhere"));
    assert_eq!(reason, Reason::ConnectionNotFound);
}

#[test]
fn labels_that_are_not_known_yet_are_waited_for() {
    let mut directory = listed();
    let entries = json!([{"selector": {"matchLabels": {"ml": "yes"}}}, {"names": ["team-b"]}]);
    put_wide(&mut directory, "logs", &entries);
    assert!(directory.needs_labels());
    let named = |namespace| reference(namespace, Some((WIDE, "logs")));
    for namespace in ["team-a", "team-b"] {
        assert_eq!(
            directory.home(&named(namespace)),
            outside(namespace, "logs")
        );
        let known = directory.known(&outside(namespace, "logs"));
        assert!(known.is(&Known::NotYet), "{known:?}");
    }
    directory.label("team-a".to_owned(), Some(labels("ml", "yes")));
    directory.label("team-b".to_owned(), Some(Labels::new()));
    directory.listed(Asked::Namespaces, String::new());
    assert_eq!(directory.home(&named("team-a")), wide("logs"));
    assert_eq!(directory.home(&named("team-b")), wide("logs"));
    directory.label("team-a".to_owned(), Some(labels("ml", "no")));
    assert_eq!(directory.home(&named("team-a")), outside("team-a", "logs"));
    // One that came a moment ago has labels that will be told.
    let known = directory.known(&outside("team-c", "logs"));
    assert!(known.is(&Known::NotYet), "{known:?}");
}

#[test]
fn what_cannot_be_listed_is_said_and_what_was_listed_once_stays() {
    let mut directory = Directory::new(&[], true, Instant::now());
    assert!(!directory.has_asked());
    directory.listed(super::OWN, String::new());
    directory.failed(super::WIDE, String::new(), Failure::Forbidden);
    assert!(directory.has_asked());
    let entries = json!([{"selector": {"matchLabels": {"ml": "yes"}}}]);
    put_wide(&mut directory, "logs", &entries);
    assert!(!directory.has_asked());
    directory.failed(Asked::Namespaces, String::new(), Failure::Forbidden);
    assert!(directory.has_asked());
    let (reason, message) = why(&directory, &outside("team-a", "logs"));
    assert_eq!(reason, Reason::Pending);
    assert!(
        message.contains("list and watch on namespaces"),
        "{message}"
    );
    // By whom it is served it does not learn.
    assert!(!message.contains("label"), "{message}");
    assert!(message.contains("whether ClusterElastic"), "{message}");
    directory.label("team-a".to_owned(), Some(labels("ml", "yes")));
    directory.listed(Asked::Namespaces, String::new());
    directory.failed(Asked::Namespaces, String::new(), Failure::Forbidden);
    let named = reference("team-a", Some((WIDE, "logs")));
    assert_eq!(directory.home(&named), wide("logs"));
}

/// One that is asked again and does not answer has not said that the right is there by now.
#[test]
fn a_right_that_is_missing_is_missing_until_the_list_comes() {
    let namespaces = ["team-a", "team-b"].map(str::to_owned);
    let mut directory = Directory::new(&namespaces, true, Instant::now());
    let b = || "team-b".to_owned();
    directory.failed(Asked::Jobs, b(), Failure::Unanswered);
    directory.listed(Asked::Jobs, "team-a".to_owned());
    assert!(!directory.has_jobs_to_be_had());
    directory.failed(Asked::Jobs, b(), Failure::Forbidden);
    directory.failed(Asked::Jobs, b(), Failure::Unanswered);
    assert!(directory.has_jobs_to_be_had() && !directory.has_all_jobs());
    directory.listed(Asked::Jobs, b());
    assert!(directory.has_all_jobs());
}

#[test]
fn a_right_that_is_taken_away_is_named_where_something_is_not_known() {
    let mut directory = listed();
    let entries = json!([{"selector": {"matchLabels": {"ml": "yes"}}}]);
    put_wide(&mut directory, "logs", &entries);
    directory.label("team-a".to_owned(), Some(labels("ml", "yes")));
    directory.listed(Asked::Namespaces, String::new());
    directory.failed(Asked::Namespaces, String::new(), Failure::Forbidden);
    let home = |directory: &Directory, namespace| {
        directory.home(&reference(namespace, Some((WIDE, "logs"))))
    };
    assert_eq!(home(&directory, "team-a"), wide("logs"));
    let new = outside("team-c", "logs");
    assert_eq!(home(&directory, "team-c"), new);
    let (_, message) = why(&directory, &new);
    assert!(message.contains("watch on namespaces"), "{message}");
    // It is back, and so is whatever is not known yet.
    let other: Namespace = serde_json::from_value(json!({"metadata": {"name": "team-d"}})).unwrap();
    directory.namespace(Change::of(other));
    let known = directory.known(&new);
    assert!(known.is(&Known::NotYet), "{known:?}");
}

#[test]
fn names_and_the_selector_of_all_need_no_labels() {
    let mut directory = listed();
    put_wide(
        &mut directory,
        "logs",
        &json!([{"names": ["team-a"]}, {"selector": {}}]),
    );
    assert!(!directory.needs_labels());
    let named = reference("team-z", Some((WIDE, "logs")));
    assert_eq!(directory.home(&named), wide("logs"));
}

#[test]
fn before_anything_was_listed_nothing_is_said_to_be_missing() {
    let mut directory = Directory::new(&[], true, Instant::now());
    let all = [
        reference("team-a", None),
        reference("team-a", Some((OWN, "logs"))),
        reference("team-a", Some((WIDE, "logs"))),
    ];
    for step in 0..2 {
        for reference in &all {
            let home = directory.home(reference);
            let known = directory.known(&home);
            let own_is_known = step == 1 && home == own("team-a", "logs");
            assert_eq!(known.is(&Known::NotYet), !own_is_known, "{home:?}");
        }
        directory.listed(super::OWN, String::new());
    }
}

#[test]
fn the_first_entry_that_means_a_namespace_says_what_may_be_done_there() {
    let mut directory = listed();
    let entries = json!([
        {"names": ["team-a"], "allow": {"jobs": ["a-*"]}},
        {"selector": {}, "allow": {"jobs": ["b-*"], "force": "Never"}},
    ]);
    put_wide(&mut directory, "logs", &entries);
    let allowances = directory.allowances(&wide("logs"), ["team-a", "team-b"].into_iter());
    let allowances = allowances.expect("they are known");
    let covers = |namespace, job| {
        let job = JobId::parse(job).unwrap();
        allowances.of(namespace).covers(&job)
    };
    assert!(covers("team-a", "a-1") && !covers("team-a", "b-1"));
    assert!(covers("team-b", "b-1") && !covers("team-b", "a-1"));
    // Nobody has asked for this one.
    assert!(!covers("team-c", "b-1"));
}

#[test]
fn an_operator_that_serves_no_wide_connection_says_so() {
    let mut directory = Directory::new(&[], false, Instant::now());
    directory.listed(super::OWN, String::new());
    assert_eq!(
        directory.home(&reference("team-a", None)),
        own("team-a", "default")
    );
    let (_, message) = why(&directory, &own("team-a", "default"));
    assert!(!message.contains("Cluster"), "{message}");
    let (reason, message) = why(&directory, &outside("team-a", "logs"));
    assert_eq!(reason, Reason::ConnectionNotFound);
    assert!(message.contains("--cluster-connections"), "{message}");
}

#[test]
fn a_namespace_whose_connections_may_not_be_listed_keeps_no_other_waiting() {
    let namespaces = ["team-a", "team-b"].map(str::to_owned);
    let mut directory = Directory::new(&namespaces, true, Instant::now());
    directory.listed(super::WIDE, String::new());
    put_wide(&mut directory, "default", &json!([{"selector": {}}]));
    directory.listed(super::OWN, "team-a".to_owned());
    assert!(!directory.has_asked());
    directory.failed(super::OWN, "team-b".to_owned(), Failure::Forbidden);
    assert!(directory.has_asked());
    assert_eq!(directory.home(&reference("team-a", None)), wide("default"));
    let (reason, _) = why(&directory, &own("team-a", "nowhere"));
    assert_eq!(reason, Reason::ConnectionNotFound);
    // It may have one of its own.
    let unseen = directory.home(&reference("team-b", None));
    assert_eq!(unseen, own("team-b", "default"));
    let (reason, message) = why(&directory, &unseen);
    assert_eq!(reason, Reason::Pending);
    assert!(
        message.contains("list and watch on elasticsearchconnections"),
        "{message}"
    );
    directory.listed(super::OWN, "team-b".to_owned());
    assert_eq!(directory.home(&reference("team-b", None)), wide("default"));
}

#[test]
fn where_cluster_wide_connections_cannot_be_seen_it_is_said_which_right_or_crd_is_missing() {
    for (failure, what) in [
        (
            Failure::Forbidden,
            "list and watch on clusterelasticsearchconnections",
        ),
        (
            Failure::NoSuchKind,
            "CustomResourceDefinition clusterelasticsearchconnections.anomalyjob.dev",
        ),
    ] {
        let mut directory = Directory::new(&[], true, Instant::now());
        directory.listed(super::OWN, String::new());
        directory.failed(super::WIDE, String::new(), Failure::Unanswered);
        let all = [
            reference("team-a", None),
            reference("team-a", Some((WIDE, "logs"))),
        ];
        for reference in &all {
            let known = directory.known(&directory.home(reference));
            assert!(known.is(&Known::NotYet), "it is asked again: {known:?}");
        }
        directory.failed(super::WIDE, String::new(), failure);
        for reference in &all {
            let (reason, message) = why(&directory, &directory.home(reference));
            assert_eq!(reason, Reason::Pending);
            assert!(message.contains(what), "{message}");
        }
        directory.listed(super::WIDE, String::new());
        let (reason, _) = why(&directory, &directory.home(&all[0]));
        assert_eq!(reason, Reason::ConnectionNotFound);
    }
}
