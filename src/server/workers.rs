//! The threads that serve sessions, one per core, each with a runtime of its own.
//!
//! A session stays on its worker from login to end, with the server connections that it is lent, so that a
//! statement wakes no other thread: on a runtime of many threads every second statement does. Logins, the
//! admin port and housekeeping run on the main runtime and hold up no statement.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::ids::WorkerId;

/// How long tasks left over on a worker may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// All workers.
pub(super) struct Workers {
    all: Vec<Worker>,
}

struct Worker {
    runtime: Handle,
    sessions: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// A session counted on its worker until dropped.
pub(super) struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts a worker per core.
    ///
    /// # Errors
    /// A thread or its runtime cannot be made.
    pub(super) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let all = (1..=count).map(start_worker).collect::<io::Result<_>>()?;
        Ok(Self { all })
    }

    /// Runs a session on the worker that has the fewest. It keeps the [`Seat`] as long as it lives.
    pub(super) fn place<F>(&self, session: impl FnOnce(WorkerId, Seat) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let fewest = self.all.iter().enumerate().min_by_key(|(_, one)| one.sessions.load(Ordering::Relaxed));
        let (at, worker) = fewest.expect("at least one worker was started");
        worker.sessions.fetch_add(1, Ordering::Relaxed);
        let seat = Seat(worker.sessions.clone());
        // Spawned as it is: an async block around it would hold room for it twice.
        worker.runtime.spawn(session(worker_id(at + 1), seat));
    }

    /// Ends the workers; sessions that are left are dropped.
    pub(super) fn stop(self) {
        let threads: Vec<_> = self
            .all
            .into_iter()
            .map(|worker| {
                // A worker that is gone needs no telling.
                let _ = worker.stop.send(());
                worker.thread
            })
            .collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

/// Numbers workers from 1; 0 is no worker.
fn worker_id(number: usize) -> WorkerId {
    WorkerId(u16::try_from(number).unwrap_or(u16::MAX))
}

fn start_worker(number: usize) -> io::Result<Worker> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        // Dropping the sender stops it too.
        let _ = runtime.block_on(stopped);
        runtime.shutdown_timeout(STOP_WITHIN);
    })?;
    Ok(Worker { runtime: handle, sessions: Arc::default(), stop, thread })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_go_where_the_fewest_are() {
        let workers = Workers::start().unwrap();
        let count = workers.all.len();
        let (tell, told) = std::sync::mpsc::channel();
        let mut endings = Vec::new();
        for _ in 0..count * 3 {
            let (end, ended) = oneshot::channel::<()>();
            endings.push(end);
            let tell = tell.clone();
            workers.place(|worker, seat| async move {
                let _seat = seat;
                tell.send((worker, thread::current().name().map(str::to_owned))).unwrap();
                let _ = ended.await;
            });
        }
        let mut seen: Vec<_> = (0..count * 3).map(|_| told.recv().unwrap()).collect();
        seen.sort();
        for (at, (worker, thread)) in seen.into_iter().enumerate() {
            assert_eq!(worker, worker_id(at / 3 + 1));
            assert_eq!(thread, Some(format!("worker-{}", at / 3 + 1)));
        }
        assert!(workers.all.iter().all(|one| one.sessions.load(Ordering::Relaxed) == 3));
        let seats: Vec<_> = workers.all.iter().map(|one| one.sessions.clone()).collect();
        drop(endings);
        workers.stop();
        assert!(seats.iter().all(|count| count.load(Ordering::Relaxed) == 0));
    }
}
