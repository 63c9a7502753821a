//! What a person reads on an HTML page.

/// Elements that begin a line of their own.
const LINE_STARTERS: [&str; 8] = ["h1", "h2", "p", "tr", "li", "time", "br", "div"];

/// Returns the visible text of a page, line by line, without blank lines.
///
/// Made for our own pages, which are plain: no scripts, no `<` in attributes.
pub(super) fn visible_text(html: &str) -> Vec<String> {
    let body = html.split_once("<body").map_or(html, |(_, body)| body);
    let mut text = String::new();
    for piece in body.split('<').skip(1) {
        let (tag, content) = piece.split_once('>').unwrap_or((piece, ""));
        let name = tag.split_whitespace().next().unwrap_or_default();
        text.push_str(if LINE_STARTERS.contains(&name) { "\n" } else { " " });
        text.push_str(&content.replace('\n', " "));
    }
    text.lines().map(unescape).filter(|line| !line.is_empty()).collect()
}

fn unescape(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_person_sees_remains() {
        let html = "<html><head><style>h1 { color: red }</style></head><body>\n\
                    <h1 class=\"confirmed\">Your order\n is confirmed</h1>\
                    <table><tr><td>Salt &amp; tea</td><td>2</td></tr></table></body></html>";
        assert_eq!(visible_text(html), ["Your order is confirmed", "Salt & tea 2"]);
    }
}
