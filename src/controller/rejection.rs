//! Credentials that Elasticsearch has rejected: they are not shown again and again.
//!
//! A user is locked out, and a log flooded, by a client that repeats what was refused. Others go at once, the same ones after
//! a while: what was wrong may have been mended on the side of Elasticsearch.

use std::time::Duration;

use tokio::time::Instant;

use crate::elasticsearch::Endpoint;
use crate::reconciler::input::Trouble;

/// For how long nothing is sent with credentials that were rejected.
const SILENCE: Duration = Duration::from_secs(300);

/// The last rejection, if there was one.
#[derive(Default)]
pub(super) struct Rejection(Option<(Endpoint, Trouble, Instant)>);

impl Rejection {
    /// These were rejected just now.
    pub(super) fn note(&mut self, endpoint: &Endpoint, trouble: &Trouble) {
        self.0 = Some((endpoint.clone(), trouble.clone(), Instant::now() + SILENCE));
    }

    /// Why nothing may be sent with these now.
    pub(super) fn of(&self, endpoint: &Endpoint) -> Option<&Trouble> {
        let (rejected, trouble, until) = self.0.as_ref()?;
        (rejected.same(endpoint) && Instant::now() < *until).then_some(trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::elasticsearch::Credentials;

    #[tokio::test(start_paused = true)]
    async fn rejected_credentials_rest_for_five_minutes_and_others_go_at_once() {
        let of = |key: &str| Endpoint {
            credentials: Credentials::ApiKey(key.into()),
            ..Endpoint::default()
        };
        let mut rejection = Rejection::default();
        assert!(rejection.of(&of("a:1")).is_none());
        let trouble = Trouble::new(Reason::CredentialsInvalid, "rejected");
        rejection.note(&of("a:1"), &trouble);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(rejection.of(&of("a:1")), Some(&trouble));
        assert!(rejection.of(&of("a:2")).is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(rejection.of(&of("a:1")).is_none());
    }
}
