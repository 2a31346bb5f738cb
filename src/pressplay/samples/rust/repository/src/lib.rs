//! A small HTTP service that keeps items in memory. Standard library only.

pub mod api;
pub mod http;
pub mod items;
pub mod json;
pub mod server;
pub mod signals;
