//! Listens, and serves each connection in a thread of its own.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::api;
use crate::http::{self, Unreadable};
use crate::items::Items;

const IDLE: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A running service. Dropped, it goes on until the process ends; `stop` ends it in order.
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    items: Arc<Items>,
    stopping: AtomicBool,
    /// Requests that are being answered.
    busy: AtomicUsize,
}

impl Server {
    /// Listen and begin to serve; port 0 means any free one.
    pub fn start(items: Arc<Items>, address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            items,
            stopping: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        let accepting = thread::spawn(move || accept(&listener, &shared));
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Take no more requests, and wait a while for the answers that are under way.
    pub fn stop(self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        // Whoever waits for a connection notices by getting one.
        let woken = TcpStream::connect_timeout(&reachable(self.address), GRACE);
        if woken.is_ok() && self.accepting.join().is_err() {
            eprintln!("the thread that accepts connections had ended already");
        }
        let until = Instant::now() + GRACE;
        while self.state.busy.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Who listens everywhere is reached here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => [127, 0, 0, 1].into(),
            SocketAddr::V6(_) => [0, 0, 0, 0, 0, 0, 0, 1].into(),
        });
    }
    address
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for connection in listener.incoming() {
        if state.stopping.load(Ordering::SeqCst) {
            return;
        }
        match connection {
            Ok(stream) => {
                let state = Arc::clone(state);
                // What a client does wrong ends its own connection and nothing else.
                thread::spawn(move || serve(&stream, &state));
            }
            // Out of file handles, mostly: trying at once would only burn time.
            Err(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}

fn serve(stream: &TcpStream, state: &State) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    let mut out = stream;
    loop {
        let request = match http::read(&mut input, &mut out) {
            Ok(request) => request,
            Err(Unreadable::Closed) => return Ok(()),
            Err(Unreadable::Refused(status, why)) => {
                return http::write(&mut out, &api::refusal(status, why), false, true);
            }
        };
        state.busy.fetch_add(1, Ordering::SeqCst);
        let answer = api::answer(&state.items, &request);
        let keep_alive = request.keep_alive && !state.stopping.load(Ordering::SeqCst);
        let written = http::write(&mut out, &answer, keep_alive, request.method != "HEAD");
        state.busy.fetch_sub(1, Ordering::SeqCst);
        written?;
        if !keep_alive {
            return Ok(());
        }
    }
}
