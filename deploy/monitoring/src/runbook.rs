//! Commands in runbooks, for tests: Markdown with headings and fenced blocks.

/// A fenced block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The heading above it.
    pub heading: &'a str,
    /// The environment of the commands: the word after `sh`.
    pub place: &'a str,
    /// The commands.
    pub commands: String,
}

/// Returns the blocks of commands in order.
pub fn blocks(markdown: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut heading = "";
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(fence) = line.strip_prefix("```") {
            let commands: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            if let Some(place) = fence.strip_prefix("sh") {
                blocks.push(Block { heading, place: place.trim(), commands: commands.join("\n") });
            }
        } else if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_commands_are_found_with_heading_and_place() {
        let text = "# A\n## B\n```sh local\none\n# no heading\n```\n```text\nno command\n```\n## C\n```sh cluster\ntwo\n```\n";
        let block = |heading, place, commands: &str| Block { heading, place, commands: commands.to_owned() };
        assert_eq!(blocks(text), [block("B", "local", "one\n# no heading"), block("C", "cluster", "two")]);
    }
}
