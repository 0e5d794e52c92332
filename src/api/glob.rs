//! Wildcards as Elasticsearch reads them: one matcher, two readings.
//!
//! The search for jobs and the check of what was found disagree about `?` (reference 17.4), so both readings stand here
//! side by side. Nothing is known of jobs or of expressions here.

/// What one sign of a pattern asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Any run of characters, also none.
    Run,
    /// One character, whichever.
    One,
    /// This character.
    This(char),
}

impl Part {
    fn takes(self, sign: char) -> bool {
        match self {
            Self::This(wanted) => wanted == sign,
            Self::One | Self::Run => true,
        }
    }
}

/// A pattern, read once and matched often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    parts: Vec<Part>,
    /// The longest text that must stand in what fits: looked for first, because that is ten times as fast as matching, and
    /// an expression of 500 wildcards is matched with each name of a cluster.
    needed: String,
}

impl Glob {
    fn of(parts: Vec<Part>) -> Self {
        let texts = parts.split(|part| !matches!(part, Part::This(_)));
        let longest = texts.max_by_key(|text| text.len()).unwrap_or_default();
        let sign = |part: &Part| match part {
            Part::This(sign) => Some(*sign),
            Part::Run | Part::One => None,
        };
        let needed = longest.iter().filter_map(sign).collect();
        Self { parts, needed }
    }

    /// As the search reads it: `*` is any run, `?` one character, and `\` takes the next sign as it is.
    pub(crate) fn search(pattern: &str) -> Self {
        let mut signs = pattern.chars();
        let mut parts = Vec::new();
        while let Some(sign) = signs.next() {
            parts.push(match sign {
                '*' => Part::Run,
                '?' => Part::One,
                '\\' => Part::This(signs.next().unwrap_or('\\')),
                other => Part::This(other),
            });
        }
        Self::of(parts)
    }

    /// As the check of `allow_no_match` reads it, and `exclude`: `*` is any run, everything else stands for itself.
    pub(crate) fn plain(pattern: &str) -> Self {
        let part = |sign| match sign {
            '*' => Part::Run,
            other => Part::This(other),
        };
        Self::of(pattern.chars().map(part).collect())
    }

    /// Whether the whole text is what the pattern asks for. At most pattern times text steps, without recursion: one
    /// point to come back to is enough, because the latest run can take whatever an earlier one could have taken.
    pub(crate) fn matches(&self, text: &str) -> bool {
        if !text.contains(&self.needed) {
            return false;
        }
        let (mut parts, mut rest) = (self.parts.as_slice(), text.chars());
        let mut latest_run = None;
        loop {
            let mut ahead = rest.clone();
            match (parts.split_first(), ahead.next()) {
                (None, None) => return true,
                (Some((Part::Run, after)), _) => {
                    parts = after;
                    latest_run = Some((after, rest.clone()));
                }
                (Some((part, after)), Some(sign)) if part.takes(sign) => {
                    (parts, rest) = (after, ahead);
                }
                _ => {
                    let Some((after, from)) = latest_run.as_mut() else {
                        return false;
                    };
                    if from.next().is_none() {
                        return false;
                    }
                    (parts, rest) = (after, from.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_and_a_question_mark_one_character_for_the_search() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*", "a", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*a", "ba-", false),
            ("**a**", "bab", true),
            ("a?", "ab", true),
            ("a?", "a", false),
            ("?*", "", false),
            ("*?", "a", true),
            ("*ab", "aab", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"a\", r"a\", true),
        ] {
            assert_eq!(
                Glob::search(pattern).matches(text),
                fits,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn only_a_star_is_a_sign_for_the_check() {
        for (pattern, text, fits) in [
            ("a?", "ab", false),
            ("a?", "a?", true),
            ("*?", "a", false),
            (r"\a*", "ab", false),
            (r"\a*", r"\ab", true),
        ] {
            assert_eq!(Glob::plain(pattern).matches(text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_made_to_hang_a_matcher_does_not() {
        let glob = Glob::search(&"*a".repeat(2_000));
        let text = format!("{}b", "a".repeat(4_000));
        assert!(!glob.matches(&text));
    }
}
