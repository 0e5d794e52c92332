//! What became of each job, by the simulator's own record: the world that statuses are held against. Read in one pass,
//! because a campaign's record is long. Knows nothing of the operator.

use std::collections::BTreeMap;

use serde_json::Value;

use super::elastic::Log;

/// One job's life.
#[derive(Debug, Default, Clone)]
pub(crate) struct Lived {
    pub(crate) state: String,
    /// When its last session was first seen closing.
    pub(crate) closing_at: Option<u64>,
    /// When forced closes that name it arrived, in ms.
    pub(crate) forces: Vec<u64>,
    /// When forced closes took effect on it.
    pub(crate) forced: Vec<u64>,
    /// Close calls without force that name it.
    pub(crate) closes: usize,
    /// How often it was opened.
    pub(crate) sessions: usize,
}

/// All jobs by their ids.
pub(crate) fn lives(log: &Log) -> BTreeMap<String, Lived> {
    let mut all: BTreeMap<String, Lived> = BTreeMap::new();
    for line in &log.changes {
        let Some(job) = line["job"].as_str() else {
            continue;
        };
        all.entry(job.to_owned()).or_default().change(line);
    }
    for line in log.requests.iter().filter(|line| line["api"] == "Close") {
        let path = line["path"].as_str().unwrap_or_default();
        let ids = path.split('/').rev().nth(1).unwrap_or_default();
        let query = line["query"].as_str().unwrap_or_default();
        for id in ids.split(',') {
            let life = all.entry(id.to_owned()).or_default();
            if query.contains("force=true") {
                life.forces.push(at(line));
            } else {
                life.closes += 1;
            }
        }
    }
    all
}

fn at(line: &Value) -> u64 {
    line["at_ms"].as_u64().unwrap_or_default()
}

impl Lived {
    fn change(&mut self, line: &Value) {
        let to = line["to"].as_str().unwrap_or_default();
        to.clone_into(&mut self.state);
        match to {
            "opened" => self.sessions += 1,
            "closing" => self.closing_at = Some(at(line)),
            "closed" if line["why"] == "force close" => self.forced.push(at(line)),
            _ => {}
        }
    }
}
