//! Headers of a dead letter and of its replay: bookkeeping is replaced, every other header stays byte for byte.

use events::header::REPLAYS;

use crate::headers::{Headers, replays};

/// The names of the headers that say why and where an event became a dead letter.
pub(super) const BOOKKEEPING: [&str; 10] = [
    "dead-letter-topic",
    "dead-letter-partition",
    "dead-letter-offset",
    "dead-letter-timestamp",
    "dead-letter-group",
    "dead-letter-code",
    "dead-letter-reason",
    "dead-letter-attempts",
    "dead-letter-retries",
    "dead-letter-at",
];

/// The headers of a replay: those of the event, with one more replay. A consumer handles an event that it gave up again because of the
/// count.
pub(super) fn replayed(letter: &Headers) -> Headers {
    let is_kept = |name: &str| name != REPLAYS && !BOOKKEEPING.contains(&name);
    let kept = letter.iter().filter(|(name, _)| is_kept(name)).cloned();
    let replays = replays(letter).saturating_add(1).to_string();
    kept.chain([(REPLAYS.to_owned(), Some(replays.into_bytes()))]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::headers::{read, replaced};

    const PREFIX: &str = "dead-letter-";

    fn dead(event: &Headers, round: u32) -> Headers {
        let added: Vec<_> = BOOKKEEPING
            .iter()
            .map(|name| (name.strip_prefix(PREFIX).unwrap(), format!("round {round}")))
            .collect();
        read(&replaced(event, PREFIX, &added))
    }

    fn bookkeeping(round: u32) -> Headers {
        BOOKKEEPING
            .iter()
            .map(|name| ((*name).to_owned(), Some(format!("round {round}").into_bytes())))
            .collect()
    }

    proptest! {
        /// A few names, so that some occur twice; values may be null or no text.
        #[test]
        fn rounds_of_failure_and_replay_change_only_the_bookkeeping(
            event in prop::collection::vec(("[a-c]{1,2}", prop::option::of(prop::collection::vec(any::<u8>(), 0..4))), 0..8),
            rounds in 1_u32..6,
        ) {
            let mut current = event.clone();
            for round in 0..rounds {
                let letter = dead(&current, round);
                current.extend(bookkeeping(round));
                prop_assert_eq!(&letter, &current);

                current = replayed(&letter);
                let mut expected = event.clone();
                expected.push((REPLAYS.to_owned(), Some((round + 1).to_string().into_bytes())));
                prop_assert_eq!(&current, &expected);
            }
        }

        #[test]
        fn an_event_that_still_has_bookkeeping_gets_each_header_once(round in 0_u32..3) {
            let letter = dead(&dead(&Headers::new(), round), round + 1);
            prop_assert_eq!(letter, bookkeeping(round + 1));
        }
    }
}
