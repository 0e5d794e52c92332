//! The id resolver: which jobs or datafeeds an expression names, and which of its tokens name nothing.
//! Reference 3.3 and 17.11; it must stay free of states, so that GET, `_stats` and close share one meaning.

use std::collections::{BTreeSet, HashSet};

use super::error::ApiError;

/// Elasticsearch looks at no more than this many entries, in order of id, and does not say so.
pub const MAX_RESULTS: usize = 10_000;
/// Two clauses a wildcard token, 1024 clauses a query: the first number of wildcard tokens that is refused.
const TOO_MANY_WILDCARDS: usize = 512;

/// A parsed expression.
#[derive(Debug, Clone)]
pub struct Expression {
    tokens: Vec<String>,
    all: bool,
}

impl Expression {
    /// Splits at commas, trims up to U+0020, drops empty tokens.
    pub fn parse(text: &str) -> Self {
        let tokens: Vec<String> = text
            .split(',')
            .map(|token| token.trim_matches(|sign| sign <= ' '))
            .filter(|token| !token.is_empty())
            .map(str::to_owned)
            .collect();
        let all = match tokens.as_slice() {
            [] => true,
            [only] => only == "_all" || only == "*",
            _ => false,
        };
        Self { tokens, all }
    }

    /// Whether every entry is meant.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// The one literal token, if the expression is nothing else.
    pub fn single_literal(&self) -> Option<&str> {
        match self.tokens.as_slice() {
            [only] if !self.all && !only.contains('*') => Some(only),
            _ => None,
        }
    }

    /// Refuses what the search behind it would refuse.
    ///
    /// # Errors
    /// 400 `search_phase_execution_exception` from 512 wildcard tokens on.
    pub fn check(&self) -> Result<(), ApiError> {
        if self
            .tokens
            .iter()
            .filter(|token| token.contains('*'))
            .count()
            < TOO_MANY_WILDCARDS
        {
            return Ok(());
        }
        let clauses = ApiError::new(
            400,
            "too_many_clauses",
            "too_many_clauses: maxClauseCount is set to 1024",
        );
        Err(
            ApiError::new(400, "search_phase_execution_exception", "all shards failed")
                .caused_by(clauses)
                .with("phase", "query")
                .with("grouped", true),
        )
    }

    /// Resolves against entries in order of id; `tasks` are ids known only by their task, matched by id alone.
    ///
    /// # Errors
    /// The unmatched tokens, joined by a bare comma.
    pub fn resolve<'a, G: AsRef<str> + 'a>(
        &self,
        entries: impl Iterator<Item = (&'a str, &'a [G])>,
        tasks: impl Iterator<Item = &'a str>,
        allow_no_match: bool,
    ) -> Result<Vec<String>, String> {
        let literals: HashSet<&str> = self
            .tokens
            .iter()
            .filter(|token| !token.contains('*'))
            .map(String::as_str)
            .collect();
        let patterns: Vec<&str> = self
            .tokens
            .iter()
            .filter(|token| token.contains('*'))
            .map(String::as_str)
            .collect();
        let hit = |name: &str| {
            self.all
                || literals.contains(name)
                || patterns.iter().any(|pattern| searched(pattern, name))
        };
        let mut found = BTreeSet::new();
        let mut names: HashSet<&str> = HashSet::new();
        for (id, groups) in entries
            .filter(|(id, groups)| hit(id) || groups.iter().any(|group| hit(group.as_ref())))
            .take(MAX_RESULTS)
        {
            found.insert(id.to_owned());
            names.insert(id);
            names.extend(groups.iter().map(AsRef::as_ref));
        }
        for id in tasks.filter(|id| {
            self.all || literals.contains(id) || patterns.iter().any(|pattern| plain(pattern, id))
        }) {
            found.insert(id.to_owned());
            names.insert(id);
        }
        let missing = self.missing(&names, !found.is_empty(), allow_no_match);
        if missing.is_empty() {
            Ok(found.into_iter().collect())
        } else {
            Err(missing.join(","))
        }
    }

    fn missing(&self, names: &HashSet<&str>, any: bool, allow_no_match: bool) -> Vec<&str> {
        if self.all {
            return if allow_no_match || any {
                Vec::new()
            } else {
                vec!["*"]
            };
        }
        let satisfied = |token: &str| {
            if token.contains('*') {
                names.iter().any(|name| plain(token, name))
            } else {
                names.contains(token)
            }
        };
        self.tokens
            .iter()
            .map(String::as_str)
            .filter(|token| (!allow_no_match || !token.contains('*')) && !satisfied(token))
            .collect()
    }
}

/// The search's wildcard: `*` is any text, `?` one character, a backslash takes the next as it is.
fn searched(pattern: &str, name: &str) -> bool {
    let mut parts = Vec::new();
    let mut signs = pattern.chars();
    while let Some(sign) = signs.next() {
        parts.push(match sign {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => Part::Sign(signs.next().unwrap_or('\\')),
            other => Part::Sign(other),
        });
    }
    matches(&parts, name)
}

/// The check's wildcard: only `*` is special.
pub fn plain(pattern: &str, name: &str) -> bool {
    // By far the most common, and asked for every field of every entry of an answer.
    if !pattern.contains('*') {
        return pattern == name;
    }
    let parts: Vec<Part> = pattern
        .chars()
        .map(|sign| {
            if sign == '*' {
                Part::Any
            } else {
                Part::Sign(sign)
            }
        })
        .collect();
    matches(&parts, name)
}

enum Part {
    Any,
    One,
    Sign(char),
}

/// Greedy matching with one point to come back to: linear in practice, no recursion.
fn matches(parts: &[Part], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut part, mut at, mut back) = (0, 0, None);
    while at < name.len() {
        match (parts.get(part), name.get(at)) {
            (Some(Part::Any), _) => {
                back = Some((part, at));
                part += 1;
            }
            (Some(Part::One), _) => (part, at) = (part + 1, at + 1),
            (Some(Part::Sign(want)), Some(sign)) if want == sign => (part, at) = (part + 1, at + 1),
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    (part, at) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    parts
        .iter()
        .skip(part)
        .all(|rest| matches!(rest, Part::Any))
}

#[cfg(test)]
mod tests {
    use super::Expression;

    const NONE: [&str; 0] = [];

    fn resolve(text: &str, allow: bool) -> Result<Vec<String>, String> {
        let (g1, g12) = (["g1"], ["g1", "g2"]);
        let jobs: [(&str, &[&str]); 3] = [("a", &g1), ("b", &g12), ("c", &NONE)];
        Expression::parse(text).resolve(jobs.into_iter(), std::iter::empty(), allow)
    }

    #[test]
    fn the_table_of_the_reference_holds() {
        for (text, allow, want) in [
            ("a", true, Ok("a")),
            ("g1", true, Ok("a,b")),
            ("g*", false, Ok("a,b")),
            ("a,g2,a", true, Ok("a,b")),
            ("x", true, Err("x")),
            ("a,x", false, Err("x")),
            ("x*", true, Ok("")),
            ("x*", false, Err("x*")),
            ("a,x*", false, Err("a,x*".trim_start_matches("a,"))),
            ("a,_all", true, Err("_all")),
            (" , ", false, Ok("a,b,c")),
            ("nope,nope", true, Err("nope,nope")),
            ("**", true, Ok("a,b,c")),
        ] {
            let got = resolve(text, allow).map(|ids| ids.join(","));
            assert_eq!(
                got,
                want.map(str::to_owned).map_err(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn a_question_mark_is_a_sign_for_the_search_and_plain_for_the_check() {
        assert_eq!(
            resolve("*?", true),
            Ok(vec!["a".into(), "b".into(), "c".into()])
        );
        assert_eq!(resolve("*?", false), Err("*?".into()));
        assert_eq!(resolve("?", true), Err("?".into()));
    }

    #[test]
    fn five_hundred_and_twelve_wildcards_are_refused() {
        assert!(
            Expression::parse(&vec!["a*"; 511].join(","))
                .check()
                .is_ok()
        );
        assert!(
            Expression::parse(&vec!["a*"; 512].join(","))
                .check()
                .is_err()
        );
    }
}
