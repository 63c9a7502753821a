//! `baggage` by the grammar of W3C Baggage. Keys and values are neither decoded nor interpreted.

use super::{OWS, list};

/// Members of a list, and bytes of the whole, that are passed on: what the specification asks for.
const MAX_MEMBERS: usize = 64;
const MAX_LEN: usize = 8_192;

/// Reads the list, and writes it without optional whitespace; `None` when nothing is left.
///
/// A malformed member is left out, and so is one that exceeds a limit. Members with one key are kept, in their order.
pub(super) fn read(text: &str) -> Option<String> {
    let (mut read, mut n_members) = (String::new(), 0);
    for member in list(text).filter_map(member) {
        let separator = if n_members == 0 { "" } else { "," };
        if read.len() + separator.len() + member.len() <= MAX_LEN {
            read.extend([separator, &member]);
            n_members += 1;
        }
        if n_members == MAX_MEMBERS {
            break;
        }
    }
    (n_members > 0).then_some(read)
}

/// `key=value`, and properties behind semicolons.
fn member(text: &str) -> Option<String> {
    let (entry, properties) = text.split_once(';').map_or((text, None), |(entry, rest)| (entry, Some(rest)));
    let mut member = pair(entry)?;
    for property in properties.into_iter().flat_map(|properties| properties.split(';')) {
        let key = property.trim_matches(OWS);
        let property = if is_token(key) { key.to_owned() } else { pair(property)? };
        member.extend([";", &property]);
    }
    Some(member)
}

/// A value may contain `=`.
fn pair(text: &str) -> Option<String> {
    let (key, value) = text.split_once('=')?;
    let (key, value) = (key.trim_matches(OWS), value.trim_matches(OWS));
    (is_token(key) && value.bytes().all(is_baggage_octet)).then(|| format!("{key}={value}"))
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

fn is_baggage_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_read() {
        for text in ["userId=alice,serverNode=DF%2028,isProduction=false", "serverNode=DF%2028"] {
            assert_eq!(read(text).as_deref(), Some(text));
        }
        assert_eq!(
            read("key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue")
                .unwrap(),
            "key1=value1;property1;property2,key2=value2,key3=value3;propertyKey=propertyValue"
        );
        assert_eq!(
            read("userId =   alice,serverNode = DF%2028, isProduction = false").unwrap(),
            "userId=alice,serverNode=DF%2028,isProduction=false"
        );
    }

    #[test]
    fn a_value_keeps_its_equals_signs_and_its_encoding() {
        assert_eq!(read("k=a=b;prop=1, x=%20y").unwrap(), "k=a=b;prop=1,x=%20y");
        for text in ["token=YWJj==", "k=", "k==", "k=%C3%A9", "k=%ff", "k=1,k=2", "k=v;p=a=b"] {
            assert_eq!(read(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_malformed_member_does_not_affect_the_others() {
        for malformed in [
            "", "k", "=v", "k k=v", "k=v w", "k=\"v\"", "k=\\", "k=é", "k=v;", "k=v;;p", "k=v;=1",
            "k=v;p=\"", "k;p=v",
        ] {
            assert_eq!(
                read(&format!("first=1,{malformed},last=1")).as_deref(),
                Some("first=1,last=1"),
                "{malformed}"
            );
        }
        assert_eq!((read(""), read(" , k")), (None, None));
    }

    #[test]
    fn what_exceeds_64_members_or_8192_bytes_is_left_out_as_whole_members() {
        let members = |n| (0..n).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(read(&members(65)), Some(members(64)));
        let fits = format!("k={}", "v".repeat(8_190));
        assert_eq!(read(&fits), Some(fits.clone()));
        assert_eq!(read(&format!("first=1,{fits},last=1")).unwrap(), "first=1,last=1");
    }

    proptest! {
        #[test]
        fn what_is_read_is_bounded_and_read_again_without_a_change(text in "([a-z]{0,9}[=;, \t]{0,2}.{0,40}){0,90}") {
            if let Some(once) = read(&text) {
                prop_assert!(once.len() <= MAX_LEN && once.split(',').count() <= MAX_MEMBERS);
                prop_assert!(once.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(read(&once), Some(once));
            }
        }

        #[test]
        fn a_list_of_the_grammar_keeps_its_members_and_their_order(
            members in vec("[a-zA-Z!#]{1,9}=[!#-+\\--:<-\\[\\]-~]{0,9}(;[a-z]{1,3}(=[!#-+\\--:<-\\[\\]-~]{0,9})?){0,3}", 1..64),
            space in "[ \t]{0,3}",
        ) {
            let spaced = members.join(&format!("{space},{space}")).replace(';', &format!("{space};{space}"));
            prop_assert_eq!(read(&spaced), Some(members.join(",")));
        }
    }
}
