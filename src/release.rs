//! `anomalyjob-operator release`: takes our finalizer off AnomalyJobs, so that no object hangs in its deletion after the
//! operator is gone. It reads nothing of an object but its metadata, calls no Elasticsearch, and needs no lease: it is meant
//! for when no operator runs. One that runs puts the finalizer back, and that is looked for and said.

use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt as _};

use crate::api::AnomalyJob;
use crate::finalizer::{is_in, patch, with};
use crate::kubernetes::is_gone;

/// How many objects are asked for at a time.
const PAGE: u32 = 500;
/// How many are released at once; more only make each of them slower.
const AT_ONCE: usize = 8;
/// An API server that does not answer a request within this time is asked again.
const LIMIT: Duration = Duration::from_secs(15);
/// How often a request is made that is refused for what passes by.
const TRIES: u32 = 8;
/// The wait before the second try; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// How often the list is begun anew that got too old between two pages.
const LISTINGS: u32 = 3;
/// An operator that runs has put a finalizer back within this time.
const PUT_BACK_WITHIN: Duration = Duration::from_secs(1);

type Meta = PartialObjectMeta<AnomalyJob>;

/// Why objects are still held back, or may be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The list could not be read, so nothing is known of what is left.
    #[error("the AnomalyJobs of {place} cannot be listed: {why}")]
    List {
        /// A namespace, or all of them.
        place: String,
        /// What the API server said.
        why: String,
    },
    /// So many could not be released.
    #[error("{0} not released; run this again")]
    Left(usize),
    /// So many were released and have the finalizer again, or got it meanwhile.
    #[error("{0} got the finalizer back: an operator still runs; stop it, then run this again")]
    PutBack(usize),
}

/// How releasing one object ended.
enum End {
    Released,
    Deleted,
    Gone,
}

/// Releases all AnomalyJobs of these namespaces, none meaning all, and tells each as a line, then the sum. `Ok` means that
/// none of them has our finalizer any more.
pub async fn release(
    client: &Client,
    namespaces: &[String],
    mut tell: impl FnMut(String),
) -> Result<(), Error> {
    let (seen, held) = list_all(client, namespaces).await?;
    let ends = held.iter().map(|object| async move {
        let end = release_one(client, object).await;
        (object, end)
    });
    let mut ends = futures::stream::iter(ends).buffered(AT_ONCE);
    let mut failed = 0;
    while let Some((object, end)) = ends.next().await {
        failed += usize::from(end.is_err());
        let said = match end {
            Ok(End::Released) => "released".to_owned(),
            Ok(End::Deleted) => "released, and so deleted as was asked before".to_owned(),
            Ok(End::Gone) => "gone already".to_owned(),
            Err(why) => format!("NOT released: {why}"),
        };
        let namespace = object.namespace().unwrap_or_default();
        tell(format!("{namespace}/{}: {said}", object.name_any()));
    }
    let released = held.len() - failed;
    tell(format!(
        "AnomalyJobs: {seen} seen, {} held back, {released} released, {failed} failed",
        held.len()
    ));
    if failed > 0 {
        return Err(Error::Left(failed));
    }
    if held.is_empty() {
        return Ok(());
    }
    tokio::time::sleep(PUT_BACK_WITHIN).await;
    match list_all(client, namespaces).await?.1.len() {
        0 => Ok(()),
        back => Err(Error::PutBack(back)),
    }
}

fn is_held(object: &Meta) -> bool {
    is_in(object.finalizers())
}

/// How many AnomalyJobs there are, and those of them with our finalizer.
async fn list_all(client: &Client, namespaces: &[String]) -> Result<(usize, Vec<Meta>), Error> {
    let mut places = Vec::new();
    if namespaces.is_empty() {
        places.push(("all namespaces".to_owned(), Api::all(client.clone())));
    }
    for name in namespaces {
        let api = Api::namespaced(client.clone(), name);
        places.push((format!("namespace {name}"), api));
    }
    let (mut seen, mut held) = (0, Vec::new());
    for (place, api) in places {
        let why = |refused: Refused| Error::List {
            place,
            why: refused.to_string(),
        };
        let (count, some) = list(&api).await.map_err(why)?;
        seen += count;
        held.extend(some);
    }
    Ok((seen, held))
}

async fn list(api: &Api<AnomalyJob>) -> Result<(usize, Vec<Meta>), Refused> {
    let mut begun = 1;
    let (mut seen, mut held) = (0, Vec::new());
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let listed = match stubborn(None, || api.list_metadata(&page)).await {
            Ok(listed) => listed,
            // Its CustomResourceDefinition is gone, and every object with it.
            Err(Refused::NoSuchKind) => return Ok((0, Vec::new())),
            Err(Refused::TooOld) if begun < LISTINGS => {
                begun += 1;
                (seen, held) = (0, Vec::new());
                page = ListParams::default().limit(PAGE);
                continue;
            }
            Err(refused) => return Err(refused),
        };
        seen += listed.items.len();
        held.extend(listed.items.into_iter().filter(is_held));
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok((seen, held)),
        }
    }
}

async fn release_one(client: &Client, listed: &Meta) -> Result<End, Refused> {
    let namespace = listed.namespace().unwrap_or_default();
    let api: Api<AnomalyJob> = Api::namespaced(client.clone(), &namespace);
    let (name, params) = (listed.name_any(), PatchParams::default());
    let mut object = listed.clone();
    let mut wait = FIRST_WAIT;
    for _ in 0..TRIES {
        if !is_held(&object) {
            return Ok(End::Released);
        }
        let (uid, version) = (object.uid(), object.resource_version());
        let (uid, version) = (uid.unwrap_or_default(), version.unwrap_or_default());
        let body = Patch::Merge(patch(&uid, &version, &with(object.finalizers(), false)));
        match stubborn(Some(&name), || api.patch_metadata(&name, &params, &body)).await {
            Ok(after) => {
                let last = after.finalizers().is_empty();
                let deleted = after.metadata.deletion_timestamp.is_some() && last;
                return Ok(if deleted { End::Deleted } else { End::Released });
            }
            Err(Refused::NotFound) => return Ok(End::Gone),
            Err(Refused::Conflict) => tokio::time::sleep(wait).await,
            Err(refused) => return Err(refused),
        }
        wait *= 2;
        object = match stubborn(Some(&name), || api.get_metadata(&name)).await {
            Err(Refused::NotFound) => return Ok(End::Gone),
            got => got?,
        };
    }
    Err(Refused::Conflict)
}

/// Why the API server did not do it.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("it is not there")]
    NotFound,
    #[error("the API server knows no AnomalyJobs; is their CustomResourceDefinition there?")]
    NoSuchKind,
    #[error("it was changed by others each time")]
    Conflict,
    #[error("the list got too old while it was read")]
    TooOld,
    #[error("{0}")]
    Passing(String),
    #[error("{0}")]
    Lasting(String),
}

impl Refused {
    /// Of a request for the object of this name, or for a list.
    fn of(error: kube::Error, name: Option<&str>) -> Self {
        let gone = name.is_some_and(|name| is_gone(&error, name));
        match error {
            kube::Error::Api(status) => match status.code {
                404 if gone => Self::NotFound,
                404 => Self::NoSuchKind,
                409 => Self::Conflict,
                410 => Self::TooOld,
                429 | 500..=599 => Self::Passing(status.message),
                _ => Self::Lasting(status.message),
            },
            other => Self::Passing(other.to_string()),
        }
    }

    /// A server that has just started does not know all kinds yet.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Passing(_) | Self::NoSuchKind)
    }
}

/// Asks again for the object of this name, or for a list, where the refusal may pass by itself; more slowly each time.
async fn stubborn<T, F>(name: Option<&str>, mut ask: impl FnMut() -> F) -> Result<T, Refused>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let mut wait = FIRST_WAIT;
    let mut made = 1;
    loop {
        let refused = match tokio::time::timeout(LIMIT, ask()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Refused::of(error, name),
            Err(_) => Refused::Passing(format!("no answer within {LIMIT:?}")),
        };
        if made == TRIES || !refused.may_pass() {
            return Err(refused);
        }
        made += 1;
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
}

#[cfg(test)]
#[path = "release_tests.rs"]
mod tests;
