//! The SQL statements in the sources of a crate: constants that are literals, or a macro of `concat!`.

use std::{fs, path::Path};

use proc_macro2::{TokenStream, TokenTree};
use syn::{Expr, ExprMacro, Item, Lit, LitStr};

const VERBS: [&str; 5] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];

/// Returns the SQL statements of the sources below a directory, or of one file.
///
/// # Panics
/// The sources cannot be read.
pub fn statements(path: &Path) -> Vec<String> {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a directory of sources can be read");
        return entries.flatten().flat_map(|entry| statements(&entry.path())).collect();
    }
    if path.extension().is_none_or(|extension| extension != "rs") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let texts = file.items.iter().filter_map(|item| text_of(item, &file.items));
    texts.filter(|text| is_statement(text)).collect()
}

fn is_statement(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("--"));
    first.is_some_and(|line| VERBS.iter().any(|verb| line.trim_start().starts_with(verb)))
}

fn text_of(item: &Item, items: &[Item]) -> Option<String> {
    let Item::Const(constant) = item else { return None };
    match &*constant.expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        Expr::Macro(call) => expanded(call, items),
        _ => None,
    }
}

/// Expands a macro of this file whose body is one `concat!` of literals and its own parameters.
fn expanded(call: &ExprMacro, items: &[Item]) -> Option<String> {
    let name = call.mac.path.get_ident()?;
    let definition = items.iter().find_map(|item| match item {
        Item::Macro(item) if item.ident.as_ref() == Some(name) => Some(item.mac.tokens.clone()),
        _ => None,
    })?;
    let mut groups = groups(definition);
    let (parameters, body) = (groups.next()?, groups.next()?);
    let parameters: Vec<String> = after_dollar(parameters);
    let arguments: Vec<String> = call.mac.tokens.clone().into_iter().filter_map(literal).collect();
    let pieces = self::groups(body).next()?.into_iter();
    let piece = |token: TokenTree| match token {
        TokenTree::Ident(name) => {
            let index = parameters.iter().position(|parameter| name == parameter)?;
            arguments.get(index).cloned()
        }
        other => literal(other),
    };
    Some(pieces.filter_map(piece).collect())
}

fn groups(tokens: TokenStream) -> impl Iterator<Item = TokenStream> {
    tokens.into_iter().filter_map(|token| match token {
        TokenTree::Group(group) => Some(group.stream()),
        _ => None,
    })
}

fn after_dollar(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_dollar = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '$');
    tokens.windows(2).filter(|pair| is_dollar(&pair[0])).map(|pair| pair[1].to_string()).collect()
}

fn literal(token: TokenTree) -> Option<String> {
    syn::parse2::<LitStr>(token.into()).ok().map(|text| text.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_in_constants_and_macros_are_found() {
        let path = crate::scratch_dir("sources").join("store.rs");
        let source = r#"
            const LOCK: i64 = 1;
            const NAME: &str = "orders";
            const FIND: &str = "\
                -- find()
                SELECT 1";
            macro_rules! scan { ($comparison:literal, $order:literal) => { concat!("SELECT id WHERE id ", $comparison, " $1 ORDER BY id ", $order) }; }
            const AFTER: &str = scan!(">", "ASC");
        "#;
        fs::write(&path, source).unwrap();
        let found = statements(&path);
        assert_eq!(found, ["-- find()\n                SELECT 1", "SELECT id WHERE id > $1 ORDER BY id ASC"]);
    }
}
