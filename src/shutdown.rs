//! How a part of the process is asked to stop. It exists so that nothing has to be aborted in the middle of a step,
//! and must not do more than ask: who asks also decides how long it waits.

use tokio::sync::watch;

/// The asking side. Dropping it asks too, so that nobody can forget it on an error path.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// The listening side, cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and its first listener.
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Asks all listeners to stop. Asking again changes nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns as soon as a stop is asked for, at once where it already was. Safe to drop and to call again.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        // An error means that the trigger is gone, which asks for the same.
        let _ = receiver.wait_for(|asked| *asked).await;
    }

    /// Whether a stop was asked for by now.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_listener_hears_a_request_whenever_it_comes() {
        let (trigger, early) = channel();
        let late = early.clone();
        assert!(!early.is_requested());
        let waiting = tokio::spawn(async move { early.requested().await });
        trigger.request();
        waiting.await.unwrap();
        late.requested().await;
        assert!(late.is_requested());
    }

    #[tokio::test]
    async fn a_dropped_trigger_asks_to_stop() {
        let (trigger, shutdown) = channel();
        drop(trigger);
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
