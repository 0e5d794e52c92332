//! Is this an Elasticsearch, and does it send the product header?
//!
//! Since 7.14 every good answer carries `X-Elastic-Product`. An older cluster is known by `/`; where the
//! credentials may not read that (403), a well-formed `_ml/info` is the proof (reference 9.1, 17 point 16).
//! This keeps what is proven so far; it is per client, so a new url or credential starts anew.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::error::{Error, Impostor};
use super::request::Proof;

/// What is proven about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Nothing yet.
    Unproven,
    /// Elasticsearch 7.14 or later.
    Elasticsearch,
    /// Elasticsearch before 7.14: a close does not stop datafeeds and is refused while one runs.
    ElasticsearchBefore714,
}

/// What this client has learned. Shared by its clones.
#[derive(Debug, Default)]
pub(super) struct Proven {
    product: AtomicU8,
    root_refused: AtomicBool,
}

impl Proven {
    pub(super) fn product(&self) -> Product {
        match self.product.load(Ordering::Acquire) {
            1 => Product::Elasticsearch,
            2 => Product::ElasticsearchBefore714,
            _ => Product::Unproven,
        }
    }

    fn set(&self, product: Product) {
        let number = match product {
            Product::Unproven => 0,
            Product::Elasticsearch => 1,
            Product::ElasticsearchBefore714 => 2,
        };
        self.product.store(number, Ordering::Release);
    }

    /// Whether the body of a 2xx answer may be looked at. `/` is judged by [`Self::root_said`] after that,
    /// `_ml/info` by [`Self::info_said`].
    pub(super) fn admit(&self, proof: Proof, has_header: bool) -> Result<(), Error> {
        if has_header {
            if self.product() == Product::Unproven {
                self.set(Product::Elasticsearch);
            }
            return Ok(());
        }
        let may_prove_itself = match proof {
            Proof::Root => true,
            Proof::MlInfo => self.root_refused.load(Ordering::Acquire),
            Proof::None => false,
        };
        if may_prove_itself || self.product() == Product::ElasticsearchBefore714 {
            return Ok(());
        }
        Err(Error::NotElasticsearch(Impostor::NoProductHeader))
    }

    /// `/` was answered by an Elasticsearch.
    pub(super) fn root_said(&self, before_714: bool) {
        self.root_refused.store(false, Ordering::Release);
        self.set(if before_714 {
            Product::ElasticsearchBefore714
        } else {
            Product::Elasticsearch
        });
    }

    /// `/` was refused with 403 in Elasticsearch's form.
    pub(super) fn root_was_refused(&self) {
        self.root_refused.store(true, Ordering::Release);
    }

    /// `_ml/info` was answered in its form.
    pub(super) fn info_said(&self, has_header: bool) {
        if !has_header {
            self.set(Product::ElasticsearchBefore714);
        } else if self.root_refused.load(Ordering::Acquire) {
            // Where `/` can be read, its version has the last word: in a rolling upgrade over 7.14 one node
            // with the header does not speak for the others.
            self.set(Product::Elasticsearch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_header_and_proof_nothing_is_believed() {
        let proven = Proven::default();
        for proof in [Proof::None, Proof::MlInfo] {
            assert_eq!(
                proven.admit(proof, false),
                Err(Error::NotElasticsearch(Impostor::NoProductHeader))
            );
        }
        assert_eq!(proven.admit(Proof::Root, false), Ok(()));
        assert_eq!(proven.product(), Product::Unproven);
    }

    #[test]
    fn once_the_header_was_seen_an_answer_without_it_is_foreign() {
        let proven = Proven::default();
        proven.admit(Proof::None, true).unwrap();
        assert_eq!(proven.product(), Product::Elasticsearch);
        assert!(proven.admit(Proof::None, false).is_err());
    }

    #[test]
    fn an_old_version_in_the_root_answer_proves_the_rest() {
        let proven = Proven::default();
        proven.root_said(true);
        assert_eq!(proven.admit(Proof::None, false), Ok(()));
        // A rolling upgrade over 7.14: some nodes send the header, some do not.
        assert_eq!(proven.admit(Proof::None, true), Ok(()));
        assert_eq!(proven.product(), Product::ElasticsearchBefore714);
        proven.root_said(false);
        assert!(proven.admit(Proof::None, false).is_err());
    }

    #[test]
    fn where_the_root_is_refused_the_info_is_the_proof() {
        let proven = Proven::default();
        proven.root_was_refused();
        assert!(proven.admit(Proof::None, false).is_err());
        assert_eq!(proven.admit(Proof::MlInfo, false), Ok(()));
        proven.info_said(false);
        assert_eq!(proven.product(), Product::ElasticsearchBefore714);
        assert_eq!(proven.admit(Proof::None, false), Ok(()));
        proven.info_said(true);
        assert_eq!(proven.product(), Product::Elasticsearch);
    }
}
