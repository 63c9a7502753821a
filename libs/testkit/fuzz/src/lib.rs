#![doc = include_str!("../README.md")]

/// Makes from a fuzzer's bytes either a new text, or the genuine text with some bytes replaced, because random bytes never resemble a
/// signed text.
///
/// The first byte selects which; for the genuine text, each following three bytes are a position and the new byte.
pub fn edited(genuine: &str, data: &[u8]) -> String {
    match data.split_first() {
        Some((first, edits)) if first % 2 == 0 => {
            let mut bytes = genuine.as_bytes().to_vec();
            for edit in edits.chunks_exact(3) {
                let position = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len();
                bytes[position] = edit[2];
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Some((_, text)) => String::from_utf8_lossy(text).into_owned(),
        None => String::new(),
    }
}
