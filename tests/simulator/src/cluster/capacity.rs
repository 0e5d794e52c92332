//! Room on nodes: where a job may run, and the explanation where it may not (reference 4 and 17.18).
//! It must not assign anything.

use super::{core::Cluster, model::JobState};

/// Where a job could go.
#[derive(Debug)]
pub(super) enum Found {
    /// This node id.
    Node(String),
    /// Nowhere now; the task may wait.
    Lazy,
    /// Nowhere; the explanation, one part per node.
    None(String),
}

/// Bytes Elasticsearch adds to a job's memory limit for its process and code.
const OVERHEAD: u64 = 40 * 1024 * 1024;

/// Why a node takes no further job.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Opening {
        opening: u64,
        max: u64,
    },
    Full {
        open: u64,
        max: u64,
    },
    Memory {
        available: u64,
        used: u64,
        wanted: u64,
    },
}

impl Refusal {
    /// As recorded on 7.10.
    fn older(self) -> String {
        match self {
            Self::Opening { opening, max } => format!(
                "node exceeds [{opening}] the maximum number of jobs [{max}] in opening state"
            ),
            Self::Full { open, max } => format!(
                "this node is full. Number of opened jobs [{open}], xpack.ml.max_open_jobs [{max}]"
            ),
            Self::Memory {
                available,
                used,
                wanted,
            } => format!(
                "this node has insufficient available memory. Available memory for ML [{available}], memory required by existing jobs [{used}], estimated memory required for this job [{wanted}]"
            ),
        }
    }

    /// As 7.15 and later say it.
    fn newer(self) -> String {
        match self {
            Self::Opening { opening, max } => format!(
                "Node exceeds [{opening}] the maximum number of jobs [{max}] in opening state."
            ),
            Self::Full { open, max } => format!(
                "This node is full. Number of opened jobs [{open}], xpack.ml.max_open_jobs [{max}]."
            ),
            Self::Memory {
                available,
                used,
                wanted,
            } => format!(
                "This node has insufficient available memory. Available memory for ML [{}], memory required by existing jobs [{}], estimated memory required for this job [{}].",
                both(available),
                both(used),
                both(wanted)
            ),
        }
    }
}

/// Bytes as a number and for people, as in `8589934592 (8gb)`.
fn both(bytes: u64) -> String {
    let (unit, name) = [
        (1 << 40, "tb"),
        (1 << 30, "gb"),
        (1 << 20, "mb"),
        (1 << 10, "kb"),
    ]
    .into_iter()
    .find(|(unit, _)| bytes >= *unit)
    .unwrap_or((1, "b"));
    let tenths = bytes / (unit / 10).max(1);
    let tenths = if unit == 1 { bytes * 10 } else { tenths };
    if tenths % 10 == 0 {
        format!("{bytes} ({}{name})", tenths / 10)
    } else {
        format!("{bytes} ({}.{}{name})", tenths / 10, tenths % 10)
    }
}

impl Cluster {
    pub(super) fn find_node(&self, id: &str, memory: u64) -> Found {
        if !self.missing_primaries.is_empty() {
            let job = if self.profile.short_assignment_texts() {
                ""
            } else {
                "job "
            };
            return Found::None(format!(
                "Not opening {job}[{id}], because not all primary shards are active for the following indices [{}]",
                self.missing_primaries.join(",")
            ));
        }
        let mut reasons = Vec::new();
        for node in &self.nodes {
            let Some(reason) = self.refusal(&node.id, memory) else {
                return Found::Node(node.id.clone());
            };
            reasons.push(if self.profile.short_assignment_texts() {
                format!(
                    "Not opening job [{id}] on node [{}]. Reason: {}",
                    node.name,
                    reason.newer()
                )
            } else {
                format!(
                    "Not opening job [{id}] on node [{{{}}}{{ml.machine_memory=25276514304}}{{ml.max_open_jobs=20}}], because {}",
                    node.name,
                    reason.older()
                )
            });
        }
        Found::None(reasons.join("|"))
    }

    fn refusal(&self, node: &str, memory: u64) -> Option<Refusal> {
        let here = || {
            self.tasks.iter().filter(|(_, task)| {
                task.place.node.as_deref() == Some(node) && task.state != Some(JobState::Failed)
            })
        };
        let count = |list: usize| u64::try_from(list).unwrap_or(u64::MAX);
        if let Some(max) = self.capacity.max_opening {
            let opening = count(
                here()
                    .filter(|(_, task)| !task.live && task.state != Some(JobState::Closing))
                    .count(),
            );
            if opening >= max {
                return Some(Refusal::Opening { opening, max });
            }
        }
        if let Some(max) = self.capacity.max_open_jobs {
            let open = count(here().count());
            if open >= max {
                return Some(Refusal::Full { open, max });
            }
        }
        let wanted = memory + OVERHEAD;
        let available = self.capacity.memory;
        // Room for all jobs there are, or no limit on their sum: nothing to add up.
        let ample = wanted + self.memory_of_all <= available;
        if wanted <= available && (ample || !self.capacity.sums) {
            return None;
        }
        let used: u64 = here()
            .filter_map(|(id, _)| self.jobs.get(id))
            .map(|job| job.memory)
            .sum();
        (wanted + used > available).then_some(Refusal::Memory {
            available,
            used,
            wanted,
        })
    }
}
