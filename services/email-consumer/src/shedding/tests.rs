//! Properties of the policy.

use proptest::prelude::*;

use super::*;

fn after(start: Instant, seconds: f64) -> Instant {
    start + Duration::from_secs_f64(seconds)
}

proptest! {
    #[test]
    fn without_pressure_all_are_kept_and_under_full_pressure_none(id in any::<u128>()) {
        prop_assert!(is_kept(Uuid::from_u128(id), 0.0));
        prop_assert!(!is_kept(Uuid::from_u128(id), 1.0));
    }

    #[test]
    fn what_is_kept_is_kept_at_every_lower_pressure(id in any::<u128>(), high in 0.0..=1.0, part in 0.0..=1.0) {
        let id = Uuid::from_u128(id);
        prop_assert!(!is_kept(id, high) || is_kept(id, high * part));
    }

    #[test]
    fn promotions_hold_one_connection_to_all_of_theirs(most in 1_u16..1_000, pressure in 0.0..=1.0) {
        let n = connections(most, pressure);
        prop_assert!((1..=most).contains(&n));
        prop_assert_eq!(connections(most, 0.0), most);
        prop_assert_eq!(connections(most, 1.0), 1);
    }

    #[test]
    fn the_pressure_rises_at_once_and_falls_only_after_its_hold(
        peak in 0.01..=1.0, lower in 0.0..=1.0, during in 0.0..=5.0, later in 0.0..100.0
    ) {
        let start = Instant::now();
        let mut pressure = Pressure::default();
        prop_assert!(pressure.at(start) <= 0.0);
        pressure.raise(peak, start, HOLD);
        // A lower sign in between does not end the peak.
        pressure.raise(peak * lower * 0.99, after(start, during / 2.0), HOLD);
        prop_assert!((pressure.at(after(start, during)) - peak).abs() < 1e-9);
        let end = after(start, 5.0);
        prop_assert!(pressure.at(after(end, later)) <= (peak - later / 30.0).max(0.0) + 1e-9);
        prop_assert!(pressure.at(after(end, 30.0)) <= 1e-9);
    }

    #[test]
    fn a_constant_time_makes_no_pressure(took in 0.001..60.0, n_mails in 1..200_u16) {
        let mut pace = Pace::default();
        let start = Instant::now();
        for mail in 0..n_mails {
            let slowness = pace.observe(Duration::from_secs_f64(took), after(start, f64::from(mail)));
            prop_assert!(SLOWNESS.pressure(slowness) <= 0.0, "{slowness}");
        }
    }
}

#[test]
fn a_half_is_kept_under_half_the_pressure() {
    let kept = (0..10_000_u32).filter(|_| is_kept(Uuid::now_v7(), 0.5)).count();
    assert!((4_700..5_300).contains(&kept), "{kept}");
}

#[test]
fn mails_that_take_twice_as_long_stop_promotions_and_a_slower_server_is_usual_in_the_end() {
    let (mut pace, start) = (Pace::default(), Instant::now());
    let mut observe =
        |ms, second| pace.observe(Duration::from_millis(ms), start + Duration::from_secs(second));
    observe(200, 0);
    let slowness = (1..60).map(|second| observe(400, second)).last().expect("mails");
    assert!(SLOWNESS.pressure(slowness) >= 1.0, "{slowness}");
    let slowness = (60..900).map(|second| observe(400, second)).last().expect("mails");
    assert!(SLOWNESS.pressure(slowness) <= 0.0, "{slowness}");
}

#[test]
fn times_below_the_quickest_are_no_pressure() {
    let mut pace = Pace::default();
    pace.observe(Duration::from_millis(2), Instant::now());
    let slowness = (0..50).map(|_| pace.observe(Duration::from_millis(49), Instant::now())).last();
    assert!(SLOWNESS.pressure(slowness.expect("mails")) <= 0.0);
}
