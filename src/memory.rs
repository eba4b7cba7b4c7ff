//! How many bytes are held on somebody's behalf: a number, its bound, and guards that give back.
//!
//! Nothing is allocated here. Whoever keeps bytes holds as many of a [`Memory`] first, and gets a [`Holding`]
//! or is told that it is full. **Invariant**: what is used is the sum of the holdings that are alive, so it
//! is zero when all are dropped, whether their tasks ended, were cancelled or panicked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;

/// What one statement may keep without holding any of a [`Memory`], bytes: the buffers that its session and
/// its connection have anyway.
pub const OWN_BYTES: usize = 16 << 10;

/// A bounded number of bytes.
#[derive(Debug)]
pub struct Memory {
    used: AtomicUsize,
    bytes_max: AtomicUsize,
    peak: AtomicUsize,
}

/// As many bytes are held as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{used} bytes are held, and with {asked} more it would be over {bytes_max}")]
pub struct Full {
    /// Bytes held.
    pub used: usize,
    /// Bytes asked for.
    pub asked: usize,
    /// The bound.
    pub bytes_max: usize,
}

impl Memory {
    /// Nothing is held, and `bytes_max` at most will be.
    pub fn new(bytes_max: usize) -> Arc<Self> {
        let (used, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { used, bytes_max: AtomicUsize::new(bytes_max), peak })
    }

    /// Holds bytes until the guard is dropped.
    ///
    /// # Errors
    /// [`Full`]: it would be more than the bound; nothing has changed.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Result<Holding, Full> {
        let mut holding = Holding { memory: Arc::clone(self), bytes: 0 };
        holding.grow(bytes)?;
        Ok(holding)
    }

    /// Bytes held now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The most that was held at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// The bound.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Sets another bound. What is held stays, though it be more: then nothing is added.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    fn take(&self, asked: usize) -> Result<(), Full> {
        let bytes_max = self.bytes_max();
        let more = |used: usize| used.checked_add(asked).filter(|sum| *sum <= bytes_max);
        // Only the number itself has to be right: it orders nothing else.
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(before) => {
                self.peak.fetch_max(before + asked, Ordering::Relaxed);
                Ok(())
            }
            Err(used) => Err(Full { used, asked, bytes_max }),
        }
    }
}

/// Bytes that are held; given back when dropped.
#[derive(Debug)]
#[must_use = "what is dropped is held no more"]
pub struct Holding {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Holding {
    /// Holds more.
    ///
    /// # Errors
    /// [`Full`]: it would be more than the bound; what was held still is.
    pub fn grow(&mut self, more: usize) -> Result<(), Full> {
        self.memory.take(more)?;
        self.bytes += more;
        Ok(())
    }

    /// Holds at least so many bytes.
    ///
    /// # Errors
    /// As [`Holding::grow`].
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes > self.bytes { self.grow(bytes - self.bytes) } else { Ok(()) }
    }

    /// Bytes held by this guard.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Says whether they are of `memory`.
    pub fn is_of(&self, memory: &Arc<Memory>) -> bool {
        Arc::ptr_eq(&self.memory, memory)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let memory = Memory::new(100);
        let mut one = memory.hold(40).unwrap();
        let two = memory.hold(60).unwrap();
        assert_eq!(memory.hold(1).unwrap_err(), Full { used: 100, asked: 1, bytes_max: 100 });
        drop(two);
        assert!(one.grow_to(20).is_ok() && one.bytes() == 40, "it is that already");
        one.grow_to(90).unwrap();
        assert!(one.grow(usize::MAX).is_err() && one.bytes() == 90);
        memory.set_bytes_max(50);
        assert!(memory.hold(0).is_err() && memory.used() == 90, "what is held stays");
        drop(one);
        assert_eq!((memory.used(), memory.peak()), (0, 100));
        assert!(memory.hold(50).unwrap().is_of(&memory) && !memory.hold(1).unwrap().is_of(&Memory::new(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn cancelled_and_panicking_tasks_give_back() {
        let memory = Memory::new(1000);
        let tasks: Vec<_> = (0..10)
            .map(|at| {
                let memory = Arc::clone(&memory);
                tokio::spawn(async move {
                    let _held = memory.hold(10).unwrap();
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    assert!(at % 2 == 0, "half of them panic");
                    std::future::pending::<()>().await;
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(memory.used(), 100);
        for (at, task) in tasks.into_iter().enumerate() {
            if at % 2 == 0 {
                task.abort();
            }
            let ended = task.await.unwrap_err();
            assert_eq!(ended.is_panic(), at % 2 == 1);
        }
        assert_eq!(memory.used(), 0);
    }

    #[derive(Clone, Debug)]
    enum Move {
        Hold(usize),
        Grow(usize, usize),
        Drop(usize),
        Bound(usize),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            4 => (0..200_usize).prop_map(Move::Hold),
            3 => (any::<usize>(), 0..200_usize).prop_map(|(which, more)| Move::Grow(which, more)),
            4 => any::<usize>().prop_map(Move::Drop),
            1 => (0..1000_usize).prop_map(Move::Bound),
        ];
        prop::collection::vec(one, 1..200)
    }

    proptest! {
        #[test]
        fn used_is_the_sum_of_what_is_held(moves in moves()) {
            let memory = Memory::new(500);
            let mut held: Vec<Holding> = Vec::new();
            let sum = |held: &[Holding]| held.iter().map(Holding::bytes).sum::<usize>();
            for what in moves {
                let before = sum(&held);
                let asked = match what {
                    Move::Hold(bytes) => {
                        held.extend(memory.hold(bytes).ok());
                        bytes
                    }
                    Move::Grow(which, more) if !held.is_empty() => {
                        let at = which % held.len();
                        let grown = held[at].grow(more);
                        prop_assert_eq!(grown.is_ok(), before + more <= memory.bytes_max());
                        more
                    }
                    Move::Drop(which) if !held.is_empty() => {
                        drop(held.swap_remove(which % held.len()));
                        0
                    }
                    Move::Bound(bytes_max) => {
                        memory.set_bytes_max(bytes_max);
                        0
                    }
                    Move::Grow(..) | Move::Drop(_) => 0,
                };
                prop_assert_eq!(memory.used(), sum(&held));
                let most = before.max(memory.bytes_max());
                prop_assert!(memory.used() <= most, "added {} over the bound", asked);
            }
            held.clear();
            prop_assert_eq!(memory.used(), 0);
        }
    }
}
