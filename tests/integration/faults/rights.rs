//! A right is taken away and given back.

use elasticsearch_simulator::{ApiKey, Options, Profile};
use serde_json::{Value, json};

use super::passed;
use crate::support::campaign::{Campaign, MIXED};
use crate::support::chance::{Chance, each_seed};
use crate::support::elastic::Elastic;
use crate::support::room::Room;
use crate::support::{LIMIT, controlplane, until};

/// Every role of the namespace, without the rules about Secrets.
fn without_secrets(roles: &Value) -> Value {
    let mut less = roles.clone();
    for role in less["items"].as_array_mut().expect("roles") {
        let all = role["rules"].as_array_mut().expect("rules");
        all.retain(|rule| !rule["resources"].to_string().contains("\"secrets\""));
    }
    less
}

/// Writes them, whatever version is stored.
fn apply(room: &Room, roles: &Value) {
    let mut roles = roles.clone();
    for role in roles["items"].as_array_mut().expect("roles") {
        let meta = role["metadata"].as_object_mut().expect("metadata");
        meta.remove("resourceVersion");
    }
    let file = room.folder().join("roles.json");
    std::fs::write(&file, roles.to_string()).expect("write");
    room.kubectl(&["replace", "-f", file.to_str().expect("UTF-8")]);
}

#[test]
fn fault_11_the_right_to_read_secrets_is_taken_away_and_given_back() {
    each_seed(5, |seed| {
        let mut chance = Chance::new(seed);
        let options = Options {
            profile: Profile::V9,
            api_keys: vec![ApiKey::new("key", "secret", &["manage_ml", "monitor"])],
            ..Options::default()
        };
        let room = Room::with(controlplane::shared(), Elastic::with(options));
        room.secret("key", &json!({"api-key": "key:secret"}));
        let with_key = json!({"auth": {"apiKeySecretRef": {"name": "key"}}});
        let mut campaign = Campaign::over(&room, seed, MIXED.len(), &MIXED, &with_key);
        let mut operator = room.operator();
        super::in_the_middle(&mut campaign, &mut chance);
        let roles = room.kubectl(&["get", "roles", "-o", "json"]);
        let roles: Value = serde_json::from_str(&roles).expect("JSON");
        let less = without_secrets(&roles);
        assert_ne!(less, roles, "no rule is about Secrets");
        apply(&room, &less);
        // The next process has no credentials at all.
        operator.kill();
        let mut operator = room.operator_after_kill();
        operator.until_ready();
        let before = room.elastic.asked();
        until("the connection says so", LIMIT, || {
            let connection =
                room.get::<anomalyjob_operator::api::ElasticsearchConnection>("default")?;
            let ready = &connection["status"]["conditions"];
            if ready.to_string().contains("\"status\":\"False\"") {
                Ok(())
            } else {
                Err(ready.to_string())
            }
        });
        assert_eq!(room.elastic.asked(), before, "it asks without credentials");
        campaign.tells_no_lie();
        apply(&room, &roles);
        passed(&campaign, 11);
        assert!(operator.is_running(), "the same process");
    });
}
