//! A request as it came off the wire, before anyone has looked at what it means.

use super::uri;

/// Method, target and body of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The target as Latin-1 text.
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// HTTP/1.0, or `Connection: close`.
    pub(crate) last: bool,
}

impl Request {
    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The raw path.
    pub(crate) fn path(&self) -> &str {
        self.uri
            .split_once('?')
            .map_or(self.uri.as_str(), |(path, _)| path)
    }

    /// The raw query.
    pub(crate) fn query(&self) -> &str {
        self.uri.split_once('?').map_or("", |(_, query)| query)
    }

    /// Parses request line and header lines (without the empty one).
    pub(crate) fn parse(head: &[u8]) -> Option<Self> {
        let mut lines = head
            .split(|byte| *byte == b'\n')
            .map(|line| uri::latin1(line.strip_suffix(b"\r").unwrap_or(line)));
        let line = lines.next()?;
        let (method, rest) = line.split_once(' ')?;
        // The version is behind the last blank: a target with blanks stays whole.
        let (target, version) = rest.rsplit_once(' ').unwrap_or((rest, "HTTP/0.9"));
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| {
                line.split_once(':')
                    .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect();
        let mut request = Self {
            method: method.to_owned(),
            uri: target.trim().to_owned(),
            headers,
            body: Vec::new(),
            last: version != "HTTP/1.1",
        };
        if let Some(connection) = request.header("connection") {
            request.last = connection.eq_ignore_ascii_case("close")
                || (request.last && !connection.eq_ignore_ascii_case("keep-alive"));
        }
        Some(request)
    }
}
