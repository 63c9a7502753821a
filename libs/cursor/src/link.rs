//! The `Link` header.

use url::form_urlencoded::Serializer;

use crate::{Limit, Scope};

/// Makes the header's value; `None` when there is nothing to link to.
pub(crate) fn header(scope: &Scope, limit: Limit, next: Option<&str>, prev: Option<&str>) -> Option<String> {
    let links: Vec<String> = [("next", next), ("prev", prev)]
        .into_iter()
        .filter_map(|(rel, cursor)| Some(format!("<{}>; rel=\"{rel}\"", target(scope, limit, cursor?))))
        .collect();
    (!links.is_empty()).then(|| links.join(", "))
}

/// The same list and page size, from another place on. Percent-encoding leaves nothing that could end the reference.
fn target(scope: &Scope, limit: Limit, cursor: &str) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in scope.filters() {
        query.append_pair(name, value);
    }
    query
        .append_pair("order", scope.sort().as_str())
        .append_pair("limit", &limit.get().to_string())
        .append_pair("cursor", cursor);
    format!("{}?{}", scope.route(), query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sort;

    #[test]
    fn links_carry_the_whole_question() {
        let scope = Scope::new("acme", "/v1/orders", Sort::Oldest)
            .filter("customer", Some("a+b>@example.com"))
            .filter("state", None::<String>);
        let limit = Limit::new(7).unwrap();
        let query = "customer=a%2Bb%3E%40example.com&order=oldest&limit=7&cursor";
        assert_eq!(header(&scope, limit, None, None), None);
        assert_eq!(
            header(&scope, limit, Some("N"), Some("P")),
            Some(format!("</v1/orders?{query}=N>; rel=\"next\", </v1/orders?{query}=P>; rel=\"prev\""))
        );
    }
}
