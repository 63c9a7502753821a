//! `tracestate` by the grammar of W3C Trace Context Level 2, whose keys include those of Level 1.

use super::list;

/// Members of a list.
const MAX_MEMBERS: usize = 32;

/// Characters that are passed on: what the specification asks for.
const MAX_LEN: usize = 512;

/// Members above this length are the first to be left out of a list that is too long.
const LONG: usize = 128;

/// Maximum length of a key and of a value.
const MAX_TEXT: usize = 256;

/// Reads the list, and writes it without optional whitespace; `None` when nothing is left.
///
/// A malformed member is left out, and of members with one key all but the first, which is the most recent. A list of more than 32 members is
/// discarded. Of a list of more than 512 characters, members above 128 characters and then the last ones are left out.
pub(super) fn read(text: &str) -> Option<String> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for (key, value) in list(text).filter_map(member) {
        if members.iter().any(|(known, _)| *known == key) {
            continue;
        }
        if members.len() == MAX_MEMBERS {
            return None;
        }
        members.push((key, value));
    }
    shorten(&mut members);
    let members: Vec<_> = members.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (!members.is_empty()).then(|| members.join(","))
}

fn member(text: &str) -> Option<(&str, &str)> {
    text.split_once('=').filter(|(key, value)| is_key(key) && is_value(value))
}

fn is_key(text: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_other = |byte| is_first(byte) || b"_-*/@".contains(&byte);
    text.len() <= MAX_TEXT && text.bytes().next().is_some_and(is_first) && text.bytes().all(is_other)
}

/// The list is split at commas, and spaces at the end of a member are trimmed.
fn is_value(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
}

fn shorten(members: &mut Vec<(&str, &str)>) {
    let len = |(key, value): &(&str, &str)| key.len() + "=".len() + value.len();
    while members.iter().map(len).sum::<usize>() + members.len().saturating_sub(1) > MAX_LEN {
        let long = members.iter().rposition(|member| len(member) > LONG);
        members.remove(long.unwrap_or(members.len() - 1));
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_read() {
        for text in [
            "vendorname1=opaqueValue1,vendorname2=opaqueValue2",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "fw529a3039@dt=FfffffCiMEAFZAdcAAE5,other=1",
            "0@a@b=1",
        ] {
            assert_eq!(read(text).as_deref(), Some(text));
        }
        let positions = "congo=congosSecondPosition,rojo=rojosFirstPosition,congo=congosFirstPosition";
        assert_eq!(read(positions).unwrap(), "congo=congosSecondPosition,rojo=rojosFirstPosition");
    }

    #[test]
    fn whitespace_around_a_member_and_empty_members_are_left_out() {
        assert_eq!(read("vendor=opaque, other=1").unwrap(), "vendor=opaque,other=1");
        assert_eq!(
            read("\t foo=1 \t , ,,bar=  2 ,").unwrap(),
            "foo=1,bar=  2",
            "a value can begin with spaces"
        );
        assert_eq!((read(""), read(" ,\t")), (None, None));
    }

    #[test]
    fn a_malformed_member_does_not_affect_the_others() {
        let long_key = format!("{}=1", "k".repeat(257));
        let long_value = format!("k={}", "v".repeat(257));
        for malformed in [
            "FOO=1",
            "foo =1",
            "_foo=1",
            "=1",
            "foo",
            "foo=",
            "foo=a=b",
            "foo==b",
            "foo=é",
            "foo=a\tb",
            &long_key,
            &long_value,
        ] {
            assert_eq!(
                read(&format!("first=1,{malformed},last=1")).as_deref(),
                Some("first=1,last=1"),
                "{malformed}"
            );
        }
    }

    #[test]
    fn a_list_of_more_than_32_members_is_discarded() {
        let members = |n| (0..n).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(read(&members(32)), Some(members(32)));
        assert_eq!(read(&members(33)), None);
    }

    #[test]
    fn above_512_characters_long_members_and_then_the_last_ones_are_left_out() {
        let member = |key: &str, len: usize| format!("{key}={}", "v".repeat(len - key.len() - 1));
        let list = [member("a", 200), member("b", 128), member("c", 128), member("d", 128)];
        let text = list.join(",");
        assert_eq!(read(&text), Some(list[1..].join(",")));
        let list: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|key| member(key, 127)).collect();
        assert_eq!(read(&list.join(",")), Some(list[..4].join(",")));
    }

    proptest! {
        #[test]
        fn what_is_read_is_bounded_and_read_again_without_a_change(text in "([a-z0-9@]{0,9}[= ,\t]{0,2}.{0,40}){0,60}") {
            if let Some(once) = read(&text) {
                prop_assert!(once.len() <= MAX_LEN && once.split(',').count() <= MAX_MEMBERS);
                prop_assert!(once.bytes().all(|byte| matches!(byte, b' '..=b'~')));
                prop_assert_eq!(read(&once), Some(once));
            }
        }

        #[test]
        fn a_list_of_the_grammar_keeps_its_values_and_their_order(
            values in vec("[ -+\\--<>-~]{0,9}[!-+\\--<>-~]", 1..25),
            space in "[ \t]{0,3}",
        ) {
            let members = values.iter().enumerate().map(|(n, value)| format!("k{n}={value}")).collect::<Vec<_>>();
            prop_assert_eq!(read(&members.join(&format!("{space},{space}"))), Some(members.join(",")));
        }
    }
}
