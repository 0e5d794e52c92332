//! The wall clock as an argument. It exists because people set it and machines correct it while the operator runs, and a
//! test has to be able to do the same. How long something took is never asked of it: that is what monotonic time is for.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

/// What time people say it is; cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// A clock that says what `now` returns.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now. The next answer may be an earlier one.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
