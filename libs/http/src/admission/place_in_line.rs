//! `Retry-After` of shed requests: a place in a line that moves as fast as requests are answered.
//!
//! A fixed time makes a retry storm that does not end: with 3,000 clients that return within three seconds, the process refuses 1,000 requests
//! a second, and refusing them takes the time that answering would need. The line spreads the clients over the time that the process needs
//! for all of them.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The longest wait. It also bounds the line: later clients share its last part.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How long answers are counted for one sample of the rate.
const SAMPLE: Duration = Duration::from_secs(1);

/// The lowest rate of the line, in requests per second: that of a process that answers nothing.
const MIN_RATE: f64 = 10.0;

/// An empty line without a new request for this time begins anew.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// The line of one class of requests.
#[derive(Debug, Default)]
pub(super) struct Line {
    n_served: AtomicU64,
    /// Locked for shed requests only.
    places: Mutex<Option<Places>>,
}

#[derive(Clone, Copy, Debug)]
struct Places {
    /// The end of the line: the turn of the request that joined last.
    end: Instant,
    /// Answers per second.
    rate: f64,
    sampled: Instant,
    n_served: u64,
}

impl Line {
    /// Counts an answer.
    pub(super) fn served(&self) {
        self.n_served.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds a request to the line; returns the time until its turn, and up to two seconds at random.
    ///
    /// `permits` is the concurrency limit. A new line moves as if each permit gave one answer per second, until the first sample.
    pub(super) fn join(&self, now: Instant, permits: u32) -> Duration {
        let n_served = self.n_served.load(Ordering::Relaxed);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            |line: &Places| line.end > now || now.saturating_duration_since(line.sampled) < FORGOTTEN;
        let line = places.filter(is_known);
        let mut line = line.unwrap_or_else(|| Places::new(now, f64::from(permits), n_served));
        let wait = line.join(now, n_served);
        *places = Some(line);
        // In a full line each gets a place in the last half, or all of them would return together.
        let wait = if wait == MAX_WAIT { MAX_WAIT.mul_f64(rand::random_range(0.5..=1.0)) } else { wait };
        // Retry-After has whole seconds: without this, all of one second would return together.
        wait + Duration::from_secs_f64(rand::random_range(0.0..2.0))
    }
}

impl Places {
    fn new(now: Instant, rate: f64, n_served: u64) -> Self {
        Self { end: now, rate: rate.max(MIN_RATE), sampled: now, n_served }
    }

    /// Adds a request to the line, and returns how long it waits.
    fn join(&mut self, now: Instant, n_served: u64) -> Duration {
        self.sample(now, n_served);
        self.end = (self.end.max(now) + Duration::from_secs_f64(1.0 / self.rate)).min(now + MAX_WAIT);
        self.end - now
    }

    /// Measures the rate since the last sample. An old sample says little about now, so the newest counts for half.
    fn sample(&mut self, now: Instant, n_served: u64) {
        let elapsed = now.saturating_duration_since(self.sampled);
        if elapsed < SAMPLE {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
        let rate = n_served.saturating_sub(self.n_served) as f64 / elapsed.as_secs_f64();
        self.rate = f64::midpoint(self.rate, rate).max(MIN_RATE);
        (self.sampled, self.n_served) = (now, n_served);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn each_request_gets_the_next_turn() {
        let now = Instant::now();
        let mut line = Places::new(now, 100.0, 0);
        assert_eq!(line.join(now, 0), ms(10));
        assert_eq!(line.join(now, 0), ms(20));
        assert_eq!(line.join(now + ms(15), 0), ms(15), "the line moves on");
        assert_eq!(line.join(now + ms(900), 0), ms(10), "an empty line begins now");
    }

    #[test]
    fn three_thousand_clients_are_spread_over_the_time_that_the_process_needs() {
        let now = Instant::now();
        let mut line = Places::new(now, 200.0, 0);
        let waits: Vec<_> = (0..3_000).map(|_| line.join(now, 0)).collect();
        assert_eq!(waits.last(), Some(&ms(15_000)));
        assert!(waits.is_sorted());
    }

    #[test]
    fn the_line_has_an_end() {
        let now = Instant::now();
        let mut full = Places::new(now, 20.0, 0);
        full.end = now + MAX_WAIT;
        assert_eq!((full.join(now, 0), full.end), (MAX_WAIT, now + MAX_WAIT));
        for _ in 0..100 {
            let line = Line { places: Mutex::new(Some(full)), ..Line::default() };
            let wait = line.join(now, 20);
            assert!((MAX_WAIT / 2..MAX_WAIT + ms(2_000)).contains(&wait), "{wait:?}");
        }
    }

    #[test]
    fn a_line_without_a_request_for_long_begins_with_the_permits() {
        let now = Instant::now();
        let line = Line::default();
        for _ in 0..200 {
            assert!(line.join(now, 400) < ms(500 + 2_000));
        }
        let slow = Places::new(now, MIN_RATE, 0);
        let line = Line { places: Mutex::new(Some(slow)), ..Line::default() };
        for _ in 0..200 {
            assert!(line.join(now + FORGOTTEN, 400) < ms(500 + 2_000));
        }
    }

    #[test]
    fn a_line_in_which_requests_wait_is_not_forgotten() {
        let now = Instant::now();
        let mut long = Places::new(now, MIN_RATE, 0);
        long.end = now + MAX_WAIT;
        let line = Line { places: Mutex::new(Some(long)), ..Line::default() };
        assert!(line.join(now + FORGOTTEN, 400) > ms(10_000));
    }

    #[test]
    fn the_rate_follows_the_answers() {
        let now = Instant::now();
        let mut line = Places::new(now, 10.0, 0);
        line.sample(now + ms(500), 50);
        assert!((line.rate - 10.0).abs() < 0.01, "too early: {}", line.rate);
        line.sample(now + ms(1_000), 110);
        assert!((line.rate - 60.0).abs() < 0.01, "{}", line.rate);
        line.sample(now + ms(2_000), 220);
        assert!((line.rate - 85.0).abs() < 0.01, "{}", line.rate);
    }

    #[test]
    fn a_process_that_answers_nothing_gets_few_requests() {
        let now = Instant::now();
        let mut line = Places::new(now, 200.0, 0);
        for second in 1..=20 {
            line.sample(now + ms(1_000 * second), 0);
        }
        assert!((line.rate - MIN_RATE).abs() < 0.01, "{}", line.rate);
    }
}
