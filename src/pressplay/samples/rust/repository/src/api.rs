//! What the service answers: JSON in, JSON out.

use std::str;

use crate::http::{Answer, Request};
use crate::items::{InvalidItem, Item, Items};
use crate::json::{self, Json};

/// The answer to one request.
pub fn answer(items: &Items, request: &Request) -> Answer {
    let method = match request.method.as_str() {
        "HEAD" => "GET",
        other => other,
    };
    match (method, request.path.as_str()) {
        ("GET", "/healthz") => found(200, json::object([("status", Json::from("ok"))])),
        ("GET", "/api/items") => {
            let all = items.all().iter().map(shown).collect();
            found(200, json::object([("items", Json::List(all))]))
        }
        ("POST", "/api/items") => match add(items, &request.body) {
            Ok(item) => found(201, shown(&item)),
            Err(why) => refusal(400, &why),
        },
        (_, "/healthz" | "/api/items") => refusal(405, "method not allowed"),
        _ => refusal(404, "not found"),
    }
}

/// An answer that says why there is no other.
pub fn refusal(status: u16, why: &str) -> Answer {
    found(status, json::object([("error", Json::from(why))]))
}

fn found(status: u16, document: Json) -> Answer {
    Answer { status, document }
}

fn add(items: &Items, body: &[u8]) -> Result<Item, String> {
    let document = str::from_utf8(body).ok().and_then(json::parse);
    let document = document.ok_or("the body must be JSON")?;
    let name = document.get("name").and_then(Json::as_text);
    let name = name.ok_or(InvalidItem::NameMissing);
    name.and_then(|name| items.add(name))
        .map_err(|why| why.to_string())
}

fn shown(item: &Item) -> Json {
    json::object([
        ("id", Json::from(item.id)),
        ("name", Json::from(item.name.as_str())),
    ])
}
