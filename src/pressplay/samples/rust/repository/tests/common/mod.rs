//! A running service for a test, on a port of its own, and a client that speaks to it.

// Every test program uses a part of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use shelf::items::Items;
use shelf::json::{self, Json};
use shelf::server::Server;

/// A fresh service.
pub fn start() -> Server {
    Server::start(Arc::new(Items::default()), ("127.0.0.1", 0)).expect("a free port")
}

/// One connection to a service.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).expect("a listening service");
        let patience = Some(Duration::from_secs(5));
        stream.set_read_timeout(patience).expect("a timeout");
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub fn get(&mut self, path: &str) -> (u16, Json) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    pub fn post(&mut self, path: &str, body: &str) -> (u16, Json) {
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// Send a request as it stands; status and document of the answer.
    pub fn send(&mut self, request: &str) -> (u16, Json) {
        let stream = self.stream.get_mut();
        stream.write_all(request.as_bytes()).expect("a connection");
        let status = self.line();
        let status = status.split(' ').nth(1).expect("a status");
        let mut length = 0;
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a whole body");
        let body = String::from_utf8(body).expect("text");
        let document = json::parse(&body).expect("JSON");
        (status.parse().expect("a status"), document)
    }

    /// Whether the service has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an answer");
        line.trim_end().to_string()
    }
}

/// The document in a text.
pub fn parsed(text: &str) -> Json {
    json::parse(text).expect("JSON")
}
