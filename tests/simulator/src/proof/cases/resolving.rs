//! Cases 1 to 3, 7 to 10, 13: what an id expression selects and when it is refused.

use serde_json::json;

use super::world::{JOBS, World, closed, ok, unknown_job};

#[test]
fn case_01_without_jobs_all_is_an_empty_list() {
    let world = World::nine();
    for expression in ["", "/_all", "/*"] {
        ok(
            &world.get(&format!("{JOBS}{expression}")),
            &json!({"count": 0, "jobs": []}),
        );
        ok(
            &world.get(&format!("{JOBS}{expression}/_stats")),
            &json!({"count": 0, "jobs": []}),
        );
    }
}

#[test]
fn case_02_a_wildcard_without_match_is_404_only_when_asked_for() {
    let world = World::nine();
    world.jobs(&["a"]);
    for view in ["", "/_stats"] {
        let target = format!("{JOBS}/missing-*{view}");
        ok(&world.get(&target), &json!({"count": 0, "jobs": []}));
        ok(
            &world.get(&format!("{target}?allow_no_match=true")),
            &json!({"count": 0, "jobs": []}),
        );
        unknown_job(
            &world.get(&format!("{target}?allow_no_match=false")),
            "missing-*",
        );
    }
}

#[test]
fn case_03_an_unknown_literal_is_404_whatever_allow_no_match_says() {
    let world = World::nine();
    for view in ["", "/_stats"] {
        for query in ["", "?allow_no_match=true", "?allow_no_match=false"] {
            unknown_job(
                &world.get(&format!("{JOBS}/non-existing-job{view}{query}")),
                "non-existing-job",
            );
        }
    }
}

#[test]
fn case_07_a_wildcard_closes_what_it_matches_and_nothing_else() {
    let world = World::nine();
    world.opened(&["foo-1", "foo-2", "bar-1"]);
    closed(&world.close("*foo-*", ""));
    assert_eq!(
        world.states(&["foo-1", "foo-2", "bar-1"]),
        ["closed", "closed", "opened"]
    );
}

#[test]
fn case_08_a_close_without_match_is_404_only_when_asked_for() {
    let world = World::nine();
    closed(&world.close("missing-*", ""));
    closed(&world.close("missing-*", "?allow_no_match=true"));
    unknown_job(
        &world.close("missing-*", "?allow_no_match=false"),
        "missing-*",
    );
}

#[test]
fn case_09_allow_no_match_may_stand_in_the_body() {
    let world = World::nine();
    let target = format!("{JOBS}/missing-*/_close");
    unknown_job(
        &world.post_json(&target, &json!({"allow_no_match": false})),
        "missing-*",
    );
    closed(&world.post_json(&target, &json!({"allow_no_match": true})));
}

#[test]
fn case_10_the_old_name_allow_no_jobs_works_with_a_warning_before_8() {
    let world = World::seven();
    let target = format!("{JOBS}/missing-*/_close");
    let phrase = "Deprecated field [allow_no_jobs] used, expected [allow_no_match] instead";
    for (allow, fits) in [(true, true), (false, false)] {
        let in_query = world.post(&format!("{target}?allow_no_jobs={allow}"));
        let in_body = world.post_json(&target, &json!({"allow_no_jobs": allow}));
        for answer in [in_query, in_body] {
            if fits {
                closed(&answer);
            } else {
                unknown_job(&answer, "missing-*");
            }
            let warning = answer.header("warning").unwrap_or_default().to_owned();
            assert!(
                warning.starts_with("299 Elasticsearch-7.10") && warning.contains(phrase),
                "{warning}"
            );
        }
    }
}

#[test]
fn case_10_the_old_name_is_an_unknown_parameter_from_8_on() {
    let world = World::nine();
    let answer = world.close("missing-*", "?allow_no_jobs=true");
    let reason = answer.at("/error/reason");
    assert_eq!(answer.status, 400);
    assert!(
        reason
            .as_str()
            .is_some_and(|r| r.contains("contains unrecognized parameter: [allow_no_jobs]")),
        "{reason}"
    );
}

#[test]
fn case_13_an_unknown_literal_can_be_neither_opened_nor_closed() {
    let world = World::nine();
    unknown_job(&world.post(&format!("{JOBS}/nope/_open")), "nope");
    unknown_job(&world.close("nope", ""), "nope");
    unknown_job(&world.close("nope", "?force=true"), "nope");
}

#[test]
fn the_table_of_section_3_3_holds() {
    let world = World::nine();
    ok(
        &world.get(&format!("{JOBS}/_all?allow_no_match=true")),
        &json!({"count": 0, "jobs": []}),
    );
    unknown_job(&world.close("_all", "?allow_no_match=false"), "*");
    world.job_with("a", &json!({"groups": ["g1"]}));
    world.job_with("b", &json!({"groups": ["g1", "g2"]}));
    world.jobs(&["c"]);
    let selected = |expression: &str| {
        world
            .get(&format!("{JOBS}/{expression}?filter_path=jobs.job_id"))
            .at("/jobs")
    };
    let ids = |list: &[&str]| {
        json!(
            list.iter()
                .map(|id| json!({"job_id": id}))
                .collect::<Vec<_>>()
        )
    };
    assert_eq!(selected("a"), ids(&["a"]));
    assert_eq!(selected("g1"), ids(&["a", "b"]));
    assert_eq!(selected("g*"), ids(&["a", "b"]));
    assert_eq!(selected("a,g2,a"), ids(&["a", "b"]));
    assert_eq!(selected("_all"), ids(&["a", "b", "c"]));
    assert_eq!(selected("a,x*"), ids(&["a"]));
    unknown_job(
        &world.get(&format!("{JOBS}/a,x*?allow_no_match=false")),
        "x*",
    );
    unknown_job(&world.get(&format!("{JOBS}/a,x,y")), "x,y");
    unknown_job(&world.get(&format!("{JOBS}/a,_all")), "_all");
}
