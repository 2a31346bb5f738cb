//! HTTP/1.1 messages: reading requests from a connection, writing answers to it.

use std::io::{self, BufRead, Read, Write};

use crate::json::Json;

pub const BODY_LIMIT: usize = 64 * 1024;
const LINE_LIMIT: u64 = 8 * 1024;
const HEADER_LIMIT: usize = 100;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub body: Vec<u8>,
    /// Whether the client wants to send another request on this connection.
    pub keep_alive: bool,
}

#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub document: Json,
}

/// Why no request could be read; after it, the connection is of no more use.
#[derive(Debug)]
pub enum Unreadable {
    /// There is nobody, or nobody any more, who waits for an answer.
    Closed,
    Refused(u16, &'static str),
}

impl From<io::Error> for Unreadable {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// The next request of a connection. `out` is told to go on where the client waits for that.
pub fn read(input: &mut impl BufRead, out: &mut impl Write) -> Result<Request, Unreadable> {
    let line = read_line(input)?.ok_or(Unreadable::Closed)?;
    let mut parts = line.split(' ');
    let (method, target, version) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(method), Some(target), Some(version), None) => (method, target, version),
        _ => return Err(refused(400, "this is no HTTP request")),
    };
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(refused(505, "speak HTTP/1.1"));
    }
    let mut request = Request {
        method: method.to_string(),
        path: path_of(target).to_string(),
        body: Vec::new(),
        keep_alive: version == "HTTP/1.1",
    };
    let headers = read_headers(input)?;
    for value in values(&headers, "connection") {
        for option in value.split(',').map(str::trim) {
            request.keep_alive &= !option.eq_ignore_ascii_case("close");
        }
    }
    let length = body_length(&headers)?;
    if length > 0 && values(&headers, "expect").any(|v| v.eq_ignore_ascii_case("100-continue")) {
        out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.body = vec![0; length];
    input.read_exact(&mut request.body)?;
    Ok(request)
}

/// Write an answer in one piece. To a HEAD request goes the same answer without its body.
pub fn write(
    out: &mut impl Write,
    answer: &Answer,
    keep_alive: bool,
    with_body: bool,
) -> io::Result<()> {
    let body = answer.document.to_string();
    let status = answer.status;
    let reason = reason(status);
    let length = body.len();
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let message = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: {connection}\r\n\r\n{}",
        if with_body { body.as_str() } else { "" }
    );
    out.write_all(message.as_bytes())?;
    out.flush()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

/// One line without its end; None where the connection has come to its end.
fn read_line(input: &mut impl BufRead) -> Result<Option<String>, Unreadable> {
    let mut line = Vec::new();
    input.take(LINE_LIMIT).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(refused(431, "a line of the request is too long"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| refused(400, "a line of the request is no text"))
}

fn read_headers(input: &mut impl BufRead) -> Result<Vec<(String, String)>, Unreadable> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(input)?.ok_or(Unreadable::Closed)?;
        if line.is_empty() {
            return Ok(headers);
        }
        if headers.len() == HEADER_LIMIT {
            return Err(refused(431, "the request has too many headers"));
        }
        match line.split_once(':') {
            // Space before the colon is how requests are smuggled.
            Some((name, value)) if !name.is_empty() && !name.contains([' ', '\t']) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
            }
            _ => return Err(refused(400, "this is no header")),
        }
    }
}

/// How many bytes of body follow. Two opinions on that are one too many.
fn body_length(headers: &[(String, String)]) -> Result<usize, Unreadable> {
    if values(headers, "transfer-encoding").next().is_some() {
        return Err(refused(501, "send a body with a Content-Length"));
    }
    let mut lengths = values(headers, "content-length");
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => return Ok(0),
        (Some(length), None) if length.bytes().all(|each| each.is_ascii_digit()) => length,
        _ => return Err(refused(400, "Content-Length must be one number")),
    };
    match length.parse() {
        Ok(length) if length <= BODY_LIMIT => Ok(length),
        _ => Err(refused(413, "the body is too large")),
    }
}

fn values<'a>(headers: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    let wanted = move |header: &&(String, String)| header.0 == name;
    headers
        .iter()
        .filter(wanted)
        .map(|(_, value)| value.as_str())
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

fn refused(status: u16, why: &'static str) -> Unreadable {
    Unreadable::Refused(status, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Request, Unreadable> {
        read(&mut text.as_bytes(), &mut io::sink())
    }

    fn status_of(text: &str) -> u16 {
        match read_text(text) {
            Err(Unreadable::Refused(status, _)) => status,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_request_is_read_with_its_body_and_not_further() {
        let text = "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET";
        let mut input = text.as_bytes();
        let request = read(&mut input, &mut io::sink()).unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/a")
        );
        assert_eq!(request.body, b"hi");
        assert_eq!(input, b"GET");
    }

    #[test]
    fn a_connection_stays_open_unless_somebody_says_otherwise() {
        assert!(read_text("GET / HTTP/1.1\r\n\r\n").unwrap().keep_alive);
        assert!(!read_text("GET / HTTP/1.0\r\n\r\n").unwrap().keep_alive);
        let closing = "GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n";
        assert!(!read_text(closing).unwrap().keep_alive);
    }

    #[test]
    fn a_client_that_waits_is_told_to_go_on() {
        let text = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na";
        let mut said = Vec::new();
        read(&mut text.as_bytes(), &mut said).unwrap();
        assert_eq!(said, b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(status_of("hello\r\n\r\n"), 400);
        assert_eq!(status_of("GET / HTTP/2\r\n\r\n"), 505);
        assert_eq!(status_of("GET / HTTP/1.1\r\nHost : x\r\n\r\n"), 400);
        assert_eq!(
            status_of("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            501
        );
        assert_eq!(
            status_of("GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n"),
            400
        );
        let twice = "Content-Length: 1\r\n".repeat(2);
        assert_eq!(status_of(&format!("GET / HTTP/1.1\r\n{twice}\r\n")), 400);
        assert_eq!(
            status_of("GET / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n"),
            413
        );
        assert_eq!(
            status_of(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9000))),
            431
        );
    }

    #[test]
    fn an_end_in_the_middle_is_an_end() {
        for text in [
            "",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab",
        ] {
            assert!(
                matches!(read_text(text), Err(Unreadable::Closed)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        let answer = Answer {
            status: 200,
            document: Json::from("ü"),
        };
        let mut said = Vec::new();
        write(&mut said, &answer, false, true).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(said.contains("\r\nContent-Length: 4\r\nConnection: close\r\n"));
        assert!(said.ends_with("\r\n\r\n\"ü\""));
    }
}
