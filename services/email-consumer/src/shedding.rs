//! Load shedding: drops promotions before a mail about an order waits.
//!
//! The pressure is a number from 0, at which every promotion is sent, to 1, at which none is. It comes from what mails experience, rises at
//! once, stays for a while and falls slowly (hysteresis). Between 0 and 1, an event is sent if its id, as a number, is above the pressure, so
//! that each delivery of an event decides the same at the same pressure.

mod pace;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use self::pace::Pace;
use crate::error::Error;

/// A quantity and the pressure that it makes: 0 up to `begins`, 1 from `full` on, and linear between them.
struct Ramp {
    begins: f64,
    full: f64,
}

/// Connections in use, of those to the SMTP server that are allowed. Promotions alone can use a quarter.
const CONNECTIONS: Ramp = Ramp { begins: 0.5, full: 0.75 };

/// Time of a mail, as a multiple of the usual one. The objective is twice the time of an unloaded system.
const SLOWNESS: Ramp = Ramp { begins: 1.25, full: 1.75 };

/// Age of an event of an order when its mail is sent, in seconds. The objective is 60 s.
const AGE: Ramp = Ramp { begins: 10.0, full: 30.0 };

/// For this time the pressure stays at its peak.
const HOLD: Duration = Duration::from_secs(5);

/// The same after a failure: longer than the pauses and most timeouts of the attempts while the SMTP server is down.
const HOLD_AFTER_FAILURE: Duration = Duration::from_mins(1);

/// Time in which the pressure falls from 1 to 0.
const FALL: Duration = Duration::from_secs(30);

/// What mails experience, and the pressure that follows.
#[derive(Default)]
pub(crate) struct Shedding(Mutex<State>);

#[derive(Default)]
struct State {
    pressure: Pressure,
    pace: Pace,
}

/// A pressure that falls with time.
#[derive(Clone, Copy, Debug, Default)]
struct Pressure {
    peak: f64,
    /// The end of the peak.
    until: Option<Instant>,
}

impl Shedding {
    /// Learns from a mail that asked for a connection at `started`: `Ok(true)` if it was sent.
    pub(crate) fn learn(&self, sent: &Result<bool, Error>, started: Instant) {
        let (now, mut state) = (Instant::now(), self.0.lock());
        match sent {
            Ok(true) => {
                let slowness = state.pace.observe(now - started, now);
                state.pressure.raise(SLOWNESS.pressure(slowness), now, HOLD);
            }
            Err(error) if error.is_outage() => state.pressure.raise(1.0, now, HOLD_AFTER_FAILURE),
            Ok(false) | Err(_) => {}
        }
    }

    /// The mail about an order was accepted at this age of its event.
    pub(crate) fn order_mail_sent(&self, age: Duration) {
        self.0.lock().pressure.raise(AGE.pressure(age.as_secs_f64()), Instant::now(), HOLD);
    }

    /// Returns the pressure. `in_use` is the fraction of connections in use.
    pub(crate) fn pressure(&self, in_use: f64) -> f64 {
        let (now, mut state) = (Instant::now(), self.0.lock());
        state.pressure.raise(CONNECTIONS.pressure(in_use), now, HOLD);
        state.pressure.at(now)
    }
}

/// Returns whether the event is sent at this pressure. If it is, it is also sent at a lower one.
pub(crate) fn is_kept(event_id: Uuid, pressure: f64) -> bool {
    // The end of a UUIDv7 is random.
    let [.., a, b, c, d] = event_id.into_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX) > pressure || pressure <= 0.0
}

/// Returns how many of `most` connections promotions may hold at this pressure, at least one.
pub(crate) fn connections(most: u16, pressure: f64) -> u16 {
    (1..=most).rev().find(|n| f64::from(*n) <= f64::from(most) * (1.0 - pressure)).unwrap_or(1)
}

impl Ramp {
    fn pressure(&self, value: f64) -> f64 {
        ((value - self.begins) / (self.full - self.begins)).clamp(0.0, 1.0)
    }
}

impl Pressure {
    fn at(&self, now: Instant) -> f64 {
        let Some(until) = self.until else { return 0.0 };
        let fallen = now.saturating_duration_since(until).as_secs_f64() / FALL.as_secs_f64();
        (self.peak - fallen).max(0.0)
    }

    /// Rises to `to` and stays there for `hold`; nothing if the pressure is higher.
    fn raise(&mut self, to: f64, now: Instant, hold: Duration) {
        if to > 0.0 && to >= self.at(now) {
            let until = self.until.map_or(now + hold, |until| until.max(now + hold));
            *self = Self { peak: to, until: Some(until) };
        }
    }
}

#[cfg(test)]
mod tests;
