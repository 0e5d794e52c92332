//! Texts of answers without what differs from start to start of a server.
//!
//! These are the normalisations of `tests/contract/recorded/README.md`, done on both sides. Nothing else may be blurred.

use std::sync::LazyLock;

use regex::Regex;

use super::compare::sorted;

static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r"^299 Elasticsearch-\S+", "299 Elasticsearch-VERSION"),
        (r"allocation id \d+", "allocation id N"),
        (r"on node \[(\{[^}]*\})+\]", "on node [NODE]"),
        (
            r"Available memory for ML \[\d+\]",
            "Available memory for ML [N]",
        ),
    ]
    .map(|(pattern, put)| (Regex::new(pattern).expect("a pattern of this file"), put))
    .to_vec()
});
static ALLOWED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"allowed: \[([A-Z, ]*)\]").expect("a pattern of this file"));

/// A text with everything replaced that differs from start to start of a server.
pub(crate) fn text_normalised(text: &str) -> String {
    let mut text = text.to_owned();
    for (rule, put) in RULES.iter() {
        text = rule.replace_all(&text, *put).into_owned();
    }
    let methods = |found: &regex::Captures<'_>| {
        let list = sorted(found[1].split(',').map(|m| m.trim().to_owned()).collect());
        format!("allowed: [{}]", list.join(", "))
    };
    ALLOWED.replace_all(&text, methods).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_what_differs_between_starts_and_nothing_more() {
        let normal = text_normalised;
        assert_eq!(
            normal("a, allowed: [PUT, GET]"),
            normal("a, allowed: [GET, PUT]")
        );
        assert_eq!(
            normal("task job-x and allocation id 17 doesn't"),
            normal("task job-x and allocation id 2 doesn't")
        );
        assert_ne!(normal("closed [2] jobs"), normal("closed [3] jobs"));
        assert_ne!(normal("allowed: [PUT]"), normal("allowed: [GET]"));
    }
}
