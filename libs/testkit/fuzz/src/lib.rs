#![doc = include_str!("../README.md")]

/// Makes of a fuzzer's bytes either a text of its own, or the genuine text with some of its bytes replaced: random bytes
/// alone would never come near a signature.
///
/// The first byte says which; for the genuine text each further three are a position and the byte to put there.
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
