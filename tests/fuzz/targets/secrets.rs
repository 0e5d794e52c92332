//! What stands in a Secret as a credential. The first byte says what it is taken for, and a NUL ends a user name. What is taken
//! becomes the one header that it means, and nothing else of the request; what is refused shows none of it.

#![no_main]
#![allow(clippy::expect_used, reason = "a target stops at what is wrong")]

use anomalyjob_operator::elasticsearch::{Credentials, Endpoint};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((kind, value)) = input.split_first() else {
        return Corpus::Reject;
    };
    let Ok(text) = std::str::from_utf8(value) else {
        return Corpus::Reject;
    };
    fuzz::bounded(|| tried(*kind, text));
    Corpus::Keep
});

/// As a user wrote it, without the newline at its end.
fn plain(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// What it is taken for, and the header that it means.
fn given(kind: u8, text: &str) -> (Credentials, String) {
    let (user, password) = text.split_once('\0').unwrap_or((text, ""));
    let key = plain(text);
    match kind % 3 {
        0 if key.contains(':') => {
            let header = format!("ApiKey {}", STANDARD.encode(key));
            (Credentials::ApiKey(text.into()), header)
        }
        0 => (Credentials::ApiKey(text.into()), format!("ApiKey {key}")),
        1 => (Credentials::Bearer(text.into()), format!("Bearer {key}")),
        _ => {
            let both = format!("{}:{}", plain(user), plain(password));
            let credentials = Credentials::Basic {
                user: user.into(),
                password: password.into(),
            };
            (credentials, format!("Basic {}", STANDARD.encode(both)))
        }
    }
}

fn tried(kind: u8, text: &str) {
    let (credentials, expected) = given(kind, text);
    let endpoint = Endpoint {
        url: "https://es.example".to_owned(),
        credentials,
        ..Endpoint::default()
    };
    let answer = || http::Response::new(fuzz::SENTINEL.into());
    let (client, seen) = match fuzz::client(&endpoint, answer) {
        Ok(made) => made,
        Err(error) => {
            fuzz::silent(&format!("{endpoint:?} {error:?} {error}"));
            assert_eq!(error.category(), "SecretInvalid");
            return;
        }
    };
    let error = fuzz::run(client.ml_info()).expect_err("no Elasticsearch");
    fuzz::silent(&format!("{endpoint:?} {client:?} {error:?} {error}"));
    let seen = seen.lock().expect("nobody panics in it");
    let [request] = &**seen else {
        panic!("{} requests", seen.len());
    };
    let header = request.headers().get("authorization").expect("the header");
    assert!(header.is_sensitive() && header.as_bytes() == expected.as_bytes());
    // Elasticsearch takes 8 KiB for all headers.
    assert!(expected.len() < 6144, "{} bytes", expected.len());
    assert!(!format!("{request:?}").contains(&expected), "it is shown");
}
