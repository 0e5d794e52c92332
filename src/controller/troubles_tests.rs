//! What tenants hear of a connection that others own.

use std::time::Duration;

use super::*;
use crate::controller::translate::{refusal, trouble_of};
use crate::elasticsearch::Error;
use crate::reconciler::input::{Call, Ticket};

const SECRETS: [&str; 5] = ["uuid-1", "url", "certificate", "Secret", "elastic"];

fn wide() -> Home {
    Home::Wide {
        name: "logs".to_owned(),
    }
}

/// The trouble that comes out of it at this home.
fn heard(home: &Home, input: Input) -> Trouble {
    match told_to_objects(home, input).0 {
        Input::Connection(Connection::Unusable(trouble))
        | Input::Read(_, Err(trouble))
        | Input::Called(
            _,
            Err(
                Refusal::Cluster(trouble)
                | Refusal::Refused(trouble)
                | Refusal::Overloaded(trouble),
            ),
        )
        | Input::Verified(
            _,
            Err(
                Refusal::Cluster(trouble)
                | Refusal::Refused(trouble)
                | Refusal::Overloaded(trouble),
            ),
        ) => trouble,
        other => panic!("no trouble: {other:?}"),
    }
}

/// The same trouble in each way in which a brain can be told of it.
fn by_all_ways(trouble: &Trouble) -> Vec<Input> {
    let of = |refusal: fn(Trouble) -> Refusal| refusal(trouble.clone());
    let mut inputs = vec![Input::Read(Ticket(1), Err(trouble.clone()))];
    for refusal in [Refusal::Cluster, Refusal::Refused, Refusal::Overloaded] {
        inputs.push(Input::Called(Ticket(1), Err(of(refusal))));
        inputs.push(Input::Verified(Ticket(1), Err(of(refusal))));
    }
    inputs
}

fn assert_hidden(told: &Trouble, real: &Trouble) {
    assert_eq!(
        (told.reason, told.retry_after),
        (real.reason, real.retry_after)
    );
    assert!(told.message.contains("ClusterElasticsearchConnection logs"));
    for secret in SECRETS {
        assert!(!told.message.contains(secret), "{secret}: {told:?}");
    }
}

#[test]
fn what_is_wrong_with_a_connection_of_others_is_hidden_by_whichever_way_it_comes() {
    let uuid = "another cluster answers at the url: uuid-2 instead of uuid-1";
    let troubles = [
        Trouble::new(Reason::ClusterChanged, uuid),
        trouble_of(&Error::NotAllowed),
        trouble_of(&Error::NameNotResolved),
        trouble_of(&Error::ConnectionRefused),
        trouble_of(&Error::Redirected(302)),
        trouble_of(&Error::CredentialsInvalid),
        trouble_of(&Error::MissingPrivilege(vec!["elastic".to_owned()])),
        trouble_of(&Error::GatewayFailed {
            status: 503,
            retry_after: Some(Duration::from_secs(9)),
        }),
    ];
    let own = Home::Own {
        namespace: "team".to_owned(),
        name: "logs".to_owned(),
    };
    for real in &troubles {
        for input in by_all_ways(real) {
            let (_, hidden) = told_to_objects(&wide(), input.clone());
            assert_eq!(hidden.as_ref(), Some(real), "its owner hears of it");
            assert_hidden(&heard(&wide(), input), real);
        }
        for input in by_all_ways(real) {
            assert_eq!(heard(&own, input), *real, "its owner is told all");
        }
    }
}

#[test]
fn nothing_is_said_of_what_the_link_found_whatever_its_reason() {
    let found = Trouble::new(
        Reason::RetryingAfterError,
        "Secret elastic could not be read",
    );
    let input = Input::Connection(Connection::Unusable(found.clone()));
    assert_hidden(&heard(&wide(), input), &found);
}

/// One that is gone has no conditions in which anybody could see why.
#[test]
fn that_a_connection_is_gone_is_told() {
    let gone = Trouble::new(
        Reason::ConnectionNotFound,
        "there is no ClusterElasticsearchConnection logs",
    );
    let input = Input::Connection(Connection::Unusable(gone.clone()));
    assert_eq!(heard(&wide(), input), gone);
}

#[test]
fn what_concerns_a_job_is_told_as_it_is() {
    let job = crate::api::JobId::parse("rate").unwrap();
    let errors = [
        Error::NoCapacity,
        Error::SnapshotTooOld,
        Error::DatafeedRefused,
        Error::NodeLost,
        Error::UpgradeMode,
        Error::TimedOut(Duration::from_secs(30)),
    ];
    for error in errors {
        let trouble = trouble_of(&error);
        let input = Input::Read(Ticket(1), Err(trouble.clone()));
        assert_eq!(told_to_objects(&wide(), input.clone()).1, None);
        assert_eq!(heard(&wide(), input), trouble);
        if let refused @ (Refusal::Refused(_) | Refusal::Cluster(_)) =
            refusal(&error, &Call::Open(job.clone()), 1000)
        {
            let input = Input::Called(Ticket(1), Err(refused));
            assert_eq!(heard(&wide(), input), trouble);
        }
    }
}
