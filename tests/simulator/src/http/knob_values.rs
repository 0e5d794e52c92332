//! Durations and faults of a job as the knobs take and show them.

use serde_json::{Map, Value, json};

use crate::cluster::model::{Delay, Knobs, OnKill};

fn delay(value: &Value) -> Result<Delay, String> {
    match value {
        Value::Null => Ok(Delay::Hang),
        Value::String(text) if text == "hang" => Ok(Delay::Hang),
        Value::Number(number) => number
            .as_u64()
            .map(Delay::Ms)
            .ok_or_else(|| "a duration is a whole number of ms".into()),
        other @ (Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => Err(
            format!("a duration is a number of ms, null or \"hang\", not {other}"),
        ),
    }
}

/// Knobs with what a body changes.
///
/// # Errors
/// What is wrong with it.
pub(super) fn merged(knobs: Knobs, body: &Map<String, Value>) -> Result<Knobs, String> {
    let mut knobs = knobs;
    for (name, value) in body {
        let flag = || {
            value
                .as_bool()
                .ok_or_else(|| format!("'{name}' is true or false"))
        };
        match name.as_str() {
            "open_ms" => knobs.open = delay(value)?,
            "close_ms" => knobs.close = delay(value)?,
            "remove_ms" => knobs.remove = delay(value)?,
            "force_ms" => knobs.force = delay(value)?,
            "lost_closes" => {
                knobs.lost_closes = value
                    .as_u64()
                    .and_then(|number| u32::try_from(number).ok())
                    .ok_or("'lost_closes' is a number")?;
            }
            "open_fails" => knobs.open_fails = flag()?,
            "persist_fails" => knobs.persist_fails = flag()?,
            "finalise_fails" => knobs.finalise_fails = flag()?,
            "on_kill" => {
                knobs.on_kill = match value.as_u64() {
                    Some(409) => OnKill::Interrupted,
                    Some(404) => OnKill::TaskGone,
                    Some(200) => OnKill::Closed,
                    _ => return Err("'on_kill' is 409, 404 or 200".into()),
                }
            }
            "feed_start_ms" => knobs.feed_start = delay(value)?,
            "feed_stop_ms" => knobs.feed_stop = delay(value)?,
            "feed_stop_fails" => knobs.feed_stop_fails = flag()?,
            "lookback_ms" => knobs.lookback = delay(value)?,
            "feed_notice_ms" => knobs.feed_notice = delay(value)?,
            odd => {
                return Err(format!(
                    "unknown key '{odd}': see 'defaults' in the list of knobs"
                ));
            }
        }
    }
    Ok(knobs)
}

/// Knobs as they are taken.
pub(super) fn shown(knobs: &Knobs) -> Value {
    let ms = |delay: Delay| match delay {
        Delay::Ms(ms) => json!(ms),
        Delay::Hang => json!("hang"),
    };
    let on_kill = match knobs.on_kill {
        OnKill::Interrupted => 409,
        OnKill::TaskGone => 404,
        OnKill::Closed => 200,
    };
    json!({
        "open_ms": ms(knobs.open), "close_ms": ms(knobs.close), "remove_ms": ms(knobs.remove), "force_ms": ms(knobs.force), "lost_closes": knobs.lost_closes, "open_fails": knobs.open_fails,
        "persist_fails": knobs.persist_fails, "finalise_fails": knobs.finalise_fails, "on_kill": on_kill, "feed_start_ms": ms(knobs.feed_start),
        "feed_stop_ms": ms(knobs.feed_stop), "feed_stop_fails": knobs.feed_stop_fails, "lookback_ms": ms(knobs.lookback), "feed_notice_ms": ms(knobs.feed_notice),
    })
}
