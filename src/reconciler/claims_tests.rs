//! Whose job it is: the oldest object's, and never two objects' at once.

use super::*;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn job() -> JobId {
    JobId::parse("a").unwrap()
}

fn claim(name: &str, age: i64) -> Claim {
    Claim {
        cluster: Arc::from("uuid"),
        key: key(name),
        uid: Uid::from(name),
        through: ConnectionKind::ElasticsearchConnection,
        created_at: Timestamp::from_second(age).unwrap(),
        ticket: Ticket(1),
        jobs: vec![job()],
    }
}

fn says(rulings: &Rulings) -> Vec<(u64, String, Option<String>)> {
    let one = |(brain, rulings): (&u64, &Vec<Ruling>)| {
        let brain = *brain;
        let said = rulings.iter().map(move |ruling| {
            let rival = ruling.rival.as_ref().map(|key| key.name().to_string());
            (brain, ruling.key.name().to_string(), rival)
        });
        said.collect::<Vec<_>>()
    };
    rulings.iter().flat_map(one).collect()
}

#[test]
fn the_first_acts_and_a_younger_one_is_told_of_it() {
    let mut claims = Claims::default();
    let first = claims.claim(1, &[claim("old", 10)]);
    assert_eq!(says(&first), [(1, "old".into(), None)]);
    let second = claims.claim(2, &[claim("young", 20)]);
    assert_eq!(says(&second), [(2, "young".into(), Some("old".into()))]);
    assert!(says(&claims.claim(2, &[claim("young", 20)])).is_empty());
}

#[test]
fn an_older_one_waits_until_the_holder_has_given_way() {
    let mut claims = Claims::default();
    claims.claim(1, &[claim("young", 20)]);
    let asked = claims.claim(2, &[claim("old", 10)]);
    assert_eq!(says(&asked), [(1, "young".into(), Some("old".into()))]);
    let given = claims.give_way(1, &key("young"), &[job()]);
    assert_eq!(says(&given), [(2, "old".into(), None)]);
    let back = claims.release(2, &key("old"), &[job()]);
    assert_eq!(says(&back), [(1, "young".into(), None)]);
}

#[test]
fn a_holder_that_leaves_while_it_is_asked_to_give_way_is_gone_for_good() {
    let mut claims = Claims::default();
    claims.claim(1, &[claim("young", 20)]);
    claims.claim(2, &[claim("old", 10)]);
    let left = claims.release(1, &key("young"), &[job()]);
    assert_eq!(says(&left), [(2, "old".into(), None)]);
    assert!(says(&claims.release(2, &key("old"), &[job()])).is_empty());
    assert!(claims.is_empty());
}

#[test]
fn objects_of_one_second_are_told_apart_by_their_names() {
    let mut claims = Claims::default();
    claims.claim(1, &[claim("b", 10)]);
    let second = claims.claim(1, &[claim("a", 10)]);
    assert_eq!(says(&second), [(1, "b".into(), Some("a".into()))]);
}

/// A cluster's uuid is no secret, and who may write an ElasticsearchConnection may lead it to a server that tells of any.
#[test]
fn a_cluster_wide_connection_comes_before_one_of_a_namespace_whatever_their_age() {
    let mut claims = Claims::default();
    claims.claim(1, &[claim("old", 10)]);
    let wide = Claim {
        through: ConnectionKind::ClusterElasticsearchConnection,
        ..claim("young", 20)
    };
    let asked = claims.claim(2, std::slice::from_ref(&wide));
    assert_eq!(says(&asked), [(1, "old".into(), Some("young".into()))]);
    let given = claims.give_way(1, &key("old"), &[job()]);
    assert_eq!(says(&given), [(2, "young".into(), None)]);
    let older = Claim {
        created_at: Timestamp::from_second(15).unwrap(),
        key: key("older"),
        ..wide
    };
    let asked = claims.claim(2, std::slice::from_ref(&older));
    let told = |brain, name: &str| (brain, name.into(), Some("older".into()));
    assert_eq!(says(&asked), [told(1, "old"), told(2, "young")]);
}

#[test]
fn another_cluster_is_another_job() {
    let mut claims = Claims::default();
    claims.claim(1, &[claim("old", 10)]);
    let mut elsewhere = claim("young", 20);
    elsewhere.cluster = Arc::from("other");
    let granted = claims.claim(2, std::slice::from_ref(&elsewhere));
    assert_eq!(says(&granted), [(2, "young".into(), None)]);
}

#[test]
fn a_claim_is_held_where_it_was_made_until_it_is_given_up_whatever_the_cluster_is_called_by_then() {
    let mut claims = Claims::default();
    claims.claim(1, &[claim("old", 10)]);
    claims.claim(2, &[claim("young", 20)]);
    let mut elsewhere = claim("other", 10);
    elsewhere.cluster = Arc::from("another name");
    assert_eq!(
        says(&claims.claim(1, std::slice::from_ref(&elsewhere))),
        [(1, "other".into(), None)]
    );
    // Its call may still be on its way.
    let rulings = claims.release(1, &key("old"), &[job()]);
    assert_eq!(says(&rulings), [(2, "young".into(), None)]);
    claims.release(1, &key("other"), &[job()]);
    claims.release(2, &key("young"), &[job()]);
    assert!(claims.is_empty());
}

#[test]
fn a_claim_that_is_made_again_is_ruled_on_again() {
    let mut claims = Claims::default();
    claims.claim(1, &[claim("x", 10)]);
    let again = Claim {
        ticket: Ticket(2),
        ..claim("x", 10)
    };
    let rulings = claims.claim(1, &[again]);
    assert_eq!(says(&rulings), [(1, "x".into(), None)]);
    assert_eq!(rulings[&1][0].ticket, Ticket(2));
}

#[test]
fn an_object_made_anew_claims_anew() {
    let mut claims = Claims::default();
    claims.claim(1, &[claim("x", 10)]);
    claims.claim(1, &[claim("y", 20)]);
    let mut anew = claim("x", 30);
    anew.uid = Uid::from("x-2");
    let rulings = claims.claim(1, std::slice::from_ref(&anew));
    assert_eq!(
        says(&rulings),
        [(1, "y".into(), None), (1, "x".into(), Some("y".into()))]
    );
}

#[test]
fn what_a_brain_has_claimed_goes_with_it() {
    let mut claims = Claims::default();
    claims.claim(1, &[claim("old", 10)]);
    claims.claim(2, &[claim("young", 20)]);
    claims.claim(3, &[claim("younger", 30)]);
    assert_eq!(says(&claims.forget(1))[0], (2, "young".into(), None));
    let left = claims.release(2, &key("young"), &[job()]);
    assert_eq!(says(&left), [(3, "younger".into(), None)]);
    claims.forget(3);
    assert!(claims.is_empty());
}

#[test]
fn while_not_all_objects_are_known_nobody_acts_and_then_the_oldest_does() {
    let mut claims = Claims::default();
    claims.wait(1);
    assert!(says(&claims.claim(1, &[claim("young", 20)])).is_empty());
    let elsewhere = claims.claim(2, &[claim("younger", 30)]);
    assert_eq!(
        says(&elsewhere),
        [(2, "younger".into(), Some("young".into()))]
    );
    claims.claim(1, &[claim("old", 10)]);
    let all = claims.complete(1);
    assert_eq!(says(&all), [(1, "old".into(), None)]);
    claims.wait(1);
    claims.forget(1);
    assert_eq!(
        says(&claims.claim(1, &[claim("old", 10)])),
        [(2, "younger".into(), Some("old".into()))],
        "who waited for is forgotten with its brain"
    );
}
