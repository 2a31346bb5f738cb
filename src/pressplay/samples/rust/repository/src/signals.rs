//! Notices that the process is asked to end. The only module that needs `unsafe`.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Whether somebody asked the process to end.
pub fn asked_to_stop() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// From now on SIGTERM and SIGINT do not end the process, but are noted.
#[cfg(unix)]
pub fn listen() {
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    extern "C" {
        fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    }
    extern "C" fn note(_number: i32) {
        ASKED.store(true, Ordering::Relaxed);
    }
    // SAFETY: the handler only stores to an atomic, which a signal may interrupt at any point.
    unsafe {
        signal(SIGINT, note);
        signal(SIGTERM, note);
    }
}

/// Elsewhere the process ends at once.
#[cfg(not(unix))]
pub fn listen() {}
