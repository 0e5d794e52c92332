//! Leadership is taken away, cannot be renewed, or is wanted by two.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{ENDING, campaign, in_the_middle, passed};
use crate::support::campaign::Campaign;
use crate::support::chance::{Chance, each_seed};
use crate::support::clock::Clock;
use crate::support::gate::{Gate, Mishap};
use crate::support::operator::{Operator, Ways};
use crate::support::room::{NAME, Room};
use crate::support::{LIMIT, RUNTIME, controlplane, until_true};

fn write_lease(room: &Room, spec: &Value) {
    let api: Api<Lease> = Api::namespaced(room.client.clone(), &room.namespace);
    let params = PatchParams::apply("thief").force();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME}, "spec": spec,
    });
    let written = RUNTIME.block_on(api.patch(NAME, &params, &Patch::Apply(&lease)));
    written.expect("the lease");
}

/// Calls that change something, by the cluster's own record.
fn changing(room: &Room) -> usize {
    let log = room.elastic.log();
    ["Close", "Open", "StopFeed", "StartFeed"]
        .map(|api| log.of(api))
        .iter()
        .sum()
}

#[test]
fn fault_17_a_lease_that_is_stolen_ends_the_acting_until_it_has_run_out() {
    each_seed(5, |seed| {
        let room = Room::new(controlplane::shared());
        let mut campaign = campaign(&room, seed);
        let mut operator = room.operator();
        in_the_middle(&mut campaign, &mut Chance::new(seed));
        until_true("it leads", LIMIT, || operator.leads());
        write_lease(&room, &json!({"holderIdentity": "thief"}));
        until_true("it has seen the thief", LIMIT, || !operator.leads());
        let before = changing(&room);
        std::thread::sleep(Duration::from_secs(3));
        assert!(
            operator.leads() || changing(&room) == before,
            "it acts without the lease"
        );
        passed(&campaign, 17);
        until_true("it leads again", LIMIT, || operator.leads());
        assert!(operator.is_running(), "the same process");
    });
}

#[test]
fn fault_18_a_lease_that_cannot_be_renewed_in_time_ends_the_acting_until_it_can() {
    each_seed(5, |seed| {
        let room = Room::new(controlplane::shared());
        let gate = Gate::before(&room.kubeconfig());
        let mut campaign = campaign(&room, seed);
        let ways = Ways {
            kubeconfig: Some(gate.kubeconfig()),
            ..Ways::default()
        };
        let mut operator = room.operator_in(&[], ways);
        in_the_middle(&mut campaign, &mut Chance::new(seed));
        until_true("it leads", LIMIT, || operator.leads());
        gate.befalls("/leases/", Mishap::Late(Duration::from_secs(12)));
        until_true("it leads no more", LIMIT, || !operator.leads());
        let before = changing(&room);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(changing(&room), before, "it acts without the lease");
        gate.opens();
        passed(&campaign, 18);
        until_true("it leads again", LIMIT, || operator.leads());
        assert!(operator.is_running(), "the same process");
    });
}

fn two(room: &Room) -> (Operator, Operator) {
    let first = room.operator();
    until_true("the first leads", LIMIT, || first.leads());
    let second = room.operator();
    until_true("the second stands by", LIMIT, || second.is_ready());
    (first, second)
}

/// A minute where time is no matter; else longer than the lease lasts, which is what counts.
fn frozen_for() -> Duration {
    let more = std::env::var_os("FAULT_SEEDS").is_some();
    Duration::from_secs(if more { 60 } else { 25 })
}

#[test]
fn fault_19_a_leader_that_was_frozen_sends_nothing_when_it_wakes() {
    each_seed(3, |seed| {
        let room = Room::new(controlplane::shared());
        let mut campaign = Campaign::new(&room, seed, 12, &ENDING);
        let (first, second) = two(&room);
        in_the_middle(&mut campaign, &mut Chance::new(seed));
        first.signal("STOP");
        let frozen = std::time::Instant::now();
        until_true("the second leads", LIMIT, || second.leads());
        // What the frozen one had in mind is done by the other; a second time would be seen.
        passed(&campaign, 19);
        std::thread::sleep(frozen_for().saturating_sub(frozen.elapsed()));
        let before = changing(&room);
        first.signal("CONT");
        until_true("the first stands by", LIMIT, || {
            first.is_ready() && !first.leads()
        });
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(changing(&room), before, "it called something when it woke");
        assert!(second.leads());
        campaign.tells_no_lie();
    });
}

#[test]
fn fault_19_of_two_candidates_for_a_lease_that_ran_out_one_wins() {
    each_seed(5, |seed| {
        let room = Room::new(controlplane::shared());
        let mut campaign = campaign(&room, seed);
        campaign.ask_all();
        // Of somebody who never comes back: both wait the same time from when they saw it first.
        write_lease(
            &room,
            &json!({"holderIdentity": "dead", "leaseDurationSeconds": 15}),
        );
        let both = [room.operator(), room.operator()];
        let leading = || both.iter().filter(|one| one.leads()).count();
        until_true("one leads", LIMIT, || leading() == 1);
        for _ in 0..20 {
            assert_eq!(leading(), 1);
            std::thread::sleep(Duration::from_millis(100));
        }
        passed(&campaign, 19);
        assert_eq!(leading(), 1);
    });
}

#[test]
fn fault_19_replicas_whose_clocks_differ_by_an_hour_never_act_both() {
    each_seed(2, |seed| {
        let room = Room::new(controlplane::shared());
        let mut campaign = campaign(&room, seed);
        let fast = seed % 2 == 1;
        let hour = if fast { 3600 } else { -3600 };
        let clock = Clock::wrong_by(room.folder(), "second", hour);
        let mut first = room.operator();
        until_true("the first leads", LIMIT, || first.leads());
        let through = clock.through();
        let ways = Ways {
            through: &through,
            ..Ways::default()
        };
        let second = room.operator_in(&[], ways);
        until_true("the second stands by", LIMIT, || second.is_ready());
        campaign.ask(6);
        // Longer than a lease lasts by anybody's clock.
        for _ in 0..36 {
            assert!(first.leads() && !second.leads());
            std::thread::sleep(Duration::from_millis(500));
        }
        if fast {
            first.kill();
            until_true("the second leads", LIMIT, || second.leads());
        }
        in_the_middle(&mut campaign, &mut Chance::new(seed));
        passed(&campaign, 19);
    });
}
