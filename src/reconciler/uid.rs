//! The uid of an object: what tells it from another one of the same name.
//!
//! Kubernetes makes it as a UUID and says that it is a text without a meaning. So it is kept in sixteen bytes where it is
//! written as one, and as the text that it is where not. It must read back as it was, to the letter.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// `metadata.uid`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uid(Form);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Uuid(Uuid),
    Other(Arc<str>),
}

impl Uid {
    /// It, where it is written as a UUID.
    pub fn uuid(&self) -> Option<Uuid> {
        match self.0 {
            Form::Uuid(uuid) => Some(uuid),
            Form::Other(_) => None,
        }
    }
}

impl From<Uuid> for Uid {
    fn from(uuid: Uuid) -> Self {
        Self(Form::Uuid(uuid))
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        let uuid = Uuid::try_parse(text).ok();
        let same = uuid.filter(|uuid| uuid.to_string() == text);
        Self(same.map_or_else(|| Form::Other(Arc::from(text)), Form::Uuid))
    }
}

impl Default for Uid {
    fn default() -> Self {
        Self(Form::Uuid(Uuid::nil()))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Uuid(uuid) => uuid.fmt(f),
            Form::Other(text) => text.fmt(f),
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_reads_back_to_the_letter_and_another_way_to_write_it_is_another_uid() {
        let texts = [
            "7d1c5f0a-6f0b-4a53-9c41-2f6c3f0f8a11",
            "7D1C5F0A-6F0B-4A53-9C41-2F6C3F0F8A11",
            "7d1c5f0a6f0b4a539c412f6c3f0f8a11",
            "{7d1c5f0a-6f0b-4a53-9c41-2f6c3f0f8a11}",
            "no uuid",
            "",
        ];
        for (at, text) in texts.iter().enumerate() {
            assert_eq!(Uid::from(*text).to_string(), *text);
            for (other, text) in texts.iter().enumerate() {
                assert_eq!(Uid::from(*text) == Uid::from(texts[at]), at == other);
            }
        }
    }
}
