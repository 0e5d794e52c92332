//! The recorded requests that are no requests of the machine learning API, and what takes their place.
//!
//! The whole list: four writes into the index `.ml-config`, by which the recording made two states that no API makes
//! (`requires: config-index-surgery`). The simulator keeps no such index; its knobs make the same two states. Every other
//! recorded request is sent as it stands. Nothing may be added here because the simulator answers it wrongly.

use serde_json::Value;

use crate::proof::rig::Rig;

/// What to do with a recorded step.
pub(super) enum Treatment {
    /// Send it and compare the answer.
    Replay,
    /// Turn a knob of the simulator instead; its answer was not recorded (`{{*}}`).
    Knob(fn(&Rig, &str)),
}

/// What to do with a step.
pub(super) fn treatment(step: &Value) -> Treatment {
    let text = |key: &str| step[key].as_str().unwrap_or_default();
    match (text("method"), job(text("path"))) {
        ("DELETE", Some(_)) => Treatment::Knob(Rig::lose_job_config),
        ("POST", Some(_)) => Treatment::Knob(Rig::mark_deleting),
        _ => Treatment::Replay,
    }
}

/// The job whose document in `.ml-config` a path names.
pub(super) fn job(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/.ml-config/")?;
    let (_, job) = rest.split_once("/anomaly_detector-")?;
    job.split('?').next()
}
