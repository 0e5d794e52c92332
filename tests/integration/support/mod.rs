//! What several tests need. No test stands here.

pub(crate) mod controlplane;
