//! Our finalizer on AnomalyJobs: the finalizers of an object with it or without, and the one patch that writes them. It
//! exists apart because the operator and `anomalyjob-operator release` make the same change, and must not name anything of
//! the object but its finalizers.

use serde_json::{Value, json};

use crate::api::FINALIZER;

/// Our finalizer is among these.
pub fn is_in(finalizers: &[String]) -> bool {
    finalizers.iter().any(|name| name == FINALIZER)
}

/// The finalizers of an object with ours or without it. The others of `stored` are kept in their order.
pub fn with(stored: &[String], present: bool) -> Vec<String> {
    let others = stored.iter().filter(|other| *other != FINALIZER).cloned();
    others
        .chain(present.then(|| FINALIZER.to_owned()))
        .collect()
}

/// A JSON merge patch after which an object has these finalizers, for that of this uid at this version alone.
pub fn patch(uid: &str, resource_version: &str, finalizers: &[String]) -> Value {
    // A merge patch replaces a list as a whole: without the version it would take away what others just added.
    json!({"metadata": {
        "uid": uid,
        "resourceVersion": resource_version,
        "finalizers": finalizers,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(stored: &[&str], present: bool) -> Value {
        let stored: Vec<String> = stored.iter().map(ToString::to_string).collect();
        patch("u", "7", &with(&stored, present))["metadata"]["finalizers"].clone()
    }

    #[test]
    fn the_others_are_kept_in_their_order() {
        let stored = ["b/x", FINALIZER, "a/x"];
        assert_eq!(after(&stored, false), json!(["b/x", "a/x"]));
        assert_eq!(
            after(&["b/x", "a/x"], true),
            json!(["b/x", "a/x", FINALIZER])
        );
    }

    #[test]
    fn it_is_there_once_however_often_it_is_added_and_gone_however_often_it_was_there() {
        assert_eq!(after(&[FINALIZER], true), json!([FINALIZER]));
        assert_eq!(after(&[FINALIZER, FINALIZER], false), json!([]));
    }

    #[test]
    fn nothing_is_named_but_the_finalizers_and_the_preconditions() {
        let expected = json!({"metadata": {"uid": "u", "resourceVersion": "7", "finalizers": []}});
        assert_eq!(patch("u", "7", &with(&[], false)), expected);
    }
}
