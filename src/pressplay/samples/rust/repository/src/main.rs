//! `shelf`: serve on $PORT of $HOST until asked to stop.

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use shelf::items::Items;
use shelf::server::Server;
use shelf::signals;

const LOOK_AGAIN: Duration = Duration::from_millis(50);

fn main() -> Result<(), Box<dyn Error>> {
    signals::listen();
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_string());
    let port = env::var("PORT").unwrap_or_else(|_| "8000".to_string());
    let server = Server::start(Arc::new(Items::default()), (host.as_str(), port.parse()?))?;
    println!("listening on {}", server.address());
    while !signals::asked_to_stop() {
        thread::sleep(LOOK_AGAIN);
    }
    server.stop();
    println!("stopped");
    Ok(())
}
