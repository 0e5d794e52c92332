//! The rules of expanding an expression, one by one, in a small cluster.

use super::*;

/// `a` in g1; `b` in g1 and g2; `c`; `leaving` in g1 and gone, being deleted; `g9` is a job and a group of `z`.
fn names() -> Names {
    Names::of(BTreeMap::from([
        config("a", &["g1"], false),
        config("b", &["g1", "g2"], false),
        config("c", &[], false),
        config("leaving", &["g1", "gone"], true),
        config("g9", &[], false),
        config("z", &["g9"], false),
    ]))
}

fn config(id: &str, groups: &[&str], deleting: bool) -> (JobId, SeenConfig) {
    (id_of(id), SeenConfig::of(groups, None, deleting))
}

fn id_of(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

/// The ids joined by commas, or `404` and what is missing, or `400`; and how many are left out.
fn meant(text: &str, exclude: &[&str], allow_no_match: bool) -> String {
    let expression = JobExpression::parse(text).unwrap();
    let patterns: Vec<_> = exclude
        .iter()
        .map(|text| JobPattern::parse(text).unwrap())
        .collect();
    let found = resolve(&expression, &patterns, allow_no_match, &names());
    let joined = |words: Vec<&str>| words.join(",");
    let ids = joined(found.jobs.iter().map(JobId::as_str).collect());
    match found.unmatched.as_slice() {
        _ if found.refused => {
            assert!(found.jobs.is_empty() && found.unmatched.is_empty());
            "400".to_owned()
        }
        [] if found.excluded > 0 => format!("{ids} without {}", found.excluded),
        [] => ids,
        missing => format!("404 {}", joined(missing.iter().map(|t| &**t).collect())),
    }
}

fn assert_meant(cases: &[(&str, bool, &str)]) {
    for (text, allow_no_match, expected) in cases {
        assert_eq!(
            meant(text, &[], *allow_no_match),
            *expected,
            "{text:?} with allow_no_match={allow_no_match}"
        );
    }
}

#[test]
fn ids_groups_wildcards_and_lists_mean_what_the_reference_says() {
    assert_meant(&[
        ("a", true, "a"),
        ("g1", false, "a,b"),
        ("g*", true, "a,b,g9,z"),
        ("a,g2,a", false, "a,b"),
        (" a , , b ,", false, "a,b"),
        ("*2", true, "b"),
        ("**", true, "a,b,c,g9,z"),
        ("c*,*c*", false, "c"),
    ]);
}

#[test]
fn a_literal_that_is_nowhere_is_missing_whatever_the_flag_says() {
    for allow in [true, false] {
        assert_meant(&[
            ("x", allow, "404 x"),
            ("a,x", allow, "404 x"),
            ("nope,a,nope", allow, "404 nope,nope"),
            ("A", allow, "404 A"),
            ("jöb", allow, "404 jöb"),
            ("a%2Cb", allow, "404 a%2Cb"),
            ("-a,a/b", allow, "404 -a,a/b"),
        ]);
    }
}

#[test]
fn a_wildcard_may_match_nothing_only_where_the_flag_lets_it() {
    assert_meant(&[
        ("x*", true, ""),
        ("x*", false, "404 x*"),
        ("a,x*", true, "a"),
        ("y,x*,a,x*", false, "404 y,x*,x*"),
        ("y,x*,a,x*", true, "404 y"),
    ]);
}

#[test]
fn where_something_is_missing_the_others_are_told_all_the_same() {
    let expression = JobExpression::parse("a,ghost,g2").unwrap();
    let found = resolve(&expression, &[], true, &names());
    assert_eq!(found.jobs, BTreeSet::from([id_of("a"), id_of("b")]));
    assert_eq!(found.unmatched, [Arc::from("ghost")]);
}

#[test]
fn all_is_every_job_alone_and_a_name_beside_others() {
    assert_meant(&[
        ("_all", true, "a,b,c,g9,z"),
        (" *, ", false, "a,b,c,g9,z"),
        ("_all,", false, "a,b,c,g9,z"),
        ("a,_all", true, "404 _all"),
        ("a,*", true, "a,b,c,g9,z"),
    ]);
    for text in ["_all", "*"] {
        let expression = JobExpression::parse(text).unwrap();
        let none = resolve(&expression, &[], false, &Names::default());
        assert_eq!(none.unmatched, [Arc::from("*")], "{text}");
        let none = resolve(&expression, &[], true, &Names::default());
        assert_eq!(none, Resolution::default(), "{text}");
    }
}

#[test]
fn a_question_mark_is_a_sign_for_the_search_beside_a_star_and_plain_for_the_check() {
    assert_meant(&[
        ("*?", true, "a,b,c,g9,z"),
        ("*?", false, "404 *?"),
        ("?*1", true, "a,b"),
        ("?", true, "404 ?"),
        ("?", false, "404 ?"),
        (r"\a*", true, "a"),
        (r"\a*", false, r"404 \a*"),
        (r"a\*", true, ""),
    ]);
}

#[test]
fn a_job_that_is_being_deleted_is_meant_by_its_own_id_alone() {
    assert_meant(&[
        ("leaving", false, "leaving"),
        ("l*", true, ""),
        ("l*", false, "404 l*"),
        ("leaving,l*", false, "404 l*"),
        ("gone", true, "404 gone"),
        ("g1", true, "a,b"),
        ("go*", true, ""),
    ]);
    assert!(names().contains(&id_of("leaving")));
}

#[test]
fn a_name_that_is_an_id_and_a_group_means_both() {
    assert_meant(&[("g9", true, "g9,z"), ("g9*", false, "g9,z")]);
}

#[test]
fn what_is_left_out_is_counted_and_never_mends_a_404() {
    assert_eq!(meant("g1", &["a"], true), "b without 1");
    assert_eq!(meant("_all", &["*"], true), " without 5");
    assert_eq!(meant("_all", &["g*", "c"], true), "a,b,z without 2");
    assert_eq!(meant("a,ghost", &["ghost", "a"], true), "404 ghost");
    assert_eq!(meant("leaving", &["l*"], true), " without 1");
    // Groups do not count: `g1` is no job.
    assert_eq!(meant("_all", &["g1", "x"], false), "a,b,c,g9,z");
}

#[test]
fn five_hundred_and_twelve_wildcards_are_refused_and_nothing_is_meant() {
    assert_eq!(meant(&["a*"; 511].join(","), &[], true), "a");
    assert_eq!(meant(&["a*"; 512].join(","), &[], true), "400");
    let literals = vec!["b"; 2000].join(",");
    assert_eq!(meant(&literals, &[], true), "b");
}
