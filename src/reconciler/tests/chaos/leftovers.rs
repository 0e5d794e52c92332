//! What a state holds that is not empty, by its own `Debug` text, so that no map can be forgotten when one is added.
//!
//! What the cluster itself is like may be there when all objects are gone; anything that names one of them, or a job, may not.

/// What begins what is known of a cluster and its connection.
const OF_THE_CLUSTER: [&str; 3] = ["catalogue: ", "allow: ", "unheard: "];

/// The lines of a pretty `Debug` text that begin something that holds something, or that name an object or a job.
pub(super) fn left_over(text: &str) -> Vec<String> {
    let mut left = Vec::new();
    let mut cluster_until = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        if let Some(until) = cluster_until {
            if depth <= until {
                cluster_until = None;
            }
            continue;
        }
        let line = line.trim();
        let opens = line.ends_with(['{', '[', '(']);
        if opens && OF_THE_CLUSTER.iter().any(|of| line.starts_with(of)) {
            cluster_until = Some(depth);
            continue;
        }
        let holds = ["{", "["]
            .iter()
            .any(|opens| line == *opens || line.ends_with(&format!(": {opens}")));
        let names = line.contains("job-") || line.contains("object-");
        if holds || names {
            left.push(line.to_owned());
        }
    }
    left
}

#[test]
fn what_is_left_over_cannot_hide() {
    use std::time::Duration;

    use crate::reconciler::claims::{Claim, Claims};
    use crate::reconciler::input::Ticket;
    use crate::reconciler::tests::world::{job, key, moment};

    let mut claims = Claims::default();
    assert!(left_over(&format!("{claims:#?}")).is_empty());
    drop(claims.claim(
        1,
        &[Claim {
            cluster: "uuid".into(),
            key: key("x"),
            uid: "uid".into(),
            through: crate::api::ConnectionKind::default(),
            created_at: moment(Duration::ZERO).wall,
            ticket: Ticket(1),
            jobs: vec![job("a")],
        }],
    ));
    let left = left_over(&format!("{claims:#?}"));
    assert!(left.iter().any(|line| line == "clusters: {"), "{left:#?}");
}
