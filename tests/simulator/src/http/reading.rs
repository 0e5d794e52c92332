//! Reading requests byte for byte with Elasticsearch's limits. It never judges what a request means.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    answer::{Answer, Style},
    request::Request,
};
use crate::{cluster::ApiError, profile::Profile};

/// Longest request line, its carriage return included.
const MAX_LINE: usize = 4096;
/// Longest header block.
const MAX_HEADER: usize = 8192;
const MAX_BODY: usize = 100 * 1024 * 1024;

/// What reading a request came to.
pub(crate) enum Read {
    Request(Request),
    /// Not readable; the answer, after which the connection ends.
    Bad(Box<Answer>),
    Gone,
}

/// Which part of a head is too long.
#[derive(Debug, Clone, Copy)]
enum Long {
    Line,
    Header,
}

fn too_long(part: Long, profile: Profile) -> Read {
    let text = match part {
        Long::Line => "An HTTP line is larger than 4096 bytes.",
        Long::Header => "HTTP header is larger than 8192 bytes.",
    };
    Read::Bad(Box::new(Answer::error(
        &ApiError::new(400, profile.long_line_type(), text),
        &Style::default(),
        profile,
    )))
}

/// How far a head has been looked through.
#[derive(Debug, Default)]
struct Scan {
    /// Behind the request line.
    line_end: Option<usize>,
    /// Behind the last whole line.
    at: usize,
}

impl Scan {
    /// The end of the head, once it is there.
    fn advance(&mut self, buffer: &mut Vec<u8>) -> Result<Option<usize>, Long> {
        // Empty lines before a request are allowed.
        while self.line_end.is_none() && matches!(buffer.first(), Some(b'\r' | b'\n')) {
            buffer.remove(0);
            self.at = 0;
        }
        while let Some(found) = buffer
            .get(self.at..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let start = self.at;
            self.at += found + 1;
            match self.line_end {
                None if self.at - 1 > MAX_LINE => return Err(Long::Line),
                None => self.line_end = Some(self.at),
                Some(line) if self.at - line > MAX_HEADER => return Err(Long::Header),
                Some(_) if matches!(buffer.get(start..self.at), Some(b"\r\n" | b"\n")) => {
                    return Ok(Some(self.at));
                }
                Some(_) => {}
            }
        }
        match self.line_end {
            None if buffer.len() > MAX_LINE + 2 => Err(Long::Line),
            Some(line) if buffer.len() > line + MAX_HEADER + 2 => Err(Long::Header),
            None | Some(_) => Ok(None),
        }
    }
}

/// Reads one request; `profile` is asked only for the words of a refusal.
pub(crate) async fn read_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    profile: impl Fn() -> Profile,
) -> Read {
    let mut scan = Scan::default();
    let head_end = loop {
        match scan.advance(buffer) {
            Ok(Some(end)) => break end,
            Ok(None) => {}
            Err(part) => return too_long(part, profile()),
        }
        if !more(stream, buffer).await {
            return Read::Gone;
        }
    };
    let head: Vec<u8> = buffer.drain(..head_end).collect();
    let Some(mut request) =
        Request::parse(head.get(..head.len().saturating_sub(2)).unwrap_or_default())
    else {
        return Read::Gone;
    };
    match read_body(stream, buffer, &request).await {
        Some(body) => request.body = body,
        None => return Read::Gone,
    }
    Read::Request(request)
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(buffer).await, Ok(read) if read > 0)
}

async fn read_body<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    request: &Request,
) -> Option<Vec<u8>> {
    if request
        .header("expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    {
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .ok()?;
    }
    if request
        .header("transfer-encoding")
        .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"))
    {
        return chunked(stream, buffer).await;
    }
    let length: usize = request
        .header("content-length")
        .map_or(Some(0), |value| value.parse().ok())
        .filter(|length| *length <= MAX_BODY)?;
    while buffer.len() < length {
        if !more(stream, buffer).await {
            return None;
        }
    }
    Some(buffer.drain(..length).collect())
}

async fn chunked<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                break buffer.drain(..=end).collect::<Vec<u8>>();
            }
            if !more(stream, buffer).await {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if text.is_empty() {
            continue;
        }
        let size =
            usize::from_str_radix(text.split(';').next().unwrap_or_default().trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        if body.len() + size > MAX_BODY {
            return None;
        }
        while buffer.len() < size {
            if !more(stream, buffer).await {
                return None;
            }
        }
        body.extend(buffer.drain(..size));
    }
}
