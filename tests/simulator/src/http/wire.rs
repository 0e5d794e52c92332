//! Answers as bytes: status line, headers, body. Nothing is decided here.

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::answer::Answer;
use crate::profile::Profile;

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

/// The head of an answer; without a length it is chunked.
pub(super) fn head(answer: &Answer, length: Option<usize>, last: bool, profile: Profile) -> String {
    let mut lines = vec![format!(
        "HTTP/1.1 {} {}",
        answer.status,
        reason(answer.status)
    )];
    let foreign = answer
        .headers
        .iter()
        .any(|(name, _)| name == "x-simulator-foreign");
    if profile.product_header() && !foreign {
        lines.push("X-elastic-product: Elasticsearch".into());
    }
    for (name, value) in answer
        .headers
        .iter()
        .filter(|(name, _)| name != "x-simulator-foreign")
    {
        lines.push(format!("{name}: {value}"));
    }
    lines.push(format!("content-type: {}", answer.content_type));
    match length {
        Some(length) => lines.push(format!("content-length: {length}")),
        None => lines.push("transfer-encoding: chunked".into()),
    }
    if last {
        lines.push("connection: close".into());
    }
    lines.push("\r\n".into());
    lines.join("\r\n")
}

/// Writes an answer in one piece.
pub(super) async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    answer: &Answer,
    is_head: bool,
    last: bool,
    profile: Profile,
) -> std::io::Result<()> {
    let mut bytes = head(answer, Some(answer.body.len()), last, profile).into_bytes();
    if !is_head {
        bytes.extend_from_slice(&answer.body);
    }
    stream.write_all(&bytes).await?;
    stream.flush().await
}
