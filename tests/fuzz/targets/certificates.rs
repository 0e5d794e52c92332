//! Bundles of certificates, and client certificates with their keys, as they stand in a Secret. The input is a bundle; behind a
//! NUL it goes on with a key. What is refused is refused without showing any of it, and what is taken makes a client.

#![no_main]

use anomalyjob_operator::elasticsearch::{Client, Credentials, Endpoint, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    fuzz::bounded(|| {
        let at = input.iter().position(|byte| *byte == 0);
        match at {
            None => {
                bundle(input);
            }
            Some(at) => {
                let (chain, key) = input.split_at(at);
                own(
                    chain,
                    &String::from_utf8_lossy(key.get(1..).unwrap_or_default()),
                );
            }
        }
    });
});

fn bundle(pem: &[u8]) -> bool {
    let endpoint = Endpoint {
        url: "https://es.example".to_owned(),
        ca_pem: Some(pem.to_vec()),
        ..Endpoint::default()
    };
    match Client::new(&endpoint, Limits::default()) {
        Ok(_) => {
            assert!(
                holds(pem, b"-----BEGIN CERTIFICATE"),
                "a client that trusts nobody, or everybody"
            );
            true
        }
        Err(error) => {
            fuzz::silent(&format!("{endpoint:?} {error:?} {error}"));
            assert_eq!(error.category(), "CAInvalid");
            false
        }
    }
}

/// The five dashes behind a label are not asked for: the parser lets spaces stand between them.
fn holds(pem: &[u8], label: &[u8]) -> bool {
    pem.windows(label.len()).any(|part| part == label)
}

fn own(chain: &[u8], key: &str) {
    let endpoint = Endpoint {
        url: "http://es.example".to_owned(),
        allow_plaintext: true,
        credentials: Credentials::ClientCertificate {
            chain_pem: chain.to_vec(),
            key_pem: key.into(),
        },
        ..Endpoint::default()
    };
    match Client::new(&endpoint, Limits::default()) {
        // What is shown to others is held to be a certificate as strictly as what is trusted.
        Ok(_) => assert!(bundle(chain) && holds(key.as_bytes(), b"KEY")),
        Err(error) => {
            fuzz::silent(&format!("{endpoint:?} {error:?} {error}"));
            assert_eq!(error.category(), "SecretInvalid");
        }
    }
}
