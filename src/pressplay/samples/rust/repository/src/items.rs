//! The items, kept in memory and shared by all requests.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub const NAME_LIMIT: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub id: usize,
    pub name: String,
}

/// Why an item cannot be kept.
#[derive(Debug, PartialEq, Eq)]
pub enum InvalidItem {
    NameMissing,
    NameTooLong,
}

impl fmt::Display for InvalidItem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameMissing => write!(out, "name must be a text that is not empty"),
            Self::NameTooLong => write!(out, "name must have at most {NAME_LIMIT} characters"),
        }
    }
}

/// All items, oldest first. Safe to use from several threads.
#[derive(Default)]
pub struct Items {
    kept: Mutex<Vec<Item>>,
}

impl Items {
    pub fn all(&self) -> Vec<Item> {
        self.lock().clone()
    }

    /// Keep an item; it gets the next id.
    pub fn add(&self, name: &str) -> Result<Item, InvalidItem> {
        if name.trim().is_empty() {
            return Err(InvalidItem::NameMissing);
        }
        if name.chars().count() > NAME_LIMIT {
            return Err(InvalidItem::NameTooLong);
        }
        let mut kept = self.lock();
        let item = Item {
            id: kept.len() + 1,
            name: name.to_string(),
        };
        kept.push(item.clone());
        Ok(item)
    }

    /// A thread that panicked cannot have left the list half changed.
    fn lock(&self) -> MutexGuard<'_, Vec<Item>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_up_and_the_oldest_comes_first() {
        let items = Items::default();
        assert_eq!(items.add("hammer").unwrap().id, 1);
        assert_eq!(items.add("saw").unwrap().id, 2);
        let names: Vec<String> = items.all().into_iter().map(|item| item.name).collect();
        assert_eq!(names, ["hammer", "saw"]);
    }

    #[test]
    fn a_name_of_spaces_is_none() {
        assert_eq!(Items::default().add("  "), Err(InvalidItem::NameMissing));
    }

    #[test]
    fn the_limit_counts_characters_and_not_bytes() {
        let items = Items::default();
        assert!(items.add(&"ä".repeat(NAME_LIMIT)).is_ok());
        let longer = "ä".repeat(NAME_LIMIT + 1);
        assert_eq!(items.add(&longer), Err(InvalidItem::NameTooLong));
    }
}
