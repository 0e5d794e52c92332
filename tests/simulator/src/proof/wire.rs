//! The tests' own HTTP client: one blocking TCP connection, bytes out as they are given, bytes in as they come.
//!
//! It exists because every real client repairs what it sends (escapes a path, drops an empty segment, folds a header), and
//! the recorded answers are about exactly such bytes. It must not retry a request, follow anything or share code with the
//! operator's client: a mistake in common would prove itself.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take before the test fails; far above anything the simulator does.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request as it goes over the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The target of the request line, byte for byte.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

/// One answer: status, headers with lower-case names in the order received, and the body's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            ..Self::default()
        }
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self.header("Content-Type", "application/json")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The length of the request line as Elasticsearch counts it: without CR and LF.
    pub(crate) fn line_length(&self) -> usize {
        self.method.len() + self.target.len() + " HTTP/1.1".len() + 1
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = format!(
            "{} {} HTTP/1.1\r\nHost: simulator\r\n",
            self.method, self.target
        )
        .into_bytes();
        for (name, value) in &self.headers {
            out.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        if let Some(body) = &self.body {
            out.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
        }
        out.extend(b"\r\n");
        out.extend(self.body.as_deref().unwrap_or_default());
        out
    }
}

impl Answer {
    /// All values of a header, in the order received.
    pub(crate) fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).first().copied()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or null where it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A value of the JSON body; null where there is none.
    pub(crate) fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or(Value::Null)
    }
}

/// A connection that is opened when first needed and again after the server has closed it.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn send(&mut self, request: &Request) -> Answer {
        match self.exchange(request, PATIENCE) {
            Ok(answer) => answer,
            Err(error) => panic!("{} {}: no answer: {error}", request.method, request.target),
        }
    }

    /// Sends a request that is expected to be left without an answer; gives the answer if one came all the same.
    pub(crate) fn send_in_vain(&mut self, request: &Request, wait: Duration) -> Option<Answer> {
        match self.exchange(request, wait) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.stream = None;
                let silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(
                    silent,
                    "{} {}: not silence but {error}",
                    request.method, request.target
                );
                None
            }
        }
    }

    /// Sends a request and gives whatever happened, a cut connection included.
    pub(crate) fn try_send(&mut self, request: &Request) -> std::io::Result<Answer> {
        let result = self.exchange(request, PATIENCE);
        if result.is_err() {
            self.stream = None;
        }
        result
    }

    fn exchange(&mut self, request: &Request, patience: Duration) -> std::io::Result<Answer> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            self.stream = Some(BufReader::new(stream));
        }
        let reader = self.stream.as_mut().expect("just connected");
        reader.get_ref().set_read_timeout(Some(patience))?;
        reader.get_mut().write_all(&request.bytes())?;
        let answer = read_answer(reader, request.method == "HEAD")?;
        let closes = answer
            .header("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close"));
        if closes {
            self.stream = None;
        }
        Ok(answer)
    }
}

fn read_answer(reader: &mut BufReader<TcpStream>, head: bool) -> std::io::Result<Answer> {
    let first = read_line(reader)?;
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| broken(&first))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    if !head {
        answer.body = read_body(reader, &answer)?;
    }
    Ok(answer)
}

fn read_body(reader: &mut BufReader<TcpStream>, answer: &Answer) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if answer
        .header("transfer-encoding")
        .is_some_and(|v| v.eq_ignore_ascii_case("chunked"))
    {
        loop {
            let line = read_line(reader)?;
            let size = usize::from_str_radix(&line, 16).map_err(|_| broken(&line))?;
            let start = body.len();
            body.resize(start + size, 0);
            reader.read_exact(&mut body[start..])?;
            read_line(reader)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = answer
        .header("content-length")
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    body.resize(length, 0);
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn read_line(reader: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8_lossy(&line);
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn broken(line: &str) -> std::io::Error {
    std::io::Error::new(ErrorKind::InvalidData, format!("not HTTP: {line:?}"))
}
