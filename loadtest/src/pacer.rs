//! Timer with a precision of tens of microseconds, from the kernel's timerfd.
//!
//! The timer of tokio has a resolution of a millisecond, which is longer than a redirect takes.

use std::time::Instant;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// A timer for one task.
#[derive(Debug)]
pub(crate) struct Pacer {
    timer: AsyncFd<std::os::fd::OwnedFd>,
}

impl Pacer {
    /// Needs a tokio runtime with its I/O driver.
    #[expect(deprecated, reason = "its replacement is unsafe, and asks for what an OwnedFd promises anyway")]
    pub(crate) fn new() -> std::io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { timer: AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)? })
    }

    /// Waits until `at`; returns at once when `at` is in the past.
    pub(crate) async fn sleep_until(&self, at: Instant) -> std::io::Result<()> {
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut guard = self.timer.readable().await?;
            let read = guard.try_io(|timer| {
                let mut expirations = [0_u8; 8];
                Ok(rustix::io::read(timer.get_ref(), &mut expirations)?)
            });
            // An earlier wait can leave the timer readable without an expiration.
            if let Ok(expired) = read {
                return expired.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_timer_does_not_fire_early_and_does_not_wait_for_the_past() {
        let pacer = Pacer::new().unwrap();
        for micros in [50, 300, 2500] {
            let at = Instant::now() + Duration::from_micros(micros);
            pacer.sleep_until(at).await.unwrap();
            assert!(Instant::now() >= at);
        }
        pacer.sleep_until(Instant::now()).await.unwrap();
    }
}
