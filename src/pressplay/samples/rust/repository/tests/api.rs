//! `/healthz` and `/api/items`, over a connection.

mod common;

use common::{parsed, start, Client};

#[test]
fn the_service_is_healthy() {
    let answer = Client::new(&start()).get("/healthz");
    assert_eq!(answer, (200, parsed(r#"{"status": "ok"}"#)));
}

#[test]
fn a_new_shelf_is_empty() {
    let answer = Client::new(&start()).get("/api/items");
    assert_eq!(answer, (200, parsed(r#"{"items": []}"#)));
}

#[test]
fn an_item_is_kept_and_gets_an_id() {
    let mut client = Client::new(&start());
    let kept = client.post("/api/items", r#"{"name": "hammer"}"#);
    assert_eq!(kept, (201, parsed(r#"{"id": 1, "name": "hammer"}"#)));
    let all = client.get("/api/items?page=1");
    assert_eq!(
        all,
        (200, parsed(r#"{"items": [{"id": 1, "name": "hammer"}]}"#))
    );
}

#[test]
fn an_item_without_a_name_is_refused() {
    let mut client = Client::new(&start());
    for body in [r#"{"name": "  "}"#, r#"{"name": 7}"#, "{}", "[]"] {
        let (status, document) = client.post("/api/items", body);
        assert_eq!(status, 400, "{body}");
        assert!(document.to_string().contains("name must be"), "{document}");
    }
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let body = format!(r#"{{"name": "{}"}}"#, "x".repeat(201));
    assert_eq!(Client::new(&start()).post("/api/items", &body).0, 400);
}

#[test]
fn a_body_that_is_no_json_is_refused() {
    assert_eq!(Client::new(&start()).post("/api/items", "{").0, 400);
}

#[test]
fn an_unknown_path_is_not_found() {
    let mut client = Client::new(&start());
    assert_eq!(client.get("/nothing").0, 404);
    assert_eq!(client.post("/nothing", "{}").0, 404);
    assert_eq!(client.post("/healthz", "{}").0, 405);
}

#[test]
fn requests_follow_each_other_on_one_connection_until_one_says_close() {
    let mut client = Client::new(&start());
    for _ in 0..3 {
        assert_eq!(client.get("/healthz").0, 200);
    }
    let last = "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(client.send(last).0, 200);
    assert!(client.is_closed());
}

#[test]
fn after_what_is_no_request_the_connection_is_closed() {
    let mut client = Client::new(&start());
    assert_eq!(client.send("nonsense\r\n\r\n").0, 400);
    assert!(client.is_closed());
}

#[test]
fn a_stopped_service_takes_no_more_connections() {
    let server = start();
    let address = server.address();
    assert_eq!(Client::new(&server).get("/healthz").0, 200);
    server.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
}
