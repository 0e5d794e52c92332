//! Words that stand in every credential and in every answer of Elasticsearch, and the look for them in everything that the
//! operator writes: to the API server, into its log at the finest level, into metrics, and when it panics.
//!
//! It knows nothing of how secrets are kept. A word is looked for as it is and in base64, wherever it may begin in a group of three.

use std::cell::RefCell;
use std::io;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elasticsearch_simulator::Profile;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::between::{Body, Effect, Error, When, whole};
use super::world::{World, run};

/// What all of them begin with.
const WORD: &str = "S3ntinel-";
/// In Secrets.
pub(crate) const SECRET: &str = "S3ntinel-of-a-secret";
/// In answers.
const ANSWER: &str = "S3ntinel-of-an-answer";
/// Longer bodies are not rewritten: they are there to be refused for their length.
const MOST: u64 = 1 << 20;

/// The word, and its base64 at each of the three places of a group.
fn forms() -> &'static [String] {
    static FORMS: OnceLock<Vec<String>> = OnceLock::new();
    FORMS.get_or_init(|| {
        let at = |before: usize| {
            let text = STANDARD.encode(["x".repeat(before).as_bytes(), WORD.as_bytes()].concat());
            // Without the characters that what stands before and behind has a part in.
            let from = (before * 8).div_ceil(6);
            text[from..(before + WORD.len()) * 8 / 6].to_owned()
        };
        [WORD.to_owned(), at(0), at(1), at(2)].into()
    })
}

/// Where a word is in a text, with what stands around it.
pub(crate) fn find(text: &str) -> Option<String> {
    let at = forms().iter().find_map(|form| text.find(form))?;
    let around = at.saturating_sub(300)..(at + 100).min(text.len());
    Some(String::from_utf8_lossy(&text.as_bytes()[around]).into_owned())
}

/// What was said, as far as it has a word in it.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) bytes: usize,
    pub(crate) panics: usize,
    pub(crate) found: Vec<String>,
}

impl Heard {
    fn hear(&mut self, text: &str) {
        self.bytes += text.len();
        self.found.extend(find(text));
    }
}

/// Shared with the subscriber; one event comes in one piece.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Heard>>);

impl io::Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut heard = self.0.lock().expect("nobody panics in it");
        heard.hear(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Ear {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

std::thread_local! {
    static EAR: RefCell<Option<Ear>> = const { RefCell::new(None) };
}

/// Does it, and listens to all that is logged meanwhile at any level, and to the message of each panic.
pub(crate) fn listening<T>(what: impl FnOnce() -> T) -> (T, Heard) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            panicked(info);
            before(info);
        }));
    });
    let ear = Ear::default();
    EAR.set(Some(ear.clone()));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(ear.clone())
        .finish();
    let done = tracing::subscriber::with_default(subscriber, what);
    EAR.set(None);
    let heard = std::mem::take(&mut *ear.0.lock().expect("nobody panics in it"));
    (done, heard)
}

fn panicked(info: &PanicHookInfo) {
    EAR.with_borrow(|ear| {
        let Some(ear) = ear else { return };
        let mut heard = ear.0.lock().expect("nobody panics in it");
        heard.panics += 1;
        heard.hear(&info.to_string());
    });
}

/// The fields of a connection that present what stands in a Secret, another kind for each seed. The Secrets hold
/// more than is asked for.
pub(crate) fn credentials(world: &World) -> Value {
    let id = format!("id:{SECRET}");
    let one_word = SECRET.replace('-', "_");
    let data = json!({
        "key": id, "encoded": STANDARD.encode(&id), "token": SECRET, "username": SECRET, "password": SECRET,
        "tls.crt": SECRET, "tls.key": SECRET, "neighbour": one_word,
    });
    world.hold("sentinels", &data);
    let at = |key: &str| json!({"name": "sentinels", "key": key});
    let all = json!({"name": "sentinels"});
    match world.seed % 5 {
        0 => json!({"apiKeySecretRef": at("key")}),
        1 => json!({"apiKeySecretRef": at("encoded")}),
        2 => json!({"basicSecretRef": all}),
        3 => json!({"bearerTokenSecretRef": at("token")}),
        _ => json!({"clientCertificateSecretRef": all}),
    }
}

static PLANTED: AtomicUsize = AtomicUsize::new(0);

/// In how many answers they were put so far.
pub(crate) fn planted() -> usize {
    PLANTED.load(Ordering::Relaxed)
}

/// The answer with the word in its headers, in a field that nobody knows, and in every reason of a refusal. What the header
/// says of credentials that were shown is what a proxy does that shows all it was sent.
pub(crate) async fn plant(answer: Response<Body>) -> Result<Response<Body>, Error> {
    PLANTED.fetch_add(1, Ordering::Relaxed);
    let (mut parts, body) = answer.into_parts();
    let word = HeaderValue::from_static(ANSWER);
    for name in ["x-sentinel", "www-authenticate", "warning", "set-cookie"] {
        parts
            .headers
            .insert(HeaderName::from_static(name), word.clone());
    }
    if body.size_hint().exact().is_none_or(|size| size > MOST) {
        return Ok(Response::from_parts(parts, body));
    }
    let bytes = body.collect().await?.to_bytes();
    let planted = match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut value) => {
            sow(&mut value);
            value.to_string().into()
        }
        Err(_) => [&bytes, ANSWER.as_bytes()].concat().into(),
    };
    parts.headers.remove("content-length");
    Ok(Response::from_parts(parts, whole(planted)))
}

fn sow(value: &mut Value) {
    let error = value.get("error").is_some();
    if let Value::Object(fields) = value {
        for (name, field) in fields.iter_mut() {
            match field {
                Value::String(reason) if name == "reason" => reason.push_str(ANSWER),
                Value::Object(_) if error || name == "error" || name == "caused_by" => sow(field),
                _ => {}
            }
        }
        fields.insert("sentinel".to_owned(), json!(ANSWER));
    }
}

/// What kube cannot decode it logs whole, at a level that is on.
#[test]
fn a_secret_that_is_answered_in_part_or_in_another_form_is_not_logged() {
    let secret = STANDARD.encode(format!("id:{SECRET}"));
    let answers = [
        format!(r#"{{"kind":"Secret","data":{{"key":"{secret}"#),
        format!(r#"{{"kind":"Secret","metadata":{{}},"data":"{secret}"}}"#),
        format!(r#"{{"kind":"Secret","metadata":{{}},"data":{{"key":"!{secret}"}}}}"#),
        format!(r#"{{"kind":"Secret","metadata":{{}},"data":{{"key":["{secret}"]}}}}"#),
        format!("<html>{SECRET}"),
    ];
    for answer in answers {
        let story = |world: World| async move {
            world.plant();
            world.between.rule("cut", move |ask| {
                let body = answer.clone().into();
                let raw = Effect::Raw(200, HeaderMap::new(), body);
                (ask.point() == "read secret").then_some((When::Before, raw))
            });
            world.elastic.opened("a").await;
            world.connect(&json!({}));
            world.job("a", &json!({"state": "Closed"}));
            world.start("one");
            world.told(60, "a", "Ready=False/RetryingAfterError").await;
            world.between.lift("cut");
            world.told(300, "a", "Closed=True").await;
            world.verdict().await;
        };
        let ((), heard) = listening(|| run(5, Profile::V9, story));
        assert!(heard.found.is_empty(), "{:?}", heard.found);
    }
}

#[test]
fn a_word_is_found_wherever_it_stands() {
    for text in [
        format!("x{SECRET}y"),
        STANDARD.encode(SECRET),
        STANDARD.encode(format!("id:{SECRET}")),
        STANDARD.encode(format!("user:{SECRET}")),
        STANDARD.encode(format!("u:{SECRET}")),
        STANDARD.encode(format!("elastic:{SECRET}")),
    ] {
        assert!(
            find(&format!("a log line {text} goes on")).is_some(),
            "{text}"
        );
    }
    assert_eq!(find("nothing here"), None);
    let ((), heard) = listening(|| tracing::trace!(reason = ANSWER, "said"));
    assert_eq!(heard.found.len(), 1);
    let (_, heard) = listening(|| std::panic::catch_unwind(|| panic!("{SECRET}")));
    assert_eq!((heard.found.len(), heard.panics), (1, 1));
}
