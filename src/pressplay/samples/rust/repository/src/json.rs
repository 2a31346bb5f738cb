//! JSON, as RFC 8259 has it: a value, reading one, writing one.

use std::fmt;
use std::str::Chars;

/// Deeper documents are refused: reading them takes stack.
const DEPTH_LIMIT: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value at a key of an object; of several with one name, the last.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Self {
        Self::Number(value as f64)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::Text(value.to_string())
    }
}

/// An object with these members.
pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.map(|(key, value)| (key.to_string(), value)).into())
}

impl fmt::Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => write!(out, "null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Number(value) => write!(out, "{value}"),
            Self::Text(text) => write_text(out, text),
            Self::List(values) => {
                write!(out, "[")?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(out, "{comma}{value}")?;
                }
                write!(out, "]")
            }
            Self::Object(members) => {
                write!(out, "{{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    write!(out, "{}", if index == 0 { "" } else { ", " })?;
                    write_text(out, key)?;
                    write!(out, ": {value}")?;
                }
                write!(out, "}}")
            }
        }
    }
}

fn write_text(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(out, "\"")?;
    for each in text.chars() {
        match each {
            '"' | '\\' => write!(out, "\\{each}")?,
            '\u{0}'..='\u{1f}' => write!(out, "\\u{:04x}", each as u32)?,
            _ => write!(out, "{each}")?,
        }
    }
    write!(out, "\"")
}

/// The value in a document, or None where it is no JSON.
pub fn parse(document: &str) -> Option<Json> {
    let mut reader = Reader {
        rest: document.chars(),
        depth: 0,
    };
    let value = reader.value()?;
    reader.skip_space();
    reader.rest.next().is_none().then_some(value)
}

struct Reader<'a> {
    rest: Chars<'a>,
    depth: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Json> {
        self.skip_space();
        match self.peek()? {
            '{' => self.nested(Self::object),
            '[' => self.nested(Self::list),
            '"' => self.text().map(Json::Text),
            't' => self.word("true", Json::Bool(true)),
            'f' => self.word("false", Json::Bool(false)),
            'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<Json>) -> Option<Json> {
        self.rest.next();
        self.depth += 1;
        let value = if self.depth > DEPTH_LIMIT {
            None
        } else {
            read(self)
        };
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Option<Json> {
        let mut members = Vec::new();
        while self.goes_on('}', members.is_empty())? {
            self.skip_space();
            let key = self.text()?;
            self.skip_space();
            self.expect(':')?;
            members.push((key, self.value()?));
        }
        Some(Json::Object(members))
    }

    fn list(&mut self) -> Option<Json> {
        let mut values = Vec::new();
        while self.goes_on(']', values.is_empty())? {
            values.push(self.value()?);
        }
        Some(Json::List(values))
    }

    /// Whether another member follows; takes the comma before it, or the end.
    fn goes_on(&mut self, end: char, is_first: bool) -> Option<bool> {
        self.skip_space();
        if self.peek()? == end {
            self.rest.next();
            return Some(false);
        }
        if !is_first {
            self.expect(',')?;
        }
        Some(true)
    }

    fn text(&mut self) -> Option<String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                '\u{0}'..='\u{1f}' => return None,
                plain => text.push(plain),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        match self.rest.next()? {
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => self.code_point(),
            plain @ ('"' | '\\' | '/') => Some(plain),
            _ => None,
        }
    }

    /// Four hexadecimal digits, or a surrogate pair of them.
    fn code_point(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.expect('\\')?;
        self.expect('u')?;
        let second = self.four_digits()?;
        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)
    }

    fn four_digits(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |value, _| {
            Some(value * 16 + self.rest.next()?.to_digit(16)?)
        })
    }

    fn number(&mut self) -> Option<Json> {
        let text: String = self
            .rest
            .clone()
            .take_while(|each| is_of_number(*each))
            .collect();
        if !is_number(&text) {
            return None;
        }
        self.rest.nth(text.len() - 1);
        let value: f64 = text.parse().ok()?;
        value.is_finite().then_some(Json::Number(value))
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        for each in word.chars() {
            self.expect(each)?;
        }
        Some(value)
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        (self.rest.next()? == wanted).then_some(())
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.rest.next();
        }
    }
}

fn is_of_number(each: char) -> bool {
    each.is_ascii_digit() || matches!(each, '-' | '+' | '.' | 'e' | 'E')
}

/// Stricter than Rust's own: no leading zero, no leading or trailing dot.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
    let is_whole = whole == "0" || (!whole.starts_with('0') && !whole.is_empty());
    is_whole
        && whole.bytes().all(|each| each.is_ascii_digit())
        && !digits.contains(".e")
        && !digits.contains(".E")
        && !digits.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let document = r#"{"a": [1, -2.5, 1e3], "b": {"c": null, "d": true}, "e": "ü \"x\" \\"}"#;
        let value = parse(document).unwrap();
        assert_eq!(parse(&value.to_string()), Some(value));
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(
            parse(r#""\u00e4\ud83d\ude00\n""#),
            Some(Json::from("ä😀\n"))
        );
        assert_eq!(Json::from("a\u{1}b").to_string(), r#""a\u0001b""#);
    }

    #[test]
    fn the_last_of_two_members_with_one_name_counts() {
        let value = parse(r#"{"name": "a", "name": "b"}"#).unwrap();
        assert_eq!(value.get("name").and_then(Json::as_text), Some("b"));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for document in [
            "",
            "{",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "01",
            "1.",
            ".5",
            "1e999",
            "+1",
            "nul",
            "\"\\x\"",
            "\"\n\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "1 2",
            "'a'",
            "-",
        ] {
            assert_eq!(parse(document), None, "{document:?}");
        }
    }

    #[test]
    fn a_deep_document_is_refused() {
        let nest = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nest(DEPTH_LIMIT)).is_some());
        assert!(parse(&nest(DEPTH_LIMIT + 1)).is_none());
    }
}
