//! What is said of a connection, and that nothing is said twice.

use serde_json::json;

use super::*;
use crate::api::ElasticsearchConnection;

fn object(status: Option<ElasticsearchConnectionStatus>) -> Source {
    let spec = serde_json::from_value(json!({"url": "https://es"})).unwrap();
    let mut object = ElasticsearchConnection::new("default", spec);
    object.metadata.generation = Some(1);
    object.status = status;
    Source::from(object)
}

fn probe() -> Probe {
    Probe {
        cluster_uuid: Some(Arc::from("uuid")),
        cluster_name: Some(Arc::from("logs")),
        version: Some(Arc::from("9.4.0")),
        has_license: true,
        stops_datafeeds: true,
        closes_idle_jobs: true,
    }
}

/// The status that is written, and what its Ready and its outlook say.
fn said(
    outcome: &Result<Probe, Trouble>,
    beside: Beside,
) -> (ElasticsearchConnectionStatus, Vec<String>) {
    let now = Timestamp::from_second(1_790_000_000).unwrap();
    let nothing = Acknowledged::default();
    let (_, status) = next(&object(None), &nothing, outcome, beside, now).expect("news");
    // What is stored is not written again, however much later it is.
    let later = Timestamp::from_second(1_790_009_999).unwrap();
    let stored = object(Some(status.clone()));
    let again = next(&stored, &nothing, outcome, beside, later);
    assert!(again.is_none());
    let words = status.conditions.iter();
    let words = words.map(|said| format!("{}={}/{}", said.type_, said.status, said.reason));
    let words = words.collect();
    (status, words)
}

fn signs(signs: Signs) -> Beside<'static> {
    Beside {
        signs,
        ..Beside::default()
    }
}

fn in_upgrade_mode(mode: bool) -> Signs {
    Signs {
        upgrade_mode: Some(mode),
        no_master: false,
    }
}

#[test]
fn what_a_cluster_does_to_itself_has_its_own_reason_and_goes_by_itself() {
    let (status, words) = said(&Ok(probe()), signs(in_upgrade_mode(false)));
    assert_eq!(words, ["Ready=True/Connected"]);
    assert_eq!(
        (status.ml_available, status.upgrade_mode),
        (Some(true), Some(false))
    );
    let (status, words) = said(&Ok(probe()), signs(in_upgrade_mode(true)));
    assert_eq!(
        words,
        ["Ready=False/UpgradeMode", "Reconciling=True/UpgradeMode"]
    );
    assert_eq!(status.upgrade_mode, Some(true));
    let no_master = Signs {
        no_master: true,
        ..Signs::default()
    };
    let (status, words) = said(&Ok(probe()), signs(no_master));
    assert_eq!(words, ["Ready=False/NoMaster", "Reconciling=True/NoMaster"]);
    assert_eq!(status.cluster_uuid.as_deref(), Some("uuid"));
}

#[test]
fn what_was_acknowledged_counts_before_the_watch_brings_it_back() {
    let mut told = object(None);
    told.metadata.resource_version = Some("7".to_owned());
    let (now, known) = (Timestamp::UNIX_EPOCH, Ok(probe()));
    let mut acknowledged = Acknowledged::default();
    let calm = signs(in_upgrade_mode(false));
    let (over, status) = next(&told, &acknowledged, &known, calm, now).expect("news");
    assert_eq!(over.borrowed().resource_version, "7");
    acknowledged.note(over, Arc::from("8"), status);
    assert!(next(&told, &acknowledged, &known, calm, now).is_none());
    // What is new meanwhile is written over what was acknowledged.
    let upgrades = signs(in_upgrade_mode(true));
    let (over, _) = next(&told, &acknowledged, &known, upgrades, now).expect("news");
    assert_eq!(over.borrowed().resource_version, "8");
    // Somebody else has written since, or it is another object of the same name.
    told.metadata.resource_version = Some("9".to_owned());
    let (over, _) = next(&told, &acknowledged, &known, calm, now).expect("news");
    assert_eq!(over.borrowed().resource_version, "9");
    told.metadata.resource_version = Some("7".to_owned());
    told.metadata.uid = Some("another".to_owned());
    assert!(next(&told, &acknowledged, &known, calm, now).is_some());
}

#[test]
fn without_machine_learning_a_human_is_called() {
    let unlicensed = Probe {
        has_license: false,
        ..probe()
    };
    let (status, words) = said(&Ok(unlicensed), Beside::default());
    assert_eq!(
        words,
        ["Ready=False/LicenseMissing", "Stalled=True/LicenseMissing"]
    );
    assert_eq!(status.ml_available, Some(false));
    let off = Trouble::new(Reason::MLUnavailable, "off");
    let (status, words) = said(&Err(off), Beside::default());
    assert_eq!(
        words,
        ["Ready=False/MLUnavailable", "Stalled=True/MLUnavailable"]
    );
    assert_eq!(status.ml_available, Some(false));
}

#[test]
fn what_is_lacking_is_told_with_its_consequence_and_the_privilege_that_has_it() {
    let lacks = [privileges::MAIN, privileges::STATE, privileges::LICENSE];
    let lacking = Beside {
        lacks: Some(&lacks),
        ..Beside::default()
    };
    let (status, words) = said(&Ok(probe()), lacking);
    assert_eq!(words, ["Ready=True/Connected"]);
    let told = status.privileges.unwrap();
    assert_eq!(told.granted.len() + 3, privileges::all().count());
    let lacking: Vec<&str> = told.lacking.iter().map(|of| of.action.as_str()).collect();
    assert_eq!(lacking, lacks);
    for of in &told.lacking {
        assert!(of.consequence.contains("(privilege monitor)"), "{of:?}");
    }
    for action in privileges::all() {
        let privilege = if privileges::is_needed(action) {
            "manage_ml"
        } else {
            "monitor"
        };
        assert!(consequence(action).contains(privilege), "{action}");
    }
    let (status, _) = said(&Ok(probe()), Beside::default());
    assert_eq!(status.privileges, None);
}

/// Those whom a cluster-wide connection serves are told that its owner sees why.
#[test]
fn what_fails_although_the_cluster_answers_is_seen_by_the_owner() {
    let complaint = Trouble::new(Reason::NotElasticsearch, "a proxy answers with 502");
    let beside = Beside {
        complaint: Some(&complaint),
        ..Beside::default()
    };
    let (status, words) = said(&Ok(probe()), beside);
    assert_eq!(words, ["Ready=True/Connected"]);
    let message = &status.conditions[0].message;
    assert!(
        message.contains("(NotElasticsearch): a proxy answers"),
        "{message}"
    );
}
