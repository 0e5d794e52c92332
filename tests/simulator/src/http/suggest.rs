//! "did you mean": Elasticsearch's suggestion for a misspelt parameter or field, by Lucene's edit distance.
//! Only texts are made here; who calls decides what the candidates are.

/// Similarity of two texts: 1 - edits / longer length, in thousandths to stay clear of floats.
fn likeness(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let longest = a.len().max(b.len());
    if longest == 0 {
        return 1000;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, sign) in a.iter().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (other, above) in b.iter().zip(row.iter().skip(1)) {
            let cost = if sign == other {
                diagonal
            } else {
                1 + diagonal.min(*above).min(left)
            };
            diagonal = *above;
            left = cost;
            next.push(cost);
        }
        row = next;
    }
    let edits = row.last().copied().unwrap_or(longest);
    1000 - edits * 1000 / longest
}

/// ` did you mean [x]?` or ` did you mean any of [x, y]?` behind `lead`, or nothing.
pub(crate) fn suggestions<'a>(
    wrong: &str,
    candidates: impl Iterator<Item = &'a str>,
    lead: &str,
) -> String {
    let mut close: Vec<(usize, &str)> = candidates
        .map(|candidate| (likeness(wrong, candidate), candidate))
        .filter(|(score, _)| *score > 500)
        .collect();
    close.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    close.dedup();
    let names: Vec<&str> = close.into_iter().map(|(_, name)| name).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("{lead}[{one}]?"),
        many => format!("{lead}any of [{}]?", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::suggestions;

    #[test]
    fn the_recorded_suggestions_come_out() {
        let candidates = [
            "allow_no_match",
            "allow_no_jobs",
            "filter_path",
            "pretty",
            "human",
            "format",
            "error_trace",
            "job_id",
        ];
        let of = |wrong: &str| suggestions(wrong, candidates.into_iter(), " -> did you mean ");
        assert_eq!(of("*?filter_path"), " -> did you mean [filter_path]?");
        assert_eq!(
            of("*?allow_no_match"),
            " -> did you mean any of [allow_no_match, allow_no_jobs]?"
        );
        assert_eq!(
            of("*/_stats?allow_no_match"),
            " -> did you mean [allow_no_match]?"
        );
        assert_eq!(of("bogus"), "");
    }
}
